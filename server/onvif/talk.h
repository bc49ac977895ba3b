/*
 * talk.h - the conversation with one ONVIF device, without I/O: what to ask next,
 * and what an answer means.
 *
 *     clock -> information -> services (or capabilities) -> profiles -> streams -> done
 *
 * Media2 (H.265) is preferred where a device has it, Media otherwise.
 *
 * Threads: one at a time.
 */
#ifndef KT_ONVIF_TALK_H
#define KT_ONVIF_TALK_H

#include "server/onvif/onvif.h"

enum kt_onvif_step {
    KT_ONVIF_STEP_CLOCK,
    KT_ONVIF_STEP_INFO,
    KT_ONVIF_STEP_SERVICES,
    KT_ONVIF_STEP_CAPABILITIES,
    KT_ONVIF_STEP_PROFILES2,
    KT_ONVIF_STEP_PROFILES,
    KT_ONVIF_STEP_STREAM,
    KT_ONVIF_STEP_SNAPSHOT,
    KT_ONVIF_STEP_OVER,
};

struct kt_onvif_talk {
    struct kt_onvif_camera cam;
    enum kt_onvif_step step;
    const char *user, *password;        /* borrowed; NULL */
    char media[256], media2[256];       /* service addresses, at cam.host */
    bool uses_media2;
    bool http_digest;                   /* the device wants HTTP digest (RFC 7616), not WS-Security */
    size_t profile;                     /* whose stream address is asked for */
    bool answered;                      /* it speaks ONVIF */
};

/* -EINVAL: SERVICE is no http or https address. */
kt_must_check int kt_onvif_talk_begin(struct kt_onvif_talk *talk, const char *service,
                                      const char *user, const char *password);

/* Where to POST what: *URL points into TALK, *BODY is malloc'd. -EPIPE: it is over. */
kt_must_check int kt_onvif_talk_ask(struct kt_onvif_talk *talk, const char **url, char **body);

/* STATUS is HTTP's; SENT_US and NOW_US are wall clock, around the request. */
void kt_onvif_talk_hear(struct kt_onvif_talk *talk, long status, const void *data, size_t size,
                        int64_t sent_us, int64_t now_us);

/* No answer came. */
void kt_onvif_talk_fail(struct kt_onvif_talk *talk, const char *why);

/* URL with HOST instead of its host and without user information, if its scheme is one
 * of SCHEMES ("rtsp,rtsps"). -EINVAL, -ENAMETOOLONG. */
kt_must_check int kt_onvif_rehost(char *out, size_t cap, const char *url, const char *host,
                                  const char *schemes);

#endif

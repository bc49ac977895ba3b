/*
 * onvif.h - find cameras on the network and ask them where their streams are.
 *
 * A job looks by WS-Discovery (multicast on each IPv4 network of this machine), by
 * address range, or both; asks each device for its clock and, with a user name and
 * password, for its profiles and stream addresses; and stays until it is stopped, so
 * that a page can poll it. Whatever address a device claims for its services and
 * streams, its host is replaced by the one that answered: a device cannot send a
 * password elsewhere, and cameras that report the wrong address work.
 *
 * Threads: a job has one thread of its own; all functions from any thread, stop
 * after all others. Nothing here logs. Text that devices send is cut to size and
 * freed of control characters, but it is theirs: escape it where it is shown.
 */
#ifndef KT_ONVIF_ONVIF_H
#define KT_ONVIF_ONVIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "server/base/error.h"
#include "server/base/text.h"

#define KT_ONVIF_PROFILES_MAX 32
#define KT_ONVIF_RANGE_MAX 4096         /* addresses times ports that one job tries */
#define KT_ONVIF_CAMERAS_MAX 512
#define KT_ONVIF_TEXT 64

typedef struct kt_onvif_job kt_onvif_job;

enum kt_onvif_state {
    KT_ONVIF_ASKING = 1,
    KT_ONVIF_READY,             /* profiles and stream addresses are known */
    KT_ONVIF_PASSWORD_NEEDED,
    KT_ONVIF_WRONG_PASSWORD,
    KT_ONVIF_FAILED,            /* see why */
};

struct kt_onvif_profile {
    char token[KT_ONVIF_TEXT], name[KT_ONVIF_TEXT];
    char source[KT_ONVIF_TEXT];         /* video source: a recorder with 4 inputs has 4 */
    char codec[16];                     /* "h264", "h265", "jpeg" */
    int width, height, fps, kbps;       /* 0: not said */
    char stream[KT_URL_MAX];            /* rtsp://…, never with user or password */
};

struct kt_onvif_camera {
    enum kt_onvif_state state;
    char why[160];                      /* in plain words, when it is not READY */
    char service[256];                  /* http://192.168.1.11/onvif/device_service */
    char host[64];                      /* 192.168.1.11 */
    char name[KT_ONVIF_TEXT], maker[KT_ONVIF_TEXT], model[KT_ONVIF_TEXT];
    char firmware[KT_ONVIF_TEXT], serial[KT_ONVIF_TEXT];
    bool has_clock;
    int64_t clock_offset_us;            /* camera minus us; within half a second */
    char snapshot[KT_URL_MAX];          /* http://… of the first profile, or empty */
    struct kt_onvif_profile profiles[KT_ONVIF_PROFILES_MAX];
    size_t n_profiles;
};

struct kt_onvif_ask {
    /* What to try, separated by commas: 192.168.1.0/24, 192.168.1.10-60, 192.168.1.7,
     * 192.168.1.7:8899, http://192.168.1.7/onvif/device_service. NULL: nothing. */
    const char *range;
    bool multicast;
    const char *interface;              /* name or address to multicast on; NULL: all but loopback */
    const char *ports;                  /* of ranges without a port; NULL: "80,8899,2020,8080,8000" */
    const char *user, *password;        /* NULL: look only */
    int allow;                          /* enum kt_net_allow */
    int listen_ms;                      /* how long to wait for multicast answers; 0: 4000 */
};

/* Strings are copied.
 *   -EINVAL  RANGE or PORTS cannot be read, or is larger than KT_ONVIF_RANGE_MAX */
kt_must_check int kt_onvif_start(kt_onvif_job **out, const struct kt_onvif_ask *ask,
                                 struct kt_error *err);

/* What was found so far: *OUT is one malloc'd block, in order of address. */
kt_must_check int kt_onvif_poll(kt_onvif_job *job, struct kt_onvif_camera **out, size_t *n,
                                bool *done);

/* Wait until it is done, at most TIMEOUT_US, or until STOP_FD (-1: never) can be read. 0,
 * -ETIMEDOUT or -ECANCELED. */
kt_must_check int kt_onvif_wait(kt_onvif_job *job, int64_t timeout_us, int stop_fd);

/* Interrupt, join, free. */
void kt_onvif_stop(kt_onvif_job **job);

/* "ready", "password-needed", … */
const char *kt_onvif_state_name(enum kt_onvif_state state);

/*
 * Which profile to record and which to analyse for video source number K of CAM
 * (0-based): the largest; and of those that are smaller the largest of at most 720 x 576
 * or, without one, the smallest. JPEG only where there is nothing else; H.264 before others of
 * a size, and before all others that fit. -ENOENT: there is no such source.
 * *SUB is NULL when there is none.
 */
kt_must_check int kt_onvif_suggest(const struct kt_onvif_camera *cam, size_t k,
                                   const struct kt_onvif_profile **main_profile,
                                   const struct kt_onvif_profile **sub);

/* STREAM with USER and PASSWORD in it, percent-encoded. PASSWORD may be "${CAM_PASS}":
 * left as it is. -ENAMETOOLONG, -EINVAL. */
kt_must_check int kt_onvif_stream_url(char out[KT_URL_MAX], const char *stream, const char *user,
                                      const char *password);

/* {"done":…,"items":[…]}: one malloc'd text, or NULL. */
char *kt_onvif_json(const struct kt_onvif_camera *list, size_t n, bool done);

#endif

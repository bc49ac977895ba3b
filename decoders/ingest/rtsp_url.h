/*
 * rtsp_url.h - the address of a stream, taken apart.
 */
#ifndef KT_INGEST_RTSP_URL_H
#define KT_INGEST_RTSP_URL_H

#include <stdbool.h>

#include "decoders/ingest/rtsp_message.h"
#include "server/base/text.h"

struct kt_rtsp_url {
    bool tls;                           /* rtsps:// */
    char host[256];                     /* without brackets */
    char port[8];
    char user[128], password[128];      /* percent-decoded; empty: none */
    char request[KT_URL_MAX];           /* for request lines: no credentials */
};

/* -EINVAL: not an rtsp:// or rtsps:// address, or a part is too long. */
kt_must_check int kt_rtsp_url_parse(struct kt_rtsp_url *url, const char *text);

/*
 * The address of a track: CONTROL as the session description has it ("trackID=1",
 * "*", or complete), relative to BASE. Joined as every camera maker expects it and
 * RFC 3986 does not: by appending. -EINVAL when it does not fit.
 */
kt_must_check int kt_rtsp_url_join(char out[KT_URL_MAX], const char *base, const char *control);

/* A Content-Base is taken when it is an address at all; some leave out the scheme. */
bool kt_rtsp_url_complete(struct kt_span text);

#endif

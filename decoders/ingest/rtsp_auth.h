/*
 * rtsp_auth.h - answers to a camera's challenge: Digest with SHA-256 or MD5
 * (RFC 7616, RFC 2617, RFC 2069), else Basic. The best that is offered is taken.
 *
 * Pure; plain data. Passwords are parameters and never stored here.
 */
#ifndef KT_INGEST_RTSP_AUTH_H
#define KT_INGEST_RTSP_AUTH_H

#include "decoders/ingest/rtsp_message.h"

enum kt_rtsp_scheme {
    KT_RTSP_AUTH_NONE,
    KT_RTSP_AUTH_BASIC,
    KT_RTSP_AUTH_MD5,
    KT_RTSP_AUTH_SHA256,
};

struct kt_rtsp_auth {
    enum kt_rtsp_scheme scheme;
    bool qop, session;          /* qop="auth" is offered; algorithm "...-sess" */
    bool answered;              /* a request was sent with the current nonce */
    bool stale;                 /* the last challenge says that the nonce was too old, not the password wrong */
    uint32_t nc;
    char realm[256], nonce[256], opaque[256];
    char cnonce[17];            /* hex; chosen by the caller before the first answer */
};

/*
 * Take the challenge of a 401. *FRESH: it is worth trying again, because it is
 * the first, or the nonce is new. The same nonce again means a wrong password.
 *   -ENOTSUP  no challenge that we can answer
 */
kt_must_check int kt_rtsp_auth_challenge(struct kt_rtsp_auth *auth,
                                         const struct kt_rtsp_message *msg, bool *fresh);

/*
 * Write the header line "Authorization: ...\r\n" for one request (empty when there
 * was no challenge yet). -EMSGSIZE when it does not fit, -EIO from the digest.
 */
kt_must_check int kt_rtsp_auth_header(struct kt_rtsp_auth *auth, char *out, size_t cap,
                                      const char *method, const char *uri, const char *user,
                                      const char *password);

#endif

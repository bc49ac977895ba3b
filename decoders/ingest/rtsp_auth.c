#include "decoders/ingest/rtsp_auth.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <libavutil/base64.h>
#include <openssl/evp.h>

#include "server/base/text.h"

#define HEX_MAX (2 * EVP_MAX_MD_SIZE + 1)

static enum kt_rtsp_scheme algorithm(struct kt_span name, bool *session)
{
    *session = name.n > 5 && strncasecmp(name.p + name.n - 5, "-sess", 5) == 0;
    if (*session)
        name.n -= 5;
    if (kt_span_is(name, "SHA-256"))
        return KT_RTSP_AUTH_SHA256;
    return name.n == 0 || kt_span_is(name, "MD5") ? KT_RTSP_AUTH_MD5 : KT_RTSP_AUTH_NONE;
}

static bool offers_auth(struct kt_span qop)
{
    struct kt_span part;
    while (kt_span_next(&qop, ',', &part))
        if (kt_span_is(part, "auth"))
            return true;
    return false;
}

/* "Digest realm=..., nonce=..." to *OUT; scheme NONE when it cannot be answered. */
static void parse_digest(struct kt_span list, struct kt_rtsp_auth *out)
{
    struct kt_span v;
    *out = (struct kt_rtsp_auth){ .scheme = KT_RTSP_AUTH_MD5 };
    if (kt_span_param(list, ',', "algorithm", &v))
        out->scheme = algorithm(v, &out->session);
    if (kt_span_param(list, ',', "qop", &v))
        out->qop = offers_auth(v);
    bool fits = kt_span_param(list, ',', "nonce", &v) &&
                kt_span_copy(out->nonce, sizeof(out->nonce), v);
    if (kt_span_param(list, ',', "realm", &v))
        fits = kt_span_copy(out->realm, sizeof(out->realm), v) && fits;
    if (kt_span_param(list, ',', "opaque", &v))
        fits = kt_span_copy(out->opaque, sizeof(out->opaque), v) && fits;
    if (kt_span_param(list, ',', "stale", &v))
        out->stale = kt_span_is(v, "true");
    if (!fits)
        out->scheme = KT_RTSP_AUTH_NONE;
}

/* One header may hold several challenges, each beginning with its scheme's name. */
static bool next_challenge(struct kt_span *rest, struct kt_span *challenge)
{
    struct kt_span look = *rest, part;
    bool first = true;
    if (rest->n == 0)
        return false;
    *challenge = *rest;
    while (kt_span_next(&look, ',', &part)) {
        if (!first && (kt_span_starts(part, "Digest ") || kt_span_starts(part, "Basic "))) {
            challenge->n = (size_t)(part.p - challenge->p);
            rest->n -= challenge->n;
            rest->p += challenge->n;
            return true;
        }
        first = false;
    }
    rest->n = 0;
    return true;
}

static void parse_challenge(struct kt_span challenge, struct kt_rtsp_auth *out)
{
    *out = (struct kt_rtsp_auth){ 0 };
    challenge = kt_span_trim(challenge);
    if (kt_span_starts(challenge, "Digest "))
        parse_digest((struct kt_span){ challenge.p + 7, challenge.n - 7 }, out);
    else if (kt_span_starts(challenge, "Basic"))
        out->scheme = KT_RTSP_AUTH_BASIC;
}

int kt_rtsp_auth_challenge(struct kt_rtsp_auth *auth, const struct kt_rtsp_message *msg,
                           bool *fresh)
{
    struct kt_rtsp_auth best = { 0 }, one;
    struct kt_span header, challenge;
    for (int i = 0; kt_rtsp_header(msg, "WWW-Authenticate", i, &header); i++) {
        while (next_challenge(&header, &challenge)) {
            parse_challenge(challenge, &one);
            if (one.scheme > best.scheme)
                best = one;
        }
    }
    if (best.scheme == KT_RTSP_AUTH_NONE)
        return -ENOTSUP;
    *fresh = !auth->answered || (best.scheme != KT_RTSP_AUTH_BASIC &&
                                 strcmp(best.nonce, auth->nonce) != 0);
    memcpy(best.cnonce, auth->cnonce, sizeof(best.cnonce));
    *auth = best;
    return 0;
}

/* hex(H(format...)) */
static int hash(char out[HEX_MAX], enum kt_rtsp_scheme scheme, const char *fmt, ...)
    kt_printf(3, 4);
static int hash(char out[HEX_MAX], enum kt_rtsp_scheme scheme, const char *fmt, ...)
{
    char text[4 * KT_URL_MAX];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0 || n >= (int)sizeof(text))
        return -EMSGSIZE;
    const EVP_MD *md = scheme == KT_RTSP_AUTH_SHA256 ? EVP_sha256() : EVP_md5();
    if (!EVP_Digest(text, (size_t)n, digest, &size, md, NULL))
        return -EIO;
    kt_hex(out, digest, size);
    return 0;
}

static int digest_response(struct kt_rtsp_auth *auth, char out[HEX_MAX], const char *method,
                           const char *uri, const char *user, const char *password)
{
    char a1[HEX_MAX], a2[HEX_MAX];
    int ret = hash(a1, auth->scheme, "%s:%s:%s", user, auth->realm, password);
    if (ret >= 0 && auth->session)
        ret = hash(out, auth->scheme, "%s:%s:%s", a1, auth->nonce, auth->cnonce);
    if (ret >= 0 && auth->session)
        memcpy(a1, out, HEX_MAX);
    if (ret >= 0)
        ret = hash(a2, auth->scheme, "%s:%s", method, uri);
    if (ret < 0)
        return ret;
    if (!auth->qop)
        return hash(out, auth->scheme, "%s:%s:%s", a1, auth->nonce, a2);
    return hash(out, auth->scheme, "%s:%s:%08x:%s:auth:%s", a1, auth->nonce, auth->nc,
                auth->cnonce, a2);
}

static int basic_header(char *out, size_t cap, const char *user, const char *password)
{
    char plain[300], coded[AV_BASE64_SIZE(sizeof(plain))];
    const int n = snprintf(plain, sizeof(plain), "%s:%s", user, password);
    if (n >= (int)sizeof(plain) ||
        !av_base64_encode(coded, sizeof(coded), (const uint8_t *)plain, n))
        return -EMSGSIZE;
    return snprintf(out, cap, "Authorization: Basic %s\r\n", coded) < (int)cap ? 0 : -EMSGSIZE;
}

int kt_rtsp_auth_header(struct kt_rtsp_auth *auth, char *out, size_t cap, const char *method,
                        const char *uri, const char *user, const char *password)
{
    out[0] = '\0';
    if (auth->scheme == KT_RTSP_AUTH_NONE)
        return 0;
    auth->answered = true;
    if (auth->scheme == KT_RTSP_AUTH_BASIC)
        return basic_header(out, cap, user, password);

    char response[HEX_MAX], more[600] = "";
    auth->nc++;
    const int ret = digest_response(auth, response, method, uri, user, password);
    if (ret < 0)
        return ret;
    int at = 0;
    if (auth->qop)
        at = snprintf(more, sizeof(more), ", qop=auth, nc=%08x, cnonce=\"%s\"", auth->nc,
                      auth->cnonce);
    if (auth->opaque[0])
        at += snprintf(more + at, sizeof(more) - (size_t)at, ", opaque=\"%s\"", auth->opaque);
    /* Old cameras know no algorithm= and stumble over it: MD5 goes without saying. */
    if (auth->scheme == KT_RTSP_AUTH_SHA256 || auth->session)
        snprintf(more + at, sizeof(more) - (size_t)at, ", algorithm=%s%s",
                 auth->scheme == KT_RTSP_AUTH_SHA256 ? "SHA-256" : "MD5",
                 auth->session ? "-sess" : "");
    const int n = snprintf(out, cap, "Authorization: Digest username=\"%s\", realm=\"%s\", "
                           "nonce=\"%s\", uri=\"%s\", response=\"%s\"%s\r\n", user, auth->realm,
                           auth->nonce, uri, response, more);
    return n < (int)cap ? 0 : -EMSGSIZE;
}

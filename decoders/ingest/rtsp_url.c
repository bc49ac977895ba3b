#include "decoders/ingest/rtsp_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool kt_rtsp_url_complete(struct kt_span text)
{
    return kt_span_starts(text, "rtsp://") || kt_span_starts(text, "rtsps://");
}

static int decode(char *out, size_t cap, struct kt_span in)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        uint8_t byte;
        if (c == '%' && i + 2 < in.n + 0 && isxdigit((unsigned char)in.p[i + 1]) &&
            isxdigit((unsigned char)in.p[i + 2])) {
            const char hex[3] = { in.p[i + 1], in.p[i + 2], '\0' };
            if (kt_unhex(&byte, 1, hex) < 0 || byte < 0x20)
                return -EINVAL;
            c = (char)byte;
            i += 2;
        }
        if (n + 1 >= cap)
            return -EINVAL;
        out[n++] = c;
    }
    out[n] = '\0';
    return 0;
}

/* A password may hold '@' and ':' as people type it: the last '@' counts, the first ':'. */
static int parse_user(struct kt_rtsp_url *url, struct kt_span *authority)
{
    const char *at = memrchr(authority->p, '@', authority->n);
    if (!at)
        return 0;
    struct kt_span user = { authority->p, (size_t)(at - authority->p) }, password = { "", 0 };
    authority->n -= user.n + 1;
    authority->p = at + 1;
    const char *colon = user.n ? memchr(user.p, ':', user.n) : NULL;
    if (colon) {
        password = (struct kt_span){ colon + 1, user.n - (size_t)(colon - user.p) - 1 };
        user.n = (size_t)(colon - user.p);
    }
    const int ret = decode(url->user, sizeof(url->user), user);
    return ret < 0 ? ret : decode(url->password, sizeof(url->password), password);
}

static int parse_host(struct kt_rtsp_url *url, struct kt_span authority)
{
    const char *colon = authority.n ? memrchr(authority.p, ':', authority.n) : NULL;
    struct kt_span host = authority, port = { url->tls ? "322" : "554", 3 };
    if (colon && !memchr(colon, ']', authority.n - (size_t)(colon - authority.p))) {
        host.n = (size_t)(colon - authority.p);
        port = (struct kt_span){ colon + 1, authority.n - host.n - 1 };
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host.p++;
        host.n -= 2;
    }
    const long number = kt_span_number(port, 10);
    if (host.n == 0 || port.n > 5 || number < 1 || number > 65535 ||
        !kt_span_copy(url->host, sizeof(url->host), host))
        return -EINVAL;
    snprintf(url->port, sizeof(url->port), "%ld", number);
    return 0;
}

int kt_rtsp_url_parse(struct kt_rtsp_url *url, const char *text)
{
    struct kt_span span = { text, strlen(text) };
    memset(url, 0, sizeof(*url));
    if (!kt_rtsp_url_complete(span) || span.n >= KT_URL_MAX)
        return -EINVAL;
    for (size_t i = 0; i < span.n; i++)
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f)
            return -EINVAL;
    url->tls = kt_span_starts(span, "rtsps");
    const char *begin = strstr(text, "://") + 3;
    /* '@' before the path: a '/' in a password must be written %2F. */
    struct kt_span authority = { begin, strcspn(begin, "/?#") };
    const char *path = begin + authority.n;
    int ret = parse_user(url, &authority);
    if (ret >= 0)
        ret = parse_host(url, authority);
    if (ret < 0)
        return ret;
    const int n = snprintf(url->request, sizeof(url->request), "%s%.*s%s",
                           url->tls ? "rtsps://" : "rtsp://", (int)authority.n, authority.p, path);
    return n < (int)sizeof(url->request) ? 0 : -EINVAL;
}

int kt_rtsp_url_join(char out[KT_URL_MAX], const char *base, const char *control)
{
    const bool whole = control[0] == '\0' || strcmp(control, "*") == 0;
    const bool complete = kt_rtsp_url_complete((struct kt_span){ control, strlen(control) });
    const size_t n = strlen(base);
    const char *slash = n && base[n - 1] == '/' ? "" : "/";
    int len;

    if (complete)
        len = snprintf(out, KT_URL_MAX, "%s", control);
    else if (whole)
        len = snprintf(out, KT_URL_MAX, "%s", base);
    else
        len = snprintf(out, KT_URL_MAX, "%s%s%s", base, slash,
                       control[0] == '/' ? control + 1 : control);
    return len < KT_URL_MAX ? 0 : -EINVAL;
}

#include "decoders/ingest/rtsp_message.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct kt_span kt_span_trim(struct kt_span s)
{
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool kt_span_is(struct kt_span s, const char *text)
{
    return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

bool kt_span_starts(struct kt_span s, const char *text)
{
    const size_t n = strlen(text);
    return s.n >= n && strncasecmp(s.p, text, n) == 0;
}

bool kt_span_copy(char *out, size_t cap, struct kt_span s)
{
    const bool fits = s.n < cap;
    const size_t n = fits ? s.n : 0;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
    return fits;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : 99;
}

long kt_span_number(struct kt_span s, int base)
{
    long v = -1;
    s = kt_span_trim(s);
    for (size_t i = 0; i < s.n && i < 10 && digit_of(s.p[i]) < base; i++)
        v = (v < 0 ? 0 : v) * base + digit_of(s.p[i]);
    return v;
}

bool kt_span_next(struct kt_span *rest, char separator, struct kt_span *part)
{
    if (rest->n == 0)
        return false;
    size_t i = 0;
    for (bool quoted = false; i < rest->n && (quoted || rest->p[i] != separator); i++)
        if (rest->p[i] == '"')
            quoted = !quoted;
    *part = kt_span_trim((struct kt_span){ rest->p, i });
    const size_t used = i < rest->n ? i + 1 : i;
    rest->p += used;
    rest->n -= used;
    return true;
}

void kt_span_pair(struct kt_span part, struct kt_span *name, struct kt_span *value)
{
    const char *eq = part.n ? memchr(part.p, '=', part.n) : NULL;
    *name = part;
    *value = (struct kt_span){ part.p + part.n, 0 };
    if (!eq)
        return;
    const size_t n = (size_t)(eq - part.p);
    *name = kt_span_trim((struct kt_span){ part.p, n });
    *value = kt_span_trim((struct kt_span){ eq + 1, part.n - n - 1 });
    if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"') {
        value->p++;
        value->n -= 2;
    }
}

bool kt_span_param(struct kt_span list, char separator, const char *name, struct kt_span *value)
{
    struct kt_span part, key;
    while (kt_span_next(&list, separator, &part)) {
        kt_span_pair(part, &key, value);
        if (kt_span_is(key, name))
            return true;
    }
    return false;
}

/* One line without its end; false when the end is not there yet. */
static bool next_line(struct kt_span *rest, struct kt_span *line)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    if (!end)
        return false;
    const size_t n = (size_t)(end - rest->p);
    *line = (struct kt_span){ rest->p, n && rest->p[n - 1] == '\r' ? n - 1 : n };
    rest->p += n + 1;
    rest->n -= n + 1;
    return true;
}

static int parse_first_line(struct kt_rtsp_message *msg, struct kt_span line)
{
    struct kt_span word;
    if (kt_span_starts(line, "RTSP/")) {
        kt_span_next(&line, ' ', &word);
        const long status = kt_span_number(line, 10);
        msg->status = (int)status;
        return status >= 100 && status <= 999 ? 0 : -EBADMSG;
    }
    if (!kt_span_next(&line, ' ', &msg->method) || msg->method.n == 0 || msg->method.n > 20)
        return -EBADMSG;
    while (kt_span_next(&line, ' ', &word))
        if (kt_span_starts(word, "RTSP/"))
            return 0;
    return -EBADMSG;
}

static void parse_header(struct kt_rtsp_message *msg, struct kt_span line)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon || msg->headers == KT_RTSP_HEADERS)
        return;
    const size_t n = (size_t)(colon - line.p);
    msg->name[msg->headers] = kt_span_trim((struct kt_span){ line.p, n });
    msg->value[msg->headers++] = kt_span_trim((struct kt_span){ colon + 1, line.n - n - 1 });
}

int kt_rtsp_parse(struct kt_rtsp_message *msg, const void *data, size_t size)
{
    struct kt_span rest = { data, size < KT_RTSP_HEAD_MAX ? size : KT_RTSP_HEAD_MAX }, line;
    const int incomplete = size < KT_RTSP_HEAD_MAX ? 0 : -EMSGSIZE;
    bool first = true;

    *msg = (struct kt_rtsp_message){ 0 };
    for (;;) {
        if (!next_line(&rest, &line))
            return incomplete;
        if (first) {
            const int ret = parse_first_line(msg, line);
            if (ret < 0)
                return ret;
            first = false;
        } else if (line.n == 0) {
            break;
        } else {
            parse_header(msg, line);
        }
    }
    const long body = kt_rtsp_number(msg, "Content-Length", 0);
    if (body > KT_RTSP_BODY_MAX)
        return -EMSGSIZE;
    const size_t head = (size_t)(rest.p - (const char *)data);
    if (size - head < (size_t)body)
        return 0;
    msg->body = (struct kt_span){ rest.p, (size_t)body };
    return (int)(head + (size_t)body);
}

bool kt_rtsp_looks_like(const void *data, size_t size)
{
    static const char *const starts[] = {
        "RTSP/", "OPTIONS ", "ANNOUNCE ", "REDIRECT ", "TEARDOWN ", "PAUSE ", "SET_PARAMETER ",
        "GET_PARAMETER ", "DESCRIBE ",
    };
    for (size_t i = 0; i < KT_ARRAY_SIZE(starts); i++) {
        const size_t n = strlen(starts[i]);
        if (memcmp(data, starts[i], size < n ? size : n) == 0)
            return true;
    }
    return false;
}

bool kt_rtsp_header(const struct kt_rtsp_message *msg, const char *name, int nth,
                    struct kt_span *value)
{
    for (int i = 0; i < msg->headers; i++) {
        if (kt_span_is(msg->name[i], name) && nth-- == 0) {
            *value = msg->value[i];
            return true;
        }
    }
    return false;
}

long kt_rtsp_number(const struct kt_rtsp_message *msg, const char *name, long otherwise)
{
    struct kt_span value;
    const long v = kt_rtsp_header(msg, name, 0, &value) ? kt_span_number(value, 10) : -1;
    return v >= 0 ? v : otherwise;
}

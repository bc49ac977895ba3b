#include "web/http/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Digits at *P, which moves behind them. False: none, or too large. */
static bool digits(const char **p, uint64_t *out)
{
    const char *s = *p;
    uint64_t value = 0;
    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++) {
        const unsigned digit = (unsigned)(*s - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *p = s;
    *out = value;
    return true;
}

enum web_range web_parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *last)
{
    if (!text || strncasecmp(text, "bytes=", 6) != 0)
        return WEB_RANGE_NONE;
    const char *p = text + 6;
    uint64_t a = 0, b = UINT64_MAX;
    if (*p == '-') {
        p++;
        if (!digits(&p, &b) || *p)
            return WEB_RANGE_NONE;
        if (b == 0 || size == 0)
            return WEB_RANGE_BAD;
        *first = b < size ? size - b : 0;
        *last = size - 1;
        return WEB_RANGE_OK;
    }
    if (!digits(&p, &a) || *p++ != '-')
        return WEB_RANGE_NONE;
    if (*p && (!digits(&p, &b) || *p))
        return WEB_RANGE_NONE;
    if (b < a)
        return WEB_RANGE_NONE;
    if (a >= size)
        return WEB_RANGE_BAD;
    *first = a;
    *last = b < size ? b : size - 1;
    return WEB_RANGE_OK;
}

bool web_parse_cookie(const char *text, const char *name, char *out, size_t cap)
{
    const size_t name_size = strlen(name);
    bool found = false;
    while (text && *text) {
        text += strspn(text, "; \t");
        const size_t n = strcspn(text, ";");
        if (n > name_size && strncmp(text, name, name_size) == 0 && text[name_size] == '=') {
            const size_t size = n - name_size - 1;
            if (found || size == 0 || size >= cap)
                return false;
            memcpy(out, text + name_size + 1, size);
            out[size] = '\0';
            found = true;
        }
        text += n;
    }
    return found;
}

bool web_parse_uint(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value;
    if (!text || !digits(&text, &value) || *text || value > max)
        return false;
    *out = value;
    return true;
}

bool web_parse_bool(const char *text, bool *out)
{
    const bool yes = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!yes && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return false;
    *out = yes;
    return true;
}

bool web_parse_list(const char *text, size_t max, size_t part_max,
                    bool (*each)(void *user, const char *part), void *user)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    char part[128];
    for (size_t i = 0; i < max; i++) {
        const size_t n = strspn(text, ok);
        if (n == 0 || n >= part_max || n >= sizeof(part))
            return false;
        memcpy(part, text, n);
        part[n] = '\0';
        if (!each(user, part))
            return false;
        text += n;
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
    return false;
}

/* PATTERN stands at '{'. Take one part of *PATH into OUT; move both behind it. */
static bool take_param(const char **pattern, const char **path, char out[WEB_PARAM_MAX])
{
    const char *after = strchr(*pattern, '}');
    if (!after)
        return false;
    after++;
    const size_t suffix = strcspn(after, "/");
    const size_t part = strcspn(*path, "/");
    if (part <= suffix || strncmp(*path + part - suffix, after, suffix) != 0)
        return false;
    const size_t n = part - suffix;
    if (n >= WEB_PARAM_MAX)
        return false;
    memcpy(out, *path, n);
    out[n] = '\0';
    *pattern = after + suffix;
    *path += part;
    return true;
}

bool web_parse_path(const char *pattern, const char *path, struct web_params *params)
{
    size_t n = 0;
    while (*pattern) {
        if (*pattern == '{') {
            if (n == WEB_PARAMS || !take_param(&pattern, &path, params->value[n++]))
                return false;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

bool web_same_origin(const char *origin, const char *host, bool secure)
{
    const char *scheme = secure ? "https://" : "http://";
    const size_t n = strlen(scheme);
    return host && strncasecmp(origin, scheme, n) == 0 && strcasecmp(origin + n, host) == 0;
}

bool web_parse_cursor(const char *text, int64_t *start_us, int64_t *id)
{
    uint64_t a, b;
    if (!digits(&text, &a) || *text++ != '-' || !digits(&text, &b) || *text ||
        a > INT64_MAX || b > INT64_MAX)
        return false;
    *start_us = (int64_t)a;
    *id = (int64_t)b;
    return true;
}

bool web_has_token(const char *value, const char *token)
{
    const size_t size = strlen(token);
    while (value && *value) {
        value += strspn(value, ", \t");
        const size_t n = strcspn(value, ", \t");
        if (n == size && strncasecmp(value, token, n) == 0)
            return true;
        value += n;
    }
    return false;
}

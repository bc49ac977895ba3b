#include "server/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

bool kt_id_valid(const char *id)
{
    const size_t n = strlen(id);
    if (n == 0 || n > KT_ID_MAX || id[0] == '-' || id[n - 1] == '-')
        return false;
    return strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

void kt_url_redact(char *out, size_t cap, const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *auth = scheme ? scheme + 3 : url;
    const size_t auth_len = strcspn(auth, "/?#");
    const char *at = memrchr(auth, '@', auth_len);
    const char *colon = at ? memchr(auth, ':', (size_t)(at - auth)) : NULL;
    if (!colon)
        snprintf(out, cap, "%s", url);
    else
        snprintf(out, cap, "%.*s:***%s", (int)(colon - url), url, at);
}

/* Characters that are not seen but change how the rest is shown. */
static bool is_hidden(uint32_t c)
{
    return (c >= 0x80 && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* Bytes of the character at P; 0: not one that may be shown. */
static size_t shown_bytes(const unsigned char *p)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    if (*p < 0x80)
        return *p >= 0x20 && *p != 0x7f;
    const size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    uint32_t c = *p & (0x7fu >> n);
    if (*p < 0xc0 || *p > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    const bool none = c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000);
    return none || is_hidden(c) ? 0 : n;
}

size_t kt_text_printable(char *out, size_t cap, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0;
    while (*p) {
        const size_t bytes = shown_bytes(p), room = bytes ? bytes : 4;
        if (n + room >= cap)
            break;
        if (bytes)
            memcpy(out + n, p, bytes);
        else
            snprintf(out + n, 5, "\\x%02x", *p);
        n += room;
        p += bytes ? bytes : 1;
    }
    out[n] = '\0';
    return n;
}

void kt_hex(char *out, const uint8_t *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * n] = '\0';
}

int kt_unhex(uint8_t *out, size_t n, const char *hex)
{
    if (strlen(hex) != 2 * n)
        return -EINVAL;
    for (size_t i = 0; i < 2 * n; i++) {
        const int c = tolower((unsigned char)hex[i]);
        if (!isxdigit(c))
            return -EINVAL;
        const int v = c <= '9' ? c - '0' : c - 'a' + 10;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
    }
    return 0;
}

int kt_text_read(const char *path, size_t max, char **out)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    kt_cleanup(kt_freep) char *text = NULL;
    if (!f)
        return -errno;
    text = malloc(max + 1);
    if (!text)
        return -ENOMEM;
    const size_t n = fread(text, 1, max + 1, f);
    if (ferror(f))
        return -EIO;
    if (n > max)
        return -EFBIG;
    text[n] = '\0';
    char *fitting = realloc(text, n + 1);
    if (fitting)
        text = fitting;
    *out = kt_steal_ptr(&text);
    return 0;
}

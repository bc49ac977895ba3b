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

/*
 * fuzz_http_parse.c - everything of a request that our own code reads: the first
 * byte chooses what, the rest is the text.
 */
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "web/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool on_part(void *user, const char *part)
{
    check(part[0] != '\0' && strlen(part) < 20 && !strpbrk(part, "'\"<>&%;/. "));
    return true;
}

static void fuzz_range(const char *text)
{
    static const uint64_t sizes[] = { 0, 1, 100, UINT64_MAX };
    for (size_t i = 0; i < KT_ARRAY_SIZE(sizes); i++) {
        uint64_t first = 0, last = 0;
        if (web_parse_range(text, sizes[i], &first, &last) == WEB_RANGE_OK)
            check(first <= last && last < sizes[i]);
    }
}

static void fuzz_cookie(const char *text)
{
    char out[65];
    if (web_parse_cookie(text, "kentongan", out, sizeof(out)))
        check(out[0] != '\0' && strlen(out) < sizeof(out) && !strchr(out, ';'));
}

static void fuzz_path(const char *text)
{
    static const char *const patterns[] = {
        "/api/v1/cameras/{id}", "/api/v1/inits/{hash}.mp4", "/{a}/{b}", "/e/{token}/x" };
    for (size_t i = 0; i < KT_ARRAY_SIZE(patterns); i++) {
        struct web_params p = { .value = { "" } };
        if (web_parse_path(patterns[i], text, &p))
            check(p.value[0][0] != '\0' && !strchr(p.value[0], '/'));
    }
}

static void fuzz_rest(const char *text)
{
    uint64_t n;
    int64_t a, b, us;
    bool yes;
    (void)web_parse_uint(text, 1000, &n);
    (void)web_parse_bool(text, &yes);
    (void)web_has_token(text, "upgrade");
    (void)web_same_origin(text, "pos:8080", false);
    (void)web_same_origin("http://pos:8080", text, false);
    if (web_parse_cursor(text, &a, &b))
        check(a >= 0 && b >= 0);
    if (kt_rfc3339_parse(text, &us) == 0) {
        char back[KT_RFC3339_SIZE];
        kt_rfc3339_format(back, us);
        check(strlen(back) == 24);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0] % 5) {
    case 0: fuzz_range(text); break;
    case 1: fuzz_cookie(text); break;
    case 2: fuzz_path(text); break;
    case 3: (void)web_parse_list(text, 8, 20, on_part, NULL); break;
    default: fuzz_rest(text); break;
    }
    free(text);
    return 0;
}

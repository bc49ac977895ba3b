/* fuzz_rtsp_auth.c - challenges of any kind, and addresses of any kind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/ingest/rtsp_auth.h"
#include "decoders/ingest/rtsp_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_challenge(const char *text, size_t size)
{
    struct kt_rtsp_message msg;
    struct kt_rtsp_auth auth = { .cnonce = "0123456789abcdef" };
    char line[2048];
    bool fresh;
    if (kt_rtsp_parse(&msg, text, size) <= 0 || kt_rtsp_auth_challenge(&auth, &msg, &fresh) < 0)
        return;
    if (!fresh)
        abort();                        /* nothing was answered before */
    if (kt_rtsp_auth_header(&auth, line, sizeof(line), "SETUP", "rtsp://cam/", "user", "geheim") < 0)
        return;
    /* One line, and no password in it that is not Basic's. */
    const size_t n = strlen(line);
    if (n < 2 || strchr(line, '\n') != line + n - 1 ||
        (auth.scheme != KT_RTSP_AUTH_BASIC && strstr(line, "geheim") && !memmem(text, size, "geheim", 6)))
        abort();
}

static void fuzz_url(const char *text)
{
    struct kt_rtsp_url url;
    if (kt_rtsp_url_parse(&url, text) < 0)
        return;
    if (!url.host[0] || atoi(url.port) < 1 || strpbrk(url.request, "\r\n "))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *text = calloc(1, size + 64);
    if (data[0] & 1) {
        const int n = snprintf(text, 64, "RTSP/1.0 401 U\r\nWWW-Authenticate: ");
        memcpy(text + n, data + 1, size - 1);
        memcpy(text + n + size - 1, "\r\n\r\n", 4);
        fuzz_challenge(text, (size_t)n + size + 3);
    } else {
        memcpy(text, data + 1, size - 1);
        fuzz_url(text);
    }
    free(text);
    return 0;
}

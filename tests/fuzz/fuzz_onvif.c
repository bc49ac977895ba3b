/*
 * fuzz_onvif.c - what a machine on the network says when it claims to be a camera:
 * the answer to a probe, and a whole conversation (answers end with a zero byte).
 */
#include <stdlib.h>
#include <string.h>

#include "server/onvif/discovery.h"
#include "server/onvif/talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Whatever it says, it is asked and recorded where it is. */
static bool stays(const char *url)
{
    const char *host = strstr(url, "://");
    return url[0] == '\0' || (host && strncmp(host + 3, "10.1.1.1", 8) == 0 && strchr(":/?", host[11]) &&
                              !strstr(url, "${"));
}

static void converse(const uint8_t *data, size_t size)
{
    struct kt_onvif_talk *talk = malloc(sizeof(*talk));
    if (!talk || kt_onvif_talk_begin(talk, "http://10.1.1.1/onvif/device_service", "u", "p") < 0)
        abort();
    for (int turn = 0; size > 0; turn++) {
        const uint8_t *end = memchr(data, 0, size);
        const size_t n = end ? (size_t)(end - data) : size;
        const char *url;
        char *body = NULL;
        if (kt_onvif_talk_ask(talk, &url, &body) < 0)
            break;
        check(stays(url));
        free(body);
        kt_onvif_talk_hear(talk, n % 7 == 6 ? 401 : 200, data, n, 0, 0);
        check(turn < 200);              /* it ends, whatever it hears */
        data += end ? n + 1 : n;
        size -= end ? n + 1 : n;
    }
    check(talk->cam.n_profiles <= KT_ONVIF_PROFILES_MAX && stays(talk->cam.snapshot));
    for (size_t i = 0; i < talk->cam.n_profiles; i++)
        check(stays(talk->cam.profiles[i].stream));
    free(talk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_discovery_match match = { "", "", "" };
    if (kt_discovery_parse(&match, data, size, "10.1.1.1") == 0)
        check(stays(match.service));
    converse(data, size);
    return 0;
}

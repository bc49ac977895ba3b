/*
 * fuzz_websocket.c - bytes of a viewer to the hub, through its real thread. The
 * first byte says how many of the others arrive with the upgrade; bit 7: mask them
 * into one proper text frame, so that the JSON behind it is reached too.
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/live/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static kt_hub *hub;
static sem_t closed;

static int may_see(void *user, const char *camera)
{
    return camera[0] != 's';
}

static void on_close(void *user)
{
    sem_post(&closed);
}

static void start(void)
{
    struct kt_init *init = NULL;
    struct kt_chunk *chunk = NULL;
    if (kt_hub_create(&hub, NULL) < 0 || kt_init_create(&init, "i", 1, "video/mp4", 1, 1) < 0)
        abort();
    const struct kt_chunk meta = { .init = init, .run = 1, .flags = KT_CHUNK_KEY, .size = 1, .data = (const uint8_t *)"c" };
    if (kt_chunk_create(&chunk, &meta) < 0)
        abort();
    kt_hub_publish(hub, "gate/sub", chunk);
    kt_hub_publish_still(hub, "gate", "j", 1, 1);
    kt_chunk_unref(&chunk);
    kt_init_unref(&init);
    sem_init(&closed, 0, 0);
}

static size_t as_frame(uint8_t *out, const uint8_t *data, size_t n)
{
    out[0] = 0x81;
    out[1] = 0x80 | 126;
    out[2] = (uint8_t)(n >> 8);
    out[3] = (uint8_t)n;
    memset(out + 4, 0, 4);
    memcpy(out + 8, data, n);
    return n + 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[4096 + 8];
    int pair[2];
    if (size < 1 || size > 4096)
        return 0;
    if (!hub)
        start();
    size_t n = size - 1;
    if ((data[0] & 0x80) && n >= 126)
        n = as_frame(bytes, data + 1, n);
    else
        memcpy(bytes, data + 1, n);
    const size_t extra = (data[0] & 0x7f) < n ? data[0] & 0x7f : n;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        abort();
    if (send(pair[0], bytes + extra, n - extra, 0) < 0 && n > extra)
        abort();
    (void)shutdown(pair[0], SHUT_WR);
    const struct kt_hub_viewer viewer = { .fd = pair[1], .extra = bytes, .extra_size = extra,
                                          .may_see = may_see, .on_close = on_close };
    if (kt_hub_adopt(hub, &viewer) < 0)
        abort();
    while (sem_wait(&closed) < 0)
        ;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

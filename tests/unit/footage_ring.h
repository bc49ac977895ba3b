/* footage_ring.h - a ring with real video in it, for tests of what is made from rings.
 *
 * ffmpeg makes an MP4 of one fragment a frame; each fragment is a chunk. */
#ifndef KT_TESTS_FOOTAGE_RING_H
#define KT_TESTS_FOOTAGE_RING_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "storage/ring/ring.h"

#define KT_FOOTAGE_FPS 10

static inline uint32_t kt_footage_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* SECONDS of moving picture, 10 frames and one GOP a second, as an MP4 of fragments. */
static inline void kt_footage_make(const char *path, int seconds)
{
    char command[512];
    snprintf(command, sizeof(command),
             "ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=s=160x96:r=10 -t %d -c:v libx264"
             " -preset ultrafast -g 10 -bf 0 -pix_fmt yuv420p -video_track_timescale 90000"
             " -movflags frag_every_frame+empty_moov+default_base_moof %s", seconds, path);
    ck_assert_msg(system(command) == 0, "ffmpeg with libx264 is needed for this test");
}

static inline uint8_t *kt_footage_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f, "%s", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*size + 1);
    ck_assert_uint_eq(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

/* Append the video at PATH to STREAM of RING as run RUN, beginning at START_US. */
static inline int64_t kt_footage_append(kt_ring *ring, const char *stream_name, const char *path,
                                        uint64_t run, int64_t start_us)
{
    size_t size, at = 0, init_size = 0;
    uint8_t *data = kt_footage_read(path, &size);
    struct kt_init *init = NULL;
    uint32_t stream;
    int n = 0;
    ck_assert_int_eq(kt_ring_stream(ring, stream_name, &stream), 0);
    while (at + 8 <= size) {
        const size_t box = kt_footage_be32(data + at);
        if (memcmp(data + at + 4, "moov", 4) == 0) {
            init_size = at + box;
            ck_assert_int_eq(kt_init_create(&init, data, init_size, "video/mp4; codecs=\"avc1.42c00b\"",
                                            160, 96), 0);
        } else if (memcmp(data + at + 4, "moof", 4) == 0) {
            const size_t both = box + kt_footage_be32(data + at + box);
            const struct kt_chunk meta = {
                .init = init, .run = run, .wall_us = start_us + n * INT64_C(1000000) / KT_FOOTAGE_FPS,
                .dts_90k = n * INT64_C(90000) / KT_FOOTAGE_FPS, .duration_90k = 90000 / KT_FOOTAGE_FPS,
                .flags = n % KT_FOOTAGE_FPS == 0 ? KT_CHUNK_KEY : 0, .size = both, .data = data + at,
            };
            struct kt_chunk *chunk = NULL;
            ck_assert_int_eq(kt_chunk_create(&chunk, &meta), 0);
            ck_assert_int_eq(kt_ring_append(ring, stream, chunk), 0);
            kt_chunk_unref(&chunk);
            n++;
            at += both;
            continue;
        }
        at += box;
    }
    kt_init_unref(&init);
    free(data);
    return start_us + n * INT64_C(1000000) / KT_FOOTAGE_FPS;
}

/* NAME in DIR. Good until the fourth call after this one. */
static inline char *kt_test_path(const char *dir, const char *name)
{
    static char path[4][200];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof(path[0]), "%s/%s", dir, name);
    return path[turn];
}

#endif

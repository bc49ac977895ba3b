/*
 * ring_kit.h - what the tests of the ring share: a directory that goes away, a
 * ring in it, and chunks whose content tells which they are.
 */
#ifndef KT_TESTS_RING_KIT_H
#define KT_TESTS_RING_KIT_H

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "storage/ring/meta.h"
#include "storage/ring/ring_private.h"

#define T0 INT64_C(1790000000000000)        /* a moment in 2026 */
#define FPS 5
#define FRAME_US (KT_SECOND_US / FPS)
#define FRAME_90K (90000 / FPS)
#define GOP (2 * FPS)
#define MIB (UINT64_C(1) << 20)

static char kit_dir[64];

static inline int kit_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void kit_setup(void)
{
    strcpy(kit_dir, "/tmp/kt-ring-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(kit_dir));
}

static inline void kit_teardown(void)
{
    if (getenv("KT_KEEP")) {            /* to look at what a failed test left */
        printf("%s is kept\n", kit_dir);
        return;
    }
    nftw(kit_dir, kit_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct kt_ring_params kit_params(void)
{
    return (struct kt_ring_params){
        .name = "test", .path = kit_dir, .size_bytes = 8 * MIB, .slab_bytes = MIB,
        .scrub_rate = -1, .create = true,
    };
}

static inline kt_ring *kit_open_io(const struct kt_ring_io *io)
{
    kt_ring *ring = NULL;
    struct kt_error err = { "" };
    const struct kt_ring_params p = kit_params();
    const int ret = kt_ring_open_io(&ring, &p, io, &err);
    ck_assert_msg(ret == 0, "open: %d %s", ret, err.text);
    return ring;
}

static inline kt_ring *kit_open(void)
{
    return kit_open_io(&kt_ring_io_system);
}

static inline kt_ring *kit_open_read_only(void)
{
    kt_ring *ring = NULL;
    struct kt_error err = { "" };
    struct kt_ring_params p = kit_params();
    p.read_only = true;
    const int ret = kt_ring_open(&ring, &p, &err);
    ck_assert_msg(ret == 0, "open: %d %s", ret, err.text);
    return ring;
}

/* A stream that is fed frame by frame. */
struct kit_feed {
    kt_ring *ring;
    uint32_t stream;
    struct kt_init *init;
    uint64_t run;
    int64_t start_us;           /* of the run */
    int frame;                  /* next one, since the start of the run */
    size_t size;                /* bytes of a frame */
    unsigned seed;              /* tells streams apart */
    uint64_t total;             /* frames ever */
};

static inline struct kt_init *kit_init(const char *text)
{
    struct kt_init *init = NULL;
    ck_assert_int_eq(kt_init_create(&init, text, strlen(text), "video/mp4; codecs=\"avc1.64001f\"",
                                    640, 360), 0);
    return init;
}

static inline struct kit_feed kit_feed(kt_ring *ring, const char *name, size_t size)
{
    struct kit_feed f = { .ring = ring, .run = 1, .start_us = T0, .size = size };
    ck_assert_int_eq(kt_ring_stream(ring, name, &f.stream), 0);
    f.init = kit_init(name);
    f.seed = f.stream * 7919u + 1;
    return f;
}

/* What byte I of frame N of stream SEED must be. */
static inline uint8_t kit_byte(unsigned seed, int64_t n, size_t i)
{
    uint64_t x = (uint64_t)seed * 2654435761u + (uint64_t)n * 40503u + i * 2246822519u;
    x ^= x >> 15;
    return (uint8_t)(x * 31 >> 3);
}

static inline int kit_push(struct kit_feed *f)
{
    struct kt_chunk *chunk = NULL;
    const struct kt_chunk meta = {
        .init = f->init, .run = f->run, .wall_us = f->start_us + f->frame * FRAME_US,
        .dts_90k = (int64_t)f->frame * FRAME_90K, .duration_90k = FRAME_90K,
        .flags = f->frame % GOP == 0 ? KT_CHUNK_KEY : 0, .size = f->size,
    };
    ck_assert_int_eq(kt_chunk_create(&chunk, &meta), 0);
    for (size_t i = 0; i < f->size; i++)
        kt_chunk_bytes(chunk)[i] = kit_byte(f->seed, meta.wall_us / FRAME_US, i);
    const int ret = kt_ring_append(f->ring, f->stream, chunk);
    kt_chunk_unref(&chunk);
    f->frame++;
    f->total++;
    return ret;
}

static inline void kit_push_n(struct kit_feed *f, int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(kit_push(f), 0);
}

static inline void kit_flush(kt_ring *ring)
{
    ck_assert_int_eq(kt_ring_flush(ring, 20 * KT_SECOND_US), 0);
}

static inline void kit_new_run(struct kit_feed *f, int64_t start_us)
{
    f->run++;
    f->start_us = start_us;
    f->frame = 0;
}

/* Frames in REC when its payload is what this feed pushed for that time; fails the test otherwise. */
static inline int kit_check_payload(const struct kit_feed *f, const struct kt_record *rec,
                                    const uint8_t *p)
{
    ck_assert_uint_eq(rec->size % f->size, 0);
    const int frames = (int)(rec->size / f->size);
    ck_assert_int_eq(frames, (int)rec->frames);
    for (int k = 0; k < frames; k++)
        for (size_t i = 0; i < f->size; i++, p++)
            if (*p != kit_byte(f->seed, rec->start_us / FRAME_US + k, i))
                ck_abort_msg("stream %u, record %" PRIu64 ": frame %d, byte %zu is wrong", f->stream,
                             rec->seq, k, i);
    return frames;
}

/* Read back everything of the stream; every record must be right, or be refused where DAMAGED.
 * Returns frames. */
static inline int kit_verify_some(const struct kit_feed *f, int64_t from_us, int64_t to_us, bool damaged)
{
    struct kt_record *rec = NULL;
    size_t n = 0;
    int frames = 0;
    ck_assert_int_eq(kt_ring_query(f->ring, f->stream, from_us, to_us, SIZE_MAX, &rec, &n), 0);
    for (size_t i = 0; i < n; i++) {
        uint8_t *buf = malloc(rec[i].size);
        const int ret = kt_ring_read(f->ring, &rec[i], buf);
        ck_assert_msg(ret == 0 || (damaged && ret == -EBADMSG), "record %" PRIu64 ": %s", rec[i].seq,
                      kt_strerror(ret));
        frames += ret == 0 ? kit_check_payload(f, &rec[i], buf) : 0;
        if (i > 0)
            ck_assert_int_ge(rec[i].start_us, rec[i - 1].start_us);
        free(buf);
    }
    free(rec);
    return frames;
}

static inline int kit_verify(const struct kit_feed *f, int64_t from_us, int64_t to_us)
{
    return kit_verify_some(f, from_us, to_us, false);
}

#endif

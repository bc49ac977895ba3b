/*
 * chunk.h - what flows from the muxer to the ring and to live viewers.
 *
 * A chunk is one frame as one CMAF chunk (ISO/IEC 23000-19: `moof` + `mdat`),
 * made once and shared by everybody. An init segment (`ftyp` + `moov`) is what a
 * player needs first; it is known by its content (SHA-256 of its bytes).
 *
 * Both are immutable once made and reference counted; references may be taken
 * and dropped on any thread.
 *
 * Units: wall_us is UTC microseconds; *_90k counts 1/90000 s.
 */
#ifndef KT_BASE_CHUNK_H
#define KT_BASE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"
#include "server/base/pool.h"

#define KT_INIT_HASH_SIZE 32
#define KT_MIME_SIZE 96
#define KT_TIMESCALE 90000

struct kt_init {
    uint8_t hash[KT_INIT_HASH_SIZE];    /* SHA-256 of data */
    char mime[KT_MIME_SIZE];            /* video/mp4; codecs="avc1.64001f,mp4a.40.2" */
    int width, height;                  /* pixels, 0 when unknown */
    size_t size;
    const uint8_t *data;                /* ftyp + moov, mvhd duration 0, no mehd */
};

enum kt_chunk_flags {
    KT_CHUNK_KEY = 1 << 0,              /* a decoder can start here */
    KT_CHUNK_AUDIO = 1 << 1,            /* the frame belongs to the audio track */
};

struct kt_chunk {
    struct kt_init *init;               /* owned reference, never NULL */
    uint64_t run;                       /* unbroken stretch this frame belongs to, never 0;
                                         * grows from run to run of one stream */
    int64_t wall_us;                    /* when the frame was captured */
    int64_t dts_90k;                    /* decode time since the start of the run (= tfdt) */
    uint32_t duration_90k;
    uint32_t flags;                     /* enum kt_chunk_flags */
    size_t size;
    const uint8_t *data;                /* moof + mdat; tfdt is version 1 (64 bit) */
    kt_pool *pool;                      /* where kt_chunk_create() takes memory from; may be NULL */
};

/*
 * Make an init segment of a copy of DATA. *OUT carries one reference.
 *   -ENOMEM  -EINVAL (empty, or MIME too long)
 */
kt_must_check int kt_init_create(struct kt_init **out, const void *data, size_t size,
                                 const char *mime, int width, int height);
struct kt_init *kt_init_ref(struct kt_init *init);
void kt_init_unref(struct kt_init **init);

/*
 * Make a chunk from META (whose data may be NULL: SIZE bytes are then left for
 * the caller to fill through kt_chunk_bytes() before anyone else sees it).
 * META->init is borrowed; the chunk takes its own reference.
 */
kt_must_check int kt_chunk_create(struct kt_chunk **out, const struct kt_chunk *meta);
uint8_t *kt_chunk_bytes(struct kt_chunk *chunk);
struct kt_chunk *kt_chunk_ref(struct kt_chunk *chunk);
void kt_chunk_unref(struct kt_chunk **chunk);

#endif

/*
 * mp4_hash.h - hash of the coded video in an MP4 as it flows by.
 *
 * SHA-256 over the video track's packets, one after another: what
 *     ffmpeg -i FILE -map 0:v -c copy -f streamhash -hash sha256 -
 * prints, so that anybody can compare, and the same for any remux of the same
 * packets. Understands what the muxer of this program makes: fragments of one track.
 *
 * Threads: one at a time. Nothing is kept but the current box header and `moov`/`moof`.
 */
#ifndef KT_VAULT_MP4_HASH_H
#define KT_VAULT_MP4_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

typedef struct kt_mp4_hash kt_mp4_hash;

struct kt_mp4_facts {
    char stream_hash[65];           /* of the first video track; empty: not understood */
    uint32_t frames;                /* video packets */
    uint64_t duration_90k;          /* sum of their durations */
};

kt_must_check int kt_mp4_hash_create(kt_mp4_hash **out);
void kt_mp4_hash_free(kt_mp4_hash **h);
/* The next N bytes of the file. -EBADMSG when they are no MP4 of that kind. */
kt_must_check int kt_mp4_hash_feed(kt_mp4_hash *h, const void *data, size_t n);
/* After the last byte. -EBADMSG when it ends inside a box, or holds no video. */
kt_must_check int kt_mp4_hash_finish(kt_mp4_hash *h, struct kt_mp4_facts *out);

#endif

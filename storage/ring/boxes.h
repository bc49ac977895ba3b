/*
 * boxes.h - the few boxes of an MP4 (ISO/IEC 14496-12) that change when stored
 * chunks become a clip: decode times move, and a later run's parameters become
 * a further sample entry of the same track. Everything else stays as it was
 * recorded, byte for byte.
 *
 * No I/O, no state. Input is not trusted: whatever does not parse is -EBADMSG.
 */
#ifndef KT_RING_BOXES_H
#define KT_RING_BOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_BOXES_TRACKS 4

struct kt_track {
    uint32_t id, timescale;
    bool video;
    uint32_t entry;                     /* sample entry of the merged track, from 1; 0: left out */
};

struct kt_tracks {
    struct kt_track a[KT_BOXES_TRACKS];
    size_t n;
};

/* The tracks of an init segment, their entry being 1. */
kt_must_check int kt_boxes_tracks(const uint8_t *init, size_t size, struct kt_tracks *out);

/*
 * Add the sample entries of init segment MORE to *BASE (malloc'd, *SIZE bytes,
 * replaced). TRACKS, those of MORE, get their entry: an equal one is used again;
 * 0 where BASE has no such track or counts its time otherwise.
 */
kt_must_check int kt_boxes_merge(uint8_t **base, size_t *size, const uint8_t *more,
                                 size_t more_size, struct kt_tracks *tracks);

/* One chunk of a record's payload. */
struct kt_chunk_view {
    size_t at, size;                    /* moof and mdat */
    uint32_t track;                     /* id */
    uint64_t tfdt;                      /* in the track's timescale */
};

/* The chunk at *AT, which moves behind it. 1; 0 at the end; or -EBADMSG. */
int kt_boxes_next(const uint8_t *payload, size_t size, size_t *at, struct kt_chunk_view *out);

/*
 * Copy chunks to OUT with SHIFT_90K added to their decode times, and with the
 * sample entry of their track named where INDEXED. A chunk that would begin
 * before 0, or whose track is left out, becomes a `free` box of the same size.
 * *OUT_SIZE is SIZE, and 4 bytes more for each chunk where INDEXED.
 */
kt_must_check int kt_boxes_rewrite(const uint8_t *payload, size_t size, const struct kt_tracks *tracks,
                                   int64_t shift_90k, bool indexed, uint8_t *out, size_t *out_size);

/* A `free` box of SIZE bytes, which are at least 8. */
void kt_boxes_fill(uint8_t *out, size_t size);

#endif

/*
 * activity.h - per camera and second a 16x9 grid of where something moved, so
 * that timeline heat and region search need no decoding.
 * See catalog.h for threads, units and errors.
 */
#ifndef KT_CATALOG_ACTIVITY_H
#define KT_CATALOG_ACTIVITY_H

#include "storage/catalog/catalog.h"

#define KT_GRID_W 16
#define KT_GRID_H 9
#define KT_GRID_BYTES ((KT_GRID_W * KT_GRID_H + 7) / 8)

/* Bit y * 16 + x (least significant first) is set where the cell moved. */
struct kt_activity {
    int64_t second;                 /* Unix second */
    uint8_t score;                  /* 0..255, share of the picture that moved */
    uint8_t grid[KT_GRID_BYTES];
};

/* Queued, bounded: when the queue is full the second is dropped and counted.
 * Seconds without motion are not stored. */
int kt_catalog_activity_add(kt_catalog *c, const char *camera, const struct kt_activity *a);

/* Mean score (0..255) of each of N equal buckets of [FROM, TO). */
kt_must_check int kt_catalog_activity_heat(kt_catalog *c, const char *camera, int64_t from_us,
                                           int64_t to_us, size_t n, uint8_t *out);

/* Stretches in which a cell of MASK moved, joined when closer than 5 s. */
struct kt_activity_span {
    int64_t from_us, to_us;
    uint8_t score;
};
kt_must_check int kt_catalog_activity_search(kt_catalog *c, const char *camera, int64_t from_us,
                                             int64_t to_us, const uint8_t mask[KT_GRID_BYTES],
                                             size_t max, struct kt_activity_span **out, size_t *n);

/* Forget what is older than BEFORE (activity and, with them, events that no
 * video is left of). Queued. */
int kt_catalog_expire(kt_catalog *c, int64_t before_us);

#endif

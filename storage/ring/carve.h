/*
 * carve.h - video out of slab files alone: no daemon, no catalog, no ring.meta,
 * no complete set of slabs. One MP4 for each camera stream and run.
 *
 * Threads: one.
 */
#ifndef KT_RING_CARVE_H
#define KT_RING_CARVE_H

#include "server/base/error.h"
#include "storage/ring/ring.h"

struct kt_carve {
    /* --- set by the caller; may be left 0 --- */
    void *user;
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void (*note)(void *user, const char *line);     /* what was damaged, which files were made */
    /* --- result --- */
    uint64_t slabs, files, records, damaged, bytes;
};

/*
 * Carve the slabs in directory FROM into directory TO, which is made when
 * missing. Files there are never overwritten: -EEXIST. Damaged records are left
 * out and counted.
 *   -ENOENT  no slab in FROM
 */
kt_must_check int kt_ring_carve(const char *from, const char *to, struct kt_carve *carve,
                                struct kt_error *err);

#endif

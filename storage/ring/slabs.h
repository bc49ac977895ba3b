/*
 * slabs.h - finding out at start what is in the slab files.
 *
 * Threads: during kt_ring_open() only.
 */
#ifndef KT_RING_SLABS_H
#define KT_RING_SLABS_H

#include "storage/ring/ring_private.h"

/* Make META's slab files and claim their space, all or nothing. */
kt_must_check int kt_slabs_claim(const struct kt_ring_io *io, int dir_fd, const struct kt_meta *meta,
                                 struct kt_error *err);

/* Fill the index from footers and scans, and set the writer's place in the log. */
kt_must_check int kt_slabs_load(kt_ring *ring, struct kt_error *err);

#endif

/*
 * meta.h - which ring a directory holds: what ring.meta says or, where that is
 * lost or damaged, what the slabs say themselves.
 *
 * Threads: while a ring is opened only.
 */
#ifndef KT_RING_META_H
#define KT_RING_META_H

#include "server/base/error.h"
#include "storage/ring/format.h"
#include "storage/ring/io.h"

#define KT_META_NAME "ring.meta"
#define KT_UUID_TEXT_SIZE 37

void kt_uuid_format(char out[KT_UUID_TEXT_SIZE], const uint8_t uuid[KT_UUID_SIZE]);

/*
 *   -EBADMSG  damaged, cut, unreadable or something else
 *   -ENOTSUP  of another version
 */
kt_must_check int kt_meta_read(const struct kt_ring_io *io, int fd, struct kt_meta *meta);

/* Of a new ring: complete under its name, or not there. */
kt_must_check int kt_meta_create(const struct kt_ring_io *io, int dir_fd, const struct kt_meta *meta);

/* In place, for FD may hold the lock. Cut short, it is damaged as before. */
kt_must_check int kt_meta_rewrite(const struct kt_ring_io *io, int dir_fd, int fd, const struct kt_meta *meta);

/*
 * What the slabs in DIR_FD say that they are: all that can be read say the same, and
 * none is missing. Reads only. Else WHY says it in words, without naming the directory:
 *   -ENOENT    there is no slab with a readable beginning
 *   -EXDEV     they are of different rings
 *   -ENOTSUP   one is of another version
 *   -ENODATA   one is missing or too short
 */
kt_must_check int kt_meta_from_slabs(const struct kt_ring_io *io, int dir_fd, struct kt_meta *meta,
                                     struct kt_error *why);

#endif

/*
 * io.h - every touch of the disk by the ring goes through this table, so that a
 * test can record, fail, delay or reorder it.
 *
 * Threads: the functions may be called from any thread at the same time.
 * Errors:  0, a count or a file descriptor, or a negative errno. The table's
 * functions may return short counts and -EINTR as the system calls do; the
 * kt_io_* helpers below loop over both.
 */
#ifndef KT_RING_IO_H
#define KT_RING_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "server/base/cleanup.h"

struct kt_ring_io {
    void *user;
    int (*open)(void *user, int dir_fd, const char *name, int flags, mode_t mode);
    int (*close)(void *user, int fd);
    int64_t (*size)(void *user, int fd);
    ssize_t (*pread)(void *user, int fd, void *buf, size_t n, uint64_t offset);
    ssize_t (*pwritev)(void *user, int fd, const struct iovec *iov, int n, uint64_t offset);
    int (*fdatasync)(void *user, int fd);
    int (*fsync_dir)(void *user, int dir_fd);
    int (*sync_all)(void *user, int dir_fd);            /* everything of the filesystem */
    int (*claim)(void *user, int fd, uint64_t size);    /* fallocate(2) from 0, verified */
    int (*rename)(void *user, int dir_fd, const char *from, const char *to);
    int (*unlink)(void *user, int dir_fd, const char *name);
};

/* The real thing. */
extern const struct kt_ring_io kt_ring_io_system;

/* Exactly N bytes, or -EIO for an end of file before, or another error. What cannot
 * be read is tried three times: disks have bad moments. */
kt_must_check int kt_io_read(const struct kt_ring_io *io, int fd, void *buf, size_t n,
                             uint64_t offset);

/* All of IOV (changed on the way), in as few calls as IOV_MAX allows. */
kt_must_check int kt_io_write(const struct kt_ring_io *io, int fd, struct iovec *iov, size_t n,
                              uint64_t offset);

/*
 * Direct I/O: what is written to FD from now on goes past the page cache, and must be
 * whole pages from memory that begins on a page; or no longer.
 * -EINVAL: the filesystem has no such thing.
 */
kt_must_check int kt_io_set_direct(int fd, bool direct);

/* All of IOV, whole pages in all, gathered on the way in BLOCK: BLOCK_SIZE bytes, whole pages too. */
kt_must_check int kt_io_write_gathered(const struct kt_ring_io *io, int fd, const struct iovec *iov, size_t n,
                                       uint64_t offset, uint8_t *block, size_t block_size);

/* One buffer. */
kt_must_check int kt_io_write_buf(const struct kt_ring_io *io, int fd, const void *buf, size_t n,
                                  uint64_t offset);

/* The name of PATH, which was just made, must survive a power cut too: sync its folder. */
kt_must_check int kt_io_sync_name(const char *path);

/* openat(2), O_CLOEXEC added. */
kt_must_check int kt_io_open(const struct kt_ring_io *io, int dir_fd, const char *name, int flags);

#endif

/*
 * bad_disk.h - a struct kt_ring_io that does the real thing until told otherwise:
 * fail the n-th call of a kind, write short, be interrupted, hang.
 */
#ifndef KT_TESTS_BAD_DISK_H
#define KT_TESTS_BAD_DISK_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "storage/ring/io.h"

enum bad_kind { BAD_OPEN, BAD_READ, BAD_WRITE, BAD_SYNC, BAD_KINDS };

struct bad_disk {
    atomic_int calls[BAD_KINDS];
    atomic_int fail_at[BAD_KINDS];      /* this call fails; 0: none */
    atomic_int fail_count;              /* and so many more behind it */
    atomic_int error;                   /* -EIO …; 0: a short write or read */
    atomic_int hit;                     /* failures so far */
    pthread_mutex_t gate;               /* held by a test: fdatasync hangs */
};

static inline bool bad_now(struct bad_disk *d, enum bad_kind kind)
{
    const int call = ++d->calls[kind], at = d->fail_at[kind];
    if (at == 0 || call < at || call > at + d->fail_count)
        return false;
    d->hit++;
    return true;
}

static inline int bad_open(void *user, int dir_fd, const char *name, int flags, mode_t mode)
{
    struct bad_disk *d = user;
    if (bad_now(d, BAD_OPEN) && d->error)
        return d->error;
    return kt_ring_io_system.open(NULL, dir_fd, name, flags, mode);
}

static inline ssize_t bad_pread(void *user, int fd, void *buf, size_t n, uint64_t offset)
{
    struct bad_disk *d = user;
    if (bad_now(d, BAD_READ)) {
        if (d->error)
            return d->error;
        n = n > 1 ? n / 2 : n;
    }
    return kt_ring_io_system.pread(NULL, fd, buf, n, offset);
}

static inline ssize_t bad_pwritev(void *user, int fd, const struct iovec *iov, int n, uint64_t offset)
{
    struct bad_disk *d = user;
    if (bad_now(d, BAD_WRITE)) {
        if (d->error && d->error != -ENOSPC)
            return d->error;
        const struct iovec half = { .iov_base = iov[0].iov_base, .iov_len = (iov[0].iov_len + 1) / 2 };
        const ssize_t put = kt_ring_io_system.pwritev(NULL, fd, &half, 1, offset);
        return d->error ? d->error : put;   /* a full disk may have taken some */
    }
    return kt_ring_io_system.pwritev(NULL, fd, iov, n, offset);
}

static inline int bad_fdatasync(void *user, int fd)
{
    struct bad_disk *d = user;
    pthread_mutex_lock(&d->gate);
    pthread_mutex_unlock(&d->gate);
    if (bad_now(d, BAD_SYNC) && d->error)
        return d->error;
    return kt_ring_io_system.fdatasync(NULL, fd);
}

static inline struct kt_ring_io bad_io(struct bad_disk *d)
{
    struct kt_ring_io io = kt_ring_io_system;
    pthread_mutex_init(&d->gate, NULL);
    io.user = d;
    io.open = bad_open;
    io.pread = bad_pread;
    io.pwritev = bad_pwritev;
    io.fdatasync = bad_fdatasync;
    return io;
}

#endif

#include "storage/ring/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define READ_TRIES 3

static int sys_open(void *user, int dir_fd, const char *name, int flags, mode_t mode)
{
    const int fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

static int sys_close(void *user, int fd)
{
    return close(fd) < 0 ? -errno : 0;
}

static int64_t sys_size(void *user, int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? -errno : st.st_size;
}

static ssize_t sys_pread(void *user, int fd, void *buf, size_t n, uint64_t offset)
{
    const ssize_t got = pread(fd, buf, n, (off_t)offset);
    return got < 0 ? -errno : got;
}

static ssize_t sys_pwritev(void *user, int fd, const struct iovec *iov, int n, uint64_t offset)
{
    const ssize_t put = pwritev(fd, iov, n, (off_t)offset);
    return put < 0 ? -errno : put;
}

static int sys_fdatasync(void *user, int fd)
{
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int sys_fsync_dir(void *user, int dir_fd)
{
    return fsync(dir_fd) < 0 ? -errno : 0;
}

static int sys_sync_all(void *user, int dir_fd)
{
    return syncfs(dir_fd) < 0 ? -errno : 0;
}

/* For a filesystem without fallocate(2). */
static int claim_by_writing(int fd, uint64_t size)
{
    static const uint8_t zeros[1 << 16];
    for (uint64_t at = 0; at < size;) {
        const size_t n = size - at < sizeof(zeros) ? (size_t)(size - at) : sizeof(zeros);
        const ssize_t put = pwrite(fd, zeros, n, (off_t)at);
        if (put < 0 && errno != EINTR)
            return -errno;
        at += put > 0 ? (uint64_t)put : 0;
    }
    return 0;
}

static int sys_claim(void *user, int fd, uint64_t size)
{
    int ret;
    do {
        ret = fallocate(fd, 0, 0, (off_t)size) < 0 ? -errno : 0;
    } while (ret == -EINTR);
    if (ret == -EOPNOTSUPP)
        ret = claim_by_writing(fd, size);
    struct stat st;
    if (ret == 0 && fstat(fd, &st) < 0)
        ret = -errno;
    if (ret == 0 && ((uint64_t)st.st_size < size || (uint64_t)st.st_blocks * 512 < size))
        ret = -ENOSPC;
    return ret;
}

static int sys_rename(void *user, int dir_fd, const char *from, const char *to)
{
    return renameat(dir_fd, from, dir_fd, to) < 0 ? -errno : 0;
}

static int sys_unlink(void *user, int dir_fd, const char *name)
{
    return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

const struct kt_ring_io kt_ring_io_system = {
    .open = sys_open, .close = sys_close, .size = sys_size, .pread = sys_pread,
    .pwritev = sys_pwritev, .fdatasync = sys_fdatasync, .fsync_dir = sys_fsync_dir, .sync_all = sys_sync_all,
    .claim = sys_claim, .rename = sys_rename, .unlink = sys_unlink,
};

int kt_io_read(const struct kt_ring_io *io, int fd, void *buf, size_t n, uint64_t offset)
{
    int tries = 0;
    for (size_t at = 0; at < n;) {
        const ssize_t got = io->pread(io->user, fd, (uint8_t *)buf + at, n - at, offset + at);
        if (got == -EINTR || (got == -EIO && ++tries < READ_TRIES))
            continue;
        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        at += (size_t)got;
    }
    return 0;
}

/* Step over PUT bytes that are written. */
static void advance(struct iovec **iov, size_t *n, size_t put)
{
    while (*n > 0 && put >= (*iov)->iov_len) {
        put -= (*iov)->iov_len;
        (*iov)++;
        (*n)--;
    }
    if (put > 0) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + put;
        (*iov)->iov_len -= put;
    }
}

int kt_io_write(const struct kt_ring_io *io, int fd, struct iovec *iov, size_t n, uint64_t offset)
{
    advance(&iov, &n, 0);
    while (n > 0) {
        const int batch = n < IOV_MAX ? (int)n : IOV_MAX;
        const ssize_t put = io->pwritev(io->user, fd, iov, batch, offset);
        if (put == -EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? (int)put : -EIO;
        offset += (uint64_t)put;
        advance(&iov, &n, (size_t)put);
    }
    return 0;
}

int kt_io_set_direct(int fd, bool direct)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
        return -errno;
    return 0;
}

int kt_io_write_gathered(const struct kt_ring_io *io, int fd, const struct iovec *iov, size_t n,
                         uint64_t offset, uint8_t *block, size_t block_size)
{
    size_t filled = 0, at = 0;              /* of BLOCK; of iov[0] */
    while (n > 0) {
        const size_t left = iov->iov_len - at;
        const size_t size = left < block_size - filled ? left : block_size - filled;
        memcpy(block + filled, (const uint8_t *)iov->iov_base + at, size);
        filled += size;
        at += size;
        if (at == iov->iov_len) {
            iov++;
            n--;
            at = 0;
        }
        if (filled < block_size && n > 0)
            continue;
        const int ret = kt_io_write_buf(io, fd, block, filled, offset);
        if (ret < 0)
            return ret;
        offset += filled;
        filled = 0;
    }
    return 0;
}

int kt_io_write_buf(const struct kt_ring_io *io, int fd, const void *buf, size_t n,
                    uint64_t offset)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = n };
    return kt_io_write(io, fd, &iov, 1, offset);
}

int kt_io_sync_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[4096];
    if (slash && (size_t)(slash - path) + 2 > sizeof(folder))
        return -ENAMETOOLONG;
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    kt_cleanup(kt_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int kt_io_open(const struct kt_ring_io *io, int dir_fd, const char *name, int flags)
{
    int fd;
    do {
        fd = io->open(io->user, dir_fd, name, flags, 0640);
    } while (fd == -EINTR);
    return fd;
}

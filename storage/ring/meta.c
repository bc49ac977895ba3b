#include "storage/ring/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/ring/ring_private.h"
#include "storage/ring/scan.h"

void kt_uuid_format(char out[KT_UUID_TEXT_SIZE], const uint8_t u[KT_UUID_SIZE])
{
    char hex[2 * KT_UUID_SIZE + 1];
    kt_hex(hex, u, KT_UUID_SIZE);
    snprintf(out, KT_UUID_TEXT_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* ---- the file ---- */

int kt_meta_read(const struct kt_ring_io *io, int fd, struct kt_meta *meta)
{
    uint8_t page[KT_PAGE];
    const int64_t size = io->size(io->user, fd);
    if (size < 0)
        return (int)size;
    int ret = size < KT_PAGE ? -EBADMSG : kt_io_read(io, fd, page, sizeof(page), 0);
    if (ret == 0)
        ret = kt_meta_decode(meta, page);
    return ret == -EINVAL || ret == -EIO ? -EBADMSG : ret;
}

static int write_page(const struct kt_ring_io *io, int fd, const struct kt_meta *meta)
{
    uint8_t page[KT_PAGE];
    kt_meta_encode(page, meta);
    const int ret = kt_io_write_buf(io, fd, page, sizeof(page), 0);
    return ret < 0 ? ret : io->fdatasync(io->user, fd);
}

int kt_meta_create(const struct kt_ring_io *io, int dir_fd, const struct kt_meta *meta)
{
    static const char part[] = KT_META_NAME ".part";
    const int fd = kt_io_open(io, dir_fd, part, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    int ret = write_page(io, fd, meta);
    io->close(io->user, fd);
    if (ret == 0)
        ret = io->rename(io->user, dir_fd, part, KT_META_NAME);
    if (ret == 0)
        ret = io->fsync_dir(io->user, dir_fd);
    return ret;
}

int kt_meta_rewrite(const struct kt_ring_io *io, int dir_fd, int fd, const struct kt_meta *meta)
{
    const int ret = write_page(io, fd, meta);
    return ret < 0 ? ret : io->fsync_dir(io->user, dir_fd);
}

/* ---- the slabs ---- */

struct look {
    const struct kt_ring_io *io;
    int dir_fd;
    struct kt_meta *meta;
    char witness[KT_SLAB_NAME_SIZE];    /* the slab that META is from; empty: none yet */
    struct kt_error *why;
};

/* The SLAB record that FD begins with. -EBADMSG: none that can be believed. */
static int read_begin(const struct look *l, int fd, struct kt_header *h, struct kt_slab_begin *b)
{
    uint8_t bytes[KT_HEADER_SIZE];
    int ret = kt_io_read(l->io, fd, bytes, sizeof(bytes), 0);
    if (ret == 0)
        ret = kt_header_decode(h, bytes);
    if (ret == 0 && h->type != KT_TYPE_SLAB)
        ret = -EBADMSG;
    if (ret < 0)
        return ret == -ENOTSUP ? ret : -EBADMSG;
    kt_cleanup(kt_freep) uint8_t *payload = malloc((size_t)h->size + 1);
    if (!payload)
        return -ENOMEM;
    ret = kt_scan_payload(l->io, fd, h, 0, payload);
    return ret == 0 && kt_slab_begin_decode(b, payload, h->size) == 0 ? 0 : -EBADMSG;
}

static bool same_ring(const struct kt_meta *a, const struct kt_meta *b)
{
    return memcmp(a->uuid, b->uuid, KT_UUID_SIZE) == 0 && a->slab_bytes == b->slab_bytes &&
           a->slab_count == b->slab_count;
}

/* The older of two says better when the ring was made. */
static int agree(struct look *l, const char *name, const struct kt_meta *says)
{
    if (!l->witness[0]) {
        *l->meta = *says;
        snprintf(l->witness, sizeof(l->witness), "%s", name);
        return 0;
    }
    if (!same_ring(l->meta, says))
        return kt_error_set(l->why, -EXDEV, "%s and %s are of different rings: move away what does not belong "
                            "here", l->witness, name);
    if (says->created_us < l->meta->created_us)
        l->meta->created_us = says->created_us;
    return 0;
}

static int look_at(struct look *l, const char *name, uint32_t file)
{
    struct kt_header h;
    struct kt_slab_begin b;
    const int fd = kt_io_open(l->io, l->dir_fd, name, O_RDONLY);
    if (fd < 0)
        return fd == -ENOENT ? 0 : kt_error_set(l->why, fd, "%s: %s", name, kt_strerror(fd));
    int ret = read_begin(l, fd, &h, &b);
    l->io->close(l->io->user, fd);
    if (ret == -ENOTSUP)
        return kt_error_set(l->why, ret, "%s is of another version of Kentongan", name);
    if (ret == -ENOMEM)
        return ret;
    struct kt_meta says = { .slab_bytes = b.slab_bytes, .slab_count = b.count, .created_us = h.written_us };
    if (ret < 0 || b.index != file || b.count == 0 || h.slab_seq % b.count != file)
        return 0;                       /* damaged, never used, or a copy of another: no witness */
    memcpy(says.uuid, h.uuid, KT_UUID_SIZE);
    return kt_meta_is_possible(&says) ? agree(l, name, &says) : 0;
}

static int look_at_all(struct look *l)
{
    const int fd = openat(l->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int ret = dir ? 0 : -errno;
    for (struct dirent *d; ret == 0 && (d = readdir(dir));) {
        char name[KT_SLAB_NAME_SIZE];
        unsigned file;
        if (sscanf(d->d_name, "slab-%u.kts", &file) != 1)
            continue;
        kt_slab_name(name, file);
        if (strcmp(name, d->d_name) == 0)
            ret = look_at(l, name, file);
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        (void)close(fd);
    return ret;
}

/* Slabs that are gone may be the newest ones: to go on without them would write their record
 * numbers a second time. */
static int all_there(struct look *l)
{
    for (uint32_t i = 0; i < l->meta->slab_count; i++) {
        char name[KT_SLAB_NAME_SIZE];
        kt_slab_name(name, i);
        const int fd = kt_io_open(l->io, l->dir_fd, name, O_RDONLY);
        const int64_t size = fd < 0 ? fd : l->io->size(l->io->user, fd);
        if (fd >= 0)
            l->io->close(l->io->user, fd);
        if (size < 0 && size != -ENOENT)
            return kt_error_set(l->why, (int)size, "%s: %s", name, kt_strerror((int)size));
        if (size < (int64_t)l->meta->slab_bytes)
            return kt_error_set(l->why, -ENODATA, "%s of %" PRIu32 " slabs is %s", name, l->meta->slab_count,
                                size < 0 ? "missing" : "too short");
    }
    return 0;
}

int kt_meta_from_slabs(const struct kt_ring_io *io, int dir_fd, struct kt_meta *meta, struct kt_error *why)
{
    struct kt_meta found = { .slab_count = 0 };
    struct look l = { .io = io, .dir_fd = dir_fd, .meta = &found, .why = why };
    int ret = look_at_all(&l);
    if (ret == 0 && !l.witness[0])
        ret = kt_error_set(why, -ENOENT, "no slab says which ring it is of");
    if (ret == 0)
        ret = all_there(&l);
    if (ret == 0)
        *meta = found;
    return ret;
}

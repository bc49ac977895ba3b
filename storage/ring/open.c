#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "server/base/log.h"
#include "storage/ring/meta.h"
#include "storage/ring/ring_private.h"
#include "storage/ring/slabs.h"

#define MIN_AUTO_SLAB (UINT64_C(16) << 20)
#define MAX_AUTO_SLAB (UINT64_C(256) << 20)
#define HUGE_SLAB (UINT64_C(1) << 30)   /* beyond 8 TiB: fewer, larger slabs keep the index small */
#define MIN_SLABS 8
#define SMALLEST_AUTO_SLAB (KT_RING_LEAST_BYTES / MIN_SLABS)
#define DEFAULT_SCRUB (INT64_C(2) << 20)
#define DEFAULT_QUEUE (64u << 20)

void kt_slab_name(char out[KT_SLAB_NAME_SIZE], uint32_t file)
{
    snprintf(out, KT_SLAB_NAME_SIZE, "slab-%06" PRIu32 ".kts", file);
}

int kt_ring_open_slab(const kt_ring *ring, uint64_t slab_seq, int flags)
{
    char name[KT_SLAB_NAME_SIZE];
    kt_slab_name(name, (uint32_t)(slab_seq % ring->meta.slab_count));
    return kt_io_open(ring->io, ring->dir_fd, name, flags);
}

/* ---- making a ring ---- */

static int choose_size(struct kt_meta *meta, const struct kt_ring_params *p, struct kt_error *err)
{
    uint64_t slab = p->slab_bytes;
    if (slab == 0) {
        slab = p->size_bytes / 16;
        const uint64_t max = p->size_bytes > (UINT64_C(8) << 40) ? HUGE_SLAB : MAX_AUTO_SLAB;
        slab = slab < MIN_AUTO_SLAB ? MIN_AUTO_SLAB : slab > max ? max : slab;
        if (p->size_bytes / slab < MIN_SLABS)
            slab = p->size_bytes / MIN_SLABS;
    }
    slab -= slab % KT_PAGE;
    const uint64_t min = p->slab_bytes ? KT_MIN_SLAB : SMALLEST_AUTO_SLAB;
    if (slab < min || slab > KT_MAX_SLAB || p->size_bytes / slab < MIN_SLABS)
        return kt_error_set(err, -EINVAL, "ring %s: %" PRIu64 " MiB is too small, it takes at least "
                            "%" PRIu64 " MiB", p->name, p->size_bytes >> 20,
                            (slab < min ? min : slab) * MIN_SLABS >> 20);
    if (p->size_bytes / slab > KT_MAX_SLABS)
        return kt_error_set(err, -EINVAL, "ring %s: too many slabs", p->name);
    meta->slab_bytes = slab;
    meta->slab_count = (uint32_t)(p->size_bytes / slab);
    return 0;
}

/* The slabs first, the meta file last: a ring that has a meta file is whole. */
static int create(const struct kt_ring_params *p, const struct kt_ring_io *io, int dir_fd,
                  struct kt_error *err)
{
    struct kt_meta meta = { .created_us = kt_clock_wall_us() };
    if (getrandom(meta.uuid, sizeof(meta.uuid), 0) != sizeof(meta.uuid))
        return kt_error_set(err, -EIO, "ring %s: no random numbers", p->name);
    meta.uuid[6] = (uint8_t)((meta.uuid[6] & 0x0f) | 0x40);     /* RFC 4122, version 4 */
    meta.uuid[8] = (uint8_t)((meta.uuid[8] & 0x3f) | 0x80);
    snprintf(meta.name, sizeof(meta.name), "%s", p->name);
    int ret = choose_size(&meta, p, err);
    if (ret == 0)
        ret = kt_slabs_claim(io, dir_fd, &meta, err);
    if (ret == -ENOSPC)
        return kt_error_set(err, ret, "ring %s: the disk of %s has no room for %" PRIu64 " MiB", p->name,
                            p->path, meta.slab_bytes * meta.slab_count >> 20);
    if (ret < 0)
        return ret;
    ret = kt_meta_create(io, dir_fd, &meta);
    return ret < 0 ? kt_error_set(err, ret, "ring %s: %s: %s", p->name, p->path, kt_strerror(ret)) : 0;
}

/* ---- opening one ---- */

/* Open and lock ring.meta. */
static int open_lock(kt_ring *ring, const struct kt_ring_params *p, int flags, struct kt_error *err)
{
    const int fd = kt_io_open(ring->io, ring->dir_fd, KT_META_NAME, flags);
    if (fd < 0)
        return kt_error_set(err, fd, "ring %s: %s/" KT_META_NAME ": %s", p->name, p->path, kt_strerror(fd));
    ring->lock_fd = fd;
    if (!p->read_only && flock(fd, LOCK_EX | LOCK_NB) < 0)
        return kt_error_set(err, -EBUSY, "ring %s: another process records into %s", p->name, p->path);
    return 0;
}

static int check_uuid(const kt_ring *ring, const struct kt_ring_params *p, struct kt_error *err)
{
    char uuid[KT_UUID_TEXT_SIZE];
    kt_uuid_format(uuid, ring->meta.uuid);
    if (!p->uuid || strcmp(uuid, p->uuid) == 0)
        return 0;
    return kt_error_set(err, -EXDEV, "ring %s: this is another ring's disk (%s, expected %s)", p->name, uuid, p->uuid);
}

/* ring.meta is lost or damaged (WHAT). The slabs know all that was in it; what they cannot
 * say for sure is left to a person. */
static int rebuild_meta(kt_ring *ring, const struct kt_ring_params *p, const char *what, struct kt_error *err)
{
    struct kt_error why = { "" };
    int ret = kt_meta_from_slabs(ring->io, ring->dir_fd, &ring->meta, &why);
    if (ret == -ENOENT && ring->lock_fd < 0)
        return kt_error_set(err, ret, "ring %s: there is no ring in %s", p->name, p->path);
    const bool unclear = ret == -ENOENT || ret == -EXDEV || ret == -ENODATA || ret == -ENOTSUP;
    if (ret < 0)
        return kt_error_set(err, unclear ? -EINVAL : ret, "ring %s: %s/" KT_META_NAME " is %s, and %s; nothing "
                            "was changed ('kentongan recover' reads the slabs without it)", p->name, p->path,
                            what, why.text[0] ? why.text : kt_strerror(ret));
    snprintf(ring->meta.name, sizeof(ring->meta.name), "%s", p->name);
    ret = check_uuid(ring, p, err);
    if (ret < 0 || p->read_only)
        return ret;
    struct kt_meta now;
    if (ring->lock_fd < 0) {
        ret = open_lock(ring, p, O_RDWR | O_CREAT, err);
        if (ret < 0)
            return ret;
    }
    if (kt_meta_read(ring->io, ring->lock_fd, &now) == 0)
        return 0;                       /* another process was first, and is gone again */
    ret = kt_meta_rewrite(ring->io, ring->dir_fd, ring->lock_fd, &ring->meta);
    if (ret < 0)
        return kt_error_set(err, ret, "ring %s: %s/" KT_META_NAME ": %s", p->name, p->path, kt_strerror(ret));
    kt_warn("ring", "%s: %s/" KT_META_NAME " was %s and is written again: all %" PRIu32 " slabs are there and say "
            "which ring it is", p->name, p->path, what, ring->meta.slab_count);
    return 0;
}

static int open_meta(kt_ring *ring, const struct kt_ring_params *p, struct kt_error *err)
{
    int ret = open_lock(ring, p, p->read_only ? O_RDONLY : O_RDWR, err);
    if (ret == -ENOENT)
        return rebuild_meta(ring, p, "missing", err);
    if (ret < 0)
        return ret;
    ret = kt_meta_read(ring->io, ring->lock_fd, &ring->meta);
    if (ret == -ENOTSUP)
        return kt_error_set(err, -EINVAL, "ring %s: %s is of another version of Kentongan", p->name,
                            p->path);
    if (ret == -EBADMSG)
        return rebuild_meta(ring, p, "damaged", err);
    if (ret < 0)
        return kt_error_set(err, ret, "ring %s: %s/" KT_META_NAME ": %s", p->name, p->path,
                            kt_strerror(ret));
    return check_uuid(ring, p, err);
}

static void warn_of_size(const kt_ring *ring, const struct kt_ring_params *p)
{
    if (p->size_bytes > 0 && !p->read_only &&
        p->size_bytes / ring->meta.slab_bytes != ring->meta.slab_count)
        kt_warn("ring", "%s: was made with %" PRIu64 " MiB and keeps that size; for another size "
                "record into a new directory", p->name,
                ring->meta.slab_bytes * ring->meta.slab_count >> 20);
}

static int load_key(kt_ring *ring, const struct kt_ring_params *p, struct kt_error *err)
{
    char path[4096];
    if (p->read_only)
        return 0;
    if (snprintf(path, sizeof(path), "%s/key.pem", p->path) >= (int)sizeof(path))
        return kt_error_set(err, -ENAMETOOLONG, "ring %s: the path is too long", p->name);
    return kt_key_load(&ring->key, p->key_path ? p->key_path : path, err);
}

static void destroy(kt_ring **pring)
{
    kt_ring *ring = kt_steal_ptr(pring);
    if (!ring)
        return;
    kt_item_list_clear(&ring->queue);
    kt_pool_destroy(&ring->pool);
    kt_ring_forget_tocs(ring);
    kt_toc_unref(&ring->w.toc);
    kt_index_destroy(&ring->ix);
    kt_key_free(&ring->key);
    if (ring->w.fd >= 0)
        ring->io->close(ring->io->user, ring->w.fd);
    if (ring->lock_fd >= 0)
        ring->io->close(ring->io->user, ring->lock_fd);
    kt_closep(&ring->dir_fd);
    pthread_mutex_destroy(&ring->cache_lock);
    pthread_mutex_destroy(&ring->lock);
    pthread_mutex_destroy(&ring->erase_lock);
    pthread_mutex_destroy(&ring->scrub_lock);
    pthread_cond_destroy(&ring->scrub_wake);
    pthread_cond_destroy(&ring->wake);
    pthread_cond_destroy(&ring->done);
    free(ring);
}

static int allocate(kt_ring **out, const struct kt_ring_params *p, const struct kt_ring_io *io)
{
    kt_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    ring->io = io;
    ring->dir_fd = ring->lock_fd = ring->w.fd = -1;
    ring->state = KT_RING_OK;
    ring->read_only = p->read_only;
    ring->commit_interval_us = p->commit_interval_us > 0 ? p->commit_interval_us : KT_SECOND_US;
    ring->scrub_rate = p->scrub_rate ? p->scrub_rate : DEFAULT_SCRUB;
    ring->queue_bytes = p->queue_bytes > 0 ? p->queue_bytes : DEFAULT_QUEUE;
    snprintf(ring->name, sizeof(ring->name), "%s", p->name ? p->name : "ring");
    pthread_mutex_init(&ring->lock, NULL);
    pthread_mutex_init(&ring->erase_lock, NULL);
    pthread_mutex_init(&ring->scrub_lock, NULL);
    kt_cond_init(&ring->scrub_wake);
    pthread_mutex_init(&ring->cache_lock, NULL);
    kt_cond_init(&ring->wake);
    kt_cond_init(&ring->done);
    *out = ring;
    return 0;
}

static int open_dir(kt_ring *ring, const struct kt_ring_params *p, struct kt_error *err)
{
    if (p->create && !p->read_only && mkdir(p->path, 0750) < 0 && errno != EEXIST)
        return kt_error_set(err, -errno, "ring %s: %s: %s", p->name, p->path, kt_strerror(-errno));
    ring->dir_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ring->dir_fd < 0)
        return kt_error_set(err, -errno, "ring %s: %s: %s", p->name, p->path, kt_strerror(-errno));
    return 0;
}

/* Nothing was recorded since the newest footage, of any stream: say why. */
static int note_restart(kt_ring *ring)
{
    struct kt_raw *raw = NULL;
    const int64_t newest = kt_ring_newest_us(ring), now = kt_clock_wall_us();
    if (newest == 0 || now <= newest)
        return 0;
    const int ret = kt_raw_create(&raw, NULL, KT_TYPE_GAP, KT_ALL_STREAMS, 0);
    if (ret < 0)
        return ret;
    raw->h.start_us = newest;
    raw->h.end_us = now;
    raw->h.run = KT_GAP_RESTART;
    return kt_ring_push_raw(ring, &raw, NULL);
}

static int start_writing(kt_ring *ring)
{
    int ret = note_restart(ring);
    if (ret == 0)
        ret = kt_writer_start(ring);
    if (ret == 0)
        ret = kt_erase_finish(ring);
    if (ret == 0)
        ret = kt_scrub_start(ring);
    if (ret < 0) {
        kt_scrub_stop(ring);
        kt_writer_stop(ring);
    }
    return ret;
}

int kt_ring_open_io(kt_ring **out, const struct kt_ring_params *params, const struct kt_ring_io *io,
                    struct kt_error *err)
{
    struct kt_ring_params p = *params;
    p.name = p.name ? p.name : "ring";
    kt_cleanup(destroy) kt_ring *ring = NULL;
    int ret = allocate(&ring, &p, io);
    if (ret < 0)
        return ret;
    ret = open_dir(ring, &p, err);
    if (ret == 0)
        ret = open_meta(ring, &p, err);
    if (ret == -ENOENT && p.create && !p.read_only && ring->dir_fd >= 0) {
        ret = create(&p, io, ring->dir_fd, err);
        if (ret == 0)
            ret = open_meta(ring, &p, err);
    }
    if (ret == 0)
        ret = load_key(ring, &p, err);
    if (ret < 0)
        return ret;
    warn_of_size(ring, &p);
    ring->max_record = ring->meta.slab_bytes / 4 < KT_MAX_PAYLOAD ? ring->meta.slab_bytes / 4
                                                                 : KT_MAX_PAYLOAD;
    ret = kt_index_create(&ring->ix, ring->meta.slab_count);
    if (ret == 0)
        ret = kt_slabs_load(ring, err);
    if (ret == 0 && !ring->read_only)
        ret = kt_pool_create(&ring->pool);
    if (ret == 0 && !ring->read_only)
        ret = start_writing(ring);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&ring);
    return 0;
}

int kt_ring_open(kt_ring **out, const struct kt_ring_params *params, struct kt_error *err)
{
    return kt_ring_open_io(out, params, &kt_ring_io_system, err);
}

void kt_ring_close(kt_ring **pring)
{
    if (!*pring)
        return;
    kt_scrub_stop(*pring);
    kt_writer_stop(*pring);
    destroy(pring);
}

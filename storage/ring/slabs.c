#include "storage/ring/slabs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/log.h"
#include "storage/ring/check.h"
#include "storage/ring/meta.h"
#include "storage/ring/scan.h"
#include "storage/ring/vec.h"

#define SUMMARY_GUESS (64u << 10)       /* read with the trailer in one go */

/* ---- claiming space ---- */

static bool is_empty(const struct kt_ring_io *io, int fd, uint64_t offset, size_t n)
{
    uint8_t page[KT_PAGE];
    return kt_io_read(io, fd, page, n, offset) == 0 && kt_all_zero(page, n);
}

/* A slab of a ring whose making was cut short holds nothing. What has a byte in it, or cannot
 * be read, is somebody's. */
static bool is_leftover(const struct kt_ring_io *io, int fd)
{
    const int64_t size = io->size(io->user, fd);
    const size_t n = size < (int64_t)KT_PAGE ? (size_t)(size > 0 ? size : 0) : KT_PAGE;
    return size == 0 || (size > 0 && is_empty(io, fd, 0, n) && is_empty(io, fd, (uint64_t)size - n, n));
}

static int claim_one(const struct kt_ring_io *io, int dir_fd, uint32_t file, uint64_t size)
{
    char name[KT_SLAB_NAME_SIZE];
    kt_slab_name(name, file);
    const int fd = kt_io_open(io, dir_fd, name, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    const bool ours = is_leftover(io, fd);
    const int ret = ours ? io->claim(io->user, fd, size) : -EEXIST;
    io->close(io->user, fd);
    if (ret < 0 && ours)
        (void)io->unlink(io->user, dir_fd, name);
    return ret;
}

static void unclaim(const struct kt_ring_io *io, int dir_fd, uint32_t n)
{
    char name[KT_SLAB_NAME_SIZE];
    for (uint32_t i = 0; i < n; i++) {
        kt_slab_name(name, i);
        (void)io->unlink(io->user, dir_fd, name);
    }
}

/* Slabs that a ring could not be told from (meta.h) are footage all the same, not free space. */
static int refuse_old_slabs(const struct kt_ring_io *io, int dir_fd, const struct kt_meta *meta,
                            struct kt_error *err)
{
    for (uint32_t i = 0; i < meta->slab_count; i++) {
        char name[KT_SLAB_NAME_SIZE];
        kt_slab_name(name, i);
        const int fd = kt_io_open(io, dir_fd, name, O_RDONLY);
        if (fd == -ENOENT)
            continue;
        const bool empty = fd >= 0 && is_leftover(io, fd);
        if (fd >= 0)
            io->close(io->user, fd);
        if (!empty)
            return kt_error_set(err, -EINVAL, "ring %s: there is a %s that is not empty, and no " KT_META_NAME
                                "; nothing was changed ('kentongan recover' reads what video is in it)",
                                meta->name, name);
    }
    return 0;
}

int kt_slabs_claim(const struct kt_ring_io *io, int dir_fd, const struct kt_meta *meta,
                   struct kt_error *err)
{
    int ret = refuse_old_slabs(io, dir_fd, meta, err);
    if (ret < 0)
        return ret;
    for (uint32_t i = 0; i < meta->slab_count && ret == 0; i++) {
        ret = claim_one(io, dir_fd, i, meta->slab_bytes);
        if (ret < 0)
            unclaim(io, dir_fd, i);
    }
    if (ret == 0)
        ret = io->sync_all(io->user, dir_fd);   /* one wait for thousands of files */
    return ret < 0 ? kt_error_set(err, ret, "ring %s: %s", meta->name, kt_strerror(ret)) : 0;
}

/* ---- loading ---- */

struct found {                          /* what one file says it is */
    uint64_t slab_seq;                  /* 0: nothing, or nothing readable */
    uint64_t first_seq, commit;
    uint8_t first_prev[KT_HASH_SIZE];
    bool has_footer;
    bool headless;                      /* the first record is damaged, and the footer missing: first_prev is unknown */
    struct kt_trailer trailer;
    struct kt_toc *summary;
};

static int load_summary(kt_ring *ring, int fd, struct found *f, const uint8_t *tail, uint64_t tail_at)
{
    const struct kt_trailer *t = &f->trailer;
    const uint64_t at = t->footer_offset + (uint64_t)t->n_entries * KT_ENTRY_SIZE;
    if (at >= tail_at)
        return kt_toc_decode_summary(&f->summary, t, tail + (at - tail_at));
    const uint64_t size = kt_summary_size(t->n_stretches, t->n_inits);
    kt_cleanup(kt_freep) uint8_t *summary = malloc(size + 1);
    if (!summary)
        return -ENOMEM;
    const int ret = kt_io_read(ring->io, fd, summary, size, at);
    return ret < 0 ? ret : kt_toc_decode_summary(&f->summary, t, summary);
}

/* -EBADMSG and -EINVAL: there is no valid footer of this ring. */
static int read_footer(kt_ring *ring, int fd, struct found *f)
{
    const uint64_t slab = ring->meta.slab_bytes;
    const size_t n = slab < SUMMARY_GUESS ? (size_t)slab : SUMMARY_GUESS;
    kt_cleanup(kt_freep) uint8_t *tail = malloc(SUMMARY_GUESS);
    if (!tail)
        return -ENOMEM;
    int ret = kt_io_read(ring->io, fd, tail, n, slab - n);
    if (ret == 0)
        ret = kt_trailer_decode(&f->trailer, tail + n - KT_PAGE, slab);
    if (ret == 0 && memcmp(f->trailer.uuid, ring->meta.uuid, KT_UUID_SIZE) != 0)
        ret = -EINVAL;
    if (ret == 0)
        ret = load_summary(ring, fd, f, tail, slab - n);
    return ret;
}

/* -EIO when neither end of the file can be read: it may be the newest, and to go on
 * without it would write the same record numbers twice. */
static int examine(kt_ring *ring, uint32_t file, int fd, struct found *f)
{
    struct kt_header h = { .slab_seq = 0 };
    bool whole;
    const int begin = kt_scan_first(ring->io, fd, ring->meta.slab_bytes, ring->meta.uuid, &h, &whole);
    const int footer = read_footer(ring, fd, f);
    if (footer == -ENOMEM || (begin == -EIO && footer == -EIO))
        return footer;
    if (begin == -ENOMEM)
        return begin;
    const uint64_t n = ring->meta.slab_count;
    if (begin == -EXDEV) {
        /* Somebody's footage, perhaps the only copy. */
        ring->ix->slabs[file].unusable = true;
        kt_warn("ring", "%s: slab file %" PRIu32 " belongs to another ring: it is left as it is and not "
                "used until it is moved away", ring->name, file);
        return 0;
    }
    if (begin == 0 && h.slab_seq % n == file) {
        f->slab_seq = h.slab_seq;
        f->first_seq = whole ? h.seq : h.seq - 1;
        f->commit = h.commit;
        f->headless = !whole;
        memcpy(f->first_prev, h.prev, KT_HASH_SIZE);
    }
    /* The footer of an older life says nothing; that of a slab whose first
     * header is damaged says everything. */
    f->has_footer = footer == 0 && f->trailer.slab_seq % n == file &&
                    f->trailer.slab_seq >= f->slab_seq;
    if (!f->has_footer)
        return 0;
    f->headless = false;
    f->slab_seq = f->trailer.slab_seq;
    f->first_seq = f->trailer.first_seq;
    f->commit = f->trailer.commit;
    memcpy(f->first_prev, f->trailer.first_prev, KT_HASH_SIZE);
    return 0;
}

/* A missing or short file is made anew, so that its space is ours again. */
static int repair_file(kt_ring *ring, uint32_t file)
{
    kt_warn("ring", "%s: slab file %" PRIu32 " was missing or had the wrong size", ring->name, file);
    if (ring->read_only)
        return -EROFS;
    char name[KT_SLAB_NAME_SIZE];
    kt_slab_name(name, file);
    const int fd = kt_io_open(ring->io, ring->dir_fd, name, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    const int ret = ring->io->claim(ring->io->user, fd, ring->meta.slab_bytes);
    ring->io->close(ring->io->user, fd);
    return ret;
}

static int examine_file(kt_ring *ring, uint32_t file, struct found *f)
{
    int fd = kt_ring_open_slab(ring, file, O_RDONLY);
    const bool whole = fd >= 0 && ring->io->size(ring->io->user, fd) >= (int64_t)ring->meta.slab_bytes;
    if (!whole && (fd >= 0 || fd == -ENOENT)) {
        const int ret = repair_file(ring, file);
        if (ret < 0)
            ring->ix->slabs[file].unusable = true;
        if (ret < 0 && !ring->read_only)
            kt_warn("ring", "%s: slab file %" PRIu32 ": %s: left out", ring->name, file,
                    kt_strerror(ret));
        if (fd < 0 && ret == 0)
            fd = kt_ring_open_slab(ring, file, O_RDONLY);
    }
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    const int ret = examine(ring, file, fd, f);
    ring->io->close(ring->io->user, fd);
    return ret;
}

/* ---- into the index ---- */

static int take_streams(kt_ring *ring, const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, p += KT_STREAM_DEF_SIZE) {
        struct kt_stream_def def;
        if (kt_stream_def_decode(&def, p) < 0)
            continue;
        const int ret = kt_index_add_stream(ring->ix, def.number, def.name);
        if (ret == -ENOMEM)
            return ret;
    }
    return 0;
}

static int take_names(kt_ring *ring, int fd, const struct kt_header *h, uint64_t offset)
{
    kt_cleanup(kt_freep) uint8_t *payload = malloc((size_t)h->size + 1);
    if (!payload)
        return -ENOMEM;
    int ret = kt_scan_payload(ring->io, fd, h, offset, payload);
    if (ret < 0)
        return ret == -ENOMEM ? ret : 0;
    if (h->type == KT_TYPE_STREAM)
        return h->size == KT_STREAM_DEF_SIZE ? take_streams(ring, payload, 1) : 0;
    struct kt_slab_begin b;
    if (h->type != KT_TYPE_SLAB || kt_slab_begin_decode(&b, payload, h->size) < 0)
        return 0;
    return take_streams(ring, payload + KT_SLAB_BEGIN_SIZE, b.n_streams);
}

static int take_erase(kt_ring *ring, int fd, uint64_t slab_seq, uint64_t offset)
{
    uint8_t bytes[KT_HEADER_SIZE];
    struct kt_header h;
    if (kt_io_read(ring->io, fd, bytes, sizeof(bytes), offset) < 0 ||
        kt_header_decode(&h, bytes) < 0 || h.type != KT_TYPE_ERASE || h.slab_seq != slab_seq)
        return 0;
    kt_cleanup(kt_freep) uint8_t *payload = malloc((size_t)h.size + 1);
    kt_cleanup(kt_freep) struct kt_seq_range *ranges =
        calloc(h.size / KT_SEQ_RANGE_SIZE + 1, sizeof(*ranges));
    if (!payload || !ranges)
        return -ENOMEM;
    if (kt_scan_payload(ring->io, fd, &h, offset, payload) < 0)
        return 0;
    const size_t n = kt_seq_ranges_decode(ranges, payload, h.size);
    const struct kt_erased e = { .from_us = h.start_us, .to_us = h.end_us, .ranges = ranges, .n = n,
                                 .slab_seq = slab_seq };
    if (!(h.flags & KT_ERASE_DONE))
        return kt_index_put_erased(ring->ix, h.stream, &e);
    struct kt_index_stream *st = kt_index_stream_of(ring->ix, h.stream);
    for (size_t i = 0; st && i < st->n_erased; i++)
        st->erased[i].done |= st->erased[i].from_us == e.from_us && st->erased[i].to_us == e.to_us;
    return 0;
}

/* All stretches and init segments of TOC, and the erasures it names. */
static int take_toc(kt_ring *ring, int fd, const struct kt_toc *toc)
{
    int ret = 0;
    for (size_t i = 0; i < toc->n_stretches && ret == 0; i++) {
        const struct kt_stretch *s = &toc->stretches[i];
        ret = s->kind == KT_STRETCH_ERASE ? take_erase(ring, fd, toc->slab_seq, s->run)
                                          : kt_index_put(ring->ix, toc->slab_seq, s, false);
    }
    for (size_t i = 0; i < toc->n_inits && ret == 0; i++)
        ret = kt_index_put_init(ring->ix, toc->slab_seq, &toc->inits[i], NULL);
    return ret;
}

static int build_toc(const struct kt_scan *scan, uint64_t slab_seq, struct kt_toc **out)
{
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    int ret = kt_toc_create(&toc, slab_seq);
    for (size_t i = 0; i < scan->n && ret == 0; i++) {
        const struct kt_stretch *stretch;
        bool grown;
        if (scan->items[i].state != KT_SCAN_HOLE)
            ret = kt_toc_add(toc, &scan->items[i].h, scan->items[i].offset, &stretch, &grown);
    }
    if (ret == 0)
        *out = kt_steal_ptr(&toc);
    return ret;
}

static void describe_slab(struct kt_slab *slab, const struct found *f, const struct kt_toc *toc)
{
    slab->slab_seq = f->slab_seq;
    slab->first_seq = f->first_seq;
    memcpy(slab->first_prev, f->first_prev, KT_HASH_SIZE);
    slab->oldest_us = toc->oldest_us;
    slab->newest_us = toc->newest_us;
}

/* A slab without a footer: its records themselves. */
static int take_scanned(kt_ring *ring, int fd, struct kt_scan *scan, const struct found *f)
{
    struct kt_slab *slab = &ring->ix->slabs[f->slab_seq % ring->meta.slab_count];
    int ret = kt_scan_slab(scan);
    if (ret == 0)
        ret = build_toc(scan, f->slab_seq, &slab->toc);
    for (size_t i = 0; i < scan->n && ret == 0; i++) {
        const struct kt_header *h = &scan->items[i].h;
        if (scan->items[i].state == KT_SCAN_HOLE)
            atomic_fetch_add(&ring->count.corrupt, 1);
        else if (h->type == KT_TYPE_SLAB || h->type == KT_TYPE_STREAM)
            ret = take_names(ring, fd, h, scan->items[i].offset);
    }
    if (ret < 0)
        return ret;
    describe_slab(slab, f, slab->toc);
    if (scan->n > 0) {
        slab->last_seq = scan->items[scan->n - 1].h.seq;
        memcpy(slab->head, scan->items[scan->n - 1].h.hash, KT_HASH_SIZE);
    }
    return take_toc(ring, fd, slab->toc);
}

static int take_sealed(kt_ring *ring, int fd, const struct found *f)
{
    struct kt_slab *slab = &ring->ix->slabs[f->slab_seq % ring->meta.slab_count];
    describe_slab(slab, f, f->summary);
    slab->sealed = true;
    slab->last_seq = f->trailer.last_seq;
    memcpy(slab->head, f->trailer.head, KT_HASH_SIZE);
    return take_toc(ring, fd, f->summary);
}

/* The newest slab's table names all streams: read those of the others only
 * where a stream is missing, which is never. */
static int take_stream_table(kt_ring *ring, int fd)
{
    struct kt_header h;
    bool whole;
    const int ret = kt_scan_first(ring->io, fd, ring->meta.slab_bytes, ring->meta.uuid, &h, &whole);
    if (ret < 0 || !whole)
        return ret == -ENOMEM ? ret : 0;
    return take_names(ring, fd, &h, 0);
}

/* The first commit of the newest slab was torn: it never happened. The life it
 * was about to overwrite is gone all the same, and must be accounted for. */
static int forget_torn_slab(kt_ring *ring, const struct found *f)
{
    struct kt_writer *w = &ring->w;
    struct kt_slab *slab = &ring->ix->slabs[f->slab_seq % ring->meta.slab_count];
    const struct kt_trailer *t = &f->trailer;
    kt_toc_unref(&slab->toc);
    *slab = (struct kt_slab){ .slab_seq = 0 };
    w->slab_seq = f->slab_seq - 1;
    w->seq = f->first_seq - 1;
    memcpy(w->head, f->first_prev, KT_HASH_SIZE);
    if (t->slab_seq == 0 || t->slab_seq >= f->slab_seq)
        return 0;
    if (kt_vec_room(&w->recycled, w->n_recycled, &w->cap_recycled) < 0)
        return -ENOMEM;
    struct kt_slab *old = &w->recycled[w->n_recycled++];
    *old = (struct kt_slab){ .slab_seq = t->slab_seq, .first_seq = t->first_seq,
                             .last_seq = t->last_seq, .oldest_us = t->oldest_us,
                             .newest_us = t->newest_us };
    memcpy(old->first_prev, t->first_prev, KT_HASH_SIZE);
    memcpy(old->head, t->head, KT_HASH_SIZE);
    return 0;
}

/* One bad place on a disk costs what is there. A disk of which nothing can be read
 * any more is gone: opening it must fail, not begin anew behind what it holds. */
static int disk_answers(kt_ring *ring)
{
    uint8_t page[KT_PAGE];
    if (ring->lock_fd < 0)
        return 0;                       /* a tool that reads what it can */
    return kt_io_read(ring->io, ring->lock_fd, page, sizeof(page), 0);
}

/* A torn commit may leave bytes where its last good record's padding must be. */
static int clear_padding(kt_ring *ring, int fd, const struct kt_scan *scan)
{
    static const uint8_t zeros[KT_PAGE];
    uint8_t pad[KT_PAGE];
    const struct kt_scan_item *last = &scan->items[scan->n - 1];
    const uint64_t at = last->offset + KT_HEADER_SIZE + last->h.size;
    const size_t n = (size_t)(scan->end - at);
    if (n == 0 || n > sizeof(pad))
        return 0;
    const int ret = kt_io_read(ring->io, fd, pad, n, at);
    if (ret < 0 || memcmp(pad, zeros, n) == 0)
        return ret;
    return kt_io_write_buf(ring->io, fd, zeros, n, at);
}

/* The writer goes on behind the newest slab, or in it. Takes FD over when it is
 * to be written on. */
static int place_writer(kt_ring *ring, int *fd, const struct found *f, const struct kt_scan *scan)
{
    struct kt_writer *w = &ring->w;
    w->commit = f->commit > scan->last_commit ? f->commit : scan->last_commit;
    if (scan->n == 0 && !f->has_footer)
        return forget_torn_slab(ring, f);
    const struct kt_slab *slab = kt_index_slab(ring->ix, f->slab_seq);
    w->slab_seq = w->durable_slab = f->slab_seq;
    w->seq = slab->last_seq;
    memcpy(w->head, slab->head, KT_HASH_SIZE);
    if (f->has_footer || ring->read_only || scan->unreadable)
        return 0;
    w->toc = kt_toc_ref(slab->toc);
    w->pos = scan->end;
    w->fd = *fd;
    *fd = -1;
    w->unsigned_records = scan->items[scan->n - 1].h.type != KT_TYPE_HEAD;
    const int ret = clear_padding(ring, w->fd, scan);
    if (ret < 0)
        return ret;
    return ring->io->fdatasync(ring->io->user, w->fd);  /* what was read is on disk, not in a cache */
}

static int take_stream_records(kt_ring *ring, int fd, struct kt_scan *scan)
{
    int ret = kt_scan_slab(scan);
    for (size_t i = 0; i < scan->n && ret == 0; i++)
        if (scan->items[i].state == KT_SCAN_GOOD && scan->items[i].h.type == KT_TYPE_STREAM)
            ret = take_names(ring, fd, &scan->items[i].h, scan->items[i].offset);
    return ret;
}

/* A footer is synced with the last commit of its slab. It counts when that commit does: in the newest slab
 * when it is whole, and the footer itself, of which only a part was looked at yet. */
static int check_newest_footer(kt_ring *ring, int fd, struct found *f, struct kt_scan scan)
{
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    int ret = kt_ring_read_footer(ring, fd, f->slab_seq, &toc);
    if (ret == 0)
        ret = kt_scan_slab(&scan);
    if (ret == 0 && (scan.n == 0 || scan.items[scan.n - 1].h.seq != f->trailer.last_seq ||
                     memcmp(scan.items[scan.n - 1].h.hash, f->trailer.head, KT_HASH_SIZE) != 0))
        ret = -EBADMSG;
    kt_scan_free(&scan);
    if (ret == -EBADMSG || ret == -ESTALE)
        f->has_footer = false;
    return ret == -EBADMSG || ret == -ESTALE ? 0 : ret;
}

/* In an older slab the last commit counts when the next slab goes on from it; when its sync failed, that
 * begins with the same number. */
static bool is_behind(const struct found *f, const struct found *next)
{
    const struct kt_trailer *t = &f->trailer;
    return t->last_seq >= next->first_seq || (t->last_seq + 1 == next->first_seq && !next->headless &&
                                              memcmp(t->head, next->first_prev, KT_HASH_SIZE) != 0);
}

/* In the newest slab damage and a seal that was cut short look alike, but for a few bits. */
static int count_flipped_footer(kt_ring *ring, const struct kt_scan *scan, uint64_t slab_seq)
{
    bool flipped;
    const int ret = kt_check_newest_footer(scan, &flipped);
    if (ret == 0 && flipped && kt_ring_note_bad(ring, slab_seq, ring->meta.slab_bytes - KT_PAGE))
        kt_error_log("ring", "%s: damage on disk: the footer of slab %" PRIu64 ": its records say what was in it",
                     ring->name, slab_seq);
    return ret == -EIO ? 0 : ret;
}

static int take_slab(kt_ring *ring, struct found *f, const struct found *next)
{
    const bool newest = !next;
    int fd = kt_ring_open_slab(ring, f->slab_seq, newest && !ring->read_only ? O_RDWR : O_RDONLY);
    if (fd < 0)
        return fd;
    struct kt_scan scan = {
        .io = ring->io, .fd = fd, .slab_bytes = ring->meta.slab_bytes, .uuid = ring->meta.uuid,
        .slab_seq = f->slab_seq, .bounded = next, .max_seq = next ? next->first_seq - 1 : 0,
    };
    int ret = 0;
    if (newest && f->has_footer)
        ret = check_newest_footer(ring, fd, f, scan);
    else if (f->has_footer && is_behind(f, next))
        f->has_footer = false;
    if (ret == 0)
        ret = f->has_footer ? take_sealed(ring, fd, f) : take_scanned(ring, fd, &scan, f);
    if (ret == 0 && newest && f->has_footer)
        ret = take_stream_records(ring, fd, &scan);     /* no later table has them */
    else if (ret == 0 && newest)
        ret = count_flipped_footer(ring, &scan, f->slab_seq);
    if (ret == 0 && newest && scan.unreadable)
        ret = disk_answers(ring);
    if (ret == 0 && newest)
        ret = place_writer(ring, &fd, f, &scan);
    if (fd >= 0)
        ring->io->close(ring->io->user, fd);
    if (scan.torn > 0 && newest)
        kt_info("ring", "%s: %zu records that were being written at the end were dropped",
                ring->name, scan.torn);
    kt_scan_free(&scan);
    return ret;
}

static int by_life(const void *a, const void *b)
{
    const struct found *const *x = a, *const *y = b;
    return (*x)->slab_seq < (*y)->slab_seq ? -1 : (*x)->slab_seq > (*y)->slab_seq;
}

/* Names first, newest slab first: later ones know more. */
static int take_all_names(kt_ring *ring, struct found **order, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        const int fd = kt_ring_open_slab(ring, order[i]->slab_seq, O_RDONLY);
        if (fd < 0)
            continue;
        const int ret = take_stream_table(ring, fd);
        ring->io->close(ring->io->user, fd);
        if (ret < 0)
            return ret;
        if (ring->ix->streams[0])
            return 0;
    }
    return 0;
}

static int take_all(kt_ring *ring, struct found *found, uint32_t n_files)
{
    kt_cleanup(kt_freep) struct found **order = calloc((size_t)n_files + 1, sizeof(*order));
    if (!order)
        return -ENOMEM;
    size_t n = 0;
    for (uint32_t i = 0; i < n_files; i++)
        if (found[i].slab_seq > 0)
            order[n++] = &found[i];
    qsort(order, n, sizeof(*order), by_life);
    int ret = take_all_names(ring, order, n);
    for (size_t i = 0; i < n && ret == 0; i++) {
        if (order[i]->headless && i > 0)
            memcpy(order[i]->first_prev, kt_index_slab(ring->ix, order[i - 1]->slab_seq)->head, KT_HASH_SIZE);
        ret = take_slab(ring, order[i], i + 1 < n ? order[i + 1] : NULL);
    }
    return ret;
}

/* Say which files were recorded into and hold nothing any more. */
static void tell_of_emptied(kt_ring *ring, const struct found *found, uint32_t n)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < n; i++)
        newest = found[i].slab_seq > newest ? found[i].slab_seq : newest;
    for (uint32_t i = 0; i < n; i++) {
        const bool recorded = newest >= n || (i > 0 && i < newest);
        if (found[i].slab_seq > 0 || ring->ix->slabs[i].unusable || !recorded)
            continue;
        atomic_fetch_add(&ring->count.corrupt, 1);
        kt_warn("ring", "%s: slab file %" PRIu32 ": nothing readable is left of what was recorded there",
                ring->name, i);
    }
}

int kt_slabs_load(kt_ring *ring, struct kt_error *err)
{
    const uint32_t n = ring->meta.slab_count;
    kt_cleanup(kt_freep) struct found *found = calloc(n, sizeof(*found));
    if (!found)
        return -ENOMEM;
    int ret = 0;
    for (uint32_t i = 0; i < n && ret == 0; i++)
        ret = examine_file(ring, i, &found[i]);
    if (ret == 0)
        tell_of_emptied(ring, found, n);
    if (ret == 0)
        ret = take_all(ring, found, n);
    for (uint32_t i = 0; i < n; i++)
        kt_toc_unref(&found[i].summary);
    if (ret < 0)
        return kt_error_set(err, ret, "ring %s: the index cannot be rebuilt: %s", ring->name,
                            kt_strerror(ret));
    return 0;
}

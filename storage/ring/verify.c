#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "storage/ring/check.h"
#include "storage/ring/meta.h"
#include "storage/ring/ring_private.h"
#include "storage/ring/vec.h"

struct life {                           /* one slab file */
    uint64_t slab_seq, first_seq;
    uint32_t file;
};

struct damage {                         /* a bad payload that an erasure may explain */
    uint64_t slab_seq, seq, offset;
    uint32_t stream;
};

struct recycling {
    uint64_t slab_seq, last_seq;
    uint8_t head[KT_HASH_SIZE];
};

struct walk {
    struct kt_verify *v;
    struct kt_meta meta;
    int dir_fd;
    struct life *lives;
    size_t n_lives;
    struct damage *damage;
    size_t n_damage, cap_damage;
    struct recycling *recycled;
    size_t n_recycled, cap_recycled;
    struct kt_erased *erased;           /* from_us: the stream */
    size_t n_erased, cap_erased;
    uint64_t done;
    uint64_t last_seq, last_slab;       /* of the slab before */
    uint8_t head[KT_HASH_SIZE];
    uint8_t oldest_prev[KT_HASH_SIZE];  /* what the oldest record is chained to */
    bool oldest_known;
    uint8_t key[KT_HASH_SIZE];
    bool has_key;
};

static void problem(struct walk *w, const char *fmt, ...) kt_printf(2, 3);

static void problem(struct walk *w, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (w->v->problems++ == 0)
        memcpy(w->v->first_problem, line, sizeof(line));
    if (w->v->bad)
        w->v->bad(w->v->user, line);
}

static void on_bad(void *user, uint64_t slab_seq, uint64_t seq, uint64_t offset, const char *what)
{
    struct walk *w = user;
    char name[KT_SLAB_NAME_SIZE];
    kt_slab_name(name, (uint32_t)(slab_seq % w->meta.slab_count));
    if (seq > 0)
        problem(w, "record %" PRIu64 " (%s, byte %" PRIu64 "): %s", seq, name, offset, what);
    else
        problem(w, "%s, byte %" PRIu64 ": %s", name, offset, what);
}

static bool on_pace(void *user, size_t bytes)
{
    struct walk *w = user;
    w->done += bytes;
    if (w->v->progress)
        w->v->progress(w->v->user, w->done, (uint64_t)w->n_lives * w->meta.slab_bytes);
    return true;
}

/* ---- which slabs there are ---- */

static int open_slab(const struct walk *w, uint32_t file)
{
    char name[KT_SLAB_NAME_SIZE];
    kt_slab_name(name, file);
    return kt_io_open(&kt_ring_io_system, w->dir_fd, name, O_RDONLY);
}

static int look_at(struct walk *w, uint32_t file, int fd)
{
    uint8_t bytes[KT_PAGE];
    struct kt_header h;
    bool whole;
    struct kt_trailer t = { .slab_seq = 0 };
    struct life life = { .file = file };
    const struct kt_ring_io *io = &kt_ring_io_system;
    if (io->size(io->user, fd) != (int64_t)w->meta.slab_bytes) {
        problem(w, "slab file %u has the wrong size", file);
        return 0;
    }
    const int begins = kt_scan_first(io, fd, w->meta.slab_bytes, w->meta.uuid, &h, &whole);
    if (begins == -ENOMEM)
        return begins;
    if (begins == -EXDEV) {
        problem(w, "slab file %u belongs to another ring", file);
        return 0;
    }
    if (kt_io_read(io, fd, bytes, KT_PAGE, w->meta.slab_bytes - KT_PAGE) < 0 ||
        kt_trailer_decode(&t, bytes, w->meta.slab_bytes) < 0 ||
        memcmp(t.uuid, w->meta.uuid, KT_UUID_SIZE) != 0)
        t.slab_seq = 0;
    if (begins == 0 && (whole || h.slab_seq > t.slab_seq)) {
        life.slab_seq = h.slab_seq;
        life.first_seq = whole ? h.seq : h.seq - 1;
    } else if (t.slab_seq > 0) {
        life.slab_seq = t.slab_seq;
        life.first_seq = t.first_seq;
    } else {
        return 0;                       /* never written */
    }
    if (life.slab_seq % w->meta.slab_count != file)
        problem(w, "slab file %u is in the wrong place", file);
    else
        w->lives[w->n_lives++] = life;
    return 0;
}

static int by_life(const void *a, const void *b)
{
    const struct life *x = a, *y = b;
    return x->slab_seq < y->slab_seq ? -1 : x->slab_seq > y->slab_seq;
}

static int find_lives(struct walk *w)
{
    w->lives = calloc(w->meta.slab_count, sizeof(*w->lives));
    if (!w->lives)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->meta.slab_count; i++) {
        kt_cleanup(kt_closep) int fd = open_slab(w, i);
        if (fd < 0)
            problem(w, "slab file %u: %s", i, kt_strerror(fd));
        else if (look_at(w, i, fd) < 0)
            return -ENOMEM;
    }
    qsort(w->lives, w->n_lives, sizeof(*w->lives), by_life);
    return 0;
}

/* ---- one slab ---- */

static int note_recycling(struct walk *w, const struct kt_slab_begin *b)
{
    if (b->recycled_seq == 0)
        return 0;
    if (kt_vec_room(&w->recycled, w->n_recycled, &w->cap_recycled) < 0)
        return -ENOMEM;
    struct recycling *r = &w->recycled[w->n_recycled++];
    *r = (struct recycling){ .slab_seq = b->recycled_seq, .last_seq = b->recycled_last };
    memcpy(r->head, b->recycled_head, KT_HASH_SIZE);
    w->v->recycled++;
    return 0;
}

static int note_erased(struct walk *w, const struct kt_header *h, const uint8_t *payload)
{
    if (kt_vec_room(&w->erased, w->n_erased, &w->cap_erased) < 0)
        return -ENOMEM;
    struct kt_erased *e = &w->erased[w->n_erased];
    *e = (struct kt_erased){ .from_us = h->stream };
    e->ranges = calloc(h->size / KT_SEQ_RANGE_SIZE + 1, sizeof(*e->ranges));
    if (!e->ranges)
        return -ENOMEM;
    e->n = kt_seq_ranges_decode(e->ranges, payload, h->size);
    w->n_erased++;
    return 0;
}

static int take_record(struct walk *w, const struct kt_slab_check *c, const struct kt_scan_item *item)
{
    struct kt_verify *v = w->v;
    v->records++;
    v->bytes += item->h.size;
    if (item->h.type == KT_TYPE_MEDIA) {
        if (v->oldest_us == 0 || item->h.start_us < v->oldest_us)
            v->oldest_us = item->h.start_us;
        if (item->h.end_us > v->newest_us)
            v->newest_us = item->h.end_us;
    }
    if (item->state == KT_SCAN_BAD_PAYLOAD) {
        if (kt_vec_room(&w->damage, w->n_damage, &w->cap_damage) < 0)
            return -ENOMEM;
        w->damage[w->n_damage++] = (struct damage){ .slab_seq = item->h.slab_seq, .seq = item->h.seq,
                                                    .offset = item->offset, .stream = item->h.stream };
        return 0;
    }
    if (item->h.type != KT_TYPE_ERASE && item->h.type != KT_TYPE_RECYCLED)
        return 0;
    kt_cleanup(kt_freep) uint8_t *payload = malloc((size_t)item->h.size + 1);
    struct kt_slab_begin b;
    if (!payload)
        return -ENOMEM;
    if (kt_scan_payload(c->scan.io, c->scan.fd, &item->h, item->offset, payload) < 0)
        return 0;
    if (item->h.type == KT_TYPE_ERASE)
        return note_erased(w, &item->h, payload);
    return kt_slab_begin_decode(&b, payload, item->h.size) == 0 ? note_recycling(w, &b) : 0;
}

/* Is what came before this slab accounted for? */
static void check_link(struct walk *w, const struct life *life, const struct kt_slab_check *c,
                       bool first)
{
    const struct kt_header *h = &c->scan.items[0].h;
    const bool whole = c->scan.items[0].state != KT_SCAN_HOLE;
    if (first) {
        w->v->first_seq = life->first_seq;
        w->v->from_the_start = life->first_seq == 1;
        w->oldest_known = whole;
        memcpy(w->oldest_prev, h->prev, KT_HASH_SIZE);
        return;                         /* see check_oldest() */
    }
    if (!whole)
        return;                         /* told already */
    if (h->seq != w->last_seq + 1)
        problem(w, "records %" PRIu64 " to %" PRIu64 " are missing (between slabs %" PRIu64 " and %"
                PRIu64 ")", w->last_seq + 1, h->seq - 1, w->last_slab, life->slab_seq);
    else if (memcmp(h->prev, w->head, KT_HASH_SIZE) != 0)
        problem(w, "record %" PRIu64 ": the chain is broken between slabs %" PRIu64 " and %" PRIu64,
                h->seq, w->last_slab, life->slab_seq);
}

static int check_life(struct walk *w, size_t i)
{
    const struct life *life = &w->lives[i];
    kt_cleanup(kt_closep) int fd = open_slab(w, life->file);
    if (fd < 0)
        return fd;
    struct kt_slab_check c = {
        .scan = { .io = &kt_ring_io_system, .fd = fd, .slab_bytes = w->meta.slab_bytes,
                  .uuid = w->meta.uuid, .slab_seq = life->slab_seq, .pace = on_pace, .pace_user = w,
                  .bounded = i + 1 < w->n_lives,
                  .max_seq = i + 1 < w->n_lives ? w->lives[i + 1].first_seq - 1 : 0 },
        .user = w, .bad = on_bad, .key = w->has_key ? w->key : NULL, .quiet_payloads = true,
    };
    int ret = kt_slab_check(&c);
    if (ret == 0 && c.scan.n > 0) {
        check_link(w, life, &c, i == 0);
        for (size_t k = 0; k < c.scan.n && ret == 0; k++)
            if (c.scan.items[k].state != KT_SCAN_HOLE)
                ret = take_record(w, &c, &c.scan.items[k]);
        w->last_seq = c.scan.items[c.scan.n - 1].h.seq;
        w->last_slab = life->slab_seq;
        memcpy(w->head, c.scan.items[c.scan.n - 1].h.hash, KT_HASH_SIZE);
        if (c.begin_ok && ret == 0)
            ret = note_recycling(w, &c.begin);
    }
    if (c.begin_ok && !w->has_key) {    /* one ring, one key */
        memcpy(w->key, c.fingerprint, KT_HASH_SIZE);
        w->has_key = true;
    }
    w->v->slabs++;
    w->v->heads += c.heads;
    if (c.heads > 0) {
        w->v->signed_seq = c.signed_seq;
        w->v->signed_us = c.signed_us;
    }
    kt_scan_free(&c.scan);
    w->done = (uint64_t)(i + 1) * w->meta.slab_bytes;
    return ret;
}

/* ---- the whole ---- */

static bool is_erased(const struct walk *w, const struct damage *d)
{
    for (size_t i = 0; i < w->n_erased; i++)
        for (size_t k = 0; k < w->erased[i].n; k++)
            if (w->erased[i].from_us == d->stream && d->seq >= w->erased[i].ranges[k].first &&
                d->seq <= w->erased[i].ranges[k].last)
                return true;
    return false;
}

static void judge_damage(struct walk *w)
{
    for (size_t i = 0; i < w->n_damage; i++) {
        const struct damage *d = &w->damage[i];
        if (is_erased(w, d))
            w->v->erased++;
        else
            on_bad(w, d->slab_seq, d->seq, d->offset, "its content is damaged");
    }
}

/* The records before the oldest must have been overwritten by the ring itself. */
static void check_oldest(struct walk *w)
{
    if (w->v->from_the_start || w->v->records == 0 || !w->oldest_known)
        return;
    for (size_t i = 0; i < w->n_recycled; i++)
        if (w->recycled[i].last_seq + 1 == w->v->first_seq &&
            memcmp(w->recycled[i].head, w->oldest_prev, KT_HASH_SIZE) == 0)
            return;
    problem(w, "the records before %" PRIu64 " are gone, and the ring does not say that it "
            "overwrote them", w->v->first_seq);
}

static void free_walk(struct walk *w)
{
    for (size_t i = 0; i < w->n_erased; i++)
        free(w->erased[i].ranges);
    free(w->erased);
    free(w->damage);
    free(w->recycled);
    free(w->lives);
    kt_closep(&w->dir_fd);
}

static int open_ring(struct walk *w, const char *path, struct kt_error *err)
{
    w->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->dir_fd < 0)
        return kt_error_set(err, -errno, "%s: %s", path, kt_strerror(-errno));
    kt_cleanup(kt_closep) int fd = kt_io_open(&kt_ring_io_system, w->dir_fd, KT_META_NAME, O_RDONLY);
    int ret = fd < 0 ? fd : kt_meta_read(&kt_ring_io_system, fd, &w->meta);
    if (ret == -ENOENT || ret == -EBADMSG) {
        struct kt_error why = { "" };
        const char *what = ret == -ENOENT ? "missing" : "damaged";
        ret = kt_meta_from_slabs(&kt_ring_io_system, w->dir_fd, &w->meta, &why);
        if (ret < 0)
            return kt_error_set(err, ret, "%s: there is no ring: " KT_META_NAME " is %s, and %s", path, what,
                                why.text[0] ? why.text : kt_strerror(ret));
        problem(w, KT_META_NAME " is %s: what must be in it was taken from the slabs", what);
    }
    return ret < 0 ? kt_error_set(err, ret, "%s/" KT_META_NAME ": %s", path,
                                  ret == -ENOTSUP ? "of another version" : kt_strerror(ret)) : 0;
}

int kt_ring_verify(const char *path, struct kt_verify *v, struct kt_error *err)
{
    struct walk w = { .v = v, .dir_fd = -1 };
    if (v->fingerprint) {
        if (kt_unhex(w.key, KT_HASH_SIZE, v->fingerprint) < 0)
            return kt_error_set(err, -EINVAL, "'%s' is no fingerprint", v->fingerprint);
        w.has_key = true;
    }
    int ret = open_ring(&w, path, err);
    if (ret == 0) {
        ret = find_lives(&w);
        for (size_t i = 0; i < w.n_lives && ret == 0; i++)
            ret = check_life(&w, i);
        if (ret < 0)
            kt_error_set(err, ret, "%s: %s", path, kt_strerror(ret));
    }
    if (ret == 0) {
        judge_damage(&w);
        check_oldest(&w);
        v->last_seq = w.last_seq;
        if (w.has_key)
            kt_hex(v->key, w.key, KT_HASH_SIZE);
    }
    free_walk(&w);
    return ret;
}

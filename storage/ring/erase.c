#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "storage/ring/ring_private.h"

#define WAIT_US (60 * KT_SECOND_US)
#define ZEROS (256u << 10)

static int by_seq(const void *a, const void *b)
{
    const struct kt_record *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* ---- what goes ---- */

static int64_t earliest(const struct kt_record *recs, size_t n)
{
    int64_t t = recs[0].start_us;
    for (size_t i = 1; i < n; i++)
        t = recs[i].start_us < t ? recs[i].start_us : t;
    return t;
}

static int64_t latest(const struct kt_record *recs, size_t n)
{
    int64_t t = recs[0].end_us;
    for (size_t i = 1; i < n; i++)
        t = recs[i].end_us > t ? recs[i].end_us : t;
    return t;
}

/* RECS is in the order of the log. */
static int make_erased(const struct kt_record *recs, size_t n, struct kt_erased *e)
{
    *e = (struct kt_erased){ .from_us = earliest(recs, n), .to_us = latest(recs, n) };
    e->ranges = calloc(n, sizeof(*e->ranges));
    if (!e->ranges)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (e->n > 0 && recs[i].seq == e->ranges[e->n - 1].last + 1)
            e->ranges[e->n - 1].last = recs[i].seq;
        else
            e->ranges[e->n++] = (struct kt_seq_range){ recs[i].seq, recs[i].seq };
    }
    return 0;
}

/* ---- saying so ---- */

static int write_erase(kt_ring *ring, uint32_t stream, const struct kt_erased *e, uint32_t flags)
{
    struct kt_raw *raw = NULL;
    uint64_t ticket;
    int ret = kt_raw_create(&raw, NULL, KT_TYPE_ERASE, stream, e->n * KT_SEQ_RANGE_SIZE);
    if (ret < 0)
        return ret;
    raw->h.start_us = e->from_us;
    raw->h.end_us = e->to_us;
    raw->h.flags = flags;
    kt_seq_ranges_encode(raw->payload, e->ranges, e->n);
    ret = kt_ring_push_raw(ring, &raw, &ticket);
    return ret < 0 ? ret : kt_ring_wait(ring, ticket, WAIT_US);
}

/* Hide first, then write, then wipe: nobody is served half of it. */
static int announce(kt_ring *ring, uint32_t stream, const struct kt_erased *e)
{
    pthread_rwlock_wrlock(&ring->ix->lock);
    int ret = kt_index_put_erased(ring->ix, stream, e);
    pthread_rwlock_unlock(&ring->ix->lock);
    if (ret == 0)
        ret = write_erase(ring, stream, e, 0);
    if (ret < 0) {
        pthread_rwlock_wrlock(&ring->ix->lock);
        kt_index_drop_unwritten(ring->ix, stream);
        pthread_rwlock_unlock(&ring->ix->lock);
    }
    return ret;
}

/* ---- wiping ---- */

/* The read lock keeps the writer from giving the slab another life meanwhile. */
static int wipe_record(kt_ring *ring, int fd, const struct kt_record *rec, const uint8_t *zeros)
{
    int ret = 0;
    for (uint64_t at = 0; at < rec->size && ret == 0; at += ZEROS) {
        const size_t n = rec->size - at < ZEROS ? (size_t)(rec->size - at) : ZEROS;
        pthread_rwlock_rdlock(&ring->ix->lock);
        if (kt_index_slab(ring->ix, rec->slab_seq))
            ret = kt_io_write_buf(ring->io, fd, zeros, n, rec->offset + at);
        pthread_rwlock_unlock(&ring->ix->lock);
    }
    return ret;
}

/* Records of one slab, from I on; *NEXT is the first of another. */
static int wipe_slab(kt_ring *ring, const struct kt_record *recs, size_t n, size_t i,
                     const uint8_t *zeros, size_t *next)
{
    const uint64_t slab_seq = recs[i].slab_seq;
    const int fd = kt_ring_open_slab(ring, slab_seq, O_RDWR);
    int ret = fd < 0 ? fd : 0;
    for (; i < n && recs[i].slab_seq == slab_seq; i++)
        if (ret == 0)
            ret = wipe_record(ring, fd, &recs[i], zeros);
    *next = i;
    if (ret == 0)
        ret = ring->io->fdatasync(ring->io->user, fd);
    if (fd >= 0)
        ring->io->close(ring->io->user, fd);
    return ret;
}

static int wipe(kt_ring *ring, const struct kt_record *recs, size_t n)
{
    kt_cleanup(kt_freep) uint8_t *zeros = calloc(1, ZEROS);
    int ret = zeros ? 0 : -ENOMEM;
    for (size_t i = 0; i < n && ret == 0;)
        ret = wipe_slab(ring, recs, n, i, zeros, &i);
    return ret;
}

/* ---- public ---- */

static int erase_locked(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    size_t n = 0;
    int ret = kt_ring_flush(ring, WAIT_US);
    if (ret == 0)
        ret = kt_ring_query_bytes(ring, stream, from_us, to_us, false, &recs, &n);
    if (ret < 0 || n == 0)
        return ret;
    if (n > ring->max_record / KT_SEQ_RANGE_SIZE || n > INT32_MAX)
        return -E2BIG;
    qsort(recs, n, sizeof(*recs), by_seq);
    struct kt_erased e;
    ret = make_erased(recs, n, &e);
    if (ret == 0)
        ret = announce(ring, stream, &e);
    if (ret == 0)
        ret = wipe(ring, recs, n);
    if (ret == 0)
        ret = write_erase(ring, stream, &e, KT_ERASE_DONE);
    free(e.ranges);
    return ret < 0 ? ret : (int)n;
}

int kt_ring_erase(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us)
{
    if (ring->read_only)
        return -EROFS;
    if (to_us <= from_us)
        return -EINVAL;
    pthread_mutex_lock(&ring->erase_lock);
    const int ret = erase_locked(ring, stream, from_us, to_us);
    pthread_mutex_unlock(&ring->erase_lock);
    return ret;
}

/* ---- after a power cut ---- */

static int finish(kt_ring *ring, uint32_t stream, const struct kt_erased *e)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    size_t n = 0;
    int ret = kt_ring_query_bytes(ring, stream, e->from_us, e->to_us, true, &recs, &n);
    if (ret == 0 && n > 0)
        qsort(recs, n, sizeof(*recs), by_seq);
    if (ret == 0)
        ret = wipe(ring, recs, n);
    return ret == 0 ? write_erase(ring, stream, e, KT_ERASE_DONE) : ret;
}

/* A copy of the first erasure of STREAM that was not finished: the writer runs, and may drop it. 1, or 0 when none. */
static int first_unfinished(kt_ring *ring, uint32_t stream, struct kt_erased *out)
{
    int ret = 0;
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_index_stream *st = kt_index_stream_of(ring->ix, stream);
    for (size_t i = 0; st && i < st->n_erased && ret == 0; i++) {
        if (st->erased[i].done)
            continue;
        *out = st->erased[i];
        out->ranges = calloc(out->n + 1, sizeof(*out->ranges));
        ret = out->ranges ? 1 : -ENOMEM;
        if (ret > 0)
            memcpy(out->ranges, st->erased[i].ranges, out->n * sizeof(*out->ranges));
    }
    pthread_rwlock_unlock(&ring->ix->lock);
    return ret;
}

static void mark_finished(kt_ring *ring, uint32_t stream, const struct kt_erased *e)
{
    pthread_rwlock_wrlock(&ring->ix->lock);
    struct kt_index_stream *st = kt_index_stream_of(ring->ix, stream);
    for (size_t i = 0; i < st->n_erased; i++) {
        struct kt_erased *x = &st->erased[i];
        x->done |= x->slab_seq == e->slab_seq && x->from_us == e->from_us && x->to_us == e->to_us;
    }
    pthread_rwlock_unlock(&ring->ix->lock);
}

static int finish_stream(kt_ring *ring, uint32_t stream)
{
    struct kt_erased e;
    int ret;
    while ((ret = first_unfinished(ring, stream, &e)) > 0) {
        ret = finish(ring, stream, &e);
        free(e.ranges);
        if (ret < 0)
            break;
        mark_finished(ring, stream, &e);
    }
    return ret;
}

int kt_erase_finish(kt_ring *ring)
{
    int ret = 0;
    for (uint32_t s = 0; s < KT_MAX_STREAMS && ret == 0; s++)
        ret = finish_stream(ring, s);
    return ret;
}

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/log.h"
#include "storage/ring/commit.h"
#include "storage/ring/drafts.h"
#include "storage/ring/vec.h"

#define HEAD_INTERVAL_US (60 * KT_SECOND_US)
#define COMMIT_MAX (16u << 20)          /* bytes; a backlog is written in several commits */
#define SEAL_ROOM_MAX (1u << 20)
#define MAX_FAILURES 3                  /* slabs in a row, then the ring has failed */
#define RETRY_US (5 * KT_SECOND_US)
#define RATE_SECONDS 120.0

/* ---- state that others see ---- */

static void set_state(kt_ring *ring, enum kt_ring_state state, int error)
{
    pthread_mutex_lock(&ring->lock);
    const bool changed = ring->state != state;
    ring->state = state;
    ring->why[0] = '\0';
    if (state != KT_RING_OK)
        snprintf(ring->why, sizeof(ring->why), "the disk does not take data: %s", kt_strerror(error));
    pthread_cond_broadcast(&ring->done);
    pthread_mutex_unlock(&ring->lock);
    if (!changed)
        return;
    if (state == KT_RING_OK)
        kt_info("ring", "%s: recording again", ring->name);
    else
        kt_error_log("ring", "%s: NOT RECORDING: %s", ring->name, ring->why);
}

/* ---- signed heads ---- */

static int add_head(struct kt_commit *c)
{
    kt_ring *ring = c->ring;
    uint8_t payload[KT_HEAD_MAX];
    size_t sig_size;
    struct kt_head head = { .seq = c->seq, .written_us = kt_clock_wall_us() };
    memcpy(head.uuid, ring->meta.uuid, KT_UUID_SIZE);
    memcpy(head.hash, c->head, KT_HASH_SIZE);
    memcpy(head.key, kt_key_fingerprint(ring->key), KT_HASH_SIZE);
    kt_head_encode(payload, &head);
    const int ret = kt_key_sign(ring->key, payload, KT_HEAD_SIGNED, payload + KT_HEAD_SIGNED + 2,
                                &sig_size);
    if (ret < 0)
        return ret;
    payload[KT_HEAD_SIGNED] = (uint8_t)sig_size;
    payload[KT_HEAD_SIGNED + 1] = (uint8_t)(sig_size >> 8);
    struct kt_header h = { .type = KT_TYPE_HEAD, .stream = KT_ALL_STREAMS,
                           .size = (uint32_t)(KT_HEAD_SIGNED + 2 + sig_size) };
    struct iovec iov = { .iov_base = kt_commit_keep(c, payload, h.size), .iov_len = h.size };
    if (!iov.iov_base)
        return -ENOMEM;
    return kt_commit_add(c, &h, &(struct kt_pieces){ &iov, 1 }, NULL);
}

/* ---- slabs ---- */

static void free_footer(struct kt_footer *footer)
{
    free(footer->bytes);
}

static void leave_slab(kt_ring *ring)
{
    struct kt_writer *w = &ring->w;
    if (w->fd >= 0)
        ring->io->close(ring->io->user, w->fd);
    w->fd = -1;
    kt_toc_unref(&w->toc);
}

/* The next file in turn gets a new life; what it held is gone from here on. */
static int take_next_slab(kt_ring *ring)
{
    struct kt_writer *w = &ring->w;
    struct kt_index *ix = ring->ix;
    struct kt_slab *slab = NULL;
    uint64_t life = w->slab_seq;
    for (uint32_t i = 0; i < ix->n_slabs && !slab; i++)
        if (!ix->slabs[++life % ix->n_slabs].unusable)
            slab = &ix->slabs[life % ix->n_slabs];
    if (!slab)
        return -ENODEV;
    if (kt_vec_room(&w->recycled, w->n_recycled, &w->cap_recycled) < 0)
        return -ENOMEM;
    const int ret = kt_toc_create(&w->toc, life);
    if (ret < 0)
        return ret;
    pthread_rwlock_wrlock(&ix->lock);
    if (slab->last_seq > 0)
        w->recycled[w->n_recycled++] = *slab;
    kt_index_drop(ix, slab->slab_seq);
    *slab = (struct kt_slab){ .slab_seq = life, .first_seq = w->seq + 1, .toc = kt_toc_ref(w->toc) };
    memcpy(slab->first_prev, w->head, KT_HASH_SIZE);
    pthread_rwlock_unlock(&ix->lock);
    w->slab_seq = life;
    w->pos = 0;
    return 0;
}

static uint32_t encode_streams(kt_ring *ring, uint8_t *out)
{
    uint32_t n = 0;
    pthread_rwlock_rdlock(&ring->ix->lock);
    for (uint32_t i = 0; i < KT_MAX_STREAMS; i++) {
        const struct kt_index_stream *st = ring->ix->streams[i];
        if (!st)
            continue;
        struct kt_stream_def def = { .number = i };
        memcpy(def.name, st->name, sizeof(def.name));
        kt_stream_def_encode(out + (size_t)n++ * KT_STREAM_DEF_SIZE, &def);
    }
    pthread_rwlock_unlock(&ring->ix->lock);
    return n;
}

/* A SLAB or RECYCLED record; OLD, which may be NULL, is the life that went. */
static int add_slab_record(struct kt_commit *c, enum kt_record_type type, const struct kt_slab *old)
{
    kt_ring *ring = c->ring;
    const struct kt_writer *w = &ring->w;
    struct kt_slab_begin b = {
        .index = (uint32_t)(w->slab_seq % ring->meta.slab_count), .count = ring->meta.slab_count,
        .slab_bytes = ring->meta.slab_bytes, .prev_slab_seq = w->durable_slab,
    };
    if (old) {
        b.recycled_seq = old->slab_seq;
        b.recycled_first = old->first_seq;
        b.recycled_last = old->last_seq;
        b.recycled_from_us = old->oldest_us;
        b.recycled_to_us = old->newest_us;
        memcpy(b.recycled_prev, old->first_prev, KT_HASH_SIZE);
        memcpy(b.recycled_head, old->head, KT_HASH_SIZE);
    }
    size_t key_size;
    const uint8_t *der = kt_key_der(ring->key, &key_size);
    memcpy(b.key_der, der, key_size);
    b.key_size = (uint32_t)key_size;
    uint8_t *payload = kt_commit_keep(c, NULL, KT_SLAB_BEGIN_SIZE + KT_MAX_STREAMS * KT_STREAM_DEF_SIZE);
    if (!payload)
        return -ENOMEM;
    if (type == KT_TYPE_SLAB)
        b.n_streams = encode_streams(ring, payload + KT_SLAB_BEGIN_SIZE);
    kt_slab_begin_encode(payload, &b);
    struct kt_header h = { .type = (uint16_t)type, .stream = KT_ALL_STREAMS,
                           .size = KT_SLAB_BEGIN_SIZE + b.n_streams * KT_STREAM_DEF_SIZE };
    struct iovec iov = { .iov_base = payload, .iov_len = h.size };
    return kt_commit_add(c, &h, &(struct kt_pieces){ &iov, 1 }, NULL);
}

static int begin_slab(struct kt_commit *c)
{
    kt_ring *ring = c->ring;
    struct kt_writer *w = &ring->w;
    /* After failures that were no one slab's fault: the same one again, so that
     * a disk that takes nothing does not cost a slab of old footage per try. */
    if (w->failures > MAX_FAILURES)
        w->slab_seq--;
    int ret = take_next_slab(ring);
    if (ret < 0)
        return ret;
    w->fd = kt_ring_open_slab(ring, w->slab_seq, O_RDWR);
    if (w->fd < 0)
        return w->fd;
    kt_commit_new_file(w);
    kt_commit_reset(c);
    const size_t n = w->n_recycled;
    ret = add_slab_record(c, KT_TYPE_SLAB, n > 0 ? &w->recycled[n - 1] : NULL);
    for (size_t i = 0; ret == 0 && i + 1 < n; i++)
        ret = add_slab_record(c, KT_TYPE_RECYCLED, &w->recycled[i]);
    return ret;
}

/* ---- failure ---- */

static void note_lost(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us)
{
    struct kt_raw *raw = NULL;
    for (size_t i = ring->w.lost.n; i-- > 0;) {
        struct kt_header *h = &ring->w.lost.a[i].raw->h;
        if (h->stream == stream && h->type == KT_TYPE_GAP && from_us <= h->end_us + KT_SECOND_US / 2) {
            h->end_us = to_us > h->end_us ? to_us : h->end_us;
            return;
        }
    }
    if (kt_raw_create(&raw, NULL, KT_TYPE_GAP, stream, 0) < 0)
        return;
    raw->h.start_us = from_us;
    raw->h.end_us = to_us;
    raw->h.run = KT_GAP_DISK_ERROR;
    const struct kt_item item = { .stream = stream, .raw = raw };
    if (kt_item_list_push(&ring->w.lost, &item) < 0)
        kt_raw_free(&raw);
}

/* What was in this commit is lost: say so, and go on in the next slab. */
static void commit_failed(struct kt_commit *c, int error)
{
    kt_ring *ring = c->ring;
    struct kt_writer *w = &ring->w;
    for (size_t i = 0; i < c->n_records; i++)
        if (c->records[i].h.type == KT_TYPE_MEDIA || c->records[i].h.type == KT_TYPE_GAP)
            note_lost(ring, c->records[i].h.stream, c->records[i].h.start_us,
                      c->records[i].h.end_us);
    kt_error_log("ring", "%s: a second of video is lost: slab %" PRIu64 ": %s", ring->name,
                 w->slab_seq, kt_strerror(error));
    atomic_fetch_add(&ring->count.lost_intervals, 1);
    pthread_mutex_lock(&ring->lock);
    ring->lost++;
    ring->lost_ticket = w->batch_ticket;
    pthread_mutex_unlock(&ring->lock);
    kt_commit_reset(c);
    leave_slab(ring);
    if (++w->failures >= MAX_FAILURES) {
        w->retry_at_us = kt_clock_mono_us() + RETRY_US;
        set_state(ring, KT_RING_FAILED, error);
    }
}

static int write_commit(struct kt_commit *c, struct kt_footer *footer)
{
    const int ret = kt_commit_write(c, footer);
    if (ret < 0) {
        commit_failed(c, ret);
        return ret;
    }
    c->ring->w.n_recycled = 0;
    if (c->ring->w.failures > 0) {
        c->ring->w.failures = 0;
        set_state(c->ring, KT_RING_OK, 0);
    }
    return 0;
}

static int finish_commit(struct kt_commit *c)
{
    return c->n_records > 0 ? write_commit(c, NULL) : 0;
}

static void mark_sealed(kt_ring *ring)
{
    pthread_rwlock_wrlock(&ring->ix->lock);
    struct kt_slab *slab = kt_index_slab(ring->ix, ring->w.slab_seq);
    slab->sealed = true;
    kt_toc_unref(&slab->toc);
    pthread_rwlock_unlock(&ring->ix->lock);
    /* Hardly anybody asks for it soon: leave the memory to what is read again. */
    (void)posix_fadvise(ring->w.fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* The last commit of the slab, with its signed head and its footer: one sync for all. Without
 * the footer the slab's toc stays in memory, and the next start scans the slab. */
static void seal(struct kt_commit *c)
{
    struct kt_writer *w = &c->ring->w;
    kt_cleanup(free_footer) struct kt_footer footer = { .size = 0 };
    /* After a cut in the middle of sealing, a second head may find no room. */
    const bool sign = (w->unsigned_records || c->n_records > 0) && kt_commit_fits(c, 0, 0);
    const bool headed = sign && add_head(c) == 0;
    const bool footed = kt_commit_footer(c, &footer) == 0;
    if (write_commit(c, footed ? &footer : NULL) < 0)
        return;
    if (headed) {
        w->unsigned_records = false;
        w->last_head_us = kt_clock_mono_us();
    }
    if (footer.written)
        mark_sealed(c->ring);
    leave_slab(c->ring);
}

/* ---- records ---- */

static int ensure_slab(struct kt_commit *c)
{
    if (c->ring->w.fd >= 0)
        return 0;
    const int ret = begin_slab(c);
    if (ret < 0)
        commit_failed(c, ret);
    return ret;
}

static int add_init(struct kt_commit *c, struct kt_init *init)
{
    struct kt_header h = { .type = KT_TYPE_INIT, .stream = KT_ALL_STREAMS,
                           .size = (uint32_t)(KT_INIT_PREFIX + init->size) };
    memcpy(h.init, init->hash, KT_HASH_SIZE);
    uint8_t *payload = kt_commit_keep(c, NULL, h.size);
    if (!payload)
        return -ENOMEM;
    kt_init_prefix_encode(payload, init);
    memcpy(payload + KT_INIT_PREFIX, init->data, init->size);
    struct iovec iov = { .iov_base = payload, .iov_len = h.size };
    return kt_commit_add(c, &h, &(struct kt_pieces){ &iov, 1 }, init);
}

static int add_draft(struct kt_commit *c, struct kt_draft *d)
{
    int ret = 0;
    if (d->init && !kt_commit_has_init(c, d->init->hash))
        ret = add_init(c, d->init);
    if (ret == 0)
        ret = kt_commit_add(c, &d->h, &(struct kt_pieces){ d->iov, d->n }, NULL);
    return ret;
}

static void put_draft(struct kt_commit *c, struct kt_draft *d)
{
    kt_ring *ring = c->ring;
    const uint64_t size = d->h.size + (d->init ? KT_INIT_PREFIX + d->init->size : 0);
    if (size > ring->max_record + (64u << 10) || ensure_slab(c) < 0)
        goto lost;
    if (!kt_commit_fits(c, size, 2)) {
        seal(c);
        if (ensure_slab(c) < 0)
            goto lost;
    }
    if (!kt_commit_fits(c, size, 2))
        goto lost;
    if (add_draft(c, d) < 0) {
        commit_failed(c, -ENOMEM);      /* its layout is no longer whole */
        goto lost;
    }
    if (c->bytes >= COMMIT_MAX)
        (void)finish_commit(c);
    return;
lost:
    if (d->h.type == KT_TYPE_MEDIA || d->h.type == KT_TYPE_GAP)
        note_lost(ring, d->h.stream, d->h.start_us, d->h.end_us);
}

/* Gaps for what was lost before. Those that get lost again are noted again. */
static void put_lost(struct kt_commit *c)
{
    struct kt_item_list lost = c->ring->w.lost;
    struct kt_drafts drafts;
    c->ring->w.lost = (struct kt_item_list){ .n = 0 };
    if (lost.n > 0 && ensure_slab(c) == 0 && kt_drafts_make(&drafts, &lost, INT64_MAX / 2, 0) == 0) {
        for (size_t i = 0; i < drafts.n; i++)
            put_draft(c, &drafts.a[i]);
        kt_drafts_free(&drafts);
        kt_item_list_clear(&lost);
        return;
    }
    for (size_t i = 0; i < lost.n; i++)
        note_lost(c->ring, lost.a[i].stream, lost.a[i].raw->h.start_us, lost.a[i].raw->h.end_us);
    kt_item_list_clear(&lost);
}

static void maybe_head(struct kt_commit *c, bool now)
{
    struct kt_writer *w = &c->ring->w;
    const int64_t mono = kt_clock_mono_us();
    const bool due = now ? w->unsigned_records || c->n_records > 0
                         : c->n_records > 0 && mono - w->last_head_us >= HEAD_INTERVAL_US;
    if (!due || w->fd < 0 || !kt_commit_fits(c, KT_HEAD_MAX, 1) || add_head(c) < 0)
        return;
    w->last_head_us = mono;
    w->unsigned_records = false;
}

static void update_durable(kt_ring *ring, const struct kt_drafts *drafts)
{
    int64_t min = 0;
    for (size_t i = 0; i < drafts->n; i++) {
        const struct kt_header *h = &drafts->a[i].h;
        if (h->type != KT_TYPE_MEDIA)
            continue;
        int64_t end = h->end_us;
        for (size_t k = i + 1; k < drafts->n; k++)
            if (drafts->a[k].h.stream == h->stream && drafts->a[k].h.end_us > end)
                end = drafts->a[k].h.end_us;
        if (min == 0 || end < min)
            min = end;
    }
    if (min > 0)
        atomic_store(&ring->count.durable_us, min);
}

static void update_rate(kt_ring *ring, uint64_t bytes)
{
    struct kt_writer *w = &ring->w;
    const int64_t now = kt_clock_mono_us();
    const double dt = (double)(now - w->rate_since_us) / KT_SECOND_US;
    if (w->rate_since_us > 0 && dt > 0.001) {
        const double part = dt < RATE_SECONDS ? dt / RATE_SECONDS : 1;
        const double rate = (double)bytes / dt;
        w->rate = w->rate > 0 ? w->rate + (rate - w->rate) * part : rate;
        atomic_store(&ring->count.rate, w->rate);
    }
    w->rate_since_us = now;
}

/* A slab with less room than this is full. */
static uint64_t seal_room(const kt_ring *ring)
{
    const uint64_t room = ring->meta.slab_bytes / 64;
    return room < SEAL_ROOM_MAX ? room : SEAL_ROOM_MAX;
}

/* Commit when so much waits: a commit that ends where the slab ends is not cut in two. */
static size_t enough(const kt_ring *ring)
{
    const struct kt_writer *w = &ring->w;
    const size_t most = ring->queue_bytes / 2 < COMMIT_MAX ? ring->queue_bytes / 2 : COMMIT_MAX;
    if (w->fd < 0)
        return most;
    const uint64_t taken = w->pos + kt_toc_footer_space(w->toc) + seal_room(ring) * 3 / 4;
    const uint64_t room = taken < ring->meta.slab_bytes ? ring->meta.slab_bytes - taken : 0;
    return room < most ? (size_t)room : most;
}

static void commit_items(kt_ring *ring, const struct kt_item_list *items, bool last)
{
    struct kt_commit c;
    struct kt_drafts drafts;
    const uint64_t lost = ring->count.lost_intervals;
    kt_commit_begin(&c, ring);
    if (kt_drafts_make(&drafts, items, ring->commit_interval_us, ring->max_record) < 0)
        kt_error_log("ring", "%s: out of memory, video is lost", ring->name);
    const bool synced = kt_clock_synchronised(NULL);
    if (ring->w.failures > 0)
        (void)ensure_slab(&c);
    put_lost(&c);
    for (size_t i = 0; i < drafts.n; i++) {
        if (drafts.a[i].h.type == KT_TYPE_MEDIA && !synced)
            drafts.a[i].h.flags |= KT_RECORD_CLOCK_UNSYNCED;
        put_draft(&c, &drafts.a[i]);
    }
    /* Another commit for the little room that is left would be one more sync. */
    const bool full = ring->w.fd >= 0 && c.n_records > 0 && !kt_commit_fits(&c, seal_room(ring), 1);
    if (full)
        seal(&c);
    else
        maybe_head(&c, last);
    if (finish_commit(&c) == 0 && ring->count.lost_intervals == lost)
        update_durable(ring, &drafts);
    kt_commit_free(&c);
    kt_drafts_free(&drafts);
    update_rate(ring, items->bytes);
}

/* ---- the thread ---- */

/* With the lock held: wait until there is something to do. */
static void wait_for_work(kt_ring *ring, int64_t next_us)
{
    ring->wake_bytes = enough(ring);
    while (!ring->stopping) {
        const int64_t now = kt_clock_mono_us();
        const bool retry = ring->state != KT_RING_OK;
        const int64_t due = retry ? ring->w.retry_at_us : next_us;
        const bool much = ring->queue.bytes >= ring->wake_bytes;
        if (now >= due && (ring->queue.n > 0 || retry))
            return;
        if (!retry && (ring->flush || (ring->queue.n > 0 && much)))
            return;
        if (ring->queue.n == 0 && !retry) {
            pthread_cond_wait(&ring->wake, &ring->lock);
        } else {
            const struct timespec at = kt_clock_deadline(due - now);
            pthread_cond_timedwait(&ring->wake, &ring->lock, &at);
        }
    }
}

static void *run(void *arg)
{
    kt_ring *ring = arg;
    int64_t next_us = 0;
    bool stop = false;
    (void)pthread_setname_np(pthread_self(), "kt-ring");
    if (ring->w.fd >= 0)
        kt_commit_new_file(&ring->w);
    while (!stop) {
        pthread_mutex_lock(&ring->lock);
        wait_for_work(ring, next_us);
        stop = ring->stopping;
        const uint64_t sign = ring->sign_asked;
        ring->flush = false;
        struct kt_item_list items = ring->queue;
        const uint64_t taken = ring->taken;
        ring->queue = (struct kt_item_list){ .n = 0 };
        ring->in_flight = items.bytes;
        pthread_mutex_unlock(&ring->lock);

        ring->w.batch_ticket = taken;
        next_us = kt_clock_mono_us() + ring->commit_interval_us;
        commit_items(ring, &items, stop || sign > ring->sign_done);     /* ours alone to change */
        kt_item_list_clear(&items);

        pthread_mutex_lock(&ring->lock);
        ring->in_flight = 0;
        ring->finished = taken;
        ring->sign_done = sign;
        pthread_cond_broadcast(&ring->done);
        pthread_mutex_unlock(&ring->lock);
    }
    leave_slab(ring);
    return NULL;
}

int kt_writer_start(kt_ring *ring)
{
    ring->w.last_head_us = kt_clock_mono_us();
    const int ret = -pthread_create(&ring->thread, NULL, run, ring);
    ring->thread_started = ret == 0;
    return ret;
}

void kt_writer_stop(kt_ring *ring)
{
    if (!ring->thread_started)
        return;
    kt_ring_end_refusals(ring);
    pthread_mutex_lock(&ring->lock);
    ring->stopping = true;
    pthread_cond_signal(&ring->wake);
    pthread_mutex_unlock(&ring->lock);
    pthread_join(ring->thread, NULL);
    ring->thread_started = false;
    kt_item_list_clear(&ring->w.lost);
    free(ring->w.recycled);
    free(ring->w.block);
}

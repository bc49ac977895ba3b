#include "storage/ring/ring_private.h"

#include <errno.h>
#include <string.h>

#include "storage/ring/vec.h"

#define MAX_ITEMS (1u << 18)
#define COPY_WAIT_US (5 * KT_SECOND_US)

int kt_item_list_push(struct kt_item_list *list, const struct kt_item *item)
{
    if (kt_vec_room(&list->a, list->n, &list->cap) < 0)
        return -ENOMEM;
    list->a[list->n++] = *item;
    list->bytes += item->chunk ? item->chunk->size : item->raw->h.size;
    return 0;
}

void kt_item_list_clear(struct kt_item_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        kt_chunk_unref(&list->a[i].chunk);
        kt_raw_free(&list->a[i].raw);
    }
    free(list->a);
    *list = (struct kt_item_list){ .n = 0 };
}

int kt_raw_create(struct kt_raw **out, kt_pool *pool, enum kt_record_type type, uint32_t stream, size_t payload)
{
    if (payload > KT_MAX_PAYLOAD)
        return -EMSGSIZE;
    struct kt_raw *raw = kt_pool_take(pool, sizeof(*raw) + payload);
    if (!raw)
        return -ENOMEM;
    *raw = (struct kt_raw){ .h = { .type = (uint16_t)type, .stream = stream, .size = (uint32_t)payload } };
    *out = raw;
    return 0;
}

void kt_raw_free(struct kt_raw **praw)
{
    struct kt_raw *raw = kt_steal_ptr(praw);
    if (!raw)
        return;
    kt_init_unref(&raw->init);
    kt_pool_give(raw);
}

/* ---- under the lock ---- */

static int push_locked(kt_ring *ring, const struct kt_item *item)
{
    const int ret = kt_item_list_push(&ring->queue, item);
    if (ret < 0)
        return ret;
    ring->taken++;
    if (ring->queue.n == 1 || ring->queue.bytes >= ring->wake_bytes)
        pthread_cond_signal(&ring->wake);
    return 0;
}

static int push_gap_locked(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                           enum kt_gap_reason reason)
{
    struct kt_raw *raw = NULL;
    int ret = kt_raw_create(&raw, NULL, KT_TYPE_GAP, stream, 0);
    if (ret < 0)
        return ret;
    raw->h.start_us = from_us;
    raw->h.end_us = to_us;
    raw->h.run = (uint64_t)reason;
    const struct kt_item item = { .stream = stream, .raw = raw };
    ret = push_locked(ring, &item);
    if (ret < 0)
        kt_raw_free(&raw);
    return ret;
}

static void refuse_locked(kt_ring *ring, uint32_t stream, const struct kt_chunk *chunk,
                          enum kt_gap_reason why)
{
    struct kt_intake *in = &ring->intake[stream];
    if (in->refusing == KT_GAP_NONE) {
        in->refusing = why;
        in->refused_from_us = chunk->wall_us;
        in->refused_to_us = chunk->wall_us;
    }
    const int64_t end = chunk->wall_us + (int64_t)chunk->duration_90k * 100 / 9;
    if (end > in->refused_to_us)
        in->refused_to_us = end;
    atomic_fetch_add(&ring->count.dropped_chunks, 1);
}

static void end_refusal_locked(kt_ring *ring, uint32_t stream, int64_t to_us)
{
    struct kt_intake *in = &ring->intake[stream];
    const enum kt_gap_reason why = in->refusing;
    in->refusing = KT_GAP_NONE;
    if (why != KT_GAP_NONE && to_us > in->refused_from_us &&
        push_gap_locked(ring, stream, in->refused_from_us, to_us, why) < 0)
        in->refusing = why;             /* no memory: still refusing */
}

static bool is_full(const kt_ring *ring, size_t more)
{
    const size_t bytes = ring->queue.bytes + ring->in_flight;
    return ring->queue.n >= MAX_ITEMS || (bytes > 0 && bytes + more > ring->queue_bytes);
}

static int take_locked(kt_ring *ring, uint32_t stream, struct kt_chunk *chunk)
{
    const bool key = (chunk->flags & (KT_CHUNK_KEY | KT_CHUNK_AUDIO)) == KT_CHUNK_KEY;
    struct kt_intake *in = &ring->intake[stream];
    if (ring->state != KT_RING_OK) {
        refuse_locked(ring, stream, chunk, KT_GAP_DISK_ERROR);
        return -EIO;
    }
    if (chunk->size > ring->max_record) {
        refuse_locked(ring, stream, chunk, KT_GAP_BAD_STREAM);
        return -EMSGSIZE;
    }
    if (is_full(ring, chunk->size) || (in->refusing != KT_GAP_NONE && !key)) {
        refuse_locked(ring, stream, chunk, KT_GAP_DISK_STALL);
        return -EAGAIN;
    }
    if (in->refusing != KT_GAP_NONE)
        end_refusal_locked(ring, stream, chunk->wall_us);
    const struct kt_item item = { .stream = stream, .chunk = kt_chunk_ref(chunk) };
    const int ret = push_locked(ring, &item);
    if (ret < 0) {
        kt_chunk_unref(&(struct kt_chunk *){ chunk });
        refuse_locked(ring, stream, chunk, KT_GAP_DISK_STALL);
        return -EAGAIN;
    }
    return 0;
}

/* ---- public ---- */

static bool stream_known(kt_ring *ring, uint32_t stream)
{
    pthread_rwlock_rdlock(&ring->ix->lock);
    const bool known = stream < KT_MAX_STREAMS && ring->ix->streams[stream];
    pthread_rwlock_unlock(&ring->ix->lock);
    return known;
}

int kt_ring_append(kt_ring *ring, uint32_t stream, struct kt_chunk *chunk)
{
    if (ring->read_only || chunk->size == 0 || !stream_known(ring, stream))
        return -EINVAL;
    pthread_mutex_lock(&ring->lock);
    const int ret = take_locked(ring, stream, chunk);
    pthread_mutex_unlock(&ring->lock);
    return ret;
}

int kt_ring_gap(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                enum kt_gap_reason reason)
{
    if (ring->read_only || !stream_known(ring, stream) || to_us <= from_us ||
        reason == KT_GAP_NONE)
        return -EINVAL;
    pthread_mutex_lock(&ring->lock);
    const int ret = ring->queue.n >= MAX_ITEMS
                    ? -EAGAIN : push_gap_locked(ring, stream, from_us, to_us, reason);
    pthread_mutex_unlock(&ring->lock);
    return ret;
}

int kt_ring_push_raw(kt_ring *ring, struct kt_raw **raw, uint64_t *ticket)
{
    const struct kt_item item = { .stream = (*raw)->h.stream, .raw = *raw };
    pthread_mutex_lock(&ring->lock);
    int ret = ring->state == KT_RING_OK ? push_locked(ring, &item) : -EIO;
    if (ret == 0 && ticket)
        *ticket = ring->taken;
    pthread_mutex_unlock(&ring->lock);
    if (ret == 0)
        *raw = NULL;
    else
        kt_raw_free(raw);
    return ret;
}

/* Queue RAW, waiting for room. Takes it only when it returns 0. */
static int push_waiting(kt_ring *ring, struct kt_raw *raw)
{
    const struct timespec deadline = kt_clock_deadline(COPY_WAIT_US);
    const struct kt_item item = { .stream = raw->h.stream, .raw = raw };
    int ret = 0;
    pthread_mutex_lock(&ring->lock);
    while (ret == 0 && is_full(ring, raw->h.size) && ring->state == KT_RING_OK)
        ret = -pthread_cond_timedwait(&ring->done, &ring->lock, &deadline);
    if (ring->state != KT_RING_OK)
        ret = -EIO;
    else
        ret = ret < 0 ? -EAGAIN : push_locked(ring, &item);
    pthread_mutex_unlock(&ring->lock);
    return ret;
}

int kt_ring_copy_record(kt_ring *ring, uint32_t stream, kt_ring *from, const struct kt_record *rec)
{
    if (ring->read_only || !stream_known(ring, stream) || rec->size == 0)
        return -EINVAL;
    if (rec->size > ring->max_record)
        return -EMSGSIZE;
    kt_cleanup(kt_raw_free) struct kt_raw *raw = NULL;
    int ret = kt_raw_create(&raw, ring->pool, KT_TYPE_MEDIA, stream, rec->size);
    if (ret < 0)
        return ret;
    ret = kt_ring_read(from, rec, raw->payload);
    if (ret == 0)
        ret = kt_ring_init(from, rec->init, &raw->init);
    if (ret < 0)
        return ret;
    raw->h.run = rec->run;
    raw->h.start_us = rec->start_us;
    raw->h.end_us = rec->end_us;
    raw->h.dts_90k = rec->dts_90k;
    raw->h.duration_90k = rec->duration_90k;
    raw->h.frames = rec->frames;
    raw->h.chunks = rec->chunks;
    raw->h.flags = rec->flags;
    ret = push_waiting(ring, raw);
    if (ret == 0)
        raw = NULL;
    return ret;
}

int kt_ring_wait(kt_ring *ring, uint64_t ticket, int64_t timeout_us)
{
    const struct timespec deadline = kt_clock_deadline(timeout_us);
    int ret = 0;
    pthread_mutex_lock(&ring->lock);
    while (ring->finished < ticket && ret == 0) {
        if (ring->state != KT_RING_OK) {
            ret = -EIO;
            break;
        }
        ring->flush = true;
        pthread_cond_signal(&ring->wake);
        ret = -pthread_cond_timedwait(&ring->done, &ring->lock, &deadline);
    }
    if (ring->finished >= ticket)
        ret = (ticket > 0 && ring->lost_ticket >= ticket) || ring->state != KT_RING_OK ? -EIO : 0;
    pthread_mutex_unlock(&ring->lock);
    return ret;
}

int kt_ring_flush(kt_ring *ring, int64_t timeout_us)
{
    pthread_mutex_lock(&ring->lock);
    const uint64_t ticket = ring->taken;
    pthread_mutex_unlock(&ring->lock);
    int ret = kt_ring_wait(ring, ticket, timeout_us);
    pthread_mutex_lock(&ring->lock);
    if (ret == 0 && ring->lost != ring->lost_told)
        ret = -EIO;
    ring->lost_told = ring->lost;
    pthread_mutex_unlock(&ring->lock);
    return ret;
}

void kt_ring_end_refusals(kt_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    for (uint32_t i = 0; i < KT_MAX_STREAMS; i++)
        if (ring->intake[i].refusing != KT_GAP_NONE)
            end_refusal_locked(ring, i, ring->intake[i].refused_to_us);
    pthread_mutex_unlock(&ring->lock);
}

/* ---- streams ---- */

int kt_ring_find_stream(kt_ring *ring, const char *name, uint32_t *stream)
{
    int ret = -ENOENT;
    pthread_rwlock_rdlock(&ring->ix->lock);
    for (uint32_t i = 0; i < KT_MAX_STREAMS && ret < 0; i++) {
        if (ring->ix->streams[i] && strcmp(ring->ix->streams[i]->name, name) == 0) {
            *stream = i;
            ret = 0;
        }
    }
    pthread_rwlock_unlock(&ring->ix->lock);
    return ret;
}

uint64_t kt_ring_last_run(kt_ring *ring, uint32_t stream)
{
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_index_stream *st = stream < KT_MAX_STREAMS ? ring->ix->streams[stream] : NULL;
    const uint64_t run = st ? st->last_run : 0;
    pthread_rwlock_unlock(&ring->ix->lock);
    return run;
}

/* Number of a new stream NAME, or of the one that another thread just made. */
static int add_stream(kt_ring *ring, const char *name, uint32_t *stream, bool *made)
{
    int ret = -ENOSPC;
    pthread_rwlock_wrlock(&ring->ix->lock);
    for (uint32_t i = 0; i < KT_MAX_STREAMS && ret == -ENOSPC; i++) {
        const struct kt_index_stream *st = ring->ix->streams[i];
        *made = !st;
        if (!st)
            ret = kt_index_add_stream(ring->ix, i, name);
        else if (strcmp(st->name, name) == 0)
            ret = 0;
        *stream = i;
    }
    pthread_rwlock_unlock(&ring->ix->lock);
    return ret;
}

int kt_ring_stream(kt_ring *ring, const char *name, uint32_t *stream)
{
    if (kt_ring_find_stream(ring, name, stream) == 0)
        return 0;
    if (ring->read_only)
        return -EROFS;
    if (name[0] == '\0' || strlen(name) > KT_STREAM_NAME_MAX)
        return -EINVAL;
    bool made;
    int ret = add_stream(ring, name, stream, &made);
    if (ret < 0 || !made)
        return ret;
    /* Should this not get through, the table at the start of the next slab has it. */
    struct kt_raw *raw = NULL;
    struct kt_stream_def def = { .number = *stream };
    strcpy(def.name, name);
    if (kt_raw_create(&raw, NULL, KT_TYPE_STREAM, *stream, KT_STREAM_DEF_SIZE) == 0) {
        kt_stream_def_encode(raw->payload, &def);
        (void)!kt_ring_push_raw(ring, &raw, NULL);
    }
    return 0;
}

int kt_ring_streams(kt_ring *ring, char ***out, size_t *n)
{
    char **names = calloc(KT_MAX_STREAMS, sizeof(*names));
    if (!names)
        return -ENOMEM;
    size_t count = 0;
    pthread_rwlock_rdlock(&ring->ix->lock);
    for (uint32_t i = 0; i < KT_MAX_STREAMS; i++)
        if (ring->ix->streams[i] && (names[count] = strdup(ring->ix->streams[i]->name)))
            count++;
    pthread_rwlock_unlock(&ring->ix->lock);
    *out = names;
    *n = count;
    return 0;
}

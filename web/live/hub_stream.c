/*
 * hub_stream.c - the newest part of a stream, kept so that a tile starts at once:
 * everything since the last key frame, and a little of what was before it for
 * viewers that are only slightly behind.
 */
#include "web/live/hub_private.h"

#include <errno.h>
#include <string.h>

void hub_bin_empty(struct chunk_bin *bin)
{
    for (size_t i = 0; i < bin->n; i++)
        kt_chunk_unref(&bin->items[i]);
    free(bin->items);
    *bin = (struct chunk_bin){ 0 };
}

static void bin_add(struct chunk_bin *bin, struct kt_chunk *chunk)
{
    if (bin->n == bin->cap) {
        const size_t cap = bin->cap ? bin->cap * 2 : 16;
        struct kt_chunk **items = realloc(bin->items, cap * sizeof(*items));
        if (!items) {
            kt_chunk_unref(&chunk);     /* under the lock then: only slower */
            return;
        }
        bin->items = items;
        bin->cap = cap;
    }
    bin->items[bin->n++] = chunk;
}

int hub_stream_init(struct stream *stream, const char *name)
{
    static const char *const kinds[] = { [STREAM_MAIN] = "main", [STREAM_SUB] = "sub",
                                         [STREAM_STILL] = "still" };
    const char *slash = strchr(name, '/');
    if (!slash || strlen(name) > KT_STREAM_NAME_MAX)
        return -EINVAL;
    for (size_t i = 0; i < KT_ARRAY_SIZE(kinds); i++) {
        if (strcmp(slash + 1, kinds[i]) != 0)
            continue;
        strcpy(stream->name, name);
        memcpy(stream->camera, name, (size_t)(slash - name));
        stream->camera[slash - name] = '\0';
        stream->kind = (enum stream_kind)i;
        stream->next_seq = 1;
        return kt_id_valid(stream->camera) ? 0 : -EINVAL;
    }
    return -EINVAL;
}

static struct stream_entry *entry(struct stream *s, size_t i)
{
    return &s->ring[(s->head + i) % s->cap];
}

static void pop_front(struct stream *s, struct chunk_bin *bin)
{
    struct stream_entry *e = entry(s, 0);
    s->bytes -= e->chunk->size;
    bin_add(bin, e->chunk);
    s->head = (s->head + 1) % s->cap;
    s->count--;
}

/* The GOP is longer than the cache: keep its key frame, lose what follows it. */
static void cut_after_key(struct stream *s, struct chunk_bin *bin)
{
    const struct stream_entry key = *entry(s, 0);
    struct stream_entry *second = entry(s, 1);
    s->bytes -= second->chunk->size;
    bin_add(bin, second->chunk);
    *second = key;
    s->head = (s->head + 1) % s->cap;
    s->count--;
}

static int grow(struct stream *s)
{
    const size_t cap = s->cap ? s->cap * 2 : 32;
    struct stream_entry *ring = malloc(cap * sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    for (size_t i = 0; i < s->count; i++)
        ring[i] = *entry(s, i);
    free(s->ring);
    s->ring = ring;
    s->cap = cap;
    s->head = 0;
    return 0;
}

void hub_stream_clear(struct stream *s, struct chunk_bin *bin)
{
    while (s->count > 0)
        pop_front(s, bin);
    s->key_seq = 0;
}

/* What nobody needs any more: older than the key frame, and not just now. */
static void trim(struct stream *s, size_t max_bytes, struct chunk_bin *bin)
{
    const int64_t newest_us = entry(s, s->count - 1)->chunk->wall_us;
    while (entry(s, 0)->seq < s->key_seq &&
           (s->kind == STREAM_STILL || s->bytes > max_bytes ||
            newest_us - entry(s, 0)->chunk->wall_us > HUB_LAG_US))
        pop_front(s, bin);
    while (s->bytes > max_bytes && s->count > 2)
        cut_after_key(s, bin);
}

void hub_stream_push(struct stream *s, struct kt_chunk *chunk, size_t max_bytes,
                     struct chunk_bin *bin)
{
    const bool key = (chunk->flags & (KT_CHUNK_KEY | KT_CHUNK_AUDIO)) == KT_CHUNK_KEY;
    const uint64_t seq = s->next_seq++;
    if ((s->key_seq == 0 && !key) || (s->count == s->cap && grow(s) < 0)) {
        bin_add(bin, chunk);
        return;
    }
    s->count++;
    *entry(s, s->count - 1) = (struct stream_entry){ .seq = seq, .chunk = chunk };
    s->bytes += chunk->size;
    if (key)
        s->key_seq = seq;
    trim(s, max_bytes, bin);
}

/* Index of the first entry whose sequence is at least SEQ; there is one. */
static size_t lower_bound(struct stream *s, uint64_t seq)
{
    size_t low = 0, high = s->count - 1;
    while (low < high) {
        const size_t mid = (low + high) / 2;
        if (entry(s, mid)->seq < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void skip_to(struct stream_cursor *cursor, uint64_t seq, uint64_t *dropped)
{
    if (seq > cursor->seq)
        *dropped += seq - cursor->seq;
    cursor->seq = seq;
}

struct kt_chunk *hub_stream_next(struct stream *s, struct stream_cursor *cursor, uint64_t *seq,
                                 uint64_t *dropped)
{
    if (s->key_seq == 0)
        return NULL;
    if (cursor->seq == 0)
        cursor->seq = s->key_seq;
    if (cursor->need_key || s->kind == STREAM_STILL) {
        if (s->key_seq < cursor->seq)
            return NULL;
        skip_to(cursor, s->key_seq, s->kind == STREAM_STILL ? &(uint64_t){ 0 } : dropped);
        cursor->need_key = false;
    }
    if (s->count == 0 || cursor->seq > entry(s, s->count - 1)->seq)
        return NULL;
    const struct stream_entry *e = entry(s, lower_bound(s, cursor->seq));
    const int64_t behind_us = entry(s, s->count - 1)->chunk->wall_us - e->chunk->wall_us;
    if (e->seq != cursor->seq || behind_us > HUB_LAG_US) {
        if (s->key_seq > cursor->seq) {
            skip_to(cursor, s->key_seq, dropped);
            e = entry(s, lower_bound(s, cursor->seq));
        } else if (e->seq != cursor->seq) {
            cursor->need_key = true;
            skip_to(cursor, s->next_seq, dropped);
            return NULL;
        }
    }
    *seq = e->seq;
    cursor->seq = e->seq + 1;
    return kt_chunk_ref(e->chunk);
}

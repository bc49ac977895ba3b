#include "storage/ring/toc.h"

#include <errno.h>
#include <string.h>

#include "storage/ring/vec.h"

int kt_toc_create(struct kt_toc **out, uint64_t slab_seq)
{
    struct kt_toc *toc = calloc(1, sizeof(*toc));
    if (!toc)
        return -ENOMEM;
    toc->refs = 1;
    toc->slab_seq = slab_seq;
    *out = toc;
    return 0;
}

static int copy_array(void *pout, const void *from, size_t n, size_t size)
{
    void **out = pout;
    if (n == 0)
        return 0;
    *out = reallocarray(NULL, n, size);
    if (!*out)
        return -ENOMEM;
    memcpy(*out, from, n * size);
    return 0;
}

static int copy_streams(struct kt_toc *copy, const struct kt_toc *toc)
{
    int ret = copy_array(&copy->streams, toc->streams, toc->n_streams, sizeof(*toc->streams));
    copy->cap_streams = ret == 0 ? toc->n_streams : 0;
    while (ret == 0 && copy->n_streams < toc->n_streams) {
        struct kt_toc_stream *s = &copy->streams[copy->n_streams++];
        const struct kt_entry *entries = s->entries;
        s->entries = NULL;
        s->cap = s->n;
        ret = copy_array(&s->entries, entries, s->n, sizeof(*s->entries));
    }
    return ret;
}

/* All but the references, which readers of TOC count meanwhile. */
int kt_toc_copy(struct kt_toc **out, const struct kt_toc *toc)
{
    kt_cleanup(kt_toc_unref) struct kt_toc *copy = NULL;
    int ret = kt_toc_create(&copy, toc->slab_seq);
    if (ret == 0)
        ret = copy_streams(copy, toc);
    if (ret == 0)
        ret = copy_array(&copy->stretches, toc->stretches, toc->n_stretches, sizeof(*toc->stretches));
    if (ret == 0)
        ret = copy_array(&copy->inits, toc->inits, toc->n_inits, sizeof(*toc->inits));
    if (ret < 0)
        return ret;
    copy->n_stretches = copy->cap_stretches = toc->n_stretches;
    copy->n_inits = copy->cap_inits = toc->n_inits;
    copy->n_entries = toc->n_entries;
    copy->oldest_us = toc->oldest_us;
    copy->newest_us = toc->newest_us;
    *out = kt_steal_ptr(&copy);
    return 0;
}

struct kt_toc *kt_toc_ref(struct kt_toc *toc)
{
    __atomic_add_fetch(&toc->refs, 1, __ATOMIC_RELAXED);
    return toc;
}

void kt_toc_unref(struct kt_toc **ptoc)
{
    struct kt_toc *toc = kt_steal_ptr(ptoc);
    if (!toc || __atomic_sub_fetch(&toc->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < toc->n_streams; i++)
        free(toc->streams[i].entries);
    free(toc->streams);
    free(toc->stretches);
    free(toc->inits);
    free(toc);
}

/* Where STREAM is, or would be put. */
static size_t stream_place(const struct kt_toc *toc, uint32_t stream)
{
    size_t lo = 0, hi = toc->n_streams;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (toc->streams[mid].stream < stream)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct kt_toc_stream *kt_toc_find(const struct kt_toc *toc, uint32_t stream)
{
    const size_t at = stream_place(toc, stream);
    return at < toc->n_streams && toc->streams[at].stream == stream ? &toc->streams[at] : NULL;
}

static struct kt_toc_stream *need_stream(struct kt_toc *toc, uint32_t stream)
{
    const size_t at = stream_place(toc, stream);
    if (at < toc->n_streams && toc->streams[at].stream == stream)
        return &toc->streams[at];
    if (kt_vec_room(&toc->streams, toc->n_streams, &toc->cap_streams) < 0)
        return NULL;
    struct kt_toc_stream *s = &toc->streams[at];
    memmove(s + 1, s, (toc->n_streams - at) * sizeof(*s));
    *s = (struct kt_toc_stream){ .stream = stream, .growing = UINT32_MAX };
    toc->n_streams++;
    return s;
}

int kt_toc_find_init(const struct kt_toc *toc, const uint8_t hash[KT_HASH_SIZE])
{
    for (size_t i = 0; i < toc->n_inits; i++)
        if (memcmp(toc->inits[i].hash, hash, KT_HASH_SIZE) == 0)
            return (int)i;
    return -1;
}

/* The number of the init segment, or an error. */
static int need_init(struct kt_toc *toc, const uint8_t hash[KT_HASH_SIZE])
{
    const int known = kt_toc_find_init(toc, hash);
    if (known >= 0)
        return known;
    if (toc->n_inits == UINT16_MAX)
        return -ENOSPC;
    if (kt_vec_room(&toc->inits, toc->n_inits, &toc->cap_inits) < 0)
        return -ENOMEM;
    struct kt_initref *r = &toc->inits[toc->n_inits++];
    *r = (struct kt_initref){ .offset = 0 };
    memcpy(r->hash, hash, KT_HASH_SIZE);
    return (int)toc->n_inits - 1;
}

static int add_init(struct kt_toc *toc, const struct kt_header *h, uint64_t offset)
{
    const int init = need_init(toc, h->init);
    if (init >= 0 && toc->inits[init].offset == 0) {
        toc->inits[init].offset = offset;
        toc->inits[init].size = h->size;
    }
    return init < 0 ? init : 0;
}

static int new_stretch(struct kt_toc *toc, const struct kt_stretch *s)
{
    if (kt_vec_room(&toc->stretches, toc->n_stretches, &toc->cap_stretches) < 0)
        return -ENOMEM;
    toc->stretches[toc->n_stretches++] = *s;
    return 0;
}

static bool continues(const struct kt_stretch *s, const struct kt_entry *last,
                      const struct kt_header *h)
{
    return s->run == h->run && h->start_us >= last->start_us &&
           h->start_us - s->to_us < KT_STRETCH_SLACK_US;
}

static void grow(struct kt_stretch *s, const struct kt_header *h)
{
    if (h->end_us > s->to_us)
        s->to_us = h->end_us;
    s->count++;
    s->bytes += h->size;
    s->last_seq = h->seq;
}

static int add_media(struct kt_toc *toc, const struct kt_header *h, uint64_t offset, bool *grown)
{
    struct kt_toc_stream *ts = need_stream(toc, h->stream);
    if (!ts)
        return -ENOMEM;
    const int init = need_init(toc, h->init);   /* its record is damaged when it is not there yet */
    if (init < 0)
        return init;
    size_t cap = ts->cap;
    if (kt_vec_room(&ts->entries, ts->n, &cap) < 0)
        return -ENOMEM;
    ts->cap = (uint32_t)cap;
    const struct kt_entry *last = ts->n > 0 ? &ts->entries[ts->n - 1] : NULL;
    *grown = ts->growing != UINT32_MAX && continues(&toc->stretches[ts->growing], last, h);
    if (!*grown) {
        const struct kt_stretch s = {
            .stream = h->stream, .kind = KT_STRETCH_MEDIA, .run = h->run, .from_us = h->start_us,
            .to_us = h->start_us, .first = ts->n, .first_seq = h->seq,
        };
        if (new_stretch(toc, &s) < 0)
            return -ENOMEM;
        ts->growing = (uint32_t)toc->n_stretches - 1;
    }
    grow(&toc->stretches[ts->growing], h);
    ts->entries[ts->n++] = (struct kt_entry){
        .seq = h->seq, .start_us = h->start_us, .end_us = h->end_us, .dts_90k = h->dts_90k,
        .offset = offset, .size = h->size, .duration_90k = (uint32_t)h->duration_90k,
        .frames = h->frames, .chunks = h->chunks, .flags = h->flags,
        .init = (uint16_t)init,
    };
    toc->n_entries++;
    if (toc->oldest_us == 0 || h->start_us < toc->oldest_us)
        toc->oldest_us = h->start_us;
    if (h->end_us > toc->newest_us)
        toc->newest_us = h->end_us;
    return 0;
}

int kt_toc_add(struct kt_toc *toc, const struct kt_header *h, uint64_t offset,
               const struct kt_stretch **stretch, bool *grown)
{
    struct kt_stretch s = {
        .stream = h->stream, .from_us = h->start_us, .to_us = h->end_us,
        .first_seq = h->seq, .last_seq = h->seq,
    };
    int ret;
    *stretch = NULL;
    *grown = false;
    switch (h->type) {
    case KT_TYPE_INIT:
        return add_init(toc, h, offset);
    case KT_TYPE_MEDIA:
        ret = add_media(toc, h, offset, grown);
        if (ret == 0)
            *stretch = &toc->stretches[kt_toc_find(toc, h->stream)->growing];
        return ret;
    case KT_TYPE_GAP:
        s.kind = h->run > 0 && h->run < KT_STRETCH_ERASE ? (uint16_t)h->run : 255;
        break;
    case KT_TYPE_ERASE:
        s.kind = KT_STRETCH_ERASE;
        s.run = offset;
        s.count = h->flags & KT_ERASE_DONE ? 1 : 0;
        break;
    default:
        return 0;
    }
    ret = new_stretch(toc, &s);
    if (ret == 0)
        *stretch = &toc->stretches[toc->n_stretches - 1];
    return ret;
}

uint64_t kt_toc_footer_space(const struct kt_toc *toc)
{
    return kt_footer_space(toc->n_entries, toc->n_stretches, toc->n_inits);
}

size_t kt_toc_memory(const struct kt_toc *toc)
{
    return sizeof(*toc) + toc->n_entries * sizeof(struct kt_entry) +
           toc->n_streams * sizeof(struct kt_toc_stream) +
           toc->n_stretches * sizeof(struct kt_stretch) + toc->n_inits * sizeof(struct kt_initref);
}

void kt_toc_encode(const struct kt_toc *toc, struct kt_trailer *t, uint64_t slab_bytes,
                   uint8_t *out)
{
    const uint64_t space = kt_toc_footer_space(toc);
    uint8_t *p = out;
    memset(out, 0, space);
    for (size_t i = 0; i < toc->n_streams; i++)
        for (uint32_t k = 0; k < toc->streams[i].n; k++, p += KT_ENTRY_SIZE)
            kt_entry_encode(p, &toc->streams[i].entries[k]);
    kt_sha256(t->entries_hash, out, (size_t)(p - out));
    const uint8_t *summary = p;
    for (size_t i = 0; i < toc->n_stretches; i++, p += KT_STRETCH_SIZE)
        kt_stretch_encode(p, &toc->stretches[i]);
    for (size_t i = 0; i < toc->n_inits; i++, p += KT_INITREF_SIZE)
        kt_initref_encode(p, &toc->inits[i]);
    kt_sha256(t->summary_hash, summary, (size_t)(p - summary));
    t->footer_offset = slab_bytes - space;
    t->n_entries = (uint32_t)toc->n_entries;
    t->n_stretches = (uint32_t)toc->n_stretches;
    t->n_inits = (uint32_t)toc->n_inits;
    t->oldest_us = toc->oldest_us;
    t->newest_us = toc->newest_us;
    kt_trailer_encode(out + space - KT_PAGE, t);
}

static bool hash_is(const uint8_t hash[KT_HASH_SIZE], const uint8_t *data, size_t size)
{
    uint8_t got[KT_HASH_SIZE];
    kt_sha256(got, data, size);
    return memcmp(got, hash, KT_HASH_SIZE) == 0;
}

int kt_toc_decode_summary(struct kt_toc **out, const struct kt_trailer *t, const uint8_t *p)
{
    if (!hash_is(t->summary_hash, p, kt_summary_size(t->n_stretches, t->n_inits)))
        return -EBADMSG;
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    const int ret = kt_toc_create(&toc, t->slab_seq);
    if (ret < 0)
        return ret;
    toc->stretches = calloc((size_t)t->n_stretches + 1, sizeof(*toc->stretches));
    toc->inits = calloc((size_t)t->n_inits + 1, sizeof(*toc->inits));
    if (!toc->stretches || !toc->inits)
        return -ENOMEM;
    toc->n_stretches = t->n_stretches;
    toc->n_inits = t->n_inits;
    toc->n_entries = t->n_entries;
    toc->oldest_us = t->oldest_us;
    toc->newest_us = t->newest_us;
    for (size_t i = 0; i < toc->n_stretches; i++, p += KT_STRETCH_SIZE)
        kt_stretch_decode(&toc->stretches[i], p);
    for (size_t i = 0; i < toc->n_inits; i++, p += KT_INITREF_SIZE)
        kt_initref_decode(&toc->inits[i], p);
    *out = kt_steal_ptr(&toc);
    return 0;
}

/* How many entries each stream has: what its media stretches say. */
static int count_entries(struct kt_toc *toc)
{
    uint64_t total = 0;
    for (size_t i = 0; i < toc->n_stretches; i++) {
        const struct kt_stretch *s = &toc->stretches[i];
        if (s->kind != KT_STRETCH_MEDIA)
            continue;
        struct kt_toc_stream *ts = need_stream(toc, s->stream);
        if (!ts)
            return -ENOMEM;
        if (s->first != ts->n || s->count > toc->n_entries - total)
            return -EBADMSG;
        ts->n += s->count;
        total += s->count;
    }
    return total == toc->n_entries ? 0 : -EBADMSG;
}

int kt_toc_decode(struct kt_toc **out, const struct kt_trailer *t, const uint8_t *p)
{
    const size_t entries = (size_t)t->n_entries * KT_ENTRY_SIZE;
    if (!hash_is(t->entries_hash, p, entries))
        return -EBADMSG;
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    int ret = kt_toc_decode_summary(&toc, t, p + entries);
    if (ret == 0)
        ret = count_entries(toc);
    for (size_t i = 0; ret == 0 && i < toc->n_streams; i++) {
        struct kt_toc_stream *ts = &toc->streams[i];
        ts->entries = calloc((size_t)ts->n + 1, sizeof(*ts->entries));
        if (!ts->entries)
            return -ENOMEM;
        ts->cap = ts->n;
        for (uint32_t k = 0; k < ts->n; k++, p += KT_ENTRY_SIZE)
            kt_entry_decode(&ts->entries[k], p);
    }
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&toc);
    return 0;
}

#include "storage/ring/index.h"

#include <errno.h>
#include <string.h>

#include "storage/ring/vec.h"

int kt_index_create(struct kt_index **out, uint32_t n_slabs)
{
    struct kt_index *ix = calloc(1, sizeof(*ix));
    if (!ix)
        return -ENOMEM;
    ix->slabs = calloc(n_slabs, sizeof(*ix->slabs));
    ix->n_slabs = n_slabs;
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* Many viewers must not keep the writer waiting. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&ix->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    *out = ix;
    if (ix->slabs && kt_index_add_stream(ix, KT_ALL_STREAMS, "") == 0)
        return 0;
    kt_index_destroy(out);
    return -ENOMEM;
}

static void free_stream(struct kt_index_stream *st)
{
    for (size_t i = 0; i < st->n_erased; i++)
        free(st->erased[i].ranges);
    free(st->erased);
    free(st->media.a);
    free(st->gaps.a);
    free(st);
}

void kt_index_destroy(struct kt_index **pix)
{
    struct kt_index *ix = kt_steal_ptr(pix);
    if (!ix)
        return;
    for (size_t i = 0; i <= KT_MAX_STREAMS; i++)
        if (ix->streams[i])
            free_stream(ix->streams[i]);
    for (uint32_t i = 0; ix->slabs && i < ix->n_slabs; i++)
        kt_toc_unref(&ix->slabs[i].toc);
    for (size_t i = 0; i < ix->n_inits; i++)
        kt_init_unref(&ix->inits[i].init);
    free(ix->slabs);
    free(ix->inits);
    pthread_rwlock_destroy(&ix->lock);
    free(ix);
}

struct kt_index_stream *kt_index_stream_of(const struct kt_index *ix, uint32_t stream)
{
    if (stream == KT_ALL_STREAMS)
        return ix->streams[KT_MAX_STREAMS];
    return stream < KT_MAX_STREAMS ? ix->streams[stream] : NULL;
}

int kt_index_add_stream(struct kt_index *ix, uint32_t number, const char *name)
{
    struct kt_index_stream *st = kt_index_stream_of(ix, number);
    if (st)
        return strcmp(st->name, name) == 0 ? 0 : -EEXIST;
    if (number != KT_ALL_STREAMS && number >= KT_MAX_STREAMS)
        return -ENOSPC;
    st = calloc(1, sizeof(*st));
    if (!st)
        return -ENOMEM;
    snprintf(st->name, sizeof(st->name), "%s", name);
    ix->streams[number == KT_ALL_STREAMS ? KT_MAX_STREAMS : number] = st;
    return 0;
}

/* ---- sorted lists ---- */

size_t kt_located_place(const struct kt_located_list *list, int64_t from_us, uint64_t slab_seq,
                        uint64_t first_seq)
{
    size_t lo = 0, hi = list->n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        const struct kt_located *l = &list->a[mid];
        const bool before = l->s.from_us != from_us ? l->s.from_us < from_us
                            : l->slab_seq != slab_seq ? l->slab_seq < slab_seq
                                                      : l->s.first_seq < first_seq;
        if (before)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

size_t kt_located_first(const struct kt_located_list *list, int64_t from_us)
{
    size_t lo = 0, hi = list->n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (list->a[mid].max_to_us <= from_us)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void update_max(struct kt_located_list *list, size_t at)
{
    for (size_t i = at; i < list->n; i++) {
        int64_t max = list->a[i].s.to_us;
        if (i > 0 && list->a[i - 1].max_to_us > max)
            max = list->a[i - 1].max_to_us;
        if (i > at && list->a[i].max_to_us == max)
            return;                     /* nothing changes from here on */
        list->a[i].max_to_us = max;
    }
}

static int insert(struct kt_located_list *list, uint64_t slab_seq, const struct kt_stretch *s)
{
    const size_t at = kt_located_place(list, s->from_us, slab_seq, s->first_seq);
    if (kt_vec_room(&list->a, list->n, &list->cap) < 0)
        return -ENOMEM;
    memmove(&list->a[at + 1], &list->a[at], (list->n - at) * sizeof(*list->a));
    list->a[at] = (struct kt_located){ .s = *s, .slab_seq = slab_seq, .max_to_us = INT64_MIN };
    list->n++;
    update_max(list, at);
    return 0;
}

static void drop_from(struct kt_located_list *list, uint64_t slab_seq)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        if (list->a[i].slab_seq == slab_seq)
            continue;
        if (kept != i)
            list->a[kept] = list->a[i];
        kept++;
    }
    list->n = kept;
    /* The maxima that remain may be larger than need be, and still grow in
     * order: lookups start a little early, no more. */
}

int kt_index_put(struct kt_index *ix, uint64_t slab_seq, const struct kt_stretch *s, bool grown)
{
    struct kt_index_stream *st = kt_index_stream_of(ix, s->stream);
    if (!st || s->kind == KT_STRETCH_ERASE)
        return 0;
    struct kt_located_list *list = s->kind == KT_STRETCH_MEDIA ? &st->media : &st->gaps;
    if (s->kind == KT_STRETCH_MEDIA && s->run > st->last_run)
        st->last_run = s->run;
    if (!grown)
        return insert(list, slab_seq, s);
    const size_t at = kt_located_place(list, s->from_us, slab_seq, s->first_seq);
    if (at < list->n && list->a[at].slab_seq == slab_seq) {
        list->a[at].s = *s;
        update_max(list, at);
    }
    return 0;
}

/* ---- init segments ---- */

struct kt_index_init *kt_index_find_init(const struct kt_index *ix,
                                         const uint8_t hash[KT_HASH_SIZE])
{
    for (size_t i = ix->n_inits; i-- > 0;)
        if (memcmp(ix->inits[i].hash, hash, KT_HASH_SIZE) == 0)
            return &ix->inits[i];
    return NULL;
}

int kt_index_put_init(struct kt_index *ix, uint64_t slab_seq, const struct kt_initref *ref,
                      struct kt_init *init)
{
    if (ref->offset == 0)
        return 0;                       /* that slab lost it */
    struct kt_index_init *in = kt_index_find_init(ix, ref->hash);
    if (!in) {
        if (kt_vec_room(&ix->inits, ix->n_inits, &ix->cap_inits) < 0)
            return -ENOMEM;
        in = &ix->inits[ix->n_inits++];
        *in = (struct kt_index_init){ .slab_seq = 0 };
        memcpy(in->hash, ref->hash, KT_HASH_SIZE);
    }
    if (slab_seq >= in->slab_seq) {
        in->slab_seq = slab_seq;
        in->offset = ref->offset;
        in->size = ref->size;
    }
    if (init && !in->init)
        in->init = kt_init_ref(init);
    return 0;
}

/* ---- erasures ---- */

int kt_index_put_erased(struct kt_index *ix, uint32_t stream, const struct kt_erased *e)
{
    struct kt_index_stream *st = kt_index_stream_of(ix, stream);
    if (!st)
        return 0;
    if (kt_vec_room(&st->erased, st->n_erased, &st->cap_erased) < 0)
        return -ENOMEM;
    struct kt_erased copy = *e;
    copy.ranges = calloc(e->n + 1, sizeof(*copy.ranges));
    if (!copy.ranges)
        return -ENOMEM;
    memcpy(copy.ranges, e->ranges, e->n * sizeof(*copy.ranges));
    st->erased[st->n_erased++] = copy;
    return 0;
}

bool kt_index_is_erased(const struct kt_index_stream *st, uint64_t seq)
{
    for (size_t i = 0; i < st->n_erased; i++) {
        const struct kt_seq_range *r = st->erased[i].ranges;
        size_t lo = 0, hi = st->erased[i].n;
        while (lo < hi) {               /* the first range that ends at SEQ or behind */
            const size_t mid = (lo + hi) / 2;
            if (r[mid].last < seq)
                lo = mid + 1;
            else
                hi = mid;
        }
        if (lo < st->erased[i].n && r[lo].first <= seq)
            return true;
    }
    return false;
}

static void drop_erased(struct kt_index_stream *st, uint64_t slab_seq)
{
    size_t kept = 0;
    for (size_t i = 0; i < st->n_erased; i++) {
        if (st->erased[i].slab_seq == slab_seq)
            free(st->erased[i].ranges);
        else
            st->erased[kept++] = st->erased[i];
    }
    st->n_erased = kept;
}

void kt_index_drop_unwritten(struct kt_index *ix, uint32_t stream)
{
    struct kt_index_stream *st = kt_index_stream_of(ix, stream);
    if (st)
        drop_erased(st, 0);
}

/* ---- slabs ---- */

struct kt_slab *kt_index_slab(const struct kt_index *ix, uint64_t slab_seq)
{
    struct kt_slab *slab = &ix->slabs[slab_seq % ix->n_slabs];
    return slab_seq > 0 && slab->slab_seq == slab_seq ? slab : NULL;
}

void kt_index_drop(struct kt_index *ix, uint64_t slab_seq)
{
    for (size_t i = 0; i <= KT_MAX_STREAMS; i++) {
        struct kt_index_stream *st = ix->streams[i];
        if (!st)
            continue;
        drop_from(&st->media, slab_seq);
        drop_from(&st->gaps, slab_seq);
        drop_erased(st, slab_seq);
    }
    size_t kept = 0;
    for (size_t i = 0; i < ix->n_inits; i++) {
        if (ix->inits[i].slab_seq == slab_seq)
            kt_init_unref(&ix->inits[i].init);
        else
            ix->inits[kept++] = ix->inits[i];
    }
    ix->n_inits = kept;
    struct kt_slab *slab = kt_index_slab(ix, slab_seq);
    if (slab)
        kt_toc_unref(&slab->toc);
}

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "storage/ring/meta.h"
#include "storage/ring/ring_private.h"
#include "storage/ring/scan.h"
#include "storage/ring/vec.h"

/* ---- tocs of sealed slabs ---- */

static struct kt_toc *find_cached(kt_ring *ring, uint64_t slab_seq)
{
    struct kt_toc *found = NULL;
    pthread_mutex_lock(&ring->cache_lock);
    for (size_t i = 0; i < KT_TOC_CACHE && ring->cache[i] && !found; i++) {
        if (ring->cache[i]->slab_seq != slab_seq)
            continue;
        struct kt_toc *toc = ring->cache[i];
        memmove(&ring->cache[1], &ring->cache[0], i * sizeof(ring->cache[0]));
        ring->cache[0] = toc;
        found = kt_toc_ref(toc);
    }
    pthread_mutex_unlock(&ring->cache_lock);
    return found;
}

/* Those that do not fit any more go, the longest unused first. */
static void cache(kt_ring *ring, struct kt_toc *toc)
{
    size_t bytes = kt_toc_memory(toc), n = 1;
    pthread_mutex_lock(&ring->cache_lock);
    kt_toc_unref(&ring->cache[KT_TOC_CACHE - 1]);
    memmove(&ring->cache[1], &ring->cache[0], (KT_TOC_CACHE - 1) * sizeof(ring->cache[0]));
    ring->cache[0] = kt_toc_ref(toc);
    for (; n < KT_TOC_CACHE && ring->cache[n]; n++) {
        bytes += kt_toc_memory(ring->cache[n]);
        if (bytes > KT_TOC_CACHE_BYTES)
            break;
    }
    for (; n < KT_TOC_CACHE; n++)
        kt_toc_unref(&ring->cache[n]);
    pthread_mutex_unlock(&ring->cache_lock);
}

void kt_ring_forget_tocs(kt_ring *ring)
{
    for (size_t i = 0; i < KT_TOC_CACHE; i++)
        kt_toc_unref(&ring->cache[i]);
}

int kt_ring_read_footer(kt_ring *ring, int fd, uint64_t slab_seq, struct kt_toc **out)
{
    const uint64_t slab = ring->meta.slab_bytes;
    uint8_t page[KT_PAGE];
    struct kt_trailer t;
    int ret = kt_io_read(ring->io, fd, page, sizeof(page), slab - KT_PAGE);
    if (ret == 0)
        ret = kt_trailer_decode(&t, page, slab);
    if (ret == 0 && t.slab_seq != slab_seq)
        ret = -ESTALE;
    if (ret < 0)
        return ret == -EINVAL ? -EBADMSG : ret;
    const size_t n = (size_t)(slab - KT_PAGE - t.footer_offset);
    kt_cleanup(kt_freep) uint8_t *footer = malloc(n + 1);
    if (!footer)
        return -ENOMEM;
    ret = kt_io_read(ring->io, fd, footer, n, t.footer_offset);
    return ret < 0 ? ret : kt_toc_decode(out, &t, footer);
}

/* The footer is damaged: its slab still says everything. */
static int rebuild_toc(kt_ring *ring, int fd, uint64_t slab_seq, uint64_t last_seq,
                       struct kt_toc **out)
{
    struct kt_scan scan = { .io = ring->io, .fd = fd, .slab_bytes = ring->meta.slab_bytes,
                            .uuid = ring->meta.uuid, .slab_seq = slab_seq, .bounded = true, .max_seq = last_seq };
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    (void)kt_ring_note_bad(ring, slab_seq, ring->meta.slab_bytes - KT_PAGE);
    int ret = kt_toc_create(&toc, slab_seq);
    if (ret == 0)
        ret = kt_scan_slab(&scan);
    for (size_t i = 0; i < scan.n && ret == 0; i++) {
        const struct kt_stretch *stretch;
        bool grown;
        if (scan.items[i].state != KT_SCAN_HOLE)
            ret = kt_toc_add(toc, &scan.items[i].h, scan.items[i].offset, &stretch, &grown);
    }
    kt_scan_free(&scan);
    if (ret == 0)
        *out = kt_steal_ptr(&toc);
    return ret;
}

int kt_ring_toc(kt_ring *ring, uint64_t slab_seq, struct kt_toc **out)
{
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_slab *slab = kt_index_slab(ring->ix, slab_seq);
    const bool known = slab;
    const uint64_t last_seq = known ? slab->last_seq : 0;
    struct kt_toc *toc = known && slab->toc ? kt_toc_ref(slab->toc) : NULL;
    pthread_rwlock_unlock(&ring->ix->lock);
    if (!known)
        return -ESTALE;
    if (!toc)
        toc = find_cached(ring, slab_seq);
    if (!toc) {
        const int fd = kt_ring_open_slab(ring, slab_seq, O_RDONLY);
        if (fd < 0)
            return fd;
        int ret = kt_ring_read_footer(ring, fd, slab_seq, &toc);
        if (ret == -EBADMSG)
            ret = rebuild_toc(ring, fd, slab_seq, last_seq, &toc);
        ring->io->close(ring->io->user, fd);
        if (ret < 0)
            return ret;
        cache(ring, toc);
    }
    *out = toc;
    return 0;
}

/* ---- query ---- */

struct record_list {
    struct kt_record *a;
    size_t n, cap;
    bool erased;                        /* take what was erased, instead of what was not */
    bool unplayable;                    /* take records, too, whose init segment nobody knows */
};

/* The index, the erasures of a stream and one toc, for one stretch. */
struct stretch_view {
    struct kt_located at;
    struct kt_toc *toc;                 /* sealed slabs */
    struct kt_entry *copy;              /* entries of the open slab */
    const struct kt_entry *entries;
    uint32_t n;
};

static void close_view(struct stretch_view *v)
{
    kt_toc_unref(&v->toc);
    free(v->copy);
    *v = (struct stretch_view){ .n = 0 };
}

/* The open slab grows while we look: take what is there now. Lock held. */
static int copy_open(const struct kt_toc *toc, struct stretch_view *v)
{
    const struct kt_toc_stream *ts = kt_toc_find(toc, v->at.s.stream);
    const struct kt_stretch *s = &v->at.s;
    if (!ts || s->first + s->count > ts->n)
        return -ESTALE;
    v->copy = malloc((size_t)s->count * sizeof(*v->copy) + 1);
    if (!v->copy)
        return -ENOMEM;
    memcpy(v->copy, ts->entries + s->first, s->count * sizeof(*v->copy));
    v->entries = v->copy;
    v->n = s->count;
    return 0;
}

/* Open the entries of the stretch in V->at. The read lock is held on entry and
 * given up: a sealed slab's footer may have to be read. */
static int open_view(kt_ring *ring, struct stretch_view *v)
{
    const struct kt_slab *slab = kt_index_slab(ring->ix, v->at.slab_seq);
    const bool in_memory = slab && slab->toc;
    int ret = in_memory ? copy_open(slab->toc, v) : 0;
    v->toc = in_memory ? kt_toc_ref(slab->toc) : NULL;
    pthread_rwlock_unlock(&ring->ix->lock);
    if (in_memory || ret < 0)
        return ret;
    ret = kt_ring_toc(ring, v->at.slab_seq, &v->toc);
    if (ret < 0)
        return ret;
    const struct kt_toc_stream *ts = kt_toc_find(v->toc, v->at.s.stream);
    const uint64_t end = (uint64_t)v->at.s.first + v->at.s.count;
    if (!ts || v->at.s.first >= ts->n)
        return -ESTALE;
    v->entries = ts->entries + v->at.s.first;
    v->n = (end <= ts->n ? (uint32_t)end : ts->n) - v->at.s.first;
    return 0;
}

static void make_record(const kt_ring *ring, const struct stretch_view *v, const struct kt_entry *e,
                        struct kt_record *out)
{
    *out = (struct kt_record){
        .seq = e->seq, .run = v->at.s.run, .start_us = e->start_us, .end_us = e->end_us,
        .dts_90k = e->dts_90k, .duration_90k = e->duration_90k, .stream = v->at.s.stream,
        .flags = e->flags, .size = e->size, .frames = e->frames, .chunks = e->chunks,
        .slab = (uint32_t)(v->at.slab_seq % ring->meta.slab_count), .slab_seq = v->at.slab_seq,
        .offset = e->offset + KT_HEADER_SIZE,
    };
}

/* Add the entry if it is of the kind that LIST takes. */
static int add_record(kt_ring *ring, struct record_list *list, const struct stretch_view *v,
                      const struct kt_entry *e)
{
    struct kt_record rec;
    make_record(ring, v, e, &rec);
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_index_stream *st = kt_index_stream_of(ring->ix, v->at.s.stream);
    const bool erased = st->n_erased > 0 && kt_index_is_erased(st, e->seq);
    const struct kt_toc *toc = v->toc;
    if (e->init < toc->n_inits)
        memcpy(rec.init, toc->inits[e->init].hash, KT_HASH_SIZE);
    pthread_rwlock_unlock(&ring->ix->lock);
    if (erased != list->erased || (e->init == UINT16_MAX && !list->unplayable))
        return 0;
    if (kt_vec_room(&list->a, list->n, &list->cap) < 0)
        return -ENOMEM;
    list->a[list->n++] = rec;
    return 0;
}

/* First entry of V that ends behind FROM. Times grow within a stretch. */
static uint32_t first_entry(const struct stretch_view *v, int64_t from_us)
{
    uint32_t lo = 0, hi = v->n;
    while (lo < hi) {
        const uint32_t mid = (lo + hi) / 2;
        if (v->entries[mid].end_us <= from_us)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Records of one stretch that overlap [FROM, TO). */
static int add_stretch(kt_ring *ring, struct record_list *list, const struct stretch_view *v,
                       int64_t from_us, int64_t to_us, size_t max)
{
    int ret = 0;
    for (uint32_t i = first_entry(v, from_us);
         i < v->n && v->entries[i].start_us < to_us && list->n < max && ret == 0; i++)
        ret = add_record(ring, list, v, &v->entries[i]);
    return ret;
}

static const struct kt_located_list *media_of(const kt_ring *ring, uint32_t stream)
{
    const struct kt_index_stream *st = kt_index_stream_of(ring->ix, stream);
    return st && stream != KT_ALL_STREAMS ? &st->media : NULL;
}

/* The stretch of RUN that sorts last before the given place. False: none near. */
static bool stretch_before(const struct kt_located_list *list, uint64_t run, int64_t from_us,
                           uint64_t slab_seq, uint64_t seq, struct kt_located *out)
{
    size_t at = kt_located_place(list, from_us, slab_seq, seq);
    for (int tries = 0; at > 0 && tries < 16; tries++) {    /* runs overlap after a clock step */
        if (list->a[--at].s.run == run) {
            *out = list->a[at];
            return true;
        }
    }
    return false;
}

/* The last record with a key frame, at or before FIRST in its run. 1 found, 0 none. */
static int find_key(kt_ring *ring, const struct kt_record *first, struct kt_entry *key)
{
    int64_t from_us = first->start_us;
    uint64_t slab_seq = first->slab_seq, seq = first->seq + 1;
    int found = 0;
    while (!found) {
        struct stretch_view v = { .n = 0 };
        pthread_rwlock_rdlock(&ring->ix->lock);
        const struct kt_located_list *list = media_of(ring, first->stream);
        if (!list || !stretch_before(list, first->run, from_us, slab_seq, seq, &v.at)) {
            pthread_rwlock_unlock(&ring->ix->lock);
            return 0;
        }
        const int ret = open_view(ring, &v);
        for (uint32_t i = ret == 0 ? v.n : 0; i-- > 0 && !found;) {
            if (v.entries[i].seq > first->seq || !(v.entries[i].flags & KT_RECORD_KEY))
                continue;
            *key = v.entries[i];
            found = 1;
        }
        from_us = v.at.s.from_us;
        slab_seq = v.at.slab_seq;
        seq = v.at.s.first_seq;
        close_view(&v);
        if (ret < 0)
            return 0;
    }
    return found;
}

static int collect(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us, size_t max,
                   struct record_list *list)
{
    struct kt_located last = { .slab_seq = 0 };
    bool first = true;
    int ret = 0;
    while (list->n < max && ret == 0) {
        struct stretch_view v = { .n = 0 };
        pthread_rwlock_rdlock(&ring->ix->lock);
        const struct kt_located_list *all = media_of(ring, stream);
        if (!all) {
            pthread_rwlock_unlock(&ring->ix->lock);
            return -ENOENT;
        }
        size_t at = first ? kt_located_first(all, from_us)
                          : kt_located_place(all, last.s.from_us, last.slab_seq, last.s.first_seq + 1);
        while (at < all->n && all->a[at].s.to_us <= from_us)
            at++;
        if (at >= all->n || all->a[at].s.from_us >= to_us) {
            pthread_rwlock_unlock(&ring->ix->lock);
            break;
        }
        first = false;
        v.at = last = all->a[at];
        ret = open_view(ring, &v);
        if (ret == 0)
            ret = add_stretch(ring, list, &v, from_us, to_us, max);
        if (ret == -ESTALE || ret == -EBADMSG)
            ret = 0;                    /* recycled meanwhile, or lost: the others are not */
        close_view(&v);
    }
    return ret;
}

/* Where a record is, and when its run begins as far as it was asked for. */
struct place {
    uint64_t run;
    int64_t from_us;
    size_t at;
};

static int by_run(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->run != y->run ? (x->run < y->run ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

static int by_beginning(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->from_us != y->from_us ? (x->from_us < y->from_us ? -1 : 1) : by_run(a, b);
}

/* Run numbers grow with time, but for a clock that was set back. */
static bool clock_went_back(const struct record_list *list)
{
    for (size_t i = 1; i < list->n; i++)
        if (list->a[i].run < list->a[i - 1].run)
            return true;
    return false;
}

/*
 * Two runs may cover the same time when the clock was set back, and a run that goes on in the
 * next slab is two stretches: the other run may sort between them. What cannot be decoded
 * without what was before it stays behind it.
 */
static int keep_runs_together(struct record_list *list, int64_t from_us)
{
    if (!clock_went_back(list))
        return 0;
    kt_cleanup(kt_freep) struct place *places = malloc(list->n * sizeof(*places));
    struct kt_record *sorted = malloc(list->n * sizeof(*sorted));
    if (!places || !sorted) {
        free(sorted);
        return -ENOMEM;
    }
    for (size_t i = 0; i < list->n; i++)
        places[i] = (struct place){ .run = list->a[i].run, .at = i };
    qsort(places, list->n, sizeof(*places), by_run);
    for (size_t i = 0; i < list->n; i++)
        places[i].from_us = i > 0 && places[i].run == places[i - 1].run
                                ? places[i - 1].from_us : later(list->a[places[i].at].start_us, from_us);
    qsort(places, list->n, sizeof(*places), by_beginning);
    for (size_t i = 0; i < list->n; i++)
        sorted[i] = list->a[places[i].at];
    free(list->a);
    list->a = sorted;
    list->cap = list->n;
    return 0;
}

/* Behind the last record of the run that begins at BEGIN. */
static size_t end_of_run(const struct record_list *list, size_t begin)
{
    size_t end = begin + 1;
    while (end < list->n && list->a[end].run == list->a[begin].run)
        end++;
    return end;
}

/* The newest key frame of a run at or before FROM; END when the list has none. */
static size_t key_before(const struct record_list *list, size_t begin, size_t end, int64_t from_us)
{
    for (size_t i = end; i-- > begin;)
        if ((list->a[i].flags & KT_RECORD_KEY) && list->a[i].start_us <= from_us)
            return i;
    return end;
}

/* When the key frame was taken that the first records of a run in the list need; FROM when none. */
static int64_t missing_key(kt_ring *ring, const struct record_list *list, size_t begin, size_t end,
                           int64_t from_us)
{
    struct kt_entry key;
    if (key_before(list, begin, end, from_us) < end || (list->a[begin].flags & KT_RECORD_KEY) ||
        !find_key(ring, &list->a[begin], &key))
        return from_us;
    return key.start_us < from_us ? key.start_us : from_us;
}

/* A run that begins with more than a GOP in front of FROM loses that. */
static void drop_early(struct record_list *list, int64_t from_us)
{
    size_t kept = 0, end;
    for (size_t begin = 0; begin < list->n; begin = end) {
        end = end_of_run(list, begin);
        const size_t key = key_before(list, begin, end, from_us), first = key < end ? key : begin;
        memmove(list->a + kept, list->a + first, (end - first) * sizeof(*list->a));
        kept += end - first;
    }
    list->n = kept;
}

/* A run that the list begins inside a GOP of gets the rest of it in front. */
static int start_with_key(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us, size_t max,
                          struct record_list *list)
{
    int64_t earliest_us = from_us;
    size_t end;
    for (size_t begin = 0; begin < list->n; begin = end) {
        end = end_of_run(list, begin);
        const int64_t key_us = missing_key(ring, list, begin, end, from_us);
        earliest_us = key_us < earliest_us ? key_us : earliest_us;
    }
    int ret = 0;
    if (earliest_us < from_us) {
        list->n = 0;
        ret = collect(ring, stream, earliest_us, to_us, max, list);
        if (ret == 0)
            ret = keep_runs_together(list, from_us);
    }
    drop_early(list, from_us);
    return ret;
}

int kt_ring_query_bytes(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us, bool erased,
                        struct kt_record **out, size_t *n)
{
    struct record_list list = { .erased = erased, .unplayable = true };
    const int ret = collect(ring, stream, from_us, to_us, SIZE_MAX, &list);
    if (ret < 0) {
        free(list.a);
        return ret;
    }
    *out = list.a;
    *n = list.n;
    return 0;
}

int kt_ring_query(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us, size_t max,
                  struct kt_record **out, size_t *n)
{
    struct record_list list = { .n = 0 };
    *out = NULL;
    *n = 0;
    int ret = from_us < to_us ? collect(ring, stream, from_us, to_us, max, &list) : 0;
    if (ret == 0)
        ret = keep_runs_together(&list, from_us);
    if (ret == 0)
        ret = start_with_key(ring, stream, from_us, to_us, max, &list);
    if (ret < 0 || list.n == 0) {
        free(list.a);
        return ret;
    }
    *out = list.a;
    *n = list.n;
    return 0;
}

/* The stretch with the lowest numbers that reaches into [FIRST, LAST]. Lock held. */
static bool stretch_of_seq(const struct kt_located_list *list, uint64_t first, uint64_t last,
                           struct kt_located *out)
{
    bool found = false;
    for (size_t i = 0; list && i < list->n; i++) {
        const struct kt_stretch *s = &list->a[i].s;
        if (s->last_seq < first || s->first_seq > last)
            continue;
        if (!found || s->first_seq < out->s.first_seq)
            *out = list->a[i];
        found = true;
    }
    return found;
}

int kt_ring_query_seq(kt_ring *ring, uint32_t stream, uint64_t first, uint64_t last,
                      struct kt_record **out, size_t *n)
{
    struct record_list list = { .n = 0 };
    int ret = 0;
    while (ret == 0 && first <= last) {
        struct stretch_view v = { .n = 0 };
        pthread_rwlock_rdlock(&ring->ix->lock);
        if (!stretch_of_seq(media_of(ring, stream), first, last, &v.at)) {
            pthread_rwlock_unlock(&ring->ix->lock);
            break;
        }
        ret = open_view(ring, &v);
        for (uint32_t i = 0; ret == 0 && i < v.n; i++)
            if (v.entries[i].seq >= first && v.entries[i].seq <= last)
                ret = add_record(ring, &list, &v, &v.entries[i]);
        if (ret == -ESTALE || ret == -EBADMSG)
            ret = 0;
        first = v.at.s.last_seq + 1;
        close_view(&v);
    }
    *out = NULL;
    *n = 0;
    if (ret < 0 || list.n == 0) {
        free(list.a);
        return ret;
    }
    *out = list.a;
    *n = list.n;
    return 0;
}

/* ---- payloads ---- */

static bool alive(kt_ring *ring, uint64_t slab_seq)
{
    pthread_rwlock_rdlock(&ring->ix->lock);
    const bool yes = kt_index_slab(ring->ix, slab_seq);
    pthread_rwlock_unlock(&ring->ix->lock);
    return yes;
}

static int read_record(kt_ring *ring, const struct kt_record *rec, void *buf)
{
    uint8_t bytes[KT_HEADER_SIZE];
    struct kt_header h;
    const int fd = kt_ring_open_slab(ring, rec->slab_seq, O_RDONLY);
    if (fd < 0)
        return fd;
    const uint64_t at = rec->offset - KT_HEADER_SIZE;
    int ret = kt_io_read(ring->io, fd, bytes, sizeof(bytes), at);
    if (ret == 0)
        ret = kt_header_decode(&h, bytes) < 0 ? -EBADMSG : 0;
    if (ret == 0 && (h.slab_seq != rec->slab_seq || h.seq != rec->seq || h.size != rec->size ||
                     memcmp(h.uuid, ring->meta.uuid, KT_UUID_SIZE) != 0))
        ret = -EBADMSG;
    if (ret == 0)
        ret = kt_scan_payload(ring->io, fd, &h, at, buf);
    ring->io->close(ring->io->user, fd);
    return ret;
}

static bool is_erased(kt_ring *ring, const struct kt_record *rec)
{
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_index_stream *st = kt_index_stream_of(ring->ix, rec->stream);
    const bool yes = st && kt_index_is_erased(st, rec->seq);
    pthread_rwlock_unlock(&ring->ix->lock);
    return yes;
}

int kt_ring_read(kt_ring *ring, const struct kt_record *rec, void *buf)
{
    if (!alive(ring, rec->slab_seq) || is_erased(ring, rec))
        return -ESTALE;
    int ret = read_record(ring, rec, buf);
    if (ret == 0)
        return 0;
    if (!alive(ring, rec->slab_seq) || is_erased(ring, rec))
        return -ESTALE;                 /* it was overwritten while we read */
    if (ret == -EBADMSG || ret == -EIO)
        (void)kt_ring_note_bad(ring, rec->slab_seq, rec->offset - KT_HEADER_SIZE);
    return ret;
}

static int read_init(kt_ring *ring, const struct kt_index_init *in, struct kt_init **out)
{
    uint8_t bytes[KT_HEADER_SIZE];
    struct kt_header h;
    kt_cleanup(kt_freep) uint8_t *payload = malloc((size_t)in->size + 1);
    if (!payload)
        return -ENOMEM;
    const int fd = kt_ring_open_slab(ring, in->slab_seq, O_RDONLY);
    if (fd < 0)
        return fd;
    int ret = kt_io_read(ring->io, fd, bytes, sizeof(bytes), in->offset);
    if (ret == 0)
        ret = kt_header_decode(&h, bytes) < 0 || h.type != KT_TYPE_INIT || h.size != in->size ||
              h.slab_seq != in->slab_seq ? -EBADMSG : 0;
    if (ret == 0)
        ret = kt_scan_payload(ring->io, fd, &h, in->offset, payload);
    ring->io->close(ring->io->user, fd);
    return ret < 0 ? ret : kt_init_payload_decode(out, payload, h.size);
}

static int read_init_of(kt_ring *ring, const struct kt_index_init *in, struct kt_init **out)
{
    int ret = read_init(ring, in, out);
    if (ret == 0 && memcmp((*out)->hash, in->hash, KT_HASH_SIZE) != 0) {
        kt_init_unref(out);
        ret = -EBADMSG;
    }
    return ret;
}

/* The newest copy, which the index knows, is damaged: each slab that needs it has one. */
static int read_other_copy(kt_ring *ring, const struct kt_index_init *bad, struct kt_init **out)
{
    for (uint32_t i = 0; i < ring->ix->n_slabs; i++) {
        kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
        struct kt_index_init in = *bad;
        pthread_rwlock_rdlock(&ring->ix->lock);
        in.slab_seq = ring->ix->slabs[i].slab_seq;
        pthread_rwlock_unlock(&ring->ix->lock);
        if (in.slab_seq == 0 || in.slab_seq == bad->slab_seq || kt_ring_toc(ring, in.slab_seq, &toc) < 0)
            continue;
        pthread_rwlock_rdlock(&ring->ix->lock);         /* it may be the open slab's, which grows */
        const int at = kt_toc_find_init(toc, bad->hash);
        if (at >= 0) {
            in.offset = toc->inits[at].offset;
            in.size = toc->inits[at].size;
        }
        pthread_rwlock_unlock(&ring->ix->lock);
        if (at >= 0 && in.offset > 0 && read_init_of(ring, &in, out) == 0)
            return 0;
    }
    return -EBADMSG;
}

int kt_ring_init(kt_ring *ring, const uint8_t hash[KT_INIT_HASH_SIZE], struct kt_init **out)
{
    struct kt_index_init copy = { .slab_seq = 0 };
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_index_init *in = kt_index_find_init(ring->ix, hash);
    if (in && in->init)
        *out = kt_init_ref(in->init);
    else if (in)
        copy = *in;
    const bool done = in && in->init;
    pthread_rwlock_unlock(&ring->ix->lock);
    if (done)
        return 0;
    if (copy.slab_seq == 0)
        return -ENOENT;
    int ret = read_init_of(ring, &copy, out);
    if (ret == -EBADMSG || ret == -EIO)
        ret = read_other_copy(ring, &copy, out);
    if (ret < 0)
        return alive(ring, copy.slab_seq) ? ret : -ENOENT;
    struct kt_initref ref = { .offset = copy.offset, .size = copy.size };
    memcpy(ref.hash, hash, KT_HASH_SIZE);
    pthread_rwlock_wrlock(&ring->ix->lock);
    if (kt_index_slab(ring->ix, copy.slab_seq))
        (void)!kt_index_put_init(ring->ix, copy.slab_seq, &ref, *out);
    pthread_rwlock_unlock(&ring->ix->lock);
    return 0;
}

/* ---- status ---- */

int64_t kt_ring_newest_us(kt_ring *ring)
{
    int64_t newest = 0;
    for (uint32_t i = 0; i < ring->ix->n_slabs; i++)
        newest = later(newest, ring->ix->slabs[i].newest_us);
    return newest;
}

const char *kt_gap_reason_name(enum kt_gap_reason reason)
{
    static const char *const names[] = {
        "none", "camera-silent", "disk-stall", "clock-step", "restart", "disk-error",
        "camera-disabled", "erased", "bad-stream",
    };
    return (size_t)reason < KT_ARRAY_SIZE(names) ? names[reason] : "unknown";
}

void kt_ring_status(kt_ring *ring, struct kt_ring_status *out)
{
    *out = (struct kt_ring_status){
        .size_bytes = ring->meta.slab_bytes * ring->meta.slab_count,
        .payload_bytes_written = ring->count.payload_bytes, .bytes_written = ring->count.bytes,
        .fsyncs = ring->count.fsyncs, .records = ring->count.records,
        .lost_intervals = ring->count.lost_intervals, .dropped_chunks = ring->count.dropped_chunks,
        .corrupt_records = ring->count.corrupt, .durable_us = ring->count.durable_us,
        .bytes_per_second = ring->count.rate, .scrubbed_bytes = ring->count.scrubbed,
        .scrub_passes = ring->count.scrub_passes,
    };
    pthread_mutex_lock(&ring->lock);
    out->state = ring->state;
    memcpy(out->why, ring->why, sizeof(out->why));
    pthread_mutex_unlock(&ring->lock);
    pthread_rwlock_rdlock(&ring->ix->lock);
    for (uint32_t i = 0; i < ring->ix->n_slabs; i++) {
        const struct kt_slab *slab = &ring->ix->slabs[i];
        if (slab->oldest_us > 0 && (out->oldest_us == 0 || slab->oldest_us < out->oldest_us))
            out->oldest_us = slab->oldest_us;
    }
    out->newest_us = kt_ring_newest_us(ring);
    pthread_rwlock_unlock(&ring->ix->lock);
    if (out->bytes_per_second > 0)
        out->days_capacity = (double)out->size_bytes * 0.99 / out->bytes_per_second / 86400;
    if (ring->key)
        kt_hex(out->key_fingerprint, kt_key_fingerprint(ring->key), KT_HASH_SIZE);
    kt_uuid_format(out->uuid, ring->meta.uuid);
}

#include <errno.h>
#include <string.h>

#include "storage/ring/ring_private.h"
#include "storage/ring/vec.h"

struct span_list {
    struct kt_ring_span *a;
    size_t n, cap;
};

static int push(struct span_list *list, int64_t from_us, int64_t to_us, uint64_t run,
                enum kt_gap_reason reason)
{
    if (to_us <= from_us)
        return 0;
    if (list->n > 0) {
        struct kt_ring_span *last = &list->a[list->n - 1];
        const int64_t slack = reason == KT_GAP_NONE ? KT_STRETCH_SLACK_US : 1;
        if (last->reason == reason && last->run == run && from_us - last->to_us < slack) {
            last->to_us = to_us > last->to_us ? to_us : last->to_us;
            return 0;
        }
    }
    if (kt_vec_room(&list->a, list->n, &list->cap) < 0)
        return -ENOMEM;
    list->a[list->n++] = (struct kt_ring_span){ .from_us = from_us, .to_us = to_us, .run = run,
                                                .reason = reason };
    return 0;
}

/* The gap that covers the first part of [FROM, TO), and how far that part goes. */
static enum kt_gap_reason explain(const struct kt_index_stream *st, const struct kt_index_stream *all,
                                  int64_t from_us, int64_t *to_us)
{
    const struct kt_located_list *lists[] = { &st->gaps, &all->gaps };
    for (size_t i = 0; i < st->n_erased; i++) {
        const struct kt_erased *e = &st->erased[i];
        if (e->from_us <= from_us && e->to_us > from_us) {
            *to_us = e->to_us < *to_us ? e->to_us : *to_us;
            return KT_GAP_ERASED;
        }
        if (e->from_us > from_us && e->from_us < *to_us)
            *to_us = e->from_us;
    }
    for (size_t k = 0; k < KT_ARRAY_SIZE(lists); k++) {
        for (size_t i = kt_located_first(lists[k], from_us); i < lists[k]->n; i++) {
            const struct kt_stretch *s = &lists[k]->a[i].s;
            if (s->from_us >= *to_us)
                break;
            if (s->from_us <= from_us && s->to_us > from_us) {
                *to_us = s->to_us < *to_us ? s->to_us : *to_us;
                return (enum kt_gap_reason)s->kind;
            }
            if (s->from_us > from_us)
                *to_us = s->from_us;
        }
    }
    return KT_GAP_NONE;
}

/* Fill the time between two recorded stretches. What nobody explained is the
 * camera's silence when there is footage on both sides (INSIDE), or nothing. */
static int fill(const struct kt_index *ix, const struct kt_index_stream *st, struct span_list *list,
                int64_t from_us, int64_t to_us, bool inside)
{
    const struct kt_index_stream *all = kt_index_stream_of(ix, KT_ALL_STREAMS);
    const bool small = to_us - from_us < KT_STRETCH_SLACK_US;
    int ret = 0;
    while (from_us < to_us && ret == 0) {
        int64_t end = to_us;
        enum kt_gap_reason reason = explain(st, all, from_us, &end);
        if (reason == KT_GAP_NONE && inside && !small)
            reason = KT_GAP_CAMERA_SILENT;
        if (reason != KT_GAP_NONE && !(small && reason == KT_GAP_RESTART))
            ret = push(list, from_us, end, 0, reason);
        from_us = end;
    }
    return ret;
}

/* The first gap that was told of while stretch L grew and that lies in [FROM, TO) of it; NULL: none. A
 * gap of another time that overlaps it, after a step of the clock, says nothing about it. */
static const struct kt_stretch *gap_inside(const struct kt_index_stream *st, const struct kt_located *l,
                                           int64_t from_us, int64_t to_us)
{
    for (size_t i = kt_located_first(&st->gaps, from_us); i < st->gaps.n; i++) {
        const struct kt_located *gap = &st->gaps.a[i];
        if (gap->s.from_us >= to_us)
            break;
        if (gap->slab_seq == l->slab_seq && gap->s.first_seq > l->s.first_seq &&
            gap->s.first_seq < l->s.last_seq && gap->s.to_us > from_us)
            return &gap->s;
    }
    return NULL;
}

/* One recorded stretch without what was erased from it, or is missing. */
static int push_recorded(const struct kt_index_stream *st, const struct kt_located *l,
                         struct span_list *list, int64_t from_us, int64_t to_us)
{
    int ret = 0;
    while (from_us < to_us && ret == 0) {
        int64_t end = to_us;
        enum kt_gap_reason reason = KT_GAP_NONE;
        for (size_t i = 0; i < st->n_erased; i++) {
            const struct kt_erased *e = &st->erased[i];
            if (e->from_us <= from_us && e->to_us > from_us) {
                reason = KT_GAP_ERASED;
                end = e->to_us < to_us ? e->to_us : to_us;
            } else if (reason == KT_GAP_NONE && e->from_us > from_us && e->from_us < end) {
                end = e->from_us;
            }
        }
        const struct kt_stretch *gap = reason == KT_GAP_NONE ? gap_inside(st, l, from_us, end) : NULL;
        if (gap && gap->from_us > from_us) {
            end = gap->from_us;
        } else if (gap) {
            reason = (enum kt_gap_reason)gap->kind;
            end = gap->to_us < end ? gap->to_us : end;
        }
        ret = push(list, from_us, end, reason == KT_GAP_NONE ? l->s.run : 0, reason);
        from_us = end;
    }
    return ret;
}

static int walk(const struct kt_index *ix, const struct kt_index_stream *st, int64_t from_us,
                int64_t to_us, struct span_list *list)
{
    const struct kt_located_list *media = &st->media;
    size_t at = kt_located_first(media, from_us);
    int64_t covered = from_us;
    bool before = at > 0;               /* is there footage before COVERED? */
    int ret = 0;
    for (; at < media->n && media->a[at].s.from_us < to_us && ret == 0; at++) {
        const struct kt_stretch *s = &media->a[at].s;
        const int64_t from = s->from_us > covered ? s->from_us : covered;
        const int64_t to = s->to_us < to_us ? s->to_us : to_us;
        if (s->to_us <= from_us)
            continue;
        ret = fill(ix, st, list, covered, from, before);
        if (ret == 0)
            ret = push_recorded(st, &media->a[at], list, from, to);
        covered = to > covered ? to : covered;
        before = true;
    }
    if (ret == 0 && covered < to_us)
        ret = fill(ix, st, list, covered, to_us, before && at < media->n);
    return ret;
}

int kt_ring_spans(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                  struct kt_ring_span **out, size_t *n)
{
    struct span_list list = { .n = 0 };
    *out = NULL;
    *n = 0;
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_index_stream *st =
        stream == KT_ALL_STREAMS ? NULL : kt_index_stream_of(ring->ix, stream);
    const int ret = st ? walk(ring->ix, st, from_us, to_us, &list) : -ENOENT;
    pthread_rwlock_unlock(&ring->ix->lock);
    if (ret < 0 || list.n == 0) {
        free(list.a);
        return ret;
    }
    *out = list.a;
    *n = list.n;
    return 0;
}

#include "storage/vault/hold_plan.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/db.h"
#include "storage/vault/hold_records.h"

#define LEAST_GAIN_US (KT_SECOND_US / 10)   /* records end where the next begins, or nearly */

/* One run of records of a segment, without a damaged one among them. */
struct part {
    struct kt_hold_plan *plan;
    struct kt_cover *cover;
    struct kt_cover_span hole;          /* that it is to fill */
    size_t ring;
    uint32_t stream;
    const struct kt_record *recs;
    size_t n;
};

void kt_hold_plan_free(struct kt_hold_plan *p)
{
    free(p->stretches);
    p->stretches = NULL;
    p->n = 0;
}

static bool is_damaged(const struct kt_hold_plan *p, size_t ring, uint64_t seq)
{
    for (size_t i = 0; i < p->n_damaged; i++)
        if (p->damaged[i].ring == ring && p->damaged[i].seq == seq)
            return true;
    return false;
}

static int64_t gain(const struct part *x)
{
    int64_t us = 0;
    for (size_t i = 0; i < x->n; i++) {
        const int64_t from = x->recs[i].start_us > x->hole.from_us ? x->recs[i].start_us : x->hole.from_us;
        const int64_t to = x->recs[i].end_us < x->hole.to_us ? x->recs[i].end_us : x->hole.to_us;
        us += to > from ? kt_cover_missing(x->cover, from, to) : 0;
    }
    return us;
}

static int take(const struct part *x, const struct kt_segment *whole)
{
    struct kt_hold_plan *p = x->plan;
    if (x->n == 0 || gain(x) < LEAST_GAIN_US)
        return 0;
    int ret = kt_db_grow(&p->stretches, p->n, sizeof(*p->stretches));
    if (ret < 0)
        return ret;
    struct kt_hold_stretch *s = &p->stretches[p->n++];
    *s = (struct kt_hold_stretch){ .ring = x->ring, .stream = x->stream, .records = *whole };
    s->records.first_seq = x->recs[0].seq;
    s->records.last_seq = x->recs[x->n - 1].seq;
    s->records.start_us = x->recs[0].start_us;
    s->records.duration_us = x->recs[x->n - 1].end_us - x->recs[0].start_us;
    for (size_t i = 0; ret == 0 && i < x->n; i++)
        ret = kt_cover_add(x->cover, x->recs[i].start_us, x->recs[i].end_us);
    return ret;
}

/* All of SEGMENT but what is damaged, and what only makes sense behind that. */
static int take_segment(struct part *x, const struct kt_segment *segment)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    size_t n = 0;
    bool need_key = true;
    int ret = kt_hold_records_query(x->plan->rings[x->ring].ring, x->stream, segment, &recs, &n);
    x->n = 0;
    for (size_t i = 0; ret == 0 && i < n; i++) {
        const bool bad = is_damaged(x->plan, x->ring, recs[i].seq);
        if (bad)
            ret = take(x, segment);
        need_key = bad || (need_key && !(recs[i].flags & KT_RECORD_KEY));
        if (need_key)
            x->n = 0;
        else if (x->n++ == 0)
            x->recs = &recs[i];
    }
    return ret < 0 ? ret : take(x, segment);
}

static int fill_hole(struct part *x)
{
    kt_cleanup(kt_freep) struct kt_segment *list = NULL;
    size_t n = 0;
    int ret = kt_clip_segments(x->plan->rings[x->ring].ring, x->stream, x->hole.from_us, x->hole.to_us,
                               x->plan->stretch_us, &list, &n);
    for (size_t i = 0; ret == 0 && i < n; i++)
        ret = take_segment(x, &list[i]);
    return ret == -ENOENT ? 0 : ret;
}

static int ask_ring(struct kt_hold_plan *p, struct kt_cover *cover, size_t ring)
{
    kt_cleanup(kt_freep) struct kt_cover_span *holes = NULL;
    struct part x = { .plan = p, .cover = cover, .ring = ring };
    size_t n = 0;
    int ret = kt_ring_find_stream(p->rings[ring].ring, p->stream, &x.stream);
    if (ret < 0)
        return ret == -ENOENT ? 0 : ret;
    p->known = true;
    ret = kt_cover_holes(cover, p->from_us, p->to_us, &holes, &n);
    for (size_t i = 0; ret == 0 && i < n; i++) {
        x.hole = holes[i];
        ret = fill_hole(&x);
    }
    return ret;
}

static int by_time(const void *a, const void *b)
{
    const struct kt_hold_stretch *x = a, *y = b;
    return (x->records.start_us > y->records.start_us) - (x->records.start_us < y->records.start_us);
}

int kt_hold_plan_make(struct kt_hold_plan *p, struct kt_cover *cover)
{
    int ret = 0;
    kt_hold_plan_free(p);
    for (size_t i = 0; ret == 0 && i < p->n_rings; i++)
        ret = ask_ring(p, cover, i);
    if (p->n > 0)
        qsort(p->stretches, p->n, sizeof(*p->stretches), by_time);
    return ret;
}

/* The end of what cannot be shown without record I. */
static int64_t lost_until(const struct kt_record *recs, size_t n, size_t i)
{
    while (i + 1 < n && !(recs[i + 1].flags & KT_RECORD_KEY))
        i++;
    return recs[i].end_us;
}

int kt_hold_plan_around(struct kt_hold_plan *p, const struct kt_hold_stretch *s, struct kt_cover *cover)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    kt_ring *ring = p->rings[s->ring].ring;
    size_t n = 0;
    int ret = kt_hold_records_query(ring, s->stream, &s->records, &recs, &n);
    if (ret < 0)
        return ret;
    for (size_t i = 0; i < n; i++) {
        kt_cleanup(kt_freep) void *payload = malloc(recs[i].size);
        ret = payload ? kt_ring_read(ring, &recs[i], payload) : -ENOMEM;
        if (ret == 0)
            continue;
        if (ret != -EBADMSG && ret != -EIO)
            return ret;
        if (p->n_damaged == KT_HOLD_MAX_DAMAGED)
            return -E2BIG;
        p->damaged[p->n_damaged].ring = s->ring;
        p->damaged[p->n_damaged++].seq = recs[i].seq;
        return kt_cover_add_damage(cover, recs[i].start_us, lost_until(recs, n, i));
    }
    return -ENOENT;
}

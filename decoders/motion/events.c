/*
 * events.c - one event per passage and rule.
 *
 * A zone's event is open while any confirmed track that fits its limits is in
 * it, and closes after some quiet. Lines and loitering are reported once per
 * track. Every rule remembers per track slot since when it has been inside, or on
 * which side it was, from the track's first sight on: so what happened before a
 * track was confirmed counts as well, and starts lie in the past.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "decoders/motion/events.h"
#include "server/base/clock.h"

#define QUIET_US (2 * KT_SECOND_US) /* a zone's event is over after so long without a track */
#define STILL_US (15 * KT_SECOND_US) /* who stands still for so long keeps no event open */
#define BETTER 1.15                 /* a best picture must be so much better than the last */
#define LINE_MARGIN 0.008f          /* of the diagonal: nearer than this is on the line */

/* What a zone knows about the track in one slot. */
struct inside {
    uint32_t track;                 /* 0: not inside */
    int64_t since_us;
    bool loiter_told, object_told;
    bool quiet;                     /* stood still for long since then */
};

struct zone_state {
    struct inside inside[KT_TRACKS_MAX];
    bool open;
    int64_t active_us;              /* last seen active */
    double quality;                 /* of the best picture so far */
    struct kt_motion_event event;
};

/* Where a track was when it was last clearly on one side of a line. */
struct beside {
    uint32_t track;
    int side;                       /* -1 left, 1 right, 0 not yet known */
    struct kt_point at;
};

struct line_state {
    struct beside beside[KT_TRACKS_MAX];
};

struct kt_events {
    const struct kt_rules *rules;
    struct kt_motion_params params;
    int w, h, source_w, source_h;
    int64_t t_us;
    uint64_t last_id;
    struct zone_state zone[KT_RULES_MAX_ZONES];
    struct line_state line[KT_RULES_MAX_LINES];
};

int kt_events_create(kt_events **out, const struct kt_rules *rules,
                     const struct kt_motion_params *params)
{
    kt_events *ev = calloc(1, sizeof(*ev));
    if (!ev)
        return -ENOMEM;
    ev->rules = rules;
    ev->params = *params;
    ev->params.rules_json = NULL;
    ev->w = ev->h = ev->source_w = ev->source_h = 1;
    *out = ev;
    return 0;
}

void kt_events_destroy(kt_events **ev)
{
    free(kt_steal_ptr(ev));
}

void kt_events_set_size(kt_events *ev, int w, int h, int source_w, int source_h)
{
    ev->w = w;
    ev->h = h;
    ev->source_w = source_w;
    ev->source_h = source_h;
}

struct kt_box kt_events_box(const kt_events *ev, const struct kt_track *t)
{
    const float sx = (float)ev->source_w / (float)ev->w, sy = (float)ev->source_h / (float)ev->h;
    const int x0 = (int)lroundf(t->x0 * sx), y0 = (int)lroundf(t->y0 * sy);
    return (struct kt_box){ .x = x0, .y = y0, .w = (int)lroundf(t->x1 * sx) - x0,
                            .h = (int)lroundf(t->y1 * sy) - y0,
                            .track = t->confirmed ? t->id : 0 };
}

static void report(kt_events *ev, enum kt_motion_event_phase phase,
                   const struct kt_motion_event *event)
{
    if (ev->params.on_event)
        ev->params.on_event(ev->params.user, phase, event);
}

/* The foot point, just inside the picture. */
static struct kt_point foot(const kt_events *ev, const struct kt_track *t)
{
    return (struct kt_point){ fminf(t->foot_x, (float)ev->w - 0.5f) / (float)ev->w,
                              fminf(t->foot_y, (float)ev->h - 0.5f) / (float)ev->h };
}

static bool fits(const kt_events *ev, const struct kt_limits *l, const struct kt_track *t)
{
    const float size = fmaxf((t->x1 - t->x0) / (float)ev->w, (t->y1 - t->y0) / (float)ev->h);
    return size >= l->min_size && size <= l->max_size &&
           kt_limits_now(l, ev->t_us, ev->params.utc_offset_s);
}

static bool within(const kt_events *ev, const struct kt_zone *z, const struct kt_track *t)
{
    const struct kt_point f = foot(ev, t);
    return kt_polygon_contains(&z->area, f.x, f.y) ||
           kt_polygon_contains(&z->area, (t->x0 + t->x1) / 2 / (float)ev->w,
                               (t->y0 + t->y1) / 2 / (float)ev->h);
}

/* 0..1: how large, where a person in the middle distance is about a half. */
static double score_of(const kt_events *ev, const struct kt_track *t)
{
    return fmin(1, sqrt((double)t->area / ((double)ev->w * ev->h)) * 3);
}

/* A picture is better when more of the thing is seen; one that is cut off by
 * the edge of the picture counts for little. */
static double quality_of(const kt_events *ev, const struct kt_track *t)
{
    const bool cut = t->x0 < 2 || t->y0 < 2 || t->x1 > (float)ev->w - 2;
    return t->area * (cut ? 0.4 : 1.0);
}

/* An event that has no duration. */
static void report_moment(kt_events *ev, const char *type, const char *rule,
                          const struct kt_track *t, int64_t start_us)
{
    struct kt_motion_event e = { .id = ++ev->last_id, .type = type, .rule = rule,
                                 .start_us = start_us, .score = score_of(ev, t),
                                 .best = kt_events_box(ev, t), .best_us = ev->t_us };
    report(ev, KT_MOTION_EVENT_OPEN, &e);
    report(ev, KT_MOTION_EVENT_BEST, &e);
    e.end_us = ev->t_us;
    report(ev, KT_MOTION_EVENT_CLOSE, &e);
}

static void zone_close(kt_events *ev, struct zone_state *s)
{
    if (!s->open)
        return;
    s->open = false;
    s->event.end_us = s->active_us;
    report(ev, KT_MOTION_EVENT_CLOSE, &s->event);
}

static void zone_active(kt_events *ev, const struct kt_zone *z, struct zone_state *s,
                        const struct kt_track *t, int64_t since_us)
{
    const double quality = quality_of(ev, t);
    s->active_us = ev->t_us;
    if (!s->open) {
        s->open = true;
        s->quality = 0;
        s->event = (struct kt_motion_event){ .id = ++ev->last_id, .type = "motion",
                                             .rule = z->name, .start_us = since_us,
                                             .score = score_of(ev, t),
                                             .best = kt_events_box(ev, t), .best_us = ev->t_us };
        report(ev, KT_MOTION_EVENT_OPEN, &s->event);
    }
    s->event.score = fmax(s->event.score, score_of(ev, t));
    if (quality > s->quality * BETTER) {
        s->quality = quality;
        s->event.best = kt_events_box(ev, t);
        s->event.best_us = ev->t_us;
        report(ev, KT_MOTION_EVENT_BEST, &s->event);
    }
}

static void zone_track(kt_events *ev, const struct kt_zone *z, struct zone_state *s, int slot,
                       const struct kt_track *t)
{
    struct inside *in = &s->inside[slot];
    if (in->track && in->track != t->id)
        *in = (struct inside){ 0 };
    if (!within(ev, z, t)) {
        *in = (struct inside){ 0 };
        return;
    }
    if (!in->track)
        *in = (struct inside){ .track = t->id,
                               .since_us = z->area.n == 0 ? t->first_us : ev->t_us };
    if (!t->confirmed || !fits(ev, &z->limits, t))
        return;
    const int64_t stayed = ev->t_us - in->since_us;
    const bool still = ev->t_us - t->moved_us > STILL_US;
    if (z->motion && stayed >= z->limits.min_time_us && !still)
        zone_active(ev, z, s, t, in->quiet ? t->moved_us : in->since_us);
    in->quiet |= still;             /* when it goes on, that is a new passage */
    if (z->loiter_us > 0 && stayed >= z->loiter_us && !in->loiter_told) {
        in->loiter_told = true;
        report_moment(ev, "loiter", z->name, t, in->since_us);
    }
}

static bool segments_cross(struct kt_point a, struct kt_point b, struct kt_point c,
                           struct kt_point d)
{
    const float r = (b.x - a.x) * (d.y - c.y) - (b.y - a.y) * (d.x - c.x);
    if (r == 0)
        return false;
    const float u = ((c.x - a.x) * (d.y - c.y) - (c.y - a.y) * (d.x - c.x)) / r;
    const float v = ((c.x - a.x) * (b.y - a.y) - (c.y - a.y) * (b.x - a.x)) / r;
    return u >= 0 && u <= 1 && v >= 0 && v <= 1;
}

/* On which side of the line P is: 1 right, -1 left, 0 too near to say. In pixels,
 * so that the picture's shape does not bend it. */
static int side_of(const kt_events *ev, const struct kt_line *l, struct kt_point p)
{
    const float w = (float)ev->w, h = (float)ev->h;
    const float dx = (l->b.x - l->a.x) * w, dy = (l->b.y - l->a.y) * h;
    const float away = (dx * (p.y - l->a.y) * h - dy * (p.x - l->a.x) * w) / hypotf(dx, dy);
    const float margin = LINE_MARGIN * hypotf(w, h);
    return away > margin ? 1 : away < -margin ? -1 : 0;
}

static void line_track(kt_events *ev, const struct kt_line *l, struct beside *b,
                       const struct kt_track *t)
{
    const struct kt_point now = foot(ev, t);
    const int side = side_of(ev, l, now);
    if (b->track != t->id)
        *b = (struct beside){ .track = t->id };
    /* Where it was first is kept until it is confirmed. */
    if (side == 0 || (b->side != 0 && !t->confirmed))
        return;
    const bool crossed = b->side == -side && segments_cross(l->a, l->b, b->at, now);
    b->side = side;
    b->at = now;
    if (!crossed || !fits(ev, &l->limits, t) || ev->t_us - t->first_us < l->limits.min_time_us)
        return;
    const enum kt_direction went = side > 0 ? KT_DIRECTION_IN : KT_DIRECTION_OUT;
    if (l->direction != KT_DIRECTION_BOTH && l->direction != went)
        return;
    const char *const counted = went == KT_DIRECTION_IN ? "count-in" : "count-out";
    report_moment(ev, l->count ? counted : "line", l->name, t, ev->t_us);
}

void kt_events_update(kt_events *ev, const struct kt_track *list, int64_t t_us)
{
    const struct kt_rules *r = ev->rules;
    ev->t_us = t_us;
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        const struct kt_track *t = &list[i];
        if (!t->id || t->ended || !t->seen)
            continue;
        for (int z = 0; z < r->n_zones; z++)
            zone_track(ev, &r->zone[z], &ev->zone[z], i, t);
        for (int l = 0; l < r->n_lines; l++)
            line_track(ev, &r->line[l], &ev->line[l].beside[i], t);
    }
    for (int z = 0; z < r->n_zones; z++)
        if (ev->zone[z].open && t_us - ev->zone[z].active_us > QUIET_US)
            zone_close(ev, &ev->zone[z]);
}

bool kt_events_wants_still(const kt_events *ev, const struct kt_track *t)
{
    for (int z = 0; z < ev->rules->n_zones; z++) {
        const struct kt_zone *zone = &ev->rules->zone[z];
        if (zone->object_us > 0 && within(ev, zone, t) &&
            ev->t_us - t->moved_us < zone->object_us + KT_SECOND_US)
            return true;
    }
    return false;
}

void kt_events_still(kt_events *ev, const struct kt_track *t, bool removed, int64_t t_us)
{
    for (int z = 0; z < ev->rules->n_zones; z++) {
        const struct kt_zone *zone = &ev->rules->zone[z];
        struct zone_state *s = &ev->zone[z];
        for (int i = 0; i < KT_TRACKS_MAX; i++) {
            struct inside *in = &s->inside[i];
            if (in->track != t->id || in->object_told || zone->object_us == 0 ||
                t_us - t->moved_us < zone->object_us || !fits(ev, &zone->limits, t))
                continue;
            in->object_told = true;
            report_moment(ev, removed ? "object-removed" : "object-left", zone->name, t,
                          t->moved_us);
        }
    }
}

void kt_events_finish(kt_events *ev)
{
    for (int z = 0; z < ev->rules->n_zones; z++) {
        zone_close(ev, &ev->zone[z]);
        memset(ev->zone[z].inside, 0, sizeof(ev->zone[z].inside));
    }
    memset(ev->line, 0, sizeof(ev->line));
}

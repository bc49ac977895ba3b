/*
 * tracks.c - greedy assignment of blobs to predicted boxes.
 *
 * Every blob goes to the track whose predicted box it fits best; a track takes
 * the union of its blobs, so that a person whom the model cuts in two stays one.
 * A track whose place is covered by a blob of another one (two people meet) goes
 * on at its last speed inside that blob until they part.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "decoders/motion/tracks.h"
#include "decoders/motion/unrest.h"
#include "server/base/clock.h"

#define CONFIRM_US 400000           /* seen at least this long, … */
#define CONFIRM_HITS 3
#define HITS 2                      /* pictures in which it was seen, for each without; … */
#define HITS_DOUBTFUL 6             /* … where there is reason to doubt */
#define CONFIRM_FAR 0.025f          /* … and moved this share of the picture's diagonal */
#define EDGE 2                      /* pixels: what begins so near to the picture's edge is cut off by it */
#define REST 0.015f                 /* moves of less than this share are standing still */
#define CONFIRM_STRAIGHT 0.4f       /* of the way it went must have led away: no swaying */
#define UNREST 0.4f                 /* share of its box where things come and go: there … */
#define DIRECT 0.75f                /* … it must go straighter, and farther than it is large; … */
#define CAME_FAR 0.15f              /* … or have come in at the edge by so much: branches do not reach so far; … */
#define SLIM 5                      /* … so must what is so many times as long as wide */
#define GROWN 0.35f                 /* who comes closer grows downwards: the head moves less than this of it … */
#define GROWN_US 1500000            /* … for so long, … */
#define GROWN_ASIDE 0.25f           /* … and the middle less than this of the width */
#define CLUTTER_US 5e6f             /* how long what came to nothing is remembered */
#define CLUTTER_SHARE 0.5f          /* one such a second: wait so much longer, … */
#define CLUTTER_MOST 4.0f           /* … at most so many times as long, … */
#define CLUTTER_LARGER 10           /* … unless it is so many times as large: then it is none of them */
#define SUDDEN 8                    /* no thing is so many times as large as in the picture before; … */
#define SUDDEN_US 500000            /* … what was here for so long and is so small is not it */
#define SWARM_AT_ONCE 0.25f         /* of each that is on its way now, too, … */
#define SWARM_FREE 1.0f             /* … and one a second that got there: more is snow, then … */
#define SWARM_LONGER 6.0f           /* … each must last so much longer, … */
#define SWARM_LARGER 3              /* … unless it is so many times as large as they are; … */
#define SWARM_MOST 20.0f            /* … at most so many times as long: flakes are past by then */
#define DIM_US KT_SECOND_US         /* in the dark it must be seen so long, … */
#define DIM_FAR 0.5f                /* … and have gone so much of its size */
#define NEW_US 2000000              /* where nothing is known: as long as a branch swings to one side */
#define OLD_US 2500000
#define EXPECTED_US 500000
#define EXPECTED_LARGER 1.5f
#define LOST_TENTATIVE_US 500000
#define LOST_MISSES 2               /* pictures: they may be seconds apart */
#define LOST_CONFIRMED_US 1500000

struct kt_tracks {
    int w, h;
    float diagonal;
    uint32_t next_id;
    int64_t t_us;
    kt_unrest *unrest;
    float clutter;                  /* tracks a second that come to nothing, lately, … */
    float clutter_area;             /* … and how large they were */
    float swarm;                    /* tracks a second that would do as visitors, lately, … */
    float swarm_area;               /* … and how large they are */
    bool dim;                       /* little light, much noise */
    int going;                      /* tracks that are going somewhere and not confirmed */
    int owner[KT_BLOBS_MAX];
    struct kt_track track[KT_TRACKS_MAX];
};

struct box {
    float x0, y0, x1, y1;
};

int kt_tracks_create(kt_tracks **out, int w, int h)
{
    kt_cleanup(kt_tracks_destroy) kt_tracks *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    const int ret = kt_unrest_create(&t->unrest, w, h);
    if (ret < 0)
        return ret;
    t->w = w;
    t->h = h;
    t->diagonal = hypotf((float)w, (float)h);
    *out = kt_steal_ptr(&t);
    return 0;
}

void kt_tracks_destroy(kt_tracks **pt)
{
    kt_tracks *t = kt_steal_ptr(pt);
    if (!t)
        return;
    kt_unrest_destroy(&t->unrest);
    free(t);
}

const struct kt_track *kt_tracks_list(const kt_tracks *t)
{
    return t->track;
}

int kt_tracks_owner(const kt_tracks *t, int i)
{
    return t->owner[i];
}

void kt_tracks_know_place(kt_tracks *t)
{
    kt_unrest_know(t->unrest);
}

void kt_tracks_set_dim(kt_tracks *t, bool dim)
{
    t->dim = dim;
}

void kt_tracks_know_unrest(kt_tracks *t, const uint8_t *flicker)
{
    kt_unrest_begin(t->unrest, flicker);
}

void kt_tracks_end_all(kt_tracks *t)
{
    for (int i = 0; i < KT_TRACKS_MAX; i++)
        t->track[i].ended = t->track[i].id != 0;
}

static struct box predict(const struct kt_track *t, int64_t t_us)
{
    const float dt = (float)(t_us - t->last_us) / 1e6f;
    const float reach = dt > 1.0f ? 1.0f : dt;      /* no faith in old speeds */
    return (struct box){ t->x0 + t->vx * reach, t->y0 + t->vy * reach, t->x1 + t->vx * reach,
                         t->y1 + t->vy * reach };
}

static struct box blob_box(const struct kt_blob *b)
{
    return (struct box){ (float)b->x0, (float)b->y0, (float)b->x1 + 1, (float)b->y1 + 1 };
}

/* Gap between two boxes, 0 when they touch or overlap. */
static float gap(struct box a, struct box b)
{
    const float dx = fmaxf(0, fmaxf(a.x0 - b.x1, b.x0 - a.x1));
    const float dy = fmaxf(0, fmaxf(a.y0 - b.y1, b.y0 - a.y1));
    return hypotf(dx, dy);
}

static float overlap(struct box a, struct box b)
{
    const float dx = fminf(a.x1, b.x1) - fmaxf(a.x0, b.x0);
    const float dy = fminf(a.y1, b.y1) - fmaxf(a.y0, b.y0);
    return dx > 0 && dy > 0 ? dx * dy : 0;
}

/* How far a blob may lie from where a track is expected: farther the longer
 * it was not seen and the faster it moves. */
static float reach_of(const struct kt_tracks *ts, const struct kt_track *t)
{
    const float side = fmaxf(t->x1 - t->x0, t->y1 - t->y0);
    const float dt = (float)(ts->t_us - t->last_us) / 1e6f;
    return 0.25f * side + 0.01f * ts->diagonal + fminf(dt, 1.0f) * 0.12f * ts->diagonal;
}

/* How far apart the pieces of one thing may lie. */
static float fragment_reach(const kt_tracks *ts, struct box b)
{
    return 0.15f * fmaxf(b.x1 - b.x0, b.y1 - b.y0) + 0.01f * ts->diagonal;
}

/* The track that a blob of AREA pixels in B belongs to, or -1. */
static int best_track(const kt_tracks *ts, const struct box *expected, struct box b, int area)
{
    int best = -1;
    float best_cost = INFINITY;
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        const struct kt_track *t = &ts->track[i];
        if (!t->id || t->ended ||
            (!t->confirmed && ts->t_us - t->first_us > SUDDEN_US && area > SUDDEN * t->best_area))
            continue;
        const float away = gap(expected[i], b);
        if (away > reach_of(ts, t))
            continue;
        const float dx = (expected[i].x0 + expected[i].x1 - b.x0 - b.x1) / 2;
        const float dy = (expected[i].y0 + expected[i].y1 - b.y0 - b.y1) / 2;
        const float cost = hypotf(dx, dy) + away - (overlap(expected[i], b) > 0 ? 4 : 0) -
                           (t->confirmed ? 4 : 0);
        if (cost < best_cost) {
            best_cost = cost;
            best = i;
        }
    }
    return best;
}

bool kt_tracks_expects(const kt_tracks *ts, const struct kt_blob *blob, int64_t t_us)
{
    const struct box b = blob_box(blob);
    const float size = (b.x1 - b.x0) * (b.y1 - b.y0);
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        const struct kt_track *t = &ts->track[i];
        if (t->id && t->confirmed && !t->ended && t_us - t->last_us < EXPECTED_US &&
            blob->area <= EXPECTED_LARGER * t->area && 2 * overlap(predict(t, t_us), b) >= size)
            return true;
    }
    return false;
}

static void begin_hull(struct kt_track *t, struct box b)
{
    t->widest = b.x1 - b.x0;
    t->tallest = b.y1 - b.y0;
    t->hull_x0 = b.x0;
    t->hull_y0 = b.y0;
    t->hull_x1 = b.x1;
    t->hull_y1 = b.y1;
}

static void grow_hull(struct kt_track *t, struct box b)
{
    t->widest = fmaxf(t->widest, b.x1 - b.x0);
    t->tallest = fmaxf(t->tallest, b.y1 - b.y0);
    t->hull_x0 = fminf(t->hull_x0, b.x0);
    t->hull_y0 = fminf(t->hull_y0, b.y0);
    t->hull_x1 = fmaxf(t->hull_x1, b.x1);
    t->hull_y1 = fmaxf(t->hull_y1, b.y1);
}

static float largest(const struct kt_track *t)
{
    return fmaxf(t->widest, t->tallest);
}

static int start_track(kt_tracks *ts, const struct kt_blob *b)
{
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        struct kt_track *t = &ts->track[i];
        if (t->id)
            continue;
        const struct box box = blob_box(b);
        *t = (struct kt_track){
            .id = ++ts->next_id,
            .seen = true,
            .x0 = box.x0, .y0 = box.y0, .x1 = box.x1, .y1 = box.y1,
            .area = b->area, .best_area = b->area, .hits = 1,
            .first_us = ts->t_us, .last_us = ts->t_us,
            .start_x0 = box.x0, .start_y0 = box.y0, .start_x1 = box.x1, .start_y1 = box.y1,
            .start_cx = (box.x0 + box.x1) / 2, .start_cy = (box.y0 + box.y1) / 2,
        };
        begin_hull(t, box);
        t->foot_x = t->last_foot_x = t->first_x = t->start_cx;
        t->foot_y = t->last_foot_y = t->first_y = box.y1;
        t->rest_cx = t->start_cx;
        t->rest_cy = t->start_cy;
        t->moved_us = ts->t_us;
        return i;
    }
    return -1;
}

/* A flicker that was here for long is no part of the thing that now covers it. */
static void begin_again(const kt_tracks *ts, struct kt_track *t, struct box b)
{
    t->hits = t->gaps = 0;
    t->slim = false;
    t->far = t->path = t->trail = t->vx = t->vy = 0;
    t->first_us = t->last_us = t->moved_us = ts->t_us;
    t->x0 = b.x0;
    t->y0 = b.y0;
    t->x1 = b.x1;
    t->y1 = b.y1;
    t->start_cx = t->rest_cx = t->foot_x = t->last_foot_x = t->first_x = (b.x0 + b.x1) / 2;
    t->start_cy = t->rest_cy = (b.y0 + b.y1) / 2;
    t->foot_y = t->last_foot_y = t->first_y = b.y1;
    t->start_x0 = b.x0;
    t->start_y0 = b.y0;
    t->start_x1 = b.x1;
    t->start_y1 = b.y1;
    begin_hull(t, b);
}

/* A thread, a branch: long and thin, and not only because it is just coming into the picture. */
static bool is_slim(const kt_tracks *ts, struct box b)
{
    const float w = b.x1 - b.x0, h = b.y1 - b.y0;
    return (h > SLIM * w && b.x0 >= EDGE && b.x1 <= (float)ts->w - EDGE) ||
           (w > SLIM * h && b.y0 >= EDGE && b.y1 <= (float)ts->h - EDGE);
}

static void move_to(kt_tracks *ts, struct kt_track *t, struct box b, int area)
{
    if (!t->confirmed && ts->t_us - t->first_us > OLD_US && area > 3 * t->best_area)
        begin_again(ts, t, b);
    const float dt = (float)(ts->t_us - t->last_us) / 1e6f;
    const float cx = (b.x0 + b.x1) / 2, cy = (b.y0 + b.y1) / 2;
    t->path += hypotf(cx - (t->x0 + t->x1) / 2, cy - (t->y0 + t->y1) / 2);
    if (dt > 0) {
        const float vx = (cx - (t->x0 + t->x1) / 2) / dt, vy = (cy - (t->y0 + t->y1) / 2) / dt;
        const float a = t->hits < 3 ? 0.5f : 0.25f;
        t->vx += a * (vx - t->vx);
        t->vy += a * (vy - t->vy);
    }
    t->x0 = b.x0;
    t->y0 = b.y0;
    t->x1 = b.x1;
    t->y1 = b.y1;
    t->foot_x = cx;
    t->foot_y = b.y1;
    t->area = area;
    t->best_area = area > t->best_area ? area : t->best_area;
    grow_hull(t, b);
    t->slim |= is_slim(ts, b);
    t->far = fmaxf(t->far, hypotf(cx - t->start_cx, cy - t->start_cy));
    const float step = hypotf(cx - t->rest_cx, cy - t->rest_cy);
    if (step > REST * ts->diagonal) {
        t->trail += step;
        t->rest_cx = cx;
        t->rest_cy = cy;
        t->moved_us = ts->t_us;
    }
    t->hits++;
    t->misses = 0;
    t->last_us = ts->t_us;
    t->seen = true;
}

static float away_of(const struct kt_track *t)
{
    return hypotf((t->x0 + t->x1) / 2 - t->start_cx, (t->y0 + t->y1) / 2 - t->start_cy);
}

bool kt_track_is_going(const struct kt_track *t)
{
    return t->hits >= 3 && away_of(t) >= fmaxf(2, 0.5f * t->path);
}

/*
 * How far both ends went the same way: what only grows has not moved. Nor has what grew until it
 * covered where it is now and then shrank to that side (the rest of a shadow's edge, pieces of a crown that
 * meet and part): it was never anywhere outside of what it covered at once, SPARE is 0.
 */
static float both(float low, float high, float spare)
{
    return low * high <= 0 ? 0 : fminf(fminf(fabsf(low), fabsf(high)), spare);
}

static float moved_whole(const struct kt_track *t)
{
    return hypotf(both(t->x0 - t->start_x0, t->x1 - t->start_x1, t->hull_x1 - t->hull_x0 - t->widest),
                  both(t->y0 - t->start_y0, t->y1 - t->start_y1, t->hull_y1 - t->hull_y0 - t->tallest));
}

/* How far into the picture it came since it was first seen, cut off by the edge. */
static float came_in(const kt_tracks *ts, const struct kt_track *t)
{
    const float left = t->start_x0 < EDGE ? t->x1 - t->start_x1 : 0;
    const float top = t->start_y0 < EDGE ? t->y1 - t->start_y1 : 0;
    const float right = t->start_x1 > (float)ts->w - EDGE ? t->start_x0 - t->x0 : 0;
    const float bottom = t->start_y1 > (float)ts->h - EDGE ? t->start_y0 - t->y0 : 0;
    return fmaxf(fmaxf(left, right), fmaxf(top, bottom));
}

/* Somebody comes towards the camera: the head stays where it was, the feet come down. */
static bool comes_closer(const kt_tracks *ts, const struct kt_track *t, float least)
{
    const float down = t->y1 - t->start_y1;
    return ts->t_us - t->first_us >= GROWN_US && down >= least && fabsf(t->y0 - t->start_y0) <= GROWN * down &&
           fabsf((t->x0 + t->x1) / 2 - t->start_cx) <= GROWN_ASIDE * (t->x1 - t->x0);
}

static void join_swarm(kt_tracks *ts, struct kt_track *t)
{
    const float one = 1e6f / CLUTTER_US, was = ts->swarm;
    t->fit = true;
    ts->swarm += one;
    ts->swarm_area += ((float)t->best_area - ts->swarm_area) * one / (was + one);
}

static void add_clutter(kt_tracks *ts, const struct kt_track *t)
{
    const float one = 1e6f / CLUTTER_US, was = ts->clutter;
    ts->clutter += one;
    ts->clutter_area += ((float)t->best_area - ts->clutter_area) * one / (was + one);
}

/* How much longer than usual it takes T to be believed among what is gone again at once. */
static float lasting(const kt_tracks *ts, const struct kt_track *t)
{
    const bool stands_out = (float)t->best_area > CLUTTER_LARGER * ts->clutter_area;
    return stands_out ? 1 : fminf(CLUTTER_MOST, 1 + ts->clutter * CLUTTER_SHARE);
}

/* How much longer than usual it takes T to be believed while many come and go alike. */
static float patience(const kt_tracks *ts, const struct kt_track *t)
{
    const float more = ts->swarm + SWARM_AT_ONCE * (float)ts->going - SWARM_FREE;
    const bool stands_out = (float)t->best_area > SWARM_LARGER * ts->swarm_area;
    return more <= 0 || stands_out ? 1 : fminf(SWARM_MOST, 1 + SWARM_LONGER * more);
}

/* Blocks of the encoder's noise wander in the dark. */
static bool sure_in_the_dark(const kt_tracks *ts, const struct kt_track *t)
{
    return ts->t_us - t->first_us >= DIM_US && moved_whole(t) >= DIM_FAR * largest(t) &&
           away_of(t) >= DIRECT * t->trail;
}

static void confirm(kt_tracks *ts, struct kt_track *t)
{
    /* What was at its place for long, and is being learnt piece by piece, must go farther;
     * so must what is where things sway, and what looks like a thread. */
    const bool odd = ts->t_us - t->first_us > OLD_US || kt_unrest_is_new(ts->unrest) || t->slim;
    const bool doubtful = odd || kt_unrest_share(ts->unrest, t->x0, t->y0, t->x1, t->y1) > UNREST;
    const float far = fmaxf(6, CONFIRM_FAR * ts->diagonal), whole = moved_whole(t);
    const bool left_its_place = whole >= largest(t) || (!odd && came_in(ts, t) >= CAME_FAR * ts->diagonal);
    if (kt_unrest_is_new(ts->unrest) && ts->t_us - t->first_us < NEW_US)
        return;
    if (t->hits >= CONFIRM_HITS && t->hits >= (doubtful ? HITS_DOUBTFUL : HITS) * t->gaps &&
        (float)(ts->t_us - t->first_us) >= CONFIRM_US * lasting(ts, t) &&
        t->far >= far && (whole >= far / 2 || came_in(ts, t) >= far / 2 || comes_closer(ts, t, far)) &&
        (!doubtful || (left_its_place && away_of(t) >= DIRECT * t->trail)) &&
        (!ts->dim || sure_in_the_dark(ts, t)) &&
        away_of(t) >= CONFIRM_STRAIGHT * t->path) {
        if (!t->fit)
            join_swarm(ts, t);
        t->confirmed = (float)(ts->t_us - t->first_us) >= CONFIRM_US * patience(ts, t);
    }
}

/* Nothing of its own was seen: it may stand behind another, or be gone. */
static void miss(kt_tracks *ts, struct kt_track *t)
{
    const int64_t limit = t->confirmed ? LOST_CONFIRMED_US : LOST_TENTATIVE_US;
    t->misses++;
    t->gaps++;
    if (ts->t_us - t->last_us > limit && t->misses >= LOST_MISSES) {
        t->ended = true;
        if (!t->confirmed)
            add_clutter(ts, t);
    }
}

void kt_tracks_update(kt_tracks *ts, const uint8_t *mask, const struct kt_blob *blob, int n,
                      int64_t t_us)
{
    struct box expected[KT_TRACKS_MAX], got[KT_TRACKS_MAX];
    int area[KT_TRACKS_MAX] = { 0 };
    assert(n <= KT_BLOBS_MAX);
    if (ts->t_us > 0) {
        const float kept = expf(-(float)(t_us - ts->t_us) / CLUTTER_US);
        ts->clutter *= kept;
        ts->swarm *= kept;
    }
    ts->going = 0;
    ts->t_us = t_us;
    kt_unrest_update(ts->unrest, mask, t_us);
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        struct kt_track *t = &ts->track[i];
        if (t->ended)
            t->id = 0, t->ended = false;
        t->seen = false;
        ts->going += t->id && !t->confirmed && kt_track_is_going(t);
        t->last_foot_x = t->foot_x;
        t->last_foot_y = t->foot_y;
        expected[i] = t->id ? predict(t, t_us) : (struct box){ 0 };
    }
    int *owner = ts->owner;
    for (int i = 0; i < n; i++) {
        const struct box b = blob_box(&blob[i]);
        const int o = owner[i] = best_track(ts, expected, b, blob[i].area);
        if (o < 0)
            continue;
        if (area[o] == 0) {
            got[o] = b;             /* the largest comes first, … */
        } else if (gap(got[o], b) > fragment_reach(ts, got[o])) {
            owner[i] = -1;          /* … what is far from it is something else */
            continue;
        }
        got[o] = (struct box){ fminf(got[o].x0, b.x0), fminf(got[o].y0, b.y0),
                               fmaxf(got[o].x1, b.x1), fmaxf(got[o].y1, b.y1) };
        area[o] += blob[i].area;
    }
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        struct kt_track *t = &ts->track[i];
        if (!t->id)
            continue;
        if (area[i] > 0)
            move_to(ts, t, got[i], area[i]);
        else
            miss(ts, t);
        if (t->seen && !t->confirmed)
            confirm(ts, t);
    }
    for (int i = 0; i < n; i++)
        if (owner[i] < 0)
            owner[i] = start_track(ts, &blob[i]);
}

/* motion.c - the stages in order: background, components, tracks, events. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <math.h>
#include <string.h>

#include "decoders/motion/background.h"
#include "decoders/motion/components.h"
#include "decoders/motion/events.h"
#include "decoders/motion/light.h"
#include "decoders/motion/motion.h"
#include "decoders/motion/rules.h"
#include "decoders/motion/steady.h"
#include "decoders/motion/tracks.h"
#include "server/base/clock.h"

#define HOLD_US (180 * KT_SECOND_US) /* what stopped is part of the place after this */
#define YOUNG_US 2500000            /* what has not moved by now is no visitor */
#define RELIT_SHARE 0.4             /* of the picture: the light changed everywhere */
#define UNIFORM_SHARE 0.75
#define LIT_SHARE 0.1               /* more than somebody covers: a lamp, a cloud */
#define THINGS_SHARE 0.02
#define FOLLOW_PICTURES 3
#define ELSEWHERE_CHANGED 0.1       /* of the picture differs, and … */
#define ELSEWHERE_SHARE 0.6         /* … of its parts do not show what they showed */
#define BLACK 16
#define DRIFT_ROWS 8                /* every so many-th row, and … */
#define DRIFT_STEP 4                /* … every so many-th pixel of it, is enough */
#define DRIFT_NEAR 10               /* grey levels: so well must one change of light explain … */
#define DRIFT_SHARE 0.8             /* … so much of the picture, and … */
#define DRIFT_LEAST 2.5             /* … it must be so many grey levels, in the mean */
#define KNOCKED_US (30 * KT_SECOND_US) /* the same shift for so long: it will not come back */
#define FAINT 0.4                   /* contrast of the place, of the ordinary: hardly any */
#define DIM 0.8                     /* contrast of the place, of the ordinary */
#define MIN_AREA_SHARE 0.0006       /* of the picture; smaller blobs are noise */

struct kt_motion {
    kt_background *background;      /* the next five: NULL until the first picture */
    kt_components *components;
    kt_tracks *tracks;
    kt_steady *steady;
    struct kt_shift shift;          /* of the picture at hand */
    struct kt_memory *memory;       /* loaded, not yet used; NULL: none */
    bool recalled;                  /* from a memory; no picture has confirmed it */
    int64_t shifted_us;             /* it has been the same since then */
    uint8_t *mask, *hold, *absorb, *relit;
    bool has_relit;                 /* something is set in relit */
    int relit_pictures;             /* in a row in which much was relit, … */
    int64_t relit_us;               /* … since then */
    int w, h;
    int64_t t_us;
    struct kt_rules *rules;
    kt_events *events;
    uint8_t *ignored;               /* 255 where the rules say so, NULL: nowhere */
};

int kt_motion_create(kt_motion **out, const struct kt_motion_params *params, struct kt_error *err)
{
    assert(out && params);
    kt_cleanup(kt_motion_destroy) kt_motion *m = calloc(1, sizeof(*m));
    if (!m)
        return kt_error_set(err, -ENOMEM, "out of memory");
    int ret = kt_rules_parse(&m->rules, params->rules_json, err);
    if (ret < 0)
        return ret;
    ret = kt_events_create(&m->events, m->rules, params);
    if (ret < 0)
        return kt_error_set(err, ret, "out of memory");
    *out = kt_steal_ptr(&m);
    return 0;
}

static void drop_stages(kt_motion *m)
{
    kt_background_destroy(&m->background);
    kt_components_destroy(&m->components);
    kt_tracks_destroy(&m->tracks);
    kt_steady_destroy(&m->steady);
    free(m->mask);
    free(m->hold);
    free(m->absorb);
    free(m->relit);
    free(m->ignored);
    m->mask = m->hold = m->absorb = m->relit = m->ignored = NULL;
    m->w = m->h = 0;
}

void kt_motion_destroy(kt_motion **pm)
{
    kt_motion *m = kt_steal_ptr(pm);
    if (!m)
        return;
    drop_stages(m);
    kt_memory_destroy(&m->memory);
    kt_events_destroy(&m->events);
    kt_rules_destroy(&m->rules);
    free(m);
}

void kt_motion_finish(kt_motion *m)
{
    kt_events_finish(m->events);
}

/* A background for pictures of this size; a new one when the size changes. */
static int prepare(kt_motion *m, const struct kt_motion_picture *pic)
{
    if (pic->w < 1 || pic->h < 1 || pic->w > 8192 || pic->h > 8192 || pic->source_w < 1 ||
        pic->source_h < 1)
        return -EINVAL;
    kt_events_set_size(m->events, pic->w, pic->h, pic->source_w, pic->source_h);
    if (m->w == pic->w && m->h == pic->h)
        return 0;
    kt_motion_finish(m);
    drop_stages(m);
    int ret = kt_background_create(&m->background, pic->w, pic->h, NULL);
    if (ret == 0)
        ret = kt_components_create(&m->components, pic->w, pic->h);
    if (ret == 0)
        ret = kt_tracks_create(&m->tracks, pic->w, pic->h);
    if (ret == 0)
        ret = kt_steady_create(&m->steady, pic->w, pic->h);
    m->mask = calloc((size_t)pic->w, (size_t)pic->h);
    m->hold = calloc((size_t)pic->w, (size_t)pic->h);
    m->absorb = calloc((size_t)pic->w, (size_t)pic->h);
    m->relit = calloc((size_t)pic->w, (size_t)pic->h);
    m->ignored = calloc((size_t)pic->w, (size_t)pic->h);
    if (ret == 0 && (!m->mask || !m->hold || !m->absorb || !m->relit ||
                     !m->ignored))
        ret = -ENOMEM;
    if (ret < 0) {
        drop_stages(m);
        return ret;
    }
    m->w = pic->w;
    m->h = pic->h;
    if (m->memory && m->memory->w == m->w && m->memory->h == m->h) {
        kt_background_recall(m->background, m->memory);
        kt_tracks_know_place(m->tracks);
        m->recalled = true;
    }
    kt_memory_destroy(&m->memory);
    if (!kt_rules_draw_ignored(m->rules, m->ignored, m->w, m->h)) {
        free(m->ignored);
        m->ignored = NULL;
    }
    return 0;
}

int kt_motion_remember(const kt_motion *m, struct kt_memory **out)
{
    kt_cleanup(kt_memory_destroy) struct kt_memory *memory = NULL;
    if (!m->background)
        return -EAGAIN;
    int ret = kt_memory_create(&memory, m->w, m->h);
    if (ret == 0)
        ret = kt_background_remember(m->background, memory);
    if (ret == 0)
        *out = kt_steal_ptr(&memory);
    return ret;
}

void kt_motion_recall(kt_motion *m, struct kt_memory **memory)
{
    kt_memory_destroy(&m->memory);
    m->memory = kt_steal_ptr(memory);
}

int kt_motion_learn(kt_motion *m, const struct kt_motion_picture *pic)
{
    const int ret = prepare(m, pic);
    if (ret < 0)
        return ret;
    kt_tracks_know_place(m->tracks);
    return kt_background_learn(m->background, pic);
}

static void fill_grid(const kt_motion *m, const uint8_t *mask, uint8_t grid[KT_MOTION_GRID_BYTES])
{
    for (int y = 0; y < m->h; y++) {
        const uint8_t *row = mask + (ptrdiff_t)y * m->w;
        const int gy = y * 9 / m->h;
        for (const uint8_t *p = row; (p = memchr(p, 255, (size_t)(row + m->w - p))); ) {
            const int gx = (int)(p - row) * 16 / m->w, bit = gy * 16 + gx;
            grid[bit / 8] = (uint8_t)(grid[bit / 8] | 1 << bit % 8);
            p = row + ((gx + 1) * m->w + 15) / 16;      /* on to the next cell */
            if (p >= row + m->w)
                break;
        }
    }
}

/* 0..1: how much moves, on a scale where a person in the middle distance is about a half. */
static double score_of(const kt_motion *m, int area)
{
    const double share = (double)area / ((double)m->w * m->h);
    return share <= 0 ? 0 : fmin(1, sqrt(share) * 3);
}

static void list_boxes(const kt_motion *m, struct kt_motion_result *out)
{
    const struct kt_track *list = kt_tracks_list(m->tracks);
    for (int i = 0; i < KT_TRACKS_MAX && out->n_boxes < KT_MOTION_MAX_BOXES; i++)
        if (list[i].id && !list[i].ended && list[i].seen) {
            struct kt_track t = list[i];
            const float w = (float)m->w, h = (float)m->h;
            t.x0 = fminf(fmaxf(t.x0 + (float)m->shift.x, 0), w - 1);
            t.y0 = fminf(fmaxf(t.y0 + (float)m->shift.y, 0), h - 1);
            t.x1 = fminf(fmaxf(t.x1 + (float)m->shift.x, t.x0 + 1), w);
            t.y1 = fminf(fmaxf(t.y1 + (float)m->shift.y, t.y0 + 1), h);
            out->boxes[out->n_boxes++] = kt_events_box(m->events, &t);
        }
}

/*
 * Was it left here, or taken away? A thing has an outline in the picture; where a
 * thing is gone, the outline is in the background.
 */
static bool looks_removed(const kt_motion *m, const struct kt_motion_picture *pic,
                          const struct kt_track *t)
{
    const uint8_t *typical = kt_background_typical(m->background);
    const int x0 = (int)fmaxf(1, t->x0 - 1), x1 = (int)fminf((float)m->w - 2, t->x1 + 1);
    const int y0 = (int)fmaxf(1, t->y0 - 1), y1 = (int)fminf((float)m->h - 2, t->y1 + 1);
    int64_t now = 0, before = 0;
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            const ptrdiff_t p = (ptrdiff_t)y * m->w + x;
            if (m->mask[p - 1] == m->mask[p + 1] && m->mask[p - m->w] == m->mask[p + m->w])
                continue;           /* not at its edge */
            now += abs(pic->luma[p + 1] - pic->luma[p - 1]) +
                   abs(pic->luma[p + m->w] - pic->luma[p - m->w]);
            before += abs(typical[p + 1] - typical[p - 1]) +
                      abs(typical[p + m->w] - typical[p - m->w]);
        }
    return before > now;
}

static void check_still(kt_motion *m, const struct kt_motion_picture *pic)
{
    const struct kt_track *list = kt_tracks_list(m->tracks);
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        const struct kt_track *t = &list[i];
        if (t->id && !t->ended && t->seen && m->t_us - t->moved_us > KT_SECOND_US &&
            kt_events_wants_still(m->events, t))
            kt_events_still(m->events, t, looks_removed(m, pic, t), m->t_us);
    }
}

/*
 * Tell the background what the tracker knows: what came moving is not learnt
 * while it stands about, what never moved belongs to the place.
 */
static void fill_hints(kt_motion *m, const struct kt_blob *blob, int n)
{
    const struct kt_track *list = kt_tracks_list(m->tracks);
    int16_t hold[KT_BLOBS_MAX], absorb[KT_BLOBS_MAX];
    const size_t bytes = (size_t)m->w * (size_t)m->h;
    for (int i = 0; i < n; i++) {
        const int o = kt_tracks_owner(m->tracks, i);
        hold[i] = absorb[i] = -1;
        if (o < 0)
            continue;
        if (kt_events_wants_still(m->events, &list[o]))
            hold[i] = 255;
        else if (list[o].confirmed)
            *(m->t_us - list[o].moved_us < HOLD_US ? &hold[i] : &absorb[i]) = 255;
        else if (kt_track_is_going(&list[o]))
            hold[i] = 255;
        else if (m->t_us - list[o].moved_us > YOUNG_US)
            absorb[i] = 255;
    }
    memset(m->hold, 0, bytes);
    memset(m->absorb, 0, bytes);
    if (n > 0) {
        kt_components_paint(m->components, m->hold, blob, hold, n);
        kt_components_paint(m->components, m->absorb, blob, absorb, n);
    }
    for (size_t i = 0; m->has_relit && i < bytes; i++)
        m->absorb[i] |= m->relit[i];
}

/* Shares of the picture that are relit, and that are things. */
static void shares(const kt_motion *m, double *relit, double *things)
{
    const size_t n = (size_t)m->w * (size_t)m->h;
    size_t nr = 0, nt = 0;
    for (size_t i = 0; i < n; i++) {
        nr += m->relit[i] & 1;
        nt += m->mask[i] & 1;
    }
    *relit = (double)nr / (double)n;
    *things = (double)nt / (double)n;
}

/* What makes the background look like PIC where it is relit: least squares. */
static void follow_gain(kt_motion *m, const struct kt_motion_picture *pic)
{
    const uint8_t *typical = kt_background_typical(m->background);
    const size_t n = (size_t)m->w * (size_t)m->h;
    int64_t k = 0, si = 0, sb = 0, sbb = 0, sib = 0;
    for (size_t p = 0; p < n; p++) {
        const int on = m->relit[p] & 1, i = pic->luma[p], b = typical[p];
        k += on;
        si += on * i;
        sb += on * b;
        sbb += on * b * b;
        sib += on * i * b;
    }
    const double var = (double)sbb - (double)sb * (double)sb / (double)k;
    double gain = var > 0 ? ((double)sib - (double)si * (double)sb / (double)k) / var : 1;
    gain = fmin(4, fmax(0.25, gain));
    kt_background_regain(m->background, gain, ((double)si - gain * (double)sb) / (double)k);
}

/* How much brighter PIC is than the place, of which BLACK stays: the mean over some pixels, of those only
 * which GAIN explains, when NEAR says how well. 0: of hardly any. *CHANGE is the mean in grey levels. */
static double mean_gain(const kt_motion *m, const struct kt_motion_picture *pic, double gain, int near, double *change)
{
    const uint8_t *typical = kt_background_typical(m->background);
    int64_t all = 0, n = 0, si = 0, sb = 0;
    int expected[256];
    for (int v = 0; v < 256; v++)
        expected[v] = (int)lround(BLACK + gain * (v - BLACK));
    for (int y = DRIFT_ROWS / 2; y < m->h; y += DRIFT_ROWS)
        for (ptrdiff_t p = (ptrdiff_t)y * m->w; p < (ptrdiff_t)(y + 1) * m->w; p += DRIFT_STEP) {
            const int i = pic->luma[p], b = typical[p], on = abs(i - expected[b]) <= near;
            all++;
            n += on;
            si += on * i;
            sb += on * b;
        }
    if ((double)n < DRIFT_SHARE * (double)all || sb <= BLACK * n || si <= BLACK * n)
        return 0;
    *change = (double)(si - sb) / (double)n;
    return (double)(si - BLACK * n) / (double)(sb - BLACK * n);
}

/*
 * A cloud that passes, a camera that corrects its exposure: all of the picture becomes brighter or darker, a little
 * with each picture. The background goes along before any of it looks like something else.
 */
static void follow_drift(kt_motion *m, const struct kt_motion_picture *pic)
{
    double change = 0;
    if (!kt_background_started(m->background))
        return;
    double gain = mean_gain(m, pic, 1, 255, &change);
    if (gain > 0)
        gain = mean_gain(m, pic, gain, DRIFT_NEAR, &change);
    if (gain > 0 && fabs(change) >= DRIFT_LEAST)
        kt_background_regain(m->background, gain, BLACK * (1 - gain));
}

/*
 * When the light changes nearly everywhere at once (exposure, lamps), the
 * background is made brighter or darker with it. When it changes over much of the
 * picture otherwise (a cloud's edge, day to night), what is there now is the new
 * background; but not at once while a thing stands in it.
 */
static void follow_light(kt_motion *m, const struct kt_motion_picture *pic, int64_t t_us)
{
    double relit, things;
    if (kt_background_settling(m->background, t_us)) {
        kt_background_relight(m->background, pic, t_us, false);
        return;
    }
    shares(m, &relit, &things);
    if (relit <= RELIT_SHARE) {
        m->relit_pictures = 0;
        return;
    }
    if (m->relit_pictures++ == 0)
        m->relit_us = t_us;
    if (relit > UNIFORM_SHARE && m->relit_pictures <= FOLLOW_PICTURES)
        follow_gain(m, pic);
    else if (things < THINGS_SHARE || t_us - m->relit_us > KT_SECOND_US)
        kt_background_relight(m->background, pic, t_us, true);
}

/* The mask of PIC, cleaned, and its blobs. */
static int find_blobs(kt_motion *m, const struct kt_motion_picture *pic, int64_t t_us,
                      double area_share, struct kt_blob blob[KT_BLOBS_MAX])
{
    kt_background_compare(m->background, pic, t_us, m->mask);
    if (m->ignored)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)m->w * m->h; i++)
            m->mask[i] &= (uint8_t)~m->ignored[i];
    kt_components_fill_holes(m->components, m->mask, m->w * m->h / 16);
    const int min_area = (int)fmax(4, area_share * m->w * m->h);
    const int n = kt_components_find(m->components, m->mask, min_area, blob);
    const uint8_t *typical = kt_background_typical(m->background);
    bool changed = false;
    memset(m->relit, 0, (size_t)m->w * (size_t)m->h);
    for (int i = 0; i < n; i++)     /* who came walking does not turn into light on the way */
        changed |= !kt_tracks_expects(m->tracks, &blob[i], t_us) &&
                   kt_light_remove(pic->luma, typical, m->w, m->h,
                                   kt_background_noise(m->background), &blob[i], m->mask, m->relit);
    m->has_relit = changed;
    if (kt_background_settling(m->background, t_us)) {
        m->has_relit = true;
        memset(m->mask, 0, (size_t)m->w * (size_t)m->h);
        return 0;
    }
    return changed ? kt_components_find(m->components, m->mask, min_area, blob) : n;
}

/* Much differs, and what was there is nowhere to be seen. */
static bool is_elsewhere(const kt_motion *m, const struct kt_motion_picture *pic, int area)
{
    const size_t n = (size_t)m->w * (size_t)m->h;
    size_t changed = (size_t)area;
    for (size_t i = 0; m->has_relit && i < n; i++)
        changed += m->relit[i] & 1;
    return (double)changed > ELSEWHERE_CHANGED * (double)n &&
           kt_steady_strange(pic->luma, kt_background_typical(m->background), m->w, m->h,
                             kt_noise_median(kt_background_noise(m->background))) >
               ELSEWHERE_SHARE;
}

/*
 * Where the camera looks, against where it looked: PIC is moved back when it
 * trembles; when it was knocked, or turned, what it shows now is the new place.
 */
static struct kt_motion_picture hold_steady(kt_motion *m, const struct kt_motion_picture *pic,
                                            int64_t t_us)
{
    const uint8_t *typical = kt_background_typical(m->background);
    if (m->recalled && kt_steady_strange(pic->luma, typical, m->w, m->h,
                                         kt_noise_median(kt_background_noise(m->background))) >
                           ELSEWHERE_SHARE)
        kt_background_reset(m->background);     /* the camera was turned meanwhile */
    m->recalled = false;
    if (!kt_background_started(m->background))
        return *pic;
    const struct kt_shift now = kt_steady_find(m->steady, pic->luma, typical);
    if (abs(now.x - m->shift.x) > 1 || abs(now.y - m->shift.y) > 1 || (now.x == 0 && now.y == 0))
        m->shifted_us = t_us;
    m->shift = now;
    if (t_us - m->shifted_us > KNOCKED_US) {
        m->shift = (struct kt_shift){ 0, 0 };
        kt_background_relight(m->background, pic, t_us, true);
    }
    return kt_steady_move(m->steady, pic, typical, m->shift);
}

/* A thing that has been at its place for a while. */
static bool is_settled(const kt_motion *m, const struct kt_track *t)
{
    return m->t_us - t->moved_us > YOUNG_US;
}

static bool is_busy(const kt_motion *m)
{
    const struct kt_track *list = kt_tracks_list(m->tracks);
    for (int i = 0; i < KT_TRACKS_MAX; i++) {
        const struct kt_track *t = &list[i];
        if (t->id && !t->ended &&
            ((t->seen && !is_settled(m, t)) || kt_events_wants_still(m->events, t)))
            return true;
    }
    return false;
}

bool kt_motion_is_faint(const kt_motion *m)
{
    return m->background && kt_noise_contrast(kt_background_noise(m->background)) < FAINT;
}

bool kt_motion_suspects(kt_motion *m, const struct kt_motion_picture *came, int64_t t_us)
{
    struct kt_blob blob[KT_BLOBS_MAX];
    if (prepare(m, came) < 0)
        return false;
    const struct kt_motion_picture steady = hold_steady(m, came, t_us), *pic = &steady;
    const struct kt_track *list = kt_tracks_list(m->tracks);
    /* Where contrast is small, of a thing only pieces are seen. */
    const bool dim = kt_noise_contrast(kt_background_noise(m->background)) < DIM;
    const int n = find_blobs(m, pic, t_us, MIN_AREA_SHARE / (dim ? 6 : 2), blob);
    double relit = 0, things = 0;
    if (m->has_relit)
        shares(m, &relit, &things);
    if (relit > LIT_SHARE)          /* who came before the lamp went on is to be seen in the old light */
        return true;
    for (int i = 0; i < n; i++) {
        bool known = false;
        for (int k = 0; k < KT_TRACKS_MAX && !known; k++) {
            const struct kt_track *t = &list[k];
            const float slack = 2 + 0.1f * (t->x1 - t->x0 + t->y1 - t->y0);
            known = t->id && !t->ended && is_settled(m, t) &&
                    (float)blob[i].x0 >= t->x0 - slack && (float)blob[i].x1 <= t->x1 + slack &&
                    (float)blob[i].y0 >= t->y0 - slack && (float)blob[i].y1 <= t->y1 + slack;
        }
        if (!known)
            return true;
    }
    return false;
}

int kt_motion_picture(kt_motion *m, const struct kt_motion_picture *came, int64_t t_us,
                      struct kt_motion_result *out)
{
    assert(m && came && out);
    const int ret = prepare(m, came);
    if (ret < 0)
        return ret;
    m->t_us = t_us;
    const struct kt_motion_picture steady = hold_steady(m, came, t_us), *pic = &steady;
    struct kt_blob blob[KT_BLOBS_MAX];
    follow_drift(m, pic);
    int n = find_blobs(m, pic, t_us, MIN_AREA_SHARE, blob), area = 0;
    const uint8_t *flicker = kt_background_flicker(m->background);
    if (flicker)
        kt_tracks_know_unrest(m->tracks, flicker);
    for (int i = 0; i < n; i++)
        area += blob[i].area;
    if (is_elsewhere(m, pic, area)) {
        kt_tracks_end_all(m->tracks);
        kt_background_relight(m->background, pic, t_us, true);
        memset(m->mask, 0, (size_t)m->w * (size_t)m->h);
        n = area = 0;
    }
    *out = (struct kt_motion_result){ .mask = kt_steady_mask(m->steady, m->mask, m->shift),
                                      .mask_width = m->w, .mask_height = m->h };
    out->motion = n > 0;
    out->score = score_of(m, area);
    fill_grid(m, out->mask, out->grid);
    kt_tracks_set_dim(m->tracks, kt_background_is_dim(m->background));
    kt_tracks_update(m->tracks, m->mask, blob, n, t_us);
    kt_events_update(m->events, kt_tracks_list(m->tracks), t_us);
    list_boxes(m, out);
    check_still(m, pic);
    out->busy = is_busy(m);
    fill_hints(m, blob, n);
    const struct kt_background_hints hints = { .hold = m->hold, .absorb = m->absorb };
    kt_background_adapt(m->background, pic, t_us, m->mask, &hints);
    if (m->has_relit)
        follow_light(m, pic, t_us);
    else
        m->relit_pictures = 0;
    return 0;
}

int kt_motion_frame(kt_motion *m, const uint8_t *luma, int w, int h, int source_w, int source_h,
                    int64_t t_us, struct kt_motion_result *out)
{
    const struct kt_motion_picture pic = { .luma = luma, .w = w, .h = h, .source_w = source_w,
                                           .source_h = source_h };
    return kt_motion_picture(m, &pic, t_us, out);
}

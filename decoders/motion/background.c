/*
 * background.c - the sample model: Barnich and Van Droogenbroeck, "ViBe"
 * (IEEE TIP 20(6), 2011), with thresholds that follow how much a pixel flickers
 * (St-Charles et al., "SuBSENSE", IEEE TIP 24(1), 2015), colour as a second
 * witness, and hints from the tracker. docs/motion.md says why.
 *
 * All state is bytes, rows are handled by kernels.h. Time enters as rates: a
 * camera of 10 pictures a second learns as fast as one of 25.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "decoders/motion/background.h"
#include "decoders/motion/dim.h"
#include "server/base/clock.h"

#define SAMPLES 12
#define COLOUR_SAMPLES 8
#define REFERENCE_STEP_US 40000     /* rates below are per picture at 25 a second */
#define LEARN_RATE 16               /* of 256, at that rate */
#define DIFFUSE_RATE 16
#define ABSORB_RATE 16
#define DECAY_US 160000             /* flicker is forgotten by one every so often */
#define RANDOM_BYTES 8192
#define MODE_WINDOW 16              /* the first background is the densest so many levels */
#define FEW_TURNS 9                 /* in a learnt pixel: leaving and coming back twice, and noise */
#define START_US (4 * KT_SECOND_US) /* a start without learning collects pictures so long */
#define START_STEP_US 160000
#define SETTLE_US (800 * 1000)

struct plane {
    int w, h;
    int samples;
    uint8_t *sample;                /* SAMPLES planes, one after the other */
    uint8_t *second;                /* the same for Cr, NULL in the luma plane */
    uint8_t *radius, *blink, *was, *fg;
};

struct kt_background {
    const struct kt_kernels *k;
    int w, h;
    struct plane luma, colour;
    uint8_t *typical;
    kt_dim *dim;
    struct kt_noise noise;
    uint8_t reach[KT_NOISE_BANDS];
    uint8_t *half;                  /* between the two votes */
    uint8_t *barred, *hold, *nothing;       /* one row each; NOTHING is all 0 */
    uint8_t *count_block, *count;   /* votes by column, with room at both ends */
    uint8_t *random;
    uint32_t seed;
    bool started;
    bool has_colour;
    bool recalled;                  /* started from a memory, and no picture has come yet */
    bool knows_flicker;             /* from many pictures at once, and nobody has asked yet */
    int64_t start_us, last_us, last_decay_us, last_kept_us, settle_until_us;
    int n_learnt;
    bool collecting;                /* still in its first seconds, without learning before */
    uint8_t *learnt[KT_MOTION_LEARN_MAX];   /* luma, cb, cr one after the other */
};

static size_t plane_bytes(const struct plane *p)
{
    return (size_t)p->w * (size_t)p->h;
}

static int plane_create(struct plane *p, int w, int h, int samples, bool two)
{
    p->w = w;
    p->h = h;
    p->samples = samples;
    const size_t n = plane_bytes(p);
    p->sample = calloc(n, (size_t)samples);
    p->second = two ? calloc(n, (size_t)samples) : NULL;
    p->radius = calloc(n, 1);
    p->blink = calloc(n, 1);
    p->was = calloc(n, 1);
    p->fg = calloc(n, 1);
    return p->sample && (p->second || !two) && p->radius && p->blink && p->was && p->fg ? 0
                                                                                       : -ENOMEM;
}

static void plane_destroy(struct plane *p)
{
    free(p->sample);
    free(p->second);
    free(p->radius);
    free(p->blink);
    free(p->was);
    free(p->fg);
    *p = (struct plane){ 0 };
}

static uint32_t next_random(kt_background *bg)
{
    bg->seed ^= bg->seed << 13;
    bg->seed ^= bg->seed >> 17;
    bg->seed ^= bg->seed << 5;
    return bg->seed;
}

/* N random bytes, N at most the longer side of a picture. */
static const uint8_t *random_bytes(kt_background *bg)
{
    return bg->random + next_random(bg) % RANDOM_BYTES;
}

int kt_background_create(kt_background **out, int w, int h, const struct kt_kernels *kernels)
{
    assert(out);
    if (w < 1 || h < 1 || w > 8192 || h > 8192)
        return -EINVAL;
    kt_cleanup(kt_background_destroy) kt_background *bg = calloc(1, sizeof(*bg));
    if (!bg)
        return -ENOMEM;
    bg->k = kernels ? kernels : kt_kernels_best();
    bg->w = w;
    bg->h = h;
    bg->seed = 2463534242u;
    const size_t n = (size_t)w * (size_t)h, row = (size_t)w + 64;
    if (plane_create(&bg->luma, w, h, SAMPLES, false) < 0 ||
        plane_create(&bg->colour, (w + 1) / 2, (h + 1) / 2, COLOUR_SAMPLES, true) < 0 ||
        kt_dim_create(&bg->dim, w, h) < 0)
        return -ENOMEM;
    bg->typical = calloc(n, 1);
    bg->half = calloc(n, 1);
    bg->barred = calloc(row, 1);
    bg->nothing = calloc(row, 1);
    bg->hold = calloc(row, 1);
    bg->count_block = calloc(row, 1);
    bg->random = malloc(RANDOM_BYTES + row);
    if (!bg->typical || !bg->half || !bg->barred || !bg->nothing || !bg->hold ||
        !bg->count_block || !bg->random)
        return -ENOMEM;
    bg->count = bg->count_block + 16;
    for (size_t i = 0; i < RANDOM_BYTES + row; i++)
        bg->random[i] = (uint8_t)(next_random(bg) >> 13);
    kt_noise_reset(&bg->noise);
    kt_noise_reach(&bg->noise, bg->reach);
    *out = kt_steal_ptr(&bg);
    return 0;
}

static void drop_learnt(kt_background *bg)
{
    for (int i = 0; i < bg->n_learnt; i++)
        free(bg->learnt[i]);
    bg->n_learnt = 0;
}

void kt_background_destroy(kt_background **pbg)
{
    kt_background *bg = kt_steal_ptr(pbg);
    if (!bg)
        return;
    plane_destroy(&bg->luma);
    plane_destroy(&bg->colour);
    drop_learnt(bg);
    kt_dim_destroy(&bg->dim);
    free(bg->typical);
    free(bg->half);
    free(bg->barred);
    free(bg->nothing);
    free(bg->hold);
    free(bg->count_block);
    free(bg->random);
    free(bg);
}

int kt_background_learn(kt_background *bg, const struct kt_motion_picture *pic)
{
    if (bg->n_learnt == KT_MOTION_LEARN_MAX)
        return 0;
    const size_t n = plane_bytes(&bg->luma), c = plane_bytes(&bg->colour);
    uint8_t *copy = malloc(n + 2 * c);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, pic->luma, n);
    if (pic->cb) {
        memcpy(copy + n, pic->cb, c);
        memcpy(copy + n + c, pic->cr, c);
    } else {
        memset(copy + n, 128, 2 * c);
    }
    bg->learnt[bg->n_learnt++] = copy;
    return 0;
}

/*
 * The SAMPLES values of one pixel from N pictures: those in the densest window
 * of MODE_WINDOW levels, spread over it. What passes is seldom as often at one
 * level as what stays. Returns how much the pixel flickers, as blink.
 */
static uint8_t densest(const uint8_t *value, int n, uint8_t *out, int samples)
{
    uint8_t seen[256] = { 0 }, in[KT_MOTION_LEARN_MAX];
    int low = 255, high = 0;
    for (int i = 0; i < n; i++) {
        seen[value[i]]++;
        low = value[i] < low ? value[i] : low;
        high = value[i] > high ? value[i] : high;
    }
    int best = low, most = 0, sum = 0;
    for (int v = low; v <= high; v++) {
        sum += seen[v];
        if (v - MODE_WINDOW >= low)
            sum -= seen[v - MODE_WINDOW];
        if (sum > most) {
            most = sum;
            best = v;
        }
    }
    int kept = 0, turns = 0;
    bool was = true;
    for (int i = 0; i < n; i++) {
        const bool inside = value[i] <= best && value[i] > best - MODE_WINDOW;
        if (inside)
            in[kept++] = value[i];
        turns += inside != was;
        was = inside;
    }
    for (int i = 0; i < samples; i++)
        out[i] = in[i * kept / samples % kept];
    /* What passes comes and goes once or twice; what sways does so all the time. */
    return (uint8_t)(turns > FEW_TURNS ? (turns < 16 ? 10 * turns : 160) : 0);
}

static void samples_from_learnt(kt_background *bg, uint8_t *sample, size_t n, int samples,
                                size_t offset, uint8_t *typical, uint8_t *blink)
{
    uint8_t value[KT_MOTION_LEARN_MAX], chosen[SAMPLES];
    for (size_t p = 0; p < n; p++) {
        for (int i = 0; i < bg->n_learnt; i++)
            value[i] = bg->learnt[i][offset + p];
        const uint8_t flicker = densest(value, bg->n_learnt, chosen, samples);
        blink[p] = flicker > blink[p] ? flicker : blink[p];
        for (int i = 0; i < samples; i++)
            sample[(size_t)i * n + p] = chosen[i];
        if (typical)
            typical[p] = chosen[samples / 2];
    }
}

static int by_mean(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Pictures in another light than most would mix two places into one: drop them. */
static void drop_odd_light(kt_background *bg)
{
    const size_t n = plane_bytes(&bg->luma);
    int mean[KT_MOTION_LEARN_MAX], sorted[KT_MOTION_LEARN_MAX], kept = 0;
    for (int i = 0; i < bg->n_learnt; i++) {
        uint64_t sum = 0;
        for (size_t p = 0; p < n; p++)
            sum += bg->learnt[i][p];
        mean[i] = sorted[i] = (int)(sum * 16 / n);
    }
    qsort(sorted, (size_t)bg->n_learnt, sizeof(sorted[0]), by_mean);
    const int median = sorted[bg->n_learnt / 2], slack = 3 * 16 + median / 32;
    for (int i = 0; i < bg->n_learnt; i++) {
        if (abs(mean[i] - median) <= slack)
            bg->learnt[kept++] = bg->learnt[i];
        else
            free(bg->learnt[i]);
    }
    bg->n_learnt = kept;
}

static void start_from_learnt(kt_background *bg)
{
    drop_odd_light(bg);
    const size_t n = plane_bytes(&bg->luma), c = plane_bytes(&bg->colour);
    samples_from_learnt(bg, bg->luma.sample, n, SAMPLES, 0, bg->typical,
                        bg->luma.blink);
    samples_from_learnt(bg, bg->colour.sample, c, COLOUR_SAMPLES, n, NULL,
                        bg->colour.blink);
    samples_from_learnt(bg, bg->colour.second, c, COLOUR_SAMPLES, n + c, NULL,
                        bg->colour.blink);
    drop_learnt(bg);
}

/* One picture is all there is: each sample is a pixel next to it. */
static void samples_from_picture(kt_background *bg, uint8_t *sample, const struct plane *p,
                                 const uint8_t *px)
{
    const size_t n = plane_bytes(p);
    memcpy(sample, px, n);
    for (int i = 1; i < p->samples; i++)
        for (int y = 0; y < p->h; y++) {
            const uint32_t r = next_random(bg);
            int from = y + (int)(r % 3) - 1, shift = (int)(r >> 8) % 3 - 1;
            from = from < 0 ? 0 : from >= p->h ? p->h - 1 : from;
            uint8_t *dst = sample + (size_t)i * n + (size_t)y * (size_t)p->w;
            const uint8_t *src = px + (size_t)from * (size_t)p->w;
            memcpy(dst, src, (size_t)p->w);
            if (p->w > 1 && shift < 0)
                memcpy(dst + 1, src, (size_t)p->w - 1);
            else if (p->w > 1 && shift > 0)
                memcpy(dst, src + 1, (size_t)p->w - 1);
        }
}

static void start_from_picture(kt_background *bg, const struct kt_motion_picture *pic)
{
    const size_t n = plane_bytes(&bg->luma);
    samples_from_picture(bg, bg->luma.sample, &bg->luma, pic->luma);
    if (pic->cb) {
        samples_from_picture(bg, bg->colour.sample, &bg->colour, pic->cb);
        samples_from_picture(bg, bg->colour.second, &bg->colour, pic->cr);
    }
    memcpy(bg->typical, pic->luma, n);
    memset(bg->luma.was, 0, n);
    memset(bg->colour.was, 0, plane_bytes(&bg->colour));
}

static void start(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us)
{
    bg->started = true;
    bg->has_colour = pic->cb != NULL;
    bg->start_us = bg->last_us = bg->last_decay_us = t_us;
    bg->last_kept_us = t_us - START_STEP_US;
    bg->collecting = bg->n_learnt == 0;
    bg->knows_flicker = bg->n_learnt > 0;
    if (bg->n_learnt > 0)
        start_from_learnt(bg);
    else
        start_from_picture(bg, pic);
}

const struct kt_noise *kt_background_noise(const kt_background *bg)
{
    return &bg->noise;
}

void kt_background_reset(kt_background *bg)
{
    kt_noise_reset(&bg->noise);
    kt_noise_reach(&bg->noise, bg->reach);
    drop_learnt(bg);
    bg->started = false;
    memset(bg->luma.blink, 0, plane_bytes(&bg->luma));
    memset(bg->colour.blink, 0, plane_bytes(&bg->colour));
}

int kt_background_remember(const kt_background *bg, struct kt_memory *out)
{
    assert(out->w == bg->w && out->h == bg->h);
    const size_t n = plane_bytes(&bg->luma), c = plane_bytes(&bg->colour);
    if (!bg->started || bg->collecting)
        return -EAGAIN;
    memcpy(out->planes, bg->typical, n);
    memcpy(out->planes + n, bg->luma.blink, n);
    memcpy(out->planes + 2 * n, bg->colour.sample, c);
    memcpy(out->planes + 2 * n + c, bg->colour.second, c);
    out->has_colour = bg->has_colour;
    out->noise = bg->noise;
    return 0;
}

void kt_background_recall(kt_background *bg, const struct kt_memory *memory)
{
    assert(memory->w == bg->w && memory->h == bg->h);
    const size_t n = plane_bytes(&bg->luma), c = plane_bytes(&bg->colour);
    const uint8_t *cb = memory->planes + 2 * n;
    const struct kt_motion_picture pic = { .luma = memory->planes,
                                           .cb = memory->has_colour ? cb : NULL, .cr = cb + c };
    kt_background_reset(bg);
    start(bg, &pic, 0);
    memcpy(bg->luma.blink, memory->planes + n, n);
    bg->noise = memory->noise;
    kt_noise_reach(&bg->noise, bg->reach);
    bg->collecting = false;
    bg->recalled = bg->knows_flicker = true;
}

bool kt_background_is_dim(const kt_background *bg)
{
    return kt_dim_active(bg->dim);
}

bool kt_background_started(const kt_background *bg)
{
    return bg->started;
}

const uint8_t *kt_background_typical(const kt_background *bg)
{
    return bg->typical;
}

const uint8_t *kt_background_flicker(kt_background *bg)
{
    const bool fresh = bg->knows_flicker;
    bg->knows_flicker = false;
    return fresh ? bg->luma.blink : NULL;
}

static void sample_rows(const struct plane *p, const uint8_t *sample, int y, const uint8_t **row)
{
    for (int i = 0; i < p->samples; i++)
        row[i] = sample + (size_t)i * plane_bytes(p) + (size_t)y * (size_t)p->w;
}

static void compare_colour(kt_background *bg, const struct kt_motion_picture *pic)
{
    struct plane *p = &bg->colour;
    const uint8_t *b[COLOUR_SAMPLES], *r[COLOUR_SAMPLES];
    for (int y = 0; y < p->h; y++) {
        const size_t at = (size_t)y * (size_t)p->w;
        sample_rows(p, p->sample, y, b);
        sample_rows(p, p->second, y, r);
        bg->k->radius_colour(p->radius + at, p->blink + at, p->w);
        bg->k->match_colour(p->fg + at, pic->cb + at, pic->cr + at, b, r, p->samples,
                            p->radius + at, p->w);
    }
}

static void compare_luma(kt_background *bg, const struct kt_motion_picture *pic, bool colour)
{
    struct plane *p = &bg->luma;
    const uint8_t *s[SAMPLES];
    for (int y = 0; y < p->h; y++) {
        const size_t at = (size_t)y * (size_t)p->w;
        const uint8_t *changed = bg->colour.fg + (size_t)(y / 2) * (size_t)bg->colour.w;
        sample_rows(p, p->sample, y, s);
        bg->k->radius(p->radius + at, p->blink + at, bg->typical + at, colour ? changed : NULL,
                      bg->reach, p->w);
        bg->k->match(p->fg + at, pic->luma + at, s, p->samples, p->radius + at, p->w);
    }
}

/* DST is set where more than LIMIT of the (2 REACH + 1)^2 pixels around are set in SRC.
 * Beyond the edge lies what is at the edge. */
static void vote(kt_background *bg, uint8_t *dst, const uint8_t *src, int reach, unsigned limit)
{
    const int w = bg->w, h = bg->h;
    for (int y = 0; y < h; y++) {
        memset(bg->count, 0, (size_t)w);
        for (int dy = -reach; dy <= reach; dy++) {
            const int from = y + dy < 0 ? 0 : y + dy >= h ? h - 1 : y + dy;
            bg->k->count(bg->count, src + (ptrdiff_t)from * w, w);
        }
        for (int i = 1; i <= reach; i++) {
            bg->count[-i] = bg->count[0];
            bg->count[w - 1 + i] = bg->count[w - 1];
        }
        bg->k->vote(dst + (ptrdiff_t)y * w, bg->count, reach, limit, w);
    }
}

void kt_background_regain(kt_background *bg, double gain, double offset)
{
    uint8_t to[256];
    const size_t n = plane_bytes(&bg->luma);
    for (int v = 0; v < 256; v++) {
        const double x = gain * v + offset + 0.5;
        to[v] = (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
    }
    for (size_t i = 0; i < n * SAMPLES; i++)
        bg->luma.sample[i] = to[bg->luma.sample[i]];
    for (size_t i = 0; i < n; i++)
        bg->typical[i] = to[bg->typical[i]];
    for (int k = 0; k < bg->n_learnt; k++)
        for (size_t i = 0; i < n; i++)
            bg->learnt[k][i] = to[bg->learnt[k][i]];
}

void kt_background_relight(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                           bool now)
{
    drop_learnt(bg);
    start(bg, pic, t_us);
    if (now)
        bg->settle_until_us = t_us + SETTLE_US;
}

bool kt_background_settling(const kt_background *bg, int64_t t_us)
{
    return bg->started && t_us < bg->settle_until_us;
}

void kt_background_compare(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                           uint8_t *mask)
{
    if (bg->started && bg->has_colour != (pic->cb != NULL))
        kt_background_reset(bg);
    if (!bg->started)
        start(bg, pic, t_us);
    if (bg->recalled)
        bg->start_us = bg->last_us = bg->last_decay_us = t_us;
    bg->recalled = false;
    if (pic->cb)
        compare_colour(bg, pic);
    compare_luma(bg, pic, pic->cb != NULL);
    vote(bg, bg->half, bg->luma.fg, 1, 4);
    vote(bg, mask, bg->half, 2, 12);
    kt_dim_add(bg->dim, pic->luma, bg->typical, t_us, mask);
}

/* RATE per picture of REFERENCE_STEP_US, for one that took STEP_US. */
static unsigned rate_for(unsigned rate, int64_t step_us)
{
    const int64_t r = (int64_t)rate * step_us / REFERENCE_STEP_US;
    return r < 1 ? 1 : r > 128 ? 128 : (unsigned)r;
}

struct step {
    unsigned learn, diffuse, absorb, decay;
};

/* Row Y of a hint for plane P, or NULL when nothing in it is set. SCALE is 2 for
 * the colour plane, whose row is made in ROOM. */
static const uint8_t *hint_row(const kt_background *bg, const uint8_t *hint, const struct plane *p,
                               int y, uint8_t *room)
{
    const uint8_t *row = hint + (size_t)y * (size_t)bg->w;
    if (p == &bg->colour)
        row += (size_t)y * (size_t)bg->w;
    if (!memchr(row, 255, (size_t)bg->w))
        return NULL;
    if (p != &bg->colour)
        return row;
    for (int x = 0; x < p->w; x++)
        room[x] = row[2 * x];
    return room;
}

static void learn_row(kt_background *bg, struct plane *p, const uint8_t *px, const uint8_t *px2,
                      int y, const uint8_t *barred, unsigned rate)
{
    const size_t at = (size_t)y * (size_t)p->w;
    const uint8_t *random = random_bytes(bg);
    const size_t which = (next_random(bg) >> 7) % (unsigned)p->samples * plane_bytes(p) + at;
    bg->k->replace(p->sample + which, px + at, barred, random, rate, p->w);
    if (px2)
        bg->k->replace(p->second + which, px2 + at, barred, random, rate, p->w);
}

/* A background pixel becomes a sample of its neighbour, which may be foreground
 * unless it is held (NULL: none is): so do ghosts melt from their edges. */
static void diffuse_row(kt_background *bg, struct plane *p, const uint8_t *px, const uint8_t *px2,
                        int y, const uint8_t *held, unsigned rate)
{
    const uint32_t r = next_random(bg);
    const int dx = (int)(r >> 4) % 3 - 1, from = y + (int)(r >> 12) % 3 - 1;
    const uint8_t *random = random_bytes(bg);
    if (from < 0 || from >= p->h || p->w < 3)
        return;
    const int n = p->w - 2;
    const size_t which = (r >> 20) % (unsigned)p->samples * plane_bytes(p) +
                         (size_t)y * (size_t)p->w + 1;
    const size_t src = (size_t)((ptrdiff_t)from * p->w + 1 + dx);
    const uint8_t *barred = p->fg + src;
    if (held) {
        bg->k->either(bg->barred, p->fg + src, held + 1, n);
        barred = bg->barred;
    }
    bg->k->replace(p->sample + which, px + src, barred, random, rate, n);
    if (px2)
        bg->k->replace(p->second + which, px2 + src, barred, random, rate, n);
}

static void adapt_row(kt_background *bg, struct plane *p, const uint8_t *px, const uint8_t *px2,
                      int y, const struct kt_background_hints *hints, const struct step *s)
{
    const size_t at = (size_t)y * (size_t)p->w;
    const uint8_t *held = hint_row(bg, hints->hold, p, y, bg->hold);
    const uint8_t *barred = p->fg + at;
    bg->k->blink(p->blink + at, p->was + at, p->fg + at, held ? held : bg->nothing, s->decay,
                 p->w);
    diffuse_row(bg, p, px, px2, y, held, s->diffuse);
    if (held) {
        bg->k->either(bg->barred, p->fg + at, held, p->w);
        barred = bg->barred;
    }
    learn_row(bg, p, px, px2, y, barred, s->learn);
    if (p == &bg->luma)
        bg->k->approach(bg->typical + at, px + at, barred, p->w);

    /* Foreground that belongs to the place becomes background, whatever it looks like. */
    const uint8_t *absorb = hint_row(bg, hints->absorb, p, y, bg->hold);
    if (!absorb)
        return;
    for (int x = 0; x < p->w; x++)
        bg->barred[x] = (uint8_t)~absorb[x];
    learn_row(bg, p, px, px2, y, bg->barred, s->absorb);
}

/* A start without learning: after some seconds, start again from what was seen. */
static void collect(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us)
{
    if (t_us - bg->last_kept_us >= START_STEP_US) {
        bg->last_kept_us = t_us;
        if (kt_background_learn(bg, pic) < 0)
            bg->collecting = false;
    }
    if (t_us - bg->start_us < START_US)
        return;
    bg->collecting = false;
    if (bg->n_learnt >= 8)
        start_from_learnt(bg);
    drop_learnt(bg);
}

void kt_background_adapt(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                         const uint8_t *mask, const struct kt_background_hints *hints)
{
    const int64_t step_us = t_us - bg->last_us;
    struct step s = {
        .learn = rate_for(LEARN_RATE, step_us),
        .diffuse = rate_for(DIFFUSE_RATE, step_us),
        .absorb = rate_for(ABSORB_RATE, step_us),
    };
    bg->last_us = t_us;
    kt_noise_measure(&bg->noise, pic->luma, bg->typical, mask, bg->w, bg->h, step_us);
    kt_noise_reach(&bg->noise, bg->reach);
    if (pic->key)                   /* seldom seen, and looks different: remember it well */
        s.learn = s.learn * 4 > 128 ? 128 : s.learn * 4;
    const int64_t decays = (t_us - bg->last_decay_us) / DECAY_US;
    s.decay = decays > 255 ? 255 : (unsigned)decays;
    bg->last_decay_us += decays * DECAY_US;

    for (int y = 0; y < bg->luma.h; y++)
        adapt_row(bg, &bg->luma, pic->luma, NULL, y, hints, &s);
    for (int y = 0; pic->cb && y < bg->colour.h; y++)
        adapt_row(bg, &bg->colour, pic->cb, pic->cr, y, hints, &s);
    if (bg->collecting)
        collect(bg, pic, t_us);
}

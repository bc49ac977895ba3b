/* grain.c - points of the picture, each less its neighbours: light and shadow fall out. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/grain.h"

#define APART 2                 /* pixels to the neighbours */
#define UNIT 16                 /* parts of a grey level */
#define MOST (16 * UNIT)        /* more than this is no noise */
#define FOLLOW 16               /* the usual follows in so many key pictures */
#define PAIRS_MIN 12            /* compared while it lived, before this says anything */
#define PAIRS_MAX 64
#define POWER_MIN 1.0           /* grey levels squared: less is the encoder's rounding */
#define POWER_LOW 0.25          /* of the usual: it is not the noise of this place */
#define POWER_HIGH 1.7
#define LIKENESS_USUAL 0.25     /* more, usually, and likeness says nothing */
/* Alike is what strays so many deviations from the usual, within limits: */
#define ALIKE 6
#define ALIKE_LEAST 0.5
#define ALIKE_MOST 0.8
#define STAYS_ALIKE 3
#define STAYS_LEAST 0.25
#define STAYS_MOST 0.5
#define PLAINLY_ALIKE 12        /* one pair is enough, and the first of it stood still already */
#define PLAINLY_LEAST 0.6
#define CHANGED 24              /* grey levels: more than two qualities of one picture differ */
#define CHANGED_POINTS 3

struct look {
    double power, likeness;
    int changed;
};

static int curvature(const uint8_t *at)
{
    return 2 * at[0] - at[-APART] - at[APART];
}

static const uint8_t *point(const struct kt_motion_picture *pic, int i)
{
    const int x = APART + (pic->w - 2 * APART) * (i % KT_GRAIN_ACROSS) / KT_GRAIN_ACROSS;
    const int y = pic->h * (2 * (i / KT_GRAIN_ACROSS) + 1) / (2 * KT_GRAIN_DOWN);
    return pic->luma + (ptrdiff_t)y * pic->w + x;
}

static void begin(struct kt_grain *g, const struct kt_motion_picture *pic)
{
    memset(g, 0, sizeof(*g));
    g->w = pic->w;
    g->h = pic->h;
}

/* Compare with the last key picture, and put this one in its place. */
static struct look compare(struct kt_grain *g, const struct kt_motion_picture *pic)
{
    struct look l = { 0 };
    int64_t both = 0, now = 0, before = 0;
    for (int i = 0; i < KT_GRAIN_POINTS; i++) {
        const uint8_t *at = point(pic, i);
        const int left = UNIT * curvature(at) - g->mean[i];
        const int r = abs(left) > MOST ? 0 : left;      /* somebody stands there */
        both += r * g->left[i];
        before += g->left[i] * g->left[i];
        now += r * r;
        l.changed += abs(*at - g->luma[i]) > CHANGED;
        g->left[i] = (int16_t)r;
        g->luma[i] = *at;
    }
    l.power = (double)now / (UNIT * UNIT) / KT_GRAIN_POINTS;
    l.likeness = now && before ? (double)both / sqrt((double)now * (double)before) : 0;
    return l;
}

static void learn_mean(struct kt_grain *g, const struct kt_motion_picture *pic)
{
    const int n = g->keys < FOLLOW ? ++g->keys : FOLLOW;
    for (int i = 0; i < KT_GRAIN_POINTS; i++)
        g->mean[i] = (int16_t)(g->mean[i] + (UNIT * curvature(point(pic, i)) - g->mean[i]) / n);
}

/* What was seen last, now that something else came after it. */
static void learn_usual(struct kt_grain *g)
{
    if (!g->has_last)
        return;
    const int n = g->pairs < PAIRS_MAX ? ++g->pairs : PAIRS_MAX;
    g->power += (g->last_power - g->power) / n;
    g->likeness += (g->last_likeness - g->likeness) / n;
    g->likeness_squared += (g->last_likeness * g->last_likeness - g->likeness_squared) / n;
}

static void remember(struct kt_grain *g, const struct look *l)
{
    g->last_power = l->power;
    g->last_likeness = l->likeness;
    g->has_last = g->keys >= 4;         /* before that the mean is not one yet */
}

static double astray(const struct kt_grain *g, double times)
{
    return g->likeness + times * sqrt(fmax(g->likeness_squared - g->likeness * g->likeness, 0));
}

/* Where an encoder or a denoiser leaves some of the noise as it was, living pictures are alike now and then. */
static double alike_from(const struct kt_grain *g)
{
    return g->since_us ? fmin(fmax(astray(g, STAYS_ALIKE), STAYS_LEAST), STAYS_MOST)
                       : fmin(fmax(astray(g, ALIKE), ALIKE_LEAST), ALIKE_MOST);
}

static bool is_alike(const struct kt_grain *g, const struct look *l)
{
    if (l->changed >= CHANGED_POINTS || l->power < POWER_LOW * g->power)
        return false;
    if (g->since_us)
        return l->likeness >= alike_from(g);
    return g->pairs >= PAIRS_MIN && g->power >= POWER_MIN && g->likeness <= LIKENESS_USUAL &&
           l->likeness >= alike_from(g) && l->power <= POWER_HIGH * g->power;
}

int64_t kt_grain_key(struct kt_grain *g, const struct kt_motion_picture *pic, int64_t wall_us)
{
    if (pic->w < 2 * KT_GRAIN_ACROSS || pic->h < KT_GRAIN_DOWN)
        return 0;
    if (g->w != pic->w || g->h != pic->h)
        begin(g, pic);
    const struct look l = compare(g, pic);
    const int64_t before_us = g->last_us;
    g->last_us = wall_us;
    if (!is_alike(g, &l)) {     /* what is stuck is not to become the usual */
        g->since_us = 0;
        learn_usual(g);
        remember(g, &l);
        learn_mean(g, pic);
        return 0;
    }
    g->has_last = false;
    if (!g->since_us)
        g->since_us = l.likeness >= fmax(astray(g, PLAINLY_ALIKE), PLAINLY_LEAST) ? before_us : wall_us;
    return wall_us - g->since_us + 1;
}

/*
 * health.c - the usual ways in which a camera goes blind.
 *
 * Everything is decided from few numbers of a picture: a checksum and its noise (frozen), mean
 * and spread (covered), the sum of fine differences (detail, for focus) and a
 * 16x9 thumbnail of edges (moved). What is normal for the place is learnt slowly,
 * while nothing is wrong; a trouble must last before it is reported, and be gone
 * for as long before it is over.
 */
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/grain.h"
#include "decoders/motion/health.h"
#include "server/base/clock.h"

#define GRID_W 16
#define GRID_H 9
#define CELLS (GRID_W * GRID_H)
#define EVERY_US (2 * KT_SECOND_US) /* pictures are looked at this often, */
#define LEARN_PICTURES 30           /* and so many of them make a first idea of normal */
#define FROZEN_US (8 * KT_SECOND_US)        /* no living picture is the same for so long, */
#define FROZEN_MAX_US (60 * KT_SECOND_US)   /* but for encoders that leave noise out: learnt, up to this; */
#define FROZEN_ANEW_US (4 * KT_SECOND_US)   /* the same for so long, and once coded anew: no living camera */
#define FROZEN_ALIKE_US (4 * KT_SECOND_US)  /* nor one with the same noise in one key picture after another */
#define REPEATS_FACTOR 3                    /* patience, in the longest repetition of a living camera */
#define REPEATS_HALVED_US (INT64_C(86400) * KT_SECOND_US)
#define BLIND_US (8 * KT_SECOND_US)
#define DEFOCUS_US (30 * KT_SECOND_US)
#define MOVED_US (20 * KT_SECOND_US)
#define UNDECODABLE_US (20 * KT_SECOND_US)
#define BLIND_SPREAD 5.0            /* standard deviation in grey levels: a wall, a hand, fog */
#define DARK_MEAN 28.0              /* video's black is 16 */
#define BLUR_SHARE 0.35             /* of the usual detail */
#define MOVED_LIKENESS 0.3          /* correlation with the usual edges */

struct trouble {
    bool now;                       /* reported */
    bool seen;                      /* as of the last look */
    int64_t since_us;               /* when what is seen began */
};

struct kt_health {
    void (*on_trouble)(void *user, enum kt_trouble trouble, bool now, int64_t since_us);
    void *user;
    struct trouble trouble[KT_TROUBLE_LAST + 1];
    int64_t looked_us, picture_us, first_packet_us;
    /* frozen */
    uint32_t checksum[2];           /* of the newest other picture, and the newest key picture */
    int64_t shown_us, same_us;      /* what is shown has not changed from here to there, … */
    bool still;                     /* … as of the last look, … */
    bool anew;                      /* … although a key picture coded it anew */
    int64_t alike_us;               /* key pictures have had the same noise for so long */
    struct kt_grain grain;
    double repeat_us;               /* the longest time that a living picture did not; fades */
    int64_t repeat_at_us;
    /* normal for the place */
    int learnt;
    int w, h;
    double detail;                  /* usual */
    float edges[CELLS];             /* usual */
};

struct look {
    double mean, spread, detail;
    uint32_t checksum;
    float edges[CELLS];
};

int kt_health_create(kt_health **out,
                     void (*on_trouble)(void *user, enum kt_trouble trouble, bool now,
                                        int64_t since_us),
                     void *user)
{
    kt_health *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->on_trouble = on_trouble;
    h->user = user;
    *out = h;
    return 0;
}

void kt_health_destroy(kt_health **h)
{
    free(kt_steal_ptr(h));
}

/* SEEN holds at WALL_US; report when it has held, or has been gone, for LASTING_US. */
static void judge(kt_health *h, enum kt_trouble which, bool seen, int64_t lasting_us,
                  int64_t wall_us)
{
    struct trouble *t = &h->trouble[which];
    if (seen != t->seen || t->since_us == 0) {
        t->seen = seen;
        t->since_us = wall_us;
    }
    if (t->now == seen || wall_us - t->since_us < lasting_us)
        return;
    t->now = seen;
    h->on_trouble(h->user, which, seen, t->since_us);
}

static uint32_t add_byte(uint32_t check, uint8_t byte)
{
    return (check ^ byte) * 16777619u;
}

static void measure(const struct kt_motion_picture *pic, struct look *out)
{
    const int w = pic->w, n = pic->w * pic->h;
    int64_t sum = 0, squares = 0, fine = 0;
    uint32_t check = 2166136261u;
    memset(out, 0, sizeof(*out));
    for (int y = 0; y < pic->h; y++) {
        const uint8_t *row = pic->luma + (ptrdiff_t)y * w;
        const int cy = y * GRID_H / pic->h;
        for (int x = 0; x < w; x++) {
            sum += row[x];
            squares += row[x] * row[x];
            check = add_byte(check, row[x]);
            if (x + 2 >= w)
                continue;
            const int slope = abs(row[x + 2] - row[x]);
            fine += abs(row[x] - 2 * row[x + 1] + row[x + 2]);
            out->edges[cy * GRID_W + x * GRID_W / w] += (float)slope;
        }
    }
    const size_t n_colour = (size_t)((w + 1) / 2) * (size_t)((pic->h + 1) / 2);
    for (size_t i = 0; pic->cb && i < n_colour; i++)
        check = add_byte(add_byte(check, pic->cb[i]), pic->cr[i]);
    out->mean = (double)sum / n;
    out->spread = sqrt(fmax(0, (double)squares / n - out->mean * out->mean));
    out->detail = (double)fine / n;
    out->checksum = check;
}

/* Correlation of two grids of edges, -1 to 1. */
static double likeness(const float a[CELLS], const float b[CELLS])
{
    double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < CELLS; i++) {
        ma += a[i];
        mb += b[i];
    }
    ma /= CELLS;
    mb /= CELLS;
    for (int i = 0; i < CELLS; i++) {
        ab += (a[i] - ma) * (b[i] - mb);
        aa += (a[i] - ma) * (a[i] - ma);
        bb += (b[i] - mb) * (b[i] - mb);
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 1;
}

static void learn(kt_health *h, const struct look *l)
{
    const double rate = h->learnt < LEARN_PICTURES ? 1.0 / (h->learnt + 1) : 0.002;
    h->detail += rate * (l->detail - h->detail);
    for (int i = 0; i < CELLS; i++)
        h->edges[i] += (float)rate * (l->edges[i] - h->edges[i]);
    if (h->learnt < LEARN_PICTURES)
        h->learnt++;
}

void kt_health_packet(kt_health *h, int64_t wall_us)
{
    if (h->first_packet_us == 0)
        h->first_packet_us = h->picture_us = wall_us;
    judge(h, KT_TROUBLE_UNDECODABLE, wall_us - h->picture_us >= UNDECODABLE_US, 0, wall_us);
}

static double repeat_now(const kt_health *h, int64_t wall_us)
{
    const double days = (double)(wall_us - h->repeat_at_us) / (double)REPEATS_HALVED_US;
    return h->repeat_us * exp2(-fmax(days, 0));
}

int64_t kt_health_repeat(const kt_health *h)
{
    return (int64_t)repeat_now(h, h->repeat_at_us ? h->looked_us : 0);
}

void kt_health_expect_repeat(kt_health *h, int64_t repeat_us)
{
    h->repeat_us = (double)repeat_us;
    h->repeat_at_us = 0;            /* from the first look on */
}

/* How long a picture may stay as it is, for this camera. */
static int64_t patience(const kt_health *h, int64_t wall_us)
{
    const double want = REPEATS_FACTOR * repeat_now(h, wall_us);
    return (int64_t)fmin(fmax(want, (double)FROZEN_US), (double)FROZEN_MAX_US);
}

/* The picture changes after REPEAT_US: a camera that lives. One that stood longer was stuck. */
static void learn_repeat(kt_health *h, int64_t repeat_us, int64_t wall_us)
{
    if (repeat_us > FROZEN_MAX_US || REPEATS_FACTOR * repeat_us <= patience(h, wall_us))
        return;
    h->repeat_us = (double)repeat_us;
    h->repeat_at_us = wall_us;
}

/*
 * Even a still scene has noise: the very same bytes come from a stuck encoder, or from one that
 * leaves noise out ("smart codecs" at night). A stuck one sends them when it codes the picture
 * anew, too; the other kind is known by repetitions that ended. What stands still looks the
 * same in all key pictures and in all others, but these may differ from those: they are refined.
 * An encoder that keeps to its bit rate codes what is stuck differently each time: see grain.h.
 */
static bool is_stuck(const kt_health *h, int64_t wall_us)
{
    const int64_t same_us = wall_us - h->shown_us;
    return (h->still && same_us >= (h->anew ? FROZEN_ANEW_US : patience(h, wall_us))) ||
           h->alike_us >= FROZEN_ALIKE_US;
}

static void judge_frozen(kt_health *h, const struct kt_motion_picture *pic, uint32_t checksum,
                         int64_t wall_us)
{
    struct trouble *t = &h->trouble[KT_TROUBLE_FROZEN];
    if (h->repeat_at_us == 0)
        h->repeat_at_us = wall_us;
    h->still = checksum == h->checksum[0] || checksum == h->checksum[1];
    if (!h->still && !h->anew)
        learn_repeat(h, h->same_us - h->shown_us, wall_us);
    if (!h->still)
        h->shown_us = wall_us;
    h->anew = h->still && (h->anew || pic->key);
    h->same_us = wall_us;
    h->checksum[pic->key] = checksum;
    if (pic->key)
        h->alike_us = kt_grain_key(&h->grain, pic, wall_us);
    const bool seen = t->now ? h->still || h->alike_us : is_stuck(h, wall_us);
    if (seen && !t->seen) {
        t->seen = true;
        t->since_us = h->still ? h->shown_us : wall_us - h->alike_us;
    }
    judge(h, KT_TROUBLE_FROZEN, seen, seen ? 0 : FROZEN_US, wall_us);
}

bool kt_health_still(const kt_health *h)
{
    return h->still;
}

void kt_health_picture(kt_health *h, const struct kt_motion_picture *pic, int64_t wall_us)
{
    struct look l;
    h->picture_us = wall_us;
    /* Sooner at a key frame, which was coded anew, and where nothing changes. */
    if (wall_us - h->looked_us < (pic->key || h->still ? EVERY_US / 2 : EVERY_US) || pic->damaged)
        return;
    h->looked_us = wall_us;
    if (h->w != pic->w || h->h != pic->h) {
        h->w = pic->w;
        h->h = pic->h;
        h->learnt = 0;
    }
    measure(pic, &l);
    const bool blind = l.spread < BLIND_SPREAD, dark = l.mean < DARK_MEAN;
    if (!blind)
        judge_frozen(h, pic, l.checksum, wall_us);
    else                            /* black may well be all the same black */
        judge(h, KT_TROUBLE_FROZEN, false, FROZEN_US, wall_us);
    judge(h, KT_TROUBLE_COVERED, blind && !dark, BLIND_US, wall_us);
    judge(h, KT_TROUBLE_DARK, blind && dark, BLIND_US, wall_us);
    if (blind)
        return;
    if (h->learnt < LEARN_PICTURES) {
        learn(h, &l);
        return;
    }
    const bool blurred = l.detail < BLUR_SHARE * h->detail;
    const bool elsewhere = likeness(l.edges, h->edges) < MOVED_LIKENESS;
    judge(h, KT_TROUBLE_DEFOCUSED, blurred && !elsewhere, DEFOCUS_US, wall_us);
    judge(h, KT_TROUBLE_MOVED, elsewhere, MOVED_US, wall_us);
    if (!blurred && !elsewhere)
        learn(h, &l);
}

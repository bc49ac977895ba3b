/*
 * health.c - the usual ways in which a camera goes blind.
 *
 * Everything is decided from few numbers of a picture: a checksum (frozen), mean
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

#include "decoders/motion/health.h"
#include "server/base/clock.h"

#define GRID_W 16
#define GRID_H 9
#define CELLS (GRID_W * GRID_H)
#define EVERY_US (2 * KT_SECOND_US) /* pictures are looked at this often, */
#define LEARN_PICTURES 30           /* and so many of them make a first idea of normal */
#define FROZEN_US (60 * KT_SECOND_US)       /* an encoder may repeat a quiet picture for a while, */
#define FROZEN_KEYS_US (10 * KT_SECOND_US)  /* but not when it codes the picture anew ... */
#define FROZEN_KEYS 3                       /* ... as often as this */
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
    uint32_t checksum;
    int same_keys;                  /* key pictures in a row with this checksum */
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
            check = (check ^ row[x]) * 16777619u;
            if (x + 2 >= w)
                continue;
            const int slope = abs(row[x + 2] - row[x]);
            fine += abs(row[x] - 2 * row[x + 1] + row[x + 2]);
            out->edges[cy * GRID_W + x * GRID_W / w] += (float)slope;
        }
    }
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

/* Even a still scene has noise: the very same bytes come from a stuck encoder. */
static void judge_frozen(kt_health *h, uint32_t checksum, bool key, int64_t wall_us)
{
    const bool same = checksum == h->checksum;
    h->same_keys = (same ? h->same_keys : 0) + key;
    h->checksum = checksum;
    judge(h, KT_TROUBLE_FROZEN, same,
          same && h->same_keys < FROZEN_KEYS ? FROZEN_US : FROZEN_KEYS_US, wall_us);
}

void kt_health_picture(kt_health *h, const struct kt_motion_picture *pic, int64_t wall_us)
{
    struct look l;
    h->picture_us = wall_us;
    /* Sooner at a key frame: it was coded anew. */
    if (wall_us - h->looked_us < (pic->key ? EVERY_US / 2 : EVERY_US) || pic->damaged)
        return;
    h->looked_us = wall_us;
    if (h->w != pic->w || h->h != pic->h) {
        h->w = pic->w;
        h->h = pic->h;
        h->learnt = 0;
    }
    measure(pic, &l);
    judge_frozen(h, l.checksum, pic->key, wall_us);
    const bool blind = l.spread < BLIND_SPREAD, dark = l.mean < DARK_MEAN;
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

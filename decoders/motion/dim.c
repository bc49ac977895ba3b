/* dim.c - a moving sum over 5x5 differences. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/dim.h"
#include "server/base/clock.h"
#include "server/base/cpu.h"

#define REACH 2
#define PIXELS 25                   /* in a sum */
#define ROWS 8                      /* every so many-th row is enough to measure */
#define DARK 64                     /* mean grey level of the place, at most, … */
#define NOISY 1.5                   /* … and mean difference of a background pixel, at least, … */
#define LASTING_US (5 * KT_SECOND_US)   /* … for so long: light that moves on is no noise */
#define PAUSE_US KT_SECOND_US       /* the encoder smooths some pictures more than others */
#define LIMIT 7.0                   /* times the mean of the sums where nothing is: five sigma and more */
#define LEAST 3.5                   /* grey levels */
#define FOLLOW 0.125                /* of the way to what was measured, each picture */

struct kt_dim {
    int w, h;
    int16_t *column, *sum;          /* W each; COLUMN: over 5 rows, SUM: over 5 columns of these */
    int64_t since_us;               /* it was dim ever since, INT64_MAX: it is not */
    int64_t last_us;                /* … and in this picture the last time */
    bool active;                    /* it has been dim for long enough */
    double usual;                   /* mean size of a sum, 0: not known yet */
};

int kt_dim_create(kt_dim **out, int w, int h)
{
    kt_cleanup(kt_dim_destroy) kt_dim *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->w = w;
    d->h = h;
    d->since_us = INT64_MAX;
    d->column = calloc((size_t)w, sizeof(*d->column));
    d->sum = calloc((size_t)w, sizeof(*d->sum));
    if (!d->column || !d->sum)
        return -ENOMEM;
    *out = kt_steal_ptr(&d);
    return 0;
}

void kt_dim_destroy(kt_dim **pd)
{
    kt_dim *d = kt_steal_ptr(pd);
    if (!d)
        return;
    free(d->column);
    free(d->sum);
    free(d);
}

/* Is the place dark, and do its pixels differ for no reason? */
static bool is_dim(const kt_dim *d, const uint8_t *luma, const uint8_t *typical,
                   const uint8_t *mask)
{
    int64_t grey = 0, noise = 0, all = 0, still = 0;
    for (int y = ROWS / 2; y < d->h; y += ROWS)
        for (ptrdiff_t p = (ptrdiff_t)y * d->w; p < (ptrdiff_t)(y + 1) * d->w; p++) {
            const int on = mask[p] == 0;
            all++;
            grey += typical[p];
            still += on;
            noise += on * abs(luma[p] - typical[p]);
        }
    return all > 0 && grey < DARK * all && (double)noise >= NOISY * (double)still;
}

KT_FOR_EACH_CPU static void add_row(int16_t *restrict column, const uint8_t *restrict luma,
                                    const uint8_t *restrict typical, int sign, int n)
{
    for (int x = 0; x < n; x++)
        column[x] = (int16_t)(column[x] + sign * (luma[x] - typical[x]));
}

KT_FOR_EACH_CPU static void sum_columns(int16_t *restrict sum, const int16_t *restrict c, int n)
{
    for (int x = REACH; x < n - REACH; x++)
        sum[x] = (int16_t)abs(c[x - 2] + c[x - 1] + c[x] + c[x + 1] + c[x + 2]);
}

KT_FOR_EACH_CPU static void set_above(uint8_t *restrict mask, const int16_t *restrict sum,
                                      int16_t limit, int n)
{
    for (int x = REACH; x < n - REACH; x++)
        mask[x] = (uint8_t)(mask[x] | (sum[x] > limit ? 255 : 0));
}

bool kt_dim_active(const kt_dim *d)
{
    return d->active;
}

void kt_dim_add(kt_dim *d, const uint8_t *luma, const uint8_t *typical, int64_t t_us,
                uint8_t *mask)
{
    const int w = d->w, h = d->h;
    if (w <= 2 * REACH || h <= 2 * REACH)
        return;
    if (is_dim(d, luma, typical, mask)) {
        d->since_us = d->since_us < t_us ? d->since_us : t_us;
        d->last_us = t_us;
    } else if (t_us - d->last_us > PAUSE_US) {
        d->since_us = INT64_MAX;
    }
    d->active = d->since_us <= t_us - LASTING_US;
    if (!d->active)
        return;
    const double usual = d->usual * LIMIT > LEAST * PIXELS ? d->usual * LIMIT : LEAST * PIXELS;
    const int16_t limit = (int16_t)(usual < INT16_MAX ? usual : INT16_MAX);
    int64_t total = 0, n = 0;
    memset(d->column, 0, (size_t)w * sizeof(*d->column));
    for (int y = 0; y < h; y++) {
        add_row(d->column, luma + (ptrdiff_t)y * w, typical + (ptrdiff_t)y * w, 1, w);
        if (y < 2 * REACH)
            continue;
        uint8_t *row = mask + (ptrdiff_t)(y - REACH) * w;
        const ptrdiff_t gone = (ptrdiff_t)(y - 2 * REACH) * w;
        sum_columns(d->sum, d->column, w);
        for (int x = REACH; y % ROWS == 0 && x < w - REACH; x++) {
            const int on = row[x] == 0 && (d->usual == 0 || d->sum[x] <= limit);
            total += on * d->sum[x];
            n += on;
        }
        if (d->usual > 0)
            set_above(row, d->sum, limit, w);
        add_row(d->column, luma + gone, typical + gone, -1, w);
    }
    if (n > 0)
        d->usual += ((double)total / (double)n - d->usual) * (d->usual > 0 ? FOLLOW : 1);
}

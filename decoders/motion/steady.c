/* steady.c - projections find the shift, pixels confirm it. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/steady.h"
#include "server/base/cpu.h"

#define REACH KT_STEADY_REACH
#define SMALLEST (8 * REACH)        /* pictures with a shorter side are left alone */
#define CHECK_STEP 3                /* every third pixel each way confirms */
#define CHECK_MOST 24               /* grey levels: larger differences are things */
#define CELLS_X 16
#define CELLS_Y 9
#define TELLING 24                  /* cells with edges that it takes to tell */
#define EDGES 2                     /* … which are so much more than noise, squared */
#define ALIKE 0.4                   /* correlation of the slopes of a cell that is as it was */
#define BETTER 80                   /* percent of the difference that may remain */

struct kt_steady {
    int w, h;
    int32_t *now, *before;          /* sums of rows or columns */
    uint8_t *planes, *mask;         /* luma, cb, cr; W x H */
};

int kt_steady_create(kt_steady **out, int w, int h)
{
    kt_cleanup(kt_steady_destroy) kt_steady *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    const size_t side = (size_t)(w > h ? w : h), n = (size_t)w * (size_t)h;
    const size_t c = (size_t)((w + 1) / 2) * (size_t)((h + 1) / 2);
    s->w = w;
    s->h = h;
    s->now = calloc(side, sizeof(*s->now));
    s->before = calloc(side, sizeof(*s->before));
    s->planes = calloc(n + 2 * c, 1);
    s->mask = calloc(n, 1);
    if (!s->now || !s->before || !s->planes || !s->mask)
        return -ENOMEM;
    *out = kt_steal_ptr(&s);
    return 0;
}

void kt_steady_destroy(kt_steady **ps)
{
    kt_steady *s = kt_steal_ptr(ps);
    if (!s)
        return;
    free(s->now);
    free(s->before);
    free(s->planes);
    free(s->mask);
    free(s);
}

KT_FOR_EACH_CPU static void add_row(int32_t *restrict sum, const uint8_t *restrict px, int n)
{
    for (int x = 0; x < n; x++)
        sum[x] += px[x];
}

KT_FOR_EACH_CPU static int32_t sum_row(const uint8_t *px, int n)
{
    int32_t sum = 0;
    for (int x = 0; x < n; x++)
        sum += px[x];
    return sum;
}

/* Every second row is enough. */
static void sum_columns(int32_t *sum, const uint8_t *px, int w, int h)
{
    memset(sum, 0, (size_t)w * sizeof(*sum));
    for (int y = 0; y < h; y += 2)
        add_row(sum, px + (ptrdiff_t)y * w, w);
}

/* Of the columns that can be seen with each shift, when the picture is moved by DX. */
static void sum_rows(int32_t *sum, const uint8_t *px, int w, int h, int dx)
{
    for (int y = 0; y < h; y++)
        sum[y] = sum_row(px + (ptrdiff_t)y * w + REACH + dx, w - 2 * REACH);
}

/* How much the slopes of two rows of sums differ. */
KT_FOR_EACH_CPU static int32_t unlikeness(const int32_t *now, const int32_t *before, int n)
{
    int32_t sum = 0;
    for (int x = 0; x < n; x++)
        sum += abs((now[x + 1] - now[x - 1]) - (before[x + 1] - before[x - 1])) >> 6;
    return sum;
}

/* The shift that makes the slopes of NOW most like those of BEFORE: light, which
 * changes sums but few slopes, says little. */
static int best_shift(const int32_t *now, const int32_t *before, int n)
{
    int best = 0;
    int32_t least = INT32_MAX;
    for (int i = 0; i <= 2 * REACH; i++) {
        const int d = i % 2 ? (i + 1) / 2 : -i / 2;     /* small ones first */
        const int32_t sum = unlikeness(now + REACH + 1 + d, before + REACH + 1, n - 2 * REACH - 2);
        if (sum < least) {
            least = sum;
            best = d;
        }
    }
    return best;
}

/* From the upper left neighbour to the lower right one. */
static int slope(const uint8_t *p, int w)
{
    return p[w + 1] - p[-w - 1];
}

/* How much the slopes differ with the picture moved by DX, DY. */
static int64_t difference(const kt_steady *s, const uint8_t *luma, const uint8_t *typical, int dx,
                          int dy)
{
    int64_t sum = 0;
    for (int y = REACH + 1; y < s->h - REACH - 1; y += CHECK_STEP) {
        const uint8_t *a = luma + (ptrdiff_t)(y + dy) * s->w + dx;
        const uint8_t *b = typical + (ptrdiff_t)y * s->w;
        for (int x = REACH + 1; x < s->w - REACH - 1; x += CHECK_STEP) {
            const int d = abs(slope(a + x, s->w) - slope(b + x, s->w));
            sum += d < CHECK_MOST ? d : CHECK_MOST;
        }
    }
    return sum;
}

struct kt_shift kt_steady_find(kt_steady *s, const uint8_t *luma, const uint8_t *typical)
{
    struct kt_shift shift = { 0, 0 };
    if (s->w < SMALLEST || s->h < SMALLEST)
        return shift;
    sum_columns(s->now, luma, s->w, s->h);
    sum_columns(s->before, typical, s->w, s->h);
    const int x = best_shift(s->now, s->before, s->w);
    sum_rows(s->now, luma, s->w, s->h, x);
    sum_rows(s->before, typical, s->w, s->h, 0);
    const int y = best_shift(s->now, s->before, s->h);
    if (x == 0 && y == 0)
        return shift;
    const int64_t still = difference(s, luma, typical, 0, 0);
    const int64_t moved = difference(s, luma, typical, x, y);
    if (moved * 100 < still * BETTER)
        shift = (struct kt_shift){ x, y };
    return shift;
}

double kt_steady_strange(const uint8_t *luma, const uint8_t *typical, int w, int h, int noise)
{
    struct {
        int64_t ab, aa, bb;
        int n;
    } cell[CELLS_X * CELLS_Y] = { 0 };
    for (int y = 0; y < h; y += 2)
        for (int x = 2; x < w - 2; x += 2) {
            const ptrdiff_t p = (ptrdiff_t)y * w + x;
            const int a = luma[p + 2] - luma[p - 2], b = typical[p + 2] - typical[p - 2];
            const int i = y * CELLS_Y / h * CELLS_X + x * CELLS_X / w;
            cell[i].ab += a * b;
            cell[i].aa += a * a;
            cell[i].bb += b * b;
            cell[i].n++;
        }
    int telling = 0, strange = 0;
    for (int i = 0; i < CELLS_X * CELLS_Y; i++) {
        const double aa = (double)cell[i].aa, bb = (double)cell[i].bb, ab = (double)cell[i].ab;
        if (bb <= EDGES * noise * noise * cell[i].n)
            continue;
        telling++;
        strange += ab <= 0 || ab * ab < ALIKE * ALIKE * aa * bb;
    }
    return telling < TELLING ? 0 : (double)strange / telling;
}

static int clamp(int v, int n)
{
    return v < 0 ? 0 : v >= n ? n - 1 : v;
}

/* DST at x, y is SRC at x + dx, y + dy; beyond the edge it is EDGE (W x H), or,
 * when that is NULL, the nearest pixel. */
static void move_plane(uint8_t *dst, const uint8_t *src, const uint8_t *edge, int w, int h, int dx,
                       int dy)
{
    const int x0 = dx < 0 ? -dx : 0, x1 = dx > 0 ? w - dx : w;
    for (int y = 0; y < h; y++) {
        uint8_t *to = dst + (ptrdiff_t)y * w;
        const uint8_t *from = src + (ptrdiff_t)clamp(y + dy, h) * w;
        const uint8_t *beyond = edge ? edge + (ptrdiff_t)y * w : NULL;
        if (beyond && (y + dy < 0 || y + dy >= h)) {
            memcpy(to, beyond, (size_t)w);
            continue;
        }
        memcpy(to + x0, from + x0 + dx, (size_t)(x1 - x0));
        for (int x = 0; x < x0; x++)
            to[x] = beyond ? beyond[x] : from[0];
        for (int x = x1; x < w; x++)
            to[x] = beyond ? beyond[x] : from[w - 1];
    }
}

struct kt_motion_picture kt_steady_move(kt_steady *s, const struct kt_motion_picture *pic,
                                        const uint8_t *typical, struct kt_shift shift)
{
    struct kt_motion_picture moved = *pic;
    if (shift.x == 0 && shift.y == 0)
        return moved;
    const size_t n = (size_t)s->w * (size_t)s->h;
    const int cw = (s->w + 1) / 2, ch = (s->h + 1) / 2;
    uint8_t *cb = s->planes + n, *cr = cb + (ptrdiff_t)cw * ch;
    move_plane(s->planes, pic->luma, typical, s->w, s->h, shift.x, shift.y);
    moved.luma = s->planes;
    if (pic->cb) {
        move_plane(cb, pic->cb, NULL, cw, ch, shift.x / 2, shift.y / 2);
        move_plane(cr, pic->cr, NULL, cw, ch, shift.x / 2, shift.y / 2);
        moved.cb = cb;
        moved.cr = cr;
    }
    return moved;
}

const uint8_t *kt_steady_mask(kt_steady *s, const uint8_t *mask, struct kt_shift shift)
{
    if (shift.x == 0 && shift.y == 0)
        return mask;
    memset(s->mask, 0, (size_t)s->w * (size_t)s->h);
    for (int y = 0; y < s->h; y++) {
        const int from = y - shift.y;
        if (from < 0 || from >= s->h)
            continue;
        const int x0 = shift.x > 0 ? shift.x : 0, x1 = shift.x < 0 ? s->w + shift.x : s->w;
        memcpy(s->mask + (ptrdiff_t)y * s->w + x0,
               mask + (ptrdiff_t)from * s->w + x0 - shift.x, (size_t)(x1 - x0));
    }
    return s->mask;
}

/* light.c - block by block, then the blob as a whole. */
#include <math.h>
#include <stddef.h>

#include "decoders/motion/light.h"

#define BLOCK KT_LIGHT_BLOCK
#define FILLED 16                   /* foreground pixels that make a block count */
#define MIN_BLOCKS 5                /* of a blob; with fewer, each must be light */
#define NOISE 3.0                   /* grey levels that no fit explains, in ordinary contrast */
#define UNEXPLAINED 0.22            /* of the mean change: more is a thing */
#define TEXTURE 2.0                 /* times what no fit explains: a pattern, not noise, … */
#define SAME_TEXTURE 0.8            /* … whose squared correlation with the place is so high is it */
#define MIN_GAIN 0.15
#define MAX_GAIN 4.0
#define LIGHT_SHARE 0.18            /* fewer blocks with edges of their own: light */
#define THING_SHARE 0.40            /* more: a thing, all of it; between them … */
#define CLUSTER 6                   /* blocks of a thing's edges, at least */
#define LARGE 0.12                  /* … what covers so much of the picture is both */

enum block { EMPTY = 0, LIGHT, THING, SEEN };

static const int dx[4] = { 1, -1, 0, 0 }, dy[4] = { 0, 0, 1, -1 };

/* Sums over a block; x and y run from -3.5 to 3.5. */
struct sums {
    double i, b, ii, bb, ib, ix, iy, bx, by;
};

static void sum_block(struct sums *s, const uint8_t *luma, const uint8_t *typical, int w)
{
    int si = 0, sb = 0, sii = 0, sbb = 0, sib = 0, six = 0, siy = 0, sbx = 0, sby = 0;
    for (int y = 0; y < BLOCK; y++, luma += w, typical += w)
        for (int x = 0; x < BLOCK; x++) {
            const int i = luma[x], b = typical[x];
            si += i;
            sb += b;
            sii += i * i;
            sbb += b * b;
            sib += i * b;
            six += i * (2 * x - 7);
            siy += i * (2 * y - 7);
            sbx += b * (2 * x - 7);
            sby += b * (2 * y - 7);
        }
    *s = (struct sums){ si, sb, sii, sbb, sib, six / 2.0, siy / 2.0, sbx / 2.0, sby / 2.0 };
}

/* Fit I = gain * B + plane. The gain is found first and the plane in the rest:
 * not the best fit, but one that needs no solving and errs towards THING. */
static enum block judge(const struct sums *s, const struct kt_noise *noise)
{
    const double unknown = NOISE * kt_noise_contrast(noise);
    const double n = BLOCK * BLOCK, xx = n * (BLOCK * BLOCK - 1) / 12.0;
    const double vb = s->bb - s->b * s->b / n - (s->bx * s->bx + s->by * s->by) / xx;
    const double cov = s->ib - s->i * s->b / n - (s->ix * s->bx + s->iy * s->by) / xx;
    const double vi = s->ii - s->i * s->i / n - (s->ix * s->ix + s->iy * s->iy) / xx;
    double gain = vb > n * unknown * unknown / 4 ? cov / vb : 1;
    gain = fmin(MAX_GAIN, fmax(MIN_GAIN, gain));
    const double rest = sqrt(fmax(0, vi - 2 * gain * cov + gain * gain * vb) / n);
    const double change = fabs(s->i - s->b) / n;
    return rest > unknown + UNEXPLAINED * change ? THING : LIGHT;
}

/*
 * Do the foreground pixels of a block show the pattern of the place? Leaves in a shadow
 * are coded coarsely and fit badly, yet it is their pattern: no thing covers it.
 */
static bool same_texture(const uint8_t *luma, const uint8_t *typical, const uint8_t *mask, int w,
                         const struct kt_noise *noise)
{
    int n = 0, si = 0, sb = 0, sii = 0, sbb = 0, sib = 0;
    for (int y = 0; y < BLOCK; y++, luma += w, typical += w, mask += w)
        for (int x = 0; x < BLOCK; x++) {
            const int on = mask[x] & 1, i = on * luma[x], b = on * typical[x];
            n += on;
            si += i;
            sb += b;
            sii += i * i;
            sbb += b * b;
            sib += i * b;
        }
    const double vb = sbb - (double)sb * sb / n, vi = sii - (double)si * si / n;
    const double cov = sib - (double)si * sb / n;
    const double least = TEXTURE * NOISE * kt_noise_contrast(noise);
    return vb > n * least * least && cov > 0 && cov * cov > SAME_TEXTURE * vi * vb;
}

/* Where block X, Y begins; the last ones end with the picture. */
static ptrdiff_t block_at(int x, int y, int w, int h)
{
    const int px = x * BLOCK + BLOCK <= w ? x * BLOCK : w - BLOCK;
    const int py = y * BLOCK + BLOCK <= h ? y * BLOCK : h - BLOCK;
    return (ptrdiff_t)py * w + px;
}

static int filled(const uint8_t *mask, int w)
{
    int n = 0;
    for (int y = 0; y < BLOCK; y++, mask += w)
        for (int x = 0; x < BLOCK; x++)
            n += mask[x] & 1;
    return n;
}

static void move_block(uint8_t *mask, uint8_t *relit, int w)
{
    for (int y = 0; y < BLOCK; y++, mask += w, relit += w)
        for (int x = 0; x < BLOCK; x++) {
            relit[x] |= mask[x];
            mask[x] = 0;
        }
}

#define MAX_SIDE 128                /* blocks; pictures are at most 320 wide, mostly */

/* Blocks connected to the one at X, Y: turn FROM into TO; returns how many. */
static int flood(enum block *kind, int nx, int ny, int x, int y, enum block from, enum block to)
{
    struct {
        int8_t x, y;
    } todo[MAX_SIDE * MAX_SIDE];
    int n = 0, done = 0;
    kind[y * MAX_SIDE + x] = to;
    todo[n].x = (int8_t)x;
    todo[n++].y = (int8_t)y;
    for (; done < n; done++)
        for (int d = 0; d < 4; d++) {
            const int u = todo[done].x + dx[d], v = todo[done].y + dy[d];
            if (u < 0 || v < 0 || u >= nx || v >= ny || kind[v * MAX_SIDE + u] != from)
                continue;
            kind[v * MAX_SIDE + u] = to;
            todo[n].x = (int8_t)u;
            todo[n++].y = (int8_t)v;
        }
    return done;
}

/* A thing in changing light has its edges together, errors lie about: of the THING
 * blocks only clusters stay. Returns whether there are any. */
static bool keep_clusters(enum block *kind, int nx, int ny)
{
    bool any = false;
    for (int y = 0; y < ny; y++)
        for (int x = 0; x < nx; x++) {
            if (kind[y * MAX_SIDE + x] != THING)
                continue;
            const bool stays = flood(kind, nx, ny, x, y, THING, SEEN) >= CLUSTER;
            any |= stays;
            if (!stays)
                flood(kind, nx, ny, x, y, SEEN, LIGHT);
        }
    for (int y = 0; y < ny; y++)
        for (int x = 0; x < nx; x++)
            if (kind[y * MAX_SIDE + x] == SEEN)
                kind[y * MAX_SIDE + x] = THING;
    return any;
}

bool kt_light_remove(const uint8_t *luma, const uint8_t *typical, int w, int h,
                     const struct kt_noise *noise, const struct kt_blob *blob, uint8_t *mask, uint8_t *relit)
{
    enum block kind[MAX_SIDE][MAX_SIDE];
    const int bx0 = blob->x0 / BLOCK, by0 = blob->y0 / BLOCK;
    const int nx = blob->x1 / BLOCK - bx0 + 1, ny = blob->y1 / BLOCK - by0 + 1;
    int light = 0, thing = 0;
    if (blob->area < FILLED || w < BLOCK || h < BLOCK || nx > MAX_SIDE || ny > MAX_SIDE)
        return false;
    for (int y = 0; y < ny; y++)
        for (int x = 0; x < nx; x++) {
            const ptrdiff_t at = block_at(bx0 + x, by0 + y, w, h);
            struct sums s;
            kind[y][x] = EMPTY;
            if (filled(mask + at, w) < FILLED)
                continue;
            sum_block(&s, luma + at, typical + at, w);
            kind[y][x] = judge(&s, noise);
            if (kind[y][x] == THING && same_texture(luma + at, typical + at, mask + at, w, noise))
                kind[y][x] = LIGHT;
            *(kind[y][x] == LIGHT ? &light : &thing) += 1;
        }
    const int total = light + thing;
    bool all = total < MIN_BLOCKS ? thing == 0 : thing < LIGHT_SHARE * total;
    const bool mixed = blob->area > LARGE * w * h && thing < THING_SHARE * total;
    if (total == 0 || (!all && !mixed))
        return false;
    if (mixed)
        all = !keep_clusters(&kind[0][0], nx, ny);
    for (int y = 0; y < ny; y++)
        for (int x = 0; x < nx; x++) {
            int beside = 0;
            for (int d = 0; d < 4; d++) {
                const int u = x + dx[d], v = y + dy[d];
                beside += u >= 0 && v >= 0 && u < nx && v < ny && kind[v][u] == THING;
            }
            const ptrdiff_t at = block_at(bx0 + x, by0 + y, w, h);
            if (all || (kind[y][x] != THING && beside < 2))
                move_block(mask + at, relit + at, w);
        }
    return true;
}

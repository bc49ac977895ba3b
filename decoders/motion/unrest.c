/* unrest.c - a counter for each block that falls with time. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "decoders/motion/unrest.h"
#include "server/base/clock.h"

#define BLOCK 8
#define FILLED 16                   /* pixels that make a block foreground, … */
#define EMPTY 4                     /* … and that still do not make it empty again */
#define STEP 16                     /* each coming adds so much, … */
#define FADE_US (500 * 1000)        /* … and one is forgotten in this time: a coming in 8 s */
#define RESTLESS (4 * STEP)         /* four comings more than were forgotten */
#define FLICKERS 90                 /* came and went so often: a quarter of a block that did … */
#define KNOWN (10 * STEP)           /* … make it as restless as so much */
#define NEW_US (4 * KT_SECOND_US)

struct kt_unrest {
    int w, h, nx, ny;
    uint8_t *count, *on;
    int64_t first_us, faded_us;
    bool known, is_new;
};

int kt_unrest_create(kt_unrest **out, int w, int h)
{
    kt_cleanup(kt_unrest_destroy) kt_unrest *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->w = w;
    u->h = h;
    u->nx = (w + BLOCK - 1) / BLOCK;
    u->ny = (h + BLOCK - 1) / BLOCK;
    u->count = calloc((size_t)u->nx, (size_t)u->ny);
    u->on = calloc((size_t)u->nx, (size_t)u->ny);
    u->first_us = INT64_MIN;
    u->is_new = true;
    if (!u->count || !u->on)
        return -ENOMEM;
    *out = kt_steal_ptr(&u);
    return 0;
}

void kt_unrest_destroy(kt_unrest **pu)
{
    kt_unrest *u = kt_steal_ptr(pu);
    if (!u)
        return;
    free(u->count);
    free(u->on);
    free(u);
}

static int filled(const kt_unrest *u, const uint8_t *mask, int bx, int by)
{
    const int x1 = (bx + 1) * BLOCK < u->w ? (bx + 1) * BLOCK : u->w;
    const int y1 = (by + 1) * BLOCK < u->h ? (by + 1) * BLOCK : u->h;
    int n = 0;
    for (int y = by * BLOCK; y < y1; y++) {
        uint64_t row = 0;               /* 8 pixels of 0 or 255 */
        memcpy(&row, mask + (ptrdiff_t)y * u->w + bx * BLOCK, (size_t)(x1 - bx * BLOCK));
        n += (int)((row & UINT64_C(0x0101010101010101)) * UINT64_C(0x0101010101010101) >> 56);
    }
    return n;
}

static void fade(kt_unrest *u, int64_t t_us)
{
    const int64_t n = (t_us - u->faded_us) / FADE_US;
    if (n <= 0)
        return;
    u->faded_us += n * FADE_US;
    for (int i = 0; i < u->nx * u->ny; i++)
        u->count[i] = (uint8_t)(u->count[i] > n ? u->count[i] - n : 0);
}

void kt_unrest_update(kt_unrest *u, const uint8_t *mask, int64_t t_us)
{
    if (u->first_us == INT64_MIN)
        u->first_us = u->faded_us = t_us;
    u->is_new = !u->known && t_us - u->first_us < NEW_US;
    fade(u, t_us);
    for (int by = 0; by < u->ny; by++) {
        const uint8_t *rows = mask + (ptrdiff_t)by * BLOCK * u->w;
        uint8_t *on = u->on + (ptrdiff_t)by * u->nx, *count = u->count + (ptrdiff_t)by * u->nx;
        const int n_rows = by == u->ny - 1 ? u->h - by * BLOCK : BLOCK;
        if (!memchr(rows, 255, (size_t)n_rows * (size_t)u->w)) {
            memset(on, 0, (size_t)u->nx);
            continue;
        }
        for (int bx = 0; bx < u->nx; bx++) {
            const bool now = filled(u, mask, bx, by) >= (on[bx] ? EMPTY : FILLED);
            if (now && !on[bx])
                count[bx] = (uint8_t)(count[bx] > 255 - STEP ? 255 : count[bx] + STEP);
            on[bx] = now;
        }
    }
}

static int block_of(float v, int n)
{
    const int b = (int)v / BLOCK;
    return b < 0 ? 0 : b >= n ? n - 1 : b;
}

float kt_unrest_share(const kt_unrest *u, float x0, float y0, float x1, float y1)
{
    const int bx0 = block_of(x0, u->nx), bx1 = block_of(x1 - 1, u->nx);
    const int by0 = block_of(y0, u->ny), by1 = block_of(y1 - 1, u->ny);
    int restless = 0, all = 0;
    for (int y = by0; y <= by1; y++)
        for (int x = bx0; x <= bx1; x++, all++)
            restless += u->count[y * u->nx + x] >= RESTLESS;
    return all ? (float)restless / (float)all : 0;
}

void kt_unrest_know(kt_unrest *u)
{
    u->known = true;
    u->is_new = false;
}

void kt_unrest_begin(kt_unrest *u, const uint8_t *flicker)
{
    for (int by = 0; by < u->ny; by++)
        for (int bx = 0; bx < u->nx; bx++) {
            int n = 0, all = 0;
            for (int y = by * BLOCK; y < (by + 1) * BLOCK && y < u->h; y++)
                for (int x = bx * BLOCK; x < (bx + 1) * BLOCK && x < u->w; x++, all++)
                    n += flicker[(ptrdiff_t)y * u->w + x] >= FLICKERS;
            uint8_t *count = &u->count[(ptrdiff_t)by * u->nx + bx];
            if (4 * n >= all && *count < KNOWN)
                *count = KNOWN;
        }
}

bool kt_unrest_is_new(const kt_unrest *u)
{
    return u->is_new;
}

/* background.c - a sample model: a pixel is background while enough of its
 * stored samples look like it (Barnich and Van Droogenbroeck, ViBe, 2011). */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "decoders/motion/background.h"

#define SAMPLES 8
#define NEEDED 2
#define RADIUS 18

struct kt_background {
    int w, h;
    uint64_t frames;
    uint32_t seed;
    uint8_t *sample[SAMPLES];
    uint8_t *raw;
    int n_learnt;
    uint8_t *learnt[KT_MOTION_LEARN_MAX];
};

int kt_background_create(kt_background **out, int w, int h)
{
    assert(out);
    if (w < 1 || h < 1 || w > 8192 || h > 8192)
        return -EINVAL;
    kt_cleanup(kt_background_destroy) kt_background *bg = calloc(1, sizeof(*bg));
    if (!bg)
        return -ENOMEM;
    bg->w = w;
    bg->h = h;
    bg->seed = 1;
    const size_t n = (size_t)w * (size_t)h;
    for (int i = 0; i < SAMPLES; i++)
        if (!(bg->sample[i] = malloc(n)))
            return -ENOMEM;
    bg->raw = malloc(n);
    if (!bg->raw)
        return -ENOMEM;
    *out = kt_steal_ptr(&bg);
    return 0;
}

void kt_background_destroy(kt_background **pbg)
{
    kt_background *bg = kt_steal_ptr(pbg);
    if (!bg)
        return;
    for (int i = 0; i < SAMPLES; i++)
        free(bg->sample[i]);
    for (int i = 0; i < bg->n_learnt; i++)
        free(bg->learnt[i]);
    free(bg->raw);
    free(bg);
}

int kt_background_learn(kt_background *bg, const struct kt_motion_picture *pic)
{
    if (bg->n_learnt == KT_MOTION_LEARN_MAX)
        return 0;
    const size_t n = (size_t)bg->w * (size_t)bg->h;
    uint8_t *copy = malloc(n);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, pic->luma, n);
    bg->learnt[bg->n_learnt++] = copy;
    return 0;
}

static uint32_t next_random(kt_background *bg)
{
    bg->seed ^= bg->seed << 13;
    bg->seed ^= bg->seed >> 17;
    bg->seed ^= bg->seed << 5;
    return bg->seed;
}

static void start(kt_background *bg, const uint8_t *luma)
{
    const size_t n = (size_t)bg->w * (size_t)bg->h;
    for (int i = 0; i < SAMPLES; i++)
        memcpy(bg->sample[i], luma, n);
}

static void apply_row(kt_background *bg, const uint8_t *luma, int y)
{
    const size_t at = (size_t)y * (size_t)bg->w;
    for (int x = 0; x < bg->w; x++) {
        int match = 0;
        for (int i = 0; i < SAMPLES; i++)
            match += abs(luma[at + x] - bg->sample[i][at + x]) <= RADIUS;
        bg->raw[at + x] = match < NEEDED ? 255 : 0;
        if (match >= NEEDED) {
            const uint32_t r = next_random(bg);
            if ((r & 15) == 0)
                bg->sample[r >> 8 & (SAMPLES - 1)][at + x] = luma[at + x];
        }
    }
}

/* A pixel stays foreground when at least 5 of its 3x3 neighbourhood are. */
static void majority(const uint8_t *src, uint8_t *dst, int w, int h)
{
    memset(dst, 0, (size_t)w * (size_t)h);
    for (int y = 1; y + 1 < h; y++)
        for (int x = 1; x + 1 < w; x++) {
            int n = 0;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++)
                    n += src[(ptrdiff_t)(y + dy) * w + x + dx] & 1;
            dst[(ptrdiff_t)y * w + x] = n >= 5 ? 255 : 0;
        }
}

void kt_background_apply(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                         uint8_t *mask)
{
    (void)t_us;
    if (bg->frames++ == 0)
        start(bg, pic->luma);
    for (int y = 0; y < bg->h; y++)
        apply_row(bg, pic->luma, y);
    majority(bg->raw, mask, bg->w, bg->h);
}

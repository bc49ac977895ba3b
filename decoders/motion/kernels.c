/* kernels.c - the plain C set, and which set to use. */
#include "decoders/motion/kernels.h"
#include "decoders/motion/kernels_simd.h"

#define RADIUS_MAX 60
#define BLINK_STEP 16

static inline unsigned distance(uint8_t a, uint8_t b)
{
    return a > b ? (unsigned)(a - b) : (unsigned)(b - a);
}

static void radius_c(uint8_t *radius, const uint8_t *blink, const uint8_t *typical,
                     const uint8_t *colour, const uint8_t reach[16], int n)
{
    for (int x = 0; x < n; x++) {
        unsigned r = reach[typical[x] >> 4] + (unsigned)(blink[x] >> 3);
        r = r > RADIUS_MAX ? RADIUS_MAX : r;
        radius[x] = (uint8_t)(colour && colour[x >> 1] ? r >> 1 : r);
    }
}

static void radius_colour_c(uint8_t *radius, const uint8_t *blink, int n)
{
    for (int x = 0; x < n; x++)
        radius[x] = (uint8_t)(8 + (blink[x] >> 3));
}

static void match_c(uint8_t *fg, const uint8_t *px, const uint8_t *const *sample, int samples,
                    const uint8_t *radius, int n)
{
    for (int x = 0; x < n; x++) {
        int near = 0;
        for (int i = 0; i < samples; i++)
            near += distance(px[x], sample[i][x]) <= radius[x];
        fg[x] = near < KT_KERNEL_NEEDED ? 255 : 0;
    }
}

static void match_colour_c(uint8_t *fg, const uint8_t *cb, const uint8_t *cr,
                           const uint8_t *const *sample_b, const uint8_t *const *sample_r,
                           int samples, const uint8_t *radius, int n)
{
    for (int x = 0; x < n; x++) {
        int near = 0;
        for (int i = 0; i < samples; i++) {
            const unsigned d = distance(cb[x], sample_b[i][x]) + distance(cr[x], sample_r[i][x]);
            near += (d > 255 ? 255 : d) <= radius[x];
        }
        fg[x] = near < KT_KERNEL_NEEDED ? 255 : 0;
    }
}

static void count_c(uint8_t *count, const uint8_t *row, int n)
{
    for (int x = 0; x < n; x++)
        count[x] = (uint8_t)(count[x] + (row[x] & 1));
}

static void vote_c(uint8_t *dst, const uint8_t *count, int reach, unsigned limit, int n)
{
    for (int x = 0; x < n; x++) {
        unsigned sum = 0;
        for (int dx = -reach; dx <= reach; dx++)
            sum += count[x + dx];
        dst[x] = sum > limit ? 255 : 0;
    }
}

static void blink_c(uint8_t *blink, uint8_t *was, const uint8_t *fg, const uint8_t *hold,
                    unsigned decay, int n)
{
    for (int x = 0; x < n; x++) {
        if (fg[x] != was[x] && !hold[x])
            blink[x] = (uint8_t)(blink[x] > 255 - BLINK_STEP ? 255 : blink[x] + BLINK_STEP);
        else
            blink[x] = (uint8_t)(blink[x] > decay ? blink[x] - decay : 0);
        was[x] = fg[x];
    }
}

static void replace_c(uint8_t *sample, const uint8_t *px, const uint8_t *barred,
                      const uint8_t *random, unsigned rate, int n)
{
    for (int x = 0; x < n; x++)
        if (!barred[x] && random[x] < rate)
            sample[x] = px[x];
}

static void either_c(uint8_t *dst, const uint8_t *a, const uint8_t *b, int n)
{
    for (int x = 0; x < n; x++)
        dst[x] = a[x] | b[x];
}

static void approach_c(uint8_t *typical, const uint8_t *px, const uint8_t *barred, int n)
{
    for (int x = 0; x < n; x++)
        if (!barred[x])
            typical[x] = (uint8_t)(typical[x] + (px[x] > typical[x]) - (px[x] < typical[x]));
}

const struct kt_kernels kt_kernels_c = {
    .name = "c",
    .radius = radius_c,
    .radius_colour = radius_colour_c,
    .match = match_c,
    .match_colour = match_colour_c,
    .count = count_c,
    .vote = vote_c,
    .blink = blink_c,
    .replace = replace_c,
    .either = either_c,
    .approach = approach_c,
};

int kt_kernels_list(const struct kt_kernels *out[4])
{
    int n = 0;
    out[n++] = &kt_kernels_c;
#if KT_HAVE_SSE2
    out[n++] = &kt_kernels_sse2;
#endif
#if KT_HAVE_AVX2
    if (__builtin_cpu_supports("avx2"))
        out[n++] = &kt_kernels_avx2;
#endif
    return n;
}

const struct kt_kernels *kt_kernels_best(void)
{
    const struct kt_kernels *list[4];
    return list[kt_kernels_list(list) - 1];
}

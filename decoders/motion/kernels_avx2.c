/*
 * kernels_avx2.c - 32 pixels at a time.
 *
 * What is left of a row is done as one last block that ends with the row
 * where the function may write a pixel twice with the same result, and by the
 * plain C set where it may not (what it writes depends on what was there).
 */
#include "decoders/motion/kernels_simd.h"

#if KT_HAVE_AVX2
#include <immintrin.h>
#include <stddef.h>

#define AVX2 __attribute__((target("avx2")))
#define BLOCK 32

AVX2 static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

AVX2 static inline void store(uint8_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

AVX2 static inline __m256i distance(__m256i a, __m256i b)
{
    return _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a));
}

/* 255 where a <= b, unsigned. */
AVX2 static inline __m256i at_most(__m256i a, __m256i b)
{
    return _mm256_cmpeq_epi8(_mm256_min_epu8(a, b), a);
}

/* Each of the 16 bytes twice. */
AVX2 static inline __m256i twice(const uint8_t *p)
{
    const __m128i half = _mm_loadu_si128((const __m128i *)p);
    return _mm256_set_m128i(_mm_unpackhi_epi8(half, half), _mm_unpacklo_epi8(half, half));
}

/* Each byte shifted right by BITS, of which KEEP is the mask of what can remain. */
#define SHIFT(v, bits, keep) \
    _mm256_and_si256(_mm256_srli_epi16(v, bits), _mm256_set1_epi8(keep))

AVX2 static void radius_avx2(uint8_t *radius, const uint8_t *blink, const uint8_t *typical,
                             const uint8_t *colour, const uint8_t reach[16], int n)
{
    const __m256i most = _mm256_set1_epi8(60);
    const __m256i base = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)reach));
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const __m256i least = _mm256_shuffle_epi8(base, SHIFT(load(typical + x), 4, 15));
        __m256i r = _mm256_adds_epu8(SHIFT(load(blink + x), 3, 31), least);
        r = _mm256_min_epu8(r, most);
        if (colour)
            r = _mm256_blendv_epi8(r, SHIFT(r, 1, 127), twice(colour + (x >> 1)));
        store(radius + x, r);
    }
    if (x < n)
        kt_kernels_c.radius(radius + x, blink + x, typical + x, colour ? colour + (x >> 1) : NULL,
                            reach, n - x);
}

AVX2 static void radius_colour_avx2(uint8_t *radius, const uint8_t *blink, int n)
{
    const __m256i base = _mm256_set1_epi8(8);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK)
        store(radius + x, _mm256_add_epi8(SHIFT(load(blink + x), 3, 31), base));
    kt_kernels_c.radius_colour(radius + x, blink + x, n - x);
}

AVX2 static inline void match_block(uint8_t *fg, const uint8_t *px, const uint8_t *const *sample,
                                    int samples, const uint8_t *radius, int x)
{
    const __m256i p = load(px + x), r = load(radius + x);
    __m256i near = _mm256_setzero_si256();
    for (int i = 0; i < samples; i++)
        near = _mm256_sub_epi8(near, at_most(distance(p, load(sample[i] + x)), r));
    store(fg + x, _mm256_cmpgt_epi8(_mm256_set1_epi8(KT_KERNEL_NEEDED), near));
}

AVX2 static void match_avx2(uint8_t *fg, const uint8_t *px, const uint8_t *const *sample,
                            int samples, const uint8_t *radius, int n)
{
    if (n < BLOCK) {
        kt_kernels_c.match(fg, px, sample, samples, radius, n);
        return;
    }
    for (int x = 0; x + BLOCK <= n; x += BLOCK)
        match_block(fg, px, sample, samples, radius, x);
    if (n % BLOCK)
        match_block(fg, px, sample, samples, radius, n - BLOCK);
}

AVX2 static inline void match_colour_block(uint8_t *fg, const uint8_t *cb, const uint8_t *cr,
                                           const uint8_t *const *sample_b,
                                           const uint8_t *const *sample_r, int samples,
                                           const uint8_t *radius, int x)
{
    const __m256i b = load(cb + x), r = load(cr + x), limit = load(radius + x);
    __m256i near = _mm256_setzero_si256();
    for (int i = 0; i < samples; i++) {
        const __m256i d = _mm256_adds_epu8(distance(b, load(sample_b[i] + x)),
                                           distance(r, load(sample_r[i] + x)));
        near = _mm256_sub_epi8(near, at_most(d, limit));
    }
    store(fg + x, _mm256_cmpgt_epi8(_mm256_set1_epi8(KT_KERNEL_NEEDED), near));
}

AVX2 static void match_colour_avx2(uint8_t *fg, const uint8_t *cb, const uint8_t *cr,
                                   const uint8_t *const *sample_b, const uint8_t *const *sample_r,
                                   int samples, const uint8_t *radius, int n)
{
    if (n < BLOCK) {
        kt_kernels_c.match_colour(fg, cb, cr, sample_b, sample_r, samples, radius, n);
        return;
    }
    for (int x = 0; x + BLOCK <= n; x += BLOCK)
        match_colour_block(fg, cb, cr, sample_b, sample_r, samples, radius, x);
    if (n % BLOCK)
        match_colour_block(fg, cb, cr, sample_b, sample_r, samples, radius, n - BLOCK);
}

AVX2 static void count_avx2(uint8_t *count, const uint8_t *row, int n)
{
    const __m256i one = _mm256_set1_epi8(1);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK)
        store(count + x, _mm256_add_epi8(load(count + x), _mm256_and_si256(load(row + x), one)));
    kt_kernels_c.count(count + x, row + x, n - x);
}

AVX2 static void vote_avx2(uint8_t *dst, const uint8_t *count, int reach, unsigned limit, int n)
{
    const __m256i over = _mm256_set1_epi8((char)limit);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const uint8_t *c = count + x;
        __m256i sum = _mm256_add_epi8(load(c), _mm256_add_epi8(load(c - 1), load(c + 1)));
        if (reach == 2)
            sum = _mm256_add_epi8(sum, _mm256_add_epi8(load(c - 2), load(c + 2)));
        store(dst + x, _mm256_cmpgt_epi8(sum, over));   /* at most 25 */
    }
    kt_kernels_c.vote(dst + x, count + x, reach, limit, n - x);
}

AVX2 static void blink_avx2(uint8_t *blink, uint8_t *was, const uint8_t *fg, const uint8_t *hold,
                            unsigned decay, int n)
{
    const __m256i step = _mm256_set1_epi8(16), zero = _mm256_setzero_si256();
    const __m256i less = _mm256_set1_epi8((char)decay);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const __m256i f = load(fg + x), b = load(blink + x);
        const __m256i free = _mm256_cmpeq_epi8(load(hold + x), zero);
        const __m256i turned = _mm256_andnot_si256(_mm256_cmpeq_epi8(f, load(was + x)), free);
        store(blink + x, _mm256_blendv_epi8(_mm256_subs_epu8(b, less), _mm256_adds_epu8(b, step),
                                            turned));
        store(was + x, f);
    }
    kt_kernels_c.blink(blink + x, was + x, fg + x, hold + x, decay, n - x);
}

AVX2 static void replace_avx2(uint8_t *sample, const uint8_t *px, const uint8_t *barred,
                              const uint8_t *random, unsigned rate, int n)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i last = _mm256_set1_epi8((char)(rate - 1));
    if (n < BLOCK || rate == 0) {
        kt_kernels_c.replace(sample, px, barred, random, rate, n);
        return;
    }
    for (int x = 0; x < n; x += BLOCK) {
        x = x + BLOCK > n ? n - BLOCK : x;
        const __m256i free = _mm256_cmpeq_epi8(load(barred + x), zero);
        const __m256i take = _mm256_and_si256(at_most(load(random + x), last), free);
        store(sample + x, _mm256_blendv_epi8(load(sample + x), load(px + x), take));
    }
}

AVX2 static void either_avx2(uint8_t *dst, const uint8_t *a, const uint8_t *b, int n)
{
    if (n < BLOCK) {
        kt_kernels_c.either(dst, a, b, n);
        return;
    }
    for (int x = 0; x < n; x += BLOCK) {
        x = x + BLOCK > n ? n - BLOCK : x;
        store(dst + x, _mm256_or_si256(load(a + x), load(b + x)));
    }
}

AVX2 static void approach_avx2(uint8_t *typical, const uint8_t *px, const uint8_t *barred, int n)
{
    const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi8(1);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const __m256i t = load(typical + x), p = load(px + x);
        const __m256i free = _mm256_and_si256(_mm256_cmpeq_epi8(load(barred + x), zero), one);
        const __m256i up = _mm256_min_epu8(_mm256_subs_epu8(p, t), free);
        const __m256i down = _mm256_min_epu8(_mm256_subs_epu8(t, p), free);
        store(typical + x, _mm256_sub_epi8(_mm256_add_epi8(t, up), down));
    }
    kt_kernels_c.approach(typical + x, px + x, barred + x, n - x);
}

const struct kt_kernels kt_kernels_avx2 = {
    .name = "avx2",
    .radius = radius_avx2,
    .radius_colour = radius_colour_avx2,
    .match = match_avx2,
    .match_colour = match_colour_avx2,
    .count = count_avx2,
    .vote = vote_avx2,
    .blink = blink_avx2,
    .replace = replace_avx2,
    .either = either_avx2,
    .approach = approach_avx2,
};
#endif

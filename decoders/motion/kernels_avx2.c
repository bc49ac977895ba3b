/* kernels_avx2.c - 32 pixels at a time. */
#include "decoders/motion/kernels_simd.h"

#if KT_HAVE_AVX2
#include <immintrin.h>
#include <stddef.h>

#define TARGET __attribute__((target("avx2")))
#define BLOCK 32
#define SET kt_kernels_avx2
#define NAME "avx2"

typedef __m256i vec, table;

#define plus(a, b) _mm256_add_epi8(a, b)
#define minus(a, b) _mm256_sub_epi8(a, b)
#define plus_full(a, b) _mm256_adds_epu8(a, b)
#define minus_full(a, b) _mm256_subs_epu8(a, b)
#define least_of(a, b) _mm256_min_epu8(a, b)
#define equal(a, b) _mm256_cmpeq_epi8(a, b)
#define above(a, b) _mm256_cmpgt_epi8(a, b)
#define both(a, b) _mm256_and_si256(a, b)
#define either_of(a, b) _mm256_or_si256(a, b)
#define without(a, b) _mm256_andnot_si256(a, b)
/* There is no shift of bytes: of words, and what came from the neighbour is cut off. */
#define shifted_1(v) both(_mm256_srli_epi16(v, 1), same(127))
#define shifted_3(v) both(_mm256_srli_epi16(v, 3), same(31))
#define shifted_4(v) both(_mm256_srli_epi16(v, 4), same(15))
#define choose(a, b, mask) _mm256_blendv_epi8(a, b, mask)
#define looked_up(from, v) _mm256_shuffle_epi8(from, v)

TARGET static inline vec load(const uint8_t *p)
{
    return _mm256_loadu_si256((const vec *)p);
}

TARGET static inline void store(uint8_t *p, vec v)
{
    _mm256_storeu_si256((vec *)p, v);
}

TARGET static inline vec same(unsigned v)
{
    return _mm256_set1_epi8((char)v);
}

/* Each of the 16 bytes twice. */
TARGET static inline vec twice(const uint8_t *p)
{
    const __m128i half = _mm_loadu_si128((const __m128i *)p);
    return _mm256_set_m128i(_mm_unpackhi_epi8(half, half), _mm_unpacklo_epi8(half, half));
}

TARGET static inline table table_of(const uint8_t reach[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)reach));
}

#include "decoders/motion/kernels_rows.h"
#endif

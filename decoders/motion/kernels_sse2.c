/* kernels_sse2.c - 16 pixels at a time, with what every 64-bit x86 has: cheap Atoms and
 * Celerons of mini PCs have no AVX2. */
#include "decoders/motion/kernels_simd.h"

#if KT_HAVE_SSE2
#include <emmintrin.h>
#include <stddef.h>

#define TARGET
#define BLOCK 16
#define SET kt_kernels_sse2
#define NAME "sse2"

typedef __m128i vec;
typedef const uint8_t *table;

#define plus(a, b) _mm_add_epi8(a, b)
#define minus(a, b) _mm_sub_epi8(a, b)
#define plus_full(a, b) _mm_adds_epu8(a, b)
#define minus_full(a, b) _mm_subs_epu8(a, b)
#define least_of(a, b) _mm_min_epu8(a, b)
#define equal(a, b) _mm_cmpeq_epi8(a, b)
#define above(a, b) _mm_cmpgt_epi8(a, b)
#define both(a, b) _mm_and_si128(a, b)
#define either_of(a, b) _mm_or_si128(a, b)
#define without(a, b) _mm_andnot_si128(a, b)
/* There is no shift of bytes: of words, and what came from the neighbour is cut off. */
#define shifted_1(v) both(_mm_srli_epi16(v, 1), same(127))
#define shifted_3(v) both(_mm_srli_epi16(v, 3), same(31))
#define shifted_4(v) both(_mm_srli_epi16(v, 4), same(15))

static inline vec load(const uint8_t *p)
{
    return _mm_loadu_si128((const vec *)p);
}

static inline void store(uint8_t *p, vec v)
{
    _mm_storeu_si128((vec *)p, v);
}

static inline vec same(unsigned v)
{
    return _mm_set1_epi8((char)v);
}

static inline vec choose(vec a, vec b, vec mask)
{
    return either_of(both(mask, b), without(mask, a));
}

/* Each of the 8 bytes twice. */
static inline vec twice(const uint8_t *p)
{
    const vec half = _mm_loadl_epi64((const __m128i *)p);
    return _mm_unpacklo_epi8(half, half);
}

static inline table table_of(const uint8_t reach[16])
{
    return reach;
}

/* There is no table of bytes: one at a time. */
static inline vec looked_up(table from, vec v)
{
    uint8_t byte[BLOCK];
    store(byte, v);
    for (int i = 0; i < BLOCK; i++)
        byte[i] = from[byte[i]];
    return load(byte);
}

#include "decoders/motion/kernels_rows.h"
#endif

/* kernels_simd.h - which vector sets are built; for kernels*.c only. */
#ifndef KT_MOTION_KERNELS_SIMD_H
#define KT_MOTION_KERNELS_SIMD_H

#include "decoders/motion/kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define KT_HAVE_AVX2 1
#define KT_HAVE_SSE2 1
extern const struct kt_kernels kt_kernels_avx2, kt_kernels_sse2;
#else
#define KT_HAVE_AVX2 0
#define KT_HAVE_SSE2 0
#endif

#endif

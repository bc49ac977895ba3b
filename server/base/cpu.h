/*
 * cpu.h - functions that the compiler makes once for each kind of processor.
 */
#ifndef KT_BASE_CPU_H
#define KT_BASE_CPU_H

/* Picked at run time by the dynamic linker; sanitizers run before it can. */
#if defined(__x86_64__) && defined(__ELF__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define KT_FOR_EACH_CPU __attribute__((target_clones("avx2", "default"), optimize("O3")))
#else
#define KT_FOR_EACH_CPU
#endif

#endif

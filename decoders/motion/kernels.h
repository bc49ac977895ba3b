/*
 * kernels.h - the loops over pixels, one row at a time.
 *
 * There is a plain C set, which says what is meant, and sets for vector units,
 * which must give the same bytes; tests/unit/test_kernels.c compares them.
 * Masks are 0 or 255. Rows need no alignment and no padding.
 *
 * Threads: pure functions.
 */
#ifndef KT_MOTION_KERNELS_H
#define KT_MOTION_KERNELS_H

#include <stdint.h>

#define KT_KERNEL_NEEDED 2          /* samples that must match for background */

struct kt_kernels {
    const char *name;

    /*
     * How far a sample may lie off: what REACH says for the brightness TYPICAL, in
     * 16 bands, and an eighth of BLINK; at most 60, and half of that where the
     * colour (COLOUR, half as wide, or NULL) has changed.
     */
    void (*radius)(uint8_t *radius, const uint8_t *blink, const uint8_t *typical,
                   const uint8_t *colour, const uint8_t reach[16], int n);

    /* The same for colour: 8 and an eighth of BLINK. */
    void (*radius_colour)(uint8_t *radius, const uint8_t *blink, int n);

    /* FG is 255 where fewer than KT_KERNEL_NEEDED of SAMPLES samples lie
     * within RADIUS of PX. SAMPLE[i] points at row i of samples. */
    void (*match)(uint8_t *fg, const uint8_t *px, const uint8_t *const *sample, int samples,
                  const uint8_t *radius, int n);

    /* The same for the sum of the differences of two colour planes, capped at 255. */
    void (*match_colour)(uint8_t *fg, const uint8_t *cb, const uint8_t *cr,
                         const uint8_t *const *sample_b, const uint8_t *const *sample_r,
                         int samples, const uint8_t *radius, int n);

    /* COUNT += 1 where ROW is foreground. */
    void (*count)(uint8_t *count, const uint8_t *row, int n);

    /* DST is 255 where COUNT[x - REACH] + … + COUNT[x + REACH] > LIMIT. COUNT may be read
     * from -REACH to n + REACH - 1. REACH is 1 or 2. */
    void (*vote)(uint8_t *dst, const uint8_t *count, int reach, unsigned limit, int n);

    /* Where FG differs from WAS and HOLD is 0, BLINK grows by 16 (to 255 at most);
     * elsewhere it shrinks by DECAY. WAS becomes FG. */
    void (*blink)(uint8_t *blink, uint8_t *was, const uint8_t *fg, const uint8_t *hold,
                  unsigned decay, int n);

    /* SAMPLE becomes PX where BARRED is 0 and RANDOM is below RATE. */
    void (*replace)(uint8_t *sample, const uint8_t *px, const uint8_t *barred,
                    const uint8_t *random, unsigned rate, int n);

    /* DST is A or B. */
    void (*either)(uint8_t *dst, const uint8_t *a, const uint8_t *b, int n);

    /* TYPICAL goes one step towards PX where BARRED is 0. */
    void (*approach)(uint8_t *typical, const uint8_t *px, const uint8_t *barred, int n);
};

/* The plain C set. */
extern const struct kt_kernels kt_kernels_c;

/* The fastest set that this processor runs. */
const struct kt_kernels *kt_kernels_best(void);

/* All sets that this processor runs, plain C first; returns how many. */
int kt_kernels_list(const struct kt_kernels *out[4]);

#endif

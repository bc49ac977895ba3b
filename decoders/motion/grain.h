/*
 * grain.h - is it the same noise again?
 *
 * Each key picture of a living camera has noise of its own. A sensor that is stuck gives one
 * picture for ever, with one noise, and that shows through however differently the encoder
 * codes it. What is left of a picture when the usual one is taken away is compared with what
 * was left of the key picture before: unrelated where it lives, alike where it is stuck.
 *
 * Where noise is too little, or what is left is always alike (an encoder or a denoiser that
 * leaves noise out), this says nothing: never "alike". Nor does it in the first half minute.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_MOTION_GRAIN_H
#define KT_MOTION_GRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/motion/motion.h"

#define KT_GRAIN_ACROSS 64
#define KT_GRAIN_DOWN 24
#define KT_GRAIN_POINTS (KT_GRAIN_ACROSS * KT_GRAIN_DOWN)

/* Zero it to begin. */
struct kt_grain {
    int w, h;
    int keys, pairs;                    /* seen; compared while it lived */
    int16_t mean[KT_GRAIN_POINTS];      /* the usual curvature at each point, 1/16 */
    int16_t left[KT_GRAIN_POINTS];      /* what the last key picture had beside it, 1/16 */
    uint8_t luma[KT_GRAIN_POINTS];      /* of the last key picture */
    double power, likeness;             /* usual: of what is left, and of two in a row, … */
    double likeness_squared;            /* … and its square, for how much it varies */
    double last_power, last_likeness;   /* not learnt yet: it may have been the first that was stuck */
    bool has_last;
    int64_t last_us;                    /* of the last key picture */
    int64_t since_us;                   /* pictures are alike from here on; 0: they are not */
};

/*
 * A key picture that can be trusted (not damaged, not black) came at WALL_US. For how long
 * have key pictures been alike, in microseconds? 0: they are not.
 */
int64_t kt_grain_key(struct kt_grain *grain, const struct kt_motion_picture *pic, int64_t wall_us);

#endif

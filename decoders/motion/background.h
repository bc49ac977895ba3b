/*
 * background.h - which pixels do not look like the place.
 *
 * A sample model (after ViBe): each pixel keeps a dozen values it had; it is
 * foreground while fewer than two of them look like it. How alike is decided per
 * pixel (where it flickers, more is allowed; where the colour changed too, less).
 * What the tracker knows flows back: a thing that moved in is not learnt, however
 * long it stands; a thing that never came from anywhere (a ghost, a swaying
 * branch) is.
 *
 * Threads: a background belongs to one thread at a time.
 */
#ifndef KT_MOTION_BACKGROUND_H
#define KT_MOTION_BACKGROUND_H

#include "decoders/motion/kernels.h"
#include "decoders/motion/memory.h"
#include "decoders/motion/motion.h"
#include "decoders/motion/noise.h"

typedef struct kt_background kt_background;

/* What the tracker says about pixels: masks of 0 or 255, W x H. */
struct kt_background_hints {
    const uint8_t *hold;            /* part of a thing that moves: do not learn */
    const uint8_t *absorb;          /* foreground that belongs to the place: learn fast */
};

/* For pictures of W x H; KERNELS NULL: the best. -ENOMEM, -EINVAL outside 1 .. 8192. */
kt_must_check int kt_background_create(kt_background **out, int w, int h,
                                       const struct kt_kernels *kernels);
void kt_background_destroy(kt_background **bg);

/* Keep PIC for the first background. */
kt_must_check int kt_background_learn(kt_background *bg, const struct kt_motion_picture *pic);

/*
 * Compare with PIC and write 0 or 255 into MASK (W x H), noise removed.
 * Nothing is learnt yet: kt_background_adapt() follows, or not (a look ahead).
 */
void kt_background_compare(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                           uint8_t *mask);

/* The whole place became brighter or darker: it now looks like GAIN * before + OFFSET. */
void kt_background_regain(kt_background *bg, double gain, double offset);

/* The light of the whole place changed: PIC is the background from now on. When
 * it changed just NOW, it settles for a moment, in which nothing should be made of
 * differences. */
void kt_background_relight(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                           bool now);
bool kt_background_settling(const kt_background *bg, int64_t t_us);

/* Learn from the picture last compared, which is background where MASK is 0. */
void kt_background_adapt(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                         const uint8_t *mask, const struct kt_background_hints *hints);

/* How much the place varies by itself. Borrowed. */
const struct kt_noise *kt_background_noise(const kt_background *bg);

/* Is it so dark and noisy that neighbours are compared together (dim.h)? */
bool kt_background_is_dim(const kt_background *bg);

/* Is there a background yet? */
bool kt_background_started(const kt_background *bg);

/* What the place typically looks like, W x H, borrowed; it changes as it adapts. */
const uint8_t *kt_background_typical(const kt_background *bg);

/* How often each pixel left the place and came back, W x H, borrowed: once after a start from
 * pictures learnt before or from a memory, NULL otherwise. Sixteen for each time, 255 at most. */
const uint8_t *kt_background_flicker(kt_background *bg);

/* What is worth keeping of a background, of the same size. -EAGAIN while there is
 * nothing yet, or not enough. */
kt_must_check int kt_background_remember(const kt_background *bg, struct kt_memory *out);

/* Start from what was remembered, of the same size, instead of from a picture. */
void kt_background_recall(kt_background *bg, const struct kt_memory *memory);

/* Forget all: the next picture is the background. */
void kt_background_reset(kt_background *bg);

#endif

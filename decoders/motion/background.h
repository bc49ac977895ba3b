/*
 * background.h - which pixels do not look like the place.
 *
 * Threads: a background belongs to one thread at a time.
 */
#ifndef KT_MOTION_BACKGROUND_H
#define KT_MOTION_BACKGROUND_H

#include "decoders/motion/motion.h"

typedef struct kt_background kt_background;

/* For pictures of W x H. -ENOMEM, -EINVAL outside 1 .. 8192. */
kt_must_check int kt_background_create(kt_background **out, int w, int h);
void kt_background_destroy(kt_background **bg);

/* Keep PIC for the first background. */
kt_must_check int kt_background_learn(kt_background *bg, const struct kt_motion_picture *pic);

/* Compare, adapt, and write 0 or 255 into MASK (W x H). */
void kt_background_apply(kt_background *bg, const struct kt_motion_picture *pic, int64_t t_us,
                         uint8_t *mask);

#endif

/*
 * dim.h - what only shows when neighbours are looked at together.
 *
 * In the dark a camera amplifies its noise until single pixels say nothing: a visitor
 * differs from the place by less than the noise does. The mean of 5x5 pixels has a fifth of
 * the noise and nearly all of the difference. Where light is not short, this stays out of it.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_MOTION_DIM_H
#define KT_MOTION_DIM_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

typedef struct kt_dim kt_dim;

/* For pictures of W x H. */
kt_must_check int kt_dim_create(kt_dim **out, int w, int h);
void kt_dim_destroy(kt_dim **d);

/* Did the last kt_dim_add() take part? */
bool kt_dim_active(const kt_dim *d);

/* Set in MASK (0 or 255, W x H) what differs from TYPICAL by much more than the noise when
 * neighbours are taken together, where it has been dark and noisy for some seconds. */
void kt_dim_add(kt_dim *d, const uint8_t *luma, const uint8_t *typical, int64_t t_us,
                uint8_t *mask);

#endif

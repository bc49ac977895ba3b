/*
 * unrest.h - which parts of the picture come and go all the time.
 *
 * Washing on a line, a branch, a spider's thread: the same blocks of 8x8 pixels
 * become foreground again and again. Who passes does so once.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_MOTION_UNREST_H
#define KT_MOTION_UNREST_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

typedef struct kt_unrest kt_unrest;

/* For masks of W x H. */
kt_must_check int kt_unrest_create(kt_unrest **out, int w, int h);
void kt_unrest_destroy(kt_unrest **u);

/* The mask (0 or 255) of the picture at T_US. */
void kt_unrest_update(kt_unrest *u, const uint8_t *mask, int64_t t_us);

/* Which share of the blocks in a box is restless, 0..1. */
float kt_unrest_share(const kt_unrest *u, float x0, float y0, float x1, float y1);

/* The place is known already. */
void kt_unrest_know(kt_unrest *u);

/* FLICKER, W x H, says where pixels came and went already (as kt_background_flicker()). */
void kt_unrest_begin(kt_unrest *u, const uint8_t *flicker);

/* Not enough has been seen yet to tell. */
bool kt_unrest_is_new(const kt_unrest *u);

#endif

/*
 * light.h - is a patch of foreground a thing, or only light?
 *
 * Light multiplies what is there: the picture is still a scaled copy of the
 * background, and what it adds is smooth. A thing brings edges of its own. Each
 * block of 8x8 pixels is fitted as gain * background + a plane; what the fit does
 * not explain says which it is.
 *
 * Threads: pure functions.
 */
#ifndef KT_MOTION_LIGHT_H
#define KT_MOTION_LIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/motion/components.h"
#include "decoders/motion/noise.h"

#define KT_LIGHT_BLOCK 8

/*
 * Take from MASK (W x H) what of BLOB is light, and set it in RELIT instead (both
 * 0 or 255). A blob too small to tell is left alone. Returns whether MASK changed.
 */
bool kt_light_remove(const uint8_t *luma, const uint8_t *typical, int w, int h,
                     const struct kt_noise *noise, const struct kt_blob *blob, uint8_t *mask, uint8_t *relit);

#endif

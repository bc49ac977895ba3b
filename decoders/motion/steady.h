/*
 * steady.h - by how much did the camera move since the background was learnt?
 *
 * A pole in the wind, a passing truck: the whole picture shifts by a few pixels
 * and comes back. The shift is found in the sums of rows and columns, and believed
 * only when the picture, so shifted, is clearly more like the background.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_MOTION_STEADY_H
#define KT_MOTION_STEADY_H

#include "decoders/motion/motion.h"

typedef struct kt_steady kt_steady;

#define KT_STEADY_REACH 8           /* pixels, each way; larger shifts are another view */

/* For pictures of W x H. */
kt_must_check int kt_steady_create(kt_steady **out, int w, int h);
void kt_steady_destroy(kt_steady **s);

struct kt_shift {
    int x, y;                       /* the picture shows at x, y what TYPICAL has at 0, 0 */
};

/* PIC against what the place typically looks like. */
struct kt_shift kt_steady_find(kt_steady *s, const uint8_t *luma, const uint8_t *typical);

/*
 * Which share of the place is not to be seen in LUMA, 0..1: of the parts of the
 * picture that have edges, those whose edges are not there. Light changes edges in
 * strength, not in place. NOISE is what a pixel may differ by anyway. 0 when the
 * place has too few edges to tell.
 */
double kt_steady_strange(const uint8_t *luma, const uint8_t *typical, int w, int h, int noise);

/*
 * PIC moved back by SHIFT; what is unknown at its edges is taken from TYPICAL.
 * The planes belong to S and hold until the next call.
 */
struct kt_motion_picture kt_steady_move(kt_steady *s, const struct kt_motion_picture *pic,
                                        const uint8_t *typical, struct kt_shift shift);

/* A mask made from the moved picture, as it lies in the picture that came. */
const uint8_t *kt_steady_mask(kt_steady *s, const uint8_t *mask, struct kt_shift shift);

#endif

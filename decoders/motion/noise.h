/*
 * noise.h - how much of a difference is a difference, at this place, now.
 *
 * In fog, at night and in thermal pictures all contrast is small, that of visitors
 * as well as that of shadows: there, less of a difference counts, down to what the
 * noise allows. Noise is measured for each of KT_NOISE_BANDS bands of brightness,
 * because bright and dark parts vary differently (shot noise, gamma, the encoder).
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_MOTION_NOISE_H
#define KT_MOTION_NOISE_H

#include <stdint.h>

#define KT_NOISE_BANDS 16

struct kt_noise {
    /* nine in ten background pixels of a band differ by at most so much from what
     * is typical, in 1/16 grey level */
    uint16_t usual[KT_NOISE_BANDS];
    uint16_t contrast;              /* of the place, 256: ordinary; less in fog, at night */
};

/* Nothing is known yet: assume an ordinary camera. */
void kt_noise_reset(struct kt_noise *n);

/* Learn from a picture, STEP_US after the one before, where MASK is 0. */
void kt_noise_measure(struct kt_noise *n, const uint8_t *luma, const uint8_t *typical,
                      const uint8_t *mask, int w, int h, int64_t step_us);

/* How far a background pixel of each band may be from a sample, grey levels. */
void kt_noise_reach(const struct kt_noise *n, uint8_t reach[KT_NOISE_BANDS]);

/* What nine in ten background pixels keep to, in the middle band; grey levels. */
int kt_noise_median(const struct kt_noise *n);

/* What remains of a difference that matters in ordinary light, 0..1. */
double kt_noise_contrast(const struct kt_noise *n);

#endif

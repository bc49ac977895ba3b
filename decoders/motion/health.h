/*
 * health.h - is the camera itself well? From the same small pictures.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_MOTION_HEALTH_H
#define KT_MOTION_HEALTH_H

#include "decoders/motion/analyzer.h"

typedef struct kt_health kt_health;

/* ON_TROUBLE as in analyzer.h, during the calls below. */
kt_must_check int kt_health_create(kt_health **out,
                                   void (*on_trouble)(void *user, enum kt_trouble trouble,
                                                      bool now, int64_t since_us),
                                   void *user);
void kt_health_destroy(kt_health **h);

/* A packet came at WALL_US; whether a picture comes of it is another matter. */
void kt_health_packet(kt_health *h, int64_t wall_us);

/* A picture came. */
void kt_health_picture(kt_health *h, const struct kt_motion_picture *pic, int64_t wall_us);

/* The longest time that the picture did not change although the camera lived, as of the last
 * look: to be kept for the next start. The longer ago it was, the shorter. */
int64_t kt_health_repeat(const kt_health *h);
void kt_health_expect_repeat(kt_health *h, int64_t repeat_us);

/* Was the picture that was looked at last (one in 2 s is) exactly as one before it? */
bool kt_health_still(const kt_health *h);

#endif

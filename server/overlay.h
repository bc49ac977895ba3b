/*
 * overlay.h - a video with something drawn over it, as an MP4: what motion detection saw, or
 * the time and what must not be seen (derive.h).
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_SERVER_OVERLAY_H
#define KT_SERVER_OVERLAY_H

#include <libavutil/frame.h>

#include "decoders/motion/motion.h"

typedef struct kt_overlay kt_overlay;

/* The file is made with the first picture, whose size it has. PATH is copied. */
kt_must_check int kt_overlay_create(kt_overlay **out, const char *path);

/* FRAME at T_US since the start, with RESULT drawn over it: foreground tinted,
 * boxes of confirmed tracks bright, of others dim. */
kt_must_check int kt_overlay_add(kt_overlay *o, const AVFrame *frame,
                                 const struct kt_motion_result *result, int64_t t_us);

/* FRAME at T_US since the start, in 4:2:0 and with even sides, as DRAW leaves it. */
kt_must_check int kt_overlay_draw(kt_overlay *o, const AVFrame *frame, int64_t t_us,
                                  void (*draw)(void *user, AVFrame *picture), void *user);

/* Complete the file. Consumes it whatever the outcome; NULL is fine. */
kt_must_check int kt_overlay_finish(kt_overlay **o);

/* Free without completing the file. */
void kt_overlay_abandon(kt_overlay **o);

#endif

/*
 * loop_media.h - a GstRTSPMediaFactory that sends a loop_file as a live camera does.
 *
 * A camera's picture is a function of time alone: at running time T every client
 * sees loop position (T + offset) modulo the length. A new client starts at the
 * last key frame, gets what has passed since at once, and then one frame a period.
 * Timestamps and RTCP sender reports tell the true time of each frame.
 */
#ifndef KT_CAMERA_LOOP_MEDIA_H
#define KT_CAMERA_LOOP_MEDIA_H

#include <gst/rtsp-server/rtsp-server.h>

#include "tests/camera/loop_file.h"

/*
 * FILE is borrowed for as long as the program runs. ORIGIN is the clock time
 * (CLOCK_MONOTONIC, ns) at which a camera with OFFSET 0 begins its loop; it must lie at least
 * OFFSET plus one turn in the past, so that no timestamp is negative.
 */
GstRTSPMediaFactory *kt_loop_media_factory_new(const kt_loop_file *file, GstClockTime origin,
                                               GstClockTime offset);

#endif

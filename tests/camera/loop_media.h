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
#include "tests/camera/pacer.h"

/* What all cameras of a program share. Constant once it is filled in. */
struct kt_loop_clock {
    GstClockTime origin;    /* clock time (CLOCK_MONOTONIC, ns) of running time 0 */
    kt_pacer *pacer;        /* NULL: the server's own pipelines send (slower; does UDP) */
};

/* FILE and CLOCK are borrowed for as long as the program runs. The origin must lie at least
 * OFFSET plus one turn in the past, so that no timestamp is negative. */
GstRTSPMediaFactory *kt_loop_media_factory_new(const kt_loop_file *file, const struct kt_loop_clock *clock,
                                               GstClockTime offset);

/* To be called once for a server with a pacer: its clients' PLAY starts the feeds. */
void kt_loop_media_watch(GstRTSPServer *server);

#endif

/*
 * pacer.h - sends the frames of all playing sessions from one thread.
 *
 * GStreamer's RTSP server spends most of its time on waking threads: each session
 * has one that waits for the frame's time and one that writes. A pacer takes
 * over where the server's own pipeline would start to send: it knows when every
 * frame of a loop_file is due, puts RTP headers before the payloads that were
 * cut in advance, and hands them to the session's transport, which is the
 * server's. Sender reports (RTCP) every 5 s come from here as well.
 *
 * A client that does not read makes its session late by up to 2 s; then frames are
 * left out up to a key frame, as a camera's full send buffer would do.
 *
 * Threads: all functions may be called from any thread.
 */
#ifndef KT_CAMERA_PACER_H
#define KT_CAMERA_PACER_H

#include <gst/rtsp-server/rtsp-server.h>

#include "tests/camera/loop_file.h"

typedef struct kt_pacer kt_pacer;

struct kt_pacer_feed {
    const kt_loop_file *file;       /* packetised; outlives the pacer */
    GstClockTimeDiff shift;         /* from loop time to running time */
    guint64 next;                   /* first frame to send: a key frame */
    guint32 ssrc, timestamp_offset; /* the timestamp of running time 0 */
    guint16 sequence;               /* of the first packet */
};

/* ORIGIN: the clock time (CLOCK_MONOTONIC, ns) of running time 0. Runs for ever. */
kt_pacer *kt_pacer_start(GstClockTime origin);

/* Begin to send FEED (copied) through TRANSPORT (referenced); KEY names it. */
void kt_pacer_add(kt_pacer *pacer, const void *key, GstRTSPStreamTransport *transport,
                  const struct kt_pacer_feed *feed);

/* Nothing is sent for KEY any more once this returns. */
void kt_pacer_remove(kt_pacer *pacer, const void *key);

#endif

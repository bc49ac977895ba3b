/*
 * probe.h - listen to streams for a few seconds and say what they are. For
 * `kentongan check` and for trying a camera before it is saved.
 *
 * Threads: kt_probe_run() blocks its caller; streams are probed side by side.
 */
#ifndef KT_SERVER_PROBE_H
#define KT_SERVER_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decoders/ingest/ingest.h"
#include "server/base/cleanup.h"
#include "server/base/text.h"
#include "server/net_guard.h"

struct kt_probe {
    /* --- asked --- */
    char name[KT_STREAM_NAME_MAX + 1];  /* for messages */
    const char *url;                    /* borrowed during the call */
    const char *transport;
    kt_ingest_loop *loop;               /* borrowed; NULL: libavformat */
    const struct kt_net_guard *guard;   /* borrowed; needs a loop; NULL: any address */
    int picture_width;                  /* wanted; 0: no picture */
    bool only_main;                     /* not looked at: the camera has no sub-stream */
    /* --- found --- */
    bool ok;                            /* a key frame came */
    char why[200];                      /* when not ok: in plain words, no secrets */
    char codec[16], audio[16];          /* audio is empty when there is none */
    int width, height;
    double fps, fps_nominal, bitrate;   /* measured over the probe; bit/s */
    double gop_seconds;                 /* 0: fewer than two key frames came */
    uint64_t frames, lost_packets;
    bool has_clock;                     /* the camera told its time (RTCP) */
    int64_t clock_offset_us;            /* the camera's clock minus ours */
    uint8_t *jpeg;                      /* malloc'd, the caller's; NULL: none */
    size_t jpeg_size;
    int64_t first_frame_us;             /* from the start of the probe to the first key frame */
};

/* Probe N streams for SECONDS each, all at once, or until STOP_FD (-1: never) can be read.
 * 0 or -ENOMEM. */
kt_must_check int kt_probe_run(struct kt_probe *probes, size_t n, int seconds, int stop_fd);

#endif

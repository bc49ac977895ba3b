/*
 * timeline.h - the times of one video stream: camera timestamps in, media time
 * and wall time out. Design section 4.
 *
 * Media time counts 1/90000 s from the start of the run and follows the
 * camera's timestamps as long as they make sense. Wall time is media time plus
 * an anchor: the least-delayed (arrival - media time) of the first half second,
 * then steered by at most 500 ppm towards the least-delayed frames of the last
 * ten seconds. What does not make sense is bridged with the arrival clock, and
 * the next key frame starts a new run: a run never starts in mid-GOP, so that
 * each run decodes by itself.
 *
 * It reads no clock: callers pass arrival times and the difference of the two
 * clocks, so that a test can live through a week in a second.
 *
 * Threads: none of its own, no lock.
 * Units: *_us; *_90k is 1/90000 s.
 */
#ifndef KT_MUX_TIMELINE_H
#define KT_MUX_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <libavutil/rational.h>

#include "decoders/mux/mux.h"

#define KT_TIMELINE_REORDER_MAX 4       /* frames by which decode and display order may differ */
#define KT_TIMELINE_SETTLE_US INT64_C(500000)
#define KT_TIMELINE_HISTORY 64          /* seconds of delay history */

struct kt_timeline_input {
    int64_t pts;                /* in the time base; AV_NOPTS_VALUE: none */
    int64_t arrival_us;         /* CLOCK_MONOTONIC */
    int64_t wall_offset_us;     /* wall clock minus monotonic clock, now */
    bool key;
    bool parameters;            /* key frame with new parameters: a new run whatever the time */
};

struct kt_timeline_frame {
    bool new_run;
    enum kt_run_end ended;      /* with new_run: why the run before ended; 0: none */
    int64_t dts_90k, pts_90k;   /* since the start of the run; dts grows, pts >= dts */
    uint32_t duration_90k;      /* as far as is known yet */
};

/* Plain data, so that it can live inside its owner. Read through functions only. */
struct kt_timeline {
    AVRational time_base;
    int reorder, next_reorder;
    int64_t nominal_90k;        /* frame duration: declared, then observed */
    /* --- the run --- */
    bool started;
    enum kt_run_end pending;    /* the next key frame starts a new run for this reason */
    int64_t run_arrival_us, last_arrival_us;
    int64_t last_dts, last_pts, media;
    int64_t reorder_buf[KT_TIMELINE_REORDER_MAX + 1];
    /* --- camera timestamps to media time: media = base + (raw - base_raw) * rate --- */
    bool has_raw, glitch;
    int stuck;                  /* frames in a row with the same timestamp */
    int64_t last_raw, base_raw, base_media, good_raw, good_base_raw, good_base_media;
    double rate;                /* 1 unless the camera's clock is plainly wrong */
    /* --- media time to wall time: wall = media + anchor --- */
    int64_t last_offset_us, step_us;
    double anchor_us;
    int64_t steered_media;
    int64_t delay[KT_TIMELINE_HISTORY]; /* least delay of each second; newest last */
    int64_t delay_at[KT_TIMELINE_HISTORY];  /* and the arrival of the frame that had it */
    int delays, run_delays;     /* of them in the current run */
    int64_t second_us;          /* arrival at which the newest second began */
    int late_seconds;
};

/* FPS 0/1: unknown. REORDER: frames of delay between decode and display order. */
void kt_timeline_init(struct kt_timeline *tl, AVRational time_base, AVRational fps, int reorder);

/* A session ended or new parameters came: the next key frame starts a new run
 * for this reason (the first reason given wins). */
void kt_timeline_end_run(struct kt_timeline *tl, enum kt_run_end why);

/* How far the next run's frames may be out of order. */
void kt_timeline_set_reorder(struct kt_timeline *tl, int frames);

/* Place the next frame in decode order. The first must be a key frame. */
void kt_timeline_put(struct kt_timeline *tl, const struct kt_timeline_input *in,
                     struct kt_timeline_frame *out);

/* While the anchor settles, wall times given now may still improve: hold the frames. */
bool kt_timeline_settling(const struct kt_timeline *tl);

/* Wall time of media time 0 of the current run, as steered so far: wall time of
 * a frame = anchor + kt_timeline_us(pts_90k). */
int64_t kt_timeline_anchor_us(const struct kt_timeline *tl);

int64_t kt_timeline_us(int64_t t_90k);
int64_t kt_timeline_90k(int64_t us);

#endif

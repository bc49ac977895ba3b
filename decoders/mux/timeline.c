#include "decoders/mux/timeline.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>

#include "server/base/clock.h"

#define CLOCK_STEP_US INT64_C(500000)   /* a larger move between two frames is a step */
#define JUMP_US INT64_C(2000000)        /* timestamps may run ahead of arrival by less than this */
#define BACK_US INT64_C(1000000)        /* reordered frames go back by less than this */
#define PARTS 3                         /* of a stretch of delays that must agree on its slope */
#define STUCK 2                         /* frames may share a timestamp, but not more than three */
#define STEER_PPM 500.0
#define WINDOW 10                       /* seconds whose least delay the anchor follows */
#define EARLY_US INT64_C(250000)        /* "captured" so long after arriving: anchor anew */
#define RATE_US INT64_C(100000)         /* so far off at a wrong rate: anchor anew */
#define LATE_US INT64_C(1000000)        /* frames so late ... */
#define LATE_SECONDS 60                 /* ... for so long: anchor anew */

int64_t kt_timeline_us(int64_t t_90k)
{
    return av_rescale(t_90k, 100, 9);
}

int64_t kt_timeline_90k(int64_t us)
{
    return av_rescale(us, 9, 100);
}

void kt_timeline_init(struct kt_timeline *tl, AVRational time_base, AVRational fps, int reorder)
{
    assert(time_base.num > 0 && time_base.den > 0);
    *tl = (struct kt_timeline){
        .time_base = time_base,
        .nominal_90k = KT_TIMESCALE / 15,
        .rate = 1,
    };
    if (fps.num > 0 && fps.den > 0 && av_cmp_q(fps, (AVRational){ 240, 1 }) <= 0 &&
        av_cmp_q(fps, (AVRational){ 1, 2 }) >= 0)
        tl->nominal_90k = av_rescale(KT_TIMESCALE, fps.den, fps.num);
    kt_timeline_set_reorder(tl, reorder);
}

void kt_timeline_set_reorder(struct kt_timeline *tl, int frames)
{
    tl->next_reorder = FFMIN(FFMAX(frames, 0), KT_TIMELINE_REORDER_MAX);
}

void kt_timeline_end_run(struct kt_timeline *tl, enum kt_run_end why)
{
    if (tl->started && !tl->pending)
        tl->pending = why;
}

/* ---- camera timestamps to media time ---- */

static int64_t media_of(int64_t raw, int64_t base_raw, int64_t base_media, double rate)
{
    const int64_t delta = raw - base_raw;
    return base_media + (rate == 1 ? delta : llrint((double)delta * rate));
}

/* Does DELTA_US between two timestamps fit ELAPSED_US between their arrivals? After
 * a stall the frames come in a burst, so being behind the arrivals is no fault. */
static bool plausible(int64_t delta_us, int64_t elapsed_us)
{
    return delta_us > -BACK_US && delta_us < elapsed_us + JUMP_US;
}

/* The media time by the arrival clock alone. */
static int64_t bridge(const struct kt_timeline *tl, int64_t elapsed_us)
{
    return tl->media + FFMAX(kt_timeline_90k(elapsed_us), tl->nominal_90k);
}

/* One frame with a wild timestamp between good ones changes nothing. */
static bool back_from_glitch(struct kt_timeline *tl, int64_t raw, int64_t elapsed_us)
{
    if (!tl->glitch)
        return false;
    tl->glitch = false;
    if (!plausible(kt_timeline_us(raw - tl->good_raw),
                   elapsed_us + kt_timeline_us(tl->nominal_90k)))
        return false;
    tl->base_raw = tl->good_base_raw;
    tl->base_media = tl->good_base_media;
    if (tl->pending == KT_RUN_TIMESTAMPS)
        tl->pending = 0;
    return true;
}

static void jump(struct kt_timeline *tl, int64_t raw, int64_t elapsed_us)
{
    if (!tl->pending) {
        tl->glitch = true;
        tl->good_raw = tl->last_raw;
        tl->good_base_raw = tl->base_raw;
        tl->good_base_media = tl->base_media;
        tl->pending = KT_RUN_TIMESTAMPS;
    }
    tl->base_raw = raw;
    tl->base_media = bridge(tl, elapsed_us);
}

static int64_t media_time(struct kt_timeline *tl, int64_t raw, int64_t elapsed_us)
{
    if (raw == AV_NOPTS_VALUE)
        return tl->media + kt_timeline_90k(elapsed_us);
    if (!tl->has_raw) {
        tl->base_raw = raw;
        tl->base_media = bridge(tl, elapsed_us);
        tl->has_raw = true;
    } else if (raw == tl->last_raw && ++tl->stuck > STUCK) {
        tl->base_raw = raw;                 /* this clock stands still: no clock */
        tl->base_media = tl->media + kt_timeline_90k(elapsed_us);
        tl->glitch = false;
    } else if (!back_from_glitch(tl, raw, elapsed_us)) {
        int64_t delta = raw - tl->last_raw;
        if (delta < -(INT64_C(1) << 31)) {  /* a 32-bit counter began anew */
            tl->base_raw -= INT64_C(1) << 32;
            delta += INT64_C(1) << 32;
        }
        if (!plausible(kt_timeline_us(delta), elapsed_us))
            jump(tl, raw, elapsed_us);
    }
    if (raw != tl->last_raw)
        tl->stuck = 0;
    tl->last_raw = raw;
    return media_of(raw, tl->base_raw, tl->base_media, tl->rate);
}

/* ---- media time to wall time ---- */

static int64_t least_delay(const struct kt_timeline *tl, int seconds)
{
    int64_t least = INT64_MAX;
    for (int i = tl->delays - FFMIN(tl->run_delays, seconds); i < tl->delays; i++)
        least = FFMIN(least, tl->delay[i]);
    return least;
}

static void push_second(struct kt_timeline *tl)
{
    if (tl->delays == KT_TIMELINE_HISTORY) {
        const size_t kept = sizeof(tl->delay[0]) * (KT_TIMELINE_HISTORY - 1);
        memmove(tl->delay, tl->delay + 1, kept);
        memmove(tl->delay_at, tl->delay_at + 1, kept);
        tl->delays--;
    }
    tl->delay[tl->delays++] = INT64_MAX;
    tl->run_delays = FFMIN(tl->run_delays + 1, tl->delays);
}

/* How fast the delay grew between two seconds of the history, in us a second: ppm. */
static double slope_between(const struct kt_timeline *tl, int from, int to)
{
    return (double)(tl->delay[to] - tl->delay[from]) * 1e6 /
           (double)(tl->delay_at[to] - tl->delay_at[from]);
}

/*
 * Does the delay grow or shrink steadily over the last SECONDS, by at least
 * MIN_PPM? Then the camera's timestamps run at a wrong rate: it stamps 25 frames a
 * second and sends 21, for one. Congestion is not that steady.
 */
static double wrong_rate(const struct kt_timeline *tl, int seconds, double min_ppm)
{
    const int last = tl->delays - 2;            /* the newest second is not full yet */
    if (last < 0 || tl->delay[last] == INT64_MAX)
        return 0;
    int first = last - 1;
    while (first >= 0 && tl->delay[first] != INT64_MAX &&
           tl->delay_at[last] - tl->delay_at[first] < seconds * KT_SECOND_US)
        first--;
    if (first < 0 || tl->delay[first] == INT64_MAX || last - first < PARTS)
        return 0;
    const double slope = slope_between(tl, first, last);
    for (int i = 0; i < PARTS; i++) {
        const double part = slope_between(tl, first + i * (last - first) / PARTS,
                                          first + (i + 1) * (last - first) / PARTS);
        if (fabs(part - slope) > 0.15 * fabs(slope))
            return 0;
    }
    return fabs(slope) >= min_ppm ? slope : 0;
}

/* The delay grows by SLOPE us each second: so much does media time fall behind. */
static void correct_rate(struct kt_timeline *tl, double slope)
{
    const double rate = tl->rate / (1 - FFMIN(slope / 1e6, 0.9));
    if (tl->has_raw) {
        tl->base_media = tl->media;
        tl->base_raw = tl->last_raw;
    }
    tl->rate = fabs(rate - 1) < 400e-6 ? 1 : FFMIN(FFMAX(rate, 0.1), 10);
    tl->delays = tl->run_delays = 0;
    push_second(tl);
}

/* Once a second: is the anchor still believable? */
static void check_anchor(struct kt_timeline *tl)
{
    static const struct {
        int seconds;
        double min_ppm;
    } tests[] = { { 6, 10000 }, { 21, 2000 }, { 60, 400 } };
    const int64_t least = least_delay(tl, WINDOW);
    if (least == INT64_MAX)
        return;
    const double late = (double)least - tl->anchor_us;
    tl->late_seconds = late > LATE_US ? tl->late_seconds + 1 : 0;
    if (-late > EARLY_US || tl->late_seconds > LATE_SECONDS)
        kt_timeline_end_run(tl, KT_RUN_TIMESTAMPS);
    for (size_t i = 0; i < KT_ARRAY_SIZE(tests); i++) {
        const double slope = wrong_rate(tl, tests[i].seconds, tests[i].min_ppm);
        if (slope == 0)
            continue;
        if (fabs((double)tl->delay[tl->delays - 2] - tl->anchor_us) > RATE_US)
            kt_timeline_end_run(tl, KT_RUN_TIMESTAMPS);
        correct_rate(tl, slope);
        break;
    }
}

static void steer(struct kt_timeline *tl, int64_t arrival_us, int64_t wall_us)
{
    const int64_t delay = wall_us - kt_timeline_us(tl->media);
    while (arrival_us - tl->second_us >= KT_SECOND_US) {
        check_anchor(tl);
        push_second(tl);
        /* After a long silence there is nothing to learn from empty seconds. */
        tl->second_us = arrival_us - tl->second_us > KT_TIMELINE_HISTORY * KT_SECOND_US
            ? arrival_us : tl->second_us + KT_SECOND_US;
    }
    if (delay < tl->delay[tl->delays - 1]) {
        tl->delay[tl->delays - 1] = delay;
        tl->delay_at[tl->delays - 1] = arrival_us;
    }

    if (kt_timeline_settling(tl)) {
        tl->anchor_us = (double)least_delay(tl, WINDOW);
    } else {
        const int64_t moved = kt_timeline_us(llabs(tl->media - tl->steered_media));
        const double most = (double)moved * STEER_PPM / 1e6;
        const double want = (double)least_delay(tl, WINDOW) - tl->anchor_us;
        tl->anchor_us += FFMIN(FFMAX(want, -most), most);
    }
    tl->steered_media = tl->media;
}

bool kt_timeline_settling(const struct kt_timeline *tl)
{
    return tl->started && tl->last_arrival_us - tl->run_arrival_us < KT_TIMELINE_SETTLE_US;
}

int64_t kt_timeline_anchor_us(const struct kt_timeline *tl)
{
    return llrint(tl->anchor_us);
}

/* ---- decode order ---- */

/* The decode time of a frame is the display time of the frame that leaves a
 * reorder buffer when it enters: never later, always growing. */
static int64_t decode_time(struct kt_timeline *tl, int64_t pts)
{
    int64_t *buf = tl->reorder_buf;
    const int n = tl->reorder;
    buf[0] = pts;
    for (int i = 0; i < n && buf[i] > buf[i + 1]; i++)
        FFSWAP(int64_t, buf[i], buf[i + 1]);
    return buf[0];
}

static void fill_reorder(struct kt_timeline *tl, int64_t pts)
{
    for (int i = 0; i <= tl->reorder; i++)
        tl->reorder_buf[i] = pts + (i - tl->reorder - 1) * tl->nominal_90k;
}

/* Frames come out of display order and nobody said so: a B-frame stream. */
static void learn_reorder(struct kt_timeline *tl, int64_t pts)
{
    if (pts >= tl->last_dts || tl->reorder == KT_TIMELINE_REORDER_MAX)
        return;
    tl->next_reorder = ++tl->reorder;
    for (int i = 0; i < tl->reorder; i++)
        tl->reorder_buf[i] = FFMIN(tl->reorder_buf[i], tl->last_dts);
    tl->reorder_buf[tl->reorder] = tl->last_pts;
}

/* ---- the run ---- */

/* The delays seen so far stay true: only the media time they count from moves. */
static void carry_history(struct kt_timeline *tl, int64_t old_media, int64_t new_media)
{
    for (int i = 0; i < tl->delays; i++)
        if (tl->delay[i] != INT64_MAX)
            tl->delay[i] += kt_timeline_us(old_media) - kt_timeline_us(new_media);
}

static void start_run(struct kt_timeline *tl, const struct kt_timeline_input *in, int64_t raw,
                      enum kt_run_end ended)
{
    tl->pending = 0;
    tl->reorder = tl->next_reorder;
    /* The first frame is displayed after as many as may be decoded before it. */
    const int64_t media = tl->reorder * tl->nominal_90k;
    if (tl->started && ended != KT_RUN_CLOCK && ended != KT_RUN_SESSION)
        carry_history(tl, tl->media, media);
    else
        tl->delays = 0;
    tl->started = true;
    tl->glitch = false;
    tl->stuck = 0;
    tl->has_raw = raw != AV_NOPTS_VALUE;
    tl->base_raw = tl->last_raw = raw;
    tl->media = tl->base_media = tl->steered_media = media;
    tl->anchor_us = 0;
    tl->step_us = 0;
    tl->late_seconds = tl->run_delays = 0;
    tl->run_arrival_us = tl->second_us = in->arrival_us;
    push_second(tl);
    fill_reorder(tl, media);
    tl->last_dts = -tl->nominal_90k;
}

static void notice_clock_step(struct kt_timeline *tl, const struct kt_timeline_input *in)
{
    const int64_t moved = in->wall_offset_us - tl->last_offset_us;
    if (tl->started && llabs(moved) > CLOCK_STEP_US) {
        tl->step_us += moved;   /* until the next key frame, the run keeps its own clock */
        kt_timeline_end_run(tl, KT_RUN_CLOCK);
    }
    tl->last_offset_us = in->wall_offset_us;
}

static void observe_duration(struct kt_timeline *tl, int64_t delta)
{
    if (delta > KT_TIMESCALE / 240 && delta < 2 * KT_TIMESCALE)
        tl->nominal_90k += (delta - tl->nominal_90k) / 8;
}

void kt_timeline_put(struct kt_timeline *tl, const struct kt_timeline_input *in,
                     struct kt_timeline_frame *out)
{
    *out = (struct kt_timeline_frame){ 0 };
    notice_clock_step(tl, in);
    const bool new_run = !tl->started || (in->key && (tl->pending || in->parameters));
    const enum kt_run_end ended = !tl->started ? 0 : tl->pending ? tl->pending : KT_RUN_PARAMETERS;
    const int64_t raw = in->pts == AV_NOPTS_VALUE
        ? AV_NOPTS_VALUE
        : av_rescale_q(in->pts, tl->time_base, (AVRational){ 1, KT_TIMESCALE });
    if (tl->started)
        tl->media = media_time(tl, raw, FFMAX(in->arrival_us - tl->last_arrival_us, 0));
    if (new_run) {
        start_run(tl, in, raw, ended);
        out->new_run = true;
        out->ended = ended;
    } else {
        learn_reorder(tl, tl->media);
    }
    tl->last_arrival_us = in->arrival_us;
    steer(tl, in->arrival_us, in->arrival_us + in->wall_offset_us - tl->step_us);

    const int64_t pts = tl->media;
    int64_t dts = decode_time(tl, pts);
    if (dts <= tl->last_dts)
        dts = tl->last_dts + 1;
    observe_duration(tl, dts - tl->last_dts);
    out->dts_90k = dts;
    out->pts_90k = FFMAX(pts, dts);
    out->duration_90k = (uint32_t)tl->nominal_90k;
    tl->last_dts = dts;
    tl->last_pts = pts;
}

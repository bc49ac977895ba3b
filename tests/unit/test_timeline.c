#include "decoders/mux/timeline.h"

#include <inttypes.h>
#include <math.h>
#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>

#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

#define START_US (50 * KT_SECOND_US)            /* monotonic clock at the first frame */
#define OFFSET_US INT64_C(1790000000000000)     /* wall clock minus monotonic clock */

/*
 * A camera with a clock of its own. True time T counts from the first frame; the
 * truth of a frame is when it was captured by the true clock.
 */
static struct kt_timeline tl;
static struct kt_timeline_frame out;
static int64_t offset_us;           /* what the server believes */
static int64_t last_dts;
static int runs;
static enum kt_run_end last_end;

static void setup(void)
{
    kt_timeline_init(&tl, (AVRational){ 1, 90000 }, (AVRational){ 25, 1 }, 0);
    offset_us = OFFSET_US;
    runs = 0;
    last_dts = INT64_MIN;
    last_end = 0;
}

/* A frame captured at TRUE_US with timestamp PTS arrives DELAY_US later. Returns
 * how far its wall time is from when it was captured. */
static int64_t put(int64_t true_us, int64_t pts, int64_t delay_us, bool key)
{
    const struct kt_timeline_input in = {
        .pts = pts, .arrival_us = START_US + true_us + delay_us, .wall_offset_us = offset_us,
        .key = key,
    };
    kt_timeline_put(&tl, &in, &out);
    if (out.new_run) {
        runs++;
        last_end = out.ended;
        if (out.dts_90k != 0)
            ck_abort_msg("a run begins at %" PRId64, out.dts_90k);
    } else if (out.dts_90k <= last_dts) {       /* an assertion a frame would take minutes */
        ck_abort_msg("decode times do not grow");
    }
    if (out.pts_90k < out.dts_90k)
        ck_abort_msg("shown before it is decoded");
    last_dts = out.dts_90k;
    return kt_timeline_anchor_us(&tl) + kt_timeline_us(out.pts_90k) -
           (OFFSET_US + START_US + true_us);
}

static int64_t ticks(int64_t us)
{
    return av_rescale(us, 9, 100);
}

START_TEST(a_good_camera_is_placed_where_it_was)
{
    for (int i = 0; i < 1000; i++) {
        const int64_t off = put(i * 40000, ticks(i * 40000) + 12345, 3000 + i % 7 * 5000, i % 50 == 0);
        ck_assert_int_ge(off, 0);
        ck_assert_int_le(off, 8100);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(frames_of_a_burst_lie_where_they_were_captured)
{
    /* On connect the camera sends the last two seconds at once. */
    int64_t worst = 0;
    for (int i = 0; i < 50; i++)
        put(i * 40000, ticks(i * 40000), (50 - i) * 40000 + i * 100, i == 0);
    for (int i = 50; i < 200; i++)
        worst = FFMAX(worst, llabs(put(i * 40000, ticks(i * 40000), 5000, false)));
    ck_assert_int_le(worst, 10000);
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(delay_by_a_bad_network_does_not_move_the_times)
{
    unsigned seed = 1;
    for (int i = 0; i < 25 * 600; i++) {
        int64_t delay = rand_r(&seed) % 300000;
        if (i % 1500 > 1400)
            delay += 3 * KT_SECOND_US;          /* four seconds of congestion each minute */
        const int64_t off = put(i * 40000, ticks(i * 40000), delay, i % 50 == 0);
        if (i > 25)
            ck_assert_int_le(llabs(off), 120000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

/* A second of one frame each, for a week: 200 ppm, both ways. */
static const int drift_ppm[] = { 200, -200, 20, 450, -450 };
START_TEST(a_week_of_drift_stays_within_100_ms)
{
    int64_t worst = 0;
    const double rate = 1 + drift_ppm[_i] / 1e6;
    unsigned seed = 7;
    for (int64_t i = 0; i < 7 * 86400; i++) {
        const int64_t true_us = i * KT_SECOND_US;
        const int64_t off = put(true_us, ticks(llrint((double)true_us * rate)),
                                2000 + rand_r(&seed) % 20000, i % 10 == 0);
        worst = FFMAX(worst, llabs(off));
    }
    ck_assert_int_le(worst, 100000);
    ck_assert_int_eq(runs, 1);
}
END_TEST

static const struct {
    int64_t step_us;
} steps[] = { { 3600 * KT_SECOND_US }, { -3600 * KT_SECOND_US }, { 600000 }, { -600000 },
              { -OFFSET_US + 5 * KT_SECOND_US } };
START_TEST(a_clock_step_ends_the_run_at_the_next_key_frame)
{
    for (int i = 0; i < 110; i++)
        put(i * 40000, ticks(i * 40000), 5000, i % 50 == 0);
    offset_us += steps[_i].step_us;
    for (int i = 110; i < 150; i++) {       /* until the key frame the run keeps its own clock */
        const int64_t off = put(i * 40000, ticks(i * 40000), 5000, false);
        ck_assert_int_le(llabs(off), 6000);
    }
    ck_assert_int_eq(runs, 1);
    for (int i = 150; i < 400; i++) {
        const int64_t off = put(i * 40000, ticks(i * 40000), 5000, i % 50 == 0);
        ck_assert_int_le(llabs(off - steps[_i].step_us), 6000);
    }
    ck_assert_int_eq(runs, 2);
    ck_assert_int_eq(last_end, KT_RUN_CLOCK);
}
END_TEST

START_TEST(a_slewed_clock_is_followed_without_a_new_run)
{
    int64_t worst = 0;
    for (int64_t i = 0; i < 25 * 3600; i++) {
        offset_us = OFFSET_US + i * 40000 / 2500;       /* 400 ppm */
        const int64_t off = put(i * 40000, ticks(i * 40000), 5000, i % 50 == 0);
        worst = FFMAX(worst, llabs(off - (offset_us - OFFSET_US)));
    }
    ck_assert_int_le(worst, 30000);
    ck_assert_int_eq(runs, 1);
}
END_TEST

static const int sent_fps[] = { 21, 30, 24, 12 };
START_TEST(timestamps_of_25_fps_at_another_rate_are_put_right)
{
    const int64_t period = KT_SECOND_US / sent_fps[_i];
    int64_t worst = 0;
    for (int i = 0; i < sent_fps[_i] * 300; i++) {
        const int64_t off = put(i * period, i * 3600, 4000 + i % 5 * 1000, i % 40 == 0);
        if (i > sent_fps[_i] * 12)
            worst = FFMAX(worst, llabs(off));
    }
    ck_assert_int_le(worst, 250000);
    ck_assert_int_le(runs, 6);      /* one more each key frame until the rate is known */
}
END_TEST

START_TEST(a_half_percent_wrong_rate_is_put_right)
{
    int64_t worst = 0;
    for (int i = 0; i < 25 * 1800; i++) {
        const int64_t off = put(i * 40000, i * 3618, 4000 + i % 5 * 1000, i % 50 == 0);
        worst = FFMAX(worst, llabs(off));
    }
    ck_assert_int_le(worst, 400000);
    ck_assert_int_le(runs, 3);
}
END_TEST

static const int64_t jumps_us[] = { -9800 * KT_SECOND_US, 9800 * KT_SECOND_US, 37600 * KT_SECOND_US,
                                    -3 * KT_SECOND_US, 5 * KT_SECOND_US };
START_TEST(a_timestamp_jump_costs_nothing_but_a_new_run)
{
    int64_t shift = 0;
    for (int i = 0; i < 1000; i++) {
        if (i == 310)
            shift = jumps_us[_i];
        const int64_t off = put(i * 40000, ticks(i * 40000 + shift), 5000, i % 50 == 0);
        ck_assert_int_le(llabs(off), 45000);
        ck_assert_int_eq(runs, i < 350 ? 1 : 2);
    }
    ck_assert_int_eq(last_end, KT_RUN_TIMESTAMPS);
}
END_TEST

START_TEST(single_wild_frames_do_not_end_the_run)
{
    for (int i = 0; i < 2000; i++) {
        const int64_t wild = i % 50 == 33 ? (i % 100 == 33 ? -9800 : 37600) * KT_SECOND_US : 0;
        const int64_t off = put(i * 40000, ticks(i * 40000 + wild), 5000, i % 50 == 0);
        ck_assert_int_le(llabs(off), 45000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(a_32_bit_counter_may_begin_anew)
{
    const int64_t near_end = (INT64_C(1) << 32) - 90000 * 5;
    for (int i = 0; i < 1000; i++) {
        const int64_t pts = (near_end + i * 3600) & 0xffffffff;
        const int64_t off = put(i * 40000, pts, 5000, i % 50 == 0);
        ck_assert_int_le(llabs(off), 6000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(frames_without_timestamps_follow_the_arrival)
{
    for (int i = 0; i < 1000; i++) {
        const int64_t off = put(i * 40000, AV_NOPTS_VALUE, 5000 + i % 3 * 1000, i % 50 == 0);
        ck_assert_int_le(llabs(off), 60000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(a_timestamp_that_never_moves_is_none)
{
    for (int i = 0; i < 1000; i++) {
        const int64_t off = put(i * 40000, _i ? 12345 : 0, 5000 + i % 3 * 1000, i % 50 == 0);
        ck_assert_int_le(llabs(off), 150000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(every_tenth_frame_without_a_timestamp_is_harmless)
{
    for (int i = 0; i < 1000; i++) {
        const int64_t pts = i % 10 == 5 ? AV_NOPTS_VALUE : ticks(i * 40000) + 99;
        ck_assert_int_le(llabs(put(i * 40000, pts, 5000, i % 50 == 0)), 45000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(duplicate_and_backward_timestamps_still_grow)
{
    for (int i = 0; i < 1000; i++) {
        int64_t pts = ticks(i * 40000);
        if (i % 20 == 7)
            pts = ticks((i - 1) * 40000);       /* twice the same */
        if (i % 100 == 50)
            pts -= ticks(61000);                /* a small step back */
        ck_assert_int_le(llabs(put(i * 40000, pts, 5000, i % 50 == 0)), 250000);
    }
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(b_frames_nobody_announced_are_learnt)
{
    static const int order[] = { 0, 3, 1, 2 };          /* I P B B, display order from decode order */
    int disorder = 0;
    int64_t shown[1000];
    for (int i = 0; i < 400; i++) {
        const int group = (i + 2) / 3, shown_as = i == 0 ? 0 : (group - 1) * 3 + order[(i - 1) % 3 + 1];
        put(i * 40000, shown_as * 3600, 5000, i == 0);
        shown[shown_as] = out.pts_90k;
    }
    for (int i = 20; i < 380; i++)
        disorder += shown[i] <= shown[i - 1];
    ck_assert_int_eq(disorder, 0);
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(a_long_silence_is_a_gap_of_its_length)
{
    for (int i = 0; i < 100; i++)
        put(i * 40000, ticks(i * 40000), 5000, i % 50 == 0);
    const int64_t before = out.pts_90k;
    const int64_t off = put(700 * KT_SECOND_US, ticks(700 * KT_SECOND_US), 5000, true);
    ck_assert_int_le(llabs(off), 6000);
    ck_assert_int_eq(out.pts_90k - before, ticks(700 * KT_SECOND_US) - 99 * 3600);
    ck_assert_int_eq(runs, 1);
}
END_TEST

START_TEST(an_anchor_made_in_congestion_is_given_up)
{
    /* The first second comes three seconds late, then the network recovers. */
    int64_t off = 0;
    for (int i = 0; i < 500; i++)
        off = put(i * 40000, ticks(i * 40000), i < 25 ? 3 * KT_SECOND_US : i < 100 ?
                  (100 - i) * 40000 : 5000, i % 50 == 0);
    ck_assert_int_le(llabs(off), 10000);
    ck_assert_int_eq(runs, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timeline");
    TCase *tc = tcase_create("timeline");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_good_camera_is_placed_where_it_was);
    tcase_add_test(tc, frames_of_a_burst_lie_where_they_were_captured);
    tcase_add_test(tc, delay_by_a_bad_network_does_not_move_the_times);
    tcase_add_loop_test(tc, a_week_of_drift_stays_within_100_ms, 0, KT_ARRAY_SIZE(drift_ppm));
    tcase_add_loop_test(tc, a_clock_step_ends_the_run_at_the_next_key_frame, 0, KT_ARRAY_SIZE(steps));
    tcase_add_test(tc, a_slewed_clock_is_followed_without_a_new_run);
    tcase_add_loop_test(tc, timestamps_of_25_fps_at_another_rate_are_put_right, 0,
                        KT_ARRAY_SIZE(sent_fps));
    tcase_add_test(tc, a_half_percent_wrong_rate_is_put_right);
    tcase_add_loop_test(tc, a_timestamp_jump_costs_nothing_but_a_new_run, 0, KT_ARRAY_SIZE(jumps_us));
    tcase_add_test(tc, single_wild_frames_do_not_end_the_run);
    tcase_add_test(tc, a_32_bit_counter_may_begin_anew);
    tcase_add_test(tc, frames_without_timestamps_follow_the_arrival);
    tcase_add_loop_test(tc, a_timestamp_that_never_moves_is_none, 0, 2);
    tcase_add_test(tc, every_tenth_frame_without_a_timestamp_is_harmless);
    tcase_add_test(tc, duplicate_and_backward_timestamps_still_grow);
    tcase_add_test(tc, b_frames_nobody_announced_are_learnt);
    tcase_add_test(tc, a_long_silence_is_a_gap_of_its_length);
    tcase_add_test(tc, an_anchor_made_in_congestion_is_given_up);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

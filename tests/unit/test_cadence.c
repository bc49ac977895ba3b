#include "server/cadence.h"

#include <stddef.h>

#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

#define T0 INT64_C(1790000000000000)
#define MS INT64_C(1000)
#define FRAME (KT_SECOND_US / 15)

static struct kt_cadence c;
static int64_t at;
static struct kt_hole last;
static int holes;

static void setup(void)
{
    c = (struct kt_cadence){ .newest_us = 0 };
    at = T0;
    holes = 0;
}

static void put(int64_t wall_us)
{
    if (!kt_cadence_frame(&c, wall_us, FRAME, &last))
        return;
    holes++;
    ck_assert_int_gt(last.to_us, last.from_us);
}

/* N frames, one each STEP. */
static void frames(int n, int64_t step)
{
    for (int i = 0; i < n; i++, at += step)
        put(at);
}

/* Lengths of holes in ms, and whether they are told of. */
static const struct {
    int ms;
    bool told;
} lengths[] = { { 67, false }, { 200, false }, { 450, false }, { 600, true }, { 1000, true }, { 1500, true },
                { 1999, true }, { 2001, true }, { 30000, true }, { 3600000, true } };

START_TEST(missing_frames_are_a_gap_of_their_length)
{
    frames(60, FRAME);
    const int64_t begin = at;
    at += lengths[_i].ms * MS;
    const int64_t end = at;
    frames(60, FRAME);
    ck_assert_int_eq(holes, lengths[_i].told);
    if (!lengths[_i].told)
        return;
    ck_assert_int_le(llabs(last.from_us - begin), 20 * MS);
    ck_assert_int_eq(last.to_us, end);
    ck_assert_int_eq(last.was_before, lengths[_i].ms < 2000);
}
END_TEST

START_TEST(a_camera_that_slows_down_has_no_gaps)
{
    frames(300, FRAME);
    frames(120, KT_SECOND_US);          /* night */
    frames(300, FRAME);
    frames(60, 1500 * MS);
    frames(300, FRAME);
    ck_assert_int_eq(holes, 0);
}
END_TEST

START_TEST(a_frame_each_three_seconds_is_soon_understood)
{
    frames(100, 3 * KT_SECOND_US);
    ck_assert_int_le(holes, 4);
}
END_TEST

START_TEST(jitter_of_the_timestamps_makes_no_gaps)
{
    srandom(5);
    for (int i = 0; i < 2000; i++, at += FRAME)
        put(at + random() % (400 * MS));
    ck_assert_int_eq(holes, 0);
}
END_TEST

START_TEST(reordered_frames_make_no_gaps_and_hide_none)
{
    static const int order[] = { 3, 1, 2 };         /* P before its two B */
    put(at);
    for (int gop = 0; gop < 100; gop++) {
        for (size_t i = 0; i < 3; i++)
            put(at + order[i] * FRAME);
        at += 3 * FRAME;
        ck_assert_int_eq(holes, gop > 51);          /* told by the group behind it */
        if (gop == 50)
            at += 900 * MS;
    }
    ck_assert_int_eq(holes, 1);
    ck_assert_int_ge(last.to_us - last.from_us, 850 * MS);
}
END_TEST

START_TEST(a_clock_that_goes_back_is_no_gap)
{
    frames(30, FRAME);
    at -= 3600 * KT_SECOND_US;
    frames(30, FRAME);
    ck_assert_int_eq(holes, 0);
}
END_TEST

START_TEST(a_line_that_fails_each_second_does_not_flood_the_index)
{
    for (int i = 0; i < 3600; i++) {
        frames(15, FRAME);
        at += 700 * MS;
    }
    /* 3600 holes in 102 minutes. */
    ck_assert_int_ge(holes, KT_CADENCE_BURST + 90);
    ck_assert_int_le(holes, KT_CADENCE_BURST + 105);
}
END_TEST

START_TEST(the_end_is_that_of_the_newest_frame)
{
    ck_assert_int_eq(kt_cadence_end_us(&c), 0);
    frames(30, FRAME);
    ck_assert_int_le(llabs(kt_cadence_end_us(&c) - at), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cadence");
    TCase *t = tcase_create("cadence");
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_loop_test(t, missing_frames_are_a_gap_of_their_length, 0, (int)KT_ARRAY_SIZE(lengths));
    tcase_add_test(t, a_camera_that_slows_down_has_no_gaps);
    tcase_add_test(t, a_frame_each_three_seconds_is_soon_understood);
    tcase_add_test(t, jitter_of_the_timestamps_makes_no_gaps);
    tcase_add_test(t, reordered_frames_make_no_gaps_and_hide_none);
    tcase_add_test(t, a_clock_that_goes_back_is_no_gap);
    tcase_add_test(t, a_line_that_fails_each_second_does_not_flood_the_index);
    tcase_add_test(t, the_end_is_that_of_the_newest_frame);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

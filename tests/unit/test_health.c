/* The usual ways in which a camera goes blind, and what is none of them. */
#include <check.h>
#include <string.h>

#include "decoders/motion/health.h"
#include "decoders/motion/motion.h"
#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

#define W 160
#define H 90
#define EPOCH_US (1700000000 * KT_SECOND_US)

static uint8_t luma[W * H], place[W * H];
static kt_health *health;
static struct {
    int on, off;
    enum kt_trouble which;
    int64_t at_us;              /* of the picture that was shown when it was reported */
} heard;
static int64_t now_us;
static bool keys_only;

static void on_trouble(void *user, enum kt_trouble which, bool now, int64_t since_us)
{
    heard.on += now;
    heard.off += !now;
    heard.which = which;
    heard.at_us = now_us;
    ck_assert_int_le(since_us, now_us);
}

/* A place of its own for each SEED: blocks of different grey with fine texture. */
static void draw(uint8_t out[W * H], unsigned seed)
{
    uint8_t block[10 * 16];
    srand(seed);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)(40 + rand() % 170);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            out[y * W + x] = (uint8_t)(block[y / 9 * 16 + x / 10] + (rand() % 2 ? 12 : 0));
}

static void blur(uint8_t picture[W * H])
{
    for (int turn = 0; turn < 30; turn++)
        for (int i = 1; i < W * H - 1; i++)
            picture[i] = (uint8_t)((picture[i - 1] + picture[i] + picture[i + 1]) / 3);
}

/* Show PICTURE for SECONDS, four times a second, with the noise that every camera has. */
static void show(const uint8_t picture[W * H], int seconds, int noise)
{
    for (int i = 0; i < seconds * 4; i++) {
        now_us += KT_SECOND_US / 4;
        for (int p = 0; p < W * H; p++)
            luma[p] = (uint8_t)(picture[p] + (noise ? rand() % (noise + 1) : 0));
        const struct kt_motion_picture pic = { .luma = luma, .w = W, .h = H, .source_w = W,
                                               .source_h = H, .key = keys_only || i % 8 == 0 };
        kt_health_packet(health, now_us);
        if (!keys_only || i % 8 == 0)
            kt_health_picture(health, &pic, now_us);
    }
}

static void setup(void)
{
    memset(&heard, 0, sizeof(heard));
    now_us = EPOCH_US;
    keys_only = false;
    ck_assert_int_eq(kt_health_create(&health, on_trouble, NULL), 0);
    draw(place, 1);
    show(place, 70, 3);
    ck_assert_int_eq(heard.on, 0);
}

static void teardown(void)
{
    kt_health_destroy(&health);
}

/* Within SECONDS of its beginning, and once; and when the place is as it was, it is over. */
static void expect(enum kt_trouble which, const uint8_t picture[W * H], int noise, int seconds)
{
    const int64_t begun_us = now_us;
    show(picture, 100, noise);
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.which, which);
    ck_assert_int_le(heard.at_us - begun_us, seconds * KT_SECOND_US);
    show(place, 100, 3);
    ck_assert_int_eq(heard.off, 1);
    ck_assert_int_eq(heard.on, 1);
}

START_TEST(a_frozen_picture_is_told_within_15_s)
{
    keys_only = _i;             /* as in every mode of analysis */
    expect(KT_TROUBLE_FROZEN, place, 0, 15);
}
END_TEST

/* A smart codec: PICTURE coded anew with its noise, then nothing but skipped blocks for SECONDS. */
static void repeat(const uint8_t picture[W * H], int seconds)
{
    uint8_t last[W * H];
    show(picture, 1, 3);
    memcpy(last, luma, sizeof(last));
    for (int i = 0; i < seconds * 4; i++) {
        now_us += KT_SECOND_US / 4;
        const struct kt_motion_picture pic = { .luma = last, .w = W, .h = H, .source_w = W, .source_h = H };
        kt_health_packet(health, now_us);
        kt_health_picture(health, &pic, now_us);
    }
}

START_TEST(a_picture_that_stands_still_between_far_key_frames_is_told_within_15_s)
{
    const int64_t begun_us = now_us;
    repeat(place, 60);
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.which, KT_TROUBLE_FROZEN);
    ck_assert_int_le(heard.at_us - begun_us, 15 * KT_SECOND_US);
}
END_TEST

START_TEST(a_refined_picture_that_stands_still_is_told_within_15_s)
{
    /* The key picture of what stands still differs from those that follow and refine it. */
    uint8_t coarse[W * H];
    memcpy(coarse, place, sizeof(coarse));
    blur(coarse);
    const int64_t begun_us = now_us;
    for (int i = 0; i < 4 * 30; i++) {
        now_us += KT_SECOND_US / 4;
        const bool key = i % 16 == 0;
        const struct kt_motion_picture pic = { .luma = key ? coarse : place, .w = W, .h = H,
                                               .source_w = W, .source_h = H, .key = key };
        kt_health_picture(health, &pic, now_us);
    }
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.which, KT_TROUBLE_FROZEN);
    ck_assert_int_le(heard.at_us - begun_us, 15 * KT_SECOND_US);
}
END_TEST

START_TEST(a_camera_that_repeats_quiet_pictures_is_learnt)
{
    /* Night falls: a picture is repeated for longer and longer, then coded anew. */
    for (int seconds = 1; seconds < 18; seconds++)
        repeat(place, seconds);
    for (int turn = 0; turn < 8; turn++)
        repeat(place, 30);
    ck_assert_int_eq(heard.on, 0);
    show(place, 30, 0);         /* and a stuck encoder of such a camera is found by its key frames */
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.which, KT_TROUBLE_FROZEN);
}
END_TEST

START_TEST(a_camera_that_repeats_quiet_pictures_is_mistaken_once_at_most)
{
    for (int turn = 0; turn < 8; turn++)
        repeat(place, 30);
    ck_assert_int_le(heard.on, 1);
}
END_TEST

START_TEST(patience_outlives_a_restart)
{
    for (int turn = 0; turn < 3; turn++)
        repeat(place, 30);
    const int mistaken = heard.on;
    const int64_t learnt_us = kt_health_repeat(health);
    ck_assert_int_ge(learnt_us, 25 * KT_SECOND_US);
    kt_health_destroy(&health);
    ck_assert_int_eq(kt_health_create(&health, on_trouble, NULL), 0);
    kt_health_expect_repeat(health, learnt_us);
    for (int turn = 0; turn < 8; turn++)
        repeat(place, 30);
    ck_assert_int_eq(heard.on, mistaken);
    ck_assert_int_ge(kt_health_repeat(health), 25 * KT_SECOND_US);
}
END_TEST

/*
 * SCENE with its noise, or without new noise when it is STUCK, for SECONDS, as an encoder shows
 * it that keeps to its bit rate: each key picture, every GAP_S, in a quality of its own.
 */
static void show_quality(const uint8_t scene[W * H], int gap_s, bool stuck, int step, int from)
{
    static uint8_t seen_by_sensor[W * H];
    uint32_t chance = (uint32_t)rand();     /* rand() takes a lock, which sanitizers make dear */
    now_us += gap_s * KT_SECOND_US;
    for (int p = 0; p < W * H; p++) {
        chance = chance * 1664525u + 1013904223u;
        if (!stuck)
            seen_by_sensor[p] = (uint8_t)(scene[p] + (chance >> 16) % 6 + (chance >> 24) % 6);
        luma[p] = (uint8_t)((seen_by_sensor[p] + from) / step * step);
    }
    const struct kt_motion_picture pic = { .luma = luma, .w = W, .h = H, .source_w = W, .source_h = H, .key = true };
    kt_health_packet(health, now_us);
    kt_health_picture(health, &pic, now_us);
}

static void show_coded(const uint8_t scene[W * H], int seconds, int gap_s, bool stuck)
{
    for (int i = 0; i < seconds / gap_s; i++) {
        const int step = 2 + rand() % 3;
        show_quality(scene, gap_s, stuck, step, rand() % step);
    }
}

static const int gaps_s[] = { 1, 2, 4 };
START_TEST(a_stuck_picture_that_is_coded_differently_each_time_is_told_within_15_s)
{
    show_coded(place, 200, gaps_s[_i], false);
    ck_assert_int_eq(heard.on, 0);
    const int64_t begun_us = now_us;
    show_coded(place, 300, gaps_s[_i], true);
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.off, 0);
    ck_assert_int_eq(heard.which, KT_TROUBLE_FROZEN);
    ck_assert_int_le(heard.at_us - begun_us, 15 * KT_SECOND_US);
    show_coded(place, 60, gaps_s[_i], false);
    ck_assert_int_eq(heard.off, 1);
}
END_TEST

/* What may happen to a living picture: light comes and goes, somebody touches the camera, noise grows and shrinks. */
START_TEST(changes_of_light_of_noise_and_of_view_are_no_frozen_picture)
{
    uint8_t other[W * H];
    for (int turn = 0; turn < 40; turn++) {
        const int light = 70 + rand() % 50, dx = turn % 5 == 0 ? rand() % 4 : 0, fog = turn % 7 == 0;
        for (int p = 0; p < W * H; p++) {
            const int was = place[p + dx < W * H ? p + dx : p] * light / 100;
            other[p] = (uint8_t)(fog ? 100 + was / 4 : was);
        }
        show_coded(other, 20 + rand() % 60, gaps_s[turn % 3], false);
    }
    ck_assert(heard.on == 0 || heard.which != KT_TROUBLE_FROZEN);
}
END_TEST

/* A denoiser leaves some of the noise as it was: more today, less tomorrow, and nearly two thirds of it at times. */
START_TEST(a_place_whose_noise_stays_in_part_is_not_frozen)
{
    static uint8_t noise[W * H];
    uint32_t chance = (uint32_t)rand();
    for (int i = 0; i < 600; i++) {
        const int kept = i > 100 && i % 50 < 6 ? 60 : rand() % 45;
        now_us += gaps_s[_i] * KT_SECOND_US;
        for (int p = 0; p < W * H; p++) {
            chance = chance * 1664525u + 1013904223u;
            if ((int)((chance >> 8) % 100) >= kept)
                noise[p] = (uint8_t)((chance >> 16) % 6 + (chance >> 24) % 6);
            luma[p] = (uint8_t)(place[p] + noise[p]);
        }
        const struct kt_motion_picture pic = { .luma = luma, .w = W, .h = H, .source_w = W, .source_h = H, .key = true };
        kt_health_picture(health, &pic, now_us);
    }
    ck_assert_int_eq(heard.on, 0);
}
END_TEST

/* An encoder that starves shows nothing of the stuck noise in its first key picture. */
START_TEST(a_stuck_picture_of_an_encoder_that_starves_is_told_within_15_s)
{
    show_coded(place, 200, _i, false);
    const int64_t begun_us = now_us;
    for (int i = 0; i < 12; i++)                /* the noise of the first is not that of the others */
        show_quality(place, _i, i > 1, 2 + i % 3, 0);
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.which, KT_TROUBLE_FROZEN);
    ck_assert_int_le(heard.at_us - begun_us, 15 * KT_SECOND_US);
}
END_TEST

START_TEST(a_clock_in_the_picture_is_life)
{
    show_coded(place, 200, 2, false);
    for (int i = 0; i < 60; i++) {      /* although all else is stuck: somebody draws it */
        for (int y = 4; y < 16; y++)
            memset(place + y * W + 8, i % 2 ? 235 : 16, 40);
        show(place, 1, 0);
    }
    ck_assert_int_eq(heard.on, 0);
}
END_TEST

START_TEST(one_bit_of_noise_is_life)
{
    for (int i = 0; i < 4 * 120; i++) {
        now_us += KT_SECOND_US / 4;
        memcpy(luma, place, sizeof(luma));
        luma[rand() % (W * H)] ^= 1;
        const struct kt_motion_picture pic = { .luma = luma, .w = W, .h = H, .source_w = W,
                                               .source_h = H, .key = i % 8 == 0 };
        kt_health_picture(health, &pic, now_us);
    }
    ck_assert_int_eq(heard.on, 0);
}
END_TEST

START_TEST(a_covered_lens_is_told)
{
    uint8_t hand[W * H];
    memset(hand, 90, sizeof(hand));
    expect(KT_TROUBLE_COVERED, hand, 3, 15);
}
END_TEST

START_TEST(a_dark_picture_is_told_as_dark)
{
    uint8_t black[W * H];
    memset(black, 16, sizeof(black));
    expect(KT_TROUBLE_DARK, black, 3, 15);
}
END_TEST

START_TEST(a_lens_out_of_focus_is_told)
{
    uint8_t soft[W * H];
    memcpy(soft, place, sizeof(soft));
    blur(soft);
    expect(KT_TROUBLE_DEFOCUSED, soft, 1, 45);
}
END_TEST

START_TEST(a_camera_that_was_turned_is_told)
{
    uint8_t other[W * H];
    draw(other, 2);
    expect(KT_TROUBLE_MOVED, other, 3, 30);
}
END_TEST

START_TEST(packets_without_a_picture_are_told)
{
    for (int i = 0; i < 100; i++) {
        now_us += KT_SECOND_US / 4;
        kt_health_packet(health, now_us);
    }
    ck_assert_int_eq(heard.on, 1);
    ck_assert_int_eq(heard.which, KT_TROUBLE_UNDECODABLE);
}
END_TEST

START_TEST(twenty_minutes_of_the_usual_is_no_trouble)
{
    show(place, 1200, 3);
    ck_assert_int_eq(heard.on, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tc = tcase_create("health");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, a_frozen_picture_is_told_within_15_s, 0, 2);
    tcase_add_test(tc, a_picture_that_stands_still_between_far_key_frames_is_told_within_15_s);
    tcase_add_test(tc, a_refined_picture_that_stands_still_is_told_within_15_s);
    tcase_add_test(tc, a_camera_that_repeats_quiet_pictures_is_learnt);
    tcase_add_test(tc, a_camera_that_repeats_quiet_pictures_is_mistaken_once_at_most);
    tcase_add_test(tc, patience_outlives_a_restart);
    tcase_add_loop_test(tc, a_stuck_picture_that_is_coded_differently_each_time_is_told_within_15_s, 0,
                        KT_ARRAY_SIZE(gaps_s));
    tcase_add_test(tc, changes_of_light_of_noise_and_of_view_are_no_frozen_picture);
    tcase_add_loop_test(tc, a_place_whose_noise_stays_in_part_is_not_frozen, 0, KT_ARRAY_SIZE(gaps_s));
    tcase_add_loop_test(tc, a_stuck_picture_of_an_encoder_that_starves_is_told_within_15_s, 4, 6);
    tcase_add_test(tc, a_clock_in_the_picture_is_life);
    tcase_add_test(tc, one_bit_of_noise_is_life);
    tcase_add_test(tc, a_covered_lens_is_told);
    tcase_add_test(tc, a_dark_picture_is_told_as_dark);
    tcase_add_test(tc, a_lens_out_of_focus_is_told);
    tcase_add_test(tc, a_camera_that_was_turned_is_told);
    tcase_add_test(tc, packets_without_a_picture_are_told);
    tcase_add_test(tc, twenty_minutes_of_the_usual_is_no_trouble);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

/* What is usual at a place: its noise and contrast, where it lies, and what sways in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/noise.h"
#include "decoders/motion/steady.h"
#include "decoders/motion/unrest.h"
#include "server/base/clock.h"

#include "tests/unit/run_suite.h"

#define W 160
#define H 96
#define MARGIN 20

static uint8_t world[(W + 2 * MARGIN) * (H + 2 * MARGIN)], typical[W * H], picture[W * H];
static uint8_t mask[W * H], nothing[W * H];

/* Smooth hills and hard edges, as CONTRAST of 256 of their heights around 120. */
static void make_world(int contrast)
{
    const int w = W + 2 * MARGIN;
    srand(5);
    for (int y = 0; y < H + 2 * MARGIN; y++)
        for (int x = 0; x < w; x++) {
            const double hills = 45 * sin(x / 7.0) + 35 * cos(y / 9.0 + sin(x / 23.0));
            const int wall = (x / 24 % 2 ? 25 : -25) + (y / 14 % 2 ? 12 : -12);
            world[y * w + x] = (uint8_t)(120 + contrast * (int)(hills + wall) / 256);
        }
}

/* The world seen from DX, DY, GAIN of 256 as bright, with NOISE. */
static void see(uint8_t *out, int dx, int dy, int gain, int noise)
{
    const int w = W + 2 * MARGIN;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            out[y * W + x] = (uint8_t)(world[(y + MARGIN + dy) * w + x + MARGIN + dx] * gain / 256 +
                                       (noise ? rand() % (2 * noise + 1) - noise : 0));
}

static struct kt_noise measured(int contrast, int noise)
{
    struct kt_noise n;
    make_world(contrast);
    see(typical, 0, 0, 256, 0);
    kt_noise_reset(&n);
    for (int i = 0; i < 200; i++) {
        see(picture, 0, 0, 256, noise);
        kt_noise_measure(&n, picture, typical, nothing, W, H, 100000);
    }
    return n;
}

START_TEST(less_counts_where_all_contrast_is_small)
{
    uint8_t ordinary[KT_NOISE_BANDS], fog[KT_NOISE_BANDS], night[KT_NOISE_BANDS];
    struct kt_noise n = measured(256, 1);
    ck_assert(kt_noise_contrast(&n) > 0.95);
    kt_noise_reach(&n, ordinary);
    n = measured(50, 1);
    ck_assert(kt_noise_contrast(&n) < 0.6);
    kt_noise_reach(&n, fog);
    n = measured(50, 12);
    kt_noise_reach(&n, night);
    const int band = 120 / 16;
    ck_assert_int_eq(ordinary[band], 6 + band);
    ck_assert_int_lt(fog[band], ordinary[band]);
    ck_assert_int_gt(night[band], fog[band]);           /* noise sets the limit */
    for (int i = 0; i < KT_NOISE_BANDS; i++)
        ck_assert(night[i] <= 6 + i && fog[i] >= 3);
}
END_TEST

START_TEST(what_is_foreground_is_no_noise)
{
    struct kt_noise n = measured(256, 1), before = n;
    memset(mask, 255, sizeof(mask));
    memset(picture, 0, sizeof(picture));
    kt_noise_measure(&n, picture, typical, mask, W, H, KT_SECOND_US);
    ck_assert(memcmp(n.usual, before.usual, sizeof(n.usual)) == 0);
}
END_TEST

/* Loop: every shift from -8 to 8 each way, some of them. */
START_TEST(a_shift_is_found_and_taken_back)
{
    kt_steady *s = NULL;
    const int dx = _i % 17 - 8, dy = (_i * 5) % 17 - 8;
    make_world(256);
    see(typical, 0, 0, 256, 0);
    ck_assert_int_eq(kt_steady_create(&s, W, H), 0);
    see(picture, dx, dy, 240, 2);       /* darker, too */
    /* What lay at 0, 0 lies at -dx, -dy now. */
    const struct kt_shift shift = kt_steady_find(s, picture, typical);
    ck_assert_int_eq(shift.x, -dx);
    ck_assert_int_eq(shift.y, -dy);
    const struct kt_motion_picture pic = { .luma = picture, .w = W, .h = H };
    const struct kt_motion_picture back = kt_steady_move(s, &pic, typical, shift);
    for (int y = 10; y < H - 10; y++)
        for (int x = 10; x < W - 10; x++)
            ck_assert_int_le(abs(back.luma[y * W + x] - typical[y * W + x] * 240 / 256), 3);
    memset(mask, 0, sizeof(mask));
    mask[50 * W + 80] = 255;
    const uint8_t *out = kt_steady_mask(s, mask, shift);
    ck_assert_int_eq(out[(50 + shift.y) * W + 80 + shift.x], 255);
    kt_steady_destroy(&s);
}
END_TEST

START_TEST(things_and_light_are_no_shift)
{
    kt_steady *s = NULL;
    make_world(256);
    see(typical, 0, 0, 256, 0);
    ck_assert_int_eq(kt_steady_create(&s, W, H), 0);
    see(picture, 0, 0, 180, 2);
    for (int y = 20; y < 80; y++)
        memset(picture + y * W + 40, 250, 50);
    const struct kt_shift shift = kt_steady_find(s, picture, typical);
    ck_assert(shift.x == 0 && shift.y == 0);
    ck_assert(kt_steady_strange(picture, typical, W, H, 2) < 0.5);
    see(picture, 0, 0, 90, 2);
    ck_assert(kt_steady_strange(picture, typical, W, H, 2) < 0.1);
    see(picture, 19, 17, 256, 2);
    ck_assert(kt_steady_strange(picture, typical, W, H, 2) > 0.6);
    memset(picture, 128, sizeof(picture));              /* covered: nothing is as it was */
    ck_assert(kt_steady_strange(picture, typical, W, H, 2) > 0.9);
    memset(typical, 128, sizeof(typical));              /* a wall says nothing */
    ck_assert(kt_steady_strange(picture, typical, W, H, 2) < 0.1);
    kt_steady_destroy(&s);
}
END_TEST

START_TEST(small_pictures_are_left_alone)
{
    kt_steady *s = NULL;
    const uint8_t px = 7, other = 200;
    ck_assert_int_eq(kt_steady_create(&s, 1, 1), 0);
    const struct kt_shift shift = kt_steady_find(s, &px, &other);
    ck_assert(shift.x == 0 && shift.y == 0);
    ck_assert(kt_steady_strange(&px, &other, 1, 1, 1) == 0);
    kt_steady_destroy(&s);
}
END_TEST

static void paint(int x0, bool on)
{
    memset(mask, 0, sizeof(mask));
    for (int y = 40; on && y < 56; y++)
        memset(mask + y * W + x0, 255, 16);
}

START_TEST(what_sways_is_restless_and_who_passes_is_not)
{
    kt_unrest *u = NULL;
    int64_t t_us = 1000000;
    ck_assert_int_eq(kt_unrest_create(&u, W, H), 0);
    for (int x = 0; x < W - 16; x += 4, t_us += 100000) {
        paint(x, true);
        kt_unrest_update(u, mask, t_us);
    }
    ck_assert(kt_unrest_share(u, 0, 0, W, H) == 0);
    for (int i = 0; i < 100; i++, t_us += 100000) {
        paint(64, i / 5 % 2);
        kt_unrest_update(u, mask, t_us);
    }
    ck_assert(kt_unrest_share(u, 64, 40, 80, 56) == 1);
    ck_assert(kt_unrest_share(u, 0, 40, 48, 56) == 0);
    ck_assert(!kt_unrest_is_new(u));
    paint(0, false);
    t_us += 120 * KT_SECOND_US;                         /* forgotten in the end */
    kt_unrest_update(u, mask, t_us);
    ck_assert(kt_unrest_share(u, 64, 40, 80, 56) == 0);
    ck_assert(kt_unrest_share(u, -50, -50, 5000, 5000) == 0);
    kt_unrest_destroy(&u);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("place");
    TCase *tc = tcase_create("place");
    tcase_add_test(tc, less_counts_where_all_contrast_is_small);
    tcase_add_test(tc, what_is_foreground_is_no_noise);
    tcase_add_loop_test(tc, a_shift_is_found_and_taken_back, 0, 17);
    tcase_add_test(tc, things_and_light_are_no_shift);
    tcase_add_test(tc, small_pictures_are_left_alone);
    tcase_add_test(tc, what_sways_is_restless_and_who_passes_is_not);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

/* Every vector set must give the bytes of the plain C set, at any width and alignment. */
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/kernels.h"
#include "server/base/cleanup.h"

#include "tests/unit/run_suite.h"

#define ROW 512
#define SAMPLES 12

static uint8_t a[ROW], b[ROW], c[ROW], d[ROW], sample[2 * SAMPLES][ROW], want[ROW], got[ROW];
static uint8_t want2[ROW], got2[ROW];
static const uint8_t *rows[SAMPLES], *rows2[SAMPLES];
static const struct kt_kernels *sets[4];
static int n_sets;

static void fill(uint8_t *row)
{
    for (int i = 0; i < ROW; i++)
        row[i] = (uint8_t)(rand() >> 7);
}

static void fill_near(uint8_t *row, const uint8_t *to)
{
    for (int i = 0; i < ROW; i++)
        row[i] = (uint8_t)(to[i] + rand() % 41 - 20);
}

static void fill_mask(uint8_t *row)
{
    for (int i = 0; i < ROW; i++)
        row[i] = rand() & 64 ? 255 : 0;
}

static void fresh(unsigned seed)
{
    srand(seed);
    fill(a);
    fill(b);
    fill_mask(c);
    fill_mask(d);
    for (int i = 0; i < SAMPLES; i++) {
        fill_near(sample[i], a);
        fill_near(sample[SAMPLES + i], b);
        rows[i] = sample[i] + seed % 5;
        rows2[i] = sample[SAMPLES + i] + seed % 5;
    }
    memset(want, 0x55, ROW);
    memset(got, 0x55, ROW);
    fill(want2);
    memcpy(got2, want2, ROW);
}

/* Row _i is the width; offsets move with it. */
#define EACH_SET(call_want, call_got)                                                             \
    for (int s = 1; s < n_sets; s++) {                                                            \
        const struct kt_kernels *k = &kt_kernels_c;                                               \
        fresh((unsigned)_i);                                                                      \
        const int off = _i % 5;                                                                   \
        call_want;                                                                                \
        k = sets[s];                                                                              \
        call_got;                                                                                 \
        ck_assert_msg(memcmp(want, got, ROW) == 0, "%s differs at width %d", k->name, _i);        \
        ck_assert_msg(memcmp(want2, got2, ROW) == 0, "%s differs at width %d", k->name, _i);      \
    }

START_TEST(radius_is_the_same)
{
    static const uint8_t reach[16] = { 4, 5, 6, 7, 8, 9, 10, 12, 14, 17, 20, 23, 26, 30, 35, 40 };
    EACH_SET(k->radius(want, a + off, b, c, reach, _i), k->radius(got, a + off, b, c, reach, _i))
    EACH_SET(k->radius(want, a, b + off, NULL, reach, _i),
             k->radius(got, a, b + off, NULL, reach, _i))
    EACH_SET(k->radius_colour(want, a + off, _i), k->radius_colour(got, a + off, _i))
}
END_TEST

START_TEST(matching_is_the_same)
{
    uint8_t radius[ROW];
    for (int i = 0; i < ROW; i++)
        radius[i] = (uint8_t)(i % 26);
    EACH_SET(k->match(want, a + off, rows, SAMPLES, radius, _i),
             k->match(got, a + off, rows, SAMPLES, radius, _i))
    EACH_SET(k->match_colour(want, a + off, b + off, rows, rows2, SAMPLES, radius, _i),
             k->match_colour(got, a + off, b + off, rows, rows2, SAMPLES, radius, _i))
}
END_TEST

START_TEST(voting_is_the_same)
{
    uint8_t count[ROW];
    EACH_SET(k->count(want2, c + off, _i), k->count(got2, c + off, _i))
    for (int i = 0; i < ROW; i++)
        count[i] = (uint8_t)(rand() % 6);
    EACH_SET(k->vote(want, count + 8 + off, 1, 4, _i), k->vote(got, count + 8 + off, 1, 4, _i))
    EACH_SET(k->vote(want, count + 8 + off, 2, 12, _i), k->vote(got, count + 8 + off, 2, 12, _i))
}
END_TEST

START_TEST(learning_is_the_same)
{
    EACH_SET((memcpy(want, d, ROW), k->blink(want2, want, c, d + off, 3, _i)),
             (memcpy(got, d, ROW), k->blink(got2, got, c, d + off, 3, _i)))
    EACH_SET(k->replace(want2, a, c + off, b, 37, _i), k->replace(got2, a, c + off, b, 37, _i))
    EACH_SET(k->replace(want2, a, c + off, b, 0, _i), k->replace(got2, a, c + off, b, 0, _i))
    EACH_SET(k->either(want, c, d + off, _i), k->either(got, c, d + off, _i))
    EACH_SET(k->approach(want2, a, c + off, _i), k->approach(got2, a, c + off, _i))
}
END_TEST

START_TEST(plain_c_does_what_the_header_says)
{
    const struct kt_kernels *k = &kt_kernels_c;
    const uint8_t px[3] = { 100, 100, 100 }, s0[3] = { 110, 111, 90 }, s1[3] = { 90, 100, 111 };
    const uint8_t radius[3] = { 10, 10, 10 }, *const s[2] = { s0, s1 };
    uint8_t fg[3], blink[2] = { 250, 5 }, was[2] = { 0, 0 }, hold[2] = { 0, 0 };
    k->match(fg, px, s, 2, radius, 3);
    ck_assert(fg[0] == 0 && fg[1] == 255 && fg[2] == 255);
    const uint8_t now[2] = { 255, 0 };
    k->blink(blink, was, now, hold, 7, 2);
    ck_assert(blink[0] == 255 && blink[1] == 0 && was[0] == 255);
    uint8_t typical[3] = { 10, 10, 10 };
    const uint8_t to[3] = { 20, 5, 20 }, barred[3] = { 0, 0, 255 };
    k->approach(typical, to, barred, 3);
    ck_assert(typical[0] == 11 && typical[1] == 9 && typical[2] == 10);
}
END_TEST

int main(void)
{
    n_sets = kt_kernels_list(sets);
    if (n_sets < 2)
        printf("this processor runs the plain C set only: nothing to compare\n");
    Suite *suite = suite_create("kernels");
    TCase *tc = tcase_create("kernels");
    tcase_add_loop_test(tc, radius_is_the_same, 1, 140);
    tcase_add_loop_test(tc, matching_is_the_same, 1, 140);
    tcase_add_loop_test(tc, voting_is_the_same, 1, 140);
    tcase_add_loop_test(tc, learning_is_the_same, 1, 140);
    tcase_add_test(tc, plain_c_does_what_the_header_says);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

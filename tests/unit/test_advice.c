/* Settings of a camera that hurt. */
#include <check.h>
#include <string.h>

#include "server/advice.h"
#include "server/base/cleanup.h"
#include "tests/unit/run_suite.h"

#define GOOD .codec = "h264", .gop_seconds = 2, .fps = 24.8, .fps_nominal = 25, .frames = 100000, \
             .lost_packets = 3, .has_clock = true, .clock_offset_us = -400000

static const struct {
    struct kt_advice_facts facts;
    const char *words[KT_ADVICE_MAX];
} rows[] = {
    { { GOOD }, { NULL } },
    { { .codec = "" }, { NULL } },                                  /* nothing is known yet */
    { { .codec = "h264", .fps = 12, .fps_nominal = 0 }, { NULL } }, /* it does not say */
    { { .codec = "h264", .gop_seconds = 10 }, { "long-gop" } },
    { { .codec = "h264", .fps = 21, .fps_nominal = 25 }, { "rate-low" } },
    { { .codec = "h264", .frames = 10000, .lost_packets = 21 }, { "lossy" } },
    { { .codec = "h264", .frames = 10000, .lost_packets = 20 }, { NULL } },
    { { .codec = "h264", .has_clock = true, .clock_offset_us = -1700000000000000 }, { "clock-off" } },
    { { .codec = "h264", .has_clock = true, .clock_offset_us = 5100000 }, { "clock-off" } },
    { { .codec = "h264", .clock_offset_us = 5100000 }, { NULL } },
    { { .codec = "hevc" }, { "not-h264" } },
    { { .codec = "mjpeg", .no_sub = true }, { "not-h264", "no-sub" } },
    { { .codec = "hevc", .gop_seconds = 300, .fps = 1, .fps_nominal = 25, .frames = 100, .lost_packets = 1000,
        .has_clock = true, .clock_offset_us = INT64_C(1) << 50, .sub_breaks = true, .no_sub = true },
      { "sub-breaks", "long-gop", "lossy", "rate-low", "clock-off", "not-h264", "no-sub" } },
};

START_TEST(what_hurts_is_named_and_nothing_else)
{
    const char *words[KT_ADVICE_MAX];
    const size_t n = kt_advice(&rows[_i].facts, words);
    size_t wanted = 0;
    while (wanted < KT_ADVICE_MAX && rows[_i].words[wanted])
        wanted++;
    ck_assert_uint_eq(n, wanted);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(words[i], rows[_i].words[i]);
        ck_assert_str_ne(kt_advice_text(words[i]), words[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("advice");
    TCase *tc = tcase_create("advice");
    tcase_add_loop_test(tc, what_hurts_is_named_and_nothing_else, 0, KT_ARRAY_SIZE(rows));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

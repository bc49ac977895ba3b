#include "server/base/clock.h"

#include "tests/unit/run_suite.h"

static const struct {
    const char *text;
    int64_t us;
} good[] = {
    { "1970-01-01T00:00:00Z", 0 },
    { "2026-11-24T01:02:03.456Z", INT64_C(1795482123456000) },
    { "2026-11-24T08:02:03.456+07:00", INT64_C(1795482123456000) },
    { "2026-11-24T08:02:03.456 07:00", INT64_C(1795482123456000) },  /* '+' lost in a query */
    { "1700000000", INT64_C(1700000000000000) },
    { "1700000000.25", INT64_C(1700000000250000) },
};

START_TEST(timestamps_of_every_accepted_form_are_read)
{
    int64_t us = -1;
    ck_assert_int_eq(kt_rfc3339_parse(good[_i].text, &us), 0);
    ck_assert_int_eq(us, good[_i].us);
}
END_TEST

static const char *const bad[] = {
    "", "now", "2026-11-24", "2026-11-24T01:02:03", "2026-02-31T00:00:00Z", "2026-11-24T25:00:00Z",
    "2026-11-24T01:02:03+7", "-5", "1700000000x", "99999999999999999999", "2026-11-24T01:02:03Zx",
};

START_TEST(anything_else_is_refused_and_leaves_the_output)
{
    int64_t us = 42;
    ck_assert_int_lt(kt_rfc3339_parse(bad[_i], &us), 0);
    ck_assert_int_eq(us, 42);
}
END_TEST

START_TEST(formatting_and_parsing_are_inverse)
{
    char text[KT_RFC3339_SIZE];
    int64_t us;
    kt_rfc3339_format(text, INT64_C(1795482123456789));
    ck_assert_str_eq(text, "2026-11-24T01:02:03.456Z");
    ck_assert_int_eq(kt_rfc3339_parse(text, &us), 0);
    ck_assert_int_eq(us, INT64_C(1795482123456000));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tc = tcase_create("rfc3339");
    tcase_add_loop_test(tc, timestamps_of_every_accepted_form_are_read, 0, KT_ARRAY_SIZE(good));
    tcase_add_loop_test(tc, anything_else_is_refused_and_leaves_the_output, 0, KT_ARRAY_SIZE(bad));
    tcase_add_test(tc, formatting_and_parsing_are_inverse);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

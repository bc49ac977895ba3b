#include <errno.h>
#include <string.h>

#include "decoders/motion/rules.h"
#include "server/base/clock.h"

#include "tests/unit/run_suite.h"

static struct kt_rules *parse(const char *json)
{
    struct kt_rules *r = NULL;
    struct kt_error err = { "" };
    ck_assert_msg(kt_rules_parse(&r, json, &err) == 0, "%s: %s", json, err.text);
    return r;
}

START_TEST(nothing_means_the_whole_picture)
{
    static const char *const texts[] = { NULL, "", " \n", "{}", "{\"version\":1}" };
    for (size_t i = 0; i < KT_ARRAY_SIZE(texts); i++) {
        struct kt_rules *r = parse(texts[i]);
        ck_assert_int_eq(r->n_zones, 1);
        ck_assert_int_eq(r->zone[0].area.n, 0);
        ck_assert(r->zone[0].motion && kt_polygon_contains(&r->zone[0].area, 0.3f, 0.9f));
        kt_rules_destroy(&r);
        ck_assert_ptr_null(r);
    }
}
END_TEST

START_TEST(all_that_can_be_said_is_read)
{
    struct kt_rules *r = parse(
        "{\"version\":1,\"min_size\":0.05,\"hours\":[\"22:00-05:00\"],"
        "\"zones\":[{\"name\":\"halaman\",\"points\":[[0,0],[1,0],[1,0.5],[0,0.5]],\"min_time\":1.5,"
        "\"loiter\":60,\"objects\":30,\"max_size\":0.9,\"hours\":[]}],"
        "\"lines\":[{\"name\":\"gerbang\",\"points\":[[0.2,0.8],[0.8,0.8]],\"direction\":\"in\","
        "\"count\":true}],"
        "\"ignore\":[{\"name\":\"pohon\",\"points\":[[0.5,0.5],[1,0.5],[1,1]]}]}");
    ck_assert_int_eq(r->n_zones, 1);
    ck_assert_str_eq(r->zone[0].name, "halaman");
    ck_assert_int_eq(r->zone[0].limits.min_time_us, 1500000);
    ck_assert_int_eq(r->zone[0].loiter_us, 60 * KT_SECOND_US);
    ck_assert_int_eq(r->zone[0].object_us, 30 * KT_SECOND_US);
    ck_assert(r->zone[0].limits.min_size > 0.049f && r->zone[0].limits.min_size < 0.051f);
    ck_assert_int_eq(r->zone[0].limits.n_hours, 0);         /* its own word beats the default */
    ck_assert_int_eq(r->n_lines, 1);
    ck_assert(r->line[0].count && r->line[0].direction == KT_DIRECTION_IN);
    ck_assert_int_eq(r->line[0].limits.n_hours, 1);
    uint8_t plane[16];
    ck_assert(kt_rules_draw_ignored(r, plane, 4, 4));
    ck_assert(plane[0] == 0 && plane[2 * 4 + 3] == 255 && plane[3 * 4 + 2] == 0);
    kt_rules_destroy(&r);
}
END_TEST

static const struct {
    const char *json, *says;
} bad[] = {
    { "{", "line 1" },
    { "[]", "must be an object" },
    { "{\"zone\":[]}", "unknown key \"zone\"" },
    { "{\"zones lines\":[]}", "unknown key" },
    { "{\"version\":2}", "version must be 1" },
    { "{\"zones\":{}}", "zones: must be a list" },
    { "{\"zones\":[{}]}", "zones[0]: needs a \"name\"" },
    { "{\"zones\":[{\"name\":\"a\",\"points\":[[0,0],[1,1]]}]}", "needs 3 to" },
    { "{\"zones\":[{\"name\":\"a\",\"points\":[[0,0],[1,0],[1.2,1]]}]}", "outside the picture" },
    { "{\"zones\":[{\"name\":\"a\",\"points\":[[0,0],[1,1],[1,0],[0,1]]}]}", "crosses itself" },
    { "{\"zones\":[{\"name\":\"a\",\"points\":[[0,0],[0.5,0.5],[1,1]]}]}", "crosses itself|encloses" },
    { "{\"zones\":[{\"name\":\"a\",\"points\":[[0,0],[0,0],[1,1]]}]}", "are the same" },
    { "{\"zones\":[{\"name\":\"a\"},{\"name\":\"a\"}]}", "is taken" },
    { "{\"zones\":[{\"name\":\"a\",\"min_size\":0.5,\"max_size\":0.2}]}", "above max_size" },
    { "{\"zones\":[{\"name\":\"a\",\"loiter\":-1}]}", "zones[0].loiter: must lie between" },
    { "{\"zones\":[{\"name\":\"a\",\"motion\":1}]}", "true or false" },
    { "{\"zones\":[{\"name\":\"a\\u0007\"}]}", "control characters" },
    { "{\"lines\":[{\"name\":\"a\",\"points\":[[0.5,0.5],[0.5,0.501]]}]}", "too short" },
    { "{\"lines\":[{\"name\":\"a\",\"points\":[[0,0],[1,1]],\"direction\":\"up\"}]}", "direction" },
    { "{\"hours\":[\"25:00-05:00\"]}", "HH:MM" },
    { "{\"hours\":[\"22:00\"]}", "HH:MM" },
    { "{\"min_size\":\"1\"}", "must be a number" },
    { "{\"min_size\":1,\"min_size\":1}", "line 1" },
};

START_TEST(mistakes_are_named)
{
    struct kt_rules *r = NULL;
    struct kt_error err = { "" };
    ck_assert_int_eq(kt_rules_parse(&r, bad[_i].json, &err), -EINVAL);
    ck_assert_ptr_null(r);
    char says[128];
    strcpy(says, bad[_i].says);
    bool found = false;
    for (char *s = strtok(says, "|"); s; s = strtok(NULL, "|"))
        found |= strstr(err.text, s) != NULL;
    ck_assert_msg(found, "%s gives \"%s\", not \"%s\"", bad[_i].json, err.text, bad[_i].says);
}
END_TEST

START_TEST(hours_run_past_midnight_on_the_sites_clock)
{
    struct kt_rules *r = parse("{\"hours\":[\"22:00-05:00\",\"12:00-12:30\"]}");
    const struct kt_limits *l = &r->zone[0].limits;
    const int64_t day = INT64_C(20000) * 86400 * KT_SECOND_US, hour = 3600 * KT_SECOND_US;
    const int wib = 7 * 3600;
    ck_assert(kt_limits_now(l, day + 15 * hour, wib));          /* 22:00 */
    ck_assert(!kt_limits_now(l, day + 15 * hour - 1, wib));
    ck_assert(kt_limits_now(l, day + 21 * hour, wib));          /* 04:00 */
    ck_assert(!kt_limits_now(l, day + 22 * hour, wib));         /* 05:00 */
    ck_assert(kt_limits_now(l, day + 5 * hour + hour / 4, wib));
    ck_assert(!kt_limits_now(l, day + 5 * hour + hour / 2, wib));
    kt_rules_destroy(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rules");
    TCase *tc = tcase_create("rules");
    tcase_add_test(tc, nothing_means_the_whole_picture);
    tcase_add_test(tc, all_that_can_be_said_is_read);
    tcase_add_loop_test(tc, mistakes_are_named, 0, KT_ARRAY_SIZE(bad));
    tcase_add_test(tc, hours_run_past_midnight_on_the_sites_clock);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

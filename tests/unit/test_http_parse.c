#include "web/http/parse.h"

#include <string.h>

#include "tests/unit/run_suite.h"

static const struct {
    const char *text;
    uint64_t size;
    enum web_range what;
    uint64_t first, last;
} ranges[] = {
    { NULL, 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=0-", 100, WEB_RANGE_OK, 0, 99 },
    { "bytes=0-0", 100, WEB_RANGE_OK, 0, 0 },
    { "bytes=10-19", 100, WEB_RANGE_OK, 10, 19 },
    { "Bytes=10-1000", 100, WEB_RANGE_OK, 10, 99 },
    { "bytes=-10", 100, WEB_RANGE_OK, 90, 99 },
    { "bytes=-1000", 100, WEB_RANGE_OK, 0, 99 },
    { "bytes=99-", 100, WEB_RANGE_OK, 99, 99 },
    { "bytes=100-", 100, WEB_RANGE_BAD, 0, 0 },
    { "bytes=-0", 100, WEB_RANGE_BAD, 0, 0 },
    { "bytes=0-", 0, WEB_RANGE_BAD, 0, 0 },
    { "bytes=-1", 0, WEB_RANGE_BAD, 0, 0 },
    { "bytes=20-10", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=0-1,5-6", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=a-b", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=-", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=--5", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=1-2x", 100, WEB_RANGE_NONE, 0, 0 },
    { "lines=1-2", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=99999999999999999999999-", 100, WEB_RANGE_NONE, 0, 0 },
    { "bytes=18446744073709551615-", 100, WEB_RANGE_BAD, 0, 0 },
    { "bytes=0-18446744073709551615", 100, WEB_RANGE_OK, 0, 99 },
};

START_TEST(range_is_read_as_the_standard_says)
{
    uint64_t first = 0, last = 0;
    ck_assert_int_eq(web_parse_range(ranges[_i].text, ranges[_i].size, &first, &last), ranges[_i].what);
    if (ranges[_i].what == WEB_RANGE_OK) {
        ck_assert_uint_eq(first, ranges[_i].first);
        ck_assert_uint_eq(last, ranges[_i].last);
    }
}
END_TEST

static const struct {
    const char *text, *value;
} cookies[] = {
    { "kentongan=abc", "abc" }, { "a=b; kentongan=abc", "abc" }, { "kentongan=abc;x=y", "abc" },
    { "a=kentongan=1", NULL }, { "xkentongan=abc", NULL }, { "kentongan=", NULL }, { "", NULL },
    { NULL, NULL }, { "kentongan", NULL }, { "kentongan=a; kentongan=b", NULL },
    { ";;; ;kentongan=abc", "abc" }, { "kentongan=12345678901234567890", NULL },
    { "Kentongan=abc", NULL },
};

START_TEST(cookie_is_found_when_there_is_one)
{
    char out[16];
    const bool found = web_parse_cookie(cookies[_i].text, "kentongan", out, sizeof(out));
    ck_assert_int_eq(found, cookies[_i].value != NULL);
    if (found)
        ck_assert_str_eq(out, cookies[_i].value);
}
END_TEST

static const struct {
    const char *pattern, *path, *a, *b;
} paths[] = {
    { "/x/{id}", "/x/gate", "gate", "" }, { "/x/{id}", "/x/", NULL, NULL },
    { "/x/{id}", "/x/a/b", NULL, NULL }, { "/x/{id}", "/x/gate/", NULL, NULL },
    { "/x/{id}/y", "/x/gate/y", "gate", "" }, { "/i/{h}.mp4", "/i/ab.mp4", "ab", "" },
    { "/i/{h}.mp4", "/i/.mp4", NULL, NULL }, { "/i/{h}.mp4", "/i/ab.mp3", NULL, NULL },
    { "/{a}/{b}", "/1/2", "1", "2" }, { "/x", "/x", "", "" }, { "/x", "/xy", NULL, NULL },
    { "/xy", "/x", NULL, NULL }, { "/x/{id}", "/x/../../etc/passwd", NULL, NULL },
    { "/x/{id}", "/x/..", "..", "" },
    { "/x/{id}", "/x/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      NULL, NULL },
};

START_TEST(path_matches_its_pattern_whole)
{
    struct web_params p = { .value = { "" } };
    const bool ok = web_parse_path(paths[_i].pattern, paths[_i].path, &p);
    ck_assert_int_eq(ok, paths[_i].a != NULL);
    if (ok) {
        ck_assert_str_eq(p.value[0], paths[_i].a);
        ck_assert_str_eq(p.value[1], paths[_i].b);
    }
}
END_TEST

START_TEST(only_the_same_origin_is_the_same)
{
    ck_assert(web_same_origin("http://pos:8080", "pos:8080", false));
    ck_assert(web_same_origin("https://POS", "pos", true));
    ck_assert(!web_same_origin("http://pos:8080", "pos", false));
    ck_assert(!web_same_origin("http://pos.evil", "pos", false));
    ck_assert(!web_same_origin("https://pos", "pos", false));
    ck_assert(!web_same_origin("null", "pos", false));
    ck_assert(!web_same_origin("http://pos", NULL, false));
}
END_TEST

static bool count(void *user, const char *part)
{
    ++*(int *)user;
    return strcmp(part, "stop") != 0;
}

START_TEST(list_is_bounded_and_plain)
{
    int n = 0;
    ck_assert(web_parse_list("a,b-1,c_2", 8, 10, count, &n));
    ck_assert_int_eq(n, 3);
    ck_assert(!web_parse_list("", 8, 10, count, &n));
    ck_assert(!web_parse_list("a,", 8, 10, count, &n));
    ck_assert(!web_parse_list("a,,b", 8, 10, count, &n));
    ck_assert(!web_parse_list("a b", 8, 10, count, &n));
    ck_assert(!web_parse_list("a,b,c", 2, 10, count, &n));
    ck_assert(!web_parse_list("abcdefghij", 8, 10, count, &n));
    ck_assert(!web_parse_list("a,stop,c", 8, 10, count, &n));
    ck_assert(!web_parse_list("a'--", 8, 10, count, &n));
}
END_TEST

START_TEST(numbers_cursors_and_tokens)
{
    uint64_t n;
    int64_t start, id;
    bool yes;
    ck_assert(web_parse_uint("1000", 1000, &n));
    ck_assert(!web_parse_uint("1001", 1000, &n) && !web_parse_uint("", 9, &n) &&
              !web_parse_uint("-1", 9, &n) && !web_parse_uint("1 ", 9, &n) &&
              !web_parse_uint(NULL, 9, &n) && !web_parse_uint("18446744073709551616", UINT64_MAX, &n));
    ck_assert(web_parse_cursor("123-4", &start, &id) && start == 123 && id == 4);
    ck_assert(!web_parse_cursor("123", &start, &id) && !web_parse_cursor("1-2-3", &start, &id) &&
              !web_parse_cursor("9223372036854775808-1", &start, &id));
    ck_assert(web_parse_bool("true", &yes) && yes && web_parse_bool("0", &yes) && !yes &&
              !web_parse_bool("yes", &yes));
    ck_assert(web_has_token("keep-alive, Upgrade", "upgrade") && !web_has_token("upgraded", "upgrade") &&
              !web_has_token(NULL, "upgrade"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_parse");
    TCase *tc = tcase_create("http_parse");
    tcase_add_loop_test(tc, range_is_read_as_the_standard_says, 0, KT_ARRAY_SIZE(ranges));
    tcase_add_loop_test(tc, cookie_is_found_when_there_is_one, 0, KT_ARRAY_SIZE(cookies));
    tcase_add_loop_test(tc, path_matches_its_pattern_whole, 0, KT_ARRAY_SIZE(paths));
    tcase_add_test(tc, only_the_same_origin_is_the_same);
    tcase_add_test(tc, list_is_bounded_and_plain);
    tcase_add_test(tc, numbers_cursors_and_tokens);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

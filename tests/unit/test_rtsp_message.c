#include "decoders/ingest/rtsp_message.h"

#include <errno.h>
#include <string.h>

#include "decoders/ingest/rtsp_url.h"
#include "tests/unit/run_suite.h"

static char text_of_span[256];

static const char *str(struct kt_span s)
{
    ck_assert(kt_span_copy(text_of_span, sizeof(text_of_span), s));
    return text_of_span;
}

START_TEST(an_answer_is_taken_apart)
{
    static const char text[] = "RTSP/1.0 200 OK\r\nCSeq: 3 \r\nsession:  ab12 ; timeout = 30\r\n"
                               "Content-length: 5\r\n\r\nhello$rest";
    struct kt_rtsp_message msg;
    struct kt_span v, p;
    ck_assert_int_eq(kt_rtsp_parse(&msg, text, sizeof(text) - 1), (int)(strstr(text, "$") - text));
    ck_assert_int_eq(msg.status, 200);
    ck_assert_int_eq(kt_rtsp_number(&msg, "CSEQ", -1), 3);
    ck_assert(kt_rtsp_header(&msg, "Session", 0, &v));
    ck_assert(kt_span_param(v, ';', "timeout", &p));
    ck_assert_int_eq(kt_span_number(p, 10), 30);
    ck_assert_str_eq(str(msg.body), "hello");
    ck_assert(!kt_rtsp_header(&msg, "Session", 1, &v));
}
END_TEST

START_TEST(every_shorter_prefix_is_incomplete)
{
    static const char text[] = "RTSP/1.0 200 OK\nCSeq: 3\nContent-Length: 3\n\nabc";
    struct kt_rtsp_message msg;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        ck_assert_int_eq(kt_rtsp_parse(&msg, text, n), 0);
    ck_assert_int_eq(kt_rtsp_parse(&msg, text, sizeof(text) - 1), (int)sizeof(text) - 1);
}
END_TEST

static const struct {
    const char *text;
    int ret;
} bad[] = {
    { "HTTP/1.1 200 OK\r\n\r\n", -EBADMSG },
    { "RTSP/1.0 what\r\n\r\n", -EBADMSG },
    { "RTSP/1.0 99999999999 OK\r\n\r\n", -EBADMSG },
    { "\r\n\r\n", -EBADMSG },
    { "RTSP/1.0 200 OK\r\nContent-Length: 1073741824\r\n\r\n", -EMSGSIZE },
    { "RTSP/1.0 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", -EMSGSIZE },
};
START_TEST(what_is_no_message_is_refused)
{
    struct kt_rtsp_message msg;
    ck_assert_int_eq(kt_rtsp_parse(&msg, bad[_i].text, strlen(bad[_i].text)), bad[_i].ret);
}
END_TEST

START_TEST(endless_headers_are_refused)
{
    static char text[KT_RTSP_HEAD_MAX + 100];
    struct kt_rtsp_message msg;
    memset(text, 'x', sizeof(text));
    memcpy(text, "RTSP/1.0 200 OK\r\n", 17);
    for (size_t i = 20; i + 2 < sizeof(text); i += 30)
        memcpy(text + i, ":\r\n", 3);
    ck_assert_int_eq(kt_rtsp_parse(&msg, text, KT_RTSP_HEAD_MAX - 1), 0);
    ck_assert_int_eq(kt_rtsp_parse(&msg, text, sizeof(text)), -EMSGSIZE);
}
END_TEST

static const struct {
    const char *url, *host, *port, *user, *password, *request;
} urls[] = {
    { "rtsp://10.0.0.1/s", "10.0.0.1", "554", "", "", "rtsp://10.0.0.1/s" },
    { "rtsp://a:p%40s:w@cam:8554/s?x=1&y=a@b", "cam", "8554", "a", "p@s:w", "rtsp://cam:8554/s?x=1&y=a@b" },
    { "rtsp://admin:p@ss@10.0.0.1/", "10.0.0.1", "554", "admin", "p@ss", "rtsp://10.0.0.1/" },
    { "rtsps://[fe80::1]/x", "fe80::1", "322", "", "", "rtsps://[fe80::1]/x" },
    { "rtsp://[::1]:99", "::1", "99", "", "", "rtsp://[::1]:99" },
    { "RTSP://h?q", "h", "554", "", "", "rtsp://h?q" },
    { "http://h/", NULL, NULL, NULL, NULL, NULL },
    { "rtsp:///x", NULL, NULL, NULL, NULL, NULL },
    { "rtsp://h:0/x", NULL, NULL, NULL, NULL, NULL },
    { "rtsp://h:99999/x", NULL, NULL, NULL, NULL, NULL },
    { "rtsp://h/a b", NULL, NULL, NULL, NULL, NULL },
    { "rtsp://h/a\r\nX: y", NULL, NULL, NULL, NULL, NULL },
    { "rtsp://a%0d%0ab:c@h/", NULL, NULL, NULL, NULL, NULL },
    { "", NULL, NULL, NULL, NULL, NULL },
};
START_TEST(an_address_is_taken_apart)
{
    struct kt_rtsp_url url;
    const int ret = kt_rtsp_url_parse(&url, urls[_i].url);
    if (!urls[_i].host) {
        ck_assert_int_eq(ret, -EINVAL);
        return;
    }
    ck_assert_int_eq(ret, 0);
    ck_assert_str_eq(url.host, urls[_i].host);
    ck_assert_str_eq(url.port, urls[_i].port);
    ck_assert_str_eq(url.user, urls[_i].user);
    ck_assert_str_eq(url.password, urls[_i].password);
    ck_assert_str_eq(url.request, urls[_i].request);
}
END_TEST

static const char *const joins[][3] = {
    { "rtsp://h/s/", "trackID=1", "rtsp://h/s/trackID=1" },
    { "rtsp://h/s", "trackID=1", "rtsp://h/s/trackID=1" },
    { "rtsp://h/s?a=1&b=2", "video", "rtsp://h/s?a=1&b=2/video" },
    { "rtsp://h/s/", "*", "rtsp://h/s/" },
    { "rtsp://h/s/", "", "rtsp://h/s/" },
    { "rtsp://h/s/", "rtsp://h/t/1", "rtsp://h/t/1" },
    { "rtsp://h/s/", "/track1", "rtsp://h/s/track1" },
};
START_TEST(track_addresses_are_joined_as_cameras_expect)
{
    char out[KT_URL_MAX];
    ck_assert_int_eq(kt_rtsp_url_join(out, joins[_i][0], joins[_i][1]), 0);
    ck_assert_str_eq(out, joins[_i][2]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rtsp_message");
    TCase *tc = tcase_create("rtsp_message");
    tcase_add_test(tc, an_answer_is_taken_apart);
    tcase_add_test(tc, every_shorter_prefix_is_incomplete);
    tcase_add_loop_test(tc, what_is_no_message_is_refused, 0, KT_ARRAY_SIZE(bad));
    tcase_add_test(tc, endless_headers_are_refused);
    tcase_add_loop_test(tc, an_address_is_taken_apart, 0, KT_ARRAY_SIZE(urls));
    tcase_add_loop_test(tc, track_addresses_are_joined_as_cameras_expect, 0, KT_ARRAY_SIZE(joins));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

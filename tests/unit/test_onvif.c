#include "server/onvif/onvif.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/onvif/discovery.h"
#include "server/onvif/soap.h"
#include "server/onvif/talk.h"
#include "server/onvif/targets.h"
#include "tests/unit/run_suite.h"

#define ENVELOPE(body) "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body>" body "</e:Body></e:Envelope>"

/* ------------------------- SOAP ------------------------- */

START_TEST(a_token_carries_no_password_and_escapes_the_name)
{
    const struct kt_soap_login login = { "a<b>&\"", "s3cret", 0 };
    char *text = NULL;
    ck_assert_int_eq(kt_soap_envelope(&text, "<x/>", &login), 0);
    ck_assert_ptr_null(strstr(text, "s3cret"));
    kt_cleanup(kt_soap_free) xmlDoc *doc = NULL;
    ck_assert_int_eq(kt_soap_parse(&doc, text, strlen(text)), 0);
    char name[64], nonce[64], digest[64];
    xmlNode *root = xmlDocGetRootElement(doc);
    ck_assert(kt_soap_text(root, "Username", name, sizeof(name)));
    ck_assert_str_eq(name, "a<b>&\"");
    ck_assert(kt_soap_text(root, "Nonce", nonce, sizeof(nonce)));
    ck_assert(kt_soap_text(root, "Password", digest, sizeof(digest)));
    ck_assert_uint_eq(strlen(digest), 28);
    free(text);
}
END_TEST

START_TEST(a_token_is_dated_by_the_clock_of_the_device)
{
    const struct kt_soap_login login = { "u", "p", -INT64_C(86400) * 365 * KT_SECOND_US };
    char *text = NULL, created[64];
    int64_t at = 0;
    ck_assert_int_eq(kt_soap_envelope(&text, "<x/>", &login), 0);
    kt_cleanup(kt_soap_free) xmlDoc *doc = NULL;
    ck_assert_int_eq(kt_soap_parse(&doc, text, strlen(text)), 0);
    ck_assert(kt_soap_text(xmlDocGetRootElement(doc), "Created", created, sizeof(created)));
    ck_assert_int_eq(kt_rfc3339_parse(created, &at), 0);
    const int64_t off = at - (kt_clock_wall_us() + login.clock_offset_us);
    ck_assert_int_lt(llabs(off), 5 * KT_SECOND_US);
    free(text);
}
END_TEST

static const char *const no_xml[] = {
    "", "nonsense", "<a>", "<a></b>", "\xff\xfe\x00",
    "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
    "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
};

START_TEST(what_is_no_answer_is_refused)
{
    xmlDoc *doc = NULL;
    ck_assert_int_eq(kt_soap_parse(&doc, no_xml[_i], strlen(no_xml[_i])), -EBADMSG);
    ck_assert_ptr_null(doc);
}
END_TEST

START_TEST(an_element_is_found_at_any_depth_and_only_below)
{
    static const char text[] = "<a><b><c>1</c></b><d/><e><c>2</c><f>  x\ty\n</f></e><c>3</c></a>";
    kt_cleanup(kt_soap_free) xmlDoc *doc = NULL;
    char out[8];
    ck_assert_int_eq(kt_soap_parse(&doc, text, sizeof(text) - 1), 0);
    xmlNode *root = xmlDocGetRootElement(doc);
    ck_assert_int_eq(kt_soap_int(root, "c"), 1);
    ck_assert_int_eq(kt_soap_int(kt_soap_find(root, "e"), "c"), 2);
    ck_assert_ptr_null(kt_soap_find(kt_soap_find(root, "b"), "f"));
    ck_assert_ptr_null(kt_soap_find(kt_soap_find(root, "d"), "c"));
    ck_assert(kt_soap_text(root, "f", out, sizeof(out)));
    ck_assert_str_eq(out, "x y");
}
END_TEST

START_TEST(long_text_is_cut_where_a_character_begins)
{
    static const char text[] = "<a>abc\xc3\xa9</a>";
    kt_cleanup(kt_soap_free) xmlDoc *doc = NULL;
    char out[5];
    ck_assert_int_eq(kt_soap_parse(&doc, text, sizeof(text) - 1), 0);
    ck_assert(kt_soap_text(xmlDocGetRootElement(doc), NULL, out, sizeof(out)));
    ck_assert_str_eq(out, "abc");
}
END_TEST

/* ------------------------- targets ------------------------- */

static const struct {
    const char *range, *ports;
    int ret;
    size_t n;
    const char *first, *last;
} ranges[] = {
    { "192.168.1.0/24", "80", 0, 254, "http://192.168.1.1:80/onvif/device_service",
      "http://192.168.1.254:80/onvif/device_service" },
    { "192.168.1.10-12", "80,8899", 0, 6, "http://192.168.1.10:80/onvif/device_service",
      "http://192.168.1.12:8899/onvif/device_service" },
    { "10.0.0.7:8000, 10.0.0.8:81", "80", 0, 2, "http://10.0.0.7:8000/onvif/device_service",
      "http://10.0.0.8:81/onvif/device_service" },
    { "10.0.0.7/32", "80", 0, 1, "http://10.0.0.7:80/onvif/device_service",
      "http://10.0.0.7:80/onvif/device_service" },
    { "10.0.0.6/31", "80", 0, 2, "http://10.0.0.6:80/onvif/device_service",
      "http://10.0.0.7:80/onvif/device_service" },
    { "http://10.0.0.9/x", NULL, 0, 1, "http://10.0.0.9/x", "http://10.0.0.9/x" },
    { "10.0.0.0/16", "80", -E2BIG, 0, NULL, NULL },
    { "10.0.0.0/0", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0.0/33", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0.20-10", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0.20-300", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0", "80", -EINVAL, 0, NULL, NULL },
    { "0x0a.1", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0.1;reboot", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0.1:99999", "80", -EINVAL, 0, NULL, NULL },
    { "10.0.0.1", "80,http", -EINVAL, 0, NULL, NULL },
    { "10.0.0.1", "0", -EINVAL, 0, NULL, NULL },
    { " , ", "80", -EINVAL, 0, NULL, NULL },
};

START_TEST(a_range_is_what_it_says)
{
    struct kt_onvif_target *list = NULL;
    struct kt_error err = { "" };
    size_t n = 0;
    const int ret = kt_onvif_targets(&list, &n, ranges[_i].range, ranges[_i].ports, &err);
    ck_assert_msg(ret == ranges[_i].ret, "%s: %d %s", ranges[_i].range, ret, err.text);
    ck_assert_uint_eq(n, ranges[_i].n);
    if (n > 0) {
        ck_assert_str_eq(list[0].service, ranges[_i].first);
        ck_assert_str_eq(list[n - 1].service, ranges[_i].last);
    } else {
        ck_assert(err.text[0]);
    }
    free(list);
}
END_TEST

/* ------------------------- addresses that devices claim ------------------------- */

static const struct {
    const char *claimed, *schemes, *becomes;
} claims[] = {
    { "http://10.9.9.9:8080/onvif/media?a=1", "http,https", "http://192.168.1.11:8080/onvif/media?a=1" },
    { "rtsp://admin:pw@10.9.9.9/ch1&x=2", "rtsp,rtsps", "rtsp://192.168.1.11/ch1&x=2" },
    { "rtsp://[fe80::1]:554/ch1", "rtsp,rtsps", "rtsp://192.168.1.11:554/ch1" },
    { "file:///etc/passwd", "http,https", NULL },
    { "rtspx://h/1", "rtsp,rtsps", NULL },
    { "http://h/1", "rtsp,rtsps", NULL },
    { "rtsp://h/${HOME}", "rtsp,rtsps", NULL },
    { "nonsense", "rtsp,rtsps", NULL },
    { "rtsp://h/\r\nx", "rtsp,rtsps", NULL },
};

START_TEST(whatever_a_device_claims_it_is_asked_where_it_is)
{
    char out[128] = "";
    const int ret = kt_onvif_rehost(out, sizeof(out), claims[_i].claimed, "192.168.1.11", claims[_i].schemes);
    if (claims[_i].becomes) {
        ck_assert_int_eq(ret, 0);
        ck_assert_str_eq(out, claims[_i].becomes);
    } else {
        ck_assert_msg(ret < 0, "%s", out);
    }
}
END_TEST

/* ------------------------- discovery ------------------------- */

#define MATCH(xaddrs, scopes) \
    ENVELOPE("<d:ProbeMatches xmlns:d='d'><d:ProbeMatch><d:Scopes>" scopes "</d:Scopes><d:XAddrs>" xaddrs \
             "</d:XAddrs></d:ProbeMatch></d:ProbeMatches>")

static const struct {
    const char *text, *service, *name;
} matches[] = {
    { MATCH("http://10.1.1.1/onvif/device_service", "onvif://www.onvif.org/name/Pos%20Ronda"),
      "http://10.1.1.1/onvif/device_service", "Pos Ronda" },
    { MATCH("http://[fe80::2]/a http://10.1.1.1:8899/b http://10.1.1.12/c", ""), "http://10.1.1.1:8899/b", "" },
    { MATCH("http://[fe80::2]/a http://10.9.9.9:81/b", ""), "http://10.1.1.1:81/b", "" },
    { MATCH("http://10.1.1.1/a", "onvif://www.onvif.org/name/%ff%fe"), "http://10.1.1.1/a", "" },
    { MATCH("http://10.1.1.1/a", "onvif://www.onvif.org/name/x%0d%0a%1b[31m"), "http://10.1.1.1/a", "x   [31m" },
    { MATCH("file:///etc/passwd", ""), NULL, NULL },
    { MATCH("", ""), NULL, NULL },
    { ENVELOPE("<Hello/>"), NULL, NULL },
    { "junk", NULL, NULL },
};

START_TEST(an_answer_from_the_network_is_read_with_suspicion)
{
    struct kt_discovery_match m = { "", "", "" };
    const int ret = kt_discovery_parse(&m, matches[_i].text, strlen(matches[_i].text), "10.1.1.1");
    if (!matches[_i].service) {
        ck_assert_int_eq(ret, -EBADMSG);
        return;
    }
    ck_assert_int_eq(ret, 0);
    ck_assert_str_eq(m.service, matches[_i].service);
    ck_assert_str_eq(m.name, matches[_i].name);
}
END_TEST

/* ------------------------- a conversation ------------------------- */

static void hear(struct kt_onvif_talk *talk, long status, const char *text)
{
    const char *url;
    char *body = NULL;
    ck_assert_int_eq(kt_onvif_talk_ask(talk, &url, &body), 0);
    free(body);
    kt_onvif_talk_hear(talk, status, text, strlen(text), 0, 0);
}

#define CLOCK \
    ENVELOPE("<R><UTCDateTime><Time><Hour>1</Hour><Minute>2</Minute><Second>3</Second></Time><Date><Year>1970</Year>" \
             "<Month>1</Month><Day>1</Day></Date></UTCDateTime></R>")
#define NOT_AUTHORISED ENVELOPE("<e:Fault><Code><Value>ter:NotAuthorized</Value></Code><Text>no</Text></e:Fault>")

START_TEST(the_clock_is_read_before_the_password_is_used)
{
    struct kt_onvif_talk talk;
    const char *url;
    char *body = NULL;
    ck_assert_int_eq(kt_onvif_talk_begin(&talk, "http://10.0.0.1/onvif/device_service", "u", "p"), 0);
    ck_assert_int_eq(kt_onvif_talk_ask(&talk, &url, &body), 0);
    ck_assert_ptr_null(strstr(body, "UsernameToken"));
    free(body);
    kt_onvif_talk_hear(&talk, 200, CLOCK, strlen(CLOCK), 0, 2000000);
    ck_assert(talk.cam.has_clock);
    ck_assert_int_eq(talk.cam.clock_offset_us, INT64_C(3723500000) - 1000000);
    ck_assert_int_eq(kt_onvif_talk_ask(&talk, &url, &body), 0);
    ck_assert_ptr_nonnull(strstr(body, "UsernameToken"));
    free(body);
}
END_TEST

START_TEST(a_wrong_password_is_tried_twice_and_no_more)
{
    struct kt_onvif_talk talk;
    ck_assert_int_eq(kt_onvif_talk_begin(&talk, "http://10.0.0.1/d", "u", "p"), 0);
    hear(&talk, 200, CLOCK);
    hear(&talk, 401, "");
    ck_assert(talk.http_digest && talk.cam.state == KT_ONVIF_ASKING);
    hear(&talk, 401, "");
    ck_assert_int_eq(talk.cam.state, KT_ONVIF_WRONG_PASSWORD);
    const char *url;
    char *body;
    ck_assert_int_eq(kt_onvif_talk_ask(&talk, &url, &body), -EPIPE);

    ck_assert_int_eq(kt_onvif_talk_begin(&talk, "http://10.0.0.1/d", "u", "p"), 0);
    hear(&talk, 200, CLOCK);
    hear(&talk, 400, NOT_AUTHORISED);
    ck_assert_int_eq(talk.cam.state, KT_ONVIF_WRONG_PASSWORD);
}
END_TEST

START_TEST(without_a_password_it_says_that_one_is_needed)
{
    struct kt_onvif_talk talk;
    ck_assert_int_eq(kt_onvif_talk_begin(&talk, "http://10.0.0.1/d", NULL, NULL), 0);
    hear(&talk, 200, CLOCK);
    hear(&talk, 400, NOT_AUTHORISED);
    ck_assert_int_eq(talk.cam.state, KT_ONVIF_PASSWORD_NEEDED);
}
END_TEST

START_TEST(a_web_server_is_no_camera)
{
    struct kt_onvif_talk talk;
    ck_assert_int_eq(kt_onvif_talk_begin(&talk, "http://10.0.0.1/d", "u", "p"), 0);
    hear(&talk, 404, "<html><body>Not here</body></html>");
    ck_assert_int_eq(talk.cam.state, KT_ONVIF_FAILED);
    ck_assert(!talk.answered);
    ck_assert_int_eq(kt_onvif_talk_begin(&talk, "ftp://10.0.0.1/d", "u", "p"), -EINVAL);
}
END_TEST

/* ------------------------- what to suggest ------------------------- */

static const struct kt_onvif_camera recorder = {
    .n_profiles = 6,
    .profiles = { { .source = "a", .width = 640, .height = 360, .stream = "rtsp://h/a-sub" },
                  { .source = "a", .width = 1920, .height = 1080, .stream = "rtsp://h/a-main" },
                  { .source = "b", .width = 1280, .height = 720, .stream = "rtsp://h/b-main" },
                  { .source = "a", .width = 320, .height = 180, .stream = "rtsp://h/a-small" },
                  { .source = "c", .width = 3840, .height = 2160, .stream = "rtsp://h/c-main" },
                  { .source = "c", .width = 1280, .height = 720, .stream = "rtsp://h/c-sub" } },
};

START_TEST(each_input_gets_its_largest_and_a_small_stream)
{
    const struct kt_onvif_profile *big, *small;
    ck_assert_int_eq(kt_onvif_suggest(&recorder, 0, &big, &small), 0);
    ck_assert_str_eq(big->stream, "rtsp://h/a-main");
    ck_assert_str_eq(small->stream, "rtsp://h/a-sub");
    ck_assert_int_eq(kt_onvif_suggest(&recorder, 1, &big, &small), 0);
    ck_assert_str_eq(big->stream, "rtsp://h/b-main");
    ck_assert_ptr_null(small);
    ck_assert_int_eq(kt_onvif_suggest(&recorder, 2, &big, &small), 0);
    ck_assert_str_eq(small->stream, "rtsp://h/c-sub");
    ck_assert_int_eq(kt_onvif_suggest(&recorder, 3, &big, &small), -ENOENT);
}
END_TEST

/* What cameras with two sub-streams and more offer; the last two are what is to be chosen. */
#define P(c, w, h, s) { .source = "v", .codec = c, .width = w, .height = h, .stream = s }
static const struct {
    struct kt_onvif_camera cam;
    const char *main, *sub;
} many[] = {
    { { .n_profiles = 3, .profiles = { P("h264", 1920, 1080, "1"), P("h264", 704, 576, "2"), P("jpeg", 640, 480, "3") } }, "1", "2" },
    { { .n_profiles = 3, .profiles = { P("h264", 1920, 1080, "1"), P("h264", 640, 360, "2"), P("h264", 1280, 720, "3") } }, "1", "2" },
    { { .n_profiles = 3, .profiles = { P("h264", 1920, 1080, "1"), P("h264", 352, 288, "2"), P("h264", 640, 480, "3") } }, "1", "3" },
    { { .n_profiles = 3, .profiles = { P("h265", 2560, 1440, "1"), P("h265", 704, 576, "2"), P("h264", 640, 480, "3") } }, "1", "3" },
    { { .n_profiles = 3, .profiles = { P("jpeg", 1920, 1080, "1"), P("h264", 1280, 720, "2"), P("h264", 640, 360, "3") } }, "2", "3" },
    { { .n_profiles = 3, .profiles = { P("h265", 1920, 1080, "1"), P("h264", 1920, 1080, "2"), P("h264", 1280, 720, "3") } }, "2", "3" },
    { { .n_profiles = 3, .profiles = { P("h264", 1920, 1080, "1"), P("h264", 1280, 720, "2"), P("h264", 960, 540, "3") } }, "1", "3" },
    { { .n_profiles = 2, .profiles = { P("jpeg", 1280, 720, "1"), P("jpeg", 640, 360, "2") } }, "1", "2" },
    { { .n_profiles = 2, .profiles = { P("h264", 1920, 1080, "1"), P("h264", 1920, 1080, "1") } }, "1", NULL },
};
START_TEST(of_many_streams_the_fitting_one_is_analysed)
{
    const struct kt_onvif_profile *big, *small;
    ck_assert_int_eq(kt_onvif_suggest(&many[_i].cam, 0, &big, &small), 0);
    ck_assert_str_eq(big->stream, many[_i].main);
    ck_assert_pstr_eq(small ? small->stream : NULL, many[_i].sub);
}
END_TEST

START_TEST(a_password_of_any_kind_fits_into_an_address)
{
    char url[KT_URL_MAX], long_stream[KT_URL_MAX] = "rtsp://h/";
    ck_assert_int_eq(kt_onvif_stream_url(url, "rtsp://h:554/1", "ka mera", "p@s:s/?#é"), 0);
    ck_assert_str_eq(url, "rtsp://ka%20mera:p%40s%3As%2F%3F%23%C3%A9@h:554/1");
    ck_assert_int_eq(kt_onvif_stream_url(url, "rtsp://h/1", NULL, NULL), 0);
    ck_assert_str_eq(url, "rtsp://h/1");
    ck_assert_int_eq(kt_onvif_stream_url(url, "rtsp://h/1", "u", "${CAM_PASS}"), 0);
    ck_assert_str_eq(url, "rtsp://u:${CAM_PASS}@h/1");
    memset(long_stream + 9, 'a', KT_URL_MAX - 11);
    ck_assert_int_eq(kt_onvif_stream_url(url, long_stream, "user", "password"), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("onvif");
    TCase *tc = tcase_create("onvif");
    tcase_add_test(tc, a_token_carries_no_password_and_escapes_the_name);
    tcase_add_test(tc, a_token_is_dated_by_the_clock_of_the_device);
    tcase_add_loop_test(tc, what_is_no_answer_is_refused, 0, KT_ARRAY_SIZE(no_xml));
    tcase_add_test(tc, an_element_is_found_at_any_depth_and_only_below);
    tcase_add_test(tc, long_text_is_cut_where_a_character_begins);
    tcase_add_loop_test(tc, a_range_is_what_it_says, 0, KT_ARRAY_SIZE(ranges));
    tcase_add_loop_test(tc, whatever_a_device_claims_it_is_asked_where_it_is, 0, KT_ARRAY_SIZE(claims));
    tcase_add_loop_test(tc, an_answer_from_the_network_is_read_with_suspicion, 0, KT_ARRAY_SIZE(matches));
    tcase_add_test(tc, the_clock_is_read_before_the_password_is_used);
    tcase_add_test(tc, a_wrong_password_is_tried_twice_and_no_more);
    tcase_add_test(tc, without_a_password_it_says_that_one_is_needed);
    tcase_add_test(tc, a_web_server_is_no_camera);
    tcase_add_test(tc, each_input_gets_its_largest_and_a_small_stream);
    tcase_add_loop_test(tc, of_many_streams_the_fitting_one_is_analysed, 0, KT_ARRAY_SIZE(many));
    tcase_add_test(tc, a_password_of_any_kind_fits_into_an_address);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

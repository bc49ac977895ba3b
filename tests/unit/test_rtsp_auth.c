#include "decoders/ingest/rtsp_auth.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/run_suite.h"

static struct kt_rtsp_auth auth;
static char line[2048];

static int challenge(const char *headers, bool *fresh)
{
    char text[2048];
    struct kt_rtsp_message msg;
    snprintf(text, sizeof(text), "RTSP/1.0 401 Unauthorized\r\n%s\r\n", headers);
    ck_assert_int_gt(kt_rtsp_parse(&msg, text, strlen(text)), 0);
    return kt_rtsp_auth_challenge(&auth, &msg, fresh);
}

static const char *answer(const char *method, const char *uri, const char *user, const char *password)
{
    ck_assert_int_eq(kt_rtsp_auth_header(&auth, line, sizeof(line), method, uri, user, password), 0);
    return line;
}

static void setup(void)
{
    memset(&auth, 0, sizeof(auth));
    strcpy(auth.cnonce, "0a4f113b");
}

/* RFC 2617 3.5, with the method GET of its example. */
START_TEST(the_example_of_rfc_2617)
{
    bool fresh;
    ck_assert_int_eq(challenge("WWW-Authenticate: Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", "
                               "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
                               "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n", &fresh), 0);
    const char *a = answer("GET", "/dir/index.html", "Mufasa", "Circle Of Life");
    ck_assert_ptr_nonnull(strstr(a, "response=\"6629fae49393a05397450978507c4ef1\""));
    ck_assert_ptr_nonnull(strstr(a, "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""));
    ck_assert_ptr_nonnull(strstr(a, "nc=00000001"));
}
END_TEST

/* RFC 7616 3.9.1: both offered, the better is taken. */
START_TEST(the_example_of_rfc_7616)
{
    bool fresh;
    static const char offers[] =
        "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=MD5, "
        "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n"
        "WWW-Authenticate: Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, "
        "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"\r\n";
    ck_assert_int_eq(challenge(offers, &fresh), 0);
    ck_assert_int_eq(auth.scheme, KT_RTSP_AUTH_SHA256);
    /* The RFC's cnonce is longer than ours: the same formula, by another implementation. */
    const char *a = answer("GET", "/dir/index.html", "Mufasa", "Circle of Life");
    ck_assert_ptr_nonnull(strstr(a, "algorithm=SHA-256"));
    ck_assert_ptr_nonnull(strstr(a, "response=\"dfd7723f4b179285f90101503175f2079a1505eac857d92a48146b37eded4d74\""));
}
END_TEST

START_TEST(an_old_camera_without_qop)
{
    bool fresh;
    ck_assert_int_eq(challenge("WWW-Authenticate: Digest realm=\"Surveillance Server\", nonce=\"98481030\"\r\n",
                               &fresh), 0);
    ck_assert(fresh);
    const char *a = answer("DESCRIBE", "rtsp://192.168.1.10/", "admin", "12345");
    ck_assert_ptr_nonnull(strstr(a, "response=\"7b0d9bc032a5ba730ef75a8f404a153a\""));
    ck_assert_ptr_null(strstr(a, "algorithm"));
    ck_assert_ptr_null(strstr(a, "qop"));
}
END_TEST

START_TEST(the_same_nonce_twice_is_a_wrong_password)
{
    bool fresh;
    static const char c[] = "WWW-Authenticate: Digest realm=\"r\", nonce=\"one\"\r\n";
    ck_assert_int_eq(challenge(c, &fresh), 0);
    ck_assert(fresh);
    answer("OPTIONS", "rtsp://h/", "u", "p");
    ck_assert_int_eq(challenge(c, &fresh), 0);
    ck_assert(!fresh);
    ck_assert_int_eq(challenge("WWW-Authenticate: Digest realm=\"r\", nonce=\"two\", stale=true\r\n", &fresh), 0);
    ck_assert(fresh);
}
END_TEST

START_TEST(digest_is_preferred_to_basic_in_one_header_too)
{
    bool fresh;
    ck_assert_int_eq(challenge("WWW-Authenticate: Basic realm=\"r\", Digest realm=\"s\", nonce=\"n\"\r\n",
                               &fresh), 0);
    ck_assert_int_eq(auth.scheme, KT_RTSP_AUTH_MD5);
    ck_assert_str_eq(auth.realm, "s");
}
END_TEST

START_TEST(basic_where_nothing_better_is_offered)
{
    bool fresh;
    ck_assert_int_eq(challenge("WWW-Authenticate: Basic realm=\"r\"\r\n", &fresh), 0);
    ck_assert_str_eq(answer("OPTIONS", "rtsp://h/", "Aladdin", "open sesame"),
                     "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n");
}
END_TEST

static const char *const unknown[] = {
    "", "WWW-Authenticate: Negotiate\r\n", "WWW-Authenticate: Digest realm=\"r\"\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256\r\n",
};
START_TEST(a_challenge_that_cannot_be_answered_is_said)
{
    bool fresh;
    ck_assert_int_eq(challenge(unknown[_i], &fresh), -ENOTSUP);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rtsp_auth");
    TCase *tc = tcase_create("rtsp_auth");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, the_example_of_rfc_2617);
    tcase_add_test(tc, the_example_of_rfc_7616);
    tcase_add_test(tc, an_old_camera_without_qop);
    tcase_add_test(tc, the_same_nonce_twice_is_a_wrong_password);
    tcase_add_test(tc, digest_is_preferred_to_basic_in_one_header_too);
    tcase_add_test(tc, basic_where_nothing_better_is_offered);
    tcase_add_loop_test(tc, a_challenge_that_cannot_be_answered_is_said, 0, KT_ARRAY_SIZE(unknown));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

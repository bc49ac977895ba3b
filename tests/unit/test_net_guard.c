#include "server/net_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>

#include "tests/unit/run_suite.h"

static const struct {
    const char *text;
    enum kt_net_class is;
} addresses[] = {
    { "8.8.8.8", KT_NET_PUBLIC },
    { "172.15.255.255", KT_NET_PUBLIC },
    { "172.32.0.0", KT_NET_PUBLIC },
    { "192.168.1.11", KT_NET_PRIVATE },
    { "172.16.0.1", KT_NET_PRIVATE },
    { "10.1.2.3", KT_NET_PRIVATE },
    { "100.64.0.1", KT_NET_PRIVATE },
    { "127.0.0.1", KT_NET_LOOPBACK },
    { "127.255.1.2", KT_NET_LOOPBACK },
    { "169.254.169.254", KT_NET_METADATA },
    { "100.100.100.200", KT_NET_METADATA },
    { "169.254.1.1", KT_NET_LINK_LOCAL },
    { "0.0.0.0", KT_NET_UNSPECIFIED },
    { "0.1.2.3", KT_NET_UNSPECIFIED },
    { "224.0.0.1", KT_NET_MULTICAST },
    { "239.255.255.250", KT_NET_MULTICAST },
    { "255.255.255.255", KT_NET_MULTICAST },
    { "240.0.0.1", KT_NET_RESERVED },
    { "2001:db8::1", KT_NET_PUBLIC },
    { "fd12:3456::1", KT_NET_PRIVATE },
    { "fd00:ec2::254", KT_NET_METADATA },
    { "::", KT_NET_UNSPECIFIED },
    { "::1", KT_NET_LOOPBACK },
    { "fe80::1", KT_NET_LINK_LOCAL },
    { "febf::1", KT_NET_LINK_LOCAL },
    { "ff02::1", KT_NET_MULTICAST },
    { "::ffff:127.0.0.1", KT_NET_LOOPBACK },
    { "::ffff:192.168.1.1", KT_NET_PRIVATE },
    { "::ffff:169.254.169.254", KT_NET_METADATA },
    { "::ffff:0:127.0.0.1", KT_NET_LOOPBACK },
    { "::127.0.0.1", KT_NET_LOOPBACK },
    { "64:ff9b::7f00:1", KT_NET_LOOPBACK },
    { "64:ff9b:1::a9fe:a9fe", KT_NET_METADATA },
    { "2002:7f00:1::", KT_NET_LOOPBACK },
    { "2002:c0a8:101::5", KT_NET_PRIVATE },
    { "4000::1", KT_NET_RESERVED },
};

static void parse(const char *text, struct sockaddr_storage *out)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    memset(out, 0, sizeof(*out));
    if (strchr(text, ':')) {
        ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(out, &in6, sizeof(in6));
    } else {
        ck_assert_int_eq(inet_pton(AF_INET, text, &in.sin_addr), 1);
        memcpy(out, &in, sizeof(in));
    }
}

START_TEST(an_address_is_what_it_reaches)
{
    struct sockaddr_storage ss;
    parse(addresses[_i].text, &ss);
    const enum kt_net_class is = kt_net_classify((struct sockaddr *)&ss);
    ck_assert_msg(is == addresses[_i].is, "%s: %s", addresses[_i].text, kt_net_class_name(is));
    const bool harmless = is == KT_NET_PUBLIC || is == KT_NET_PRIVATE;
    struct kt_net_guard guarded = { KT_NET_GUARDED, 0 };
    ck_assert_int_eq(kt_net_allowed(KT_NET_GUARDED, (struct sockaddr *)&ss), harmless);
    ck_assert_int_eq(kt_net_guard_connect(&guarded, (struct sockaddr *)&ss), harmless ? 0 : -EACCES);
    ck_assert(kt_net_allowed(KT_NET_ALLOW_ALL, (struct sockaddr *)&ss));
    ck_assert_int_eq(kt_net_allowed(KT_NET_ALLOW_LOOPBACK, (struct sockaddr *)&ss),
                     harmless || is == KT_NET_LOOPBACK);
    ck_assert_int_eq(kt_net_allowed(KT_NET_ALLOW_LINK_LOCAL, (struct sockaddr *)&ss),
                     harmless || is == KT_NET_LINK_LOCAL);
}
END_TEST

START_TEST(a_unix_socket_is_no_camera)
{
    const struct sockaddr sa = { .sa_family = AF_UNIX };
    ck_assert(!kt_net_allowed(KT_NET_GUARDED, &sa));
}
END_TEST

/* Addresses as somebody may type them, and what must come out. */
static const struct {
    const char *url;
    int ret;
} urls[] = {
    { "rtsp://192.168.1.11/stream1", 0 },
    { "rtsp://user:p%40ss@10.0.0.8:8554/live?x=1", 0 },
    { "rtsps://[fd12::5]/a", 0 },
    { "rtsp://u%0d%0aX-Injected:%20yes:p@192.168.1.11/a", -EINVAL },
    { "rtsp://u:p%0a@192.168.1.11/a", -EINVAL },
    { "rtsp://127.0.0.1/", -EACCES },
    { "rtsp://127.1/", -EACCES },
    { "rtsp://0x7f.1/", -EACCES },
    { "rtsp://2130706433/", -EACCES },
    { "rtsp://0177.0.0.1/", -EACCES },
    { "rtsp://localhost/", -EACCES },
    { "rtsp://LOCALHOST:554/", -EACCES },
    { "rtsp://0/", -EACCES },
    { "rtsp://0.0.0.0/", -EACCES },
    { "rtsp://[::1]/", -EACCES },
    { "rtsp://[::]/", -EACCES },
    { "rtsp://[::ffff:127.0.0.1]/", -EACCES },
    { "rtsp://[0:0:0:0:0:ffff:7f00:1]:554/", -EACCES },
    { "rtsp://169.254.169.254/latest/meta-data/", -EACCES },
    { "rtsp://0xa9fea9fe/", -EACCES },
    { "rtsp://239.255.255.250/", -EACCES },
    { "rtsp://192.168.1.11@127.0.0.1/", -EACCES },
    { "rtsp://%31%32%37.0.0.1/", -EACCES },
    { "http://192.168.1.11/", -EINVAL },
    { "file:///etc/passwd", -EINVAL },
    { "gopher://192.168.1.11/", -EINVAL },
    { "concat:rtsp://192.168.1.11/", -EINVAL },
    { "rtsp:", -EINVAL },
    { "", -EINVAL },
    { "rtsp://no-such-machine.invalid/", -ENOENT },
};

START_TEST(what_is_typed_is_understood_as_the_resolver_does)
{
    struct kt_error err = { "" };
    const int ret = kt_net_check_url(KT_NET_GUARDED, "rtsp,rtsps", urls[_i].url, -1, &err);
    ck_assert_msg(ret == urls[_i].ret, "%s: %d, %s", urls[_i].url, ret, err.text);
    ck_assert(ret == 0 || err.text[0]);
    ck_assert_ptr_null(strstr(err.text, "p%40ss"));
}
END_TEST

START_TEST(the_operator_may_reach_everything)
{
    ck_assert_int_eq(kt_net_check_url(KT_NET_ALLOW_ALL, "http,https", "http://127.0.0.1:1/", -1, NULL), 0);
}
END_TEST

/* ------------------------- a real transfer ------------------------- */

static struct MHD_Daemon *web;
static int port, served;

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *upload, size_t *size, void **con)
{
    char where[64];
    served++;
    struct MHD_Response *r = MHD_create_response_from_buffer(2, (void *)"ok", MHD_RESPMEM_PERSISTENT);
    const bool away = strcmp(url, "/away") == 0;
    snprintf(where, sizeof(where), "http://127.0.0.1:%d/inside", port);
    if (away)
        MHD_add_response_header(r, "Location", where);
    const enum MHD_Result ret = MHD_queue_response(c, away ? 302 : 200, r);
    MHD_destroy_response(r);
    return ret;
}

static void start_web(void)
{
    web = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_END);
    ck_assert_ptr_nonnull(web);
    port = MHD_get_daemon_info(web, MHD_DAEMON_INFO_BIND_PORT)->port;
    served = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void stop_web(void)
{
    MHD_stop_daemon(web);
}

static size_t drop(char *data, size_t size, size_t n, void *user)
{
    return size * n;
}

/* Fetch PATH of HOST; RESOLVE is "HOST:PORT:ADDRESS" as a resolver might answer. */
static CURLcode fetch(const char *host, const char *path, const char *address, struct kt_net_guard *guard,
                      long *status)
{
    char url[256], resolve[256];
    snprintf(url, sizeof(url), "http://%s:%d%s", host, port, path);
    snprintf(resolve, sizeof(resolve), "%s:%d:%s", host, port, address);
    CURL *easy = curl_easy_init();
    struct curl_slist *list = curl_slist_append(NULL, resolve);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, list);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 5L);
    kt_net_guard_curl(easy, "http,https", guard);
    const CURLcode ret = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(list);
    return ret;
}

START_TEST(a_name_that_points_inside_is_refused_before_the_connection)
{
    struct kt_net_guard guard = { KT_NET_GUARDED, 0 };
    long status = 0;
    setenv("http_proxy", "http://127.0.0.1:9", 1);      /* must not be used */
    ck_assert_int_eq(fetch("camera.example", "/", "127.0.0.1", &guard, &status), CURLE_COULDNT_CONNECT);
    ck_assert_int_eq(guard.refused, KT_NET_LOOPBACK);
    ck_assert_int_eq(served, 0);
    guard.allow = KT_NET_ALLOW_LOOPBACK;
    ck_assert_int_eq(fetch("camera.example", "/", "127.0.0.1", &guard, &status), CURLE_OK);
    ck_assert_int_eq(status, 200);
    ck_assert_int_eq(served, 1);
}
END_TEST

START_TEST(a_redirect_is_an_answer_and_nothing_more)
{
    struct kt_net_guard guard = { KT_NET_ALLOW_LOOPBACK, 0 };
    long status = 0;
    ck_assert_int_eq(fetch("camera.example", "/away", "127.0.0.1", &guard, &status), CURLE_OK);
    ck_assert_int_eq(status, 302);
    ck_assert_int_eq(served, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_guard");
    TCase *tc = tcase_create("addresses");
    tcase_add_loop_test(tc, an_address_is_what_it_reaches, 0, KT_ARRAY_SIZE(addresses));
    tcase_add_test(tc, a_unix_socket_is_no_camera);
    tcase_add_loop_test(tc, what_is_typed_is_understood_as_the_resolver_does, 0, KT_ARRAY_SIZE(urls));
    tcase_add_test(tc, the_operator_may_reach_everything);
    suite_add_tcase(suite, tc);
    tc = tcase_create("transfers");
    tcase_add_checked_fixture(tc, start_web, stop_web);
    tcase_add_test(tc, a_name_that_points_inside_is_refused_before_the_connection);
    tcase_add_test(tc, a_redirect_is_an_answer_and_nothing_more);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

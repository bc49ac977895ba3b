#include "decoders/ingest/ingest.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <libavutil/log.h>

#include "decoders/ingest/session.h"
#include "server/base/clock.h"
#include "tests/unit/rtsp_server.h"
#include "tests/unit/run_suite.h"

static kt_ingest_loop *loop;
static struct kt_test_server server;

/* What a session told, and a way to wait for it. */
struct ear {
    kt_ingest *ingest;
    pthread_mutex_t lock;
    pthread_cond_t heard;
    int streams, frames, keys, offline;
    char why[200];
};

static void on_stream(void *user, const struct kt_ingest_stream *stream)
{
    struct ear *e = user;
    pthread_mutex_lock(&e->lock);
    e->streams++;
    pthread_mutex_unlock(&e->lock);
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    struct ear *e = user;
    pthread_mutex_lock(&e->lock);
    e->frames++;
    e->keys += pkt->flags & AV_PKT_FLAG_KEY;
    pthread_cond_signal(&e->heard);
    pthread_mutex_unlock(&e->lock);
}

static void on_state(void *user, enum kt_ingest_state state, const char *why)
{
    struct ear *e = user;
    pthread_mutex_lock(&e->lock);
    if (state == KT_INGEST_OFFLINE) {
        e->offline++;
        snprintf(e->why, sizeof(e->why), "%s", why);
    }
    pthread_cond_signal(&e->heard);
    pthread_mutex_unlock(&e->lock);
}

static void listen_to(struct ear *e, const char *url, const char *transport)
{
    const struct kt_ingest_params params = {
        .name = "test", .url = url, .transport = transport, .loop = loop, .user = e,
        .connect_timeout_us = KT_SECOND_US, .silence_timeout_us = KT_SECOND_US,
        .backoff_min_us = 20000, .backoff_max_us = 100000,
        .on_stream = on_stream, .on_packet = on_packet, .on_state = on_state,
    };
    memset(e, 0, sizeof(*e));
    pthread_mutex_init(&e->lock, NULL);
    kt_cond_init(&e->heard);
    ck_assert_int_eq(kt_ingest_start(&e->ingest, &params), 0);
}

static void listen_to_server(struct ear *e, const char *transport)
{
    char url[64];
    snprintf(url, sizeof(url), "rtsp%s://127.0.0.1:%d/live", server.tls ? "s" : "", server.port);
    listen_to(e, url, transport);
}

/* Wait up to SECONDS until *COUNT reaches N. */
static void expect(struct ear *e, const int *count, int n, int seconds)
{
    const struct timespec until = kt_clock_deadline(seconds * KT_SECOND_US);
    pthread_mutex_lock(&e->lock);
    int ret = 0;
    while (*count < n && ret == 0)
        ret = pthread_cond_timedwait(&e->heard, &e->lock, &until);
    const int got = *count;
    pthread_mutex_unlock(&e->lock);
    ck_assert_msg(got >= n, "%d of %d after %d s; %s", got, n, seconds, e->why);
}

static void hang_up(struct ear *e)
{
    const int64_t before = kt_clock_mono_us();
    kt_ingest_stop(&e->ingest);
    ck_assert_ptr_null(e->ingest);
    ck_assert_int_lt(kt_clock_mono_us() - before, KT_SECOND_US);
    pthread_cond_destroy(&e->heard);
    pthread_mutex_destroy(&e->lock);
}

static void setup(void)
{
    memset(&server, 0, sizeof(server));
    ck_assert_int_eq(kt_ingest_loop_create(&loop), 0);
}

static void teardown(void)
{
    kt_ingest_loop_destroy(&loop);
}

static const char *const transports[] = { "tcp", "udp", "tls" };
START_TEST(frames_come_by_every_transport)
{
    struct ear e;
    struct kt_ingest_stats stats;
    server.tls = strcmp(transports[_i], "tls") == 0 ? kt_test_tls() : NULL;
    kt_test_server_start(&server);
    listen_to_server(&e, transports[_i]);
    expect(&e, &e.frames, 30, 10);
    kt_ingest_get_stats(e.ingest, &stats);
    ck_assert_int_eq(stats.state, KT_INGEST_STREAMING);
    ck_assert_uint_eq(stats.lost_packets, 0);
    hang_up(&e);
    ck_assert_int_ge(e.keys, 3);
    ck_assert_int_eq(e.offline, 0);
    kt_test_server_stop(&server);
    ck_assert_int_eq(atomic_load(&server.torn_down), 1);    /* the camera's session is freed at once */
}
END_TEST

START_TEST(a_session_comes_back_for_ever)
{
    struct ear e;
    server.frames = 5;
    kt_test_server_start(&server);
    listen_to_server(&e, "tcp");
    expect(&e, &e.streams, 6, 10);
    hang_up(&e);
    ck_assert_int_ge(e.offline, 5);
    ck_assert_int_ge(e.frames, 20);
    kt_test_server_stop(&server);
}
END_TEST

START_TEST(a_camera_that_accepts_and_is_silent_is_given_up)
{
    struct ear e;
    server.mute = true;
    kt_test_server_start(&server);
    listen_to_server(&e, "tcp");
    expect(&e, &e.offline, 2, 10);
    ck_assert_ptr_nonnull(strstr(e.why, "no answer"));
    hang_up(&e);
    kt_test_server_stop(&server);
}
END_TEST

static const struct {
    const char *url, *why;
} hopeless[] = {
    { "rtsp://127.0.0.1:1/x", "refused" },
    { "rtsp://no-such-camera.invalid/x", "name" },
};
START_TEST(why_a_camera_is_offline_is_said)
{
    struct ear e;
    listen_to(&e, hopeless[_i].url, "tcp");
    expect(&e, &e.offline, 2, 20);
    ck_assert_msg(strstr(e.why, hopeless[_i].why), "%s", e.why);
    hang_up(&e);
}
END_TEST

START_TEST(a_hopeless_session_stops_at_once)
{
    struct ear e[3];
    /* A listener nobody accepts from, a name server that may think, a refusal. */
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(a);
    char url[64];
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&a, &size);
    snprintf(url, sizeof(url), "rtsp://127.0.0.1:%d/", ntohs(a.sin_port));
    listen_to(&e[0], url, "tcp");
#ifdef __SANITIZE_THREAD__      /* reports a thread that is cancelled in getaddrinfo() */
    listen_to(&e[1], "rtsp://127.0.0.1:2/", "tcp");
#else
    listen_to(&e[1], "rtsp://another-camera.invalid/x", "tcp");
#endif
    listen_to(&e[2], "rtsp://127.0.0.1:1/", "tcp");
    for (int i = 0; i < 3; i++)
        hang_up(&e[i]);
    close(fd);
}
END_TEST

START_TEST(many_sessions_come_and_go)
{
    struct ear e[8];
    kt_ingest **list[8];
    kt_test_server_start(&server);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 8; i++) {
            listen_to_server(&e[i], i % 4 == 3 ? "udp" : "tcp");
            list[i] = &e[i].ingest;
        }
        if (round % 2)
            expect(&e[round], &e[round].frames, 3, 10);
        const int64_t before = kt_clock_mono_us();
        kt_ingest_stop_all(list, 8);
        ck_assert_int_lt(kt_clock_mono_us() - before, KT_SECOND_US);
        for (int i = 0; i < 8; i++) {
            ck_assert_ptr_null(e[i].ingest);
            pthread_cond_destroy(&e[i].heard);
            pthread_mutex_destroy(&e[i].lock);
        }
    }
    kt_test_server_stop(&server);
}
END_TEST

START_TEST(one_camera_does_not_disturb_another)
{
    struct ear good, bad[4];
    kt_test_server_start(&server);
    listen_to_server(&good, "tcp");
    expect(&good, &good.frames, 5, 10);
    for (int i = 0; i < 4; i++)
        listen_to(&bad[i], hopeless[i % 2].url, "tcp");
    expect(&good, &good.frames, 60, 10);
    ck_assert_int_eq(good.offline, 0);
    for (int i = 0; i < 4; i++)
        hang_up(&bad[i]);
    hang_up(&good);
    kt_test_server_stop(&server);
}
END_TEST

START_TEST(waits_double_and_spread_but_never_pass_the_maximum)
{
    const struct kt_ingest_params params = { .backoff_min_us = 500000, .backoff_max_us = 8000000 };
    struct kt_backoff backoff;
    int64_t wait[64], sum = 0;
    int different = 0;
    kt_backoff_init(&backoff, &params);
    for (int i = 0; i < 64; i++) {
        const int64_t middle = FFMIN(INT64_C(500000) << FFMIN(i, 10), 8000000);
        wait[i] = kt_backoff_next(&backoff);
        ck_assert_int_ge(wait[i], middle * 3 / 4);
        ck_assert_int_le(wait[i], FFMIN(middle * 5 / 4, 8000000));
        different += i > 5 && wait[i] != wait[i - 1];
        sum += wait[i];
    }
    ck_assert_int_gt(different, 20);
    ck_assert_int_lt(sum, 64 * INT64_C(8000000));
    kt_backoff_reset(&backoff);
    ck_assert_int_lt(kt_backoff_next(&backoff), 700000);
}
END_TEST

static int in_order(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Forty come back after AT, all between LEAST and MOST: never most of them in an eighth of that, nor a handful
 * in one instant. */
static void check_spread(int64_t at[40], int64_t least, int64_t most)
{
    qsort(at, 40, sizeof(at[0]), in_order);
    ck_assert_int_ge(at[0], least);
    ck_assert_int_le(at[39], most);
    ck_assert_int_ge(at[39] - at[0], (most - least) / 2);
    int together = 0;
    for (int i = 0, j = 0; i < 40; i++) {
        while (at[i] - at[j] > (most - least) / 8)
            j++;
        together = FFMAX(together, i - j + 1);
    }
    ck_assert_int_le(together, 30);
    for (int i = 0; i + 8 < 40; i++)
        ck_assert_int_ne(at[i], at[i + 8]);
}

START_TEST(forty_cameras_that_fail_at_once_come_back_one_by_one_within_a_minute)
{
    const struct kt_ingest_params given = { .url = "rtsp://h/" };
    struct kt_ingest_params params[40];
    struct kt_backoff backoff[40];
    int64_t at[40];
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(kt_ingest_params_copy(&params[i], &given), 0);
        kt_backoff_init(&backoff[i], &params[i]);
    }
    ck_assert_int_le(params[0].backoff_max_us, 60 * KT_SECOND_US);
    for (int try = 0; try < 12; try++) {
        const int64_t wait = FFMIN(params[0].backoff_min_us << try, params[0].backoff_max_us);
        for (int i = 0; i < 40; i++)
            at[i] = kt_backoff_next(&backoff[i]);
        check_spread(at, wait * 3 / 4, FFMIN(wait * 5 / 4, params[0].backoff_max_us));
        for (int i = 0; i < 40; i++)
            at[i] = kt_backoff_password(&backoff[i]);
        check_spread(at, KT_INGEST_PASSWORD_US, FFMIN(KT_INGEST_PASSWORD_US * 5 / 4, 60 * KT_SECOND_US));
    }
    for (int i = 0; i < 40; i++)
        kt_ingest_params_free(&params[i]);
}
END_TEST

static const char *const unusable[] = { "", "http://h/", "rtsp://", "rtsp://h:0/", "rtsp://h/\n" };
START_TEST(an_unusable_address_is_refused)
{
    struct ear e;
    kt_ingest *ingest = NULL;
    const struct kt_ingest_params params = {
        .name = "test", .url = unusable[_i], .transport = "tcp", .loop = loop, .user = &e,
        .on_stream = on_stream, .on_packet = on_packet, .on_state = on_state,
    };
    ck_assert_int_eq(kt_ingest_start(&ingest, &params), -EINVAL);
    ck_assert_ptr_null(ingest);
}
END_TEST

START_TEST(libavformat_is_there_by_setting)
{
    struct ear e;
    kt_test_server_start(&server);
    listen_to_server(&e, "libav");
    expect(&e, &e.frames, 20, 20);
    hang_up(&e);
    kt_test_server_stop(&server);
}
END_TEST

/* By address, by a name that is known, and by one for which a name server would be asked. */
static const char *const elsewhere[] = { "127.0.0.1", "localhost", "kamera.invalid" };
START_TEST(nobody_follows_a_redirect)
{
    static struct kt_test_server other;
    struct ear e;
    char url[64];
    memset(&other, 0, sizeof(other));
    kt_test_server_start(&other);
    snprintf(url, sizeof(url), "rtsp://%s:%d/x", elsewhere[_i % 3], other.port);
    server.redirect = url;
    kt_test_server_start(&server);
    listen_to_server(&e, _i < 3 ? "libav" : "tcp");
    expect(&e, &e.offline, 1, 20);
    ck_assert_msg(strstr(e.why, "redirects to another address"), "%s", e.why);
    hang_up(&e);
    ck_assert_int_eq(atomic_load(&other.visits), 0);
    kt_test_server_stop(&server);
    kt_test_server_stop(&other);
}
END_TEST

int main(void)
{
    av_log_set_level(AV_LOG_QUIET);
    signal(SIGPIPE, SIG_IGN);           /* OpenSSL writes to closed sockets; the daemon ignores it too */
    Suite *suite = suite_create("ingest_loop");
    TCase *tc = tcase_create("ingest_loop");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, frames_come_by_every_transport, 0, KT_ARRAY_SIZE(transports));
    tcase_add_test(tc, a_session_comes_back_for_ever);
    tcase_add_test(tc, a_camera_that_accepts_and_is_silent_is_given_up);
    tcase_add_loop_test(tc, why_a_camera_is_offline_is_said, 0, KT_ARRAY_SIZE(hopeless));
    tcase_add_test(tc, a_hopeless_session_stops_at_once);
    tcase_add_test(tc, many_sessions_come_and_go);
    tcase_add_test(tc, one_camera_does_not_disturb_another);
    tcase_add_test(tc, waits_double_and_spread_but_never_pass_the_maximum);
    tcase_add_test(tc, forty_cameras_that_fail_at_once_come_back_one_by_one_within_a_minute);
    tcase_add_loop_test(tc, an_unusable_address_is_refused, 0, KT_ARRAY_SIZE(unusable));
    tcase_add_test(tc, libavformat_is_there_by_setting);
    tcase_add_loop_test(tc, nobody_follows_a_redirect, 0, 2 * KT_ARRAY_SIZE(elsewhere));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

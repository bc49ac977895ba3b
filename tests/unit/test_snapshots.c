/* How patient the recorder is with a camera that gives no picture by HTTP. */
#include "server/snapshots.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/net_guard.h"
#include "tests/unit/run_suite.h"

static int listener;
static char url[80];
static atomic_int wrong;            /* passwords heard; each is refused */
static atomic_bool stop;
static pthread_t thread;
static kt_snapshots *snapshots;

static void *camera_main(void *user)
{
    static const char answer[] = "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\n\r\n";
    char request[4096];
    while (!atomic_load(&stop)) {
        struct pollfd fd = { .fd = listener, .events = POLLIN };
        if (poll(&fd, 1, 20) < 1)
            continue;
        const int visitor = accept(listener, NULL, NULL);
        const ssize_t n = recv(visitor, request, sizeof(request) - 1, 0);
        request[n > 0 ? n : 0] = '\0';
        atomic_fetch_add(&wrong, strstr(request, "Authorization: Digest") != NULL);
        (void)!send(visitor, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
        close(visitor);
    }
    return NULL;
}

static void set_up(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(a);
    struct kt_error err = { "" };
    listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    getsockname(listener, (struct sockaddr *)&a, &size);
    snprintf(url, sizeof(url), "http://ronda:salah@127.0.0.1:%d/", ntohs(a.sin_port));
    atomic_store(&wrong, 0);
    atomic_store(&stop, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, camera_main, NULL), 0);
    ck_assert_int_eq(kt_snapshots_create(&snapshots, &err), 0);
}

static void tear_down(void)
{
    kt_snapshots_destroy(&snapshots);
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    close(listener);
}

static kt_snapshot *add(void)
{
    const struct kt_snapshot_params params = { .name = "pos", .url = url, .allow = KT_NET_ALLOW_ALL };
    struct kt_error err = { "" };
    kt_snapshot *snapshot = NULL;
    ck_assert_int_eq(kt_snapshots_add(snapshots, &snapshot, &params, &err), 0);
    return snapshot;
}

static void ask(kt_snapshot *snapshot, int heard)
{
    struct kt_error err = { "" };
    kt_snapshot_want(snapshot);
    ck_assert_int_eq(kt_snapshot_wait(snapshot, 20 * KT_SECOND_US, &err), -EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "refuses this user name"));
    ck_assert_int_eq(atomic_load(&wrong), heard);
}

START_TEST(a_refused_password_is_tried_again_like_a_stream_but_not_until_the_account_is_locked)
{
    for (unsigned random = 0; random < 2000; random++) {
        const int64_t soon = kt_snapshot_wait_us(_i, random);
        if (_i < KT_SNAPSHOT_REFUSALS)
            ck_assert(soon >= 30 * KT_SECOND_US && soon <= 60 * KT_SECOND_US);
        else
            ck_assert_int_ge(soon, 1800 * KT_SECOND_US);
    }
    ck_assert_int_ne(kt_snapshot_wait_us(_i, 1), kt_snapshot_wait_us(_i, 2));
}
END_TEST

START_TEST(what_is_wanted_too_early_is_not_asked_for)
{
    kt_snapshot *snapshot = add();
    ask(snapshot, 1);
    ask(snapshot, 1);
    kt_snapshots_remove(&snapshot);
}
END_TEST

START_TEST(who_changes_something_need_not_wait)
{
    kt_snapshot *snapshot = add();
    ask(snapshot, 1);
    kt_snapshots_hurry(snapshots);              /* SIGHUP */
    ask(snapshot, 2);
    kt_snapshots_remove(&snapshot);
    snapshot = add();                           /* a camera whose settings changed starts anew */
    ask(snapshot, 3);
    kt_snapshots_remove(&snapshot);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("snapshots");
    TCase *tc = tcase_create("snapshots");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, a_refused_password_is_tried_again_like_a_stream_but_not_until_the_account_is_locked, 0, 6);
    tcase_add_test(tc, what_is_wanted_too_early_is_not_asked_for);
    tcase_add_test(tc, who_changes_something_need_not_wait);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

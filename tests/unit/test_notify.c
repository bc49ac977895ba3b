#include "server/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/run_suite.h"

static int fd;
static char name[64];

static void listen_at(const char *address, size_t n)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    memcpy(un.sun_path, address, n);
    if (un.sun_path[0] == '@')
        un.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)), 0);
    setenv("NOTIFY_SOCKET", address, 1);
}

static void expect(const char *text)
{
    char got[128];
    const ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    ck_assert_int_gt(n, 0);
    got[n] = '\0';
    ck_assert_str_eq(got, text);
}

START_TEST(systemd_hears_it_on_a_path_and_in_the_abstract_namespace)
{
    snprintf(name, sizeof(name), "%s/kt-notify-%d", _i ? "@" : "/tmp", (int)getpid());
    listen_at(name, strlen(name));
    ck_assert_int_eq(kt_notify("READY=1\nSTATUS=40 cameras"), 0);
    expect("READY=1\nSTATUS=40 cameras");
    close(fd);
    if (!_i)
        unlink(name);
}
END_TEST

START_TEST(without_systemd_nothing_happens)
{
    unsetenv("NOTIFY_SOCKET");
    ck_assert_int_eq(kt_notify("READY=1"), 0);
    setenv("NOTIFY_SOCKET", "relative", 1);
    ck_assert_int_eq(kt_notify("READY=1"), -EINVAL);
    setenv("NOTIFY_SOCKET", "/tmp/kt-notify-nobody", 1);
    ck_assert_int_eq(kt_notify("READY=1"), -ENOENT);
}
END_TEST

START_TEST(the_watchdog_is_fed_twice_as_often_as_asked)
{
    char pid[16];
    unsetenv("WATCHDOG_USEC");
    ck_assert_int_eq(kt_notify_watchdog_us(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    ck_assert_int_eq(kt_notify_watchdog_us(), 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    ck_assert_int_eq(kt_notify_watchdog_us(), 15000000);
    setenv("WATCHDOG_USEC", "-5", 1);
    ck_assert_int_eq(kt_notify_watchdog_us(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tc = tcase_create("notify");
    tcase_add_loop_test(tc, systemd_hears_it_on_a_path_and_in_the_abstract_namespace, 0, 2);
    tcase_add_test(tc, without_systemd_nothing_happens);
    tcase_add_test(tc, the_watchdog_is_fed_twice_as_often_as_asked);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

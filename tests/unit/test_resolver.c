/* Host names, and name servers that hang: this program has a getaddrinfo() of its own. */
#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "decoders/ingest/resolver.h"
#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;                  /* the hanging name server answers again */
    int asked, hanging;
} dns = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* As in the C library: in poll(2), and with no lock that others need. */
static void wait_for_answer(void)
{
    bool open = false;
    while (!open) {
        (void)poll(NULL, 0, 10);
        pthread_mutex_lock(&dns.lock);
        open = dns.open;
        pthread_mutex_unlock(&dns.lock);
    }
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (hints->ai_flags & AI_NUMERICHOST)
        return real(host, port, hints, out);
    const bool hangs = strncmp(host, "hangs", 5) == 0;
    pthread_mutex_lock(&dns.lock);
    dns.asked++;
    dns.hanging += hangs;
    pthread_cond_broadcast(&dns.changed);
    pthread_mutex_unlock(&dns.lock);
    if (hangs)
        wait_for_answer();
    return strcmp(host, "unknown") == 0 ? EAI_NONAME : real("192.0.2.7", port, hints, out);
}

static int wake_fd;
static kt_resolver *resolver;

static void setup(void)
{
    dns.open = false;
    dns.asked = dns.hanging = 0;
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ck_assert_int_ge(wake_fd, 0);
    ck_assert_int_eq(kt_resolver_create(&resolver, wake_fd), 0);
}

static void answer_all(void)
{
    pthread_mutex_lock(&dns.lock);
    dns.open = true;
    pthread_cond_broadcast(&dns.changed);
    pthread_mutex_unlock(&dns.lock);
}

static void teardown(void)
{
    answer_all();
    kt_resolver_destroy(&resolver);
    kt_closep(&wake_fd);
}

static kt_lookup *ask(const char *host)
{
    kt_lookup *lookup = NULL;
    ck_assert_int_eq(kt_resolver_start(resolver, &lookup, host, "554"), 0);
    return lookup;
}

static int answer(kt_lookup *lookup, int wait_ms)
{
    struct kt_address address[KT_RESOLVER_ADDRESSES];
    const int64_t until = kt_clock_mono_us() + wait_ms * INT64_C(1000);
    int n;
    while ((n = kt_resolver_result(resolver, lookup, address)) == 0 && kt_clock_mono_us() < until) {
        struct pollfd fd = { .fd = wake_fd, .events = POLLIN };
        uint64_t count;
        (void)poll(&fd, 1, 20);
        (void)!read(wake_fd, &count, sizeof(count));
    }
    if (n > 0) {
        ck_assert_int_eq(address[0].address.ss_family, AF_INET);
        ck_assert_int_eq(ntohs(((struct sockaddr_in *)&address[0].address)->sin_port), 554);
    }
    return n;
}

START_TEST(a_name_is_found_or_said_to_be_unknown)
{
    kt_lookup *known = ask("gerbang.example"), *unknown = ask("unknown");
    ck_assert_int_eq(answer(known, 5000), 1);
    ck_assert_int_eq(answer(unknown, 5000), -EHOSTUNREACH);
    kt_resolver_cancel(resolver, &known);
    kt_resolver_cancel(resolver, &unknown);
}
END_TEST

START_TEST(a_name_whose_server_hangs_holds_up_no_other)
{
    kt_lookup *hangs[KT_RESOLVER_THREADS - 1];
    char host[16];
    for (size_t i = 0; i < KT_ARRAY_SIZE(hangs); i++) {
        snprintf(host, sizeof(host), "hangs%zu", i);
        hangs[i] = ask(host);
    }
    for (int i = 0; i < 20; i++) {
        kt_lookup *good = ask("gerbang.example");
        ck_assert_int_eq(answer(good, 5000), 1);
        kt_resolver_cancel(resolver, &good);
    }
    for (size_t i = 0; i < KT_ARRAY_SIZE(hangs); i++)
        ck_assert_int_eq(answer(hangs[i], 0), 0);
    answer_all();
    for (size_t i = 0; i < KT_ARRAY_SIZE(hangs); i++) {
        ck_assert_int_eq(answer(hangs[i], 5000), 1);
        kt_resolver_cancel(resolver, &hangs[i]);
    }
}
END_TEST

START_TEST(a_name_that_hangs_takes_one_thread_however_often_it_is_asked)
{
    /* Main and sub-stream of a camera, and every attempt to reconnect. */
    for (int i = 0; i < 3 * KT_RESOLVER_THREADS; i++) {
        kt_lookup *given_up = ask("hangs");
        kt_resolver_cancel(resolver, &given_up);
    }
    kt_lookup *good = ask("gerbang.example"), *last = ask("hangs");
    ck_assert_int_eq(answer(good, 5000), 1);
    pthread_mutex_lock(&dns.lock);
    ck_assert_int_le(dns.hanging, 1);
    pthread_mutex_unlock(&dns.lock);
    answer_all();
    ck_assert_int_eq(answer(last, 5000), 1);
    kt_resolver_cancel(resolver, &good);
    kt_resolver_cancel(resolver, &last);
}
END_TEST

START_TEST(more_names_than_threads_are_found_in_turn)
{
    kt_lookup *lookup[3 * KT_RESOLVER_THREADS];
    char host[16];
    for (size_t i = 0; i < KT_ARRAY_SIZE(lookup); i++) {
        snprintf(host, sizeof(host), "%s%zu", i % 2 ? "hangs" : "cam", i);
        lookup[i] = ask(host);
    }
    answer_all();
    for (size_t i = 0; i < KT_ARRAY_SIZE(lookup); i++) {
        ck_assert_int_eq(answer(lookup[i], 5000), 1);
        kt_resolver_cancel(resolver, &lookup[i]);
    }
}
END_TEST

START_TEST(the_end_waits_for_no_name_server)
{
    kt_lookup *hangs = ask("hangs"), *waits = ask("hangs2"), *again = ask("hangs");
    pthread_mutex_lock(&dns.lock);
    while (dns.hanging < 2)
        pthread_cond_wait(&dns.changed, &dns.lock);
    pthread_mutex_unlock(&dns.lock);
    kt_resolver_cancel(resolver, &hangs);
    kt_resolver_cancel(resolver, &waits);
    kt_resolver_cancel(resolver, &again);
    kt_resolver_destroy(&resolver);     /* the test's time limit says whether it waits */
    pthread_mutex_lock(&dns.lock);
    ck_assert(!dns.open);
    pthread_mutex_unlock(&dns.lock);
}
END_TEST

START_TEST(who_waits_for_a_name_can_be_called_off)
{
    struct kt_address found[KT_RESOLVER_ADDRESSES];
    const int cancel_fd = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_eq(kt_resolver_look_up("192.0.2.9", "554", -1, found), 1);
    ck_assert_int_eq(kt_resolver_look_up("gerbang.example", "554", cancel_fd, found), 1);
    ck_assert_int_eq(kt_resolver_look_up("unknown", "554", cancel_fd, found), -EHOSTUNREACH);
    ck_assert_int_eq(eventfd_write(cancel_fd, 1), 0);
    ck_assert_int_eq(kt_resolver_look_up("hangs", "554", cancel_fd, found), -ECANCELED);
    pthread_mutex_lock(&dns.lock);
    ck_assert(!dns.open);
    pthread_mutex_unlock(&dns.lock);
    close(cancel_fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolver");
    TCase *tc = tcase_create("resolver");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_name_is_found_or_said_to_be_unknown);
    tcase_add_test(tc, a_name_whose_server_hangs_holds_up_no_other);
    tcase_add_test(tc, a_name_that_hangs_takes_one_thread_however_often_it_is_asked);
    tcase_add_test(tc, more_names_than_threads_are_found_in_turn);
    tcase_add_test(tc, the_end_waits_for_no_name_server);
    tcase_add_test(tc, who_waits_for_a_name_can_be_called_off);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

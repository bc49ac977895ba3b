/* kill -9 of the process that writes: what it was told is on disk must be there afterwards.
 * 200 cycles, or KT_KILL_CYCLES. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

#define STREAMS 40

struct shared {
    volatile int pushed, acked;         /* frames of each stream, ever */
    volatile int64_t pushed_us, started;/* real time of the last frame; the ring is open */
};

static struct shared *shared;
static kt_ring *ring;
static struct kit_feed feed[STREAMS];

static struct kt_ring_params params(void)
{
    struct kt_ring_params p = kit_params();
    p.size_bytes = 64 * MIB;
    p.slab_bytes = 4 * MIB;
    return p;
}

static void open_ring(void)
{
    const struct kt_ring_params p = params();
    struct kt_error err = { "" };
    ck_assert_msg(kt_ring_open(&ring, &p, &err) == 0, "%s", err.text);
    for (int i = 0; i < STREAMS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d/main", i);
        feed[i] = kit_feed(ring, name, (size_t)(200 + i * 10));
    }
}

static void close_ring(void)
{
    for (int i = 0; i < STREAMS; i++)
        kt_init_unref(&feed[i].init);
    kt_ring_close(&ring);
}

static void push_all(void)
{
    for (int i = 0; i < STREAMS; i++)
        (void)kit_push(&feed[i]);
    shared->pushed = feed[0].frame;
    shared->pushed_us = kt_clock_mono_us();
}

/* Check notes each assertion in a file that a child shares: a kill would leave half a note there. */
static void leave_files_of_parent(void)
{
    const int null = open("/dev/null", O_RDWR);
    for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
        if (fd != null && fcntl(fd, F_GETFD) >= 0)
            (void)dup2(null, fd);
}

/* Never returns: the parent kills it. PACE_US > 0: as a camera would, leaving commits to the ring. */
static void write_until_killed(int cycle, int64_t pace_us)
{
    open_ring();
    for (int i = 0; i < STREAMS; i++) {
        feed[i].run = (uint64_t)cycle + 1;
        feed[i].frame = shared->pushed;
    }
    shared->started = 1;
    for (;;) {
        push_all();
        if (pace_us > 0)
            usleep((useconds_t)pace_us);
        else if (feed[0].frame % 3 == 0 && kt_ring_flush(ring, 10 * KT_SECOND_US) == 0)
            shared->acked = feed[0].frame;
    }
}

/* Frames of stream I from frame FROM on; every one of them right. */
static int count(int i, int from)
{
    return kit_verify(&feed[i], T0 + from * FRAME_US, INT64_MAX);
}

static void kill_after(int cycle, int64_t pace_us, unsigned us)
{
    shared->started = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        leave_files_of_parent();
        write_until_killed(cycle, pace_us);
    }
    while (!shared->started)
        usleep(500);
    usleep(us);
    kill(pid, SIGKILL);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status), "the writer failed before it was killed");
}

static void setup(void)
{
    kit_setup();
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
}

static void teardown(void)
{
    munmap(shared, sizeof(*shared));
    kit_teardown();
}

/* The next multiple of a GOP: a run begins with a key frame. */
static int begin_cycle(void)
{
    const int begin = (shared->pushed + GOP - 1) / GOP * GOP;
    shared->pushed = shared->acked = begin;
    return begin;
}

START_TEST(what_was_acknowledged_survives)
{
    const char *more = getenv("KT_KILL_CYCLES");
    const int cycles = more ? atoi(more) : 200;
    int64_t longest = 0;
    srandom(7);
    for (int cycle = 0; cycle < cycles; cycle++) {
        const int begin = begin_cycle();
        kill_after(cycle, 0, (unsigned)(random() % 60000));
        const int64_t start = kt_clock_mono_us();
        open_ring();
        const int64_t took = kt_clock_mono_us() - start;
        longest = took > longest ? took : longest;
        for (int i = 0; i < STREAMS; i++)
            ck_assert_msg(count(i, begin) >= shared->acked - begin,
                          "cycle %d, stream %d: %d frames of %d are left", cycle, i, count(i, begin),
                          shared->acked - begin);
        close_ring();
    }
    printf("%d kills, longest start %.3f s\n", cycles, (double)longest / 1e6);
    ck_assert_int_lt(longest, 10 * KT_SECOND_US);
}
END_TEST

START_TEST(at_most_two_seconds_are_lost)
{
    double worst = 0;
    srandom(9);
    for (int cycle = 0; cycle < 6; cycle++) {
        const int begin = begin_cycle();
        kill_after(cycle, 50000, 2000000 + (unsigned)(random() % 1000000));
        open_ring();
        for (int i = 0; i < STREAMS; i++) {
            const double lost = (shared->pushed - begin - count(i, begin)) * 0.05;
            worst = lost > worst ? lost : worst;
        }
        close_ring();
    }
    printf("worst loss %.2f s\n", worst);
    ck_assert_double_le(worst, 2.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kill");
    TCase *t = tcase_create("kill");
    tcase_set_timeout(t, getenv("KT_KILL_CYCLES") ? 3600 : 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_was_acknowledged_survives);
    tcase_add_test(t, at_most_two_seconds_are_lost);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

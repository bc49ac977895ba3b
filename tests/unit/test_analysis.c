/* The pool of workers: packets of a real encoder in, and what is left behind for the next start. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/analysis.h"
#include "server/base/clock.h"

#include "tests/unit/encode.h"
#include "tests/unit/run_suite.h"

#define FRAMES 120                  /* fewer than a queue holds */
#define FPS 10

static char dir[] = "/tmp/kt-analysis-XXXXXX", file[64];
static struct kt_test_clip clip;

static void setup(void)
{
    strcpy(dir, "/tmp/kt-analysis-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(file, sizeof(file), "%s/places/cam", dir);
    kt_test_encode(&clip, "libx264", 320, 176, 1, FPS, 10, 0);
}

static void teardown(void)
{
    char command[96];
    kt_test_free(&clip);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static kt_analysis *create(void)
{
    char places[64];
    kt_analysis *pool = NULL;
    snprintf(places, sizeof(places), "%s/places", dir);
    ck_assert_int_eq(kt_analysis_create(&pool, 1, places), 0);
    return pool;
}

/* All packets through a camera of the pool, which is then removed. */
static void run_camera(kt_analysis *pool, struct kt_analysis_status *status)
{
    kt_analysis_camera *c = NULL;
    struct kt_error err = { "" };
    const struct kt_analyzer_params params = { .mode = KT_ANALYZE_FULL };
    ck_assert_msg(kt_analysis_add(pool, &c, "cam", &params, &err) == 0, "%s", err.text);
    kt_analysis_format(c, clip.par, (AVRational){ 1, 90000 });
    for (int i = 0; i < FRAMES; i++) {          /* a camera that shows one thing, in key frames */
        clip.pkt[0]->pts = clip.pkt[0]->dts = i * 90000 / FPS;
        kt_analysis_packet(c, clip.pkt[0], INT64_C(1700000000000000) + i * KT_SECOND_US / FPS);
    }
    for (int i = 0; i < 1000; i++) {
        kt_analysis_status(c, status);
        if (status->analyzer.packets >= FRAMES)
            break;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    kt_analysis_remove(&c);
}

START_TEST(a_camera_leaves_its_place_for_the_next_start)
{
    struct kt_analysis_status status;
    struct stat st;
    kt_analysis *pool = create();
    run_camera(pool, &status);
    ck_assert_int_eq((int)status.load, KT_LOAD_NORMAL);
    ck_assert_int_eq((int)status.refused, 0);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    ck_assert_int_ge(st.st_size, 320 * 176 * 2);
    kt_analysis_destroy(&pool);

    const ino_t before = st.st_ino;
    pool = create();                            /* the folder is there already */
    run_camera(pool, &status);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert(st.st_ino != before);             /* replaced as a whole */
    kt_analysis_forget(pool, "cam");
    ck_assert(stat(file, &st) < 0 && errno == ENOENT);
    kt_analysis_forget(pool, "cam");            /* nothing to forget is no error */
    kt_analysis_destroy(&pool);
}
END_TEST

START_TEST(a_damaged_place_costs_nothing_but_itself)
{
    struct kt_analysis_status status;
    struct stat st;
    kt_analysis *pool = create();
    const int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "KTPLACE1 and then nonsense", 26), 26);
    close(fd);
    run_camera(pool, &status);
    ck_assert_int_ge((int)status.analyzer.decoded, FRAMES - 20);
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_gt(st.st_size, 26);           /* a good one again */
    kt_analysis_destroy(&pool);
}
END_TEST

START_TEST(without_a_folder_it_works_all_the_same)
{
    struct kt_analysis_status status;
    kt_analysis *pool = NULL;
    ck_assert_int_eq(kt_analysis_create(&pool, 1, "/proc/nowhere"), 0);
    run_camera(pool, &status);
    ck_assert_int_ge((int)status.analyzer.decoded, FRAMES - 20);
    kt_analysis_destroy(&pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("analysis");
    TCase *tc = tcase_create("analysis");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, a_camera_leaves_its_place_for_the_next_start);
    tcase_add_test(tc, a_damaged_place_costs_nothing_but_itself);
    tcase_add_test(tc, without_a_folder_it_works_all_the_same);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

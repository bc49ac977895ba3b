/* More cameras than the machine can look at: the pool of workers gives way, fairly, and packets are never waited for. */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "server/analysis.h"
#include "server/base/clock.h"

#include "tests/unit/encode.h"
#include "tests/unit/run_suite.h"

static struct kt_test_clip clip;

/* A machine so slow that even one picture of each camera takes longer than they may wait. */
struct slow {
    kt_analysis_camera *camera;
    _Atomic int pictures;
    _Atomic bool quick;
    bool was_over;                      /* it was down to the lowest level */
};

static void on_boxes(void *user, const struct kt_box *boxes, int n, int source_w, int source_h, int64_t wall_us)
{
    struct slow *s = user;
    s->pictures++;
    if (!s->quick)
        nanosleep(&(struct timespec){ .tv_sec = 2, .tv_nsec = 400000000 }, NULL);
}

#define SLOW_CAMERAS 2

/* A second's packet to each camera. Have all been down to the lowest level? */
static bool feed(struct slow *slow, int i)
{
    bool all = true;
    nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
    for (int k = 0; k < SLOW_CAMERAS; k++) {
        struct kt_analysis_status status;
        clip.pkt[0]->pts = clip.pkt[0]->dts = i * INT64_C(90000);
        kt_analysis_packet(slow[k].camera, clip.pkt[0], INT64_C(1700000000000000) + i * KT_SECOND_US);
        kt_analysis_status(slow[k].camera, &status);
        slow[k].was_over |= status.load == KT_LOAD_OVER;
        all = all && slow[k].was_over;
    }
    return all;
}

START_TEST(where_key_frames_alone_are_too_many_each_camera_is_looked_at_now_and_then)
{
    struct slow slow[SLOW_CAMERAS] = { 0 };
    struct kt_analysis_status status[SLOW_CAMERAS];
    kt_analysis *pool = NULL;
    int i = 0;
    kt_test_encode(&clip, "libx264", 320, 176, 1, 10, 10, 0);
    ck_assert_int_eq(kt_analysis_create(&pool, 1, NULL), 0);
    for (int k = 0; k < SLOW_CAMERAS; k++) {
        struct kt_error err = { "" };
        char name[8];
        snprintf(name, sizeof(name), "cam%d", k);
        const struct kt_analyzer_params params = { .mode = KT_ANALYZE_FULL, .user = &slow[k], .on_boxes = on_boxes };
        ck_assert_msg(kt_analysis_add(pool, &slow[k].camera, name, &params, &err) == 0, "%s", err.text);
        kt_analysis_format(slow[k].camera, clip.par, (AVRational){ 1, 90000 });
    }
    while (!feed(slow, i))              /* packets are taken all the while: nobody waits for a worker */
        ck_assert_int_lt(++i, 200);
    int before[SLOW_CAMERAS];
    for (int k = 0; k < SLOW_CAMERAS; k++) {
        kt_analysis_status(slow[k].camera, &status[k]);
        ck_assert_int_eq(status[k].analyzer.mode, KT_ANALYZE_KEYFRAMES);
        ck_assert_int_gt((int)status[k].refused, 0);
        before[k] = slow[k].pictures;
        slow[k].quick = true;
    }
    const int from = i;
    while (slow[0].pictures == before[0] || slow[1].pictures == before[1]) {   /* neither is forgotten */
        feed(slow, ++i);
        ck_assert_int_lt(i - from, 200);
    }
    for (int k = 0; k < SLOW_CAMERAS; k++)
        kt_analysis_remove(&slow[k].camera);
    kt_analysis_destroy(&pool);
    kt_test_free(&clip);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slow_machine");
    TCase *tc = tcase_create("analysis");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, where_key_frames_alone_are_too_many_each_camera_is_looked_at_now_and_then);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

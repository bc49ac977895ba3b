/* What is kept around events: whole groups of pictures, once, from before the event to after it. */
#include <sys/stat.h>

#include "server/clips.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

#define LONG_GOP (40 * FPS)             /* a "smart" camera's key frame comes every 40 s */
#define SECOND(n) (t0 + (n) * KT_SECOND_US)

static kt_ring *from, *to;
static kt_clips *clips;
static struct kit_feed feed;
static int64_t t0;                      /* two minutes ago: copying waits for what is to come */

static kt_ring *open_in(const char *name)
{
    char path[96];
    kt_ring *ring = NULL;
    struct kt_error err = { "" };
    struct kt_ring_params p = kit_params();
    snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
    p.path = path;
    ck_assert_msg(kt_ring_open(&ring, &p, &err) == 0, "%s", err.text);
    return ring;
}

static void setup(void)
{
    kit_setup();
    from = open_in("video");
    to = open_in("clips");
    t0 = (kt_clock_wall_us() - 120 * KT_SECOND_US) / FRAME_US * FRAME_US;
    feed = kit_feed(from, "a/main", 700);
    feed.start_us = t0;
}

static void teardown(void)
{
    kt_clips_destroy(&clips);
    kt_init_unref(&feed.init);
    kt_ring_close(&from);
    kt_ring_close(&to);
    kit_teardown();
}

/* SECONDS of video with a key frame every GOP_FRAMES. */
static void record(int seconds, int gop_frames)
{
    for (int i = 0; i < seconds * FPS; i++) {
        struct kt_chunk *chunk = NULL;
        const struct kt_chunk meta = {
            .init = feed.init, .run = 1, .wall_us = t0 + feed.frame * FRAME_US, .size = feed.size,
            .dts_90k = (int64_t)feed.frame * FRAME_90K, .duration_90k = FRAME_90K,
            .flags = feed.frame % gop_frames == 0 ? KT_CHUNK_KEY : 0,
        };
        ck_assert_int_eq(kt_chunk_create(&chunk, &meta), 0);
        for (size_t k = 0; k < feed.size; k++)
            kt_chunk_bytes(chunk)[k] = kit_byte(feed.seed, meta.wall_us / FRAME_US, k);
        ck_assert_int_eq(kt_ring_append(from, feed.stream, chunk), 0);
        kt_chunk_unref(&chunk);
        feed.frame++;
    }
    kit_flush(from);
}

/* Only now: it copies in rounds of 2 s, and must not find an event half told. */
static void start(void)
{
    ck_assert_int_eq(kt_clips_create(&clips, &(struct kt_clips_params){ .to = to }), 0);
}

/* What was kept: its first and last moment; each byte right, nothing twice. Returns frames. */
static int kept(int64_t *first_us, int64_t *last_us)
{
    struct kit_feed f = feed;
    struct kt_record *rec = NULL;
    size_t n = 0;
    kt_clips_destroy(&clips);           /* copies what is due */
    kit_flush(to);
    if (kt_ring_find_stream(to, "a/main", &f.stream) < 0)
        return 0;
    f.ring = to;
    ck_assert_int_eq(kt_ring_query(to, f.stream, 0, INT64_MAX, SIZE_MAX, &rec, &n), 0);
    if (n == 0)
        return 0;
    ck_assert(rec[0].flags & KT_RECORD_KEY);
    for (size_t i = 1; i < n; i++)
        ck_assert_int_ge(rec[i].start_us, rec[i - 1].end_us - 1);
    *first_us = rec[0].start_us;
    *last_us = rec[n - 1].end_us;
    free(rec);
    return kit_verify(&f, 0, INT64_MAX);
}

START_TEST(a_long_gop_never_loses_the_start_of_an_event)
{
    int64_t first, last;
    record(100, LONG_GOP);
    start();
    ck_assert_int_eq(kt_clips_begin(clips, from, "a/main", SECOND(75)), 0);
    kt_clips_end(clips, "a/main", SECOND(77));
    const int frames = kept(&first, &last);
    ck_assert_int_eq(first, SECOND(40));                        /* 5 s before is inside that GOP */
    ck_assert_int_ge(last, SECOND(87));                         /* 10 s after it */
    ck_assert_int_le(last, SECOND(89));
    ck_assert_int_eq(frames, (last - first) / FRAME_US);        /* nothing is missing in between */
}
END_TEST

START_TEST(events_that_overlap_are_kept_once)
{
    int64_t first, last;
    record(100, 2 * FPS);
    start();
    ck_assert_int_eq(kt_clips_begin(clips, from, "a/main", SECOND(20)), 0);
    ck_assert_int_eq(kt_clips_begin(clips, from, "a/main", SECOND(25)), 0);
    kt_clips_end(clips, "a/main", SECOND(30));
    ck_assert_int_eq(kt_clips_begin(clips, from, "a/main", SECOND(35)), 0);
    kt_clips_end(clips, "a/main", SECOND(40));
    kt_clips_end(clips, "a/main", SECOND(42));
    const int frames = kept(&first, &last);
    ck_assert(first >= SECOND(13) && first <= SECOND(15));
    ck_assert(last >= SECOND(52) && last <= SECOND(54));
    ck_assert_int_eq(frames, (last - first) / FRAME_US);
}
END_TEST

START_TEST(an_event_without_video_keeps_nothing)
{
    int64_t first, last;
    record(20, 2 * FPS);
    start();
    ck_assert_int_eq(kt_clips_begin(clips, from, "b/main", SECOND(20)), 0);
    kt_clips_end(clips, "b/main", SECOND(30));
    kt_clips_end(clips, "c/main", SECOND(30));                  /* never begun */
    ck_assert_int_eq(kt_clips_begin(clips, from, "a/main", SECOND(100)), 0);
    kt_clips_end(clips, "a/main", SECOND(101));
    ck_assert_int_eq(kept(&first, &last), 0);
}
END_TEST

/* As after a kill: some of the event is in the ring of events, nobody remembers how much. */
START_TEST(what_a_crash_left_uncopied_is_copied_at_the_next_start)
{
    int64_t first, last;
    record(100, 2 * FPS);
    start();
    ck_assert_int_eq(kt_clips_begin(clips, from, "a/main", SECOND(30)), 0);
    kt_clips_end(clips, "a/main", SECOND(35));
    (void)kept(&first, &last);
    ck_assert_int_lt(last, SECOND(50));
    start();
    ck_assert_int_eq(kt_clips_resume(clips, from, "a/main", SECOND(60), SECOND(62)), 0);
    ck_assert_int_eq(kt_clips_resume(clips, from, "a/main", SECOND(30), SECOND(70)), 0);
    const int frames = kept(&first, &last);
    ck_assert(first >= SECOND(23) && first <= SECOND(25));
    ck_assert(last >= SECOND(80) && last <= SECOND(82));
    ck_assert_int_eq(frames, (last - first) / FRAME_US);        /* nothing is missing, nothing twice */
    start();                                                    /* killed again, with all of it copied */
    ck_assert_int_eq(kt_clips_resume(clips, from, "a/main", SECOND(30), SECOND(70)), 0);
    ck_assert_int_eq(kept(&first, &last), frames);
}
END_TEST

START_TEST(of_a_very_long_event_the_last_ten_minutes_are_taken_up)
{
    int64_t first, last;
    t0 -= 800 * KT_SECOND_US;
    record(900, 2 * FPS);
    start();
    ck_assert_int_eq(kt_clips_resume(clips, from, "a/main", SECOND(1), SECOND(850)), 0);
    (void)kept(&first, &last);
    ck_assert(first >= SECOND(247) && first <= SECOND(250));
    ck_assert(last >= SECOND(860));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clips");
    TCase *t = tcase_create("clips");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_long_gop_never_loses_the_start_of_an_event);
    tcase_add_test(t, events_that_overlap_are_kept_once);
    tcase_add_test(t, an_event_without_video_keeps_nothing);
    tcase_add_test(t, what_a_crash_left_uncopied_is_copied_at_the_next_start);
    tcase_add_test(t, of_a_very_long_event_the_last_ten_minutes_are_taken_up);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

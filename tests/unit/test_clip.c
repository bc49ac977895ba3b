#include "storage/ring/clip.h"

#include <errno.h>
#include <fcntl.h>

#include "tests/unit/footage_ring.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

static kt_ring *ring;
static uint32_t stream;
static char small_mp4[96], large_mp4[96], out_mp4[96];

/* Another picture size is another set of parameters, sent with each key frame as cameras do. */
static void make_large(void)
{
    char command[512];
    snprintf(command, sizeof(command), "ffmpeg -nostdin -v error -y -i %s -vf scale=320:192 -c:v libx264"
             " -preset ultrafast -g 10 -bf 0 -bsf:v dump_extra -video_track_timescale 90000"
             " -movflags frag_every_frame+empty_moov+default_base_moof %s", small_mp4, large_mp4);
    ck_assert_int_eq(system(command), 0);
}

static void setup(void)
{
    kit_setup();
    snprintf(small_mp4, sizeof(small_mp4), "%s.small.mp4", kit_dir);
    snprintf(large_mp4, sizeof(large_mp4), "%s.large.mp4", kit_dir);
    snprintf(out_mp4, sizeof(out_mp4), "%s.out.mp4", kit_dir);
    kt_footage_make(small_mp4, 8);
    ring = kit_open();
    kt_footage_append(ring, "a/main", small_mp4, 5, T0);
    kit_flush(ring);
    ck_assert_int_eq(kt_ring_find_stream(ring, "a/main", &stream), 0);
}

static void teardown(void)
{
    kt_ring_close(&ring);
    kit_teardown();
    (void)unlink(small_mp4);
    (void)unlink(large_mp4);
    (void)unlink(out_mp4);
}

static int64_t sec(double s)
{
    return T0 + (int64_t)(s * KT_SECOND_US);
}

static kt_clip *open_clip(double from, double to)
{
    kt_clip *clip = NULL;
    ck_assert_int_eq(kt_clip_open(&clip, ring, stream, sec(from), sec(to)), 0);
    return clip;
}

/* Everything, read in steps of STEP bytes. */
static uint8_t *read_all(kt_clip *clip, size_t step)
{
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    uint8_t *data = malloc(info.size + 1);
    uint64_t at = 0;
    while (at < info.size) {
        const ssize_t n = kt_clip_read(clip, at, data + at, step < info.size - at ? step : info.size - at);
        ck_assert_int_gt(n, 0);
        at += (uint64_t)n;
    }
    ck_assert_int_eq(kt_clip_read(clip, at, data, 1), 0);
    return data;
}

static void save(kt_clip *clip)
{
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    uint8_t *data = read_all(clip, 1 << 16);
    FILE *f = fopen(out_mp4, "wb");
    ck_assert_uint_eq(fwrite(data, 1, info.size, f), info.size);
    fclose(f);
    free(data);
}

/* What ffprobe or ffmpeg says about the saved clip, as a number. */
static double ask(const char *before, const char *after)
{
    char command[512];
    double value = -1;
    snprintf(command, sizeof(command), "%s %s %s", before, out_mp4, after);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    if (fscanf(p, "%lf", &value) != 1)
        value = -1;
    pclose(p);
    return value;
}

static double frames(void)
{
    return ask("ffprobe -v error -count_frames -select_streams v:0 -show_entries stream=nb_read_frames"
               " -of csv=p=0", "");
}

/* Not decoded: a frame whose key frame is missing counts as well. */
static double packets(void)
{
    return ask("ffprobe -v error -count_packets -select_streams v:0 -show_entries stream=nb_read_packets"
               " -of csv=p=0", "");
}

static double start_time(void)
{
    return ask("ffprobe -v error -show_entries format=start_time -of csv=p=0", "");
}

static double last_pts(void)
{
    return ask("ffprobe -v error -select_streams v:0 -show_entries packet=pts_time -of csv=p=0",
               "| tail -n 1");
}

START_TEST(a_clip_plays_from_zero_with_every_frame)
{
    kt_clip *clip = open_clip(2, 5);
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    ck_assert_int_eq(info.start_us, sec(2));
    ck_assert_int_eq(info.end_us, sec(5));
    ck_assert_uint_eq(info.frames, 30);
    save(clip);
    kt_clip_close(&clip);
    ck_assert_double_eq_tol(start_time(), 0, 0.001);
    ck_assert_double_eq(frames(), 30);
    ck_assert_double_eq_tol(last_pts(), 2.9, 0.001);
}
END_TEST

START_TEST(it_starts_at_the_key_frame_and_ends_before_to)
{
    kt_clip *clip = open_clip(2.45, 3.55);
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    ck_assert_int_eq(info.start_us, sec(2));
    ck_assert_int_eq(info.end_us, sec(3.6));        /* the frame that starts at 3.5 is the last */
    ck_assert_uint_eq(info.frames, 16);
    save(clip);
    kt_clip_close(&clip);
    ck_assert_double_eq(frames(), 16);
    ck_assert_double_eq_tol(last_pts(), 1.5, 0.001);
}
END_TEST

START_TEST(bytes_do_not_depend_on_how_they_are_read)
{
    kt_clip *clip = open_clip(0, 8);
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    uint8_t *a = read_all(clip, 1 << 20), *b = read_all(clip, 977), piece[64];
    ck_assert_int_eq(memcmp(a, b, info.size), 0);
    for (uint64_t at = info.size - 64; at > 64; at -= at / 7 + 1) {
        ck_assert_int_eq(kt_clip_read(clip, at, piece, sizeof(piece)), sizeof(piece));
        ck_assert_int_eq(memcmp(piece, a + at, sizeof(piece)), 0);
    }
    free(a);
    free(b);
    kt_clip_close(&clip);
}
END_TEST

START_TEST(gaps_keep_their_length_across_runs_and_parameters)
{
    make_large();
    kt_footage_append(ring, "a/main", large_mp4, 6, sec(20));   /* 12 s later */
    kit_flush(ring);
    kt_clip *clip = open_clip(6, 23);
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    ck_assert_uint_eq(info.frames, 50);
    save(clip);
    kt_clip_close(&clip);
    ck_assert_double_eq_tol(start_time(), 0, 0.001);
    ck_assert_double_eq(frames(), 50);
    ck_assert_double_eq_tol(last_pts(), 16.9, 0.001);
    ck_assert_double_eq(ask("ffmpeg -nostdin -v error -i", "-f null - 2>&1 | wc -l"), 0);
    /* Both sample entries are in the table. */
    uint8_t *data;
    size_t size;
    data = kt_footage_read(out_mp4, &size);
    const uint8_t *stsd = memmem(data, size, "stsd", 4);
    ck_assert_uint_eq(kt_footage_be32(stsd + 8), 2);
    free(data);
}
END_TEST

/* Another ring beside the first, in a folder of its own. */
static kt_ring *open_beside(void)
{
    kt_ring *beside = NULL;
    struct kt_error err = { "" };
    struct kt_ring_params p = kit_params();
    char dir[80];
    snprintf(dir, sizeof(dir), "%s/beside", kit_dir);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    p.path = dir;
    ck_assert_msg(kt_ring_open(&beside, &p, &err) == 0, "%s", err.text);
    return beside;
}

START_TEST(what_one_ring_forgot_comes_from_the_next_with_no_frame_twice)
{
    /* The ring beside keeps seconds 0 to 8; of the first, which has the same run number, the stream
     * b/main begins 5.5 s later, in the middle of a record of the other. */
    kt_ring *beside = open_beside();
    uint32_t late, early;
    kt_footage_append(beside, "b/main", small_mp4, 5, sec(0));
    kit_flush(beside);
    kt_footage_append(ring, "b/main", small_mp4, 5, sec(5.5));
    kit_flush(ring);
    ck_assert_int_eq(kt_ring_find_stream(ring, "b/main", &late), 0);
    ck_assert_int_eq(kt_ring_find_stream(beside, "b/main", &early), 0);
    const struct kt_clip_source sources[] = { { ring, late }, { beside, early } };

    kt_clip *clip = NULL;
    struct kt_clip_info info;
    ck_assert_int_eq(kt_clip_open_sources(&clip, sources, 2, sec(0), sec(10)), 0);
    kt_clip_info(clip, &info);
    ck_assert(info.start_us == sec(0) && info.end_us == sec(10));
    ck_assert_uint_eq(info.frames, 55 + 45);
    save(clip);
    kt_clip_close(&clip);
    ck_assert_double_eq(frames(), 100);
    ck_assert_double_eq(start_time(), 0);
    ck_assert_double_eq_tol(last_pts(), 9.9, 1e-3);

    ck_assert_int_eq(kt_clip_open_sources(&clip, sources, 2, sec(6.5), sec(8)), 0);
    kt_clip_info(clip, &info);          /* all of it is in the first */
    ck_assert(info.start_us == sec(6.5) && info.frames == 15);
    kt_clip_close(&clip);
    ck_assert_int_eq(kt_clip_open_sources(&clip, sources, 2, sec(1), sec(2)), 0);
    kt_clip_info(clip, &info);          /* nothing of it */
    ck_assert(info.start_us == sec(1) && info.frames == 10);
    kt_clip_close(&clip);
    ck_assert_int_eq(kt_clip_open_sources(&clip, sources, 2, sec(20), sec(21)), -ENOENT);
    ck_assert_int_eq(kt_clip_open_sources(&clip, NULL, 0, sec(0), sec(1)), -ENOENT);
    kt_ring_close(&beside);
}
END_TEST

START_TEST(a_clip_of_nothing_is_not_there)
{
    kt_clip *clip = NULL;
    ck_assert_int_eq(kt_clip_open(&clip, ring, stream, sec(100), sec(110)), -ENOENT);
    ck_assert_int_eq(kt_clip_open(&clip, ring, stream, sec(5), sec(5)), -ENOENT);
    ck_assert_ptr_null(clip);
}
END_TEST

START_TEST(segments_join_to_what_was_recorded)
{
    struct kt_segment *seg = NULL;
    struct kt_init *init = NULL;
    size_t n = 0;
    kt_footage_append(ring, "a/main", small_mp4, 6, sec(9));
    kit_flush(ring);
    ck_assert_int_eq(kt_clip_segments(ring, stream, sec(0), sec(17), 3 * KT_SECOND_US, &seg, &n), 0);
    ck_assert_uint_eq(n, 6);            /* 3+3+2 in each run */
    ck_assert(!seg[0].discontinuity && !seg[1].discontinuity && seg[3].discontinuity);
    ck_assert_int_eq(seg[0].duration_us, 3 * KT_SECOND_US);
    ck_assert_int_eq(kt_ring_init(ring, seg[0].init, &init), 0);
    FILE *f = fopen(out_mp4, "wb");
    ck_assert_uint_eq(fwrite(init->data, 1, init->size, f), init->size);
    for (size_t i = 0; i < 3; i++) {
        kt_clip *clip = NULL;
        struct kt_clip_info info;
        ck_assert_int_eq(kt_clip_open_segment(&clip, ring, stream, seg[i].first_seq, seg[i].last_seq), 0);
        kt_clip_info(clip, &info);
        uint8_t *data = read_all(clip, 5000);
        ck_assert_uint_eq(fwrite(data, 1, info.size, f), info.size);
        free(data);
        kt_clip_close(&clip);
    }
    fclose(f);
    ck_assert_double_eq(frames(), 80);
    kt_init_unref(&init);
    free(seg);
}
END_TEST

START_TEST(a_damaged_record_is_refused_or_skipped_never_served)
{
    struct kt_record *rec = NULL;
    size_t n = 0;
    char name[KT_SLAB_NAME_SIZE], path[128];
    uint8_t byte, buf[65536];
    ck_assert_int_eq(kt_ring_query(ring, stream, sec(3), sec(4), 10, &rec, &n), 0);
    kt_slab_name(name, rec[0].slab);
    snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
    const int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)rec[0].offset + 200), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)rec[0].offset + 200), 1);
    close(fd);
    kt_clip *clip = open_clip(0, 8);
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    ssize_t got = 0;
    uint64_t at = 0;
    while (at < info.size && (got = kt_clip_read(clip, at, buf, sizeof(buf))) > 0)
        at += (uint64_t)got;
    ck_assert_int_eq(got, -EBADMSG);
    kt_clip_skip_damaged(clip);
    save(clip);
    kt_clip_info(clip, &info);
    ck_assert_uint_gt(info.damaged, 0);
    kt_clip_close(&clip);
    ck_assert_double_eq(packets(), 80 - rec[0].frames);
    free(rec);
}
END_TEST

START_TEST(a_clip_whose_slab_was_recycled_is_gone)
{
    kt_clip *clip = open_clip(0, 8);
    struct kit_feed b = kit_feed(ring, "b/main", 40000);
    for (int i = 0; i < 12; i++) {
        kit_push_n(&b, 30);
        kit_flush(ring);
    }
    uint8_t buf[4096];
    struct kt_clip_info info;
    kt_clip_info(clip, &info);
    ck_assert_int_eq(kt_clip_read(clip, info.size - 1, buf, 1), -ESTALE);
    kt_clip_close(&clip);
    kt_init_unref(&b.init);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clip");
    TCase *t = tcase_create("clip");
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_clip_plays_from_zero_with_every_frame);
    tcase_add_test(t, it_starts_at_the_key_frame_and_ends_before_to);
    tcase_add_test(t, bytes_do_not_depend_on_how_they_are_read);
    tcase_add_test(t, gaps_keep_their_length_across_runs_and_parameters);
    tcase_add_test(t, what_one_ring_forgot_comes_from_the_next_with_no_frame_twice);
    tcase_add_test(t, a_clip_of_nothing_is_not_there);
    tcase_add_test(t, segments_join_to_what_was_recorded);
    tcase_add_test(t, a_damaged_record_is_refused_or_skipped_never_served);
    tcase_add_test(t, a_clip_whose_slab_was_recycled_is_gone);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

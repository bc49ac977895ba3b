#include "tests/unit/ring_kit.h"

#include <errno.h>
#include <fcntl.h>

#include "storage/ring/check.h"
#include "tests/unit/run_suite.h"

static kt_ring *ring;

static void setup(void)
{
    kit_setup();
    ring = kit_open();
}

static void teardown(void)
{
    kt_ring_close(&ring);
    kit_teardown();
}

START_TEST(what_was_flushed_reads_back)
{
    struct kit_feed a = kit_feed(ring, "a/main", 2000), b = kit_feed(ring, "b/main", 900);
    for (int i = 0; i < 40; i++) {
        kit_push_n(&a, 1);
        kit_push_n(&b, 1);
    }
    kit_flush(ring);
    ck_assert_int_eq(kit_verify(&a, 0, INT64_MAX), 40);
    ck_assert_int_eq(kit_verify(&b, 0, INT64_MAX), 40);
    kt_init_unref(&a.init);
    kt_init_unref(&b.init);
}
END_TEST

START_TEST(everything_is_there_again_after_a_restart)
{
    struct kit_feed a = kit_feed(ring, "a/main", 2000), b = kit_feed(ring, "b/sub", 300);
    kit_push_n(&a, 100);
    kit_push_n(&b, 100);
    kt_ring_close(&ring);
    ring = kit_open();
    a.ring = b.ring = ring;
    ck_assert_int_eq(kit_verify(&a, 0, INT64_MAX), 100);
    ck_assert_int_eq(kit_verify(&b, 0, INT64_MAX), 100);
    uint32_t stream;
    ck_assert_int_eq(kt_ring_stream(ring, "b/sub", &stream), 0);
    ck_assert_uint_eq(stream, b.stream);
    ck_assert_int_eq(kt_ring_find_stream(ring, "c/sub", &stream), -ENOENT);
    struct kt_init *init = NULL;
    ck_assert_int_eq(kt_ring_init(ring, a.init->hash, &init), 0);
    ck_assert_mem_eq(init->data, a.init->data, a.init->size);
    ck_assert_str_eq(init->mime, a.init->mime);
    ck_assert_int_eq(init->width, 640);
    kt_init_unref(&init);
    kit_push_n(&a, 20);
    kit_flush(ring);
    ck_assert_int_eq(kit_verify(&a, 0, INT64_MAX), 120);
    kt_init_unref(&a.init);
    kt_init_unref(&b.init);
}
END_TEST

START_TEST(sealing_a_slab_is_no_sync_of_its_own)
{
    struct kit_feed f = kit_feed(ring, "a/main", 10000);
    struct kt_ring_status before, after;
    const int commits = 60;             /* of 100 000 bytes: ten fill a slab of 1 MiB */
    kit_push_n(&f, GOP);
    kit_flush(ring);
    kt_ring_status(ring, &before);
    for (int i = 0; i < commits; i++) {
        kit_push_n(&f, GOP);
        kit_flush(ring);
    }
    kt_ring_status(ring, &after);
    const uint64_t slabs = (after.bytes_written - before.bytes_written) / MIB + 1;
    ck_assert_uint_ge(slabs, 5);
    ck_assert_uint_le(after.fsyncs - before.fsyncs, commits + slabs);   /* a batch may be cut in two */
    kt_ring_close(&ring);
    struct kt_verify v = { .user = NULL };
    struct kt_error err;
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_msg(v.problems == 0, "%s", v.first_problem);
    ring = kit_open();
    kt_init_unref(&f.init);
}
END_TEST

START_TEST(a_full_ring_overwrites_its_oldest_slab)
{
    struct kit_feed a = kit_feed(ring, "a/main", 20000);
    struct kt_record *old = NULL;
    size_t n;
    kit_push_n(&a, 100);
    kit_flush(ring);
    ck_assert_int_eq(kt_ring_query(ring, a.stream, 0, INT64_MAX, 1, &old, &n), 0);
    ck_assert_uint_eq(n, 1);
    for (int i = 0; i < 12; i++) {
        kit_push_n(&a, 100);
        kit_flush(ring);
    }
    uint8_t buf[1 << 18];
    ck_assert_int_eq(kt_ring_read(ring, old, buf), -ESTALE);
    const int left = kit_verify(&a, 0, INT64_MAX);
    ck_assert_int_gt(left, 250);        /* 7 of 8 slabs of 1 MiB, 20 kB a frame */
    ck_assert_int_lt(left, 8 * 52);
    ck_assert_int_eq(kit_verify(&a, a.start_us + 1299 * FRAME_US, INT64_MAX), 10);  /* its GOP */
    kt_ring_close(&ring);
    ring = kit_open();
    a.ring = ring;
    ck_assert_int_eq(kit_verify(&a, 0, INT64_MAX), left);
    free(old);
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(a_query_inside_a_gop_starts_with_its_key_frame)
{
    struct kit_feed a = kit_feed(ring, "a/main", 500);
    for (int i = 0; i < 50; i++) {
        kit_push_n(&a, 1);
        if (i % 3 == 0)
            kit_flush(ring);
    }
    kit_flush(ring);
    struct kt_record *rec = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_ring_query(ring, a.stream, T0 + 27 * FRAME_US, T0 + 28 * FRAME_US, 100, &rec,
                                   &n), 0);
    ck_assert_uint_gt(n, 1);
    ck_assert_int_eq(rec[0].start_us, T0 + 20 * FRAME_US);
    ck_assert_uint_ne(rec[0].flags & KT_RECORD_KEY, 0);
    ck_assert_int_gt(rec[n - 1].end_us, T0 + 27 * FRAME_US);
    free(rec);
    ck_assert_int_eq(kt_ring_query(ring, a.stream, T0 + 20 * FRAME_US, T0 + 21 * FRAME_US, 100, &rec,
                                   &n), 0);
    ck_assert_int_eq(rec[0].start_us, T0 + 20 * FRAME_US);
    free(rec);
    kt_init_unref(&a.init);
}
END_TEST

/* Each run of the list begins with a key frame, and from there on no record of it is missing. */
static void check_runs(const struct kt_record *rec, size_t n, const uint64_t runs[2])
{
    size_t changes = 0;
    for (size_t i = 0; i < n; i++) {
        const bool begins = i == 0 || rec[i].run != rec[i - 1].run;
        changes += begins;
        ck_assert_uint_le(changes, 2);
        ck_assert_uint_eq(rec[i].run, runs[changes - 1]);
        if (begins)
            ck_assert(rec[i].flags & KT_RECORD_KEY);
        else
            ck_assert_int_eq(rec[i].dts_90k, rec[i - 1].dts_90k + rec[i - 1].duration_90k);
    }
    ck_assert_uint_eq(changes, 2);
}

START_TEST(runs_that_overlap_after_a_step_of_the_clock_are_each_whole)
{
    /* The first run goes on in another slab; then the clock is set back to before that. */
    struct kit_feed a = kit_feed(ring, "a/main", 20000);
    for (int i = 0; i < 80; i++) {      /* 16 s in two slabs of 1 MiB */
        kit_push_n(&a, 1);
        if (i % 3 == 0)
            kit_flush(ring);
    }
    const uint64_t runs[2] = { a.run, a.run + 1 };
    kit_new_run(&a, T0 + 10 * FRAME_US + FRAME_US / 2);
    for (int i = 0; i < 80; i++) {
        kit_push_n(&a, 1);
        if (i % 3 == 0)
            kit_flush(ring);
    }
    kit_flush(ring);
    for (int from = 0; from < 70; from += 3) {
        struct kt_record *rec = NULL;
        size_t n = 0, frames = 0;
        ck_assert_int_eq(kt_ring_query(ring, a.stream, T0 + from * FRAME_US, T0 + 100 * FRAME_US, SIZE_MAX, &rec, &n), 0);
        check_runs(rec, n, runs);
        for (size_t i = 0; i < n; i++)
            frames += rec[i].frames;
        ck_assert_uint_ge(frames, (size_t)(80 - from + (from < 10 ? 80 : 90 - from)));
        free(rec);
    }
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(a_second_process_cannot_open_it)
{
    kt_ring *second = NULL;
    struct kt_error err;
    const struct kt_ring_params p = kit_params();
    ck_assert_int_eq(kt_ring_open(&second, &p, &err), -EBUSY);
    ck_assert_ptr_null(second);
    second = kit_open_read_only();
    kt_ring_close(&second);
}
END_TEST

START_TEST(spans_tell_gaps_and_reasons)
{
    struct kit_feed a = kit_feed(ring, "a/main", 500);
    struct kt_ring_span *span = NULL;
    size_t n = 0;
    kit_push_n(&a, 50);                                         /* 10 s */
    ck_assert_int_eq(kt_ring_gap(ring, a.stream, T0 + 10 * KT_SECOND_US, T0 + 20 * KT_SECOND_US,
                                 KT_GAP_CAMERA_DISABLED), 0);
    kit_new_run(&a, T0 + 20 * KT_SECOND_US);
    kit_push_n(&a, 50);
    kit_new_run(&a, T0 + 60 * KT_SECOND_US);                    /* 30 s nobody explains */
    kit_push_n(&a, 50);
    kit_flush(ring);
    const int64_t end = a.start_us + a.frame * FRAME_US;        /* behind it a restart may be told of already */
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(kt_ring_spans(ring, a.stream, T0, end, &span, &n), 0);
        ck_assert_uint_eq(n, 5);
        ck_assert_int_eq(span[0].reason, KT_GAP_NONE);
        ck_assert_int_eq(span[0].to_us, T0 + 10 * KT_SECOND_US);
        ck_assert_uint_eq(span[0].run, 1);
        ck_assert_int_eq(span[1].reason, KT_GAP_CAMERA_DISABLED);
        ck_assert_int_eq(span[1].to_us - span[1].from_us, 10 * KT_SECOND_US);
        ck_assert_int_eq(span[3].reason, KT_GAP_CAMERA_SILENT);
        ck_assert_int_eq(span[3].from_us, T0 + 30 * KT_SECOND_US);
        ck_assert_int_eq(span[4].to_us, T0 + 70 * KT_SECOND_US);
        free(span);
        kt_ring_close(&ring);
        ring = kit_open();
    }
    kt_init_unref(&a.init);
}
END_TEST

/* A hole of 0.8 s and one of 1.2 s in a run, told of before and after the frame that ends it. */
START_TEST(a_short_gap_inside_a_stretch_is_shown)
{
    struct kit_feed a = kit_feed(ring, "a/main", 500);
    struct kt_ring_span *span = NULL;
    size_t n = 0;
    const int64_t first = T0 + 10 * KT_SECOND_US, second = first + 5 * KT_SECOND_US;
    kit_push_n(&a, 50);
    ck_assert_int_eq(kt_ring_gap(ring, a.stream, first, first + 800000, KT_GAP_DISK_STALL), 0);
    a.frame += 4;
    kit_push_n(&a, 21);
    a.frame += 6;
    kit_push_n(&a, 1);
    ck_assert_int_eq(kt_ring_gap(ring, a.stream, second, second + 1200000, KT_GAP_CAMERA_SILENT), 0);
    kit_push_n(&a, 30);
    kit_flush(ring);
    /* A gap of another time says nothing about what is there. */
    ck_assert_int_eq(kt_ring_gap(ring, a.stream, T0 + KT_SECOND_US, T0 + 2 * KT_SECOND_US, KT_GAP_CLOCK_STEP), 0);
    kit_flush(ring);
    const int64_t end = a.start_us + a.frame * FRAME_US;        /* behind it a restart may be told of already */
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(kt_ring_spans(ring, a.stream, T0, end, &span, &n), 0);
        ck_assert_uint_eq(n, 5);
        ck_assert_int_eq(span[0].to_us, first);
        ck_assert_int_eq(span[1].reason, KT_GAP_DISK_STALL);
        ck_assert_int_eq(span[1].to_us, first + 800000);
        ck_assert_int_eq(span[2].reason, KT_GAP_NONE);
        ck_assert_int_eq(span[2].to_us, second);
        ck_assert_uint_eq(span[2].run, 1);
        ck_assert_int_eq(span[3].reason, KT_GAP_CAMERA_SILENT);
        ck_assert_int_eq(span[4].from_us, second + 1200000);
        free(span);
        ck_assert_int_eq(kt_ring_spans(ring, a.stream, first + 400000, first + 600000, &span, &n), 0);
        ck_assert_uint_eq(n, 1);
        ck_assert_int_eq(span[0].reason, KT_GAP_DISK_STALL);
        free(span);
        kt_ring_close(&ring);
        ring = kit_open();
    }
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(a_copied_record_keeps_its_times)
{
    struct kit_feed a = kit_feed(ring, "a/main", 700);
    uint32_t copy;
    struct kt_record *rec = NULL, *got = NULL;
    size_t n = 0;
    uint8_t buf[65536];
    kit_push_n(&a, 30);
    kit_flush(ring);
    ck_assert_int_eq(kt_ring_stream(ring, "copy/main", &copy), 0);
    ck_assert_int_eq(kt_ring_query(ring, a.stream, 0, INT64_MAX, 100, &rec, &n), 0);
    const size_t had = n;
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(kt_ring_copy_record(ring, copy, ring, &rec[i]), 0);
    }
    kit_flush(ring);
    ck_assert_int_eq(kt_ring_query(ring, copy, 0, INT64_MAX, 100, &got, &n), 0);
    ck_assert_uint_eq(n, had);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(got[i].start_us, rec[i].start_us);
        ck_assert_uint_eq(got[i].run, rec[i].run);
        ck_assert_uint_eq(got[i].flags & KT_RECORD_KEY, rec[i].flags & KT_RECORD_KEY);
        ck_assert_int_eq(kt_ring_read(ring, &got[i], buf), 0);
        kit_check_payload(&a, &got[i], buf);
    }
    free(rec);
    free(got);
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(a_flipped_bit_costs_its_record_only)
{
    struct kit_feed a = kit_feed(ring, "a/main", 700);
    struct kt_record *rec = NULL;
    size_t n = 0;
    uint8_t buf[65536];
    for (int i = 0; i < 5; i++) {
        kit_push_n(&a, 10);
        kit_flush(ring);
    }
    ck_assert_int_eq(kt_ring_query(ring, a.stream, 0, INT64_MAX, 100, &rec, &n), 0);
    char name[KT_SLAB_NAME_SIZE], path[128];
    kt_slab_name(name, rec[2].slab);
    snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
    const int fd = open(path, O_RDWR);
    uint8_t byte;
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)rec[2].offset + 100), 1);
    byte ^= 0x10;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)rec[2].offset + 100), 1);
    close(fd);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(kt_ring_read(ring, &rec[i], buf), i == 2 ? -EBADMSG : 0);
    struct kt_ring_status st;
    kt_ring_status(ring, &st);
    ck_assert_uint_eq(st.corrupt_records, 1);
    free(rec);
    kt_init_unref(&a.init);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *t = tcase_create("ring");
    tcase_set_timeout(t, 20);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_was_flushed_reads_back);
    tcase_add_test(t, everything_is_there_again_after_a_restart);
    tcase_add_test(t, sealing_a_slab_is_no_sync_of_its_own);
    tcase_add_test(t, a_full_ring_overwrites_its_oldest_slab);
    tcase_add_test(t, a_query_inside_a_gop_starts_with_its_key_frame);
    tcase_add_test(t, runs_that_overlap_after_a_step_of_the_clock_are_each_whole);
    tcase_add_test(t, a_second_process_cannot_open_it);
    tcase_add_test(t, spans_tell_gaps_and_reasons);
    tcase_add_test(t, a_short_gap_inside_a_stretch_is_shown);
    tcase_add_test(t, a_copied_record_keeps_its_times);
    tcase_add_test(t, a_flipped_bit_costs_its_record_only);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

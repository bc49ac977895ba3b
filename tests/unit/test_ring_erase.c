/* Erasing one camera's span, and the scrub that must tell erased from damaged. */
#include <errno.h>
#include <fcntl.h>

#include "storage/ring/check.h"
#include "tests/faults/ring/bad_disk.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

static kt_ring *ring;
static struct kit_feed a, b;

static void reopen(void)
{
    kt_ring_close(&ring);
    ring = kit_open();
    a.ring = b.ring = ring;
}

static void setup(void)
{
    kit_setup();
    ring = kit_open();
    a = kit_feed(ring, "a/main", 15000);
    b = kit_feed(ring, "b/main", 3000);
    for (int i = 0; i < 15; i++) {      /* 30 s; two slabs sealed */
        kit_push_n(&a, GOP);
        kit_push_n(&b, GOP);
        kit_flush(ring);
    }
}

static void teardown(void)
{
    kt_ring_close(&ring);
    kt_init_unref(&a.init);
    kt_init_unref(&b.init);
    kit_teardown();
}

static struct kt_verify verify(void)
{
    struct kt_verify v = { .user = NULL };
    struct kt_error err = { "" };
    ck_assert_msg(kt_ring_verify(kit_dir, &v, &err) == 0, "%s", err.text);
    return v;
}

/* Is frame N of the feed anywhere on the disk? */
static bool on_disk(const struct kit_feed *f, int n)
{
    uint8_t want[64];
    for (size_t i = 0; i < sizeof(want); i++)
        want[i] = kit_byte(f->seed, T0 / FRAME_US + n, i);
    for (uint32_t file = 0; file < 8; file++) {
        char name[KT_SLAB_NAME_SIZE], path[128];
        kt_slab_name(name, file);
        snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
        const int fd = open(path, O_RDONLY);
        uint8_t *data = malloc(MIB);
        ck_assert_int_eq(read(fd, data, MIB), (ssize_t)MIB);
        const bool found = memmem(data, MIB, want, sizeof(want));
        free(data);
        close(fd);
        if (found)
            return true;
    }
    return false;
}

/* 6 s to 20 s of camera a are gone, everywhere; nothing else is. */
static void expect_erased(void)
{
    struct kt_ring_span *span = NULL;
    size_t n = 0;
    ck_assert_int_eq(kit_verify(&a, 0, INT64_MAX), 80);
    ck_assert_int_eq(kit_verify(&b, 0, INT64_MAX), 150);
    for (int frame = 0; frame < 150; frame++) {
        ck_assert_msg(on_disk(&a, frame) == (frame < 30 || frame >= 100), "frame %d", frame);
        ck_assert(on_disk(&b, frame));
    }
    ck_assert_int_eq(kt_ring_spans(ring, a.stream, T0, T0 + 30 * KT_SECOND_US, &span, &n), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(span[1].reason, KT_GAP_ERASED);
    ck_assert_int_eq(span[1].from_us, T0 + 6 * KT_SECOND_US);
    ck_assert_int_eq(span[1].to_us, T0 + 20 * KT_SECOND_US);
    free(span);
    const struct kt_verify v = verify();
    ck_assert_msg(v.problems == 0, "%s", v.first_problem);
    ck_assert_uint_gt(v.erased, 6);
}

static int erase(void)
{
    return kt_ring_erase(ring, a.stream, T0 + 6 * KT_SECOND_US + 1000, T0 + 20 * KT_SECOND_US - 1000);
}

START_TEST(an_erased_span_is_gone_and_the_chain_is_whole)
{
    struct kt_record *rec = NULL;
    size_t n = 0;
    uint8_t buf[1 << 17];
    ck_assert_int_eq(kt_ring_query(ring, a.stream, T0 + 10 * KT_SECOND_US, T0 + 11 * KT_SECOND_US, 1, &rec,
                                   &n), 0);
    ck_assert_int_gt(erase(), 6);
    ck_assert_int_eq(kt_ring_read(ring, rec, buf), -ESTALE);
    free(rec);
    expect_erased();
    reopen();
    expect_erased();
    ck_assert_int_eq(erase(), 0);       /* nothing left to erase */
}
END_TEST

START_TEST(an_interrupted_erasure_is_finished_at_the_next_start)
{
    kt_ring_close(&ring);
    struct bad_disk disk = { .error = -EIO, .fail_count = 1000 };
    const struct kt_ring_io io = bad_io(&disk);
    ring = kit_open_io(&io);
    kit_flush(ring);
    disk.fail_at[BAD_WRITE] = disk.calls[BAD_WRITE] + 3;    /* announced, one record wiped */
    ck_assert_int_lt(erase(), 0);
    ck_assert(on_disk(&a, 60));
    a.ring = ring;
    ck_assert_int_eq(kit_verify(&a, 0, INT64_MAX), 80);     /* hidden all the same */
    disk.fail_at[BAD_WRITE] = 0;
    reopen();
    expect_erased();
}
END_TEST

static void wait_for_scrub(uint64_t passes)
{
    struct kt_ring_status st;
    const int64_t until = kt_clock_mono_us() + 15 * KT_SECOND_US;
    do {
        usleep(10000);
        kt_ring_status(ring, &st);
    } while (st.scrub_passes < passes && kt_clock_mono_us() < until);
    ck_assert_uint_ge(st.scrub_passes, passes);
}

static void open_scrubbing(void)
{
    struct kt_ring_params p = kit_params();
    struct kt_error err;
    p.scrub_rate = INT64_C(1) << 30;
    kt_ring_close(&ring);
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), 0);
}

START_TEST(the_scrub_finds_damage_and_is_not_fooled_by_erasures)
{
    struct kt_ring_status st;
    ck_assert_int_gt(erase(), 6);
    open_scrubbing();
    wait_for_scrub(1);
    kt_ring_status(ring, &st);
    ck_assert_uint_eq(st.corrupt_records, 0);
    ck_assert_uint_gt(st.scrubbed_bytes, MIB);
    kt_ring_close(&ring);

    char path[128];
    snprintf(path, sizeof(path), "%s/slab-000001.kts", kit_dir);
    const int fd = open(path, O_RDWR);
    for (off_t at = 10000; at <= 170000; at += 80000) {
        uint8_t byte;
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    open_scrubbing();
    wait_for_scrub(1);
    kt_ring_status(ring, &st);
    ck_assert_uint_eq(st.corrupt_records, 3);
}
END_TEST

START_TEST(the_scrub_keeps_to_its_rate_and_stops_at_once)
{
    struct kt_ring_status st;
    struct kt_ring_params p = kit_params();
    struct kt_error err;
    p.scrub_rate = 100000;
    kt_ring_close(&ring);
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), 0);
    usleep(1000000);
    kt_ring_status(ring, &st);
    ck_assert_uint_le(st.scrubbed_bytes, 300000);           /* a second's worth, and one record ahead */
    const int64_t start = kt_clock_mono_us();
    kt_ring_close(&ring);
    ck_assert_int_lt(kt_clock_mono_us() - start, KT_SECOND_US);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_erase");
    TCase *t = tcase_create("ring_erase");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_erased_span_is_gone_and_the_chain_is_whole);
    tcase_add_test(t, an_interrupted_erasure_is_finished_at_the_next_start);
    tcase_add_test(t, the_scrub_finds_damage_and_is_not_fooled_by_erasures);
    tcase_add_test(t, the_scrub_keeps_to_its_rate_and_stops_at_once);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

#include <errno.h>
#include <fcntl.h>

#include "storage/ring/carve.h"
#include "storage/ring/check.h"
#include "tests/unit/footage_ring.h"
#include "tests/unit/ring_kit.h"
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

/* ROUNDS of 20 frames of 20 kB: three rounds fill a slab. */
static struct kit_feed fill(int rounds)
{
    struct kit_feed a = kit_feed(ring, "a/main", 20000);
    for (int i = 0; i < rounds; i++) {
        kit_push_n(&a, 20);
        kit_flush(ring);
    }
    return a;
}

static struct kt_verify verify(void)
{
    struct kt_verify v = { .user = NULL };
    struct kt_error err = { "" };
    ck_assert_msg(kt_ring_verify(kit_dir, &v, &err) == 0, "%s", err.text);
    return v;
}

static void expect_clean(void)
{
    const struct kt_verify v = verify();
    ck_assert_msg(v.problems == 0, "%s", v.first_problem);
}

static void slab_path(char out[128], uint32_t file)
{
    char name[KT_SLAB_NAME_SIZE];
    kt_slab_name(name, file);
    snprintf(out, 128, "%s/%s", kit_dir, name);
}

static void flip(uint32_t file, uint64_t offset, uint8_t mask)
{
    char path[128];
    uint8_t byte;
    slab_path(path, file);
    const int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= mask;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

START_TEST(a_clean_ring_is_clean_open_or_closed_or_full)
{
    struct kit_feed a = fill(2);
    expect_clean();
    for (int i = 0; i < 40; i++) {
        kit_push_n(&a, 20);
        kit_flush(ring);
    }
    const struct kt_verify v = verify();
    ck_assert_msg(v.problems == 0, "%s", v.first_problem);
    ck_assert(!v.from_the_start);
    ck_assert_uint_gt(v.recycled, 3);
    ck_assert_uint_gt(v.heads, 5);
    kt_ring_close(&ring);
    expect_clean();
    ring = kit_open();
    expect_clean();
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(a_head_is_signed_each_minute)
{
    struct kt_verify v;
    struct kit_feed f = kit_feed(ring, "a/main", 500);
    for (int minute = 0; minute < 3; minute++) {
        for (int i = 0; i < 5; i++) {                           /* commits of the same minute */
            kit_push_n(&f, GOP);
            kit_flush(ring);
        }
        v = verify();
        ck_assert_uint_eq(v.heads, minute);
        ck_assert_uint_eq(v.problems, 0);
        ring->w.last_head_us -= 60 * KT_SECOND_US;              /* the writer waits: nothing is queued */
        kit_push_n(&f, GOP);
        kit_flush(ring);
        v = verify();
        ck_assert_uint_eq(v.heads, minute + 1);
        ck_assert_uint_eq(v.signed_seq + 1, ring->w.seq);       /* over all before it */
    }
    kit_push_n(&f, GOP);
    kt_ring_close(&ring);
    v = verify();
    ck_assert_uint_eq(v.signed_seq + 1, v.last_seq);            /* closing signs the rest */
    kt_init_unref(&f.init);
}
END_TEST

START_TEST(the_key_must_be_the_one_that_was_written_down)
{
    struct kit_feed a = fill(5);
    struct kt_ring_status st;
    struct kt_error err;
    kt_ring_status(ring, &st);
    kt_ring_close(&ring);
    struct kt_verify v = { .fingerprint = st.key_fingerprint };
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_uint_eq(v.problems, 0);
    st.key_fingerprint[5] = st.key_fingerprint[5] == '0' ? '1' : '0';
    v = (struct kt_verify){ .fingerprint = st.key_fingerprint };
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_uint_gt(v.problems, 0);
    ck_assert_ptr_nonnull(strstr(v.first_problem, "another key"));
    kt_init_unref(&a.init);
}
END_TEST

/* Everything that was ever written is covered: find the places by their use. */
START_TEST(any_flipped_bit_is_found)
{
    struct kit_feed a = fill(10);       /* three sealed slabs and an open one */
    kt_ring_close(&ring);
    unsigned found = 0;
    const uint64_t trailer = MIB - KT_PAGE;
    srandom(1);
    for (int i = 0; i < 100; i++) {
        uint64_t at = (uint64_t)random() % (600u << 10);     /* headers, payloads, padding */
        if (i % 10 == 0)
            at = trailer + (uint64_t)random() % KT_PAGE;
        if (i % 10 == 1)
            at = trailer - 1 - (uint64_t)random() % 2000;     /* footer */
        const uint32_t file = 1 + (uint32_t)(i % 3);
        const uint8_t mask = (uint8_t)(1 << random() % 8);
        flip(file, at, mask);
        const struct kt_verify v = verify();
        if (v.problems > 0)
            found++;
        else
            printf("not found: slab %u, byte %" PRIu64 "\n", file, at);
        flip(file, at, mask);
    }
    ck_assert_uint_eq(found, 100);
    expect_clean();
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(the_first_bad_record_is_named)
{
    struct kit_feed a = fill(10);
    struct kt_record *rec = NULL;
    size_t n;
    char name[64];
    ck_assert_int_eq(kt_ring_query(ring, a.stream, 0, INT64_MAX, 1000, &rec, &n), 0);
    kt_ring_close(&ring);
    ck_assert_uint_gt(n, 8);
    flip(rec[n / 2].slab, rec[n / 2].offset + 100, 4);          /* content */
    flip(rec[n - 2].slab, rec[n - 2].offset + 100, 4);
    struct kt_verify v = verify();
    ck_assert_uint_eq(v.problems, 2);
    snprintf(name, sizeof(name), "record %" PRIu64 " ", rec[n / 2].seq);
    ck_assert_msg(strstr(v.first_problem, name), "%s: %s", name, v.first_problem);
    flip(rec[n / 4].slab, rec[n / 4].offset - 100, 4);          /* a header before it */
    v = verify();
    snprintf(name, sizeof(name), "record %" PRIu64 " ", rec[n / 4].seq);
    ck_assert_msg(strstr(v.first_problem, name), "%s: %s", name, v.first_problem);
    free(rec);
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(a_removed_slab_is_missed)
{
    struct kit_feed a = fill(40);
    char path[128];
    kt_ring_close(&ring);
    expect_clean();
    slab_path(path, 5);
    ck_assert_int_eq(truncate(path, 0), 0);     /* zero-filled: as if never used */
    ck_assert_int_eq(truncate(path, (off_t)MIB), 0);
    const struct kt_verify v = verify();
    ck_assert_uint_gt(v.problems, 0);
    kt_init_unref(&a.init);
}
END_TEST

/* The oldest slab taken away looks like retention, were it not for the account. */
START_TEST(the_oldest_slab_cannot_be_removed_as_if_recycled)
{
    struct kit_feed a = fill(40);
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < ring->ix->n_slabs; i++)
        if (ring->ix->slabs[i].slab_seq > 0 && ring->ix->slabs[i].slab_seq < oldest)
            oldest = ring->ix->slabs[i].slab_seq;
    kt_ring_close(&ring);
    expect_clean();
    char path[128];
    slab_path(path, (uint32_t)(oldest % 8));
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(truncate(path, (off_t)MIB), 0);
    const struct kt_verify v = verify();
    ck_assert_ptr_nonnull(strstr(v.first_problem, "does not say that it overwrote"));
    kt_init_unref(&a.init);
}
END_TEST

START_TEST(records_cannot_change_places)
{
    struct kit_feed a = fill(3);
    struct kt_record *rec = NULL;
    size_t n;
    char path[128];
    ck_assert_int_eq(kt_ring_query(ring, a.stream, 0, INT64_MAX, 100, &rec, &n), 0);
    kt_ring_close(&ring);
    /* How many frames a record holds is the clock's affair: look for two of one size. */
    size_t i = 0, other = 1;
    while (rec[i].size != rec[other].size || rec[i].slab != rec[other].slab) {
        if (++other == n)
            other = ++i + 1;
        ck_assert_uint_lt(other, n);
    }
    slab_path(path, rec[i].slab);
    const size_t size = KT_HEADER_SIZE + rec[i].size;
    uint8_t *one = malloc(size), *two = malloc(size);
    const int fd = open(path, O_RDWR);
    const off_t p1 = (off_t)(rec[i].offset - KT_HEADER_SIZE), p2 = (off_t)(rec[other].offset - KT_HEADER_SIZE);
    ck_assert_int_eq(pread(fd, one, size, p1), (ssize_t)size);
    ck_assert_int_eq(pread(fd, two, size, p2), (ssize_t)size);
    ck_assert_int_eq(pwrite(fd, one, size, p2), (ssize_t)size);
    ck_assert_int_eq(pwrite(fd, two, size, p1), (ssize_t)size);
    close(fd);
    ck_assert_uint_gt(verify().problems, 0);
    free(one);
    free(two);
    free(rec);
    kt_init_unref(&a.init);
}
END_TEST

static int count_files(const char *dir)
{
    char command[160];
    int n = -1;
    snprintf(command, sizeof(command), "ls %s | wc -l", dir);
    FILE *p = popen(command, "r");
    ck_assert_int_eq(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

START_TEST(slabs_alone_become_playable_files)
{
    char mp4[96], out[96], command[512], path[128];
    snprintf(mp4, sizeof(mp4), "%s/in.mp4", kit_dir);
    snprintf(out, sizeof(out), "%s/out", kit_dir);
    kt_footage_make(mp4, 4);
    kt_footage_append(ring, "gerbang/main", mp4, 5, T0);
    kt_footage_append(ring, "gerbang/main", mp4, 6, T0 + 60 * KT_SECOND_US);
    kt_footage_append(ring, "pos/sub", mp4, 5, T0);
    kit_flush(ring);
    kt_ring_close(&ring);
    snprintf(path, sizeof(path), "%s/" KT_META_NAME, kit_dir);
    ck_assert_int_eq(unlink(path), 0);              /* no meta ... */
    slab_path(path, 7);
    ck_assert_int_eq(unlink(path), 0);              /* ... and not all slabs */
    struct kt_carve carve = { .user = NULL };
    struct kt_error err = { "" };
    ck_assert_msg(kt_ring_carve(kit_dir, out, &carve, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(carve.files, 3);
    ck_assert_uint_eq(carve.damaged, 0);
    ck_assert_int_eq(count_files(out), 3);
    snprintf(command, sizeof(command), "for f in %s/gerbang-main_*_5.mp4 %s/gerbang-main_*_6.mp4 "
             "%s/pos-sub_*.mp4; do test $(ffprobe -v error -count_frames -show_entries "
             "stream=nb_read_frames -of csv=p=0 $f) = 40 || exit 1; done", out, out, out);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(kt_ring_carve(kit_dir, out, &carve, &err), -EEXIST);
    kit_teardown();
    kit_setup();
    ck_assert_int_eq(kt_ring_carve(kit_dir, kit_dir, &carve, &err), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_verify");
    TCase *t = tcase_create("ring_verify");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_clean_ring_is_clean_open_or_closed_or_full);
    tcase_add_test(t, a_head_is_signed_each_minute);
    tcase_add_test(t, the_key_must_be_the_one_that_was_written_down);
    tcase_add_test(t, any_flipped_bit_is_found);
    tcase_add_test(t, the_first_bad_record_is_named);
    tcase_add_test(t, a_removed_slab_is_missed);
    tcase_add_test(t, the_oldest_slab_cannot_be_removed_as_if_recycled);
    tcase_add_test(t, records_cannot_change_places);
    tcase_add_test(t, slabs_alone_become_playable_files);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

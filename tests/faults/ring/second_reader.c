/* The product writes and reads a ring, and so does tests/faults/ring/reader.py, which shares no code
 * with it: they must agree, record by record. */
#include <fcntl.h>
#include <jansson.h>

#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

static kt_ring *ring;

static json_t *read_with_python(int *status)
{
    char command[512];
    json_error_t error;
    snprintf(command, sizeof(command), "python3 %s %s --signatures", KT_READER, kit_dir);
    FILE *p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    json_t *json = json_loadf(p, 0, &error);
    ck_assert_msg(json, "reader.py: %s", error.text);
    *status = pclose(p);
    return json;
}

static void compare_stream(const json_t *streams, const struct kit_feed *f, const char *name)
{
    struct kt_record *rec = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_ring_query(ring, f->stream, 0, INT64_MAX, SIZE_MAX, &rec, &n), 0);
    const json_t *list = json_object_get(streams, name);
    ck_assert_uint_eq(json_array_size(list), n);
    ck_assert_uint_gt(n, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *r = json_array_get(list, i);
        uint8_t *buf = malloc(rec[i].size), hash[KT_HASH_SIZE];
        char hex[65];
        ck_assert_int_eq(kt_ring_read(ring, &rec[i], buf), 0);
        kt_sha256(hash, buf, rec[i].size);
        kt_hex(hex, hash, sizeof(hash));
        ck_assert_uint_eq((uint64_t)json_integer_value(json_array_get(r, 0)), rec[i].seq);
        ck_assert_int_eq(json_integer_value(json_array_get(r, 1)), rec[i].start_us);
        ck_assert_int_eq(json_integer_value(json_array_get(r, 2)), rec[i].end_us);
        ck_assert_uint_eq((uint64_t)json_integer_value(json_array_get(r, 3)), rec[i].size);
        ck_assert_str_eq(json_string_value(json_array_get(r, 4)), hex);
        free(buf);
    }
    free(rec);
}

static void agree(const struct kit_feed *a, const struct kit_feed *b, const char *problem)
{
    int status;
    json_t *json = read_with_python(&status);
    const json_t *problems = json_object_get(json, "problems");
    const char *first = json_string_value(json_array_get(problems, 0));
    ck_assert_msg(json_array_size(problems) == (problem ? 1 : 0), "%s", first ? first : "no problem");
    ck_assert_pstr_eq(first, problem);
    ck_assert((status == 0) == !problem);
    compare_stream(json_object_get(json, "streams"), a, "a/main");
    compare_stream(json_object_get(json, "streams"), b, "b/sub");
    json_decref(json);
}

START_TEST(two_readers_agree_on_a_young_ring_and_on_a_full_one)
{
    ring = kit_open();
    struct kit_feed a = kit_feed(ring, "a/main", 15000), b = kit_feed(ring, "b/sub", 1000);
    for (int i = 0; i < 60; i++) {
        kit_push_n(&a, 15);
        kit_push_n(&b, 15);
        if (i == 20)
            kit_new_run(&a, T0 + 3600 * KT_SECOND_US);
        kit_flush(ring);
        if (i == 5)
            agree(&a, &b, NULL);
    }
    agree(&a, &b, NULL);
    kt_ring_close(&ring);
    ring = kit_open();
    a.ring = b.ring = ring;
    agree(&a, &b, NULL);
    kt_ring_close(&ring);
    kt_init_unref(&a.init);
    kt_init_unref(&b.init);
}
END_TEST

START_TEST(two_readers_agree_when_the_first_header_of_the_open_slab_is_damaged)
{
    char name[KT_SLAB_NAME_SIZE], path[128], problem[96];
    uint8_t byte;
    ring = kit_open();
    struct kit_feed a = kit_feed(ring, "a/main", 15000), b = kit_feed(ring, "b/sub", 1000);
    for (int i = 0; i < 10; i++) {
        kit_push_n(&a, 15);
        kit_push_n(&b, 15);
        kit_flush(ring);
    }
    kt_slab_name(name, (uint32_t)ring->w.slab_seq % 8);
    kt_ring_close(&ring);
    snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
    const int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, 24), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, 24), 1);
    close(fd);
    ring = kit_open_read_only();
    a.ring = b.ring = ring;
    snprintf(problem, sizeof(problem), "%s, byte 0: a header is damaged", name);
    agree(&a, &b, problem);
    kt_ring_close(&ring);
    kt_init_unref(&a.init);
    kt_init_unref(&b.init);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("second_reader");
    TCase *t = tcase_create("second_reader");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_test(t, two_readers_agree_on_a_young_ring_and_on_a_full_one);
    tcase_add_test(t, two_readers_agree_when_the_first_header_of_the_open_slab_is_damaged);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

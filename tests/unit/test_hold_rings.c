/* Evidence out of two rings: one that records all the time and has gone round, and one of events, which
 * keeps longer. From the catalog's hold to a package that the program and openssl accept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

#include "storage/vault/hold_records.h"
#include "storage/vault/jobs.h"
#include "tests/unit/footage_ring.h"
#include "tests/unit/run_suite.h"

#define BASE INT64_C(1700000000000000)
#define SECOND INT64_C(1000000)
#define GATE "gerbang/main"
#define RUN_S 30                        /* seconds of footage */

static char dir[64];
static kt_catalog *catalog;
static kt_ring *video, *clips;
static kt_vault *vault;
static kt_signer *signer;
static struct kt_incident incident = { .title = "Motor hilang", .from_us = BASE, .to_us = BASE + 12000 * SECOND,
                                       .cameras = (char *)"[\"gerbang\"]" };
static uint64_t runs;

/* The second ring signs with the first one's key, or with its own. */
static void open_rings(bool one_key)
{
    struct kt_error err = { "" };
    const struct kt_ring_params v = { .name = "video", .path = kt_test_path(dir, "video"), .size_bytes = 8u << 20, .slab_bytes = 1u << 20,
                                      .key_path = kt_test_path(dir, "ring.pem"), .scrub_rate = -1, .create = true };
    ck_assert_msg(kt_ring_open(&video, &v, &err) == 0, "%s", err.text);
    const struct kt_ring_params c = { .name = "clips", .path = kt_test_path(dir, "clips"), .size_bytes = 64u << 20,
                                      .key_path = one_key ? kt_test_path(dir, "ring.pem") : kt_test_path(dir, "other.pem"),
                                      .scrub_rate = -1, .create = true };
    ck_assert_msg(kt_ring_open(&clips, &c, &err) == 0, "%s", err.text);
}

static void setup(void)
{
    struct kt_error err = { "" };
    strcpy(dir, "/tmp/kt-holds-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kt_footage_make(kt_test_path(dir, "f.mp4"), RUN_S);
    ck_assert_msg(kt_catalog_open(&catalog, kt_test_path(dir, "c.db"), &err) == 0, "%s", err.text);
    ck_assert_int_eq(kt_catalog_incident_put(catalog, &incident), 0);
    const struct kt_vault_params vp = { kt_test_path(dir, "vault"), 1u << 30, catalog };
    ck_assert_msg(kt_vault_open(&vault, &vp, &err) == 0, "%s", err.text);
    ck_assert_msg(kt_signer_load(&signer, kt_test_path(dir, "key.pem"), "RW 05", &err) == 0, "%s", err.text);
    runs = 0;
}

static void teardown(void)
{
    char command[96];
    kt_signer_free(&signer);
    kt_vault_close(&vault);
    kt_ring_close(&video);
    kt_ring_close(&clips);
    kt_catalog_close(&catalog);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    incident.id = 0;
}

/* Another run of STREAM in `video`. Its end. */
static int64_t record(const char *stream, int64_t start_us)
{
    const int64_t end = kt_footage_append(video, stream, kt_test_path(dir, "f.mp4"), ++runs, start_us);
    ck_assert_int_eq(kt_ring_flush(video, 10 * SECOND), 0);
    return end;
}

/* As the copier of events does it: whole records. */
static void keep(int64_t from_us, int64_t to_us)
{
    struct kt_record *recs = NULL;
    uint32_t from, to;
    size_t n;
    ck_assert_int_eq(kt_ring_find_stream(video, GATE, &from), 0);
    ck_assert_int_eq(kt_ring_stream(clips, GATE, &to), 0);
    ck_assert_int_eq(kt_ring_query(video, from, from_us, to_us, SIZE_MAX, &recs, &n), 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(kt_ring_copy_record(clips, to, video, &recs[i]), 0);
    free(recs);
    ck_assert_int_eq(kt_ring_flush(clips, 10 * SECOND), 0);
}

static int64_t oldest_of(kt_ring *ring, const char *name)
{
    struct kt_ring_span *spans = NULL;
    uint32_t stream;
    size_t n = 0;
    int64_t oldest = 0;
    ck_assert_int_eq(kt_ring_find_stream(ring, name, &stream), 0);
    ck_assert_int_eq(kt_ring_spans(ring, stream, BASE, BASE + 100000 * SECOND, &spans, &n), 0);
    for (size_t i = n; i-- > 0;)
        if (spans[i].reason == KT_GAP_NONE)
            oldest = spans[i].from_us;
    free(spans);
    return oldest;
}

/* Others record until nothing is left of the gate before UNTIL. */
static void go_round(int64_t until_us)
{
    for (int64_t at = BASE + 10000 * SECOND; oldest_of(video, GATE) != 0 && oldest_of(video, GATE) < until_us;)
        at = record("kebun/main", at);
}

static struct kt_hold_file *hold_all(struct kt_hold *h, int64_t from_us, int64_t to_us, size_t *n, char **gaps)
{
    const struct kt_vault_ring rings[] = { { video, false }, { clips, true } };
    struct kt_hold_file *files = NULL;
    struct kt_error err = { "" };
    *h = (struct kt_hold){ .incident = incident.id, .camera = "gerbang", .stream = "main", .from_us = from_us,
                           .to_us = to_us };
    ck_assert_int_eq(kt_catalog_hold_add(catalog, h), 0);
    ck_assert_msg(kt_vault_hold(vault, rings, 2, h, NULL, NULL, NULL, &err) == 0, "%s", err.text);
    ck_assert_int_eq(kt_catalog_hold_files(catalog, h->id, &files, n), 0);
    ck_assert_int_eq(kt_catalog_hold_gaps(catalog, h->id, gaps), 0);
    ck_assert_msg(kt_vault_verify(vault, h->id, &err) == 0, "%s", err.text);
    return files;
}

static bool is_of(const struct kt_hold_file *file, kt_ring *ring)
{
    struct kt_ring_status status;
    kt_ring_status(ring, &status);
    return strstr(file->records, status.uuid);
}

static void say(void *user, bool good, const char *text)
{
    if (!good)
        fprintf(stderr, "%s\n", text);
    else if (user && strstr(text, "are as the recorder hashed them"))
        ++*(int *)user;
}

/* Ask for a package as the web does, and check it as a stranger does. */
static void pack_and_check(int logs)
{
    const struct kt_vault_ring rings[] = { { video, false }, { clips, true } };
    const struct kt_vault_jobs_params params = { .vault = vault, .catalog = catalog, .rings = rings, .n_rings = 2,
        .signer = signer, .site = "RW 05", .host = "pos", .version = "0.1.0", .zone = "WIB", .zone_offset_s = 7 * 3600 };
    struct kt_export e = { .incident = incident.id, .created_by = "pak-rw" }, *done = NULL;
    kt_vault_jobs *jobs = NULL;
    struct kt_error err = { "" };
    char path[300], command[700];
    int vouched = 0;
    ck_assert_int_eq(kt_catalog_export_add(catalog, &e), 0);
    ck_assert_int_eq(kt_vault_jobs_start(&jobs, &params), 0);
    for (int i = 0; i < 600 && (!done || done->state == KT_JOB_WAITING || done->state == KT_JOB_RUNNING); i++) {
        kt_export_list_free(&done, 1);
        poll(NULL, 0, 50);
        ck_assert_int_eq(kt_catalog_export_get(catalog, e.id, &done), 0);
    }
    kt_vault_jobs_stop(&jobs);
    ck_assert_msg(done->state == KT_JOB_DONE, "%s", done->why);
    snprintf(path, sizeof(path), "%s/vault/%s.zip", dir, done->name);
    const struct kt_package_check check = { .fingerprint = kt_signer_fingerprint(signer),
                                            .manifest_sha256 = done->manifest_sha256, .say = say, .user = &vouched };
    ck_assert_msg(kt_package_verify(path, &check, &err) == 0, "%s", err.text);
    ck_assert_int_eq(vouched, logs);
    snprintf(command, sizeof(command), "cd %s && python3 -m zipfile -e vault/%s.zip out && cd out/%s &&"
             " sed -n 's/^    \\$ //p' README.txt >../commands && test $(wc -l <../commands) -ge 6 &&"
             " KEY=%s MANIFEST=%s sh -e ../commands >../by-hand 2>&1", dir, done->name, done->name,
             kt_signer_fingerprint(signer), done->manifest_sha256);
    ck_assert_int_eq(system(command), 0);
    /* With one bit of a log changed the program says no. */
    snprintf(command, sizeof(command), "cd %s/out/EV-* && printf '\\377' | dd of=$(ls log/*.chain | head -1) bs=1 seek=300"
             " conv=notrunc 2>/dev/null", dir);
    ck_assert_int_eq(system(command), 0);
    snprintf(path, sizeof(path), "%s/out/%s", dir, done->name);
    ck_assert_int_eq(kt_package_verify(path, &(struct kt_package_check){ .say = say }, &err), -EBADMSG);
    kt_export_list_free(&done, 1);
}

/* `video` forgot the event; with one key for both rings, and with two. */
START_TEST(what_only_the_ring_of_events_has_is_held_and_the_package_verifies)
{
    struct kt_hold h;
    char *gaps = NULL, expected[200];
    size_t n;
    open_rings(_i == 0);
    record(GATE, BASE);
    keep(BASE + 5 * SECOND, BASE + 12 * SECOND);
    go_round(BASE + RUN_S * SECOND);
    const int64_t late = BASE + 1000 * SECOND;
    record(GATE, late);
    ck_assert_int_eq(oldest_of(video, GATE), late);
    struct kt_hold_file *files = hold_all(&h, BASE, late + 10 * SECOND, &n, &gaps);
    ck_assert_uint_eq(n, 2);
    ck_assert(is_of(&files[0], clips) && is_of(&files[1], video));
    ck_assert_int_eq(files[0].start_us, BASE + 5 * SECOND);
    ck_assert_int_eq(files[0].end_us, BASE + 12 * SECOND);
    ck_assert_uint_eq(files[0].frames, 7 * KT_FOOTAGE_FPS);
    ck_assert_int_eq(files[1].start_us, late);
    snprintf(expected, sizeof(expected), "[[%lld,%lld,\"not-recorded\"],[%lld,%lld,\"not-recorded\"]]", (long long)BASE,
             (long long)(BASE + 5 * SECOND), (long long)(BASE + 12 * SECOND), (long long)late);
    ck_assert_str_eq(gaps, expected);
    kt_hold_file_list_free(&files, n);
    free(gaps);
    pack_and_check(2);
}
END_TEST

START_TEST(a_stretch_that_begins_in_one_ring_goes_on_in_the_other_without_a_hole_or_a_frame_twice)
{
    struct kt_hold h;
    char *gaps = NULL;
    size_t n, frames = 0;
    open_rings(false);
    int64_t end = BASE;
    while (end == BASE || oldest_of(video, GATE) < BASE + 3 * SECOND) {    /* until the first slab is gone */
        const int64_t start = end;
        end = record(GATE, start);
        keep(start, end);
        ck_assert_int_lt(end, BASE + 5000 * SECOND);
    }
    const int64_t seam = oldest_of(video, GATE), to = seam + 20 * SECOND;
    struct kt_hold_file *files = hold_all(&h, BASE, to, &n, &gaps);
    ck_assert_uint_ge(n, 2);
    ck_assert(is_of(&files[0], clips) && is_of(&files[n - 1], video));
    ck_assert_str_eq(gaps, "[]");
    for (size_t i = 0; i < n; i++) {
        frames += files[i].frames;
        if (i > 0)
            ck_assert_int_eq(files[i].start_us, files[i - 1].end_us);
    }
    ck_assert_uint_eq(frames, (size_t)((files[n - 1].end_us - BASE) * KT_FOOTAGE_FPS / SECOND));
    kt_hold_file_list_free(&files, n);
    free(gaps);
}
END_TEST

START_TEST(the_reason_of_a_gap_is_that_of_the_ring_that_records_all_the_time)
{
    struct kt_hold h;
    char *gaps = NULL, expected[200];
    uint32_t stream;
    size_t n;
    open_rings(false);
    const int64_t end = record(GATE, BASE), late = end + 60 * SECOND;
    ck_assert_int_eq(kt_ring_find_stream(video, GATE, &stream), 0);
    ck_assert_int_eq(kt_ring_gap(video, stream, end, late, KT_GAP_DISK_STALL), 0);
    record(GATE, late);
    keep(BASE, BASE + 4 * SECOND);      /* between these two nothing happened: no reason for anything */
    keep(late + 4 * SECOND, late + 8 * SECOND);
    struct kt_hold_file *files = hold_all(&h, BASE, late + 8 * SECOND, &n, &gaps);
    ck_assert_uint_eq(n, 2);
    ck_assert(is_of(&files[0], video) && is_of(&files[1], video));
    snprintf(expected, sizeof(expected), "[[%lld,%lld,\"disk-stall\"]]", (long long)end, (long long)late);
    ck_assert_str_eq(gaps, expected);
    kt_hold_file_list_free(&files, n);
    free(gaps);
}
END_TEST

/* Flip a bit in the payload of the record at AT of `video`. */
static void damage(int64_t at_us)
{
    struct kt_record *recs = NULL;
    uint32_t stream;
    size_t n;
    char path[200], byte;
    ck_assert_int_eq(kt_ring_find_stream(video, GATE, &stream), 0);
    ck_assert_int_eq(kt_ring_query(video, stream, at_us, at_us + 1, 1, &recs, &n), 0);
    ck_assert_uint_eq(n, 1);
    snprintf(path, sizeof(path), "%s/video/slab-%06u.kts", dir, recs[0].slab);
    const int fd = open(path, O_RDWR);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)recs[0].offset + 1000), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)recs[0].offset + 1000), 1);
    close(fd);
    free(recs);
}

START_TEST(a_damaged_record_comes_from_the_other_ring_or_costs_itself_only)
{
    struct kt_hold h;
    char *gaps = NULL, expected[200];
    size_t n;
    open_rings(false);
    record(GATE, BASE);
    keep(BASE + 8 * SECOND, BASE + 12 * SECOND);
    damage(BASE + 10 * SECOND);         /* the other ring has it */
    damage(BASE + 20 * SECOND);         /* nobody has */
    struct kt_hold_file *files = hold_all(&h, BASE, BASE + RUN_S * SECOND, &n, &gaps);
    ck_assert_uint_eq(n, 4);
    ck_assert(is_of(&files[0], video) && is_of(&files[1], clips) && is_of(&files[2], video) && is_of(&files[3], video));
    ck_assert_int_eq(files[0].end_us, BASE + 10 * SECOND);
    ck_assert_int_eq(files[1].start_us, BASE + 10 * SECOND);
    ck_assert_uint_eq(files[1].frames, KT_FOOTAGE_FPS);
    ck_assert_int_eq(files[2].end_us, BASE + 20 * SECOND);
    ck_assert_int_eq(files[3].start_us, BASE + 21 * SECOND);
    ck_assert_int_eq(files[3].end_us, BASE + RUN_S * SECOND);
    snprintf(expected, sizeof(expected), "[[%lld,%lld,\"damaged\"]]", (long long)(BASE + 20 * SECOND),
             (long long)(BASE + 21 * SECOND));
    ck_assert_str_eq(gaps, expected);
    kt_hold_file_list_free(&files, n);
    free(gaps);
    pack_and_check(4);
}
END_TEST

/* Called while the copy goes on: the ring is made to overtake it. */
static int overtake(void *user, uint64_t done, uint64_t total)
{
    bool *did = user;
    if (!*did)
        go_round(BASE + RUN_S * SECOND);
    *did = true;
    return 0;
}

START_TEST(what_is_overwritten_under_the_copy_comes_from_the_other_ring)
{
    struct kt_hold h = { .incident = incident.id, .camera = "gerbang", .stream = "main", .from_us = BASE,
                         .to_us = BASE + 12000 * SECOND };
    struct kt_hold_file *files = NULL;
    struct kt_error err = { "" };
    bool did = false;
    size_t n;
    open_rings(false);
    record(GATE, BASE);
    const int64_t second = BASE + 100 * SECOND;
    record(GATE, second);
    keep(second, second + RUN_S * SECOND);
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &h), 0);
    const struct kt_vault_ring both[] = { { video, false }, { clips, true } };
    ck_assert_msg(kt_vault_hold(vault, both, 2, &h, NULL, overtake, &did, &err) == 0, "%s", err.text);
    ck_assert_int_eq(kt_catalog_hold_files(catalog, h.id, &files, &n), 0);
    ck_assert_uint_eq(n, 3);            /* a part of the second was left */
    ck_assert(is_of(&files[0], video) && is_of(&files[1], clips) && is_of(&files[2], video));
    ck_assert_uint_eq(files[1].frames + files[2].frames, RUN_S * KT_FOOTAGE_FPS);
    kt_hold_file_list_free(&files, n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hold_rings");
    TCase *tc = tcase_create("hold_rings");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, what_only_the_ring_of_events_has_is_held_and_the_package_verifies, 0, 2);
    tcase_add_test(tc, a_stretch_that_begins_in_one_ring_goes_on_in_the_other_without_a_hole_or_a_frame_twice);
    tcase_add_test(tc, the_reason_of_a_gap_is_that_of_the_ring_that_records_all_the_time);
    tcase_add_test(tc, a_damaged_record_comes_from_the_other_ring_or_costs_itself_only);
    tcase_add_test(tc, what_is_overwritten_under_the_copy_comes_from_the_other_ring);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

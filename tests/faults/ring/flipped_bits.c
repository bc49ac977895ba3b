/*
 * A bit of the disk turns over, anywhere in what a ring holds: several streams and slabs, the ring young, gone
 * round, or closed just after its newest slab was sealed. Verify finds it, the recorder counts it, and
 * what is not in the record that it is in can still be read.
 */
#include <fcntl.h>

#include "server/base/log.h"
#include "storage/ring/check.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

#define SLAB (256u << 10)
#define SLABS 8
#define FEEDS 3
#define BITS 334                        /* of each ring; three of them */

static uint8_t image[SLABS][SLAB];
static struct kt_scan scans[SLABS];
static uint64_t written[SLABS];         /* all before this was durable before the last commit began */
static uint64_t footer[SLABS];          /* where it begins; SLAB: none */
static int newest;                      /* slab file */
static struct kit_feed feed[FEEDS];
static int frames;                      /* in the ring */
static kt_ring *ring;

static void open_ring(bool scrub)
{
    struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    p.slab_bytes = SLAB;
    p.size_bytes = SLAB * SLABS;
    p.scrub_rate = scrub ? INT64_C(1) << 40 : -1;
    ck_assert_msg(kt_ring_open(&ring, &p, &err) == 0, "%s", err.text);
    for (int i = 0; i < FEEDS; i++)
        feed[i].ring = ring;
    kit_flush(ring);                    /* a start writes, and may begin a slab for that */
}

static int slab_file(int file, int flags)
{
    char name[KT_SLAB_NAME_SIZE], path[128];
    kt_slab_name(name, (uint32_t)file);
    snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
    const int fd = open(path, flags);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void round_of_frames(void)
{
    for (int i = 0; i < FEEDS; i++)
        kit_push_n(&feed[i], GOP / 2);
    kit_flush(ring);
}

static bool just_sealed(void)
{
    pthread_rwlock_rdlock(&ring->ix->lock);
    const struct kt_slab *slab = kt_index_slab(ring->ix, ring->w.slab_seq);
    const bool yes = slab && slab->sealed;
    pthread_rwlock_unlock(&ring->ix->lock);
    return yes;
}

/* What is in each slab file, while all is well. */
static void take_image(void)
{
    for (int i = 0; i < SLABS; i++) {
        const int fd = slab_file(i, O_RDONLY);
        ck_assert_int_eq(read(fd, image[i], SLAB), SLAB);
        scans[i] = (struct kt_scan){ .io = &kt_ring_io_system, .fd = fd, .slab_bytes = SLAB };
        ck_assert_int_eq(kt_scan_slab(&scans[i]), 0);
        struct kt_trailer t = { .slab_seq = 0 };
        const bool sealed = scans[i].n > 0 && kt_trailer_decode(&t, image[i] + SLAB - KT_PAGE, SLAB) == 0 &&
                            t.slab_seq == scans[i].items[0].h.slab_seq;
        footer[i] = sealed ? t.footer_offset : SLAB;
        written[i] = scans[i].end;
        close(fd);
    }
}

/* Damage in the very last commit may be a torn write: docs/ring-format.md. */
static void leave_last_commit(void)
{
    newest = 1;                         /* the first life */
    for (int i = 0; i < SLABS; i++)
        if (scans[i].n > 0 && scans[i].items[0].h.slab_seq > scans[newest].items[0].h.slab_seq)
            newest = i;
    written[newest] = scans[newest].items[scans[newest].n - 1].h.commit_offset;
}

static void fill_young(void)
{
    for (int i = 0; i < 37; i++)        /* three slabs and a part of one */
        round_of_frames();
}

static void fill_round(void)
{
    do
        round_of_frames();
    while (ring->w.slab_seq < 15);
    for (int i = 0; i < 4; i++)
        round_of_frames();
}

static void fill_to_seal(void)
{
    do
        round_of_frames();
    while (ring->w.slab_seq < 11 || !just_sealed());
}

static void (*const fills[])(void) = { fill_young, fill_round, fill_to_seal };

/* A third in the first records, a third in footers, a third anywhere. */
static void choose(int n, int *file, uint64_t *at)
{
    do {
        *file = (int)(random() % SLABS);
    } while (written[*file] == 0 || (n % 3 == 1 && footer[*file] == SLAB));
    if (n % 3 == 0)
        *at = (uint64_t)random() % 600;
    else if (n % 3 == 1)
        *at = n % 2 ? SLAB - KT_PAGE + (uint64_t)random() % KT_PAGE
                    : footer[*file] + (uint64_t)random() % (SLAB - footer[*file]);
    else
        *at = (uint64_t)random() % written[*file];
}

static void put_image(int flipped, uint64_t at, uint8_t mask)
{
    image[flipped][at] ^= mask;
    for (int i = 0; i < SLABS; i++) {
        const int fd = slab_file(i, O_WRONLY);
        ck_assert_int_eq(write(fd, image[i], SLAB), SLAB);
        close(fd);
    }
    image[flipped][at] ^= mask;
}

/* Of the MEDIA record that the byte is in; 0: it is in none. */
static int frames_hit(int file, uint64_t at)
{
    for (size_t i = 0; i < scans[file].n; i++) {
        const struct kt_scan_item *item = &scans[file].items[i];
        if (at >= item->offset && at < item->offset + KT_HEADER_SIZE + item->h.size)
            return item->h.type == KT_TYPE_MEDIA ? (int)item->h.frames : 0;
    }
    return 0;
}

/* Frames of F that can be read and played. */
static int playable(const struct kit_feed *f)
{
    struct kt_record *rec = NULL;
    size_t n = 0;
    int good = 0;
    ck_assert_int_eq(kt_ring_query(ring, f->stream, 0, INT64_MAX, SIZE_MAX, &rec, &n), 0);
    for (size_t i = 0; i < n; i++) {
        struct kt_init *init = NULL;
        uint8_t *buf = malloc(rec[i].size);
        if (kt_ring_init(ring, rec[i].init, &init) == 0 && kt_ring_read(ring, &rec[i], buf) == 0)
            good += kit_check_payload(f, &rec[i], buf);
        kt_init_unref(&init);
        free(buf);
    }
    free(rec);
    return good;
}

/* Opened by the recorder: how much reads back, and does it know of the damage? */
static bool survives(int lost, bool counted, const char *where)
{
    struct kt_ring_status st;
    int got = 0;
    open_ring(true);
    for (int i = 0; i < FEEDS; i++)
        got += playable(&feed[i]);
    const int64_t until = kt_clock_mono_us() + 60 * KT_SECOND_US;
    do {
        usleep(1000);
        kt_ring_status(ring, &st);
    } while (st.scrub_passes == 0 && kt_clock_mono_us() < until);
    if (got < frames - lost)
        printf("%d frames are lost, not %d: %s\n", frames - got, lost, where);
    if (counted && st.corrupt_records == 0)
        printf("not counted: %s\n", where);
    kt_ring_close(&ring);
    return got >= frames - lost && (!counted || st.corrupt_records > 0);
}

/* The oldest slab, when the newest was full. */
static void learn_what_a_start_costs(void)
{
    put_image(0, 0, 0);
    open_ring(false);
    frames = 0;
    for (int i = 0; i < FEEDS; i++)
        frames += playable(&feed[i]);
    kt_ring_close(&ring);
    for (int i = 0; i < SLABS; i++) {
        uint8_t now[KT_PAGE];
        const int fd = slab_file(i, O_RDONLY);
        ck_assert_int_eq(read(fd, now, KT_PAGE), KT_PAGE);
        if (memcmp(now, image[i], KT_PAGE) != 0)
            written[i] = 0;
        close(fd);
    }
}

START_TEST(each_of_a_thousand_bits_is_found_and_costs_its_record)
{
    static const char *const names[] = { "young", "round", "sealed" };
    static const size_t sizes[FEEDS] = { 3000, 900, 200 };
    int found = 0, survived = 0;
    open_ring(false);
    for (int i = 0; i < FEEDS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%c/main", 'a' + i);
        feed[i] = kit_feed(ring, name, sizes[i]);
    }
    fills[_i]();
    kt_ring_close(&ring);
    take_image();
    leave_last_commit();
    learn_what_a_start_costs();
    srandom((unsigned)_i + 7);
    for (int n = 0; n < BITS; n++) {
        char where[400];
        int file;
        uint64_t at;
        choose(n, &file, &at);
        const uint8_t mask = (uint8_t)(1 << random() % 8);
        snprintf(where, sizeof(where), "%s ring, slab file %d, byte %" PRIu64 ", mask %02x", names[_i], file, at, mask);
        put_image(file, at, mask);
        struct kt_verify v = { .user = NULL };
        struct kt_error err = { "" };
        ck_assert_msg(kt_ring_verify(kit_dir, &v, &err) == 0, "%s", err.text);
        found += v.problems > 0;
        if (v.problems == 0)
            printf("verify does not find it: %s\n", where);
        else
            snprintf(where + strlen(where), sizeof(where) - strlen(where), " (%s)", v.first_problem);
        /* The scrub comes to the slab that is still written to when it is full. */
        survived += survives(frames_hit(file, at), file != newest || footer[newest] < SLAB, where);
    }
    ck_assert_int_eq(found, BITS);
    ck_assert_int_eq(survived, BITS);
    put_image(0, 0, 0);
    for (int i = 0; i < SLABS; i++)
        kt_scan_free(&scans[i]);
    for (int i = 0; i < FEEDS; i++)
        kt_init_unref(&feed[i].init);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flipped_bits");
    TCase *t = tcase_create("flipped_bits");
    kt_log_set_level(0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    tcase_set_timeout(t, 400);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_loop_test(t, each_of_a_thousand_bits_is_found_and_costs_its_record, 0, 3);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

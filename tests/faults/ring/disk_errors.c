/* Every call to the disk fails once, at every place; the disk hangs, fills up, is another one. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "server/base/log.h"
#include "storage/ring/check.h"
#include "tests/faults/ring/bad_disk.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

static kt_ring *ring;

static int64_t acked;                   /* frames told to be on disk */

/* Write three slabs' worth; note what was acknowledged. A failing disk may refuse. */
static void write_some(struct kit_feed *f, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        const int before = f->frame;
        int refused = 0;
        for (int k = 0; k < GOP; k++)
            refused += kit_push(f) < 0;
        if (kt_ring_flush(ring, 10 * KT_SECOND_US) == 0 && !refused)
            acked |= INT64_C(1) << (before / GOP);
    }
}

/* All GOPs that were acknowledged are there; what else is there is right, too. */
static void check_acked(struct kit_feed *f, const char *what, int n)
{
    for (int gop = 0; gop < 63; gop++) {
        if (!(acked & INT64_C(1) << gop))
            continue;
        const int64_t from = T0 + gop * GOP * FRAME_US;
        const int got = kit_verify(f, from, from + GOP * FRAME_US);
        ck_assert_msg(got == GOP, "%s, call %d: GOP %d was acknowledged, %d frames are left", what, n, gop,
                      got);
    }
}

static const struct {
    const char *what;
    enum bad_kind kind;
    int error, count;
} failures[] = {
    { "open: EIO", BAD_OPEN, -EIO, 0 },         { "open: EINTR", BAD_OPEN, -EINTR, 0 },
    { "read: EIO", BAD_READ, -EIO, 0 },         { "read: EINTR", BAD_READ, -EINTR, 0 },
    { "read: short", BAD_READ, 0, 0 },          { "write: EIO", BAD_WRITE, -EIO, 0 },
    { "write: ENOSPC", BAD_WRITE, -ENOSPC, 0 }, { "write: EINTR", BAD_WRITE, -EINTR, 0 },
    { "write: short", BAD_WRITE, 0, 0 },        { "sync: EIO", BAD_SYNC, -EIO, 0 },
    { "sync: EIO twice", BAD_SYNC, -EIO, 1 },   { "write: EIO four times", BAD_WRITE, -EIO, 3 },
};

/* One run with the Nth call failing. False when there was no Nth call. */
static bool run_with(int row, int n)
{
    struct bad_disk disk = { .error = failures[row].error, .fail_count = failures[row].count };
    const struct kt_ring_io io = bad_io(&disk);
    const struct kt_ring_params p = kit_params();
    struct kt_error err;
    disk.fail_at[failures[row].kind] = n;
    acked = 0;
    struct kit_feed f = { .ring = NULL };
    if (kt_ring_open_io(&ring, &p, &io, &err) == 0) {
        f = kit_feed(ring, "a/main", 16000);
        write_some(&f, 14);
        kt_ring_close(&ring);
        kt_init_unref(&f.init);
    }
    disk.fail_at[failures[row].kind] = 0;
    /* Whatever happened: the next start works, and nothing acknowledged is lost. */
    ring = kit_open_io(&io);
    f = kit_feed(ring, "a/main", 16000);
    check_acked(&f, failures[row].what, n);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
    struct kt_verify v = { .user = NULL };
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_msg(v.problems == 0, "%s, call %d: %s", failures[row].what, n, v.first_problem);
    return disk.hit > 0;
}

START_TEST(the_nth_call_fails)
{
    int n = 1;
    while (run_with(_i, n)) {
        kit_teardown();
        kit_setup();
        n += n < 40 ? 1 : n / 8;        /* later calls repeat what earlier ones did */
    }
    ck_assert_int_gt(n, 3);
}
END_TEST

START_TEST(a_failed_fdatasync_is_a_lost_interval_not_a_retry)
{
    struct bad_disk disk = { .error = -EIO };
    const struct kt_ring_io io = bad_io(&disk);
    struct kt_ring_status st;
    struct kt_ring_span *span = NULL;
    size_t n = 0;
    ring = kit_open_io(&io);
    struct kit_feed f = kit_feed(ring, "a/main", 5000);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    const uint64_t slab = ring->w.slab_seq;
    disk.fail_at[BAD_SYNC] = disk.calls[BAD_SYNC] + 1;
    kit_push_n(&f, GOP);
    ck_assert_int_eq(kt_ring_flush(ring, KT_SECOND_US * 5), -EIO);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    kt_ring_status(ring, &st);
    ck_assert_uint_eq(st.lost_intervals, 1);
    ck_assert_int_eq(st.state, KT_RING_OK);
    ck_assert_uint_eq(ring->w.slab_seq, slab + 1);
    ck_assert_int_eq(kit_verify(&f, 0, INT64_MAX), 2 * GOP);
    ck_assert_int_eq(kt_ring_spans(ring, f.stream, T0, T0 + 3 * GOP * FRAME_US, &span, &n), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(span[1].reason, KT_GAP_DISK_ERROR);
    ck_assert_int_eq(span[1].from_us, T0 + GOP * FRAME_US);
    ck_assert_int_eq(span[1].to_us, T0 + 2 * GOP * FRAME_US);
    free(span);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
}
END_TEST

START_TEST(a_disk_that_takes_nothing_is_said_and_heals)
{
    struct bad_disk disk = { .error = -EIO, .fail_count = 1000 };
    const struct kt_ring_io io = bad_io(&disk);
    struct kt_ring_status st;
    ring = kit_open_io(&io);
    struct kit_feed f = kit_feed(ring, "a/main", 5000);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    disk.fail_at[BAD_SYNC] = 1;
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < GOP; k++)
            (void)kit_push(&f);
        ck_assert_int_lt(kt_ring_flush(ring, KT_SECOND_US), 0);
    }
    kt_ring_status(ring, &st);
    ck_assert_int_eq(st.state, KT_RING_FAILED);
    ck_assert_ptr_nonnull(strstr(st.why, "disk"));
    ck_assert_int_eq(kit_push(&f), -EIO);
    ck_assert_int_eq(kit_verify(&f, 0, INT64_MAX), GOP);    /* what there is can still be seen */
    disk.fail_at[BAD_SYNC] = 0;
    const int64_t until = kt_clock_mono_us() + 20 * KT_SECOND_US;
    do {
        usleep(50000);
        kt_ring_status(ring, &st);
    } while (st.state != KT_RING_OK && kt_clock_mono_us() < until);
    ck_assert_int_eq(st.state, KT_RING_OK);
    while (f.frame % GOP != 0)
        (void)kit_push(&f);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    ck_assert_int_eq(kit_verify(&f, 0, INT64_MAX), 2 * GOP);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
}
END_TEST

static size_t bytes_waiting(void)
{
    pthread_mutex_lock(&ring->lock);
    const size_t n = ring->queue.bytes + ring->in_flight;
    pthread_mutex_unlock(&ring->lock);
    return n;
}

START_TEST(a_hanging_disk_blocks_nobody_and_costs_whole_gops)
{
    struct bad_disk disk = { .error = 0 };
    const struct kt_ring_io io = bad_io(&disk);
    struct kt_ring_params p = kit_params();
    struct kt_error err;
    p.queue_bytes = 1 * MIB;
    p.size_bytes = 64 * MIB;
    p.slab_bytes = 8 * MIB;
    ck_assert_int_eq(kt_ring_open_io(&ring, &p, &io, &err), 0);
    struct kit_feed f = kit_feed(ring, "a/main", 10000);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    pthread_mutex_lock(&disk.gate);
    int64_t slowest = 0;
    int refused = 0;
    for (int i = 0; i < 40 * GOP; i++) {                        /* 80 s of video: 4 MB */
        const int64_t start = kt_clock_mono_us();
        refused += kit_push(&f) == -EAGAIN;
        const int64_t took = kt_clock_mono_us() - start;
        slowest = took > slowest ? took : slowest;
        ck_assert_uint_le(bytes_waiting(), p.queue_bytes);
        if (i % 100 == 0)
            usleep(20000);                                      /* the writer is in fdatasync by now */
    }
    pthread_mutex_unlock(&disk.gate);
    ck_assert_int_lt(slowest, 100000);
    ck_assert_int_gt(refused, 20 * GOP);
    (void)!kt_ring_flush(ring, 10 * KT_SECOND_US);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    /* What is there begins with key frames wherever something is missing before it. */
    struct kt_record *rec = NULL;
    struct kt_ring_span *span = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_ring_query(ring, f.stream, 0, INT64_MAX, SIZE_MAX, &rec, &n), 0);
    for (size_t i = 1; i < n; i++)
        if (rec[i].start_us > rec[i - 1].end_us + FRAME_US / 2)
            ck_assert(rec[i].flags & KT_RECORD_KEY);
    free(rec);
    ck_assert_int_eq(kt_ring_spans(ring, f.stream, T0, T0 + 42 * GOP * FRAME_US, &span, &n), 0);
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(span[1].reason, KT_GAP_DISK_STALL);
    ck_assert_int_eq(span[2].to_us, T0 + 42 * GOP * FRAME_US);
    free(span);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
}
END_TEST

/* ---- other disks ---- */

START_TEST(a_foreign_file_that_fills_the_disk_does_not_stop_recording)
{
    if (mount("tmpfs", kit_dir, "tmpfs", 0, "size=16m") < 0) {
        printf("not done: this user may not mount a small disk (%s)\n", strerror(errno));
        return;
    }
    char path[128];
    ring = kit_open();
    snprintf(path, sizeof(path), "%s/foreign", kit_dir);
    const int fd = open(path, O_WRONLY | O_CREAT, 0600);
    static char junk[65536];
    memset(junk, 1, sizeof(junk));
    while (write(fd, junk, sizeof(junk)) > 0)
        continue;
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
    struct kit_feed f = kit_feed(ring, "a/main", 20000);
    for (int i = 0; i < 60; i++) {                              /* 12 MB: once around and more */
        kit_push_n(&f, GOP);
        kit_flush(ring);
    }
    struct kt_ring_status st;
    kt_ring_status(ring, &st);
    ck_assert_uint_eq(st.lost_intervals, 0);
    ck_assert_int_gt(kit_verify(&f, 0, INT64_MAX), 300);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
    ck_assert_int_eq(umount2(kit_dir, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_disk_too_small_is_refused_and_left_as_it_was)
{
    if (mount("tmpfs", kit_dir, "tmpfs", 0, "size=4m") < 0) {
        printf("not done: this user may not mount a small disk (%s)\n", strerror(errno));
        return;
    }
    const struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    struct statvfs vfs;
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.text, "no room"));
    ck_assert_int_eq(statvfs(kit_dir, &vfs), 0);
    ck_assert_uint_eq(vfs.f_bfree, vfs.f_blocks);
    ck_assert_int_eq(umount2(kit_dir, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_read_only_disk_is_refused_in_words)
{
    struct bad_disk disk = { .error = -EROFS, .fail_count = 1000 };
    const struct kt_ring_io io = bad_io(&disk);
    const struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    ring = kit_open();
    kt_ring_close(&ring);
    disk.fail_at[BAD_OPEN] = 1;
    ck_assert_int_eq(kt_ring_open_io(&ring, &p, &io, &err), -EROFS);
    ck_assert_ptr_nonnull(strstr(err.text, "Read-only"));
    ck_assert_ptr_null(ring);
}
END_TEST

START_TEST(no_ring_is_not_made_where_one_is_expected)
{
    struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    p.create = false;
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), -ENOENT);
    char command[128];
    snprintf(command, sizeof(command), "test -z \"$(ls -A %s)\"", kit_dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static void make_and_damage(const char *shell)
{
    char command[512];
    ring = kit_open();
    struct kit_feed f = kit_feed(ring, "a/main", 20000);
    for (int i = 0; i < 20; i++) {
        kit_push_n(&f, GOP);
        kit_flush(ring);
    }
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
    snprintf(command, sizeof(command), "cd %s && { %s; }", kit_dir, shell);
    ck_assert_int_eq(system(command), 0);
}

static void shell(const char *command)
{
    char line[600];
    snprintf(line, sizeof(line), "cd %s && { %s; }", kit_dir, command);
    ck_assert_msg(system(line) == 0, "%s", command);
}

/* What the file that says which ring it is may suffer. */
static const struct {
    const char *what, *shell;
} lost_metas[] = {
    { "missing", "rm ring.meta" },
    { "damaged", "printf x | dd of=ring.meta bs=1 seek=60 conv=notrunc 2>/dev/null" },
    { "damaged", "printf '\\2' | dd of=ring.meta bs=1 seek=4 conv=notrunc 2>/dev/null" },   /* flipped: no other version */
    { "damaged", "truncate -s 0 ring.meta" },
    { "damaged", "truncate -s 1000 ring.meta" },
    { "damaged", "head -c 4096 /dev/zero > ring.meta" },
    { "missing", "rm ring.meta; dd if=/dev/zero of=slab-000001.kts bs=512 count=1 conv=notrunc 2>/dev/null" },
};

START_TEST(a_lost_meta_file_is_written_again_from_the_slabs)
{
    struct kt_ring_status was, is;
    struct kt_verify v = { .user = NULL };
    struct kt_error err = { "" };
    kt_ring *tool;
    ring = kit_open();
    kt_ring_status(ring, &was);
    kt_ring_close(&ring);
    make_and_damage(lost_metas[_i].shell);
    const bool whole = !strstr(lost_metas[_i].shell, "slab");
    /* Tools look at it as it is, and write nothing. */
    shell("cat ring.meta slab-*.kts 2>/dev/null | sha256sum > sum");
    tool = kit_open_read_only();
    struct kit_feed f = kit_feed(tool, "a/main", 20000);
    ck_assert_int_gt(kit_verify_some(&f, 0, INT64_MAX, true), 130);
    kt_ring_close(&tool);
    kt_init_unref(&f.init);
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_ptr_nonnull(strstr(v.first_problem, lost_metas[_i].what));
    ck_assert(!whole || v.problems == 1);
    shell("cat ring.meta slab-*.kts 2>/dev/null | sha256sum | cmp - sum");
    /* The recorder goes on where it was. */
    struct kt_ring_params p = kit_params();
    p.uuid = was.uuid;
    p.create = false;
    ck_assert_msg(kt_ring_open(&ring, &p, &err) == 0, "%s", err.text);
    kt_ring_status(ring, &is);
    ck_assert_str_eq(is.uuid, was.uuid);
    ck_assert_uint_eq(is.size_bytes, was.size_bytes);
    kt_ring *second = NULL;
    ck_assert_int_eq(kt_ring_open(&second, &p, &err), -EBUSY);      /* it is locked as any other */
    f = kit_feed(ring, "a/main", 20000);
    if (whole)
        ck_assert_int_eq(kit_verify(&f, 0, INT64_MAX), 200);
    f.frame = 20 * GOP;
    f.run = 2;
    kit_push_n(&f, GOP);
    kit_flush(ring);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
    v = (struct kt_verify){ .user = NULL };
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_msg(v.problems == 0 || !whole, "%s", v.first_problem);
    ck_assert_ptr_null(strstr(v.first_problem, "ring.meta"));
}
END_TEST

/* Where the slabs cannot say for sure which ring it is, a person must look: not a byte is changed. */
static const struct {
    const char *shell, *says;
} unsure[] = {
    { "rm ring.meta slab-000003.kts", "slab-000003.kts of 8 slabs is missing" },
    { "rm ring.meta; truncate -s 100000 slab-000003.kts", "slab-000003.kts of 8 slabs is too short" },
    { "rm ring.meta; for i in 0 1 2 3 4 5 6 7; do dd if=/dev/zero of=slab-00000$i.kts bs=512 count=1 conv=notrunc; "
      "done 2>/dev/null", "that is not empty" },
    { "truncate -s 0 ring.meta; for i in 0 1 2 3 4 5 6 7; do dd if=/dev/urandom of=slab-00000$i.kts bs=512 count=1 "
      "conv=notrunc; done 2>/dev/null", "no slab says which ring it is of" },
    { "rm ring.meta; echo a note > slab-000000.kts; rm slab-00000[1-7].kts", "that is not empty" },
};

START_TEST(what_slabs_do_not_say_for_sure_is_not_guessed)
{
    struct kt_error err = { "" };
    const struct kt_ring_params p = kit_params();
    make_and_damage(unsure[_i].shell);
    shell("ls > /tmp/kt-names.$PPID && mv /tmp/kt-names.$PPID names && sha256sum [!n]* > nsums");
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, unsure[_i].says) && strstr(err.text, "nothing was changed") &&
                  strstr(err.text, "kentongan recover"), "%s", err.text);
    shell("sha256sum -c --quiet nsums && ls | grep -v ^n | cmp - names");
}
END_TEST

START_TEST(slabs_of_two_rings_make_no_third)
{
    char other[80], command[300];
    struct kt_error err = { "" };
    const struct kt_ring_params p = kit_params();
    make_and_damage("rm ring.meta");
    snprintf(other, sizeof(other), "%s.other", kit_dir);
    ck_assert_int_eq(rename(kit_dir, other), 0);
    ck_assert_int_eq(mkdir(kit_dir, 0700), 0);
    make_and_damage("rm ring.meta");
    snprintf(command, sizeof(command), "cp %s/slab-000002.kts . && rm -r %s && sha256sum * > sums", other, other);
    shell(command);
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "are of different rings") && strstr(err.text, "slab-000002.kts"), "%s", err.text);
    shell("sha256sum -c --quiet sums && test ! -e ring.meta");
}
END_TEST

START_TEST(a_cut_while_the_meta_file_is_written_again_is_survived)
{
    struct bad_disk disk = { .error = -EIO };
    const struct kt_ring_io io = bad_io(&disk);
    const struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    make_and_damage("rm ring.meta");
    for (int kind = BAD_WRITE; kind <= BAD_SYNC; kind++) {
        disk.fail_at[kind] = disk.calls[kind] + 1;
        ck_assert_int_eq(kt_ring_open_io(&ring, &p, &io, &err), -EIO);
        shell("head -c 2000 ring.meta > half; cp half ring.meta");
    }
    ring = kit_open();
    struct kit_feed f = kit_feed(ring, "a/main", 20000);
    ck_assert_int_eq(kit_verify(&f, 0, INT64_MAX), 200);
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
}
END_TEST

START_TEST(another_version_is_refused)
{
    struct kt_error err = { "" };
    const struct kt_ring_params p = kit_params();
    make_and_damage("python3 -c 'import hashlib; b = bytearray(open(\"ring.meta\", \"rb\").read()); b[4] = 2; "
                    "b[4064:] = hashlib.sha256(b[:4064]).digest(); open(\"ring.meta\", \"wb\").write(b)' && sha256sum * > sums");
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "another version"));
    shell("sha256sum -c --quiet sums");
}
END_TEST

/* Slabs that are not what they should be cost themselves, and nothing else. */
static const char *const bad_slabs[] = {
    "truncate -s 100000 slab-000002.kts",
    "truncate -s 0 slab-000002.kts && truncate -s 1048576 slab-000002.kts",
    "rm slab-000002.kts",
    "cp slab-000001.kts slab-000002.kts",
    "head -c 1048576 /dev/urandom > slab-000002.kts",
    "truncate -s 2M slab-000002.kts",
};

START_TEST(a_bad_slab_costs_itself_only)
{
    make_and_damage(bad_slabs[_i]);
    ring = kit_open();
    struct kit_feed f = kit_feed(ring, "a/main", 20000);
    const int left = kit_verify_some(&f, 0, INT64_MAX, true);
    ck_assert_int_gt(left, 130);                                /* of 200, a slab has some 48 */
    ck_assert_int_eq(left == 200, _i == 5);                     /* too long: nothing is lost */
    f.frame = 20 * GOP;
    f.run = 2;
    for (int i = 0; i < 60; i++) {                              /* and it is used again */
        kit_push_n(&f, GOP);
        kit_flush(ring);
    }
    ck_assert_int_gt(kit_verify(&f, 0, INT64_MAX), 300);
    kt_ring_close(&ring);
    ring = kit_open();
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
}
END_TEST

START_TEST(a_slab_of_another_ring_is_never_served)
{
    char other[80], command[400];
    make_and_damage("true");
    snprintf(other, sizeof(other), "%s.other", kit_dir);
    ck_assert_int_eq(rename(kit_dir, other), 0);
    ck_assert_int_eq(mkdir(kit_dir, 0700), 0);
    ring = kit_open();
    struct kit_feed b = kit_feed(ring, "b/main", 20000);
    b.seed = 99;
    for (int i = 0; i < 20; i++) {
        kit_push_n(&b, GOP);
        kit_flush(ring);
    }
    kt_ring_close(&ring);
    snprintf(command, sizeof(command), "cp %s/slab-000002.kts %s/ && rm -r %s && cd %s && "
             "sha256sum slab-000002.kts > sum", other, kit_dir, other, kit_dir);
    ck_assert_int_eq(system(command), 0);
    ring = kit_open();
    b.ring = ring;
    const int left = kit_verify(&b, 0, INT64_MAX);              /* checks every byte to be b's */
    ck_assert_int_gt(left, 130);
    ck_assert_int_lt(left, 200);
    /* Nor is it written on, it may be the only copy: the ring goes around it. */
    b.frame = 20 * GOP;
    b.run = 2;
    for (int i = 0; i < 60; i++) {
        kit_push_n(&b, GOP);
        kit_flush(ring);
    }
    ck_assert_int_gt(kit_verify(&b, 0, INT64_MAX), 260);
    kt_ring_close(&ring);
    snprintf(command, sizeof(command), "cd %s && sha256sum -c --quiet sum && rm slab-000002.kts", kit_dir);
    ck_assert_int_eq(system(command), 0);
    ring = b.ring = kit_open();                                 /* moved away: its place is ours again */
    kit_new_run(&b, T0 + 1000 * KT_SECOND_US);
    for (int i = 0; i < 60; i++) {
        kit_push_n(&b, GOP);
        kit_flush(ring);
    }
    ck_assert_int_gt(kit_verify(&b, 0, INT64_MAX), 300);
    kt_ring_close(&ring);
    kt_init_unref(&b.init);
}
END_TEST

START_TEST(a_size_too_small_is_refused_in_words)
{
    struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    p.slab_bytes = 0;
    p.size_bytes = 4 * MIB;
    ck_assert_int_eq(kt_ring_open(&ring, &p, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "too small"));
}
END_TEST

/* A disk that looks at what is written past the page cache, and may not take it. */
struct picky {
    bool refuses;
    int direct, cached;                 /* writes */
};

static ssize_t picky_pwritev(void *user, int fd, const struct iovec *iov, int n, uint64_t offset)
{
    struct picky *p = user;
    const bool direct = fcntl(fd, F_GETFL) & O_DIRECT;
    for (int i = 0; i < n && direct; i++) {
        ck_assert_uint_eq((uintptr_t)iov[i].iov_base % KT_PAGE, 0);
        ck_assert_uint_eq(iov[i].iov_len % KT_PAGE, 0);
        ck_assert_uint_eq(offset % KT_PAGE, 0);
    }
    p->direct += direct;
    p->cached += !direct;
    return direct && p->refuses ? -EINVAL : kt_ring_io_system.pwritev(NULL, fd, iov, n, offset);
}

/* Two slabs and a half in commits of several pieces, with a restart in the middle. */
static void record_picky(struct picky *p)
{
    struct kt_ring_io io = kt_ring_io_system;
    struct kt_ring_params params = kit_params();
    struct kt_ring_status st;
    struct kt_error err;
    io.user = p;
    io.pwritev = picky_pwritev;
    params.slab_bytes = 4 * MIB;
    params.size_bytes = 32 * MIB;
    ck_assert_int_eq(kt_ring_open_io(&ring, &params, &io, &err), 0);
    struct kit_feed f = kit_feed(ring, "a/main", 133333);
    for (int i = 0; i < 4; i++) {
        kit_push_n(&f, 2 * GOP);
        kit_flush(ring);
        if (i != 1)
            continue;
        kt_ring_close(&ring);
        ck_assert_int_eq(kt_ring_open_io(&ring, &params, &io, &err), 0);
        f.ring = ring;
    }
    kt_ring_status(ring, &st);
    ck_assert_uint_eq(st.lost_intervals, 0);
    ck_assert_int_eq(kit_verify(&f, 0, INT64_MAX), 8 * GOP);
    kt_ring_close(&ring);
    struct kt_verify v = { .user = NULL };
    ck_assert_int_eq(kt_ring_verify(kit_dir, &v, &err), 0);
    ck_assert_msg(v.problems == 0, "%s", v.first_problem);
    kt_init_unref(&f.init);
}

static bool can_write_directly(void)
{
    char name[sizeof(kit_dir) + 8];
    snprintf(name, sizeof(name), "%s/try", kit_dir);
    kt_cleanup(kt_closep) int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    const int ret = kt_io_set_direct(fd, true);
    ck_assert(ret == 0 || ret == -EINVAL);
    ck_assert_int_eq(unlink(name), 0);
    return ret == 0;
}

START_TEST(what_goes_past_the_page_cache_is_whole_pages)
{
    struct picky p = { .refuses = false };
    const bool direct = can_write_directly();
    record_picky(&p);
    if (direct)
        ck_assert_int_eq(p.cached, 1);                  /* ring.meta */
    else
        ck_assert_int_eq(p.direct, 0);
    ck_assert_int_gt(p.direct + p.cached, 10);
}
END_TEST

START_TEST(a_disk_that_refuses_direct_writes_is_asked_once)
{
    struct picky p = { .refuses = true };
    const bool direct = can_write_directly();
    record_picky(&p);
    ck_assert_int_eq(p.direct, direct ? 2 : 0);         /* once each time it was opened */
    ck_assert_int_gt(p.cached, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk_errors");
    TCase *t = tcase_create("disk_errors");
    kt_log_set_level(0);                                        /* a thousand failures are no news */
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_loop_test(t, the_nth_call_fails, 0, (int)KT_ARRAY_SIZE(failures));
    tcase_add_test(t, a_failed_fdatasync_is_a_lost_interval_not_a_retry);
    tcase_add_test(t, a_disk_that_takes_nothing_is_said_and_heals);
    tcase_add_test(t, a_hanging_disk_blocks_nobody_and_costs_whole_gops);
    tcase_add_test(t, a_foreign_file_that_fills_the_disk_does_not_stop_recording);
    tcase_add_test(t, a_disk_too_small_is_refused_and_left_as_it_was);
    tcase_add_test(t, a_read_only_disk_is_refused_in_words);
    tcase_add_test(t, no_ring_is_not_made_where_one_is_expected);
    tcase_add_loop_test(t, a_lost_meta_file_is_written_again_from_the_slabs, 0, (int)KT_ARRAY_SIZE(lost_metas));
    tcase_add_loop_test(t, what_slabs_do_not_say_for_sure_is_not_guessed, 0, (int)KT_ARRAY_SIZE(unsure));
    tcase_add_test(t, slabs_of_two_rings_make_no_third);
    tcase_add_test(t, a_cut_while_the_meta_file_is_written_again_is_survived);
    tcase_add_test(t, another_version_is_refused);
    tcase_add_loop_test(t, a_bad_slab_costs_itself_only, 0, (int)KT_ARRAY_SIZE(bad_slabs));
    tcase_add_test(t, a_slab_of_another_ring_is_never_served);
    tcase_add_test(t, a_size_too_small_is_refused_in_words);
    tcase_add_test(t, what_goes_past_the_page_cache_is_whole_pages);
    tcase_add_test(t, a_disk_that_refuses_direct_writes_is_asked_once);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

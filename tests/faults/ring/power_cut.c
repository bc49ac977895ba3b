/*
 * The power goes, at every place. A run of the ring is recorded write by write; then the disk is
 * rebuilt as it may be found afterwards: all that was synced, and of what was not any part of it,
 * in any order, torn at any sector. Each such disk is opened: what was acknowledged is there, what is
 * served is right, the chain is whole, and the ring goes on.
 */
#include <fcntl.h>

#include "server/base/log.h"
#include "storage/ring/check.h"
#include "storage/ring/vec.h"
#include "tests/faults/ring/bad_disk.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

#define SECTOR 512
#define SLAB (256u << 10)
#define SLABS 8
#define KEPT 400                        /* frames, of 75 in a slab */
#define META SLABS                      /* file numbers: the slabs, then ring.meta(.part) */
#define FILES (SLABS + 1)

enum op_kind { OP_WRITE, OP_SYNC, OP_SYNC_ALL, OP_RENAME, OP_SYNC_DIR, OP_ACK };

struct op {
    enum op_kind kind;
    int file;
    uint64_t offset;
    size_t size;
    uint8_t *data;
    int acked, oldest;                  /* OP_ACK: frames on disk, and the oldest still kept */
};

/* The recorder: does everything for real, and keeps a list. */
static struct {
    struct op *ops;
    size_t n, cap;
    int file_of[1024];                  /* by descriptor; 0: none of ours, else number + 1 */
    pthread_mutex_t lock;
} tape;

static void record(const struct op *op)
{
    pthread_mutex_lock(&tape.lock);
    ck_assert_int_eq(kt_vec_room(&tape.ops, tape.n, &tape.cap), 0);
    tape.ops[tape.n++] = *op;
    pthread_mutex_unlock(&tape.lock);
}

static int tape_open(void *user, int dir_fd, const char *name, int flags, mode_t mode)
{
    int number;
    const int fd = kt_ring_io_system.open(NULL, dir_fd, name, flags, mode);
    if (fd >= 0)
        tape.file_of[fd] = sscanf(name, "slab-%d", &number) == 1 ? number + 1 : META + 1;
    return fd;
}

static ssize_t tape_pwritev(void *user, int fd, const struct iovec *iov, int n, uint64_t offset)
{
    const ssize_t put = kt_ring_io_system.pwritev(NULL, fd, iov, n, offset);
    struct op op = { .kind = OP_WRITE, .file = tape.file_of[fd] - 1, .offset = offset };
    for (int i = 0; i < n; i++)
        op.size += iov[i].iov_len;
    ck_assert_int_eq(put, (ssize_t)op.size);
    op.data = malloc(op.size);
    for (int i = 0, at = 0; i < n; at += (int)iov[i].iov_len, i++)
        memcpy(op.data + at, iov[i].iov_base, iov[i].iov_len);
    record(&op);
    return put;
}

static int tape_fdatasync(void *user, int fd)
{
    const int ret = kt_ring_io_system.fdatasync(NULL, fd);
    record(&(struct op){ .kind = OP_SYNC, .file = tape.file_of[fd] - 1 });
    return ret;
}

static int tape_sync_all(void *user, int dir_fd)
{
    record(&(struct op){ .kind = OP_SYNC_ALL });
    return 0;
}

static int tape_sync_dir(void *user, int dir_fd)
{
    record(&(struct op){ .kind = OP_SYNC_DIR });
    return 0;
}

static int tape_rename(void *user, int dir_fd, const char *from, const char *to)
{
    record(&(struct op){ .kind = OP_RENAME });
    return kt_ring_io_system.rename(NULL, dir_fd, from, to);
}

static struct kt_ring_params params(void)
{
    struct kt_ring_params p = kit_params();
    p.slab_bytes = SLAB;
    p.size_bytes = SLAB * SLABS;
    return p;
}

/* ---- the run ---- */

static int oldest_frame(kt_ring *ring, uint32_t stream)
{
    struct kt_record *rec = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_ring_query(ring, stream, 0, INT64_MAX, 1, &rec, &n), 0);
    const int oldest = n > 0 ? (int)((rec[0].start_us - T0) / FRAME_US) : 0;
    free(rec);
    return oldest;
}

static void run_and_record(int rounds)
{
    struct kt_ring_io io = kt_ring_io_system;
    io.open = tape_open;
    io.pwritev = tape_pwritev;
    io.fdatasync = tape_fdatasync;
    io.fsync_dir = tape_sync_dir;
    io.sync_all = tape_sync_all;
    io.rename = tape_rename;
    kt_ring *ring = NULL;
    const struct kt_ring_params p = params();
    struct kt_error err = { "" };
    pthread_mutex_init(&tape.lock, NULL);
    ck_assert_msg(kt_ring_open_io(&ring, &p, &io, &err) == 0, "%s", err.text);
    struct kit_feed f = kit_feed(ring, "a/main", 3000);
    for (int i = 0; i < rounds; i++) {
        kit_push_n(&f, GOP / 2);
        kit_flush(ring);
        record(&(struct op){ .kind = OP_ACK, .acked = f.frame, .oldest = oldest_frame(ring, f.stream) });
        if (i == rounds / 2) {          /* a clean restart in the middle */
            kt_ring_close(&ring);
            ck_assert_int_eq(kt_ring_open_io(&ring, &p, &io, &err), 0);
            f.ring = ring;
        }
    }
    kt_ring_close(&ring);
    kt_init_unref(&f.init);
}

/* ---- the disk afterwards ---- */

struct disk {
    uint8_t *durable[FILES], *now[FILES];
    size_t meta_size;
    int renamed;                        /* 0 no, 1 perhaps, 2 for sure */
};

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* PART of 0: nothing unsynced arrived; 100: everything; else about so many percent of its
 * sectors, in runs as a disk writes them. */
static void build(const struct disk *d, int part)
{
    static uint8_t image[SLAB];
    for (int f = 0; f < FILES; f++) {
        const size_t size = f == META ? KT_PAGE : SLAB;
        bool take = false;
        for (size_t at = 0; at < size; at += SECTOR) {
            if (at % (8 * SECTOR) == 0 || random() % 16 == 0)
                take = random() % 100 < part;
            memcpy(image + at, (take ? d->now[f] : d->durable[f]) + at, SECTOR);
        }
        char name[KT_SLAB_NAME_SIZE];
        kt_slab_name(name, (uint32_t)f);
        if (f < META)
            write_file(name, image, size);
        else if (d->renamed == 2 || (d->renamed == 1 && random() % 100 < part))
            write_file(KT_META_NAME, image, size);
    }
}

static void play(struct disk *d, const struct op *op)
{
    switch (op->kind) {
    case OP_WRITE:
        memcpy(d->now[op->file] + op->offset, op->data, op->size);
        break;
    case OP_SYNC:
        memcpy(d->durable[op->file], d->now[op->file], op->file == META ? KT_PAGE : SLAB);
        break;
    case OP_RENAME:
        d->renamed = 1;
        break;
    case OP_SYNC_DIR:
        d->renamed = d->renamed ? 2 : 0;
        break;
    default:
        break;
    }
}

/* What was torn is no damage. */
static void expect_whole(size_t at, int part, const char *when)
{
    struct kt_error err = { "" };
    struct kt_verify v = { .user = NULL };
    ck_assert_msg(kt_ring_verify(kit_dir, &v, &err) == 0, "%s", err.text);
    ck_assert_msg(v.problems == 0, "cut at %zu (%d %%), %s: %s", at, part, when, v.first_problem);
}

/* What the cut may have left must open, hold all of [OLDEST, ACKED), be whole, and go on. */
static void check(size_t at, int part, int acked, int oldest, bool cut_again)
{
    const struct kt_ring_params p = params();
    struct kt_error err = { "" };
    kt_ring *ring = NULL;
    int ret;
    /* A slab that was just begun again is half of one life and half of another: only the recorder knows. */
    if (tape.ops[at].kind != OP_WRITE || tape.ops[at].offset > 0)
        expect_whole(at, part, "as it was found");
    if (cut_again) {                    /* the disk fails during the first recovery */
        struct bad_disk bad = { .error = -EIO, .fail_count = 1000 };
        const struct kt_ring_io io = bad_io(&bad);
        bad.fail_at[random() % 2 ? BAD_READ : BAD_SYNC] = 1 + (int)(random() % 20);
        if (kt_ring_open_io(&ring, &p, &io, &err) == 0)
            kt_ring_close(&ring);
    }
    ret = kt_ring_open(&ring, &p, &err);
    ck_assert_msg(ret == 0, "cut at %zu (%d %%): %s", at, part, err.text);
    struct kit_feed f = kit_feed(ring, "a/main", 3000);
    const int got = acked > oldest ? kit_verify(&f, T0 + oldest * FRAME_US, T0 + acked * FRAME_US) : 0;
    ck_assert_msg(got >= acked - oldest, "cut at %zu (%d %%): %d of %d acknowledged frames are left", at,
                  part, got, acked - oldest);
    f.run = 2;
    f.frame = 5000 * GOP;
    kit_push_n(&f, 3);
    kit_flush(ring);
    ck_assert_int_eq(kit_verify(&f, T0 + f.frame * FRAME_US - KT_SECOND_US, INT64_MAX), 3);
    kt_ring_close(&ring);
    expect_whole(at, part, cut_again ? "after a fault during recovery" : "after recovery");
    kt_init_unref(&f.init);
}

static int next_oldest(size_t from, int otherwise)
{
    for (size_t i = from; i < tape.n; i++)
        if (tape.ops[i].kind == OP_ACK)
            return tape.ops[i].oldest;
    return otherwise;
}

START_TEST(every_cut_is_survived)
{
    static const int parts[] = { 0, 100, 50, 50, 80, 20 };
    run_and_record(150);
    struct disk d = { .renamed = 0 };
    int acked = 0, oldest = 0, cuts = 0;
    for (int f = 0; f < FILES; f++) {
        d.durable[f] = calloc(1, SLAB);
        d.now[f] = calloc(1, SLAB);
    }
    srandom(11);
    for (size_t i = 0; i < tape.n; i++) {
        const struct op *op = &tape.ops[i];
        play(&d, op);
        if (op->kind == OP_ACK)
            acked = op->acked;
        oldest = next_oldest(i, oldest);
        /* Each start may begin a slab, and so overwrite the oldest one. */
        const int kept = acked - KEPT > oldest ? acked - KEPT : oldest;
        if (d.renamed == 0)
            continue;                   /* no ring yet: creating starts over */
        for (size_t k = 0; k < KT_ARRAY_SIZE(parts); k++, cuts++) {
            if (op->kind != OP_WRITE && k > 0)
                break;                  /* nothing unsynced that was not tried before */
            build(&d, parts[k]);
            check(i, parts[k], acked, kept, random() % 4 == 0);
        }
    }
    for (int f = 0; f < FILES; f++) {
        free(d.durable[f]);
        free(d.now[f]);
    }
    printf("%d disks rebuilt of %zu operations\n", cuts, tape.n);
    ck_assert_int_gt(acked, 500);
    ck_assert_int_gt(oldest, 20);       /* it did go around */
    for (size_t i = 0; i < tape.n; i++)
        free(tape.ops[i].data);
    free(tape.ops);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("power_cut");
    TCase *t = tcase_create("power_cut");
    kt_log_set_level(0);
    tcase_set_timeout(t, 150);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_test(t, every_cut_is_survived);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

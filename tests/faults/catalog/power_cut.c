/*
 * The power goes, at every place. A run of the catalog is recorded write by write, through SQLite's own
 * interface to the system; then its files are rebuilt as they may be found afterwards: all that was
 * synced, and of what was not any part of it, torn at any sector, files that were deleted there or not.
 * Each such catalog opens, is whole, and has every event that was acknowledged. Events that come
 * "soon" are there with the next that is waited for, or when the log was synced of itself.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sqlite3.h>

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "storage/catalog/audit.h"
#include "storage/catalog/db.h"
#include "storage/catalog/events.h"
#include "tests/unit/run_suite.h"

#define SECTOR 512
#define EVENTS 60
#define CHECKPOINT_PAGES 24             /* so that the log goes round several times */
#define MAX_OPS 20000
#define MAX_BYTES (4u << 20)            /* of a file */

enum file { DB, LOG, JOURNAL, FILES, OTHER = FILES };
static const char *const suffix[FILES] = { "", "-wal", "-journal" };

enum op_kind { OP_WRITE, OP_TRUNCATE, OP_DELETE, OP_SYNC, OP_ACK };

struct op {
    enum op_kind kind;
    int file;
    int64_t offset, size;               /* TRUNCATE: the new size; ACK: events acknowledged */
    uint8_t *data;
};

static struct {
    struct op ops[MAX_OPS];
    size_t n;
    pthread_mutex_t lock;
} tape;

static void record(enum op_kind kind, int file, const void *data, int64_t offset, int64_t size)
{
    if (file == OTHER)
        return;
    struct op op = { .kind = kind, .file = file, .offset = offset, .size = size };
    if (data) {
        op.data = malloc((size_t)size);
        memcpy(op.data, data, (size_t)size);
    }
    pthread_mutex_lock(&tape.lock);
    ck_assert_uint_lt(tape.n, MAX_OPS);
    tape.ops[tape.n++] = op;
    pthread_mutex_unlock(&tape.lock);
}

/* ---- SQLite's files: do the real thing, and keep a list ---- */

struct tape_file {
    sqlite3_file base;
    int number;
};

static sqlite3_vfs *real_vfs, tape_vfs;

static sqlite3_file *real(sqlite3_file *f)
{
    return (sqlite3_file *)((struct tape_file *)f + 1);
}

static int number(sqlite3_file *f)
{
    return ((struct tape_file *)f)->number;
}

static int t_close(sqlite3_file *f) { return real(f)->pMethods->xClose(real(f)); }
static int t_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), p, n, at); }
static int t_size(sqlite3_file *f, sqlite3_int64 *n) { return real(f)->pMethods->xFileSize(real(f), n); }
static int t_lock(sqlite3_file *f, int l) { return real(f)->pMethods->xLock(real(f), l); }
static int t_unlock(sqlite3_file *f, int l) { return real(f)->pMethods->xUnlock(real(f), l); }
static int t_reserved(sqlite3_file *f, int *r) { return real(f)->pMethods->xCheckReservedLock(real(f), r); }
static int t_control(sqlite3_file *f, int op, void *p) { return real(f)->pMethods->xFileControl(real(f), op, p); }
static int t_sector(sqlite3_file *f) { return real(f)->pMethods->xSectorSize(real(f)); }
/* No promises that a cheap disk may break: not that writes are atomic, nor in order. */
static int t_device(sqlite3_file *f) { return 0; }
static int t_map(sqlite3_file *f, int i, int n, int w, void volatile **p) { return real(f)->pMethods->xShmMap(real(f), i, n, w, p); }
static int t_shmlock(sqlite3_file *f, int o, int n, int fl) { return real(f)->pMethods->xShmLock(real(f), o, n, fl); }
static void t_barrier(sqlite3_file *f) { real(f)->pMethods->xShmBarrier(real(f)); }
static int t_unmap(sqlite3_file *f, int d) { return real(f)->pMethods->xShmUnmap(real(f), d); }

static int t_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    record(OP_WRITE, number(f), p, at, n);
    return real(f)->pMethods->xWrite(real(f), p, n, at);
}

static int t_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    record(OP_TRUNCATE, number(f), NULL, 0, n);
    return real(f)->pMethods->xTruncate(real(f), n);
}

static int t_sync(sqlite3_file *f, int flags)
{
    const int rc = real(f)->pMethods->xSync(real(f), flags);
    record(OP_SYNC, number(f), NULL, 0, 0);
    return rc;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, .xClose = t_close, .xRead = t_read, .xWrite = t_write, .xTruncate = t_truncate,
    .xSync = t_sync, .xFileSize = t_size, .xLock = t_lock, .xUnlock = t_unlock,
    .xCheckReservedLock = t_reserved, .xFileControl = t_control, .xSectorSize = t_sector,
    .xDeviceCharacteristics = t_device, .xShmMap = t_map, .xShmLock = t_shmlock, .xShmBarrier = t_barrier,
    .xShmUnmap = t_unmap,
};

static int file_of(const char *name)
{
    for (int i = FILES; name && i-- > 1;)
        if (strlen(name) > strlen(suffix[i]) && strcmp(name + strlen(name) - strlen(suffix[i]), suffix[i]) == 0)
            return i;
    return name && strcmp(name + strlen(name) - 3, ".db") == 0 ? DB : OTHER;
}

static int t_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct tape_file *t = (struct tape_file *)f;
    t->number = file_of(name);
    const int rc = real_vfs->xOpen(real_vfs, name, real(f), flags, out);
    t->base.pMethods = real(f)->pMethods ? &methods : NULL;
    return rc;
}

static int t_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    record(OP_DELETE, file_of(name), NULL, 0, 0);
    return real_vfs->xDelete(real_vfs, name, sync_dir);
}

static void use_tape(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    tape_vfs = *real_vfs;
    tape_vfs.zName = "tape";
    tape_vfs.szOsFile = (int)sizeof(struct tape_file) + real_vfs->szOsFile;
    tape_vfs.xOpen = t_open;
    tape_vfs.xDelete = t_delete;
    ck_assert_int_eq(sqlite3_vfs_register(&tape_vfs, 1), SQLITE_OK);
}

static void leave_tape(void)
{
    sqlite3_vfs_unregister(&tape_vfs);
    sqlite3_vfs_register(real_vfs, 1);
}

/* ---- the run ---- */

static char dir[64], path[96];
static int64_t ids[EVENTS];

static int checkpoint_often(sqlite3 *db, void *arg)
{
    return sqlite3_wal_autocheckpoint(db, CHECKPOINT_PAGES) == SQLITE_OK ? 0 : -1;
}

static size_t syncs_of_the_log(void)
{
    size_t n = 0;
    pthread_mutex_lock(&tape.lock);
    for (size_t i = 0; i < tape.n; i++)
        n += tape.ops[i].kind == OP_SYNC && tape.ops[i].file == LOG;
    pthread_mutex_unlock(&tape.lock);
    return n;
}

/* Until the log was synced more than BEFORE times; how long that took. */
static int64_t wait_for_sync(size_t before)
{
    const int64_t t0 = kt_clock_mono_us();
    while (syncs_of_the_log() == before && kt_clock_mono_us() - t0 < 10 * KT_SECOND_US)
        usleep(2000);
    return kt_clock_mono_us() - t0;
}

/* Event I; whether it was there for all readers at once. */
static void put(kt_catalog *c, int i, bool soon)
{
    struct kt_event ev = { .camera = "gerbang", .type = "motion", .start_us = i + 1, .end_us = i + 2 }, *found = NULL;
    ck_assert_int_eq(soon ? kt_catalog_event_put_soon(c, &ev, "\xff\xd8", 2) : kt_catalog_event_put(c, &ev), 0);
    ck_assert_int_eq(kt_catalog_event_get(c, ev.id, &found), 0);
    ck_assert(found->start_us == i + 1 && found->has_thumbnail == soon && ev.has_thumbnail == soon);
    kt_event_list_free(&found, 1);
    ids[i] = ev.id;
}

static void run_and_record(void)
{
    struct kt_error err = { "" };
    kt_catalog *c = NULL;
    use_tape();
    ck_assert_msg(kt_catalog_open(&c, path, &err) == 0, "%s", err.text);
    ck_assert_int_eq(kt_db_write(c, checkpoint_often, NULL), 0);
    for (int i = 0; i < EVENTS; i++) {
        const bool soon = i % 3 != 2 || i > EVENTS - 5;
        ck_assert_int_eq(kt_catalog_audit(c, "budi", NULL, "play", "gerbang", NULL), 0);
        put(c, i, soon);
        if (!soon)
            record(OP_ACK, DB, NULL, 0, i + 1);
    }
    (void)wait_for_sync(syncs_of_the_log());
    record(OP_ACK, DB, NULL, 0, EVENTS);
    kt_catalog_close(&c);
    leave_tape();
}

/* ---- what may be found afterwards ---- */

struct content {
    uint8_t *bytes;
    int64_t size;                       /* -1: no such file */
};

static struct content durable[FILES];
static size_t unsynced[FILES][MAX_OPS];
static size_t n_unsynced[FILES];

static void apply(struct content *c, const struct op *op, int64_t from, int64_t to)
{
    if (op->kind == OP_DELETE) {
        c->size = -1;
    } else if (op->kind == OP_TRUNCATE) {
        if (op->size < c->size)
            memset(c->bytes + op->size, 0, (size_t)(c->size - op->size));
        c->size = op->size;
    } else {
        ck_assert_int_le(op->offset + op->size, MAX_BYTES);
        memcpy(c->bytes + op->offset + from, op->data + from, (size_t)(to - from));
        if (op->offset + to > c->size)
            c->size = op->offset + to;
    }
}

static void play(size_t at)
{
    const struct op *op = &tape.ops[at];
    const int f = op->file;
    if (op->kind == OP_WRITE || op->kind == OP_TRUNCATE || op->kind == OP_DELETE)
        unsynced[f][n_unsynced[f]++] = at;
    /* A deletion is told to the disk with the folder: like a sync. */
    if (op->kind != OP_SYNC && op->kind != OP_DELETE)
        return;
    for (size_t i = 0; i < n_unsynced[f]; i++)
        apply(&durable[f], &tape.ops[unsynced[f][i]], 0, tape.ops[unsynced[f][i]].size);
    n_unsynced[f] = 0;
}

/* Of what was not synced, PERCENT of the sectors, whichever. */
static void build(const char *to, int percent)
{
    for (int f = 0; f < FILES; f++) {
        struct content c = { .bytes = malloc(MAX_BYTES), .size = durable[f].size };
        memcpy(c.bytes, durable[f].bytes, MAX_BYTES);
        for (size_t i = 0; i < n_unsynced[f]; i++) {
            const struct op *op = &tape.ops[unsynced[f][i]];
            for (int64_t s = 0; s < op->size && op->kind == OP_WRITE; s += SECTOR)
                if (random() % 100 < percent)
                    apply(&c, op, s, s + SECTOR < op->size ? s + SECTOR : op->size);
            if (op->kind != OP_WRITE && random() % 100 < percent)
                apply(&c, op, 0, 0);
        }
        char name[128];
        snprintf(name, sizeof(name), "%s%s", to, suffix[f]);
        (void)remove(name);
        if (c.size >= 0) {
            FILE *file = fopen(name, "wb");
            ck_assert(file && fwrite(c.bytes, 1, (size_t)c.size, file) == (size_t)c.size);
            fclose(file);
        }
        free(c.bytes);
    }
}

static void check_whole(kt_catalog *c, size_t at, int percent)
{
    int64_t bad = 0;
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "PRAGMA integrity_check", "");
    ck_assert_int_eq(kt_db_step(stmt), 1);
    const char *says = (const char *)sqlite3_column_text(stmt, 0);
    ck_assert_msg(strcmp(says, "ok") == 0, "cut at %zu (%d %%): %s", at, percent, says);
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    ck_assert_msg(kt_catalog_audit_verify(c, NULL, NULL, &bad) == 0, "cut at %zu: the audit chain is broken", at);
}

static void check(size_t at, int percent, int acked)
{
    struct kt_error err = { "" };
    kt_catalog *c = NULL;
    char to[96];
    snprintf(to, sizeof(to), "%s/cut.db", dir);
    build(to, percent);
    ck_assert_msg(kt_catalog_open(&c, to, &err) == 0, "cut at %zu (%d %%): %s", at, percent, err.text);
    check_whole(c, at, percent);
    for (int i = 0; i < acked; i++) {
        struct kt_event *ev = NULL;
        ck_assert_msg(kt_catalog_event_get(c, ids[i], &ev) == 0, "cut at %zu (%d %%): event %d of %d is lost", at,
                      percent, i, acked);
        ck_assert_int_eq(ev->start_us, i + 1);
        kt_event_list_free(&ev, 1);
    }
    struct kt_event more = { .camera = "gerbang", .type = "line", .start_us = 1000, .end_us = 1001 };
    ck_assert_int_eq(kt_catalog_event_put(c, &more), 0);        /* and it goes on */
    kt_catalog_close(&c);
}

static void setup(void)
{
    /* Two thousand catalogs are opened; what the disk is like, the tape says. */
    strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/kt-cut-XXXXXX" : "/tmp/kt-cut-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
    pthread_mutex_init(&tape.lock, NULL);
    for (int f = 0; f < FILES; f++)
        durable[f] = (struct content){ .bytes = calloc(1, MAX_BYTES), .size = -1 };
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
    for (int f = 0; f < FILES; f++)
        free(durable[f].bytes);
    for (size_t i = 0; i < tape.n; i++)
        free(tape.ops[i].data);
}

START_TEST(every_cut_is_survived)
{
    static const int parts[] = { 0, 100, 50, 80 };
    int acked = 0, cuts = 0, rounds = 0;
    run_and_record();
    srandom(13);
    for (size_t i = 0; i < tape.n; i++) {
        const struct op *op = &tape.ops[i];
        play(i);
        acked = op->kind == OP_ACK ? (int)op->size : acked;
        rounds += op->kind == OP_WRITE && op->file == LOG && op->offset == 0;
        if (op->kind == OP_ACK)
            continue;
        /* Every prefix, and one other fate of what was not synced; all of them where there is little. */
        const size_t n = op->kind == OP_SYNC ? 1 : i % 4 == 0 ? KT_ARRAY_SIZE(parts) : 1;
        for (size_t k = 0; k < n; k++, cuts++)
            check(i, n == 1 ? parts[i % KT_ARRAY_SIZE(parts)] : parts[k], acked);
    }
    printf("%d catalogs rebuilt of %zu operations, the log began anew %d times\n", cuts, tape.n, rounds);
    ck_assert_int_eq(acked, EVENTS);
    ck_assert_int_gt(rounds, 3);
}
END_TEST

START_TEST(events_that_come_soon_share_a_sync)
{
    struct kt_error err = { "" };
    kt_catalog *c = NULL;
    use_tape();
    ck_assert_msg(kt_catalog_open(&c, path, &err) == 0, "%s", err.text);
    const size_t before = syncs_of_the_log();
    for (int i = 0; i < EVENTS; i++)
        put(c, i, true);
    ck_assert_uint_eq(syncs_of_the_log(), before);
    ck_assert_int_le(wait_for_sync(before), KT_CATALOG_SOON_S * KT_SECOND_US + KT_SECOND_US);
    ck_assert_uint_eq(syncs_of_the_log(), before + 1);

    put(c, 0, false);                   /* waited for: at once, once, and nothing is left to do */
    ck_assert_uint_eq(syncs_of_the_log(), before + 2);
    put(c, 1, true);
    ck_assert_int_eq(kt_catalog_flush(c), 0);
    ck_assert_uint_eq(syncs_of_the_log(), before + 3);
    kt_catalog_close(&c);
    leave_tape();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("power_cut");
    TCase *t = tcase_create("power_cut");
    tcase_set_timeout(t, 150);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_cut_is_survived);
    tcase_add_test(t, events_that_come_soon_share_a_sync);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

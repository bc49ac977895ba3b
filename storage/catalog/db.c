#include "storage/catalog/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "server/base/log.h"

#define READERS 4
#define BUSY_TIMEOUT_MS 5000
#define HASHES_AT_ONCE 2
#define CHECKPOINT_PAGES 3000           /* of the log: 24 MB */

struct job {
    kt_db_job run;
    void *arg;
    bool owned;                         /* ARG is ours to free, nobody waits */
    bool done;
    int ret;
    struct job *next;
};

struct kt_catalog {
    /* --- writer thread, after open --- */
    sqlite3 *writer;
    bool unsynced;                      /* committed to the log, but not known to be on disk */
    int64_t due_us;                     /* monotonic: when all that came must be on disk */
    int lock_fd;                        /* flock()ed while this process writes or checkpoints */
    pthread_t thread;
    bool started;
    atomic_uint_fast64_t syncs;

    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t work, finished;
    /* --- protected by lock --- */
    struct job *head, **tail;
    size_t queued;                      /* owned jobs in the list */
    size_t waiting;                     /* jobs in the list that somebody waits for */
    size_t durable;                     /* those of them that are done when on disk */
    uint64_t refused;
    bool stopping;
    int hashing;
    sqlite3 *reader[READERS];
    bool lent[READERS];
};

/* ------------------------- statements ------------------------- */

static int bind(sqlite3_stmt *stmt, const char *fmt, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *fmt && rc == SQLITE_OK; fmt++, i++) {
        if (*fmt == 'i') {
            rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
        } else if (*fmt == 'd') {
            rc = sqlite3_bind_double(stmt, i, va_arg(ap, double));
        } else if (*fmt == 's') {
            rc = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
        } else {
            const void *data = va_arg(ap, const void *);
            rc = sqlite3_bind_blob(stmt, i, data, va_arg(ap, int), SQLITE_TRANSIENT);
        }
    }
    return rc;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql, const char *fmt, va_list ap)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return NULL;
    if (bind(stmt, fmt, ap) != SQLITE_OK)
        kt_db_finalize(&stmt);
    return stmt;
}

sqlite3_stmt *kt_db_prepare(sqlite3 *db, const char *sql, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    sqlite3_stmt *stmt = prepare(db, sql, fmt, ap);
    va_end(ap);
    return stmt;
}

int kt_db_step(sqlite3_stmt *stmt)
{
    if (!stmt)
        return -EIO;
    switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

int kt_db_run(sqlite3 *db, const char *sql, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    kt_cleanup(kt_db_finalize) sqlite3_stmt *stmt = prepare(db, sql, fmt, ap);
    va_end(ap);
    int ret;
    do
        ret = kt_db_step(stmt);
    while (ret > 0);
    return ret;
}

void kt_db_text(sqlite3_stmt *stmt, int i, char *out, size_t cap)
{
    const unsigned char *text = sqlite3_column_text(stmt, i);
    snprintf(out, cap, "%s", text ? (const char *)text : "");
}

int kt_db_grow(void *plist, size_t n, size_t size)
{
    void **list = plist;
    if (n & (n - 1))                    /* between powers of two there is room */
        return 0;
    const size_t room = n ? 2 * n : 1;
    void *bigger = reallocarray(*list, room, size);
    if (!bigger)
        return -ENOMEM;
    memset((char *)bigger + n * size, 0, (room - n) * size);
    *list = bigger;
    return 0;
}

/* ------------------------- the writer ------------------------- */

static void run_one(sqlite3 *db, struct job *j)
{
    j->ret = kt_db_run(db, "SAVEPOINT job", "");
    if (j->ret == 0)
        j->ret = j->run(db, j->arg);
    if (j->ret < 0)
        (void)kt_db_run(db, "ROLLBACK TO job", "");
    const int ret = kt_db_run(db, "RELEASE job", "");
    if (j->ret == 0)
        j->ret = ret;
}

/* `kentongan user` may write beside the daemon. SQLite before 3.51.3 can lose a WAL that
 * two connections write and checkpoint at the same moment: only one process does at a time. */
static int lock_writer(kt_catalog *c, int how)
{
    int ret;
    do
        ret = flock(c->lock_fd, how);
    while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static int pages_written(sqlite3 *db)
{
    int now = 0, highest;
    (void)sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &now, &highest, 0);
    return now;
}

/* One transaction for all of LIST. A commit in WAL mode syncs the log when synchronous is FULL
 * and something was written. */
static int run_transaction(kt_catalog *c, struct job *list, bool durable)
{
    sqlite3 *db = c->writer;
    int ret = kt_db_run(db, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", "");
    const int before = pages_written(db);
    if (ret == 0)
        ret = kt_db_run(db, "BEGIN IMMEDIATE", "");
    for (struct job *j = list; j && ret == 0; j = j->next) {
        run_one(db, j);
        if (sqlite3_get_autocommit(db))         /* a full or failing disk took back all of it: the next would be alone */
            ret = j->ret < 0 ? j->ret : -EIO;
    }
    if (ret == 0)
        ret = kt_db_run(db, "COMMIT", "");      /* checkpoints, too */
    if (ret < 0)
        (void)kt_db_run(db, "ROLLBACK", "");
    else if (pages_written(db) != before) {
        c->unsynced = !durable;
        atomic_fetch_add(&c->syncs, durable);
    }
    return ret;
}

static int sync_log(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || !log ||
        !log->pMethods)
        return -EIO;
    return log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK ? 0 : -EIO;
}

/* All of LIST, which may be empty, and when DURABLE all that was committed before it is on disk. */
static void run_all(kt_catalog *c, struct job *list, bool durable)
{
    int ret = lock_writer(c, LOCK_EX);
    if (ret == 0 && list)
        ret = run_transaction(c, list, durable);
    if (durable && c->unsynced) {
        /* After one that failed, another would say nothing about the same pages. */
        const int synced = sync_log(c->writer);
        atomic_fetch_add(&c->syncs, 1);
        c->unsynced = false;
        if (synced < 0)
            kt_error_log("catalog", "events of the last seconds may not be on disk: %s", kt_strerror(synced));
        if (ret == 0)
            ret = synced;
    }
    (void)lock_writer(c, LOCK_UN);
    for (struct job *j = list; j && ret < 0; j = j->next)
        j->ret = ret;
}

/* The jobs that wait, none when it is only time to sync; lock held and given back held. */
static struct job *take(kt_catalog *c, bool *durable)
{
    while (!c->head && !c->unsynced && !c->stopping)
        pthread_cond_wait(&c->work, &c->lock);
    if (!c->unsynced)
        c->due_us = kt_clock_mono_us() + KT_DB_GATHER_US;
    /* Nobody waits for queued jobs, nor for the disk: let more come. */
    int64_t left_us;
    while ((left_us = c->due_us - kt_clock_mono_us()) > 0 && !c->waiting && !c->stopping) {
        const struct timespec deadline = kt_clock_deadline(left_us);
        (void)pthread_cond_timedwait(&c->work, &c->lock, &deadline);
    }
    *durable = c->durable || c->stopping || left_us <= 0;
    struct job *list = c->head;
    c->head = NULL;
    c->tail = &c->head;
    c->queued = c->waiting = c->durable = 0;
    return list;
}

static void finish(kt_catalog *c, struct job *list)
{
    while (list) {
        struct job *j = list;
        list = j->next;
        if (j->owned) {
            free(j->arg);
            free(j);
        } else {
            j->done = true;
        }
    }
    pthread_cond_broadcast(&c->finished);
}

static void *writer(void *arg)
{
    kt_catalog *c = arg;
    (void)pthread_setname_np(pthread_self(), "kt-catalog");
    pthread_mutex_lock(&c->lock);
    struct job *list;
    bool durable;
    while ((list = take(c, &durable)) || c->unsynced) {
        pthread_mutex_unlock(&c->lock);
        run_all(c, list, durable);
        pthread_mutex_lock(&c->lock);
        finish(c, list);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void append(kt_catalog *c, struct job *j)
{
    *c->tail = j;
    c->tail = &j->next;
    pthread_cond_signal(&c->work);
}

static int write_and_wait(kt_catalog *c, kt_db_job run, void *arg, bool durable)
{
    struct job j = { .run = run, .arg = arg };
    pthread_mutex_lock(&c->lock);
    c->waiting++;
    c->durable += durable;
    append(c, &j);
    while (!j.done)
        pthread_cond_wait(&c->finished, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return j.ret;
}

int kt_db_write(kt_catalog *c, kt_db_job run, void *arg)
{
    return write_and_wait(c, run, arg, true);
}

int kt_db_write_soon(kt_catalog *c, kt_db_job run, void *arg)
{
    return write_and_wait(c, run, arg, false);
}

int kt_db_queue(kt_catalog *c, kt_db_job run, const void *arg, size_t size)
{
    struct job *j = calloc(1, sizeof(*j));
    void *copy = malloc(size ? size : 1);
    if (!j || !copy) {
        free(j);
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, arg, size);
    *j = (struct job){ .run = run, .arg = copy, .owned = true };
    int ret = 0;
    pthread_mutex_lock(&c->lock);
    if (c->queued >= KT_DB_QUEUE_MAX) {
        c->refused++;
        ret = -EAGAIN;
    } else {
        c->queued++;
        append(c, j);
    }
    pthread_mutex_unlock(&c->lock);
    if (ret < 0) {
        free(copy);
        free(j);
    }
    return ret;
}

static int nothing(sqlite3 *db, void *arg)
{
    return 0;
}

int kt_catalog_flush(kt_catalog *c)
{
    return kt_db_write(c, nothing, NULL);
}

/* ------------------------- readers ------------------------- */

sqlite3 *kt_db_borrow(kt_catalog *c)
{
    sqlite3 *db = NULL;
    pthread_mutex_lock(&c->lock);
    while (!db) {
        for (int i = 0; i < READERS && !db; i++)
            if (!c->lent[i]) {
                c->lent[i] = true;
                db = c->reader[i];
            }
        if (!db)
            pthread_cond_wait(&c->finished, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return db;
}

void kt_db_return(kt_catalog *c, sqlite3 *db)
{
    pthread_mutex_lock(&c->lock);
    for (int i = 0; i < READERS; i++)
        if (c->reader[i] == db)
            c->lent[i] = false;
    pthread_cond_broadcast(&c->finished);
    pthread_mutex_unlock(&c->lock);
}

void kt_db_hash_enter(kt_catalog *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->hashing >= HASHES_AT_ONCE)
        pthread_cond_wait(&c->finished, &c->lock);
    c->hashing++;
    pthread_mutex_unlock(&c->lock);
}

void kt_db_hash_leave(kt_catalog *c)
{
    pthread_mutex_lock(&c->lock);
    c->hashing--;
    pthread_cond_broadcast(&c->finished);
    pthread_mutex_unlock(&c->lock);
}

static int read_all(sqlite3_stmt *stmt, size_t size, kt_db_row read, void **list, size_t *n)
{
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        ret = kt_db_grow(list, *n, size);
        if (ret == 0)
            ret = read(stmt, (char *)*list + *n * size);
        if (ret < 0)
            break;
        ++*n;
    }
    return ret;
}

int kt_db_select(kt_catalog *c, size_t size, kt_db_row read, void (*forget)(void *item), void *out,
                 size_t *n, const char *sql, const char *fmt, ...)
{
    void *list = NULL;
    size_t count = 0;
    va_list ap;
    sqlite3 *db = kt_db_borrow(c);
    va_start(ap, fmt);
    sqlite3_stmt *stmt = prepare(db, sql, fmt, ap);
    va_end(ap);
    const int ret = read_all(stmt, size, read, &list, &count);
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (ret < 0) {
        for (size_t i = 0; forget && i < count; i++)
            forget((char *)list + i * size);
        free(list);
        return ret;
    }
    *(void **)out = list;
    *n = count;
    return 0;
}

int kt_db_strdup(sqlite3_stmt *stmt, int i, char **out)
{
    const char *text = (const char *)sqlite3_column_text(stmt, i);
    *out = text ? strdup(text) : NULL;
    return text && !*out ? -ENOMEM : 0;
}

/* ------------------------- life ------------------------- */

/* Instead of SQLite's own, which does not say when: three syncs are as many as ten seconds of events need. */
static int checkpoint(void *user, sqlite3 *db, const char *name, int pages)
{
    kt_catalog *c = user;
    if (pages >= CHECKPOINT_PAGES &&
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK)
        atomic_fetch_add(&c->syncs, 3);     /* the log, the database, the log begun anew */
    return SQLITE_OK;                       /* the commit stands; a checkpoint is tried again with the next */
}

uint64_t kt_catalog_syncs(kt_catalog *c)
{
    return atomic_load(&c->syncs);
}

static int open_connection(sqlite3 **out, const char *path, int flags, struct kt_error *err)
{
    const int rc = sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return kt_error_set(err, rc == SQLITE_CANTOPEN ? -ENOENT : -EIO, "catalog %s: %s", path,
                            *out ? sqlite3_errmsg(*out) : sqlite3_errstr(rc));
    sqlite3_busy_timeout(*out, BUSY_TIMEOUT_MS);
    sqlite3_extended_result_codes(*out, 0);
    return 0;
}

static int open_lock(kt_catalog *c, const char *path, struct kt_error *err)
{
    kt_cleanup(kt_freep) char *name = NULL;
    if (asprintf(&name, "%s-writer", path) < 0) {
        name = NULL;
        return kt_error_set(err, -ENOMEM, "out of memory");
    }
    c->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (c->lock_fd < 0)
        return kt_error_set(err, -errno, "catalog %s: %s", name, strerror(errno));
    return lock_writer(c, LOCK_EX);
}

static int open_writer(kt_catalog *c, const char *path, struct kt_error *err)
{
    int ret = open_lock(c, path, err);
    if (ret < 0)
        return ret;
    ret = open_connection(&c->writer, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (ret < 0)
        return ret;
    (void)chmod(path, 0600);            /* camera passwords live here */
    /* For a new file only. Rows of activity are 700 bytes: half the reads of 4 KiB pages. */
    if (kt_db_run(c->writer, "PRAGMA page_size = 8192", "") < 0 ||
        kt_db_run(c->writer, "PRAGMA journal_mode = WAL", "") < 0 ||
        kt_db_run(c->writer, "PRAGMA synchronous = FULL", "") < 0 ||
        kt_db_run(c->writer, "PRAGMA foreign_keys = ON", "") < 0)
        return kt_error_set(err, -EIO, "catalog %s: %s", path, sqlite3_errmsg(c->writer));
    (void)sqlite3_wal_hook(c->writer, checkpoint, c);
    ret = kt_db_migrate(c->writer, err);
    (void)lock_writer(c, LOCK_UN);
    return ret;
}

static int open_readers(kt_catalog *c, const char *path, struct kt_error *err)
{
    for (int i = 0; i < READERS; i++) {
        const int ret = open_connection(&c->reader[i], path, SQLITE_OPEN_READONLY, err);
        if (ret < 0)
            return ret;
        /* Only the writer checkpoints. */
        (void)kt_db_run(c->reader[i], "PRAGMA wal_autocheckpoint = 0", "");
    }
    return 0;
}

int kt_catalog_open(kt_catalog **out, const char *path, struct kt_error *err)
{
    if (strcmp(path, ":memory:") == 0 || !path[0])
        return kt_error_set(err, -EINVAL, "catalog: a path is needed");
    kt_cleanup(kt_catalog_close) kt_catalog *c = calloc(1, sizeof(*c));
    if (!c)
        return kt_error_set(err, -ENOMEM, "out of memory");
    c->tail = &c->head;
    c->lock_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    int ret = kt_cond_init(&c->work);
    if (ret == 0)
        ret = kt_cond_init(&c->finished);
    if (ret == 0)
        ret = open_writer(c, path, err);
    if (ret == 0)
        ret = open_readers(c, path, err);
    if (ret < 0)
        return ret;
    ret = -pthread_create(&c->thread, NULL, writer, c);
    if (ret < 0)
        return kt_error_set(err, ret, "catalog: %s", kt_strerror(ret));
    c->started = true;
    *out = kt_steal_ptr(&c);
    return 0;
}

void kt_catalog_close(kt_catalog **pc)
{
    kt_catalog *c = kt_steal_ptr(pc);
    if (!c)
        return;
    if (c->started) {
        pthread_mutex_lock(&c->lock);
        c->stopping = true;
        pthread_cond_signal(&c->work);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    for (int i = 0; i < READERS; i++)
        sqlite3_close(c->reader[i]);
    if (c->lock_fd >= 0)
        (void)lock_writer(c, LOCK_EX);
    sqlite3_close(c->writer);           /* the last connection checkpoints */
    kt_closep(&c->lock_fd);
    pthread_cond_destroy(&c->work);
    pthread_cond_destroy(&c->finished);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

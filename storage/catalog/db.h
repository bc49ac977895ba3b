/*
 * db.h - inside the catalog: who may touch the database, and how.
 *
 * One thread owns the connection that writes. It takes all jobs that wait, runs
 * them in one transaction (each in a savepoint of its own, so that one that fails
 * takes no other along), commits, and only then tells who waits. Queued jobs
 * alone are gathered for KT_DB_GATHER_US first, and jobs that come "soon" are committed
 * at once, but share one fsync: forty cameras' activity and events are one in three seconds.
 *
 * Readers borrow one of a few read-only connections, and wait for one.
 */
#ifndef KT_CATALOG_DB_H
#define KT_CATALOG_DB_H

#include <sqlite3.h>

#include "storage/catalog/catalog.h"

#define KT_DB_GATHER_US (3 * 1000 * 1000)
#define KT_DB_QUEUE_MAX 4096

/* Runs on the writer thread inside a transaction. 0 or negative errno: rolled back. */
typedef int (*kt_db_job)(sqlite3 *db, void *arg);

/* Run JOB and wait until it is committed. */
kt_must_check int kt_db_write(kt_catalog *c, kt_db_job job, void *arg);

/* Run JOB and wait until readers see it; a killed process loses nothing. On disk after
 * KT_DB_GATHER_US at the latest, and before any later job of kt_db_write(). */
kt_must_check int kt_db_write_soon(kt_catalog *c, kt_db_job job, void *arg);

/* Queue JOB with a copy of SIZE bytes of ARG. -EAGAIN: queue full, counted. */
int kt_db_queue(kt_catalog *c, kt_db_job job, const void *arg, size_t size);

sqlite3 *kt_db_borrow(kt_catalog *c);
void kt_db_return(kt_catalog *c, sqlite3 *db);

/* Argon2id takes 64 MiB a hash: at most two at once, others wait, so that a flood
 * of logins does not take the machine's memory. */
void kt_db_hash_enter(kt_catalog *c);
void kt_db_hash_leave(kt_catalog *c);

/* Compile SQL and bind the arguments that FMT names: i int64, d double, s text
 * (NULL allowed), b blob (pointer, int size). NULL on an error. */
sqlite3_stmt *kt_db_prepare(sqlite3 *db, const char *sql, const char *fmt, ...);

/* Prepare, run to the end, finalise. 0; -EEXIST for a broken unique key; -EIO. */
int kt_db_run(sqlite3 *db, const char *sql, const char *fmt, ...);

/* 1: a row; 0: no more; negative errno. */
kt_must_check int kt_db_step(sqlite3_stmt *stmt);

/* Text of column I into OUT (truncated). */
void kt_db_text(sqlite3_stmt *stmt, int i, char *out, size_t cap);

static inline void kt_db_finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
    *stmt = NULL;
}

/* Bring the schema to this version. -EINVAL with ERR for a newer one. */
kt_must_check int kt_db_migrate(sqlite3 *db, struct kt_error *err);

/* Read one row into ITEM, which is zeroed. 0 or negative errno. */
typedef int (*kt_db_row)(sqlite3_stmt *stmt, void *item);

/* All rows of SQL as one malloc'd block of N items of SIZE bytes (*OUT NULL for none).
 * FORGET frees what READ put into an item, when it comes to an error; may be NULL. */
kt_must_check int kt_db_select(kt_catalog *c, size_t size, kt_db_row read, void (*forget)(void *item),
                               void *out, size_t *n, const char *sql, const char *fmt, ...);

/* Column I as a malloc'd string, NULL for NULL. -ENOMEM. */
kt_must_check int kt_db_strdup(sqlite3_stmt *stmt, int i, char **out);

/* Room for one more element of LIST (N used), in powers of two. */
kt_must_check int kt_db_grow(void *plist, size_t n, size_t size);

#endif

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/cases.h"
#include "storage/catalog/db.h"

static int add_export(sqlite3 *db, void *arg)
{
    struct kt_export *e = arg;
    e->created_us = kt_clock_wall_us();
    e->state = KT_JOB_WAITING;
    const int ret = kt_db_run(db, "INSERT INTO export (incident, state, request, created_by, created)"
                                  " VALUES (?,?,?,?,?)", "iissi", e->incident, (int64_t)e->state,
                              e->request, e->created_by, e->created_us);
    if (ret == 0)
        e->id = sqlite3_last_insert_rowid(db);
    return ret == -EEXIST ? -ENOENT : ret;      /* a foreign key: no such incident */
}

int kt_catalog_export_add(kt_catalog *c, struct kt_export *e)
{
    return kt_db_write(c, add_export, e);
}

#define COLUMNS "id, incident, state, done, total, size, name, manifest, why, request, created_by," \
                " created, finished"

static int read_export(sqlite3_stmt *stmt, void *item)
{
    struct kt_export *e = item;
    e->id = sqlite3_column_int64(stmt, 0);
    e->incident = sqlite3_column_int64(stmt, 1);
    e->state = (enum kt_job_state)sqlite3_column_int(stmt, 2);
    e->done_bytes = (uint64_t)sqlite3_column_int64(stmt, 3);
    e->total_bytes = (uint64_t)sqlite3_column_int64(stmt, 4);
    e->size_bytes = (uint64_t)sqlite3_column_int64(stmt, 5);
    kt_db_text(stmt, 6, e->name, sizeof(e->name));
    kt_db_text(stmt, 7, e->manifest_sha256, sizeof(e->manifest_sha256));
    kt_db_text(stmt, 8, e->why, sizeof(e->why));
    kt_db_text(stmt, 10, e->created_by, sizeof(e->created_by));
    e->created_us = sqlite3_column_int64(stmt, 11);
    e->finished_us = sqlite3_column_int64(stmt, 12);
    return kt_db_strdup(stmt, 9, &e->request);
}

static void forget_export(void *item)
{
    free(((struct kt_export *)item)->request);
}

int kt_catalog_export_get(kt_catalog *c, int64_t id, struct kt_export **out)
{
    size_t n = 0;
    const int ret = kt_db_select(c, sizeof(**out), read_export, forget_export, out, &n,
                                 "SELECT " COLUMNS " FROM export WHERE id = ?", "i", id);
    return ret < 0 ? ret : n ? 0 : -ENOENT;
}

int kt_catalog_export_list(kt_catalog *c, int64_t incident, struct kt_export **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_export, forget_export, out, n,
                        "SELECT " COLUMNS " FROM export WHERE ?1 = 0 OR incident = ?1 ORDER BY id DESC",
                        "i", incident);
}

void kt_export_list_free(struct kt_export **plist, size_t n)
{
    struct kt_export *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        forget_export(&list[i]);
    free(list);
}

struct export_change {
    int64_t id, state, size;
    const char *why, *name, *manifest;
};

static int set_state(sqlite3 *db, void *arg)
{
    const struct export_change *x = arg;
    const int ret = kt_db_run(db, "UPDATE export SET state = ?, why = ? WHERE id = ?", "isi", x->state,
                              x->why, x->id);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_export_state(kt_catalog *c, int64_t id, enum kt_job_state state, const char *why)
{
    struct export_change x = { .id = id, .state = state, .why = why ? why : "" };
    return kt_db_write(c, set_state, &x);
}

static int set_done(sqlite3 *db, void *arg)
{
    const struct export_change *x = arg;
    const int ret = kt_db_run(db, "UPDATE export SET state = ?, why = ?, name = ?, size = ?, manifest = ?,"
                                  " done = total, finished = ? WHERE id = ?", "issisii",
                              (int64_t)KT_JOB_DONE, x->why, x->name, x->size, x->manifest, kt_clock_wall_us(), x->id);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_export_done(kt_catalog *c, int64_t id, const char *name, uint64_t size,
                           const char *manifest_sha256, const char *note)
{
    struct export_change x = { .id = id, .why = note, .name = name, .size = (int64_t)size,
                               .manifest = manifest_sha256 };
    return kt_db_write(c, set_done, &x);
}

struct progress {
    int64_t id, done, total;
};

static int set_progress(sqlite3 *db, void *arg)
{
    const struct progress *p = arg;
    return kt_db_run(db, "UPDATE export SET done = ?, total = ? WHERE id = ?", "iii", p->done, p->total,
                     p->id);
}

int kt_catalog_export_progress(kt_catalog *c, int64_t id, uint64_t done, uint64_t total)
{
    const struct progress p = { id, (int64_t)done, (int64_t)total };
    return kt_db_queue(c, set_progress, &p, sizeof(p));
}

static int restart(sqlite3 *db, void *arg)
{
    int ret = kt_db_run(db, "UPDATE hold SET state = ? WHERE state = ?", "ii", (int64_t)KT_JOB_WAITING,
                        (int64_t)KT_JOB_RUNNING);
    if (ret == 0)
        ret = kt_db_run(db, "UPDATE export SET state = ? WHERE state = ?", "ii", (int64_t)KT_JOB_WAITING,
                        (int64_t)KT_JOB_RUNNING);
    return ret;
}

int kt_catalog_jobs_restart(kt_catalog *c)
{
    return kt_db_write(c, restart, NULL);
}

static int next_serial(sqlite3 *db, void *arg)
{
    int ret = kt_db_run(db, "INSERT INTO setting VALUES ('package-serial', '1') ON CONFLICT DO UPDATE"
                            " SET value = value + 1", "");
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT value FROM setting WHERE key = 'package-serial'", "");
    if (ret == 0)
        ret = kt_db_step(stmt);
    if (ret > 0)
        *(int64_t *)arg = sqlite3_column_int64(stmt, 0);
    kt_db_finalize(&stmt);
    return ret > 0 ? 0 : ret < 0 ? ret : -EIO;
}

int kt_catalog_package_serial(kt_catalog *c, int64_t *serial)
{
    return kt_db_write(c, next_serial, serial);
}

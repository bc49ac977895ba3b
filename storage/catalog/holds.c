#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/cases.h"
#include "storage/catalog/db.h"

/* ------------------------------ holds ------------------------------ */

static int add_hold(sqlite3 *db, void *arg)
{
    struct kt_hold *h = arg;
    h->created_us = kt_clock_wall_us();
    h->state = KT_JOB_WAITING;
    const int ret = kt_db_run(db, "INSERT INTO hold (incident, camera, stream, start, end, state, created_by,"
                                  " created) VALUES (?,?,?,?,?,?,?,?)", "issiiisi", h->incident, h->camera,
                              h->stream, h->from_us, h->to_us, (int64_t)h->state, h->created_by,
                              h->created_us);
    if (ret == 0)
        h->id = sqlite3_last_insert_rowid(db);
    return ret == -EEXIST ? -ENOENT : ret;      /* a foreign key: no such incident */
}

int kt_catalog_hold_add(kt_catalog *c, struct kt_hold *hold)
{
    if (!kt_id_valid(hold->camera) || !hold->stream[0] || hold->to_us <= hold->from_us)
        return -EINVAL;
    return kt_db_write(c, add_hold, hold);
}

#define COLUMNS "id, incident, camera, stream, start, end, state, done, total, why, created_by, created"

static int read_hold(sqlite3_stmt *stmt, void *item)
{
    struct kt_hold *h = item;
    h->id = sqlite3_column_int64(stmt, 0);
    h->incident = sqlite3_column_int64(stmt, 1);
    kt_db_text(stmt, 2, h->camera, sizeof(h->camera));
    kt_db_text(stmt, 3, h->stream, sizeof(h->stream));
    h->from_us = sqlite3_column_int64(stmt, 4);
    h->to_us = sqlite3_column_int64(stmt, 5);
    h->state = (enum kt_job_state)sqlite3_column_int(stmt, 6);
    h->done_bytes = (uint64_t)sqlite3_column_int64(stmt, 7);
    h->total_bytes = (uint64_t)sqlite3_column_int64(stmt, 8);
    kt_db_text(stmt, 9, h->why, sizeof(h->why));
    kt_db_text(stmt, 10, h->created_by, sizeof(h->created_by));
    h->created_us = sqlite3_column_int64(stmt, 11);
    return 0;
}

int kt_catalog_hold_get(kt_catalog *c, int64_t id, struct kt_hold *out)
{
    kt_cleanup(kt_freep) struct kt_hold *list = NULL;
    size_t n = 0;
    const int ret = kt_db_select(c, sizeof(*list), read_hold, NULL, &list, &n,
                                 "SELECT " COLUMNS " FROM hold WHERE id = ?", "i", id);
    if (ret < 0 || n == 0)
        return ret < 0 ? ret : -ENOENT;
    *out = *list;
    return 0;
}

int kt_catalog_hold_list(kt_catalog *c, int64_t incident, struct kt_hold **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_hold, NULL, out, n,
                        "SELECT " COLUMNS " FROM hold WHERE ?1 = 0 OR incident = ?1 ORDER BY id", "i",
                        incident);
}

struct job_change {
    int64_t id, state;
    const char *why;
};

static int set_hold_state(sqlite3 *db, void *arg)
{
    const struct job_change *x = arg;
    /* Progress is queued and told now and then: a hold that is done is wholly done. */
    const int ret = kt_db_run(db, "UPDATE hold SET state = ?1, why = ?2,"
                                  " done = CASE WHEN ?1 = ?4 THEN total ELSE done END WHERE id = ?3",
                              "isii", x->state, x->why, x->id, (int64_t)KT_JOB_DONE);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_hold_state(kt_catalog *c, int64_t id, enum kt_job_state state, const char *why)
{
    struct job_change x = { id, state, why ? why : "" };
    return kt_db_write(c, set_hold_state, &x);
}

struct progress {
    int64_t id, done, total;
};

static int set_hold_progress(sqlite3 *db, void *arg)
{
    const struct progress *p = arg;
    return kt_db_run(db, "UPDATE hold SET done = ?, total = ? WHERE id = ?", "iii", p->done, p->total, p->id);
}

int kt_catalog_hold_progress(kt_catalog *c, int64_t id, uint64_t done, uint64_t total)
{
    const struct progress p = { id, (int64_t)done, (int64_t)total };
    return kt_db_queue(c, set_hold_progress, &p, sizeof(p));
}

/* ------------------------------ files ------------------------------ */

static int add_file(sqlite3 *db, void *arg)
{
    struct kt_hold_file *f = arg;
    const int ret = kt_db_run(db, "INSERT INTO hold_file (hold, name, start, end, run, size, frames, mime,"
                                  " sha256, stream_hash, records) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                              "isiiiiissss", f->hold, f->name, f->start_us, f->end_us, (int64_t)f->run,
                              (int64_t)f->size_bytes, (int64_t)f->frames, f->mime, f->sha256,
                              f->stream_hash, f->records);
    if (ret == 0)
        f->id = sqlite3_last_insert_rowid(db);
    return ret;
}

int kt_catalog_hold_file_add(kt_catalog *c, struct kt_hold_file *file)
{
    return kt_db_write(c, add_file, file);
}

static int read_file(sqlite3_stmt *stmt, void *item)
{
    struct kt_hold_file *f = item;
    f->id = sqlite3_column_int64(stmt, 0);
    f->hold = sqlite3_column_int64(stmt, 1);
    kt_db_text(stmt, 2, f->name, sizeof(f->name));
    f->start_us = sqlite3_column_int64(stmt, 3);
    f->end_us = sqlite3_column_int64(stmt, 4);
    f->run = (uint64_t)sqlite3_column_int64(stmt, 5);
    f->size_bytes = (uint64_t)sqlite3_column_int64(stmt, 6);
    f->frames = (uint32_t)sqlite3_column_int64(stmt, 7);
    kt_db_text(stmt, 8, f->mime, sizeof(f->mime));
    kt_db_text(stmt, 9, f->sha256, sizeof(f->sha256));
    kt_db_text(stmt, 10, f->stream_hash, sizeof(f->stream_hash));
    return kt_db_strdup(stmt, 11, &f->records);
}

static void forget_file(void *item)
{
    free(((struct kt_hold_file *)item)->records);
}

int kt_catalog_hold_files(kt_catalog *c, int64_t hold, struct kt_hold_file **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_file, forget_file, out, n,
                        "SELECT id, hold, name, start, end, run, size, frames, mime, sha256, stream_hash,"
                        " records FROM hold_file WHERE ?1 = 0 OR hold = ?1 ORDER BY hold, start, id", "i",
                        hold);
}

void kt_hold_file_list_free(struct kt_hold_file **plist, size_t n)
{
    struct kt_hold_file *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        forget_file(&list[i]);
    free(list);
}

/* ------------------------------ gaps ------------------------------ */

static int put_gaps(sqlite3 *db, void *arg)
{
    const struct job_change *x = arg;
    const int ret = kt_db_run(db, "UPDATE hold SET gaps = ? WHERE id = ?", "si", x->why, x->id);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_hold_gaps_put(kt_catalog *c, int64_t id, const char *gaps)
{
    struct job_change x = { .id = id, .why = gaps };
    return kt_db_write(c, put_gaps, &x);
}

static int read_gaps(sqlite3_stmt *stmt, void *item)
{
    return kt_db_strdup(stmt, 0, item);
}

int kt_catalog_hold_gaps(kt_catalog *c, int64_t id, char **out)
{
    kt_cleanup(kt_freep) char **list = NULL;
    size_t n = 0;
    const int ret = kt_db_select(c, sizeof(*list), read_gaps, NULL, &list, &n,
                                 "SELECT gaps FROM hold WHERE id = ?", "i", id);
    if (ret < 0 || n == 0)
        return ret < 0 ? ret : -ENOENT;
    *out = list[0];
    return 0;
}

static int release(sqlite3 *db, void *arg)
{
    const int64_t id = *(int64_t *)arg;
    int ret = kt_db_run(db, "UPDATE hold SET state = ? WHERE id = ?", "ii", (int64_t)KT_JOB_CANCELLED, id);
    if (ret == 0 && sqlite3_changes(db) == 0)
        return -ENOENT;
    return ret < 0 ? ret : kt_db_run(db, "DELETE FROM hold_file WHERE hold = ?", "i", id);
}

int kt_catalog_hold_release(kt_catalog *c, int64_t id)
{
    return kt_db_write(c, release, &id);
}

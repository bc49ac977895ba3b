#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/cases.h"
#include "storage/catalog/people_private.h"

static const char *const state_names[] = { [KT_JOB_WAITING] = "waiting", [KT_JOB_RUNNING] = "running",
                                           [KT_JOB_DONE] = "done", [KT_JOB_FAILED] = "failed",
                                           [KT_JOB_CANCELLED] = "cancelled" };

const char *kt_job_state_name(enum kt_job_state state)
{
    return (size_t)state < KT_ARRAY_SIZE(state_names) && state_names[state] ? state_names[state] : "unknown";
}

/* ------------------------------ incidents ------------------------------ */

static int put_incident(sqlite3 *db, void *arg)
{
    struct kt_incident *in = arg;
    in->changed_us = kt_clock_wall_us();
    if (in->id == 0) {
        in->created_us = in->changed_us;
        const int ret = kt_db_run(db, "INSERT INTO incident (title, start, end, cameras, notes, closed,"
                                      " created_by, created, changed) VALUES (?,?,?,?,?,?,?,?,?)",
                                  "siissisii", in->title, in->from_us, in->to_us, in->cameras, in->notes,
                                  (int64_t)in->closed, in->created_by, in->created_us, in->changed_us);
        if (ret == 0)
            in->id = sqlite3_last_insert_rowid(db);
        return ret;
    }
    const int ret = kt_db_run(db, "UPDATE incident SET title = ?, start = ?, end = ?, cameras = ?, notes = ?,"
                                  " closed = ?, changed = ? WHERE id = ?", "siissiii", in->title,
                              in->from_us, in->to_us, in->cameras, in->notes, (int64_t)in->closed,
                              in->changed_us, in->id);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_incident_put(kt_catalog *c, struct kt_incident *in)
{
    if (!in->title[0] || in->from_us <= 0 || in->to_us <= in->from_us || !in->cameras ||
        !kt_people_camera_list_valid(in->cameras))
        return -EINVAL;
    return kt_db_write(c, put_incident, in);
}

#define COLUMNS "id, title, start, end, cameras, notes, closed, created_by, created, changed"

static void forget_incident(void *item)
{
    struct kt_incident *in = item;
    free(in->cameras);
    free(in->notes);
}

static int read_incident(sqlite3_stmt *stmt, void *item)
{
    struct kt_incident *in = item;
    in->id = sqlite3_column_int64(stmt, 0);
    kt_db_text(stmt, 1, in->title, sizeof(in->title));
    in->from_us = sqlite3_column_int64(stmt, 2);
    in->to_us = sqlite3_column_int64(stmt, 3);
    in->closed = sqlite3_column_int(stmt, 6);
    kt_db_text(stmt, 7, in->created_by, sizeof(in->created_by));
    in->created_us = sqlite3_column_int64(stmt, 8);
    in->changed_us = sqlite3_column_int64(stmt, 9);
    int ret = kt_db_strdup(stmt, 4, &in->cameras);
    if (ret == 0)
        ret = kt_db_strdup(stmt, 5, &in->notes);
    if (ret < 0)
        forget_incident(in);
    return ret;
}

int kt_catalog_incident_get(kt_catalog *c, int64_t id, struct kt_incident **out)
{
    size_t n = 0;
    const int ret = kt_db_select(c, sizeof(**out), read_incident, forget_incident, out, &n,
                                 "SELECT " COLUMNS " FROM incident WHERE id = ?", "i", id);
    return ret < 0 ? ret : n ? 0 : -ENOENT;
}

int kt_catalog_incident_list(kt_catalog *c, const char *shared_with, struct kt_incident **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_incident, forget_incident, out, n,
                        "SELECT " COLUMNS " FROM incident WHERE ?1 IS NULL OR id IN (SELECT incident"
                        " FROM incident_user JOIN user ON user.id = user WHERE username = ?1)"
                        " ORDER BY start DESC, id DESC", "s", shared_with);
}

void kt_incident_list_free(struct kt_incident **plist, size_t n)
{
    struct kt_incident *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        forget_incident(&list[i]);
    free(list);
}

static int delete_incident(sqlite3 *db, void *arg)
{
    const int64_t id = *(int64_t *)arg;
    /* What was let go holds nothing any more, nor does a package that was withdrawn and that no link was
     * made of: who took one is remembered. Other holds and packages stop the deletion. */
    int ret = kt_db_run(db, "DELETE FROM hold WHERE incident = ? AND state = ?", "ii", id,
                        (int64_t)KT_JOB_CANCELLED);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM export WHERE incident = ? AND state = ? AND NOT EXISTS"
                        " (SELECT 1 FROM share WHERE share.export = export.id)", "ii", id,
                        (int64_t)KT_JOB_CANCELLED);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM incident WHERE id = ?", "i", id);
    if (ret == -EEXIST)
        return -EBUSY;
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_incident_delete(kt_catalog *c, int64_t id)
{
    return kt_db_write(c, delete_incident, &id);
}

/* ------------------------------ events and people ------------------------------ */

struct mark {
    int64_t incident, event;
    const char *username;
    bool on;
};

static int exists(sqlite3 *db, const char *sql, int64_t id)
{
    sqlite3_stmt *stmt = kt_db_prepare(db, sql, "i", id);
    const int ret = kt_db_step(stmt);
    kt_db_finalize(&stmt);
    return ret < 0 ? ret : ret == 0 ? -ENOENT : 0;
}

static int mark_event(sqlite3 *db, void *arg)
{
    const struct mark *m = arg;
    int ret = exists(db, "SELECT 1 FROM incident WHERE id = ?", m->incident);
    if (ret == 0 && m->on)
        ret = exists(db, "SELECT 1 FROM event WHERE id = ?", m->event);
    if (ret < 0)
        return ret;
    return kt_db_run(db, m->on ? "INSERT OR IGNORE INTO incident_event VALUES (?,?)"
                               : "DELETE FROM incident_event WHERE incident = ? AND event = ?", "ii",
                     m->incident, m->event);
}

int kt_catalog_incident_mark(kt_catalog *c, int64_t id, int64_t event, bool marked)
{
    struct mark m = { .incident = id, .event = event, .on = marked };
    return kt_db_write(c, mark_event, &m);
}

static int read_id(sqlite3_stmt *stmt, void *item)
{
    *(int64_t *)item = sqlite3_column_int64(stmt, 0);
    return 0;
}

int kt_catalog_incident_events(kt_catalog *c, int64_t id, int64_t **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_id, NULL, out, n,
                        "SELECT event FROM incident_event WHERE incident = ? ORDER BY event", "i", id);
}

static int share_incident(sqlite3 *db, void *arg)
{
    const struct mark *m = arg;
    int ret = exists(db, "SELECT 1 FROM incident WHERE id = ?", m->incident);
    if (ret < 0)
        return ret;
    if (!m->on)
        return kt_db_run(db, "DELETE FROM incident_user WHERE incident = ? AND user ="
                             " (SELECT id FROM user WHERE username = ?)", "is", m->incident, m->username);
    ret = kt_db_run(db, "INSERT OR REPLACE INTO incident_user SELECT ?, id FROM user WHERE username = ?",
                    "is", m->incident, m->username);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_incident_share(kt_catalog *c, int64_t id, const char *username, bool on)
{
    struct mark m = { .incident = id, .username = username, .on = on };
    return kt_db_write(c, share_incident, &m);
}

int kt_catalog_incident_shared(kt_catalog *c, int64_t id, const char *username, bool *yes)
{
    int64_t *found = NULL;
    size_t n = 0;
    const int ret = kt_db_select(c, sizeof(*found), read_id, NULL, &found, &n,
                                 "SELECT incident FROM incident_user JOIN user ON user.id = user"
                                 " WHERE incident = ? AND username = ?", "is", id, username);
    free(found);
    if (ret == 0)
        *yes = n > 0;
    return ret;
}

#include "storage/catalog/events.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "storage/catalog/db.h"

#define COLUMNS "id, camera, type, rule, start, end, score, detail, seen," \
                " EXISTS (SELECT 1 FROM thumbnail WHERE event = event.id)"

static int put_event(sqlite3 *db, void *arg)
{
    struct kt_event *ev = arg;
    if (ev->id == 0) {
        const int ret = kt_db_run(db, "INSERT INTO event (camera, type, rule, start, end, score, detail,"
                                  " seen) VALUES (?,?,?,?,?,?,?,?)", "sssiidsi", ev->camera, ev->type,
                                  ev->rule, ev->start_us, ev->end_us, ev->score, ev->detail,
                                  (int64_t)ev->seen);
        if (ret == 0)
            ev->id = sqlite3_last_insert_rowid(db);
        return ret;
    }
    const int ret = kt_db_run(db, "UPDATE event SET camera = ?, type = ?, rule = ?, start = ?, end = ?,"
                              " score = ?, detail = coalesce(?, detail) WHERE id = ?", "sssiidsi",
                              ev->camera, ev->type, ev->rule, ev->start_us, ev->end_us, ev->score,
                              ev->detail, ev->id);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_event_put(kt_catalog *c, struct kt_event *ev)
{
    return kt_db_write(c, put_event, ev);
}

static int read_event(sqlite3_stmt *stmt, struct kt_event *ev)
{
    memset(ev, 0, sizeof(*ev));
    ev->id = sqlite3_column_int64(stmt, 0);
    kt_db_text(stmt, 1, ev->camera, sizeof(ev->camera));
    kt_db_text(stmt, 2, ev->type, sizeof(ev->type));
    kt_db_text(stmt, 3, ev->rule, sizeof(ev->rule));
    ev->start_us = sqlite3_column_int64(stmt, 4);
    ev->end_us = sqlite3_column_int64(stmt, 5);
    ev->score = sqlite3_column_double(stmt, 6);
    const char *detail = (const char *)sqlite3_column_text(stmt, 7);
    ev->seen = sqlite3_column_int(stmt, 8);
    ev->has_thumbnail = sqlite3_column_int(stmt, 9);
    ev->detail = detail ? strdup(detail) : NULL;
    return detail && !ev->detail ? -ENOMEM : 0;
}

/* All rows of STMT. */
static int read_events(sqlite3_stmt *stmt, struct kt_event **out, size_t *n)
{
    struct kt_event *list = NULL;
    size_t count = 0;
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        ret = kt_db_grow(&list, count, sizeof(*list));
        if (ret == 0)
            ret = read_event(stmt, &list[count++]);
        if (ret < 0)
            break;
    }
    if (ret < 0) {
        kt_event_list_free(&list, count);
        return ret;
    }
    *out = list;
    *n = count;
    return 0;
}

int kt_catalog_event_get(kt_catalog *c, int64_t id, struct kt_event **out)
{
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT " COLUMNS " FROM event WHERE id = ?", "i", id);
    size_t n = 0;
    struct kt_event *ev = NULL;
    const int ret = read_events(stmt, &ev, &n);
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (ret < 0 || n == 0)
        return ret < 0 ? ret : -ENOENT;
    *out = ev;
    return 0;
}

void kt_event_list_free(struct kt_event **plist, size_t n)
{
    struct kt_event *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        free(list[i].detail);
    free(list);
}

/* Camera ids as a JSON list for json_each(), malloc'd. */
static char *camera_list(const struct kt_event_filter *f)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < f->n_cameras; i++)
        json_array_append_new(list, json_string(f->cameras[i]));
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

int kt_catalog_event_list(kt_catalog *c, const struct kt_event_filter *f, struct kt_event **out,
                          size_t *n)
{
    if (f->limit < 1 || f->limit > 1000)
        return -EINVAL;
    kt_cleanup(kt_freep) char *cameras = f->cameras ? camera_list(f) : NULL;
    if (f->cameras && !cameras)
        return -ENOMEM;
    const int64_t before = f->before_id ? f->before_start_us : INT64_MAX;
    const int64_t to = f->to_us ? f->to_us : INT64_MAX;
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db,
        "SELECT " COLUMNS " FROM event WHERE (start, id) < (?1, ?2) AND start < ?3"
        " AND (end = 0 OR end > ?4) AND (?5 IS NULL OR camera IN (SELECT value FROM json_each(?5)))"
        " AND (?6 IS NULL OR type = ?6) AND (?7 < 0 OR seen = ?7)"
        " ORDER BY start DESC, id DESC LIMIT ?8", "iiiissii", before,
        f->before_id ? f->before_id : INT64_MAX, to, f->from_us, cameras, f->type, (int64_t)f->seen,
        (int64_t)f->limit);
    const int ret = read_events(stmt, out, n);
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    return ret;
}

struct seen_arg {
    int64_t id;
    bool seen;
};

static int set_seen(sqlite3 *db, void *arg)
{
    const struct seen_arg *s = arg;
    const int ret = kt_db_run(db, "UPDATE event SET seen = ? WHERE id = ?", "ii", (int64_t)s->seen, s->id);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_event_set_seen(kt_catalog *c, int64_t id, bool seen)
{
    struct seen_arg s = { id, seen };
    return kt_db_write(c, set_seen, &s);
}

/* Ends at the last second with activity, or after one second. */
static int close_stale(sqlite3 *db, void *arg)
{
    const int64_t now = *(int64_t *)arg;
    const int ret = kt_db_run(db,
        "UPDATE event SET end = max(start + 1000000, min(?, coalesce((SELECT (max(minute) + 1) * 60000000"
        " FROM activity WHERE activity.camera = event.camera AND minute <= ? / 60000000), 0)))"
        " WHERE end = 0", "ii", now, now);
    return ret < 0 ? ret : sqlite3_changes(db);
}

int kt_catalog_event_close_stale(kt_catalog *c, int64_t now_us)
{
    return kt_db_write(c, close_stale, &now_us);
}

/* ------------------------------ thumbnails ------------------------------ */

struct thumbnail {
    int64_t event;
    const void *jpeg;
    size_t n;
};

static int put_thumbnail(sqlite3 *db, void *arg)
{
    const struct thumbnail *t = arg;
    return kt_db_run(db, "INSERT OR REPLACE INTO thumbnail VALUES (?,?)", "ib", t->event, t->jpeg,
                     (int)t->n);
}

int kt_catalog_thumbnail_put(kt_catalog *c, int64_t event, const void *jpeg, size_t n)
{
    if (n == 0 || n > (4u << 20))
        return -EINVAL;
    struct thumbnail t = { event, jpeg, n };
    return kt_db_write(c, put_thumbnail, &t);
}

int kt_catalog_thumbnail_get(kt_catalog *c, int64_t event, uint8_t **out, size_t *n)
{
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT jpeg FROM thumbnail WHERE event = ?", "i", event);
    int ret = kt_db_step(stmt);
    if (ret > 0) {
        *n = (size_t)sqlite3_column_bytes(stmt, 0);
        *out = malloc(*n + 1);
        ret = *out ? 0 : -ENOMEM;
        if (*out)
            memcpy(*out, sqlite3_column_blob(stmt, 0), *n);
    } else if (ret == 0) {
        ret = -ENOENT;
    }
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    return ret;
}

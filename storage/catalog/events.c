#include "storage/catalog/events.h"

#include <assert.h>
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

/*
 * Events that overlap a stretch: those that begin in it or up to LONG_US before it, from the
 * index of starts, and the few that are longer or still going on, from an index of their
 * own. One condition for both would look at every event since the beginning.
 */
#define LONG_US (3600 * INT64_C(1000000))
#define IS_LONG "(end = 0 OR end - start > 3600000000)"    /* as in the index event_long */
#define MATCHES " (start, id) < (?1, ?2) AND start < ?3 AND (end = 0 OR end > ?4)" \
                " AND (?6 IS NULL OR type = ?6) AND (?7 < 0 OR seen = ?7)" \
                " AND (?10 IS NULL OR rule = ?10)"
#define ONE_CAMERA " AND camera = ?5"
#define SOME_CAMERAS " AND (?5 IS NULL OR camera IN (SELECT value FROM json_each(?5)))"
#define LIST(cameras) \
    "SELECT " COLUMNS " FROM event WHERE start >= ?9 AND" MATCHES cameras " UNION ALL " \
    "SELECT " COLUMNS " FROM event INDEXED BY event_long WHERE " IS_LONG " AND start < ?9 AND" \
    MATCHES cameras " ORDER BY start DESC, id DESC LIMIT ?8"

int kt_catalog_event_list(kt_catalog *c, const struct kt_event_filter *f, struct kt_event **out,
                          size_t *n)
{
    if (f->limit < 1 || f->limit > 1000)
        return -EINVAL;
    const bool one = f->cameras && f->n_cameras == 1;
    kt_cleanup(kt_freep) char *cameras = !f->cameras ? NULL :
                                         one ? strdup(f->cameras[0]) : camera_list(f);
    if (f->cameras && !cameras)
        return -ENOMEM;
    const int64_t before = f->before_id ? f->before_start_us : INT64_MAX;
    const int64_t to = f->to_us ? f->to_us : INT64_MAX;
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, one ? LIST(ONE_CAMERA) : LIST(SOME_CAMERAS), "iiiissiiis",
        before, f->before_id ? f->before_id : INT64_MAX, to, f->from_us, cameras, f->type,
        (int64_t)f->seen, (int64_t)f->limit, f->from_us ? f->from_us - LONG_US : INT64_MIN,
        f->rule);
    const int ret = read_events(stmt, out, n);
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    return ret;
}

/* ------------------------------ pins ------------------------------ */

#define PIN "SELECT id, type, start, end FROM event "

struct pins {
    sqlite3 *db;
    const char *camera;
    int64_t from_us, to_us;
    size_t max, n;
    struct kt_event_pin *list;
};

static int add_pin(struct pins *p, sqlite3_stmt *stmt)
{
    const int64_t id = sqlite3_column_int64(stmt, 0);
    for (size_t i = 0; i < p->n; i++)
        if (p->list[i].id == id)
            return 0;
    const int ret = kt_db_grow(&p->list, p->n, sizeof(*p->list));
    if (ret < 0)
        return ret;
    struct kt_event_pin *pin = &p->list[p->n++];
    pin->id = id;
    kt_db_text(stmt, 1, pin->type, sizeof(pin->type));
    pin->start_us = sqlite3_column_int64(stmt, 2);
    pin->end_us = sqlite3_column_int64(stmt, 3);
    return 0;
}

/* All rows of SQL, whose parameters are camera, A, B and the most. */
static int add_pins(struct pins *p, const char *sql, int64_t a, int64_t b)
{
    sqlite3_stmt *stmt = kt_db_prepare(p->db, sql, "siii", p->camera, a, b, (int64_t)p->max);
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        ret = add_pin(p, stmt);
        if (ret < 0)
            break;
    }
    kt_db_finalize(&stmt);
    return ret;
}

/* The first event of each part of WIDTH that SQL finds: one step down an index for each. */
static int add_first_of_parts(struct pins *p, int64_t width, const char *sql)
{
    sqlite3_stmt *stmt = kt_db_prepare(p->db, sql, "sii", p->camera, p->from_us, p->to_us);
    int64_t at = p->from_us;
    int ret = stmt ? 0 : -EIO;
    while (ret == 0 && at < p->to_us) {
        if (sqlite3_bind_int64(stmt, 2, at) != SQLITE_OK)
            ret = -EIO;
        else if ((ret = kt_db_step(stmt)) > 0) {
            at = p->from_us + ((sqlite3_column_int64(stmt, 2) - p->from_us) / width + 1) * width;
            ret = add_pin(p, stmt);
        } else {
            at = p->to_us;
        }
        sqlite3_reset(stmt);
    }
    kt_db_finalize(&stmt);
    return ret;
}

static int count_pins(struct pins *p, size_t *total)
{
    sqlite3_stmt *stmt = kt_db_prepare(p->db, "SELECT count(*) FROM event WHERE camera = ? AND"
                                       " start >= ? AND start < ?", "sii", p->camera, p->from_us, p->to_us);
    const int ret = kt_db_step(stmt);
    *total = ret > 0 ? (size_t)sqlite3_column_int64(stmt, 0) : 0;
    kt_db_finalize(&stmt);
    return ret < 0 ? ret : 0;
}

static int find_pins(struct pins *p, size_t *total)
{
    int ret = count_pins(p, total);
    if (ret == 0)
        ret = add_pins(p, PIN "INDEXED BY event_long WHERE " IS_LONG " AND camera = ?1 AND start < ?3"
                       " AND (end = 0 OR end > ?2) ORDER BY start LIMIT ?4", p->from_us, p->from_us - LONG_US);
    if (ret == 0)
        ret = add_pins(p, PIN "WHERE camera = ?1 AND start >= ?2 AND start < ?3 AND (end = 0 OR end > ?3)"
                       " ORDER BY start LIMIT ?4", p->from_us - LONG_US, p->from_us);
    *total += p->n;
    if (ret == 0 && *total > p->max) {
        const int64_t width = (p->to_us - p->from_us) / (int64_t)p->max + 1;
        ret = add_first_of_parts(p, width, PIN "INDEXED BY event_marked WHERE type <> 'motion' AND"
                                 " camera = ?1 AND start >= ?2 AND start < ?3 ORDER BY start LIMIT 1");
        if (ret == 0 && width < LONG_US)
            ret = add_first_of_parts(p, width, PIN "WHERE camera = ?1 AND start >= ?2 AND start < ?3"
                                     " ORDER BY start LIMIT 1");
        if (ret == 0)
            ret = add_pins(p, PIN "INDEXED BY event_trouble WHERE type >= 'camera-' AND type < 'camera.'"
                           " AND camera = ?1 AND start >= ?2 AND start < ?3 LIMIT ?4", p->from_us, p->to_us);
    } else if (ret == 0) {
        ret = add_pins(p, PIN "WHERE camera = ?1 AND start >= ?2 AND start < ?3 ORDER BY start LIMIT ?4",
                       p->from_us, p->to_us);
    }
    return ret;
}

static int by_start(const void *a, const void *b)
{
    const struct kt_event_pin *x = a, *y = b;
    return x->start_us < y->start_us ? -1 : x->start_us > y->start_us;
}

int kt_catalog_event_pins(kt_catalog *c, const char *camera, int64_t from_us, int64_t to_us,
                          size_t max, struct kt_event_pin **out, size_t *n, size_t *total)
{
    if (to_us <= from_us || max < 1 || max > 1000)
        return -EINVAL;
    struct pins p = { .db = kt_db_borrow(c), .camera = camera, .from_us = from_us, .to_us = to_us,
                      .max = max };
    const int ret = find_pins(&p, total);
    kt_db_return(c, p.db);
    if (ret < 0) {
        free(p.list);
        return ret;
    }
    if (p.n > 1)
        qsort(p.list, p.n, sizeof(*p.list), by_start);
    *out = p.list;
    *n = p.n;
    return 0;
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

static int close_stale(sqlite3 *db, void *arg)
{
    const int ret = kt_db_run(db, "UPDATE event SET end = max(start + 1000000, ?) WHERE end = 0", "i",
                              *(int64_t *)arg);
    return ret < 0 ? ret : sqlite3_changes(db);
}

int kt_catalog_event_close_stale(kt_catalog *c, int64_t last_us)
{
    return kt_db_write(c, close_stale, &last_us);
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
    if (n == 0 || n > KT_THUMBNAIL_MAX)
        return -EINVAL;
    struct thumbnail t = { event, jpeg, n };
    return kt_db_write(c, put_thumbnail, &t);
}

struct put_arg {
    struct kt_event *ev;
    const void *jpeg;
    size_t n;
};

static int put_both(sqlite3 *db, void *arg)
{
    const struct put_arg *x = arg;
    const int ret = put_event(db, x->ev);
    if (ret < 0 || !x->jpeg)
        return ret;
    struct thumbnail t = { x->ev->id, x->jpeg, x->n };
    return put_thumbnail(db, &t);
}

int kt_catalog_event_put_soon(kt_catalog *c, struct kt_event *ev, const void *jpeg, size_t n)
{
    static_assert(KT_DB_GATHER_US <= KT_CATALOG_SOON_S * 1000 * 1000, "events.h promises it");
    if (jpeg && (n == 0 || n > KT_THUMBNAIL_MAX))
        return -EINVAL;
    const int64_t id = ev->id;
    struct put_arg x = { ev, jpeg, n };
    const int ret = kt_db_write_soon(c, put_both, &x);
    if (ret < 0)
        ev->id = id;                    /* the next put inserts it */
    else if (jpeg)
        ev->has_thumbnail = true;
    return ret;
}

struct erased_span {
    const char *camera;
    int64_t from_us, to_us;
};

static int erase_thumbnails(sqlite3 *db, void *arg)
{
    const struct erased_span *s = arg;
    const int ret = kt_db_run(db, "DELETE FROM thumbnail WHERE event IN (SELECT id FROM event WHERE camera = ?"
                              " AND start < ? AND (end = 0 OR end > ?))", "sii", s->camera, s->to_us, s->from_us);
    return ret < 0 ? ret : sqlite3_changes(db);
}

int kt_catalog_thumbnails_erase(kt_catalog *c, const char *camera, int64_t from_us, int64_t to_us)
{
    struct erased_span s = { camera, from_us, to_us };
    return kt_db_write(c, erase_thumbnails, &s);
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

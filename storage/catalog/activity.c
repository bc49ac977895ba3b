#include "storage/catalog/activity.h"

#include <errno.h>
#include <string.h>

#include "storage/catalog/db.h"

#define SECOND_BYTES (2 + KT_GRID_BYTES)    /* second of the minute, score, grid */
#define MINUTE_BYTES (60 * SECOND_BYTES)
#define MINUTE_US (60 * INT64_C(1000000))
#define HOUR_US (60 * MINUTE_US)
#define JOIN_US (5 * INT64_C(1000000))

struct add_arg {
    char camera[KT_ID_MAX + 1];
    struct kt_activity a;
};

/* Append a second to the row of its minute and to the sums. */
static int add(sqlite3 *db, void *arg)
{
    const struct add_arg *x = arg;
    const int64_t minute = x->a.second / 60;
    uint8_t data[MINUTE_BYTES + SECOND_BYTES];
    int n = 0;
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT data FROM activity WHERE camera = ? AND minute = ?",
                                       "si", x->camera, minute);
    int ret = kt_db_step(stmt);
    if (ret > 0 && sqlite3_column_bytes(stmt, 0) <= MINUTE_BYTES - SECOND_BYTES) {
        n = sqlite3_column_bytes(stmt, 0);
        if (n)
            memcpy(data, sqlite3_column_blob(stmt, 0), (size_t)n);
    } else if (ret > 0) {
        ret = -ENOSPC;                  /* the clock went back into a full minute */
    }
    kt_db_finalize(&stmt);
    if (ret < 0)
        return ret;
    data[n] = (uint8_t)(x->a.second % 60);
    data[n + 1] = x->a.score;
    memcpy(data + n + 2, x->a.grid, KT_GRID_BYTES);
    ret = kt_db_run(db, "INSERT INTO activity VALUES (?1,?2,?3,?4) ON CONFLICT DO UPDATE SET"
                    " sum = sum + ?3, data = ?4", "siib", x->camera, minute, (int64_t)x->a.score, data,
                    n + SECOND_BYTES);
    if (ret == 0)
        ret = kt_db_run(db, "INSERT INTO activity_hour VALUES (?1,?2,?3) ON CONFLICT DO UPDATE SET"
                        " sum = sum + ?3", "sii", x->camera, minute / 60, (int64_t)x->a.score);
    return ret;
}

int kt_catalog_activity_add(kt_catalog *c, const char *camera, const struct kt_activity *a)
{
    struct add_arg x = { .a = *a };
    snprintf(x.camera, sizeof(x.camera), "%s", camera);
    return kt_db_queue(c, add, &x, sizeof(x));
}

/* Sum of scores and where each goes, over N equal buckets. */
struct heat {
    int64_t from_us, to_us;
    size_t n;
    double *sum;
};

/* Spread SUM, of [FROM, FROM + SPAN), over the buckets it touches. */
static void spread(struct heat *h, int64_t from, int64_t span, double sum)
{
    const double width = (double)(h->to_us - h->from_us) / (double)h->n;
    const double start = (double)(from - h->from_us) / width;
    const double end = (double)(from + span - h->from_us) / width;
    for (int64_t b = start < 0 ? 0 : (int64_t)start; b < (int64_t)h->n && (double)b < end; b++) {
        const double left = start > (double)b ? start : (double)b;
        const double right = end < (double)b + 1 ? end : (double)b + 1;
        h->sum[b] += sum * (right - left) / (end - start);
    }
}

/* Buckets of an hour and more: from the hours; of FROM_MINUTES_US and more: from the sums of
 * the minutes, in an index that holds no grids; shorter: from the seconds. */
#define FROM_MINUTES_US (20 * INT64_C(1000000))
static int collect(sqlite3 *db, const char *camera, struct heat *h)
{
    const int64_t width = (h->to_us - h->from_us) / (int64_t)h->n;
    const bool hours = width >= HOUR_US;
    const int64_t unit = hours ? HOUR_US : MINUTE_US;
    const bool minutes = !hours && width >= FROM_MINUTES_US;
    sqlite3_stmt *stmt = kt_db_prepare(db, hours ?
        "SELECT hour, sum FROM activity_hour WHERE camera = ? AND hour BETWEEN ? AND ?" : minutes ?
        "SELECT minute, sum FROM activity INDEXED BY activity_sum WHERE camera = ? AND minute BETWEEN ? AND ?" :
        "SELECT minute, sum, data FROM activity WHERE camera = ? AND minute BETWEEN ? AND ?", "sii",
        camera, h->from_us / unit, h->to_us / unit);
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        const int64_t at = sqlite3_column_int64(stmt, 0) * unit;
        if (hours || minutes) {
            spread(h, at, unit, (double)sqlite3_column_int64(stmt, 1));
            continue;
        }
        const uint8_t *data = sqlite3_column_blob(stmt, 2);
        for (int i = 0; i + SECOND_BYTES <= sqlite3_column_bytes(stmt, 2); i += SECOND_BYTES)
            spread(h, at + data[i] * INT64_C(1000000), 1000000, data[i + 1]);
    }
    kt_db_finalize(&stmt);
    return ret;
}

int kt_catalog_activity_heat(kt_catalog *c, const char *camera, int64_t from_us, int64_t to_us,
                             size_t n, uint8_t *out)
{
    if (to_us <= from_us || n == 0 || n > 100000)
        return -EINVAL;
    struct heat h = { from_us, to_us, n, calloc(n, sizeof(double)) };
    if (!h.sum)
        return -ENOMEM;
    sqlite3 *db = kt_db_borrow(c);
    const int ret = collect(db, camera, &h);
    kt_db_return(c, db);
    const double seconds = (double)(to_us - from_us) / 1e6 / (double)n;
    for (size_t i = 0; ret == 0 && i < n; i++) {
        const double mean = h.sum[i] / seconds;
        /* Something moved: never rounded down to nothing. */
        out[i] = mean <= 0 ? 0 : mean < 1 ? 1 : mean > 255 ? 255 : (uint8_t)mean;
    }
    free(h.sum);
    return ret;
}

static bool touches(const uint8_t *grid, const uint8_t *mask)
{
    for (int i = 0; i < KT_GRID_BYTES; i++)
        if (grid[i] & mask[i])
            return true;
    return false;
}

struct search {
    const uint8_t *mask;
    int64_t from_us, to_us;
    size_t max, n;
    struct kt_activity_span *list;
};

/* A second in which the region moved: a new span, or more of the last. */
static int found(struct search *s, int64_t at, uint8_t score)
{
    struct kt_activity_span *last = s->n ? &s->list[s->n - 1] : NULL;
    if (last && at - last->to_us < JOIN_US) {
        last->to_us = at + 1000000;
        last->score = score > last->score ? score : last->score;
        return 0;
    }
    if (s->n == s->max)
        return 1;
    const int ret = kt_db_grow(&s->list, s->n, sizeof(*s->list));
    if (ret == 0)
        s->list[s->n++] = (struct kt_activity_span){ at, at + 1000000, score };
    return ret;
}

static int search_minute(struct search *s, int64_t minute, const uint8_t *data, int size)
{
    for (int i = 0; i + SECOND_BYTES <= size; i += SECOND_BYTES) {
        const int64_t at = minute * MINUTE_US + data[i] * INT64_C(1000000);
        if (at < s->from_us || at >= s->to_us || !touches(data + i + 2, s->mask))
            continue;
        const int ret = found(s, at, data[i + 1]);
        if (ret)
            return ret;
    }
    return 0;
}

int kt_catalog_activity_search(kt_catalog *c, const char *camera, int64_t from_us, int64_t to_us,
                               const uint8_t mask[KT_GRID_BYTES], size_t max,
                               struct kt_activity_span **out, size_t *n)
{
    struct search s = { .mask = mask, .from_us = from_us, .to_us = to_us, .max = max };
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT minute, data FROM activity WHERE camera = ?"
                                           " AND minute BETWEEN ? AND ? ORDER BY minute", "sii", camera,
                                       from_us / MINUTE_US, to_us / MINUTE_US);
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        ret = search_minute(&s, sqlite3_column_int64(stmt, 0), sqlite3_column_blob(stmt, 1),
                            sqlite3_column_bytes(stmt, 1));
        if (ret)
            break;
    }
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (ret < 0) {
        free(s.list);
        return ret;
    }
    *out = s.list;
    *n = s.n;
    return 0;
}

static int expire(sqlite3 *db, void *arg)
{
    const int64_t before = *(int64_t *)arg;
    int ret = kt_db_run(db, "DELETE FROM activity WHERE minute < ?", "i", before / MINUTE_US);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM activity_hour WHERE hour < ?", "i", before / HOUR_US);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM event WHERE end != 0 AND end < ?", "i", before);
    return ret;
}

int kt_catalog_expire(kt_catalog *c, int64_t before_us)
{
    return kt_db_queue(c, expire, &before_us, sizeof(before_us));
}

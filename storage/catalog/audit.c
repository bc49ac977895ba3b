#include "storage/catalog/audit.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/db.h"

struct audit_arg {
    int64_t time_us;
    char who[KT_USERNAME_MAX + 1], address[64], action[48], object[160], detail[1024];
};

/* The hash covers the previous row's, so that a row that is changed or removed shows. */
static void audit_hash(const uint8_t previous[32], const struct audit_arg *a, uint8_t out[32])
{
    crypto_hash_sha256_state state;
    char time[32];
    const int n = snprintf(time, sizeof(time), "%lld", (long long)a->time_us);
    const char *const fields[] = { a->who, a->address, a->action, a->object, a->detail };
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, previous, 32);
    crypto_hash_sha256_update(&state, (const uint8_t *)time, (size_t)n + 1);
    for (size_t i = 0; i < KT_ARRAY_SIZE(fields); i++)      /* with the NUL: no two rows read alike */
        crypto_hash_sha256_update(&state, (const uint8_t *)fields[i], strlen(fields[i]) + 1);
    crypto_hash_sha256_final(&state, out);
}

/* ------------------------------ writing ------------------------------ */

static int add_audit(sqlite3 *db, void *arg)
{
    const struct audit_arg *a = arg;
    uint8_t previous[32] = { 0 }, hash[32];
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1", "");
    const int ret = kt_db_step(stmt);
    if (ret > 0 && sqlite3_column_bytes(stmt, 0) == 32)
        memcpy(previous, sqlite3_column_blob(stmt, 0), 32);
    kt_db_finalize(&stmt);
    if (ret < 0)
        return ret;
    audit_hash(previous, a, hash);
    return kt_db_run(db, "INSERT INTO audit (time, who, address, action, object, detail, previous, hash)"
                     " VALUES (?,?,?,?,?,?,?,?)", "isssssbb", a->time_us, a->who, a->address, a->action,
                     a->object, a->detail, previous, 32, hash, 32);
}

int kt_catalog_audit(kt_catalog *c, const char *who, const char *address, const char *action,
                     const char *object, const char *detail)
{
    struct audit_arg a = { .time_us = kt_clock_wall_us() };
    snprintf(a.who, sizeof(a.who), "%s", who ? who : "");
    snprintf(a.address, sizeof(a.address), "%s", address ? address : "");
    snprintf(a.action, sizeof(a.action), "%s", action);
    snprintf(a.object, sizeof(a.object), "%s", object ? object : "");
    /* Half an object would be no JSON. */
    if (detail && strlen(detail) >= sizeof(a.detail))
        detail = "{\"truncated\":true}";
    snprintf(a.detail, sizeof(a.detail), "%s", detail ? detail : "");
    return kt_db_queue(c, add_audit, &a, sizeof(a));
}

/* ------------------------------ reading ------------------------------ */

#define COLUMNS "id, time, who, address, action, object, detail, hash"

static int read_row(sqlite3_stmt *stmt, void *item)
{
    struct kt_audit_row *r = item;
    r->id = sqlite3_column_int64(stmt, 0);
    r->time_us = sqlite3_column_int64(stmt, 1);
    kt_db_text(stmt, 2, r->who, sizeof(r->who));
    kt_db_text(stmt, 3, r->address, sizeof(r->address));
    kt_db_text(stmt, 4, r->action, sizeof(r->action));
    kt_db_text(stmt, 5, r->object, sizeof(r->object));
    if (sqlite3_column_bytes(stmt, 7) == 32)
        memcpy(r->hash, sqlite3_column_blob(stmt, 7), 32);
    return sqlite3_column_bytes(stmt, 6) > 0 ? kt_db_strdup(stmt, 6, &r->detail) : 0;
}

static void forget_row(void *item)
{
    free(((struct kt_audit_row *)item)->detail);
}

int kt_catalog_audit_list(kt_catalog *c, const struct kt_audit_filter *f, struct kt_audit_row **out,
                          size_t *n)
{
    if (f->limit < 1 || f->limit > 1000)
        return -EINVAL;
    return kt_db_select(c, sizeof(**out), read_row, forget_row, out, n,
                        "SELECT " COLUMNS " FROM audit WHERE (?1 IS NULL OR who = ?1)"
                        " AND (?2 IS NULL OR action = ?2) AND (?3 IS NULL OR object = ?3)"
                        " AND time >= ?4 AND (?5 = 0 OR time < ?5) AND (?6 = 0 OR id < ?6)"
                        " ORDER BY id DESC LIMIT ?7", "sssiiii", f->who, f->action, f->object,
                        f->from_us, f->to_us, f->before_id, (int64_t)f->limit);
}

void kt_audit_list_free(struct kt_audit_row **plist, size_t n)
{
    struct kt_audit_row *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        forget_row(&list[i]);
    free(list);
}

static void read_fields(sqlite3_stmt *stmt, struct audit_arg *a)
{
    a->time_us = sqlite3_column_int64(stmt, 1);
    kt_db_text(stmt, 2, a->who, sizeof(a->who));
    kt_db_text(stmt, 3, a->address, sizeof(a->address));
    kt_db_text(stmt, 4, a->action, sizeof(a->action));
    kt_db_text(stmt, 5, a->object, sizeof(a->object));
    kt_db_text(stmt, 6, a->detail, sizeof(a->detail));
}

/* Does the row fit behind HEAD? Then HEAD is its hash. */
static bool fits(sqlite3_stmt *stmt, int64_t expected_id, uint8_t head[32])
{
    struct audit_arg a;
    uint8_t hash[32];
    read_fields(stmt, &a);
    audit_hash(head, &a, hash);
    if (sqlite3_column_int64(stmt, 0) != expected_id || sqlite3_column_bytes(stmt, 7) != 32 ||
        memcmp(sqlite3_column_blob(stmt, 7), hash, 32) != 0)
        return false;
    memcpy(head, hash, 32);
    return true;
}

int kt_catalog_audit_verify(kt_catalog *c, uint8_t head_out[32], uint64_t *rows, int64_t *bad_id)
{
    uint8_t head[32] = { 0 };
    int64_t n = 0;
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT " COLUMNS " FROM audit ORDER BY id", "");
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        if (!fits(stmt, n + 1, head)) {
            if (bad_id)
                *bad_id = sqlite3_column_int64(stmt, 0);
            ret = -EBADMSG;
            break;
        }
        n++;
    }
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (ret < 0)
        return ret;
    if (head_out)
        memcpy(head_out, head, 32);
    if (rows)
        *rows = (uint64_t)n;
    return 0;
}

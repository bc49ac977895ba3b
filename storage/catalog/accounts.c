#include "storage/catalog/accounts.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/people_private.h"

/* ------------------------------ changing ------------------------------ */

struct change {
    const char *username, *text;
    int64_t number;
    int count;
};

/* The row must exist, and an administrator must be left who can undo things. */
static int changed(sqlite3 *db)
{
    if (sqlite3_changes(db) == 0)
        return -ENOENT;
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT count(*) FROM user WHERE role = ? AND NOT disabled",
                                       "i", (int64_t)KT_ROLE_ADMIN);
    int ret = kt_db_step(stmt);
    if (ret > 0)
        ret = sqlite3_column_int(stmt, 0) > 0 ? 0 : -EPERM;
    kt_db_finalize(&stmt);
    return ret;
}

static int set_role(sqlite3 *db, void *arg)
{
    const struct change *x = arg;
    const int ret = kt_db_run(db, "UPDATE user SET role = ? WHERE username = ?", "is", x->number,
                              x->username);
    return ret < 0 ? ret : changed(db);
}

int kt_catalog_user_set_role(kt_catalog *c, const char *username, enum kt_role role)
{
    struct change x = { .username = username, .number = role };
    return kt_db_write(c, set_role, &x);
}

static int set_disabled(sqlite3 *db, void *arg)
{
    const struct change *x = arg;
    int ret = kt_db_run(db, "UPDATE user SET disabled = ? WHERE username = ?", "is", x->number,
                        x->username);
    if (ret == 0)
        ret = changed(db);
    if (ret == 0 && x->number)          /* so that enabling again revives no old session */
        ret = kt_db_run(db, "DELETE FROM session WHERE user = (SELECT id FROM user WHERE username = ?)",
                        "s", x->username);
    return ret;
}

int kt_catalog_user_set_disabled(kt_catalog *c, const char *username, bool disabled)
{
    struct change x = { .username = username, .number = disabled };
    return kt_db_write(c, set_disabled, &x);
}

static int delete_user(sqlite3 *db, void *arg)
{
    const struct change *x = arg;
    const int ret = kt_db_run(db, "DELETE FROM user WHERE username = ?", "s", x->username);
    return ret < 0 ? ret : changed(db);
}

int kt_catalog_user_delete(kt_catalog *c, const char *username)
{
    struct change x = { .username = username };
    return kt_db_write(c, delete_user, &x);
}

/* ------------------------------ cameras ------------------------------ */

bool kt_people_camera_list_valid(const char *json)
{
    json_t *list = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_is_array(list);
    size_t i;
    json_t *id;
    json_array_foreach(list, i, id)
        ok = ok && json_is_string(id) && kt_id_valid(json_string_value(id));
    json_decref(list);
    return ok;
}

static int set_cameras(sqlite3 *db, void *arg)
{
    const struct change *x = arg;
    const int ret = kt_db_run(db, "UPDATE user SET cameras = ? WHERE username = ?", "ss", x->text,
                              x->username);
    return ret < 0 ? ret : changed(db);
}

int kt_catalog_user_set_cameras(kt_catalog *c, const char *username, const char *cameras)
{
    if (cameras && !kt_people_camera_list_valid(cameras))
        return -EINVAL;
    struct change x = { .username = username, .text = cameras };
    return kt_db_write(c, set_cameras, &x);
}

bool kt_user_may_see(const struct kt_user *u, const char *camera)
{
    if (!u->cameras)
        return true;
    json_t *list = json_loads(u->cameras, 0, NULL);
    bool found = false;
    size_t i;
    json_t *id;
    json_array_foreach(list, i, id)
        found = found || (json_is_string(id) && strcmp(json_string_value(id), camera) == 0);
    json_decref(list);
    return found;
}

static int end_sessions(sqlite3 *db, void *arg)
{
    struct change *x = arg;
    int ret = kt_db_run(db, "UPDATE user SET id = id WHERE username = ?", "s", x->username);
    if (ret == 0 && sqlite3_changes(db) == 0)
        return -ENOENT;
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM session WHERE user = (SELECT id FROM user WHERE username = ?)",
                        "s", x->username);
    x->count = sqlite3_changes(db);
    return ret;
}

int kt_catalog_logout_all(kt_catalog *c, const char *username)
{
    struct change x = { .username = username };
    const int ret = kt_db_write(c, end_sessions, &x);
    return ret < 0 ? ret : x.count;
}

/* The first 8 bytes of the stored hash, as hex: enough to tell a person's few apart. */
#define SESSION_ID "lower(hex(substr(token, 1, 8)))"

static int read_session(sqlite3_stmt *stmt, void *item)
{
    struct kt_session *s = item;
    kt_db_text(stmt, 0, s->id, sizeof(s->id));
    s->created_us = sqlite3_column_int64(stmt, 1);
    s->seen_us = sqlite3_column_int64(stmt, 2);
    kt_db_text(stmt, 3, s->address, sizeof(s->address));
    kt_db_text(stmt, 4, s->agent, sizeof(s->agent));
    return 0;
}

int kt_catalog_session_list(kt_catalog *c, const char *username, struct kt_session **out, size_t *n)
{
    const int64_t now_us = kt_clock_wall_us();
    return kt_db_select(c, sizeof(**out), read_session, NULL, out, n,
                        "SELECT " SESSION_ID ", session.created, seen, address, agent FROM session"
                        " JOIN user ON user.id = session.user WHERE username = ? AND seen >= ?"
                        " AND session.created >= ? ORDER BY seen DESC, session.created DESC", "sii",
                        username, now_us - KT_SESSION_IDLE_US, now_us - KT_SESSION_MAX_US);
}

int kt_session_id(const char *token, char id[KT_SESSION_ID_SIZE])
{
    uint8_t hash[32];
    const int ret = kt_people_read_token(token, hash);
    if (ret == 0)
        kt_hex(id, hash, (KT_SESSION_ID_SIZE - 1) / 2);
    return ret;
}

static int end_session(sqlite3 *db, void *arg)
{
    const struct change *x = arg;
    const int ret = kt_db_run(db, "DELETE FROM session WHERE " SESSION_ID " = ? AND user ="
                              " (SELECT id FROM user WHERE username = ?)", "ss", x->text, x->username);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_session_end(kt_catalog *c, const char *username, const char *id)
{
    struct change x = { .username = username, .text = id };
    return kt_db_write(c, end_session, &x);
}

/* ------------------------------ second factor ------------------------------ */

struct totp_change {
    const char *username, *code;
    uint8_t secret[KT_TOTP_SECRET_BYTES];
};

static int totp_begin(sqlite3 *db, void *arg)
{
    const struct totp_change *x = arg;
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT totp IS NOT NULL FROM user WHERE username = ?", "s", x->username);
    int ret = kt_db_step(stmt);
    if (ret >= 0)
        ret = ret == 0 ? -ENOENT : sqlite3_column_int(stmt, 0) ? -EEXIST : 0;
    kt_db_finalize(&stmt);
    return ret < 0 ? ret : kt_db_run(db, "UPDATE user SET totp_new = ? WHERE username = ?", "bs", x->secret,
                                     KT_TOTP_SECRET_BYTES, x->username);
}

int kt_catalog_totp_begin(kt_catalog *c, const char *username, char text[KT_TOTP_TEXT_SIZE])
{
    if (sodium_init() < 0)
        return -EIO;
    struct totp_change x = { .username = username };
    randombytes_buf(x.secret, sizeof(x.secret));
    const int ret = kt_db_write(c, totp_begin, &x);
    if (ret == 0)
        kt_base32(text, x.secret, sizeof(x.secret));
    sodium_memzero(&x, sizeof(x));
    return ret;
}

static int totp_confirm(sqlite3 *db, void *arg)
{
    const struct totp_change *x = arg;
    uint8_t secret[KT_TOTP_SECRET_BYTES];
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT totp_new FROM user WHERE username = ? AND totp IS NULL", "s", x->username);
    int ret = kt_db_step(stmt);
    const bool begun = ret > 0 && sqlite3_column_bytes(stmt, 0) == KT_TOTP_SECRET_BYTES;
    if (begun)
        memcpy(secret, sqlite3_column_blob(stmt, 0), sizeof(secret));
    kt_db_finalize(&stmt);
    if (!begun)
        return ret < 0 ? ret : -ENOENT;
    int64_t step;
    ret = kt_totp_check(secret, sizeof(secret), x->code, kt_clock_wall_us() / KT_SECOND_US / KT_TOTP_STEP_S,
                        0, &step);
    sodium_memzero(secret, sizeof(secret));
    /* The code of this moment may still log in once: only older ones are used up. */
    return ret < 0 ? ret : kt_db_run(db, "UPDATE user SET totp = totp_new, totp_new = NULL, totp_step = ?"
                                         " WHERE username = ?", "is", step - 1, x->username);
}

int kt_catalog_totp_confirm(kt_catalog *c, const char *username, const char *code)
{
    struct totp_change x = { .username = username, .code = code };
    return kt_db_write(c, totp_confirm, &x);
}

static int totp_remove(sqlite3 *db, void *arg)
{
    const struct totp_change *x = arg;
    const int ret = kt_db_run(db, "UPDATE user SET totp = NULL, totp_new = NULL WHERE username = ?", "s",
                              x->username);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_totp_remove(kt_catalog *c, const char *username)
{
    struct totp_change x = { .username = username };
    return kt_db_write(c, totp_remove, &x);
}

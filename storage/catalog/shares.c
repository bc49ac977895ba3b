#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/cases.h"
#include "storage/catalog/people_private.h"

#define WRONG_PINS_MAX 10

/* ------------------------------ making ------------------------------ */

struct share_arg {
    struct kt_share *share;
    uint8_t token[32];
    const char *pin;                    /* Argon2id, or NULL */
};

static bool good_pin(const char *pin)
{
    const size_t n = strlen(pin);
    return n >= 4 && n <= 12 && strspn(pin, "0123456789") == n;
}

static int add_share(sqlite3 *db, void *arg)
{
    const struct share_arg *x = arg;
    struct kt_share *s = x->share;
    s->created_us = kt_clock_wall_us();
    const int ret = kt_db_run(db, "INSERT INTO share (token, export, created, expires, max_downloads, pin,"
                                  " note, created_by) VALUES (?,?,?,?,?,?,?,?)", "biiiisss", x->token, 32,
                              s->export_id, s->created_us, s->expires_us, (int64_t)s->max_downloads,
                              x->pin, s->note, s->created_by);
    if (ret == 0)
        s->id = sqlite3_last_insert_rowid(db);
    return ret == -EEXIST ? -ENOENT : ret;      /* a foreign key: no such package */
}

int kt_catalog_share_add(kt_catalog *c, struct kt_share *share, const char *pin,
                         char token[KT_TOKEN_SIZE])
{
    char hash[crypto_pwhash_STRBYTES];
    struct share_arg x = { .share = share };
    if (pin && !good_pin(pin))
        return -EINVAL;
    int ret = kt_people_make_token(token, x.token);
    if (ret == 0 && pin) {
        ret = kt_people_hash(c, pin, hash);
        x.pin = hash;
    }
    share->has_pin = pin;
    return ret < 0 ? ret : kt_db_write(c, add_share, &x);
}

/* ------------------------------ looking ------------------------------ */

#define COLUMNS "id, export, created, expires, max_downloads, downloads, pin IS NOT NULL, revoked, note," \
                " created_by"

static int read_share(sqlite3_stmt *stmt, void *item)
{
    struct kt_share *s = item;
    s->id = sqlite3_column_int64(stmt, 0);
    s->export_id = sqlite3_column_int64(stmt, 1);
    s->created_us = sqlite3_column_int64(stmt, 2);
    s->expires_us = sqlite3_column_int64(stmt, 3);
    s->max_downloads = (uint32_t)sqlite3_column_int64(stmt, 4);
    s->downloads = (uint32_t)sqlite3_column_int64(stmt, 5);
    s->has_pin = sqlite3_column_int(stmt, 6);
    s->revoked = sqlite3_column_int(stmt, 7);
    kt_db_text(stmt, 8, s->note, sizeof(s->note));
    kt_db_text(stmt, 9, s->created_by, sizeof(s->created_by));
    return 0;
}

int kt_catalog_share_list(kt_catalog *c, int64_t export_id, struct kt_share **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_share, NULL, out, n,
                        "SELECT " COLUMNS " FROM share WHERE ?1 = 0 OR export = ?1 ORDER BY id DESC", "i",
                        export_id);
}

static int revoke_share(sqlite3 *db, void *arg)
{
    const int ret = kt_db_run(db, "UPDATE share SET revoked = 1 WHERE id = ?", "i", *(int64_t *)arg);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_share_revoke(kt_catalog *c, int64_t id)
{
    return kt_db_write(c, revoke_share, &id);
}

static int read_use(sqlite3_stmt *stmt, void *item)
{
    struct kt_share_use *u = item;
    u->time_us = sqlite3_column_int64(stmt, 0);
    kt_db_text(stmt, 1, u->address, sizeof(u->address));
    kt_db_text(stmt, 2, u->what, sizeof(u->what));
    return 0;
}

int kt_catalog_share_log(kt_catalog *c, int64_t id, struct kt_share_use **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_use, NULL, out, n,
                        "SELECT time, address, what FROM share_log WHERE share = ? ORDER BY id", "i", id);
}

/* ------------------------------ using ------------------------------ */

struct open_arg {
    uint8_t token[32];
    const char *address;
    bool pin_given, pin_right, download;
    bool rest;                          /* of a download that may have begun before */
    struct kt_share *out;
    int answer;                         /* what the caller gets; the log row stays either way */
};

#define RESUME_US (86400 * KT_SECOND_US)

/* Did a download that was counted begin at the same address not long ago? */
static bool began_here(sqlite3 *db, const struct open_arg *x)
{
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT 1 FROM share_log WHERE share = ? AND what = 'download'"
                                           " AND address = ? AND time > ?", "isi", x->out->id,
                                       x->address ? x->address : "", kt_clock_wall_us() - RESUME_US);
    const bool yes = kt_db_step(stmt) > 0;
    kt_db_finalize(&stmt);
    return yes;
}

static int judge(const struct open_arg *x)
{
    const struct kt_share *s = x->out;
    if (s->revoked || s->expires_us <= kt_clock_wall_us() ||
        (!x->rest && s->max_downloads && s->downloads >= s->max_downloads))
        return -ESTALE;
    if (s->has_pin && !x->pin_given)
        return -ENOKEY;
    return s->has_pin && !x->pin_right ? -EACCES : 0;
}

static int find_share(sqlite3 *db, const uint8_t token[32], struct kt_share *out)
{
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT " COLUMNS " FROM share WHERE token = ?", "b", token, 32);
    int ret = kt_db_step(stmt);
    if (ret > 0)
        ret = read_share(stmt, out);
    else if (ret == 0)
        ret = -ENOENT;
    kt_db_finalize(&stmt);
    return ret;
}

/* Judge, count and log in one transaction: two downloads at once cannot both be the last. */
static int open_share(sqlite3 *db, void *arg)
{
    struct open_arg *x = arg;
    memset(x->out, 0, sizeof(*x->out));
    int ret = find_share(db, x->token, x->out);
    if (ret < 0)
        return ret;
    if (x->rest && !began_here(db, x)) {
        x->rest = false;
        x->download = true;
    }
    x->answer = judge(x);
    const char *what = x->answer == -EACCES ? "wrong-pin" : x->answer == -ESTALE ? "refused" :
                       x->download && x->answer == 0 ? "download" : "seen";
    if (x->answer == -EACCES)
        ret = kt_db_run(db, "UPDATE share SET wrong_pins = wrong_pins + 1,"
                            " revoked = revoked OR wrong_pins + 1 >= ? WHERE id = ?", "ii",
                        (int64_t)WRONG_PINS_MAX, x->out->id);
    else if (x->answer == 0 && x->download)
        ret = kt_db_run(db, "UPDATE share SET downloads = downloads + 1 WHERE id = ?", "i", x->out->id);
    if (ret == 0)
        ret = kt_db_run(db, "INSERT INTO share_log (share, time, address, what) VALUES (?,?,?,?)", "iiss",
                        x->out->id, kt_clock_wall_us(), x->address ? x->address : "", what);
    return ret;
}

/* The PIN's hash is taken outside the writer: it takes a tenth of a second. */
static bool right_pin(kt_catalog *c, const uint8_t token[32], const char *pin)
{
    char hash[crypto_pwhash_STRBYTES] = "";
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT pin FROM share WHERE token = ? AND NOT revoked", "b",
                                       token, 32);
    if (kt_db_step(stmt) > 0)
        kt_db_text(stmt, 0, hash, sizeof(hash));
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (!hash[0])
        return false;
    kt_db_hash_enter(c);
    const bool right = crypto_pwhash_str_verify(hash, pin, strlen(pin)) == 0;
    kt_db_hash_leave(c);
    return right;
}

static int use(kt_catalog *c, const char *token, const char *pin, struct open_arg *x)
{
    x->pin_given = pin && pin[0];
    if (kt_people_read_token(token, x->token) < 0)
        return -ENOENT;
    x->pin_right = x->pin_given && strlen(pin) <= 12 && right_pin(c, x->token, pin);
    const int ret = kt_db_write(c, open_share, x);
    return ret < 0 ? ret : x->answer;
}

int kt_catalog_share_open(kt_catalog *c, const char *token, const char *pin, const char *address,
                          struct kt_share *out)
{
    struct open_arg x = { .address = address, .out = out };
    return use(c, token, pin, &x);
}

int kt_catalog_share_download(kt_catalog *c, const char *token, const char *pin, const char *address,
                              struct kt_share *out)
{
    struct open_arg x = { .address = address, .download = true, .out = out };
    return use(c, token, pin, &x);
}

int kt_catalog_share_resume(kt_catalog *c, const char *token, const char *pin, const char *address,
                            struct kt_share *out)
{
    struct open_arg x = { .address = address, .rest = true, .out = out };
    const int ret = use(c, token, pin, &x);
    return ret == 0 && x.download ? 1 : ret;
}

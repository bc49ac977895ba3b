#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/accounts.h"
#include "storage/catalog/people_private.h"

struct invite_arg {
    const struct kt_invitation *in;
    uint8_t token[32];
    int64_t now_us, valid_us;
};

static int add_invitation(sqlite3 *db, void *arg)
{
    const struct invite_arg *x = arg;
    return kt_db_run(db, "INSERT INTO invitation (token, role, cameras, note, created_by, created, expires)"
                         " VALUES (?,?,?,?,?,?,?)", "bisssii", x->token, 32, (int64_t)x->in->role,
                     x->in->cameras, x->in->note, x->in->created_by, x->now_us, x->now_us + x->valid_us);
}

int kt_catalog_invite(kt_catalog *c, const struct kt_invitation *in, int64_t valid_us,
                      char token[KT_TOKEN_SIZE])
{
    if (valid_us <= 0 || in->role < KT_ROLE_VOLUNTEER || in->role > KT_ROLE_ADMIN ||
        (in->cameras && !kt_people_camera_list_valid(in->cameras)))
        return -EINVAL;
    struct invite_arg x = { .in = in, .now_us = kt_clock_wall_us(), .valid_us = valid_us };
    const int ret = kt_people_make_token(token, x.token);
    return ret < 0 ? ret : kt_db_write(c, add_invitation, &x);
}

#define COLUMNS "id, role, cameras, note, created_by, created, expires, used, used_by"

static int read_invitation(sqlite3_stmt *stmt, void *item)
{
    struct kt_invitation *i = item;
    i->id = sqlite3_column_int64(stmt, 0);
    i->role = (enum kt_role)sqlite3_column_int(stmt, 1);
    kt_db_text(stmt, 3, i->note, sizeof(i->note));
    kt_db_text(stmt, 4, i->created_by, sizeof(i->created_by));
    i->created_us = sqlite3_column_int64(stmt, 5);
    i->expires_us = sqlite3_column_int64(stmt, 6);
    i->used_us = sqlite3_column_int64(stmt, 7);
    kt_db_text(stmt, 8, i->used_by, sizeof(i->used_by));
    return kt_db_strdup(stmt, 2, &i->cameras);
}

static void forget_invitation(void *item)
{
    free(((struct kt_invitation *)item)->cameras);
}

int kt_catalog_invitation(kt_catalog *c, const char *token, struct kt_invitation **out)
{
    uint8_t hash[32];
    size_t n = 0;
    if (kt_people_read_token(token, hash) < 0)
        return -ENOENT;
    const int ret = kt_db_select(c, sizeof(**out), read_invitation, forget_invitation, out, &n,
                                 "SELECT " COLUMNS " FROM invitation WHERE token = ? AND used = 0"
                                 " AND expires > ?", "bi", hash, 32, kt_clock_wall_us());
    return ret < 0 ? ret : n ? 0 : -ENOENT;
}

struct use_arg {
    const char *username, *hash;
    uint8_t token[32];
    int64_t now_us;
};

/* Take the invitation and make the account in one transaction: nobody can use it twice. */
static int use_invitation(sqlite3 *db, void *arg)
{
    const struct use_arg *x = arg;
    int ret = kt_db_run(db, "UPDATE invitation SET used = ?1, used_by = ?2 WHERE token = ?3 AND used = 0"
                            " AND expires > ?1", "isb", x->now_us, x->username, x->token, 32);
    if (ret == 0 && sqlite3_changes(db) == 0)
        return -ENOENT;
    if (ret == 0)
        ret = kt_db_run(db, "INSERT INTO user (username, hash, role, cameras, created)"
                            " SELECT ?, ?, role, cameras, ? FROM invitation WHERE token = ?", "ssib",
                        x->username, x->hash, x->now_us, x->token, 32);
    return ret;
}

int kt_catalog_invitation_use(kt_catalog *c, const char *token, const char *username,
                              const char *password)
{
    struct kt_invitation *offer = NULL;
    int ret = kt_catalog_invitation(c, token, &offer);      /* before the costly hash */
    kt_invitation_list_free(&offer, 1);
    if (ret < 0)
        return ret;
    if (!kt_people_good_username(username))
        return -EINVAL;
    if (!kt_people_acceptable(username, password))
        return -ERANGE;
    char hash[crypto_pwhash_STRBYTES];
    struct use_arg x = { .username = username, .hash = hash, .now_us = kt_clock_wall_us() };
    ret = kt_people_hash(c, password, hash);
    if (ret == 0)
        ret = kt_people_read_token(token, x.token);
    return ret < 0 ? ret : kt_db_write(c, use_invitation, &x);
}

int kt_catalog_invitation_list(kt_catalog *c, struct kt_invitation **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), read_invitation, forget_invitation, out, n,
                        "SELECT " COLUMNS " FROM invitation ORDER BY id DESC", "");
}

static int withdraw(sqlite3 *db, void *arg)
{
    const int ret = kt_db_run(db, "DELETE FROM invitation WHERE id = ? AND used = 0", "i", *(int64_t *)arg);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_invitation_withdraw(kt_catalog *c, int64_t id)
{
    return kt_db_write(c, withdraw, &id);
}

void kt_invitation_list_free(struct kt_invitation **plist, size_t n)
{
    struct kt_invitation *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        forget_invitation(&list[i]);
    free(list);
}

#include "storage/catalog/people.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/db.h"

#define SESSION_IDLE_US (12 * 3600 * KT_SECOND_US)
#define SESSION_MAX_US (7 * 24 * 3600 * KT_SECOND_US)
#define SEEN_STEP_US (60 * KT_SECOND_US)    /* "last seen" is written at most once a minute */
#define FREE_FAILURES 5                     /* wrong passwords before waiting begins */
#define LONGEST_WAIT_S 900
#define PASSWORD_MIN 8
#define PASSWORD_MAX 256

static const char *const role_names[] = { [KT_ROLE_VOLUNTEER] = "volunteer",
                                          [KT_ROLE_POLICE] = "police",
                                          [KT_ROLE_HEAD] = "head",
                                          [KT_ROLE_ADMIN] = "admin" };

const char *kt_role_name(enum kt_role role)
{
    return role_names[role];
}

int kt_role_parse(const char *name, enum kt_role *role)
{
    for (size_t i = KT_ROLE_VOLUNTEER; i < KT_ARRAY_SIZE(role_names); i++)
        if (strcmp(name, role_names[i]) == 0) {
            *role = (enum kt_role)i;
            return 0;
        }
    return -EINVAL;
}

/* ------------------------------ passwords ------------------------------ */

static bool acceptable(const char *password)
{
    /* The commonest of those that are long enough; the rest is length. */
    static const char *const common[] = {
        "password", "password1", "12345678", "123456789", "1234567890", "qwertyuiop", "11111111",
        "iloveyou", "sayangku", "indonesia", "bismillah", "rahasia123", "admin123", "administrator",
        "kentongan", "qwerty123", "88888888", "00000000", "abcd1234", "password123", "1q2w3e4r",
    };
    const size_t n = strlen(password);
    if (n < PASSWORD_MIN || n > PASSWORD_MAX)
        return false;
    for (size_t i = 0; i < KT_ARRAY_SIZE(common); i++)
        if (strcasecmp(password, common[i]) == 0)
            return false;
    return true;
}

static bool good_username(const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n > KT_USERNAME_MAX)
        return false;
    for (; *name; name++)
        if ((unsigned char)*name <= ' ' || *name == 0x7f || strchr("<>\"'&\\/", *name))
            return false;
    return true;
}

static int hash_password(kt_catalog *c, const char *password, char out[crypto_pwhash_STRBYTES])
{
    if (sodium_init() < 0)
        return -EIO;
    kt_db_hash_enter(c);
    const int failed = crypto_pwhash_str(out, password, strlen(password),
                                         crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                         crypto_pwhash_MEMLIMIT_INTERACTIVE);
    kt_db_hash_leave(c);
    return failed ? -ENOMEM : 0;
}

/* ------------------------------ users ------------------------------ */

struct user_arg {
    const char *username, *hash;
    enum kt_role role;
};

static int add_user(sqlite3 *db, void *arg)
{
    const struct user_arg *u = arg;
    return kt_db_run(db, "INSERT INTO user (username, hash, role, created) VALUES (?,?,?,?)", "ssii",
                     u->username, u->hash, (int64_t)u->role, kt_clock_wall_us());
}

int kt_catalog_user_add(kt_catalog *c, const char *username, const char *password, enum kt_role role)
{
    if (!good_username(username))
        return -EINVAL;
    if (!acceptable(password))
        return -ERANGE;
    char hash[crypto_pwhash_STRBYTES];
    const int ret = hash_password(c, password, hash);
    if (ret < 0)
        return ret;
    struct user_arg u = { username, hash, role };
    return kt_db_write(c, add_user, &u);
}

static int set_password(sqlite3 *db, void *arg)
{
    const struct user_arg *u = arg;
    int ret = kt_db_run(db, "UPDATE user SET hash = ? WHERE username = ?", "ss", u->hash, u->username);
    if (ret == 0 && sqlite3_changes(db) == 0)
        return -ENOENT;
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM session WHERE user = (SELECT id FROM user WHERE username = ?)",
                        "s", u->username);
    return ret;
}

int kt_catalog_user_set_password(kt_catalog *c, const char *username, const char *password)
{
    if (!acceptable(password))
        return -ERANGE;
    char hash[crypto_pwhash_STRBYTES];
    const int ret = hash_password(c, password, hash);
    if (ret < 0)
        return ret;
    struct user_arg u = { .username = username, .hash = hash };
    return kt_db_write(c, set_password, &u);
}

#define USER_COLUMNS "user.id, username, role, disabled, cameras, user.created, last_login"

static int read_user(sqlite3_stmt *stmt, struct kt_user *u)
{
    memset(u, 0, sizeof(*u));
    u->id = sqlite3_column_int64(stmt, 0);
    kt_db_text(stmt, 1, u->username, sizeof(u->username));
    u->role = (enum kt_role)sqlite3_column_int(stmt, 2);
    u->disabled = sqlite3_column_int(stmt, 3);
    const char *cameras = (const char *)sqlite3_column_text(stmt, 4);
    u->created_us = sqlite3_column_int64(stmt, 5);
    u->last_login_us = sqlite3_column_int64(stmt, 6);
    u->cameras = cameras ? strdup(cameras) : NULL;
    return cameras && !u->cameras ? -ENOMEM : 0;
}

static int read_users(sqlite3_stmt *stmt, struct kt_user **out, size_t *n)
{
    struct kt_user *list = NULL;
    size_t count = 0;
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        ret = kt_db_grow(&list, count, sizeof(*list));
        if (ret == 0)
            ret = read_user(stmt, &list[count++]);
        if (ret < 0)
            break;
    }
    if (ret < 0) {
        kt_user_list_free(&list, count);
        return ret;
    }
    *out = list;
    *n = count;
    return 0;
}

int kt_catalog_user_list(kt_catalog *c, struct kt_user **out, size_t *n)
{
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT " USER_COLUMNS " FROM user ORDER BY username", "");
    const int ret = read_users(stmt, out, n);
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    return ret;
}

void kt_user_list_free(struct kt_user **plist, size_t n)
{
    struct kt_user *list = kt_steal_ptr(plist);
    for (size_t i = 0; list && i < n; i++)
        free(list[i].cameras);
    free(list);
}

int kt_catalog_bootstrap_admin(kt_catalog *c, char **password)
{
    struct kt_user *users = NULL;
    size_t n = 0;
    int ret = kt_catalog_user_list(c, &users, &n);
    kt_user_list_free(&users, n);
    if (ret < 0 || n > 0)
        return ret;
    if (sodium_init() < 0)
        return -EIO;
    const char *given = getenv("KENTONGAN_ADMIN_PASSWORD");
    uint8_t random[9];
    char made[2 * sizeof(random) + 1];
    randombytes_buf(random, sizeof(random));
    kt_hex(made, random, sizeof(random));
    ret = kt_catalog_user_add(c, "admin", given && given[0] ? given : made, KT_ROLE_ADMIN);
    if (ret == 0 && !(given && given[0])) {
        *password = strdup(made);
        ret = *password ? 0 : -ENOMEM;
    }
    sodium_memzero(made, sizeof(made));
    return ret;
}

/* ------------------------------ logging in ------------------------------ */

/* Failures are counted by account and by address, so that neither many addresses
 * at one account nor one address at many accounts goes unnoticed. */
struct login_arg {
    const char *username, *address;
    int64_t user, now_us;
    const uint8_t *token;               /* NULL: it failed */
};

static int count_failure(sqlite3 *db, const char *kind, const char *who, int64_t now_us)
{
    char key[160];
    snprintf(key, sizeof(key), "%s:%.128s", kind, who ? who : "");
    /* From the sixth on: 2, 4, 8 … seconds; an hour of peace forgets. */
    return kt_db_run(db,
        "INSERT INTO throttle VALUES (?1, 1, ?2) ON CONFLICT DO UPDATE SET"
        " failures = CASE WHEN until + 3600000000 < ?2 THEN 1 ELSE failures + 1 END,"
        " until = ?2 + CASE WHEN failures < ?3 THEN 0"
        "   ELSE min(?4, 1 << min(failures - ?3 + 1, 20)) * 1000000 END",
        "siii", key, now_us, (int64_t)FREE_FAILURES, (int64_t)LONGEST_WAIT_S);
}

static int finish_login(sqlite3 *db, void *arg)
{
    const struct login_arg *l = arg;
    if (!l->token) {
        const int ret = count_failure(db, "user", l->username, l->now_us);
        return ret < 0 ? ret : count_failure(db, "address", l->address, l->now_us);
    }
    char key[160];
    snprintf(key, sizeof(key), "user:%.128s", l->username);
    int ret = kt_db_run(db, "DELETE FROM throttle WHERE key = ?", "s", key);
    if (ret == 0)
        ret = kt_db_run(db, "UPDATE user SET last_login = ? WHERE id = ?", "ii", l->now_us, l->user);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM session WHERE seen < ? OR created < ?", "ii",
                        l->now_us - SESSION_IDLE_US, l->now_us - SESSION_MAX_US);
    if (ret == 0)
        ret = kt_db_run(db, "INSERT INTO session VALUES (?,?,?,?)", "biii", l->token, 32, l->user,
                        l->now_us, l->now_us);
    return ret;
}

/* Seconds until USERNAME from ADDRESS may try again, 0: now. */
static int must_wait(sqlite3 *db, const char *username, const char *address, int64_t now_us)
{
    char user[160], from[160];
    snprintf(user, sizeof(user), "user:%.128s", username);
    snprintf(from, sizeof(from), "address:%.128s", address ? address : "");
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT max(until) FROM throttle WHERE key IN (?,?)", "ss",
                                       user, from);
    int64_t until = 0;
    if (kt_db_step(stmt) > 0)
        until = sqlite3_column_int64(stmt, 0);
    kt_db_finalize(&stmt);
    return until > now_us ? (int)((until - now_us) / KT_SECOND_US + 1) : 0;
}

/* The user's id and hash; 0 and a hash of nothing when there is none. */
static int64_t find_hash(sqlite3 *db, const char *username, char hash[crypto_pwhash_STRBYTES])
{
    /* Verified in vain, so that unknown names take as long as known ones. */
    static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    int64_t id = 0;
    snprintf(hash, crypto_pwhash_STRBYTES, "%s", nobody);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT id, hash FROM user WHERE username = ? AND NOT disabled",
                                       "s", username);
    if (kt_db_step(stmt) > 0) {
        id = sqlite3_column_int64(stmt, 0);
        kt_db_text(stmt, 1, hash, crypto_pwhash_STRBYTES);
    }
    kt_db_finalize(&stmt);
    return id;
}

static bool verify(kt_catalog *c, const char *hash, const char *password)
{
    kt_db_hash_enter(c);
    const bool ok = crypto_pwhash_str_verify(hash, password, strlen(password)) == 0;
    kt_db_hash_leave(c);
    return ok;
}

static void token_hash(const uint8_t token[32], uint8_t out[32])
{
    crypto_hash_sha256(out, token, 32);
}

int kt_catalog_login(kt_catalog *c, const char *username, const char *password, const char *address,
                     char token[KT_TOKEN_SIZE], int *retry_s)
{
    if (sodium_init() < 0)
        return -EIO;
    char hash[crypto_pwhash_STRBYTES];
    struct login_arg l = { .username = username, .address = address, .now_us = kt_clock_wall_us() };
    sqlite3 *db = kt_db_borrow(c);
    *retry_s = must_wait(db, username, address, l.now_us);
    if (*retry_s == 0)
        l.user = find_hash(db, username, hash);
    kt_db_return(c, db);
    if (*retry_s)
        return -EBUSY;
    const bool ok = strlen(password) <= PASSWORD_MAX && verify(c, hash, password) && l.user;

    uint8_t random[32], stored[32];
    randombytes_buf(random, sizeof(random));
    token_hash(random, stored);
    l.token = ok ? stored : NULL;
    const int ret = kt_db_write(c, finish_login, &l);
    if (ret < 0)
        return ret;
    if (!ok)
        return -EACCES;
    kt_hex(token, random, sizeof(random));
    return 0;
}

/* ------------------------------ sessions ------------------------------ */

struct session_arg {
    uint8_t hash[32];
    int64_t now_us;
};

static int touch_session(sqlite3 *db, void *arg)
{
    const struct session_arg *s = arg;
    return kt_db_run(db, "UPDATE session SET seen = ? WHERE token = ?", "ib", s->now_us, s->hash, 32);
}

static int read_token(const char *token, uint8_t hash[32])
{
    uint8_t raw[32];
    if (kt_unhex(raw, sizeof(raw), token) < 0)
        return -ENOENT;
    token_hash(raw, hash);
    return 0;
}

int kt_catalog_session_user(kt_catalog *c, const char *token, struct kt_user **out)
{
    struct session_arg s = { .now_us = kt_clock_wall_us() };
    if (read_token(token, s.hash) < 0)
        return -ENOENT;
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db,
        "SELECT " USER_COLUMNS ", seen FROM session JOIN user ON user.id = session.user"
        " WHERE token = ? AND NOT disabled AND seen >= ? AND session.created >= ?", "bii", s.hash, 32,
        s.now_us - SESSION_IDLE_US, s.now_us - SESSION_MAX_US);
    int ret = kt_db_step(stmt);
    int64_t seen = 0;
    struct kt_user *user = ret > 0 ? calloc(1, sizeof(*user)) : NULL;
    if (user) {
        ret = read_user(stmt, user);
        seen = sqlite3_column_int64(stmt, 7);
    } else if (ret >= 0) {
        ret = ret > 0 ? -ENOMEM : -ENOENT;
    }
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (ret < 0) {
        kt_user_list_free(&user, 1);
        return ret;
    }
    if (s.now_us - seen > SEEN_STEP_US)
        (void)kt_db_queue(c, touch_session, &s, sizeof(s));     /* again at the next request */
    *out = user;
    return 0;
}

static int end_session(sqlite3 *db, void *arg)
{
    const struct session_arg *s = arg;
    return kt_db_run(db, "DELETE FROM session WHERE token = ?", "b", s->hash, 32);
}

int kt_catalog_logout(kt_catalog *c, const char *token)
{
    struct session_arg s = { .now_us = 0 };
    if (read_token(token, s.hash) < 0)
        return -ENOENT;
    return kt_db_write(c, end_session, &s);
}

/* ------------------------------ audit ------------------------------ */

struct audit_arg {
    int64_t time_us;
    char who[KT_USERNAME_MAX + 1], address[64], action[48], object[160], detail[512];
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

static int add_audit(sqlite3 *db, void *arg)
{
    const struct audit_arg *a = arg;
    uint8_t previous[32] = { 0 }, hash[32];
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1", "");
    if (kt_db_step(stmt) > 0 && sqlite3_column_bytes(stmt, 0) == 32)
        memcpy(previous, sqlite3_column_blob(stmt, 0), 32);
    kt_db_finalize(&stmt);
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
    snprintf(a.detail, sizeof(a.detail), "%s", detail ? detail : "");
    return kt_db_queue(c, add_audit, &a, sizeof(a));
}

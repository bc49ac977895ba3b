#include "storage/catalog/accounts.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/db.h"
#include "storage/catalog/people_private.h"

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

/* common_passwords.txt, one a line in small letters: more than the three thousand commonest that are long
 * enough, as OWASP ASVS 6.2.4 asks, and some of this country. */
extern const char kt_common_passwords[], kt_common_passwords_end[];

/* In any mixture of small and capital letters. */
static bool is_common(const char *password)
{
    const size_t n = strlen(password);
    for (const char *p = kt_common_passwords, *end; p < kt_common_passwords_end; p = end + 1) {
        end = memchr(p, '\n', (size_t)(kt_common_passwords_end - p));
        if (!end)
            break;
        if ((size_t)(end - p) == n && strncasecmp(p, password, n) == 0)
            return true;
    }
    return false;
}

bool kt_people_acceptable(const char *username, const char *password)
{
    const size_t n = strlen(password);
    return n >= PASSWORD_MIN && n <= PASSWORD_MAX && strcasecmp(password, username) != 0 && !is_common(password);
}

bool kt_people_good_username(const char *name)
{
    const size_t n = strlen(name);
    char shown[4 * KT_USERNAME_MAX + 1];
    if (n == 0 || n > KT_USERNAME_MAX)
        return false;
    (void)kt_text_printable(shown, sizeof(shown), name);
    return strcmp(shown, name) == 0 && !strpbrk(name, " <>\"'&\\/");
}

int kt_people_hash(kt_catalog *c, const char *password, char out[crypto_pwhash_STRBYTES])
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
    if (!kt_people_good_username(username))
        return -EINVAL;
    if (!kt_people_acceptable(username, password))
        return -ERANGE;
    char hash[crypto_pwhash_STRBYTES];
    const int ret = kt_people_hash(c, password, hash);
    if (ret < 0)
        return ret;
    struct user_arg u = { username, hash, role };
    return kt_db_write(c, add_user, &u);
}

#define MADE_UP_KEY "password.made-up"      /* setting: the account whose password we made */

static int set_password(sqlite3 *db, void *arg)
{
    const struct user_arg *u = arg;
    int ret = kt_db_run(db, "UPDATE user SET hash = ? WHERE username = ?", "ss", u->hash, u->username);
    if (ret == 0 && sqlite3_changes(db) == 0)
        return -ENOENT;
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM session WHERE user = (SELECT id FROM user WHERE username = ?)",
                        "s", u->username);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM setting WHERE key = '" MADE_UP_KEY "' AND value = ?", "s",
                        u->username);
    return ret;
}

int kt_catalog_user_set_password(kt_catalog *c, const char *username, const char *password)
{
    if (!kt_people_acceptable(username, password))
        return -ERANGE;
    char hash[crypto_pwhash_STRBYTES];
    const int ret = kt_people_hash(c, password, hash);
    if (ret < 0)
        return ret;
    struct user_arg u = { .username = username, .hash = hash };
    return kt_db_write(c, set_password, &u);
}

int kt_people_read_user(sqlite3_stmt *stmt, void *item)
{
    struct kt_user *u = item;
    memset(u, 0, sizeof(*u));
    u->id = sqlite3_column_int64(stmt, 0);
    kt_db_text(stmt, 1, u->username, sizeof(u->username));
    u->role = (enum kt_role)sqlite3_column_int(stmt, 2);
    u->disabled = sqlite3_column_int(stmt, 3);
    const char *cameras = (const char *)sqlite3_column_text(stmt, 4);
    u->created_us = sqlite3_column_int64(stmt, 5);
    u->last_login_us = sqlite3_column_int64(stmt, 6);
    u->has_totp = sqlite3_column_int(stmt, 7);
    u->cameras = cameras ? strdup(cameras) : NULL;
    return cameras && !u->cameras ? -ENOMEM : 0;
}

static void forget_user(void *item)
{
    free(((struct kt_user *)item)->cameras);
}

int kt_catalog_user_list(kt_catalog *c, struct kt_user **out, size_t *n)
{
    return kt_db_select(c, sizeof(**out), kt_people_read_user, forget_user, out, n,
                        "SELECT " KT_USER_COLUMNS " FROM user ORDER BY username", "");
}

int kt_catalog_user_get(kt_catalog *c, const char *username, struct kt_user **out)
{
    size_t n = 0;
    const int ret = kt_db_select(c, sizeof(**out), kt_people_read_user, forget_user, out, &n,
                                 "SELECT " KT_USER_COLUMNS " FROM user WHERE username = ?", "s", username);
    return ret < 0 ? ret : n ? 0 : -ENOENT;
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
        ret = *password ? kt_catalog_setting_put(c, MADE_UP_KEY, "admin") : -ENOMEM;
    }
    sodium_memzero(made, sizeof(made));
    return ret;
}

int kt_catalog_password_is_made_up(kt_catalog *c, const char *username, bool *yes)
{
    char *value = NULL;
    const int ret = kt_catalog_setting_get(c, MADE_UP_KEY, &value);
    if (ret < 0 && ret != -ENOENT)
        return ret;
    *yes = value && strcmp(value, username) == 0;
    free(value);
    return 0;
}

/* ------------------------------ logging in ------------------------------ */

/* Failures are counted by account and by address, so that neither many addresses
 * at one account nor one address at many accounts goes unnoticed. */
struct login_arg {
    const char *username, *address;
    int64_t user, now_us;
    int64_t totp_step;                  /* the code's, 0: none was needed */
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
    int ret = 0;
    if (l->totp_step) {                 /* each code opens one session only */
        ret = kt_db_run(db, "UPDATE user SET totp_step = ?1 WHERE id = ?2 AND totp_step < ?1", "ii",
                        l->totp_step, l->user);
        if (ret == 0 && sqlite3_changes(db) == 0)
            return -EACCES;
    }
    char key[160];
    snprintf(key, sizeof(key), "user:%.128s", l->username);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM throttle WHERE key = ?", "s", key);
    if (ret == 0)
        ret = kt_db_run(db, "UPDATE user SET last_login = ? WHERE id = ?", "ii", l->now_us, l->user);
    if (ret == 0)
        ret = kt_db_run(db, "DELETE FROM session WHERE seen < ? OR created < ?", "ii",
                        l->now_us - KT_SESSION_IDLE_US, l->now_us - KT_SESSION_MAX_US);
    if (ret == 0)
        ret = kt_db_run(db, "INSERT INTO session (token, user, created, seen, address) VALUES (?,?,?,?,?)", "biiis",
                        l->token, 32, l->user, l->now_us, l->now_us, l->address ? l->address : "");
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

/* The account that somebody says to be: id 0 and a hash of nothing when there is none. */
struct claim {
    int64_t id;
    char hash[crypto_pwhash_STRBYTES];
    uint8_t totp[KT_TOTP_SECRET_BYTES];
    bool has_totp;
    int64_t last_step;
};

static void find_claim(sqlite3 *db, const char *username, struct claim *who)
{
    /* Verified in vain, so that unknown names take as long as known ones. */
    static const char nobody[] = "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    *who = (struct claim){ .id = 0 };
    snprintf(who->hash, sizeof(who->hash), "%s", nobody);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT id, hash, totp, totp_step FROM user WHERE username = ?"
                                           " AND NOT disabled", "s", username);
    if (kt_db_step(stmt) > 0) {
        who->id = sqlite3_column_int64(stmt, 0);
        kt_db_text(stmt, 1, who->hash, sizeof(who->hash));
        who->has_totp = sqlite3_column_bytes(stmt, 2) == KT_TOTP_SECRET_BYTES;
        if (who->has_totp)
            memcpy(who->totp, sqlite3_column_blob(stmt, 2), KT_TOTP_SECRET_BYTES);
        who->last_step = sqlite3_column_int64(stmt, 3);
    }
    kt_db_finalize(&stmt);
}

static void token_hash(const uint8_t token[32], uint8_t out[32])
{
    crypto_hash_sha256(out, token, 32);
}

/* Is it them? Hash slots are held while looking whether to wait, too: of many guesses
 * sent at once, those behind the first few meet the failures of those before. */
static int check_claim(kt_catalog *c, const char *username, const char *password, const char *address,
                       struct claim *who, int *retry_s)
{
    kt_db_hash_enter(c);
    sqlite3 *db = kt_db_borrow(c);
    *retry_s = must_wait(db, username, address, kt_clock_wall_us());
    if (*retry_s == 0)
        find_claim(db, username, who);
    kt_db_return(c, db);
    int ret = -EBUSY;
    if (*retry_s == 0)
        ret = strlen(password) <= PASSWORD_MAX &&
              crypto_pwhash_str_verify(who->hash, password, strlen(password)) == 0 && who->id ? 0 : -EACCES;
    if (ret == -EACCES) {
        struct login_arg l = { .username = username, .address = address, .now_us = kt_clock_wall_us() };
        const int counted = kt_db_write(c, finish_login, &l);
        ret = counted < 0 ? counted : ret;
    }
    kt_db_hash_leave(c);
    return ret;
}

int kt_catalog_login_code(kt_catalog *c, const char *username, const char *password, const char *code,
                          const char *address, char token[KT_TOKEN_SIZE], int *retry_s)
{
    if (sodium_init() < 0)
        return -EIO;
    struct claim who;
    int ret = check_claim(c, username, password, address, &who, retry_s);
    if (ret < 0)
        return ret;
    struct login_arg l = { .username = username, .address = address, .user = who.id,
                           .now_us = kt_clock_wall_us() };
    if (who.has_totp) {
        if (!code || !code[0])
            return -ENOKEY;
        ret = kt_totp_check(who.totp, sizeof(who.totp), code,
                            l.now_us / KT_SECOND_US / KT_TOTP_STEP_S, who.last_step, &l.totp_step);
        sodium_memzero(who.totp, sizeof(who.totp));
    }
    uint8_t stored[32];
    if (ret == 0)
        ret = kt_people_make_token(token, stored);
    l.token = ret == 0 ? stored : NULL;
    const int written = kt_db_write(c, finish_login, &l);
    return written < 0 ? written : ret;
}

int kt_catalog_login(kt_catalog *c, const char *username, const char *password, const char *address,
                     char token[KT_TOKEN_SIZE], int *retry_s)
{
    return kt_catalog_login_code(c, username, password, NULL, address, token, retry_s);
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

int kt_people_read_token(const char *token, uint8_t hash[32])
{
    uint8_t raw[32];
    if (kt_unhex(raw, sizeof(raw), token) < 0)
        return -ENOENT;
    token_hash(raw, hash);
    return 0;
}

int kt_people_make_token(char token[KT_TOKEN_SIZE], uint8_t hash[32])
{
    uint8_t random[32];
    if (sodium_init() < 0)
        return -EIO;
    randombytes_buf(random, sizeof(random));
    token_hash(random, hash);
    kt_hex(token, random, sizeof(random));
    return 0;
}

int kt_catalog_session_user(kt_catalog *c, const char *token, struct kt_user **out)
{
    struct session_arg s = { .now_us = kt_clock_wall_us() };
    if (kt_people_read_token(token, s.hash) < 0)
        return -ENOENT;
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db,
        "SELECT " KT_USER_COLUMNS ", seen FROM session JOIN user ON user.id = session.user"
        " WHERE token = ? AND NOT disabled AND seen >= ? AND session.created >= ?", "bii", s.hash, 32,
        s.now_us - KT_SESSION_IDLE_US, s.now_us - KT_SESSION_MAX_US);
    int ret = kt_db_step(stmt);
    int64_t seen = 0;
    struct kt_user *user = ret > 0 ? calloc(1, sizeof(*user)) : NULL;
    if (user) {
        ret = kt_people_read_user(stmt, user);
        seen = sqlite3_column_int64(stmt, 8);
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

struct agent_arg {
    uint8_t hash[32];
    char agent[KT_AGENT_MAX + 1];
};

static int set_agent(sqlite3 *db, void *arg)
{
    const struct agent_arg *a = arg;
    return kt_db_run(db, "UPDATE session SET agent = ? WHERE token = ?", "sb", a->agent, a->hash, 32);
}

int kt_catalog_session_agent(kt_catalog *c, const char *token, const char *agent)
{
    struct agent_arg a;
    const int ret = kt_people_read_token(token, a.hash);
    (void)kt_text_printable(a.agent, sizeof(a.agent), agent);
    return ret < 0 ? ret : kt_db_write(c, set_agent, &a);
}

static int end_session(sqlite3 *db, void *arg)
{
    const struct session_arg *s = arg;
    return kt_db_run(db, "DELETE FROM session WHERE token = ?", "b", s->hash, 32);
}

int kt_catalog_logout(kt_catalog *c, const char *token)
{
    struct session_arg s = { .now_us = 0 };
    if (kt_people_read_token(token, s.hash) < 0)
        return -ENOENT;
    return kt_db_write(c, end_session, &s);
}

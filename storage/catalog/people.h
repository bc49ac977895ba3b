/*
 * people.h - users, their sessions, what they did.
 * See catalog.h for threads, units and errors.
 *
 * Passwords are Argon2id strings (libsodium); hashing is slow on purpose and at
 * most two run at once, others wait. Sessions are random 256-bit tokens of which
 * only the SHA-256 is stored.
 */
#ifndef KT_CATALOG_PEOPLE_H
#define KT_CATALOG_PEOPLE_H

#include "storage/catalog/catalog.h"

#define KT_USERNAME_MAX 64
#define KT_TOKEN_SIZE 65            /* hex token with NUL */

enum kt_role {
    KT_ROLE_VOLUNTEER = 1,
    KT_ROLE_POLICE,
    KT_ROLE_HEAD,
    KT_ROLE_ADMIN,
};
const char *kt_role_name(enum kt_role role);        /* "volunteer", "police", "head", "admin" */
kt_must_check int kt_role_parse(const char *name, enum kt_role *role);

/* When there is no user yet, make the administrator `admin`. The password is
 * $KENTONGAN_ADMIN_PASSWORD; without that one is made up and *PASSWORD is it
 * (malloc'd, to be shown once). Else *PASSWORD is untouched. */
kt_must_check int kt_catalog_bootstrap_admin(kt_catalog *c, char **password);

/* Does USERNAME still have the password that was made up for it at the first start? */
kt_must_check int kt_catalog_password_is_made_up(kt_catalog *c, const char *username, bool *yes);

struct kt_user {
    int64_t id;
    char username[KT_USERNAME_MAX + 1];
    enum kt_role role;
    bool disabled;
    char *cameras;                  /* JSON list of camera ids, or NULL: all */
    int64_t created_us, last_login_us;
    bool has_totp;                  /* a code is asked for besides the password */
};

/* -EEXIST name taken; -EINVAL bad name; -ERANGE password shorter than 8 or
 * longer than 256 bytes, or among the commonest. */
kt_must_check int kt_catalog_user_add(kt_catalog *c, const char *username, const char *password,
                                      enum kt_role role);
kt_must_check int kt_catalog_user_set_password(kt_catalog *c, const char *username,
                                               const char *password);    /* ends all sessions */
kt_must_check int kt_catalog_user_list(kt_catalog *c, struct kt_user **out, size_t *n);
void kt_user_list_free(struct kt_user **list, size_t n);

/*
 * Check a password and open a session. The token goes to the browser.
 *   -EACCES  wrong name or password (takes as long either way)
 *   -EBUSY   too many failures: try again in *RETRY_S seconds (survives restarts)
 */
kt_must_check int kt_catalog_login(kt_catalog *c, const char *username, const char *password,
                                   const char *address, char token[KT_TOKEN_SIZE], int *retry_s);
/* -ENOKEY: the account has a second factor, see accounts.h. */

/* The user of a session that is alive; prolongs it. *OUT is malloc'd (free with
 * kt_user_list_free(&u, 1)). -ENOENT. Cheap: called for every request. */
kt_must_check int kt_catalog_session_user(kt_catalog *c, const char *token, struct kt_user **out);
int kt_catalog_logout(kt_catalog *c, const char *token);

/* Who did what; queued. WHO may be NULL (nobody yet). DETAIL is JSON or NULL. */
int kt_catalog_audit(kt_catalog *c, const char *who, const char *address, const char *action,
                     const char *object, const char *detail);

#endif

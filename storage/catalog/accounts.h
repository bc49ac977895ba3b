/*
 * accounts.h - what a head or an administrator does to accounts: roles, cameras,
 * invitations, a second factor, ending sessions.
 * See catalog.h for threads, units and errors; people.h for logging in.
 */
#ifndef KT_CATALOG_ACCOUNTS_H
#define KT_CATALOG_ACCOUNTS_H

#include "storage/catalog/people.h"
#include "storage/catalog/totp.h"

/* The account USERNAME. *OUT is freed with kt_user_list_free(&u, 1). -ENOENT. */
kt_must_check int kt_catalog_user_get(kt_catalog *c, const char *username, struct kt_user **out);

/* Change an account. All: -ENOENT; and -EPERM when it would leave no enabled
 * administrator. Narrowing rights takes effect at the user's next request. */
kt_must_check int kt_catalog_user_set_role(kt_catalog *c, const char *username, enum kt_role role);
kt_must_check int kt_catalog_user_set_disabled(kt_catalog *c, const char *username, bool disabled);
kt_must_check int kt_catalog_user_delete(kt_catalog *c, const char *username);

/* CAMERAS is a JSON list of camera ids, or NULL for all. -EINVAL when it is no such list. */
kt_must_check int kt_catalog_user_set_cameras(kt_catalog *c, const char *username,
                                              const char *cameras);

/* May U see CAMERA? Role is not looked at: that is the authorisation table's. */
bool kt_user_may_see(const struct kt_user *u, const char *camera);

/* Log out everywhere: end all sessions of USERNAME. Returns how many, or -ENOENT. */
int kt_catalog_logout_all(kt_catalog *c, const char *username);

/* A login that is good now. ID names it to people; it is no use as a token. */
#define KT_SESSION_ID_SIZE 17
#define KT_ADDRESS_MAX 63
#define KT_AGENT_MAX 255
struct kt_session {
    char id[KT_SESSION_ID_SIZE];
    int64_t created_us, seen_us;
    char address[KT_ADDRESS_MAX + 1];   /* that it was opened from; "" for old ones, like AGENT */
    char agent[KT_AGENT_MAX + 1];       /* what the browser calls itself: anybody's text */
};

/* What the browser of TOKEN's session calls itself, cut to size, made printable. */
int kt_catalog_session_agent(kt_catalog *c, const char *token, const char *agent);

/* The sessions of USERNAME, the one used last first. *OUT malloc'd, NULL for none. */
kt_must_check int kt_catalog_session_list(kt_catalog *c, const char *username,
                                          struct kt_session **out, size_t *n);

/* What the list calls the session of TOKEN. -ENOENT for what can be no token. */
kt_must_check int kt_session_id(const char *token, char id[KT_SESSION_ID_SIZE]);

/* End USERNAME's session ID. -ENOENT. */
kt_must_check int kt_catalog_session_end(kt_catalog *c, const char *username, const char *id);

/* ------------------------------ second factor ------------------------------ */

/* Make a secret and keep it as not yet in use; TEXT is base32 for the QR code. -EEXIST: one is in
 * use, to be removed first, or whoever finds an open session could put another telephone in its place. */
kt_must_check int kt_catalog_totp_begin(kt_catalog *c, const char *username,
                                        char text[KT_TOTP_TEXT_SIZE]);

/* CODE shows that the telephone has it: from now on logging in needs a code.
 * -EACCES wrong code, -ENOENT nothing was begun. */
kt_must_check int kt_catalog_totp_confirm(kt_catalog *c, const char *username, const char *code);
int kt_catalog_totp_remove(kt_catalog *c, const char *username);

/*
 * kt_catalog_login() for accounts that may have a second factor.
 *   -ENOKEY  the password is right and a CODE is needed (CODE was NULL or empty)
 *   -EACCES  also for a wrong or used code; counted like a wrong password
 */
kt_must_check int kt_catalog_login_code(kt_catalog *c, const char *username, const char *password,
                                        const char *code, const char *address,
                                        char token[KT_TOKEN_SIZE], int *retry_s);

/* ------------------------------ invitations ------------------------------ */

struct kt_invitation {
    int64_t id;
    enum kt_role role;
    char *cameras;                  /* as in struct kt_user */
    char note[128];                 /* for whom: "Pak Budi, RT 3" */
    char created_by[KT_USERNAME_MAX + 1];
    int64_t created_us, expires_us;
    int64_t used_us;                /* 0: not yet */
    char used_by[KT_USERNAME_MAX + 1];
};

/* A link that makes one account of IN's role, cameras, note and created_by within
 * VALID_US. TOKEN goes into the link; only its hash is kept. */
kt_must_check int kt_catalog_invite(kt_catalog *c, const struct kt_invitation *in, int64_t valid_us,
                                    char token[KT_TOKEN_SIZE]);

/* What TOKEN offers. *OUT is freed with kt_invitation_list_free(&i, 1).
 * -ENOENT: never, used, withdrawn or expired. */
kt_must_check int kt_catalog_invitation(kt_catalog *c, const char *token, struct kt_invitation **out);

/* Take it: makes the account. Errors of kt_catalog_user_add(), and -ENOENT. */
kt_must_check int kt_catalog_invitation_use(kt_catalog *c, const char *token, const char *username,
                                            const char *password);
kt_must_check int kt_catalog_invitation_list(kt_catalog *c, struct kt_invitation **out, size_t *n);
int kt_catalog_invitation_withdraw(kt_catalog *c, int64_t id);
void kt_invitation_list_free(struct kt_invitation **list, size_t n);

#endif

/*
 * r_session.c - logging in and out, one's own password and settings.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/accounts.h"

#define LOGINS_AT_ONCE 4        /* passwords being checked or waiting for it; more: come again */
#define COOKIE_AGE_S (30 * 86400)
#define SETTINGS_MAX (64 * 1024)

static json_t *session_json(struct web_request *r, const struct kt_user *user)
{
    const struct kt_web_params *p = &r->web->params;
    bool made_up = false;
    (void)!kt_catalog_password_is_made_up(p->catalog, user->username, &made_up);
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:s, s:b, s:b}", "username",
                     web_json_text(user->username), "role", kt_role_name(user->role), "timezone",
                     p->timezone, "language", p->language, "time",
                     web_json_time(kt_clock_wall_us()), "version", KT_VERSION, "totp",
                     user->has_totp, "must_change_password", made_up);
}

static enum MHD_Result reply_cookie(struct web_request *r, struct MHD_Response *response,
                                    unsigned status, const char *token, int age_s)
{
    char cookie[256];
    snprintf(cookie, sizeof(cookie), WEB_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s",
             token, age_s, r->secure ? "; Secure" : "");
    if (response)
        (void)MHD_add_response_header(response, "Set-Cookie", cookie);
    return web_reply(r, status, response, CACHE_NEVER);
}

static enum MHD_Result logged_in(struct web_request *r, const char *token)
{
    struct kt_user *user = NULL;
    if (kt_catalog_session_user(r->web->params.catalog, token, &user) < 0)
        return web_problem(r, 500, "internal", "the new session is not there");
    json_t *root = session_json(r, user);
    kt_user_list_free(&user, 1);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (!text)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", "application/json");
    return reply_cookie(r, response, 200, token, COOKIE_AGE_S);
}

/* For the list of where one is logged in. */
static void keep_agent(struct web_request *r, const char *token)
{
    const char *agent = web_header(r, "User-Agent");
    if (agent)
        (void)kt_catalog_session_agent(r->web->params.catalog, token, agent);   /* then the list says less */
}

/* Into the audit log: who came in, or tried to. What is no account's name is not kept: it
 * may well be a password in the wrong field. */
static void audit_login(struct web_request *r, const char *username, bool in)
{
    struct kt_user *user = NULL;
    kt_catalog *c = r->web->params.catalog;
    const bool known = kt_catalog_user_get(c, username, &user) == 0;
    kt_user_list_free(&user, known ? 1 : 0);
    (void)kt_catalog_audit(c, in ? username : NULL, r->address, in ? "login" : "login-failed",
                           in ? NULL : known ? username : "?", NULL);
}

static enum MHD_Result check_password(struct web_request *r, const char *username,
                                      const char *password, const char *code)
{
    char token[KT_TOKEN_SIZE];
    int retry_s = 0;
    const int ret = kt_catalog_login_code(r->web->params.catalog, username, password, code,
                                          r->address, token, &retry_s);
    if (ret == -ENOKEY)
        return web_problem(r, 401, "code-needed", "the code of the telephone is needed too");
    if (ret == -EBUSY)
        return web_problem_retry(r, 429, "too-many", "too many wrong passwords", retry_s > 0 ? retry_s : 1);
    if (ret == -EACCES) {
        audit_login(r, username, false);
        return web_problem(r, 401, "bad-login", "wrong name or password");
    }
    if (ret < 0)
        return web_problem_errno(r, ret);
    audit_login(r, username, true);
    if (r->token[0])                        /* a new session replaces the old one */
        (void)kt_catalog_logout(r->web->params.catalog, r->token);
    keep_agent(r, token);
    return logged_in(r, token);
}

enum MHD_Result web_login(struct web_request *r)
{
    static const char *const keys[] = { "username", "password", "code", NULL };
    const char *username, *password, *code = NULL;
    size_t username_size, password_size;
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:s%, s:s%, s?s}", "username", &username, &username_size, "password",
                    &password, &password_size, "code", &code) < 0 ||
        username_size == 0 || username_size > KT_USERNAME_MAX || password_size > 256)
        result = web_problem(r, 400, "bad-request", "username and password are needed");
    else if (atomic_fetch_add(&r->web->logins, 1) >= LOGINS_AT_ONCE) {
        atomic_fetch_sub(&r->web->logins, 1);
        result = web_problem_retry(r, 429, "too-many", "many are logging in just now", 2);
    } else {
        result = check_password(r, username, password, code);
        atomic_fetch_sub(&r->web->logins, 1);
    }
    json_decref(body);
    return result;
}

enum MHD_Result web_who_am_i(struct web_request *r)
{
    return web_reply_json(r, 200, session_json(r, r->user));
}

enum MHD_Result web_logout(struct web_request *r)
{
    if (r->user) {
        web_audit(r, "logout", NULL, NULL);
        (void)kt_catalog_logout(r->web->params.catalog, r->token);
        web_live_revoke(r->web, NULL, r->token);
    }
    return reply_cookie(r, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT),
                        204, "", 0);
}

/* Is PASSWORD the one of who asks? False: *RESULT says why not. Counted like a login. */
static bool knows_password(struct web_request *r, const char *password, enum MHD_Result *result)
{
    kt_catalog *c = r->web->params.catalog;
    char token[KT_TOKEN_SIZE];
    int retry_s = 0;
    const int ret = kt_catalog_login(c, r->user->username, password, r->address, token, &retry_s);
    if (ret == 0)                           /* it was not for logging in */
        (void)kt_catalog_logout(c, token);
    if (ret == 0 || ret == -ENOKEY)
        return true;
    if (ret == -EBUSY)
        *result = web_problem_retry(r, 429, "too-many", "too many wrong passwords", retry_s > 0 ? retry_s : 1);
    else if (ret == -EACCES)
        *result = web_problem(r, 403, "bad-login", "the old password is wrong");
    else
        *result = web_problem_errno(r, ret);
    return false;
}

static enum MHD_Result replace_password(struct web_request *r, const char *old, const char *new)
{
    kt_catalog *c = r->web->params.catalog;
    char token[KT_TOKEN_SIZE];
    enum MHD_Result result;
    int retry_s = 0;
    if (!knows_password(r, old, &result))
        return result;
    int ret = kt_catalog_user_set_password(c, r->user->username, new);
    if (ret == -ERANGE)
        return web_problem(r, 400, "bad-password", "8 to 256 characters, and not a common one");
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "password", r->user->username, NULL);
    web_live_revoke(r->web, r->user->username, NULL);
    ret = kt_catalog_login(c, r->user->username, new, r->address, token, &retry_s);
    if (ret == -ENOKEY)                     /* logs in again, with a code */
        return reply_cookie(r, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT),
                            204, "", 0);
    if (ret < 0)
        return web_problem_errno(r, ret);
    keep_agent(r, token);
    return reply_cookie(r, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT),
                        204, token, COOKIE_AGE_S);
}

enum MHD_Result web_change_password(struct web_request *r)
{
    static const char *const keys[] = { "old", "new", NULL };
    const char *old, *new;
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:s, s:s}", "old", &old, "new", &new) < 0)
        result = web_problem(r, 400, "bad-request", "old and new are needed");
    else
        result = replace_password(r, old, new);
    json_decref(body);
    return result;
}

/* ------------------------------ one's own sessions ------------------------------ */

enum MHD_Result web_list_own_sessions(struct web_request *r)
{
    kt_cleanup(kt_freep) struct kt_session *list = NULL;
    char here[KT_SESSION_ID_SIZE] = "";
    size_t n = 0;
    int ret = kt_catalog_session_list(r->web->params.catalog, r->user->username, &list, &n);
    if (ret == 0)
        ret = kt_session_id(r->token, here);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, json_pack(
            "{s:s, s:o, s:o, s:b, s:o, s:o}", "id", list[i].id, "created", web_json_time(list[i].created_us),
            "seen", web_json_time(list[i].seen_us), "current", strcmp(list[i].id, here) == 0, "address",
            web_json_text(list[i].address), "agent", web_json_text(list[i].agent)));
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

enum MHD_Result web_end_own_session(struct web_request *r)
{
    const int ret = kt_catalog_session_end(r->web->params.catalog, r->user->username,
                                           r->params.value[0]);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "session-end", r->user->username, NULL);
    web_live_revoke(r->web, r->user->username, NULL);   /* those that may stay come back */
    return web_reply_empty(r, 204);
}

static void settings_key(const struct web_request *r, char key[96])
{
    snprintf(key, 96, "ui.%lld", (long long)r->user->id);
}

enum MHD_Result web_get_settings(struct web_request *r)
{
    char key[96];
    char *value = NULL;
    settings_key(r, key);
    const int ret = kt_catalog_setting_get(r->web->params.catalog, key, &value);
    if (ret < 0 && ret != -ENOENT)
        return web_problem_errno(r, ret);
    json_t *root = value ? json_loads(value, 0, NULL) : NULL;
    free(value);
    return web_reply_json(r, 200, root ? root : json_object());
}

enum MHD_Result web_put_settings(struct web_request *r)
{
    char key[96];
    enum MHD_Result result;
    json_t *body = web_body(r, NULL, &result);
    if (!body)
        return result;
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!text || strlen(text) > SETTINGS_MAX) {
        free(text);
        return web_problem(r, 400, "too-large", "at most 64 KiB");
    }
    settings_key(r, key);
    const int ret = kt_catalog_setting_put(r->web->params.catalog, key, text);
    free(text);
    return ret < 0 ? web_problem_errno(r, ret) : web_reply_empty(r, 204);
}

/* ------------------------------ second factor ------------------------------ */

enum MHD_Result web_begin_totp(struct web_request *r)
{
    char secret[KT_TOTP_TEXT_SIZE], uri[256];
    const int ret = kt_catalog_totp_begin(r->web->params.catalog, r->user->username, secret);
    if (ret == -EEXIST)
        return web_problem(r, 409, "totp-on", "turn it off first, with the password");
    if (ret < 0)
        return web_problem_errno(r, ret);
    snprintf(uri, sizeof(uri), "otpauth://totp/Kentongan?secret=%s&issuer=Kentongan", secret);
    return web_reply_json(r, 200, json_pack("{s:s, s:s}", "secret", secret, "uri", uri));
}

enum MHD_Result web_confirm_totp(struct web_request *r)
{
    static const char *const keys[] = { "code", NULL };
    const char *code = "";
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    int ret = json_unpack(body, "{s:s}", "code", &code) < 0 ? -EINVAL :
              kt_catalog_totp_confirm(r->web->params.catalog, r->user->username, code);
    json_decref(body);
    if (ret == -EACCES)
        return web_problem(r, 400, "bad-code", "the code is wrong");
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "totp-on", r->user->username, NULL);
    return web_reply_empty(r, 204);
}

/* Whoever finds an open session must not be able to weaken the account. */
enum MHD_Result web_drop_own_totp(struct web_request *r)
{
    static const char *const keys[] = { "password", NULL };
    const char *password = "";
    enum MHD_Result result;
    int ret = 0;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:s}", "password", &password) < 0)
        result = web_problem(r, 400, "bad-request", "the password is needed");
    else if (knows_password(r, password, &result)) {
        ret = kt_catalog_totp_remove(r->web->params.catalog, r->user->username);
        if (ret == 0)
            web_audit(r, "totp-remove", r->user->username, NULL);
        result = ret < 0 ? web_problem_errno(r, ret) : web_reply_empty(r, 204);
    }
    json_decref(body);
    return result;
}

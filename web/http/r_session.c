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
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:s}", "username", web_json_text(user->username),
                     "role", kt_role_name(user->role), "timezone", p->timezone, "language",
                     p->language, "time", web_json_time(kt_clock_wall_us()), "version",
                     KT_VERSION);
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
    if (ret == -EACCES)
        return web_problem(r, 401, "bad-login", "wrong name or password");
    if (ret < 0)
        return web_problem_errno(r, ret);
    if (r->token[0])                        /* a new session replaces the old one */
        (void)kt_catalog_logout(r->web->params.catalog, r->token);
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

static enum MHD_Result replace_password(struct web_request *r, const char *old, const char *new)
{
    kt_catalog *c = r->web->params.catalog;
    char token[KT_TOKEN_SIZE];
    int retry_s = 0;
    int ret = kt_catalog_login(c, r->user->username, old, r->address, token, &retry_s);
    if (ret == -ENOKEY)                     /* the password is right: that is what was asked */
        ret = 0;
    if (ret == -EBUSY)
        return web_problem_retry(r, 429, "too-many", "too many wrong passwords", retry_s > 0 ? retry_s : 1);
    if (ret == -EACCES)
        return web_problem(r, 403, "bad-login", "the old password is wrong");
    if (ret < 0)
        return web_problem_errno(r, ret);
    ret = kt_catalog_user_set_password(c, r->user->username, new);
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

/*
 * r_users.c - the people, as an administrator sees them.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "storage/catalog/accounts.h"

static json_t *user_json(const struct kt_user *u)
{
    json_t *cameras = u->cameras ? json_loads(u->cameras, 0, NULL) : NULL;
    return json_pack("{s:o, s:s, s:b, s:o, s:o, s:o, s:b}", "username", web_json_text(u->username),
                     "role", kt_role_name(u->role), "disabled", u->disabled, "cameras",
                     cameras ? cameras : json_null(), "created", web_json_time(u->created_us),
                     "last_login", web_json_time(u->last_login_us), "totp", u->has_totp);
}

enum MHD_Result web_list_users(struct web_request *r)
{
    struct kt_user *list = NULL;
    size_t n = 0;
    const int ret = kt_catalog_user_list(r->web->params.catalog, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, user_json(&list[i]));
    kt_user_list_free(&list, n);
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

static enum MHD_Result reply_user(struct web_request *r, const char *username, unsigned status)
{
    struct kt_user *user = NULL;
    const int ret = kt_catalog_user_get(r->web->params.catalog, username, &user);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *root = user_json(user);
    kt_user_list_free(&user, 1);
    return web_reply_json(r, status, root);
}

static enum MHD_Result user_problem(struct web_request *r, int ret)
{
    if (ret == -ERANGE)
        return web_problem(r, 400, "bad-password", "8 to 256 characters, and not a common one");
    if (ret == -EPERM)
        return web_problem(r, 409, "last-admin", "one administrator must remain");
    return web_problem_errno(r, ret);
}

/* Only administrators make administrators. */
static bool may_give(struct web_request *r, const char *role)
{
    return r->user->role == KT_ROLE_ADMIN || strcmp(role, kt_role_name(KT_ROLE_ADMIN)) != 0;
}

enum MHD_Result web_add_user(struct web_request *r)
{
    static const char *const keys[] = { "username", "password", "role", NULL };
    const char *username, *password, *role_name;
    enum kt_role role;
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    int ret = -EINVAL;
    if (json_unpack(body, "{s:s, s:s, s:s}", "username", &username, "password", &password, "role",
                    &role_name) == 0 && kt_role_parse(role_name, &role) == 0)
        ret = may_give(r, role_name) ?
              kt_catalog_user_add(r->web->params.catalog, username, password, role) : -EACCES;
    if (ret == -EACCES) {
        result = web_problem(r, 403, "forbidden", "only an administrator may make one");
    } else if (ret < 0) {
        result = user_problem(r, ret);
    } else {
        web_audit(r, "user-add", username, json_pack("{s:s}", "role", role_name));
        result = reply_user(r, username, 201);
    }
    json_decref(body);
    return result;
}

/* Could VALUE be KEY's? Asked of all members before the first is changed. */
static bool is_possible(const char *key, const json_t *value)
{
    enum kt_role role;
    if (strcmp(key, "password") == 0)
        return json_is_string(value);
    if (strcmp(key, "role") == 0)
        return json_is_string(value) && kt_role_parse(json_string_value(value), &role) == 0;
    if (strcmp(key, "disabled") == 0)
        return json_is_boolean(value);
    return json_is_null(value) || json_is_array(value);
}

/* One member of the change, which is possible. The order of members is the order of changes. */
static int change_one(struct web_request *r, const char *username, const char *key,
                      const json_t *value)
{
    kt_catalog *c = r->web->params.catalog;
    enum kt_role role;
    if (strcmp(key, "password") == 0)
        return kt_catalog_user_set_password(c, username, json_string_value(value));
    if (strcmp(key, "role") == 0)
        return kt_role_parse(json_string_value(value), &role) == 0 ? kt_catalog_user_set_role(c, username, role) : -EINVAL;
    if (strcmp(key, "disabled") == 0)
        return kt_catalog_user_set_disabled(c, username, json_is_true(value));
    if (json_is_null(value))
        return kt_catalog_user_set_cameras(c, username, NULL);
    char *text = json_dumps(value, JSON_COMPACT);
    const int ret = text ? kt_catalog_user_set_cameras(c, username, text) : -ENOMEM;
    free(text);
    return ret;
}

/* The members of BODY one after another. What was changed, also when a later one fails, is in the
 * audit log; of a password only that it was. */
static int change_all(struct web_request *r, const char *username, json_t *body)
{
    json_t *done = json_object(), *value;
    const char *key;
    int ret = 0;
    json_object_foreach(body, key, value)
        if (!is_possible(key, value))
            ret = -EINVAL;
    json_object_foreach(body, key, value) {
        ret = ret < 0 ? ret : change_one(r, username, key, value);
        if (ret < 0)
            break;
        (void)json_object_set_new(done, key, strcmp(key, "password") == 0 ? json_true() : json_incref(value));
    }
    if (ret == 0 || json_object_size(done) > 0)
        web_audit(r, "user-change", username, json_incref(done));
    json_decref(done);
    return ret;
}

enum MHD_Result web_change_user(struct web_request *r)
{
    static const char *const keys[] = { "password", "role", "disabled", "cameras", NULL };
    const char *username = r->params.value[0];
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    const char *role = json_string_value(json_object_get(body, "role"));
    if (role && !may_give(r, role)) {
        json_decref(body);
        return web_problem(r, 403, "forbidden", "only an administrator may make one");
    }
    const int ret = change_all(r, username, body);
    json_decref(body);
    web_live_revoke(r->web, username, NULL);    /* comes back with the new rights */
    return ret < 0 ? user_problem(r, ret) : reply_user(r, username, 200);
}

enum MHD_Result web_delete_user(struct web_request *r)
{
    const char *username = r->params.value[0];
    const int ret = kt_catalog_user_delete(r->web->params.catalog, username);
    if (ret < 0)
        return user_problem(r, ret);
    web_audit(r, "user-delete", username, NULL);
    web_live_revoke(r->web, username, NULL);
    return web_reply_empty(r, 204);
}

static enum MHD_Result end_sessions(struct web_request *r, const char *username)
{
    const int ret = kt_catalog_logout_all(r->web->params.catalog, username);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "logout-all", username, NULL);
    web_live_revoke(r->web, username, NULL);
    return web_reply_empty(r, 204);
}

enum MHD_Result web_end_user_sessions(struct web_request *r)
{
    return end_sessions(r, r->params.value[0]);
}

enum MHD_Result web_end_own_sessions(struct web_request *r)
{
    return end_sessions(r, r->user->username);
}

enum MHD_Result web_drop_user_totp(struct web_request *r)
{
    const int ret = kt_catalog_totp_remove(r->web->params.catalog, r->params.value[0]);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "totp-remove", r->params.value[0], NULL);
    return web_reply_empty(r, 204);
}

/* ------------------------------ invitations ------------------------------ */

#define INVITATION_DAYS 7

static json_t *invitation_json(const struct kt_invitation *in)
{
    json_t *cameras = in->cameras ? json_loads(in->cameras, 0, NULL) : NULL;
    return json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)in->id, "role",
                     kt_role_name(in->role), "cameras", cameras ? cameras : json_null(), "note",
                     web_json_text(in->note), "created_by", web_json_text(in->created_by), "created",
                     web_json_time(in->created_us), "expires", web_json_time(in->expires_us), "used",
                     web_json_time(in->used_us), "used_by",
                     in->used_by[0] ? web_json_text(in->used_by) : json_null());
}

enum MHD_Result web_list_invitations(struct web_request *r)
{
    struct kt_invitation *list = NULL;
    size_t n = 0;
    const int ret = kt_catalog_invitation_list(r->web->params.catalog, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, invitation_json(&list[i]));
    kt_invitation_list_free(&list, n);
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* A head may not make somebody mightier than a head. */
static int invite(struct web_request *r, const char *role, json_t *cameras, const char *note,
                  int days, char token[KT_TOKEN_SIZE])
{
    struct kt_invitation in = { .id = 0 };
    if (kt_role_parse(role, &in.role) < 0 || days < 1 || days > 60)
        return -EINVAL;
    if (in.role == KT_ROLE_ADMIN && r->user->role != KT_ROLE_ADMIN)
        return -EPERM;
    snprintf(in.note, sizeof(in.note), "%s", note);
    snprintf(in.created_by, sizeof(in.created_by), "%s", r->user->username);
    in.cameras = json_is_array(cameras) ? json_dumps(cameras, JSON_COMPACT) : NULL;
    const int ret = kt_catalog_invite(r->web->params.catalog, &in,
                                      (int64_t)days * 86400 * 1000000, token);
    free(in.cameras);
    return ret;
}

enum MHD_Result web_invite(struct web_request *r)
{
    static const char *const keys[] = { "role", "cameras", "note", "days", NULL };
    const char *role = "", *note = "";
    char token[KT_TOKEN_SIZE];
    json_t *cameras = NULL;
    enum MHD_Result result;
    int days = INVITATION_DAYS, ret = -EINVAL;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:s, s?o, s?s, s?i}", "role", &role, "cameras", &cameras, "note", &note,
                    "days", &days) == 0)
        ret = invite(r, role, cameras, note, days, token);
    if (ret == 0)
        web_audit(r, "invite", note, json_pack("{s:s}", "role", role));
    json_decref(body);
    if (ret < 0)
        return web_problem_errno(r, ret);
    return web_reply_json(r, 201, json_pack("{s:s}", "token", token));
}

enum MHD_Result web_withdraw_invitation(struct web_request *r)
{
    uint64_t id;
    if (!web_parse_uint(r->params.value[0], INT64_MAX, &id))
        return web_problem_errno(r, -ENOENT);
    const int ret = kt_catalog_invitation_withdraw(r->web->params.catalog, (int64_t)id);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "invite-withdraw", r->params.value[0], NULL);
    return web_reply_empty(r, 204);
}

/* Whoever holds the link: what it offers. */
enum MHD_Result web_look_invitation(struct web_request *r)
{
    static const char *const keys[] = { "token", NULL };
    struct kt_invitation *in = NULL;
    const char *token = "";
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    int ret = json_unpack(body, "{s:s}", "token", &token) < 0 ? -EINVAL :
              kt_catalog_invitation(r->web->params.catalog, token, &in);
    json_decref(body);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *root = json_pack("{s:s, s:o, s:o}", "role", kt_role_name(in->role), "note",
                             web_json_text(in->note), "expires", web_json_time(in->expires_us));
    kt_invitation_list_free(&in, 1);
    return web_reply_json(r, 200, root);
}

enum MHD_Result web_accept_invitation(struct web_request *r)
{
    static const char *const keys[] = { "token", "username", "password", NULL };
    const char *token, *username, *password;
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    int ret = -EINVAL;
    if (json_unpack(body, "{s:s, s:s, s:s}", "token", &token, "username", &username, "password",
                    &password) == 0)
        ret = kt_catalog_invitation_use(r->web->params.catalog, token, username, password);
    if (ret == 0)
        web_audit(r, "invitation-used", username, NULL);
    json_decref(body);
    return ret < 0 ? user_problem(r, ret) : web_reply_empty(r, 204);
}

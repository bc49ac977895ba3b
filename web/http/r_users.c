/*
 * r_users.c - the people, as an administrator sees them.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

static json_t *user_json(const struct kt_user *u)
{
    json_t *cameras = u->cameras ? json_loads(u->cameras, 0, NULL) : NULL;
    return json_pack("{s:o, s:s, s:b, s:o, s:o, s:o}", "username", web_json_text(u->username),
                     "role", kt_role_name(u->role), "disabled", u->disabled, "cameras",
                     cameras ? cameras : json_null(), "created", web_json_time(u->created_us),
                     "last_login", web_json_time(u->last_login_us));
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
    struct kt_user *list = NULL;
    size_t n = 0;
    json_t *root = NULL;
    const int ret = kt_catalog_user_list(r->web->params.catalog, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    for (size_t i = 0; i < n && !root; i++)
        if (strcmp(list[i].username, username) == 0)
            root = user_json(&list[i]);
    kt_user_list_free(&list, n);
    return root ? web_reply_json(r, status, root) : web_problem_errno(r, -ENOENT);
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
        ret = kt_catalog_user_add(r->web->params.catalog, username, password, role);
    if (ret == -ERANGE) {
        result = web_problem(r, 400, "bad-password", "8 to 256 characters, and not a common one");
    } else if (ret < 0) {
        result = web_problem_errno(r, ret);
    } else {
        web_audit(r, "user-add", username, json_pack("{s:s}", "role", role_name));
        result = reply_user(r, username, 201);
    }
    json_decref(body);
    return result;
}

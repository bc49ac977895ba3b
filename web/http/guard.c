/*
 * guard.c - who asks, and may they? Everything that decides about access is here,
 * in the table of routes.c and in rights.c.
 */
#include "web/http/web_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/accounts.h"

static bool is_loopback_text(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static void format_address(struct web_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *addr = info ? info->client_addr : NULL;
    strcpy(r->address, "?");
    if (!addr)
        return;
    if (addr->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)addr)->sin_addr, r->address,
                        sizeof(r->address));
        return;
    }
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(in6))
        (void)inet_ntop(AF_INET, in6->s6_addr + 12, r->address, sizeof(r->address));
    else
        (void)inet_ntop(AF_INET6, in6, r->address, sizeof(r->address));
}

struct last_header {
    const char *name, *value;
};

static enum MHD_Result keep_last(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct last_header *h = arg;
    if (strcasecmp(key, h->name) == 0)
        h->value = value ? value : "";
    return MHD_YES;
}

/*
 * What the proxy itself wrote: some append to the list that the client sent, some add a line of their
 * own below the client's. Either way it is the last part of the last line. NULL: there is none.
 */
static const char *proxy_says(struct web_request *r, const char *name)
{
    struct last_header h = { name, NULL };
    (void)MHD_get_connection_values(r->conn, MHD_HEADER_KIND, keep_last, &h);
    const char *comma = h.value ? strrchr(h.value, ',') : NULL;
    return comma ? comma + 1 + strspn(comma + 1, " \t") : h.value;
}

/* A reverse proxy on this machine says who is behind it; nobody else is believed. */
static void believe_proxy(struct web_request *r)
{
    uint8_t binary[16];
    r->secure = r->web->tls;
    if (!is_loopback_text(r->address))
        return;
    const char *proto = proxy_says(r, "X-Forwarded-Proto");
    r->secure = r->secure || (proto && strcmp(proto, "https") == 0);
    const char *address = proxy_says(r, "X-Forwarded-For");
    if (!address)
        return;
    const bool ok = strlen(address) < sizeof(r->address) &&
                    (inet_pton(AF_INET, address, binary) == 1 || inet_pton(AF_INET6, address, binary) == 1);
    strcpy(r->address, ok ? address : "?");     /* somebody behind a proxy is not this machine */
}

void web_identify(struct web_request *r)
{
    format_address(r);
    believe_proxy(r);
    if (!web_parse_cookie(web_header(r, "Cookie"), WEB_COOKIE, r->token, sizeof(r->token)))
        return;
    r->revokes = atomic_load(&r->web->revokes);
    if (kt_catalog_session_user(r->web->params.catalog, r->token, &r->user) < 0 || !r->user) {
        r->user = NULL;
        return;
    }
    if (!r->user->cameras)
        return;
    r->cameras = json_loads(r->user->cameras, 0, NULL);
    if (!json_is_array(r->cameras)) {       /* unreadable rights are none */
        json_decref(r->cameras);
        r->cameras = json_array();
    }
}

/* A page of another site must not be able to make the browser act. */
static bool is_cross_site(struct web_request *r)
{
    const char *site = web_header(r, "Sec-Fetch-Site");
    const char *origin = web_header(r, "Origin");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return true;
    return origin && !web_same_origin(origin, web_header(r, "Host"), r->secure);
}

static bool is_safe_method(const char *method)
{
    return strcmp(method, "GET") == 0;
}

/* JSON, which a form of another site cannot send; but for the form of our own page. */
static bool has_right_type(struct web_request *r)
{
    const char *type = web_header(r, "Content-Type");
    if (type && r->route->scope == SCOPE_TOKEN)
        return strcasecmp(type, "application/x-www-form-urlencoded") == 0;
    return type && strncasecmp(type, "application/json", 16) == 0 &&
           (type[16] == '\0' || type[16] == ';' || type[16] == ' ');
}

static bool has_body(struct web_request *r)
{
    const char *length = web_header(r, "Content-Length");
    return web_header(r, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

/* The route of method and path. A path without this method: r->allow names those it has. */
static const struct web_route *find_route(struct web_request *r)
{
    size_t n = 0;
    for (size_t i = 0; i < web_n_routes; i++) {
        const struct web_route *route = &web_routes[i];
        if (!web_parse_path(route->path, r->path, &r->params))
            continue;
        if (strcmp(route->method, r->method) == 0)
            return route;
        n += (size_t)snprintf(r->allow + n, sizeof(r->allow) - n, "%s%s%s", n ? ", " : "", route->method,
                              is_safe_method(route->method) ? ", HEAD" : "");
        assert(n < sizeof(r->allow));
    }
    return NULL;
}

static bool refuse(enum MHD_Result *result, enum MHD_Result answer)
{
    *result = answer;
    return false;
}

static bool no_such(struct web_request *r, enum MHD_Result *result, const char *text)
{
    return refuse(result, web_problem(r, 404, "not-found", text));
}

static bool check_incident(struct web_request *r, int64_t id)
{
    return kt_catalog_incident_get(r->web->params.catalog, id, &r->incident) == 0 &&
           web_may_see_incident(r, r->incident);
}

/* A head looks after everybody but administrators. Who does not exist is the handler's. */
static bool may_change_user(struct web_request *r, const char *username)
{
    struct kt_user *user = NULL;
    if (r->user->role == KT_ROLE_ADMIN)
        return true;
    const int ret = kt_catalog_user_get(r->web->params.catalog, username, &user);
    const bool yes = ret == -ENOENT || (ret == 0 && user->role != KT_ROLE_ADMIN);
    kt_user_list_free(&user, 1);
    return yes;
}

static bool check_export(struct web_request *r, int64_t id)
{
    return kt_catalog_export_get(r->web->params.catalog, id, &r->export) == 0 &&
           check_incident(r, r->export->incident);
}

/* A link is as good as the package that it gives. */
static bool check_share(struct web_request *r, int64_t id)
{
    kt_cleanup(kt_freep) struct kt_share *list = NULL;
    size_t n = 0, i = 0;
    if (kt_catalog_share_list(r->web->params.catalog, 0, &list, &n) < 0)
        return false;
    while (i < n && list[i].id != id)
        i++;
    return i < n && check_export(r, list[i].export_id);
}

static bool check_hold(struct web_request *r, int64_t id)
{
    struct kt_hold hold;
    return kt_catalog_hold_get(r->web->params.catalog, id, &hold) == 0 && web_may_see(r, hold.camera);
}

/* The camera, event, … that the path names, and whether it is for this user. What is
 * not is answered exactly like what does not exist. */
static bool check_scope(struct web_request *r, enum MHD_Result *result)
{
    kt_catalog *c = r->web->params.catalog;
    const char *name = r->params.value[0];
    const enum web_scope scope = r->route->scope;
    uint64_t id = 0;
    uint8_t token[(KT_TOKEN_SIZE - 1) / 2];
    if (scope == SCOPE_TOKEN && kt_unhex(token, sizeof(token), name) < 0)
        return no_such(r, result, "no such link");
    if (scope == SCOPE_CAMERA && (!kt_id_valid(name) || !web_may_see(r, name) ||
                                  !web_camera_known(r->web, name)))
        return no_such(r, result, "no such camera");
    if (scope == SCOPE_USER && !may_change_user(r, name))
        return refuse(result, web_problem(r, 403, "forbidden", "only an administrator may change one"));
    if (scope != SCOPE_EVENT && scope != SCOPE_INCIDENT && scope != SCOPE_EXPORT && scope != SCOPE_SHARE &&
        scope != SCOPE_HOLD)
        return true;
    if (!web_parse_uint(name, INT64_MAX, &id))
        return no_such(r, result, "not a number");
    if (scope == SCOPE_EVENT && (kt_catalog_event_get(c, (int64_t)id, &r->event) < 0 ||
                                 !web_may_see(r, r->event->camera)))
        return no_such(r, result, "no such event");
    if (scope == SCOPE_EVENT && web_too_old(r, r->event->start_us, result))
        return false;
    if (scope == SCOPE_INCIDENT && !check_incident(r, (int64_t)id))
        return no_such(r, result, "no such incident");
    if (scope == SCOPE_EXPORT && !check_export(r, (int64_t)id))
        return no_such(r, result, "no such package");
    if (scope == SCOPE_SHARE && !check_share(r, (int64_t)id))
        return no_such(r, result, "no such link");
    if (scope == SCOPE_HOLD && !check_hold(r, (int64_t)id))
        return no_such(r, result, "nothing is held under that number");
    return true;
}

bool web_admit(struct web_request *r, enum MHD_Result *result)
{
    r->route = find_route(r);
    if (!r->route && strncmp(r->path, "/api/", 5) != 0 && is_safe_method(r->method))
        return true;                        /* a file of the app: nothing secret in it */
    if (!r->route && r->allow[0])
        return refuse(result, web_problem(r, 405, "bad-method", "not with this method"));
    if (!r->route)
        return refuse(result, web_problem(r, 404, "not-found", "no such address"));
    if (!is_safe_method(r->method) && is_cross_site(r))
        return refuse(result, web_problem(r, 403, "cross-site", "asked for by another site"));
    if (!(r->route->roles & ANYBODY)) {
        if (!r->user)
            return refuse(result, web_problem(r, 401, "unauthorized", "log in first"));
        if (!(r->route->roles & ROLE_BIT(r->user->role)))
            return refuse(result, web_problem(r, 403, "forbidden", "not with your role"));
    }
    if (has_body(r) && (is_safe_method(r->method) || !has_right_type(r)))
        return refuse(result, web_problem(r, 415, "bad-type", "send application/json"));
    return check_scope(r, result);
}

void web_audit(struct web_request *r, const char *action, const char *object, json_t *detail)
{
    char *text = detail ? json_dumps(detail, JSON_COMPACT) : NULL;
    json_decref(detail);
    (void)kt_catalog_audit(r->web->params.catalog, r->user ? r->user->username : NULL, r->address,
                           action, object, text);
    free(text);
}

#define LOOK_US (600 * KT_SECOND_US)

/* With the lock held: was it written already? Else it counts as written now. */
static bool was_seen(struct kt_web *web, const char *who, const char *action, const char *camera)
{
    const int64_t now_us = kt_clock_mono_us();
    for (size_t i = 0; i < KT_ARRAY_SIZE(web->seen); i++) {
        const struct web_seen *s = &web->seen[i];
        if (now_us < s->until_us && strcmp(s->who, who) == 0 && strcmp(s->camera, camera) == 0 &&
            strcmp(s->action, action) == 0)
            return true;
    }
    struct web_seen *s = &web->seen[web->seen_next++ % KT_ARRAY_SIZE(web->seen)];
    snprintf(s->who, sizeof(s->who), "%s", who);
    snprintf(s->camera, sizeof(s->camera), "%s", camera);
    snprintf(s->action, sizeof(s->action), "%s", action);
    s->until_us = now_us + LOOK_US;
    return false;
}

void web_audit_look(struct kt_web *web, const char *who, const char *address, const char *action,
                    const char *camera, const char *detail)
{
    pthread_mutex_lock(&web->lock);
    const bool seen = was_seen(web, who, action, camera);
    pthread_mutex_unlock(&web->lock);
    if (!seen)
        (void)kt_catalog_audit(web->params.catalog, who, address, action, camera, detail);
}

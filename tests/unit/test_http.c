#include "web/http/web.h"

#include <errno.h>
#include <ftw.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "storage/catalog/accounts.h"
#include "storage/catalog/activity.h"
#include "storage/catalog/events.h"
#include "storage/catalog/people.h"
#include "tests/unit/http_client.h"
#include "tests/unit/run_suite.h"
#include "web/http/web_private.h"

#define PASSWORD "burung gagak hitam"

static char dir[64];
static kt_catalog *catalog;
static kt_hub *hub;
static kt_ring *ring;
static kt_vault *vault;
static kt_web *web;
static int port;
static char admin[KT_TOKEN_SIZE], head[KT_TOKEN_SIZE], guard[KT_TOKEN_SIZE], police[KT_TOKEN_SIZE];
static struct http_reply reply;
static bool recent;     /* events and spans of the last hour, where volunteers may look; else of 2026-01-01 */

/* ------------------------------ a site with two cameras ------------------------------ */

static struct kt_camera_config cameras[4];
static size_t n_cameras;

static int site_cameras(void *user, struct kt_camera_state **out, size_t *n)
{
    struct kt_camera_state *list = calloc(n_cameras + 1, sizeof(*list));
    for (size_t i = 0; i < n_cameras; i++) {
        list[i].config = cameras[i];
        strcpy(list[i].state, "recording");
        list[i].recording = true;
        strcpy(list[i].codec, "h264");
        list[i].last_frame_us = 1700000000000000;
        list[i].analysis_load = 2;
        list[i].analysis_lag_s = 3.5;
        list[i].analysis_dropped = 77;
    }
    *out = list;
    *n = n_cameras;
    return 0;
}

static int site_snapshot(void *user, const char *camera, uint8_t **out, size_t *n, int64_t *wall_us)
{
    if (strcmp(camera, "gerbang") != 0)
        return -EAGAIN;
    *out = (uint8_t *)strdup("\xff\xd8jpeg");
    *n = 6;
    *wall_us = 1700000000123000;
    return 0;
}

static int site_put(void *user, const struct kt_camera_config *cam, bool create, struct kt_error *err)
{
    for (size_t i = 0; i < n_cameras; i++) {
        if (strcmp(cameras[i].id, cam->id) != 0)
            continue;
        if (create)
            return -EEXIST;
        if (cameras[i].provisioned)
            return -EPERM;
        cameras[i] = *cam;
        return 0;
    }
    cameras[n_cameras++] = *cam;
    return 0;
}

static int site_delete(void *user, const char *id, struct kt_error *err)
{
    return -EPERM;
}

static void add_camera(const char *id, const char *url, bool provisioned)
{
    struct kt_camera_config *c = &cameras[n_cameras++];
    *c = (struct kt_camera_config){ .analysis = KT_ANALYSIS_ADAPTIVE, .enabled = true,
                                    .provisioned = provisioned };
    strcpy(c->id, id);
    strcpy(c->name, id);
    strcpy(c->main_url, url);
}

/* ------------------------------ requests ------------------------------ */

static int ask(const char *method, const char *path, const char *cookie, const char *body)
{
    http_free(&reply);
    reply = http_do(port, method, path, cookie, NULL, body);
    return reply.status;
}

static int get(const char *path, const char *cookie)
{
    return ask("GET", path, cookie, NULL);
}

static bool has(const char *part)
{
    return reply.body && strstr(reply.body, part);
}

static const char *header(const char *name)
{
    static char value[1024];
    return http_header(&reply, name, value, sizeof(value)) ? value : "";
}

/* Every error is a problem document with a stable code. */
static void expect_problem(int status, const char *code)
{
    ck_assert_msg(reply.status == status, "%d instead of %d: %s", reply.status, status, reply.body);
    ck_assert_str_eq(header("Content-Type"), "application/problem+json");
    json_t *root = json_loads(reply.body, 0, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "status")), status);
    ck_assert_str_eq(json_string_value(json_object_get(root, "code")), code);
    json_decref(root);
}

static void login(const char *username, char token[KT_TOKEN_SIZE])
{
    int retry_s;
    ck_assert_int_eq(kt_catalog_login(catalog, username, PASSWORD, "test", token, &retry_s), 0);
}

/* ------------------------------ fixture ------------------------------ */

static void start_web(void)
{
    static struct kt_web_ring rings[1];
    rings[0] = (struct kt_web_ring){ .name = "video", .ring = ring,
                                     .why = ring ? NULL : "NOT RECORDING: wrong disk" };
    const struct kt_web_params params = {
        .listen = "127.0.0.1:0", .timezone = "Asia/Jakarta", .language = "id", .catalog = catalog,
        .hub = hub, .vault = vault, .rings = rings, .n_rings = 1,
        .site = { .cameras = site_cameras, .snapshot = site_snapshot, .camera_put = site_put,
                  .camera_delete = site_delete },
    };
    struct kt_error err = { .text = "" };
    ck_assert_msg(kt_web_start(&web, &params, &err) == 0, "%s", err.text);
    port = kt_web_port(web);
}

static void setup(void)
{
    recent = false;
    char path[96];
    struct kt_error err = { .text = "" };
    strcpy(dir, "/tmp/kt-http-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
    ck_assert_msg(kt_catalog_open(&catalog, path, &err) == 0, "%s", err.text);
    snprintf(path, sizeof(path), "%s/vault", dir);
    const struct kt_vault_params store = { .path = path, .max_bytes = 1 << 20, .catalog = catalog };
    ck_assert_msg(kt_vault_open(&vault, &store, &err) == 0, "%s", err.text);
    ck_assert_int_eq(kt_hub_create(&hub, NULL), 0);
    ck_assert_int_eq(kt_catalog_user_add(catalog, "admin", PASSWORD, KT_ROLE_ADMIN), 0);
    login("admin", admin);
    n_cameras = 0;
    add_camera("gerbang", "rtsp://u:rahasia@10.0.0.9/main", true);
    add_camera("pos", "rtsp://u:rahasia@10.0.0.10/main", false);
    start_web();
}

static void setup_people(void)
{
    setup();
    ck_assert_int_eq(kt_catalog_user_add(catalog, "head", PASSWORD, KT_ROLE_HEAD), 0);
    ck_assert_int_eq(kt_catalog_user_add(catalog, "guard", PASSWORD, KT_ROLE_VOLUNTEER), 0);
    ck_assert_int_eq(kt_catalog_user_add(catalog, "police", PASSWORD, KT_ROLE_POLICE), 0);
    login("head", head);
    login("guard", guard);
    login("police", police);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void teardown(void)
{
    http_free(&reply);
    kt_web_stop(&web);
    kt_hub_destroy(&hub);
    if (ring)
        kt_ring_close(&ring);
    kt_vault_close(&vault);
    kt_catalog_close(&catalog);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ------------------------------ sessions ------------------------------ */

START_TEST(login_gives_a_cookie_that_scripts_cannot_read)
{
    ck_assert_int_eq(ask("POST", "/api/v1/session", NULL,
                         "{\"username\":\"admin\",\"password\":\"" PASSWORD "\"}"), 200);
    ck_assert(has("\"role\":\"admin\"") && has("\"timezone\":\"Asia/Jakarta\""));
    char token[KT_TOKEN_SIZE] = "";
    ck_assert_int_eq(sscanf(header("Set-Cookie"), "kentongan=%64[0-9a-f]", token), 1);
    ck_assert_ptr_nonnull(strstr(header("Set-Cookie"), "HttpOnly"));
    ck_assert_ptr_nonnull(strstr(header("Set-Cookie"), "SameSite=Strict"));
    ck_assert_ptr_null(strstr(header("Set-Cookie"), "Secure"));
    ck_assert_int_eq(get("/api/v1/session", token), 200);
    ck_assert_int_eq(ask("DELETE", "/api/v1/session", token, NULL), 204);
    ck_assert_int_eq(get("/api/v1/session", token), 401);
    expect_problem(401, "unauthorized");
}
END_TEST

START_TEST(behind_a_proxy_with_tls_the_cookie_is_secure)
{
    reply = http_do(port, "POST", "/api/v1/session", NULL, "X-Forwarded-Proto: https\r\n"
                    "X-Forwarded-For: 192.0.2.7\r\nOrigin: https://pos:8080\r\n",
                    "{\"username\":\"admin\",\"password\":\"" PASSWORD "\"}");
    ck_assert_int_eq(reply.status, 200);
    ck_assert_ptr_nonnull(strstr(header("Set-Cookie"), "; Secure"));
    ck_assert_ptr_nonnull(strstr(header("Strict-Transport-Security"), "max-age"));
}
END_TEST

START_TEST(wrong_passwords_are_refused_and_then_throttled)
{
    bool throttled = false;
    ck_assert_int_eq(ask("POST", "/api/v1/session", NULL,
                         "{\"username\":\"admin\",\"password\":\"wrong\"}"), 401);
    expect_problem(401, "bad-login");
    for (int i = 0; i < 30 && !throttled; i++)
        throttled = ask("POST", "/api/v1/session", NULL,
                        "{\"username\":\"nobody\",\"password\":\"wrong\"}") == 429;
    ck_assert(throttled);
    expect_problem(429, "too-many");
    ck_assert_int_gt(atoi(header("Retry-After")), 0);
}
END_TEST

static const char *const bad_logins[] = {
    "", "{", "[]", "null", "\"x\"", "{}", "{\"username\":\"admin\"}",
    "{\"username\":1,\"password\":\"x\"}", "{\"username\":\"\",\"password\":\"x\"}",
    "{\"username\":\"admin\",\"password\":\"x\",\"extra\":1}",
    "{\"username\":\"admin\",\"username\":\"admin\",\"password\":\"x\"}",
    "{\"username\":\"admin\",\"password\":\"\xff\xfe\"}",
    "{\"username\":\"a\\u0000b\",\"password\":\"x\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"username\":\"admin\",\"password\":{\"$ne\":null}}",
};

START_TEST(malformed_json_is_a_bad_request)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(bad_logins); i++) {
        ask("POST", "/api/v1/session", NULL, bad_logins[i]);
        expect_problem(400, "bad-request");
    }
}
END_TEST

/* ------------------------------ the request itself ------------------------------ */

static const struct {
    const char *text;
    int status;
} requests[] = {
    { "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400 },
    { "GET /api/v1/session HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nCookie: c=d\r\n\r\n", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n", 413 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\n{}", 415 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=", 415 },
    { "GET /api/v1/cameras%00/x HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "GET /api/v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
    { "PUT /api/v1/session HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
    { "BREW /api/v1/session HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
    { "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
    { "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
    { "GET /.%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
    { "GET //etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404 },
    { "GET /..\\..\\etc\\passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
    { "HEAD /api/v1/openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n", 200 },
    { "GET http://other/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
};

START_TEST(what_could_be_read_two_ways_is_not_read)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(requests); i++) {
        http_free(&reply);
        reply = http_raw(port, requests[i].text, strlen(requests[i].text));
        ck_assert_msg(reply.status == requests[i].status, "%s: %d", requests[i].text, reply.status);
        if (reply.status >= 400)
            ck_assert_str_eq(header("Content-Type"), "application/problem+json");
    }
}
END_TEST

START_TEST(every_answer_carries_the_protective_headers)
{
    static const char *const path[] = { "/", "/api/v1/session", "/healthz", "/nothing" };
    for (size_t i = 0; i < KT_ARRAY_SIZE(path); i++) {
        (void)get(path[i], NULL);
        ck_assert_str_eq(header("X-Content-Type-Options"), "nosniff");
        ck_assert_str_eq(header("X-Frame-Options"), "DENY");
        ck_assert_str_eq(header("Referrer-Policy"), "no-referrer");
        ck_assert_ptr_nonnull(strstr(header("Content-Security-Policy"), "frame-ancestors 'none'"));
        ck_assert_ptr_null(strstr(header("Content-Security-Policy"), "script-src"));
    }
}
END_TEST

static const char *const foreign[] = {
    "Origin: http://evil.example\r\n", "Origin: null\r\n", "Origin: https://pos:8080\r\n",
    "Origin: http://pos\r\n", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n",
    "Origin: http://pos:8080.evil.example\r\n",
};

START_TEST(another_site_cannot_act_for_the_visitor)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(foreign); i++) {
        http_free(&reply);
        reply = http_do(port, "PUT", "/api/v1/session/settings", admin, foreign[i], "{\"a\":1}");
        expect_problem(403, "cross-site");
        http_free(&reply);
        char upgrade[512];
        snprintf(upgrade, sizeof(upgrade), "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s", foreign[i]);
        if (!strstr(foreign[i], "Origin"))
            continue;
        reply = http_do(port, "GET", "/api/v1/live", admin, upgrade, NULL);
        expect_problem(403, "cross-site");
    }
}
END_TEST

START_TEST(the_own_site_can)
{
    reply = http_do(port, "PUT", "/api/v1/session/settings", admin,
                    "Origin: http://pos:8080\r\nSec-Fetch-Site: same-origin\r\n", "{\"a\":1}");
    ck_assert_int_eq(reply.status, 204);
    ck_assert_int_eq(get("/api/v1/session/settings", admin), 200);
    ck_assert_str_eq(reply.body, "{\"a\":1}");
}
END_TEST

/* ------------------------------ who may ------------------------------ */

/* A path that exists for each route. */
static void fill_path(const char *pattern, int64_t event, char out[256])
{
    out[0] = '\0';
    for (const char *p = pattern; *p;) {
        if (*p != '{') {
            strncat(out, p++, 1);
            continue;
        }
        char id[32];
        snprintf(id, sizeof(id), "%lld", (long long)event);
        strcat(out, strncmp(p, "{id}", 4) == 0 ? "pos" : strncmp(p, "{username}", 10) == 0 ? "nobody" :
               strncmp(p, "{hash}", 6) == 0 || strncmp(p, "{token}", 7) == 0 ?
               "0000000000000000000000000000000000000000000000000000000000000000" : id);
        p = strchr(p, '}') + 1;
    }
    char from[KT_RFC3339_SIZE], to[KT_RFC3339_SIZE];
    const int64_t to_us = recent ? kt_clock_wall_us() : 1767229200000000;
    kt_rfc3339_format(from, to_us - 3600 * KT_SECOND_US);
    kt_rfc3339_format(to, to_us);
    sprintf(out + strlen(out), "?from=%s&to=%s&at=%s&first=1&last=1", from, to, to);
}

static int64_t add_event(const char *camera)
{
    struct kt_event ev = { .start_us = 1767225600000000, .end_us = 1767225601000000, .score = 0.5 };
    if (recent) {
        ev.start_us = kt_clock_wall_us() - 3600 * KT_SECOND_US;
        ev.end_us = ev.start_us + KT_SECOND_US;
    }
    strcpy(ev.camera, camera);
    strcpy(ev.type, "motion");
    ck_assert_int_eq(kt_catalog_event_put(catalog, &ev), 0);
    return ev.id;
}

START_TEST(each_route_has_a_rule_and_keeps_it)
{
    const struct {
        const char *token;
        unsigned bit;
    } who[] = { { NULL, 0 }, { guard, VOLUNTEER }, { police, POLICE }, { head, HEAD },
                { admin, ADMIN }, { "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 0 } };
    recent = true;
    const int64_t event = add_event("pos");
    char path[256];
    for (size_t i = 0; i < web_n_routes; i++) {
        const struct web_route *route = &web_routes[i];
        ck_assert_msg(route->roles != 0 && route->scope != 0, "%s has no rule", route->path);
        if (strstr(route->path, "{id}"))
            ck_assert_msg(route->scope == SCOPE_CAMERA, "%s does not look at the camera", route->path);
        if (strstr(route->path, "{incident}"))
            ck_assert_msg(route->scope == SCOPE_INCIDENT, "%s does not look at the incident", route->path);
        if (strstr(route->path, "{export}"))
            ck_assert_msg(route->scope == SCOPE_EXPORT, "%s does not look at the package", route->path);
        if (strstr(route->path, "{share}"))
            ck_assert_msg(route->scope == SCOPE_SHARE, "%s does not look at the link", route->path);
        if (strstr(route->path, "{hold}"))
            ck_assert_msg(route->scope == SCOPE_HOLD, "%s does not look at the camera", route->path);
        if (strstr(route->path, "{token}"))
            ck_assert_msg(route->scope == SCOPE_TOKEN, "%s does not look at the token", route->path);
        if (strstr(route->path, "{event}"))
            ck_assert_msg(route->scope == SCOPE_EVENT, "%s does not look at the event", route->path);
        if (strcmp(route->path, "/metrics") == 0 || route->handle == web_logout)
            continue;
        fill_path(route->path, event, path);
        /* That one would log out everybody who asks. */
        const size_t n_who = route->handle == web_end_own_sessions ? 1 : KT_ARRAY_SIZE(who);
        for (size_t w = 0; w < n_who; w++) {
            const int status = ask(route->method, path, who[w].token,
                                   strcmp(route->method, "GET") == 0 ? NULL : "");
            const bool open = route->roles & ANYBODY;
            const bool may = open || (route->roles & who[w].bit);
            const bool refused = !may && status == (who[w].bit ? 403 : 401);
            const bool let_in = may && (open || (status != 401 && status != 403) || has("provisioned"));
            ck_assert_msg(refused || let_in, "%s %s as %zu: %d %s", route->method, path, w, status,
                          reply.body ? reply.body : "");
        }
    }
}
END_TEST

static bool is_route(const char *method, const char *path)
{
    for (size_t i = 0; i < web_n_routes; i++)
        if (strcmp(web_routes[i].path, path) == 0 && strcasecmp(web_routes[i].method, method) == 0)
            return true;
    return false;
}

START_TEST(openapi_and_the_table_of_routes_say_the_same)
{
    FILE *f = fopen(KT_SOURCE_ROOT "/docs/openapi.yaml", "r");
    char line[512], path[256] = "", name[200], method[16];
    bool documented[256] = { false }, in_paths = false;
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_lt(web_n_routes, KT_ARRAY_SIZE(documented));
    while (fgets(line, sizeof(line), f)) {
        if (line[0] != ' ')
            in_paths = strncmp(line, "paths:", 6) == 0;
        else if (in_paths && sscanf(line, "  /%199[^: ]:", name) == 1 && line[2] == '/')
            snprintf(path, sizeof(path), "/api/v1/%s", name);
        else if (in_paths && strncmp(line, "    ", 4) == 0 && sscanf(line + 4, "%15[a-z]:", method) == 1 &&
                 strstr("get post put patch delete", method)) {
            ck_assert_msg(is_route(method, path), "%s %s is documented only", method, path);
            for (size_t i = 0; i < web_n_routes; i++)
                documented[i] |= strcmp(web_routes[i].path, path) == 0 &&
                                 strcasecmp(web_routes[i].method, method) == 0;
        }
    }
    fclose(f);
    for (size_t i = 0; i < web_n_routes; i++)
        if (strncmp(web_routes[i].path, "/api/", 5) == 0)
            ck_assert_msg(documented[i], "%s %s is not documented", web_routes[i].method, web_routes[i].path);
}
END_TEST

static void limit_cameras(const char *username, const char *json)
{
    char path[96], body[96];
    snprintf(path, sizeof(path), "/api/v1/users/%s", username);
    snprintf(body, sizeof(body), "{\"cameras\":%s}", json);
    ck_assert_int_eq(ask("PATCH", path, admin, body), 200);
}

START_TEST(a_camera_that_is_not_ones_own_does_not_exist)
{
    recent = true;
    const int64_t mine = add_event("pos"), other = add_event("gerbang");
    char path[256];
    limit_cameras("guard", "[\"pos\"]");
    for (size_t i = 0; i < web_n_routes; i++) {
        const struct web_route *route = &web_routes[i];
        if (!(route->roles & VOLUNTEER) || (route->scope != SCOPE_CAMERA && route->scope != SCOPE_EVENT))
            continue;
        fill_path(route->path, other, path);
        char *id = strstr(path, "/pos");
        if (id) {
            char rest[256];
            strcpy(rest, id + 4);
            snprintf(id, sizeof(path) - (size_t)(id - path), "/gerbang%.200s", rest);
        }
        const char *body = strcmp(route->method, "GET") == 0 ? NULL : "{\"seen\":true}";
        ck_assert_msg(ask(route->method, path, guard, body) == 404, "%s %s: %d", route->method, path,
                      reply.status);
        expect_problem(404, "not-found");
    }
    ck_assert_int_eq(get("/api/v1/cameras", guard), 200);
    ck_assert(has("\"pos\"") && !has("gerbang"));
    ck_assert_int_eq(get("/api/v1/events", guard), 200);
    ck_assert(has("\"pos\"") && !has("gerbang"));
    ck_assert_int_eq(get("/api/v1/events?camera=gerbang", guard), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    const char *timeline = "/api/v1/timeline?camera=gerbang,pos&from=2026-01-01T00:00:00Z"
                           "&to=2026-01-02T00:00:00Z";
    ck_assert_int_eq(get(timeline, guard), 200);
    ck_assert(has("\"pos\"") && !has("gerbang"));
    snprintf(path, sizeof(path), "{\"ids\":[%lld,%lld],\"seen\":true}", (long long)mine, (long long)other);
    ck_assert_int_eq(ask("POST", "/api/v1/events/seen", guard, path), 204);
    ck_assert_int_eq(get("/api/v1/events?seen=true", admin), 200);
    ck_assert(has("\"pos\"") && !has("gerbang"));
}
END_TEST

START_TEST(no_cameras_is_not_all_cameras)
{
    add_event("pos");
    limit_cameras("guard", "[]");
    ck_assert_int_eq(get("/api/v1/cameras", guard), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    ck_assert_int_eq(get("/api/v1/events", guard), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    ck_assert_int_eq(get("/api/v1/timeline?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", guard), 200);
    ck_assert(has("\"cameras\":[]"));
}
END_TEST

/* ------------------------------ cameras ------------------------------ */

START_TEST(camera_passwords_never_come_out)
{
    ck_assert_int_eq(get("/api/v1/cameras", admin), 200);
    ck_assert(has("rtsp://u:***@10.0.0.9/main") && !has("rahasia"));
    ck_assert(has("\"recording\":true") && has("\"state\":\"recording\""));
    ck_assert_int_eq(get("/api/v1/cameras/pos", admin), 200);
    ck_assert(!has("rahasia"));
    ck_assert_int_eq(get("/api/v1/cameras", head), 200);
    ck_assert(!has("10.0.0.9"));
    get("/api/v1/cameras/tidak-ada", admin);
    expect_problem(404, "not-found");
}
END_TEST

START_TEST(camera_is_changed_without_knowing_its_password)
{
    ck_assert_int_eq(ask("PATCH", "/api/v1/cameras/pos", admin,
                         "{\"name\":\"Pos <b>\\\"Kamling\\\"\",\"main\":\"rtsp://u:***@10.0.0.10/main\"}"), 200);
    ck_assert(has("Pos <b>\\\"Kamling\\\""));
    ck_assert_str_eq(cameras[1].main_url, "rtsp://u:rahasia@10.0.0.10/main");
    ask("PATCH", "/api/v1/cameras/pos", admin, "{\"main\":\"rtsp://u:***@evil.example/main\"}");
    expect_problem(400, "bad-request");
    ck_assert_str_eq(cameras[1].main_url, "rtsp://u:rahasia@10.0.0.10/main");
    ask("PATCH", "/api/v1/cameras/gerbang", admin, "{\"name\":\"x\"}");
    expect_problem(403, "provisioned");
    ask("PATCH", "/api/v1/cameras/pos", admin, "{\"nama\":\"x\"}");
    expect_problem(400, "bad-request");
    ask("PATCH", "/api/v1/cameras/pos", admin, "{\"name\":\"a\\nb\"}");
    expect_problem(400, "bad-request");
    ask("PATCH", "/api/v1/cameras/pos", admin, "{\"analysis\":\"sometimes\"}");
    expect_problem(400, "bad-request");
}
END_TEST

START_TEST(camera_is_added_and_found_at_its_address)
{
    ck_assert_int_eq(ask("POST", "/api/v1/cameras", admin,
                         "{\"id\":\"baru\",\"name\":\"Baru\",\"main\":\"rtsp://10.0.0.11/1\"}"), 201);
    ck_assert_str_eq(header("Location"), "/api/v1/cameras/baru");
    ck_assert_int_eq(get("/api/v1/cameras/baru", admin), 200);
    ask("POST", "/api/v1/cameras", admin,
        "{\"id\":\"baru\",\"name\":\"Baru\",\"main\":\"rtsp://10.0.0.11/1\"}");
    expect_problem(409, "conflict");
    ask("POST", "/api/v1/cameras", admin, "{\"id\":\"../x\",\"name\":\"B\",\"main\":\"rtsp://h/1\"}");
    expect_problem(400, "bad-request");
    ask("POST", "/api/v1/cameras", admin, "{\"id\":\"b\"}");
    expect_problem(400, "bad-request");
}
END_TEST

START_TEST(snapshot_is_a_picture_or_says_when_to_come_again)
{
    ck_assert_int_eq(get("/api/v1/cameras/gerbang/snapshot.jpg", admin), 200);
    ck_assert_str_eq(header("Content-Type"), "image/jpeg");
    ck_assert_str_eq(header("Kentongan-Start"), "2023-11-14T22:13:20.123Z");
    ck_assert_uint_eq(reply.size, 6);
    get("/api/v1/cameras/pos/snapshot.jpg", admin);
    expect_problem(503, "no-picture");
}
END_TEST

/* ------------------------------ events ------------------------------ */

START_TEST(events_come_page_by_page_without_a_gap_or_a_double)
{
    for (int i = 0; i < 25; i++) {
        struct kt_event ev = { .start_us = 1767225600000000 + i / 3 * 1000000, .score = 0.5 };
        strcpy(ev.camera, i % 2 ? "pos" : "gerbang");
        strcpy(ev.type, i % 5 ? "motion" : "line");
        ck_assert_int_eq(kt_catalog_event_put(catalog, &ev), 0);
    }
    const char *const query[] = { "", "&type=motion,line", "&type=line", "&type=line,loiter" };
    const size_t expected[] = { 25, 25, 5, 5 };
    for (size_t q = 0; q < KT_ARRAY_SIZE(query); q++) {
        char path[256], cursor[80] = "";
        bool seen[64] = { false };
        size_t n = 0;
        for (int page = 0; page < 20; page++) {
            snprintf(path, sizeof(path), "/api/v1/events?limit=4%s%s", query[q], cursor);
            ck_assert_int_eq(get(path, admin), 200);
            json_t *root = json_loads(reply.body, 0, NULL), *item;
            size_t i;
            json_array_foreach(json_object_get(root, "items"), i, item) {
                const json_int_t id = json_integer_value(json_object_get(item, "id"));
                ck_assert(!seen[id]);
                seen[id] = true;
                n++;
            }
            const json_t *next = json_object_get(root, "next");
            const bool more = json_is_string(next);
            if (more)
                snprintf(cursor, sizeof(cursor), "&cursor=%s", json_string_value(next));
            json_decref(root);
            if (!more)
                break;
        }
        ck_assert_uint_eq(n, expected[q]);
    }
}
END_TEST

START_TEST(event_is_marked_seen_and_shows_its_picture)
{
    char path[96];
    const long long id = add_event("pos");
    ck_assert_int_eq(kt_catalog_thumbnail_put(catalog, id, "\xff\xd8thumb", 7), 0);
    snprintf(path, sizeof(path), "/api/v1/events/%lld", id);
    ck_assert_int_eq(get(path, admin), 200);
    ck_assert(has("\"seen\":false") && has("\"thumbnail\":\"/api/v1/events/") &&
              has("\"start\":\"2026-01-01T00:00:00.000Z\""));
    ck_assert_int_eq(ask("PATCH", path, admin, "{\"seen\":true}"), 200);
    ck_assert(has("\"seen\":true"));
    ask("PATCH", path, admin, "{\"seen\":\"yes\"}");
    expect_problem(400, "bad-request");
    strcat(path, "/thumbnail.jpg");
    ck_assert_int_eq(get(path, admin), 200);
    ck_assert_uint_eq(reply.size, 7);
    ck_assert_ptr_nonnull(strstr(header("Cache-Control"), "immutable"));
    get("/api/v1/events/999999", admin);
    expect_problem(404, "not-found");
    get("/api/v1/events/1%20or%201=1", admin);
    expect_problem(404, "not-found");
}
END_TEST

static const struct {
    const char *path, *code;
    int status;
} bad_queries[] = {
    { "/api/v1/events?from=yesterday", "bad-request", 400 },
    { "/api/v1/events?limit=0", "bad-request", 400 },
    { "/api/v1/events?limit=1001", "bad-request", 400 },
    { "/api/v1/events?cursor=abc", "bad-request", 400 },
    { "/api/v1/events?camera=a'%20or%20'1'='1", "bad-request", 400 },
    { "/api/v1/events?type=%22%3E%3Csvg", "bad-request", 400 },
    { "/api/v1/events?seen=maybe", "bad-request", 400 },
    { "/api/v1/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "bad-range", 416 },
    { "/api/v1/timeline", "bad-request", 400 },
    { "/api/v1/timeline?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "bad-range", 416 },
    { "/api/v1/timeline?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&buckets=0", "bad-request", 400 },
    { "/api/v1/timeline?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&buckets=99999", "bad-request", 400 },
    { "/api/v1/cameras/pos/clip.mp4", "bad-request", 400 },
    { "/api/v1/cameras/pos/clip.mp4?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "bad-range", 416 },
    { "/api/v1/cameras/pos/clip.mp4?from=2020-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "bad-range", 416 },
    { "/api/v1/cameras/pos/playlist.m3u8?from=x&to=y", "bad-request", 400 },
    { "/api/v1/cameras/pos/playlist.m3u8?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&stream=../x", "bad-request", 400 },
    { "/api/v1/cameras/pos/segment.m4s?first=2&last=1", "bad-request", 400 },
    { "/api/v1/cameras/pos/segment.m4s?first=-1&last=1", "bad-request", 400 },
    { "/api/v1/cameras/pos/keyframe.mp4?at=", "bad-request", 400 },
    { "/api/v1/cameras/pos/activity?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&cells=12", "bad-request", 400 },
    { "/api/v1/inits/zz.mp4", "not-found", 404 },
};

START_TEST(bad_query_is_refused_in_words)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(bad_queries); i++) {
        get(bad_queries[i].path, admin);
        expect_problem(bad_queries[i].status, bad_queries[i].code);
    }
}
END_TEST

/* ------------------------------ without a ring ------------------------------ */

START_TEST(without_a_ring_it_says_not_recording)
{
    get("/healthz", NULL);
    expect_problem(503, "not-recording");
    ck_assert_int_eq(get("/api/v1/system", admin), 200);
    ck_assert(has("\"recording\":false") && has("\"state\":\"failed\"") && has("wrong disk"));
    get("/api/v1/cameras/pos/clip.mp4?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", admin);
    expect_problem(503, "not-recording");
    ck_assert(has("wrong disk"));
    get("/api/v1/cameras/pos/segments?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", admin);
    expect_problem(503, "not-recording");
    ck_assert_int_eq(get("/metrics", NULL), 200);
    ck_assert(has("kentongan_ring_ok{ring=\"video\"} 0") &&
              has("kentongan_camera_recording{camera=\"pos\"} 1"));
    ck_assert(has("kentongan_camera_analysis_load{camera=\"pos\"} 2") &&
              has("kentongan_camera_analysis_lag_seconds{camera=\"pos\"} 3.5") &&
              has("kentongan_camera_analysis_dropped_packets_total{camera=\"pos\"} 77"));
}
END_TEST

START_TEST(metrics_are_for_this_machine_and_administrators)
{
    reply = http_do(port, "GET", "/metrics", NULL, "X-Forwarded-For: 192.0.2.7\r\n", NULL);
    expect_problem(401, "unauthorized");
    http_free(&reply);
    reply = http_do(port, "GET", "/metrics", head, "X-Forwarded-For: 192.0.2.7\r\n", NULL);
    expect_problem(403, "forbidden");
    http_free(&reply);
    reply = http_do(port, "GET", "/metrics", admin, "X-Forwarded-For: 192.0.2.7\r\n", NULL);
    ck_assert_int_eq(reply.status, 200);
}
END_TEST

/* ------------------------------ life ------------------------------ */

START_TEST(port_in_use_is_one_clear_line)
{
    char listen[32];
    struct kt_error err = { .text = "" };
    struct kt_web_params params = { .listen = listen, .catalog = catalog, .hub = hub };
    kt_web *second = NULL;
    snprintf(listen, sizeof(listen), "127.0.0.1:%d", port);
    ck_assert_int_eq(kt_web_start(&second, &params, &err), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(err.text, listen));
    ck_assert_ptr_nonnull(strstr(err.text, "another program"));
    static const char *const bad[] = { "8080", "localhost:8080", "0.0.0.0:http", "", ":", "1.2.3:1" };
    for (size_t i = 0; i < KT_ARRAY_SIZE(bad); i++) {
        strcpy(listen, bad[i]);
        ck_assert_msg(kt_web_start(&second, &params, &err) < 0, "%s", bad[i]);
    }
}
END_TEST

/* The answer 101 is on its way a little before the hub has the socket. */
static void wait_for_viewers(size_t n)
{
    struct kt_hub_status status = { 0 };
    for (int i = 0; i < 2000 && status.viewers != n; i++) {
        poll(NULL, 0, 1);
        kt_hub_status(hub, &status);
    }
    ck_assert_uint_eq(status.viewers, n);
}

START_TEST(a_socket_is_upgraded_and_ends_with_its_session)
{
    static const char request[] = "GET /api/v1/live HTTP/1.1\r\nHost: pos:8080\r\n"
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://pos:8080\r\n"
        "Cookie: kentongan=%s\r\n\r\n";
    char text[1024];
    uint8_t frame[256] = { 0 };
    snprintf(text, sizeof(text), request, admin);
    const int fd = http_connect(port);
    http_send(fd, text, strlen(text));
    reply = http_read(fd, 2000, false);
    ck_assert_int_eq(reply.status, 101);
    ck_assert_str_eq(header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    wait_for_viewers(1);
    kt_hub_publish_text(hub, "tidak-ada", "{\"op\":\"secret\"}");
    kt_hub_publish_text(hub, "pos", "{\"op\":\"event\"}");
    ck_assert_int_gt(recv(fd, frame, sizeof(frame), 0), 2);
    ck_assert_str_eq((char *)frame + 2, "{\"op\":\"event\"}");
    ck_assert_int_eq(ask("DELETE", "/api/v1/session", admin, NULL), 204);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ck_assert_int_eq(poll(&p, 1, 9000), 1);
    ck_assert_int_gt(recv(fd, frame, sizeof(frame), 0), 3);
    ck_assert_int_eq(frame[0], 0x88);
    ck_assert_int_eq(frame[2] << 8 | frame[3], 1008);
    close(fd);
}
END_TEST

START_TEST(stopping_does_not_wait_for_viewers)
{
    char text[512];
    snprintf(text, sizeof(text), "GET /api/v1/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
             "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
             "dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: kentongan=%s\r\n\r\n", admin);
    int fd[8];
    for (size_t i = 0; i < KT_ARRAY_SIZE(fd); i++) {
        fd[i] = http_connect(port);
        if (i % 2)
            continue;                       /* half of them never say anything */
        http_send(fd[i], text, strlen(text));
        http_free(&reply);
        reply = http_read(fd[i], 2000, false);
        ck_assert_int_eq(reply.status, 101);
    }
    const int64_t start_us = kt_clock_mono_us();
    kt_web_stop(&web);
    ck_assert_int_lt(kt_clock_mono_us() - start_us, 2 * KT_SECOND_US);
    for (size_t i = 0; i < KT_ARRAY_SIZE(fd); i++)
        close(fd[i]);
}
END_TEST

/* ------------------------------ people ------------------------------ */

START_TEST(change_of_rights_applies_at_once)
{
    ck_assert_int_eq(get("/api/v1/cameras/pos", guard), 200);
    limit_cameras("guard", "[\"gerbang\"]");
    ck_assert_int_eq(get("/api/v1/cameras/pos", guard), 404);
    ck_assert_int_eq(ask("PATCH", "/api/v1/users/guard", admin, "{\"role\":\"police\"}"), 200);
    ck_assert_int_eq(get("/api/v1/cameras/gerbang", guard), 403);
    ck_assert_int_eq(ask("PATCH", "/api/v1/users/guard", admin, "{\"disabled\":true}"), 200);
    ck_assert(has("\"disabled\":true"));
    ck_assert_int_eq(get("/api/v1/session", guard), 401);
    ask("PATCH", "/api/v1/users/admin", admin, "{\"role\":\"head\"}");
    expect_problem(409, "last-admin");
    ask("DELETE", "/api/v1/users/admin", admin, NULL);
    expect_problem(409, "last-admin");
    ask("PATCH", "/api/v1/users/guard", admin, "{\"role\":\"king\"}");
    expect_problem(400, "bad-request");
    ask("PATCH", "/api/v1/users/nobody", admin, "{\"role\":\"head\"}");
    expect_problem(404, "not-found");
    ck_assert_int_eq(ask("DELETE", "/api/v1/users/guard", admin, NULL), 204);
    ck_assert_int_eq(get("/api/v1/users", admin), 200);
    ck_assert(!has("guard") && has("police") && !has("argon2"));
}
END_TEST

START_TEST(password_change_ends_the_other_sessions)
{
    char other[KT_TOKEN_SIZE];
    login("guard", other);
    ask("PUT", "/api/v1/session/password", guard, "{\"old\":\"wrong\",\"new\":\"pagar bambu kuning\"}");
    expect_problem(403, "bad-login");
    ask("PUT", "/api/v1/session/password", guard, "{\"old\":\"" PASSWORD "\",\"new\":\"12345678\"}");
    expect_problem(400, "bad-password");
    ck_assert_int_eq(ask("PUT", "/api/v1/session/password", guard,
                         "{\"old\":\"" PASSWORD "\",\"new\":\"pagar bambu kuning\"}"), 204);
    char token[KT_TOKEN_SIZE] = "";
    ck_assert_int_eq(sscanf(header("Set-Cookie"), "kentongan=%64[0-9a-f]", token), 1);
    ck_assert_int_eq(get("/api/v1/session", token), 200);
    ck_assert_int_eq(get("/api/v1/session", guard), 401);
    ck_assert_int_eq(get("/api/v1/session", other), 401);
}
END_TEST

START_TEST(invitation_makes_one_account_of_its_kind)
{
    char token[KT_TOKEN_SIZE] = "", body[256];
    ck_assert_int_eq(ask("POST", "/api/v1/invitations", head,
                         "{\"role\":\"volunteer\",\"cameras\":[\"pos\"],\"note\":\"Pak Budi\"}"), 201);
    ck_assert_int_eq(sscanf(reply.body, "{\"token\":\"%64[0-9a-f]", token), 1);
    ask("POST", "/api/v1/invitations", head, "{\"role\":\"admin\"}");
    expect_problem(403, "forbidden");
    snprintf(body, sizeof(body), "{\"token\":\"%s\"}", token);
    ck_assert_int_eq(ask("POST", "/api/v1/invitation/look", NULL, body), 200);
    ck_assert(has("Pak Budi") && has("volunteer"));
    snprintf(body, sizeof(body), "{\"token\":\"%s\",\"username\":\"budi\",\"password\":\"" PASSWORD "\"}", token);
    ck_assert_int_eq(ask("POST", "/api/v1/invitation/accept", NULL, body), 204);
    ck_assert_int_eq(ask("POST", "/api/v1/invitation/accept", NULL, body), 404);
    login("budi", token);
    ck_assert_int_eq(get("/api/v1/cameras", token), 200);
    ck_assert(has("\"pos\"") && !has("gerbang"));
    ck_assert_int_eq(ask("DELETE", "/api/v1/session/all", token, NULL), 204);
    ck_assert_int_eq(get("/api/v1/session", token), 401);
}
END_TEST

/* ------------------------------ evidence ------------------------------ */

static int64_t add_incident(const char *list)
{
    char body[256];
    snprintf(body, sizeof(body), "{\"title\":\"<b>Maling</b>\",\"from\":\"2026-01-01T00:00:00Z\","
             "\"to\":\"2026-01-01T01:00:00Z\",\"cameras\":%s,\"notes\":\"=1+1\"}", list);
    ck_assert_msg(ask("POST", "/api/v1/incidents", head, body) == 201, "%s", reply.body);
    json_t *root = json_loads(reply.body, 0, NULL);
    const int64_t id = json_integer_value(json_object_get(root, "id"));
    json_decref(root);
    return id;
}

/* A finished package of INCIDENT with these bytes. */
static int64_t add_package(int64_t incident, const char *bytes)
{
    char path[160];
    struct kt_export e = { .incident = incident, .state = KT_JOB_WAITING };
    strcpy(e.created_by, "head");
    ck_assert_int_eq(kt_catalog_export_add(catalog, &e), 0);
    snprintf(path, sizeof(path), "%s/vault/EV-1.zip", dir);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(bytes, f);
    fclose(f);
    ck_assert_int_eq(kt_catalog_export_done(catalog, e.id, "EV-1", strlen(bytes),
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", ""), 0);
    return e.id;
}

START_TEST(volunteers_see_what_is_recent)
{
    recent = false;
    char path[128];
    static const char *const old[] = { "segments", "playlist.m3u8", "activity", "keyframe.mp4" };
    const int64_t event = add_event("pos");
    for (size_t i = 0; i < KT_ARRAY_SIZE(old); i++) {
        char full[256];
        snprintf(path, sizeof(path), "/api/v1/cameras/pos/%s", old[i]);
        fill_path(path, event, full);
        ck_assert_msg(get(full, guard) == 403, "%s: %d", full, reply.status);
        expect_problem(403, "too-old");
        ck_assert_int_ne(get(full, head), 403);
    }
    snprintf(path, sizeof(path), "/api/v1/events/%lld", (long long)event);
    get(path, guard);
    expect_problem(403, "too-old");
    ck_assert_int_eq(get("/api/v1/events", guard), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    ck_assert_int_eq(ask("PUT", "/api/v1/settings", guard, "{\"volunteer_hours\":8784}"), 403);
    ck_assert_int_eq(ask("PUT", "/api/v1/settings", head, "{\"volunteer_hours\":8785}"), 400);
    ck_assert_int_eq(ask("PUT", "/api/v1/settings", head, "{\"volunteer_hours\":8784}"), 200);
    ck_assert_int_eq(get(path, guard), 200);
}
END_TEST

START_TEST(looking_is_written_down_once)
{
    static const char span[] = "/api/v1/cameras/pos/segments?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z";
    for (int i = 0; i < 5; i++)
        (void)get(span, head);
    (void)get("/api/v1/cameras/gerbang/keyframe.mp4?at=2026-01-01T00:00:00Z", head);
    (void)get(span, admin);
    ck_assert_int_eq(kt_catalog_flush(catalog), 0);
    ck_assert_int_eq(get("/api/v1/audit?action=play", head), 200);
    json_t *root = json_loads(reply.body, 0, NULL);
    /* Head at pos and at gerbang, administrator at pos. */
    ck_assert_uint_eq(json_array_size(json_object_get(root, "items")), 3);
    json_decref(root);
}
END_TEST

START_TEST(police_see_only_what_is_shared_with_them)
{
    const int64_t incident = add_incident("[\"pos\"]"), package = add_package(incident, "0123456789");
    char path[96];
    snprintf(path, sizeof(path), "/api/v1/incidents/%lld", (long long)incident);
    ck_assert_int_eq(get(path, police), 404);
    ck_assert_int_eq(get("/api/v1/incidents", police), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    snprintf(path, sizeof(path), "/api/v1/exports/%lld/package.zip", (long long)package);
    ck_assert_int_eq(get(path, police), 404);
    ck_assert_int_eq(get("/api/v1/exports", police), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    ck_assert_int_eq(get("/api/v1/cameras/pos", police), 403);

    snprintf(path, sizeof(path), "/api/v1/incidents/%lld/sharing", (long long)incident);
    ck_assert_int_eq(ask("POST", path, head, "{\"username\":\"police\"}"), 200);
    ck_assert(has("\"shared_with\":[\"police\"]"));
    snprintf(path, sizeof(path), "/api/v1/incidents/%lld", (long long)incident);
    ck_assert_int_eq(get(path, police), 200);
    ck_assert(!has("shared_with") && !has("holds"));
    snprintf(path, sizeof(path), "/api/v1/exports/%lld/package.zip", (long long)package);
    ck_assert_int_eq(get(path, police), 200);
    ck_assert_str_eq(reply.body, "0123456789");
    ck_assert_int_eq(get(path, guard), 403);
    http_free(&reply);
    reply = http_do(port, "GET", path, police, "Range: bytes=2-4\r\n", NULL);
    ck_assert_int_eq(reply.status, 206);
    ck_assert_str_eq(reply.body, "234");
    ck_assert_str_eq(header("Content-Range"), "bytes 2-4/10");
    ck_assert_str_eq(header("Content-Disposition"), "attachment; filename=\"EV-1.zip\"");
    http_free(&reply);
    reply = http_do(port, "GET", path, police, "Range: bytes=10-\r\n", NULL);
    expect_problem(416, "bad-range");
    ck_assert_str_eq(header("Content-Range"), "bytes */10");
}
END_TEST

/* Every route that names an object, asked by everybody whose role may, of an object that is not theirs:
 * as if it did not exist. And no list has it. */
START_TEST(no_route_gives_what_belongs_to_others)
{
    const int64_t incident = add_incident("[\"pos\"]"), package = add_package(incident, "0123456789");
    const int64_t event = add_event("pos");
    struct kt_hold hold = { .incident = incident, .camera = "pos", .stream = "main", .from_us = 1, .to_us = 2 };
    struct kt_share share = { .export_id = package, .expires_us = INT64_MAX };
    char token[KT_TOKEN_SIZE], path[256];
    ck_assert_int_eq(kt_catalog_hold_add(catalog, &hold), 0);
    ck_assert_int_eq(kt_catalog_share_add(catalog, &share, NULL, token), 0);
    limit_cameras("head", "[\"gerbang\"]");
    limit_cameras("guard", "[\"gerbang\"]");
    const struct {
        const char *token;
        unsigned bit;
    } who[] = { { guard, VOLUNTEER }, { police, POLICE }, { head, HEAD } };
    const struct {
        enum web_scope scope;
        int64_t id;
    } objects[] = { { SCOPE_CAMERA, 0 }, { SCOPE_EVENT, event }, { SCOPE_INCIDENT, incident },
                    { SCOPE_EXPORT, package }, { SCOPE_SHARE, share.id }, { SCOPE_HOLD, hold.id } };
    int asked = 0;
    for (size_t i = 0; i < web_n_routes * KT_ARRAY_SIZE(who); i++) {
        const struct web_route *route = &web_routes[i / KT_ARRAY_SIZE(who)];
        const size_t w = i % KT_ARRAY_SIZE(who);
        size_t o = 0;
        while (o < KT_ARRAY_SIZE(objects) && objects[o].scope != route->scope)
            o++;
        if (!(route->roles & who[w].bit) || o == KT_ARRAY_SIZE(objects))
            continue;
        fill_path(route->path, objects[o].id, path);
        ck_assert_msg(ask(route->method, path, who[w].token, strcmp(route->method, "GET") == 0 ? NULL : "{}") == 404,
                      "%s %s as %zu: %d %s", route->method, path, w, reply.status, reply.body);
        if (strcmp(route->method, "GET") == 0 && route->scope != SCOPE_CAMERA && route->scope != SCOPE_EVENT)
            ck_assert_msg(get(path, admin) != 404, "%s: %d %s", path, reply.status, reply.body);  /* it is there */
        asked++;
    }
    ck_assert_int_ge(asked, 40);
    static const char *const lists[] = { "cameras", "events", "incidents", "holds", "exports" };
    for (size_t i = 0; i < KT_ARRAY_SIZE(lists); i++) {
        snprintf(path, sizeof(path), "/api/v1/%s", lists[i]);
        ck_assert_int_eq(get(path, head), 200);
        ck_assert_msg(!has("\"pos\"") && !has("Maling") && !has("EV-1"), "%s: %s", path, reply.body);
    }
}
END_TEST

START_TEST(incident_of_foreign_cameras_cannot_be_made_or_seen)
{
    const int64_t incident = add_incident("[\"gerbang\",\"pos\"]");
    char path[96];
    limit_cameras("head", "[\"pos\"]");
    snprintf(path, sizeof(path), "/api/v1/incidents/%lld", (long long)incident);
    ck_assert_int_eq(get(path, head), 404);
    ask("POST", "/api/v1/incidents", head, "{\"title\":\"x\",\"from\":\"2026-01-01T00:00:00Z\","
        "\"to\":\"2026-01-01T01:00:00Z\",\"cameras\":[\"gerbang\"]}");
    expect_problem(400, "bad-request");
    snprintf(path, sizeof(path), "/api/v1/incidents/%lld/holds", (long long)incident);
    ck_assert_int_eq(ask("POST", path, head, "{}"), 404);
    ck_assert_int_eq(ask("POST", path, admin, "{}"), 404);
    expect_problem(404, "not-recorded");
}
END_TEST

START_TEST(heads_look_after_everybody_but_administrators)
{
    ck_assert_int_eq(get("/api/v1/users", head), 200);
    ck_assert_int_eq(ask("POST", "/api/v1/users", head,
                         "{\"username\":\"budi\",\"password\":\"" PASSWORD "\",\"role\":\"volunteer\"}"), 201);
    ck_assert_int_eq(ask("PATCH", "/api/v1/users/budi", head, "{\"cameras\":[\"pos\"]}"), 200);
    ask("PATCH", "/api/v1/users/budi", head, "{\"role\":\"admin\"}");
    expect_problem(403, "forbidden");
    ask("POST", "/api/v1/users", head, "{\"username\":\"tono\",\"password\":\"" PASSWORD "\",\"role\":\"admin\"}");
    expect_problem(403, "forbidden");
    ask("PATCH", "/api/v1/users/admin", head, "{\"password\":\"" PASSWORD "\"}");
    expect_problem(403, "forbidden");
    ck_assert_int_eq(ask("DELETE", "/api/v1/users/admin", head, NULL), 403);
    ck_assert_int_eq(ask("DELETE", "/api/v1/users/admin/sessions", head, NULL), 403);
    ck_assert_int_eq(ask("DELETE", "/api/v1/users/admin/totp", head, NULL), 403);
    ck_assert_int_eq(get("/api/v1/session", admin), 200);
    ck_assert_int_eq(ask("DELETE", "/api/v1/users/budi", head, NULL), 204);
}
END_TEST

START_TEST(own_sessions_are_listed_and_ended_one_by_one)
{
    char other[KT_TOKEN_SIZE], id[KT_SESSION_ID_SIZE], path[96];
    login("guard", other);
    ck_assert_int_eq(get("/api/v1/session/all", guard), 200);
    json_t *root = json_loads(reply.body, 0, NULL), *items = json_object_get(root, "items");
    ck_assert_uint_eq(json_array_size(items), 2);
    ck_assert(json_is_true(json_object_get(json_array_get(items, 0), "current")) !=
              json_is_true(json_object_get(json_array_get(items, 1), "current")));
    json_decref(root);
    ck_assert(!has(guard) && !has(other));
    ck_assert_int_eq(kt_session_id(other, id), 0);
    snprintf(path, sizeof(path), "/api/v1/session/all/%s", id);
    ck_assert_int_eq(ask("DELETE", path, head, NULL), 404);     /* somebody else's */
    ck_assert_int_eq(ask("DELETE", path, guard, NULL), 204);
    ck_assert_int_eq(get("/api/v1/session", other), 401);
    ck_assert_int_eq(get("/api/v1/session", guard), 200);
}
END_TEST

START_TEST(own_second_factor_goes_only_with_the_password)
{
    ask("DELETE", "/api/v1/session/totp", guard, "{\"password\":\"a wrong one\"}");
    expect_problem(403, "bad-login");
    ask("DELETE", "/api/v1/session/totp", guard, "{}");
    expect_problem(400, "bad-request");
    ck_assert_int_eq(ask("DELETE", "/api/v1/session/totp", guard, "{\"password\":\"" PASSWORD "\"}"), 204);
    ck_assert_int_eq(get("/api/v1/session/all", guard), 200);
    json_t *root = json_loads(reply.body, 0, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "items")), 1);  /* asking opened none */
    json_decref(root);
}
END_TEST

START_TEST(coming_in_and_failing_to_is_written_down)
{
    static const char wrong[] = "{\"username\":\"guard\",\"password\":\"a wrong one\"}";
    static const char nobody[] = "{\"username\":\"Passw0rd-in-the-name-field\",\"password\":\"x\"}";
    ck_assert_int_eq(ask("POST", "/api/v1/session", NULL, wrong), 401);
    ck_assert_int_eq(ask("POST", "/api/v1/session", NULL, nobody), 401);
    ck_assert_int_eq(ask("POST", "/api/v1/session", NULL,
                         "{\"username\":\"guard\",\"password\":\"" PASSWORD "\"}"), 200);
    ck_assert_int_eq(kt_catalog_flush(catalog), 0);
    ck_assert_int_eq(get("/api/v1/audit?action=login-failed", head), 200);
    ck_assert(has("\"object\":\"guard\"") && has("\"object\":\"?\"") && !has("Passw0rd"));
    ck_assert_int_eq(get("/api/v1/audit?action=login&who=guard", head), 200);
    ck_assert(has("\"who\":\"guard\""));
}
END_TEST

/* What the officer's browser does with a link. */
START_TEST(link_needs_its_pin_counts_and_can_be_revoked)
{
    const int64_t package = add_package(add_incident("[\"pos\"]"), "evidence");
    char path[128], link[128] = "", zip[160], pin[64];
    long long id = 0;
    snprintf(path, sizeof(path), "/api/v1/exports/%lld/shares", (long long)package);
    ck_assert_int_eq(ask("POST", path, head, "{\"pin\":\"4711\",\"max_downloads\":2}"), 201);
    ck_assert_int_eq(sscanf(strstr(reply.body, "\"id\":"), "\"id\":%lld", &id), 1);
    ck_assert_int_eq(sscanf(strstr(reply.body, "\"path\":"), "\"path\":\"%127[^\"]", link), 1);
    snprintf(zip, sizeof(zip), "%s/package.zip", link);
    ck_assert_int_eq(get(link, NULL), 200);
    ck_assert(has("name=\"pin\"") && !has("package.zip") && !has("Maling"));
    snprintf(path, sizeof(path), "%s?lang=en", link);
    ck_assert_int_eq(get(path, NULL), 200);
    ck_assert(has("<html lang=\"en\">"));
    ck_assert_int_eq(get(zip, NULL), 403);
    ck_assert(!has("evidence"));
    http_free(&reply);
    reply = http_do(port, "POST", link, NULL, "Content-Type: application/x-www-form-urlencoded\r\n"
                    "Content-Length: 8\r\n\r\npin=4711", NULL);
    ck_assert_int_eq(reply.status, 303);
    ck_assert_str_eq(header("Location"), link);
    ck_assert_int_eq(sscanf(header("Set-Cookie"), "pin=%60[0-9];", pin), 1);
    ck_assert_str_eq(pin, "4711");
    for (int i = 0; i < 3; i++) {
        http_free(&reply);
        reply = http_do(port, "GET", zip, NULL, "Cookie: pin=4711\r\n", NULL);
        ck_assert_int_eq(reply.status, i < 2 ? 200 : 410);
        ck_assert_int_eq(has("evidence"), i < 2);
    }
    snprintf(path, sizeof(path), "/api/v1/shares/%lld/log", id);
    ck_assert_int_eq(get(path, head), 200);
    ck_assert(has("\"download\"") && has("127.0.0.1"));
    snprintf(path, sizeof(path), "/api/v1/shares/%lld", id);
    ck_assert_int_eq(ask("DELETE", path, head, NULL), 204);
    ck_assert_int_eq(get(link, NULL), 410);
    ck_assert_int_eq(get("/e/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL), 404);
    ck_assert_int_eq(get("/e/x%0d%0aSet-Cookie:%20a=b", NULL), 400);
}
END_TEST

START_TEST(audit_says_who_did_what_and_is_safe_to_open)
{
    (void)add_incident("[\"pos\"]");
    (void)kt_catalog_audit(catalog, "=cmd|' /C calc'!A0", "x", "login-failed", "\"><svg onload=alert(1)>", NULL);
    ck_assert_int_eq(kt_catalog_flush(catalog), 0);
    ck_assert_int_eq(get("/api/v1/audit?action=incident-add", head), 200);
    ck_assert(has("\"who\":\"head\"") && has("<b>Maling</b>") && has("\"address\":\"127.0.0.1\""));
    ck_assert_str_eq(header("Content-Type"), "application/json");
    ck_assert_int_eq(get("/api/v1/audit.csv?action=login-failed", head), 200);
    ck_assert(has("\"'=cmd|' /C calc'!A0\"") && has("\"\"\"><svg onload=alert(1)>\""));
    ck_assert_int_eq(get("/api/v1/audit/verify", head), 200);
    ck_assert(has("\"ok\":true"));
    ck_assert_int_eq(get("/api/v1/audit?limit=1", head), 200);
    ck_assert(has("\"next\":\""));
    ck_assert_int_eq(get("/api/v1/audit?cursor=x", head), 400);
}
END_TEST

static TCase *group(Suite *suite, const char *name, void (*before)(void))
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, before, teardown);
    suite_add_tcase(suite, tc);
    return tc;
}

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tc = group(suite, "one person", setup);
    tcase_add_test(tc, login_gives_a_cookie_that_scripts_cannot_read);
    tcase_add_test(tc, behind_a_proxy_with_tls_the_cookie_is_secure);
    tcase_add_test(tc, wrong_passwords_are_refused_and_then_throttled);
    tcase_add_test(tc, malformed_json_is_a_bad_request);
    tcase_add_test(tc, what_could_be_read_two_ways_is_not_read);
    tcase_add_test(tc, every_answer_carries_the_protective_headers);
    tcase_add_test(tc, another_site_cannot_act_for_the_visitor);
    tcase_add_test(tc, the_own_site_can);
    tcase_add_test(tc, camera_is_changed_without_knowing_its_password);
    tcase_add_test(tc, camera_is_added_and_found_at_its_address);
    tcase_add_test(tc, snapshot_is_a_picture_or_says_when_to_come_again);
    tcase_add_test(tc, events_come_page_by_page_without_a_gap_or_a_double);
    tcase_add_test(tc, event_is_marked_seen_and_shows_its_picture);
    tcase_add_test(tc, bad_query_is_refused_in_words);
    tcase_add_test(tc, without_a_ring_it_says_not_recording);
    tcase_add_test(tc, openapi_and_the_table_of_routes_say_the_same);
    tcase_add_test(tc, port_in_use_is_one_clear_line);
    tcase_add_test(tc, a_socket_is_upgraded_and_ends_with_its_session);
    tcase_add_test(tc, stopping_does_not_wait_for_viewers);
    tc = group(suite, "several people", setup_people);
    tcase_add_test(tc, each_route_has_a_rule_and_keeps_it);
    tcase_add_test(tc, a_camera_that_is_not_ones_own_does_not_exist);
    tcase_add_test(tc, no_cameras_is_not_all_cameras);
    tcase_add_test(tc, change_of_rights_applies_at_once);
    tcase_add_test(tc, password_change_ends_the_other_sessions);
    tcase_add_test(tc, invitation_makes_one_account_of_its_kind);
    tcase_add_test(tc, volunteers_see_what_is_recent);
    tcase_add_test(tc, looking_is_written_down_once);
    tcase_add_test(tc, police_see_only_what_is_shared_with_them);
    tcase_add_test(tc, no_route_gives_what_belongs_to_others);
    tcase_add_test(tc, incident_of_foreign_cameras_cannot_be_made_or_seen);
    tcase_add_test(tc, heads_look_after_everybody_but_administrators);
    tcase_add_test(tc, own_sessions_are_listed_and_ended_one_by_one);
    tcase_add_test(tc, own_second_factor_goes_only_with_the_password);
    tcase_add_test(tc, coming_in_and_failing_to_is_written_down);
    tcase_add_test(tc, link_needs_its_pin_counts_and_can_be_revoked);
    tcase_add_test(tc, audit_says_who_did_what_and_is_safe_to_open);
    tcase_add_test(tc, camera_passwords_never_come_out);
    tcase_add_test(tc, metrics_are_for_this_machine_and_administrators);
    return kt_run_suite(suite);
}

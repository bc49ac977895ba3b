/* Who may do what, and what is written down of it: several people at one site. */
#include "web/http/web.h"

#include "tests/unit/web_kit.h"

/* ------------------------------ who may ------------------------------ */

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

#define DAY "&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"

START_TEST(several_cameras_are_asked_for_with_commas_or_one_by_one)
{
    add_event("pos");
    add_event("gerbang");
    ck_assert_int_eq(get("/api/v1/timeline?camera=gerbang&camera=pos" DAY, admin), 200);
    ck_assert(has("\"id\":\"gerbang\"") && has("\"id\":\"pos\""));
    ck_assert_int_eq(get("/api/v1/events?camera=gerbang&camera=pos&type=line&type=motion", admin), 200);
    ck_assert(has("\"camera\":\"gerbang\"") && has("\"camera\":\"pos\""));
    ck_assert_int_eq(get("/api/v1/events?type=line&type=loiter", admin), 200);
    ck_assert_str_eq(reply.body, "{\"items\":[],\"next\":null}");
    get("/api/v1/events?camera=pos&camera=", admin);
    expect_problem(400, "bad-request");
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

/* What the client wrote stands before what the proxy wrote, in the same line or in one of its own. */
static const char *const forged[] = {
    "X-Forwarded-For: 127.0.0.1, 192.0.2.7\r\n",
    "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: 192.0.2.7\r\n",
    "X-Forwarded-For: 127.0.0.1\r\nx-forwarded-for: 127.0.0.1, 192.0.2.7\r\n",
    "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-For: unknown\r\n",
    "X-Forwarded-For: 192.0.2.7:5555\r\n",
    "X-Forwarded-For: \r\n",
};

START_TEST(a_client_behind_a_proxy_cannot_say_that_it_is_this_machine)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(forged); i++) {
        http_free(&reply);
        reply = http_do(port, "GET", "/metrics", NULL, forged[i], NULL);
        expect_problem(401, "unauthorized");
    }
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
    ask("PATCH", "/api/v1/users/guard", admin, "{\"password\":\"pagar bambu kuning\",\"role\":\"king\"}");
    expect_problem(400, "bad-request");
    int retry_s;
    char token[KT_TOKEN_SIZE];
    ck_assert_int_eq(kt_catalog_user_set_disabled(catalog, "guard", false), 0);
    ck_assert_int_eq(kt_catalog_login(catalog, "guard", PASSWORD, "test", token, &retry_s), 0);     /* nothing of it was done */
    /* Half of it can be done: the camera list is looked at by the catalog. Then that half is in the log. */
    ask("PATCH", "/api/v1/users/guard", admin, "{\"disabled\":true,\"cameras\":[\"../x\"]}");
    expect_problem(400, "bad-request");
    ck_assert_int_eq(kt_catalog_flush(catalog), 0);
    ck_assert_int_eq(get("/api/v1/audit?action=user-change&limit=1", admin), 200);
    ck_assert(has("\"disabled\":true") && !has("../x"));
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

START_TEST(a_session_says_from_where_and_with_what_it_was_opened)
{
    static const char body[] = "{\"username\":\"guard\",\"password\":\"" PASSWORD "\"}";
    http_free(&reply);
    reply = http_do(port, "POST", "/api/v1/session", NULL, "User-Agent: Mozilla/5.0 \x1b[2J(Android 14) <b>\r\n"
                    "X-Forwarded-For: 192.0.2.7\r\n", body);
    ck_assert_int_eq(reply.status, 200);
    ck_assert_int_eq(get("/api/v1/session/all", guard), 200);
    ck_assert(has("\"address\":\"192.0.2.7\",\"agent\":\"Mozilla/5.0 \\\\x1b[2J(Android 14) <b>\""));
    ck_assert(has("\"address\":\"test\",\"agent\":\"\""));       /* the fixture's */
    ck_assert_int_eq(get("/api/v1/session/all", head), 200);
    ck_assert(!has("192.0.2.7"));                                   /* nobody else's */
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

static const char *const asked_for[] = {
    NULL, "Range: bytes=0-\r\n", "Range: bytes=00-\r\n", "Range: Bytes=0-7\r\n", "Range: bytes=-99\r\n",
    "Range: bytes=5-3\r\n", "Range: all\r\n", "Range: bytes=2-\r\nIf-Range: \"another\"\r\n", "Range: bytes=2-\r\n",
};

/* However it is asked for: whoever gets anything has used one of the link's downloads, and may have the rest of it. */
static void download_once(struct kt_share share, const char *range)
{
    char token[KT_TOKEN_SIZE], zip[160];
    ck_assert_int_eq(kt_catalog_share_add(catalog, &share, NULL, token), 0);
    snprintf(zip, sizeof(zip), "/e/%s/package.zip", token);
    ck_assert_int_eq(ask("HEAD", zip, NULL, NULL), 200);
    http_free(&reply);
    reply = http_do(port, "GET", zip, NULL, range, NULL);
    ck_assert(reply.status == 200 || reply.status == 206);
    ck_assert_int_eq(get(zip, NULL), 410);
    http_free(&reply);
    reply = http_do(port, "GET", zip, NULL, "Range: bytes=0-\r\n", NULL);
    ck_assert_int_eq(reply.status, 410);
    http_free(&reply);
    reply = http_do(port, "GET", zip, NULL, "Range: bytes=2-\r\n", NULL);
    ck_assert_int_eq(reply.status, 206);
    ck_assert_str_eq(reply.body, "idence");
    http_free(&reply);
    reply = http_do(port, "GET", zip, NULL, "Range: bytes=2-\r\nX-Forwarded-For: 192.0.2.9\r\n", NULL);
    ck_assert_int_eq(reply.status, 410);                            /* somebody else */
}

START_TEST(link_counts_each_download_once_and_gives_its_rest)
{
    const struct kt_share share = { .export_id = add_package(add_incident("[\"pos\"]"), "evidence"),
                                    .expires_us = INT64_MAX, .max_downloads = 1 };
    for (size_t i = 0; i < KT_ARRAY_SIZE(asked_for); i++)
        download_once(share, asked_for[i]);
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

/* What succeeds here and must be in the audit log under the name that the table of routes gives it. */
static const struct {
    const char *method, *path, *body;
} deeds[] = {
    { "POST", "/api/v1/users", "{\"username\":\"baru\",\"password\":\"" PASSWORD "\",\"role\":\"volunteer\"}" },
    { "PATCH", "/api/v1/users/baru", "{\"disabled\":true}" },
    { "DELETE", "/api/v1/users/baru/sessions", NULL },
    { "DELETE", "/api/v1/users/baru/totp", NULL },
    { "DELETE", "/api/v1/users/baru", NULL },
    { "POST", "/api/v1/invitations", "{\"role\":\"volunteer\"}" },
    { "DELETE", "/api/v1/invitations/1", NULL },
    { "POST", "/api/v1/cameras", "{\"id\":\"baru\",\"name\":\"b\",\"main\":\"rtsp://192.0.2.1/\"}" },
    { "PATCH", "/api/v1/cameras/pos", "{\"name\":\"Pos\"}" },
    { "POST", "/api/v1/incidents", "{\"title\":\"x\",\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-01T00:01:00Z\","
      "\"cameras\":[\"pos\"]}" },
    { "PATCH", "/api/v1/incidents/1", "{\"notes\":\"y\"}" },
    { "POST", "/api/v1/incidents/1/events", "{\"event\":1}" },
    { "POST", "/api/v1/incidents/1/sharing", "{\"username\":\"police\"}" },
    { "POST", "/api/v1/exports/1/shares", "{}" },
    { "DELETE", "/api/v1/shares/1", NULL },
    { "GET", "/api/v1/exports/1/package.zip", NULL },
    { "GET", "/api/v1/audit.csv", NULL },
    { "PUT", "/api/v1/settings", "{\"volunteer_hours\":24}" },
    { "PUT", "/api/v1/session/password", "{\"old\":\"" PASSWORD "\",\"new\":\"pagar bambu kuning\"}" },
};
/* These need a ring, a camera or a telephone, and have tests of their own; or write their line by themselves. */
static web_handler *const elsewhere[] = {
    web_clip, web_event_clip, web_playlist, web_segments, web_search_activity, web_start_trial, web_test_camera, web_discover,
    web_delete_camera, web_erase, web_delete_incident, web_add_holds, web_release_hold, web_add_export, web_cancel_export, web_paper,
    web_confirm_totp, web_drop_own_totp, web_end_own_session, web_end_own_sessions, web_logout, web_accept_invitation,
};
/* Nothing that anybody has to answer for: seen or not, one's own settings, asking. */
static web_handler *const unlogged[] = {
    web_login, web_begin_totp, web_put_settings, web_mark_seen, web_change_event, web_look_invitation, web_cancel_trial,
    web_share_pin,
};

static bool is_among(web_handler *handle, web_handler *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == handle)
            return true;
    return false;
}

START_TEST(whatever_changes_or_takes_away_is_in_the_audit_log)
{
    bool done[256] = { false };
    char row[96];
    recent = true;
    ck_assert_int_eq(add_event("pos"), 1);
    for (size_t i = 0; i < KT_ARRAY_SIZE(deeds); i++) {
        const struct web_route *route = NULL;
        struct web_params params;
        for (size_t k = 0; k < web_n_routes && !route; k++)
            if (strcmp(web_routes[k].method, deeds[i].method) == 0 && web_parse_path(web_routes[k].path, deeds[i].path, &params)) {
                route = &web_routes[k];
                done[k] = true;
            }
        ck_assert_msg(route && route->audit, "%s %s", deeds[i].method, deeds[i].path);
        if (strcmp(deeds[i].path, "/api/v1/exports/1/shares") == 0)
            ck_assert_int_eq(add_package(1, "0123456789"), 1);
        const int status = ask(deeds[i].method, deeds[i].path, admin, deeds[i].body);
        ck_assert_msg(status >= 200 && status < 300, "%s %s: %d %s", deeds[i].method, deeds[i].path, status, reply.body);
        if (route->handle == web_change_password)
            ck_assert_int_eq(sscanf(header("Set-Cookie"), "kentongan=%64[0-9a-f]", admin), 1);
        ck_assert_int_eq(kt_catalog_flush(catalog), 0);
        ck_assert_int_eq(get("/api/v1/audit?limit=1", admin), 200);
        snprintf(row, sizeof(row), "\"action\":\"%s\"", route->audit);
        ck_assert_msg(has(row) && has("\"who\":\"admin\""), "%s %s: %s", deeds[i].method, deeds[i].path, reply.body);
    }
    for (size_t k = 0; k < web_n_routes; k++) {
        const struct web_route *route = &web_routes[k];
        const bool other = is_among(route->handle, elsewhere, KT_ARRAY_SIZE(elsewhere));
        const bool not = is_among(route->handle, unlogged, KT_ARRAY_SIZE(unlogged));
        ck_assert_msg(!route->audit || done[k] || other, "%s %s is not tried here", route->method, route->path);
        ck_assert_msg(route->audit || not || strcmp(route->method, "GET") == 0, "%s %s leaves no trace", route->method, route->path);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_rights");
    TCase *tc = group(suite, "several people", setup_people);
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
    tcase_add_test(tc, a_session_says_from_where_and_with_what_it_was_opened);
    tcase_add_test(tc, own_second_factor_goes_only_with_the_password);
    tcase_add_test(tc, coming_in_and_failing_to_is_written_down);
    tcase_add_test(tc, link_needs_its_pin_counts_and_can_be_revoked);
    tcase_add_test(tc, link_counts_each_download_once_and_gives_its_rest);
    tcase_add_test(tc, audit_says_who_did_what_and_is_safe_to_open);
    tcase_add_test(tc, whatever_changes_or_takes_away_is_in_the_audit_log);
    tcase_add_test(tc, camera_passwords_never_come_out);
    tcase_add_test(tc, metrics_are_for_this_machine_and_administrators);
    tcase_add_test(tc, a_client_behind_a_proxy_cannot_say_that_it_is_this_machine);
    tcase_add_test(tc, several_cameras_are_asked_for_with_commas_or_one_by_one);
    return kt_run_suite(suite);
}

#include "web/http/web.h"

#include "tests/unit/web_kit.h"

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
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n\r\n{}", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400 },
    { "POST /api/v1/session HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
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

/* ------------------------------ cameras ------------------------------ */

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
    return kt_run_suite(suite);
}

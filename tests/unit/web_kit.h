/*
 * web_kit.h - what the tests of the web server share: a site with two cameras, people
 * of every role, and requests to a real server on a port of its own.
 */
#ifndef KT_TESTS_WEB_KIT_H
#define KT_TESTS_WEB_KIT_H

#include <check.h>
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
#include "web/http/web.h"
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

static inline int site_cameras(void *user, struct kt_camera_state **out, size_t *n)
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

static inline int site_snapshot(void *user, const char *camera, uint8_t **out, size_t *n, int64_t *wall_us)
{
    if (strcmp(camera, "gerbang") != 0)
        return -EAGAIN;
    *out = (uint8_t *)strdup("\xff\xd8jpeg");
    *n = 6;
    *wall_us = 1700000000123000;
    return 0;
}

static inline int site_put(void *user, const struct kt_camera_config *cam, bool create, struct kt_error *err)
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

static inline int site_delete(void *user, const char *id, struct kt_error *err)
{
    return -EPERM;
}

static inline void add_camera(const char *id, const char *url, bool provisioned)
{
    struct kt_camera_config *c = &cameras[n_cameras++];
    *c = (struct kt_camera_config){ .analysis = KT_ANALYSIS_ADAPTIVE, .enabled = true,
                                    .provisioned = provisioned };
    strcpy(c->id, id);
    strcpy(c->name, id);
    strcpy(c->main_url, url);
}

/* ------------------------------ requests ------------------------------ */

static inline int ask(const char *method, const char *path, const char *cookie, const char *body)
{
    http_free(&reply);
    reply = http_do(port, method, path, cookie, NULL, body);
    return reply.status;
}

static inline int get(const char *path, const char *cookie)
{
    return ask("GET", path, cookie, NULL);
}

static inline bool has(const char *part)
{
    return reply.body && strstr(reply.body, part);
}

static inline const char *header(const char *name)
{
    static char value[1024];
    return http_header(&reply, name, value, sizeof(value)) ? value : "";
}

/* Every error is a problem document with a stable code. */
static inline void expect_problem(int status, const char *code)
{
    ck_assert_msg(reply.status == status, "%d instead of %d: %s", reply.status, status, reply.body);
    ck_assert_str_eq(header("Content-Type"), "application/problem+json");
    json_t *root = json_loads(reply.body, 0, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(json_integer_value(json_object_get(root, "status")), status);
    ck_assert_str_eq(json_string_value(json_object_get(root, "code")), code);
    json_decref(root);
}

static inline void login(const char *username, char token[KT_TOKEN_SIZE])
{
    int retry_s;
    ck_assert_int_eq(kt_catalog_login(catalog, username, PASSWORD, "test", token, &retry_s), 0);
}

/* ------------------------------ fixture ------------------------------ */

static inline void start_web(void)
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

static inline void setup(void)
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

static inline void setup_people(void)
{
    setup();
    ck_assert_int_eq(kt_catalog_user_add(catalog, "head", PASSWORD, KT_ROLE_HEAD), 0);
    ck_assert_int_eq(kt_catalog_user_add(catalog, "guard", PASSWORD, KT_ROLE_VOLUNTEER), 0);
    ck_assert_int_eq(kt_catalog_user_add(catalog, "police", PASSWORD, KT_ROLE_POLICE), 0);
    login("head", head);
    login("guard", guard);
    login("police", police);
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void teardown(void)
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

/* A path that exists for each route. */
static inline void fill_path(const char *pattern, int64_t event, char out[256])
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

static inline int64_t add_event(const char *camera)
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

static inline TCase *group(Suite *suite, const char *name, void (*before)(void))
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, before, teardown);
    suite_add_tcase(suite, tc);
    return tc;
}

#endif

/*
 * r_cameras.c - the cameras: what they do now, adding and changing them.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"

/* "video" first, as far back as any ring goes. */
int64_t web_oldest(struct kt_web *web, const char *camera)
{
    int64_t oldest = 0;
    for (size_t i = 0; i < web->params.n_rings; i++) {
        kt_ring *ring = web->params.rings[i].ring;
        struct kt_record *list = NULL;
        size_t n = 0;
        uint32_t stream;
        if (!web_find_stream(ring, camera, "main", &stream) ||
            kt_ring_query(ring, stream, 0, INT64_MAX, 1, &list, &n) < 0)
            continue;
        if (n > 0 && (oldest == 0 || list[0].start_us < oldest))
            oldest = list[0].start_us;
        free(list);
    }
    return oldest;
}

/* What only an administrator sees. */
static void add_config(json_t *root, const struct kt_camera_config *c)
{
    char url[KT_URL_MAX];
    kt_url_redact(url, sizeof(url), c->main_url);
    (void)json_object_set_new(root, "main", web_json_text(url));
    kt_url_redact(url, sizeof(url), c->sub_url);
    (void)json_object_set_new(root, "sub", web_json_text(url));
    kt_url_redact(url, sizeof(url), c->snapshot_url);
    (void)json_object_set_new(root, "snapshot", web_json_text(url));
    (void)json_object_set_new(root, "transport", web_json_text(c->transport[0] ? c->transport : "tcp"));
}

static json_t *camera_json(struct web_request *r, const struct kt_camera_state *s)
{
    const struct kt_camera_config *c = &s->config;
    const char *analysis = kt_analysis_mode_name(c->analysis);
    json_t *rules = c->rules[0] ? json_loads(c->rules, 0, NULL) : NULL;
    json_t *root = json_pack(
        "{s:s, s:o, s:b, s:s, s:o, s:b, s:b, s:b, s:b, s:s, s:o, s:o, s:o}",
        "id", c->id, "name", web_json_text(c->name), "recording", s->recording, "state", s->state,
        "why", web_json_text(s->why), "enabled", c->enabled, "provisioned", c->provisioned,
        "has_sub", s->has_sub, "motion", s->motion_now, "analysis", analysis ? analysis : "off",
        "last_frame", web_json_time(s->last_frame_us), "oldest",
        web_json_time(web_oldest(r->web, c->id)), "rules", rules ? rules : json_null());
    if (!root)
        return json_null();
    if (s->codec[0]) {
        (void)json_object_update_new(root, json_pack(
            "{s:s, s:i, s:i, s:f, s:f, s:f, s:f}", "codec", s->codec, "width", s->width, "height",
            s->height, "fps", s->fps, "fps_nominal", s->fps_nominal, "bitrate", s->bitrate,
            "gop_seconds", s->gop_seconds));
    }
    (void)json_object_update_new(root, json_pack(
        "{s:I, s:I, s:I}", "reconnects", (json_int_t)s->reconnects, "lost_packets",
        (json_int_t)s->lost_packets, "decode_errors", (json_int_t)s->decode_errors));
    if (s->has_clock)
        (void)json_object_set_new(root, "clock_offset_seconds", json_real((double)s->clock_offset_us / 1e6));
    (void)json_object_set_new(root, "picture", web_json_time(s->picture_us));
    (void)json_object_set_new(root, "has_snapshot", json_boolean(c->snapshot_url[0]));
    json_t *advice = json_array();
    for (size_t i = 0; i < s->n_advice; i++)
        (void)json_array_append_new(advice, json_string(s->advice[i]));
    (void)json_object_set_new(root, "advice", advice);
    if (r->user->role == KT_ROLE_ADMIN)
        add_config(root, c);
    return root;
}

enum MHD_Result web_list_cameras(struct web_request *r)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0;
    const int ret = web_cameras(r->web, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        if (r->user->role != KT_ROLE_POLICE && web_may_see(r, list[i].config.id))
            (void)json_array_append_new(items, camera_json(r, &list[i]));
    free(list);
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* The state of camera ID. -ENOENT when it is not (any more) configured. */
static int find_camera(struct web_request *r, const char *id, struct kt_camera_state *out)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0;
    int ret = web_cameras(r->web, &list, &n);
    if (ret < 0)
        return ret;
    ret = -ENOENT;
    for (size_t i = 0; i < n && ret < 0; i++) {
        if (strcmp(list[i].config.id, id) != 0)
            continue;
        *out = list[i];
        ret = 0;
    }
    free(list);
    return ret;
}

static enum MHD_Result reply_camera(struct web_request *r, const char *id, unsigned status)
{
    char location[96];
    kt_cleanup(kt_freep) struct kt_camera_state *state = malloc(sizeof(*state));
    const int ret = state ? find_camera(r, id, state) : -ENOMEM;
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *root = camera_json(r, state);
    if (status != 201)
        return web_reply_json(r, status, root);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    struct MHD_Response *response = text ?
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;
    if (response) {
        snprintf(location, sizeof(location), "/api/v1/cameras/%s", id);
        (void)MHD_add_response_header(response, "Content-Type", "application/json");
        (void)MHD_add_response_header(response, "Location", location);
    }
    return web_reply(r, status, response, CACHE_NEVER);
}

enum MHD_Result web_get_camera(struct web_request *r)
{
    return reply_camera(r, r->params.value[0], 200);
}

/* ------------------------------ changing ------------------------------ */

static bool copy_text(char *out, size_t cap, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) >= cap)
        return false;
    const char *text = json_string_value(value);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    strcpy(out, text);
    return true;
}

/* An address as the browser sends it back: "***" stands for the password it never saw. */
static bool copy_url(char out[KT_URL_MAX], const json_t *value)
{
    char url[KT_URL_MAX], known[KT_URL_MAX];
    if (!copy_text(url, sizeof(url), value))
        return false;
    kt_url_redact(known, sizeof(known), out);
    if (strcmp(known, url) == 0)
        return true;
    if (strstr(url, ":***@"))               /* another address must bring its own password */
        return false;
    strcpy(out, url);
    return true;
}

static bool copy_transport(char out[8], const json_t *value)
{
    static const char *const words[] = { "tcp", "udp", "tls", "libav" };
    for (size_t i = 0; json_is_string(value) && i < KT_ARRAY_SIZE(words); i++) {
        if (strcmp(json_string_value(value), words[i]) == 0) {
            strcpy(out, words[i]);
            return true;
        }
    }
    return false;
}

bool web_rules_text(char out[8192], const json_t *value)
{
    if (json_is_null(value)) {
        out[0] = '\0';
        return true;
    }
    char *text = json_is_object(value) ? json_dumps(value, JSON_COMPACT) : NULL;
    const bool ok = text && strlen(text) < 8192;
    if (ok)
        strcpy(out, text);
    free(text);
    return ok;
}

/* Apply BODY to CAM. False: *WHAT names the bad member. */
static bool apply(struct kt_camera_config *cam, json_t *body, const char **what)
{
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value) {
        bool ok = true;
        *what = key;
        if (strcmp(key, "name") == 0)
            ok = copy_text(cam->name, sizeof(cam->name), value) && cam->name[0];
        else if (strcmp(key, "main") == 0)
            ok = copy_url(cam->main_url, value) && cam->main_url[0];
        else if (strcmp(key, "sub") == 0)
            ok = copy_url(cam->sub_url, value);
        else if (strcmp(key, "snapshot") == 0)
            ok = copy_url(cam->snapshot_url, value);
        else if (strcmp(key, "transport") == 0)
            ok = copy_transport(cam->transport, value);
        else if (strcmp(key, "analysis") == 0)
            ok = json_is_string(value) &&
                 kt_analysis_mode_parse(json_string_value(value), &cam->analysis) == 0;
        else if (strcmp(key, "enabled") == 0)
            ok = json_is_boolean(value) && (cam->enabled = json_is_true(value), true);
        else if (strcmp(key, "rules") == 0)
            ok = web_rules_text(cam->rules, value);
        if (!ok)
            return false;
    }
    return true;
}

static enum MHD_Result is_provisioned(struct web_request *r)
{
    return web_problem(r, 403, "provisioned", "this camera is in the configuration file");
}

/* CHANGED, the names of what is new, for the audit log; borrowed. */
static enum MHD_Result put_camera(struct web_request *r, const struct kt_camera_config *cam,
                                  bool create, json_t *changed)
{
    struct kt_error err = { .text = "" };
    const struct kt_site *site = &r->web->params.site;
    const int ret = site->camera_put(site->user, cam, create, &err);
    if (ret == -EPERM)
        return is_provisioned(r);
    if (ret < 0 && err.text[0])
        return web_problem(r, ret == -EEXIST ? 409 : 400, ret == -EEXIST ? "conflict" : "bad-request",
                           err.text);
    if (ret < 0)
        return web_problem_errno(r, ret);
    pthread_mutex_lock(&r->web->lock);
    r->web->known.until_us = 0;
    pthread_mutex_unlock(&r->web->lock);
    web_audit(r, create ? "camera-add" : "camera-change", cam->id, json_pack("{s:O}", "changed", changed));
    return reply_camera(r, cam->id, create ? 201 : 200);
}

static const char *const camera_keys[] = { "id", "name", "main", "sub", "snapshot", "transport", "analysis",
                                           "enabled", "rules", NULL };

static enum MHD_Result apply_and_put(struct web_request *r, struct kt_camera_config *cam,
                                     json_t *body, bool create)
{
    const char *what = "";
    char detail[96];
    (void)json_object_del(body, "id");
    if (!apply(cam, body, &what)) {
        snprintf(detail, sizeof(detail), "the value of %.40s is not allowed", what);
        return web_problem(r, 400, "bad-request", detail);
    }
    if (create && (!cam->name[0] || !cam->main_url[0]))
        return web_problem(r, 400, "bad-request", "name and main are needed");
    const char *key;
    json_t *value, *changed = json_array();
    json_object_foreach(body, key, value)
        (void)json_array_append_new(changed, json_string(key));
    const enum MHD_Result result = put_camera(r, cam, create, changed);
    json_decref(changed);
    return result;
}

enum MHD_Result web_add_camera(struct web_request *r)
{
    enum MHD_Result result;
    kt_cleanup(kt_freep) struct kt_camera_config *cam = calloc(1, sizeof(*cam));
    json_t *body = web_body(r, camera_keys, &result);
    if (!body)
        return result;
    const json_t *id = json_object_get(body, "id");
    if (!cam || !json_is_string(id) || !kt_id_valid(json_string_value(id))) {
        json_decref(body);
        return web_problem(r, 400, "bad-request", "id: 1 to 48 of a-z, 0-9 and -");
    }
    strcpy(cam->id, json_string_value(id));
    strcpy(cam->transport, "tcp");
    cam->analysis = KT_ANALYSIS_ADAPTIVE;
    cam->enabled = true;
    result = apply_and_put(r, cam, body, true);
    json_decref(body);
    return result;
}

enum MHD_Result web_change_camera(struct web_request *r)
{
    enum MHD_Result result;
    kt_cleanup(kt_freep) struct kt_camera_state *state = calloc(1, sizeof(*state));
    json_t *body = web_body(r, camera_keys + 1, &result);
    if (!body)
        return result;
    const int ret = state ? find_camera(r, r->params.value[0], state) : -ENOMEM;
    if (ret < 0)
        result = web_problem_errno(r, ret);
    else if (state->config.provisioned)
        result = is_provisioned(r);
    else
        result = apply_and_put(r, &state->config, body, false);
    json_decref(body);
    return result;
}

enum MHD_Result web_delete_camera(struct web_request *r)
{
    struct kt_error err = { .text = "" };
    const struct kt_site *site = &r->web->params.site;
    const int ret = site->camera_delete(site->user, r->params.value[0], &err);
    if (ret == -EPERM)
        return is_provisioned(r);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "camera-delete", r->params.value[0], NULL);
    return web_reply_empty(r, 204);
}

enum MHD_Result web_snapshot(struct web_request *r)
{
    const struct kt_site *site = &r->web->params.site;
    uint8_t *jpeg = NULL;
    size_t n = 0;
    int64_t wall_us = 0;
    char time[KT_RFC3339_SIZE];
    const int ret = site->snapshot(site->user, r->params.value[0], &jpeg, &n, &wall_us);
    if (ret == -EAGAIN)
        return web_problem_retry(r, 503, "no-picture", "no picture from this camera yet", 5);
    if (ret < 0)
        return web_problem_errno(r, ret);
    struct MHD_Response *response = MHD_create_response_from_buffer(n, jpeg, MHD_RESPMEM_MUST_FREE);
    if (response) {
        kt_rfc3339_format(time, wall_us);
        (void)MHD_add_response_header(response, "Content-Type", "image/jpeg");
        (void)MHD_add_response_header(response, "Kentongan-Start", time);
    }
    return web_reply(r, 200, response, CACHE_NEVER);
}

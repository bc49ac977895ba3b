/*
 * r_incidents.c - what happened, in a person's words, and the video held for it.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/ring/clip.h"

#define MAX_CAMERAS 64
#define NOTES_MAX (32 * 1024)
#define LONGEST_US (INT64_C(31) * 86400 * 1000000)

/* ------------------------------ as JSON ------------------------------ */

/* What people call the cameras: whom an incident is shared with cannot ask for them. */
static json_t *names_of(struct web_request *r, const json_t *cameras)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0;
    json_t *names = json_object();
    if (web_cameras(r->web, &list, &n) < 0)
        return names;
    for (size_t i = 0; i < n; i++)
        if (web_list_has(cameras, list[i].config.id))
            (void)json_object_set_new(names, list[i].config.id, web_json_text(list[i].config.name));
    free(list);
    return names;
}

static json_t *incident_json(struct web_request *r, const struct kt_incident *in)
{
    json_t *cameras = in->cameras ? json_loads(in->cameras, 0, NULL) : NULL;
    json_t *root = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "id",
                     (json_int_t)in->id, "title", web_json_text(in->title), "from",
                     web_json_time(in->from_us), "to", web_json_time(in->to_us), "cameras",
                     cameras ? cameras : json_array(), "notes",
                     web_json_text(in->notes ? in->notes : ""), "closed", in->closed, "created_by",
                     web_json_text(in->created_by), "created", web_json_time(in->created_us),
                     "changed", web_json_time(in->changed_us));
    if (r->user->role == KT_ROLE_POLICE)
        (void)json_object_set_new(root, "names", names_of(r, json_object_get(root, "cameras")));
    return root;
}

static json_t *hold_json(const struct kt_hold *h)
{
    const char *state = kt_job_state_name(h->state);
    return json_pack("{s:I, s:I, s:s, s:s, s:o, s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "id",
                     (json_int_t)h->id, "incident", (json_int_t)h->incident, "camera", h->camera,
                     "stream", h->stream, "from", web_json_time(h->from_us), "to",
                     web_json_time(h->to_us), "state", state ? state : "failed", "done_bytes",
                     (json_int_t)h->done_bytes, "total_bytes", (json_int_t)h->total_bytes, "why",
                     web_json_text(h->why), "created_by", web_json_text(h->created_by), "created",
                     web_json_time(h->created_us));
}

static json_t *holds_of(struct web_request *r, int64_t incident)
{
    kt_cleanup(kt_freep) struct kt_hold *list = NULL;
    size_t n = 0;
    json_t *items = json_array();
    if (kt_catalog_hold_list(r->web->params.catalog, incident, &list, &n) < 0)
        return items;
    for (size_t i = 0; i < n; i++)
        if (web_may_see(r, list[i].camera))
            (void)json_array_append_new(items, hold_json(&list[i]));
    return items;
}

static json_t *events_of(struct web_request *r, int64_t incident)
{
    kt_cleanup(kt_freep) int64_t *ids = NULL;
    size_t n = 0;
    json_t *items = json_array();
    if (kt_catalog_incident_events(r->web->params.catalog, incident, &ids, &n) < 0)
        return items;
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, json_integer((json_int_t)ids[i]));
    return items;
}

static json_t *shared_with(struct web_request *r, int64_t incident)
{
    kt_catalog *c = r->web->params.catalog;
    struct kt_user *list = NULL;
    size_t n = 0;
    json_t *items = json_array();
    if (kt_catalog_user_list(c, &list, &n) < 0)
        return items;
    for (size_t i = 0; i < n; i++) {
        bool yes = false;
        if (kt_catalog_incident_shared(c, incident, list[i].username, &yes) == 0 && yes)
            (void)json_array_append_new(items, web_json_text(list[i].username));
    }
    kt_user_list_free(&list, n);
    return items;
}

static enum MHD_Result reply_incident(struct web_request *r, int64_t id, unsigned status)
{
    struct kt_incident *in = NULL;
    const int ret = kt_catalog_incident_get(r->web->params.catalog, id, &in);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *root = incident_json(r, in);
    kt_incident_list_free(&in, 1);
    (void)json_object_set_new(root, "events", events_of(r, id));
    if (r->user->role != KT_ROLE_POLICE) {
        (void)json_object_set_new(root, "holds", holds_of(r, id));
        (void)json_object_set_new(root, "shared_with", shared_with(r, id));
    }
    return web_reply_json(r, status, root);
}

/* ------------------------------ incidents ------------------------------ */

enum MHD_Result web_list_incidents(struct web_request *r)
{
    struct kt_incident *list = NULL;
    size_t n = 0;
    const bool police = r->user->role == KT_ROLE_POLICE;
    const int ret = kt_catalog_incident_list(r->web->params.catalog,
                                             police ? r->user->username : NULL, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        if (web_may_see_incident(r, &list[i]))
            (void)json_array_append_new(items, incident_json(r, &list[i]));
    kt_incident_list_free(&list, n);
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

enum MHD_Result web_get_incident(struct web_request *r)
{
    return reply_incident(r, r->incident->id, 200);
}

static bool copy_cameras(struct web_request *r, struct kt_incident *in, const json_t *value)
{
    size_t i;
    json_t *item;
    if (!json_is_array(value) || json_array_size(value) == 0 || json_array_size(value) > MAX_CAMERAS)
        return false;
    json_array_foreach(value, i, item)
        if (!json_is_string(item) || !kt_id_valid(json_string_value(item)) ||
            !web_may_see(r, json_string_value(item)) ||
            !web_camera_known(r->web, json_string_value(item)))
            return false;
    free(in->cameras);
    in->cameras = json_dumps(value, JSON_COMPACT);
    return in->cameras != NULL;
}

static bool copy_string(char *out, size_t cap, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) >= cap)
        return false;
    strcpy(out, json_string_value(value));
    return true;
}

static bool apply_one(struct web_request *r, struct kt_incident *in, const char *key,
                      const json_t *value)
{
    if (strcmp(key, "title") == 0)
        return copy_string(in->title, sizeof(in->title), value) && in->title[0];
    if (strcmp(key, "from") == 0)
        return json_is_string(value) && kt_rfc3339_parse(json_string_value(value), &in->from_us) == 0;
    if (strcmp(key, "to") == 0)
        return json_is_string(value) && kt_rfc3339_parse(json_string_value(value), &in->to_us) == 0;
    if (strcmp(key, "cameras") == 0)
        return copy_cameras(r, in, value);
    if (strcmp(key, "closed") == 0) {
        in->closed = json_is_true(value);
        return json_is_boolean(value);
    }
    if (!json_is_string(value) || json_string_length(value) > NOTES_MAX)
        return false;
    free(in->notes);
    in->notes = strdup(json_string_value(value));
    return in->notes != NULL;
}

static const char *const incident_keys[] = { "title", "from", "to", "cameras", "notes", "closed",
                                             NULL };

/* Apply the body to IN and store it. */
static enum MHD_Result put_incident(struct web_request *r, struct kt_incident *in, unsigned status)
{
    const char *key;
    char detail[96], object[32];
    json_t *value;
    enum MHD_Result result;
    json_t *body = web_body(r, incident_keys, &result);
    if (!body)
        return result;
    json_object_foreach(body, key, value) {
        if (apply_one(r, in, key, value))
            continue;
        snprintf(detail, sizeof(detail), "the value of %.40s is not allowed", key);
        json_decref(body);
        return web_problem(r, 400, "bad-request", detail);
    }
    json_decref(body);
    if (in->to_us - in->from_us > LONGEST_US)
        return web_problem(r, 400, "bad-request", "at most 31 days");
    const int ret = kt_catalog_incident_put(r->web->params.catalog, in);
    if (ret < 0)
        return web_problem_errno(r, ret);
    snprintf(object, sizeof(object), "%lld", (long long)in->id);
    web_audit(r, status == 201 ? "incident-add" : "incident-change", object,
              json_pack("{s:o}", "title", web_json_text(in->title)));
    return reply_incident(r, in->id, status);
}

enum MHD_Result web_add_incident(struct web_request *r)
{
    struct kt_incident in = { .id = 0 };
    strcpy(in.created_by, r->user->username);
    const enum MHD_Result result = put_incident(r, &in, 201);
    free(in.cameras);
    free(in.notes);
    return result;
}

enum MHD_Result web_change_incident(struct web_request *r)
{
    return put_incident(r, r->incident, 200);
}

enum MHD_Result web_delete_incident(struct web_request *r)
{
    const int ret = kt_catalog_incident_delete(r->web->params.catalog, r->incident->id);
    if (ret == -EBUSY)
        return web_problem(r, 409, "in-use", "video is held for it, or a package of it exists");
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "incident-delete", r->params.value[0], NULL);
    return web_reply_empty(r, 204);
}

enum MHD_Result web_mark_event(struct web_request *r)
{
    static const char *const keys[] = { "event", "marked", NULL };
    enum MHD_Result result;
    json_int_t event = 0;
    int marked = 1, ret = -EINVAL;
    struct kt_event *ev = NULL;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:I, s?b}", "event", &event, "marked", &marked) == 0)
        ret = kt_catalog_event_get(r->web->params.catalog, event, &ev);
    json_decref(body);
    if (ret == 0 && !web_may_see(r, ev->camera))
        ret = -ENOENT;
    kt_event_list_free(&ev, ev ? 1 : 0);
    if (ret == 0)
        ret = kt_catalog_incident_mark(r->web->params.catalog, r->incident->id, event, marked);
    if (ret == 0)
        web_audit(r, "incident-mark", r->params.value[0], json_pack("{s:I, s:b}", "event", event, "marked", marked));
    return ret < 0 ? web_problem_errno(r, ret) : reply_incident(r, r->incident->id, 200);
}

enum MHD_Result web_share_incident(struct web_request *r)
{
    static const char *const keys[] = { "username", "on", NULL };
    const char *username = "";
    enum MHD_Result result;
    int on = 1, ret = -EINVAL;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:s, s?b}", "username", &username, "on", &on) == 0)
        ret = kt_catalog_incident_share(r->web->params.catalog, r->incident->id, username, on);
    if (ret == 0)
        web_audit(r, on ? "incident-share" : "incident-unshare", r->params.value[0],
                  json_pack("{s:s}", "with", username));
    json_decref(body);
    return ret < 0 ? web_problem_errno(r, ret) : reply_incident(r, r->incident->id, 200);
}

/* ------------------------------ holds ------------------------------ */

void web_wake_jobs(struct web_request *r)
{
    if (r->web->params.jobs)
        kt_vault_jobs_wake(r->web->params.jobs);
}

/* Bytes that are recorded of CAMERA's STREAM; 0 for nothing. */
static uint64_t size_of(struct web_request *r, const char *camera, const char *stream)
{
    struct kt_clip_info info = { .size = 0 };
    struct kt_clip *clip = NULL;
    if (web_open_clip(r->web, camera, stream, r->incident->from_us, r->incident->to_us, &clip) == 0)
        kt_clip_info(clip, &info);
    kt_clip_close(&clip);
    return info.size;
}

/* Is all of the incident's span of CAMERA in the vault already, or on its way? */
static bool is_held(struct web_request *r, const char *camera, const char *stream)
{
    kt_cleanup(kt_freep) struct kt_hold *list = NULL;
    size_t n = 0;
    bool held = false;
    if (kt_catalog_hold_list(r->web->params.catalog, r->incident->id, &list, &n) < 0)
        return false;
    for (size_t i = 0; i < n && !held; i++)
        held = strcmp(list[i].camera, camera) == 0 && strcmp(list[i].stream, stream) == 0 &&
               list[i].from_us <= r->incident->from_us && list[i].to_us >= r->incident->to_us &&
               (list[i].state == KT_JOB_WAITING || list[i].state == KT_JOB_RUNNING ||
                list[i].state == KT_JOB_DONE);
    return held;
}

static int add_hold(struct web_request *r, const char *camera, const char *stream)
{
    struct kt_hold hold = { .incident = r->incident->id, .from_us = r->incident->from_us,
                            .to_us = r->incident->to_us, .state = KT_JOB_WAITING };
    snprintf(hold.camera, sizeof(hold.camera), "%s", camera);
    snprintf(hold.stream, sizeof(hold.stream), "%s", stream);
    strcpy(hold.created_by, r->user->username);
    return kt_catalog_hold_add(r->web->params.catalog, &hold);
}

static enum MHD_Result hold_cameras(struct web_request *r, const json_t *cameras, const char *stream)
{
    struct kt_vault_status vault;
    uint64_t bytes = 0;
    size_t i, held = 0;
    json_t *item;
    json_array_foreach(cameras, i, item) {
        if (is_held(r, json_string_value(item), stream))
            held++;
        else
            bytes += size_of(r, json_string_value(item), stream);
    }
    if (bytes == 0 && held == 0)
        return web_problem(r, 404, "not-recorded", "nothing is recorded there");
    kt_vault_status(r->web->params.vault, &vault);
    if (vault.used_bytes + bytes > vault.max_bytes)
        return web_problem(r, 507, "vault-full", "the vault is full: release something first. "
                           "Recording goes on.");
    json_array_foreach(cameras, i, item) {
        const bool skip = is_held(r, json_string_value(item), stream) ||
                          size_of(r, json_string_value(item), stream) == 0;
        const int ret = skip ? 0 : add_hold(r, json_string_value(item), stream);
        if (ret < 0)
            return web_problem_errno(r, ret);
    }
    web_audit(r, "hold", r->params.value[0], json_pack("{s:s, s:I}", "stream", stream, "bytes",
                                                      (json_int_t)bytes));
    web_wake_jobs(r);
    return web_reply_json(r, 202, json_pack("{s:o, s:n}", "items", holds_of(r, r->incident->id),
                                            "next"));
}

enum MHD_Result web_add_holds(struct web_request *r)
{
    static const char *const keys[] = { "stream", NULL };
    const char *stream = "main";
    enum MHD_Result result;
    if (!r->web->params.vault)
        return web_problem(r, 503, "no-vault", "there is no vault: see storage in the configuration");
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    json_t *cameras = json_loads(r->incident->cameras ? r->incident->cameras : "[]", 0, NULL);
    if (json_unpack(body, "{s?s}", "stream", &stream) < 0 ||
        (strcmp(stream, "main") != 0 && strcmp(stream, "sub") != 0))
        result = web_problem(r, 400, "bad-request", "stream is main or sub");
    else
        result = hold_cameras(r, cameras, stream);
    json_decref(cameras);
    json_decref(body);
    return result;
}

enum MHD_Result web_list_holds(struct web_request *r)
{
    struct kt_vault_status vault = { 0 };
    if (r->web->params.vault)
        kt_vault_status(r->web->params.vault, &vault);
    return web_reply_json(r, 200, json_pack(
        "{s:o, s:n, s:{s:I, s:I, s:I}}", "items", holds_of(r, 0), "next", "vault", "max_bytes",
        (json_int_t)vault.max_bytes, "used_bytes", (json_int_t)vault.used_bytes, "free_bytes",
        (json_int_t)vault.free_bytes));
}

static int release(struct web_request *r, int64_t id)
{
    const struct kt_web_params *p = &r->web->params;
    if (p->jobs)
        return kt_vault_jobs_cancel_hold(p->jobs, id);
    return p->vault ? kt_vault_release(p->vault, id) : kt_catalog_hold_release(p->catalog, id);
}

enum MHD_Result web_release_hold(struct web_request *r)
{
    uint64_t id;
    struct kt_hold hold;
    int ret = web_parse_uint(r->params.value[0], INT64_MAX, &id) ?
              kt_catalog_hold_get(r->web->params.catalog, (int64_t)id, &hold) : -ENOENT;
    if (ret == 0)
        ret = release(r, (int64_t)id);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "hold-release", r->params.value[0], json_pack("{s:s}", "camera", hold.camera));
    return web_reply_empty(r, 204);
}

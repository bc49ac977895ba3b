/*
 * r_exports.c - evidence packages, and the links by which they leave.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/clock.h"

#define SHARE_DAYS 7
#define REQUEST_TEXT_MAX 500
#define CAMERAS_MAX 1000

/* ------------------------------ as JSON ------------------------------ */

static json_t *export_json(const struct kt_export *e)
{
    const char *state = kt_job_state_name(e->state);
    json_t *request = e->request ? json_loads(e->request, 0, NULL) : NULL;
    return json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                     (json_int_t)e->id, "incident", (json_int_t)e->incident, "state",
                     state ? state : "failed", "done_bytes", (json_int_t)e->done_bytes,
                     "total_bytes", (json_int_t)e->total_bytes, "size", (json_int_t)e->size_bytes,
                     "name", e->name[0] ? web_json_text(e->name) : json_null(), "manifest_sha256",
                     e->manifest_sha256[0] ? web_json_text(e->manifest_sha256) : json_null(), "why",
                     web_json_text(e->why), "request", request ? request : json_null(),
                     "created_by", web_json_text(e->created_by), "created",
                     web_json_time(e->created_us), "finished", web_json_time(e->finished_us));
}

static json_t *share_json(const struct kt_share *s)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:i, s:i, s:b, s:b, s:o, s:o}", "id", (json_int_t)s->id,
                     "export", (json_int_t)s->export_id, "created", web_json_time(s->created_us),
                     "expires", web_json_time(s->expires_us), "max_downloads", (int)s->max_downloads,
                     "downloads", (int)s->downloads, "has_pin", s->has_pin, "revoked", s->revoked,
                     "note", web_json_text(s->note), "created_by", web_json_text(s->created_by));
}

/* ------------------------------ packages ------------------------------ */

/* Is INCIDENT one that this user may see? */
static bool may_see_id(struct web_request *r, int64_t incident)
{
    struct kt_incident *in = NULL;
    if (kt_catalog_incident_get(r->web->params.catalog, incident, &in) < 0)
        return false;
    const bool yes = web_may_see_incident(r, in);
    kt_incident_list_free(&in, 1);
    return yes;
}

enum MHD_Result web_list_exports(struct web_request *r)
{
    struct kt_export *list = NULL;
    size_t n = 0;
    uint64_t incident = 0;
    const char *text = web_query(r, "incident");
    if (text && !web_parse_uint(text, INT64_MAX, &incident))
        return web_problem(r, 400, "bad-request", "incident is a number");
    const int ret = kt_catalog_export_list(r->web->params.catalog, (int64_t)incident, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        if (may_see_id(r, list[i].incident))
            (void)json_array_append_new(items, export_json(&list[i]));
    kt_export_list_free(&list, n);
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

static const char *const request_keys[] = { "incident", "agency", "officer", "officer_id", "letter",
                                            "letter_date", "report", "purpose", "kind", "cameras", "masks",
                                            NULL };

/* "cameras" of copies: names, at least one. */
static bool are_names(const json_t *list)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > CAMERAS_MAX)
        return false;
    json_array_foreach(list, i, item)
        if (!json_is_string(item))
            return false;
    return true;
}

/* A package, or copies for looking at; only those are of some cameras, and have masks. */
static bool has_good_kind(const json_t *request)
{
    struct kt_mask masks[KT_MASKS_MAX];
    size_t n;
    const char *kind = json_string_value(json_object_get(request, "kind"));
    const bool copy = kind && strcmp(kind, "copy") == 0;
    if (kind && !copy && strcmp(kind, "package") != 0)
        return false;
    const json_t *cameras = json_object_get(request, "cameras");
    if (cameras && (!copy || !are_names(cameras)))
        return false;
    if (!json_object_get(request, "masks"))
        return true;
    kt_cleanup(kt_freep) char *text = json_dumps(request, JSON_COMPACT);
    return copy && text && kt_masks_of(text, NULL, masks, &n) == 0;
}

/* Who asked, by which letter: plain texts. */
static bool is_request(const json_t *request)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)request, key, value)
        if (strcmp(key, "masks") != 0 && strcmp(key, "cameras") != 0 && (!json_is_string(value) || json_string_length(value) > REQUEST_TEXT_MAX))
            return false;
    return has_good_kind(request);
}

static int add_export(struct web_request *r, int64_t incident, const json_t *request, int64_t *id)
{
    struct kt_export e = { .incident = incident, .state = KT_JOB_WAITING };
    strcpy(e.created_by, r->user->username);
    e.request = json_dumps(request, JSON_COMPACT);
    const int ret = e.request ? kt_catalog_export_add(r->web->params.catalog, &e) : -ENOMEM;
    free(e.request);
    *id = e.id;
    return ret;
}

static enum MHD_Result accepted(struct web_request *r, int64_t id)
{
    char location[64];
    struct kt_export *e = NULL;
    if (kt_catalog_export_get(r->web->params.catalog, id, &e) < 0)
        return web_problem_errno(r, -ENOENT);
    char *text = json_dumps(export_json(e), JSON_COMPACT);
    kt_export_list_free(&e, 1);
    struct MHD_Response *response = text ?
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;
    snprintf(location, sizeof(location), "/api/v1/exports/%" PRId64, id);
    if (response) {
        (void)MHD_add_response_header(response, "Content-Type", "application/json");
        (void)MHD_add_response_header(response, "Location", location);
    }
    return web_reply(r, 202, response, CACHE_NEVER);
}

enum MHD_Result web_add_export(struct web_request *r)
{
    enum MHD_Result result;
    int64_t id = 0;
    char object[32];
    if (!r->web->params.vault)
        return web_problem(r, 503, "no-vault", "there is no vault: see storage in the configuration");
    json_t *body = web_body(r, request_keys, &result);
    if (!body)
        return result;
    const json_t *number = json_object_get(body, "incident");
    const int64_t incident = json_is_integer(number) ? json_integer_value(number) : 0;
    (void)json_object_del(body, "incident");
    int ret = !is_request(body) || incident <= 0 ? -EINVAL : !may_see_id(r, incident) ? -ENOENT : 0;
    if (ret == 0)
        ret = add_export(r, incident, body, &id);
    if (ret == 0) {
        snprintf(object, sizeof(object), "%" PRId64, id);
        web_audit(r, "export", object, json_incref(body));
        web_wake_jobs(r);
    }
    json_decref(body);
    return ret < 0 ? web_problem_errno(r, ret) : accepted(r, id);
}

enum MHD_Result web_get_export(struct web_request *r)
{
    return web_reply_json(r, 200, export_json(r->export));
}

enum MHD_Result web_cancel_export(struct web_request *r)
{
    const struct kt_web_params *p = &r->web->params;
    const int ret = p->jobs ? kt_vault_jobs_cancel_export(p->jobs, r->export->id) :
                    kt_catalog_export_state(p->catalog, r->export->id, KT_JOB_CANCELLED, "withdrawn");
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "export-cancel", r->params.value[0], NULL);
    return web_reply_empty(r, 204);
}

static void package_etag(const struct kt_export *e, char etag[80])
{
    snprintf(etag, 80, "\"%.64s\"", e->manifest_sha256);
}

/* The ZIP of E, with Range. */
static enum MHD_Result send_package(struct web_request *r, const struct kt_export *e)
{
    char name[128], etag[80];
    struct stat st;
    uint64_t first = 0, last = 0;
    if (e->state != KT_JOB_DONE || !r->web->params.vault)
        return web_problem(r, 409, "not-ready", "the package is not finished");
    snprintf(name, sizeof(name), "%s.zip", e->name);
    const int fd = kt_vault_open_file(r->web->params.vault, name);
    if (fd < 0)
        return web_problem_errno(r, fd);
    if (fstat(fd, &st) < 0) {
        (void)close(fd);
        return web_problem_errno(r, -EIO);
    }
    package_etag(e, etag);
    const enum web_range what = web_range_of(r, (uint64_t)st.st_size, etag, &first, &last);
    if (what == WEB_RANGE_BAD) {
        (void)close(fd);
        return web_bad_range(r, (uint64_t)st.st_size);
    }
    const uint64_t size = what == WEB_RANGE_OK ? last - first + 1 : (uint64_t)st.st_size;
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, first);
    if (!response) {
        (void)close(fd);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", "application/zip");
    return web_reply_range(r, response, what, first, last, (uint64_t)st.st_size, etag, name);
}

/* Does this request begin a download of E (and is not the rest of one)? Asked of what will be
 * sent: a range that is none, of another package or from the end may be all of it. */
static bool begins_download(struct web_request *r, const struct kt_export *e)
{
    char etag[80];
    uint64_t first = 0, last = 0;
    package_etag(e, etag);
    const enum web_range what = web_range_of(r, e->size_bytes, etag, &first, &last);
    return !r->head && (what == WEB_RANGE_NONE || (what == WEB_RANGE_OK && first == 0));
}

enum MHD_Result web_package(struct web_request *r)
{
    if (begins_download(r, r->export))
        web_audit(r, "package-download", r->params.value[0], NULL);
    return send_package(r, r->export);
}

/* The report of the package itself, to be printed without unpacking it. */
enum MHD_Result web_paper(struct web_request *r)
{
    char *text = NULL;
    size_t size = 0;
    if (r->export->state != KT_JOB_DONE || !r->web->params.vault)
        return web_problem(r, 409, "not-ready", "the package is not finished");
    const int ret = kt_package_text(r->web->params.vault, r->export->name, "BERITA-ACARA.html", &text,
                                    &size);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "paper", r->params.value[0], NULL);
    return web_reply_bytes(r, text, size, "text/html; charset=utf-8", CACHE_NEVER);
}

/* ------------------------------ links ------------------------------ */

enum MHD_Result web_list_shares(struct web_request *r)
{
    kt_cleanup(kt_freep) struct kt_share *list = NULL;
    size_t n = 0;
    const int ret = kt_catalog_share_list(r->web->params.catalog, r->export->id, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, share_json(&list[i]));
    return web_reply_json(r, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

enum MHD_Result web_add_share(struct web_request *r)
{
    static const char *const keys[] = { "days", "max_downloads", "pin", "note", NULL };
    struct kt_share share = { .export_id = r->export->id };
    const char *pin = NULL, *note = "";
    char token[KT_TOKEN_SIZE], path[96];
    enum MHD_Result result;
    int days = SHARE_DAYS, max = 0, ret = -EINVAL;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s?i, s?i, s?s, s?s}", "days", &days, "max_downloads", &max, "pin", &pin,
                    "note", &note) == 0 && days >= 1 && days <= 365 && max >= 0) {
        share.expires_us = kt_clock_wall_us() + (int64_t)days * 86400 * KT_SECOND_US;
        share.max_downloads = (uint32_t)max;
        snprintf(share.note, sizeof(share.note), "%s", note);
        strcpy(share.created_by, r->user->username);
        ret = kt_catalog_share_add(r->web->params.catalog, &share, pin, token);
    }
    if (ret == 0)
        web_audit(r, "link-add", r->params.value[0], json_pack("{s:I, s:s}", "link",
                                                              (json_int_t)share.id, "note", note));
    json_decref(body);
    if (ret < 0)
        return web_problem_errno(r, ret);
    snprintf(path, sizeof(path), "/e/%s", token);
    json_t *root = share_json(&share);
    (void)json_object_set_new(root, "path", json_string(path));
    return web_reply_json(r, 201, root);
}

enum MHD_Result web_revoke_share(struct web_request *r)
{
    uint64_t id;
    const int ret = web_parse_uint(r->params.value[0], INT64_MAX, &id) ?
                    kt_catalog_share_revoke(r->web->params.catalog, (int64_t)id) : -ENOENT;
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "link-revoke", r->params.value[0], NULL);
    return web_reply_empty(r, 204);
}

enum MHD_Result web_share_log(struct web_request *r)
{
    kt_cleanup(kt_freep) struct kt_share_use *list = NULL;
    size_t n = 0;
    uint64_t id;
    const int ret = web_parse_uint(r->params.value[0], INT64_MAX, &id) ?
                    kt_catalog_share_log(r->web->params.catalog, (int64_t)id, &list, &n) : -ENOENT;
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, json_pack(
            "{s:o, s:o, s:s}", "time", web_json_time(list[i].time_us), "address",
            web_json_text(list[i].address), "what", list[i].what));
    return web_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

/* ------------------------------ the file of a link ------------------------------ */

enum MHD_Result web_share_package(struct web_request *r)
{
    kt_catalog *c = r->web->params.catalog;
    struct kt_share share;
    struct kt_export *e = NULL;
    char pin[16];
    const char *typed = web_share_pin_cookie(r, pin);
    const bool part = !r->head && web_header(r, "Range");
    int ret = r->head ? kt_catalog_share_open(c, r->params.value[0], typed, r->address, &share) :
              part ? kt_catalog_share_resume(c, r->params.value[0], typed, r->address, &share) :
                     kt_catalog_share_download(c, r->params.value[0], typed, r->address, &share);
    const bool counted = ret == 1;
    if (ret >= 0)
        ret = kt_catalog_export_get(c, share.export_id, &e);
    if (ret == 0 && part && !counted && begins_download(r, e))
        ret = kt_catalog_share_download(c, r->params.value[0], typed, r->address, &share);
    const enum MHD_Result result = ret < 0 ? web_share_page(r) : send_package(r, e);
    kt_export_list_free(&e, e ? 1 : 0);
    return result;
}

/*
 * r_events.c - what was seen: lists, pictures, marking, searching by place.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/activity.h"

#define DEFAULT_LIMIT 100
#define MAX_LIMIT 1000
#define MAX_CAMERAS 256
#define MAX_TYPES 16
#define MAX_IDS 1000
#define MAX_SPANS 500
#define MAX_ROUNDS 50           /* pages looked through for a list of types */

static json_t *event_json(const struct kt_event *ev)
{
    char thumbnail[64];
    json_t *detail = ev->detail ? json_loads(ev->detail, 0, NULL) : NULL;
    snprintf(thumbnail, sizeof(thumbnail), "/api/v1/events/%" PRId64 "/thumbnail.jpg", ev->id);
    return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:f, s:b, s:o, s:o}", "id", (json_int_t)ev->id,
                     "camera", ev->camera, "type", ev->type, "rule", web_json_text(ev->rule),
                     "start", web_json_time(ev->start_us), "end", web_json_time(ev->end_us),
                     "score", ev->score, "seen", ev->seen, "thumbnail",
                     ev->has_thumbnail ? json_string(thumbnail) : json_null(), "detail",
                     detail ? detail : json_null());
}

/* ------------------------------ filters ------------------------------ */

struct id_list {
    const struct web_request *r;
    size_t n;
    char ids[MAX_CAMERAS][KT_ID_MAX + 1];
    const char *ptr[MAX_CAMERAS];
};

static void add_id(struct id_list *list, const char *id)
{
    if (list->n == MAX_CAMERAS || strlen(id) > KT_ID_MAX || !web_may_see(list->r, id))
        return;
    strcpy(list->ids[list->n], id);
    list->ptr[list->n] = list->ids[list->n];
    list->n++;
}

static bool on_id(void *user, const char *id)
{
    add_id(user, id);
    return true;
}

/*
 * camera= reduced to what this user may see. False: not a list. Without camera=
 * everything the user may see: *ALL when that is everything there is.
 */
static bool camera_filter(struct web_request *r, struct id_list *list, bool *all)
{
    const char *text = web_query(r, "camera");
    size_t i;
    json_t *item;
    list->r = r;
    list->n = 0;
    *all = !text && !r->cameras;
    if (text)
        return web_query_list(r, "camera", MAX_CAMERAS, KT_ID_MAX + 1, on_id, list);
    json_array_foreach(r->cameras, i, item)
        if (json_is_string(item))
            add_id(list, json_string_value(item));
    return true;
}

struct type_list {
    size_t n;
    char types[MAX_TYPES][24];
};

static bool on_type(void *user, const char *type)
{
    struct type_list *list = user;
    if (list->n == MAX_TYPES)
        return false;
    snprintf(list->types[list->n++], sizeof(list->types[0]), "%s", type);
    return true;
}

static bool has_type(const struct type_list *list, const char *type)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->types[i], type) == 0)
            return true;
    return list->n == 0;
}

/* The simple members of the filter. False: *WHAT is the bad one. */
static bool parse_filter(struct web_request *r, struct kt_event_filter *f, struct type_list *types,
                         const char **what)
{
    const char *text;
    uint64_t limit = DEFAULT_LIMIT;
    bool seen;
    *what = "type";
    if (!web_query_list(r, "type", MAX_TYPES, 24, on_type, types))
        return false;
    *what = "from";
    if ((text = web_query(r, "from")) && kt_rfc3339_parse(text, &f->from_us) < 0)
        return false;
    *what = "to";
    if ((text = web_query(r, "to")) && kt_rfc3339_parse(text, &f->to_us) < 0)
        return false;
    *what = "limit";
    if ((text = web_query(r, "limit")) && (!web_parse_uint(text, MAX_LIMIT, &limit) || limit == 0))
        return false;
    *what = "cursor";
    if ((text = web_query(r, "cursor")) &&
        !web_parse_cursor(text, &f->before_start_us, &f->before_id))
        return false;
    *what = "seen";
    f->seen = -1;
    if ((text = web_query(r, "seen"))) {
        if (!web_parse_bool(text, &seen))
            return false;
        f->seen = seen;
    }
    *what = "rule";
    if ((f->rule = web_query(r, "rule")) && strlen(f->rule) >= sizeof(((struct kt_event *)0)->rule))
        return false;
    f->limit = (size_t)limit;
    f->type = types->n == 1 ? types->types[0] : NULL;
    return true;
}

/* Append matching events until LIMIT; *MORE when there may be others after the last. */
static int collect(struct web_request *r, struct kt_event_filter *f, const struct type_list *types,
                   json_t *items, bool *more)
{
    const size_t limit = f->limit;
    *more = true;
    for (int round = 0; round < MAX_ROUNDS && json_array_size(items) < limit && *more; round++) {
        struct kt_event *list = NULL;
        size_t n = 0;
        const int ret = kt_catalog_event_list(r->web->params.catalog, f, &list, &n);
        if (ret < 0)
            return ret;
        *more = n == f->limit;
        for (size_t i = 0; i < n; i++) {
            if (json_array_size(items) == limit) {
                *more = true;
                break;
            }
            f->before_start_us = list[i].start_us;
            f->before_id = list[i].id;
            if (has_type(types, list[i].type))
                (void)json_array_append_new(items, event_json(&list[i]));
        }
        kt_event_list_free(&list, n);
    }
    return 0;
}

enum MHD_Result web_list_events(struct web_request *r)
{
    struct kt_event_filter f = { .seen = -1 };
    struct type_list types = { .n = 0 };
    const char *what = "camera";
    char detail[64], cursor[64];
    bool all, more = false;
    kt_cleanup(kt_freep) struct id_list *cameras = malloc(sizeof(*cameras));
    if (!cameras)
        return web_problem_errno(r, -ENOMEM);
    if (!camera_filter(r, cameras, &all) || !parse_filter(r, &f, &types, &what)) {
        snprintf(detail, sizeof(detail), "%s is not right", what);
        return web_problem(r, 400, "bad-request", detail);
    }
    if (f.from_us && f.to_us && f.from_us >= f.to_us)
        return web_problem(r, 416, "bad-range", "from is not before to");
    if (f.from_us < web_earliest(r))
        f.from_us = web_earliest(r);
    f.cameras = all ? NULL : cameras->ptr;
    f.n_cameras = all ? 0 : cameras->n;
    json_t *items = json_array();
    const int ret = all || cameras->n > 0 ? collect(r, &f, &types, items, &more) : 0;
    if (ret < 0) {
        json_decref(items);
        return web_problem_errno(r, ret);
    }
    snprintf(cursor, sizeof(cursor), "%" PRId64 "-%" PRId64, f.before_start_us, f.before_id);
    return web_reply_json(r, 200, json_pack("{s:o, s:o}", "items", items, "next",
                                            more ? json_string(cursor) : json_null()));
}

/* ------------------------------ one event ------------------------------ */

enum MHD_Result web_get_event(struct web_request *r)
{
    return web_reply_json(r, 200, event_json(r->event));
}

enum MHD_Result web_change_event(struct web_request *r)
{
    static const char *const keys[] = { "seen", NULL };
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    const json_t *seen = json_object_get(body, "seen");
    int ret = 0;
    if (seen && !json_is_boolean(seen))
        ret = -EINVAL;
    else if (seen)
        ret = kt_catalog_event_set_seen(r->web->params.catalog, r->event->id, json_is_true(seen));
    if (ret == 0 && seen)
        r->event->seen = json_is_true(seen);
    json_decref(body);
    return ret < 0 ? web_problem_errno(r, ret) : web_reply_json(r, 200, event_json(r->event));
}

/* Those of IDS that exist and are for this user. */
static int mark(struct web_request *r, const json_t *ids, bool seen)
{
    kt_catalog *c = r->web->params.catalog;
    size_t i;
    json_t *item;
    json_array_foreach(ids, i, item) {
        struct kt_event *ev = NULL;
        if (!json_is_integer(item))
            return -EINVAL;
        int ret = kt_catalog_event_get(c, json_integer_value(item), &ev);
        if (ret == -ENOENT)
            continue;
        if (ret == 0 && web_may_see(r, ev->camera))
            ret = kt_catalog_event_set_seen(c, ev->id, seen);
        kt_event_list_free(&ev, ev ? 1 : 0);
        if (ret < 0)
            return ret;
    }
    return 0;
}

enum MHD_Result web_mark_seen(struct web_request *r)
{
    static const char *const keys[] = { "ids", "seen", NULL };
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    const json_t *ids = json_object_get(body, "ids"), *seen = json_object_get(body, "seen");
    int ret = -EINVAL;
    if (json_is_array(ids) && json_array_size(ids) <= MAX_IDS && json_is_boolean(seen))
        ret = mark(r, ids, json_is_true(seen));
    json_decref(body);
    return ret < 0 ? web_problem_errno(r, ret) : web_reply_empty(r, 204);
}

enum MHD_Result web_thumbnail(struct web_request *r)
{
    uint8_t *jpeg = NULL;
    size_t n = 0;
    const int ret = kt_catalog_thumbnail_get(r->web->params.catalog, r->event->id, &jpeg, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    /* The best frame may still change while the event goes on. */
    return web_reply_bytes(r, jpeg, n, "image/jpeg", r->event->end_us ? CACHE_FOREVER : CACHE_NEVER);
}

/* ------------------------------ by place ------------------------------ */

enum MHD_Result web_search_activity(struct web_request *r)
{
    int64_t from_us, to_us;
    enum MHD_Result result;
    uint8_t mask[KT_GRID_BYTES];
    struct kt_activity_span *list = NULL;
    size_t n = 0;
    const char *cells = web_query(r, "cells");
    if (!web_span(r, &from_us, &to_us, &result) || web_too_old(r, from_us, &result))
        return result;
    memset(mask, 0xff, sizeof(mask));
    if (cells && kt_unhex(mask, sizeof(mask), cells) < 0)
        return web_problem(r, 400, "bad-request", "cells are 36 hex digits");
    const int ret = kt_catalog_activity_search(r->web->params.catalog, r->params.value[0], from_us,
                                               to_us, mask, MAX_SPANS, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    web_audit(r, "search", r->params.value[0], json_pack("{s:o, s:o}", "from",
              web_json_time(from_us), "to", web_json_time(to_us)));
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, json_pack(
            "{s:o, s:o, s:f}", "start", web_json_time(list[i].from_us), "end",
            web_json_time(list[i].to_us), "score", list[i].score / 255.0));
    free(list);
    return web_reply_json(r, 200, json_pack("{s:o}", "items", items));
}

/*
 * r_timeline.c - what the timeline draws, from the indexes alone.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/activity.h"

#define MAX_BUCKETS 4096
#define DEFAULT_BUCKETS 512
#define MAX_CAMERAS 64
#define MAX_GAPS 400
#define MAX_PINS 200                    /* of one camera */
#define ALL_PINS 4000                   /* of all, when all are asked for */

struct view {
    struct web_request *r;
    int64_t from_us, to_us;
    size_t buckets, pins;
    json_t *cameras;
};

static json_t *span_json(const char *from, const char *to, int64_t from_us, int64_t to_us)
{
    json_t *o = json_object();
    (void)json_object_set_new(o, from, web_json_time(from_us));
    (void)json_object_set_new(o, to, web_json_time(to_us));
    return o;
}

/* Spans and gaps of one ring; what is narrower than half a bucket is joined. */
static void add_spans(const struct view *v, const struct kt_ring_span *list, size_t n,
                      json_t *spans, json_t *gaps)
{
    const int64_t close_us = (v->to_us - v->from_us) / (int64_t)v->buckets / 2;
    int64_t from_us = 0, to_us = 0;
    for (size_t i = 0; i < n; i++) {
        if (list[i].reason != KT_GAP_NONE) {
            if (list[i].to_us - list[i].from_us < close_us / 4 || json_array_size(gaps) >= MAX_GAPS)
                continue;
            json_t *gap = span_json("from", "to", list[i].from_us, list[i].to_us);
            (void)json_object_set_new(gap, "reason",
                                      json_string(kt_gap_reason_name(list[i].reason)));
            (void)json_array_append_new(gaps, gap);
            continue;
        }
        if (to_us != 0 && list[i].from_us - to_us <= close_us) {
            to_us = list[i].to_us > to_us ? list[i].to_us : to_us;
            continue;
        }
        if (to_us != 0)
            (void)json_array_append_new(spans, span_json("from", "to", from_us, to_us));
        from_us = list[i].from_us;
        to_us = list[i].to_us;
    }
    if (to_us != 0)
        (void)json_array_append_new(spans, span_json("from", "to", from_us, to_us));
}

/* Put what is in FIRST in front of *LIST. */
static void put_before(json_t **list, json_t *first)
{
    (void)json_array_extend(first, *list);
    json_decref(*list);
    *list = first;
}

/*
 * From the first ring that has anything there; what is older than that from the next ones, as rings of
 * events keep longer. That nothing happened between two events is no gap.
 */
static void recorded(const struct view *v, const char *camera, json_t **spans, json_t **gaps)
{
    const struct kt_web *web = v->r->web;
    int64_t until_us = v->to_us;
    for (size_t i = 0; i < web->params.n_rings && until_us > v->from_us; i++) {
        const struct kt_web_ring *where = &web->params.rings[i];
        struct kt_ring_span *list = NULL;
        size_t n = 0, first = 0;
        uint32_t stream;
        if (!web_find_stream(where->ring, camera, "main", &stream) ||
            kt_ring_spans(where->ring, stream, v->from_us, until_us, &list, &n) < 0)
            continue;
        json_t *more = json_array(), *missing = json_array();
        add_spans(v, list, n, more, missing);
        while (first < n && list[first].reason != KT_GAP_NONE)
            first++;
        if (first < n)
            until_us = list[first].from_us;
        if (where->events_only || (first == n && json_array_size(*gaps) > 0))
            (void)json_array_clear(missing);
        put_before(spans, more);
        put_before(gaps, missing);
        free(list);
    }
}

/* base64, empty when nothing moved. */
static json_t *heat(const struct view *v, const char *camera)
{
    uint8_t bytes[MAX_BUCKETS], any = 0;
    char text[(MAX_BUCKETS + 2) / 3 * 4 + 1];
    if (kt_catalog_activity_heat(v->r->web->params.catalog, camera, v->from_us, v->to_us,
                                 v->buckets, bytes) < 0)
        return json_string("");
    for (size_t i = 0; i < v->buckets; i++)
        any |= bytes[i];
    if (!any)
        return json_string("");
    (void)EVP_EncodeBlock((unsigned char *)text, bytes, (int)v->buckets);
    return json_string(text);
}

static json_t *events(const struct view *v, const char *camera, size_t *total)
{
    struct kt_event_pin *list = NULL;
    size_t n = 0;
    json_t *items = json_array();
    *total = 0;
    if (kt_catalog_event_pins(v->r->web->params.catalog, camera, v->from_us, v->to_us, v->pins,
                              &list, &n, total) < 0)
        return items;
    for (size_t i = 0; i < n; i++) {
        json_t *pin = span_json("start", "end", list[i].start_us, list[i].end_us);
        (void)json_object_set_new(pin, "id", json_integer(list[i].id));
        (void)json_object_set_new(pin, "type", json_string(list[i].type));
        (void)json_array_append_new(items, pin);
    }
    free(list);
    return items;
}

static bool add_camera(void *user, const char *id)
{
    struct view *v = user;
    size_t total = 0;
    if (!web_may_see(v->r, id) || !kt_id_valid(id) || !web_camera_known(v->r->web, id))
        return true;
    json_t *spans = json_array(), *gaps = json_array();
    recorded(v, id, &spans, &gaps);
    json_t *list = events(v, id, &total);
    (void)json_array_append_new(v->cameras, json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "id", id, "oldest",
        web_json_time(web_oldest(v->r->web, id)), "spans", spans, "gaps", gaps, "heat", heat(v, id),
        "events", list, "events_total", (json_int_t)total));
    return true;
}

static int add_all(struct view *v)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0;
    const int ret = web_cameras(v->r->web, &list, &n);
    if (n > ALL_PINS / MAX_PINS)
        v->pins = ALL_PINS / n > 0 ? ALL_PINS / n : 1;
    for (size_t i = 0; ret == 0 && i < n; i++)
        (void)add_camera(v, list[i].config.id);
    free(list);
    return ret;
}

enum MHD_Result web_timeline(struct web_request *r)
{
    struct view v = { .r = r, .pins = MAX_PINS };
    enum MHD_Result result;
    uint64_t buckets = DEFAULT_BUCKETS;
    const char *text = web_query(r, "buckets"), *cameras = web_query(r, "camera");
    if (!web_span(r, &v.from_us, &v.to_us, &result))
        return result;
    if (text && (!web_parse_uint(text, MAX_BUCKETS, &buckets) || buckets == 0))
        return web_problem(r, 400, "bad-request", "buckets is 1 to 4096");
    v.buckets = (size_t)buckets;
    v.cameras = json_array();
    if (cameras ? !web_query_list(r, "camera", MAX_CAMERAS, KT_ID_MAX + 1, add_camera, &v)
                : add_all(&v) < 0) {
        json_decref(v.cameras);
        return web_problem(r, 400, "bad-request", "camera is one id or several with commas");
    }
    return web_reply_json(r, 200, json_pack(
        "{s:o, s:o, s:I, s:o}", "from", web_json_time(v.from_us), "to", web_json_time(v.to_us),
        "buckets", (json_int_t)v.buckets, "cameras", v.cameras));
}

/*
 * r_system.c - how the recorder is doing: for people, for Prometheus, for a watchdog.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/clock.h"

/* For whom the ring is: as configured. */
static void add_purpose(json_t *root, const struct kt_web_ring *ring)
{
    json_t *cameras = ring->cameras ? json_array() : json_null();
    for (size_t i = 0; i < ring->n_cameras; i++)
        (void)json_array_append_new(cameras, json_string(ring->cameras[i]));
    (void)json_object_update_new(root, json_pack(
        "{s:s, s:s, s:o}", "only", ring->events_only ? "events" : "all", "streams",
        ring->streams ? ring->streams : "all", "cameras", cameras));
}

static json_t *failed_ring(const struct kt_web_ring *ring)
{
    return json_pack("{s:s, s:s, s:o, s:i, s:n, s:n, s:n}", "name", ring->name, "state", "failed",
                     "why", web_json_text(ring->why ? ring->why : "NOT RECORDING"), "size", 0,
                     "days", "oldest", "newest");
}

static json_t *open_ring(const struct kt_web_ring *ring)
{
    struct kt_ring_status s;
    kt_ring_status(ring->ring, &s);
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:I, s:I, s:o, s:f, s:o, s:o, s:o}", "name", ring->name, "state",
        s.state == KT_RING_OK ? "ok" : "failed", "why", web_json_text(s.why), "size",
        (json_int_t)s.size_bytes, "written", (json_int_t)s.payload_bytes_written, "days",
        s.days_capacity > 0 ? json_real(s.days_capacity) : json_null(), "bytes_per_second",
        s.bytes_per_second, "oldest", web_json_time(s.oldest_us), "newest",
        web_json_time(s.newest_us), "durable", web_json_time(s.durable_us));
    /* A ring of events is not measured by what it takes on a busy night. */
    const bool small = !ring->events_only && s.days_capacity > 0 && s.days_capacity < KT_RING_LEAST_DAYS;
    (void)json_object_update_new(root, json_pack(
        "{s:f, s:b}", "days_held", (double)(s.newest_us - s.oldest_us) / (86400.0 * KT_SECOND_US),
        "too_small", small));
    (void)json_object_update_new(root, json_pack(
        "{s:I, s:I, s:I, s:s, s:s}", "lost_intervals", (json_int_t)s.lost_intervals,
        "dropped_chunks", (json_int_t)s.dropped_chunks, "corrupt_records",
        (json_int_t)s.corrupt_records, "key_fingerprint", s.key_fingerprint, "uuid", s.uuid));
    return root;
}

static json_t *ring_json(const struct kt_web_ring *ring)
{
    json_t *root = ring->ring ? open_ring(ring) : failed_ring(ring);
    add_purpose(root, ring);
    return root;
}

/* Is every ring writing that should take video all the time? */
static bool is_recording(const struct kt_web *web)
{
    size_t n = 0;
    for (size_t i = 0; i < web->params.n_rings; i++) {
        struct kt_ring_status s = { .state = KT_RING_FAILED };
        if (web->params.rings[i].events_only)
            continue;
        if (web->params.rings[i].ring)
            kt_ring_status(web->params.rings[i].ring, &s);
        if (s.state != KT_RING_OK)
            return false;
        n++;
    }
    return n > 0;
}

/* How each camera does that this user may see; all about one is at its own address. */
static json_t *cameras_json(struct web_request *r)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0;
    json_t *items = json_array();
    if (r->user->role != KT_ROLE_POLICE && web_cameras(r->web, &list, &n) < 0)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct kt_camera_state *s = &list[i];
        if (web_may_see(r, s->config.id))
            (void)json_array_append_new(items, json_pack(
                "{s:s, s:b, s:s, s:o, s:o, s:f, s:I, s:I}", "id", s->config.id, "recording", s->recording,
                "state", s->state, "why", web_json_text(s->why), "last_frame", web_json_time(s->last_frame_us),
                "fps", s->fps, "lost_packets", (json_int_t)s->lost_packets, "reconnects",
                (json_int_t)s->reconnects));
    }
    free(list);
    return items;
}

enum MHD_Result web_system(struct web_request *r)
{
    const struct kt_web *web = r->web;
    struct kt_hub_status live;
    json_t *rings = json_array();
    for (size_t i = 0; i < web->params.n_rings; i++)
        (void)json_array_append_new(rings, ring_json(&web->params.rings[i]));
    kt_hub_status(web->params.hub, &live);
    json_t *root = json_pack(
        "{s:s, s:o, s:o, s:s, s:b, s:b, s:o, s:o, s:{s:I, s:I, s:I, s:I}}", "version", KT_VERSION,
        "time", web_json_time(kt_clock_wall_us()), "started", web_json_time(web->started_us),
        "timezone", web->params.timezone, "recording", is_recording(web), "clock_synchronised",
        kt_clock_synchronised(NULL), "rings", rings, "cameras", cameras_json(r), "viewers", "count", (json_int_t)live.viewers,
        "tiles", (json_int_t)live.tiles, "bytes_sent", (json_int_t)live.bytes_sent,
        "frames_dropped", (json_int_t)live.frames_dropped);
    char *more = web->params.site.system_json ?
                 web->params.site.system_json(web->params.site.user) : NULL;
    json_t *extra = more ? json_loads(more, 0, NULL) : NULL;
    free(more);
    if (json_is_object(extra))
        (void)json_object_update_missing(root, extra);
    json_decref(extra);
    return web_reply_json(r, 200, root);
}

enum MHD_Result web_health(struct web_request *r)
{
    if (!is_recording(r->web))
        return web_problem(r, 503, "not-recording", "NOT RECORDING");
    return web_reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
}

/* ------------------------------ Prometheus ------------------------------ */

static void metric(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP kentongan_%s %s\n# TYPE kentongan_%s %s\n", name, help, name, type);
}

static void camera_metrics(FILE *f, const struct kt_camera_state *list, size_t n)
{
    metric(f, "camera_recording", "gauge", "1 while the main stream reaches the disk.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_recording{camera=\"%s\"} %d\n", list[i].config.id,
                list[i].recording);
    metric(f, "camera_fps", "gauge", "Measured frames per second of the main stream.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_fps{camera=\"%s\"} %g\n", list[i].config.id, list[i].fps);
    metric(f, "camera_bits_per_second", "gauge", "Measured bit rate of the main stream.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_bits_per_second{camera=\"%s\"} %g\n", list[i].config.id,
                list[i].bitrate);
    metric(f, "camera_reconnects_total", "counter", "Sessions that had to be opened again.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_reconnects_total{camera=\"%s\"} %" PRIu64 "\n",
                list[i].config.id, list[i].reconnects);
    metric(f, "camera_lost_packets_total", "counter", "RTP packets that never came.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_lost_packets_total{camera=\"%s\"} %" PRIu64 "\n",
                list[i].config.id, list[i].lost_packets);
    metric(f, "camera_analysis_load", "gauge",
           "What motion detection gives up: 0 nothing, 1 some, 2 all but key frames, 3 most of these.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_analysis_load{camera=\"%s\"} %d\n", list[i].config.id,
                list[i].analysis_load);
    metric(f, "camera_analysis_lag_seconds", "gauge", "How long pictures wait for motion detection.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_analysis_lag_seconds{camera=\"%s\"} %g\n", list[i].config.id,
                list[i].analysis_lag_s);
    metric(f, "camera_analysis_dropped_packets_total", "counter",
           "Packets that motion detection never looked at. They are recorded.");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "kentongan_camera_analysis_dropped_packets_total{camera=\"%s\"} %" PRIu64 "\n",
                list[i].config.id, list[i].analysis_dropped);
}

struct ring_metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct kt_ring_status *s);
};

static uint64_t ring_ok(const struct kt_ring_status *s) { return s->state == KT_RING_OK; }
static uint64_t ring_held(const struct kt_ring_status *s)
{
    return (uint64_t)(s->newest_us - s->oldest_us) / KT_SECOND_US;
}
static uint64_t ring_written(const struct kt_ring_status *s) { return s->bytes_written; }
static uint64_t ring_syncs(const struct kt_ring_status *s) { return s->fsyncs; }
static uint64_t ring_lost(const struct kt_ring_status *s) { return s->lost_intervals; }
static uint64_t ring_dropped(const struct kt_ring_status *s) { return s->dropped_chunks; }
static uint64_t ring_corrupt(const struct kt_ring_status *s) { return s->corrupt_records; }

static const struct ring_metric ring_metrics[] = {
    { "ring_ok", "gauge", "1 while the ring takes video.", ring_ok },
    { "ring_held_seconds", "gauge", "From the oldest to the newest footage.", ring_held },
    { "ring_written_bytes_total", "counter", "Bytes written.", ring_written },
    { "ring_syncs_total", "counter", "Commits (fdatasync).", ring_syncs },
    { "ring_lost_intervals_total", "counter", "Commits that failed.", ring_lost },
    { "ring_dropped_chunks_total", "counter", "Frames the disk was too slow for.", ring_dropped },
    { "ring_corrupt_records_total", "counter", "Records that are not what was written.", ring_corrupt },
};

static void ring_metrics_write(FILE *f, const struct kt_web *web)
{
    for (size_t m = 0; m < KT_ARRAY_SIZE(ring_metrics); m++) {
        metric(f, ring_metrics[m].name, ring_metrics[m].type, ring_metrics[m].help);
        for (size_t i = 0; i < web->params.n_rings; i++) {
            struct kt_ring_status s = { .state = KT_RING_FAILED };
            if (web->params.rings[i].ring)
                kt_ring_status(web->params.rings[i].ring, &s);
            fprintf(f, "kentongan_%s{ring=\"%s\"} %" PRIu64 "\n", ring_metrics[m].name,
                    web->params.rings[i].name, ring_metrics[m].value(&s));
        }
    }
}

static void catalog_metrics(FILE *f, const struct kt_web *web)
{
    metric(f, "catalog_syncs_total", "counter", "Times the catalog waited for the disk (fsync).");
    fprintf(f, "kentongan_catalog_syncs_total %" PRIu64 "\n", kt_catalog_syncs(web->params.catalog));
}

static void live_metrics(FILE *f, struct kt_web *web)
{
    struct kt_hub_status live;
    kt_hub_status(web->params.hub, &live);
    metric(f, "viewers", "gauge", "Browsers with a live connection.");
    fprintf(f, "kentongan_viewers %zu\n", live.viewers);
    metric(f, "tiles", "gauge", "Live tiles shown.");
    fprintf(f, "kentongan_tiles %zu\n", live.tiles);
    metric(f, "live_sent_bytes_total", "counter", "Bytes sent to live viewers.");
    fprintf(f, "kentongan_live_sent_bytes_total %" PRIu64 "\n", live.bytes_sent);
    metric(f, "live_dropped_frames_total", "counter", "Frames skipped for slow viewers.");
    fprintf(f, "kentongan_live_dropped_frames_total %" PRIu64 "\n", live.frames_dropped);
    metric(f, "http_requests_total", "counter", "HTTP requests.");
    fprintf(f, "kentongan_http_requests_total %" PRIu64 "\n", (uint64_t)web->requests);
    metric(f, "http_refused_connections_total", "counter", "Connections above the limit of an address.");
    fprintf(f, "kentongan_http_refused_connections_total %" PRIu64 "\n", (uint64_t)web->refused);
}

static bool from_this_machine(const struct web_request *r)
{
    return strncmp(r->address, "127.", 4) == 0 || strcmp(r->address, "::1") == 0;
}

enum MHD_Result web_metrics(struct web_request *r)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0, size = 0;
    char *text = NULL;
    if (!from_this_machine(r) && !(r->user && r->user->role == KT_ROLE_ADMIN))
        return web_problem(r, r->user ? 403 : 401, r->user ? "forbidden" : "unauthorized",
                           "from this machine, or as an administrator");
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return web_problem_errno(r, -ENOMEM);
    if (web_cameras(r->web, &list, &n) == 0)
        camera_metrics(f, list, n);
    free(list);
    ring_metrics_write(f, r->web);
    catalog_metrics(f, r->web);
    live_metrics(f, r->web);
    if (fclose(f) != 0) {
        free(text);
        return web_problem_errno(r, -ENOMEM);
    }
    return web_reply_bytes(r, text, size, "text/plain; version=0.0.4; charset=utf-8", CACHE_NEVER);
}

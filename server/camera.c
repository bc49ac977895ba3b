#include "server/camera.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <string.h>

#include "decoders/decode/decode.h"
#include "server/advice.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/still.h"
#include "storage/catalog/activity.h"

/* A camera that is away for less than this is a hiccup, not an event. */
#define OFFLINE_EVENT_US (15 * KT_SECOND_US)
#define STILL_WIDTH 384                 /* of a tile on a phone; about 11 kB */
#define STILL_WHEN_OFF_US (10 * KT_SECOND_US)   /* each costs decoding a key frame */
#define PICTURE_OLD_US (45 * KT_SECOND_US)      /* then one is fetched by HTTP, if there is an address */
#define BOXES_STEP_US (180 * 1000)      /* outlines: as often as analysis runs, not more */
/* A main stream that begins again more often within a window, each time after it broke while the
 * sub-stream did not, is on trial without it. */
#define BEGINS_MAX 2
#define BEGINS_WINDOW_US (60 * KT_SECOND_US)
#define TRIAL_US (30 * KT_SECOND_US)
#define NEXT_TRIAL_US (600 * KT_SECOND_US)
/* Event numbers that no detector gives: it counts up from 1. */
#define AWAY_SOURCE (UINT64_MAX / 2)
#define TROUBLE_SOURCE (AWAY_SOURCE + 1)

struct kt_camera {
    /* --- constant after start --- */
    struct kt_camera_config config;
    struct kt_camera_env env;
    int64_t started_us;
    kt_stream *main;
    const char *no_ring_why;                /* words, when no ring takes the main stream; else NULL */
    kt_analysis_camera *analysis;
    kt_still *still;                        /* NULL unless analysis is off */
    kt_snapshot *snapshot;                  /* by HTTP; NULL: no address for it */
    /* --- analysis worker sets, others read --- */
    atomic_int open_events;
    atomic_uint troubles;                   /* bit of enum kt_trouble: going on now */
    int64_t boxes_us;                       /* worker only: picture of the last outlines, 0: none */
    atomic_bool sub_left;                   /* the sub-stream is left alone: analysis takes main */
    /* --- ingest thread --- */
    AVCodecParameters *main_par;            /* of the main stream, for when analysis takes it */
    AVRational main_time_base;
    bool main_fed;                          /* analysis knows of it */
    /* --- supervisor thread --- */
    kt_stream *sub;                         /* NULL: none, or left alone */
    uint64_t sessions_seen, begins;
    bool main_streamed, sub_held;           /* at the last tick; the sub-stream, when main broke */
    int64_t window_us, trial_us, no_trial_before_us;    /* monotonic */
    bool settled;                           /* without the sub-stream it works: that stays */
    char last_state[24];
    int64_t away_since_us;                  /* 0: it is here */
    bool away_posted;
    int64_t published_us;                   /* time of the last still published */
};

/* ------------------- from analysis, on a worker ------------------- */

static void on_motion(void *user, enum kt_motion_event_phase phase,
                      const struct kt_motion_event *ev)
{
    kt_camera *c = user;
    if (phase == KT_MOTION_EVENT_BEST)
        return;                         /* its picture comes by on_thumbnail() */
    struct kt_event_note note = {
        .phase = phase == KT_MOTION_EVENT_OPEN ? KT_EVENT_OPEN : KT_EVENT_CLOSE,
        .source_id = ev->id,
        .start_us = ev->start_us,
        .end_us = ev->end_us,
        .score = ev->score,
    };
    snprintf(note.camera, sizeof(note.camera), "%s", c->config.id);
    snprintf(note.type, sizeof(note.type), "%s", ev->type);
    snprintf(note.rule, sizeof(note.rule), "%s", ev->rule);
    snprintf(note.detail, sizeof(note.detail), "{\"box\":[%d,%d,%d,%d],\"best_us\":%lld}",
             ev->best.x, ev->best.y, ev->best.w, ev->best.h, (long long)ev->best_us);
    atomic_fetch_add(&c->open_events, phase == KT_MOTION_EVENT_OPEN ? 1 : -1);
    (void)kt_keeper_post(c->env.keeper, &note);     /* a full queue is counted there */
}

static void on_thumbnail(void *user, uint64_t event, const uint8_t *jpeg, size_t size)
{
    kt_camera *c = user;
    struct kt_event_note note = { .phase = KT_EVENT_BETTER, .source_id = event };
    snprintf(note.camera, sizeof(note.camera), "%s", c->config.id);
    note.jpeg = malloc(size);
    if (!note.jpeg)
        return;
    memcpy(note.jpeg, jpeg, size);
    note.jpeg_size = size;
    (void)kt_keeper_post(c->env.keeper, &note);
}

static void on_second(void *user, int64_t second, uint8_t score,
                      const uint8_t grid[KT_MOTION_GRID_BYTES])
{
    kt_camera *c = user;
    struct kt_activity a = { .second = second, .score = score };
    memcpy(a.grid, grid, sizeof(a.grid));
    (void)kt_catalog_activity_add(c->env.catalog, c->config.id, &a);
}

/* Box B of a picture W x H in shares of it, as JSON. Returns its length. */
static int box_json(char *out, size_t cap, const struct kt_box *b, double w, double h)
{
    const int n = snprintf(out, cap, "[%.3f,%.3f,%.3f,%.3f]", b->x / w, b->y / h, b->w / w, b->h / h);
    return n > 0 && (size_t)n < cap ? n : 0;
}

/* {"op":"motion",…}: outlines for those who look at this camera. */
static void on_boxes(void *user, const struct kt_box *boxes, int n, int w, int h, int64_t wall_us)
{
    kt_camera *c = user;
    char json[KT_HUB_MOTION_MAX];
    if (n == 0 ? c->boxes_us == 0 : wall_us - c->boxes_us < BOXES_STEP_US)
        return;
    int at = snprintf(json, sizeof(json), "{\"op\":\"motion\",\"camera\":\"%s\",\"boxes\":[",
                      c->config.id);
    for (int i = 0; i < n && at < (int)sizeof(json) - 64; i++) {
        if (i > 0)
            json[at++] = ',';
        at += box_json(json + at, sizeof(json) - (size_t)at, &boxes[i], w, h);
    }
    snprintf(json + at, sizeof(json) - (size_t)at, "]}");
    c->boxes_us = n > 0 ? wall_us : 0;
    kt_hub_publish_motion(c->env.hub, c->config.id, json, n > 0);
}

/* A lens that is covered is an event too, and a word on the camera's tile. */
static void on_trouble(void *user, enum kt_trouble trouble, bool now, int64_t since_us)
{
    kt_camera *c = user;
    const unsigned bit = 1u << trouble;
    if (now)
        atomic_fetch_or(&c->troubles, bit);
    else
        atomic_fetch_and(&c->troubles, ~bit);
    struct kt_event_note note = { .phase = now ? KT_EVENT_OPEN : KT_EVENT_CLOSE,
                                  .source_id = TROUBLE_SOURCE + trouble, .start_us = since_us,
                                  .end_us = now ? 0 : kt_clock_wall_us(), .score = 1 };
    snprintf(note.camera, sizeof(note.camera), "%s", c->config.id);
    snprintf(note.type, sizeof(note.type), "%s", kt_trouble_name(trouble));
    (void)kt_keeper_post(c->env.keeper, &note);
}

/* ------------------- from the stream, on ingest ------------------- */

static void on_format(void *user, const AVCodecParameters *par, AVRational time_base)
{
    kt_camera *c = user;
    if (c->still)
        kt_still_format(c->still, par, time_base);
    else
        kt_analysis_format(c->analysis, par, time_base);
}

static void on_packet(void *user, const AVPacket *pkt, int64_t wall_us)
{
    kt_camera *c = user;
    if (!c->still)
        kt_analysis_packet(c->analysis, pkt, wall_us);
    else if (pkt->flags & AV_PKT_FLAG_KEY)
        kt_still_put(c->still, pkt, wall_us);
}

static void on_gap(void *user)
{
    kt_camera *c = user;
    if (!c->still)
        kt_analysis_gap(c->analysis);
}

/* The main stream beside a sub-stream: of use to analysis only while that is left alone. */
static void on_main_format(void *user, const AVCodecParameters *par, AVRational time_base)
{
    kt_camera *c = user;
    c->main_fed = false;
    c->main_time_base = time_base;
    (void)avcodec_parameters_copy(c->main_par, par);
}

static void on_main_packet(void *user, const AVPacket *pkt, int64_t wall_us)
{
    kt_camera *c = user;
    if (!atomic_load(&c->sub_left)) {
        c->main_fed = false;
        return;
    }
    if (!c->main_fed)
        on_format(c, c->main_par, c->main_time_base);
    c->main_fed = true;
    on_packet(c, pkt, wall_us);
}

static void on_main_gap(void *user)
{
    kt_camera *c = user;
    if (atomic_load(&c->sub_left))
        on_gap(c);
}

/* ----------------------------- life ----------------------------- */

enum kt_analyzer_mode kt_camera_analyzer_mode(enum kt_analysis_mode mode)
{
    switch (mode) {
    case KT_ANALYSIS_OFF:
        return KT_ANALYZE_OFF;
    case KT_ANALYSIS_KEYFRAMES:
        return KT_ANALYZE_KEYFRAMES;
    case KT_ANALYSIS_FULL:
        return KT_ANALYZE_FULL;
    case KT_ANALYSIS_ADAPTIVE:
        break;
    }
    return KT_ANALYZE_ADAPTIVE;
}

static int start_stream(kt_camera *c, kt_stream **out, const char *kind, const char *url,
                        bool analyse, struct kt_error *err)
{
    struct kt_stream_params p = {
        .camera = c->config.id, .kind = kind, .url = url, .transport = c->config.transport,
        .hub = c->env.hub, .loop = c->env.loop, .pool = c->env.pool, .user = c,
        .guard = c->config.provisioned ? NULL : c->env.guard,
    };
    const char *why;
    p.n_rings = kt_ring_set_recorders(c->env.rings, c->config.id, kind, p.rings, KT_STREAM_MAX_RINGS, &why);
    if (p.n_rings == 0 && out == &c->main)
        c->no_ring_why = why;
    if (analyse) {
        p.on_format = on_format;
        p.on_packet = on_packet;
        p.on_gap = on_gap;
    } else {
        p.on_format = on_main_format;
        p.on_packet = on_main_packet;
        p.on_gap = on_main_gap;
    }
    return kt_stream_start(out, &p, err);
}

void kt_camera_stop_all(kt_camera **list[], size_t n)
{
    kt_cleanup(kt_freep) kt_stream ***streams = calloc(2 * n + 1, sizeof(*streams));
    size_t n_streams = 0;
    for (size_t i = 0; streams && i < n; i++) {
        if (!*list[i])
            continue;
        streams[n_streams++] = &(*list[i])->main;
        streams[n_streams++] = &(*list[i])->sub;
    }
    if (streams)
        kt_stream_stop_all(streams, n_streams);
    for (size_t i = 0; i < n; i++) {
        kt_camera *c = kt_steal_ptr(list[i]);
        if (!c)
            continue;
        kt_analysis_remove(&c->analysis);
        kt_still_destroy(&c->still);
        kt_snapshots_remove(&c->snapshot);
        avcodec_parameters_free(&c->main_par);
        free(c);
    }
}

/* An address that is none costs the snapshots, not the recording. */
static void start_snapshots(kt_camera *c)
{
    const struct kt_snapshot_params params = {
        .name = c->config.id, .url = c->config.snapshot_url, .login_url = c->config.main_url,
        .allow = c->config.provisioned ? KT_NET_ALLOW_ALL : c->env.guard->allow,
    };
    struct kt_error err = { "" };
    if (params.url[0] && kt_snapshots_add(c->env.snapshots, &c->snapshot, &params, &err) < 0)
        kt_warn(c->config.id, "%s", err.text);
}

static void camera_free(kt_camera **pc)
{
    kt_camera_stop_all((kt_camera **[]){ pc }, 1);
}

int kt_camera_start(kt_camera **out, const struct kt_camera_config *config,
                    const struct kt_camera_env *env, struct kt_error *err)
{
    kt_cleanup(camera_free) kt_camera *c = calloc(1, sizeof(*c));
    if (!c)
        return kt_error_set(err, -ENOMEM, "out of memory");
    c->config = *config;
    c->env = *env;
    c->started_us = kt_clock_wall_us();
    if (config->enabled) {
        struct kt_analyzer_params params = {
            .mode = kt_camera_analyzer_mode(config->analysis), .rules_json = c->config.rules,
            .utc_offset_s = env->utc_offset_s, .user = c, .on_event = on_motion,
            .on_thumbnail = on_thumbnail, .on_second = on_second, .on_trouble = on_trouble,
            .on_boxes = on_boxes,
        };
        int ret = kt_analysis_add(env->analysis, &c->analysis, config->id, &params, err);
        if (ret == -EINVAL) {           /* that costs the rules, not the recording */
            kt_error_log(config->id, "watched without its rules, which cannot be read: %s", err->text);
            params.rules_json = NULL;
            ret = kt_analysis_add(env->analysis, &c->analysis, config->id, &params, err);
        }
        if (ret < 0)
            return ret;
        if (config->analysis == KT_ANALYSIS_OFF && kt_still_create(&c->still) < 0)
            return kt_error_set(err, -ENOMEM, "out of memory");
        const bool has_sub = config->sub_url[0];
        c->main_par = avcodec_parameters_alloc();
        if (!c->main_par)
            return kt_error_set(err, -ENOMEM, "out of memory");
        ret = start_stream(c, &c->main, "main", config->main_url, !has_sub, err);
        if (ret == 0 && has_sub)
            ret = start_stream(c, &c->sub, "sub", config->sub_url, true, err);
        if (ret < 0)
            return ret;
        start_snapshots(c);
    }
    *out = kt_steal_ptr(&c);
    return 0;
}

const struct kt_camera_config *kt_camera_config(const kt_camera *c)
{
    return &c->config;
}

/* ----------------------------- state ----------------------------- */

/* "frozen", "covered", … while the picture is in trouble, else NULL. */
static const char *picture_state(kt_camera *c)
{
    const unsigned troubles = atomic_load(&c->troubles);
    for (int t = 1; t <= KT_TROUBLE_LAST; t++)
        if (troubles & 1u << t)
            return kt_trouble_name(t) + strlen("camera-");
    return NULL;
}

/* One word for what the camera is doing, and why in plain words. */
static void name_state(kt_camera *c, const struct kt_stream_status *main, struct kt_camera_state *out)
{
    const char *picture = picture_state(c);
    const char *state = "connecting", *why = main->why;
    switch (main->state) {
    case KT_INGEST_OFFLINE:
        state = "offline";
        break;
    case KT_INGEST_SILENT:
        state = "silent";
        break;
    case KT_INGEST_STREAMING:
        state = main->recording ? "recording" : "not-recording";
        if (!main->recording && c->no_ring_why)
            why = c->no_ring_why;
        if (picture && main->recording)
            state = picture;
        break;
    case KT_INGEST_CONNECTING:
        if (main->why[0])
            state = "offline";      /* trying again: still away */
        break;
    }
    snprintf(out->state, sizeof(out->state), "%s", state);
    snprintf(out->why, sizeof(out->why), "%s", main->state == KT_INGEST_STREAMING && main->recording ? "" : why);
}

/* Settings of the camera that hurt, from what it has sent. */
static void advise(const struct kt_stream_status *s, bool sub_left, struct kt_camera_state *out)
{
    const struct kt_advice_facts facts = {
        .codec = s->codec, .gop_seconds = s->gop_seconds, .fps = s->fps, .fps_nominal = s->fps_nominal,
        .frames = s->frames, .lost_packets = s->lost_packets, .has_clock = s->has_camera_clock,
        .clock_offset_us = s->camera_clock_offset_us,
        .sub_breaks = sub_left,
        .no_sub = !out->config.sub_url[0] && out->config.analysis != KT_ANALYSIS_OFF,
    };
    if (s->state == KT_INGEST_STREAMING)
        out->n_advice = kt_advice(&facts, out->advice);
}

/* When the newest picture of a stream was taken; 0: none yet. */
static int64_t stream_picture_us(kt_camera *c)
{
    return c->still ? kt_still_newest_us(c->still) : kt_analysis_picture_us(c->analysis);
}

void kt_camera_state(kt_camera *c, struct kt_camera_state *out)
{
    memset(out, 0, sizeof(*out));
    out->config = c->config;
    out->has_sub = c->config.sub_url[0] && !atomic_load(&c->sub_left);
    if (!c->main) {
        snprintf(out->state, sizeof(out->state), "disabled");
        return;
    }
    struct kt_stream_status s;
    kt_stream_status(c->main, &s);
    name_state(c, &s, out);
    out->recording = s.recording;
    snprintf(out->codec, sizeof(out->codec), "%s", s.codec);
    out->width = s.width;
    out->height = s.height;
    out->fps = s.fps;
    out->fps_nominal = s.fps_nominal;
    out->bitrate = s.bitrate;
    out->gop_seconds = s.gop_seconds;
    out->last_frame_us = s.last_frame_us;
    out->reconnects = s.reconnects;
    out->lost_packets = s.lost_packets;
    out->has_clock = s.has_camera_clock;
    out->clock_offset_us = s.camera_clock_offset_us;
    advise(&s, atomic_load(&c->sub_left), out);
    out->picture_us = stream_picture_us(c);
    if (c->snapshot && kt_snapshot_newest_us(c->snapshot) > out->picture_us)
        out->picture_us = kt_snapshot_newest_us(c->snapshot);
    out->motion_now = atomic_load(&c->open_events) > 0;
    struct kt_analysis_status a;
    kt_analysis_status(c->analysis, &a);
    out->decode_errors = a.analyzer.damaged;
    out->analysis_load = (int)a.load;
    out->analysis_lag_s = (double)a.lag_us / 1e6;
    out->analysis_dropped = a.refused;
}

void kt_camera_analysis(kt_camera *c, struct kt_analysis_status *out)
{
    *out = (struct kt_analysis_status){ 0 };
    if (c->analysis)
        kt_analysis_status(c->analysis, out);
}

/* There is an address for snapshots, and no stream has given a picture for a while. */
static bool stream_is_old(kt_camera *c, int64_t now_us)
{
    return c->snapshot && now_us - stream_picture_us(c) > PICTURE_OLD_US;
}

int kt_camera_snapshot(kt_camera *c, int max_width, uint8_t **out, size_t *n, int64_t *wall_us)
{
    if (!c->analysis)
        return -EAGAIN;
    if (stream_is_old(c, kt_clock_wall_us()) &&
        kt_snapshot_get(c->snapshot, max_width, out, n, wall_us) == 0) {
        if (*wall_us >= stream_picture_us(c))
            return 0;
        free(*out);
    }
    if (c->still)
        return kt_still_jpeg(c->still, max_width, out, n, wall_us);
    return kt_analysis_snapshot(c->analysis, max_width, out, n, wall_us);
}

/* {"op":"state",…} for the browsers, when the word changed. */
static void tell_state(kt_camera *c, const struct kt_camera_state *s)
{
    json_t *msg = json_pack("{s:s,s:s,s:s,s:b,s:s}", "op", "state", "camera", c->config.id, "state",
                            s->state, "recording", s->recording, "why", s->why);
    char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
    if (text)
        kt_hub_publish_text(c->env.hub, c->config.id, text);
    free(text);
    json_decref(msg);
}

static void post_away(kt_camera *c, enum kt_event_phase phase, int64_t end_us)
{
    struct kt_event_note note = { .phase = phase, .source_id = AWAY_SOURCE,
                                  .start_us = c->away_since_us, .end_us = end_us, .score = 1 };
    snprintf(note.camera, sizeof(note.camera), "%s", c->config.id);
    snprintf(note.type, sizeof(note.type), "camera-offline");
    (void)kt_keeper_post(c->env.keeper, &note);
}

/* A dead camera is an event too. */
static void watch_away(kt_camera *c, const struct kt_camera_state *s, int64_t now_us)
{
    const bool away = strcmp(s->state, "offline") == 0 || strcmp(s->state, "silent") == 0;
    if (away && c->away_since_us == 0)
        c->away_since_us = s->last_frame_us ? s->last_frame_us : c->started_us;
    if (away && !c->away_posted && now_us - c->away_since_us >= OFFLINE_EVENT_US) {
        post_away(c, KT_EVENT_OPEN, 0);
        c->away_posted = true;
    }
    if (away || strcmp(s->state, "connecting") == 0)
        return;
    if (c->away_posted)
        post_away(c, KT_EVENT_CLOSE, now_us);
    c->away_posted = false;
    c->away_since_us = 0;
}

/* ------------------ cameras that cannot give two streams ------------------ */

static void leave_sub(kt_camera *c, int64_t now_us)
{
    kt_warn(c->config.id, "its main stream breaks again and again: trying without the sub-stream");
    kt_stream_stop_all((kt_stream **[]){ &c->sub }, 1);
    kt_analysis_gap(c->analysis);
    atomic_store(&c->sub_left, true);
    c->trial_us = now_us;
    c->begins = 0;
}

static void take_sub(kt_camera *c, int64_t now_us)
{
    struct kt_error err = { "" };
    kt_info(c->config.id, "the sub-stream was not to blame: using it again");
    atomic_store(&c->sub_left, false);
    kt_analysis_gap(c->analysis);
    if (start_stream(c, &c->sub, "sub", c->config.sub_url, true, &err) < 0)
        kt_error_log(c->config.id, "%s", err.text);
    c->no_trial_before_us = now_us + NEXT_TRIAL_US;
    c->begins = 0;
}

/*
 * Some cameras drop the main stream when the sub-stream opens, and the other way round: each
 * of the two breaks the other for ever. Recording comes first: if the main stream lasts without
 * the sub-stream, it stays without.
 */
static void watch_sub(kt_camera *c, int64_t now_us)
{
    struct kt_stream_status s;
    if (!c->config.sub_url[0] || c->settled)
        return;
    kt_stream_status(c->main, &s);
    const bool streams = s.state == KT_INGEST_STREAMING;
    if (c->sub && c->main_streamed && !streams) {
        struct kt_stream_status other;      /* offline too: the camera was away, nobody's fault */
        kt_stream_status(c->sub, &other);
        c->sub_held = other.state != KT_INGEST_OFFLINE;
    }
    c->main_streamed = streams;
    if (s.sessions > c->sessions_seen) {
        if (c->sub_held || atomic_load(&c->sub_left))
            c->begins += s.sessions - c->sessions_seen;
        c->sessions_seen = s.sessions;
        c->sub_held = false;
    }
    if (atomic_load(&c->sub_left)) {
        if (c->begins > 1) {
            take_sub(c, now_us);
        } else if (now_us - c->trial_us >= TRIAL_US && s.state == KT_INGEST_STREAMING) {
            c->settled = true;
            kt_warn(c->config.id, "it cannot give two streams at once: the sub-stream stays closed");
        }
    } else if (c->begins > BEGINS_MAX && now_us >= c->no_trial_before_us) {
        leave_sub(c, now_us);
    } else if (now_us - c->window_us > BEGINS_WINDOW_US) {
        c->window_us = now_us;
        c->begins = 0;
    }
}

/* A new still for those who look at stills, at most one a tick. */
static void publish_still(kt_camera *c)
{
    char name[KT_STREAM_NAME_MAX + 1];
    snprintf(name, sizeof(name), "%s/still", c->config.id);
    if (!kt_hub_watched(c->env.hub, name) ||
        (c->still && !stream_is_old(c, kt_clock_wall_us()) &&
         kt_still_newest_us(c->still) - c->published_us < STILL_WHEN_OFF_US))
        return;
    kt_cleanup(kt_freep) uint8_t *jpeg = NULL;
    size_t size;
    int64_t wall_us;
    if (kt_camera_snapshot(c, STILL_WIDTH, &jpeg, &size, &wall_us) < 0 || wall_us == c->published_us)
        return;
    kt_hub_publish_still(c->env.hub, c->config.id, jpeg, size, wall_us);
    c->published_us = wall_us;
}

void kt_camera_tick(kt_camera *c, int64_t now_us)
{
    if (!c->main)
        return;
    struct kt_camera_state s;
    kt_camera_state(c, &s);
    if (strcmp(s.state, c->last_state) != 0) {
        tell_state(c, &s);
        snprintf(c->last_state, sizeof(c->last_state), "%s", s.state);
    }
    watch_away(c, &s, now_us);
    watch_sub(c, kt_clock_mono_us());
    if (stream_is_old(c, now_us))
        kt_snapshot_want(c->snapshot);
    publish_still(c);
}

#include "server/stream.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <libavcodec/codec_desc.h>

#include "decoders/mux/mux.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/cadence.h"

#define RATE_WINDOW_US (4 * KT_SECOND_US)

struct rate {
    int64_t since_us;
    uint32_t frames;
    uint64_t bytes;
};

struct kt_stream {
    /* --- constant after start --- */
    char name[KT_STREAM_NAME_MAX + 1];      /* "gerbang/main" */
    kt_ring *rings[KT_STREAM_MAX_RINGS];
    uint32_t ring_ids[KT_STREAM_MAX_RINGS];
    size_t n_rings;
    kt_hub *hub;
    void *user;
    void (*on_format)(void *user, const AVCodecParameters *par, AVRational time_base);
    void (*on_packet)(void *user, const AVPacket *pkt, int64_t wall_us);
    void (*on_gap)(void *user);
    kt_ingest *ingest;

    /* --- ingest thread --- */
    kt_mux *mux;
    bool usable;                            /* the mux knows this codec */
    enum kt_gap_reason gap_reason;          /* why the next hole will be */
    enum kt_gap_reason hole_reason;         /* why the last one was */
    struct kt_cadence cadence;
    struct rate rate;

    pthread_mutex_t lock;                   /* leaf */
    /* --- protected by lock --- */
    struct kt_stream_status status;
};

static const char *state_name(enum kt_ingest_state state)
{
    static const char *const names[] = { [KT_INGEST_CONNECTING] = "connecting",
                                         [KT_INGEST_STREAMING] = "streaming",
                                         [KT_INGEST_SILENT] = "silent",
                                         [KT_INGEST_OFFLINE] = "offline" };
    return names[state];
}

static void record_gap(kt_stream *s, int64_t from_us, int64_t to_us, enum kt_gap_reason reason)
{
    for (size_t i = 0; i < s->n_rings; i++)
        (void)kt_ring_gap(s->rings[i], s->ring_ids[i], from_us, to_us, reason);
}

/* Is anything missing before CHUNK, a picture? */
static void watch_cadence(kt_stream *s, const struct kt_chunk *chunk)
{
    struct kt_hole hole;
    const int64_t duration_us = (int64_t)chunk->duration_90k * 100 / 9;
    if (kt_cadence_frame(&s->cadence, chunk->wall_us, duration_us, &hole))
        record_gap(s, hole.from_us, hole.to_us, hole.was_before ? s->hole_reason : s->gap_reason);
    s->hole_reason = s->gap_reason;
    s->gap_reason = KT_GAP_CAMERA_SILENT;
}

/* Offer CHUNK to every ring; true when one took it. */
static bool record(kt_stream *s, struct kt_chunk *chunk)
{
    bool taken = false;
    for (size_t i = 0; i < s->n_rings; i++)
        taken |= kt_ring_append(s->rings[i], s->ring_ids[i], chunk) == 0;
    return taken;
}

/* Measure over windows of a few seconds of arrival; lock held. */
static void measure(kt_stream *s, const struct kt_chunk *chunk)
{
    struct rate *r = &s->rate;
    const int64_t now = kt_clock_mono_us();
    if (r->since_us == 0)
        r->since_us = now;
    const int64_t span = now - r->since_us;
    if (span >= RATE_WINDOW_US) {
        s->status.fps = (double)r->frames * 1e6 / (double)span;
        s->status.bitrate = (double)r->bytes * 8e6 / (double)span;
        *r = (struct rate){ .since_us = now };
    }
    r->bytes += chunk->size;
    if (chunk->flags & KT_CHUNK_AUDIO)
        return;
    r->frames++;
    if (chunk->flags & KT_CHUNK_KEY) {
        if (s->status.last_key_us)
            s->status.gop_seconds = (double)(chunk->wall_us - s->status.last_key_us) / 1e6;
        s->status.last_key_us = chunk->wall_us;
    }
}

static void on_chunk(void *user, struct kt_chunk *chunk)
{
    kt_stream *s = user;
    const bool audio = chunk->flags & KT_CHUNK_AUDIO;
    if (!audio)
        watch_cadence(s, chunk);
    const bool recorded = record(s, chunk);
    kt_hub_publish(s->hub, s->name, chunk);

    pthread_mutex_lock(&s->lock);
    measure(s, chunk);
    s->status.recording = recorded;
    s->status.refused_chunks += !recorded && s->n_rings > 0;
    if (!audio)
        s->status.last_frame_us = chunk->wall_us;
    const AVRational rate = kt_mux_rate(s->mux);
    if (rate.num > 0)
        s->status.fps_nominal = av_q2d(rate);
    s->status.width = chunk->init->width;
    s->status.height = chunk->init->height;
    pthread_mutex_unlock(&s->lock);
}

static void on_run_end(void *user, enum kt_run_end why)
{
    kt_stream *s = user;
    if (why == KT_RUN_CLOCK)
        s->gap_reason = KT_GAP_CLOCK_STEP;
    pthread_mutex_lock(&s->lock);
    s->status.last_key_us = 0;
    pthread_mutex_unlock(&s->lock);
    kt_debug(s->name, "run ended (%d)", why);
}

static void on_session(void *user, const struct kt_ingest_stream *info)
{
    kt_stream *s = user;
    struct kt_error err = { "" };
    const int ret = kt_mux_begin(s->mux, info, &err);
    s->usable = ret == 0;
    if (!s->usable) {
        s->gap_reason = KT_GAP_BAD_STREAM;
        kt_warn(s->name, "cannot record: %s", err.text);
    }
    if (s->usable && s->on_format)
        s->on_format(s->user, info->video, info->video_time_base);

    pthread_mutex_lock(&s->lock);
    s->status.last_key_us = 0;
    snprintf(s->status.codec, sizeof(s->status.codec), "%s",
             avcodec_get_name(info->video->codec_id));
    s->status.fps_nominal = info->video_rate.den ? av_q2d(info->video_rate) : 0;
    if (!s->usable)
        snprintf(s->status.why, sizeof(s->status.why), "%.199s", err.text);
    pthread_mutex_unlock(&s->lock);
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    kt_stream *s = user;
    if (!s->usable)
        return;
    if (kt_mux_packet(s->mux, pkt, arrival_us) < 0) {
        pthread_mutex_lock(&s->lock);
        s->status.bad_packets++;
        pthread_mutex_unlock(&s->lock);
        return;
    }
    if (s->on_packet && pkt->stream_index == 0)
        s->on_packet(s->user, pkt, kt_mux_last_wall_us(s->mux));
}

static void on_state(void *user, enum kt_ingest_state state, const char *why)
{
    kt_stream *s = user;
    if (state == KT_INGEST_OFFLINE) {
        kt_mux_end(s->mux);
        if (s->on_gap)
            s->on_gap(s->user);
    }

    pthread_mutex_lock(&s->lock);
    const enum kt_ingest_state was = s->status.state;
    const bool new_reason = strcmp(s->status.why, why) != 0;
    s->status.state = state;
    if (state != KT_INGEST_CONNECTING)
        snprintf(s->status.why, sizeof(s->status.why), "%s", why);
    if (state == KT_INGEST_OFFLINE) {
        s->status.reconnects++;
        s->status.fps = s->status.bitrate = 0;
        s->rate = (struct rate){ 0 };
    }
    if (state != KT_INGEST_STREAMING)
        s->status.recording = false;
    pthread_mutex_unlock(&s->lock);

    if (state == KT_INGEST_STREAMING && was != state)
        kt_info(s->name, "streaming");
    else if (state != KT_INGEST_CONNECTING && state != KT_INGEST_STREAMING && new_reason)
        kt_warn(s->name, "%s: %s", state_name(state), why);
}

static void stream_free(kt_stream **ps)
{
    kt_stream *s = kt_steal_ptr(ps);
    if (!s)
        return;
    kt_ingest_stop(&s->ingest);
    kt_mux_destroy(&s->mux);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int open_rings(kt_stream *s, const struct kt_stream_params *p, struct kt_error *err)
{
    for (size_t i = 0; i < p->n_rings; i++) {
        const int ret = kt_ring_stream(p->rings[i], s->name, &s->ring_ids[i]);
        if (ret < 0)
            return kt_error_set(err, ret, "%s: the ring takes no more streams: %s", s->name,
                                kt_strerror(ret));
        s->rings[i] = p->rings[i];
        s->n_rings++;
    }
    return 0;
}

static uint64_t last_run(const kt_stream *s)
{
    uint64_t last = 0;
    for (size_t i = 0; i < s->n_rings; i++) {
        const uint64_t run = kt_ring_last_run(s->rings[i], s->ring_ids[i]);
        last = run > last ? run : last;
    }
    return last;
}

int kt_stream_start(kt_stream **out, const struct kt_stream_params *p, struct kt_error *err)
{
    kt_cleanup(stream_free) kt_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return kt_error_set(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    snprintf(s->name, sizeof(s->name), "%s/%s", p->camera, p->kind);
    s->hub = p->hub;
    s->user = p->user;
    s->on_format = p->on_format;
    s->on_packet = p->on_packet;
    s->on_gap = p->on_gap;
    s->gap_reason = KT_GAP_CAMERA_SILENT;
    s->status.state = KT_INGEST_CONNECTING;

    int ret = open_rings(s, p, err);
    if (ret < 0)
        return ret;
    const struct kt_mux_params mux = { .user = s, .last_run = last_run(s), .on_chunk = on_chunk, .on_run_end = on_run_end,
                                       .pool = p->pool, .drop_audio = strcmp(p->kind, "sub") == 0 };
    ret = kt_mux_create(&s->mux, &mux);
    if (ret < 0)
        return kt_error_set(err, ret, "%s: %s", s->name, kt_strerror(ret));
    const struct kt_ingest_params ingest = {
        .name = s->name, .url = p->url, .transport = p->transport, .loop = p->loop,
        .no_audio = strcmp(p->kind, "sub") == 0, .user = s,
        .may_connect = p->guard ? kt_net_guard_connect : NULL, .may_connect_user = (void *)p->guard,
        .on_stream = on_session, .on_packet = on_packet, .on_state = on_state,
    };
    ret = kt_ingest_start(&s->ingest, &ingest);
    if (ret < 0)
        return kt_error_set(err, ret, "%s: cannot start: %s", s->name, kt_strerror(ret));
    *out = kt_steal_ptr(&s);
    return 0;
}

void kt_stream_stop_all(kt_stream **list[], size_t n)
{
    kt_cleanup(kt_freep) kt_ingest ***ingests = calloc(n ? n : 1, sizeof(*ingests));
    size_t live = 0;
    for (size_t i = 0; ingests && i < n; i++)
        if (*list[i])
            ingests[live++] = &(*list[i])->ingest;
    if (ingests)
        kt_ingest_stop_all(ingests, live);
    const int64_t now_us = kt_clock_wall_us();
    for (size_t i = 0; i < n; i++) {
        kt_stream *s = *list[i];
        const int64_t end_us = s ? kt_cadence_end_us(&s->cadence) : 0;
        if (end_us > 0 && now_us - end_us >= KT_CADENCE_LONG_US)
            record_gap(s, end_us, now_us, s->gap_reason);
        stream_free(list[i]);
    }
}

void kt_stream_status(kt_stream *s, struct kt_stream_status *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->status;
    pthread_mutex_unlock(&s->lock);
    struct kt_ingest_stats stats;
    kt_ingest_get_stats(s->ingest, &stats);
    out->lost_packets = stats.lost_packets;
    out->frames = stats.frames;
    out->sessions = stats.sessions;
    /* A key frame that is long overdue counts already. */
    const double waited = (double)(kt_clock_wall_us() - out->last_key_us) / 1e6;
    if (out->last_key_us && out->state == KT_INGEST_STREAMING && waited > out->gop_seconds + 2)
        out->gop_seconds = waited;
    out->has_camera_clock = stats.has_camera_clock;
    out->camera_clock_offset_us = stats.camera_clock_offset_us;
}

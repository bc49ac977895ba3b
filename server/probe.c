#include "server/probe.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <libavcodec/avcodec.h>

#include "decoders/ingest/ingest.h"
#include "decoders/decode/decode.h"
#include "decoders/mux/sps_rate.h"
#include "server/base/clock.h"

#define SETTLE_US (KT_SECOND_US * 3 / 2)

struct listener {
    struct kt_probe *probe;
    kt_ingest *ingest;
    int64_t started_us;                 /* monotonic */
    pthread_mutex_t lock;
    /* --- protected by lock --- */
    uint64_t frames, bytes;
    int64_t began_us, first_us, last_us, key_us;
    AVCodecParameters *codec;           /* for the picture, like key */
    AVRational time_base;
    AVPacket *key;
};

static void on_stream(void *user, const struct kt_ingest_stream *s)
{
    struct listener *l = user;
    struct kt_probe *p = l->probe;
    pthread_mutex_lock(&l->lock);
    snprintf(p->codec, sizeof(p->codec), "%s", avcodec_get_name(s->video->codec_id));
    if (s->audio)
        snprintf(p->audio, sizeof(p->audio), "%s", avcodec_get_name(s->audio->codec_id));
    if (p->picture_width && (l->codec || (l->codec = avcodec_parameters_alloc())))
        (void)avcodec_parameters_copy(l->codec, s->video);
    l->time_base = s->video_time_base;
    p->width = s->video->width;
    p->height = s->video->height;
    p->fps_nominal = s->video_rate.den ? av_q2d(s->video_rate) : 0;
    pthread_mutex_unlock(&l->lock);
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    struct listener *l = user;
    struct kt_probe *p = l->probe;
    if (pkt->stream_index != 0)
        return;
    pthread_mutex_lock(&l->lock);
    if (pkt->flags & AV_PKT_FLAG_KEY) {
        if (l->key_us)
            p->gop_seconds = (double)(arrival_us - l->key_us) / 1e6;
        else
            p->first_frame_us = arrival_us - l->started_us;
        if (p->picture_width && !l->key)
            l->key = av_packet_clone(pkt);
        l->key_us = arrival_us;
        p->ok = true;
    }
    if (!l->began_us)
        l->began_us = arrival_us;
    /* Cameras send their last seconds at once when one connects: no rate to measure. */
    if (arrival_us - l->began_us >= SETTLE_US) {
        l->first_us = l->first_us ? l->first_us : arrival_us;
        l->last_us = arrival_us;
        l->frames++;
        l->bytes += (uint64_t)pkt->size;
    }
    pthread_mutex_unlock(&l->lock);
}

static void on_state(void *user, enum kt_ingest_state state, const char *why)
{
    struct listener *l = user;
    pthread_mutex_lock(&l->lock);
    if (state == KT_INGEST_OFFLINE || state == KT_INGEST_SILENT)
        snprintf(l->probe->why, sizeof(l->probe->why), "%s", why);
    pthread_mutex_unlock(&l->lock);
}

/* The first key frame as a picture. */
static void take_picture(struct listener *l)
{
    struct kt_probe *p = l->probe;
    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = NULL;
    struct kt_luma luma;
    if (!l->key || !l->codec || kt_decoder_create(&dec, l->codec, l->time_base) < 0)
        return;
    if (kt_decoder_send(dec, l->key) < 0 || kt_decoder_send(dec, NULL) < 0 ||
        kt_decoder_receive(dec, &luma) < 0)
        return;
    const AVRational rate = kt_rate_or_unknown(kt_decoder_rate(dec));
    if (rate.num > 0)
        p->fps_nominal = av_q2d(rate);
    if (!p->width) {
        p->width = luma.source_width;
        p->height = luma.source_height;
    }
    if (kt_jpeg_encode(kt_decoder_frame(dec), p->picture_width, &p->jpeg, &p->jpeg_size) < 0)
        p->jpeg = NULL;
}

static void take_stats(struct listener *l)
{
    struct kt_ingest_stats stats;
    if (!l->ingest)
        return;
    kt_ingest_get_stats(l->ingest, &stats);
    l->probe->frames = stats.frames;
    l->probe->lost_packets = stats.lost_packets;
    l->probe->has_clock = stats.has_camera_clock;
    l->probe->clock_offset_us = stats.camera_clock_offset_us;
}

static void finish(struct listener *l)
{
    struct kt_probe *p = l->probe;
    const double span = (double)(l->last_us - l->first_us) / 1e6;
    if (l->frames > 1 && span > 0) {
        p->fps = (double)(l->frames - 1) / span;
        p->bitrate = (double)l->bytes * 8 / span;
    }
    if (p->ok)
        p->why[0] = '\0';
    else if (!p->why[0])
        snprintf(p->why, sizeof(p->why), "%s", l->began_us ? "frames came, but no key frame" :
                                                           "no frame came");
    take_picture(l);
    av_packet_free(&l->key);
    avcodec_parameters_free(&l->codec);
    pthread_mutex_destroy(&l->lock);
}

/* Measuring takes its time; only the end of the recorder shortens it. */
static void listen_for(int64_t us, int stop_fd)
{
    const int64_t until_us = kt_clock_mono_us() + us;
    struct pollfd stop = { .fd = stop_fd, .events = POLLIN };
    while ((us = until_us - kt_clock_mono_us()) > 0 && !stop.revents)
        (void)poll(&stop, 1, (int)(us / 1000 + 1));
}

int kt_probe_run(struct kt_probe *probes, size_t n, int seconds, int stop_fd)
{
    kt_cleanup(kt_freep) struct listener *list = calloc(n + 1, sizeof(*list));
    kt_cleanup(kt_freep) kt_ingest ***ingests = calloc(n + 1, sizeof(*ingests));
    if (!list || !ingests)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct listener *l = &list[i];
        l->probe = &probes[i];
        l->started_us = kt_clock_mono_us();
        pthread_mutex_init(&l->lock, NULL);
        const struct kt_ingest_params p = {
            .name = probes[i].name, .url = probes[i].url, .transport = probes[i].transport,
            .loop = probes[i].loop,
            .may_connect = probes[i].guard ? kt_net_guard_connect : NULL,
            .may_connect_user = (void *)probes[i].guard,
            .user = l, .on_stream = on_stream, .on_packet = on_packet, .on_state = on_state,
        };
        const int ret = kt_ingest_start(&l->ingest, &p);
        if (ret < 0)
            snprintf(probes[i].why, sizeof(probes[i].why), "cannot start: %s", strerror(-ret));
        ingests[i] = &l->ingest;
    }
    listen_for(seconds * KT_SECOND_US, stop_fd);
    for (size_t i = 0; i < n; i++)
        take_stats(&list[i]);
    kt_ingest_stop_all(ingests, n);
    for (size_t i = 0; i < n; i++)
        finish(&list[i]);
    return 0;
}

/*
 * libav.c - the fallback transport: libavformat's RTSP client, one thread a
 * session. It hides loss; the client of our own does not (rtsp_client.h).
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <libavformat/avformat.h>

#include "decoders/ingest/audio.h"
#include "decoders/ingest/resolver.h"
#include "decoders/ingest/rtsp_url.h"
#include "decoders/ingest/session.h"
#include "server/base/clock.h"

struct session {
    kt_ingest base;
    struct kt_ingest_params params;
    pthread_t thread;
    atomic_bool stop;
    int stop_fd;                    /* an eventfd: can be read when STOP is set */
    pthread_mutex_t lock;           /* leaf; only for waiting on STOPPED */
    pthread_cond_t stopped;
    /* --- session thread --- */
    struct kt_backoff backoff;
    unsigned tries;
    AVFormatContext *av;
    int video, audio;               /* stream indexes, -1: none */
    int64_t deadline_us;            /* of the blocking call in progress */
    bool connected;                 /* and will not be to anywhere else: see open_input() */
    struct kt_watch watch;
    kt_audio *transcoder;           /* G.711 only */
    bool wrong_password;            /* at the last try */
    int64_t now_us;
};

/* After the connection to the camera nothing else may be connected to: what follows a redirect would be, on a
 * camera's word, and would look a name up where nothing can interrupt it. UDP is for the tracks. */
static void allow_no_other(struct session *s)
{
    char *less = s->connected ? NULL : av_strdup("rtsp,rtp,udp");
    if (!less)
        return;
    av_freep(&s->av->protocol_whitelist);
    s->av->protocol_whitelist = less;
    s->connected = true;
}

/* libavformat asks while it waits for the connection, and again before each time it reads or writes. */
static int interrupted(void *user)
{
    struct session *s = user;
    if (s->av)
        allow_no_other(s);
    return atomic_load(&s->stop) || kt_clock_mono_us() > s->deadline_us;
}

/* The text for a person. libav's own texts never hold the URL. */
static void explain(const struct session *s, char why[KT_INGEST_WHY_SIZE], int ret,
                    const char *doing)
{
    if (ret == AVERROR_HTTP_UNAUTHORIZED || ret == AVERROR_HTTP_FORBIDDEN)
        snprintf(why, KT_INGEST_WHY_SIZE, "the camera refuses the user name or password");
    else if (ret == AVERROR_HTTP_NOT_FOUND)
        snprintf(why, KT_INGEST_WHY_SIZE, "the camera has no such stream: check the path of the "
                 "address");
    else if (ret == AVERROR(EINVAL) && s->connected)
        snprintf(why, KT_INGEST_WHY_SIZE, "the camera redirects to another address: refused; set that address "
                 "if you trust it");
    else if (ret == AVERROR_EXIT && kt_clock_mono_us() > s->deadline_us)
        snprintf(why, KT_INGEST_WHY_SIZE, "no answer in time while %s", doing);
    else
        snprintf(why, KT_INGEST_WHY_SIZE, "%s failed: %s", doing, kt_strerror(ret));
}

/*
 * The address with digits in place of a name: libavformat would look the name up itself, and
 * nothing can interrupt that. Where a name has several addresses each has its turn.
 */
static int resolve(struct session *s, char url[KT_URL_MAX])
{
    struct kt_rtsp_url parts;
    struct kt_address found[KT_RESOLVER_ADDRESSES];
    char digits[INET6_ADDRSTRLEN + IF_NAMESIZE];
    const int ret = kt_rtsp_url_parse(&parts, s->params.url);
    const int n = ret < 0 ? ret : kt_resolver_look_up(parts.host, parts.port, s->stop_fd, found);
    explicit_bzero(parts.password, sizeof(parts.password));
    if (n < 0)
        return n;
    const struct kt_address *a = &found[s->tries++ % (unsigned)n];
    if (getnameinfo((const struct sockaddr *)&a->address, a->size, digits, sizeof(digits), NULL, 0,
                    NI_NUMERICHOST) != 0)
        return -EHOSTUNREACH;
    const bool six = a->address.ss_family == AF_INET6;
    const char *authority = strstr(s->params.url, "://") + 3;
    const char *end = authority + strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', (size_t)(end - authority)), *host = at ? at + 1 : authority;
    const int size = snprintf(url, KT_URL_MAX, "%.*s%s%s%s:%s%s", (int)(host - s->params.url),
                              s->params.url, six ? "[" : "", digits, six ? "]" : "", parts.port, end);
    return size < KT_URL_MAX ? 0 : -EINVAL;
}

static int open_input(struct session *s, const char *url)
{
    s->connected = false;
    s->av = avformat_alloc_context();
    if (!s->av)
        return -ENOMEM;
    s->av->interrupt_callback = (AVIOInterruptCB){ interrupted, s };
    s->av->max_delay = 0;
    AVDictionary *options = NULL;
    const bool udp = strcmp(s->params.transport, "udp") == 0;
    av_dict_set(&options, "rtsp_transport", udp ? "udp" : "tcp", 0);
    av_dict_set(&options, "allowed_media_types", "video+audio", 0);
    av_dict_set(&options, "protocol_whitelist", "rtsp,rtp,tcp,udp,tls", 0);
    av_dict_set_int(&options, "timeout", s->params.connect_timeout_us, 0);
    s->deadline_us = kt_clock_mono_us() + s->params.connect_timeout_us;
    const int ret = avformat_open_input(&s->av, url, NULL, &options);
    av_dict_free(&options);
    return ret;
}

static int choose_tracks(struct session *s)
{
    s->video = s->audio = -1;
    for (unsigned i = 0; i < s->av->nb_streams; i++) {
        const enum AVMediaType type = s->av->streams[i]->codecpar->codec_type;
        if (type == AVMEDIA_TYPE_VIDEO && s->video < 0)
            s->video = (int)i;
        else if (type == AVMEDIA_TYPE_AUDIO && s->audio < 0 && !s->params.no_audio)
            s->audio = (int)i;
    }
    return s->video < 0 ? -ENOENT : 0;
}

static void on_aac(void *user, const AVPacket *pkt)
{
    struct session *s = user;
    AVPacket *copy = av_packet_clone(pkt);
    if (!copy)
        return;
    copy->stream_index = 1;
    s->params.on_packet(s->params.user, copy, s->now_us);
    av_packet_free(&copy);
}

/* What is done with the audio; without it there is still video. */
static const AVCodecParameters *prepare_audio(struct session *s, const AVCodecParameters *par)
{
    if (!kt_audio_needed(par->codec_id))
        return par;
    if (kt_audio_create(&s->transcoder, par->codec_id, par->sample_rate,
                        par->ch_layout.nb_channels, s, on_aac) < 0)
        return NULL;
    return kt_audio_parameters(s->transcoder);
}

static void announce(struct session *s)
{
    const AVStream *video = s->av->streams[s->video];
    const AVStream *audio = s->audio >= 0 ? s->av->streams[s->audio] : NULL;
    const struct kt_ingest_stream stream = {
        .video = video->codecpar,
        .video_time_base = video->time_base,
        .video_rate = video->avg_frame_rate.num ? video->avg_frame_rate : video->r_frame_rate,
        .audio = audio ? prepare_audio(s, audio->codecpar) : NULL,
        .audio_time_base = audio ? audio->time_base : (AVRational){ 0, 1 },
    };
    s->params.on_stream(s->params.user, &stream);
}

static void count(struct session *s, const AVPacket *pkt)
{
    const bool key = pkt->flags & AV_PKT_FLAG_KEY;
    s->watch.last_frame_us = s->now_us;
    if (key)
        s->watch.last_key_us = s->now_us;
    pthread_mutex_lock(&s->base.stats_lock);
    struct kt_ingest_stats *stats = &s->base.stats;
    stats->frames++;
    stats->key_frames += key;
    stats->bytes += (uint64_t)pkt->size;
    stats->last_frame_us = s->watch.last_frame_us;
    stats->last_key_us = s->watch.last_key_us;
    pthread_mutex_unlock(&s->base.stats_lock);
}

static void deliver(struct session *s, AVPacket *pkt)
{
    s->now_us = kt_clock_mono_us();
    if (pkt->stream_index == s->video) {
        pkt->stream_index = 0;
        count(s, pkt);
    } else if (pkt->stream_index != s->audio) {
        return;
    } else if (s->transcoder) {
        kt_audio_push(s->transcoder, pkt->data, (size_t)pkt->size, pkt->pts);
        return;
    } else {
        pkt->stream_index = 1;
    }
    s->params.on_packet(s->params.user, pkt, s->now_us);
}

/* Until the camera or we end it; the reason for a person goes to WHY. */
static void read_packets(struct session *s, char why[KT_INGEST_WHY_SIZE])
{
    AVPacket *pkt = av_packet_alloc();
    int ret = pkt ? 0 : -ENOMEM;
    kt_watch_begin(&s->watch, kt_clock_mono_us());
    while (ret >= 0) {
        s->deadline_us = kt_clock_mono_us() + s->params.silence_timeout_us;
        ret = av_read_frame(s->av, pkt);
        if (ret == AVERROR_EOF)
            snprintf(why, KT_INGEST_WHY_SIZE, "the camera ended the session");
        else if (ret < 0)
            explain(s, why, ret, "waiting for video");
        else
            deliver(s, pkt);
        if (ret >= 0)
            ret = kt_watch_check(&s->watch, kt_clock_mono_us(), why);
        av_packet_unref(pkt);
    }
    av_packet_free(&pkt);
    if (kt_watch_worked(&s->watch, kt_clock_mono_us()))
        kt_backoff_reset(&s->backoff);
}

static void run_once(struct session *s, char why[KT_INGEST_WHY_SIZE])
{
    kt_watch_say(&s->watch, KT_INGEST_CONNECTING, "");
    char url[KT_URL_MAX] = "";
    int ret = resolve(s, url);
    if (ret == -ETIMEDOUT || ret == -EHOSTUNREACH) {
        snprintf(why, KT_INGEST_WHY_SIZE, "%s", ret == -ETIMEDOUT ? KT_INGEST_NO_NAME_SERVER : KT_INGEST_NO_NAME);
        return;
    }
    if (ret == 0)
        ret = open_input(s, url);
    explicit_bzero(url, sizeof(url));
    s->wrong_password = ret == AVERROR_HTTP_UNAUTHORIZED || ret == AVERROR_HTTP_FORBIDDEN;
    if (ret < 0) {
        explain(s, why, ret, "connecting");
    } else if (choose_tracks(s) < 0) {
        snprintf(why, KT_INGEST_WHY_SIZE, "the camera offers no video");
    } else {
        announce(s);
        read_packets(s, why);
    }
    s->deadline_us = kt_clock_mono_us() + KT_SECOND_US / 2;     /* for TEARDOWN */
    avformat_close_input(&s->av);
    kt_audio_destroy(&s->transcoder);
}

static void wait_before_retry(struct session *s)
{
    const struct timespec until = kt_clock_deadline(
        s->wrong_password ? kt_backoff_password(&s->backoff) : kt_backoff_next(&s->backoff));
    pthread_mutex_lock(&s->lock);
    int ret = 0;
    while (!atomic_load(&s->stop) && ret == 0)
        ret = pthread_cond_timedwait(&s->stopped, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
}

static void *session_main(void *user)
{
    struct session *s = user;
    (void)pthread_setname_np(pthread_self(), "kt-libav");
    while (!atomic_load(&s->stop)) {
        char why[KT_INGEST_WHY_SIZE] = "";
        run_once(s, why);
        if (atomic_load(&s->stop))
            break;
        kt_watch_say(&s->watch, KT_INGEST_OFFLINE, why);
        wait_before_retry(s);
    }
    return NULL;
}

static void libav_interrupt(kt_ingest *ingest)
{
    struct session *s = (struct session *)ingest;
    atomic_store(&s->stop, true);
    (void)eventfd_write(s->stop_fd, 1);
    pthread_mutex_lock(&s->lock);
    pthread_cond_signal(&s->stopped);
    pthread_mutex_unlock(&s->lock);
}

static void free_session(struct session *s)
{
    pthread_cond_destroy(&s->stopped);
    pthread_mutex_destroy(&s->lock);
    kt_ingest_free_base(&s->base);
    kt_ingest_params_free(&s->params);
    (void)close(s->stop_fd);
    free(s);
}

static void libav_join(kt_ingest *ingest)
{
    struct session *s = (struct session *)ingest;
    pthread_join(s->thread, NULL);
    free_session(s);
}

static const struct kt_ingest_ops libav_ops = { libav_interrupt, libav_join };

int kt_ingest_libav_start(kt_ingest **out, const struct kt_ingest_params *params)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int ret = s->stop_fd < 0 ? -errno : kt_ingest_params_copy(&s->params, params);
    if (ret < 0) {
        if (s->stop_fd >= 0)
            (void)close(s->stop_fd);
        free(s);
        return ret;
    }
    kt_ingest_init_base(&s->base, &libav_ops);
    s->watch = (struct kt_watch){ .params = &s->params, .ingest = &s->base };
    atomic_init(&s->stop, false);
    pthread_mutex_init(&s->lock, NULL);
    kt_cond_init(&s->stopped);
    kt_backoff_init(&s->backoff, &s->params);
    ret = -pthread_create(&s->thread, NULL, session_main, s);
    if (ret < 0) {
        free_session(s);
        return ret;
    }
    *out = &s->base;
    return 0;
}

#include "decoders/ingest/rtsp_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

#include "decoders/ingest/rtsp_auth.h"
#include "decoders/ingest/rtsp_track.h"
#include "decoders/ingest/session.h"
#include "server/base/clock.h"

#define OUTPUT_MAX (64 << 10)           /* a camera that reads nothing is not waited for */
#define REQUEST_MAX 4096
#define GARBAGE_MAX (1 << 20)           /* without a single good packet */
#define REPORT_US (5 * KT_SECOND_US)
#define KEEPALIVE_ANSWER_US (10 * KT_SECOND_US)
#define TIMEOUT_MIN_S 10
#define TIMEOUT_MAX_S 600
#define CHANNEL_MAX 255                 /* RTP; RTCP is the next one, and both are a byte */

enum step { OPTIONS, DESCRIBE, SETUP, PLAY, PLAYING, OVER };

/* Ways to keep a session alive, in the order in which they are tried. */
enum keepalive { BY_OPTIONS, BY_GET_PARAMETER, BY_SET_PARAMETER, BY_NOTHING };
static const char *const keepalive_method[] = { "OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "" };

struct kt_rtsp_client {
    struct kt_rtsp_client_params params;
    struct kt_rtsp_url url;
    enum step step;
    char why[KT_INGEST_WHY_SIZE];
    enum kt_rtsp_end end;
    /* --- requests --- */
    int cseq;
    char pending[20];           /* method that waits for its answer; empty: none */
    char pending_uri[KT_URL_MAX];
    int pending_track, retries;
    int64_t pending_us;
    struct kt_rtsp_auth auth;
    char session[128];
    char base[KT_URL_MAX], aggregate[KT_URL_MAX];
    char *out;
    size_t out_size;
    /* --- the session --- */
    struct kt_rtsp_track track[KT_RTSP_TRACKS];
    AVRational frame_rate;
    int64_t wall_offset_us;     /* as of the last tick */
    int64_t started_us, next_keepalive_us, keepalive_us, next_report_us;
    enum keepalive keepalive;
    bool can_get, can_set;      /* advertised */
    /* --- interleaved data --- */
    bool in_sync;
    size_t garbage;
};

/* ---- ending ---- */

static int over(struct kt_rtsp_client *c, enum kt_rtsp_end end, const char *fmt, ...)
    kt_printf(3, 4);
static int over(struct kt_rtsp_client *c, enum kt_rtsp_end end, const char *fmt, ...)
{
    if (c->step == OVER)
        return -EPIPE;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->why, sizeof(c->why), fmt, ap);
    va_end(ap);
    c->step = OVER;
    c->end = end;
    return -EPIPE;
}

/* ---- requests ---- */

static int queue(struct kt_rtsp_client *c, const void *data, size_t size)
{
    if (c->out_size + size > OUTPUT_MAX)
        return over(c, KT_RTSP_END_OTHER, "the camera does not read what it is sent");
    memcpy(c->out + c->out_size, data, size);
    c->out_size += size;
    return 0;
}

/* Send METHOD for URI with header lines MORE, each with its line end. */
static int request(struct kt_rtsp_client *c, const char *method, const char *uri, const char *more,
                   int64_t now_us)
{
    char auth[2048], text[REQUEST_MAX], session[160] = "";
    const int ret = kt_rtsp_auth_header(&c->auth, auth, sizeof(auth), method, uri, c->url.user,
                                        c->url.password);
    if (ret < 0)
        return over(c, KT_RTSP_END_OTHER, "the camera's challenge is too long");
    if (c->session[0])
        snprintf(session, sizeof(session), "Session: %s\r\n", c->session);
    const int n = snprintf(text, sizeof(text), "%s %s RTSP/1.0\r\nCSeq: %d\r\n%s%s"
                           "User-Agent: kentongan\r\n%s\r\n", method, uri, ++c->cseq, auth, session,
                           more);
    if (n >= (int)sizeof(text))
        return over(c, KT_RTSP_END_OTHER, "the camera's addresses are too long");
    if (uri != c->pending_uri)
        snprintf(c->pending_uri, sizeof(c->pending_uri), "%s", uri);
    if (method != c->pending)
        snprintf(c->pending, sizeof(c->pending), "%s", method);
    c->pending_us = now_us;
    return queue(c, text, (size_t)n);
}

static int send_describe(struct kt_rtsp_client *c, int64_t now_us)
{
    c->step = DESCRIBE;
    return request(c, "DESCRIBE", c->url.request, "Accept: application/sdp\r\n", now_us);
}

static int send_setup(struct kt_rtsp_client *c, int track, int64_t now_us)
{
    char uri[KT_URL_MAX], transport[128];
    const struct kt_rtsp_track *t = &c->track[track];
    c->step = SETUP;
    c->pending_track = track;
    if (kt_rtsp_url_join(uri, c->base, t->control) < 0)
        return over(c, KT_RTSP_END_OTHER, "the camera's addresses are too long");
    if (c->params.udp)
        snprintf(transport, sizeof(transport), "Transport: RTP/AVP;unicast;client_port=%d-%d\r\n",
                 c->params.client_port[track], c->params.client_port[track] + 1);
    else
        snprintf(transport, sizeof(transport),
                 "Transport: RTP/AVP/TCP;unicast;interleaved=%d-%d\r\n", 2 * track, 2 * track + 1);
    return request(c, "SETUP", uri, transport, now_us);
}

static void announce(struct kt_rtsp_client *c)
{
    const struct kt_rtsp_track *video = &c->track[0], *audio = &c->track[1];
    const struct kt_ingest_stream stream = {
        .video = video->par,
        .video_time_base = video->time_base,
        .video_rate = c->frame_rate,
        .audio = audio->set_up ? audio->par : NULL,
        .audio_time_base = audio->set_up ? audio->time_base : (AVRational){ 0, 1 },
    };
    c->params.on_stream(c->params.user, &stream);
}

/* Cameras may send before they answer PLAY: be ready first. */
static int send_play(struct kt_rtsp_client *c, int64_t now_us)
{
    announce(c);
    c->step = PLAY;
    return request(c, "PLAY", c->aggregate, "Range: npt=0.000-\r\n", now_us);
}

/* ---- answers ---- */

static int refused(struct kt_rtsp_client *c, int status)
{
    const char *what = c->pending[0] ? c->pending : "a request";
    if (status >= 300 && status < 400)
        return over(c, KT_RTSP_END_OTHER, "the camera redirects to another address: refused; set "
                    "that address if you trust it");
    switch (status) {
    case 403:
        return over(c, KT_RTSP_END_PASSWORD, "the camera forbids this stream to this user");
    case 404:
        return over(c, KT_RTSP_END_OTHER, "the camera has no such stream: check the path of the "
                    "address");
    case 453:
    case 503:
        return over(c, KT_RTSP_END_OTHER, "the camera has too many viewers already (%d)", status);
    case 454:
        return over(c, KT_RTSP_END_OTHER, "the camera forgot the session (454)");
    case 461:
        return over(c, KT_RTSP_END_OTHER, "the camera does not offer %s: set another transport",
                    c->params.udp ? "UDP" : "TCP");
    default:
        return over(c, KT_RTSP_END_OTHER, "the camera refuses %s (%d)", what, status);
    }
}

static void note_session(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg)
{
    struct kt_span value, id, timeout;
    long seconds = 60;
    if (!kt_rtsp_header(msg, "Session", 0, &value))
        return;
    if (kt_span_param(value, ';', "timeout", &timeout))
        seconds = kt_span_number(timeout, 10);
    else if (c->keepalive_us)
        seconds = 0;                            /* said before */
    if (kt_span_next(&value, ';', &id) && id.n)
        kt_span_copy(c->session, sizeof(c->session), id);
    if (seconds > 0)
        c->keepalive_us = av_clip64(seconds, TIMEOUT_MIN_S, TIMEOUT_MAX_S) * KT_SECOND_US / 2;
}

static void note_public(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg)
{
    struct kt_span value, word;
    if (!kt_rtsp_header(msg, "Public", 0, &value))
        return;
    while (kt_span_next(&value, ',', &word)) {
        c->can_get |= kt_span_is(word, "GET_PARAMETER");
        c->can_set |= kt_span_is(word, "SET_PARAMETER");
    }
}

static int find_base(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg,
                     const struct kt_sdp *sdp)
{
    struct kt_span value;
    const bool found = (kt_rtsp_header(msg, "Content-Base", 0, &value) ||
                        kt_rtsp_header(msg, "Content-Location", 0, &value)) &&
                       kt_rtsp_url_complete(value);
    if (!found || !kt_span_copy(c->base, sizeof(c->base), value))
        snprintf(c->base, sizeof(c->base), "%s", c->url.request);
    return kt_rtsp_url_join(c->aggregate, c->base, sdp->control);
}

static int described(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg, int64_t now_us)
{
    struct kt_sdp sdp;
    kt_sdp_parse(&sdp, msg->body);
    if (find_base(c, msg, &sdp) < 0)
        return over(c, KT_RTSP_END_OTHER, "the camera's addresses are too long");
    if (sdp.video.codec == AV_CODEC_ID_NONE) {
        if (sdp.other_video[0])
            return over(c, KT_RTSP_END_OTHER, "video codec %s cannot be recorded: set the camera "
                        "to H.264", sdp.other_video);
        return over(c, KT_RTSP_END_OTHER, "the camera offers no video");
    }
    for (int i = 0; i < KT_RTSP_TRACKS; i++)
        c->track[i].depay.spares = c->params.spares;
    if (kt_rtsp_track_init(&c->track[0], 0, &sdp.video, c->params.user, c->params.on_packet) < 0)
        return over(c, KT_RTSP_END_OTHER, "no memory");
    c->frame_rate = sdp.video.frame_rate;
    /* Audio that fails to start is left out; it must not cost the video. */
    if (sdp.audio.codec != AV_CODEC_ID_NONE && !c->params.no_audio &&
        kt_rtsp_track_init(&c->track[1], 1, &sdp.audio, c->params.user, c->params.on_packet) < 0)
        c->track[1].offered = false;
    return send_setup(c, 0, now_us);
}

static void read_transport(struct kt_rtsp_client *c, struct kt_rtsp_track *t,
                           const struct kt_rtsp_message *msg)
{
    struct kt_span transport, value;
    uint32_t ssrc = 0;
    t->channel = 2 * t->index;
    if (kt_rtsp_header(msg, "Transport", 0, &transport)) {
        if (kt_span_param(transport, ';', "ssrc", &value))
            ssrc = (uint32_t)FFMAX(kt_span_number(value, 16), 0);
        const long channel = kt_span_param(transport, ';', "interleaved", &value) ? kt_span_number(value, 10) : -1;
        if (channel >= 0 && channel < CHANNEL_MAX)
            t->channel = (int)channel;
        if (kt_span_param(transport, ';', "server_port", &value))
            t->server_port = (int)av_clip64(kt_span_number(value, 10), 0, 65534);
    }
    kt_rtsp_track_start(t, c->params.udp, ssrc, (uint32_t)c->params.random + (uint32_t)t->index);
}

static int set_up(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg, int64_t now_us)
{
    struct kt_rtsp_track *t = &c->track[c->pending_track];
    if (msg->status == 200)
        read_transport(c, t, msg);
    else if (t->index == 0)
        return refused(c, msg->status);
    if (t->index == 0 && c->track[1].offered)
        return send_setup(c, 1, now_us);
    return send_play(c, now_us);
}

static int playing(struct kt_rtsp_client *c, int64_t now_us)
{
    c->step = PLAYING;
    if (!c->keepalive_us)
        c->keepalive_us = 30 * KT_SECOND_US;
    c->next_keepalive_us = now_us + c->keepalive_us;
    c->next_report_us = now_us + REPORT_US;
    return 0;
}

/* Next way to keep the session alive after one that failed. */
static void change_keepalive(struct kt_rtsp_client *c)
{
    do {
        c->keepalive++;
    } while ((c->keepalive == BY_GET_PARAMETER && !c->can_get) ||
             (c->keepalive == BY_SET_PARAMETER && !c->can_set));
    if (c->keepalive > BY_NOTHING)
        c->keepalive = BY_NOTHING;
}

static int challenged(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg, int64_t now_us)
{
    bool fresh = false;
    if (!c->url.user[0])
        return over(c, KT_RTSP_END_PASSWORD, "the camera asks for a user name and password");
    if (kt_rtsp_auth_challenge(&c->auth, msg, &fresh) < 0)
        return over(c, KT_RTSP_END_OTHER, "the camera asks for an unknown kind of password");
    /* Who refuses the answer to a challenge that it has only just made refuses the password: a second try
     * would count as a second wrong one. */
    if (!fresh || ++c->retries > (c->auth.stale ? 2 : 1))
        return over(c, KT_RTSP_END_PASSWORD, "the camera refuses the user name or password");
    if (c->step == SETUP)
        return send_setup(c, c->pending_track, now_us);
    const char *more = c->step == DESCRIBE ? "Accept: application/sdp\r\n"
        : c->step == PLAY ? "Range: npt=0.000-\r\n" : "";
    return request(c, c->pending, c->pending_uri, more, now_us);
}

/* The answer to a keep-alive never ends a session that still delivers. */
static int kept_alive(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg, int64_t now_us)
{
    bool fresh = false;
    if (msg->status == 401 && kt_rtsp_auth_challenge(&c->auth, msg, &fresh) == 0 && fresh &&
        c->retries++ == 0)
        return request(c, c->pending, c->pending_uri, "", now_us);
    c->pending[0] = '\0';
    c->retries = 0;
    if (msg->status != 200)
        change_keepalive(c);
    return 0;
}

static int answer(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg, int64_t now_us)
{
    if (!c->pending[0] || msg->status < 200)
        return 0;                               /* nobody asked: late, or the wrong CSeq; or "100 Continue" */
    if (c->step == PLAYING)
        return kept_alive(c, msg, now_us);
    note_session(c, msg);
    if (msg->status == 401)
        return challenged(c, msg, now_us);
    c->retries = 0;
    switch (c->step) {
    case OPTIONS:
        note_public(c, msg);
        return msg->status >= 300 && msg->status < 400 ? refused(c, msg->status)
                                                       : send_describe(c, now_us);
    case DESCRIBE:
        return msg->status == 200 ? described(c, msg, now_us) : refused(c, msg->status);
    case SETUP:
        return set_up(c, msg, now_us);
    case PLAY:
        c->pending[0] = '\0';
        return msg->status == 200 ? playing(c, now_us) : refused(c, msg->status);
    default:
        return 0;
    }
}

/* A request of the camera's. */
static int asked(struct kt_rtsp_client *c, const struct kt_rtsp_message *msg)
{
    char text[128];
    if (kt_span_is(msg->method, "REDIRECT"))
        return refused(c, 302);
    if (kt_span_is(msg->method, "TEARDOWN"))
        return over(c, KT_RTSP_END_OTHER, "the camera ended the session");
    const bool known = kt_span_is(msg->method, "OPTIONS") || kt_span_is(msg->method, "ANNOUNCE") ||
                       kt_span_is(msg->method, "SET_PARAMETER") ||
                       kt_span_is(msg->method, "GET_PARAMETER");
    const int n = snprintf(text, sizeof(text), "RTSP/1.0 %s\r\nCSeq: %ld\r\n\r\n",
                           known ? "200 OK" : "501 Not Implemented",
                           kt_rtsp_number(msg, "CSeq", 0));
    return queue(c, text, (size_t)n);
}

/* ---- bytes ---- */

/* Interleaved data: the track of CHANNEL, NULL when it is none of ours. */
static struct kt_rtsp_track *track_of(struct kt_rtsp_client *c, int channel, bool *control)
{
    for (int i = 0; i < KT_RTSP_TRACKS; i++) {
        struct kt_rtsp_track *t = &c->track[i];
        if (t->set_up && (channel == t->channel || channel == t->channel + 1)) {
            *control = channel != t->channel;
            return t;
        }
    }
    return NULL;
}

/*
 * Is this '$' the head of a packet? After garbage only what is surely ours is
 * believed; in sync, channels that nobody asked for are skipped as such.
 * -EAGAIN: more bytes are needed to tell.
 */
static int check_head(struct kt_rtsp_client *c, const uint8_t *p, size_t size)
{
    bool control = false;
    if (size < 4)
        return -EAGAIN;
    const size_t n = AV_RB16(p + 2);
    const struct kt_rtsp_track *t = track_of(c, p[1], &control);
    if (!t)
        return c->in_sync && p[1] < 32 && n > 0;
    if (n < (control ? 4u : 12u))
        return n == 0 ? c->in_sync : 0;
    if (size < 6)
        return -EAGAIN;
    if (control)
        return p[4] >> 6 == 2 && p[5] >= 192 && p[5] <= 223;
    return p[4] >> 6 == 2 && (p[5] & 127) == t->rtp.payload_type;
}

static int check_flood(struct kt_rtsp_client *c)
{
    for (int i = 0; i < KT_RTSP_TRACKS; i++)
        if (c->track[i].in_second > KT_RTSP_FRAMES_MAX)
            return over(c, KT_RTSP_END_OTHER, "the camera sends thousands of frames a second");
    return 0;
}

static int take_packet(struct kt_rtsp_client *c, const uint8_t *p, int64_t now_us)
{
    bool control = false;
    struct kt_rtsp_track *t = track_of(c, p[1], &control);
    const size_t n = AV_RB16(p + 2);
    c->in_sync = true;
    if (!t)
        return 0;
    c->garbage = 0;
    if (control)
        kt_rtp_control(&t->rtp, p + 4, n, now_us, now_us + c->wall_offset_us);
    else
        kt_rtsp_track_feed(t, p + 4, n, now_us);
    return check_flood(c);
}

/* How many bytes from P on cannot begin anything. */
static size_t skip_garbage(struct kt_rtsp_client *c, const uint8_t *p, size_t size)
{
    size_t n = 1;
    while (n < size && p[n] != '$' && !(p[n] == 'R' && kt_rtsp_looks_like(p + n, size - n)))
        n++;
    c->in_sync = false;
    c->garbage += n;
    return n;
}

/* What looked like a message and was none: all that was read for it, so that garbage full of beginnings
 * is not read from each of them again. ERROR is kt_rtsp_parse()'s. */
static size_t skip_message(struct kt_rtsp_client *c, int error, const uint8_t *p, size_t size)
{
    const uint8_t *end = error == -EBADMSG ? memchr(p, '\n', size) : NULL;
    const size_t n = end ? (size_t)(end - p) + 1 : FFMIN(size, KT_RTSP_HEAD_MAX);
    c->in_sync = false;
    c->garbage += n;
    return n;
}

static int take_message(struct kt_rtsp_client *c, const uint8_t *p, size_t size, int64_t now_us)
{
    struct kt_rtsp_message msg;
    const int n = kt_rtsp_parse(&msg, p, size);
    if (n < 0 && c->step < PLAY)
        return over(c, KT_RTSP_END_OTHER, n == -EMSGSIZE ? "the camera's answer is too long"
                                                         : "the camera does not speak RTSP");
    if (n < 0)
        return (int)skip_message(c, n, p, size);
    if (n == 0)
        return -EAGAIN;
    const int ret = msg.status ? answer(c, &msg, now_us) : asked(c, &msg);
    return ret < 0 ? ret : n;
}

/* One piece from the front: its size, -EAGAIN for more bytes, -EPIPE at the end. */
static int take_piece(struct kt_rtsp_client *c, const uint8_t *p, size_t size, int64_t now_us)
{
    if (p[0] == '$' && c->step >= SETUP) {
        const int ours = check_head(c, p, size);
        if (ours < 0)
            return ours;
        if (ours) {
            const size_t n = 4 + (size_t)AV_RB16(p + 2);
            if (size < n)
                return -EAGAIN;
            const int ret = take_packet(c, p, now_us);
            return ret < 0 ? ret : (int)n;
        }
    } else if (kt_rtsp_looks_like(p, size)) {
        return take_message(c, p, size, now_us);
    } else if (p[0] == '\r' || p[0] == '\n') {
        return 1;
    } else if (c->step < PLAY) {
        return over(c, KT_RTSP_END_OTHER, "the camera does not speak RTSP");
    }
    const size_t n = skip_garbage(c, p, size);
    if (c->garbage > GARBAGE_MAX)
        return over(c, KT_RTSP_END_OTHER, "the camera sends garbage");
    return (int)n;
}

int kt_rtsp_client_feed(kt_rtsp_client *c, const uint8_t *data, size_t size, int64_t now_us)
{
    size_t at = 0;
    while (at < size && c->step != OVER) {
        const int n = take_piece(c, data + at, size - at, now_us);
        if (n == -EAGAIN)
            break;
        if (n < 0)
            return n;
        at += (size_t)n;
    }
    return c->step == OVER ? -EPIPE : (int)at;
}

void kt_rtsp_client_datagram(kt_rtsp_client *c, int track, bool control, const uint8_t *data,
                             size_t size, int64_t now_us)
{
    struct kt_rtsp_track *t = &c->track[track];
    if (!t->set_up)
        return;
    if (control)
        kt_rtp_control(&t->rtp, data, size, now_us, now_us + c->wall_offset_us);
    else
        kt_rtsp_track_feed(t, data, size, now_us);
}

/* ---- time ---- */

static int send_reports(struct kt_rtsp_client *c, int64_t now_us)
{
    for (int i = 0; i < KT_RTSP_TRACKS; i++) {
        struct kt_rtsp_track *t = &c->track[i];
        uint8_t packet[4 + KT_RTP_REPORT_MAX];
        const size_t n = t->set_up ? kt_rtp_report(&t->rtp, packet + 4, now_us) : 0;
        if (n == 0)
            continue;
        if (c->params.udp) {
            c->params.send_datagram(c->params.user, i, true, packet + 4, n);
            continue;
        }
        packet[0] = '$';
        packet[1] = (uint8_t)(t->channel + 1);
        AV_WB16(packet + 2, (uint16_t)n);
        const int ret = queue(c, packet, 4 + n);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int send_keepalive(struct kt_rtsp_client *c, int64_t now_us)
{
    if (c->pending[0] && now_us - c->pending_us < KEEPALIVE_ANSWER_US)
        return 0;
    if (c->pending[0])
        change_keepalive(c);                    /* the last one was never answered */
    c->retries = 0;
    if (c->keepalive == BY_NOTHING)
        return 0;
    return request(c, keepalive_method[c->keepalive], c->aggregate, "", now_us);
}

int kt_rtsp_client_tick(kt_rtsp_client *c, int64_t now_us, int64_t wall_us)
{
    if (c->step == OVER)
        return -EPIPE;
    c->wall_offset_us = wall_us - now_us;
    if (c->step != PLAYING) {
        if (now_us - c->started_us > c->params.handshake_timeout_us)
            return over(c, KT_RTSP_END_OTHER, "no answer to %s in time",
                        c->pending[0] ? c->pending : "a request");
        return 0;
    }
    for (int i = 0; i < KT_RTSP_TRACKS && c->params.udp; i++) {
        c->track[i].now_us = now_us;
        kt_rtp_tick(&c->track[i].rtp, now_us);
    }
    int ret = check_flood(c);                   /* with UDP nobody looked yet */
    if (ret >= 0 && now_us >= c->next_keepalive_us) {
        c->next_keepalive_us = now_us + c->keepalive_us;
        ret = send_keepalive(c, now_us);
    }
    if (ret >= 0 && now_us >= c->next_report_us) {
        c->next_report_us = now_us + REPORT_US;
        ret = send_reports(c, now_us);
    }
    return ret;
}

/* ---- the object ---- */

int kt_rtsp_client_create(kt_rtsp_client **out, const struct kt_rtsp_client_params *params,
                          int64_t now_us)
{
    kt_cleanup(kt_rtsp_client_destroy) kt_rtsp_client *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->params = *params;
    c->url = *params->url;
    c->params.url = NULL;
    c->out = malloc(OUTPUT_MAX);
    if (!c->out)
        return -ENOMEM;
    c->in_sync = true;
    c->started_us = now_us;
    snprintf(c->auth.cnonce, sizeof(c->auth.cnonce), "%016" PRIx64, params->random);
    const int ret = request(c, "OPTIONS", c->url.request, "", now_us);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&c);
    return 0;
}

void kt_rtsp_client_destroy(kt_rtsp_client **pclient)
{
    kt_rtsp_client *c = kt_steal_ptr(pclient);
    if (!c)
        return;
    for (int i = 0; i < KT_RTSP_TRACKS; i++)
        kt_rtsp_track_free(&c->track[i]);
    free(c->out);
    free(c);
}

const uint8_t *kt_rtsp_client_output(const kt_rtsp_client *c, size_t *size)
{
    *size = c->out_size;
    return (const uint8_t *)c->out;
}

void kt_rtsp_client_sent(kt_rtsp_client *c, size_t size)
{
    c->out_size -= size;
    memmove(c->out, c->out + size, c->out_size);
}

void kt_rtsp_client_teardown(kt_rtsp_client *c)
{
    if (c->session[0] && c->aggregate[0])
        (void)!request(c, "TEARDOWN", c->aggregate, "", c->pending_us);
}

bool kt_rtsp_client_playing(const kt_rtsp_client *c)
{
    return c->step == PLAYING;
}

int64_t kt_rtsp_client_last_frame_us(const kt_rtsp_client *c)
{
    return c->track[0].last_frame_us;
}

int64_t kt_rtsp_client_last_key_us(const kt_rtsp_client *c)
{
    return c->track[0].last_key_us;
}

int kt_rtsp_client_server_port(const kt_rtsp_client *c, int track)
{
    return c->track[track].server_port;
}

void kt_rtsp_client_stats(const kt_rtsp_client *c, struct kt_rtsp_client_stats *stats)
{
    const struct kt_rtsp_track *t = &c->track[0];
    *stats = (struct kt_rtsp_client_stats){
        .rtp = t->rtp.stats, .frames = t->frames, .key_frames = t->key_frames,
        .incomplete = t->depay.incomplete,
    };
}

const char *kt_rtsp_client_why(const kt_rtsp_client *c)
{
    return c->why;
}

enum kt_rtsp_end kt_rtsp_client_end(const kt_rtsp_client *c)
{
    return c->end;
}

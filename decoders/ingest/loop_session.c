#include "decoders/ingest/loop_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <libavutil/common.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/text.h"

#define DATAGRAM_ROUNDS 16                  /* then it is the others' turn, however much waits */
#define KNOWN_NAME_US (2 * KT_SECOND_US)    /* wait for a name whose last address is known */

/* ---- epoll ---- */

static void watch_connection(struct kt_loop_session *s)
{
    struct epoll_event ev = {
        .events = EPOLLIN | (s->net.want_write ? EPOLLOUT : 0), .data.ptr = &s->tcp,
    };
    if (ev.events == s->events)
        return;
    (void)epoll_ctl(s->loop->epoll_fd, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->net.fd, &ev);
    s->events = ev.events;
}

static int watch_datagrams(struct kt_loop_session *s, int track, const int fd[2])
{
    for (int i = 0; i < 2; i++) {
        struct kt_loop_source *source = &s->udp[track][i];
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = source };
        source->fd = fd[i];
        if (epoll_ctl(s->loop->epoll_fd, EPOLL_CTL_ADD, fd[i], &ev) < 0)
            return -errno;
    }
    return 0;
}

/* ---- the client's callbacks ---- */

static void client_stream(void *user, const struct kt_ingest_stream *stream)
{
    struct kt_loop_session *s = user;
    s->params.on_stream(s->params.user, stream);
}

static void client_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    struct kt_loop_session *s = user;
    s->params.on_packet(s->params.user, pkt, arrival_us);
}

static void client_datagram(void *user, int track, bool control, const void *data, size_t size)
{
    struct kt_loop_session *s = user;
    struct kt_address to = s->address[s->tried];
    const int port = kt_rtsp_client_server_port(s->client, track) + control;
    if (port <= 1 || s->udp[track][control].fd < 0)
        return;
    if (to.address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&to.address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&to.address)->sin_port = htons((uint16_t)port);
    (void)!sendto(s->udp[track][control].fd, data, size, 0, (struct sockaddr *)&to.address,
                  to.size);
}

/* ---- one session, from connect to end ---- */

static void add_counts(struct kt_loop_session *s)
{
    struct kt_rtsp_client_stats now;
    kt_rtsp_client_stats(s->client, &now);
    pthread_mutex_lock(&s->base.stats_lock);
    struct kt_ingest_stats *stats = &s->base.stats;
    stats->frames += now.frames - s->counted.frames;
    stats->key_frames += now.key_frames - s->counted.key_frames;
    stats->bytes += now.rtp.bytes - s->counted.rtp.bytes;
    stats->lost_packets += now.rtp.lost - s->counted.rtp.lost;
    stats->incomplete_frames += now.incomplete - s->counted.incomplete;
    stats->last_frame_us = FFMAX(s->watch.last_frame_us, stats->last_frame_us);
    stats->last_key_us = FFMAX(s->watch.last_key_us, stats->last_key_us);
    stats->has_camera_clock = now.rtp.has_report;
    stats->camera_clock_offset_us = now.rtp.clock_offset_us;
    pthread_mutex_unlock(&s->base.stats_lock);
    s->counted = now;
}

/* Send what the client has to say. 0 or a negative errno. */
static int flush_output(struct kt_loop_session *s)
{
    size_t size;
    const uint8_t *data = kt_rtsp_client_output(s->client, &size);
    ssize_t n = 0;
    if (size) {
        n = kt_net_send(&s->net, data, size);
        if (n > 0)
            kt_rtsp_client_sent(s->client, (size_t)n);
    }
    watch_connection(s);
    return n < 0 && n != -EAGAIN ? (int)n : 0;
}

void kt_loop_session_close(struct kt_loop_session *s)
{
    if (s->client) {
        add_counts(s);
        kt_rtsp_client_teardown(s->client);
        if (s->net.connected)
            (void)flush_output(s);
    }
    kt_rtsp_client_destroy(&s->client);
    kt_resolver_cancel(s->loop->resolver, &s->lookup);
    kt_net_close(&s->net);
    s->events = 0;
    for (int i = 0; i < KT_RTSP_TRACKS; i++)
        for (int j = 0; j < 2; j++)
            kt_closep(&s->udp[i][j].fd);
    free(s->rest);
    s->rest = NULL;
    s->rest_size = s->rest_cap = 0;
    s->counted = (struct kt_rtsp_client_stats){ 0 };
}

static void fail(struct kt_loop_session *s, const char *why, enum kt_rtsp_end end)
{
    char text[KT_INGEST_WHY_SIZE];
    const int64_t now = kt_clock_mono_us();
    snprintf(text, sizeof(text), "%s", why);    /* it may belong to the client */
    if (kt_watch_worked(&s->watch, now))
        kt_backoff_reset(&s->backoff);
    kt_loop_session_close(s);
    s->phase = KT_LOOP_WAITING;
    s->watch.begun_us = 0;
    s->due_us = now + (end == KT_RTSP_END_PASSWORD ? kt_backoff_password(&s->backoff)
                                                   : kt_backoff_next(&s->backoff));
    kt_watch_say(&s->watch, KT_INGEST_OFFLINE, text);
}

static void fail_errno(struct kt_loop_session *s, const char *doing, int ret)
{
    char why[KT_INGEST_WHY_SIZE];
    if (ret == -ECONNREFUSED)
        snprintf(why, sizeof(why), "nothing answers at this address: connection refused");
    else
        snprintf(why, sizeof(why), "%s: %s", doing, kt_strerror(ret));
    fail(s, why, KT_RTSP_END_OTHER);
}

static void end_of_client(struct kt_loop_session *s)
{
    fail(s, kt_rtsp_client_why(s->client), kt_rtsp_client_end(s->client));
}

static void connect_next(struct kt_loop_session *s, int64_t now_us)
{
    const struct kt_address *a = &s->address[s->tried];
    const struct sockaddr *address = (const struct sockaddr *)&a->address;
    if (s->params.may_connect &&
        s->params.may_connect(s->params.may_connect_user, address) < 0) {
        fail(s, "this address is not allowed: it leads to the recorder itself, or to no camera",
             KT_RTSP_END_OTHER);
        return;
    }
    const bool tls = s->url.tls || strcmp(s->params.transport, "tls") == 0;
    s->phase = KT_LOOP_CONNECTING;
    s->due_us = now_us + s->params.connect_timeout_us;
    const int ret = kt_net_connect(&s->net, address, a->size,
                                   tls ? s->loop->tls : NULL);
    if (ret < 0)
        fail_errno(s, "connecting", ret);
    else
        watch_connection(s);
}

static void not_connected(struct kt_loop_session *s, const char *doing, int ret, int64_t now_us)
{
    if (s->tried + 1 >= s->addresses) {
        fail_errno(s, doing, ret);
        return;
    }
    kt_net_close(&s->net);
    s->events = 0;
    s->tried++;
    connect_next(s, now_us);
}

static void begin(struct kt_loop_session *s, int64_t now_us)
{
    kt_watch_say(&s->watch, KT_INGEST_CONNECTING, "");
    s->tried = 0;
    if (kt_resolver_numeric(s->url.host, s->url.port, &s->address[0])) {
        s->addresses = 1;
        connect_next(s, now_us);
        return;
    }
    s->phase = KT_LOOP_RESOLVING;
    s->due_us = now_us + (s->addresses ? KNOWN_NAME_US : 2 * s->params.connect_timeout_us);
    const int ret = kt_resolver_start(s->loop->resolver, &s->lookup, s->url.host, s->url.port);
    if (ret < 0)
        fail_errno(s, "looking up the name", ret);
}

/* A name that meant something before a name server went away still means it. */
static void check_lookup(struct kt_loop_session *s, int64_t now_us)
{
    const int n = kt_resolver_result(s->loop->resolver, s->lookup, s->address);
    const bool late = n == 0 && now_us >= s->due_us;
    if (n == 0 && !late)
        return;
    kt_resolver_cancel(s->loop->resolver, &s->lookup);
    if (n > 0)
        s->addresses = n;
    if (s->addresses)
        connect_next(s, now_us);
    else
        fail(s, late || n == -ETIMEDOUT ? KT_INGEST_NO_NAME_SERVER : KT_INGEST_NO_NAME, KT_RTSP_END_OTHER);
}

static int open_datagrams(struct kt_loop_session *s, struct kt_rtsp_client_params *params)
{
    const int family = s->address[s->tried].address.ss_family;
    for (int i = 0; i < KT_RTSP_TRACKS; i++) {
        int fd[2];
        int ret = kt_net_bind_pair(fd, &params->client_port[i], family);
        if (ret >= 0)
            ret = watch_datagrams(s, i, fd);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static void start_client(struct kt_loop_session *s, int64_t now_us)
{
    struct kt_rtsp_client_params params = {
        .url = &s->url,
        .udp = strcmp(s->params.transport, "udp") == 0,
        .no_audio = s->params.no_audio,
        .handshake_timeout_us = s->params.connect_timeout_us,
        .spares = &s->loop->spares,
        .user = s,
        .on_stream = client_stream,
        .on_packet = client_packet,
        .send_datagram = client_datagram,
    };
    int ret = getrandom(&params.random, sizeof(params.random), 0) < 0 ? -errno : 0;
    if (ret >= 0 && params.udp)
        ret = open_datagrams(s, &params);
    if (ret >= 0)
        ret = kt_rtsp_client_create(&s->client, &params, now_us);
    if (ret >= 0)
        ret = flush_output(s);
    if (ret < 0)
        fail_errno(s, "starting the session", ret);
    else
        s->phase = KT_LOOP_RUNNING;
}

/* Any certificate will do; another one than before is worth a word. */
static void note_certificate(struct kt_loop_session *s)
{
    static const uint8_t none[KT_NET_FINGERPRINT];
    uint8_t now[KT_NET_FINGERPRINT];
    char was_hex[2 * KT_NET_FINGERPRINT + 1], now_hex[2 * KT_NET_FINGERPRINT + 1];
    if (kt_net_fingerprint(&s->net, now) < 0 || memcmp(s->fingerprint, now, sizeof(now)) == 0)
        return;
    kt_hex(was_hex, s->fingerprint, sizeof(now));
    kt_hex(now_hex, now, sizeof(now));
    if (memcmp(s->fingerprint, none, sizeof(none)) != 0)
        kt_warn(s->params.name, "the camera shows another certificate than before: SHA-256 %s, was %s",
                now_hex, was_hex);
    memcpy(s->fingerprint, now, sizeof(now));
}

static void continue_connect(struct kt_loop_session *s, int64_t now_us)
{
    const int ret = kt_net_continue(&s->net);
    if (ret == 0) {
        note_certificate(s);
        start_client(s, now_us);
    } else if (ret == -EAGAIN) {
        watch_connection(s);
    } else {
        not_connected(s, "connecting", ret, now_us);
    }
}

/* ---- bytes ---- */

/* Keep what the client could not use yet. */
static int keep_rest(struct kt_loop_session *s, const uint8_t *data, size_t size)
{
    if (size > s->rest_cap) {
        uint8_t *rest = realloc(s->rest, size);
        if (!rest)
            return -ENOMEM;
        s->rest = rest;
        s->rest_cap = size;
    }
    if (size)
        memcpy(s->rest, data, size);
    s->rest_size = size;
    return 0;
}

static void note_progress(struct kt_loop_session *s, int64_t now_us)
{
    if (!s->watch.begun_us && kt_rtsp_client_playing(s->client))
        kt_watch_begin(&s->watch, now_us);
    s->watch.last_frame_us = kt_rtsp_client_last_frame_us(s->client);
    s->watch.last_key_us = kt_rtsp_client_last_key_us(s->client);
    if (s->watch.last_key_us && s->watch.state == KT_INGEST_CONNECTING)
        kt_watch_say(&s->watch, KT_INGEST_STREAMING, "");
}

static void receive(struct kt_loop_session *s, int64_t now_us)
{
    uint8_t *buf = s->loop->buffer;
    if (s->rest_size)
        memcpy(buf, s->rest, s->rest_size);
    const ssize_t n = kt_net_receive(&s->net, buf + s->rest_size,
                                     KT_LOOP_READ_BUFFER - s->rest_size);
    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n == 0) {
        fail(s, "the camera closed the connection", KT_RTSP_END_OTHER);
        return;
    }
    if (n < 0) {
        fail_errno(s, "receiving", (int)n);
        return;
    }
    const size_t size = s->rest_size + (size_t)n;
    const int used = kt_rtsp_client_feed(s->client, buf, size, now_us);
    if (used < 0) {
        end_of_client(s);
        return;
    }
    note_progress(s, now_us);
    int ret = keep_rest(s, buf + used, size - (size_t)used);
    if (ret >= 0)
        ret = flush_output(s);
    if (ret < 0)
        fail_errno(s, "sending", ret);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                      &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

static void receive_datagrams(struct kt_loop_source *source, int64_t now_us)
{
    struct kt_loop_session *s = source->session;
    kt_ingest_loop *loop = s->loop;
    struct mmsghdr msg[KT_LOOP_DATAGRAMS];
    struct iovec iov[KT_LOOP_DATAGRAMS];
    struct sockaddr_storage from[KT_LOOP_DATAGRAMS];
    memset(msg, 0, sizeof(msg));
    for (int i = 0; i < KT_LOOP_DATAGRAMS; i++) {
        iov[i] = (struct iovec){ loop->datagram[i], KT_LOOP_DATAGRAM_MAX };
        msg[i].msg_hdr = (struct msghdr){
            .msg_iov = &iov[i], .msg_iovlen = 1,
            .msg_name = &from[i], .msg_namelen = sizeof(from[i]),
        };
    }
    int n, rounds = 0;
    do {
        n = recvmmsg(source->fd, msg, KT_LOOP_DATAGRAMS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            if (same_host(&from[i], &s->address[s->tried].address))
                kt_rtsp_client_datagram(s->client, source->track, source->control,
                                        loop->datagram[i], msg[i].msg_len, now_us);
            msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
        }
    } while (n == KT_LOOP_DATAGRAMS && ++rounds < DATAGRAM_ROUNDS);
    note_progress(s, now_us);
}

void kt_loop_session_handle(struct kt_loop_source *source, uint32_t events, int64_t now_us)
{
    struct kt_loop_session *s = source->session;
    if (source != &s->tcp) {
        if (s->client && source->fd >= 0)
            receive_datagrams(source, now_us);
    } else if (s->phase == KT_LOOP_CONNECTING) {
        continue_connect(s, now_us);
    } else if (s->phase == KT_LOOP_RUNNING) {
        if (events & EPOLLOUT && flush_output(s) < 0) {
            fail(s, "the camera closed the connection", KT_RTSP_END_OTHER);
            return;
        }
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(s, now_us);
    }
}

/* ---- time ---- */

static void tick_running(struct kt_loop_session *s, int64_t now_us)
{
    char why[KT_INGEST_WHY_SIZE];
    if (kt_rtsp_client_tick(s->client, now_us, kt_clock_wall_us()) < 0) {
        end_of_client(s);
        return;
    }
    note_progress(s, now_us);
    if (s->watch.begun_us && kt_watch_check(&s->watch, now_us, why) < 0) {
        fail(s, why, KT_RTSP_END_OTHER);
        return;
    }
    add_counts(s);
    if (flush_output(s) < 0)
        fail(s, "the camera closed the connection", KT_RTSP_END_OTHER);
}

void kt_loop_session_tick(struct kt_loop_session *s, int64_t now_us)
{
    switch (s->phase) {
    case KT_LOOP_WAITING:
        if (now_us >= s->due_us)
            begin(s, now_us);
        break;
    case KT_LOOP_RESOLVING:
        check_lookup(s, now_us);
        break;
    case KT_LOOP_CONNECTING:
        if (now_us >= s->due_us)
            not_connected(s, "connecting", -ETIMEDOUT, now_us);
        break;
    case KT_LOOP_RUNNING:
        tick_running(s, now_us);
        break;
    }
}

/*
 * loop.c - one thread for all sessions: sockets, timers, and the RTSP client's
 * bytes in between. It collects for a few milliseconds before it reads, so that
 * forty cameras cost dozens of system calls a second and not thousands.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <libavutil/common.h>

#include "decoders/ingest/net.h"
#include "decoders/ingest/resolver.h"
#include "decoders/ingest/rtsp_client.h"
#include "decoders/ingest/session.h"
#include "server/base/clock.h"

#define READ_BUFFER (512 << 10)         /* one for all sessions */
#define BATCH_MS 12                     /* let packets gather for so long */
#define TICK_US 25000
#define EVENTS 256
#define DATAGRAMS 32
#define DATAGRAM_MAX 2048

enum phase { WAITING, RESOLVING, CONNECTING, RUNNING };

struct session;

/* What an epoll event points to. */
struct source {
    struct session *session;            /* NULL: the wake-up */
    int fd;                             /* UDP only, -1: none */
    int track;
    bool control;
};

struct session {
    kt_ingest base;
    struct kt_ingest_params params;     /* constant */
    struct kt_rtsp_url url;             /* constant */
    kt_ingest_loop *loop;               /* constant */
    atomic_bool stop;
    bool gone;                          /* protected by the loop's lock */
    struct session *next;               /* first in the loop's queue, then in its list */
    /* --- loop thread --- */
    enum phase phase;
    struct kt_backoff backoff;
    struct kt_watch watch;
    int64_t due_us;                     /* WAITING: the next try; otherwise when to give up */
    kt_lookup *lookup;
    struct kt_address address[KT_RESOLVER_ADDRESSES];
    int addresses, tried;
    struct kt_net net;
    struct source tcp, udp[KT_RTSP_TRACKS][2];
    uint32_t events;                    /* that epoll watches on the connection */
    kt_rtsp_client *client;
    uint8_t *rest;                      /* bytes that the client wants again */
    size_t rest_size, rest_cap;
    struct kt_rtsp_client_stats counted;    /* of this session, as already in base.stats */
};

struct kt_ingest_loop {
    pthread_t thread;
    int epoll_fd, wake_fd;              /* constant */
    struct source wake_up;              /* constant; what the wake_fd's events point to */
    atomic_bool stop;
    pthread_mutex_t lock;               /* leaf: no callback under it */
    pthread_cond_t changed;             /* a session is gone */
    struct session *added;              /* protected by lock */
    /* --- loop thread --- */
    struct session *sessions;
    kt_resolver *resolver;
    SSL_CTX *tls;
    int64_t next_tick_us;
    uint8_t buffer[READ_BUFFER];
    uint8_t datagram[DATAGRAMS][DATAGRAM_MAX];
};

/* ---- epoll ---- */

static void watch_connection(struct session *s)
{
    struct epoll_event ev = {
        .events = EPOLLIN | (s->net.want_write ? EPOLLOUT : 0), .data.ptr = &s->tcp,
    };
    if (ev.events == s->events)
        return;
    (void)epoll_ctl(s->loop->epoll_fd, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->net.fd, &ev);
    s->events = ev.events;
}

static int watch_datagrams(struct session *s, int track, const int fd[2])
{
    for (int i = 0; i < 2; i++) {
        struct source *source = &s->udp[track][i];
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
    struct session *s = user;
    s->params.on_stream(s->params.user, stream);
}

static void client_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    struct session *s = user;
    s->params.on_packet(s->params.user, pkt, arrival_us);
}

static void client_datagram(void *user, int track, bool control, const void *data, size_t size)
{
    struct session *s = user;
    struct kt_address to = s->address[s->tried];
    const int port = kt_rtsp_client_server_port(s->client, track) + control;
    if (port <= 1 || s->udp[track][control].fd < 0)
        return;
    if (to.address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&to.address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&to.address)->sin_port = htons((uint16_t)port);
    (void)!sendto(s->udp[track][control].fd, data, size, 0, (struct sockaddr *)&to.address, to.size);
}

/* ---- one session, from connect to end ---- */

static void add_counts(struct session *s)
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
static int flush_output(struct session *s)
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

/* Give everything back; the camera is told if it listens. */
static void close_session(struct session *s)
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

static void fail(struct session *s, const char *why, enum kt_rtsp_end end)
{
    char text[KT_INGEST_WHY_SIZE];
    const int64_t now = kt_clock_mono_us();
    snprintf(text, sizeof(text), "%s", why);    /* it may belong to the client */
    if (kt_watch_worked(&s->watch, now))
        kt_backoff_reset(&s->backoff);
    close_session(s);
    s->phase = WAITING;
    s->watch.begun_us = 0;
    s->due_us = now + kt_backoff_next(&s->backoff);
    if (end == KT_RTSP_END_PASSWORD)            /* a few wrong tries lock the account */
        s->due_us = now + s->params.backoff_max_us;
    kt_watch_say(&s->watch, KT_INGEST_OFFLINE, text);
}

static void fail_errno(struct session *s, const char *doing, int ret)
{
    char why[KT_INGEST_WHY_SIZE];
    if (ret == -ECONNREFUSED)
        snprintf(why, sizeof(why), "nothing answers at this address: connection refused");
    else
        snprintf(why, sizeof(why), "%s: %s", doing, kt_strerror(ret));
    fail(s, why, KT_RTSP_END_OTHER);
}

static void end_of_client(struct session *s)
{
    fail(s, kt_rtsp_client_why(s->client), kt_rtsp_client_end(s->client));
}

static void connect_next(struct session *s, int64_t now_us)
{
    const struct kt_address *a = &s->address[s->tried];
    if (s->params.may_connect &&
        s->params.may_connect(s->params.may_connect_user, (const struct sockaddr *)&a->address) < 0) {
        fail(s, "this address is not allowed: it leads to the recorder itself, or to no camera",
             KT_RTSP_END_OTHER);
        return;
    }
    const bool tls = s->url.tls || strcmp(s->params.transport, "tls") == 0;
    s->phase = CONNECTING;
    s->due_us = now_us + s->params.connect_timeout_us;
    const int ret = kt_net_connect(&s->net, (const struct sockaddr *)&a->address, a->size,
                                   tls ? s->loop->tls : NULL);
    if (ret < 0)
        fail_errno(s, "connecting", ret);
    else
        watch_connection(s);
}

static void not_connected(struct session *s, const char *doing, int ret, int64_t now_us)
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

static void begin(struct session *s, int64_t now_us)
{
    kt_watch_say(&s->watch, KT_INGEST_CONNECTING, "");
    s->tried = 0;
    s->addresses = kt_resolver_numeric(s->url.host, s->url.port, &s->address[0]);
    if (s->addresses) {
        connect_next(s, now_us);
        return;
    }
    s->phase = RESOLVING;
    s->due_us = now_us + 2 * s->params.connect_timeout_us;
    const int ret = kt_resolver_start(s->loop->resolver, &s->lookup, s->url.host, s->url.port);
    if (ret < 0)
        fail_errno(s, "looking up the name", ret);
}

static void check_lookup(struct session *s, int64_t now_us)
{
    const int n = kt_resolver_result(s->loop->resolver, s->lookup, s->address);
    if (n == 0)
        return;
    kt_resolver_cancel(s->loop->resolver, &s->lookup);
    if (n < 0) {
        fail(s, "the name of the camera is not known: check the address", KT_RTSP_END_OTHER);
        return;
    }
    s->addresses = n;
    connect_next(s, now_us);
}

static int open_datagrams(struct session *s, struct kt_rtsp_client_params *params)
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

static void start_client(struct session *s, int64_t now_us)
{
    struct kt_rtsp_client_params params = {
        .url = &s->url,
        .udp = strcmp(s->params.transport, "udp") == 0,
        .no_audio = s->params.no_audio,
        .handshake_timeout_us = s->params.connect_timeout_us,
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
        s->phase = RUNNING;
}

static void continue_connect(struct session *s, int64_t now_us)
{
    const int ret = kt_net_continue(&s->net);
    if (ret == 0)
        start_client(s, now_us);
    else if (ret == -EAGAIN)
        watch_connection(s);
    else
        not_connected(s, "connecting", ret, now_us);
}

/* ---- bytes ---- */

/* Keep what the client could not use yet. */
static int keep_rest(struct session *s, const uint8_t *data, size_t size)
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

static void note_progress(struct session *s, int64_t now_us)
{
    if (!s->watch.begun_us && kt_rtsp_client_playing(s->client))
        kt_watch_begin(&s->watch, now_us);
    s->watch.last_frame_us = kt_rtsp_client_last_frame_us(s->client);
    s->watch.last_key_us = kt_rtsp_client_last_key_us(s->client);
    if (s->watch.last_key_us && s->watch.state == KT_INGEST_CONNECTING)
        kt_watch_say(&s->watch, KT_INGEST_STREAMING, "");
}

static void receive(struct session *s, int64_t now_us)
{
    uint8_t *buf = s->loop->buffer;
    if (s->rest_size)
        memcpy(buf, s->rest, s->rest_size);
    const ssize_t n = kt_net_receive(&s->net, buf + s->rest_size, READ_BUFFER - s->rest_size);
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

static void receive_datagrams(struct source *source, int64_t now_us)
{
    struct session *s = source->session;
    kt_ingest_loop *loop = s->loop;
    struct mmsghdr msg[DATAGRAMS];
    struct iovec iov[DATAGRAMS];
    struct sockaddr_storage from[DATAGRAMS];
    memset(msg, 0, sizeof(msg));
    for (int i = 0; i < DATAGRAMS; i++) {
        iov[i] = (struct iovec){ loop->datagram[i], DATAGRAM_MAX };
        msg[i].msg_hdr = (struct msghdr){
            .msg_iov = &iov[i], .msg_iovlen = 1, .msg_name = &from[i], .msg_namelen = sizeof(from[i]),
        };
    }
    int n;
    do {
        n = recvmmsg(source->fd, msg, DATAGRAMS, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            if (same_host(&from[i], &s->address[s->tried].address))
                kt_rtsp_client_datagram(s->client, source->track, source->control,
                                        loop->datagram[i], msg[i].msg_len, now_us);
            msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
        }
    } while (n == DATAGRAMS);
    note_progress(s, now_us);
}

static void handle(struct source *source, uint32_t events, int64_t now_us)
{
    struct session *s = source->session;
    if (source != &s->tcp) {
        if (s->client && source->fd >= 0)
            receive_datagrams(source, now_us);
    } else if (s->phase == CONNECTING) {
        continue_connect(s, now_us);
    } else if (s->phase == RUNNING) {
        if (events & EPOLLOUT && flush_output(s) < 0) {
            fail(s, "the camera closed the connection", KT_RTSP_END_OTHER);
            return;
        }
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(s, now_us);
    }
}

/* ---- time ---- */

static void tick_running(struct session *s, int64_t now_us)
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

static void tick(struct session *s, int64_t now_us)
{
    switch (s->phase) {
    case WAITING:
        if (now_us >= s->due_us)
            begin(s, now_us);
        break;
    case RESOLVING:
        if (now_us >= s->due_us)
            fail(s, "the name server does not answer", KT_RTSP_END_OTHER);
        else
            check_lookup(s, now_us);
        break;
    case CONNECTING:
        if (now_us >= s->due_us)
            not_connected(s, "connecting", -ETIMEDOUT, now_us);
        break;
    case RUNNING:
        tick_running(s, now_us);
        break;
    }
}

/* ---- the thread ---- */

static void wake(kt_ingest_loop *loop)
{
    const uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof(one));
}

static void take_added(kt_ingest_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct session *s = kt_steal_ptr(&loop->added);
    pthread_mutex_unlock(&loop->lock);
    while (s) {
        struct session *next = s->next;
        s->next = loop->sessions;
        loop->sessions = s;
        s = next;
    }
}

static void remove_stopped(kt_ingest_loop *loop)
{
    for (struct session **p = &loop->sessions; *p;) {
        struct session *s = *p;
        if (!atomic_load(&s->stop)) {
            p = &s->next;
            continue;
        }
        *p = s->next;
        close_session(s);
        pthread_mutex_lock(&loop->lock);
        s->gone = true;
        pthread_cond_broadcast(&loop->changed);
        pthread_mutex_unlock(&loop->lock);
    }
}

/* Something from another thread: sessions to start or to stop. */
static void woken(kt_ingest_loop *loop)
{
    uint64_t count;
    (void)!read(loop->wake_fd, &count, sizeof(count));
    loop->next_tick_us = 0;
}

static void tick_all(kt_ingest_loop *loop, int64_t now_us)
{
    if (now_us < loop->next_tick_us)
        return;
    loop->next_tick_us = now_us + TICK_US;
    take_added(loop);
    remove_stopped(loop);
    for (struct session *s = loop->sessions; s; s = s->next)
        tick(s, now_us);
}

/* Let packets gather, unless somebody wakes us. */
static void gather(kt_ingest_loop *loop)
{
    struct pollfd fd = { .fd = loop->wake_fd, .events = POLLIN };
    (void)poll(&fd, 1, BATCH_MS);
}

static void *loop_main(void *user)
{
    kt_ingest_loop *loop = user;
    struct epoll_event events[EVENTS];
    while (!atomic_load(&loop->stop)) {
        const int timeout = loop->sessions ? TICK_US / 1000 : -1;
        const int n = epoll_wait(loop->epoll_fd, events, EVENTS, timeout);
        const int64_t now = kt_clock_mono_us();
        for (int i = 0; i < n; i++) {
            struct source *source = events[i].data.ptr;
            if (source->session)
                handle(source, events[i].events, now);
            else
                woken(loop);
        }
        tick_all(loop, now);
        if (n > 0)
            gather(loop);
    }
    return NULL;
}

/* ---- the loop object ---- */

static int open_fds(kt_ingest_loop *loop)
{
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0)
        return -errno;
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &loop->wake_up };
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0 ? -errno : 0;
}

static int open_tls(kt_ingest_loop *loop)
{
    loop->tls = SSL_CTX_new(TLS_client_method());
    if (!loop->tls)
        return -ENOMEM;
    SSL_CTX_set_verify(loop->tls, SSL_VERIFY_NONE, NULL);   /* see net.h */
    SSL_CTX_set_mode(loop->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
    return 0;
}

static void free_loop(kt_ingest_loop *loop)
{
    kt_resolver_destroy(&loop->resolver);
    SSL_CTX_free(loop->tls);
    kt_closep(&loop->epoll_fd);
    kt_closep(&loop->wake_fd);
    pthread_cond_destroy(&loop->changed);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

int kt_ingest_loop_create(kt_ingest_loop **out)
{
    kt_ingest_loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return -ENOMEM;
    loop->epoll_fd = loop->wake_fd = -1;
    atomic_init(&loop->stop, false);
    pthread_mutex_init(&loop->lock, NULL);
    pthread_cond_init(&loop->changed, NULL);
    int ret = open_fds(loop);
    if (ret >= 0)
        ret = open_tls(loop);
    if (ret >= 0)
        ret = kt_resolver_create(&loop->resolver, loop->wake_fd);
    if (ret >= 0)
        ret = -pthread_create(&loop->thread, NULL, loop_main, loop);
    if (ret < 0) {
        free_loop(loop);
        return ret;
    }
    *out = loop;
    return 0;
}

void kt_ingest_loop_destroy(kt_ingest_loop **ploop)
{
    kt_ingest_loop *loop = kt_steal_ptr(ploop);
    if (!loop)
        return;
    atomic_store(&loop->stop, true);
    wake(loop);
    pthread_join(loop->thread, NULL);
    free_loop(loop);
}

/* ---- sessions from outside ---- */

static void loop_interrupt(kt_ingest *ingest)
{
    struct session *s = (struct session *)ingest;
    atomic_store(&s->stop, true);
    wake(s->loop);
}

static void free_session(struct session *s)
{
    kt_ingest_params_free(&s->params);
    kt_ingest_free_base(&s->base);
    explicit_bzero(&s->url, sizeof(s->url));
    free(s);
}

static void loop_join(kt_ingest *ingest)
{
    struct session *s = (struct session *)ingest;
    pthread_mutex_lock(&s->loop->lock);
    while (!s->gone)
        pthread_cond_wait(&s->loop->changed, &s->loop->lock);
    pthread_mutex_unlock(&s->loop->lock);
    free_session(s);
}

static const struct kt_ingest_ops loop_ops = { loop_interrupt, loop_join };

static void init_sources(struct session *s)
{
    s->tcp = (struct source){ .session = s, .fd = -1 };
    for (int i = 0; i < KT_RTSP_TRACKS; i++)
        for (int j = 0; j < 2; j++)
            s->udp[i][j] = (struct source){ .session = s, .fd = -1, .track = i, .control = j };
}

int kt_ingest_loop_start(kt_ingest **out, const struct kt_ingest_params *params)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    int ret = kt_rtsp_url_parse(&s->url, params->url);
    if (ret >= 0)
        ret = kt_ingest_params_copy(&s->params, params);
    if (ret < 0) {
        free(s);
        return ret;
    }
    kt_ingest_init_base(&s->base, &loop_ops);
    s->loop = params->loop;
    atomic_init(&s->stop, false);
    s->phase = WAITING;
    kt_backoff_init(&s->backoff, &s->params);
    s->watch = (struct kt_watch){ .params = &s->params, .ingest = &s->base };
    kt_net_init(&s->net);
    init_sources(s);

    pthread_mutex_lock(&s->loop->lock);
    s->next = s->loop->added;
    s->loop->added = s;
    pthread_mutex_unlock(&s->loop->lock);
    *out = &s->base;
    wake(s->loop);
    return 0;
}

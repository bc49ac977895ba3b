/*
 * loop.c - one thread for all sessions: it waits, lets packets gather for a few
 * milliseconds so that forty cameras cost dozens of system calls a second and
 * not thousands, and hands events and time to the sessions.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "decoders/ingest/loop_private.h"
#include "server/base/clock.h"

#define BATCH_MS 12                     /* let packets gather for so long */
#define TICK_US 25000
#define EVENTS 256

/* ---- the thread ---- */

static void wake(kt_ingest_loop *loop)
{
    const uint64_t one = 1;
    (void)!write(loop->wake_fd, &one, sizeof(one));
}

static void take_added(kt_ingest_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct kt_loop_session *s = kt_steal_ptr(&loop->added);
    pthread_mutex_unlock(&loop->lock);
    while (s) {
        struct kt_loop_session *next = s->next;
        s->next = loop->sessions;
        loop->sessions = s;
        s = next;
    }
}

static void remove_stopped(kt_ingest_loop *loop)
{
    for (struct kt_loop_session **p = &loop->sessions; *p;) {
        struct kt_loop_session *s = *p;
        if (!atomic_load(&s->stop)) {
            p = &s->next;
            continue;
        }
        *p = s->next;
        kt_loop_session_close(s);
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
    for (struct kt_loop_session *s = loop->sessions; s; s = s->next)
        kt_loop_session_tick(s, now_us);
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
    (void)pthread_setname_np(pthread_self(), "kt-ingest");
    while (!atomic_load(&loop->stop)) {
        const int timeout = loop->sessions ? TICK_US / 1000 : -1;
        const int n = epoll_wait(loop->epoll_fd, events, EVENTS, timeout);
        const int64_t now = kt_clock_mono_us();
        for (int i = 0; i < n; i++) {
            struct kt_loop_source *source = events[i].data.ptr;
            if (source->session)
                kt_loop_session_handle(source, events[i].events, now);
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
    SSL_CTX_set_options(loop->tls, SSL_OP_NO_RENEGOTIATION);    /* a camera could ask for one after another */
    SSL_CTX_set_mode(loop->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return 0;
}

static void free_loop(kt_ingest_loop *loop)
{
    kt_resolver_destroy(&loop->resolver);
    SSL_CTX_free(loop->tls);
    kt_depay_spares_free(&loop->spares);
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
    struct kt_loop_session *s = (struct kt_loop_session *)ingest;
    atomic_store(&s->stop, true);
    wake(s->loop);
}

static void free_session(struct kt_loop_session *s)
{
    kt_ingest_params_free(&s->params);
    kt_ingest_free_base(&s->base);
    explicit_bzero(&s->url, sizeof(s->url));
    free(s);
}

static void loop_join(kt_ingest *ingest)
{
    struct kt_loop_session *s = (struct kt_loop_session *)ingest;
    pthread_mutex_lock(&s->loop->lock);
    while (!s->gone)
        pthread_cond_wait(&s->loop->changed, &s->loop->lock);
    pthread_mutex_unlock(&s->loop->lock);
    free_session(s);
}

static const struct kt_ingest_ops loop_ops = { loop_interrupt, loop_join };

static void init_sources(struct kt_loop_session *s)
{
    s->tcp = (struct kt_loop_source){ .session = s, .fd = -1 };
    for (int i = 0; i < KT_RTSP_TRACKS; i++)
        for (int j = 0; j < 2; j++)
            s->udp[i][j] = (struct kt_loop_source){
                .session = s, .fd = -1, .track = i, .control = j,
            };
}

int kt_ingest_loop_start(kt_ingest **out, const struct kt_ingest_params *params)
{
    struct kt_loop_session *s = calloc(1, sizeof(*s));
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
    s->phase = KT_LOOP_WAITING;
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

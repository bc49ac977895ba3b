/*
 * loop_private.h - one session inside the loop. For loop.c and loop_session.c only.
 */
#ifndef KT_INGEST_LOOP_PRIVATE_H
#define KT_INGEST_LOOP_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "decoders/ingest/depay.h"
#include "decoders/ingest/net.h"
#include "decoders/ingest/resolver.h"
#include "decoders/ingest/rtsp_client.h"
#include "decoders/ingest/session.h"

#define KT_LOOP_READ_BUFFER (512 << 10) /* one for all sessions */
#define KT_LOOP_DATAGRAMS 32
#define KT_LOOP_DATAGRAM_MAX 2048

enum kt_loop_phase { KT_LOOP_WAITING, KT_LOOP_RESOLVING, KT_LOOP_CONNECTING, KT_LOOP_RUNNING };

struct kt_loop_session;

/* What an epoll event points to. */
struct kt_loop_source {
    struct kt_loop_session *session;    /* NULL: the wake-up */
    int fd;                             /* UDP only, -1: none */
    int track;
    bool control;
};

struct kt_loop_session {
    kt_ingest base;
    struct kt_ingest_params params;     /* constant */
    struct kt_rtsp_url url;             /* constant */
    kt_ingest_loop *loop;               /* constant */
    atomic_bool stop;
    bool gone;                          /* protected by the loop's lock */
    struct kt_loop_session *next;       /* first in the loop's queue, then in its list */
    /* --- loop thread --- */
    enum kt_loop_phase phase;
    struct kt_backoff backoff;
    struct kt_watch watch;
    int64_t due_us;                     /* WAITING: the next try; otherwise when to give up */
    kt_lookup *lookup;
    struct kt_address address[KT_RESOLVER_ADDRESSES];
    int addresses, tried;               /* of the last lookup that succeeded */
    struct kt_net net;
    uint8_t fingerprint[KT_NET_FINGERPRINT];    /* of the last certificate seen; zeros: none */
    struct kt_loop_source tcp, udp[KT_RTSP_TRACKS][2];
    uint32_t events;                    /* that epoll watches on the connection */
    kt_rtsp_client *client;
    uint8_t *rest;                      /* bytes that the client wants again */
    size_t rest_size, rest_cap;
    struct kt_rtsp_client_stats counted;    /* of this session, as already in base.stats */
};

struct kt_ingest_loop {
    pthread_t thread;
    int epoll_fd, wake_fd;              /* constant */
    struct kt_loop_source wake_up;      /* constant; what the wake_fd's events point to */
    atomic_bool stop;
    pthread_mutex_t lock;               /* leaf: no callback under it */
    pthread_cond_t changed;             /* a session is gone */
    struct kt_loop_session *added;      /* protected by lock */
    /* --- loop thread --- */
    struct kt_loop_session *sessions;
    kt_resolver *resolver;
    SSL_CTX *tls;
    int64_t next_tick_us;
    struct kt_depay_spares spares;
    uint8_t buffer[KT_LOOP_READ_BUFFER];
    uint8_t datagram[KT_LOOP_DATAGRAMS][KT_LOOP_DATAGRAM_MAX];
};

/* The socket of SOURCE is ready for EVENTS. */
void kt_loop_session_handle(struct kt_loop_source *source, uint32_t events, int64_t now_us);

/* Let time pass: begin, give up, keep alive. */
void kt_loop_session_tick(struct kt_loop_session *s, int64_t now_us);

/* Give everything back; the camera is told if it listens. */
void kt_loop_session_close(struct kt_loop_session *s);

#endif

/*
 * rtsp_server.h - a small RTSP server in a thread, for tests of the client's loop:
 * real sockets, one H.264 track, over TCP, UDP or TLS.
 */
#ifndef KT_TESTS_RTSP_SERVER_H
#define KT_TESTS_RTSP_SERVER_H

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tests/unit/packetise.h"

#define KT_TEST_VISITORS 64

struct kt_test_server {
    int listener, port;
    SSL_CTX *tls;               /* NULL: plain */
    int frames;                 /* of each session before it hangs up; 0: for ever */
    bool mute;                  /* accepts, never answers */
    const char *redirect;       /* where DESCRIBE is sent to; NULL: nowhere */
    atomic_bool stop;
    atomic_int visits, torn_down;
    pthread_t acceptor, visitor[KT_TEST_VISITORS];
};

struct kt_test_visit {
    struct kt_test_server *server;
    int fd, udp, client_port;
    SSL *ssl;
    bool playing;
};

static inline void kt_test_put(struct kt_test_visit *v, const void *data, size_t size)
{
    if (v->ssl)
        SSL_write(v->ssl, data, (int)size);
    else
        (void)!send(v->fd, data, size, MSG_NOSIGNAL);
}

static inline void kt_test_interleave(void *user, const uint8_t *packet, size_t size)
{
    struct kt_test_visit *v = user;
    uint8_t framed[2100] = { '$', 0, (uint8_t)(size >> 8), (uint8_t)size };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)v->client_port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (v->client_port) {
        (void)!sendto(v->udp, packet, size, 0, (struct sockaddr *)&to, sizeof(to));
        return;
    }
    memcpy(framed + 4, packet, size);
    kt_test_put(v, framed, 4 + size);
}

static inline void kt_test_answer(struct kt_test_visit *v, const char *request)
{
    static const char sdp[] = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n";
    char text[512];
    const char *port = strstr(request, "client_port=");
    if (strncmp(request, "DESCRIBE", 8) == 0 && v->server->redirect)
        snprintf(text, sizeof(text), "RTSP/1.0 302 Moved\r\nCSeq: 2\r\nLocation: %s\r\n\r\n", v->server->redirect);
    else if (strncmp(request, "DESCRIBE", 8) == 0)
        snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: %zu\r\n\r\n%s", sizeof(sdp) - 1, sdp);
    else if (strncmp(request, "SETUP", 5) == 0 && port)
        snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nSession: s\r\nTransport: RTP/AVP;unicast;client_port=%d\r\n\r\n",
                 v->client_port = atoi(port + 12));
    else
        snprintf(text, sizeof(text), "RTSP/1.0 200 OK\r\nSession: s\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n");
    v->playing |= strncmp(request, "PLAY", 4) == 0;
    if (strncmp(request, "TEARDOWN", 8) == 0)
        atomic_fetch_add(&v->server->torn_down, 1);
    kt_test_put(v, text, strlen(text));
}

/* One request, if one came within MS. False at the end of the connection. */
static inline bool kt_test_serve(struct kt_test_visit *v, int ms)
{
    char request[4096];
    struct pollfd fd = { .fd = v->fd, .events = POLLIN };
    if (!(v->ssl && SSL_pending(v->ssl)) && poll(&fd, 1, ms) == 0)
        return true;
    const ssize_t n = v->ssl ? SSL_read(v->ssl, request, sizeof(request) - 1) : recv(v->fd, request, sizeof(request) - 1, 0);
    if (n <= 0)
        return false;
    request[n] = '\0';
    if (!v->server->mute && request[0] != '$')
        kt_test_answer(v, request);
    return true;
}

static inline void *kt_test_visit_main(void *user)
{
    /* SPS and PPS of a 320x240 Baseline stream, and slices that look like some. */
    static const uint8_t key[] = {
        0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
        0x00, 0x03, 0x03, 0x20, 0xf1, 0x42, 0xa4, 0x80, 0, 0, 0, 1, 0x68, 0xcb, 0x83, 0xcb, 0x20,
        0, 0, 0, 1, 0x65, 0x88, 0x84, 1, 2, 3, 4, 5,
    }, other[] = { 0, 0, 0, 1, 0x41, 0x9a, 1, 2, 3, 4, 5, 6 };
    struct kt_test_visit v = *(struct kt_test_visit *)user;
    struct kt_test_sender sender = { .payload_type = 96, .mtu = 1000, .user = &v, .send = kt_test_interleave };
    free(user);
    v.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = true;
    if (v.server->tls) {
        v.ssl = SSL_new(v.server->tls);
        SSL_set_fd(v.ssl, v.fd);
        up = SSL_accept(v.ssl) == 1;
    }
    for (int n = 0; up && !atomic_load(&v.server->stop);) {
        up = kt_test_serve(&v, v.playing ? 10 : 50);
        if (!v.playing)
            continue;
        kt_test_send_frame(&sender, n % 10 ? other : key, n % 10 ? sizeof(other) : sizeof(key), (uint32_t)n * 900);
        if (++n == v.server->frames)
            break;
    }
    SSL_free(v.ssl);
    close(v.udp);
    close(v.fd);
    return NULL;
}

static inline void *kt_test_accept_main(void *user)
{
    struct kt_test_server *s = user;
    while (!atomic_load(&s->stop)) {
        struct pollfd fd = { .fd = s->listener, .events = POLLIN };
        if (poll(&fd, 1, 50) < 1)
            continue;
        struct kt_test_visit *v = calloc(1, sizeof(*v));
        v->server = s;
        v->fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        const int n = atomic_fetch_add(&s->visits, 1);
        ck_assert_int_lt(n, KT_TEST_VISITORS);
        pthread_create(&s->visitor[n], NULL, kt_test_visit_main, v);
    }
    return NULL;
}

static inline SSL_CTX *kt_test_tls(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    ck_assert_int_eq(SSL_CTX_use_certificate(tls, cert), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(tls, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return tls;
}

static inline void kt_test_server_start(struct kt_test_server *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(a);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&a, size), 0);
    ck_assert_int_eq(listen(s->listener, 64), 0);
    getsockname(s->listener, (struct sockaddr *)&a, &size);
    s->port = ntohs(a.sin_port);
    pthread_create(&s->acceptor, NULL, kt_test_accept_main, s);
}

static inline void kt_test_server_stop(struct kt_test_server *s)
{
    atomic_store(&s->stop, true);
    pthread_join(s->acceptor, NULL);
    for (int i = 0; i < atomic_load(&s->visits); i++)
        pthread_join(s->visitor[i], NULL);
    close(s->listener);
    SSL_CTX_free(s->tls);
}

#endif

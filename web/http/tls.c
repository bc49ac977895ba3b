#include "web/http/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "web/http/web_private.h"

#define BUFFER 16384                    /* what one TLS record holds */
#define ROUNDS 16                       /* of one connection before it is the others' turn */
#define HANDSHAKE_US (10 * KT_SECOND_US)
#define LOOK_MS 1000
#define UNSENT_BYTES (32 << 10)         /* live pictures wait in the hub, where they can be left out */

struct pipe {                           /* one direction */
    uint8_t data[BUFFER];
    size_t at, n;
    bool end;                           /* nothing more will come */
};

/* One visitor. All of it is the thread's. */
struct link {
    struct link *prev, *next;
    SSL *ssl;
    int net, inner;                     /* the visitor's socket; our end of the pair, -1 during the handshake */
    struct sockaddr_storage address;
    socklen_t address_size;
    int64_t since_us;
    struct pipe in, out;                /* from the visitor, to the visitor */
    bool told_end;                      /* the server knows that the visitor sends no more */
    bool wants_write;                   /* TLS must write before it can go on */
    bool more, dead;
};

struct web_tls {
    pthread_mutex_t lock;           /* leaf */
    SSL_CTX *ctx;                   /* protected by lock; connections hold on to the one that they began with */
    struct MHD_Daemon *daemon;
    int listen_fd, epoll_fd, wake_fd;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    struct link *links;
    size_t n;
};

/* ------------------------------ one visitor ------------------------------ */

static void watch(const struct web_tls *t, struct link *l, int fd, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = l };
    if (fd < 0)
        return;
    /* A socket that was closed on the other side is told again and again while it is watched at all. */
    if (events == 0)
        (void)epoll_ctl(t->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, fd, &ev) < 0 && errno == ENOENT)
        (void)epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

static void free_link(struct web_tls *t, struct link *l)
{
    if (l->prev)
        l->prev->next = l->next;
    else
        t->links = l->next;
    if (l->next)
        l->next->prev = l->prev;
    t->n--;
    SSL_free(l->ssl);
    kt_closep(&l->net);
    kt_closep(&l->inner);
    free(l);
}

/* What a call of the TLS library means for the connection. */
static void judge(struct link *l, int ret)
{
    const int why = SSL_get_error(l->ssl, ret);
    if (why == SSL_ERROR_WANT_WRITE)
        l->wants_write = true;
    else if (why == SSL_ERROR_ZERO_RETURN)
        l->in.end = true;
    else if (why != SSL_ERROR_WANT_READ)
        l->dead = true;
    ERR_clear_error();
}

/* The handshake is done: the server gets the other end of a pair, as if it had accepted it. */
static void hand_over(struct web_tls *t, struct link *l)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        l->dead = true;
        return;
    }
    l->inner = pair[0];
    /* It closes its end whatever the outcome. */
    if (MHD_add_connection(t->daemon, pair[1], (const struct sockaddr *)&l->address, l->address_size) != MHD_YES)
        l->dead = true;
}

static bool read_visitor(struct link *l)
{
    if (l->in.n > 0 || l->in.end)
        return false;
    const int n = SSL_read(l->ssl, l->in.data, BUFFER);
    if (n <= 0) {
        judge(l, n);
        return false;
    }
    l->in.at = 0;
    l->in.n = (size_t)n;
    return true;
}

static bool give_server(struct link *l)
{
    if (l->in.n == 0) {
        if (l->in.end && !l->told_end) {
            (void)shutdown(l->inner, SHUT_WR);
            l->told_end = true;
        }
        return false;
    }
    const ssize_t n = send(l->inner, l->in.data + l->in.at, l->in.n, MSG_NOSIGNAL);
    if (n < 0) {
        l->dead = l->dead || errno != EAGAIN;
        return false;
    }
    l->in.at += (size_t)n;
    l->in.n -= (size_t)n;
    return true;
}

static bool read_server(struct link *l)
{
    if (l->out.n > 0 || l->out.end)
        return false;
    const ssize_t n = recv(l->inner, l->out.data, BUFFER, 0);
    l->out.end = n == 0 || (n < 0 && errno != EAGAIN);
    if (n <= 0)
        return false;
    l->out.at = 0;
    l->out.n = (size_t)n;
    return true;
}

static bool give_visitor(struct link *l)
{
    if (l->out.n == 0) {
        if (l->out.end) {               /* all is said */
            (void)SSL_shutdown(l->ssl);
            ERR_clear_error();
            l->dead = true;
        }
        return false;
    }
    const int n = SSL_write(l->ssl, l->out.data + l->out.at, (int)l->out.n);
    if (n <= 0) {
        judge(l, n);
        return false;
    }
    l->out.at += (size_t)n;
    l->out.n -= (size_t)n;
    return true;
}

/* Move what can be moved, for a while. */
static void pump(struct web_tls *t, struct link *l)
{
    bool moved = true;
    l->wants_write = l->more = false;
    if (l->inner < 0) {
        const int ret = SSL_accept(l->ssl);
        if (ret == 1)
            hand_over(t, l);
        else
            judge(l, ret);
        l->dead = l->dead || l->in.end;
    }
    for (int i = 0; i < ROUNDS && moved && !l->dead && l->inner >= 0; i++) {
        moved = read_visitor(l);
        moved |= !l->dead && give_server(l);
        moved |= !l->dead && read_server(l);
        moved |= !l->dead && give_visitor(l);
        l->more = moved;
    }
    if (l->dead)
        return;
    const bool reads = l->inner < 0 || (l->in.n == 0 && !l->in.end);
    watch(t, l, l->net, (reads ? EPOLLIN : 0) | (l->wants_write || l->out.n > 0 ? EPOLLOUT : 0));
    watch(t, l, l->inner, (l->out.n == 0 && !l->out.end ? EPOLLIN : 0) | (l->in.n > 0 ? EPOLLOUT : 0));
}

/* ------------------------------ all of them ------------------------------ */

static SSL *new_ssl(struct web_tls *t)
{
    pthread_mutex_lock(&t->lock);
    SSL *ssl = SSL_new(t->ctx);
    pthread_mutex_unlock(&t->lock);
    return ssl;
}

static void accept_one(struct web_tls *t, int fd, const struct sockaddr_storage *address, socklen_t size)
{
    const int on = 1, unsent = UNSENT_BYTES;
    struct link *l = t->n < WEB_CONNECTIONS ? calloc(1, sizeof(*l)) : NULL;
    SSL *ssl = l ? new_ssl(t) : NULL;
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        free(l);
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    l->ssl = ssl;
    l->net = fd;
    l->inner = -1;
    l->address = *address;
    l->address_size = size;
    l->since_us = kt_clock_mono_us();
    l->next = t->links;
    if (l->next)
        l->next->prev = l;
    t->links = l;
    t->n++;
    pump(t, l);
}

static void accept_all(struct web_tls *t)
{
    for (;;) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        const int fd = accept4(t->listen_fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        accept_one(t, fd, &address, size);
    }
}

/* Those that have more to move, and those that have come to their end. True: some have more. */
static bool go_round(struct web_tls *t)
{
    const int64_t now_us = kt_clock_mono_us();
    bool more = false;
    for (struct link *l = t->links, *next; l; l = next) {
        next = l->next;
        if (l->more && !l->dead)
            pump(t, l);
        if (l->dead || (l->inner < 0 && now_us - l->since_us > HANDSHAKE_US))
            free_link(t, l);
        else
            more |= l->more;
    }
    return more;
}

static void *work(void *arg)
{
    struct web_tls *t = arg;
    struct epoll_event ev[64];
    bool more = false;
    while (!t->stop) {
        const int n = epoll_wait(t->epoll_fd, ev, KT_ARRAY_SIZE(ev), more ? 0 : LOOK_MS);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.ptr == &t->listen_fd)
                accept_all(t);
            else if (ev[i].data.ptr != &t->wake_fd && !((struct link *)ev[i].data.ptr)->dead)
                pump(t, ev[i].data.ptr);
        }
        more = go_round(t);
    }
    while (t->links)
        free_link(t, t->links);
    return NULL;
}

/* ------------------------------ life ------------------------------ */

static bool load_chain(SSL_CTX *ctx, const char *cert)
{
    BIO *bio = BIO_new_mem_buf(cert, -1);
    X509 *x = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    bool ok = x && SSL_CTX_use_certificate(ctx, x) == 1;
    X509_free(x);
    while (ok && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
            X509_free(x);
            ok = false;
        }
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

static bool load_key(SSL_CTX *ctx, const char *key)
{
    BIO *bio = BIO_new_mem_buf(key, -1);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    const bool ok = pkey && SSL_CTX_use_PrivateKey(ctx, pkey) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(pkey);
    BIO_free(bio);
    ERR_clear_error();
    return ok;
}

static int make_ctx(SSL_CTX **out, const char *cert, const char *key, struct kt_error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
        SSL_CTX_free(ctx);
        return kt_error_set(err, -EIO, "TLS does not start");
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    if (!load_chain(ctx, cert) || !load_key(ctx, key)) {
        SSL_CTX_free(ctx);
        return kt_error_set(err, -EINVAL, "tls_cert and tls_key cannot be read, or do not belong together");
    }
    *out = ctx;
    return 0;
}

int web_tls_create(web_tls **out, const char *cert, const char *key, struct kt_error *err)
{
    kt_cleanup(web_tls_stop) web_tls *t = calloc(1, sizeof(*t));
    if (!t)
        return kt_error_set(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&t->lock, NULL);
    t->listen_fd = t->epoll_fd = t->wake_fd = -1;
    const int ret = make_ctx(&t->ctx, cert, key, err);
    if (ret == 0)
        *out = kt_steal_ptr(&t);
    return ret;
}

int web_tls_renew(web_tls *t, const char *cert, const char *key, struct kt_error *err)
{
    SSL_CTX *ctx = NULL;
    const int ret = make_ctx(&ctx, cert, key, err);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->ctx;
    t->ctx = ctx;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    return 0;
}

int web_tls_start(web_tls *t, int listen_fd, struct MHD_Daemon *daemon)
{
    t->listen_fd = listen_fd;
    t->daemon = daemon;
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event listening = { .events = EPOLLIN, .data.ptr = &t->listen_fd };
    struct epoll_event waking = { .events = EPOLLIN, .data.ptr = &t->wake_fd };
    if (t->epoll_fd < 0 || t->wake_fd < 0 ||
        epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, listen_fd, &listening) < 0 ||
        epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &waking) < 0)
        return -errno;
    const int ret = -pthread_create(&t->thread, NULL, work, t);
    t->started = ret == 0;
    return ret;
}

void web_tls_stop(web_tls **pt)
{
    web_tls *t = kt_steal_ptr(pt);
    if (!t)
        return;
    if (t->started) {
        t->stop = true;
        (void)eventfd_write(t->wake_fd, 1);
        pthread_join(t->thread, NULL);
    }
    kt_closep(&t->listen_fd);
    kt_closep(&t->epoll_fd);
    kt_closep(&t->wake_fd);
    SSL_CTX_free(t->ctx);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

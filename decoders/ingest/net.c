#include "decoders/ingest/net.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <openssl/err.h>

#define PAIR_TRIES 32
#define UDP_BUFFER (1 << 20)            /* a key frame arrives at once */

void kt_net_init(struct kt_net *net)
{
    *net = (struct kt_net){ .fd = -1 };
}

int kt_net_connect(struct kt_net *net, const struct sockaddr *address, socklen_t size, SSL_CTX *tls)
{
    const int one = 1;
    kt_net_init(net);
    net->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (net->fd < 0)
        return -errno;
    (void)setsockopt(net->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (tls) {
        net->ssl = SSL_new(tls);
        if (!net->ssl || !SSL_set_fd(net->ssl, net->fd))
            return -ENOMEM;
        SSL_set_connect_state(net->ssl);
    }
    net->want_write = true;
    if (connect(net->fd, address, size) < 0 && errno != EINPROGRESS)
        return -errno;
    return 0;
}

/* What OpenSSL wants next. */
static int tls_error(struct kt_net *net, int ret)
{
    switch (SSL_get_error(net->ssl, ret)) {
    case SSL_ERROR_WANT_READ:
        net->want_write = false;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        net->want_write = true;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return errno ? -errno : -ECONNRESET;
    default:
        ERR_clear_error();
        return -EPROTO;
    }
}

int kt_net_continue(struct kt_net *net)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (net->connected)
        return 0;
    if (getsockopt(net->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    if (error)
        return -error;
    if (net->ssl) {
        ERR_clear_error();
        const int ret = SSL_do_handshake(net->ssl);
        if (ret != 1) {
            const int why = tls_error(net, ret);
            return why ? why : -ECONNRESET;
        }
    }
    net->connected = true;
    net->want_write = false;
    return 0;
}

ssize_t kt_net_receive(struct kt_net *net, void *data, size_t size)
{
    if (!net->ssl) {
        const ssize_t n = recv(net->fd, data, size, 0);
        return n < 0 ? -errno : n;
    }
    /* A TLS record is at most 16 KiB: take what fits, or OpenSSL keeps it unseen by epoll. */
    size_t at = 0;
    while (at < size) {
        ERR_clear_error();
        const int n = SSL_read(net->ssl, (char *)data + at, (int)(size - at));
        if (n <= 0) {
            const int why = tls_error(net, n);
            return at ? (ssize_t)at : why;
        }
        at += (size_t)n;
    }
    return (ssize_t)at;
}

ssize_t kt_net_send(struct kt_net *net, const void *data, size_t size)
{
    ssize_t n;
    if (net->ssl) {
        ERR_clear_error();
        n = SSL_write(net->ssl, data, (int)size);
        if (n <= 0) {
            const int why = tls_error(net, (int)n);
            return why ? why : -EPIPE;
        }
    } else {
        n = send(net->fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            net->want_write = true;
        if (n < 0)
            return -errno;
    }
    net->want_write = (size_t)n < size;
    return n;
}

void kt_net_close(struct kt_net *net)
{
    if (net->ssl) {
        if (net->connected)
            (void)SSL_shutdown(net->ssl);
        SSL_free(net->ssl);
        ERR_clear_error();
    }
    kt_closep(&net->fd);
    kt_net_init(net);
}

int kt_net_fingerprint(const struct kt_net *net, uint8_t out[KT_NET_FINGERPRINT])
{
    X509 *certificate = net->ssl ? SSL_get1_peer_certificate(net->ssl) : NULL;
    unsigned size = 0;
    const int ok = certificate && X509_digest(certificate, EVP_sha256(), out, &size);
    X509_free(certificate);
    return ok && size == KT_NET_FINGERPRINT ? 0 : -ENOENT;
}

static int bind_port(int family, int port)
{
    const int size = UDP_BUFFER;
    struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    const void *address = family == AF_INET6 ? (const void *)&a6 : &a4;
    kt_cleanup(kt_closep) int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, address, family == AF_INET6 ? sizeof(a6) : sizeof(a4)) < 0)
        return -errno;
    const int ret = fd;
    fd = -1;
    return ret;
}

static int port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t size = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        return -errno;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

int kt_net_bind_pair(int fd[2], int *port, int family)
{
    for (int i = 0; i < PAIR_TRIES; i++) {
        kt_cleanup(kt_closep) int first = bind_port(family, 0);
        if (first < 0)
            return first;
        const int at = port_of(first);
        if (at < 0)
            return at;
        if (at & 1)
            continue;
        fd[1] = bind_port(family, at + 1);
        if (fd[1] < 0)
            continue;
        fd[0] = first;
        first = -1;
        *port = at;
        return 0;
    }
    return -EADDRINUSE;
}

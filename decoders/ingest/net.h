/*
 * net.h - a TCP connection that never blocks, with TLS or without.
 *
 * TLS here keeps listeners out; it does not prove who the camera is, because
 * cameras' certificates are self-signed. OpenSSL raises SIGPIPE on a closed
 * connection: the process must ignore it. Threads: one thread at a time.
 */
#ifndef KT_INGEST_NET_H
#define KT_INGEST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "server/base/cleanup.h"

struct kt_net {
    int fd;                     /* -1: none */
    SSL *ssl;                   /* NULL: plain TCP */
    bool connected;             /* and, with TLS, shaken hands */
    bool want_write;            /* wait for writing as well */
};

void kt_net_init(struct kt_net *net);
/* TLS may be NULL. 0, or a negative errno. */
kt_must_check int kt_net_connect(struct kt_net *net, const struct sockaddr *address,
                                 socklen_t size, SSL_CTX *tls);
/* The socket is ready for something: 0 connected, -EAGAIN not yet, or why not. */
kt_must_check int kt_net_continue(struct kt_net *net);
/* Bytes, 0 at the end, -EAGAIN, or a negative errno. */
kt_must_check ssize_t kt_net_receive(struct kt_net *net, void *data, size_t size);
kt_must_check ssize_t kt_net_send(struct kt_net *net, const void *data, size_t size);
void kt_net_close(struct kt_net *net);

/* SHA-256 of the certificate that a connected NET was shown. -ENOENT: none, or no TLS. */
#define KT_NET_FINGERPRINT 32
kt_must_check int kt_net_fingerprint(const struct kt_net *net, uint8_t out[KT_NET_FINGERPRINT]);

/* Two UDP sockets, the first on an even port, the second on the next.
 * The family is that of the connection TO. 0 or a negative errno. */
kt_must_check int kt_net_bind_pair(int fd[2], int *port, int family);

#endif

/*
 * resolver.h - host names to addresses, in threads of their own, because
 * getaddrinfo(3) blocks for as long as the name server likes.
 *
 * Each name that is being looked up has a thread, started when it is needed, so that a
 * name whose server hangs holds up no other; who asks for a name that is being looked
 * up shares the answer. At most KT_RESOLVER_THREADS: further names wait their turn.
 *
 * Threads: kt_resolver_* may be called from any one thread (the loop's).
 */
#ifndef KT_INGEST_RESOLVER_H
#define KT_INGEST_RESOLVER_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "server/base/cleanup.h"

#define KT_RESOLVER_ADDRESSES 4
#define KT_RESOLVER_THREADS 16

typedef struct kt_resolver kt_resolver;
typedef struct kt_lookup kt_lookup;

struct kt_address {
    struct sockaddr_storage address;
    socklen_t size;
};

/* WAKE_FD is an eventfd that is written when a lookup is done. */
kt_must_check int kt_resolver_create(kt_resolver **out, int wake_fd);
/* Cancel the lookups first. Those in progress are given up after half a second: meant for the end of the
 * process, since what the C library held for them may stay allocated. */
void kt_resolver_destroy(kt_resolver **resolver);

/* An address in digits is no lookup: 1 at once, 0 when it is a name. */
int kt_resolver_numeric(const char *host, const char *port, struct kt_address *out);

kt_must_check int kt_resolver_start(kt_resolver *resolver, kt_lookup **out, const char *host,
                                    const char *port);
/* The number of addresses, 0 not yet, -EHOSTUNREACH unknown, or -ETIMEDOUT no server answered. */
int kt_resolver_result(kt_resolver *resolver, kt_lookup *lookup,
                       struct kt_address out[KT_RESOLVER_ADDRESSES]);
/*
 * Look HOST up in a thread of its own and wait, on the calling thread (any): for the answer, or until
 * CANCEL_FD (-1: never) can be read; given up a tenth of a second later, see kt_resolver_destroy(). Needs no resolver.
 * The number of addresses, -ECANCELED, as kt_resolver_result(), or no thread or descriptor: as pthread_create(3), eventfd(2).
 */
kt_must_check int kt_resolver_look_up(const char *host, const char *port, int cancel_fd,
                                      struct kt_address out[KT_RESOLVER_ADDRESSES]);

/* Forget a lookup, done or not. */
void kt_resolver_cancel(kt_resolver *resolver, kt_lookup **lookup);

#endif

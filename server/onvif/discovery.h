/*
 * discovery.h - WS-Discovery: who is there? Probes by multicast (239.255.255.250:3702)
 * on each IPv4 network, and reads what comes back.
 *
 * Threads: one at a time.
 */
#ifndef KT_ONVIF_DISCOVERY_H
#define KT_ONVIF_DISCOVERY_H

#include <stddef.h>

#include "server/onvif/onvif.h"

#define KT_DISCOVERY_SOCKETS_MAX 16

struct kt_discovery {
    int fd[KT_DISCOVERY_SOCKETS_MAX];
    size_t n;
};

struct kt_discovery_match {
    char service[256];              /* at the address that answered */
    char name[KT_ONVIF_TEXT], hardware[KT_ONVIF_TEXT];
};

/* One socket for each network; INTERFACE: only that one, by name or address. NULL: all that
 * are up, without loopback. -ENODEV: none. */
kt_must_check int kt_discovery_open(struct kt_discovery *d, const char *interface);
void kt_discovery_close(struct kt_discovery *d);

/* Send the questions. UDP gets lost: ask again after a second. */
void kt_discovery_probe(struct kt_discovery *d);

/* Read one answer from D->fd[I]. -EAGAIN: nothing there; -EBADMSG: nonsense, read on. */
kt_must_check int kt_discovery_read(struct kt_discovery *d, size_t i, struct kt_discovery_match *out);

/* The same for bytes that came from HOST. */
kt_must_check int kt_discovery_parse(struct kt_discovery_match *out, const void *data, size_t size,
                                     const char *host);

#endif

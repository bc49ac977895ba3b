/*
 * net_guard.h - which addresses may be reached on somebody else's word.
 *
 * An address typed in the browser (a camera, a web hook) must not make the recorder
 * speak to itself, to its cloud's metadata service or to what hangs on its own wire.
 * Names lie (DNS rebinding), servers redirect, and one address has many spellings; so
 * what counts is the address of the socket just before connect(2), in whatever form.
 * Private networks are where cameras live: allowed. The configuration file is the
 * operator's own word: KT_NET_ALLOW_ALL.
 *
 * Threads: any. Errors: 0 or a negative errno. Nothing here logs.
 */
#ifndef KT_SERVER_NET_GUARD_H
#define KT_SERVER_NET_GUARD_H

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "server/base/error.h"

enum kt_net_class {
    KT_NET_PUBLIC = 1,
    KT_NET_PRIVATE,             /* RFC 1918, 100.64/10, fc00::/7 */
    KT_NET_LOOPBACK,
    KT_NET_LINK_LOCAL,
    KT_NET_METADATA,            /* where clouds keep the machine's own credentials */
    KT_NET_UNSPECIFIED,         /* 0.0.0.0/8, :: (Linux connects to itself) */
    KT_NET_MULTICAST,           /* and broadcast */
    KT_NET_RESERVED,            /* 240/4, and every family but IPv4 and IPv6 */
};

enum kt_net_allow {
    KT_NET_GUARDED = 0,         /* public and private only */
    KT_NET_ALLOW_LOOPBACK = 1 << 0,
    KT_NET_ALLOW_LINK_LOCAL = 1 << 1,
    KT_NET_ALLOW_ALL = ~0,
};

/* One transfer's policy, and what it refused. */
struct kt_net_guard {
    int allow;                          /* enum kt_net_allow, or-ed */
    enum kt_net_class refused;          /* 0 so far: nothing */
};

/* An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4) counts as that
 * IPv4 address. */
enum kt_net_class kt_net_classify(const struct sockaddr *address);

bool kt_net_allowed(int allow, const struct sockaddr *address);

/* "loopback", "link-local", … for messages. */
const char *kt_net_class_name(enum kt_net_class what);

/*
 * Resolve HOST (a name, or an address in any spelling: "0x7f.1") and check all that
 * comes out. A friendly early answer, no protection: the name may mean something
 * else a moment later. Blocks as long as the resolver does, or until STOP_FD (-1: never) can be read.
 *   -ECANCELED  STOP_FD
 *   -EACCES  one of the addresses is not allowed; ERR says which kind
 *   -ENOENT  the name is unknown
 */
kt_must_check int kt_net_check_host(int allow, const char *host, int stop_fd, struct kt_error *err);

/* The same for URL, whose scheme must be one of SCHEMES ("rtsp,rtsps").
 *   -EINVAL  no URL, another scheme, or control characters in user name or password, which would
 *            become further headers of what is sent there */
kt_must_check int kt_net_check_url(int allow, const char *schemes, const char *url, int stop_fd,
                                   struct kt_error *err);

/*
 * Guard EASY: GUARD is asked about every socket before it connects. Follows no
 * redirect, uses no proxy, speaks only SCHEMES ("https" or "http,https"). GUARD is
 * borrowed until the handle is reset or freed. A refused address makes the transfer
 * fail with CURLE_COULDNT_CONNECT and sets GUARD->refused.
 */
void kt_net_guard_curl(CURL *easy, const char *schemes, struct kt_net_guard *guard);

/* The same question for other clients (the ingest loop): 0 or -EACCES. GUARD is a
 * struct kt_net_guard; nothing is written to it, so that sessions may share one. */
int kt_net_guard_connect(void *guard, const struct sockaddr *address);

#endif

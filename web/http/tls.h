/*
 * tls.h - HTTPS in front of the HTTP server: takes connections, speaks TLS with them, and
 * hands the plain bytes to libmicrohttpd over a socket pair, with the visitor's address.
 *
 * libmicrohttpd can do TLS itself, but not with WebSockets: what is upgraded is passed on a
 * piece at a time, seconds late (decision 0027).
 *
 * Threads: one of its own, between start and stop. Bounded: WEB_CONNECTIONS at once, 32 KiB
 * each; a handshake has ten seconds.
 */
#ifndef KT_HTTP_TLS_H
#define KT_HTTP_TLS_H

#include <microhttpd.h>

#include "server/base/error.h"

typedef struct web_tls web_tls;

/* Read CERT and KEY (PEM). -EINVAL: they do not belong together, or cannot be read. */
kt_must_check int web_tls_create(web_tls **out, const char *cert, const char *key, struct kt_error *err);

/* The same for those who come from now on; who is here stays. Any thread. After an error nothing has
 * changed: -EINVAL as above. */
kt_must_check int web_tls_renew(web_tls *tls, const char *cert, const char *key, struct kt_error *err);

/* From now on take what comes to LISTEN_FD, which is TLS's from here on, for DAEMON. */
kt_must_check int web_tls_start(web_tls *tls, int listen_fd, struct MHD_Daemon *daemon);

/* Ends all connections. NULL is fine; also what was not started. */
void web_tls_stop(web_tls **tls);

#endif

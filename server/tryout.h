/*
 * tryout.h - before a camera is saved: what is at this address, and who is on the network?
 *
 * Threads: any; each call blocks its caller for some seconds.
 */
#ifndef KT_SERVER_TRYOUT_H
#define KT_SERVER_TRYOUT_H

#include "decoders/ingest/ingest.h"
#include "server/base/error.h"
#include "server/net_guard.h"
#include "server/snapshots.h"
#include "web/http/web.h"

/* What all below need; borrowed for the call. They come back soon once STOP_FD can be read. */
struct kt_tryout {
    kt_ingest_loop *loop;
    kt_snapshots *snapshots;
    const struct kt_net_guard *guard;
    int stop_fd;
};

/* Listen to URL for 5 s. JSON as docs/openapi.yaml's Probe, malloc'd. NULL with ERR: it was
 * not tried. */
char *kt_tryout_probe(const struct kt_tryout *with, const char *url, const char *transport,
                      struct kt_error *err);

/* Is URL that of a picture (http), not of a stream? */
bool kt_tryout_is_snapshot(const char *url);

/* Fetch the picture at URL; the answer as above, without what only a stream has. */
char *kt_tryout_snapshot(const struct kt_tryout *with, const char *url, struct kt_error *err);

/* Put the password of STORED into URL where that holds "***", if both name the same user and
 * host: a password goes nowhere else. -EINVAL. */
kt_must_check int kt_tryout_password(char out[KT_URL_MAX], const char *url, const char *stored);

/* Look for cameras as ASK says. A JSON list, malloc'd. NULL with ERR. */
char *kt_tryout_discover(const struct kt_tryout *with, const struct kt_discover_ask *ask,
                         struct kt_error *err);

#endif

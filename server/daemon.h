/*
 * daemon.h - everything that runs while `kentongan serve` does, and its order:
 * catalog, rings, hub, events, clips, analysis, ingest loop, cameras, web. Stopping
 * is the reverse.
 *
 * Threads: start, run and stop on the main thread.
 */
#ifndef KT_SERVER_DAEMON_H
#define KT_SERVER_DAEMON_H

#include "server/base/error.h"
#include "server/config.h"

typedef struct kt_daemon kt_daemon;

struct kt_daemon_params {
    const char *config_path;            /* NULL: embedded defaults in data_dir */
    const char *data_dir;               /* used without a configuration file */
    const char *listen;                 /* overrides the configuration; NULL */
    const char *new_ring;               /* accept that this ring's disk is a new one; NULL */
};

/*
 * Bring everything up. A ring that never existed and cannot be made is an
 * error; one that existed and is not there now (wrong disk, no disk, read-only)
 * is not: live view comes up and says NOT RECORDING.
 */
kt_must_check int kt_daemon_start(kt_daemon **out, const struct kt_daemon_params *params,
                                  struct kt_error *err);

/* Supervise until SIGINT or SIGTERM; SIGHUP reads the configuration again. The
 * caller has blocked these signals before any thread was made. */
void kt_daemon_run(kt_daemon *daemon);

/* Finish writing and stop, within 2 s unless the disk hangs. */
void kt_daemon_stop(kt_daemon **daemon);

#endif

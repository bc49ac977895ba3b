/*
 * daemon_private.h - inside the daemon: what daemon.c (life and supervision), fleet.c
 * (which cameras run), keep_events.c (what goes to the rings of events) and site.c
 * (what the pages ask) share.
 */
#ifndef KT_SERVER_DAEMON_PRIVATE_H
#define KT_SERVER_DAEMON_PRIVATE_H

#include <pthread.h>

#include "server/announce.h"
#include "server/camera.h"
#include "server/clips.h"
#include "server/daemon.h"
#include "server/evidence.h"
#include "server/net_guard.h"
#include "server/ring_set.h"
#include "server/snapshots.h"
#include "server/trial.h"

struct kt_daemon {
    /* --- constant after start --- */
    struct kt_daemon_params params;
    int64_t started_us;
    int utc_offset_s;
    kt_catalog *catalog;
    struct kt_ring_set *rings;
    kt_hub *hub;
    kt_keeper *keeper;
    kt_alerts *alerts;                  /* NULL: none configured, like announce */
    kt_announce *announce;
    struct kt_net_guard guard;
    int stop_fd;                        /* an eventfd: can be read from the beginning of the end */
    kt_clips *clips[KT_CONFIG_MAX_RINGS];   /* one for each ring of events, else NULL */
    kt_analysis *analysis;
    kt_trials *trials;
    kt_ingest_loop *loop;
    kt_pool *pool;
    kt_snapshots *snapshots;
    struct kt_evidence *evidence;
    kt_web *web;
    struct kt_camera_env env;
    /* --- main thread --- */
    uint64_t ticks;
    int64_t load_at_us, load_cpu_us;        /* of site.c's kt_daemon_measure_load() */

    pthread_mutex_t change_lock;        /* one change of cameras at a time; before lock */
    kt_config *config;                  /* protected by change_lock */
    pthread_rwlock_t in_use;            /* read: a camera of the list is used without lock; write:
                                         * those that left it can go. Before lock */
    pthread_mutex_t lock;               /* leaf */
    /* --- protected by lock --- */
    kt_camera **cameras;
    size_t n_cameras;
    struct kt_camera_config *wanted;    /* all that should run, in the order of the pages */
    size_t n_wanted;
    double cpu_percent;                 /* of one core, over the last seconds */
};

/* ------------------------- fleet.c ------------------------- */

/* CONFIG of ID in LIST, borrowed, or NULL. */
const struct kt_camera_config *kt_fleet_find(const struct kt_camera_config *list, size_t n,
                                             const char *id);

/* The camera of ID that runs, borrowed, or NULL. lock or change_lock held. */
kt_camera *kt_fleet_running(const kt_daemon *d, const char *id);

/* Make the running cameras those that are wanted; the unchanged ones do not
 * notice. change_lock held. -EIO when one did not start. */
int kt_fleet_reconcile(kt_daemon *d);
void kt_fleet_stop(kt_daemon *d);

/* ------------------------- keep_events.c ------------------------- */

/* EV began, or ended: copy its streams to the rings of events. Any thread. */
void kt_daemon_keep_event(kt_daemon *d, const struct kt_event *ev, bool closed);

/* At start, before cameras run: events that the last run left open end with its last video, and
 * what it had not yet copied of them is copied now. */
void kt_daemon_take_up_events(kt_daemon *d);

/* ------------------------- site.c ------------------------- */

struct kt_site kt_daemon_site(kt_daemon *d);

/* Once a tick, main thread: what the machine is short of. */
void kt_daemon_measure_load(kt_daemon *d);

#endif

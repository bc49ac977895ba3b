/*
 * camera.h - one camera while it is on: its streams, its analysis, what it is
 * doing now.
 *
 * Threads: started, stopped and ticked by the supervisor; state and snapshot from
 * any thread while it exists.
 */
#ifndef KT_SERVER_CAMERA_H
#define KT_SERVER_CAMERA_H

#include "server/analysis.h"
#include "server/keeper.h"
#include "server/ring_set.h"
#include "server/snapshots.h"
#include "server/stream.h"

typedef struct kt_camera kt_camera;

/* What cameras share; all borrowed and constant while cameras exist. */
struct kt_camera_env {
    const struct kt_ring_set *rings;
    kt_hub *hub;
    kt_catalog *catalog;
    kt_keeper *keeper;
    kt_analysis *analysis;
    kt_ingest_loop *loop;
    kt_pool *pool;                          /* memory of large chunks */
    kt_snapshots *snapshots;
    const struct kt_net_guard *guard;       /* of cameras that somebody added in the browser */
    int utc_offset_s;                       /* of the site, for schedules in rules */
};

/* Start CONFIG (copied). A disabled camera has no streams but exists. */
kt_must_check int kt_camera_start(kt_camera **out, const struct kt_camera_config *config,
                                  const struct kt_camera_env *env, struct kt_error *err);

/* Stop many at once, quickly. Each pointer becomes NULL. */
void kt_camera_stop_all(kt_camera **list[], size_t n);

/* The catalog and the decoders do not know each other's words. */
enum kt_analyzer_mode kt_camera_analyzer_mode(enum kt_analysis_mode mode);

const struct kt_camera_config *kt_camera_config(const kt_camera *camera);
void kt_camera_state(kt_camera *camera, struct kt_camera_state *out);

/* Once a second: notice what changed, tell browsers, post events (offline, silent,
 * back again), publish a still. */
void kt_camera_tick(kt_camera *camera, int64_t now_us);

/* How analysis of this camera is doing; zero for a disabled one. */
void kt_camera_analysis(kt_camera *camera, struct kt_analysis_status *out);

/* Newest picture as JPEG, *OUT malloc'd: of a stream, or by HTTP when no stream has given
 * one for a while. -EAGAIN: none yet. */
kt_must_check int kt_camera_snapshot(kt_camera *camera, int max_width, uint8_t **out, size_t *n,
                                     int64_t *wall_us);

#endif

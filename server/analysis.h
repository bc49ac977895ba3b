/*
 * analysis.h - the pool that looks at pictures: as many workers as processors,
 * one camera on at most one worker at a time.
 *
 * Packets wait in a bounded queue per camera. When it is full, packets are
 * refused up to the next key frame: recording never waits for analysis. A camera
 * is run when a key frame came or its oldest packet has waited BATCH_US, so that
 * forty cameras do not mean four hundred wake-ups a second. When the workers
 * cannot keep up, cameras that lag are told to look at less (see
 * kt_analyzer_set_load()), fairly, and to look at everything again later; one that is down to
 * key frames goes on at the newest that waits, and what it leaves out counts as refused. Workers
 * have a lower priority than the threads that record and serve.
 *
 * Threads: kt_analysis_format() and kt_analysis_packet() on the camera's ingest
 * thread; callbacks on a worker; the rest anywhere.
 */
#ifndef KT_SERVER_ANALYSIS_H
#define KT_SERVER_ANALYSIS_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/motion/analyzer.h"

typedef struct kt_analysis kt_analysis;             /* the pool */
typedef struct kt_analysis_camera kt_analysis_camera;

/*
 * WORKERS 0: one per processor. In the folder PLACES (made when it is missing; NULL: none)
 * each camera keeps what its place looks like, so that it need not learn it again
 * after a restart: written every ten minutes and when the camera is removed.
 */
kt_must_check int kt_analysis_create(kt_analysis **out, int workers, const char *places);

/* What the place of a camera that was removed for good looks like is deleted. */
void kt_analysis_forget(kt_analysis *pool, const char *name);

/* Let ANALYZER start from what the place of camera NAME looks like, where that is kept. Any
 * thread. -ENOMEM. */
int kt_analysis_recall(const kt_analysis *pool, const char *name, kt_analyzer *analyzer);

/* All cameras must have been removed. */
void kt_analysis_destroy(kt_analysis **pool);

/* PARAMS is for kt_analyzer_create(), whose par and time_base come later by
 * kt_analysis_format(); rules_json is copied. Callbacks run on a worker. NAME is
 * for messages. -EINVAL with ERR for rules that make no sense. */
kt_must_check int kt_analysis_add(kt_analysis *pool, kt_analysis_camera **out, const char *name,
                                  const struct kt_analyzer_params *params, struct kt_error *err);

/* Waits until no worker runs the camera; no callback afterwards. */
void kt_analysis_remove(kt_analysis_camera **camera);

/* The next packets are in this format. */
void kt_analysis_format(kt_analysis_camera *camera, const AVCodecParameters *par,
                        AVRational time_base);

/* The session ended: nothing will come for a while. */
void kt_analysis_gap(kt_analysis_camera *camera);

/* Never blocks. PKT is borrowed. */
void kt_analysis_packet(kt_analysis_camera *camera, const AVPacket *pkt, int64_t wall_us);

struct kt_analysis_status {
    uint64_t packets, refused;
    int64_t lag_us;                     /* age of the oldest waiting packet when last run */
    enum kt_analyzer_load load;
    struct kt_analyzer_stats analyzer;
};
void kt_analysis_status(kt_analysis_camera *camera, struct kt_analysis_status *out);

/* When the newest picture was taken, UTC; 0: none yet. */
int64_t kt_analysis_picture_us(kt_analysis_camera *camera);

/* The newest picture as JPEG, at most MAX_WIDTH wide. -EAGAIN: none yet. */
kt_must_check int kt_analysis_snapshot(kt_analysis_camera *camera, int max_width, uint8_t **out,
                                       size_t *size, int64_t *wall_us);

#endif

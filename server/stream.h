/*
 * stream.h - one stream of one camera: session -> chunks -> ring and live hub,
 * and its packets to analysis. The only place where they meet.
 *
 * Threads: created and destroyed by the supervisor; status from any thread;
 * packets and chunks flow on the ingest thread.
 */
#ifndef KT_SERVER_STREAM_H
#define KT_SERVER_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/ingest/ingest.h"
#include "server/base/text.h"
#include "server/net_guard.h"
#include "storage/ring/ring.h"
#include "web/live/hub.h"

#define KT_STREAM_MAX_RINGS 32

typedef struct kt_stream kt_stream;

struct kt_stream_params {
    const char *camera;                 /* id */
    const char *kind;                   /* "main" or "sub" */
    const char *url;
    const struct kt_net_guard *guard;   /* NULL: any address; borrowed */
    const char *transport;
    kt_ring *rings[KT_STREAM_MAX_RINGS];    /* where it is recorded; borrowed */
    size_t n_rings;
    kt_hub *hub;                        /* borrowed */
    kt_ingest_loop *loop;               /* borrowed; NULL: a thread of its own */
    kt_pool *pool;                      /* memory of large chunks; borrowed */
    void *user;
    /* For analysis, on the ingest thread; may be NULL. PAR and PKT are borrowed. */
    void (*on_format)(void *user, const AVCodecParameters *par, AVRational time_base);
    void (*on_packet)(void *user, const AVPacket *pkt, int64_t wall_us);
    void (*on_gap)(void *user);         /* the session ended */
};

struct kt_stream_status {
    enum kt_ingest_state state;
    char why[200];                      /* no secrets */
    char codec[16];
    int width, height;
    double fps, fps_nominal, bitrate, gop_seconds;
    int64_t last_frame_us;              /* wall time of the newest frame, 0: none yet */
    int64_t last_key_us;                /* wall time of this run's newest key frame, 0: none yet */
    uint64_t frames;                    /* of the video, that came */
    uint64_t sessions;                  /* that gave video */
    uint64_t reconnects, refused_chunks, bad_packets, lost_packets;
    bool has_camera_clock;
    int64_t camera_clock_offset_us;     /* the camera's clock minus ours */
    bool recording;                     /* a ring took the last chunk */
};

kt_must_check int kt_stream_start(kt_stream **out, const struct kt_stream_params *params,
                                  struct kt_error *err);

/* Stop many at once: all are interrupted first, then joined. A silence that is
 * still going on is recorded as a gap. Each pointer becomes NULL. */
void kt_stream_stop_all(kt_stream **list[], size_t n);

void kt_stream_status(kt_stream *stream, struct kt_stream_status *out);

#endif

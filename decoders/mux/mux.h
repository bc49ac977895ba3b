/*
 * mux.h - packets of one session to CMAF chunks, once for everybody.
 *
 * libavformat's mp4 muxer makes every chunk: one frame each. A run begins with
 * each session, each change of parameters, each timestamp jump and each step of
 * the system clock; within a run, wall time of a frame = run start + media
 * time, steered towards the server clock by at most 500 ppm, the run's start
 * being the least delayed (arrival - media time). See design section 4.
 *
 * Threads: one thread at a time (the ingest thread of the stream).
 */
#ifndef KT_MUX_MUX_H
#define KT_MUX_MUX_H

#include "decoders/ingest/ingest.h"
#include "server/base/chunk.h"

typedef struct kt_mux kt_mux;

enum kt_run_end {
    KT_RUN_SESSION = 1,             /* the camera's session ended */
    KT_RUN_PARAMETERS,
    KT_RUN_TIMESTAMPS,
    KT_RUN_CLOCK,
};

struct kt_mux_params {
    void *user;
    /* CHUNK is borrowed: kt_chunk_ref() to keep. In decode order. */
    void (*on_chunk)(void *user, struct kt_chunk *chunk);
    /* A run ended; the next chunk has another run number. May be NULL. */
    void (*on_run_end)(void *user, enum kt_run_end why);
    kt_pool *pool;                  /* memory of large chunks, borrowed; may be NULL */
    bool drop_audio;                /* wall tiles and sub-streams need none */
    uint64_t last_run;              /* of this stream, ever: new runs are greater. 0: none known */
    int64_t (*wall_offset_us)(void *user);  /* wall clock minus monotonic; NULL: the system's */
};

kt_must_check int kt_mux_create(kt_mux **out, const struct kt_mux_params *params);
void kt_mux_destroy(kt_mux **mux);

/* A session began: use these parameters from now on. -ENOTSUP with ERR for a
 * codec that cannot be recorded. */
kt_must_check int kt_mux_begin(kt_mux *mux, const struct kt_ingest_stream *stream,
                               struct kt_error *err);

/* Take a packet (borrowed). Everything before the first key frame is dropped.
 * Emits zero or more chunks: a frame's chunk comes at once, with the nominal
 * duration (the next tfdt corrects it), but those of the first half second of a
 * run wait until the run's place in time is settled.
 * Returns 0, or a negative errno for a packet that was dropped. */
int kt_mux_packet(kt_mux *mux, const AVPacket *pkt, int64_t arrival_us);

/* The session ended. */
void kt_mux_end(kt_mux *mux);

/* Frames a second that the stream's parameter sets promise; 0/1 when they do not, and before the
 * first key frame. */
AVRational kt_mux_rate(const kt_mux *mux);

/* The capture time the mux gave the last video packet, for analysis. */
int64_t kt_mux_last_wall_us(const kt_mux *mux);

#endif

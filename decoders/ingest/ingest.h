/*
 * ingest.h - one RTSP session to packets. Reconnects for ever, by itself.
 *
 * A session calls back from its loop's thread, or from a thread of its own with
 * libavformat; the callbacks must not block (offer to a bounded queue and return:
 * all sessions of a loop wait meanwhile) and must not call kt_ingest_stop().
 *
 * Units: *_us; arrival is CLOCK_MONOTONIC µs.
 */
#ifndef KT_INGEST_INGEST_H
#define KT_INGEST_INGEST_H

#include <stdbool.h>
#include <stdint.h>
#include <libavcodec/packet.h>
#include <libavcodec/codec_par.h>
#include <libavutil/rational.h>

#include "server/base/error.h"

struct sockaddr;

typedef struct kt_ingest kt_ingest;

/*
 * One epoll thread that serves any number of sessions with the RTSP client of our
 * own (further threads look up host names, see resolver.h). Sessions stop before it.
 * Destroying may wait for a name server that does not answer.
 */
typedef struct kt_ingest_loop kt_ingest_loop;

kt_must_check int kt_ingest_loop_create(kt_ingest_loop **out);
void kt_ingest_loop_destroy(kt_ingest_loop **loop);

enum kt_ingest_state {
    KT_INGEST_CONNECTING = 1,
    KT_INGEST_STREAMING,            /* frames are coming */
    KT_INGEST_SILENT,               /* connected, but no decodable frame for too long */
    KT_INGEST_OFFLINE,              /* waiting to try again: see why */
};

/* The tracks of a session; valid during the callback only. */
struct kt_ingest_stream {
    const AVCodecParameters *video;
    AVRational video_time_base;
    AVRational video_rate;          /* nominal frames a second, 0/1 unknown */
    const AVCodecParameters *audio; /* NULL: none */
    AVRational audio_time_base;
};

struct kt_ingest_params {
    const char *name;               /* "gerbang/main", for messages */
    const char *url;                /* with credentials; never logged */
    const char *transport;          /* "tcp", "udp", "tls"; "libav": libavformat over TCP */
    kt_ingest_loop *loop;           /* borrowed; NULL: libavformat in a thread of its own */
    int64_t connect_timeout_us;     /* 0: 8 s */
    int64_t silence_timeout_us;     /* 0: 10 s without a packet ends the session */
    bool no_audio;                  /* do not even ask for it */
    int64_t backoff_min_us, backoff_max_us; /* 0: 0.5 s, 8 s; doubled each time, with spread */
    /* Asked about every address just before connecting to it: 0, or -EACCES (then the session is
     * offline, and says so). NULL: any will do. Not with libavformat: -EINVAL. Any thread. */
    int (*may_connect)(void *may_connect_user, const struct sockaddr *address);
    void *may_connect_user;
    void *user;
    /* A session begins: new parameters. Everything later belongs to it. */
    void (*on_stream)(void *user, const struct kt_ingest_stream *stream);
    /* PKT is borrowed: av_packet_ref() to keep, which may copy. stream_index 0 video, 1 audio. A frame
     * that lost a packet on the way has AV_PKT_FLAG_CORRUPT. */
    void (*on_packet)(void *user, const AVPacket *pkt, int64_t arrival_us);
    void (*on_state)(void *user, enum kt_ingest_state state, const char *why);
};

/* What a session has done since it was started, through all reconnections. */
struct kt_ingest_stats {
    enum kt_ingest_state state;
    char why[160];                  /* of SILENT and OFFLINE */
    uint64_t sessions;              /* that reached streaming */
    uint64_t frames, key_frames;    /* of the video */
    uint64_t bytes;                 /* of video packets; libav: of video frames */
    uint64_t lost_packets, incomplete_frames;   /* libav: always 0, it does not tell */
    int64_t last_frame_us, last_key_us;         /* monotonic; 0 never */
    bool has_camera_clock;
    int64_t camera_clock_offset_us; /* the camera's clock minus ours (RTCP) */
};

/* Start; *OUT is the caller's. Strings are copied. */
kt_must_check int kt_ingest_start(kt_ingest **out, const struct kt_ingest_params *params);

/* Interrupt whatever it does, join, free. Returns within 1 s. No callback runs
 * after it returns. Any thread but the session's own. */
void kt_ingest_stop(kt_ingest **ingest);

/* At most half a second old. Any thread. */
void kt_ingest_get_stats(kt_ingest *ingest, struct kt_ingest_stats *stats);

/* As kt_ingest_stop() for many at once (interrupts all, then joins all). */
void kt_ingest_stop_all(kt_ingest **list[], size_t n);

#endif

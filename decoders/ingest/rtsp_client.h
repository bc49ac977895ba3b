/*
 * rtsp_client.h - one RTSP/1.0 session as a pure state machine (RFC 2326).
 *
 * Bytes in, bytes and packets out; time is a parameter. It opens no socket, reads
 * no clock and starts no thread: loop.c does that, and tests and fuzzers drive it
 * with text. A session goes OPTIONS, DESCRIBE, SETUP, PLAY and then plays until it
 * is over; it never connects elsewhere: a redirect ends it.
 *
 * Everything a camera sends is bounded: head 16 KiB, body 64 KiB, a frame 8 MiB,
 * garbage 1 MiB, KT_RTSP_FRAMES_MAX frames a second.
 *
 * Threads: one thread at a time. Units: *_us, NOW_US is CLOCK_MONOTONIC.
 */
#ifndef KT_INGEST_RTSP_CLIENT_H
#define KT_INGEST_RTSP_CLIENT_H

#include "decoders/ingest/ingest.h"
#include "decoders/ingest/rtp.h"
#include "decoders/ingest/rtsp_url.h"

#define KT_RTSP_TRACKS 2                /* video, audio */
#define KT_RTSP_FEED_MAX (KT_RTSP_HEAD_MAX + KT_RTSP_BODY_MAX + 4)  /* longest undivided message */

typedef struct kt_rtsp_client kt_rtsp_client;

enum kt_rtsp_end {
    KT_RTSP_END_OTHER = 1,
    KT_RTSP_END_PASSWORD,               /* do not try again soon: cameras lock accounts */
};

struct kt_rtsp_client_params {
    const struct kt_rtsp_url *url;      /* copied */
    bool udp;
    int client_port[KT_RTSP_TRACKS];    /* UDP: even, the next one for RTCP */
    bool no_audio;
    uint64_t random;                    /* for the cnonce and our SSRC */
    int64_t handshake_timeout_us;       /* from start to the answer to PLAY */
    struct kt_depay_spares *spares;     /* borrowed, of the thread that feeds; NULL: none */
    void *user;
    void (*on_stream)(void *user, const struct kt_ingest_stream *stream);
    void (*on_packet)(void *user, const AVPacket *pkt, int64_t arrival_us);
    /* UDP: send SIZE bytes from the track's RTP (or RTCP) socket to the camera. */
    void (*send_datagram)(void *user, int track, bool rtcp, const void *data, size_t size);
};

struct kt_rtsp_client_stats {
    struct kt_rtp_stats rtp;            /* of the video */
    uint64_t frames, key_frames, incomplete;
};

kt_must_check int kt_rtsp_client_create(kt_rtsp_client **out,
                                        const struct kt_rtsp_client_params *params, int64_t now_us);
void kt_rtsp_client_destroy(kt_rtsp_client **client);

/*
 * Take bytes of the connection. Returns how many were used: the caller keeps the
 * rest and brings it again in front of the next ones. Negative: the session is over.
 */
kt_must_check int kt_rtsp_client_feed(kt_rtsp_client *client, const uint8_t *data, size_t size,
                                      int64_t now_us);

/* Take a datagram of TRACK. */
void kt_rtsp_client_datagram(kt_rtsp_client *client, int track, bool rtcp, const uint8_t *data,
                             size_t size, int64_t now_us);

/* Let time pass: keep-alives, reports, timeouts. Call at least once a second (with
 * UDP, twenty times). Negative: the session is over. */
kt_must_check int kt_rtsp_client_tick(kt_rtsp_client *client, int64_t now_us, int64_t wall_us);

/* What is to be sent; say how much of it was. */
const uint8_t *kt_rtsp_client_output(const kt_rtsp_client *client, size_t *size);
void kt_rtsp_client_sent(kt_rtsp_client *client, size_t size);

/* Ask for the end of the session; the answer is not worth waiting for. */
void kt_rtsp_client_teardown(kt_rtsp_client *client);

bool kt_rtsp_client_playing(const kt_rtsp_client *client);

/* When the last complete video frame came; 0 before the first. Key frames likewise. */
int64_t kt_rtsp_client_last_frame_us(const kt_rtsp_client *client);
int64_t kt_rtsp_client_last_key_us(const kt_rtsp_client *client);

/* UDP: the camera's RTP port of TRACK, 0 unknown. RTCP is the next one. */
int kt_rtsp_client_server_port(const kt_rtsp_client *client, int track);

void kt_rtsp_client_stats(const kt_rtsp_client *client, struct kt_rtsp_client_stats *stats);

/* After the end: why, in words for a person, without any secret. */
const char *kt_rtsp_client_why(const kt_rtsp_client *client);
enum kt_rtsp_end kt_rtsp_client_end(const kt_rtsp_client *client);

#endif

/*
 * rtp.h - one RTP stream (RFC 3550): sequence, loss, time, and reports.
 *
 * Over TCP packets come in order and a gap is a loss at the camera. Over UDP they
 * are put in order again, for as long as a reorder delay; what has not come then
 * is lost. Either way the depacketiser is told, and the count is kept.
 *
 * Pure: bytes in, packets out through a callback; time is a parameter.
 * Threads: none of its own.
 */
#ifndef KT_INGEST_RTP_H
#define KT_INGEST_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_RTP_REORDER 64                       /* packets that may wait for an earlier one */
#define KT_RTP_REORDER_US INT64_C(80000)        /* and how long */
#define KT_RTP_MAX 65536

struct kt_rtp_packet {
    const uint8_t *payload;
    size_t size;
    int64_t pts;                /* RTP timestamp, unwrapped to 64 bits */
    bool marker;
    bool lost_before;           /* at least one packet before this one is missing */
};

struct kt_rtp_stats {
    uint64_t received, lost, bytes;
    bool has_report;            /* a sender report came */
    int64_t clock_offset_us;    /* the camera's clock minus ours, by its last report, however late that came */
};

struct kt_rtp_waiting {
    uint8_t *data;              /* NULL: free */
    size_t size;
    uint16_t seq;
    int64_t arrival_us;
};

/* Plain data; zero, then kt_rtp_init(). */
struct kt_rtp {
    void *user;
    void (*on_packet)(void *user, const struct kt_rtp_packet *packet);
    int payload_type, clock_rate;
    bool reorder;
    /* --- the sender --- */
    bool has_ssrc, has_seq, has_ts;
    uint32_t ssrc, expected_ssrc;       /* expected: as SETUP said, 0 unknown */
    int64_t ssrc_seen_us;
    uint16_t next_seq;
    uint32_t last_ts;
    int64_t ts;
    bool gap;                           /* tell the next packet */
    struct kt_rtp_waiting waiting[KT_RTP_REORDER];
    int n_waiting;
    /* --- reports --- */
    struct kt_rtp_stats stats;
    uint32_t own_ssrc, max_seq, sr_ntp_middle;
    int64_t sr_arrival_us;
    uint64_t reported_received, reported_lost;
    double jitter;
    int64_t last_transit;
};

void kt_rtp_init(struct kt_rtp *rtp, int payload_type, int clock_rate, bool reorder,
                 uint32_t expected_ssrc, uint32_t own_ssrc);
void kt_rtp_free(struct kt_rtp *rtp);

/* Is this the head of an RTP packet of ours? For finding the way back after garbage. */
bool kt_rtp_plausible(const struct kt_rtp *rtp, const uint8_t *data, size_t size);

/* Take one RTP packet. What is no RTP of this stream is dropped. */
void kt_rtp_receive(struct kt_rtp *rtp, const uint8_t *data, size_t size, int64_t now_us);

/* Give up on what has waited too long. Call now and then with UDP. */
void kt_rtp_tick(struct kt_rtp *rtp, int64_t now_us);

/* Take a compound RTCP packet. WALL_US is our clock. */
void kt_rtp_control(struct kt_rtp *rtp, const uint8_t *data, size_t size, int64_t now_us,
                    int64_t wall_us);

/* Write a receiver report with our name; returns its size (0: nothing to report yet). */
#define KT_RTP_REPORT_MAX 64
size_t kt_rtp_report(struct kt_rtp *rtp, uint8_t out[KT_RTP_REPORT_MAX], int64_t now_us);

#endif

#include "decoders/ingest/rtp.h"

#include <stdlib.h>
#include <string.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

#include "server/base/clock.h"

#define SSRC_SILENT_US (2 * KT_SECOND_US)   /* the old sender is gone, take the new one */
#define REPORT_LATE_MAX_US (60 * KT_SECOND_US)
#define SEQ_FAR 3000                        /* further than any loss: the sender began anew */
#define NTP_1970_S INT64_C(2208988800)

void kt_rtp_init(struct kt_rtp *rtp, int payload_type, int clock_rate, bool reorder,
                 uint32_t expected_ssrc, uint32_t own_ssrc)
{
    rtp->payload_type = payload_type;
    rtp->clock_rate = clock_rate;
    rtp->reorder = reorder;
    rtp->expected_ssrc = expected_ssrc;
    rtp->own_ssrc = own_ssrc;
}

void kt_rtp_free(struct kt_rtp *rtp)
{
    for (int i = 0; i < KT_RTP_REORDER; i++) {
        free(rtp->waiting[i].data);
        rtp->waiting[i].data = NULL;
    }
    rtp->n_waiting = 0;
}

bool kt_rtp_plausible(const struct kt_rtp *rtp, const uint8_t *data, size_t size)
{
    return size >= 12 && data[0] >> 6 == 2 && (data[1] & 127) == rtp->payload_type;
}

/* ---- the packet itself ---- */

/* The payload of a packet, without extension and padding. */
static bool payload_of(const uint8_t *data, size_t size, struct kt_rtp_packet *out)
{
    size_t head = 12 + 4 * (size_t)(data[0] & 15);
    if (data[0] & 0x10) {
        if (size < head + 4)
            return false;
        head += 4 + 4 * (size_t)AV_RB16(data + head + 2);
    }
    if (size < head)
        return false;
    size_t n = size - head;
    if (data[0] & 0x20 && n) {
        const uint8_t padding = data[size - 1];
        if (padding == 0 || padding > n)
            return false;
        n -= padding;
    }
    out->payload = data + head;
    out->size = n;
    out->marker = data[1] & 0x80;
    return true;
}

static void deliver(struct kt_rtp *rtp, const uint8_t *data, size_t size)
{
    struct kt_rtp_packet packet = { 0 };
    const uint32_t ts = AV_RB32(data + 4);
    if (!payload_of(data, size, &packet)) {
        rtp->gap = true;                        /* what it carried is as good as lost */
        return;
    }
    rtp->ts = rtp->has_ts ? rtp->ts + (int32_t)(ts - rtp->last_ts) : (int64_t)ts;
    rtp->last_ts = ts;
    rtp->has_ts = true;
    packet.pts = rtp->ts;
    packet.lost_before = rtp->gap;
    rtp->gap = false;
    rtp->on_packet(rtp->user, &packet);
}

/* Deliver the packet with number SEQ, after a gap perhaps. */
static void advance(struct kt_rtp *rtp, uint16_t seq, const uint8_t *data, size_t size)
{
    const int missing = (int16_t)(seq - rtp->next_seq);
    if (rtp->has_seq && missing != 0) {
        rtp->gap = true;
        if (missing > 0 && missing < SEQ_FAR)
            rtp->stats.lost += (uint64_t)missing;
    }
    rtp->has_seq = true;
    if (seq < (uint16_t)rtp->max_seq && (int16_t)(seq - (uint16_t)rtp->max_seq) > 0)
        rtp->max_seq += 0x10000;
    rtp->max_seq = (rtp->max_seq & 0xffff0000) | seq;
    rtp->next_seq = (uint16_t)(seq + 1);
    deliver(rtp, data, size);
}

/* ---- putting in order (UDP) ---- */

static struct kt_rtp_waiting *earliest(struct kt_rtp *rtp)
{
    struct kt_rtp_waiting *best = NULL;
    for (int i = 0; i < KT_RTP_REORDER; i++) {
        struct kt_rtp_waiting *w = &rtp->waiting[i];
        if (w->data && (!best || (int16_t)(w->seq - best->seq) < 0))
            best = w;
    }
    return best;
}

/* Deliver waiting packets: those whose turn it is, or at least one if FORCED. */
static void drain(struct kt_rtp *rtp, bool forced)
{
    while (rtp->n_waiting) {
        struct kt_rtp_waiting *w = earliest(rtp);
        if (!forced && w->seq != rtp->next_seq)
            return;
        uint8_t *data = kt_steal_ptr(&w->data);
        rtp->n_waiting--;
        forced = false;
        advance(rtp, w->seq, data, w->size);
        free(data);
    }
}

static void wait_for_turn(struct kt_rtp *rtp, uint16_t seq, const uint8_t *data, size_t size,
                          int64_t now_us)
{
    if (rtp->n_waiting == KT_RTP_REORDER)
        drain(rtp, true);
    for (int i = 0; i < KT_RTP_REORDER; i++) {
        if (rtp->waiting[i].data && rtp->waiting[i].seq == seq)
            return;
    }
    for (int i = 0; i < KT_RTP_REORDER; i++) {
        struct kt_rtp_waiting *w = &rtp->waiting[i];
        if (w->data)
            continue;
        w->data = malloc(size);
        if (!w->data)
            return;
        memcpy(w->data, data, size);
        w->size = size;
        w->seq = seq;
        w->arrival_us = now_us;
        rtp->n_waiting++;
        return;
    }
}

void kt_rtp_tick(struct kt_rtp *rtp, int64_t now_us)
{
    for (;;) {
        bool late = false;
        for (int i = 0; i < KT_RTP_REORDER && rtp->n_waiting; i++)
            late |= rtp->waiting[i].data && now_us - rtp->waiting[i].arrival_us > KT_RTP_REORDER_US;
        if (!late)
            return;
        drain(rtp, true);
    }
}

static void put_in_order(struct kt_rtp *rtp, uint16_t seq, const uint8_t *data, size_t size,
                         int64_t now_us)
{
    const int ahead = (int16_t)(seq - rtp->next_seq);
    if (ahead < 0 && ahead > -SEQ_FAR)
        return;                                 /* too late, or twice */
    if (ahead > 0 && ahead < SEQ_FAR) {
        wait_for_turn(rtp, seq, data, size, now_us);
        drain(rtp, false);
        return;
    }
    if (ahead != 0)
        kt_rtp_free(rtp);
    advance(rtp, seq, data, size);
    drain(rtp, false);
}

/* ---- receiving ---- */

/*
 * Only one sender at a time. A camera whose old session still sends would mix two
 * pictures; a camera that restarts its sender must not be ignored for ever.
 */
static bool right_sender(struct kt_rtp *rtp, uint32_t ssrc, int64_t now_us)
{
    if (rtp->has_ssrc && rtp->ssrc != ssrc && ssrc != rtp->expected_ssrc &&
        now_us - rtp->ssrc_seen_us < SSRC_SILENT_US)
        return false;
    if (rtp->has_ssrc && rtp->ssrc != ssrc) {
        rtp->has_seq = false;
        rtp->gap = true;
        kt_rtp_free(rtp);
    }
    rtp->ssrc = ssrc;
    rtp->has_ssrc = true;
    rtp->ssrc_seen_us = now_us;
    return true;
}

/* Ticks from the moment that TS tells of until now, plus what is the same for all of this sender. */
static int64_t transit_of(const struct kt_rtp *rtp, uint32_t ts, int64_t now_us)
{
    return av_rescale(now_us, rtp->clock_rate, KT_SECOND_US) - ts;
}

static void measure_jitter(struct kt_rtp *rtp, uint32_t ts, int64_t now_us)
{
    const int64_t transit = transit_of(rtp, ts, now_us);
    if (rtp->last_transit) {
        const double d = (double)llabs((int32_t)(transit - rtp->last_transit));
        rtp->jitter += (d - rtp->jitter) / 16;
    }
    rtp->last_transit = transit;
}

void kt_rtp_receive(struct kt_rtp *rtp, const uint8_t *data, size_t size, int64_t now_us)
{
    if (!kt_rtp_plausible(rtp, data, size) || size > KT_RTP_MAX ||
        !right_sender(rtp, AV_RB32(data + 8), now_us))
        return;
    const uint16_t seq = AV_RB16(data + 2);
    rtp->stats.received++;
    rtp->stats.bytes += size;
    measure_jitter(rtp, AV_RB32(data + 4), now_us);
    if (rtp->reorder && rtp->has_seq)
        put_in_order(rtp, seq, data, size, now_us);
    else
        advance(rtp, seq, data, size);
}

/* ---- RTCP ---- */

/* How much longer the report of moment TS was on its way than the last packet. What cannot be is 0: many
 * cameras put no timestamp in, or one that has nothing to do with their stream. */
static int64_t report_late_us(const struct kt_rtp *rtp, uint32_t ts, int64_t now_us)
{
    if (!rtp->stats.received)
        return 0;
    const int32_t late = (int32_t)(transit_of(rtp, ts, now_us) - rtp->last_transit);
    const int64_t late_us = av_rescale(late, KT_SECOND_US, rtp->clock_rate);
    return late_us > 0 && late_us < REPORT_LATE_MAX_US ? late_us : 0;
}

static void sender_report(struct kt_rtp *rtp, const uint8_t *p, int64_t now_us, int64_t wall_us)
{
    const int64_t s = (int64_t)AV_RB32(p + 8) - NTP_1970_S;
    const int64_t us = (int64_t)((uint64_t)AV_RB32(p + 12) * 1000000 >> 32);
    rtp->sr_ntp_middle = AV_RB32(p + 10);
    rtp->sr_arrival_us = now_us;
    rtp->stats.clock_offset_us = s * KT_SECOND_US + us - wall_us + report_late_us(rtp, AV_RB32(p + 16), now_us);
    rtp->stats.has_report = true;
}

void kt_rtp_control(struct kt_rtp *rtp, const uint8_t *data, size_t size, int64_t now_us,
                    int64_t wall_us)
{
    while (size >= 8 && data[0] >> 6 == 2) {
        const size_t n = 4 * (size_t)AV_RB16(data + 2) + 4;
        if (n > size)
            return;
        if (data[1] == 200 && n >= 28)
            sender_report(rtp, data, now_us, wall_us);
        data += n;
        size -= n;
    }
}

size_t kt_rtp_report(struct kt_rtp *rtp, uint8_t out[KT_RTP_REPORT_MAX], int64_t now_us)
{
    static const char cname[] = "kentongan";
    if (!rtp->has_ssrc)
        return 0;
    const uint64_t received = rtp->stats.received - rtp->reported_received;
    const uint64_t lost = rtp->stats.lost - rtp->reported_lost;
    rtp->reported_received = rtp->stats.received;
    rtp->reported_lost = rtp->stats.lost;
    const uint64_t fraction = lost ? lost * 256 / (lost + received) : 0;

    memset(out, 0, KT_RTP_REPORT_MAX);
    out[0] = 0x81;                              /* receiver report, one block */
    out[1] = 201;
    AV_WB16(out + 2, 7);
    AV_WB32(out + 4, rtp->own_ssrc);
    AV_WB32(out + 8, rtp->ssrc);
    AV_WB32(out + 12, (uint32_t)FFMIN(fraction, 255) << 24 |
                      (uint32_t)FFMIN(rtp->stats.lost, 0x7fffff));
    AV_WB32(out + 16, rtp->max_seq);
    AV_WB32(out + 20, (uint32_t)rtp->jitter);
    if (rtp->sr_arrival_us) {
        AV_WB32(out + 24, rtp->sr_ntp_middle);
        AV_WB32(out + 28, (uint32_t)av_rescale(now_us - rtp->sr_arrival_us, 65536, KT_SECOND_US));
    }
    uint8_t *sdes = out + 32;
    const size_t n = sizeof(cname) - 1;
    sdes[0] = 0x81;
    sdes[1] = 202;
    AV_WB32(sdes + 4, rtp->own_ssrc);
    sdes[8] = 1;                                /* CNAME */
    sdes[9] = (uint8_t)n;
    memcpy(sdes + 10, cname, n);
    const size_t words = (10 + n) / 4 + 1;      /* at least one zero ends the list */
    AV_WB16(sdes + 2, (uint16_t)(words - 1));
    return 32 + 4 * words;
}

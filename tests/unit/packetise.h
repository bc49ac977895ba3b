/* packetise.h - frames to RTP as a camera does it: single units, FU and aggregates. */
#ifndef KT_TESTS_PACKETISE_H
#define KT_TESTS_PACKETISE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

struct kt_test_sender {
    bool hevc;
    bool aggregate;             /* units before the picture go into one packet */
    bool no_marker, marker_on_all;
    int payload_type, mtu;
    uint16_t seq;
    uint32_t ssrc, ts;
    void *user;
    void (*send)(void *user, const uint8_t *packet, size_t size);
};

static inline void kt_test_rtp(struct kt_test_sender *s, const uint8_t *head, size_t head_size,
                               const uint8_t *data, size_t size, bool last)
{
    uint8_t p[2048] = { 0x80 };
    p[1] = (uint8_t)(s->payload_type | ((last && !s->no_marker) || s->marker_on_all ? 0x80 : 0));
    AV_WB16(p + 2, s->seq++);
    AV_WB32(p + 4, s->ts);
    AV_WB32(p + 8, s->ssrc);
    if (head_size)
        memcpy(p + 12, head, head_size);
    memcpy(p + 12 + head_size, data, size);
    s->send(s->user, p, 12 + head_size + size);
}

static inline void kt_test_unit(struct kt_test_sender *s, const uint8_t *nal, size_t size, bool last)
{
    const size_t own = s->hevc ? 2 : 1, mtu = (size_t)s->mtu;
    if (size <= mtu) {
        kt_test_rtp(s, NULL, 0, nal, size, last);
        return;
    }
    for (size_t at = own; at < size; at += mtu) {
        const size_t n = FFMIN(mtu, size - at);
        const bool first = at == own, end = at + n == size;
        uint8_t head[3];
        const uint8_t type = s->hevc ? nal[0] >> 1 & 63 : nal[0] & 31;
        const uint8_t fu = (uint8_t)((first ? 0x80 : 0) | (end ? 0x40 : 0) | type);
        if (s->hevc) {
            head[0] = (uint8_t)((nal[0] & 0x81) | 49 << 1);
            head[1] = nal[1];
            head[2] = fu;
        } else {
            head[0] = (uint8_t)((nal[0] & 0xe0) | 28);
            head[1] = fu;
        }
        kt_test_rtp(s, head, own + 1, nal + at, n, last && end);
    }
}

/* The unit after the start code at or after *AT; false when there is none. */
static inline bool kt_test_next_nal(const uint8_t *data, size_t size, size_t *at,
                                    const uint8_t **nal, size_t *nal_size)
{
    size_t i = *at;
    while (i + 3 <= size && (data[i] || data[i + 1] || data[i + 2] != 1))
        i++;
    if (i + 3 > size)
        return false;
    size_t end = i + 3;
    while (end + 3 <= size && (data[end] || data[end + 1] || data[end + 2] > 1))
        end++;
    if (end + 3 > size)
        end = size;
    *nal = data + i + 3;
    *nal_size = end - i - 3;
    *at = end;
    return true;
}

/* One frame, Annex B, with RTP timestamp TS. */
static inline void kt_test_send_frame(struct kt_test_sender *s, const uint8_t *data, size_t size,
                                      uint32_t ts)
{
    uint8_t group[1400] = { s->hevc ? 48 << 1 : 24, 1 };
    size_t group_size = s->hevc ? 2 : 1, at = 0, n = 0;
    const uint8_t *nal = NULL;
    s->ts = ts;
    while (kt_test_next_nal(data, size, &at, &nal, &n)) {
        const bool last = at >= size;
        if (s->aggregate && !last && group_size + 2 + n < (size_t)s->mtu) {
            AV_WB16(group + group_size, (uint16_t)n);
            memcpy(group + group_size + 2, nal, n);
            group_size += 2 + n;
            continue;
        }
        if (group_size > 2)
            kt_test_rtp(s, NULL, 0, group, group_size, false);
        group_size = s->hevc ? 2 : 1;
        kt_test_unit(s, nal, n, last);
    }
}

#endif

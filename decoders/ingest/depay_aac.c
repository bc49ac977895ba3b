#include "decoders/ingest/depay.h"

#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

#define FRAME_SAMPLES 1024
#define AAC_FRAME_MAX 8192
#define UNITS_MAX 64                /* in a packet: more would be seconds of sound */

static unsigned bits(const uint8_t *p, size_t size, size_t *at, int n)
{
    unsigned v = 0;
    for (int i = 0; i < n; i++, (*at)++)
        v = v << 1 | (*at < 8 * size ? p[*at / 8] >> (7 - *at % 8) & 1 : 0);
    return v;
}

/* One access unit longer than a packet comes in pieces, the marker on the last. */
static void add_piece(struct kt_depay *d, const struct kt_rtp_packet *packet, const uint8_t *p,
                      size_t size, size_t whole)
{
    if (d->size && (packet->lost_before || packet->pts != d->pts))
        d->size = 0;
    d->pts = packet->pts;
    d->key = true;
    if (d->size + size > AAC_FRAME_MAX || !kt_depay_append(d, p, size)) {
        d->size = 0;
        return;
    }
    if (d->size >= whole || packet->marker)
        kt_depay_emit(d);
}

/* RFC 3640: a 16-bit length in bits of the headers, the headers, the units. */
void kt_depay_push_aac(struct kt_depay *d, const struct kt_rtp_packet *packet)
{
    const uint8_t *p = packet->payload;
    const size_t size = packet->size;
    if (size < 2 || d->size_length == 0)
        return;
    const size_t header_bits = AV_RB16(p), head = 2 + (header_bits + 7) / 8;
    if (head > size)
        return;
    size_t at = 16, data = head;
    for (int i = 0; i < UNITS_MAX && at + (size_t)d->size_length <= 16 + header_bits; i++) {
        const size_t n = bits(p, head, &at, d->size_length);
        at += (size_t)(i == 0 ? d->index_length : d->index_delta_length);
        if (n > size - data) {
            if (i == 0)
                add_piece(d, packet, p + data, size - data, n);
            return;
        }
        const struct kt_frame frame = { p + data, n, packet->pts + i * FRAME_SAMPLES, true, false };
        if (n)
            d->on_frame(d->user, &frame);
        data += n;
    }
}

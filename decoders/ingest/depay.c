#include "decoders/ingest/depay.h"

#include <stdlib.h>
#include <string.h>

#define KEEP (64 << 10)             /* room for most frames; a key frame's is given back */

void kt_depay_init(struct kt_depay *d, const struct kt_sdp_media *media)
{
    d->codec = media->codec;
    d->size_length = media->size_length;
    d->index_length = media->index_length;
    d->index_delta_length = media->index_delta_length;
}

void kt_depay_free(struct kt_depay *d)
{
    free(d->buf);
    d->buf = NULL;
    d->size = d->cap = 0;
}

bool kt_depay_append(struct kt_depay *d, const void *data, size_t size)
{
    if (size > KT_DEPAY_FRAME_MAX - d->size) {
        d->useless = true;
        return false;
    }
    if (d->size + size > d->cap) {
        size_t cap = d->cap ? d->cap : 16 << 10;
        while (cap < d->size + size)
            cap *= 2;
        uint8_t *buf = realloc(d->buf, cap);
        if (!buf) {
            d->useless = true;
            return false;
        }
        d->buf = buf;
        d->cap = cap;
    }
    if (size)
        memcpy(d->buf + d->size, data, size);
    d->size += size;
    return true;
}

void kt_depay_emit(struct kt_depay *d)
{
    const struct kt_frame frame = { d->buf, d->size, d->pts, d->key, d->damaged };
    d->incomplete += d->damaged || d->useless;
    if (d->size && !d->useless)
        d->on_frame(d->user, &frame);
    d->size = 0;
    if (d->cap > KEEP)
        kt_depay_free(d);
    d->damaged = d->useless = d->key = false;
}

/* G.711: a packet is a frame. */
static void push_plain(struct kt_depay *d, const struct kt_rtp_packet *packet)
{
    const struct kt_frame frame = {
        packet->payload, packet->size, packet->pts, true, packet->lost_before,
    };
    if (packet->size)
        d->on_frame(d->user, &frame);
}

void kt_depay_push(struct kt_depay *d, const struct kt_rtp_packet *packet)
{
    switch (d->codec) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
        kt_depay_push_nal(d, packet);
        break;
    case AV_CODEC_ID_AAC:
        kt_depay_push_aac(d, packet);
        break;
    case AV_CODEC_ID_MJPEG:
        kt_depay_push_jpeg(d, packet);
        break;
    default:
        push_plain(d, packet);
    }
}

#include "decoders/ingest/depay.h"

#include <stdlib.h>
#include <string.h>
#include <libavcodec/defs.h>

#define KEEP (64 << 10)             /* room for most frames; larger is for key frames, and shared */
#define SPARE_MAX (1 << 20)         /* larger ones go back to the system */
#define PADDING AV_INPUT_BUFFER_PADDING_SIZE

void kt_depay_init(struct kt_depay *d, const struct kt_sdp_media *media)
{
    d->codec = media->codec;
    d->size_length = media->size_length;
    d->index_length = media->index_length;
    d->index_delta_length = media->index_delta_length;
    d->width = media->width;
    d->height = media->height;
}

void kt_depay_free(struct kt_depay *d)
{
    free(d->buf);
    free(d->small);
    d->buf = d->small = NULL;
    d->size = d->cap = d->small_cap = 0;
}

void kt_depay_spares_free(struct kt_depay_spares *spares)
{
    for (int i = 0; i < KT_DEPAY_SPARES; i++)
        free(spares->buf[i]);
    *spares = (struct kt_depay_spares){ .cap = { 0 } };
}

/* Go on in a spare buffer of at least CAP, if there is one. */
static bool take_spare(struct kt_depay *d, size_t cap)
{
    struct kt_depay_spares *s = d->spares;
    int i = 0;
    while (s && i < KT_DEPAY_SPARES && s->cap[i] < cap)
        i++;
    if (!s || i == KT_DEPAY_SPARES)
        return false;
    if (d->size)
        memcpy(s->buf[i], d->buf, d->size);
    if (d->cap > KEEP) {
        free(d->buf);
    } else {
        d->small = d->buf;
        d->small_cap = d->cap;
    }
    d->buf = s->buf[i];
    d->cap = s->cap[i];
    s->buf[i] = NULL;
    s->cap[i] = 0;
    return true;
}

/* A large buffer that is empty: for the next large frame of anyone. */
static void leave_large(struct kt_depay *d)
{
    struct kt_depay_spares *s = d->spares;
    int i = 0;
    for (int k = 1; s && k < KT_DEPAY_SPARES; k++)
        if (s->cap[k] < s->cap[i])
            i = k;
    uint8_t *rest = d->buf;
    if (s && s->cap[i] < d->cap && d->cap <= SPARE_MAX) {
        rest = s->buf[i];
        s->buf[i] = d->buf;
        s->cap[i] = d->cap;
    }
    free(rest);
    d->buf = d->small;
    d->cap = d->small_cap;
    d->small = NULL;
    d->small_cap = 0;
}

static bool grow(struct kt_depay *d, size_t want)
{
    size_t cap = d->cap ? d->cap : 16 << 10;
    while (cap < want)
        cap *= 2;
    if (cap > KEEP && take_spare(d, cap))
        return true;
    uint8_t *buf = realloc(d->buf, cap);
    if (!buf)
        return false;
    d->buf = buf;
    d->cap = cap;
    return true;
}

bool kt_depay_append(struct kt_depay *d, const void *data, size_t size)
{
    if (size > KT_DEPAY_FRAME_MAX - d->size) {
        d->useless = true;
        return false;
    }
    if (d->size + size + PADDING > d->cap && !grow(d, d->size + size + PADDING)) {
        d->useless = true;
        return false;
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
    if (d->size && !d->useless) {
        memset(d->buf + d->size, 0, PADDING);
        d->on_frame(d->user, &frame);
    }
    d->size = d->looked = 0;
    if (d->cap > KEEP)
        leave_large(d);
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

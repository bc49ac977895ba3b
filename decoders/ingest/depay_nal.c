#include "decoders/ingest/depay.h"

#include <string.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

#define PREFIX_MAX (64 << 10)       /* units before a picture; more makes no sense */

static const uint8_t start_code[4] = { 0, 0, 0, 1 };

/* What matters about a unit, the same for both codecs. */
struct unit {
    bool slice, idr, parameters;
    bool first;                     /* the first slice of its picture */
};

static uint32_t exp_golomb(const uint8_t *p, size_t size, size_t *bit)
{
    int zeros = 0;
    while (*bit < 8 * size && !(p[*bit / 8] >> (7 - *bit % 8) & 1) && zeros < 31) {
        zeros++;
        (*bit)++;
    }
    uint32_t v = 0;
    for (int i = 0; i <= zeros && *bit < 8 * size; i++, (*bit)++)
        v = v << 1 | (p[*bit / 8] >> (7 - *bit % 8) & 1);
    return v ? v - 1 : 0;
}

/* Intra pictures that are not IDR: some encoders send nothing else. */
static bool intra_slice(const uint8_t *p, size_t size)
{
    size_t bit = 8;
    exp_golomb(p, FFMIN(size, 16), &bit);
    return exp_golomb(p, FFMIN(size, 16), &bit) % 5 == 2;
}

static struct unit look_at(const struct kt_depay *d, const uint8_t *p, size_t size)
{
    struct unit u = { 0 };
    if (d->codec == AV_CODEC_ID_H264) {
        const int type = p[0] & 31;
        u.slice = type >= 1 && type <= 5;
        u.parameters = type == 7;
        u.first = size > 1 && p[1] & 0x80;
        u.idr = type == 5 || (type == 1 && d->parameters && u.first && intra_slice(p, size));
    } else {
        const int type = p[0] >> 1 & 63;
        u.slice = type < 32;
        u.parameters = type == 33;
        u.first = size > 2 && p[2] & 0x80;
        u.idr = type >= 16 && type <= 21;
    }
    return u;
}

/* A unit begins in the frame with header and first bytes P. */
static void note_unit(struct kt_depay *d, const uint8_t *p, size_t size)
{
    const struct unit u = look_at(d, p, size);
    if (u.slice && !d->picture && !u.first) {
        /* Its beginning was lost, or went out with the last frame already. */
        if (d->ended)
            d->marker_unreliable = d->useless = true;
        d->damaged = true;
    }
    d->picture |= u.slice;
    d->key |= u.idr;
    d->parameters |= u.parameters;
}

static void begin_unit(struct kt_depay *d, const uint8_t *p, size_t size)
{
    note_unit(d, p, size);
    kt_depay_append(d, start_code, sizeof(start_code));
    d->fragment = false;
}

/* Cameras have put whole Annex B streams into one unit: find what is inside. Each byte is looked at
 * once: a frame of a hundred thousand small units must not cost their number times its length. */
static void look_inside(struct kt_depay *d)
{
    size_t i = d->looked;
    d->look_again = false;
    for (; i + 4 < d->size; i++) {
        if (d->buf[i] || d->buf[i + 1] || d->buf[i + 2] != 1)
            continue;
        const struct unit u = look_at(d, d->buf + i + 3, d->size - i - 3);
        d->picture |= u.slice;
        d->key |= u.idr;
        d->parameters |= u.parameters;
        i += 2;
    }
    d->looked = i;
}

static void finish(struct kt_depay *d)
{
    if (!d->open)
        return;
    if (d->fragment)
        d->damaged = true;          /* its end never came */
    d->fragment = false;
    if (d->look_again)
        look_inside(d);
    if (!d->picture && d->damaged)
        d->useless = true;          /* all of the picture is missing */
    if (!d->picture && !d->useless && d->size <= PREFIX_MAX)
        return;                     /* parameter sets sent ahead: they belong to the next picture */
    kt_depay_emit(d);
    d->open = d->picture = d->parameters = false;
    d->ended = true;
}

/* Does a unit of this kind hold other units behind start codes? Worth a look when
 * it is much longer than such units are. */
static bool suspicious(const struct kt_depay *d, const uint8_t *p, size_t size)
{
    const struct unit u = look_at(d, p, size);
    return !u.slice && size > 128;
}

static void add_whole(struct kt_depay *d, const uint8_t *p, size_t size)
{
    while (size > 3 && p[0] == 0 && p[1] == 0 && p[2] <= 1) {   /* a start code, in RTP */
        const size_t skip = p[2] == 1 ? 3 : 1;
        p += skip;
        size -= skip;
        d->look_again = true;
    }
    if (size < 2)
        return;
    d->look_again |= suspicious(d, p, size);
    begin_unit(d, p, size);
    kt_depay_append(d, p, size);
}

/* STAP-A, AP: 16-bit sizes and units. */
static void add_aggregate(struct kt_depay *d, const uint8_t *p, size_t size)
{
    while (size > 2) {
        const size_t n = AV_RB16(p);
        p += 2;
        size -= 2;
        if (n > size) {
            d->damaged = true;
            return;
        }
        add_whole(d, p, n);
        p += n;
        size -= n;
    }
}

/* FU-A, FU: HEADER is the unit's own header, rebuilt. */
static void add_fragment(struct kt_depay *d, const uint8_t *header, size_t header_size,
                         uint8_t fu, const uint8_t *p, size_t size)
{
    if (fu & 0x80) {
        uint8_t head[20];
        const size_t n = FFMIN(size, sizeof(head) - header_size);
        memcpy(head, header, header_size);
        memcpy(head + header_size, p, n);
        if (d->fragment)
            d->damaged = true;      /* the unit before it has no end */
        begin_unit(d, head, header_size + n);
        kt_depay_append(d, header, header_size);
        d->look_again |= !look_at(d, head, header_size + n).slice;
        d->fragment = true;
    } else if (!d->fragment) {
        d->damaged = true;
        return;
    }
    kt_depay_append(d, p, size);
    if (fu & 0x40)
        d->fragment = false;
}

static void add_h264(struct kt_depay *d, const uint8_t *p, size_t size)
{
    const int type = p[0] & 31;
    if (type == 24 && size > 1) {
        add_aggregate(d, p + 1, size - 1);
    } else if (type == 28 && size >= 2) {
        const uint8_t header = (p[0] & 0xe0) | (p[1] & 31);
        add_fragment(d, &header, 1, p[1], p + 2, size - 2);
    } else if (type < 24) {
        add_whole(d, p, size);
    }
}

static void add_h265(struct kt_depay *d, const uint8_t *p, size_t size)
{
    if (size < 3)
        return;
    const int type = p[0] >> 1 & 63;
    if (type == 48) {
        add_aggregate(d, p + 2, size - 2);
    } else if (type == 49) {
        const uint8_t header[2] = { (p[0] & 0x81) | (p[2] & 63) << 1, p[1] };
        add_fragment(d, header, 2, p[2], p + 3, size - 3);
    } else if (type < 48) {
        add_whole(d, p, size);
    }
}

void kt_depay_push_nal(struct kt_depay *d, const struct kt_rtp_packet *packet)
{
    if (d->open && packet->pts != d->pts)
        finish(d);
    if (packet->pts != d->pts)
        d->ended = false;
    if (packet->lost_before) {
        if (d->open && (d->picture || d->fragment))
            d->damaged = true;
        d->fragment = false;        /* the rest of a torn unit fits nowhere */
    }
    d->open = true;
    d->pts = packet->pts;
    if (packet->size >= 1 && d->codec == AV_CODEC_ID_H264)
        add_h264(d, packet->payload, packet->size);
    else if (packet->size >= 1)
        add_h265(d, packet->payload, packet->size);
    if (d->look_again && packet->marker)
        look_inside(d);
    if (packet->marker && d->picture && !d->marker_unreliable && !d->fragment)
        finish(d);
}

/*
 * depay_jpeg.c - RFC 2435. The camera leaves out the JPEG headers; they are made
 * again from what the payload says: type, size, quality or tables.
 */
#include "decoders/ingest/depay.h"

#include <string.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

/* ITU-T T.81 annex K, in zigzag order, as RFC 2435 appendix A scales them. */
static const uint8_t luma_quantiser[64] = {
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49,
    35, 37, 29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56,
    80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
};
static const uint8_t chroma_quantiser[64] = {
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
};

/* Huffman tables of T.81 K.3: counts of codes by length, then the symbols. */
static const uint8_t dc_luma[] = {
    0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
};
static const uint8_t dc_chroma[] = {
    0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
};
static const uint8_t ac_luma[] = {
    0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d,
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61,
    0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52,
    0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25,
    0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45,
    0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64,
    0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
    0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6,
    0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3,
    0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8,
    0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
};
static const uint8_t ac_chroma[] = {
    0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77,
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61,
    0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33,
    0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18,
    0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44,
    0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63,
    0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97,
    0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4,
    0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca,
    0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7,
    0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
};

struct jpeg_head {
    uint32_t offset;
    uint8_t type, quality;
    int width, height, restart_interval;
};

static void put16(struct kt_depay *d, unsigned v)
{
    const uint8_t b[2] = { (uint8_t)(v >> 8), (uint8_t)v };
    kt_depay_append(d, b, 2);
}

static void put8(struct kt_depay *d, unsigned v)
{
    const uint8_t b = (uint8_t)v;
    kt_depay_append(d, &b, 1);
}

static void put_huffman(struct kt_depay *d, unsigned id, const uint8_t *table, size_t size)
{
    put16(d, 0xffc4);
    put16(d, (unsigned)(3 + size));
    put8(d, id);
    kt_depay_append(d, table, size);
}

static void put_components(struct kt_depay *d, const struct jpeg_head *h)
{
    put16(d, 0xffc0);
    put16(d, 17);
    put8(d, 8);
    put16(d, (unsigned)h->height);
    put16(d, (unsigned)h->width);
    put8(d, 3);
    for (unsigned c = 1; c <= 3; c++) {
        put8(d, c);
        put8(d, c > 1 ? 0x11 : h->type & 1 ? 0x22 : 0x21);     /* 4:2:0, else 4:2:2 */
        put8(d, c > 1);
    }
}

static void put_scan(struct kt_depay *d)
{
    static const uint8_t scan[] = { 0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0 };
    put_huffman(d, 0x00, dc_luma, sizeof(dc_luma));
    put_huffman(d, 0x10, ac_luma, sizeof(ac_luma));
    put_huffman(d, 0x01, dc_chroma, sizeof(dc_chroma));
    put_huffman(d, 0x11, ac_chroma, sizeof(ac_chroma));
    kt_depay_append(d, scan, sizeof(scan));
}

static void put_headers(struct kt_depay *d, const struct jpeg_head *h)
{
    put16(d, 0xffd8);
    for (unsigned i = 0; i < 2; i++) {
        put16(d, 0xffdb);
        put16(d, 67);
        put8(d, i);
        kt_depay_append(d, d->tables + 64 * i, 64);
    }
    if (h->restart_interval) {
        put16(d, 0xffdd);
        put16(d, 4);
        put16(d, (unsigned)h->restart_interval);
    }
    put_components(d, h);
    put_scan(d);
}

static void make_tables(struct kt_depay *d, int q)
{
    const int factor = av_clip(q, 1, 99);
    const int scale = factor < 50 ? 5000 / factor : 200 - factor * 2;
    for (int i = 0; i < 64; i++) {
        d->tables[i] = (uint8_t)av_clip((luma_quantiser[i] * scale + 50) / 100, 1, 255);
        d->tables[64 + i] = (uint8_t)av_clip((chroma_quantiser[i] * scale + 50) / 100, 1, 255);
    }
    d->has_tables = true;
}

/* Quality 128 and up: the tables are in the stream, or were. Returns the bytes used
 * or -1. */
static int read_tables(struct kt_depay *d, const uint8_t *p, size_t size, uint8_t quality)
{
    if (size < 4)
        return -1;
    const size_t n = AV_RB16(p + 2);
    if (n > size - 4)
        return -1;
    if (n == 0)
        return d->has_tables && d->quality == quality ? 4 : -1;
    if (p[1] != 0 || (n != 128 && n != 64))     /* 16-bit tables: no camera */
        return -1;
    memcpy(d->tables, p + 4, n);
    if (n == 64)
        memcpy(d->tables + 64, p + 4, 64);
    d->has_tables = true;
    return (int)(4 + n);
}

/* The headers in front of the first packet of a frame. Returns the bytes used or -1. */
static int begin_frame(struct kt_depay *d, const struct jpeg_head *h, const uint8_t *p, size_t size)
{
    int used = 0;
    if (h->quality < 128)
        make_tables(d, h->quality);
    else
        used = read_tables(d, p, size, h->quality);
    d->quality = h->quality;
    if (used < 0)
        return -1;
    put_headers(d, h);
    return used;
}

/* The main header and the restart header. Returns the bytes used or -1. A picture wider or higher than 2040 says 0
 * there; its size is in the session's description. */
static int read_head(const struct kt_depay *d, struct jpeg_head *h, const uint8_t *p, size_t size)
{
    if (size < 8)
        return -1;
    *h = (struct jpeg_head){
        .offset = AV_RB24(p + 1), .type = p[4], .quality = p[5],
        .width = p[6] ? 8 * p[6] : d->width, .height = p[7] ? 8 * p[7] : d->height,
    };
    if (h->type & 0x40 && size >= 12)
        h->restart_interval = AV_RB16(p + 8);
    if ((h->type & 0x3f) > 1 || h->width == 0 || h->height == 0 || h->quality == 0)
        return -1;
    return h->type & 0x40 ? (size >= 12 ? 12 : -1) : 8;
}

static void finish(struct kt_depay *d)
{
    if (d->open) {
        put16(d, 0xffd9);
        d->key = true;
        kt_depay_emit(d);
    }
    d->open = false;
}

void kt_depay_push_jpeg(struct kt_depay *d, const struct kt_rtp_packet *packet)
{
    struct jpeg_head h;
    const uint8_t *p = packet->payload;
    int used = read_head(d, &h, p, packet->size);
    if (used < 0)
        return;
    if (d->open && packet->pts != d->pts) {
        d->useless = true;              /* its last packet never came */
        finish(d);
    }
    if (packet->lost_before && d->open)
        d->useless = true;
    if (h.offset == 0) {
        d->open = true;
        d->pts = packet->pts;
        d->size = 0;
        d->useless = false;
        const int tables = begin_frame(d, &h, p + used, packet->size - (size_t)used);
        if (tables < 0)
            d->useless = true;
        used += FFMAX(tables, 0);
    } else if (!d->open) {
        return;
    }
    kt_depay_append(d, p + used, packet->size - (size_t)used);
    if (packet->marker)
        finish(d);
}

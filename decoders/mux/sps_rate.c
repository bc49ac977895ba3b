/*
 * sps_rate.c - ITU-T H.264, 7.3.2.1.1 and E.1.1, as far as the timing.
 *
 * libavcodec's parser tells the rate of fields here and of frames there, as the version will have
 * it, and its decoder only once a picture is decoded, on the thread that receives all cameras.
 */
#include "decoders/mux/sps_rate.h"

#define RATE_MIN 0.5
#define RATE_MAX 240

struct bits {
    const uint8_t *data;
    size_t size, at;                    /* in bits */
};

/* N bits, 32 at most; zeros behind the end, which kt_sps_rate() checks. */
static uint32_t take(struct bits *b, int n)
{
    uint32_t v = 0;
    for (; n > 0; n--, b->at++)
        v = v << 1 | (b->at < b->size ? b->data[b->at / 8] >> (7 - b->at % 8) & 1 : 0);
    return v;
}

/* Exp-Golomb, 9.1. */
static uint32_t take_ue(struct bits *b)
{
    int zeros = 0;
    while (zeros < 32 && b->at < b->size && take(b, 1) == 0)
        zeros++;
    return zeros < 32 ? (UINT32_C(1) << zeros) - 1 + take(b, zeros) : 0;
}

static int take_se(struct bits *b)
{
    const uint32_t v = take_ue(b);
    return v & 1 ? (int)(v / 2 + 1) : -(int)(v / 2);
}

static void skip_ue(struct bits *b, int n)
{
    while (n-- > 0)
        (void)take_ue(b);
}

static void skip_scaling_list(struct bits *b, int size)
{
    int last = 8, next = 8;
    for (int i = 0; i < size; i++) {
        if (next)
            next = (last + take_se(b)) & 255;
        last = next ? next : last;
    }
}

static bool has_chroma_format(uint32_t profile)
{
    static const uint8_t profiles[] = { 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135 };
    for (size_t i = 0; i < sizeof(profiles); i++)
        if (profiles[i] == profile)
            return true;
    return false;
}

static void skip_chroma_format(struct bits *b)
{
    const uint32_t format = take_ue(b);
    if (format == 3)
        take(b, 1);
    skip_ue(b, 2);                      /* bit depths */
    take(b, 1);
    if (!take(b, 1))
        return;
    for (int i = 0; i < (format == 3 ? 12 : 8); i++)
        if (take(b, 1))
            skip_scaling_list(b, i < 6 ? 16 : 64);
}

static void skip_picture_order(struct bits *b)
{
    const uint32_t type = take_ue(b);
    if (type == 0)
        skip_ue(b, 1);
    if (type != 1)
        return;
    take(b, 1);
    skip_ue(b, 2);
    const uint32_t n = take_ue(b);
    skip_ue(b, n < 256 ? (int)n : 0);
}

/* Up to the flag that says whether there is a VUI. */
static void skip_sps(struct bits *b)
{
    const uint32_t profile = take(b, 8);
    take(b, 16);                        /* constraints, level */
    skip_ue(b, 1);                      /* id */
    if (has_chroma_format(profile))
        skip_chroma_format(b);
    skip_ue(b, 1);                      /* frame number */
    skip_picture_order(b);
    skip_ue(b, 1);                      /* reference frames */
    take(b, 1);
    skip_ue(b, 2);                      /* size */
    if (!take(b, 1))                    /* fields */
        take(b, 1);
    take(b, 1);
    if (take(b, 1))                     /* cropping */
        skip_ue(b, 4);
}

/* Up to the flag that says whether there is timing. */
static void skip_vui(struct bits *b)
{
    if (take(b, 1) && take(b, 8) == 255)    /* aspect ratio */
        take(b, 32);
    if (take(b, 1))                     /* overscan */
        take(b, 1);
    if (take(b, 1)) {                   /* video signal */
        take(b, 4);
        if (take(b, 1))
            take(b, 24);
    }
    if (take(b, 1))                     /* chroma location */
        skip_ue(b, 2);
}

AVRational kt_sps_rate(const uint8_t *sps, size_t size)
{
    const AVRational unknown = { 0, 1 };
    struct bits b = { sps, 8 * size, 8 };   /* behind the NAL header */
    skip_sps(&b);
    if (!take(&b, 1))
        return unknown;
    skip_vui(&b);
    if (!take(&b, 1))
        return unknown;
    const uint32_t units = take(&b, 32), scale = take(&b, 32);
    if (b.at > b.size || units == 0)
        return unknown;
    AVRational rate;                    /* a tick is half a frame */
    av_reduce(&rate.num, &rate.den, scale, INT64_C(2) * units, INT32_MAX);
    return kt_rate_or_unknown(rate);
}

AVRational kt_rate_or_unknown(AVRational rate)
{
    const double fps = rate.den ? av_q2d(rate) : 0;
    return fps >= RATE_MIN && fps <= RATE_MAX ? rate : (AVRational){ 0, 1 };
}

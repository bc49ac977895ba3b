/*
 * luma.c - area averaging in fixed point.
 *
 * A destination row is the weighted sum of the source rows that it covers, then
 * the same along the row. Weights are Q8 and add up to exactly 256, so flat areas
 * keep their value. Most of the time goes into the vertical pass, which the
 * compiler vectorises; it is built for AVX2 too and picked at run time.
 */
#include <assert.h>
#include <errno.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "decoders/decode/luma.h"
#include "server/base/cpu.h"

#define MAX_SIDE 16384

/* How destination pixel i covers source pixels first .. first + n - 1. */
struct span {
    int first, n;
    int weight;                     /* index of the first weight */
};

struct axis {
    int from, to;                   /* sizes; 0 while unset */
    struct span *span;              /* TO of them */
    uint16_t *weight;
};

struct kt_luma_scaler {
    struct axis luma_x, luma_y, chroma_x, chroma_y;
    uint16_t *row;                  /* sums of one destination row */
    int32_t *pair;                  /* two neighbours of it, weighted and added */
    uint8_t *line;                  /* one source row made 8 bits wide */
    size_t row_size;
    uint8_t *planes;                /* luma, cb, cr */
    size_t planes_size;
    struct SwsContext *sws;         /* for formats read through libswscale */
    AVFrame *converted;
};

int kt_luma_scaler_create(kt_luma_scaler **out)
{
    kt_luma_scaler *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *out = s;
    return 0;
}

static void axis_clear(struct axis *a)
{
    free(a->span);
    free(a->weight);
    *a = (struct axis){ 0 };
}

void kt_luma_scaler_destroy(kt_luma_scaler **scaler)
{
    kt_luma_scaler *s = kt_steal_ptr(scaler);
    if (!s)
        return;
    axis_clear(&s->luma_x);
    axis_clear(&s->luma_y);
    axis_clear(&s->chroma_x);
    axis_clear(&s->chroma_y);
    free(s->row);
    free(s->pair);
    free(s->line);
    free(s->planes);
    sws_freeContext(s->sws);
    av_frame_free(&s->converted);
    free(s);
}

/* Spread 256 over the source pixels that destination pixel I covers. */
static void fill_span(struct axis *a, int i, int weight_at)
{
    /* In units of 1 / to of a source pixel. */
    const int64_t lo = (int64_t)i * a->from, hi = lo + a->from;
    const int first = (int)(lo / a->to), last = (int)((hi - 1) / a->to);
    int64_t covered = 0;
    int given = 0;
    a->span[i] = (struct span){ .first = first, .n = last - first + 1, .weight = weight_at };
    for (int p = first; p <= last; p++) {
        const int64_t from = p == first ? lo : (int64_t)p * a->to;
        const int64_t to = p == last ? hi : (int64_t)(p + 1) * a->to;
        covered += to - from;
        const int upto = (int)((covered * 256 + a->from / 2) / a->from);
        a->weight[weight_at + p - first] = (uint16_t)(upto - given);
        given = upto;
    }
}

static int axis_set(struct axis *a, int from, int to)
{
    if (a->from == from && a->to == to)
        return 0;
    axis_clear(a);
    a->span = calloc((size_t)to, sizeof(*a->span));
    a->weight = calloc((size_t)from + 2 * (size_t)to + 8, sizeof(*a->weight));
    if (!a->span || !a->weight) {
        axis_clear(a);
        return -ENOMEM;
    }
    a->from = from;
    a->to = to;
    int at = 0;
    for (int i = 0; i < to; i++) {
        fill_span(a, i, at);
        at += a->span[i].n;
    }
    return 0;
}

void kt_luma_size(int w, int h, int *out_w, int *out_h)
{
    int64_t ow = w, oh = h;
    if (ow > KT_LUMA_MAX_WIDTH) {
        oh = (oh * KT_LUMA_MAX_WIDTH + w / 2) / w;
        ow = KT_LUMA_MAX_WIDTH;
    }
    if (ow * oh > KT_LUMA_MAX_PIXELS) {
        /* Taller than wide: the same number of pixels, the same shape. */
        while (ow > 1 && ow * oh > KT_LUMA_MAX_PIXELS) {
            ow = ow * 15 / 16;
            oh = ((int64_t)h * ow + w / 2) / w;
        }
        if (ow * oh > KT_LUMA_MAX_PIXELS)
            oh = KT_LUMA_MAX_PIXELS / ow;
    }
    *out_w = ow < 2 ? 1 : (int)(ow & ~1);
    *out_h = oh < 2 ? 1 : (int)(oh & ~1);
}

KT_FOR_EACH_CPU static void row_set(uint16_t *restrict sum, const uint8_t *restrict src, int n,
                                 unsigned weight)
{
    for (int x = 0; x < n; x++)
        sum[x] = (uint16_t)(src[x] * weight);
}

KT_FOR_EACH_CPU static void row_add(uint16_t *restrict sum, const uint8_t *restrict src, int n,
                                 unsigned weight)
{
    for (int x = 0; x < n; x++)
        sum[x] = (uint16_t)(sum[x] + src[x] * weight);
}

static inline __attribute__((always_inline)) void rows_sum(uint16_t *restrict sum, const uint8_t *restrict src,
                                                           ptrdiff_t stride, int n, const uint16_t *weight, int rows)
{
    for (int x = 0; x < n; x++) {
        unsigned total = 0;
        for (int i = 0; i < rows; i++)
            total += src[i * stride + x] * weight[i];
        sum[x] = (uint16_t)total;
    }
}

/* The same of many rows at once, without writing and reading sums between. */
KT_FOR_EACH_CPU static bool rows_set(uint16_t *restrict sum, const uint8_t *restrict src, ptrdiff_t stride, int n,
                                     const uint16_t *restrict weight, int rows)
{
    switch (rows) {
    case 4:                         /* 720 */
        rows_sum(sum, src, stride, n, weight, 4);
        return true;
    case 6:                         /* 1080 */
        rows_sum(sum, src, stride, n, weight, 6);
        return true;
    case 8:                         /* 1440 */
        rows_sum(sum, src, stride, n, weight, 8);
        return true;
    default:
        return false;
    }
}

KT_FOR_EACH_CPU static void row_halve(uint8_t *restrict dst, const uint16_t *restrict sum, int n)
{
    for (int x = 0; x < n; x++)
        dst[x] = (uint8_t)((sum[2 * x] + sum[2 * x + 1] + 256u) >> 9);
}

KT_FOR_EACH_CPU static void pair_halve(uint8_t *restrict dst, const uint8_t *restrict a,
                                    const uint8_t *restrict b, int n)
{
    for (int x = 0; x < n; x++)
        dst[x] = (uint8_t)((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2u) >> 2);
}

static void row_average(uint8_t *dst, const uint16_t *sum, const struct axis *a)
{
    for (int x = 0; x < a->to; x++) {
        const struct span *s = &a->span[x];
        uint32_t total = 1 << 15;
        for (int i = 0; i < s->n; i++)
            total += (uint32_t)sum[s->first + i] * a->weight[s->weight + i];
        dst[x] = (uint8_t)(total >> 16);
    }
}

#define BIAS 32768                  /* sums fit 16 bits, but not with a sign */

/* PAIR[i] is the weighted sum of the pixels 2i and 2i + 1 of SUM, less the bias of both; N of them and
 * up to three more. Where each pixel belongs to one destination pixel, weights lie in the order of the pixels. */
static void add_pairs(int32_t *restrict pair, const uint16_t *restrict sum, const uint16_t *restrict weight, int n)
{
#ifdef __SSE2__
    const __m128i bias = _mm_set1_epi16((short)BIAS);
    for (int i = 0; i < n; i += 4) {
        const __m128i s = _mm_loadu_si128((const __m128i *)(const void *)(sum + 2 * i));
        const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)(weight + 2 * i));
        _mm_storeu_si128((__m128i *)(void *)(pair + i), _mm_madd_epi16(_mm_xor_si128(s, bias), w));
    }
#else
    for (int i = 0; i < n; i++)
        pair[i] = (sum[2 * i] - BIAS) * weight[2 * i] + (sum[2 * i + 1] - BIAS) * weight[2 * i + 1];
#endif
}

static inline __attribute__((always_inline)) void join_pairs(uint8_t *restrict dst, const int32_t *restrict pair,
                                                             int to, int n)
{
    for (int x = 0; x < to; x++) {
        int32_t total = (1 << 15) + BIAS * 256;     /* weights add up to 256 */
        for (int i = 0; i < n; i++)
            total += pair[n * x + i];
        dst[x] = (uint8_t)(total >> 16);
    }
}

KT_FOR_EACH_CPU static void row_join(uint8_t *restrict dst, const int32_t *restrict pair, int to, int n)
{
    switch (n) {
    case 2:                         /* 1280 */
        join_pairs(dst, pair, to, 2);
        break;
    case 3:                         /* 1920 */
        join_pairs(dst, pair, to, 3);
        break;
    case 4:                         /* 2560 */
        join_pairs(dst, pair, to, 4);
        break;
    default:
        join_pairs(dst, pair, to, n);
    }
}

/* A destination pixel is a whole, even number of source pixels, as nearly always: two at a time. */
static void row_average_even(uint8_t *dst, int32_t *pair, const uint16_t *sum, const struct axis *a)
{
    add_pairs(pair, sum, a->weight, a->from / 2);
    row_join(dst, pair, a->to, a->from / a->to / 2);
}

/* One component of a picture as 8-bit rows. */
struct source {
    const uint8_t *data;
    ptrdiff_t stride;
    int step, shift;                /* bytes from sample to sample; bits above 8 */
    uint8_t *line;                  /* room for one row, where it must be rewritten */
};

static const uint8_t *source_row(const struct source *src, int y, int n)
{
    const uint8_t *row = src->data + y * src->stride;
    if (src->step == 1)
        return row;
    for (int x = 0; x < n; x++) {
        const uint8_t *p = row + (ptrdiff_t)x * src->step;
        src->line[x] = src->shift >= 0 ? (uint8_t)((p[0] | p[1] << 8) >> src->shift) : p[0];
    }
    return src->line;
}

static void average_row(kt_luma_scaler *s, uint8_t *dst, const struct source *src,
                        const struct axis *ax, const struct span *rows, const uint16_t *weight)
{
    if (src->step != 1 || !rows_set(s->row, source_row(src, rows->first, ax->from), src->stride, ax->from,
                                    weight + rows->weight, rows->n)) {
        row_set(s->row, source_row(src, rows->first, ax->from), ax->from, weight[rows->weight]);
        for (int i = 1; i < rows->n; i++)
            row_add(s->row, source_row(src, rows->first + i, ax->from), ax->from,
                    weight[rows->weight + i]);
    }
    if (ax->from == 2 * ax->to)
        row_halve(dst, s->row, ax->to);
    else if (ax->from % (2 * ax->to) == 0)
        row_average_even(dst, s->pair, s->row, ax);
    else
        row_average(dst, s->row, ax);
}

static void average_plane(kt_luma_scaler *s, uint8_t *dst, const struct source *src,
                          const struct axis *ax, const struct axis *ay)
{
    const bool halve = ax->from == 2 * ax->to && ay->from == 2 * ay->to && src->step == 1;
    for (int y = 0; y < ay->to; y++, dst += ax->to) {
        if (ax->from == ax->to && ay->from == ay->to)
            memcpy(dst, source_row(src, y, ax->to), (size_t)ax->to);
        else if (halve)
            pair_halve(dst, source_row(src, 2 * y, ax->from), source_row(src, 2 * y + 1, ax->from),
                       ax->to);
        else
            average_row(s, dst, src, ax, &ay->span[y], ay->weight);
    }
}

static int grow(void *pp, size_t *have, size_t want)
{
    void **p = pp;
    if (*have >= want)
        return 0;
    void *bigger = malloc(want);
    if (!bigger)
        return -ENOMEM;
    free(*p);
    *p = bigger;
    *have = want;
    return 0;
}

static int grow_rows(kt_luma_scaler *s, int width)
{
    if (s->row_size >= (size_t)width)
        return 0;
    free(s->row);
    free(s->pair);
    free(s->line);
    s->row_size = 0;
    s->row = calloc((size_t)width + 32, sizeof(*s->row));
    s->pair = calloc((size_t)width / 2 + 16, sizeof(*s->pair));
    s->line = calloc((size_t)width + 32, 1);
    if (!s->row || !s->pair || !s->line)
        return -ENOMEM;
    s->row_size = (size_t)width;
    return 0;
}

/* Formats whose luma lies open: 8 to 16 bits, little endian, in memory. */
static bool readable(const AVPixFmtDescriptor *d)
{
    const uint64_t strange = AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                             AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_BE |
                             AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BAYER;
    return !(d->flags & strange) && d->nb_components != 2 && d->comp[0].depth >= 8 &&
           d->comp[0].depth <= 16 && d->log2_chroma_w <= 2 && d->log2_chroma_h <= 2;
}

/* Anything else becomes yuv420p of the same size first. */
static int convert(kt_luma_scaler *s, const AVFrame *frame)
{
    if (!sws_isSupportedInput(frame->format))
        return -ENOTSUP;
    s->sws = sws_getCachedContext(s->sws, frame->width, frame->height, frame->format, frame->width,
                                  frame->height, AV_PIX_FMT_YUV420P, SWS_POINT, NULL, NULL, NULL);
    if (!s->sws)
        return -ENOTSUP;
    if (s->converted && (s->converted->width != frame->width ||
                         s->converted->height != frame->height))
        av_frame_free(&s->converted);
    if (!s->converted) {
        kt_cleanup(av_frame_free) AVFrame *made = av_frame_alloc();
        if (!made)
            return -ENOMEM;
        made->format = AV_PIX_FMT_YUV420P;
        made->width = frame->width;
        made->height = frame->height;
        const int ret = av_frame_get_buffer(made, 0);
        if (ret < 0)
            return ret;
        s->converted = kt_steal_ptr(&made);
    }
    const int ret = sws_scale(s->sws, (const uint8_t *const *)frame->data, frame->linesize, 0,
                              frame->height, s->converted->data, s->converted->linesize);
    return ret < 0 ? ret : 0;
}

static struct source source_of(const kt_luma_scaler *s, const AVFrame *frame,
                               const AVPixFmtDescriptor *d, int component)
{
    const AVComponentDescriptor *c = &d->comp[component];
    return (struct source){
        .data = frame->data[c->plane] + c->offset,
        .stride = frame->linesize[c->plane],
        .step = c->step,
        .shift = c->depth > 8 ? c->shift + c->depth - 8 : -1,
        .line = s->line,
    };
}

static int make_chroma(kt_luma_scaler *s, const AVFrame *frame, const AVPixFmtDescriptor *d,
                       uint8_t *cb, uint8_t *cr, int w, int h)
{
    const int from_w = AV_CEIL_RSHIFT(frame->width, d->log2_chroma_w);
    const int from_h = AV_CEIL_RSHIFT(frame->height, d->log2_chroma_h);
    if (from_w < w || from_h < h)   /* 4:1:0 of a small picture: leave colour out */
        return -ERANGE;
    int ret = axis_set(&s->chroma_x, from_w, w);
    if (ret == 0)
        ret = axis_set(&s->chroma_y, from_h, h);
    if (ret < 0)
        return ret;
    const struct source src_b = source_of(s, frame, d, 1), src_r = source_of(s, frame, d, 2);
    average_plane(s, cb, &src_b, &s->chroma_x, &s->chroma_y);
    average_plane(s, cr, &src_r, &s->chroma_x, &s->chroma_y);
    return 0;
}

int kt_luma_make(kt_luma_scaler *s, const AVFrame *frame, struct kt_luma *out)
{
    assert(s && frame && out);
    if (frame->width < 1 || frame->height < 1 || frame->width > MAX_SIDE ||
        frame->height > MAX_SIDE || !frame->data[0])
        return -EINVAL;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(frame->format);
    if (!d)
        return -ENOTSUP;
    const AVFrame *from = frame;
    int ret = 0;
    if (!readable(d)) {
        ret = convert(s, frame);
        if (ret < 0)
            return ret;
        from = s->converted;
        d = av_pix_fmt_desc_get(from->format);
    }

    int w, h;
    kt_luma_size(frame->width, frame->height, &w, &h);
    const int cw = (w + 1) / 2, ch = (h + 1) / 2;
    const size_t luma_bytes = (size_t)w * (size_t)h, chroma_bytes = (size_t)cw * (size_t)ch;
    /* A picture that is not scaled loses its odd last row or column, no more. */
    const int from_w = frame->width - w == 1 ? w : frame->width;
    const int from_h = frame->height - h == 1 ? h : frame->height;
    ret = grow(&s->planes, &s->planes_size, luma_bytes + 2 * chroma_bytes);
    if (ret == 0)
        ret = grow_rows(s, frame->width);
    if (ret == 0)
        ret = axis_set(&s->luma_x, from_w, w);
    if (ret == 0)
        ret = axis_set(&s->luma_y, from_h, h);
    if (ret < 0)
        return ret;

    const struct source src = source_of(s, from, d, 0);
    average_plane(s, s->planes, &src, &s->luma_x, &s->luma_y);
    uint8_t *cb = s->planes + luma_bytes, *cr = cb + chroma_bytes;
    const bool colour = d->nb_components >= 3 &&
                        make_chroma(s, from, d, cb, cr, cw, ch) == 0;
    *out = (struct kt_luma){
        .width = w,
        .height = h,
        .source_width = frame->width,
        .source_height = frame->height,
        .data = s->planes,
        .cb = colour ? cb : NULL,
        .cr = colour ? cr : NULL,
    };
    return 0;
}

#include "decoders/decode/pictures.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/buffer.h>
#include <libavutil/imgutils.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXTS 4              /* about as many as there are threads that decode */
#define SIZES 16                /* cameras of one site have few */
#define ALIGN 64                /* of planes: AVX-512 */
#define PLANES 4
#define SPARE (16 + ALIGN - 1)  /* what decoders may read or write beyond a plane, as libavcodec itself allows */

struct kt_pictures {
    pthread_mutex_t lock;
    /* --- protected by lock --- */
    struct {
        size_t size;
        AVBufferPool *pool;
    } of[SIZES];
    int n;
    AVCodecContext *context[CONTEXTS];      /* the one that waited longest first */
    int n_contexts;
};

int kt_pictures_create(kt_pictures **out)
{
    kt_pictures *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return 0;
}

void kt_pictures_destroy(kt_pictures **pp)
{
    kt_pictures *p = kt_steal_ptr(pp);
    if (!p)
        return;
    for (int i = 0; i < p->n_contexts; i++)
        avcodec_free_context(&p->context[i]);
    for (int i = 0; i < p->n; i++)
        av_buffer_pool_uninit(&p->of[i].pool);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static int buffer_of(kt_pictures *p, size_t size, AVBufferRef **out)
{
    int i = 0, ret = 0;
    pthread_mutex_lock(&p->lock);
    while (i < p->n && p->of[i].size != size)
        i++;
    if (i == SIZES) {
        ret = -ENOSPC;
    } else if (i == p->n) {
        p->of[i].size = size;
        p->of[i].pool = av_buffer_pool_init(size, NULL);
        if (p->of[i].pool)
            p->n++;
        else
            ret = AVERROR(ENOMEM);
    }
    if (ret == 0 && !(*out = av_buffer_pool_get(p->of[i].pool)))
        ret = AVERROR(ENOMEM);
    pthread_mutex_unlock(&p->lock);
    return ret;
}

/* Rows long enough for the decoder's SIMD: each plane's a multiple of what it asks. */
static int fill_linesizes(enum AVPixelFormat format, int w, const int align[PLANES],
                          int linesize[PLANES])
{
    for (;;) {
        int unaligned = 0;
        const int ret = av_image_fill_linesizes(linesize, format, w);
        if (ret < 0)
            return ret;
        for (int i = 0; i < PLANES; i++)
            unaligned |= align[i] ? linesize[i] % align[i] : 0;
        if (!unaligned)
            return 0;
        w += w & ~(w - 1);      /* the next width with one more zero bit at the end */
    }
}

int kt_pictures_get(kt_pictures *p, AVCodecContext *ctx, AVFrame *frame)
{
    assert(p && ctx && frame);
    int w = frame->width, h = frame->height, align[AV_NUM_DATA_POINTERS], linesize[PLANES];
    ptrdiff_t rows[PLANES];
    size_t plane[PLANES], total = 0;
    avcodec_align_dimensions2(ctx, &w, &h, align);
    int ret = fill_linesizes(frame->format, w, align, linesize);
    for (int i = 0; i < PLANES; i++)
        rows[i] = linesize[i];
    if (ret >= 0)
        ret = av_image_fill_plane_sizes(plane, frame->format, h, rows);
    if (ret < 0)
        return ret;
    for (int i = 0; i < PLANES; i++)
        total += plane[i] ? FFALIGN(plane[i] + SPARE, ALIGN) : 0;
    ret = buffer_of(p, total + ALIGN, &frame->buf[0]);
    if (ret < 0)
        return ret;
    uint8_t *at = (uint8_t *)FFALIGN((uintptr_t)frame->buf[0]->data, ALIGN);
    for (int i = 0; i < PLANES && plane[i]; i++) {
        frame->data[i] = at;
        frame->linesize[i] = linesize[i];
        at += FFALIGN(plane[i] + SPARE, ALIGN);
    }
    frame->extended_data = frame->data;
    return 0;
}

/* ---- contexts ---- */

/* Take out the context at I; lock held. */
static AVCodecContext *pull(kt_pictures *p, int i)
{
    AVCodecContext *ctx = p->context[i];
    p->n_contexts--;
    memmove(&p->context[i], &p->context[i + 1], (size_t)(p->n_contexts - i) * sizeof(ctx));
    return ctx;
}

static bool opened_for(const AVCodecContext *ctx, const AVCodec *codec, const AVCodecParameters *par)
{
    const bool size_known = par->width > 0 && par->height > 0;
    return ctx->codec == codec && ctx->extradata_size == par->extradata_size &&
           memcmp(ctx->extradata, par->extradata, (size_t)par->extradata_size) == 0 &&
           (!size_known || (ctx->width == par->width && ctx->height == par->height));
}

void kt_pictures_leave_context(kt_pictures *p, AVCodecContext **pctx)
{
    AVCodecContext *ctx = kt_steal_ptr(pctx), *old = NULL;
    if (!ctx)
        return;
    if (ctx->extradata_size <= 0) {
        avcodec_free_context(&ctx);
        return;
    }
    avcodec_flush_buffers(ctx);             /* its pictures are free for others */
    pthread_mutex_lock(&p->lock);
    if (p->n_contexts == CONTEXTS)
        old = pull(p, 0);
    p->context[p->n_contexts++] = ctx;
    pthread_mutex_unlock(&p->lock);
    avcodec_free_context(&old);
}

AVCodecContext *kt_pictures_take_context(kt_pictures *p, const AVCodec *codec,
                                         const AVCodecParameters *par)
{
    AVCodecContext *ctx = NULL;
    pthread_mutex_lock(&p->lock);
    for (int i = p->n_contexts - 1; !ctx && par->extradata_size > 0 && i >= 0; i--)
        if (opened_for(p->context[i], codec, par))
            ctx = pull(p, i);
    pthread_mutex_unlock(&p->lock);
    return ctx;
}

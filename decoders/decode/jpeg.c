/* jpeg.c - one picture as a JPEG, for thumbnails and snapshots. */
#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <string.h>

#include "decoders/decode/decode.h"

#define QUALITY 4                   /* 2 best .. 31 worst; 4 is about 85 % elsewhere */

static void sws_freep(struct SwsContext **sws)
{
    sws_freeContext(*sws);
    *sws = NULL;
}

/* The even size, at most MAX_WIDTH wide (0: any), at which FRAME is written. */
static void jpeg_size(const AVFrame *frame, int max_width, int *w, int *h)
{
    *w = frame->width;
    *h = frame->height;
    if (max_width > 0 && *w > max_width) {
        *h = (int)(((int64_t)*h * max_width + *w / 2) / *w);
        *w = max_width;
    }
    *w = *w < 2 ? 2 : *w & ~1;
    *h = *h < 2 ? 2 : *h & ~1;
}

/* The J formats are the others with full range; libswscale wants to be told apart. */
static enum AVPixelFormat plain(int format)
{
    switch (format) {
    case AV_PIX_FMT_YUVJ420P:
        return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
        return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
        return AV_PIX_FMT_YUV444P;
    default:
        return format;
    }
}

static bool full_range(const AVFrame *frame)
{
    return frame->color_range == AVCOL_RANGE_JPEG || frame->format == AV_PIX_FMT_YUVJ420P ||
           frame->format == AV_PIX_FMT_YUVJ422P || frame->format == AV_PIX_FMT_YUVJ444P;
}

/* Scale and convert to full-range 4:2:0. */
static int to_yuvj420p(AVFrame **out, const AVFrame *frame, int w, int h)
{
    kt_cleanup(av_frame_free) AVFrame *made = av_frame_alloc();
    if (!made)
        return -ENOMEM;
    made->format = AV_PIX_FMT_YUVJ420P;
    made->width = w;
    made->height = h;
    int ret = av_frame_get_buffer(made, 0);
    if (ret < 0)
        return ret;
    kt_cleanup(sws_freep) struct SwsContext *sws =
        sws_getContext(frame->width, frame->height, plain(frame->format), w, h,
                       AV_PIX_FMT_YUV420P, SWS_AREA, NULL, NULL, NULL);
    if (!sws)
        return -ENOTSUP;
    const int *coefficients = sws_getCoefficients(SWS_CS_DEFAULT);
    sws_setColorspaceDetails(sws, coefficients, full_range(frame), coefficients, 1, 0, 1 << 16,
                             1 << 16);
    ret = sws_scale(sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                    made->data, made->linesize);
    if (ret < 0)
        return ret;
    made->color_range = AVCOL_RANGE_JPEG;
    *out = kt_steal_ptr(&made);
    return 0;
}

static int open_encoder(AVCodecContext **out, int w, int h)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    if (!codec)
        return -ENOTSUP;
    kt_cleanup(avcodec_free_context) AVCodecContext *ctx = avcodec_alloc_context3(codec);
    if (!ctx)
        return -ENOMEM;
    ctx->width = w;
    ctx->height = h;
    ctx->pix_fmt = AV_PIX_FMT_YUVJ420P;
    ctx->color_range = AVCOL_RANGE_JPEG;
    ctx->time_base = (AVRational){ 1, 25 };
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_QSCALE;
    ctx->global_quality = QUALITY * FF_QP2LAMBDA;
    const int ret = avcodec_open2(ctx, codec, NULL);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&ctx);
    return 0;
}

int kt_jpeg_encode(const AVFrame *frame, int max_width, uint8_t **out, size_t *size)
{
    assert(frame && out && size);
    if (frame->width < 1 || frame->height < 1)
        return -EINVAL;
    int w, h;
    jpeg_size(frame, max_width, &w, &h);

    kt_cleanup(av_frame_free) AVFrame *small = NULL;
    int ret = to_yuvj420p(&small, frame, w, h);
    if (ret < 0)
        return ret;
    kt_cleanup(avcodec_free_context) AVCodecContext *ctx = NULL;
    ret = open_encoder(&ctx, w, h);
    if (ret < 0)
        return ret;
    kt_cleanup(av_packet_free) AVPacket *pkt = av_packet_alloc();
    if (!pkt)
        return -ENOMEM;
    small->quality = ctx->global_quality;
    small->pts = 0;
    ret = avcodec_send_frame(ctx, small);
    if (ret == 0)
        ret = avcodec_receive_packet(ctx, pkt);
    if (ret < 0)
        return ret;
    uint8_t *copy = malloc((size_t)pkt->size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, pkt->data, (size_t)pkt->size);
    *out = copy;
    *size = (size_t)pkt->size;
    return 0;
}

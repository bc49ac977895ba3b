/* encode.h - real H.264/H.265 packets for tests, made by libavcodec's x264/x265. */
#ifndef KT_TESTS_ENCODE_H
#define KT_TESTS_ENCODE_H

#include <check.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

struct kt_test_clip {
    AVCodecParameters *par;     /* with Annex B extradata */
    AVPacket *pkt[256];         /* time base 1/90000 */
    int n;
};

static inline void kt_test_draw(AVFrame *frame, int n)
{
    for (int y = 0; y < frame->height; y++)
        for (int x = 0; x < frame->width; x++)
            frame->data[0][y * frame->linesize[0] + x] = (uint8_t)(x + y + n * 3);
    for (int p = 1; p < 3; p++)
        for (int y = 0; y < frame->height / 2; y++)
            memset(frame->data[p] + y * frame->linesize[p], 128, (size_t)frame->width / 2);
}

static inline void kt_test_drain(struct kt_test_clip *clip, AVCodecContext *ctx)
{
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (avcodec_receive_packet(ctx, pkt) < 0) {
            av_packet_free(&pkt);
            return;
        }
        ck_assert_int_lt(clip->n, 256);
        clip->pkt[clip->n++] = pkt;
    }
}

/* FRAMES pictures at FPS, a key frame every GOP, BFRAMES between others. Fails the
 * test when this libavcodec has no such encoder. */
static inline void kt_test_encode(struct kt_test_clip *clip, const char *encoder, int width,
                                  int height, int frames, int fps, int gop, int bframes)
{
    *clip = (struct kt_test_clip){ 0 };
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder);
    ck_assert_msg(codec, "this libavcodec lacks %s", encoder);
    AVCodecContext *ctx = avcodec_alloc_context3(codec);
    ctx->width = width;
    ctx->height = height;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->time_base = (AVRational){ 1, 90000 };
    ctx->framerate = (AVRational){ fps, 1 };
    ctx->gop_size = gop;
    ctx->max_b_frames = bframes;
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_BITEXACT;
    av_opt_set(ctx->priv_data, "preset", "veryfast", 0);
    av_opt_set(ctx->priv_data, "x264-params", "scenecut=0:b-adapt=0:force-cfr=1", 0);
    av_opt_set(ctx->priv_data, "x265-params", "log-level=none:scenecut=0:b-adapt=0:repeat-headers=1"
                                           ":pools=none:frame-threads=1", 0);
    clip->par = avcodec_parameters_alloc();
    ck_assert_int_ge(avcodec_open2(ctx, codec, NULL), 0);

    AVFrame *frame = av_frame_alloc();
    frame->width = width;
    frame->height = height;
    frame->format = ctx->pix_fmt;
    ck_assert_int_ge(av_frame_get_buffer(frame, 0), 0);
    for (int i = 0; i < frames; i++) {
        ck_assert_int_ge(av_frame_make_writable(frame), 0);
        kt_test_draw(frame, i);
        frame->pts = (int64_t)i * 90000 / fps;
        ck_assert_int_ge(avcodec_send_frame(ctx, frame), 0);
        kt_test_drain(clip, ctx);
    }
    avcodec_send_frame(ctx, NULL);
    kt_test_drain(clip, ctx);
    /* Without AV_CODEC_FLAG_GLOBAL_HEADER the sets are in the first key frame. */
    avcodec_parameters_from_context(clip->par, ctx);
    av_frame_free(&frame);
    avcodec_free_context(&ctx);
    ck_assert_int_eq(clip->n, frames);
}

static inline void kt_test_free(struct kt_test_clip *clip)
{
    for (int i = 0; i < clip->n; i++)
        av_packet_free(&clip->pkt[i]);
    avcodec_parameters_free(&clip->par);
}

#endif

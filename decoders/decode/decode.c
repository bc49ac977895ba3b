/* decode.c - one libavcodec decoder, one thread, one reused picture. Its context comes and goes. */
#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>

#include "decoders/decode/decode.h"
#include "decoders/decode/luma.h"

struct kt_decoder {
    const AVCodec *codec;
    AVCodecParameters *par;
    AVRational time_base;
    bool fast;
    AVCodecContext *ctx;                /* NULL while it rests */
    kt_luma_scaler *scaler;
    AVFrame *frame;
    bool have_frame;
    kt_pictures *pictures;
};

static int get_shared(AVCodecContext *ctx, AVFrame *frame, int flags)
{
    const kt_decoder *dec = ctx->opaque;
    const int ret = kt_pictures_get(dec->pictures, ctx, frame);
    return ret == -ENOSPC ? avcodec_default_get_buffer2(ctx, frame, flags) : ret;
}

/* What was asked of the decoder, for its context. */
static void configure(kt_decoder *dec)
{
    dec->ctx->skip_loop_filter = dec->fast ? AVDISCARD_ALL : AVDISCARD_DEFAULT;
    dec->ctx->opaque = dec;
    dec->ctx->get_buffer2 = dec->pictures && (dec->codec->capabilities & AV_CODEC_CAP_DR1) ?
                            get_shared : avcodec_default_get_buffer2;
}

/* Go on with a context that another decoder left, or open one. */
static int open_context(kt_decoder *dec)
{
    if (dec->pictures)
        dec->ctx = kt_pictures_take_context(dec->pictures, dec->codec, dec->par);
    if (dec->ctx) {
        configure(dec);
        dec->ctx->pkt_timebase = dec->time_base;
        return 0;
    }
    kt_cleanup(avcodec_free_context) AVCodecContext *ctx = avcodec_alloc_context3(dec->codec);
    if (!ctx)
        return -ENOMEM;
    int ret = avcodec_parameters_to_context(ctx, dec->par);
    if (ret < 0)
        return ret;
    /* Forty cameras fill the cores; threads inside a decoder only add memory. */
    ctx->thread_count = 1;
    ctx->pkt_timebase = dec->time_base;
    ctx->max_pixels = INT64_C(8192) * 8192;
    ret = avcodec_open2(ctx, dec->codec, NULL);
    if (ret < 0)
        return ret;
    dec->ctx = kt_steal_ptr(&ctx);
    configure(dec);
    return 0;
}

/* A decoder that rests. */
static int make(kt_decoder **out, const AVCodec *codec, const AVCodecParameters *par, AVRational time_base)
{
    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = calloc(1, sizeof(*dec));
    if (!dec)
        return -ENOMEM;
    dec->codec = codec;
    dec->time_base = time_base;
    dec->par = avcodec_parameters_alloc();
    dec->frame = av_frame_alloc();
    if (!dec->par || !dec->frame || avcodec_parameters_copy(dec->par, par) < 0)
        return -ENOMEM;
    const int ret = kt_luma_scaler_create(&dec->scaler);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&dec);
    return 0;
}

int kt_decoder_create(kt_decoder **out, const AVCodecParameters *par, AVRational time_base)
{
    assert(out && par);
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec || codec->type != AVMEDIA_TYPE_VIDEO)
        return -ENOTSUP;

    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = NULL;
    int ret = make(&dec, codec, par, time_base);
    if (ret == 0)
        ret = open_context(dec);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&dec);
    return 0;
}

int kt_decoder_twin(kt_decoder **out, const kt_decoder *dec)
{
    const int ret = make(out, dec->codec, dec->par, dec->time_base);
    if (ret < 0)
        return ret;
    (*out)->fast = dec->fast;
    (*out)->pictures = dec->pictures;
    return 0;
}

void kt_decoder_destroy(kt_decoder **pdec)
{
    kt_decoder *dec = kt_steal_ptr(pdec);
    if (!dec)
        return;
    avcodec_free_context(&dec->ctx);
    avcodec_parameters_free(&dec->par);
    av_frame_free(&dec->frame);
    kt_luma_scaler_destroy(&dec->scaler);
    free(dec);
}

void kt_decoder_share(kt_decoder *dec, kt_pictures *pictures)
{
    dec->pictures = pictures;
    if (dec->ctx)
        configure(dec);
}

void kt_decoder_set_fast(kt_decoder *dec, bool fast)
{
    dec->fast = fast;
    if (dec->ctx)
        configure(dec);
}

int kt_decoder_send(kt_decoder *dec, const AVPacket *pkt)
{
    if (!dec->ctx) {
        const int opened = pkt ? open_context(dec) : 0;
        if (opened < 0 || !pkt)
            return opened;
    }
    int ret = avcodec_send_packet(dec->ctx, pkt);
    if (ret == AVERROR_EOF)         /* drained before: start again */
        return pkt ? (avcodec_flush_buffers(dec->ctx), avcodec_send_packet(dec->ctx, pkt)) : 0;
    return ret;
}

static bool is_key(const AVFrame *frame)
{
#ifdef AV_FRAME_FLAG_KEY
    return frame->flags & AV_FRAME_FLAG_KEY;
#else
    return frame->key_frame;
#endif
}

int kt_decoder_receive(kt_decoder *dec, struct kt_luma *out)
{
    if (!dec->ctx)
        return -EAGAIN;
    int ret = avcodec_receive_frame(dec->ctx, dec->frame);
    if (ret == AVERROR_EOF)
        return -EAGAIN;
    if (ret < 0)
        return ret;
    dec->have_frame = true;
    ret = kt_luma_make(dec->scaler, dec->frame, out);
    if (ret < 0)
        return ret;
    out->pts = dec->frame->best_effort_timestamp;
    out->key = is_key(dec->frame);
    out->damaged = (dec->frame->flags & AV_FRAME_FLAG_CORRUPT) || dec->frame->decode_error_flags;
    return 0;
}

const AVFrame *kt_decoder_frame(const kt_decoder *dec)
{
    return dec->have_frame ? dec->frame : NULL;
}

AVRational kt_decoder_rate(const kt_decoder *dec)
{
    return dec->ctx ? dec->ctx->framerate : (AVRational){ 0, 1 };
}

void kt_decoder_flush(kt_decoder *dec)
{
    if (dec->ctx)
        avcodec_flush_buffers(dec->ctx);
}

void kt_decoder_rest(kt_decoder *dec)
{
    if (dec->pictures)
        kt_pictures_leave_context(dec->pictures, &dec->ctx);
    else
        avcodec_free_context(&dec->ctx);
}

/* decode.c - one libavcodec decoder, one thread, one reused picture. */
#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>

#include "decoders/decode/decode.h"
#include "decoders/decode/luma.h"

struct kt_decoder {
    AVCodecContext *ctx;
    kt_luma_scaler *scaler;
    AVFrame *frame;
    bool have_frame;
};

int kt_decoder_create(kt_decoder **out, const AVCodecParameters *par, AVRational time_base)
{
    assert(out && par);
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec || codec->type != AVMEDIA_TYPE_VIDEO)
        return -ENOTSUP;

    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = calloc(1, sizeof(*dec));
    if (!dec)
        return -ENOMEM;
    dec->ctx = avcodec_alloc_context3(codec);
    dec->frame = av_frame_alloc();
    if (!dec->ctx || !dec->frame)
        return -ENOMEM;
    int ret = kt_luma_scaler_create(&dec->scaler);
    if (ret < 0)
        return ret;
    ret = avcodec_parameters_to_context(dec->ctx, par);
    if (ret < 0)
        return ret;
    /* Forty cameras fill the cores; threads inside a decoder only add memory. */
    dec->ctx->thread_count = 1;
    dec->ctx->pkt_timebase = time_base;
    dec->ctx->max_pixels = INT64_C(8192) * 8192;
    ret = avcodec_open2(dec->ctx, codec, NULL);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&dec);
    return 0;
}

void kt_decoder_destroy(kt_decoder **pdec)
{
    kt_decoder *dec = kt_steal_ptr(pdec);
    if (!dec)
        return;
    avcodec_free_context(&dec->ctx);
    av_frame_free(&dec->frame);
    kt_luma_scaler_destroy(&dec->scaler);
    free(dec);
}

void kt_decoder_set_fast(kt_decoder *dec, bool fast)
{
    dec->ctx->skip_loop_filter = fast ? AVDISCARD_ALL : AVDISCARD_DEFAULT;
}

int kt_decoder_send(kt_decoder *dec, const AVPacket *pkt)
{
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

void kt_decoder_flush(kt_decoder *dec)
{
    avcodec_flush_buffers(dec->ctx);
}

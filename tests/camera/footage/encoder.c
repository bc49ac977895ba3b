/* encoder.c - see encoder.h. */
#include <stdio.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>

#include "server/base/cleanup.h"
#include "tests/camera/footage/encoder.h"

struct kt_encoder {
    AVFormatContext *out;
    AVCodecContext *codec;
    AVFrame *frame;
    AVPacket *pkt;
    int64_t next;
};

static void free_encoder(kt_encoder **penc)
{
    kt_encoder *enc = kt_steal_ptr(penc);
    if (!enc)
        return;
    av_packet_free(&enc->pkt);
    av_frame_free(&enc->frame);
    avcodec_free_context(&enc->codec);
    if (enc->out)
        avio_closep(&enc->out->pb);
    avformat_free_context(enc->out);
    free(enc);
}

/* Baseline habits of cheap cameras: no B-frames, fixed GOP, a tight rate. */
static int open_codec(kt_encoder *enc, const struct kt_encoder_params *p)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(p->codec);
    if (!codec) {
        fprintf(stderr, "kt-footage: FFmpeg has no encoder %s\n", p->codec);
        return -1;
    }
    AVCodecContext *c = enc->codec = avcodec_alloc_context3(codec);
    c->width = p->width;
    c->height = p->height;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->color_range = AVCOL_RANGE_MPEG;
    c->time_base = (AVRational){ 1, p->fps };
    c->framerate = (AVRational){ p->fps, 1 };
    c->gop_size = c->keyint_min = p->gop;
    c->max_b_frames = 0;
    c->bit_rate = p->bit_rate;
    c->rc_max_rate = p->bit_rate;
    c->rc_buffer_size = (int)p->bit_rate;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(c->priv_data, "preset", "superfast", 0);
    av_opt_set(c->priv_data, "x264-params", "scenecut=0:rc-lookahead=10", 0);
    av_opt_set(c->priv_data, "x265-params", "scenecut=0:log-level=error:bframes=0", 0);
    return avcodec_open2(c, codec, NULL);
}

static int open_output(kt_encoder *enc, const char *path)
{
    if (avformat_alloc_output_context2(&enc->out, NULL, "mp4", path) < 0)
        return -1;
    AVStream *stream = avformat_new_stream(enc->out, NULL);
    if (!stream || avcodec_parameters_from_context(stream->codecpar, enc->codec) < 0)
        return -1;
    stream->time_base = enc->codec->time_base;
    stream->avg_frame_rate = enc->codec->framerate;
    if (avio_open(&enc->out->pb, path, AVIO_FLAG_WRITE) < 0)
        return -1;
    return avformat_write_header(enc->out, NULL);
}

kt_encoder *kt_encoder_open(const char *path, const struct kt_encoder_params *params)
{
    kt_cleanup(free_encoder) kt_encoder *enc = calloc(1, sizeof(*enc));

    if (!enc)
        return NULL;
    av_log_set_level(AV_LOG_ERROR);
    enc->pkt = av_packet_alloc();
    enc->frame = av_frame_alloc();
    if (!enc->pkt || !enc->frame || open_codec(enc, params) < 0 || open_output(enc, path) < 0) {
        fprintf(stderr, "kt-footage: cannot encode %s\n", path);
        return NULL;
    }
    enc->frame->width = params->width;
    enc->frame->height = params->height;
    enc->frame->format = AV_PIX_FMT_YUV420P;
    return kt_steal_ptr(&enc);
}

static int drain(kt_encoder *enc)
{
    int ret;

    while ((ret = avcodec_receive_packet(enc->codec, enc->pkt)) >= 0) {
        av_packet_rescale_ts(enc->pkt, enc->codec->time_base, enc->out->streams[0]->time_base);
        if (!enc->pkt->duration)
            enc->pkt->duration = av_rescale_q(1, enc->codec->time_base, enc->out->streams[0]->time_base);
        if (av_write_frame(enc->out, enc->pkt) < 0)
            return -1;
        av_packet_unref(enc->pkt);
    }
    return ret == AVERROR(EAGAIN) || ret == AVERROR_EOF ? 0 : -1;
}

int kt_encoder_add(kt_encoder *enc, const uint8_t *const planes[3])
{
    AVFrame *f = enc->frame;

    /* The encoder copies a frame that is not reference counted. */
    for (int i = 0; i < 3; i++) {
        f->data[i] = (uint8_t *)planes[i];
        f->linesize[i] = i ? f->width / 2 : f->width;
    }
    f->pts = enc->next++;
    return avcodec_send_frame(enc->codec, f) < 0 ? -1 : drain(enc);
}

int kt_encoder_close(kt_encoder **penc)
{
    kt_cleanup(free_encoder) kt_encoder *enc = kt_steal_ptr(penc);

    if (!enc || avcodec_send_frame(enc->codec, NULL) < 0 || drain(enc) < 0)
        return -1;
    return av_write_trailer(enc->out) < 0 ? -1 : 0;
}

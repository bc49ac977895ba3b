/* overlay.c - draw into a copy, encode with libx264, mux as MP4. */
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stddef.h>
#include <string.h>

#include "server/overlay.h"

#define TIME_BASE ((AVRational){ 1, 90000 })

struct kt_overlay {
    char *path;
    AVFormatContext *out;
    AVCodecContext *codec;
    struct SwsContext *sws;
    AVFrame *frame;
    AVPacket *pkt;
    int64_t last_pts;
    bool header;                    /* written */
};

void kt_overlay_abandon(kt_overlay **po)
{
    kt_overlay *o = kt_steal_ptr(po);
    if (!o)
        return;
    if (o->out)
        avio_closep(&o->out->pb);
    avformat_free_context(o->out);
    avcodec_free_context(&o->codec);
    sws_freeContext(o->sws);
    av_frame_free(&o->frame);
    av_packet_free(&o->pkt);
    free(o->path);
    free(o);
}

int kt_overlay_create(kt_overlay **out, const char *path)
{
    kt_cleanup(kt_overlay_abandon) kt_overlay *o = calloc(1, sizeof(*o));
    if (!o || !(o->path = strdup(path)) || !(o->pkt = av_packet_alloc()))
        return -ENOMEM;
    o->last_pts = -1;
    *out = kt_steal_ptr(&o);
    return 0;
}

static int open_codec(kt_overlay *o, int w, int h)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    if (!codec)
        codec = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (!codec)
        return -ENOTSUP;
    AVCodecContext *c = o->codec = avcodec_alloc_context3(codec);
    if (!c)
        return -ENOMEM;
    c->width = w;
    c->height = h;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = codec->id == AV_CODEC_ID_MPEG4 ? (AVRational){ 1, 1000 } : TIME_BASE;
    c->framerate = (AVRational){ 25, 1 };
    c->gop_size = 50;
    c->max_b_frames = 0;
    c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(c->priv_data, "preset", "veryfast", 0);
    av_opt_set(c->priv_data, "crf", "23", 0);
    return avcodec_open2(c, codec, NULL);
}

static int open_output(kt_overlay *o, int w, int h)
{
    int ret = open_codec(o, w, h);
    if (ret < 0)
        return ret;
    ret = avformat_alloc_output_context2(&o->out, NULL, "mp4", o->path);
    if (ret < 0)
        return ret;
    AVStream *st = avformat_new_stream(o->out, NULL);
    o->frame = av_frame_alloc();
    if (!st || !o->frame)
        return -ENOMEM;
    o->frame->format = AV_PIX_FMT_YUV420P;
    o->frame->width = w;
    o->frame->height = h;
    st->time_base = o->codec->time_base;
    ret = avcodec_parameters_from_context(st->codecpar, o->codec);
    if (ret >= 0)
        ret = av_frame_get_buffer(o->frame, 0);
    if (ret >= 0)
        ret = avio_open(&o->out->pb, o->path, AVIO_FLAG_WRITE);
    if (ret >= 0)
        ret = avformat_write_header(o->out, NULL);
    o->header = ret >= 0;
    return ret < 0 ? ret : 0;
}

static void fill_luma(AVFrame *f, int x0, int y0, int x1, int y1, uint8_t value)
{
    x0 = x0 < 0 ? 0 : x0;
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > f->width ? f->width : x1;
    y1 = y1 > f->height ? f->height : y1;
    for (int y = y0; y < y1 && x1 > x0; y++)
        memset(f->data[0] + (ptrdiff_t)y * f->linesize[0] + x0, value, (size_t)(x1 - x0));
}

static void draw_box(AVFrame *f, int x, int y, int w, int h, uint8_t value)
{
    const int pen = f->width >= 960 ? 3 : 2;
    fill_luma(f, x, y, x + w, y + pen, value);
    fill_luma(f, x, y + h - pen, x + w, y + h, value);
    fill_luma(f, x, y, x + pen, y + h, value);
    fill_luma(f, x + w - pen, y, x + w, y + h, value);
}

/* Foreground turns red: colour only, so that what is under it stays visible. */
static void tint(AVFrame *f, const struct kt_motion_result *r)
{
    for (int y = 0; y < (f->height + 1) / 2; y++) {
        const uint8_t *mask =
            r->mask + (ptrdiff_t)((int64_t)2 * y * r->mask_height / f->height) * r->mask_width;
        for (int x = 0; x < (f->width + 1) / 2; x++)
            if (mask[(int64_t)2 * x * r->mask_width / f->width]) {
                f->data[1][(ptrdiff_t)y * f->linesize[1] + x] = 90;
                f->data[2][(ptrdiff_t)y * f->linesize[2] + x] = 210;
            }
    }
}

static int write_packets(kt_overlay *o)
{
    int ret;
    while ((ret = avcodec_receive_packet(o->codec, o->pkt)) >= 0) {
        o->pkt->stream_index = 0;
        av_packet_rescale_ts(o->pkt, o->codec->time_base, o->out->streams[0]->time_base);
        ret = av_interleaved_write_frame(o->out, o->pkt);
        if (ret < 0)
            return ret;
    }
    return ret == AVERROR(EAGAIN) || ret == AVERROR_EOF ? 0 : ret;
}

static void draw_result(void *user, AVFrame *f)
{
    const struct kt_motion_result *r = user;
    tint(f, r);
    for (int i = 0; i < r->n_boxes; i++) {
        const struct kt_box *b = &r->boxes[i];
        draw_box(f, b->x, b->y, b->w, b->h, b->track ? 235 : 150);
    }
}

int kt_overlay_add(kt_overlay *o, const AVFrame *frame, const struct kt_motion_result *r,
                   int64_t t_us)
{
    return kt_overlay_draw(o, frame, t_us, draw_result, (void *)r);
}

int kt_overlay_draw(kt_overlay *o, const AVFrame *frame, int64_t t_us,
                    void (*draw)(void *user, AVFrame *picture), void *user)
{
    int ret = 0;
    if (!o->out)
        ret = open_output(o, (frame->width + 1) & ~1, (frame->height + 1) & ~1);
    if (ret == 0)
        ret = av_frame_make_writable(o->frame);
    if (ret < 0)
        return ret;
    AVFrame *f = o->frame;
    o->sws = sws_getCachedContext(o->sws, frame->width, frame->height, frame->format, f->width,
                                  f->height, AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
    if (!o->sws)
        return -ENOTSUP;
    ret = sws_scale(o->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                    f->data, f->linesize);
    if (ret < 0)
        return ret;
    draw(user, f);
    const int64_t pts = av_rescale_q(t_us, (AVRational){ 1, 1000000 }, o->codec->time_base);
    f->pts = pts > o->last_pts ? pts : o->last_pts + 1;
    o->last_pts = f->pts;
    ret = avcodec_send_frame(o->codec, f);
    return ret < 0 ? ret : write_packets(o);
}

int kt_overlay_finish(kt_overlay **po)
{
    kt_cleanup(kt_overlay_abandon) kt_overlay *o = kt_steal_ptr(po);
    if (!o || !o->header)
        return 0;
    int ret = avcodec_send_frame(o->codec, NULL);
    if (ret >= 0)
        ret = write_packets(o);
    if (ret >= 0)
        ret = av_write_trailer(o->out);
    return ret < 0 ? ret : 0;
}

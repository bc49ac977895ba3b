#include "decoders/ingest/audio.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>

#define FRAME 1024
#define JUMP_SAMPLES 8000       /* a gap in the timestamps that is not filled but skipped */

struct kt_audio {
    void *user;
    void (*on_packet)(void *user, const AVPacket *pkt);
    AVCodecContext *encoder;
    AVCodecParameters *par;
    AVFrame *frame;             /* fltp; the one being filled */
    AVPacket *pkt;
    int channels, filled;
    int64_t pts;                /* of the frame being filled */
    bool started;
    float value[256];           /* a sample of each code */
};

bool kt_audio_needed(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_PCM_MULAW || codec == AV_CODEC_ID_PCM_ALAW;
}

/* ITU-T G.711. */
static int mulaw(uint8_t code)
{
    code = ~code;
    const int v = (((code & 15) << 3) + 132) << (code >> 4 & 7);
    return code & 0x80 ? 132 - v : v - 132;
}

static int alaw(uint8_t code)
{
    code ^= 0x55;
    const int segment = code >> 4 & 7;
    int v = ((code & 15) << 4) + 8;
    if (segment)
        v = (v + 256) << (segment - 1);
    return code & 0x80 ? v : -v;
}

static int open_encoder(kt_audio *a, int sample_rate)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    a->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    if (!a->encoder)
        return -ENOTSUP;
    a->encoder->sample_rate = sample_rate;
    a->encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    a->encoder->time_base = (AVRational){ 1, sample_rate };
    a->encoder->bit_rate = 24000 * a->channels;
    a->encoder->thread_count = 1;
    a->encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    av_channel_layout_default(&a->encoder->ch_layout, a->channels);
    av_opt_set(a->encoder->priv_data, "aac_coder", "fast", 0);
    int ret = avcodec_open2(a->encoder, codec, NULL);
    if (ret < 0)
        return ret;
    a->par = avcodec_parameters_alloc();
    return a->par ? avcodec_parameters_from_context(a->par, a->encoder) : -ENOMEM;
}

static int alloc_frame(kt_audio *a)
{
    a->frame = av_frame_alloc();
    a->pkt = av_packet_alloc();
    if (!a->frame || !a->pkt)
        return -ENOMEM;
    a->frame->format = AV_SAMPLE_FMT_FLTP;
    a->frame->sample_rate = a->encoder->sample_rate;
    a->frame->nb_samples = FRAME;
    av_channel_layout_copy(&a->frame->ch_layout, &a->encoder->ch_layout);
    return av_frame_get_buffer(a->frame, 0);
}

int kt_audio_create(kt_audio **out, enum AVCodecID codec, int sample_rate, int channels,
                    void *user, void (*on_packet)(void *user, const AVPacket *pkt))
{
    if (!kt_audio_needed(codec) || channels < 1 || channels > 2)
        return -ENOTSUP;
    kt_cleanup(kt_audio_destroy) kt_audio *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->user = user;
    a->on_packet = on_packet;
    a->channels = channels;
    for (int i = 0; i < 256; i++) {
        const int v = codec == AV_CODEC_ID_PCM_MULAW ? mulaw((uint8_t)i) : alaw((uint8_t)i);
        a->value[i] = (float)v / 32768;
    }
    int ret = open_encoder(a, sample_rate);
    if (ret >= 0)
        ret = alloc_frame(a);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&a);
    return 0;
}

void kt_audio_destroy(kt_audio **paudio)
{
    kt_audio *a = kt_steal_ptr(paudio);
    if (!a)
        return;
    avcodec_free_context(&a->encoder);
    avcodec_parameters_free(&a->par);
    av_frame_free(&a->frame);
    av_packet_free(&a->pkt);
    free(a);
}

const AVCodecParameters *kt_audio_parameters(const kt_audio *audio)
{
    return audio->par;
}

static void encode(kt_audio *a)
{
    a->frame->pts = a->pts;
    a->pts += FRAME;
    a->filled = 0;
    if (avcodec_send_frame(a->encoder, a->frame) < 0)
        return;
    while (avcodec_receive_packet(a->encoder, a->pkt) == 0) {
        a->on_packet(a->user, a->pkt);
        av_packet_unref(a->pkt);
    }
    if (av_frame_make_writable(a->frame) < 0)
        a->started = false;
}

void kt_audio_push(kt_audio *a, const uint8_t *data, size_t size, int64_t pts)
{
    /* Small disorder of the timestamps is not worth a click: count samples. */
    if (!a->started || llabs(pts - (a->pts + a->filled)) > JUMP_SAMPLES) {
        a->started = true;
        a->filled = 0;
        a->pts = pts;
    }
    for (size_t i = 0; i + (size_t)a->channels <= size; i += (size_t)a->channels) {
        for (int c = 0; c < a->channels; c++)
            ((float *)a->frame->data[c])[a->filled] = a->value[data[i + (size_t)c]];
        if (++a->filled == FRAME)
            encode(a);
    }
}

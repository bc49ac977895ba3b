#include "decoders/ingest/rtsp_track.h"

#include <errno.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mem.h>

#include "server/base/clock.h"

static void send_packet(struct kt_rtsp_track *t, const AVPacket *pkt)
{
    t->on_packet(t->user, pkt, t->now_us);
}

static void on_aac(void *user, const AVPacket *pkt)
{
    struct kt_rtsp_track *t = user;
    if (av_packet_ref(t->pkt, pkt) < 0)
        return;
    t->pkt->stream_index = t->index;
    send_packet(t, t->pkt);
    av_packet_unref(t->pkt);
}

static void on_frame(void *user, const struct kt_frame *frame)
{
    struct kt_rtsp_track *t = user;
    if (t->now_us - t->second_us >= KT_SECOND_US) {
        t->second_us = t->now_us;
        t->in_second = 0;
    }
    if (++t->in_second > KT_RTSP_FRAMES_MAX)
        return;
    t->frames++;
    t->last_frame_us = t->now_us;
    if (frame->key) {
        t->key_frames++;
        t->last_key_us = t->now_us;
    }
    if (t->transcoder) {
        kt_audio_push(t->transcoder, frame->data, frame->size, frame->pts);
        return;
    }
    if (t->index == 0) {                /* borrowed: who wants to keep it makes the copy */
        t->pkt->data = (uint8_t *)(uintptr_t)frame->data;
        t->pkt->size = (int)frame->size;
    } else if (av_new_packet(t->pkt, (int)frame->size) < 0) {
        return;
    } else {
        memcpy(t->pkt->data, frame->data, frame->size);
    }
    t->pkt->pts = frame->pts;
    t->pkt->dts = AV_NOPTS_VALUE;       /* RTP has none; see the muxer's timeline */
    t->pkt->flags = (frame->key ? AV_PKT_FLAG_KEY : 0) | (frame->damaged ? AV_PKT_FLAG_CORRUPT : 0);
    t->pkt->stream_index = t->index;
    send_packet(t, t->pkt);
    av_packet_unref(t->pkt);
}

static void on_rtp(void *user, const struct kt_rtp_packet *packet)
{
    struct kt_rtsp_track *t = user;
    kt_depay_push(&t->depay, packet);
}

static int copy_extradata(AVCodecParameters *par, const struct kt_sdp_media *media)
{
    if (media->extradata_size == 0)
        return 0;
    par->extradata = av_mallocz((size_t)media->extradata_size + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!par->extradata)
        return -ENOMEM;
    memcpy(par->extradata, media->extradata, (size_t)media->extradata_size);
    par->extradata_size = media->extradata_size;
    return 0;
}

/* AudioSpecificConfig knows better than the session description. */
static void read_aac_config(AVCodecParameters *par, const struct kt_sdp_media *media)
{
    static const int rates[] = { 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050,
                                 16000, 12000, 11025, 8000, 7350 };
    const unsigned config = AV_RB16(media->extradata);
    const unsigned rate = config >> 7 & 15, channels = config >> 3 & 15;
    par->sample_rate = rate < KT_ARRAY_SIZE(rates) ? rates[rate] : media->clock_rate;
    av_channel_layout_default(&par->ch_layout, channels >= 1 && channels <= 6 ? (int)channels : 1);
    par->frame_size = 1024;
}

static int describe(struct kt_rtsp_track *t, const struct kt_sdp_media *media)
{
    t->par->codec_type = t->index == 0 ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    t->par->codec_id = media->codec;
    t->par->width = media->width;
    t->par->height = media->height;
    t->time_base = (AVRational){ 1, media->clock_rate };
    if (media->codec == AV_CODEC_ID_AAC)
        read_aac_config(t->par, media);
    return copy_extradata(t->par, media);
}

/* G.711: what comes out is AAC. */
static int add_transcoder(struct kt_rtsp_track *t, const struct kt_sdp_media *media)
{
    const int ret = kt_audio_create(&t->transcoder, media->codec, media->clock_rate,
                                    media->channels, t, on_aac);
    return ret < 0 ? ret : avcodec_parameters_copy(t->par, kt_audio_parameters(t->transcoder));
}

int kt_rtsp_track_init(struct kt_rtsp_track *t, int index, const struct kt_sdp_media *media,
                       void *user, void (*on_packet)(void *, const AVPacket *, int64_t))
{
    t->index = index;
    t->user = user;
    t->on_packet = on_packet;
    t->par = avcodec_parameters_alloc();
    t->pkt = av_packet_alloc();
    if (!t->par || !t->pkt)
        return -ENOMEM;
    int ret = describe(t, media);
    if (ret >= 0 && kt_audio_needed(media->codec))
        ret = add_transcoder(t, media);
    if (ret < 0)
        return ret;
    memcpy(t->control, media->control, sizeof(t->control));
    t->rtp.user = t;
    t->rtp.on_packet = on_rtp;
    t->rtp.payload_type = media->payload_type;
    t->rtp.clock_rate = media->clock_rate;
    t->depay.user = t;
    t->depay.on_frame = on_frame;
    kt_depay_init(&t->depay, media);
    t->offered = true;
    return 0;
}

void kt_rtsp_track_start(struct kt_rtsp_track *t, bool udp, uint32_t ssrc, uint32_t own_ssrc)
{
    kt_rtp_init(&t->rtp, t->rtp.payload_type, t->rtp.clock_rate, udp, ssrc, own_ssrc);
    t->set_up = true;
}

void kt_rtsp_track_free(struct kt_rtsp_track *t)
{
    avcodec_parameters_free(&t->par);
    av_packet_free(&t->pkt);
    kt_audio_destroy(&t->transcoder);
    kt_rtp_free(&t->rtp);
    kt_depay_free(&t->depay);
}

void kt_rtsp_track_feed(struct kt_rtsp_track *t, const uint8_t *data, size_t size, int64_t now_us)
{
    t->now_us = now_us;
    kt_rtp_receive(&t->rtp, data, size, now_us);
}

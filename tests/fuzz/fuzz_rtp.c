/*
 * fuzz_rtp.c - packets of anything through RTP, the depacketisers and the muxer.
 * The first byte chooses codec and disorder; then each packet has a length byte, from 128 on in steps of 64.
 */
#include <stdlib.h>
#include <string.h>
#include <libavutil/log.h>

#include "decoders/ingest/rtsp_track.h"
#include "decoders/mux/mux.h"
#include "server/base/clock.h"

#define PACKET_MAX (128 + 64 * 128)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum AVCodecID codecs[] = {
    AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_MJPEG, AV_CODEC_ID_AAC, AV_CODEC_ID_PCM_MULAW,
};

static void on_chunk(void *user, struct kt_chunk *chunk)
{
    if (chunk->size < 16 || memcmp(chunk->data + 4, "moof", 4) != 0 || !chunk->run)
        abort();
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    (void)!kt_mux_packet(user, pkt, arrival_us);
}

/* A whole RTP header in front of what the fuzzer says, or only what it says. */
static void send(struct kt_rtsp_track *track, const uint8_t *data, size_t size, int n, bool raw)
{
    uint8_t packet[PACKET_MAX + 12] = { 0x80, 96, 0, (uint8_t)n, 0, 0, 0, 0, 0, 0, 0, 1 };
    if (raw || size < 2) {
        kt_rtsp_track_feed(track, data, size, n * 1000);
        return;
    }
    packet[1] |= data[0] & 0x80;
    packet[3] = (uint8_t)(n + (data[0] >> 5 & 3));      /* gaps and repetitions */
    packet[6] = (uint8_t)(data[0] & 31);
    memcpy(packet + 12, data + 1, size - 1);
    kt_rtsp_track_feed(track, packet, 11 + size, n * 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kt_mux_params params = { .on_chunk = on_chunk };
    struct kt_rtsp_track track = { 0 };
    kt_mux *mux = NULL;
    if (size < 2)
        return 0;
    av_log_set_level(AV_LOG_QUIET);
    const struct kt_sdp_media media = {
        .codec = codecs[data[0] % KT_ARRAY_SIZE(codecs)], .payload_type = 96, .clock_rate = 8000,
        .channels = 1, .extradata = { 0x14, 0x08 }, .size_length = 13, .index_length = 3,
        .index_delta_length = 3, .extradata_size = data[0] % KT_ARRAY_SIZE(codecs) == 3 ? 2 : 0,
    };
    if (kt_mux_create(&mux, &params) < 0)
        return 0;
    if (kt_rtsp_track_init(&track, media.codec >= AV_CODEC_ID_FIRST_AUDIO, &media, mux, on_packet) == 0) {
        const struct kt_ingest_stream stream = {
            .video = track.par, .video_time_base = { 1, 90000 },
        };
        if (track.index == 0)
            (void)!kt_mux_begin(mux, &stream, NULL);
        kt_rtsp_track_start(&track, data[0] & 0x80, 0, 1);
        int n = 0;
        for (size_t at = 1; at < size; n++) {
            const size_t want = data[at] < 128 ? data[at] : 128 + 64 * (data[at] - 128u), left = size - at - 1;
            const size_t len = want < left ? want : left;
            send(&track, data + at + 1, len, n, data[0] & 0x40);
            at += 1 + len;
            kt_rtp_tick(&track.rtp, n * 1000);
        }
    }
    kt_rtsp_track_free(&track);
    kt_mux_destroy(&mux);
    return 0;
}

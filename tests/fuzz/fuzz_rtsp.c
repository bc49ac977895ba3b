/*
 * fuzz_rtsp.c - a camera that says anything. The first byte chooses how far an
 * honest session goes first, the second in what pieces the rest arrives.
 */
#include <stdlib.h>
#include <string.h>
#include <libavutil/log.h>

#include "decoders/ingest/rtsp_client.h"
#include "server/base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OK "RTSP/1.0 200 OK\r\nCSeq: 1\r\n"
#define SDP "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:v\nm=audio 0 RTP/AVP 0\na=control:a\n"

static const char *const honest[] = {
    OK "Public: GET_PARAMETER, SET_PARAMETER\r\n\r\n",
    OK "Content-Length: 94\r\n\r\n" SDP,
    OK "Session: s;timeout=10\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    OK "Session: s\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n\r\n",
    OK "\r\n",
};

static void on_stream(void *user, const struct kt_ingest_stream *stream)
{
    if (!stream->video)
        abort();
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    if (pkt->size <= 0 || pkt->size > 8 << 20 || pkt->stream_index > 1)
        abort();
}

static void on_datagram(void *user, int track, bool rtcp, const void *data, size_t size)
{
    if (size > 64)
        abort();
}

/* Hand over a piece and keep what is not used, as the loop does. */
static int feed(kt_rtsp_client *client, uint8_t *rest, size_t *kept, const uint8_t *data, size_t size,
                int64_t now_us)
{
    memcpy(rest + *kept, data, size);
    *kept += size;
    const int used = kt_rtsp_client_feed(client, rest, *kept, now_us);
    if (used < 0) {
        if (!kt_rtsp_client_why(client)[0])
            abort();
        return used;
    }
    if ((size_t)used > *kept)
        abort();
    *kept -= (size_t)used;
    memmove(rest, rest + used, *kept);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_rtsp_url url;
    kt_rtsp_client *client = NULL;
    static uint8_t rest[1 << 20];
    size_t kept = 0, sent;
    int64_t now = KT_SECOND_US;
    if (size < 2 || size > sizeof(rest) / 2 || kt_rtsp_url_parse(&url, "rtsp://u:p@cam/live") < 0)
        return 0;
    av_log_set_level(AV_LOG_QUIET);
    const struct kt_rtsp_client_params params = {
        .url = &url, .handshake_timeout_us = 1000 * KT_SECOND_US, .random = 7, .udp = data[0] & 0x40,
        .no_audio = data[0] & 0x80, .on_stream = on_stream, .on_packet = on_packet,
        .send_datagram = on_datagram,
    };
    if (kt_rtsp_client_create(&client, &params, now) < 0)
        return 0;
    int ret = 0;
    for (int i = 0; i < (data[0] & 7) && i < (int)KT_ARRAY_SIZE(honest) && ret >= 0; i++)
        ret = feed(client, rest, &kept, (const uint8_t *)honest[i], strlen(honest[i]), now);
    const size_t step = data[1] ? data[1] : 4096;
    for (size_t at = 2; at < size && ret >= 0; at += step) {
        const size_t n = size - at < step ? size - at : step;
        now += 3 * KT_SECOND_US;
        if (params.udp)
            kt_rtsp_client_datagram(client, data[at] & 1, data[at] & 2, data + at, n, now);
        else
            ret = feed(client, rest, &kept, data + at, n, now);
        if (ret >= 0)
            ret = kt_rtsp_client_tick(client, now, now);
        (void)kt_rtsp_client_output(client, &sent);
        kt_rtsp_client_sent(client, sent);
    }
    kt_rtsp_client_teardown(client);
    kt_rtsp_client_destroy(&client);
    return 0;
}

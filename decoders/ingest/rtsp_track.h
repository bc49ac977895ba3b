/*
 * rtsp_track.h - one track of a session: RTP in, packets out.
 *
 * Pure, like rtsp_client.h, of which it is a part.
 */
#ifndef KT_INGEST_RTSP_TRACK_H
#define KT_INGEST_RTSP_TRACK_H

#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>

#include "decoders/ingest/audio.h"
#include "decoders/ingest/depay.h"
#include "decoders/ingest/rtp.h"
#include "decoders/ingest/sdp.h"

/* In a second: a camera that sends again after it stood for long stays below. More is no camera, and each costs
 * the thread that serves all of them. */
#define KT_RTSP_FRAMES_MAX 5000

struct kt_rtsp_track {
    int index;                  /* stream_index of its packets: 0 video, 1 audio */
    void *user;
    void (*on_packet)(void *user, const AVPacket *pkt, int64_t arrival_us);
    bool offered, set_up;
    int channel;                /* interleaved: RTP; RTCP is the next one */
    int server_port;            /* UDP: RTP; 0 unknown */
    char control[KT_URL_MAX];
    AVCodecParameters *par;     /* of what on_packet gets */
    AVRational time_base;
    struct kt_rtp rtp;
    struct kt_depay depay;
    kt_audio *transcoder;       /* G.711 only */
    AVPacket *pkt;
    int64_t now_us;             /* arrival of what is being fed */
    uint64_t frames, key_frames;
    int64_t last_frame_us, last_key_us;
    int64_t second_us;          /* arrival of the first frame of this second, */
    int in_second;              /* and how many came in it; those beyond KT_RTSP_FRAMES_MAX are dropped */
};

/* Get ready for MEDIA. -ENOTSUP when it cannot be recorded, -ENOMEM. */
kt_must_check int kt_rtsp_track_init(struct kt_rtsp_track *track, int index,
                                     const struct kt_sdp_media *media, void *user,
                                     void (*on_packet)(void *, const AVPacket *, int64_t));
/* SETUP was answered. */
void kt_rtsp_track_start(struct kt_rtsp_track *track, bool udp, uint32_t ssrc, uint32_t own_ssrc);
void kt_rtsp_track_free(struct kt_rtsp_track *track);
void kt_rtsp_track_feed(struct kt_rtsp_track *track, const uint8_t *data, size_t size,
                        int64_t now_us);

#endif

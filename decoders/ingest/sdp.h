/*
 * sdp.h - what a camera says about its tracks (RFC 4566 and the RTP payload
 * formats' parameters). Only what a recorder needs; everything else is skipped.
 *
 * Pure and bounded; safe for any bytes.
 */
#ifndef KT_INGEST_SDP_H
#define KT_INGEST_SDP_H

#include <libavcodec/codec_id.h>
#include <libavutil/rational.h>

#include "decoders/ingest/rtsp_message.h"
#include "server/base/text.h"

#define KT_SDP_EXTRADATA_MAX 2048

struct kt_sdp_media {
    enum AVCodecID codec;               /* NONE: there is no such track */
    int payload_type, clock_rate, channels;
    AVRational frame_rate;              /* 0/1: not said */
    int width, height;                  /* 0: not said */
    char control[KT_URL_MAX];
    /* H.264 and H.265: parameter sets with start codes; AAC: AudioSpecificConfig */
    uint8_t extradata[KT_SDP_EXTRADATA_MAX];
    int extradata_size;
    int size_length, index_length, index_delta_length;  /* AAC, RFC 3640, bits */
};

struct kt_sdp {
    char control[KT_URL_MAX];           /* of the session; empty: not said */
    struct kt_sdp_media video, audio;   /* the first of each that we can record */
    char other_video[32];               /* encoding name of a video track we cannot, else empty */
};

/* Never fails: what makes no sense is left out. */
void kt_sdp_parse(struct kt_sdp *sdp, struct kt_span text);

#endif

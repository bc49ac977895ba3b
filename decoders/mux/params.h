/*
 * params.h - the parameter sets of a video stream (SPS, PPS, VPS), collected from
 * the session description and from the stream itself, whichever has them.
 *
 * Cameras describe half of them, or none, or others than they send, and change
 * them at dusk. What the stream carries wins.
 *
 * Packets and extradata are Annex B (start codes).
 */
#ifndef KT_MUX_PARAMS_H
#define KT_MUX_PARAMS_H

#include <stdbool.h>
#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>
#include <libavutil/rational.h>

#include "server/base/chunk.h"

#define KT_PARAMS_KINDS 3               /* VPS, SPS, PPS */
#define KT_PARAMS_MAX 1024              /* bytes of one kind, all of them together */

struct kt_params {
    enum AVCodecID codec;
    size_t size[KT_PARAMS_KINDS];
    uint8_t set[KT_PARAMS_KINDS][KT_PARAMS_MAX];    /* each with its start code */
};

/* Forget everything; CODEC decides what counts as complete. */
void kt_params_reset(struct kt_params *params, enum AVCodecID codec);

/* Take the parameter sets at the head of DATA (extradata, or a frame). Kinds that
 * DATA lacks stay. Returns true when something changed. */
bool kt_params_update(struct kt_params *params, const uint8_t *data, size_t size);

/* Has it all that a decoder needs? Always true for codecs without parameter sets. */
bool kt_params_complete(const struct kt_params *params);

/*
 * Fill *PAR for the muxer: extradata from PARAMS, and width, height and video_delay
 * (reordered frames) as the key frame KEY shows them; *RATE is how many frames a second the
 * sets promise, 0/1 when they do not.
 *   -EINVAL  the sets make no sense (no size)   -ENOMEM
 */
kt_must_check int kt_params_describe(const struct kt_params *params, const AVPacket *key,
                                     AVCodecParameters *par, AVRational *rate);

/* The codecs string of RFC 6381, like "avc1.64001f"; -ENOTSUP when there is none. */
kt_must_check int kt_params_codec(char out[KT_MIME_SIZE], const AVCodecParameters *par);

#endif

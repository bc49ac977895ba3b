/*
 * audio.h - G.711 to AAC, once, because no browser plays G.711 from an MP4.
 *
 * Threads: one thread at a time. Whatever goes wrong here costs audio only.
 */
#ifndef KT_INGEST_AUDIO_H
#define KT_INGEST_AUDIO_H

#include <stdbool.h>
#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>

#include "server/base/cleanup.h"

typedef struct kt_audio kt_audio;

/* Is this codec one that must, and can, be made AAC? */
bool kt_audio_needed(enum AVCodecID codec);

/*
 * CODEC is PCM_MULAW or PCM_ALAW. on_packet gets AAC packets with pts in samples.
 * -ENOTSUP when this libavcodec cannot.
 */
kt_must_check int kt_audio_create(kt_audio **out, enum AVCodecID codec, int sample_rate,
                                  int channels, void *user,
                                  void (*on_packet)(void *user, const AVPacket *pkt));
void kt_audio_destroy(kt_audio **audio);

/* The AAC track; borrowed for as long as the object lives. */
const AVCodecParameters *kt_audio_parameters(const kt_audio *audio);

/* Take the samples of one packet, the first at PTS (in samples). */
void kt_audio_push(kt_audio *audio, const uint8_t *data, size_t size, int64_t pts);

#endif

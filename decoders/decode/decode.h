/*
 * decode.h - packets to small luma planes for analysis, and to JPEG for people.
 *
 * Threads: a decoder belongs to one thread at a time.
 */
#ifndef KT_DECODE_DECODE_H
#define KT_DECODE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>
#include <libavutil/frame.h>
#include <libavutil/rational.h>

#include "decoders/decode/pictures.h"
#include "server/base/cleanup.h"

#define KT_LUMA_MAX_WIDTH 320

/*
 * A luma plane made by box-averaging; rows are WIDTH bytes, no padding. With it
 * come the colour planes, half as wide and high; both are NULL where the
 * source has no colour.
 */
struct kt_luma {
    int width, height;              /* <= 320 wide, aspect kept, even */
    int source_width, source_height;
    int64_t pts;                    /* of the packet, in its time base */
    const uint8_t *data;            /* borrowed until the next call on the decoder */
    const uint8_t *cb, *cr;         /* (width + 1) / 2 x (height + 1) / 2, borrowed likewise */
    bool key;                       /* a key frame */
    bool damaged;                   /* the decoder had to guess parts of it */
};

typedef struct kt_decoder kt_decoder;

/* -ENOTSUP no decoder for this codec; PAR is copied. */
kt_must_check int kt_decoder_create(kt_decoder **out, const AVCodecParameters *par,
                                    AVRational time_base);
void kt_decoder_destroy(kt_decoder **dec);

/* Another decoder for the same stream as DEC, set alike, which knows none of its pictures yet. */
kt_must_check int kt_decoder_twin(kt_decoder **out, const kt_decoder *dec);

/* Take memory for pictures from PICTURES (borrowed as long as DEC is there) from the next
 * one on. NULL: memory of its own, as at create. */
void kt_decoder_share(kt_decoder *dec, kt_pictures *pictures);

/* FAST leaves out the loop filter: a fifth of the time saved, pictures slightly
 * blocky. For analysis, not for pictures that people look at. Off at create. */
void kt_decoder_set_fast(kt_decoder *dec, bool fast);

/* Give a packet (NULL: drain). 0, or a negative errno for one that does not decode. */
int kt_decoder_send(kt_decoder *dec, const AVPacket *pkt);

/* Take the next picture. -EAGAIN: send more. */
kt_must_check int kt_decoder_receive(kt_decoder *dec, struct kt_luma *out);

/* The full picture of the last kt_decoder_receive(), borrowed; NULL before. */
const AVFrame *kt_decoder_frame(const kt_decoder *dec);

/* Frames a second that the stream says it has, once a picture was decoded; 0/1: it does not. */
AVRational kt_decoder_rate(const kt_decoder *dec);

/* Forget references, e.g. before starting again at a key frame. */
void kt_decoder_flush(kt_decoder *dec);

/* As flush, and give the decoder's memory back until the next packet, to the other decoders
 * of its kt_pictures or to the system: a megabyte and more. */
void kt_decoder_rest(kt_decoder *dec);

/*
 * FRAME as JPEG, at most MAX_WIDTH wide (0: as it is). *OUT is malloc'd.
 * Any thread.
 */
kt_must_check int kt_jpeg_encode(const AVFrame *frame, int max_width, uint8_t **out, size_t *size);

#endif

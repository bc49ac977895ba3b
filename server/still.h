/*
 * still.h - a picture of a camera whose video nobody analyses: its newest key
 * frame is kept as it came and decoded when somebody asks. Decoding one in
 * advance for each of forty cameras costs more than recording them.
 *
 * Threads: any; a decode runs on the caller's thread, without the lock.
 */
#ifndef KT_SERVER_STILL_H
#define KT_SERVER_STILL_H

#include <stddef.h>
#include <stdint.h>
#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>

#include "server/base/cleanup.h"

typedef struct kt_still kt_still;

kt_must_check int kt_still_create(kt_still **out);
void kt_still_destroy(kt_still **still);

/* The next key frames are in this format; PAR is copied. */
void kt_still_format(kt_still *still, const AVCodecParameters *par, AVRational time_base);

/* PKT is a key frame, borrowed; WALL_US is its time. */
void kt_still_put(kt_still *still, const AVPacket *pkt, int64_t wall_us);

/* The time of the newest key frame, 0: none yet. */
int64_t kt_still_newest_us(kt_still *still);

/* It as a JPEG, at most MAX_WIDTH wide; *OUT is malloc'd. -EAGAIN: none yet. */
kt_must_check int kt_still_jpeg(kt_still *still, int max_width, uint8_t **out, size_t *size,
                                int64_t *wall_us);

#endif

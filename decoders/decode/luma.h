/*
 * luma.h - any decoded picture to the small planes that analysis works on.
 *
 * Straight from the decoder's planes by area averaging, without a full-size
 * intermediate. Pictures of at most KT_LUMA_MAX_WIDTH are not scaled at all.
 *
 * Threads: a scaler belongs to one thread at a time.
 */
#ifndef KT_DECODE_LUMA_H
#define KT_DECODE_LUMA_H

#include "decoders/decode/decode.h"

typedef struct kt_luma_scaler kt_luma_scaler;

kt_must_check int kt_luma_scaler_create(kt_luma_scaler **out);
void kt_luma_scaler_destroy(kt_luma_scaler **scaler);

/* The size that analysis uses for a picture of W x H: at most KT_LUMA_MAX_WIDTH
 * wide and KT_LUMA_MAX_PIXELS in all, even unless the picture is one pixel thin. */
#define KT_LUMA_MAX_PIXELS (KT_LUMA_MAX_WIDTH * KT_LUMA_MAX_WIDTH)
void kt_luma_size(int w, int h, int *out_w, int *out_h);

/*
 * Fill *OUT from FRAME. Planes are borrowed until the next call.
 *   -EINVAL   no pixels, or more than 16384 in a direction
 *   -ENOTSUP  a pixel format that libswscale cannot read either
 *   -ENOMEM
 */
kt_must_check int kt_luma_make(kt_luma_scaler *scaler, const AVFrame *frame, struct kt_luma *out);

#endif

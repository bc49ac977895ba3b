/* encoder.h - frames to an H.264 MP4 as a camera would have encoded them. */
#ifndef KT_FOOTAGE_ENCODER_H
#define KT_FOOTAGE_ENCODER_H

#include <stdint.h>

typedef struct kt_encoder kt_encoder;

struct kt_encoder_params {
    int width, height, fps, gop;
    int64_t bit_rate;
    const char *codec;          /* "libx264" or "libx265" */
};

/* Start writing PATH; NULL and a line on standard error on failure. */
kt_encoder *kt_encoder_open(const char *path, const struct kt_encoder_params *params);

/* Encode one 4:2:0 picture (planes Y, U, V, no padding). 0 or -1. */
int kt_encoder_add(kt_encoder *enc, const uint8_t *const planes[3]);

/* Finish the file. Frees ENC whatever the outcome. 0 or -1. */
int kt_encoder_close(kt_encoder **enc);

#endif

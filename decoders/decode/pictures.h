/*
 * pictures.h - memory for decoded pictures, shared by many decoders.
 *
 * A decoder by itself keeps as many pictures as it ever needed at once, for ever: forty
 * cameras of which two move keep the pictures of forty that move. Here they go back to
 * where any decoder finds them.
 *
 * Threads: any; decoders on different threads may share one.
 */
#ifndef KT_DECODE_PICTURES_H
#define KT_DECODE_PICTURES_H

#include <libavcodec/avcodec.h>

#include "server/base/cleanup.h"

typedef struct kt_pictures kt_pictures;

kt_must_check int kt_pictures_create(kt_pictures **out);

/* After the decoders that use it. Frames may live on: the last one frees the memory. */
void kt_pictures_destroy(kt_pictures **p);

/*
 * Memory for FRAME of a decoder, whose format, width and height are set: as AVCodecContext.get_buffer2
 * of libavcodec/avcodec.h asks. One buffer holds all planes. -ENOSPC when pictures of too many
 * sizes were seen (the caller has libavcodec's own way), else an AVERROR.
 */
kt_must_check int kt_pictures_get(kt_pictures *p, AVCodecContext *ctx, AVFrame *frame);

#endif

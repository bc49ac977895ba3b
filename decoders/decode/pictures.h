/*
 * pictures.h - memory for decoded pictures and for decoders' state, shared by many decoders.
 *
 * A decoder by itself keeps as many pictures as it ever needed at once, for ever: forty
 * cameras of which two move keep the pictures of forty that move. Here they go back to
 * where any decoder finds them. So does the state (a libavcodec context, a megabyte and
 * more) of a decoder that rests: cameras of one model, set alike, are opened alike, and the
 * next of them that has a key frame goes on with it instead of with a megabyte of new pages.
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

/*
 * Leave *CTX, opened and in nobody's use, for kt_pictures_take_context(). *CTX becomes NULL.
 * A few are kept, flushed; the one that waited longest is freed for a new one. Contexts
 * without extradata are freed: nothing would say what they were opened for.
 */
void kt_pictures_leave_context(kt_pictures *p, AVCodecContext **ctx);

/* One that was opened for CODEC and the same extradata and size as PAR, now the caller's,
 * or NULL. Set opaque, get_buffer2 and skip_loop_filter: they are still somebody else's. */
AVCodecContext *kt_pictures_take_context(kt_pictures *p, const AVCodec *codec,
                                         const AVCodecParameters *par);

#endif

/*
 * fragment.h - one init segment and the chunks that need it, by libavformat's
 * mp4 muxer. Each frame becomes one `moof` + `mdat`, written straight into
 * its kt_chunk. Times are the caller's: nothing is guessed from one frame to the next.
 *
 * Threads: one thread at a time.
 * Errors:  0 or a negative errno / AVERROR.
 */
#ifndef KT_MUX_FRAGMENT_H
#define KT_MUX_FRAGMENT_H

#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>
#include <libavutil/rational.h>

#include "server/base/chunk.h"

typedef struct kt_fragment kt_fragment;

/*
 * Make the muxer and its init segment. VIDEO has extradata (where the codec has
 * any) and a size; AUDIO may be NULL. MIME goes into the init segment.
 */
kt_must_check int kt_fragment_create(kt_fragment **out, const AVCodecParameters *video,
                                     const AVCodecParameters *audio, const char *mime);
void kt_fragment_destroy(kt_fragment **fragment);

/* The timescale of the audio track: its sample rate. */
int kt_fragment_audio_rate(const kt_fragment *fragment);

/*
 * Write one frame. PKT (stream_index 0 video, 1 audio) has pts, dts and duration
 * in the track's timescale (90000, or the sample rate) and is borrowed. META gives
 * what the chunk says about itself; size, data and init are filled in here.
 */
kt_must_check int kt_fragment_write(kt_fragment *fragment, const AVPacket *pkt,
                                    const struct kt_chunk *meta, struct kt_chunk **out);

#endif

/*
 * depay.h - RTP payloads to frames: H.264 (RFC 6184), H.265 (RFC 7798), JPEG
 * (RFC 2435), AAC (RFC 3640), G.711 (RFC 3551).
 *
 * H.264 and H.265 frames come out as Annex B with all their NAL units, SEI
 * included, in the order sent. A frame that misses a packet is delivered with
 * what there is of it, and says so: half a picture of a burglar is evidence too.
 * A unit is cut where its first missing packet was. Half a JPEG or AAC frame is
 * of no use and is left out.
 *
 * Pure and bounded; safe for any bytes. Threads: none of its own.
 */
#ifndef KT_INGEST_DEPAY_H
#define KT_INGEST_DEPAY_H

#include "decoders/ingest/rtp.h"
#include "decoders/ingest/sdp.h"

#define KT_DEPAY_FRAME_MAX (8 << 20)    /* no camera's frame is larger */

struct kt_frame {
    const uint8_t *data;        /* valid during the callback; video: zeros follow it, as decoders ask */
    size_t size;
    int64_t pts;                /* in the clock rate of the track */
    bool key;
    bool damaged;               /* a part of it was lost */
};

/*
 * Large buffers that no frame is in: key frames take turns with a few, instead of a
 * new mapping each. Of one thread, for all its kt_depay.
 */
#define KT_DEPAY_SPARES 4
struct kt_depay_spares {
    uint8_t *buf[KT_DEPAY_SPARES];      /* NULL: none */
    size_t cap[KT_DEPAY_SPARES];
};

void kt_depay_spares_free(struct kt_depay_spares *spares);

struct kt_depay {
    void *user;
    void (*on_frame)(void *user, const struct kt_frame *frame);
    enum AVCodecID codec;
    int size_length, index_length, index_delta_length;
    /* --- the frame being put together --- */
    uint8_t *buf;
    size_t size, cap;
    uint8_t *small;             /* set aside while buf is a large one; NULL: none */
    size_t small_cap;
    struct kt_depay_spares *spares;     /* borrowed; NULL: none */
    int64_t pts;
    bool open;                  /* there is one */
    bool damaged, key, picture; /* picture: it holds a coded slice */
    bool useless;               /* do not deliver what there is of it */
    bool fragment;              /* in the middle of a fragmented unit */
    bool look_again;            /* units may hide behind start codes inside a unit */
    size_t looked;              /* bytes of buf that were looked through for them */
    bool parameters;            /* it holds a sequence parameter set */
    bool marker_unreliable;     /* this camera marks the end of slices, not of frames */
    bool ended;                 /* the last packet completed a frame with time .pts */
    size_t expected;            /* AAC: size of the fragmented unit */
    /* --- JPEG --- */
    uint8_t tables[128], quality;
    bool has_tables;
    int width, height;          /* as the session said, for pictures too large for RFC 2435; 0: it did not */
    uint64_t incomplete;        /* frames that missed something, delivered or not */
};

/* MEDIA is read now only. Codecs: those that sdp.h finds. */
void kt_depay_init(struct kt_depay *depay, const struct kt_sdp_media *media);
void kt_depay_free(struct kt_depay *depay);
void kt_depay_push(struct kt_depay *depay, const struct kt_rtp_packet *packet);

/* ---- for the files of the single formats ---- */

bool kt_depay_append(struct kt_depay *depay, const void *data, size_t size);
void kt_depay_emit(struct kt_depay *depay);     /* the frame in buf, unless useless */
void kt_depay_push_nal(struct kt_depay *depay, const struct kt_rtp_packet *packet);
void kt_depay_push_aac(struct kt_depay *depay, const struct kt_rtp_packet *packet);
void kt_depay_push_jpeg(struct kt_depay *depay, const struct kt_rtp_packet *packet);

#endif

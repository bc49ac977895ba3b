/*
 * analyzer.h - one camera's packets to events, activity, pictures and health,
 * decoding no more than needed.
 *
 * Key frames are always decoded. In adaptive mode the other packets wait, at
 * most one group of pictures of them, and are decoded, from the key frame on,
 * once their sizes or the key frame say that something may have moved; then
 * everything is decoded until it is quiet again. So events start when they
 * started, not when they were noticed. Where sizes say nothing (constant bit
 * rate), the analyzer finds out by itself and decodes everything.
 *
 * When packets of one size come for seconds and the next key frame is far, they are
 * decoded too, to see whether the picture stands still (docs/decisions/0055).
 *
 * When the waiting packets exceed KT_ANALYZER_WAIT_BYTES, they are decoded.
 *
 * Threads: an analyzer belongs to one thread at a time; which one may change.
 *          Callbacks come during calls, on the caller's thread.
 * Units:   wall_us is UTC microseconds, boxes are source pixels.
 */
#ifndef KT_MOTION_ANALYZER_H
#define KT_MOTION_ANALYZER_H

#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>
#include <libavutil/frame.h>
#include <libavutil/rational.h>

#include "decoders/decode/pictures.h"
#include "decoders/motion/motion.h"

#define KT_ANALYZER_WAIT_BYTES (4 << 20)

typedef struct kt_analyzer kt_analyzer;

enum kt_analyzer_mode {
    KT_ANALYZE_OFF = 0,             /* nothing is decoded, but for kt_analyzer_latest() */
    KT_ANALYZE_KEYFRAMES,
    KT_ANALYZE_ADAPTIVE,
    KT_ANALYZE_FULL,
};

/* "off", "keyframes", "adaptive", "full". */
const char *kt_analyzer_mode_name(enum kt_analyzer_mode mode);

/* How short the machine is; each level does what the one before does, and less. */
enum kt_analyzer_load {
    KT_LOAD_NORMAL = 0,
    KT_LOAD_HIGH,                   /* full becomes adaptive, adaptive wakes later */
    KT_LOAD_VERY_HIGH,              /* key frames only */
    KT_LOAD_OVER,                   /* one key frame every 10 s */
};

enum kt_trouble {
    KT_TROUBLE_FROZEN = 1,          /* the same picture although packets come: see health.c */
    KT_TROUBLE_COVERED,             /* blinded or covered: no detail left */
    KT_TROUBLE_DEFOCUSED,           /* much less detail than there used to be */
    KT_TROUBLE_MOVED,               /* it shows another place */
    KT_TROUBLE_UNDECODABLE,         /* packets come but no picture, for 20 s */
    KT_TROUBLE_DARK,                /* black: the lamp is out, or the lens is shut */
};
#define KT_TROUBLE_LAST KT_TROUBLE_DARK

/* "camera-frozen", "camera-covered", … as event types. */
const char *kt_trouble_name(enum kt_trouble trouble);

struct kt_analyzer_params {
    enum kt_analyzer_mode mode;
    const AVCodecParameters *par;   /* copied */
    AVRational time_base;
    const char *rules_json;         /* as in motion.h; copied */
    int utc_offset_s;               /* of the site, for schedules in the rules */
    int thumbnail_width;            /* 0: 480 */
    kt_pictures *pictures;          /* for decoded pictures, borrowed; NULL: memory of its own */
    void *user;
    /* As in motion.h; times are wall times. */
    void (*on_event)(void *user, enum kt_motion_event_phase phase,
                     const struct kt_motion_event *event);
    /* The best picture so far of EVENT, borrowed; at most one a second and event,
     * the last just before its CLOSE. NULL: none are made. */
    void (*on_thumbnail)(void *user, uint64_t event, const uint8_t *jpeg, size_t size);
    /* A second in which something moved is over. SCORE is 1..255. */
    void (*on_second)(void *user, int64_t unix_second, uint8_t score,
                      const uint8_t grid[KT_MOTION_GRID_BYTES]);
    /* What moves in a picture that was looked at, N may be 0; in pixels of SOURCE_W x SOURCE_H.
     * Also with nothing, when no pictures will come for a while. May be NULL. */
    void (*on_boxes)(void *user, const struct kt_box *boxes, int n, int source_w, int source_h,
                     int64_t wall_us);
    /* TROUBLE began (NOW is true) or is over. */
    void (*on_trouble)(void *user, enum kt_trouble trouble, bool now, int64_t since_us);
};

/* -EINVAL with ERR for rules that make no sense, -ENOTSUP without a decoder. */
kt_must_check int kt_analyzer_create(kt_analyzer **out, const struct kt_analyzer_params *params,
                                     struct kt_error *err);
void kt_analyzer_destroy(kt_analyzer **a);

/*
 * The next video packet, captured at WALL_US. PKT is borrowed; what must wait
 * is referenced. Damage in the stream is no error.
 *   -ENOMEM  others as the decoder says; the analyzer stays usable
 */
int kt_analyzer_packet(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us);

/* Packets were lost, or none will come for a while: waiting ones are looked at,
 * events are closed, and nothing is decoded until the next key frame. */
void kt_analyzer_gap(kt_analyzer *a);

/* The stream's parameters changed: a new decoder, the same background. Implies
 * kt_analyzer_gap(). */
kt_must_check int kt_analyzer_restart(kt_analyzer *a, const AVCodecParameters *par,
                                      AVRational time_base);

void kt_analyzer_set_load(kt_analyzer *a, enum kt_analyzer_load load);

/*
 * Keep in the file PATH what the place looks like and how long its picture may stand still, and
 * go on from it at the next start.
 *   -EAGAIN   nothing is known yet (save)
 *   -EBADMSG  the file is damaged (load)
 *   others    as open(2); -ENOENT: there is none (load)
 */
kt_must_check int kt_analyzer_save(const kt_analyzer *a, const char *path);
kt_must_check int kt_analyzer_load(kt_analyzer *a, const char *path);

/*
 * A reference to the newest decoded picture into REF (blank), for
 * kt_jpeg_encode() on any thread. In adaptive mode it is at most one key-frame
 * interval old. *WALL_US may be NULL. -EAGAIN while there is none.
 */
kt_must_check int kt_analyzer_latest(const kt_analyzer *a, AVFrame *ref, int64_t *wall_us);

struct kt_analyzer_stats {
    uint64_t packets, key_packets, decoded, skipped, damaged;
    uint64_t wakes;                 /* times adaptive mode began to decode all */
    uint64_t probes, missed_probes; /* groups decoded to check the sizes' word; found wrong */
    bool awake;                     /* decoding everything now */
    bool sizes_say_nothing;         /* only key frames and checks tell when to wake */
    enum kt_analyzer_mode mode;     /* in effect, after load shedding */
};
void kt_analyzer_stats(const kt_analyzer *a, struct kt_analyzer_stats *out);

#endif

/*
 * motion.h - luma planes to masks, tracks and events: the whole pipeline of
 * design section 5 behind one object. `kentongan analyze` and the daemon run
 * exactly this.
 *
 * Threads: a detector belongs to one thread at a time.
 * Units:   t_us is any clock that does not run backwards (media time in files,
 *          wall time in the daemon); boxes are in source pixels.
 */
#ifndef KT_MOTION_MOTION_H
#define KT_MOTION_MOTION_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

typedef struct kt_motion kt_motion;

struct kt_box {
    int x, y, w, h;                 /* source pixels */
    uint32_t track;                 /* persistent id, 0: not yet a track */
};

#define KT_MOTION_MAX_BOXES 32
#define KT_MOTION_GRID_BYTES 18     /* 16x9 bits, bit y * 16 + x */

struct kt_motion_result {
    bool motion;
    bool busy;                      /* something goes on, or may do so: keep looking closely */
    double score;                   /* 0..1 */
    int n_boxes;
    struct kt_box boxes[KT_MOTION_MAX_BOXES];
    uint8_t grid[KT_MOTION_GRID_BYTES];
    const uint8_t *mask;            /* analysis size, 0 or 255, borrowed until the next frame */
    int mask_width, mask_height;
};

enum kt_motion_event_phase { KT_MOTION_EVENT_OPEN = 1, KT_MOTION_EVENT_BEST, KT_MOTION_EVENT_CLOSE };

struct kt_motion_event {
    uint64_t id;                    /* counts up from 1 within the detector */
    const char *type;               /* "motion", "line", "loiter", … */
    const char *rule;               /* zone or line name, "" for none */
    int64_t start_us, end_us;       /* end is 0 while open */
    double score;
    struct kt_box best;             /* where it was seen best, and when */
    int64_t best_us;
};

struct kt_motion_params {
    const char *rules_json;         /* NULL or empty: the whole picture, type "motion" */
    int utc_offset_s;               /* of the site, for hours in the rules (t_us is then UTC) */
    void *user;
    /* OPEN once confirmed (start_us then lies in the past), BEST whenever a better
     * picture for the thumbnail is now, CLOSE once over. During kt_motion_frame(). */
    void (*on_event)(void *user, enum kt_motion_event_phase phase,
                     const struct kt_motion_event *event);
};

/* -EINVAL with ERR for rules that make no sense. */
kt_must_check int kt_motion_create(kt_motion **out, const struct kt_motion_params *params,
                                   struct kt_error *err);
void kt_motion_destroy(kt_motion **m);

/* A picture with all that is known about it. */
struct kt_motion_picture {
    const uint8_t *luma;            /* W x H */
    const uint8_t *cb, *cr;         /* (W + 1) / 2 x (H + 1) / 2, NULL: no colour */
    int w, h;                       /* 1 to 8192 each */
    int source_w, source_h;
    bool key;                       /* a key frame: its compression noise differs */
    bool damaged;                   /* partly guessed by the decoder: not to be believed */
};

/* As kt_motion_frame(), with colour. */
kt_must_check int kt_motion_picture(kt_motion *m, const struct kt_motion_picture *pic,
                                    int64_t t_us, struct kt_motion_result *out);

/*
 * Is there anything in PIC that is worth a close look, something that neither
 * stands there known nor looks like the place? Changes nothing. For pictures that
 * come before others have been looked at.
 */
bool kt_motion_suspects(kt_motion *m, const struct kt_motion_picture *pic, int64_t t_us);

/* Is there so little contrast (fog, a thermal camera) that single pictures say little? */
bool kt_motion_is_faint(const kt_motion *m);

/*
 * Learn what the place looks like, before the first kt_motion_picture(), from
 * up to KT_MOTION_LEARN_MAX pictures: the same ones that will follow, or ones
 * from a while ago. Not needed, but with it things that stand in the first
 * picture and leave later do not leave a ghost. Pictures of another size start over.
 */
#define KT_MOTION_LEARN_MAX 64
kt_must_check int kt_motion_learn(kt_motion *m, const struct kt_motion_picture *pic);

/*
 * What the place looks like into *OUT, which is the caller's, and start from it at the next
 * start: no blind minutes. A memory of another size, or of a view that the first picture
 * does not show, is forgotten then. kt_motion_recall() takes *MEMORY over.
 *   -EAGAIN   nothing is known yet
 */
struct kt_memory;                   /* memory.h */
kt_must_check int kt_motion_remember(const kt_motion *m, struct kt_memory **out);
void kt_motion_recall(kt_motion *m, struct kt_memory **memory);

/* One picture: LUMA of W x H (any size from 1 to 8192; a change of size starts a
 * new background), showing SOURCE_W x SOURCE_H. */
kt_must_check int kt_motion_frame(kt_motion *m, const uint8_t *luma, int w, int h, int source_w,
                                  int source_h, int64_t t_us, struct kt_motion_result *out);

/* The stream ends or pauses: close open events. The background stays. */
void kt_motion_finish(kt_motion *m);

#endif

/*
 * tracks.h - blobs of one picture after the other to things that keep their id.
 *
 * A track is tentative until it has been seen often enough and has gone
 * somewhere: what only sways, flickers or appears for a moment never is
 * confirmed; what only grows where it is, or grows and shrinks to another side, has gone nowhere, unless it
 * comes in at the picture's edge or grows as somebody does who comes closer. Where something comes and goes all the time, and where nothing is known
 * yet, it must go farther than it is large, and straight; among much that is gone again at once
 * (rain, insects), or that passes all alike (snow), it must last longer, unless it is clearly
 * larger. What comes far into the picture from its edge is none of the branches there, and a flicker
 * is not the thing that covers it from one picture to the next. Tracks survive short occlusion and meeting other tracks.
 *
 * Threads: a tracker belongs to one thread at a time.
 * Units:   boxes and positions are in mask pixels, t_us as in motion.h.
 */
#ifndef KT_MOTION_TRACKS_H
#define KT_MOTION_TRACKS_H

#include <stdbool.h>

#include "decoders/motion/components.h"

#define KT_TRACKS_MAX 64

struct kt_track {
    uint32_t id;                    /* counts up from 1; 0: slot is free */
    bool confirmed;
    bool fit;                       /* would be confirmed, if there were not so many like it */
    bool seen;                      /* matched in this picture, not only expected */
    bool slim;                      /* it was long and thin */
    bool ended;                     /* gone; reported once, then freed */
    float x0, y0, x1, y1;           /* box, x1 and y1 exclusive */
    float vx, vy;                   /* of the centre, pixels a second */
    float first_x, first_y;         /* foot point (bottom middle) when first seen */
    float foot_x, foot_y, last_foot_x, last_foot_y; /* now, and in the picture before */
    float far;                      /* farthest that the centre was from where it began */
    float path;                     /* how far it went in all, there and back, … */
    float trail;                    /* … and without what is only trembling */
    float widest, tallest;          /* its box, at most, … */
    float hull_x0, hull_y0, hull_x1, hull_y1;   /* … and where it has been at all */
    int area, best_area;            /* pixels of its blobs now, and at most */
    int hits;                       /* pictures in which it was seen */
    int misses;                     /* pictures since */
    int gaps;                       /* pictures in all in which it was not seen */
    int64_t first_us, last_us;      /* first and last seen */
    float start_cx, start_cy;       /* centre when first seen */
    float start_x0, start_y0, start_x1, start_y1;   /* box when first seen */
    float rest_cx, rest_cy;         /* centre when it last went somewhere, … */
    int64_t moved_us;               /* … and when that was */
};

typedef struct kt_tracks kt_tracks;

/* For pictures of W x H mask pixels. */
kt_must_check int kt_tracks_create(kt_tracks **out, int w, int h);
void kt_tracks_destroy(kt_tracks **t);

/* The place is known already: the first pictures are as good as later ones. */
void kt_tracks_know_place(kt_tracks *t);

/* From now on there is little light and much noise, or not: more is asked of a track. */
void kt_tracks_set_dim(kt_tracks *t, bool dim);

/* Where the place is restless, before anything was tracked (as kt_background_flicker()). */
void kt_tracks_know_unrest(kt_tracks *t, const uint8_t *flicker);

/* Move on to the picture at T_US with these blobs (largest first) of MASK. */
void kt_tracks_update(kt_tracks *t, const uint8_t *mask, const struct kt_blob *blob, int n,
                      int64_t t_us);

/* The slots, KT_TRACKS_MAX of them, borrowed; ids of 0 are free. */
const struct kt_track *kt_tracks_list(const kt_tracks *t);

/* Is BLOB, at T_US, where a confirmed track is expected that was seen just now, and no larger than
 * that? */
bool kt_tracks_expects(const kt_tracks *t, const struct kt_blob *blob, int64_t t_us);

/* Does an unconfirmed track seem to be going somewhere? */
bool kt_track_is_going(const struct kt_track *t);

/* The slot that blob I of the last update belongs to. */
int kt_tracks_owner(const kt_tracks *t, int i);

/* Forget all: the scene changed. They are reported as ended by the next list. */
void kt_tracks_end_all(kt_tracks *t);

#endif

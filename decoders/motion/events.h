/*
 * events.h - tracks and rules to events.
 *
 * Threads: belongs to one thread at a time, like the detector it is part of.
 */
#ifndef KT_MOTION_EVENTS_H
#define KT_MOTION_EVENTS_H

#include "decoders/motion/motion.h"
#include "decoders/motion/rules.h"
#include "decoders/motion/tracks.h"

typedef struct kt_events kt_events;

/* RULES is borrowed and outlives the events, PARAMS is copied (not its rules). */
kt_must_check int kt_events_create(kt_events **out, const struct kt_rules *rules,
                                   const struct kt_motion_params *params);
void kt_events_destroy(kt_events **ev);

/* The size of the mask that tracks are in, and of the source that boxes go out in. */
void kt_events_set_size(kt_events *ev, int w, int h, int source_w, int source_h);

/* The picture at T_US has the tracks LIST (KT_TRACKS_MAX of them). */
void kt_events_update(kt_events *ev, const struct kt_track *list, int64_t t_us);

/*
 * Should a thing that stands at this track's place, and was never seen to move,
 * be kept in sight, because a zone waits for objects left behind?
 */
bool kt_events_wants_still(const kt_events *ev, const struct kt_track *t);

/*
 * A thing (TRACK) that stands still: report it as left or removed when a zone
 * asks for it and it is time. REMOVED says which.
 */
void kt_events_still(kt_events *ev, const struct kt_track *t, bool removed, int64_t t_us);

/* Close all that is open. */
void kt_events_finish(kt_events *ev);

/* A track's box in source pixels. */
struct kt_box kt_events_box(const kt_events *ev, const struct kt_track *t);

#endif

/*
 * clips.h - fills a ring that holds only what happened: copies whole records
 * around events from the rings that hold everything, with pre-roll and
 * post-roll, so that a long GOP never loses the start of an event.
 *
 * Copying happens after the fact, from records that are already on disk: one
 * low-priority thread, no memory held for pre-roll.
 *
 * Threads: begin and end from any thread, they never block.
 */
#ifndef KT_SERVER_CLIPS_H
#define KT_SERVER_CLIPS_H

#include "server/base/text.h"
#include "storage/ring/ring.h"

typedef struct kt_clips kt_clips;

struct kt_clips_params {
    kt_ring *to;                        /* borrowed: keeps events */
    int64_t pre_us, post_us;            /* 0: 5 s and 10 s */
};

kt_must_check int kt_clips_create(kt_clips **out, const struct kt_clips_params *params);

/* Copies what is due and already on disk, then stops. */
void kt_clips_destroy(kt_clips **clips);

/*
 * An event began at START: keep STREAM ("gerbang/main") out of the ring FROM (borrowed)
 * from pre-roll on until every event that began has ended and the post-roll is over.
 * -ENOSPC: more than 1024 streams at once.
 */
int kt_clips_begin(kt_clips *clips, kt_ring *from, const char *stream, int64_t start_us);

/*
 * Before a crash there was an event until END, of which not all may have been copied: copy what is
 * missing, of its last KT_CLIPS_RESUME_US and of the post-roll. Like kt_clips_begin() and
 * kt_clips_end() together.
 */
#define KT_CLIPS_RESUME_US (600 * INT64_C(1000000))
int kt_clips_resume(kt_clips *clips, kt_ring *from, const char *stream, int64_t start_us, int64_t end_us);
/* How long before the last video an event may have ended and still not be copied. */
int64_t kt_clips_lag_us(const kt_clips *clips);

/* An event for which kt_clips_begin() succeeded ended at END. */
void kt_clips_end(kt_clips *clips, const char *stream, int64_t end_us);

#endif

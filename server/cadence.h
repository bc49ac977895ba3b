/*
 * cadence.h - tells frames that are missing from frames that come when they like.
 *
 * A hole in the times of a stream's frames is a gap when it is long, or when it is short
 * and the camera goes on as it did before it: a camera that sends fewer frames at night
 * has no holes, one whose network failed for a second has. Times are those of the mux
 * (media time on the server's clock), so that late arrival makes no hole.
 *
 * Plain data, one thread at a time. Decision 0110.
 */
#ifndef KT_SERVER_CADENCE_H
#define KT_SERVER_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

#define KT_CADENCE_LONG_US INT64_C(2000000)     /* a gap at once */
#define KT_CADENCE_SHORT_US INT64_C(500000)     /* a gap when the next frames are quick again */
#define KT_CADENCE_BURST 60             /* short gaps told in a row; one more each minute */

struct kt_cadence {
    int64_t newest_us;                  /* the newest frame is shown then; 0: none yet */
    int64_t usual_us;                   /* from one frame to the next; 0: not known */
    int64_t hole_from_us, hole_to_us;   /* a short hole, until the next frame confirms it */
    int told;                           /* short gaps, less those forgiven since */
    int64_t forgiven_us;
};

struct kt_hole {
    int64_t from_us, to_us;
    bool was_before;                    /* the frame just given is not the first one behind it */
};

/* The next video frame, in decode order, is shown at WALL_US for DURATION_US as far as is
 * known. True: *HOLE is a gap. */
bool kt_cadence_frame(struct kt_cadence *c, int64_t wall_us, int64_t duration_us, struct kt_hole *hole);

/* The end of the newest frame, 0: none yet. */
int64_t kt_cadence_end_us(const struct kt_cadence *c);

#endif

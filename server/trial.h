/*
 * trial.h - "run these rules over last night": a camera's recording once more
 * through the analysis of the daemon, with rules that need not be saved.
 *
 * One trial at a time, on a thread of the lowest priority that stands still while
 * the analysis of what comes in is behind. It starts from what the place looks
 * like now, where that still fits, and some seconds early. Nothing is written: its
 * events live here until the next trial.
 *
 * Threads: all functions from any thread, but destroy.
 * Units:   *_us is UTC microseconds.
 */
#ifndef KT_SERVER_TRIAL_H
#define KT_SERVER_TRIAL_H

#include "server/analysis.h"
#include "server/ring_set.h"

#define KT_TRIAL_MAX_US (INT64_C(86400) * 1000000)
#define KT_TRIAL_MAX_EVENTS 2000        /* kept; more are only counted */

typedef struct kt_trials kt_trials;

struct kt_trials_params {
    const struct kt_ring_set *rings;    /* borrowed, like analysis */
    kt_analysis *analysis;
    int utc_offset_s;                   /* of the site, for hours in rules */
    bool (*behind)(void *user);         /* is live analysis short of time? From the trial's thread */
    void *user;
};

kt_must_check int kt_trials_create(kt_trials **out, const struct kt_trials_params *params);

/* Cancels what runs; waits for less than a second. */
void kt_trials_destroy(kt_trials **trials);

/*
 * Begin ASK (copied), the way MODE looks. What an earlier trial found is forgotten.
 *   -EINVAL  with ERR: rules that make no sense, a span that is empty or too long
 *   -EBUSY   one is running
 *   -ENOENT  nothing is recorded there
 */
kt_must_check int kt_trials_start(kt_trials *trials, const struct kt_trial_ask *ask,
                                  enum kt_analyzer_mode mode, struct kt_error *err);

/* The last trial, if it is CAMERA's, as docs/openapi.yaml's Trial, without its first SKIP
 * events. JSON text, malloc'd; NULL: no memory. */
char *kt_trials_json(kt_trials *trials, const char *camera, size_t skip);

/* Stop the trial of CAMERA; what it found so far stays. -ENOENT: none runs. */
int kt_trials_cancel(kt_trials *trials, const char *camera);

#endif

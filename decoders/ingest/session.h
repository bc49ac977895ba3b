/*
 * session.h - what both transports share: when to try again, and what to say.
 * Inside ingest only.
 */
#ifndef KT_INGEST_SESSION_H
#define KT_INGEST_SESSION_H

#include <pthread.h>

#include "decoders/ingest/ingest.h"

#define KT_INGEST_WHY_SIZE 160
#define KT_INGEST_NO_NAME_SERVER "the name server does not answer"
#define KT_INGEST_NO_NAME "the name of the camera is not known: check the address"
#define KT_INGEST_PASSWORD_US INT64_C(30000000) /* a few wrong tries lock an account */

/* A transport: the functions behind kt_ingest_start() and kt_ingest_stop(). */
struct kt_ingest_ops {
    void (*interrupt)(kt_ingest *ingest);   /* make it end soon; returns at once */
    void (*join)(kt_ingest *ingest);        /* wait until it has ended, and free it */
};

/* Each transport's object begins with this. */
struct kt_ingest {
    const struct kt_ingest_ops *ops;
    pthread_mutex_t stats_lock;             /* leaf */
    struct kt_ingest_stats stats;           /* protected by stats_lock */
};

int kt_ingest_libav_start(kt_ingest **out, const struct kt_ingest_params *params);
int kt_ingest_loop_start(kt_ingest **out, const struct kt_ingest_params *params);

void kt_ingest_init_base(kt_ingest *ingest, const struct kt_ingest_ops *ops);
void kt_ingest_free_base(kt_ingest *ingest);

/*
 * What a session is worth, judged by its frames: alive means frames that decode,
 * never a TCP connection. The same for both transports.
 */
struct kt_watch {
    const struct kt_ingest_params *params;
    kt_ingest *ingest;
    enum kt_ingest_state state;
    int64_t begun_us;                       /* PLAY was answered; 0: not yet */
    int64_t last_frame_us, last_key_us;     /* 0: none yet in this session */
};

/* Tell a state, once, and keep it in the statistics. */
void kt_watch_say(struct kt_watch *watch, enum kt_ingest_state state, const char *why);
void kt_watch_begin(struct kt_watch *watch, int64_t now_us);

/*
 * Look at the times of the last frames. Returns 0, or -ETIMEDOUT with WHY when the
 * session is to be given up.
 */
kt_must_check int kt_watch_check(struct kt_watch *watch, int64_t now_us,
                                 char why[KT_INGEST_WHY_SIZE]);

/* Did the session work well enough to forget earlier failures? */
bool kt_watch_worked(const struct kt_watch *watch, int64_t now_us);

/* Fill in the defaults of header ingest.h and copy the strings. */
kt_must_check int kt_ingest_params_copy(struct kt_ingest_params *to,
                                        const struct kt_ingest_params *from);
void kt_ingest_params_free(struct kt_ingest_params *params);

/*
 * How long to wait before the next attempt: doubled each time up to the maximum, plus or
 * minus a quarter of that, but never more than the maximum. Every wait is spread evenly over
 * its range, the longest too, so that forty cameras behind one switch, or with one password
 * that was changed, do not all come back in the same instant.
 */
struct kt_backoff {
    int64_t min_us, max_us, next_us;
    unsigned seed;
};

void kt_backoff_init(struct kt_backoff *backoff, const struct kt_ingest_params *params);
int64_t kt_backoff_next(struct kt_backoff *backoff);
/* After a refused password: KT_INGEST_PASSWORD_US and up to a quarter more, whatever failed before. */
int64_t kt_backoff_password(struct kt_backoff *backoff);
/* A session worked: begin again with the shortest wait. */
void kt_backoff_reset(struct kt_backoff *backoff);

#endif

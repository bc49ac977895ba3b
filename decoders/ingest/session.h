/*
 * session.h - what both transports share: when to try again, and what to say.
 * Inside ingest only.
 */
#ifndef KT_INGEST_SESSION_H
#define KT_INGEST_SESSION_H

#include "decoders/ingest/ingest.h"

#define KT_INGEST_WHY_SIZE 160

/* A transport: the functions behind kt_ingest_start() and kt_ingest_stop(). */
struct kt_ingest_ops {
    void (*interrupt)(kt_ingest *ingest);   /* make it end soon; returns at once */
    void (*join)(kt_ingest *ingest);        /* wait until it has ended, and free it */
};

/* Each transport's object begins with this. */
struct kt_ingest {
    const struct kt_ingest_ops *ops;
};

int kt_ingest_libav_start(kt_ingest **out, const struct kt_ingest_params *params);

/* Fill in the defaults of header ingest.h and copy the strings. */
kt_must_check int kt_ingest_params_copy(struct kt_ingest_params *to,
                                        const struct kt_ingest_params *from);
void kt_ingest_params_free(struct kt_ingest_params *params);

/* How long to wait before the next attempt: doubled each time up to the maximum,
 * plus or minus a quarter, so that forty cameras behind one switch do not all
 * come back in the same instant. */
struct kt_backoff {
    int64_t min_us, max_us, next_us;
    unsigned seed;
};

void kt_backoff_init(struct kt_backoff *backoff, const struct kt_ingest_params *params);
int64_t kt_backoff_next(struct kt_backoff *backoff);
/* A session worked: begin again with the shortest wait. */
void kt_backoff_reset(struct kt_backoff *backoff);

#endif

/*
 * snapshots.h - pictures by HTTP, for cameras whose stream gives none at the moment.
 *
 * One thread (curl multi) fetches for all cameras, digest or basic authentication, no
 * redirect, at most KT_SNAPSHOT_MAX_BYTES in 8 s. What comes must decode as JPEG and is
 * encoded anew: what a browser gets was never the camera's own bytes. A camera is asked
 * again after 10 s at the earliest, and see kt_snapshot_wait_us().
 *
 * Threads: any. Units: *_us is UTC microseconds. Errors: 0 or a negative errno.
 */
#ifndef KT_SERVER_SNAPSHOTS_H
#define KT_SERVER_SNAPSHOTS_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/text.h"

#define KT_SNAPSHOT_SMALL_WIDTH 480
#define KT_SNAPSHOT_MAX_BYTES (8u << 20)

typedef struct kt_snapshots kt_snapshots;
typedef struct kt_snapshot kt_snapshot;       /* one camera */

kt_must_check int kt_snapshots_create(kt_snapshots **out, struct kt_error *err);
/* After all its snapshots were removed. */
void kt_snapshots_destroy(kt_snapshots **snapshots);

/* Somebody changed something, perhaps in a camera: the next that is wanted is not too early, however often
 * its password was refused before. */
void kt_snapshots_hurry(kt_snapshots *snapshots);

/* The end is near: nobody waits any more. */
void kt_snapshots_interrupt(kt_snapshots *snapshots);

struct kt_snapshot_params {
    const char *name;                   /* for the log */
    const char *url;                    /* http(s)://user:password@host/path */
    const char *login_url;              /* whose user and password serve when URL has none and is
                                         * on the same host; NULL */
    int allow;                          /* enum kt_net_allow */
};

/* Strings are copied. Nothing is fetched yet. -EINVAL: no http address. */
kt_must_check int kt_snapshots_add(kt_snapshots *snapshots, kt_snapshot **out,
                                const struct kt_snapshot_params *params, struct kt_error *err);
/* Waits for the thread to let go of it, not for the camera. */
void kt_snapshots_remove(kt_snapshot **snapshot);

/*
 * How long a camera that failed is left in peace, where REFUSALS of the last attempts in a row ended with a refused
 * password. 30 s and up to a quarter more (by RANDOM), as for its streams: a camera that has only just started refuses
 * everybody. After KT_SNAPSHOT_REFUSALS half an hour and as much more: the next wrong try may lock the account.
 */
#define KT_SNAPSHOT_REFUSALS 4
int64_t kt_snapshot_wait_us(unsigned refusals, unsigned random);

/* Fetch a picture, unless it is too early to ask again. Returns at once. */
void kt_snapshot_want(kt_snapshot *snapshot);

/* Wait until what was wanted has come or failed: 0, -ETIMEDOUT, -ECANCELED, or -EIO with ERR in
 * plain words. */
kt_must_check int kt_snapshot_wait(kt_snapshot *snapshot, int64_t timeout_us, struct kt_error *err);

/* When the newest picture came; 0: none yet. */
int64_t kt_snapshot_newest_us(kt_snapshot *snapshot);

/* The newest picture, as it is or (MAX_WIDTH > 0) KT_SNAPSHOT_SMALL_WIDTH wide at most. *OUT
 * is malloc'd, *WALL_US when it came. -EAGAIN: none yet. */
kt_must_check int kt_snapshot_get(kt_snapshot *snapshot, int max_width, uint8_t **out, size_t *n,
                               int64_t *wall_us);

#endif

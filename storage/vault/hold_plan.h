/*
 * hold_plan.h - which records of which ring a hold is to be made of, or whatever else reads a
 * span of a stream across the rings.
 *
 * The first ring gives what it has; a hole that it leaves, the next rings fill. Each stretch
 * is of one ring: whole records, which that ring hashed and signed.
 *
 * Threads: one at a time. Errors: 0 or a negative errno.
 */
#ifndef KT_VAULT_HOLD_PLAN_H
#define KT_VAULT_HOLD_PLAN_H

#include "storage/ring/clip.h"
#include "storage/vault/cover.h"
#include "storage/vault/vault.h"

#define KT_HOLD_MAX_DAMAGED 256                             /* records; more is a broken disk */

struct kt_hold_stretch {
    size_t ring;                    /* index */
    uint32_t stream;                /* its number in that ring */
    struct kt_segment records;
};

struct kt_hold_plan {
    const struct kt_vault_ring *rings;
    size_t n_rings;
    const char *stream;             /* "gerbang/main" */
    int64_t from_us, to_us;
    int64_t stretch_us;             /* a stretch ends with the first group of pictures beyond this */
    /* Records that turned out to be damaged: the plan goes around them. */
    struct { size_t ring; uint64_t seq; } damaged[KT_HOLD_MAX_DAMAGED];
    size_t n_damaged;
    bool known;                     /* some ring knows the stream */
    struct kt_hold_stretch *stretches;
    size_t n;
};

/* Plan for all that COVER lacks, in order of time. COVER then has what the plan adds to it. Replaces
 * an earlier plan of PLAN. */
kt_must_check int kt_hold_plan_make(struct kt_hold_plan *plan, struct kt_cover *cover);
void kt_hold_plan_free(struct kt_hold_plan *plan);

/*
 * Look for a damaged record in STRETCH and leave it out of later plans; its time, and what
 * cannot be shown without it, becomes damage of COVER.
 *   -ENOENT  none is damaged
 *   -E2BIG   too many are
 */
kt_must_check int kt_hold_plan_around(struct kt_hold_plan *plan, const struct kt_hold_stretch *stretch,
                                      struct kt_cover *cover);

#endif

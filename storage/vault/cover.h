/*
 * cover.h - which time of a held span is covered by records, and where it has holes.
 *
 * Threads: one at a time. Units: UTC microseconds. Errors: 0 or -ENOMEM.
 */
#ifndef KT_VAULT_COVER_H
#define KT_VAULT_COVER_H

#include "storage/catalog/cases.h"
#include "storage/ring/ring.h"

/* Less than this between two records is no hole: cameras are not that punctual. */
#define KT_COVER_SLACK_US (3 * INT64_C(1000000) / 2)

struct kt_cover_span {
    int64_t from_us, to_us;
};

/* Zero-initialised: nothing is covered. Give back with kt_cover_free(). */
struct kt_cover {
    struct kt_cover_span *spans;    /* in order of time, none touches the next */
    size_t n;
    struct kt_cover_span *damage;   /* where even a short hole counts */
    size_t n_damage;
};

void kt_cover_free(struct kt_cover *cover);

kt_must_check int kt_cover_add(struct kt_cover *cover, int64_t from_us, int64_t to_us);
kt_must_check int kt_cover_add_damage(struct kt_cover *cover, int64_t from_us, int64_t to_us);

/* Add the records that FILE was made of. */
kt_must_check int kt_cover_add_file(struct kt_cover *cover, const struct kt_hold_file *file);

/* So much of [FROM, TO) is not covered. */
int64_t kt_cover_missing(const struct kt_cover *cover, int64_t from_us, int64_t to_us);

/* Is a part of [FROM, TO) damage? */
bool kt_cover_is_damage(const struct kt_cover *cover, int64_t from_us, int64_t to_us);

/* The holes of [FROM, TO) that count; all of it when nothing is covered. *OUT is malloc'd. */
kt_must_check int kt_cover_holes(const struct kt_cover *cover, int64_t from_us, int64_t to_us,
                                 struct kt_cover_span **out, size_t *n);

#endif

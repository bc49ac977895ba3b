/*
 * audit.h - who did what, and the proof that nothing was taken out of it.
 * See catalog.h for threads, units and errors. Rows are written by
 * kt_catalog_audit() in people.h, never changed and never deleted.
 *
 * Each row holds the SHA-256 over the previous row's hash and its own fields, so
 * that a row that is changed, removed or put in shows. What is cut off at the end
 * does not show by itself: that is why evidence packages carry the head.
 */
#ifndef KT_CATALOG_AUDIT_H
#define KT_CATALOG_AUDIT_H

#include "storage/catalog/catalog.h"
#include "storage/catalog/people.h"

struct kt_audit_row {
    int64_t id, time_us;
    char who[KT_USERNAME_MAX + 1];  /* empty: nobody was logged in */
    char address[64];
    char action[48];                /* "login", "live", "play", "export", … */
    char object[160];               /* camera, incident, user … */
    char *detail;                   /* JSON or NULL */
    uint8_t hash[32];
};

struct kt_audit_filter {
    const char *who, *action, *object;  /* NULL: any */
    int64_t from_us, to_us;         /* 0: open */
    int64_t before_id;              /* cursor: older than this; 0: from the newest */
    size_t limit;                   /* 1..1000 */
};

/* Newest first. */
kt_must_check int kt_catalog_audit_list(kt_catalog *c, const struct kt_audit_filter *f,
                                        struct kt_audit_row **out, size_t *n);
void kt_audit_list_free(struct kt_audit_row **list, size_t n);

/*
 * Walk the chain from the first row. HEAD is the hash of the last (zeroes when
 * there is none), ROWS their number; either may be NULL.
 *   -EBADMSG  broken: *BAD_ID is the first row that does not fit
 */
kt_must_check int kt_catalog_audit_verify(kt_catalog *c, uint8_t head[32], uint64_t *rows,
                                          int64_t *bad_id);

#endif

/*
 * check.h - is everything in a ring what was written? For `kentongan verify`
 * and for the scrub of a running ring.
 *
 * Threads: none of its own.
 */
#ifndef KT_RING_CHECK_H
#define KT_RING_CHECK_H

#include "server/base/error.h"
#include "storage/ring/index.h"
#include "storage/ring/scan.h"

/* One slab, checked from its first byte to its trailer. */
struct kt_slab_check {
    /* --- set by the caller --- */
    struct kt_scan scan;            /* io, fd, slab_bytes, uuid, slab_seq, max_seq, pace */
    void *user;
    /* Something is wrong. SEQ 0: not a record. The text lives for the call only. */
    void (*bad)(void *user, uint64_t slab_seq, uint64_t seq, uint64_t offset, const char *what);
    const uint8_t *key;             /* fingerprint that signatures must have; NULL: any */
    bool quiet_payloads;            /* bad payloads stay in scan.items: they may be erased */
    /* --- result --- */
    uint64_t heads;                 /* signatures that are right */
    uint64_t signed_seq;            /* up to here the chain is signed */
    int64_t signed_us;
    struct kt_slab_begin begin;     /* when begin_ok */
    bool begin_ok;
    uint8_t fingerprint[KT_HASH_SIZE];  /* of the key in the slab */
};

/* 0 whatever is found; -ECANCELED, -ENOMEM or an I/O error. kt_scan_free() the
 * scan afterwards, which holds the records in any case. */
kt_must_check int kt_slab_check(struct kt_slab_check *check);

/*
 * Has the newest slab a footer but for some flipped bits? SCAN holds its records. Of a seal that a power cut
 * tore whole sectors are missing: that is no damage, and *FLIPPED is false.
 */
kt_must_check int kt_check_newest_footer(const struct kt_scan *scan, bool *flipped);

/* ---- a whole ring ---- */

struct kt_verify {
    /* --- set by the caller; all may be left 0 --- */
    void *user;
    void (*bad)(void *user, const char *line);
    void (*progress)(void *user, uint64_t done, uint64_t total);
    const char *fingerprint;        /* hex, that the signatures must have */
    /* --- result --- */
    uint64_t slabs, records, bytes, heads, erased, problems;
    uint64_t first_seq, last_seq, signed_seq;
    int64_t oldest_us, newest_us, signed_us;
    uint64_t recycled;              /* lives that were overwritten, by the ring's own account */
    bool from_the_start;            /* the very first record is still there */
    char first_problem[256];
    char key[65];
};

/* Check the ring in directory PATH, which may be in use. 0 when it could be
 * read, whatever was found: look at problems. */
kt_must_check int kt_ring_verify(const char *path, struct kt_verify *verify, struct kt_error *err);

#endif

/*
 * scan.h - walk the records of one slab file, believing nothing.
 *
 * Serves recovery at start (headers, and the payloads of the last commit),
 * scrub and verify (everything), and carving (any ring).
 *
 * Threads: none of its own; one scan belongs to one thread.
 */
#ifndef KT_RING_SCAN_H
#define KT_RING_SCAN_H

#include "storage/ring/format.h"
#include "storage/ring/io.h"

enum kt_scan_state {
    KT_SCAN_GOOD = 0,
    KT_SCAN_BAD_PAYLOAD,            /* the header is right, the payload is not */
    KT_SCAN_HOLE,                   /* no header where one must be; h is what came before */
};

struct kt_scan_item {
    struct kt_header h;
    uint64_t offset;                /* of the header, or of the hole */
    enum kt_scan_state state;
};

struct kt_scan {
    /* --- set by the caller --- */
    const struct kt_ring_io *io;
    int fd;
    uint64_t slab_bytes;
    const uint8_t *uuid;            /* NULL: whatever the first record says */
    uint64_t slab_seq;              /* 0: whatever the first record says */
    bool payloads;                  /* check all payloads; off: only those of the last commit */
    bool keep_tail;                 /* for carving and verify: leave a torn tail in the list */
    bool bounded;                   /* there is a later slab, which goes on behind ... */
    uint64_t max_seq;               /* ... this record */
    bool (*pace)(void *user, size_t bytes);     /* called while payloads are read; false: stop */
    void *pace_user;
    /* --- result --- */
    struct kt_scan_item *items;
    size_t n, cap;
    uint64_t end;                   /* where the next commit may begin */
    uint64_t last_commit;           /* highest number seen, dropped ones included */
    size_t torn;                    /* records dropped from the tail */
    bool unreadable;                /* the disk refused to read some of it: write no more here */
};

/* Fill the result. A slab without any record is not an error: n is 0.
 *   -ECANCELED  PACE said so
 *   -ENOMEM and others; -EIO is not one of them, see unreadable */
kt_must_check int kt_scan_slab(struct kt_scan *scan);
void kt_scan_free(struct kt_scan *scan);

/*
 * The first header of a slab, or, where that is damaged, the next one behind it (then *WHOLE is false), when more
 * was written after its commit: else nothing of it counts. H->seq and prev are those of the header found.
 *   -EBADMSG  there is none
 *   -EXDEV    the slab belongs to another ring than UUID
 *   -EIO      the disk refuses to read it
 */
kt_must_check int kt_scan_first(const struct kt_ring_io *io, int fd, uint64_t slab_bytes,
                                const uint8_t *uuid, struct kt_header *h, bool *whole);

/* 0, -EBADMSG, or an I/O error. BUF, when not NULL, gets the payload. */
kt_must_check int kt_scan_payload(const struct kt_ring_io *io, int fd, const struct kt_header *h,
                                  uint64_t offset, void *buf);

#endif

/*
 * commit.h - one group commit in the making: records laid out one behind the
 * other in the open slab, then one write pass and one fdatasync for all.
 *
 * Threads: the writer thread only.
 */
#ifndef KT_RING_COMMIT_H
#define KT_RING_COMMIT_H

#include "storage/ring/ring_private.h"

struct kt_commit_record {
    struct kt_header h;
    uint64_t offset;
    struct kt_init *init;               /* of an INIT record, borrowed */
};

struct kt_commit {
    kt_ring *ring;
    struct iovec *iov;
    size_t n_iov, cap_iov;
    uint8_t **blocks;                   /* headers and small payloads, freed afterwards */
    size_t n_blocks, cap_blocks;
    struct kt_commit_record *records;
    size_t n_records, cap_records;
    uint64_t bytes, payload_bytes;
    uint64_t seq;                       /* last one used, not yet durable */
    uint8_t head[KT_HASH_SIZE];
};

/* A payload in pieces that stay where they are until the commit is done. */
struct kt_pieces {
    struct iovec *iov;
    size_t n;
};

/* Begin at the writer's place in the log. */
void kt_commit_begin(struct kt_commit *c, kt_ring *ring);

/* Room for SIZE more bytes of payload in RECORDS records, with what sealing needs? */
bool kt_commit_fits(const struct kt_commit *c, uint64_t size, unsigned records);

/* Add a record: H gets identity, place, chain and hashes. INIT is for INIT records. */
kt_must_check int kt_commit_add(struct kt_commit *c, struct kt_header *h,
                                const struct kt_pieces *payload, struct kt_init *init);

/* A copy of DATA that lives as long as the commit. NULL: no memory. */
uint8_t *kt_commit_keep(struct kt_commit *c, const void *data, size_t size);

/* Is there an init segment HASH in the open slab, or on its way? */
bool kt_commit_has_init(const struct kt_commit *c, const uint8_t hash[KT_HASH_SIZE]);

/* What seals a slab, written with its last commit. */
struct kt_footer {
    uint8_t *bytes;
    size_t size;
    uint64_t at;                        /* in the slab */
    bool written;                       /* set by kt_commit_write() */
};

/* The footer of the open slab as it is with this commit. BYTES are malloc'd. */
kt_must_check int kt_commit_footer(const struct kt_commit *c, struct kt_footer *out);

/* The writer's fd is another one. It is written past the page cache, where the filesystem can. */
void kt_commit_new_file(struct kt_writer *w);

/* Write and sync, with FOOTER, which may be NULL; a footer that cannot be written is left out. On success everything is published; on failure nothing is.
 * The commit is empty afterwards in both cases, except for its records after a
 * failure: kt_commit_reset() after looking at them. */
kt_must_check int kt_commit_write(struct kt_commit *c, struct kt_footer *footer);
void kt_commit_reset(struct kt_commit *c);
void kt_commit_free(struct kt_commit *c);

#endif

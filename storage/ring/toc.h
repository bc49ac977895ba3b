/*
 * toc.h - what is in one slab: its media records by stream, the stretches and
 * gaps they form, its init segments. Grows while the slab is written; becomes
 * the footer when the slab is sealed; comes back from the footer, or from a
 * scan, when it is read.
 *
 * Threads: no lock inside. The toc of the open slab is changed under the write
 * lock of the index and read under its read lock; others are constant.
 */
#ifndef KT_RING_TOC_H
#define KT_RING_TOC_H

#include "storage/ring/format.h"

#define KT_STRETCH_SLACK_US 1500000     /* closer neighbours of one run are one stretch */

struct kt_toc_stream {
    uint32_t stream;
    uint32_t n, cap;
    struct kt_entry *entries;           /* in log order */
    uint32_t growing;                   /* stretch that takes the next record, or UINT32_MAX */
};

struct kt_toc {
    unsigned refs;                      /* atomic; see kt_toc_ref() */
    uint64_t slab_seq;
    struct kt_toc_stream *streams;      /* sorted by number */
    size_t n_streams, cap_streams;
    struct kt_stretch *stretches;
    size_t n_stretches, cap_stretches;
    struct kt_initref *inits;
    size_t n_inits, cap_inits;
    size_t n_entries;
    int64_t oldest_us, newest_us;       /* 0 without media */
};

kt_must_check int kt_toc_create(struct kt_toc **out, uint64_t slab_seq);
/* A copy that grows by itself. */
kt_must_check int kt_toc_copy(struct kt_toc **out, const struct kt_toc *toc);
struct kt_toc *kt_toc_ref(struct kt_toc *toc);
void kt_toc_unref(struct kt_toc **toc);

/* Take up a record that lies at OFFSET. *STRETCH is its stretch (NULL when it
 * forms none), *GROWN whether that stretch was there before. -ENOMEM. */
kt_must_check int kt_toc_add(struct kt_toc *toc, const struct kt_header *h, uint64_t offset,
                             const struct kt_stretch **stretch, bool *grown);

/* -1 when the slab does not need it. One whose record is damaged has the offset 0. */
int kt_toc_find_init(const struct kt_toc *toc, const uint8_t hash[KT_HASH_SIZE]);

/* NULL when the slab has no media of it. */
const struct kt_toc_stream *kt_toc_find(const struct kt_toc *toc, uint32_t stream);

uint64_t kt_toc_footer_space(const struct kt_toc *toc);

/* Bytes of memory, about. */
size_t kt_toc_memory(const struct kt_toc *toc);

/* Encode footer and trailer into OUT, kt_toc_footer_space() bytes. T has
 * identity, numbers and chain set; the rest is filled in here. */
void kt_toc_encode(const struct kt_toc *toc, struct kt_trailer *t, uint64_t slab_bytes,
                   uint8_t *out);

/* From the bytes between footer_offset and trailer. -EBADMSG when they are not
 * what the trailer says; -ENOMEM. */
kt_must_check int kt_toc_decode(struct kt_toc **out, const struct kt_trailer *t,
                                const uint8_t *footer);

/* The stretches and init segments alone, checked against the trailer. */
kt_must_check int kt_toc_decode_summary(struct kt_toc **out, const struct kt_trailer *t,
                                        const uint8_t *summary);

#endif

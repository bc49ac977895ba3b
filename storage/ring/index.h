/*
 * index.h - where everything is, in memory: for each stream its stretches over
 * all slabs, sorted by time. Single records are looked up in the toc of a
 * slab, which is read when needed: a ring of 1 TB needs some 20 MB here.
 *
 * Threads: LOCK guards everything. Readers hold it for a lookup only, never
 * while touching the disk; the writer holds it to publish a commit.
 */
#ifndef KT_RING_INDEX_H
#define KT_RING_INDEX_H

#include <pthread.h>

#include "storage/ring/toc.h"

struct kt_located {                     /* a stretch, and where it is */
    struct kt_stretch s;
    uint64_t slab_seq;
    int64_t max_to_us;                  /* of this and all before it in the list */
};

struct kt_located_list {
    struct kt_located *a;
    size_t n, cap;
};

struct kt_erased {                      /* records of one stream that a person erased */
    int64_t from_us, to_us;
    struct kt_seq_range *ranges;        /* in order */
    size_t n;
    uint64_t slab_seq;                  /* of the ERASE record; 0: not on disk yet */
    bool done;                          /* the payloads are gone */
};

struct kt_index_stream {
    char name[KT_STREAM_NAME_MAX + 1];
    struct kt_located_list media, gaps;
    struct kt_erased *erased;
    size_t n_erased, cap_erased;
    uint64_t last_run;
};

/* A slab file and the life it has now. */
struct kt_slab {
    uint64_t slab_seq;                  /* 0: never written */
    uint64_t first_seq, last_seq;
    int64_t oldest_us, newest_us;
    uint8_t first_prev[KT_HASH_SIZE], head[KT_HASH_SIZE];
    bool sealed, unusable;
    struct kt_toc *toc;                 /* open or found without a footer; else NULL */
};

struct kt_index_init {
    uint8_t hash[KT_HASH_SIZE];
    uint64_t slab_seq, offset;          /* the newest copy */
    uint32_t size;
    struct kt_init *init;               /* when in memory */
};

struct kt_index {
    pthread_rwlock_t lock;
    struct kt_index_stream *streams[KT_MAX_STREAMS + 1];    /* by number; the last: all streams */
    struct kt_slab *slabs;              /* by file */
    uint32_t n_slabs;
    struct kt_index_init *inits;
    size_t n_inits, cap_inits;
};

kt_must_check int kt_index_create(struct kt_index **out, uint32_t n_slabs);
void kt_index_destroy(struct kt_index **index);

/* Everything below: LOCK is held, for writing where the index is not const. */

/* -EEXIST when the number has another name. */
kt_must_check int kt_index_add_stream(struct kt_index *ix, uint32_t number, const char *name);
struct kt_index_stream *kt_index_stream_of(const struct kt_index *ix, uint32_t stream);

/* Take up a stretch of the slab with life SLAB_SEQ, or what it has grown to. */
kt_must_check int kt_index_put(struct kt_index *ix, uint64_t slab_seq, const struct kt_stretch *s,
                               bool grown);

kt_must_check int kt_index_put_init(struct kt_index *ix, uint64_t slab_seq,
                                    const struct kt_initref *ref, struct kt_init *init);
struct kt_index_init *kt_index_find_init(const struct kt_index *ix,
                                         const uint8_t hash[KT_HASH_SIZE]);

/* RANGES is copied. */
kt_must_check int kt_index_put_erased(struct kt_index *ix, uint32_t stream,
                                      const struct kt_erased *e);
bool kt_index_is_erased(const struct kt_index_stream *st, uint64_t seq);
/* Forget the erasures of STREAM that never got to the disk. */
void kt_index_drop_unwritten(struct kt_index *ix, uint32_t stream);


/* Everything of this life goes: its slab is about to be overwritten. */
void kt_index_drop(struct kt_index *ix, uint64_t slab_seq);

struct kt_slab *kt_index_slab(const struct kt_index *ix, uint64_t slab_seq);

/* Place in LIST of the first stretch that may reach beyond FROM. */
size_t kt_located_first(const struct kt_located_list *list, int64_t from_us);

/* Place of the first stretch that sorts at or behind S. */
size_t kt_located_place(const struct kt_located_list *list, int64_t from_us, uint64_t slab_seq,
                        uint64_t first_seq);

#endif

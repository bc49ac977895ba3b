/*
 * ring_private.h - the inside of a ring, shared by the files of this folder.
 *
 * intake.c   what callers offer goes into the queue
 * writer.c   the thread that empties it: records, commits, slabs
 * open.c     ring.meta, the slab files, rebuilding the index
 * read.c     queries, payloads, init segments, spans
 */
#ifndef KT_RING_PRIVATE_H
#define KT_RING_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/base/clock.h"
#include "storage/ring/index.h"
#include "storage/ring/io.h"
#include "storage/ring/key.h"
#include "storage/ring/ring.h"

#define KT_SLAB_NAME_SIZE 24
#define KT_TOC_CACHE 64                 /* slabs whose records are kept at hand ... */
#define KT_TOC_CACHE_BYTES (12u << 20)  /* ... and how much of them */

/* A record that is ready but for its place in the log. */
struct kt_raw {
    struct kt_header h;                 /* type, stream, times, run, size … */
    struct kt_init *init;               /* MEDIA: reference; else NULL */
    uint8_t payload[];                  /* h.size bytes */
};

struct kt_item {                        /* in the queue: one of the two */
    uint32_t stream;
    struct kt_chunk *chunk;
    struct kt_raw *raw;
};

struct kt_item_list {
    struct kt_item *a;
    size_t n, cap;
    size_t bytes;
};

/* What one stream is doing at the front door. Under kt_ring.lock. */
struct kt_intake {
    enum kt_gap_reason refusing;        /* KT_GAP_NONE: taking everything */
    int64_t refused_from_us, refused_to_us;
};

/* Written by the writer thread alone. */
struct kt_writer {
    int fd;                             /* of the open slab, -1 when there is none */
    bool direct;                        /* it is written past the page cache, by way of block */
    bool no_direct;                     /* this disk does not take that */
    uint8_t *block;                     /* NULL: none yet */
    uint64_t slab_seq;
    uint64_t durable_slab;              /* the last one with a durable record */
    struct kt_slab *recycled;           /* lives that were overwritten and are in no record yet */
    size_t n_recycled, cap_recycled;
    uint64_t pos;                       /* where the next commit begins */
    uint64_t seq, commit;               /* last ones used */
    uint8_t head[KT_HASH_SIZE];         /* hash of the last durable record */
    struct kt_toc *toc;                 /* also in the slab table */
    int64_t last_head_us;               /* monotonic */
    bool unsigned_records;              /* since the last signed head */
    uint64_t batch_ticket;              /* the last item of the batch at hand */
    unsigned failures;                  /* commits in a row */
    int64_t retry_at_us;                /* monotonic; after which failures */
    struct kt_item_list lost;           /* gaps to be written for what was lost */
    int64_t rate_since_us;
    double rate;                        /* bytes per second, smoothed */
};

/* Damage that was counted already. */
#define KT_KNOWN_BAD 256
struct kt_bad_place {
    uint64_t slab_seq, offset;
};

struct kt_counters {
    atomic_uint_fast64_t payload_bytes, bytes, fsyncs, records, lost_intervals, dropped_chunks,
        corrupt, scrubbed, scrub_passes;
    atomic_int_fast64_t durable_us;
    _Atomic double rate;
};

struct kt_ring {
    /* --- constant after open --- */
    char name[KT_ID_MAX + 1];
    const struct kt_ring_io *io;
    int dir_fd, lock_fd;
    struct kt_meta meta;
    kt_key *key;                        /* NULL when read-only */
    int64_t commit_interval_us;
    size_t queue_bytes, max_record;
    kt_pool *pool;                      /* for payloads that are copied from another ring */
    bool read_only;
    struct kt_index *ix;                /* has its own lock, taken after LOCK never under it */
    /* --- tocs of sealed slabs --- */
    pthread_mutex_t cache_lock;         /* leaf */
    struct kt_toc *cache[KT_TOC_CACHE]; /* most recently used first */
    /* --- the queue --- */
    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t wake, done;          /* for the writer; for those who wait for it */
    struct kt_item_list queue;
    size_t wake_bytes;                  /* the writer does not wait for the interval when so much is queued */
    size_t in_flight;                   /* bytes the writer has taken and not yet committed */
    uint64_t taken, finished;           /* items ever queued; items ever committed or lost */
    uint64_t lost, lost_told;           /* commits that failed; that a flush reported */
    uint64_t lost_ticket;               /* the last item of the last batch that lost something */
    uint64_t sign_asked, sign_done;     /* requests for a signed head; those seen to by the writer */
    bool flush, stopping;
    enum kt_ring_state state;
    char why[160];
    struct kt_intake intake[KT_MAX_STREAMS];
    pthread_mutex_t erase_lock;         /* one erasure at a time; taken before all others */
    /* --- the scrub --- */
    int64_t scrub_rate;                 /* constant */
    pthread_t scrub_thread;
    bool scrub_started;
    pthread_mutex_t scrub_lock;         /* leaf; guards what follows */
    pthread_cond_t scrub_wake;
    bool scrub_stop;
    struct kt_bad_place known_bad[KT_KNOWN_BAD];
    size_t n_known_bad;
    /* --- the writer --- */
    pthread_t thread;
    bool thread_started;
    struct kt_writer w;
    struct kt_counters count;
};

/* kt_ring_open() with another disk under it. */
kt_must_check int kt_ring_open_io(kt_ring **out, const struct kt_ring_params *params,
                                  const struct kt_ring_io *io, struct kt_error *err);

void kt_slab_name(char out[KT_SLAB_NAME_SIZE], uint32_t file);

/* -errno or a file descriptor. */
kt_must_check int kt_ring_open_slab(const kt_ring *ring, uint64_t slab_seq, int flags);

/* ---- intake.c ---- */
kt_must_check int kt_item_list_push(struct kt_item_list *list, const struct kt_item *item);
void kt_item_list_clear(struct kt_item_list *list);
/* POOL may be NULL. The payload is for the caller to fill. */
kt_must_check int kt_raw_create(struct kt_raw **out, kt_pool *pool, enum kt_record_type type, uint32_t stream,
                                size_t payload);
void kt_raw_free(struct kt_raw **raw);
/* Put RAW, which it consumes, into the queue, full or not. *TICKET, when not
 * NULL, is what kt_ring_wait() takes. */
kt_must_check int kt_ring_push_raw(kt_ring *ring, struct kt_raw **raw, uint64_t *ticket);
/* Wait until the item with this ticket is on disk. -EIO when lost, -ETIMEDOUT. */
kt_must_check int kt_ring_wait(kt_ring *ring, uint64_t ticket, int64_t timeout_us);
void kt_ring_end_refusals(kt_ring *ring);

/* ---- writer.c ---- */
kt_must_check int kt_writer_start(kt_ring *ring);
void kt_writer_stop(kt_ring *ring);

/* ---- read.c ---- */
/* The toc of a slab that is in use: from memory, or from its footer. With a
 * reference. -ESTALE when recycled, -EBADMSG when the footer is damaged. */
kt_must_check int kt_ring_toc(kt_ring *ring, uint64_t slab_seq, struct kt_toc **out);
/* The toc from the footer of an open slab file, all of it checked. -ESTALE, -EBADMSG. */
kt_must_check int kt_ring_read_footer(kt_ring *ring, int fd, uint64_t slab_seq, struct kt_toc **out);
void kt_ring_forget_tocs(kt_ring *ring);
int64_t kt_ring_newest_us(kt_ring *ring);
/* All records of the span whose bytes are there, without what its first GOP begins with; or all whose bytes were erased. */
kt_must_check int kt_ring_query_bytes(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                                      bool erased, struct kt_record **out, size_t *n);
/* Records FIRST..LAST of STREAM, in the order of the log. As kt_ring_query(). */
kt_must_check int kt_ring_query_seq(kt_ring *ring, uint32_t stream, uint64_t first, uint64_t last,
                                    struct kt_record **out, size_t *n);

/* ---- erase.c ---- */
/* Go on with erasures that a power cut interrupted. */
kt_must_check int kt_erase_finish(kt_ring *ring);

/* ---- scrub.c ---- */
kt_must_check int kt_scrub_start(kt_ring *ring);
void kt_scrub_stop(kt_ring *ring);
/* Count damage at a place, once. False: known already. */
bool kt_ring_note_bad(kt_ring *ring, uint64_t slab_seq, uint64_t offset);

#endif

/*
 * ring.h - the log on disk: preallocated slabs, one writer, one fdatasync per
 * commit interval for all streams, a hash chain over everything.
 *
 * The format is docs/ring-format.md. A ring belongs to one process (flock).
 *
 * Threads: everything here may be called from any thread at any time between
 * open and close, except kt_ring_close() itself. One thread inside writes.
 * Nothing on the writing side blocks its caller: ingest must drain the camera
 * whatever the disk does.
 * Units:   *_us is UTC microseconds, *_90k is 1/90000 s, sizes are bytes.
 * Errors:  0 or a negative errno; a struct kt_error says it in words.
 */
#ifndef KT_RING_RING_H
#define KT_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/chunk.h"
#include "server/base/error.h"

#define KT_RING_HASH_SIZE 32
#define KT_RING_LEAST_BYTES (UINT64_C(8) << 20)
/* Holding less than this, a ring is too small for its cameras: nobody looks every few hours. */
#define KT_RING_LEAST_DAYS 1.0

typedef struct kt_ring kt_ring;
struct kt_record;                   /* below */

/* Why there is no video. Numbers are on disk: never renumber. */
enum kt_gap_reason {
    KT_GAP_NONE = 0,
    KT_GAP_CAMERA_SILENT = 1,       /* connected, or trying to, but nothing came */
    KT_GAP_DISK_STALL = 2,          /* the disk was too slow, whole GOPs were dropped */
    KT_GAP_CLOCK_STEP = 3,
    KT_GAP_RESTART = 4,             /* the recorder itself was not running */
    KT_GAP_DISK_ERROR = 5,          /* a write or an fdatasync failed */
    KT_GAP_CAMERA_DISABLED = 6,     /* switched off by a person */
    KT_GAP_ERASED = 7,              /* erased by a person (privacy) */
    KT_GAP_BAD_STREAM = 8,          /* the camera sent what cannot be recorded */
};

/* "camera-silent", … for JSON; "unknown" for a number of a later version. */
const char *kt_gap_reason_name(enum kt_gap_reason reason);

enum kt_ring_state {
    KT_RING_OK = 1,
    KT_RING_FAILED,                 /* not recording: see status.why */
};

struct kt_ring_status {
    enum kt_ring_state state;
    char why[160];                  /* empty when OK */
    uint64_t size_bytes, payload_bytes_written, bytes_written;
    uint64_t fsyncs, records, lost_intervals, dropped_chunks, corrupt_records;
    int64_t oldest_us, newest_us;   /* of all streams, 0 when empty */
    int64_t durable_us;             /* capture time up to which all is on disk */
    uint64_t scrubbed_bytes, scrub_passes;  /* read again to look for damage; times around */
    double bytes_per_second;        /* measured over the last minutes, 0 when unknown */
    double days_capacity;           /* at that rate, 0 when unknown */
    char key_fingerprint[65];       /* SHA-256 of the signing key's SubjectPublicKeyInfo, hex */
    char uuid[37];
};

struct kt_ring_params {
    const char *name;               /* for messages: "video" */
    const char *path;               /* directory; made when missing */
    uint64_t size_bytes;            /* claimed up front, never exceeded */
    uint64_t slab_bytes;            /* 0: chosen from size_bytes (16..256 MiB, >= 8 slabs,
                                     * smaller in a small ring, larger beyond 8 TiB) */
    int64_t commit_interval_us;     /* 0: 1 s */
    size_t queue_bytes;             /* memory for frames waiting for the disk; 0: 64 MiB. Full:
                                     * frames are refused up to the stream's next key frame and
                                     * a gap KT_GAP_DISK_STALL is recorded */
    const char *key_path;           /* signing key (PEM, made 0600 when missing); NULL: <path>/key.pem */
    int64_t scrub_rate;             /* bytes a second to read in search of damage; 0: 2 MiB, < 0: never */
    const char *uuid;               /* which ring it must be, as status.uuid; NULL: any */
    bool create;                    /* make the ring when the directory has none */
    bool read_only;                 /* open beside nobody, for tools: no writer, no lock needed */
};

/*
 * Open a ring, rebuilding the index from footers and a scan of the open slab.
 * Where ring.meta is lost or damaged and the slabs agree which ring it is, it is written again.
 * On success *OUT is the caller's. Failures that a person must read are in ERR:
 *   -ENOENT  no ring there and create is false
 *   -EXDEV   another ring than uuid; nothing was written
 *   -ENOSPC  the disk cannot hold size_bytes; nothing is left behind
 *   -EBUSY   another process has it open
 *   -EINVAL  another version, too small, not a ring
 *   -EROFS, -EACCES, -EIO and others as the system says
 */
kt_must_check int kt_ring_open(kt_ring **out, const struct kt_ring_params *params,
                               struct kt_error *err);

/* Write and sync what was taken, stop the writer, free. Within 2 s unless the
 * disk hangs. */
void kt_ring_close(kt_ring **ring);

void kt_ring_status(kt_ring *ring, struct kt_ring_status *out);

/* ------------------------------ writing ------------------------------ */

/* The number of stream NAME ("gerbang-utara/main"), made when new. Stays the
 * same for the life of the ring. -ENOSPC when there are too many. */
kt_must_check int kt_ring_stream(kt_ring *ring, const char *name, uint32_t *stream);

/* Like kt_ring_stream() but never makes one: -ENOENT. */
kt_must_check int kt_ring_find_stream(kt_ring *ring, const char *name, uint32_t *stream);

/*
 * Offer a chunk; the ring takes its own reference. Never blocks. Chunks of one
 * stream come in decode order from one thread.
 *   -EAGAIN    queue full: refused up to the next key frame, counted, gap recorded
 *   -EIO       the ring has failed (status.why); a gap is recorded once it is well again
 *   -EMSGSIZE  larger than any record may be (16 MiB, or a quarter of a slab)
 */
int kt_ring_append(kt_ring *ring, uint32_t stream, struct kt_chunk *chunk);

/*
 * Append a copy of the whole record REC of the ring FROM. It is read into the memory that it is
 * written from. The copy keeps its run, times and flags and gets this ring's sequence.
 * Errors of kt_ring_read() and kt_ring_init() too. Unlike kt_ring_append() it waits for room in the queue (at most 5 s: -EAGAIN);
 * for the thread that fills a ring of events, never for ingest.
 */
int kt_ring_copy_record(kt_ring *ring, uint32_t stream, kt_ring *from, const struct kt_record *rec);

/* Record that STREAM has no video between FROM and TO, and why. Never blocks. */
int kt_ring_gap(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                enum kt_gap_reason reason);

/* Erase the payload of one stream's span (whole records that overlap it); the
 * chain still verifies. Blocks. Returns the number of records, or an error. */
int kt_ring_erase(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us);

/* Wait until everything appended before the call is on disk. -EIO when anything was lost
 * since the last flush, -ETIMEDOUT. */
int kt_ring_flush(kt_ring *ring, int64_t timeout_us);

/* ------------------------------ reading ------------------------------ */

enum kt_record_flags {
    KT_RECORD_KEY = 1 << 0,         /* begins with a key frame */
    KT_RECORD_MOTION = 1 << 1,
    KT_RECORD_CLOCK_UNSYNCED = 1 << 2,  /* nobody vouched for the server's clock then */
};

/* One record: at most one commit interval of one stream. A plain copy; reading
 * its payload may still find that the slab was recycled. */
struct kt_record {
    uint64_t seq;                   /* place in the ring's log, grows for ever */
    uint64_t run;
    int64_t start_us;               /* wall time of the first frame */
    int64_t end_us;                 /* of the end of the last frame */
    int64_t dts_90k;                /* tfdt of the first frame */
    int64_t duration_90k;
    uint32_t stream;
    uint32_t flags;                 /* enum kt_record_flags */
    uint32_t size;                  /* payload: chunks one after another */
    uint32_t frames;                /* video frames */
    uint32_t chunks;                /* frames of all tracks */
    uint8_t init[KT_INIT_HASH_SIZE];
    uint32_t slab;                  /* where it is, and which life of that slab */
    uint64_t slab_seq;
    uint64_t offset;                /* of the payload in the slab file */
};

/*
 * The records of STREAM that overlap [FROM, TO), in order of time, at most MAX
 * of them (continue from the last one's end). Runs that overlap, because the clock
 * was set back, follow each other whole. With FROM inside a GOP the list starts at
 * the record that holds the GOP's key frame, and so does each other run that FROM is in. *OUT is malloc'd and the
 * caller's; *N may be 0 (then *OUT is NULL). O(log n).
 */
kt_must_check int kt_ring_query(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                                size_t max, struct kt_record **out, size_t *n);

/*
 * Read the payload of REC, checking its hash, into BUF (REC->size bytes).
 *   -ESTALE   the slab was recycled since: gone
 *   -EBADMSG  it is not what was written
 */
kt_must_check int kt_ring_read(kt_ring *ring, const struct kt_record *rec, void *buf);

/* The init segment of HASH, *OUT with a reference. -ENOENT when recycled. */
kt_must_check int kt_ring_init(kt_ring *ring, const uint8_t hash[KT_INIT_HASH_SIZE],
                               struct kt_init **out);

/* What the timeline shows. REASON is KT_GAP_NONE for recorded stretches. Spans
 * closer than 1.5 s of the same run are one. Absence nobody explained, inside
 * [first record, last record], is a gap KT_GAP_RESTART or KT_GAP_CAMERA_SILENT. */
struct kt_ring_span {
    int64_t from_us, to_us;
    uint64_t run;                   /* 0 for gaps */
    enum kt_gap_reason reason;
};
kt_must_check int kt_ring_spans(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                                struct kt_ring_span **out, size_t *n);

/* The greatest run number that STREAM was ever recorded with, 0: none. New runs must be
 * greater, also when the machine's clock went back. */
uint64_t kt_ring_last_run(kt_ring *ring, uint32_t stream);

/* Names of all streams, as the ring knows them; *OUT and each string malloc'd. */
kt_must_check int kt_ring_streams(kt_ring *ring, char ***out, size_t *n);

#endif

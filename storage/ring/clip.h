/*
 * clip.h - any stretch of a stream as bytes that a player takes: one MP4 of
 * known length, or one HLS media segment, without remuxing.
 *
 * An MP4 clip is the init segment followed by the stored chunks, their tfdt
 * moved so that the first frame is at 0 (ffprobe start_time ~ 0) and gaps
 * between runs keep their length; a change of parameters inside is a second
 * sample entry (another audio rate, or a track that the first run lacks, is left
 * out). It starts at the key frame at or before FROM and ends with the
 * last frame that starts before TO.
 *
 * Threads: a clip belongs to one thread at a time. It borrows its rings.
 */
#ifndef KT_RING_CLIP_H
#define KT_RING_CLIP_H

#include "storage/ring/ring.h"

typedef struct kt_clip kt_clip;

struct kt_clip_info {
    uint64_t size;                  /* bytes; does not change while the clip is open */
    int64_t start_us, end_us;       /* wall time of the first frame, end of the last */
    uint32_t frames;                /* video frames */
    uint32_t damaged;               /* records left out so far, see kt_clip_skip_damaged() */
    char mime[KT_MIME_SIZE];
};

/*
 * Open [FROM, TO) of STREAM as one MP4.
 *   -ENOENT  nothing recorded there (never, or no longer)
 */
kt_must_check int kt_clip_open(kt_clip **out, kt_ring *ring, uint32_t stream, int64_t from_us,
                               int64_t to_us);

/* The same of a stream that several rings keep: what the first does not have of the oldest part of
 * the span comes from the next, and so on, with no frame twice. SOURCES is not kept. */
struct kt_clip_source {
    kt_ring *ring;
    uint32_t stream;                /* its number in this ring */
};
kt_must_check int kt_clip_open_sources(kt_clip **out, const struct kt_clip_source *sources, size_t n_sources,
                                       int64_t from_us, int64_t to_us);

/* The same of whole records: FIRST_SEQ..LAST_SEQ of STREAM, as kt_clip_segments() gave them. */
kt_must_check int kt_clip_open_records(kt_clip **out, kt_ring *ring, uint32_t stream, uint64_t first_seq,
                                       uint64_t last_seq);

/* Open records FIRST_SEQ..LAST_SEQ of STREAM (as kt_clip_segments() gave them)
 * as one HLS media segment: chunks only, timestamps as recorded. */
kt_must_check int kt_clip_open_segment(kt_clip **out, kt_ring *ring, uint32_t stream,
                                       uint64_t first_seq, uint64_t last_seq);
void kt_clip_close(kt_clip **clip);

/* From now on a record that is damaged or gone does not end the reading: a `free`
 * box of its size stands in its place, which players skip, and info.damaged counts it. */
void kt_clip_skip_damaged(kt_clip *clip);
void kt_clip_info(const kt_clip *clip, struct kt_clip_info *out);

/*
 * Read up to N bytes at OFFSET. Returns the count (0 at the end), or
 *   -ESTALE, -EBADMSG as kt_ring_read(). The bytes of a record are served only
 * after its hash was checked.
 */
kt_must_check ssize_t kt_clip_read(kt_clip *clip, uint64_t offset, void *buf, size_t n);

/* One HLS segment: starts with a key frame, at least TARGET_US long unless the
 * run ends. */
struct kt_segment {
    uint64_t first_seq, last_seq, run;
    int64_t start_us, duration_us;
    uint8_t init[KT_INIT_HASH_SIZE];
    bool discontinuity;             /* another run than the segment before */
};
kt_must_check int kt_clip_segments(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us,
                                   int64_t target_us, struct kt_segment **out, size_t *n);

#endif

/*
 * format.h - the bytes on disk, as docs/ring-format.md describes them, to and
 * from structs. No I/O, no state, no memory: parsers take bytes that nobody
 * has checked.
 *
 * All numbers are little endian. Errors: 0, or
 *   -EINVAL   not such a thing at all (wrong magic, impossible sizes)
 *   -ENOTSUP  of a later version
 *   -EBADMSG  its own hash does not match
 */
#ifndef KT_RING_FORMAT_H
#define KT_RING_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/text.h"
#include "storage/ring/ring.h"

#define KT_FORMAT_VERSION 1
#define KT_UUID_SIZE 16
#define KT_HASH_SIZE KT_RING_HASH_SIZE
#define KT_PAGE 4096u               /* a commit begins and ends on such a boundary */
#define KT_HEADER_SIZE 256u
#define KT_MAX_PAYLOAD (16u << 20)
#define KT_MAX_STREAMS 1024u
#define KT_ENTRY_SIZE 64u
#define KT_STRETCH_SIZE 64u
#define KT_INITREF_SIZE 48u
#define KT_RECORD_ALIGN 8u
#define KT_MIN_SLAB (256u << 10)
#define KT_MAX_SLAB (UINT64_C(1) << 32)
#define KT_MAX_SLABS (UINT32_MAX / 2)
#define KT_ALL_STREAMS UINT32_MAX   /* a gap that concerns the whole ring */

enum kt_record_type {
    KT_TYPE_SLAB = 1,               /* first in each slab */
    KT_TYPE_STREAM = 2,
    KT_TYPE_INIT = 3,
    KT_TYPE_MEDIA = 4,
    KT_TYPE_GAP = 5,
    KT_TYPE_HEAD = 6,
    KT_TYPE_ERASE = 7,
    KT_TYPE_RECYCLED = 8,           /* one more life that was overwritten */
    KT_TYPE_LAST = KT_TYPE_RECYCLED,
};

/* A flag of ERASE records: what the earlier record with the same span
 * announced is done. */
#define KT_ERASE_DONE (1u << 16)

struct kt_header {
    uint16_t type;                  /* enum kt_record_type */
    uint8_t uuid[KT_UUID_SIZE];
    uint64_t slab_seq, seq;
    uint64_t commit;                /* number of the group commit it belongs to */
    uint64_t commit_offset;         /* where in the slab that commit begins */
    uint32_t stream, flags;
    uint64_t run;                   /* GAP: the reason */
    int64_t start_us, end_us, dts_90k, duration_90k;
    uint32_t frames, chunks;
    uint32_t size;                  /* of the payload */
    int64_t written_us;
    uint8_t init[KT_HASH_SIZE];
    uint8_t payload[KT_HASH_SIZE];  /* SHA-256 of the payload */
    uint8_t prev[KT_HASH_SIZE];     /* hash of the record before */
    uint8_t hash[KT_HASH_SIZE];     /* of this header */
};

/* Encode H and set its hash. */
void kt_header_encode(uint8_t out[KT_HEADER_SIZE], struct kt_header *h);
kt_must_check int kt_header_decode(struct kt_header *h, const uint8_t in[KT_HEADER_SIZE]);

/* Bytes a record with SIZE bytes of payload takes. */
static inline uint64_t kt_record_space(uint32_t size)
{
    return ((uint64_t)KT_HEADER_SIZE + size + KT_RECORD_ALIGN - 1) & ~(uint64_t)(KT_RECORD_ALIGN - 1);
}

/* Nothing but zeros, as where nothing was ever written. */
bool kt_all_zero(const uint8_t *p, size_t n);

static inline uint64_t kt_page_up(uint64_t n)
{
    return (n + KT_PAGE - 1) & ~(uint64_t)(KT_PAGE - 1);
}

/* ---- payloads of the records that are not media ---- */

/* Of SLAB, without the stream table that follows it; and of RECYCLED, which has none. */
struct kt_slab_begin {
    uint32_t index, count;          /* of the slab file; how many there are */
    uint64_t slab_bytes;
    uint64_t prev_slab_seq;         /* where the chain goes on backwards; 0: nowhere */
    uint64_t recycled_seq;          /* the life this one overwrote; 0: none */
    uint64_t recycled_first, recycled_last;     /* its record numbers */
    int64_t recycled_from_us, recycled_to_us;   /* its footage */
    uint8_t recycled_prev[KT_HASH_SIZE];        /* what its first record was chained to ... */
    uint8_t recycled_head[KT_HASH_SIZE];        /* ... and the hash of its last */
    uint8_t key_der[128];           /* SubjectPublicKeyInfo of the signing key */
    uint32_t key_size;
    uint32_t n_streams;
};
#define KT_SLAB_BEGIN_SIZE 272u
#define KT_STREAM_DEF_SIZE 64u

struct kt_stream_def {
    uint32_t number;
    char name[KT_STREAM_NAME_MAX + 1];
};

void kt_slab_begin_encode(uint8_t out[KT_SLAB_BEGIN_SIZE], const struct kt_slab_begin *b);
/* SIZE is of the whole payload: the table must fit. */
kt_must_check int kt_slab_begin_decode(struct kt_slab_begin *b, const uint8_t *in, size_t size);
void kt_stream_def_encode(uint8_t out[KT_STREAM_DEF_SIZE], const struct kt_stream_def *def);
kt_must_check int kt_stream_def_decode(struct kt_stream_def *def, const uint8_t in[KT_STREAM_DEF_SIZE]);

/* Of INIT: this, then the init segment itself. */
#define KT_INIT_PREFIX 112u
void kt_init_prefix_encode(uint8_t out[KT_INIT_PREFIX], const struct kt_init *init);
/* Make an init segment of the payload. -EINVAL, -ENOMEM. */
kt_must_check int kt_init_payload_decode(struct kt_init **out, const uint8_t *in, size_t size);

/* Of HEAD: KT_HEAD_SIGNED bytes that are signed, then the signature. */
#define KT_HEAD_SIGNED 104u
#define KT_HEAD_MAX (KT_HEAD_SIGNED + 2 + 80)
struct kt_head {
    uint8_t uuid[KT_UUID_SIZE];
    uint64_t seq;                   /* the record whose hash is signed */
    uint8_t hash[KT_HASH_SIZE];
    int64_t written_us;
    uint8_t key[KT_HASH_SIZE];      /* fingerprint */
};
void kt_head_encode(uint8_t out[KT_HEAD_SIGNED], const struct kt_head *head);
kt_must_check int kt_head_decode(struct kt_head *head, const uint8_t **sig, size_t *sig_size,
                                 const uint8_t *in, size_t size);

/* Of ERASE: ranges of record numbers. */
#define KT_SEQ_RANGE_SIZE 16u
struct kt_seq_range {
    uint64_t first, last;
};
void kt_seq_ranges_encode(uint8_t *out, const struct kt_seq_range *ranges, size_t n);
/* The number of ranges in SIZE bytes; RANGES has room for all. */
size_t kt_seq_ranges_decode(struct kt_seq_range *ranges, const uint8_t *in, size_t size);

/* ---- the footer of a sealed slab ---- */

struct kt_entry {                   /* one media record */
    uint64_t seq;
    int64_t start_us, end_us, dts_90k;
    uint64_t offset;                /* of the header */
    uint32_t size, duration_90k, frames, chunks, flags;
    uint16_t init;                  /* place in the footer's list of init segments */
};

enum kt_stretch_kind {
    KT_STRETCH_MEDIA = 0,           /* 1..255: a gap, the number is its reason */
    KT_STRETCH_ERASE = 256,
};

struct kt_stretch {                 /* neighbouring records of one stream and run, or a gap */
    uint32_t stream;
    uint16_t kind;
    uint64_t run;                   /* ERASE: offset of the record */
    int64_t from_us, to_us;
    uint32_t first, count;          /* entries */
    uint64_t bytes, first_seq, last_seq;
};

struct kt_initref {
    uint8_t hash[KT_HASH_SIZE];
    uint64_t offset;                /* of the INIT record's header */
    uint32_t size;                  /* of its payload */
};

struct kt_trailer {                 /* the last page of a sealed slab */
    uint8_t uuid[KT_UUID_SIZE];
    uint64_t slab_seq, first_seq, last_seq, commit;
    uint64_t data_end;              /* where the records end */
    uint64_t footer_offset;         /* entries, stretches, init segments; all page aligned */
    uint32_t n_entries, n_stretches, n_inits;
    int64_t oldest_us, newest_us;
    uint8_t entries_hash[KT_HASH_SIZE];
    uint8_t summary_hash[KT_HASH_SIZE];     /* stretches and init segments */
    uint8_t first_prev[KT_HASH_SIZE];
    uint8_t head[KT_HASH_SIZE];     /* hash of the last record */
};

void kt_entry_encode(uint8_t out[KT_ENTRY_SIZE], const struct kt_entry *e);
void kt_entry_decode(struct kt_entry *e, const uint8_t in[KT_ENTRY_SIZE]);
void kt_stretch_encode(uint8_t out[KT_STRETCH_SIZE], const struct kt_stretch *s);
void kt_stretch_decode(struct kt_stretch *s, const uint8_t in[KT_STRETCH_SIZE]);
void kt_initref_encode(uint8_t out[KT_INITREF_SIZE], const struct kt_initref *r);
void kt_initref_decode(struct kt_initref *r, const uint8_t in[KT_INITREF_SIZE]);
void kt_trailer_encode(uint8_t out[KT_PAGE], const struct kt_trailer *t);
/* Checks that everything it points to lies inside a slab of SLAB_BYTES. */
kt_must_check int kt_trailer_decode(struct kt_trailer *t, const uint8_t in[KT_PAGE],
                                    uint64_t slab_bytes);

static inline uint64_t kt_summary_size(uint64_t n_stretches, uint64_t n_inits)
{
    return n_stretches * KT_STRETCH_SIZE + n_inits * KT_INITREF_SIZE;
}

/* Bytes of footer and trailer. */
static inline uint64_t kt_footer_space(uint64_t n_entries, uint64_t n_stretches, uint64_t n_inits)
{
    return kt_page_up(n_entries * KT_ENTRY_SIZE + kt_summary_size(n_stretches, n_inits)) + KT_PAGE;
}

/* ---- ring.meta ---- */

struct kt_meta {
    uint8_t uuid[KT_UUID_SIZE];
    uint64_t slab_bytes;
    uint32_t slab_count;
    int64_t created_us;
    char name[KT_ID_MAX + 1];
};
void kt_meta_encode(uint8_t out[KT_PAGE], const struct kt_meta *m);
/* Could there be such a ring? */
bool kt_meta_is_possible(const struct kt_meta *m);
kt_must_check int kt_meta_decode(struct kt_meta *m, const uint8_t in[KT_PAGE]);

/* ---- hashing ---- */

void kt_sha256(uint8_t out[KT_HASH_SIZE], const void *data, size_t size);

#endif

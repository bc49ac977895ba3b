/*
 * chain.h - a stretch of the log without the video: the headers from one record to the
 * signed head that covers another. They show, when the disk itself is long overwritten,
 * what the recorder wrote down at the time, and in which order (docs/ring-format.md).
 *
 * Threads: any, while the ring is open. Reading one header a record: seconds for minutes.
 */
#ifndef KT_RING_CHAIN_H
#define KT_RING_CHAIN_H

#include "storage/ring/format.h"
#include "storage/ring/ring.h"

/* The signed head at the end of a chain. */
struct kt_chain_end {
    uint8_t head[KT_HEAD_SIGNED];   /* what is signed */
    uint8_t sig[80];
    size_t sig_size;
    struct kt_head fields;          /* of HEAD */
    uint8_t key_der[128];           /* public key that signed, SubjectPublicKeyInfo */
    size_t key_size;
    uint64_t records;               /* headers that were fed, that of the head included */
};

/* Sign what is durable now, instead of within a minute. 0 also when all is signed;
 * -EIO, -ETIMEDOUT. */
kt_must_check int kt_ring_sign(kt_ring *ring, int64_t timeout_us);

/*
 * Feed the headers from FIRST to the first signed head behind record LAST_SEQ, in order,
 * each checked to follow the one before.
 *   -EAGAIN   nothing signed yet behind LAST_SEQ: kt_ring_sign()
 *   -ESTALE   overwritten
 *   -EBADMSG  a header is damaged
 *   -EKEYREJECTED  signed with a key that the ring no longer has
 *   what FEED returned when negative
 */
kt_must_check int kt_ring_chain(kt_ring *ring, const struct kt_record *first, uint64_t last_seq,
                                int (*feed)(void *user, const uint8_t header[KT_HEADER_SIZE]),
                                void *user, struct kt_chain_end *end);

#endif

/*
 * drafts.h - from frames to records: what the queue holds, grouped by stream.
 *
 * Threads: the writer thread only.
 */
#ifndef KT_RING_DRAFTS_H
#define KT_RING_DRAFTS_H

#include "storage/ring/ring_private.h"

struct kt_draft {
    struct kt_header h;
    struct kt_init *init;           /* MEDIA: borrowed from the frames */
    struct iovec *iov;              /* the payload, borrowed */
    size_t n, cap;
};

struct kt_drafts {
    struct kt_draft *a;
    size_t n, cap;
};

/*
 * Cut ITEMS into records of at most INTERVAL_US and MAX_SIZE bytes; a key frame
 * begins a new one, and so do another run and other parameters. In the order
 * in which each record's first frame came. -ENOMEM.
 */
kt_must_check int kt_drafts_make(struct kt_drafts *d, const struct kt_item_list *items,
                                 int64_t interval_us, size_t max_size);
void kt_drafts_free(struct kt_drafts *d);

#endif

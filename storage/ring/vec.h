/* vec.h - arrays that grow by doubling. */
#ifndef KT_RING_VEC_H
#define KT_RING_VEC_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static inline int kt_vec_grow(void *pvec, size_t n, size_t *cap, size_t item)
{
    if (n < *cap)
        return 0;
    const size_t more = *cap ? *cap * 2 : 8;
    void *larger = reallocarray(*(void **)pvec, more, item);
    if (!larger)
        return -ENOMEM;
    *(void **)pvec = larger;
    *cap = more;
    return 0;
}

/* Make sure that *PVEC, which has N items, holds one more. 0 or -ENOMEM. */
#define kt_vec_room(pvec, n, pcap) kt_vec_grow((pvec), (n), (pcap), sizeof(**(pvec)))

#endif

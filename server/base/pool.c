#include "server/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* In front of each block. */
struct header {
    kt_pool *pool;              /* NULL: malloc() alone */
    size_t room;
    _Alignas(max_align_t) uint8_t bytes[];
};

struct kt_pool {
    pthread_mutex_t lock;       /* leaf */
    /* --- protected by lock --- */
    struct header *kept[KT_POOL_KEPT];
    size_t next;                /* the one that goes when another comes */
    size_t users;               /* blocks that are out, and the owner */
};

int kt_pool_create(kt_pool **out)
{
    kt_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pthread_mutex_init(&pool->lock, NULL);
    pool->users = 1;
    *out = pool;
    return 0;
}

/* With the lock held; releases it. */
static void leave(kt_pool *pool)
{
    const bool last = --pool->users == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!last)
        return;
    for (size_t i = 0; i < KT_POOL_KEPT; i++)
        free(pool->kept[i]);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void kt_pool_destroy(kt_pool **ppool)
{
    kt_pool *pool = kt_steal_ptr(ppool);
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    leave(pool);
}

/* The smallest that is kept of those that SIZE fits well; else NULL. */
static struct header *take_kept(kt_pool *pool, size_t size)
{
    struct header **best = NULL, *h = NULL;
    pthread_mutex_lock(&pool->lock);
    for (size_t i = 0; i < KT_POOL_KEPT; i++) {
        struct header **k = &pool->kept[i];
        if (*k && (*k)->room >= size && (*k)->room / 2 <= size && (!best || (*k)->room < (*best)->room))
            best = k;
    }
    if (best) {
        h = kt_steal_ptr(best);
        pool->users++;
    }
    pthread_mutex_unlock(&pool->lock);
    return h;
}

void *kt_pool_take(kt_pool *pool, size_t size)
{
    const bool pooled = pool && size >= KT_POOL_LARGE && size < SIZE_MAX / 2;
    struct header *h = pooled ? take_kept(pool, size) : NULL;
    if (h)
        return h->bytes;
    const size_t room = pooled ? size + size / 8 : size;    /* the next one may be a little larger */
    h = room < SIZE_MAX - sizeof(*h) ? malloc(sizeof(*h) + room) : NULL;
    if (!h)
        return NULL;
    *h = (struct header){ .pool = pooled ? pool : NULL, .room = room };
    if (pooled) {
        pthread_mutex_lock(&pool->lock);
        pool->users++;
        pthread_mutex_unlock(&pool->lock);
    }
    return h->bytes;
}

void kt_pool_give(void *block)
{
    if (!block)
        return;
    struct header *h = (struct header *)((uint8_t *)block - offsetof(struct header, bytes));
    kt_pool *pool = h->pool;
    if (pool) {
        pthread_mutex_lock(&pool->lock);
        size_t i = 0;
        while (i < KT_POOL_KEPT && pool->kept[i])
            i++;
        if (i == KT_POOL_KEPT) {
            i = pool->next;
            pool->next = (i + 1) % KT_POOL_KEPT;
        }
        struct header *old = pool->kept[i];
        pool->kept[i] = h;
        h = old;
        leave(pool);
    }
    free(h);
}

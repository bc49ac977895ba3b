/*
 * pool.h - large blocks of memory that take turns.
 *
 * malloc() maps a large block anew each time, and the system then gives its pages
 * one fault after the other. A pool keeps the last few large blocks that were given
 * back, for whoever asks next; small ones it leaves to malloc().
 *
 * Threads: all functions may be called on any thread.
 */
#ifndef KT_BASE_POOL_H
#define KT_BASE_POOL_H

#include <stddef.h>

#include "server/base/cleanup.h"

#define KT_POOL_LARGE (60u << 10)       /* below the least that malloc() maps, see cmd_serve.c */
#define KT_POOL_KEPT 8                  /* blocks; an older one makes room for the newest */

typedef struct kt_pool kt_pool;

kt_must_check int kt_pool_create(kt_pool **out);

/* Blocks that are still out keep the pool until they are given back. */
void kt_pool_destroy(kt_pool **pool);

/* At least SIZE bytes, as somebody left them. POOL may be NULL. NULL: no memory. */
void *kt_pool_take(kt_pool *pool, size_t size);

/* A block of kt_pool_take(), or NULL. */
void kt_pool_give(void *block);

#endif

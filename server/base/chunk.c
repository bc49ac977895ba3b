#include "server/base/chunk.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>

/* The public struct first, so that a pointer to it finds the count. */
struct init_box {
    struct kt_init pub;
    atomic_uint refs;
    uint8_t bytes[];
};

struct chunk_box {
    struct kt_chunk pub;
    atomic_uint refs;
    uint8_t bytes[];
};

static int sha256(uint8_t out[KT_INIT_HASH_SIZE], const void *data, size_t size)
{
    struct AVSHA *sha = av_sha_alloc();
    if (!sha)
        return -ENOMEM;
    av_sha_init(sha, 256);
    av_sha_update(sha, data, size);
    av_sha_final(sha, out);
    av_free(sha);
    return 0;
}

int kt_init_create(struct kt_init **out, const void *data, size_t size, const char *mime,
                   int width, int height)
{
    if (size == 0 || strlen(mime) >= KT_MIME_SIZE)
        return -EINVAL;
    struct init_box *box = calloc(1, sizeof(*box) + size);
    if (!box)
        return -ENOMEM;
    atomic_init(&box->refs, 1);
    memcpy(box->bytes, data, size);
    box->pub.data = box->bytes;
    box->pub.size = size;
    box->pub.width = width;
    box->pub.height = height;
    strcpy(box->pub.mime, mime);
    if (sha256(box->pub.hash, data, size) < 0) {
        free(box);
        return -ENOMEM;
    }
    *out = &box->pub;
    return 0;
}

struct kt_init *kt_init_ref(struct kt_init *init)
{
    struct init_box *box = (struct init_box *)init;
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return init;
}

void kt_init_unref(struct kt_init **pinit)
{
    struct init_box *box = (struct init_box *)kt_steal_ptr(pinit);
    if (box && atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1)
        free(box);
}

int kt_chunk_create(struct kt_chunk **out, const struct kt_chunk *meta)
{
    struct chunk_box *box = kt_pool_take(meta->pool, sizeof(*box) + meta->size);
    if (!box)
        return -ENOMEM;
    box->pub = *meta;
    box->pub.init = kt_init_ref(meta->init);
    box->pub.data = box->bytes;
    atomic_init(&box->refs, 1);
    if (meta->data)
        memcpy(box->bytes, meta->data, meta->size);
    *out = &box->pub;
    return 0;
}

uint8_t *kt_chunk_bytes(struct kt_chunk *chunk)
{
    return ((struct chunk_box *)chunk)->bytes;
}

struct kt_chunk *kt_chunk_ref(struct kt_chunk *chunk)
{
    struct chunk_box *box = (struct chunk_box *)chunk;
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return chunk;
}

void kt_chunk_unref(struct kt_chunk **pchunk)
{
    struct chunk_box *box = (struct chunk_box *)kt_steal_ptr(pchunk);
    if (box && atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) == 1) {
        kt_init_unref(&box->pub.init);
        kt_pool_give(box);
    }
}

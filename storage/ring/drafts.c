#include "storage/ring/drafts.h"

#include <errno.h>
#include <string.h>

#include "storage/ring/vec.h"

#define NONE UINT32_MAX

static int64_t us_of_90k(int64_t t)
{
    return t * 100 / 9;
}

static bool starts_record(const struct kt_draft *d, const struct kt_chunk *c, int64_t interval_us,
                          size_t max_size)
{
    const bool key = (c->flags & (KT_CHUNK_KEY | KT_CHUNK_AUDIO)) == KT_CHUNK_KEY;
    return key || c->run != d->h.run || d->h.size + c->size > max_size ||
           c->wall_us >= d->h.start_us + interval_us ||
           memcmp(c->init->hash, d->h.init, KT_HASH_SIZE) != 0;
}

static struct kt_draft *new_draft(struct kt_drafts *d)
{
    if (kt_vec_room(&d->a, d->n, &d->cap) < 0)
        return NULL;
    struct kt_draft *draft = &d->a[d->n++];
    *draft = (struct kt_draft){ .n = 0 };
    return draft;
}

static void begin_media(struct kt_draft *d, uint32_t stream, const struct kt_chunk *c)
{
    d->init = c->init;
    d->h = (struct kt_header){
        .type = KT_TYPE_MEDIA, .stream = stream, .run = c->run, .start_us = c->wall_us,
        .end_us = c->wall_us, .dts_90k = c->dts_90k,
    };
    if ((c->flags & (KT_CHUNK_KEY | KT_CHUNK_AUDIO)) == KT_CHUNK_KEY)
        d->h.flags = KT_RECORD_KEY;
    memcpy(d->h.init, c->init->hash, KT_HASH_SIZE);
}

static int add_chunk(struct kt_draft *d, const struct kt_chunk *c)
{
    if (kt_vec_room(&d->iov, d->n, &d->cap) < 0)
        return -ENOMEM;
    d->iov[d->n++] = (struct iovec){ .iov_base = (void *)(uintptr_t)c->data, .iov_len = c->size };
    const bool audio = c->flags & KT_CHUNK_AUDIO;
    if (!audio && d->h.frames == 0) {   /* the picture gives the time, where there is one */
        d->h.start_us = c->wall_us;
        d->h.dts_90k = c->dts_90k;
    }
    d->h.size += (uint32_t)c->size;
    d->h.chunks++;
    d->h.frames += audio ? 0 : 1;
    const int64_t end = c->wall_us + us_of_90k(c->duration_90k);
    if (end > d->h.end_us)
        d->h.end_us = end;
    const int64_t duration = c->dts_90k + c->duration_90k - d->h.dts_90k;
    if (duration > d->h.duration_90k)
        d->h.duration_90k = duration;
    return 0;
}

static int add_raw(struct kt_drafts *d, const struct kt_raw *raw)
{
    struct kt_draft *draft = new_draft(d);
    if (!draft)
        return -ENOMEM;
    draft->h = raw->h;
    draft->init = raw->init;
    if (raw->init)
        memcpy(draft->h.init, raw->init->hash, KT_HASH_SIZE);
    if (kt_vec_room(&draft->iov, 0, &draft->cap) < 0)
        return -ENOMEM;
    draft->iov[0] = (struct iovec){ .iov_base = (void *)(uintptr_t)raw->payload,
                                    .iov_len = raw->h.size };
    draft->n = 1;
    return 0;
}

int kt_drafts_make(struct kt_drafts *d, const struct kt_item_list *items, int64_t interval_us,
                   size_t max_size)
{
    kt_cleanup(kt_freep) uint32_t *open = malloc(KT_MAX_STREAMS * sizeof(*open));
    *d = (struct kt_drafts){ .n = 0 };
    if (!open)
        return -ENOMEM;
    memset(open, 0xff, KT_MAX_STREAMS * sizeof(*open));     /* NONE */
    for (size_t i = 0; i < items->n; i++) {
        const struct kt_item *item = &items->a[i];
        if (item->raw) {
            if (item->stream < KT_MAX_STREAMS)
                open[item->stream] = NONE;
            if (add_raw(d, item->raw) < 0)
                return -ENOMEM;
            continue;
        }
        uint32_t *at = &open[item->stream];
        if (*at == NONE || starts_record(&d->a[*at], item->chunk, interval_us, max_size)) {
            *at = (uint32_t)d->n;
            if (!new_draft(d))
                return -ENOMEM;
            begin_media(&d->a[*at], item->stream, item->chunk);
        }
        if (add_chunk(&d->a[*at], item->chunk) < 0)
            return -ENOMEM;
    }
    return 0;
}

void kt_drafts_free(struct kt_drafts *d)
{
    for (size_t i = 0; i < d->n; i++)
        free(d->a[i].iov);
    free(d->a);
    *d = (struct kt_drafts){ .n = 0 };
}

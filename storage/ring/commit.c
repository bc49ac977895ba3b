#include "storage/ring/commit.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <openssl/evp.h>

#include "server/base/log.h"
#include "storage/ring/vec.h"

#define DIRECT_BLOCK (1u << 20)         /* so much at a time, past the page cache */

static const uint8_t zeros[KT_PAGE];

void kt_commit_begin(struct kt_commit *c, kt_ring *ring)
{
    *c = (struct kt_commit){ .ring = ring, .seq = ring->w.seq };
    memcpy(c->head, ring->w.head, KT_HASH_SIZE);
}

bool kt_commit_fits(const struct kt_commit *c, uint64_t size, unsigned records)
{
    const struct kt_writer *w = &c->ring->w;
    const struct kt_toc *toc = w->toc;
    const size_t more = c->n_records + records + 1;     /* 1: the signed head that seals */
    const uint64_t data = w->pos + kt_page_up(c->bytes + size + records * (KT_HEADER_SIZE + 8ull)) +
                          kt_page_up(kt_record_space(KT_HEAD_MAX));
    const uint64_t footer = kt_footer_space(toc->n_entries + more, toc->n_stretches + more,
                                            toc->n_inits + more);
    return data + footer <= c->ring->meta.slab_bytes;
}

static int add_iov(struct kt_commit *c, const void *data, size_t size)
{
    if (kt_vec_room(&c->iov, c->n_iov, &c->cap_iov) < 0)
        return -ENOMEM;
    c->iov[c->n_iov++] = (struct iovec){ .iov_base = (void *)(uintptr_t)data, .iov_len = size };
    c->bytes += size;
    return 0;
}

uint8_t *kt_commit_keep(struct kt_commit *c, const void *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (!copy || kt_vec_room(&c->blocks, c->n_blocks, &c->cap_blocks) < 0) {
        free(copy);
        return NULL;
    }
    if (data)
        memcpy(copy, data, size);
    c->blocks[c->n_blocks++] = copy;
    return copy;
}

static int hash_pieces(const struct kt_pieces *p, uint8_t out[KT_HASH_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; ok && i < p->n; i++)
        ok = EVP_DigestUpdate(ctx, p->iov[i].iov_base, p->iov[i].iov_len) == 1;
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -ENOMEM;
}

static void fill_header(struct kt_commit *c, struct kt_header *h)
{
    const kt_ring *ring = c->ring;
    memcpy(h->uuid, ring->meta.uuid, KT_UUID_SIZE);
    h->slab_seq = ring->w.slab_seq;
    h->seq = c->seq + 1;
    h->commit = ring->w.commit + 1;
    h->commit_offset = ring->w.pos;
    h->written_us = kt_clock_wall_us();
    memcpy(h->prev, c->head, KT_HASH_SIZE);
}

int kt_commit_add(struct kt_commit *c, struct kt_header *h, const struct kt_pieces *payload,
                  struct kt_init *init)
{
    const uint64_t offset = c->ring->w.pos + c->bytes;
    const size_t pad = (size_t)(kt_record_space(h->size) - KT_HEADER_SIZE - h->size);
    fill_header(c, h);
    if (hash_pieces(payload, h->payload) < 0)
        return -ENOMEM;
    uint8_t *bytes = kt_commit_keep(c, NULL, KT_HEADER_SIZE);
    if (!bytes || kt_vec_room(&c->records, c->n_records, &c->cap_records) < 0)
        return -ENOMEM;
    kt_header_encode(bytes, h);
    int ret = add_iov(c, bytes, KT_HEADER_SIZE);
    for (size_t i = 0; ret == 0 && i < payload->n; i++)
        ret = add_iov(c, payload->iov[i].iov_base, payload->iov[i].iov_len);
    if (ret == 0 && pad > 0)
        ret = add_iov(c, zeros, pad);
    if (ret < 0)
        return ret;
    c->records[c->n_records++] = (struct kt_commit_record){ .h = *h, .offset = offset, .init = init };
    c->seq = h->seq;
    memcpy(c->head, h->hash, KT_HASH_SIZE);
    if (h->type == KT_TYPE_MEDIA)
        c->payload_bytes += h->size;
    return 0;
}

bool kt_commit_has_init(const struct kt_commit *c, const uint8_t hash[KT_HASH_SIZE])
{
    const struct kt_toc *toc = c->ring->w.toc;
    const int known = kt_toc_find_init(toc, hash);
    if (known >= 0 && toc->inits[known].offset > 0)
        return true;
    for (size_t i = 0; i < c->n_records; i++)
        if (c->records[i].h.type == KT_TYPE_INIT &&
            memcmp(c->records[i].h.init, hash, KT_HASH_SIZE) == 0)
            return true;
    return false;
}

/* ---- publishing ---- */

/* The erasure that was waiting for its record to be written is on disk now. */
static void publish_erase(struct kt_index *ix, const struct kt_header *h, uint64_t slab_seq)
{
    struct kt_index_stream *st = kt_index_stream_of(ix, h->stream);
    for (size_t i = 0; st && i < st->n_erased; i++) {
        struct kt_erased *e = &st->erased[i];
        if (e->slab_seq == 0 && e->from_us == h->start_us && e->to_us == h->end_us)
            e->slab_seq = slab_seq;
    }
}

static int publish_one(struct kt_index *ix, struct kt_toc *toc, const struct kt_commit_record *r)
{
    const struct kt_stretch *stretch;
    bool grown;
    int ret = kt_toc_add(toc, &r->h, r->offset, &stretch, &grown);
    if (ret == 0 && stretch)
        ret = kt_index_put(ix, toc->slab_seq, stretch, grown);
    if (ret == 0 && r->h.type == KT_TYPE_ERASE)
        publish_erase(ix, &r->h, toc->slab_seq);
    if (ret == 0 && r->h.type == KT_TYPE_INIT) {
        struct kt_initref ref = { .offset = r->offset, .size = r->h.size };
        memcpy(ref.hash, r->h.init, KT_HASH_SIZE);
        ret = kt_index_put_init(ix, toc->slab_seq, &ref, r->init);
    }
    return ret;
}

static int publish(struct kt_commit *c)
{
    struct kt_writer *w = &c->ring->w;
    struct kt_index *ix = c->ring->ix;
    int ret = 0;
    pthread_rwlock_wrlock(&ix->lock);
    for (size_t i = 0; i < c->n_records && ret == 0; i++)
        ret = publish_one(ix, w->toc, &c->records[i]);
    struct kt_slab *slab = kt_index_slab(ix, w->slab_seq);
    slab->last_seq = c->seq;
    slab->oldest_us = w->toc->oldest_us;
    slab->newest_us = w->toc->newest_us;
    memcpy(slab->head, c->head, KT_HASH_SIZE);
    pthread_rwlock_unlock(&ix->lock);
    return ret;
}

static void advance(struct kt_commit *c)
{
    struct kt_writer *w = &c->ring->w;
    struct kt_counters *count = &c->ring->count;
    w->seq = c->seq;
    w->durable_slab = w->slab_seq;
    memcpy(w->head, c->head, KT_HASH_SIZE);
    w->pos += c->bytes;
    for (size_t i = 0; i < c->n_records; i++)
        w->unsigned_records |= c->records[i].h.type != KT_TYPE_HEAD;
    atomic_fetch_add(&count->records, c->n_records);
    atomic_fetch_add(&count->bytes, c->bytes);
    atomic_fetch_add(&count->payload_bytes, c->payload_bytes);
}

int kt_commit_footer(const struct kt_commit *c, struct kt_footer *out)
{
    kt_ring *ring = c->ring;
    const struct kt_writer *w = &ring->w;
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    int ret = kt_toc_copy(&toc, w->toc);
    for (size_t i = 0; ret == 0 && i < c->n_records; i++) {
        const struct kt_stretch *stretch;
        bool grown;
        ret = kt_toc_add(toc, &c->records[i].h, c->records[i].offset, &stretch, &grown);
    }
    if (ret < 0)
        return ret;
    out->size = (size_t)kt_toc_footer_space(toc);
    out->bytes = malloc(out->size);
    if (!out->bytes)
        return -ENOMEM;
    struct kt_trailer t = { .slab_seq = w->slab_seq, .last_seq = c->seq,
                            .commit = w->commit + (c->n_records > 0),
                            .data_end = w->pos + kt_page_up(c->bytes) };
    memcpy(t.uuid, ring->meta.uuid, KT_UUID_SIZE);
    memcpy(t.head, c->head, KT_HASH_SIZE);
    const struct kt_slab *slab = kt_index_slab(ring->ix, w->slab_seq);  /* the writer alone changes it */
    t.first_seq = slab->first_seq;
    memcpy(t.first_prev, slab->first_prev, KT_HASH_SIZE);
    kt_toc_encode(toc, &t, ring->meta.slab_bytes, out->bytes);
    out->at = t.footer_offset;
    return 0;
}

void kt_commit_new_file(struct kt_writer *w)
{
    if (!w->block)
        w->block = aligned_alloc(KT_PAGE, DIRECT_BLOCK);
    w->direct = w->block && !w->no_direct && kt_io_set_direct(w->fd, true) == 0;
}

/* IOV is whole pages in all, and OFFSET one. */
static int write_pages(kt_ring *ring, struct iovec *iov, size_t n, uint64_t offset)
{
    struct kt_writer *w = &ring->w;
    if (w->direct) {
        const int ret = kt_io_write_gathered(ring->io, w->fd, iov, n, offset, w->block, DIRECT_BLOCK);
        if (ret != -EINVAL)
            return ret;
        w->no_direct = true;            /* sectors larger than a page, for one */
        w->direct = false;
        if (kt_io_set_direct(w->fd, false) < 0)
            return ret;
    }
    return kt_io_write(ring->io, w->fd, iov, n, offset);
}

static void write_footer(kt_ring *ring, struct kt_footer *footer)
{
    struct iovec iov = { .iov_base = footer->bytes, .iov_len = footer->size };
    const int ret = write_pages(ring, &iov, 1, footer->at);
    footer->written = ret == 0;
    if (ret == 0)
        atomic_fetch_add(&ring->count.bytes, footer->size);
    else
        kt_warn("ring", "%s: slab %" PRIu64 " could not be sealed: %s", ring->name, ring->w.slab_seq,
                kt_strerror(ret));
}

int kt_commit_write(struct kt_commit *c, struct kt_footer *footer)
{
    kt_ring *ring = c->ring;
    struct kt_writer *w = &ring->w;
    if (c->n_records == 0 && !footer)
        return 0;
    const size_t pad = (size_t)(kt_page_up(c->bytes) - c->bytes);
    int ret = pad > 0 ? add_iov(c, zeros, pad) : 0;
    w->commit += c->n_records > 0;      /* a failed commit's number is never used again */
    if (ret == 0 && c->n_records > 0)
        ret = write_pages(ring, c->iov, c->n_iov, w->pos);
    if (ret == 0 && footer)
        write_footer(ring, footer);
    if (ret == 0) {
        atomic_fetch_add(&ring->count.fsyncs, 1);
        ret = ring->io->fdatasync(ring->io->user, w->fd);
    }
    if (ret < 0 || c->n_records == 0)
        return ret;
    ret = publish(c);
    advance(c);
    kt_commit_reset(c);
    return ret;
}

void kt_commit_reset(struct kt_commit *c)
{
    for (size_t i = 0; i < c->n_blocks; i++)
        free(c->blocks[i]);
    c->n_blocks = c->n_iov = c->n_records = 0;
    c->bytes = c->payload_bytes = 0;
    c->seq = c->ring->w.seq;
    memcpy(c->head, c->ring->w.head, KT_HASH_SIZE);
}

void kt_commit_free(struct kt_commit *c)
{
    kt_commit_reset(c);
    free(c->blocks);
    free(c->iov);
    free(c->records);
}

#include "storage/ring/format.h"

#include <errno.h>
#include <string.h>
#include <openssl/sha.h>

/* Bytes go in and out through a cursor, in the order of docs/ring-format.md. */
struct put {
    uint8_t *p;
};

struct get {
    const uint8_t *p;
};

static void put_u(struct put *o, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *o->p++ = (uint8_t)(v >> (8 * i));
}

static void put_raw(struct put *o, const void *data, size_t n)
{
    memcpy(o->p, data, n);
    o->p += n;
}

static uint64_t get_u(struct get *in, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)*in->p++ << (8 * i);
    return v;
}

static void get_raw(struct get *in, void *data, size_t n)
{
    memcpy(data, in->p, n);
    in->p += n;
}

bool kt_all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

void kt_sha256(uint8_t out[KT_HASH_SIZE], const void *data, size_t size)
{
    SHA256(data, size, out);
}

/* ---- record header ---- */

static const uint8_t header_magic[4] = { 'K', 'T', 'R', 'C' };

void kt_header_encode(uint8_t out[KT_HEADER_SIZE], struct kt_header *h)
{
    struct put o = { out };
    put_raw(&o, header_magic, 4);
    put_u(&o, KT_FORMAT_VERSION, 2);
    put_u(&o, h->type, 2);
    put_raw(&o, h->uuid, KT_UUID_SIZE);
    put_u(&o, h->slab_seq, 8);
    put_u(&o, h->seq, 8);
    put_u(&o, h->commit, 8);
    put_u(&o, h->commit_offset, 8);
    put_u(&o, h->stream, 4);
    put_u(&o, h->flags, 4);
    put_u(&o, h->run, 8);
    put_u(&o, (uint64_t)h->start_us, 8);
    put_u(&o, (uint64_t)h->end_us, 8);
    put_u(&o, (uint64_t)h->dts_90k, 8);
    put_u(&o, (uint64_t)h->duration_90k, 8);
    put_u(&o, h->frames, 4);
    put_u(&o, h->chunks, 4);
    put_u(&o, h->size, 4);
    put_u(&o, 0, 4);
    put_u(&o, (uint64_t)h->written_us, 8);
    put_raw(&o, h->init, KT_HASH_SIZE);
    put_raw(&o, h->payload, KT_HASH_SIZE);
    put_raw(&o, h->prev, KT_HASH_SIZE);
    kt_sha256(h->hash, out, KT_HEADER_SIZE - KT_HASH_SIZE);
    put_raw(&o, h->hash, KT_HASH_SIZE);
}

int kt_header_decode(struct kt_header *h, const uint8_t bytes[KT_HEADER_SIZE])
{
    struct get in = { bytes + 4 };
    uint8_t hash[KT_HASH_SIZE];

    if (memcmp(bytes, header_magic, 4) != 0)
        return -EINVAL;
    kt_sha256(hash, bytes, KT_HEADER_SIZE - KT_HASH_SIZE);
    if (memcmp(hash, bytes + KT_HEADER_SIZE - KT_HASH_SIZE, KT_HASH_SIZE) != 0)
        return -EBADMSG;
    if (get_u(&in, 2) != KT_FORMAT_VERSION)
        return -ENOTSUP;
    h->type = (uint16_t)get_u(&in, 2);
    get_raw(&in, h->uuid, KT_UUID_SIZE);
    h->slab_seq = get_u(&in, 8);
    h->seq = get_u(&in, 8);
    h->commit = get_u(&in, 8);
    h->commit_offset = get_u(&in, 8);
    h->stream = (uint32_t)get_u(&in, 4);
    h->flags = (uint32_t)get_u(&in, 4);
    h->run = get_u(&in, 8);
    h->start_us = (int64_t)get_u(&in, 8);
    h->end_us = (int64_t)get_u(&in, 8);
    h->dts_90k = (int64_t)get_u(&in, 8);
    h->duration_90k = (int64_t)get_u(&in, 8);
    h->frames = (uint32_t)get_u(&in, 4);
    h->chunks = (uint32_t)get_u(&in, 4);
    h->size = (uint32_t)get_u(&in, 4);
    in.p += 4;
    h->written_us = (int64_t)get_u(&in, 8);
    get_raw(&in, h->init, KT_HASH_SIZE);
    get_raw(&in, h->payload, KT_HASH_SIZE);
    get_raw(&in, h->prev, KT_HASH_SIZE);
    memcpy(h->hash, hash, KT_HASH_SIZE);
    if (h->type < KT_TYPE_SLAB || h->type > KT_TYPE_LAST || h->size > KT_MAX_PAYLOAD)
        return -EINVAL;
    return 0;
}

/* ---- payloads ---- */

void kt_slab_begin_encode(uint8_t out[KT_SLAB_BEGIN_SIZE], const struct kt_slab_begin *b)
{
    struct put o = { out };
    put_u(&o, b->index, 4);
    put_u(&o, b->count, 4);
    put_u(&o, b->slab_bytes, 8);
    put_u(&o, b->prev_slab_seq, 8);
    put_u(&o, b->recycled_seq, 8);
    put_u(&o, b->recycled_first, 8);
    put_u(&o, b->recycled_last, 8);
    put_u(&o, (uint64_t)b->recycled_from_us, 8);
    put_u(&o, (uint64_t)b->recycled_to_us, 8);
    put_raw(&o, b->recycled_prev, KT_HASH_SIZE);
    put_raw(&o, b->recycled_head, KT_HASH_SIZE);
    put_raw(&o, b->key_der, sizeof(b->key_der));
    put_u(&o, b->key_size, 4);
    put_u(&o, b->n_streams, 4);
    put_u(&o, 0, 8);
}

int kt_slab_begin_decode(struct kt_slab_begin *b, const uint8_t *bytes, size_t size)
{
    struct get in = { bytes };
    if (size < KT_SLAB_BEGIN_SIZE)
        return -EINVAL;
    b->index = (uint32_t)get_u(&in, 4);
    b->count = (uint32_t)get_u(&in, 4);
    b->slab_bytes = get_u(&in, 8);
    b->prev_slab_seq = get_u(&in, 8);
    b->recycled_seq = get_u(&in, 8);
    b->recycled_first = get_u(&in, 8);
    b->recycled_last = get_u(&in, 8);
    b->recycled_from_us = (int64_t)get_u(&in, 8);
    b->recycled_to_us = (int64_t)get_u(&in, 8);
    get_raw(&in, b->recycled_prev, KT_HASH_SIZE);
    get_raw(&in, b->recycled_head, KT_HASH_SIZE);
    get_raw(&in, b->key_der, sizeof(b->key_der));
    b->key_size = (uint32_t)get_u(&in, 4);
    b->n_streams = (uint32_t)get_u(&in, 4);
    if (b->key_size > sizeof(b->key_der) || b->n_streams > KT_MAX_STREAMS ||
        size != KT_SLAB_BEGIN_SIZE + (size_t)b->n_streams * KT_STREAM_DEF_SIZE)
        return -EINVAL;
    return 0;
}

void kt_stream_def_encode(uint8_t out[KT_STREAM_DEF_SIZE], const struct kt_stream_def *def)
{
    struct put o = { out };
    memset(out, 0, KT_STREAM_DEF_SIZE);
    put_u(&o, def->number, 4);
    memcpy(o.p, def->name, strnlen(def->name, KT_STREAM_NAME_MAX));
}

int kt_stream_def_decode(struct kt_stream_def *def, const uint8_t bytes[KT_STREAM_DEF_SIZE])
{
    struct get in = { bytes };
    def->number = (uint32_t)get_u(&in, 4);
    memcpy(def->name, in.p, KT_STREAM_NAME_MAX);
    def->name[KT_STREAM_NAME_MAX] = '\0';
    const size_t n = strlen(def->name);
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)def->name[i] < 0x20 || def->name[i] == 0x7f)
            return -EINVAL;
    return n > 0 && def->number < KT_MAX_STREAMS ? 0 : -EINVAL;
}

void kt_init_prefix_encode(uint8_t out[KT_INIT_PREFIX], const struct kt_init *init)
{
    struct put o = { out };
    memset(out, 0, KT_INIT_PREFIX);
    put_u(&o, (uint32_t)init->width, 4);
    put_u(&o, (uint32_t)init->height, 4);
    put_u(&o, init->size, 8);
    memcpy(o.p, init->mime, strnlen(init->mime, KT_MIME_SIZE - 1));
}

int kt_init_payload_decode(struct kt_init **out, const uint8_t *bytes, size_t size)
{
    char mime[KT_MIME_SIZE];
    struct get in = { bytes };
    if (size <= KT_INIT_PREFIX)
        return -EINVAL;
    const int width = (int)(get_u(&in, 4) & 0xffff), height = (int)(get_u(&in, 4) & 0xffff);
    if (get_u(&in, 8) != size - KT_INIT_PREFIX)
        return -EINVAL;
    memcpy(mime, in.p, KT_MIME_SIZE);
    mime[KT_MIME_SIZE - 1] = '\0';
    return kt_init_create(out, bytes + KT_INIT_PREFIX, size - KT_INIT_PREFIX, mime, width, height);
}

static const char head_magic[8] = "KTHEAD1";

void kt_head_encode(uint8_t out[KT_HEAD_SIGNED], const struct kt_head *head)
{
    struct put o = { out };
    put_raw(&o, head_magic, 8);
    put_raw(&o, head->uuid, KT_UUID_SIZE);
    put_u(&o, head->seq, 8);
    put_raw(&o, head->hash, KT_HASH_SIZE);
    put_u(&o, (uint64_t)head->written_us, 8);
    put_raw(&o, head->key, KT_HASH_SIZE);
}

int kt_head_decode(struct kt_head *head, const uint8_t **sig, size_t *sig_size,
                   const uint8_t *bytes, size_t size)
{
    struct get in = { bytes + 8 };
    if (size < KT_HEAD_SIGNED + 2 || memcmp(bytes, head_magic, 8) != 0)
        return -EINVAL;
    get_raw(&in, head->uuid, KT_UUID_SIZE);
    head->seq = get_u(&in, 8);
    get_raw(&in, head->hash, KT_HASH_SIZE);
    head->written_us = (int64_t)get_u(&in, 8);
    get_raw(&in, head->key, KT_HASH_SIZE);
    *sig_size = (size_t)get_u(&in, 2);
    *sig = in.p;
    return *sig_size == size - KT_HEAD_SIGNED - 2 ? 0 : -EINVAL;
}

void kt_seq_ranges_encode(uint8_t *out, const struct kt_seq_range *ranges, size_t n)
{
    struct put o = { out };
    for (size_t i = 0; i < n; i++) {
        put_u(&o, ranges[i].first, 8);
        put_u(&o, ranges[i].last, 8);
    }
}

size_t kt_seq_ranges_decode(struct kt_seq_range *ranges, const uint8_t *bytes, size_t size)
{
    struct get in = { bytes };
    const size_t n = size / KT_SEQ_RANGE_SIZE;
    for (size_t i = 0; i < n; i++) {
        ranges[i].first = get_u(&in, 8);
        ranges[i].last = get_u(&in, 8);
    }
    return n;
}

/* ---- footer ---- */

void kt_entry_encode(uint8_t out[KT_ENTRY_SIZE], const struct kt_entry *e)
{
    struct put o = { out };
    put_u(&o, e->seq, 8);
    put_u(&o, (uint64_t)e->start_us, 8);
    put_u(&o, (uint64_t)e->end_us, 8);
    put_u(&o, (uint64_t)e->dts_90k, 8);
    put_u(&o, e->offset, 8);
    put_u(&o, e->size, 4);
    put_u(&o, e->duration_90k, 4);
    put_u(&o, e->frames, 4);
    put_u(&o, e->chunks, 4);
    put_u(&o, e->flags, 4);
    put_u(&o, e->init, 2);
    put_u(&o, 0, 2);
}

void kt_entry_decode(struct kt_entry *e, const uint8_t bytes[KT_ENTRY_SIZE])
{
    struct get in = { bytes };
    e->seq = get_u(&in, 8);
    e->start_us = (int64_t)get_u(&in, 8);
    e->end_us = (int64_t)get_u(&in, 8);
    e->dts_90k = (int64_t)get_u(&in, 8);
    e->offset = get_u(&in, 8);
    e->size = (uint32_t)get_u(&in, 4);
    e->duration_90k = (uint32_t)get_u(&in, 4);
    e->frames = (uint32_t)get_u(&in, 4);
    e->chunks = (uint32_t)get_u(&in, 4);
    e->flags = (uint32_t)get_u(&in, 4);
    e->init = (uint16_t)get_u(&in, 2);
}

void kt_stretch_encode(uint8_t out[KT_STRETCH_SIZE], const struct kt_stretch *s)
{
    struct put o = { out };
    put_u(&o, s->stream, 4);
    put_u(&o, s->kind, 2);
    put_u(&o, 0, 2);
    put_u(&o, s->run, 8);
    put_u(&o, (uint64_t)s->from_us, 8);
    put_u(&o, (uint64_t)s->to_us, 8);
    put_u(&o, s->first, 4);
    put_u(&o, s->count, 4);
    put_u(&o, s->bytes, 8);
    put_u(&o, s->first_seq, 8);
    put_u(&o, s->last_seq, 8);
}

void kt_stretch_decode(struct kt_stretch *s, const uint8_t bytes[KT_STRETCH_SIZE])
{
    struct get in = { bytes };
    s->stream = (uint32_t)get_u(&in, 4);
    s->kind = (uint16_t)get_u(&in, 2);
    in.p += 2;
    s->run = get_u(&in, 8);
    s->from_us = (int64_t)get_u(&in, 8);
    s->to_us = (int64_t)get_u(&in, 8);
    s->first = (uint32_t)get_u(&in, 4);
    s->count = (uint32_t)get_u(&in, 4);
    s->bytes = get_u(&in, 8);
    s->first_seq = get_u(&in, 8);
    s->last_seq = get_u(&in, 8);
}

void kt_initref_encode(uint8_t out[KT_INITREF_SIZE], const struct kt_initref *r)
{
    struct put o = { out };
    put_raw(&o, r->hash, KT_HASH_SIZE);
    put_u(&o, r->offset, 8);
    put_u(&o, r->size, 4);
    put_u(&o, 0, 4);
}

void kt_initref_decode(struct kt_initref *r, const uint8_t bytes[KT_INITREF_SIZE])
{
    struct get in = { bytes };
    get_raw(&in, r->hash, KT_HASH_SIZE);
    r->offset = get_u(&in, 8);
    r->size = (uint32_t)get_u(&in, 4);
}

/* A page that ends with the hash of what is before it, zeros between. */
static void close_page(uint8_t page[KT_PAGE], struct put *o)
{
    uint8_t *end = page + KT_PAGE - KT_HASH_SIZE;
    memset(o->p, 0, (size_t)(end - o->p));
    kt_sha256(end, page, KT_PAGE - KT_HASH_SIZE);
}

static int check_page(const uint8_t page[KT_PAGE], const uint8_t magic[4], struct get *in)
{
    uint8_t hash[KT_HASH_SIZE];
    if (memcmp(page, magic, 4) != 0)
        return -EINVAL;
    in->p = page + 4;
    kt_sha256(hash, page, KT_PAGE - KT_HASH_SIZE);
    if (memcmp(hash, page + KT_PAGE - KT_HASH_SIZE, KT_HASH_SIZE) != 0)
        return -EBADMSG;                /* a flipped bit makes no other version */
    return get_u(in, 4) == KT_FORMAT_VERSION ? 0 : -ENOTSUP;
}

static const uint8_t trailer_magic[4] = { 'K', 'T', 'F', 'T' };

void kt_trailer_encode(uint8_t out[KT_PAGE], const struct kt_trailer *t)
{
    struct put o = { out };
    put_raw(&o, trailer_magic, 4);
    put_u(&o, KT_FORMAT_VERSION, 4);
    put_raw(&o, t->uuid, KT_UUID_SIZE);
    put_u(&o, t->slab_seq, 8);
    put_u(&o, t->first_seq, 8);
    put_u(&o, t->last_seq, 8);
    put_u(&o, t->commit, 8);
    put_u(&o, t->data_end, 8);
    put_u(&o, t->footer_offset, 8);
    put_u(&o, t->n_entries, 4);
    put_u(&o, t->n_stretches, 4);
    put_u(&o, t->n_inits, 4);
    put_u(&o, 0, 4);
    put_u(&o, (uint64_t)t->oldest_us, 8);
    put_u(&o, (uint64_t)t->newest_us, 8);
    put_raw(&o, t->entries_hash, KT_HASH_SIZE);
    put_raw(&o, t->summary_hash, KT_HASH_SIZE);
    put_raw(&o, t->first_prev, KT_HASH_SIZE);
    put_raw(&o, t->head, KT_HASH_SIZE);
    close_page(out, &o);
}

int kt_trailer_decode(struct kt_trailer *t, const uint8_t bytes[KT_PAGE], uint64_t slab_bytes)
{
    struct get in;
    const int ret = check_page(bytes, trailer_magic, &in);
    if (ret < 0)
        return ret;
    get_raw(&in, t->uuid, KT_UUID_SIZE);
    t->slab_seq = get_u(&in, 8);
    t->first_seq = get_u(&in, 8);
    t->last_seq = get_u(&in, 8);
    t->commit = get_u(&in, 8);
    t->data_end = get_u(&in, 8);
    t->footer_offset = get_u(&in, 8);
    t->n_entries = (uint32_t)get_u(&in, 4);
    t->n_stretches = (uint32_t)get_u(&in, 4);
    t->n_inits = (uint32_t)get_u(&in, 4);
    in.p += 4;
    t->oldest_us = (int64_t)get_u(&in, 8);
    t->newest_us = (int64_t)get_u(&in, 8);
    get_raw(&in, t->entries_hash, KT_HASH_SIZE);
    get_raw(&in, t->summary_hash, KT_HASH_SIZE);
    get_raw(&in, t->first_prev, KT_HASH_SIZE);
    get_raw(&in, t->head, KT_HASH_SIZE);
    const uint64_t space = kt_footer_space(t->n_entries, t->n_stretches, t->n_inits);
    if (space > slab_bytes || t->footer_offset != slab_bytes - space ||
        t->data_end > t->footer_offset)
        return -EINVAL;
    return 0;
}

/* ---- ring.meta ---- */

static const uint8_t meta_magic[4] = { 'K', 'T', 'R', 'G' };

void kt_meta_encode(uint8_t out[KT_PAGE], const struct kt_meta *m)
{
    struct put o = { out };
    put_raw(&o, meta_magic, 4);
    put_u(&o, KT_FORMAT_VERSION, 4);
    put_raw(&o, m->uuid, KT_UUID_SIZE);
    put_u(&o, m->slab_bytes, 8);
    put_u(&o, m->slab_count, 4);
    put_u(&o, 0, 4);
    put_u(&o, (uint64_t)m->created_us, 8);
    char name[64] = "";
    memcpy(name, m->name, strnlen(m->name, KT_ID_MAX));
    put_raw(&o, name, sizeof(name));
    close_page(out, &o);
}

bool kt_meta_is_possible(const struct kt_meta *m)
{
    return m->slab_bytes >= KT_MIN_SLAB && m->slab_bytes <= KT_MAX_SLAB && m->slab_bytes % KT_PAGE == 0 &&
           m->slab_count > 0 && m->slab_count <= KT_MAX_SLABS && !kt_all_zero(m->uuid, KT_UUID_SIZE);
}

int kt_meta_decode(struct kt_meta *m, const uint8_t bytes[KT_PAGE])
{
    struct get in;
    const int ret = check_page(bytes, meta_magic, &in);
    if (ret < 0)
        return ret;
    get_raw(&in, m->uuid, KT_UUID_SIZE);
    m->slab_bytes = get_u(&in, 8);
    m->slab_count = (uint32_t)get_u(&in, 4);
    in.p += 4;
    m->created_us = (int64_t)get_u(&in, 8);
    memcpy(m->name, in.p, KT_ID_MAX);
    m->name[KT_ID_MAX] = '\0';
    return kt_meta_is_possible(m) ? 0 : -EINVAL;
}

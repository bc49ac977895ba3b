#include "storage/vault/mp4_hash.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "server/base/chunk.h"
#include "server/base/text.h"

#define KEEP_MAX (1u << 20)             /* largest moov or moof */

struct kt_mp4_hash {
    uint8_t header[16];
    size_t have;                        /* bytes of header, while reading it */
    uint64_t left;                      /* bytes of the box's body still to come */
    bool in_body;
    uint32_t type;
    uint8_t *body;                      /* of moov or moof */
    size_t body_size;
    uint32_t video, track;              /* ids: the video's, that of the last moof */
    uint32_t default_duration, timescale;
    bool several;                       /* fragments of more than one track: no hash */
    crypto_hash_sha256_state hash;
    struct kt_mp4_facts facts;
};

#define BOX(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static uint32_t be32(const uint8_t *p)
{
    return BOX(p[0], p[1], p[2], p[3]);
}

/* The N-th box TYPE directly in [P, P + SIZE): its body, NULL when there is none. */
static const uint8_t *find(const uint8_t *p, size_t size, uint32_t type, int nth, size_t *body_size)
{
    while (size >= 8) {
        const uint32_t n = be32(p);
        if (n < 8 || n > size)
            return NULL;
        if (be32(p + 4) == type && nth-- == 0) {
            *body_size = n - 8;
            return p + 8;
        }
        p += n;
        size -= n;
    }
    return NULL;
}

/* Take the id and timescale from TRAK if it is the video's. */
static void read_trak(kt_mp4_hash *h, const uint8_t *trak, size_t size)
{
    size_t n, mdia_size;
    const uint8_t *mdia = find(trak, size, BOX('m', 'd', 'i', 'a'), 0, &mdia_size);
    if (!mdia || h->video)
        return;
    const uint8_t *hdlr = find(mdia, mdia_size, BOX('h', 'd', 'l', 'r'), 0, &n);
    if (!hdlr || n < 12 || be32(hdlr + 8) != BOX('v', 'i', 'd', 'e'))
        return;
    const uint8_t *mdhd = find(mdia, mdia_size, BOX('m', 'd', 'h', 'd'), 0, &n);
    if (mdhd && n >= 24)
        h->timescale = be32(mdhd + (mdhd[0] == 1 ? 20 : 12));
    const uint8_t *tkhd = find(trak, size, BOX('t', 'k', 'h', 'd'), 0, &n);
    if (tkhd && n >= 24)
        h->video = be32(tkhd + (tkhd[0] == 1 ? 20 : 12));
}

static int read_moov(kt_mp4_hash *h)
{
    size_t n;
    const uint8_t *trak;
    for (int i = 0; (trak = find(h->body, h->body_size, BOX('t', 'r', 'a', 'k'), i, &n)); i++)
        read_trak(h, trak, n);
    return h->video && h->timescale ? 0 : -EBADMSG;
}

/* Add the durations of TRUN's samples. */
static int read_trun(kt_mp4_hash *h, const uint8_t *trun, size_t size)
{
    if (size < 8)
        return -EBADMSG;
    const uint32_t flags = be32(trun) & 0xffffff, count = be32(trun + 4);
    const size_t skip = 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
    const size_t each = 4 * (size_t)__builtin_popcount(flags & 0xf00);
    if (skip > size || (each && count > (size - skip) / each))
        return -EBADMSG;
    h->facts.frames += count;
    for (uint32_t i = 0; i < count && i < 100000; i++)
        h->facts.duration_90k += flags & 0x100 ? be32(trun + skip + i * each) : h->default_duration;
    return 0;
}

static uint32_t tfhd_duration(const uint8_t *tfhd, size_t n)
{
    const uint32_t flags = be32(tfhd) & 0xffffff;
    const size_t at = 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0);
    return flags & 8 && at + 4 <= n ? be32(tfhd + at) : 0;
}

static int read_moof(kt_mp4_hash *h)
{
    size_t size, n;
    const uint8_t *traf = find(h->body, h->body_size, BOX('t', 'r', 'a', 'f'), 0, &size);
    const uint8_t *tfhd = traf ? find(traf, size, BOX('t', 'f', 'h', 'd'), 0, &n) : NULL;
    if (!tfhd || n < 8)
        return -EBADMSG;
    h->track = be32(tfhd + 4);
    if (find(h->body, h->body_size, BOX('t', 'r', 'a', 'f'), 1, &(size_t){ 0 }))
        h->several = true;
    if (h->track != h->video)
        return 0;
    h->default_duration = tfhd_duration(tfhd, n);
    const uint8_t *trun;
    for (int i = 0; (trun = find(traf, size, BOX('t', 'r', 'u', 'n'), i, &n)); i++) {
        const int ret = read_trun(h, trun, n);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static bool kept(const kt_mp4_hash *h)
{
    return h->type == BOX('m', 'o', 'o', 'v') || h->type == BOX('m', 'o', 'o', 'f');
}

/* Bytes of the header until it says how long the box is. */
static int take_header(kt_mp4_hash *h, const uint8_t **p, size_t *n)
{
    const size_t want = h->have >= 8 && be32(h->header) == 1 ? 16 : 8;
    const size_t take = *n < want - h->have ? *n : want - h->have;
    memcpy(h->header + h->have, *p, take);
    h->have += take;
    *p += take;
    *n -= take;
    if (h->have < want || (want == 8 && be32(h->header) == 1))
        return 0;
    const uint64_t size = want == 16 ? (uint64_t)be32(h->header + 8) << 32 | be32(h->header + 12)
                                     : be32(h->header);
    h->type = be32(h->header + 4);
    if (size < want || (kept(h) && size - want > KEEP_MAX))
        return -EBADMSG;
    h->left = size - want;
    h->in_body = true;
    h->body_size = 0;
    return 0;
}

static int end_box(kt_mp4_hash *h)
{
    h->in_body = false;
    h->have = 0;
    if (h->type == BOX('m', 'o', 'o', 'v'))
        return read_moov(h);
    return h->type == BOX('m', 'o', 'o', 'f') ? read_moof(h) : 0;
}

static int take_body(kt_mp4_hash *h, const uint8_t **p, size_t *n)
{
    const size_t take = *n < h->left ? *n : (size_t)h->left;
    if (kept(h)) {
        memcpy(h->body + h->body_size, *p, take);
        h->body_size += take;
    } else if (h->type == BOX('m', 'd', 'a', 't') && h->track == h->video) {
        crypto_hash_sha256_update(&h->hash, *p, take);
    }
    *p += take;
    *n -= take;
    h->left -= take;
    return 0;
}

int kt_mp4_hash_feed(kt_mp4_hash *h, const void *data, size_t n)
{
    const uint8_t *p = data;
    int ret = 0;
    while (ret == 0 && (n > 0 || (h->in_body && h->left == 0))) {
        if (!h->in_body)
            ret = take_header(h, &p, &n);
        else if (h->left > 0)
            ret = take_body(h, &p, &n);
        if (ret == 0 && h->in_body && h->left == 0)
            ret = end_box(h);
    }
    return ret;
}

int kt_mp4_hash_finish(kt_mp4_hash *h, struct kt_mp4_facts *out)
{
    if (h->in_body || h->have > 0 || h->facts.frames == 0)
        return -EBADMSG;
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&h->hash, hash);
    if (!h->several)
        kt_hex(h->facts.stream_hash, hash, sizeof(hash));
    if (h->timescale != KT_TIMESCALE)
        h->facts.duration_90k = h->facts.duration_90k * KT_TIMESCALE / h->timescale;
    *out = h->facts;
    return 0;
}

int kt_mp4_hash_create(kt_mp4_hash **out)
{
    kt_cleanup(kt_mp4_hash_free) kt_mp4_hash *h = calloc(1, sizeof(*h));
    if (h)
        h->body = malloc(KEEP_MAX);
    if (!h || !h->body)
        return -ENOMEM;
    crypto_hash_sha256_init(&h->hash);
    *out = kt_steal_ptr(&h);
    return 0;
}

void kt_mp4_hash_free(kt_mp4_hash **ph)
{
    kt_mp4_hash *h = kt_steal_ptr(ph);
    if (!h)
        return;
    free(h->body);
    free(h);
}

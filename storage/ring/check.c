#include "storage/ring/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "storage/ring/key.h"
#include "storage/ring/toc.h"

#define FLIPPED_MOST 32                 /* bits */

static void report(struct kt_slab_check *c, uint64_t seq, uint64_t offset, const char *what)
{
    if (c->bad)
        c->bad(c->user, c->scan.slab_seq, seq, offset, what);
}

static int read_payload(struct kt_slab_check *c, const struct kt_scan_item *item, uint8_t **out)
{
    uint8_t *buf = malloc((size_t)item->h.size + 1);
    if (!buf)
        return -ENOMEM;
    const int ret = kt_scan_payload(c->scan.io, c->scan.fd, &item->h, item->offset, buf);
    if (ret < 0)
        free(buf);
    else
        *out = buf;
    return ret;
}

static void check_begin(struct kt_slab_check *c, const struct kt_scan_item *item)
{
    kt_cleanup(kt_freep) uint8_t *p = NULL;
    if (item->state != KT_SCAN_GOOD || read_payload(c, item, &p) < 0)
        return;
    if (kt_slab_begin_decode(&c->begin, p, item->h.size) < 0) {
        report(c, item->h.seq, item->offset, "the slab's first record makes no sense");
        return;
    }
    c->begin_ok = true;
    kt_sha256(c->fingerprint, c->begin.key_der, c->begin.key_size);
    if (c->key && memcmp(c->key, c->fingerprint, KT_HASH_SIZE) != 0)
        report(c, item->h.seq, item->offset, "signed with another key than expected");
}

static void check_head(struct kt_slab_check *c, const struct kt_scan_item *item)
{
    kt_cleanup(kt_freep) uint8_t *p = NULL;
    struct kt_head head;
    const uint8_t *sig;
    size_t sig_size;
    if (item->state != KT_SCAN_GOOD || !c->begin_ok || read_payload(c, item, &p) < 0)
        return;
    if (kt_head_decode(&head, &sig, &sig_size, p, item->h.size) < 0 ||
        memcmp(head.hash, item->h.prev, KT_HASH_SIZE) != 0 || head.seq + 1 != item->h.seq ||
        memcmp(head.uuid, item->h.uuid, KT_UUID_SIZE) != 0 ||
        memcmp(head.key, c->fingerprint, KT_HASH_SIZE) != 0 ||
        kt_key_verify(c->begin.key_der, c->begin.key_size, p, KT_HEAD_SIGNED, sig, sig_size) < 0) {
        report(c, item->h.seq, item->offset, "the signature is wrong");
        return;
    }
    c->heads++;
    c->signed_seq = head.seq;
    c->signed_us = head.written_us;
}

static void check_chain(struct kt_slab_check *c, const struct kt_scan_item *prev,
                        const struct kt_scan_item *item)
{
    if (prev->state == KT_SCAN_HOLE)
        return;                         /* told already */
    if (item->h.seq != prev->h.seq + 1)
        report(c, item->h.seq, item->offset, "records before it are missing");
    else if (memcmp(item->h.prev, prev->h.hash, KT_HASH_SIZE) != 0)
        report(c, item->h.seq, item->offset, "the chain is broken here");
}

/* What is between two records, or behind the last one of a commit, is zeros. */
static int check_padding(struct kt_slab_check *c, const struct kt_scan_item *item, uint64_t end)
{
    uint8_t pad[KT_PAGE + KT_RECORD_ALIGN];
    const uint64_t at = item->offset + KT_HEADER_SIZE + item->h.size;
    if (item->state == KT_SCAN_HOLE || end <= at || end - at > sizeof(pad))
        return 0;
    const int ret = kt_io_read(c->scan.io, c->scan.fd, pad, (size_t)(end - at), at);
    if (ret < 0)
        return ret == -EIO ? 0 : ret;
    for (size_t i = 0; i < end - at; i++) {
        if (pad[i] != 0) {
            report(c, item->h.seq, at + i, "the padding behind it was changed");
            break;
        }
    }
    return 0;
}

static int check_items(struct kt_slab_check *c)
{
    struct kt_scan *s = &c->scan;
    if (s->n > 0 && s->slab_seq == 0)
        s->slab_seq = s->items[0].h.slab_seq;
    for (size_t i = 0; i < s->n; i++) {
        const struct kt_scan_item *item = &s->items[i];
        const uint64_t end = i + 1 < s->n ? s->items[i + 1].offset : s->end;
        if (item->state == KT_SCAN_HOLE)
            report(c, item->h.seq + 1, item->offset, "a record's header is damaged");
        else if (item->state == KT_SCAN_BAD_PAYLOAD && !c->quiet_payloads)
            report(c, item->h.seq, item->offset, "a record's content is damaged");
        if (i > 0 && item->state != KT_SCAN_HOLE)
            check_chain(c, item - 1, item);
        if (item->state != KT_SCAN_HOLE && item->h.type == KT_TYPE_SLAB)
            check_begin(c, item);
        if (item->state != KT_SCAN_HOLE && item->h.type == KT_TYPE_HEAD)
            check_head(c, item);
        /* Behind the newest record of all may be what is left of a torn one. */
        const int ret = i + 1 < s->n || s->bounded ? check_padding(c, item, end) : 0;
        if (ret < 0)
            return ret;
    }
    return 0;
}

/* ---- the footer ---- */

static int toc_of_scan(const struct kt_scan *s, struct kt_toc **out)
{
    int ret = kt_toc_create(out, s->slab_seq);
    for (size_t i = 0; i < s->n && ret == 0; i++) {
        const struct kt_stretch *stretch;
        bool grown;
        ret = kt_toc_add(*out, &s->items[i].h, s->items[i].offset, &stretch, &grown);
    }
    return ret;
}

static bool has_holes(const struct kt_scan *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].state == KT_SCAN_HOLE)
            return true;
    return s->n == 0;
}

/* A seal that was cut short lacks whole sectors, hashes among them: half of the bits of each differ. */
static bool few_bits_differ(const uint8_t *a, const uint8_t *b, size_t n)
{
    unsigned bits = 0;
    for (size_t i = 0; i < n && bits <= FLIPPED_MOST; i++)
        bits += (unsigned)__builtin_popcount(a[i] ^ b[i]);
    return bits > 0 && bits <= FLIPPED_MOST;
}

/* What footer and trailer must be, as its records say, and what they are. */
struct footers {
    uint8_t *want, *got;
    size_t size;
};

static void free_footers(struct footers *f)
{
    free(f->want);
    free(f->got);
}

static int read_footers(const struct kt_scan *s, struct footers *f)
{
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    const int ret = toc_of_scan(s, &toc);
    if (ret < 0)
        return ret;
    const struct kt_header *first = &s->items[0].h, *last = &s->items[s->n - 1].h;
    struct kt_trailer t = { .slab_seq = first->slab_seq, .first_seq = first->seq, .last_seq = last->seq,
                            .commit = last->commit, .data_end = s->end };
    memcpy(t.uuid, first->uuid, KT_UUID_SIZE);
    memcpy(t.first_prev, first->prev, KT_HASH_SIZE);
    memcpy(t.head, last->hash, KT_HASH_SIZE);
    f->size = (size_t)kt_toc_footer_space(toc);
    if (f->size > s->slab_bytes)
        return -EBADMSG;
    f->want = malloc(f->size);
    f->got = malloc(f->size);
    if (!f->want || !f->got)
        return -ENOMEM;
    kt_toc_encode(toc, &t, s->slab_bytes, f->want);
    return kt_io_read(s->io, s->fd, f->got, f->size, s->slab_bytes - f->size);
}

/* The last page of a slab, which may never have been sealed in this life. */
enum seal { SEAL_NONE, SEAL_RIGHT, SEAL_DAMAGED };

static int read_seal(const struct kt_scan *s, enum seal *seal)
{
    uint8_t page[KT_PAGE];
    struct kt_trailer t;
    int ret = kt_io_read(s->io, s->fd, page, sizeof(page), s->slab_bytes - KT_PAGE);
    if (ret < 0)
        return ret;
    ret = kt_trailer_decode(&t, page, s->slab_bytes);
    if (ret < 0)
        *seal = kt_all_zero(page, sizeof(page)) ? SEAL_NONE : SEAL_DAMAGED;
    else if (t.slab_seq < s->slab_seq ||    /* of an earlier life */
             (s->n > 0 && (t.last_seq != s->items[s->n - 1].h.seq ||
                           memcmp(t.head, s->items[s->n - 1].h.hash, KT_HASH_SIZE) != 0)))
        *seal = SEAL_NONE;              /* or written with a commit that was torn or whose sync failed */
    else
        *seal = SEAL_RIGHT;
    return 0;
}

int kt_check_newest_footer(const struct kt_scan *s, bool *flipped)
{
    kt_cleanup(free_footers) struct footers f = { .size = 0 };
    enum seal seal;
    *flipped = false;
    int ret = read_seal(s, &seal);
    if (ret < 0 || seal == SEAL_NONE || has_holes(s))
        return ret;
    ret = read_footers(s, &f);
    *flipped = ret == 0 && few_bits_differ(f.want, f.got, f.size);
    return ret == -EBADMSG ? 0 : ret;
}

/* In all slabs but the newest the footer must be, byte for byte, what its records give. */
static int check_footer(struct kt_slab_check *c)
{
    struct kt_scan *s = &c->scan;
    kt_cleanup(free_footers) struct footers f = { .size = 0 };
    enum seal seal;
    bool flipped;
    int ret;
    if (!s->bounded) {
        ret = kt_check_newest_footer(s, &flipped);
        if (ret == 0 && flipped)
            report(c, 0, s->slab_bytes - KT_PAGE, "the slab's footer or trailer is damaged");
        return ret;
    }
    ret = read_seal(s, &seal);
    if (ret == 0 && seal == SEAL_DAMAGED)
        report(c, 0, s->slab_bytes - KT_PAGE, "the slab's trailer is damaged");
    if (ret < 0 || seal != SEAL_RIGHT || has_holes(s))
        return ret;
    ret = read_footers(s, &f);
    if (ret == -EIO || ret == -EBADMSG || (ret == 0 && memcmp(f.want, f.got, f.size) != 0))
        report(c, 0, s->slab_bytes - f.size, "the slab's footer is not what its records say");
    return ret == -EIO || ret == -EBADMSG ? 0 : ret;
}

int kt_slab_check(struct kt_slab_check *c)
{
    c->scan.payloads = true;
    int ret = kt_scan_slab(&c->scan);
    if (ret == 0)
        ret = check_items(c);
    if (ret == 0)
        ret = check_footer(c);
    return ret;
}

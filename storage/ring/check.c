#include "storage/ring/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "storage/ring/key.h"
#include "storage/ring/toc.h"

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
        const int ret = check_padding(c, item, end);
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

/* The footer must be, byte for byte, what its records give. */
static int check_footer(struct kt_slab_check *c)
{
    struct kt_scan *s = &c->scan;
    uint8_t page[KT_PAGE];
    struct kt_trailer t, again;
    int ret = kt_io_read(s->io, s->fd, page, sizeof(page), s->slab_bytes - KT_PAGE);
    if (ret < 0)
        return ret;
    ret = kt_trailer_decode(&t, page, s->slab_bytes);
    if (ret == -EINVAL || (ret == 0 && t.slab_seq < s->slab_seq))
        return 0;                       /* not sealed, or the footer of an earlier life */
    if (ret < 0 && !s->bounded)
        return 0;                       /* the newest: power may have failed while it was sealed */
    if (ret < 0) {
        report(c, 0, s->slab_bytes - KT_PAGE, "the slab's trailer is damaged");
        return 0;
    }
    /* Written with a commit that was torn or whose sync failed: it does not count. */
    if (s->n > 0 && (t.last_seq != s->items[s->n - 1].h.seq ||
                     memcmp(t.head, s->items[s->n - 1].h.hash, KT_HASH_SIZE) != 0))
        return 0;
    c->sealed = true;
    if (has_holes(s))
        return 0;
    kt_cleanup(kt_toc_unref) struct kt_toc *toc = NULL;
    ret = toc_of_scan(s, &toc);
    if (ret < 0)
        return ret;
    const uint64_t space = kt_toc_footer_space(toc);
    kt_cleanup(kt_freep) uint8_t *want = malloc(space), *got = malloc(space);
    if (!want || !got)
        return -ENOMEM;
    again = t;
    kt_toc_encode(toc, &again, s->slab_bytes, want);
    if (kt_io_read(s->io, s->fd, got, space, s->slab_bytes - space) < 0 ||
        memcmp(want, got, space) != 0)
        report(c, 0, t.footer_offset, "the slab's footer is not what its records say");
    return 0;
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

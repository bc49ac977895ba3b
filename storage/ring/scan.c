#include "storage/ring/scan.h"

#include <errno.h>
#include <string.h>

#include "storage/ring/vec.h"

#define SEARCH_BLOCK (256u << 10)
#define SEARCH_LIMIT (2ull * KT_MAX_PAYLOAD + (64u << 10))

static const uint8_t magic[4] = { 'K', 'T', 'R', 'C' };

int kt_scan_payload(const struct kt_ring_io *io, int fd, const struct kt_header *h,
                    uint64_t offset, void *buf)
{
    uint8_t hash[KT_HASH_SIZE];
    kt_cleanup(kt_freep) uint8_t *own = NULL;
    if (!buf) {
        buf = own = malloc((size_t)h->size + 1);
        if (!own)
            return -ENOMEM;
    }
    const int ret = kt_io_read(io, fd, buf, h->size, offset + KT_HEADER_SIZE);
    if (ret < 0)
        return ret;
    kt_sha256(hash, buf, h->size);
    return memcmp(hash, h->payload, KT_HASH_SIZE) == 0 ? 0 : -EBADMSG;
}

static const struct kt_header *last_header(const struct kt_scan *s)
{
    return s->n > 0 ? &s->items[s->n - 1].h : NULL;
}

/* Is H, found at OFFSET, a record of this life of this slab that can follow? */
static bool belongs(const struct kt_scan *s, const struct kt_header *h, uint64_t offset)
{
    const struct kt_header *last = last_header(s);
    if (offset + kt_record_space(h->size) > s->slab_bytes || h->commit_offset > offset ||
        h->commit_offset % KT_PAGE != 0)
        return false;
    if (s->uuid && memcmp(h->uuid, s->uuid, KT_UUID_SIZE) != 0)
        return false;
    if (s->slab_seq && h->slab_seq != s->slab_seq)
        return false;
    return !last || (h->slab_seq == last->slab_seq && h->seq > last->seq &&
                     h->commit >= last->commit && memcmp(h->uuid, last->uuid, KT_UUID_SIZE) == 0);
}

/* 1: a header that belongs here; 0: none; or an error. */
static int header_at(struct kt_scan *s, uint64_t offset, struct kt_header *h)
{
    uint8_t bytes[KT_HEADER_SIZE];
    if (offset + KT_HEADER_SIZE > s->slab_bytes)
        return 0;
    const int ret = kt_io_read(s->io, s->fd, bytes, sizeof(bytes), offset);
    if (ret == -EIO) {
        s->unreadable = true;
        return 0;
    }
    if (ret < 0)
        return ret;
    return kt_header_decode(h, bytes) == 0 && belongs(s, h, offset);
}

static int search_block(const struct kt_scan *s, const uint8_t *block, size_t n, uint64_t at,
                        uint64_t *offset, struct kt_header *h)
{
    for (size_t i = 0; i + KT_HEADER_SIZE <= n; i += KT_RECORD_ALIGN) {
        if (memcmp(block + i, magic, sizeof(magic)) != 0)
            continue;
        if (kt_header_decode(h, block + i) == 0 && belongs(s, h, at + i)) {
            *offset = at + i;
            return 1;
        }
    }
    return 0;
}

/* Look for the next header behind a broken one. 1 found, 0 none, or an error. */
static int resync(struct kt_scan *s, uint64_t from, uint64_t *offset, struct kt_header *h)
{
    kt_cleanup(kt_freep) uint8_t *block = malloc(SEARCH_BLOCK);
    if (!block)
        return -ENOMEM;
    const uint64_t stop = from + SEARCH_LIMIT < s->slab_bytes ? from + SEARCH_LIMIT : s->slab_bytes;
    for (uint64_t at = from; at + KT_HEADER_SIZE <= stop; at += SEARCH_BLOCK - KT_HEADER_SIZE) {
        const size_t n = stop - at < SEARCH_BLOCK ? (size_t)(stop - at) : SEARCH_BLOCK;
        int ret = kt_io_read(s->io, s->fd, block, n, at);
        if (ret == -EIO) {
            s->unreadable = true;
            continue;
        }
        if (ret == 0)
            ret = search_block(s, block, n, at, offset, h);
        if (ret != 0)
            return ret;
    }
    return 0;
}

static int push(struct kt_scan *s, const struct kt_header *h, uint64_t offset,
                enum kt_scan_state state)
{
    if (kt_vec_room(&s->items, s->n, &s->cap) < 0)
        return -ENOMEM;
    struct kt_scan_item *item = &s->items[s->n++];
    memset(item, 0, sizeof(*item));
    item->h = *h;
    item->offset = offset;
    item->state = state;
    return 0;
}

/* Where the next record is: right here, behind the padding, or further on. */
static int next_header(struct kt_scan *s, uint64_t *pos, struct kt_header *h)
{
    int ret = header_at(s, *pos, h);
    if (ret == 0 && *pos % KT_PAGE != 0) {
        ret = header_at(s, kt_page_up(*pos), h);
        if (ret == 1 && h->commit_offset == kt_page_up(*pos))
            *pos = kt_page_up(*pos);    /* the last commit ended here, as it should */
        else if (ret == 1)
            ret = 0;
    }
    if (ret != 0)
        return ret;
    uint64_t found = 0;
    ret = resync(s, *pos, &found, h);
    if (ret == 1) {
        struct kt_header before = { .seq = 0 };     /* a copy: the list may move */
        if (s->n > 0)
            before = *last_header(s);
        ret = push(s, &before, *pos, KT_SCAN_HOLE) < 0 ? -ENOMEM : 1;
        *pos = found;
    }
    return ret;
}

static int walk(struct kt_scan *s)
{
    struct kt_header h;
    uint64_t pos = 0;
    int ret;
    while ((ret = next_header(s, &pos, &h)) == 1) {
        enum kt_scan_state state = KT_SCAN_GOOD;
        if (s->pace && !s->pace(s->pace_user, h.size + KT_HEADER_SIZE))
            return -ECANCELED;
        if (s->payloads) {
            ret = kt_scan_payload(s->io, s->fd, &h, pos, NULL);
            s->unreadable |= ret == -EIO;
            if (ret == -EBADMSG || ret == -EIO)
                state = KT_SCAN_BAD_PAYLOAD;
            else if (ret < 0)
                return ret;
        }
        if (push(s, &h, pos, state) < 0)
            return -ENOMEM;
        if (h.commit > s->last_commit)
            s->last_commit = h.commit;
        pos += kt_record_space(h.size);
    }
    return ret;
}

/*
 * Everything before the last commit was durable before that commit began: an
 * error there is damage, and costs its record only. In the last commit an error
 * may be a torn write: from there on nothing counts.
 */
static int drop_torn_tail(struct kt_scan *s)
{
    if (s->n == 0)
        return 0;
    const struct kt_header last = s->items[s->n - 1].h;
    for (size_t i = 0; i < s->n; i++) {
        struct kt_scan_item *item = &s->items[i];
        if (item->offset < last.commit_offset)
            continue;
        const bool first = i == 0 || item[-1].offset < last.commit_offset;
        /* What comes before the first record that is found may be what was torn. */
        bool bad = item->state != KT_SCAN_GOOD || (first && item->offset != last.commit_offset);
        if (!bad && i > 0 && memcmp(item->h.prev, item[-1].h.hash, KT_HASH_SIZE) != 0)
            bad = item->h.seq == item[-1].h.seq + 1;
        if (!bad && !s->payloads) {
            const int ret = kt_scan_payload(s->io, s->fd, &item->h, item->offset, NULL);
            s->unreadable |= ret == -EIO;
            if (ret < 0 && ret != -EBADMSG && ret != -EIO)
                return ret;
            bad = ret < 0;
        }
        if (bad) {
            s->torn += s->n - i;
            s->n = i;
        }
    }
    return 0;
}

static void drop_beyond(struct kt_scan *s, uint64_t max_seq)
{
    while (s->n > 0 && s->items[s->n - 1].h.seq > max_seq) {
        s->n--;
        s->torn++;
    }
}

static void drop_last_holes(struct kt_scan *s)
{
    while (s->n > 0 && s->items[s->n - 1].state == KT_SCAN_HOLE)
        s->n--;
}

int kt_scan_slab(struct kt_scan *s)
{
    int ret = walk(s);
    if (ret < 0)
        return ret;
    if (s->bounded)
        drop_beyond(s, s->max_seq);     /* all that is left was durable when the next slab began */
    else if (!s->keep_tail)
        ret = drop_torn_tail(s);
    drop_last_holes(s);
    s->end = 0;
    if (s->n > 0)
        s->end = kt_page_up(s->items[s->n - 1].offset + kt_record_space(s->items[s->n - 1].h.size));
    return ret;
}

void kt_scan_free(struct kt_scan *s)
{
    free(s->items);
    s->items = NULL;
    s->n = s->cap = 0;
}

/* ---- whose slab it is ---- */

/* The records behind the damaged first one, of whatever life they are. */
static int first_behind(struct kt_scan *s, struct kt_header *h)
{
    int ret = kt_scan_slab(s);
    for (size_t i = 0; i < s->n && ret == 0; i++) {
        if (s->items[i].state == KT_SCAN_HOLE)
            continue;
        *h = s->items[i].h;
        return 0;
    }
    return ret < 0 ? ret : -EBADMSG;
}

int kt_scan_first(const struct kt_ring_io *io, int fd, uint64_t slab_bytes, const uint8_t *uuid,
                  struct kt_header *h, bool *whole)
{
    uint8_t bytes[KT_HEADER_SIZE];
    *whole = true;
    int ret = kt_io_read(io, fd, bytes, sizeof(bytes), 0);
    if (ret == 0)
        ret = kt_header_decode(h, bytes) == 0 ? 0 : -EBADMSG;
    if (ret == 0)
        return memcmp(h->uuid, uuid, KT_UUID_SIZE) == 0 ? 0 : -EXDEV;
    if (ret != -EBADMSG || kt_all_zero(bytes, sizeof(bytes)))
        return ret;                     /* never written: most often so */
    *whole = false;
    struct kt_scan scan = { .io = io, .fd = fd, .slab_bytes = slab_bytes, .uuid = uuid };
    ret = first_behind(&scan, h);
    kt_scan_free(&scan);
    return ret;
}

/* Interim clip: init + records with tfdt moved. */
#include "storage/ring/clip.h"

#include <errno.h>
#include <string.h>

struct kt_clip {
    kt_ring *ring;
    struct kt_init *init;
    struct kt_record *recs;
    int64_t *shift;
    uint64_t *at;
    size_t n, cached;
    uint8_t *cache;
    bool patch;
    struct kt_clip_info info;
};

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

static void patch(uint8_t *d, size_t n, int64_t shift)
{
    for (size_t i = 0; i + 8 <= n;) {
        const uint32_t size = be32(d + i);
        if (size < 8 || size > n - i)
            return;
        if (memcmp(d + i + 4, "moof", 4) == 0 || memcmp(d + i + 4, "traf", 4) == 0)
            patch(d + i + 8, size - 8, shift);
        else if (memcmp(d + i + 4, "tfdt", 4) == 0 && d[i + 8] == 1) {
            uint64_t v = (uint64_t)be32(d + i + 12) << 32 | be32(d + i + 16);
            v += (uint64_t)shift;
            for (int k = 0; k < 8; k++)
                d[i + 12 + (size_t)k] = (uint8_t)(v >> (56 - 8 * k));
        }
        i += size;
    }
}

static int open_common(kt_clip **out, kt_ring *ring, struct kt_record *recs, size_t n, bool with_init)
{
    kt_clip *c = calloc(1, sizeof(*c));
    c->ring = ring;
    c->recs = recs;
    c->n = n;
    c->cached = SIZE_MAX;
    c->patch = with_init;
    c->shift = calloc(n, sizeof(*c->shift));
    c->at = calloc(n + 1, sizeof(*c->at));
    int ret = kt_ring_init(ring, recs[0].init, &c->init);
    if (ret < 0) {
        kt_clip_close(&c);
        return ret;
    }
    snprintf(c->info.mime, sizeof(c->info.mime), "%s", c->init->mime);
    uint64_t at = with_init ? c->init->size : 0;
    uint32_t max = 1;
    for (size_t i = 0; i < n; i++) {
        c->at[i] = at;
        at += recs[i].size;
        max = recs[i].size > max ? recs[i].size : max;
        c->info.frames += recs[i].frames;
        c->shift[i] = (recs[i].start_us - recs[0].start_us) * 9 / 100 - recs[i].dts_90k;
        if (i && recs[i].run == recs[i - 1].run)
            c->shift[i] = c->shift[i - 1];
    }
    c->at[n] = at;
    c->info.size = at;
    c->info.start_us = recs[0].start_us;
    c->info.end_us = recs[n - 1].end_us;
    c->cache = malloc(max);
    *out = c;
    return 0;
}

int kt_clip_open(kt_clip **out, kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us)
{
    struct kt_record *recs = NULL;
    size_t n = 0;
    int ret = kt_ring_query(ring, stream, from_us, to_us, SIZE_MAX, &recs, &n);
    if (ret < 0 || n == 0)
        return ret < 0 ? ret : -ENOENT;
    size_t k = 1;
    while (k < n && memcmp(recs[k].init, recs[0].init, 32) == 0)
        k++;
    return open_common(out, ring, recs, k, true);
}

int kt_clip_open_segment(kt_clip **out, kt_ring *ring, uint32_t stream, uint64_t first_seq, uint64_t last_seq)
{
    struct kt_record *recs = NULL;
    size_t n = 0, k = 0;
    int ret = kt_ring_query(ring, stream, 0, INT64_MAX, SIZE_MAX, &recs, &n);
    for (size_t i = 0; ret == 0 && i < n; i++)
        if (recs[i].seq >= first_seq && recs[i].seq <= last_seq)
            recs[k++] = recs[i];
    if (k == 0) {
        free(recs);
        return -ENOENT;
    }
    return open_common(out, ring, recs, k, false);
}

void kt_clip_close(kt_clip **pc)
{
    kt_clip *c = kt_steal_ptr(pc);
    if (!c)
        return;
    kt_init_unref(&c->init);
    free(c->recs);
    free(c->shift);
    free(c->at);
    free(c->cache);
    free(c);
}

void kt_clip_info(const kt_clip *c, struct kt_clip_info *out) { *out = c->info; }

ssize_t kt_clip_read(kt_clip *c, uint64_t off, void *buf, size_t n)
{
    if (off >= c->info.size)
        return 0;
    if (c->patch && off < c->init->size) {
        const size_t k = c->init->size - off < n ? c->init->size - off : n;
        memcpy(buf, c->init->data + off, k);
        return (ssize_t)k;
    }
    size_t lo = 0, hi = c->n;
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (c->at[mid] <= off)
            lo = mid;
        else
            hi = mid;
    }
    if (c->cached != lo) {
        const int ret = kt_ring_read(c->ring, &c->recs[lo], c->cache);
        if (ret < 0)
            return ret;
        if (c->patch)
            patch(c->cache, c->recs[lo].size, c->shift[lo]);
        c->cached = lo;
    }
    const uint64_t in = off - c->at[lo];
    const size_t k = c->recs[lo].size - in < n ? c->recs[lo].size - in : n;
    memcpy(buf, c->cache + in, k);
    return (ssize_t)k;
}

int kt_clip_segments(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us, int64_t target_us,
                     struct kt_segment **out, size_t *n)
{
    struct kt_record *recs = NULL;
    size_t count = 0, k = 0;
    int ret = kt_ring_query(ring, stream, from_us, to_us, SIZE_MAX, &recs, &count);
    if (ret < 0)
        return ret;
    struct kt_segment *list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        struct kt_segment *s = k ? &list[k - 1] : NULL;
        const bool cut = !s || s->run != recs[i].run ||
                         (recs[i].flags & KT_RECORD_KEY && s->duration_us >= target_us);
        if (cut) {
            list[k] = (struct kt_segment){ .first_seq = recs[i].seq, .run = recs[i].run,
                .start_us = recs[i].start_us, .discontinuity = s && s->run != recs[i].run };
            memcpy(list[k].init, recs[i].init, 32);
            s = &list[k++];
        }
        s->last_seq = recs[i].seq;
        s->duration_us = recs[i].end_us - s->start_us;
    }
    free(recs);
    *out = list;
    *n = k;
    return 0;
}

#include "storage/ring/clip.h"

#include <errno.h>
#include <string.h>

#include "storage/ring/boxes.h"
#include "storage/ring/ring_private.h"
#include "storage/ring/vec.h"

#define MAX_PARAMETERS 64               /* different init segments in one clip */

struct parameters {                     /* one init segment of the clip */
    uint8_t hash[KT_HASH_SIZE];
    struct kt_tracks tracks;
    bool indexed;                       /* chunks must name their sample entry */
};

struct stretch {                        /* records of one ring that follow each other */
    kt_ring *ring;
    struct kt_record *list;             /* owned */
    size_t skip, n;                     /* the first of them that count, and how many do */
    int64_t to_us;
};

struct piece {                          /* one record of the clip */
    kt_ring *ring;
    struct kt_record rec;
    uint64_t at;                        /* in the clip */
    uint32_t used;                      /* bytes of the record; less than all at the end */
    uint32_t size;                      /* bytes in the clip */
    uint32_t parameters;
    int64_t shift_90k;
};

struct kt_clip {
    bool segment;                       /* HLS: chunks as they are */
    bool skip_damaged;
    uint8_t *head;                      /* the merged init segment; NULL in a segment */
    size_t head_size;
    struct parameters *parameters;
    size_t n_parameters, cap_parameters;
    struct piece *pieces;
    size_t n;
    struct kt_clip_info info;
    /* --- the record at hand --- */
    size_t loaded;                      /* SIZE_MAX: none */
    uint8_t *raw, *ready;
};

void kt_clip_close(kt_clip **pclip)
{
    kt_clip *clip = kt_steal_ptr(pclip);
    if (!clip)
        return;
    free(clip->head);
    free(clip->parameters);
    free(clip->pieces);
    free(clip->raw);
    free(clip->ready);
    free(clip);
}

void kt_clip_info(const kt_clip *clip, struct kt_clip_info *out)
{
    *out = clip->info;
}

void kt_clip_skip_damaged(kt_clip *clip)
{
    clip->skip_damaged = true;
}

/* ---- laying out ---- */

static int64_t to_90k(int64_t us)
{
    return us * 9 / 100;
}

static int64_t to_us(int64_t t90k)
{
    return t90k * 100 / 9;
}

/* The init segment of a record becomes part of the clip's head. */
static int add_parameters(kt_clip *clip, kt_ring *ring, const uint8_t hash[KT_HASH_SIZE], uint32_t *index)
{
    for (size_t i = 0; i < clip->n_parameters; i++) {
        if (memcmp(clip->parameters[i].hash, hash, KT_HASH_SIZE) == 0) {
            *index = (uint32_t)i;
            return 0;
        }
    }
    if (clip->n_parameters == MAX_PARAMETERS)
        return -E2BIG;
    if (kt_vec_room(&clip->parameters, clip->n_parameters, &clip->cap_parameters) < 0)
        return -ENOMEM;
    struct parameters *p = &clip->parameters[clip->n_parameters];
    *p = (struct parameters){ .indexed = false };
    memcpy(p->hash, hash, KT_HASH_SIZE);
    struct kt_init *init = NULL;
    int ret = kt_ring_init(ring, hash, &init);
    if (ret < 0)
        return ret;
    if (clip->n_parameters == 0) {
        ret = kt_boxes_tracks(init->data, init->size, &p->tracks);
        clip->head = malloc(init->size);
        if (!clip->head)
            ret = -ENOMEM;
        else
            memcpy(clip->head, init->data, init->size);
        clip->head_size = init->size;
        memcpy(clip->info.mime, init->mime, sizeof(clip->info.mime));
    } else {
        ret = kt_boxes_merge(&clip->head, &clip->head_size, init->data, init->size, &p->tracks);
        for (size_t i = 0; i < p->tracks.n; i++)
            p->indexed |= p->tracks.a[i].entry > 1;
    }
    kt_init_unref(&init);
    if (ret == 0)
        *index = (uint32_t)clip->n_parameters++;
    return ret;
}

/* Times: within a run as recorded, from run to run as far apart as they were. */
static void place_in_time(kt_clip *clip)
{
    int64_t end_90k = 0;
    for (size_t i = 0; i < clip->n; i++) {
        struct piece *p = &clip->pieces[i];
        if (i > 0 && p->ring == p[-1].ring && p->rec.run == p[-1].rec.run) {
            p->shift_90k = p[-1].shift_90k;
        } else {
            int64_t start = to_90k(p->rec.start_us - clip->pieces[0].rec.start_us);
            start = start < end_90k ? end_90k : start;
            p->shift_90k = start - p->rec.dts_90k;
        }
        const int64_t end = p->rec.dts_90k + p->rec.duration_90k + p->shift_90k;
        end_90k = end > end_90k ? end : end_90k;
    }
}

static void place_in_file(kt_clip *clip)
{
    uint64_t at = clip->head_size;
    for (size_t i = 0; i < clip->n; i++) {
        struct piece *p = &clip->pieces[i];
        p->at = at;
        p->size = p->used;
        if (!clip->segment && clip->parameters[p->parameters].indexed)
            p->size += 4 * p->rec.chunks;
        at += p->size;
        clip->info.frames += p->rec.frames;
    }
    clip->info.size = at;
    if (clip->n > 0) {
        clip->info.start_us = clip->pieces[0].rec.start_us;
        clip->info.end_us = clip->pieces[clip->n - 1].rec.end_us;
    }
}

/* Where in the last record of a stretch the first frame at or behind TO begins. */
static int cut_record(const uint8_t *payload, const struct kt_tracks *tracks, int64_t to_us_,
                      struct piece *p)
{
    struct kt_chunk_view view;
    uint32_t chunks = 0, frames = 0;
    size_t at = 0;
    int more;
    while ((more = kt_boxes_next(payload, p->rec.size, &at, &view)) == 1) {
        const struct kt_track *t = NULL;
        for (size_t i = 0; i < tracks->n; i++)
            if (tracks->a[i].id == view.track)
                t = &tracks->a[i];
        if (t && t->video) {
            const int64_t dts = (int64_t)((double)view.tfdt * KT_TIMESCALE / t->timescale);
            const int64_t wall = p->rec.start_us + to_us(dts - p->rec.dts_90k);
            if (wall >= to_us_ && chunks > 0) {
                p->used = (uint32_t)view.at;
                p->rec.end_us = wall;
                p->rec.duration_90k = dts - p->rec.dts_90k;
                p->rec.chunks = chunks;
                p->rec.frames = frames;
                return 0;
            }
            frames++;
        }
        chunks++;
    }
    return more;
}

static int cut(const kt_clip *clip, struct piece *p, int64_t to_us_)
{
    if (p->rec.end_us <= to_us_)
        return 0;
    kt_cleanup(kt_freep) uint8_t *payload = malloc(p->rec.size);
    if (!payload)
        return -ENOMEM;
    const int ret = kt_ring_read(p->ring, &p->rec, payload);
    if (ret == -EBADMSG || ret == -ESTALE)
        return 0;                       /* found again, and told, when it is read */
    return ret < 0 ? ret : cut_record(payload, &clip->parameters[p->parameters].tracks, to_us_, p);
}

static int add_pieces(kt_clip *clip, const struct stretch *s, uint32_t *largest)
{
    for (size_t i = 0; i < s->n; i++) {
        struct piece *p = &clip->pieces[clip->n];
        p->ring = s->ring;
        p->rec = s->list[s->skip + i];
        p->used = p->rec.size;
        *largest = p->used > *largest ? p->used : *largest;
        const int ret = clip->segment ? 0 : add_parameters(clip, s->ring, p->rec.init, &p->parameters);
        if (ret < 0)
            return ret;
        clip->n++;
    }
    return clip->segment ? 0 : cut(clip, &clip->pieces[clip->n - 1], s->to_us);
}

/* Of stretches from the newest to the oldest. */
static int make_pieces(kt_clip *clip, const struct stretch *stretches, size_t n)
{
    uint32_t largest = 0;
    size_t records = 0;
    for (size_t i = 0; i < n; i++)
        records += stretches[i].n;
    clip->loaded = SIZE_MAX;
    clip->pieces = calloc(records, sizeof(*clip->pieces));
    if (!clip->pieces)
        return -ENOMEM;
    for (size_t i = n; i-- > 0;) {
        const int ret = add_pieces(clip, &stretches[i], &largest);
        if (ret < 0)
            return ret;
    }
    clip->raw = malloc(largest);
    clip->ready = malloc((size_t)largest + largest / 8 + 64);   /* a chunk has at least 32 bytes */
    return clip->raw && clip->ready ? 0 : -ENOMEM;
}

/* ---- opening ---- */

/* Records before the first key frame show nothing. */
static size_t without_key(const struct kt_record *recs, size_t n)
{
    size_t i = 0;
    while (i < n && !(recs[i].flags & KT_RECORD_KEY))
        i++;
    return i;
}

static int open_clip(kt_clip **out, bool segment, const struct stretch *stretches, size_t n)
{
    kt_cleanup(kt_clip_close) kt_clip *clip = calloc(1, sizeof(*clip));
    if (!clip)
        return -ENOMEM;
    clip->segment = segment;
    const int ret = make_pieces(clip, stretches, n);
    if (ret < 0)
        return ret;
    place_in_time(clip);
    place_in_file(clip);
    *out = kt_steal_ptr(&clip);
    return 0;
}

/* What each source adds in front of the ones before it. */
static int find_stretches(const struct kt_clip_source *sources, size_t n_sources, int64_t from_us, int64_t to_us_,
                          struct stretch *stretches, size_t *n)
{
    for (size_t i = 0; i < n_sources && from_us < to_us_; i++) {
        struct stretch *s = &stretches[*n];
        size_t count = 0;
        const int ret = kt_ring_query(sources[i].ring, sources[i].stream, from_us, to_us_, SIZE_MAX, &s->list,
                                      &count);
        if (ret < 0)
            return ret;
        s->skip = without_key(s->list, count);
        if (s->skip == count) {
            free(s->list);
            s->list = NULL;
            continue;
        }
        s->ring = sources[i].ring;
        s->n = count - s->skip;
        s->to_us = to_us_;
        to_us_ = s->list[s->skip].start_us;
        ++*n;
    }
    return 0;
}

int kt_clip_open_sources(kt_clip **out, const struct kt_clip_source *sources, size_t n_sources, int64_t from_us,
                         int64_t to_us_)
{
    kt_cleanup(kt_freep) struct stretch *stretches = calloc(n_sources + 1, sizeof(*stretches));
    size_t n = 0;
    if (!stretches)
        return -ENOMEM;
    int ret = find_stretches(sources, n_sources, from_us, to_us_, stretches, &n);
    if (ret == 0)
        ret = n == 0 ? -ENOENT : open_clip(out, false, stretches, n);
    for (size_t i = 0; i < n; i++)
        free(stretches[i].list);
    return ret;
}

int kt_clip_open(kt_clip **out, kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us_)
{
    return kt_clip_open_sources(out, &(struct kt_clip_source){ ring, stream }, 1, from_us, to_us_);
}

static int open_seq(kt_clip **out, kt_ring *ring, uint32_t stream, uint64_t first_seq, uint64_t last_seq,
                    bool segment)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    size_t n;
    const int ret = kt_ring_query_seq(ring, stream, first_seq, last_seq, &recs, &n);
    if (ret < 0)
        return ret;
    const struct stretch s = { .ring = ring, .list = recs, .n = n, .to_us = INT64_MAX };
    return n == 0 ? -ENOENT : open_clip(out, segment, &s, 1);
}

int kt_clip_open_records(kt_clip **out, kt_ring *ring, uint32_t stream, uint64_t first_seq, uint64_t last_seq)
{
    return open_seq(out, ring, stream, first_seq, last_seq, false);
}

int kt_clip_open_segment(kt_clip **out, kt_ring *ring, uint32_t stream, uint64_t first_seq,
                         uint64_t last_seq)
{
    return open_seq(out, ring, stream, first_seq, last_seq, true);
}

/* ---- reading ---- */

static int load(kt_clip *clip, size_t i)
{
    const struct piece *p = &clip->pieces[i];
    if (clip->loaded == i)
        return 0;
    clip->loaded = SIZE_MAX;
    int ret = kt_ring_read(p->ring, &p->rec, clip->raw);
    if (ret == 0 && clip->segment) {
        memcpy(clip->ready, clip->raw, p->used);
    } else if (ret == 0) {
        const struct parameters *par = &clip->parameters[p->parameters];
        size_t size = 0;
        ret = kt_boxes_rewrite(clip->raw, p->used, &par->tracks, p->shift_90k, par->indexed,
                               clip->ready, &size);
        if (ret == 0 && size != p->size)
            ret = -EBADMSG;
    }
    if (clip->skip_damaged && (ret == -EBADMSG || ret == -ESTALE || ret == -EIO) && p->size >= 8) {
        kt_boxes_fill(clip->ready, p->size);
        clip->info.damaged++;
        ret = 0;
    }
    if (ret == 0)
        clip->loaded = i;
    return ret;
}

/* The last piece that begins at or before OFFSET. */
static size_t piece_at(const kt_clip *clip, uint64_t offset)
{
    size_t lo = 0, hi = clip->n;
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (clip->pieces[mid].at <= offset)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

ssize_t kt_clip_read(kt_clip *clip, uint64_t offset, void *buf, size_t n)
{
    size_t done = 0;
    while (done < n && offset < clip->info.size) {
        const uint8_t *from = clip->head + offset;
        uint64_t left = clip->head_size - offset;
        if (offset >= clip->head_size) {
            const size_t i = piece_at(clip, offset);
            const int ret = load(clip, i);
            if (ret < 0)
                return done > 0 ? (ssize_t)done : ret;
            from = clip->ready + (offset - clip->pieces[i].at);
            left = clip->pieces[i].size - (offset - clip->pieces[i].at);
        }
        const size_t take = left < n - done ? (size_t)left : n - done;
        memcpy((uint8_t *)buf + done, from, take);
        done += take;
        offset += take;
    }
    return (ssize_t)done;
}

/* ---- HLS ---- */

static void add_to_segments(struct kt_segment *list, size_t *n, const struct kt_record *rec,
                            int64_t target_us)
{
    struct kt_segment *s = *n > 0 ? &list[*n - 1] : NULL;
    const bool key = rec->flags & KT_RECORD_KEY;
    const bool other_run = s && s->run != rec->run;
    if (!key && (!s || other_run))
        return;                         /* nothing to decode it from */
    if (!s || other_run || (key && s->duration_us >= target_us)) {
        s = &list[(*n)++];
        *s = (struct kt_segment){ .first_seq = rec->seq, .run = rec->run, .start_us = rec->start_us,
                                  .discontinuity = other_run };
        memcpy(s->init, rec->init, KT_HASH_SIZE);
    }
    s->last_seq = rec->seq;
    s->duration_us = rec->end_us - s->start_us;
}

int kt_clip_segments(kt_ring *ring, uint32_t stream, int64_t from_us, int64_t to_us_,
                     int64_t target_us, struct kt_segment **out, size_t *n)
{
    kt_cleanup(kt_freep) struct kt_record *recs = NULL;
    size_t count;
    *out = NULL;
    *n = 0;
    const int ret = kt_ring_query(ring, stream, from_us, to_us_, SIZE_MAX, &recs, &count);
    if (ret < 0 || count == 0)
        return ret;
    struct kt_segment *list = calloc(count, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        add_to_segments(list, n, &recs[i], target_us);
    if (*n == 0)
        free(list);
    else
        *out = list;
    return 0;
}

#include "storage/ring/boxes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/chunk.h"

struct box {
    size_t at, size, body;              /* body: where the content begins */
    const uint8_t *type;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const uint8_t *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)(v >> 32));
    put32(p + 4, (uint32_t)v);
}

static bool is(const struct box *b, const char *type)
{
    return memcmp(b->type, type, 4) == 0;
}

/* The box at AT of what ends at END. */
static bool box_at(const uint8_t *d, size_t at, size_t end, struct box *b)
{
    if (at > end || end - at < 8)
        return false;
    uint64_t size = be32(d + at);
    size_t head = 8;
    if (size == 1 && end - at >= 16) {
        size = be64(d + at + 8);
        head = 16;
    }
    if (size < head || size > end - at)
        return false;
    *b = (struct box){ .at = at, .size = (size_t)size, .body = at + head, .type = d + at + 4 };
    return true;
}

/* The Nth box TYPE inside PARENT. */
static bool child(const uint8_t *d, const struct box *parent, const char *type, int n, struct box *b)
{
    const size_t end = parent->at + parent->size;
    for (size_t at = parent->body; box_at(d, at, end, b); at = b->at + b->size)
        if (is(b, type) && n-- == 0)
            return true;
    return false;
}

static struct box whole(size_t size)
{
    return (struct box){ .at = 0, .size = size, .body = 0 };
}

static bool holds(const struct box *b, size_t n)
{
    return b->at + b->size - b->body >= n;
}

/* ---- init segments ---- */

enum { MOOV, TRAK, MDIA, MINF, STBL, STSD, DEPTH };

/* The boxes from moov down to the sample table of the Nth track. */
static bool find_stsd(const uint8_t *d, size_t size, int n, struct box path[DEPTH])
{
    const struct box file = whole(size);
    return child(d, &file, "moov", 0, &path[MOOV]) && child(d, &path[MOOV], "trak", n, &path[TRAK]) &&
           child(d, &path[TRAK], "mdia", 0, &path[MDIA]) &&
           child(d, &path[MDIA], "minf", 0, &path[MINF]) &&
           child(d, &path[MINF], "stbl", 0, &path[STBL]) &&
           child(d, &path[STBL], "stsd", 0, &path[STSD]) && holds(&path[STSD], 8);
}

static bool read_track(const uint8_t *d, const struct box path[DEPTH], struct kt_track *t)
{
    struct box tkhd, mdhd, hdlr;
    if (!child(d, &path[TRAK], "tkhd", 0, &tkhd) || !child(d, &path[MDIA], "mdhd", 0, &mdhd) ||
        !child(d, &path[MDIA], "hdlr", 0, &hdlr) || !holds(&tkhd, 24) || !holds(&mdhd, 24) ||
        !holds(&hdlr, 12))
        return false;
    t->id = be32(d + tkhd.body + (d[tkhd.body] == 1 ? 20 : 12));
    t->timescale = be32(d + mdhd.body + (d[mdhd.body] == 1 ? 20 : 12));
    t->video = memcmp(d + hdlr.body + 8, "vide", 4) == 0;
    t->entry = 1;
    return t->timescale > 0;
}

int kt_boxes_tracks(const uint8_t *init, size_t size, struct kt_tracks *out)
{
    struct box path[DEPTH];
    out->n = 0;
    while (out->n < KT_BOXES_TRACKS && find_stsd(init, size, (int)out->n, path)) {
        if (!read_track(init, path, &out->a[out->n]))
            return -EBADMSG;
        out->n++;
    }
    return out->n > 0 ? 0 : -EBADMSG;
}

/* Which entry of the table equals these bytes? 0: none. */
static uint32_t find_entry(const uint8_t *d, const struct box *stsd, const uint8_t *entry, size_t size)
{
    const size_t end = stsd->at + stsd->size;
    struct box b;
    uint32_t n = 1;
    for (size_t at = stsd->body + 8; box_at(d, at, end, &b); at = b.at + b.size, n++)
        if (b.size == size && memcmp(d + b.at, entry, size) == 0)
            return n;
    return 0;
}

/* Put an entry at the end of the table; every box around it grows. */
static int append_entry(uint8_t **base, size_t *size, const struct box path[DEPTH],
                        const uint8_t *entry, size_t n, uint32_t *index)
{
    uint8_t *d = realloc(*base, *size + n);
    if (!d)
        return -ENOMEM;
    *base = d;
    const size_t at = path[STSD].at + path[STSD].size;
    memmove(d + at + n, d + at, *size - at);
    memcpy(d + at, entry, n);
    *size += n;
    for (int i = 0; i < DEPTH; i++)
        put32(d + path[i].at, be32(d + path[i].at) + (uint32_t)n);
    uint8_t *count = d + path[STSD].body + 4;
    *index = be32(count) + 1;
    put32(count, *index);
    return 0;
}

/* TRACK of another init segment, whose first sample entry is ENTRY. */
static int merge_track(uint8_t **base, size_t *size, struct kt_track *track, const uint8_t *entry,
                       size_t entry_size)
{
    struct box path[DEPTH];
    struct kt_track mine;
    track->entry = 0;
    for (int n = 0; n < KT_BOXES_TRACKS && find_stsd(*base, *size, n, path); n++) {
        if (!read_track(*base, path, &mine) || mine.id != track->id)
            continue;
        if (mine.timescale != track->timescale || mine.video != track->video)
            return 0;
        track->entry = find_entry(*base, &path[STSD], entry, entry_size);
        if (track->entry > 0)
            return 0;
        return append_entry(base, size, path, entry, entry_size, &track->entry);
    }
    return 0;
}

int kt_boxes_merge(uint8_t **base, size_t *size, const uint8_t *more, size_t more_size,
                   struct kt_tracks *tracks)
{
    int ret = kt_boxes_tracks(more, more_size, tracks);
    for (size_t i = 0; i < tracks->n && ret == 0; i++) {
        struct box path[DEPTH], entry;
        if (!find_stsd(more, more_size, (int)i, path) ||
            !box_at(more, path[STSD].body + 8, path[STSD].at + path[STSD].size, &entry))
            return -EBADMSG;
        ret = merge_track(base, size, &tracks->a[i], more + entry.at, entry.size);
    }
    return ret;
}

/* ---- chunks ---- */

enum { MOOF, TRAF, TFHD, TFDT, TRUN, CHUNK_DEPTH };

static bool open_moof(const uint8_t *d, const struct box *moof, struct box b[CHUNK_DEPTH])
{
    b[MOOF] = *moof;
    return child(d, moof, "traf", 0, &b[TRAF]) && child(d, &b[TRAF], "tfhd", 0, &b[TFHD]) &&
           child(d, &b[TRAF], "tfdt", 0, &b[TFDT]) && child(d, &b[TRAF], "trun", 0, &b[TRUN]) &&
           holds(&b[TFHD], 8) && holds(&b[TFDT], 12) && d[b[TFDT].body] == 1 && holds(&b[TRUN], 12);
}

int kt_boxes_next(const uint8_t *d, size_t size, size_t *at, struct kt_chunk_view *out)
{
    struct box moof, mdat, b[CHUNK_DEPTH];
    if (*at == size)
        return 0;
    if (!box_at(d, *at, size, &moof) || !is(&moof, "moof") || !open_moof(d, &moof, b) ||
        !box_at(d, moof.at + moof.size, size, &mdat) || !is(&mdat, "mdat"))
        return -EBADMSG;
    *out = (struct kt_chunk_view){ .at = moof.at, .size = moof.size + mdat.size,
                                   .track = be32(d + b[TFHD].body + 4),
                                   .tfdt = be64(d + b[TFDT].body + 4) };
    *at = mdat.at + mdat.size;
    return 1;
}

void kt_boxes_fill(uint8_t *out, size_t size)
{
    put32(out, (uint32_t)size);
    memcpy(out + 4, "free", 4);
    memset(out + 8, 0, size - 8);
}

static const struct kt_track *track_of(const struct kt_tracks *tracks, uint32_t id)
{
    for (size_t i = 0; i < tracks->n; i++)
        if (tracks->a[i].id == id)
            return tracks->a[i].entry > 0 ? &tracks->a[i] : NULL;
    return NULL;
}

/* Name the sample entry in a tfhd that does not: four bytes more, all around. */
static int insert_entry(uint8_t *d, size_t size, uint32_t entry)
{
    struct box moof, b[CHUNK_DEPTH];
    if (!box_at(d, 0, size, &moof) || !open_moof(d, &moof, b))
        return -EBADMSG;
    const uint32_t flags = be32(d + b[TFHD].body) & 0xffffff, trun = be32(d + b[TRUN].body);
    /* Base data offset or an entry of its own: not by the muxer that made these. */
    if (flags & 0x3 || !(trun & 0x1))
        return -EBADMSG;
    const size_t at = b[TFHD].body + 8;
    put32(d + b[TFHD].body, be32(d + b[TFHD].body) | 0x2);
    put32(d + b[TRUN].body + 8, be32(d + b[TRUN].body + 8) + 4);
    put32(d + b[MOOF].at, (uint32_t)b[MOOF].size + 4);
    put32(d + b[TRAF].at, (uint32_t)b[TRAF].size + 4);
    put32(d + b[TFHD].at, (uint32_t)b[TFHD].size + 4);
    memmove(d + at + 4, d + at, size - at);
    put32(d + at, entry);
    return 0;
}

static int rewrite_one(uint8_t *d, size_t size, const struct kt_chunk_view *view,
                       const struct kt_track *track, int64_t shift_90k, bool indexed)
{
    struct box moof, b[CHUNK_DEPTH];
    const size_t full = size + (indexed ? 4 : 0);
    int64_t time = 0;
    if (track) {
        const double shift = (double)shift_90k * track->timescale / KT_TIMESCALE;
        time = (int64_t)view->tfdt + (track->timescale == KT_TIMESCALE
                                      ? shift_90k : (int64_t)(shift < 0 ? shift - 0.5 : shift + 0.5));
    }
    if (!track || time < 0) {
        kt_boxes_fill(d, full);
        return 0;
    }
    if (!box_at(d, 0, size, &moof) || !open_moof(d, &moof, b))
        return -EBADMSG;
    put64(d + b[TFDT].body + 4, (uint64_t)time);
    return indexed ? insert_entry(d, size, track->entry) : 0;
}

int kt_boxes_rewrite(const uint8_t *payload, size_t size, const struct kt_tracks *tracks,
                     int64_t shift_90k, bool indexed, uint8_t *out, size_t *out_size)
{
    struct kt_chunk_view view;
    size_t at = 0, to = 0;
    int more;
    while ((more = kt_boxes_next(payload, size, &at, &view)) == 1) {
        memcpy(out + to, payload + view.at, view.size);
        const int ret = rewrite_one(out + to, view.size, &view, track_of(tracks, view.track),
                                    shift_90k, indexed);
        if (ret < 0)
            return ret;
        to += view.size + (indexed ? 4 : 0);
    }
    *out_size = to;
    return more;
}

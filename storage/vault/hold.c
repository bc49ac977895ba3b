/* hold.c - from the rings into the vault. */
#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/vault/export_box.h"
#include "storage/vault/hold_plan.h"
#include "storage/vault/hold_records.h"
#include "storage/vault/mp4_hash.h"
#include "storage/vault/vault_file.h"
#include "storage/vault/vault_private.h"

#define BOX_ROOM 8192                           /* more than names and addresses may take */
#define STRETCH_US (30 * 60 * KT_SECOND_US)     /* in one file, at most */
#define MAX_STALE 8                             /* times that the rings may overtake the copy */

struct copying {
    kt_vault *vault;
    const struct kt_hold *hold;
    const struct kt_vault_source *source;
    struct kt_hold_plan plan;           /* what is still to be copied */
    struct kt_cover cover;              /* what is copied or planned */
    struct kt_cover_span stale;         /* of which something was overwritten before it was copied */
    int times_stale;
    uint64_t done, total;               /* bytes of video */
    uint64_t room, kept;                /* bytes beside it that may be, and whole files that are, written */
    kt_vault_progress progress;
    void *user;
    uint8_t *buf;
};

/* ------------------------------ what there is to do ------------------------------ */

static kt_ring *ring_of(const struct copying *c, const struct kt_hold_stretch *s)
{
    return c->plan.rings[s->ring].ring;
}

static int count_copied(struct copying *c)
{
    struct kt_hold_file *files = NULL;
    size_t n = 0;
    const int ret = kt_catalog_hold_files(kt_vault_catalog(c->vault), c->hold->id, &files, &n);
    c->done = 0;
    for (size_t i = 0; i < n; i++)
        c->done += files[i].size_bytes;
    kt_hold_file_list_free(&files, n);
    return ret;
}

/* Whole records: the last may end up to a second late, and is then what the ring hashed. */
static int open_stretch(const struct copying *c, const struct kt_hold_stretch *s, kt_clip **out)
{
    const int ret = kt_clip_open_records(out, ring_of(c, s), s->stream, s->records.first_seq,
                                         s->records.last_seq);
    return ret == -ENOENT ? -ESTALE : ret;
}

/* The bytes of all stretches. What was overwritten since the plan was made is seen when it is copied. */
static int measure(struct copying *c)
{
    c->room = c->kept = 0;
    for (size_t i = 0; i < c->plan.n; i++) {
        kt_cleanup(kt_clip_close) kt_clip *clip = NULL;
        struct kt_clip_info info;
        const int ret = open_stretch(c, &c->plan.stretches[i], &clip);
        if (ret == -ESTALE)
            continue;
        if (ret < 0)
            return ret;
        kt_clip_info(clip, &info);
        c->total += info.size;
        c->room += BOX_ROOM + kt_hold_chain_room(&c->plan.stretches[i].records);
    }
    return 0;
}

/* What the files have, and all damage that is known. */
static int look_at_files(struct copying *c)
{
    struct kt_cover_span *damage = c->cover.damage;     /* found in this call: stays known */
    const size_t n_damage = c->cover.n_damage;
    c->cover.damage = NULL;
    kt_cover_free(&c->cover);
    int ret = kt_vault_hold_cover(c->vault, c->hold, &c->cover);
    for (size_t i = 0; ret == 0 && i < n_damage; i++)
        ret = kt_cover_add_damage(&c->cover, damage[i].from_us, damage[i].to_us);
    free(damage);
    return ret;
}

static int plan(struct copying *c, struct kt_error *err)
{
    const char *name = c->plan.stream;
    int ret = count_copied(c);
    if (ret == 0)
        ret = look_at_files(c);
    if (ret == 0)
        ret = kt_hold_plan_make(&c->plan, &c->cover);
    if (ret < 0)
        return kt_error_set(err, ret, "%s: %s", name, kt_strerror(ret));
    if (!c->plan.known)
        return kt_error_set(err, -ENOENT, "nothing is recorded of %s", name);
    if (c->plan.n == 0 && c->done == 0)
        return kt_error_set(err, -ENOENT, "nothing is recorded of %s at that time", name);
    c->total = c->done;
    return measure(c);
}

/* ------------------------------ one stretch ------------------------------ */

static int put(kt_vault_file *file, kt_mp4_hash *hash, const uint8_t *data, size_t n)
{
    const int ret = kt_vault_file_append(file, data, n);
    return ret < 0 ? ret : kt_mp4_hash_feed(hash, data, n);
}

/* Bytes in front of the first fragment: all of that is in the buffer. */
static size_t head_size(const uint8_t *data, size_t n)
{
    size_t at = 0;
    while (n - at >= 8 && memcmp(data + at + 4, "moof", 4) != 0) {
        const size_t size = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 |
                            data[at + 3];
        if (size < 8 || size > n - at)
            return 0;
        at += size;
    }
    return at;
}

/* The file's head, and then where it comes from. */
static int put_head(struct copying *c, kt_clip *clip, kt_vault_file *file, kt_mp4_hash *hash, size_t n)
{
    struct kt_clip_info info;
    kt_cleanup(kt_freep) uint8_t *box = NULL;
    size_t box_size = 0;
    const size_t head = head_size(c->buf, n);
    kt_clip_info(clip, &info);
    const struct kt_export_box about = {
        .unit = c->source ? c->source->unit : NULL, .operator_name = c->hold->created_by,
        .source_name = c->source ? c->source->name : NULL, .source_url = c->source ? c->source->address : NULL,
        .exported_us = kt_clock_wall_us(), .start_us = info.start_us };
    int ret = head > 0 ? kt_export_box_make(&about, c->buf, head, &box, &box_size) : -EBADMSG;
    if (ret == 0)
        ret = put(file, hash, c->buf, head);
    if (ret == 0)
        ret = put(file, hash, box, box_size);
    return ret < 0 ? ret : put(file, hash, c->buf + head, n - head);
}

static int put_bytes(struct copying *c, kt_clip *clip, kt_vault_file *file, kt_mp4_hash *hash)
{
    uint64_t at = 0;
    for (;;) {
        const ssize_t n = kt_clip_read(clip, at, c->buf, KT_VAULT_BUFFER);
        if (n <= 0)
            return (int)n;
        const int ret = at == 0 ? put_head(c, clip, file, hash, (size_t)n) : put(file, hash, c->buf, (size_t)n);
        if (ret < 0)
            return ret;
        at += (uint64_t)n;
        c->done += (uint64_t)n;
        if (c->progress && c->progress(c->user, c->done, c->total))
            return -ECANCELED;
    }
}

static void name_file(const struct copying *c, int64_t start_us, size_t ring, char *out, size_t cap)
{
    const time_t t = (time_t)(start_us / KT_SECOND_US);
    struct tm tm;
    char when[32], from[24] = "";
    gmtime_r(&t, &tm);
    strftime(when, sizeof(when), "%Y%m%dT%H%M%S", &tm);
    /* Another ring may have the same GOP: it gets another name. */
    snprintf(from, sizeof(from), ring > 0 ? "-%zu" : "", ring + 1);
    snprintf(out, cap, "hold-%lld-%s-%s-%s.%03dZ%s.mp4", (long long)c->hold->id, c->hold->camera,
             c->hold->stream, when, (int)(start_us % KT_SECOND_US / 1000), from);
}

/* Write the stretch to disk under its name, and then list it. */
static int copy_to_file(struct copying *c, kt_clip *clip, struct kt_hold_file *row)
{
    kt_cleanup(kt_vault_file_discard) kt_vault_file *file = NULL;
    kt_cleanup(kt_mp4_hash_free) kt_mp4_hash *hash = NULL;
    struct kt_vault_file_info info;
    struct kt_mp4_facts facts;
    int ret = kt_mp4_hash_create(&hash);
    if (ret == 0)
        ret = kt_vault_file_create(&file, kt_vault_dir(c->vault), row->name, row->start_us);
    if (ret == 0)
        ret = put_bytes(c, clip, file, hash);
    if (ret == 0)
        ret = kt_mp4_hash_finish(hash, &facts);
    if (ret == 0)
        ret = kt_vault_file_commit(&file, &info);
    if (ret < 0)
        return ret;
    row->size_bytes = info.size_bytes;
    row->frames = facts.frames;
    memcpy(row->sha256, info.sha256, sizeof(row->sha256));
    memcpy(row->stream_hash, facts.stream_hash, sizeof(row->stream_hash));
    ret = kt_catalog_hold_file_add(kt_vault_catalog(c->vault), row);
    if (ret < 0)                        /* a file without a row is nobody's */
        (void)unlinkat(kt_vault_dir(c->vault), row->name, 0);
    return ret;
}

static int copy_stretch(struct copying *c, const struct kt_hold_stretch *s)
{
    kt_cleanup(kt_clip_close) kt_clip *clip = NULL;
    struct kt_clip_info info;
    int ret = open_stretch(c, s, &clip);
    if (ret < 0)
        return ret;
    kt_clip_info(clip, &info);
    if (info.start_us != s->records.start_us)
        return -ESTALE;                 /* a part of it was overwritten */
    struct kt_hold_file row = { .hold = c->hold->id, .start_us = info.start_us, .end_us = info.end_us,
                                .run = s->records.run };
    snprintf(row.mime, sizeof(row.mime), "%s", info.mime);
    name_file(c, info.start_us, s->ring, row.name, sizeof(row.name));
    kt_cleanup(kt_freep) char *records = NULL;
    uint64_t chain = 0;
    ret = kt_hold_records_make(c->vault, ring_of(c, s), s->stream, &s->records, row.name, &records, &chain);
    row.records = records;
    if (ret == 0)
        ret = copy_to_file(c, clip, &row);
    if (ret == 0) {
        c->kept += row.size_bytes + chain;
    } else {
        char name[192];
        kt_hold_chain_name(row.name, name, sizeof(name));
        (void)unlinkat(kt_vault_dir(c->vault), name, 0);
    }
    return ret;
}

/* ------------------------------ all of them ------------------------------ */

/* Can the copy go on, after RET at stretch S, with a plan that is made anew? */
static bool goes_around(struct copying *c, const struct kt_hold_stretch *s, int ret)
{
    const int64_t end_us = s->records.start_us + s->records.duration_us;
    if (ret == -EBADMSG || ret == -EIO)
        return kt_hold_plan_around(&c->plan, s, &c->cover) == 0;
    if (ret != -ESTALE || c->times_stale++ >= MAX_STALE)
        return false;
    if (c->stale.to_us == 0 || s->records.start_us < c->stale.from_us)
        c->stale.from_us = s->records.start_us;
    c->stale.to_us = end_us > c->stale.to_us ? end_us : c->stale.to_us;
    return true;
}

/* 1: plan anew. */
static int copy_all(struct copying *c, struct kt_error *err)
{
    const uint64_t needed = c->total - c->done + c->room;
    size_t i = 0;
    int ret = kt_vault_reserve(c->vault, needed);
    if (ret < 0)
        return kt_error_set(err, ret, "the vault has no room for %.1f MB more: let go of something first",
                            (double)needed / 1e6);
    while (ret == 0 && i < c->plan.n)
        ret = copy_stretch(c, &c->plan.stretches[i++]);
    kt_vault_unreserve(c->vault, needed - (c->kept < needed ? c->kept : needed));
    if (ret < 0 && goes_around(c, &c->plan.stretches[i - 1], ret))
        return 1;
    return ret < 0 ? kt_error_set(err, ret, "copying stopped: %s", kt_strerror(ret)) : 0;
}

/* Is all there of what was overwritten under the copy? Another ring may have had it. */
static int judge_stale(const struct copying *c, struct kt_error *err)
{
    const int64_t from = c->stale.from_us > c->hold->from_us ? c->stale.from_us : c->hold->from_us;
    const int64_t to = c->stale.to_us < c->hold->to_us ? c->stale.to_us : c->hold->to_us;
    if (kt_cover_missing(&c->cover, from, to) < KT_COVER_SLACK_US)
        return 0;
    return kt_error_set(err, -ESTALE, "the oldest part was overwritten before it could be copied");
}

/* Also of what is not whole: a package can be made of it. */
static int note_gaps(struct copying *c)
{
    const int ret = look_at_files(c);
    return ret < 0 ? ret : kt_vault_note_gaps(c->vault, c->plan.rings, c->plan.n_rings, c->plan.stream, c->hold,
                                              &c->cover);
}

int kt_vault_hold(kt_vault *vault, const struct kt_vault_ring *rings, size_t n_rings, const struct kt_hold *hold,
                  const struct kt_vault_source *source, kt_vault_progress progress, void *user,
                  struct kt_error *err)
{
    char name[KT_STREAM_NAME_MAX + 1];
    struct copying c = { .vault = vault, .hold = hold, .source = source, .progress = progress, .user = user,
                         .plan = { .rings = rings, .n_rings = n_rings, .stream = name, .from_us = hold->from_us,
                                   .to_us = hold->to_us, .stretch_us = STRETCH_US } };
    snprintf(name, sizeof(name), "%s/%s", hold->camera, hold->stream);
    c.buf = malloc(KT_VAULT_BUFFER);
    int ret = c.buf ? 1 : -ENOMEM;
    while (ret == 1) {
        ret = plan(&c, err);
        if (ret == 0)
            ret = copy_all(&c, err);
    }
    if (ret == 0)
        ret = judge_stale(&c, err);
    const int noted = note_gaps(&c);
    kt_hold_plan_free(&c.plan);
    kt_cover_free(&c.cover);
    free(c.buf);
    return ret < 0 ? ret : noted;
}

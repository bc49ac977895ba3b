/* package_chain.c - the recorder's own log, as it was when the video was held: each header
 * follows the one before, the head behind them was signed then, the records are those of the
 * manifest, and the clip's bytes are what was hashed when they were recorded. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/text.h"
#include "storage/catalog/db.h"
#include "storage/ring/boxes.h"
#include "storage/ring/format.h"
#include "storage/vault/package_private.h"

#define HEAD_MAX (1u << 20)             /* of an MP4, before its first fragment */

/* One log while it flows by. */
struct log_walk {
    uint8_t part[KT_HEADER_SIZE];       /* of a header */
    size_t have;
    struct kt_header last;
    uint64_t n;
    uint64_t first_seq;
    uint8_t uuid[KT_UUID_SIZE];
    uint32_t stream;                    /* the clip's */
    struct kt_header *own;              /* its records, in order */
    size_t n_own;
    const char *fault;
};

struct chain {
    const struct kt_chain_check *x;
    const char *name;                   /* of the clip */
    const json_t *about;                /* "chain" of the manifest */
    json_t *records;
    struct log_walk log;
    int faults;
};

static int fault(struct chain *c, const char *fmt, ...) kt_printf(2, 3);

static int fault(struct chain *c, const char *fmt, ...)
{
    char what[200], text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    snprintf(text, sizeof(text), "%s: %s", c->name, what);
    c->faults++;
    c->x->say(c->x->user, false, text);
    return -EBADMSG;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

/* ------------------------------ the log ------------------------------ */

static int bad_log(struct log_walk *w, const char *what)
{
    w->fault = what;
    return -EBADMSG;
}

static int take_header(struct log_walk *w)
{
    struct kt_header h;
    if (kt_header_decode(&h, w->part) < 0)
        return bad_log(w, "a header of the recorder's log was changed: its hash does not fit");
    if (memcmp(h.uuid, w->uuid, KT_UUID_SIZE) != 0)
        return bad_log(w, "the recorder's log has a header of another ring");
    if (w->n == 0 && h.seq != w->first_seq)
        return bad_log(w, "the recorder's log does not begin where the manifest says");
    if (w->n > 0 && (h.seq != w->last.seq + 1 || memcmp(h.prev, w->last.hash, KT_HASH_SIZE) != 0))
        return bad_log(w, "the recorder's log is no chain: a header is missing, added or out of order");
    w->last = h;
    w->n++;
    if (h.type != KT_TYPE_MEDIA || h.stream != w->stream)
        return 0;
    const int ret = kt_db_grow(&w->own, w->n_own, sizeof(*w->own));
    if (ret == 0)
        w->own[w->n_own++] = h;
    return ret;
}

static int feed_log(void *user, const void *data, size_t n)
{
    struct log_walk *w = user;
    const uint8_t *p = data;
    int ret = 0;
    while (n > 0 && ret == 0) {
        const size_t take = n < KT_HEADER_SIZE - w->have ? n : KT_HEADER_SIZE - w->have;
        memcpy(w->part + w->have, p, take);
        w->have += take;
        p += take;
        n -= take;
        if (w->have == KT_HEADER_SIZE) {
            w->have = 0;
            ret = take_header(w);
        }
    }
    return ret;
}

static int walk_log(struct chain *c)
{
    struct log_walk *w = &c->log;
    char uuid[33];
    size_t n = 0;
    const int i = kt_bag_find(c->x->bag, text_of(c->about, "file"));
    for (const char *p = text_of(c->about, "ring"); *p && n < 32; p++)
        if (*p != '-')
            uuid[n++] = *p;
    uuid[n] = '\0';
    if (i < 0 || kt_unhex(w->uuid, sizeof(w->uuid), uuid) < 0)
        return fault(c, "the recorder's log is missing");
    w->first_seq = (uint64_t)number_of(c->about, "first_record");
    w->stream = (uint32_t)number_of(c->about, "stream");
    if (kt_bag_read(c->x->bag, (size_t)i, feed_log, w) < 0 || w->have > 0 || w->n == 0)
        return fault(c, "%s", w->fault ? w->fault : "the recorder's log ends in the middle of a header");
    if (w->last.type != KT_TYPE_HEAD || w->last.seq != (uint64_t)number_of(c->about, "last_record"))
        return fault(c, "the recorder's log does not end with the signed head that the manifest names");
    return 0;
}

/* ------------------------------ the signed head ------------------------------ */

/* HEAD and SIG must be the payload of the log's last header, as the recorder wrote it. */
static bool is_last_payload(const struct chain *c, const char *head, const char *sig, size_t sig_size)
{
    uint8_t payload[KT_HEAD_MAX], hash[KT_HASH_SIZE];
    memcpy(payload, head, KT_HEAD_SIGNED);
    payload[KT_HEAD_SIGNED] = (uint8_t)sig_size;
    payload[KT_HEAD_SIGNED + 1] = (uint8_t)(sig_size >> 8);
    memcpy(payload + KT_HEAD_SIGNED + 2, sig, sig_size);
    kt_sha256(hash, payload, KT_HEAD_SIGNED + 2 + sig_size);
    return memcmp(hash, c->log.last.payload, KT_HASH_SIZE) == 0;
}

static int compare_head(struct chain *c, const char *head, const char *sig, size_t sig_size, const char *pem)
{
    struct kt_head h;
    const uint8_t *unused;
    size_t unused_size;
    uint8_t whole[KT_HEAD_MAX] = { 0 };
    char key[65], hex[65], fingerprint[65];
    memcpy(whole, head, KT_HEAD_SIGNED);
    whole[KT_HEAD_SIGNED] = (uint8_t)sig_size;
    memcpy(whole + KT_HEAD_SIGNED + 2, sig, sig_size);
    if (kt_head_decode(&h, &unused, &unused_size, whole, KT_HEAD_SIGNED + 2 + sig_size) < 0 ||
        !is_last_payload(c, head, sig, sig_size) || h.seq + 1 != c->log.last.seq ||
        memcmp(h.hash, c->log.last.prev, KT_HASH_SIZE) != 0)
        return fault(c, "the signed head is not the one in the recorder's log");
    kt_hex(hex, h.hash, KT_HASH_SIZE);
    kt_hex(key, h.key, KT_HASH_SIZE);
    int64_t told;
    if (strcmp(hex, text_of(c->about, "head_hash")) != 0 ||
        kt_rfc3339_parse(text_of(c->about, "signed"), &told) < 0 || told / 1000 != h.written_us / 1000)
        return fault(c, "the manifest tells of another head than the signed one");
    if (kt_public_key_fingerprint(pem, fingerprint) < 0 || strcmp(fingerprint, key) != 0 ||
        strcmp(key, text_of(c->about, "key_fingerprint")) != 0)
        return fault(c, "the head was signed with another key than the ring's");
    if (kt_signer_verify(pem, head, KT_HEAD_SIGNED, (const uint8_t *)sig, sig_size) < 0)
        return fault(c, "the signature of the recorder's log is wrong");
    return 0;
}

static int check_head(struct chain *c)
{
    kt_cleanup(kt_freep) char *head = NULL, *sig = NULL, *pem = NULL;
    size_t head_size, sig_size, pem_size;
    if (kt_bag_text(c->x->bag, text_of(c->about, "head"), &head, &head_size) < 0 ||
        kt_bag_text(c->x->bag, text_of(c->about, "signature"), &sig, &sig_size) < 0 ||
        kt_bag_text(c->x->bag, text_of(c->about, "key"), &pem, &pem_size) < 0 ||
        head_size != KT_HEAD_SIGNED || sig_size == 0 || sig_size > 80)
        return fault(c, "the signed head of the recorder's log is missing or no head");
    return compare_head(c, head, sig, sig_size, pem);
}

/* ------------------------------ the records ------------------------------ */

/* The log is in order: see take_header(). */
static const struct kt_header *own_record(const struct chain *c, uint64_t seq)
{
    size_t lo = 0, hi = c->log.n_own;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (c->log.own[mid].seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->log.n_own && c->log.own[lo].seq == seq ? &c->log.own[lo] : NULL;
}

static int64_t item(const json_t *rec, size_t i)
{
    return json_integer_value(json_array_get(rec, i));
}

/* Does a gap of the manifest say why a record that the recorder wrote is not here? That the camera was
 * silent then is no reason: the log knows better. */
static bool is_accounted_for(const struct chain *c, const struct kt_header *h)
{
    static const char *const reasons[] = { "erased", "damaged", "not-recorded" };
    size_t i;
    json_t *gap;
    json_array_foreach(c->x->gaps, i, gap) {
        int64_t from, to;
        bool reason = false;
        for (size_t k = 0; k < KT_ARRAY_SIZE(reasons); k++)
            reason |= strcmp(text_of(gap, "reason"), reasons[k]) == 0;
        if (reason && kt_rfc3339_parse(text_of(gap, "from"), &from) == 0 &&
            kt_rfc3339_parse(text_of(gap, "to"), &to) == 0 && from < h->end_us && to > h->start_us)
            return true;
    }
    return false;
}

/* All that the recorder wrote between the clip's first record and its last is in the clip. */
static int check_left_out(struct chain *c)
{
    size_t at = 0;
    const size_t n = json_array_size(c->records);
    const uint64_t run = (uint64_t)number_of(c->x->clip, "run");
    for (size_t i = 0; i < c->log.n_own && at < n; i++) {
        const struct kt_header *h = &c->log.own[i];
        if (h->seq == (uint64_t)item(json_array_get(c->records, at), 0))
            at++;
        else if (at > 0 && h->run == run && !is_accounted_for(c, h))
            return fault(c, "record %" PRIu64 " of the recorder's log was left out, and no gap says why", h->seq);
    }
    return 0;
}

static int check_records(struct chain *c)
{
    size_t i;
    json_t *rec;
    const uint64_t run = (uint64_t)number_of(c->x->clip, "run");
    json_array_foreach(c->records, i, rec) {
        const struct kt_header *h = own_record(c, (uint64_t)item(rec, 0));
        if (!h)
            return fault(c, "record %" PRId64 " is not in the recorder's log", item(rec, 0));
        if (h->run != run || h->start_us != item(rec, 1) || h->end_us != item(rec, 2) ||
            h->frames != (uint32_t)item(rec, 3) || h->size != (uint32_t)item(rec, 4) ||
            h->flags != (uint32_t)item(rec, 5))
            return fault(c, "record %" PRId64 " was another in the recorder's log", item(rec, 0));
    }
    int64_t from, to;
    const json_t *recorded = json_object_get(c->x->clip, "recorded");
    const size_t n = json_array_size(c->records);
    if (n == 0 || kt_rfc3339_parse(text_of(recorded, "from"), &from) < 0 ||
        kt_rfc3339_parse(text_of(recorded, "to"), &to) < 0 ||
        from / 1000 != item(json_array_get(c->records, 0), 1) / 1000 ||
        to / 1000 != item(json_array_get(c->records, n - 1), 2) / 1000)
        return fault(c, "the times of the manifest are not those of the recorder's log");
    return 0;
}

/* ------------------------------ the video ------------------------------ */

/* The clip's bytes, given back their times, record by record. */
struct rebuild {
    struct chain *c;
    struct kt_tracks tracks;
    bool in_records;
    uint8_t *buf, *out;
    size_t have, cap;
    size_t at;                          /* number of the record being collected */
    int64_t shift_90k;
    size_t unknown;                     /* records whose bytes cannot be given back */
};

/* The next record of the clip; NULL behind the last. */
static const struct kt_header *wanted(const struct rebuild *r)
{
    const json_t *rec = json_array_get(r->c->records, r->at);
    return rec ? own_record(r->c, (uint64_t)item(rec, 0)) : NULL;
}

/* Audio of before the first picture became a `free` box when the clip was cut. */
static bool holds_free(const uint8_t *p, size_t n)
{
    while (n >= 8) {
        const size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (memcmp(p + 4, "free", 4) == 0)
            return true;
        if (size < 8 || size > n)
            return false;
        p += size;
        n -= size;
    }
    return false;
}

static int check_payload(struct rebuild *r, const struct kt_header *h)
{
    uint8_t hash[KT_HASH_SIZE];
    size_t size = 0;
    if (r->at == 0 && holds_free(r->buf, h->size)) {
        r->unknown++;
        return 0;
    }
    if (kt_boxes_rewrite(r->buf, h->size, &r->tracks, r->shift_90k, false, r->out, &size) < 0 || size != h->size)
        return fault(r->c, "the video of record %" PRIu64 " cannot be read", h->seq);
    kt_sha256(hash, r->out, size);
    if (memcmp(hash, h->payload, KT_HASH_SIZE) != 0)
        return fault(r->c, "the video of record %" PRIu64 " is not what the recorder hashed when it recorded it",
                     h->seq);
    return 0;
}

static int take_records(struct rebuild *r)
{
    size_t done = 0;
    int ret = 0;
    for (const struct kt_header *h; ret == 0 && (h = wanted(r)) && r->have - done >= h->size; r->at++) {
        memmove(r->buf, r->buf + done, r->have - done);
        r->have -= done;
        ret = check_payload(r, h);
        done = h->size;
    }
    memmove(r->buf, r->buf + done, r->have - done);
    r->have -= done;
    if (ret == 0 && !wanted(r) && r->have > 0)
        return fault(r->c, "there is video behind the last record of the recorder's log");
    return ret;
}

/* What stands before the first fragment: `ftyp`, `moov`, and what says where it is from. */
static int take_head(struct rebuild *r)
{
    size_t at = 0;
    while (r->have - at >= 8) {
        const uint8_t *p = r->buf + at;
        const size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (memcmp(p + 4, "moof", 4) == 0) {
            if (kt_boxes_tracks(r->buf, at, &r->tracks) < 0)
                return -EBADMSG;
            r->in_records = true;
            memmove(r->buf, r->buf + at, r->have - at);
            r->have -= at;
            return 0;
        }
        if (size < 8 || size > HEAD_MAX)
            return -EBADMSG;
        if (size > r->have - at)
            return 0;
        at += size;
    }
    return 0;
}

static int feed_video(void *user, const void *data, size_t n)
{
    struct rebuild *r = user;
    if (r->have + n > r->cap)
        return -EBADMSG;
    memcpy(r->buf + r->have, data, n);
    r->have += n;
    int ret = r->in_records ? 0 : take_head(r);
    if (ret == 0 && r->in_records)
        ret = take_records(r);
    return ret;
}

static int check_video(struct chain *c)
{
    struct rebuild r = { .c = c, .cap = KT_MAX_PAYLOAD + HEAD_MAX + (4u << 20) };
    const struct kt_header *first = wanted(&r);
    const int i = kt_bag_find(c->x->bag, c->name);
    kt_cleanup(kt_freep) uint8_t *buf = malloc(r.cap), *out = malloc(KT_MAX_PAYLOAD);
    if (!buf || !out || !first || i < 0)
        return fault(c, "the video could not be compared with the recorder's log");
    r.buf = buf;
    r.out = out;
    r.shift_90k = first->dts_90k;
    const int before = c->faults;
    if (kt_bag_read(c->x->bag, (size_t)i, feed_video, &r) < 0 || wanted(&r))
        return c->faults > before ? -EBADMSG : fault(c, "the video is not made of the records in the log");
    char text[300];
    snprintf(text, sizeof(text), "%s: %zu records are as the recorder hashed them; its log was signed %s%s",
             c->name, json_array_size(c->records) - r.unknown, text_of(c->about, "signed"),
             r.unknown ? " (the first record: sound from before the clip was left out)" : "");
    c->x->say(c->x->user, true, text);
    return 0;
}

/* ------------------------------ all of it ------------------------------ */

static int load_records(struct chain *c)
{
    kt_cleanup(kt_freep) char *text = NULL;
    size_t size;
    if (kt_bag_text(c->x->bag, text_of(c->x->clip, "records"), &text, &size) == 0)
        c->records = json_loadb(text, size, 0, NULL);
    return json_is_array(c->records) ? 0 : fault(c, "the list of the ring's records is missing");
}

int kt_package_check_chain(const struct kt_chain_check *x)
{
    struct chain c = { .x = x, .name = text_of(x->clip, "file"), .about = json_object_get(x->clip, "chain") };
    if (!json_is_string(json_object_get(c.about, "file"))) {
        char text[300];
        snprintf(text, sizeof(text), "%s: without the recorder's log (%s)", c.name, text_of(c.about, "why"));
        x->say(x->user, true, text);
        return 0;
    }
    int ret = load_records(&c);
    if (ret == 0)
        ret = walk_log(&c);
    if (ret == 0)
        ret = check_head(&c);
    if (ret == 0)
        ret = check_records(&c);
    if (ret == 0)
        ret = check_left_out(&c);
    if (ret == 0)
        (void)check_video(&c);
    json_decref(c.records);
    free(c.log.own);
    return c.faults;
}

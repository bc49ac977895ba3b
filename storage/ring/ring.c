/* ring.c - a first ring: slabs, records with hashes, group commit. The full one replaces it. */
#include "storage/ring/ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "server/base/clock.h"
#include "server/base/text.h"

#define MAGIC 0x3143524b
#define SLAB_BYTES (UINT64_C(64) << 20)
#define MAX_STREAMS 512

enum { REC_MEDIA = 1, REC_GAP, REC_INIT, REC_STREAM };

struct disk_header {
    uint32_t magic, type;
    uint8_t uuid[16];
    uint64_t seq, run;
    int64_t start_us, end_us, dts, duration;
    uint32_t stream, flags, size, frames;
    uint8_t init[32], payload[32], previous[32];
    uint8_t check[32];
};

struct stream {
    char name[KT_STREAM_NAME_MAX + 1];
    struct kt_record *recs;
    size_t n, cap;
    struct kt_ring_span *gaps;
    size_t n_gaps;
    struct kt_chunk **pending;
    size_t n_pending, cap_pending;
    bool need_key;
    uint64_t in_slab;
};

struct gap_note { uint32_t stream; int64_t from, to; enum kt_gap_reason reason; };

struct kt_ring {
    struct kt_ring_params p;
    char *name, *path;
    int dir_fd, lock_fd, *slab_fd;
    uint64_t *slab_seq;
    uint32_t n_slabs, slab;
    uint64_t offset, seq;
    uint8_t uuid[16], previous[32];
    pthread_t thread;
    bool started, stopping;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct stream *streams;
    uint32_t n_streams;
    struct kt_init **inits;
    uint64_t *init_slab;
    size_t n_inits;
    struct gap_note *gaps;
    size_t n_gaps, queued;
    uint64_t rounds;
    bool flush;
    struct kt_ring_status st;
    int64_t opened_us;
};

const char *kt_gap_reason_name(enum kt_gap_reason r)
{
    static const char *const names[] = { "none", "camera-silent", "disk-stall", "clock-step", "restart",
                                         "disk-error", "camera-disabled", "erased", "bad-stream" };
    return (size_t)r < KT_ARRAY_SIZE(names) ? names[r] : "unknown";
}

static void sha(uint8_t out[32], const void *d, size_t n)
{
    EVP_Digest(d, n, out, NULL, EVP_sha256(), NULL);
}

static int slab_name(char *out, size_t cap, uint32_t i)
{
    return snprintf(out, cap, "slab-%06u", i);
}

static struct stream *add_stream(kt_ring *r, const char *name)
{
    if (r->n_streams == MAX_STREAMS)
        return NULL;
    struct stream *s = &r->streams[r->n_streams++];
    snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

static void index_record(kt_ring *r, const struct disk_header *h, uint32_t slab, uint64_t off)
{
    if (h->stream >= r->n_streams)
        return;
    struct stream *s = &r->streams[h->stream];
    if (h->type == REC_GAP) {
        s->gaps = reallocarray(s->gaps, s->n_gaps + 1, sizeof(*s->gaps));
        s->gaps[s->n_gaps++] = (struct kt_ring_span){ h->start_us, h->end_us, 0, h->flags };
        return;
    }
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->recs = reallocarray(s->recs, s->cap, sizeof(*s->recs));
    }
    struct kt_record *rec = &s->recs[s->n++];
    *rec = (struct kt_record){ .seq = h->seq, .run = h->run, .start_us = h->start_us, .end_us = h->end_us,
        .dts_90k = h->dts, .duration_90k = h->duration, .stream = h->stream, .flags = h->flags,
        .size = h->size, .frames = h->frames, .slab = slab, .slab_seq = r->slab_seq[slab], .offset = off };
    memcpy(rec->init, h->init, 32);
    r->st.records++;
}

static void drop_slab(kt_ring *r, uint32_t slab)
{
    for (uint32_t i = 0; i < r->n_streams; i++) {
        struct stream *s = &r->streams[i];
        size_t k = 0;
        while (k < s->n && s->recs[k].slab == slab && s->recs[k].slab_seq == r->slab_seq[slab])
            k++;
        memmove(s->recs, s->recs + k, (s->n - k) * sizeof(*s->recs));
        s->n -= k;
    }
}

static void keep_init(kt_ring *r, struct kt_init *init)
{
    r->inits = reallocarray(r->inits, r->n_inits + 1, sizeof(*r->inits));
    r->init_slab = reallocarray(r->init_slab, r->n_inits + 1, sizeof(*r->init_slab));
    r->init_slab[r->n_inits] = 0;
    r->inits[r->n_inits++] = kt_init_ref(init);
}

static size_t find_init(kt_ring *r, const uint8_t *hash)
{
    size_t i = 0;
    while (i < r->n_inits && memcmp(r->inits[i]->hash, hash, 32) != 0)
        i++;
    return i;
}

static void scan_slab(kt_ring *r, uint32_t slab)
{
    uint64_t at = 4096;
    struct disk_header h;
    uint8_t check[32];
    while (pread(r->slab_fd[slab], &h, sizeof(h), (off_t)at) == sizeof(h) && h.magic == MAGIC &&
           memcmp(h.uuid, r->uuid, 16) == 0) {
        sha(check, &h, offsetof(struct disk_header, check));
        if (memcmp(check, h.check, 32) != 0 || at + sizeof(h) + h.size > SLAB_BYTES ||
            h.run == 0 || (h.type != REC_GAP && h.seq < r->slab_seq[slab]))
            break;
        if (h.seq < r->slab_seq[slab])
            break;
        uint8_t *buf = malloc(h.size + 1);
        if (pread(r->slab_fd[slab], buf, h.size, (off_t)(at + sizeof(h))) != (ssize_t)h.size) {
            free(buf);
            break;
        }
        sha(check, buf, h.size);
        if (memcmp(check, h.payload, 32) != 0) {
            free(buf);
            break;
        }
        if (h.type == REC_STREAM) {
            buf[h.size] = 0;
            while (r->n_streams <= h.stream && h.stream < MAX_STREAMS)
                (void)add_stream(r, "");
            if (h.stream < MAX_STREAMS)
                snprintf(r->streams[h.stream].name, sizeof(r->streams[0].name), "%s", (char *)buf);
        } else if (h.type == REC_INIT) {
            struct kt_init *init = NULL;
            if (find_init(r, h.init) == r->n_inits &&
                kt_init_create(&init, buf + KT_MIME_SIZE, h.size - KT_MIME_SIZE, (char *)buf, (int)h.frames,
                               (int)h.flags) == 0) {
                keep_init(r, init);
                kt_init_unref(&init);
            }
        } else {
            index_record(r, &h, slab, at + sizeof(h));
        }
        free(buf);
        at += (sizeof(h) + h.size + 63) / 64 * 64;
        if (h.seq >= r->seq) {
            r->seq = h.seq + 1;
            memcpy(r->previous, h.check, 32);
            r->slab = slab;
            r->offset = at;
        }
    }
}

static int write_record(kt_ring *r, struct disk_header *h, const struct iovec *unused, const void *payload)
{
    (void)unused;
    h->magic = MAGIC;
    memcpy(h->uuid, r->uuid, 16);
    h->seq = r->seq++;
    if (h->run == 0)
        h->run = 1;
    sha(h->payload, payload, h->size);
    memcpy(h->previous, r->previous, 32);
    sha(h->check, h, offsetof(struct disk_header, check));
    memcpy(r->previous, h->check, 32);
    const uint64_t at = r->offset;
    if (pwrite(r->slab_fd[r->slab], h, sizeof(*h), (off_t)at) != sizeof(*h) ||
        pwrite(r->slab_fd[r->slab], payload, h->size, (off_t)(at + sizeof(*h))) != (ssize_t)h->size)
        return -EIO;
    r->offset += (sizeof(*h) + h->size + 63) / 64 * 64;
    r->st.bytes_written += sizeof(*h) + h->size;
    return 0;
}

static int slab_begin(kt_ring *r, uint32_t slab)
{
    drop_slab(r, slab);
    uint64_t head[512] = { MAGIC, r->seq };
    memcpy(head + 2, r->uuid, 16);
    r->slab = slab;
    r->slab_seq[slab] = r->seq;
    r->offset = 4096;
    return pwrite(r->slab_fd[slab], head, 4096, 0) == 4096 ? 0 : -EIO;
}

static int room(kt_ring *r, size_t n)
{
    if (r->offset + n + 2 * sizeof(struct disk_header) + 128 <= SLAB_BYTES)
        return 0;
    return slab_begin(r, (r->slab + 1) % r->n_slabs);
}

static int ensure(kt_ring *r, uint32_t id, struct kt_init *init)
{
    struct stream *s = &r->streams[id];
    const uint64_t life = r->slab_seq[r->slab] + 1;
    int ret = 0;
    if (s->in_slab != life) {
        struct disk_header h = { .type = REC_STREAM, .stream = id, .size = (uint32_t)strlen(s->name) };
        s->in_slab = life;
        ret = write_record(r, &h, NULL, s->name);
    }
    if (!init || ret < 0)
        return ret;
    size_t i = find_init(r, init->hash);
    if (i == r->n_inits)
        keep_init(r, init);
    if (r->init_slab[i] == life)
        return 0;
    r->init_slab[i] = life;
    struct disk_header h = { .type = REC_INIT, .stream = id, .size = (uint32_t)(KT_MIME_SIZE + init->size),
                             .frames = (uint32_t)init->width, .flags = (uint32_t)init->height };
    memcpy(h.init, init->hash, 32);
    uint8_t *buf = calloc(1, h.size);
    memcpy(buf, init->mime, KT_MIME_SIZE);
    memcpy(buf + KT_MIME_SIZE, init->data, init->size);
    ret = write_record(r, &h, NULL, buf);
    free(buf);
    return ret;
}

static int write_group(kt_ring *r, uint32_t id, struct kt_chunk **c, size_t n)
{
    size_t size = 0;
    struct disk_header h = { .type = REC_MEDIA, .stream = id, .run = c[0]->run, .start_us = c[0]->wall_us,
                             .dts = c[0]->dts_90k, .flags = c[0]->flags & KT_CHUNK_KEY ? KT_RECORD_KEY : 0 };
    for (size_t i = 0; i < n; i++) {
        size += c[i]->size;
        if (!(c[i]->flags & KT_CHUNK_AUDIO)) {
            h.frames++;
            h.end_us = c[i]->wall_us + (int64_t)c[i]->duration_90k * 100 / 9;
            h.duration = c[i]->dts_90k + c[i]->duration_90k - h.dts;
        }
    }
    if (h.end_us == 0)
        h.end_us = h.start_us;
    int ret = room(r, size + c[0]->init->size + 1024);
    if (ret == 0)
        ret = ensure(r, id, c[0]->init);
    if (ret < 0)
        return ret;
    memcpy(h.init, c[0]->init->hash, 32);
    h.size = (uint32_t)size;
    uint8_t *buf = malloc(size);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(buf + at, c[i]->data, c[i]->size);
        at += c[i]->size;
    }
    const uint64_t off = r->offset + sizeof(h);
    ret = write_record(r, &h, NULL, buf);
    free(buf);
    if (ret == 0) {
        pthread_mutex_lock(&r->lock);
        index_record(r, &h, r->slab, off);
        r->st.payload_bytes_written += size;
        r->st.newest_us = h.end_us;
        pthread_mutex_unlock(&r->lock);
    }
    return ret;
}

static void write_stream(kt_ring *r, uint32_t id, struct kt_chunk **c, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t k = i + 1;
        while (k < n && c[k]->run == c[i]->run && c[k]->init == c[i]->init &&
               (!(c[k]->flags & KT_CHUNK_KEY) || (c[i]->flags & KT_CHUNK_KEY && k == i)))
            k++;
        if (write_group(r, id, c + i, k - i) < 0)
            r->st.lost_intervals++;
        i = k;
    }
    for (size_t i = 0; i < n; i++)
        kt_chunk_unref(&c[i]);
    free(c);
}

static void commit(kt_ring *r)
{
    pthread_mutex_lock(&r->lock);
    struct gap_note *gaps = r->gaps;
    const size_t n_gaps = r->n_gaps;
    r->gaps = NULL;
    r->n_gaps = 0;
    r->queued = 0;
    const uint32_t n = r->n_streams;
    pthread_mutex_unlock(&r->lock);
    bool wrote = n_gaps > 0;
    for (uint32_t i = 0; i < n; i++) {
        pthread_mutex_lock(&r->lock);
        struct kt_chunk **c = r->streams[i].pending;
        const size_t count = r->streams[i].n_pending;
        r->streams[i].pending = NULL;
        r->streams[i].n_pending = r->streams[i].cap_pending = 0;
        pthread_mutex_unlock(&r->lock);
        wrote |= count > 0;
        write_stream(r, i, c, count);
    }
    for (size_t i = 0; i < n_gaps; i++) {
        struct disk_header h = { .type = REC_GAP, .stream = gaps[i].stream, .start_us = gaps[i].from,
                                 .end_us = gaps[i].to, .flags = gaps[i].reason };
        if (room(r, 256) == 0 && ensure(r, gaps[i].stream, NULL) == 0 && write_record(r, &h, NULL, "") == 0) {
            pthread_mutex_lock(&r->lock);
            index_record(r, &h, r->slab, 0);
            pthread_mutex_unlock(&r->lock);
        }
    }
    free(gaps);
    if (wrote) {
        fdatasync(r->slab_fd[r->slab]);
        r->st.fsyncs++;
    }
}

static void *writer(void *arg)
{
    kt_ring *r = arg;
    for (bool stop = false; !stop;) {
        const struct timespec deadline = kt_clock_deadline(r->p.commit_interval_us);
        pthread_mutex_lock(&r->lock);
        int ret = 0;
        while (!r->stopping && !r->flush && ret == 0)
            ret = pthread_cond_timedwait(&r->work, &r->lock, &deadline);
        stop = r->stopping;
        r->flush = false;
        pthread_mutex_unlock(&r->lock);
        commit(r);
        pthread_mutex_lock(&r->lock);
        r->rounds++;
        r->st.durable_us = r->st.newest_us;
        pthread_cond_broadcast(&r->done);
        pthread_mutex_unlock(&r->lock);
    }
    return NULL;
}

int kt_ring_open(kt_ring **out, const struct kt_ring_params *p, struct kt_error *err)
{
    if (mkdir(p->path, 0750) < 0 && errno != EEXIST)
        return kt_error_set(err, -errno, "ring %s: %s: %s", p->name, p->path, strerror(errno));
    kt_ring *r = calloc(1, sizeof(*r));
    r->p = *p;
    if (!r->p.commit_interval_us)
        r->p.commit_interval_us = KT_SECOND_US;
    r->streams = calloc(MAX_STREAMS, sizeof(*r->streams));
    r->dir_fd = open(p->path, O_DIRECTORY | O_CLOEXEC);
    r->lock_fd = openat(r->dir_fd, "ring", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    pthread_mutex_init(&r->lock, NULL);
    (void)kt_cond_init(&r->work);
    (void)kt_cond_init(&r->done);
    if (!p->read_only && flock(r->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return kt_error_set(err, -EBUSY, "ring %s is open in another process", p->name);
    uint64_t meta[4] = { 0 };
    const bool old = pread(r->lock_fd, meta, sizeof(meta), 0) == sizeof(meta);
    if (!old) {
        if (!p->create)
            return kt_error_set(err, -ENOENT, "ring %s: no ring in %s", p->name, p->path);
        RAND_bytes((uint8_t *)meta, 16);
        meta[2] = p->size_bytes / SLAB_BYTES < 4 ? 4 : p->size_bytes / SLAB_BYTES;
        if (pwrite(r->lock_fd, meta, sizeof(meta), 0) < 0)
            return kt_error_set(err, -EIO, "ring %s: cannot write", p->name);
    }
    memcpy(r->uuid, meta, 16);
    r->n_slabs = (uint32_t)meta[2];
    r->slab_fd = calloc(r->n_slabs, sizeof(int));
    r->slab_seq = calloc(r->n_slabs, sizeof(uint64_t));
    r->seq = 1;
    for (uint32_t i = 0; i < r->n_slabs; i++) {
        char name[32];
        slab_name(name, sizeof(name), i);
        r->slab_fd[i] = openat(r->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        const int e = old ? 0 : posix_fallocate(r->slab_fd[i], 0, (off_t)SLAB_BYTES);
        if (e)
            return kt_error_set(err, -e, "ring %s: %s: %s", p->name, p->path, strerror(e));
    }
    uint32_t order[1 << 16];
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_slabs && n < (1 << 16); i++) {
        uint64_t head[2] = { 0 };
        if (pread(r->slab_fd[i], head, 16, 0) == 16 && head[0] == MAGIC) {
            r->slab_seq[i] = head[1];
            uint32_t k = n++;
            for (; k > 0 && r->slab_seq[order[k - 1]] > head[1]; k--)
                order[k] = order[k - 1];
            order[k] = i;
        }
    }
    for (uint32_t i = 0; i < n; i++)
        scan_slab(r, order[i]);
    r->opened_us = kt_clock_mono_us();
    if (n == 0 && !p->read_only)
        (void)slab_begin(r, 0);
    r->name = strdup(p->name);
    r->st.state = KT_RING_OK;
    r->st.size_bytes = r->n_slabs * SLAB_BYTES;
    char hex[33];
    kt_hex(hex, r->uuid, 16);
    snprintf(r->st.uuid, sizeof(r->st.uuid), "%s", hex);
    if (!p->read_only) {
        r->started = pthread_create(&r->thread, NULL, writer, r) == 0;
    }
    *out = r;
    return 0;
}

void kt_ring_close(kt_ring **pr)
{
    kt_ring *r = kt_steal_ptr(pr);
    if (!r)
        return;
    if (r->started) {
        pthread_mutex_lock(&r->lock);
        r->stopping = true;
        pthread_cond_signal(&r->work);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    for (uint32_t i = 0; i < r->n_slabs; i++)
        close(r->slab_fd[i]);
    for (uint32_t i = 0; i < r->n_streams; i++) {
        free(r->streams[i].recs);
        free(r->streams[i].gaps);
    }
    for (size_t i = 0; i < r->n_inits; i++)
        kt_init_unref(&r->inits[i]);
    free(r->inits);
    free(r->init_slab);
    free(r->streams);
    free(r->slab_fd);
    free(r->slab_seq);
    close(r->lock_fd);
    close(r->dir_fd);
    free(r->name);
    free(r);
}

void kt_ring_status(kt_ring *r, struct kt_ring_status *out)
{
    pthread_mutex_lock(&r->lock);
    *out = r->st;
    out->oldest_us = 0;
    for (uint32_t i = 0; i < r->n_streams; i++)
        if (r->streams[i].n && (!out->oldest_us || r->streams[i].recs[0].start_us < out->oldest_us))
            out->oldest_us = r->streams[i].recs[0].start_us;
    const double s = (double)(kt_clock_mono_us() - r->opened_us) / 1e6;
    if (s > 5)
        out->bytes_per_second = (double)r->st.bytes_written / s;
    if (out->bytes_per_second > 0)
        out->days_capacity = (double)out->size_bytes / out->bytes_per_second / 86400;
    pthread_mutex_unlock(&r->lock);
}

int kt_ring_find_stream(kt_ring *r, const char *name, uint32_t *stream)
{
    int ret = -ENOENT;
    pthread_mutex_lock(&r->lock);
    for (uint32_t i = 0; i < r->n_streams; i++)
        if (strcmp(r->streams[i].name, name) == 0) {
            *stream = i;
            ret = 0;
        }
    pthread_mutex_unlock(&r->lock);
    return ret;
}

int kt_ring_stream(kt_ring *r, const char *name, uint32_t *stream)
{
    if (kt_ring_find_stream(r, name, stream) == 0)
        return 0;
    pthread_mutex_lock(&r->lock);
    struct stream *s = add_stream(r, name);
    if (s)
        *stream = (uint32_t)(s - r->streams);
    pthread_mutex_unlock(&r->lock);
    return s ? 0 : -ENOSPC;
}

int kt_ring_append(kt_ring *r, uint32_t id, struct kt_chunk *chunk)
{
    struct stream *s = &r->streams[id];
    int ret = 0;
    pthread_mutex_lock(&r->lock);
    if (r->queued > (64u << 20) || (s->need_key && !(chunk->flags & KT_CHUNK_KEY))) {
        s->need_key = true;
        r->st.dropped_chunks++;
        ret = -EAGAIN;
    } else {
        s->need_key = false;
        if (s->n_pending == s->cap_pending) {
            s->cap_pending = s->cap_pending ? 2 * s->cap_pending : 32;
            s->pending = reallocarray(s->pending, s->cap_pending, sizeof(*s->pending));
        }
        s->pending[s->n_pending++] = kt_chunk_ref(chunk);
        r->queued += chunk->size;
    }
    pthread_mutex_unlock(&r->lock);
    return ret;
}

int kt_ring_append_record(kt_ring *r, uint32_t id, const struct kt_record *rec, const void *payload,
                          struct kt_init *init)
{
    struct kt_chunk *c = NULL;
    const struct kt_chunk meta = { .init = init, .run = rec->run, .wall_us = rec->start_us,
        .dts_90k = rec->dts_90k, .duration_90k = (uint32_t)rec->duration_90k,
        .flags = rec->flags & KT_RECORD_KEY ? KT_CHUNK_KEY : 0, .size = rec->size, .data = payload };
    if (kt_chunk_create(&c, &meta) < 0)
        return -ENOMEM;
    const int ret = kt_ring_append(r, id, c);
    kt_chunk_unref(&c);
    return ret;
}

int kt_ring_gap(kt_ring *r, uint32_t id, int64_t from, int64_t to, enum kt_gap_reason reason)
{
    pthread_mutex_lock(&r->lock);
    r->gaps = reallocarray(r->gaps, r->n_gaps + 1, sizeof(*r->gaps));
    r->gaps[r->n_gaps++] = (struct gap_note){ id, from, to, reason };
    pthread_mutex_unlock(&r->lock);
    return 0;
}

int kt_ring_erase(kt_ring *r, uint32_t stream, int64_t from_us, int64_t to_us)
{
    return -ENOTSUP;
}

int kt_ring_flush(kt_ring *r, int64_t timeout_us)
{
    const struct timespec deadline = kt_clock_deadline(timeout_us);
    int ret = 0;
    pthread_mutex_lock(&r->lock);
    const uint64_t until = r->rounds + 2;
    while (r->rounds < until && ret == 0) {
        r->flush = true;
        pthread_cond_signal(&r->work);
        ret = -pthread_cond_timedwait(&r->done, &r->lock, &deadline);
    }
    pthread_mutex_unlock(&r->lock);
    return ret;
}

int kt_ring_query(kt_ring *r, uint32_t id, int64_t from, int64_t to, size_t max, struct kt_record **out,
                  size_t *n)
{
    pthread_mutex_lock(&r->lock);
    const struct stream *s = &r->streams[id];
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (s->recs[mid].end_us <= from)
            lo = mid + 1;
        else
            hi = mid;
    }
    while (lo > 0 && lo < s->n && !(s->recs[lo].flags & KT_RECORD_KEY) && s->recs[lo - 1].run == s->recs[lo].run)
        lo--;
    size_t end = lo;
    while (end < s->n && s->recs[end].start_us < to && end - lo < max)
        end++;
    *n = end - lo;
    *out = NULL;
    if (*n) {
        *out = malloc(*n * sizeof(**out));
        memcpy(*out, s->recs + lo, *n * sizeof(**out));
    }
    pthread_mutex_unlock(&r->lock);
    return 0;
}

int kt_ring_read(kt_ring *r, const struct kt_record *rec, void *buf)
{
    struct disk_header h;
    uint8_t hash[32];
    if (r->slab_seq[rec->slab] != rec->slab_seq)
        return -ESTALE;
    if (pread(r->slab_fd[rec->slab], &h, sizeof(h), (off_t)(rec->offset - sizeof(h))) != sizeof(h) ||
        pread(r->slab_fd[rec->slab], buf, rec->size, (off_t)rec->offset) != (ssize_t)rec->size)
        return -EIO;
    if (h.seq != rec->seq)
        return -ESTALE;
    sha(hash, buf, rec->size);
    return memcmp(hash, h.payload, 32) == 0 ? 0 : -EBADMSG;
}

int kt_ring_init(kt_ring *r, const uint8_t hash[KT_INIT_HASH_SIZE], struct kt_init **out)
{
    int ret = -ENOENT;
    pthread_mutex_lock(&r->lock);
    const size_t i = find_init(r, hash);
    if (i < r->n_inits) {
        *out = kt_init_ref(r->inits[i]);
        ret = 0;
    }
    pthread_mutex_unlock(&r->lock);
    return ret;
}

int kt_ring_spans(kt_ring *r, uint32_t id, int64_t from, int64_t to, struct kt_ring_span **out, size_t *n)
{
    struct kt_record *recs = NULL;
    size_t count = 0, k = 0;
    (void)kt_ring_query(r, id, from, to, SIZE_MAX, &recs, &count);
    pthread_mutex_lock(&r->lock);
    const struct stream *s = &r->streams[id];
    struct kt_ring_span *list = calloc(2 * count + s->n_gaps + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        if (k && list[k - 1].run == recs[i].run && recs[i].start_us - list[k - 1].to_us < 1500000) {
            list[k - 1].to_us = recs[i].end_us;
            continue;
        }
        if (k && recs[i].start_us - list[k - 1].to_us > 1500000) {
            list[k] = (struct kt_ring_span){ list[k - 1].to_us, recs[i].start_us, 0, KT_GAP_RESTART };
            for (size_t g = 0; g < s->n_gaps; g++)
                if (s->gaps[g].from_us < list[k].to_us && s->gaps[g].to_us > list[k].from_us)
                    list[k].reason = s->gaps[g].reason;
            k++;
        }
        list[k++] = (struct kt_ring_span){ recs[i].start_us, recs[i].end_us, recs[i].run, KT_GAP_NONE };
    }
    pthread_mutex_unlock(&r->lock);
    free(recs);
    *out = list;
    *n = k;
    return 0;
}

int kt_ring_streams(kt_ring *r, char ***out, size_t *n)
{
    pthread_mutex_lock(&r->lock);
    *out = calloc(r->n_streams + 1, sizeof(**out));
    for (*n = 0; *n < r->n_streams; (*n)++)
        (*out)[*n] = strdup(r->streams[*n].name);
    pthread_mutex_unlock(&r->lock);
    return 0;
}

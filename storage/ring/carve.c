#include "storage/ring/carve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "storage/ring/boxes.h"
#include "storage/ring/scan.h"
#include "storage/ring/vec.h"

struct slab_file {
    char name[256];
    uint8_t uuid[KT_UUID_SIZE];
    uint64_t slab_seq, size;
};

struct output {                         /* the MP4 being written for one stream */
    uint8_t uuid[KT_UUID_SIZE];
    uint32_t stream;
    uint64_t run;
    char name[KT_STREAM_NAME_MAX + 1];
    int fd;                             /* -1: closed */
    int64_t shift_90k, end_us, start_us;
    uint64_t frames;
    struct kt_tracks tracks;
};

struct carver {
    struct kt_carve *c;
    int from_fd, to_fd;
    struct slab_file *slabs;
    size_t n_slabs, cap_slabs;
    struct output *outputs;
    size_t n_outputs, cap_outputs;
    struct kt_init **inits;             /* of the slab at hand */
    size_t n_inits, cap_inits;
    uint64_t done, total;
};

static void note(struct carver *k, const char *fmt, ...) kt_printf(2, 3);

static void note(struct carver *k, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    if (!k->c->note)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    k->c->note(k->c->user, line);
}

static bool pace(void *user, size_t bytes)
{
    struct carver *k = user;
    k->done += bytes;
    if (k->c->progress)
        k->c->progress(k->c->user, k->done < k->total ? k->done : k->total, k->total);
    return true;
}

/* ---- finding slabs ---- */

/* A slab is known by a record at its start, or by its trailer, not by its name. */
static bool identify(int fd, struct slab_file *s)
{
    const struct kt_ring_io *io = &kt_ring_io_system;
    uint8_t bytes[KT_PAGE];
    struct kt_header h;
    struct kt_trailer t;
    s->size = (uint64_t)io->size(io->user, fd);
    if (s->size < KT_HEADER_SIZE || s->size > KT_MAX_SLAB)
        return false;
    if (kt_io_read(io, fd, bytes, KT_HEADER_SIZE, 0) == 0 && kt_header_decode(&h, bytes) == 0) {
        s->slab_seq = h.slab_seq;
        memcpy(s->uuid, h.uuid, KT_UUID_SIZE);
        return true;
    }
    if (s->size >= KT_PAGE && kt_io_read(io, fd, bytes, KT_PAGE, s->size - KT_PAGE) == 0 &&
        kt_trailer_decode(&t, bytes, s->size) == 0) {
        s->slab_seq = t.slab_seq;
        memcpy(s->uuid, t.uuid, KT_UUID_SIZE);
        return true;
    }
    const size_t n = strlen(s->name);   /* nothing left of either: the records may still be */
    s->slab_seq = 0;
    return n > 4 && strcmp(s->name + n - 4, ".kts") == 0;
}

static int by_life(const void *a, const void *b)
{
    const struct slab_file *x = a, *y = b;
    const int ring = memcmp(x->uuid, y->uuid, KT_UUID_SIZE);
    return ring ? ring : x->slab_seq < y->slab_seq ? -1 : x->slab_seq > y->slab_seq;
}

static int find_slabs(struct carver *k)
{
    const int fd = openat(k->from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int ret = dir ? 0 : -errno;
    for (struct dirent *d; ret == 0 && (d = readdir(dir));) {
        kt_cleanup(kt_closep) int file = openat(k->from_fd, d->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        if (file < 0 || fstat(file, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        if (kt_vec_room(&k->slabs, k->n_slabs, &k->cap_slabs) < 0) {
            ret = -ENOMEM;
            break;
        }
        struct slab_file *s = &k->slabs[k->n_slabs];
        *s = (struct slab_file){ .slab_seq = 0 };
        snprintf(s->name, sizeof(s->name), "%s", d->d_name);
        if (!identify(file, s))
            continue;
        k->total += s->size;
        k->n_slabs++;
    }
    if (dir)
        closedir(dir);
    if (ret == 0 && k->n_slabs > 0)
        qsort(k->slabs, k->n_slabs, sizeof(*k->slabs), by_life);
    return ret == 0 && k->n_slabs == 0 ? -ENOENT : ret;
}

/* ---- outputs ---- */

static struct output *output_of(struct carver *k, const uint8_t uuid[KT_UUID_SIZE], uint32_t stream)
{
    for (size_t i = 0; i < k->n_outputs; i++)
        if (k->outputs[i].stream == stream && memcmp(k->outputs[i].uuid, uuid, KT_UUID_SIZE) == 0)
            return &k->outputs[i];
    if (kt_vec_room(&k->outputs, k->n_outputs, &k->cap_outputs) < 0)
        return NULL;
    struct output *o = &k->outputs[k->n_outputs++];
    *o = (struct output){ .stream = stream, .fd = -1 };
    memcpy(o->uuid, uuid, KT_UUID_SIZE);
    snprintf(o->name, sizeof(o->name), "stream-%u", stream);
    return o;
}

static void name_stream(struct carver *k, const uint8_t uuid[KT_UUID_SIZE],
                        const struct kt_stream_def *def)
{
    struct output *o = output_of(k, uuid, def->number);
    if (!o)
        return;
    snprintf(o->name, sizeof(o->name), "%s", def->name);
    for (char *p = o->name; *p; p++)
        if (*p == '/' || *p == '.' || (unsigned char)*p < 0x21)
            *p = '-';
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static int close_output(struct output *o)
{
    if (o->fd < 0)
        return 0;
    const int ret = fsync(o->fd) < 0 ? -errno : 0;
    kt_closep(&o->fd);
    return ret;
}

/* "gerbang-main_20261124T010203Z_1790000000000000.mp4": camera, UTC, run. */
static int open_output(struct carver *k, struct output *o, const struct kt_header *h,
                       const struct kt_init *init)
{
    char file[192], time[32];
    const time_t s = (time_t)(h->start_us / KT_SECOND_US);
    struct tm tm;
    gmtime_r(&s, &tm);
    strftime(time, sizeof(time), "%Y%m%dT%H%M%SZ", &tm);
    snprintf(file, sizeof(file), "%s_%s_%" PRIu64 ".mp4", o->name, time, h->run);
    o->run = h->run;
    o->frames = 0;
    o->start_us = h->start_us;
    o->shift_90k = -h->dts_90k;
    int ret = kt_boxes_tracks(init->data, init->size, &o->tracks);
    if (ret < 0)
        return ret;
    o->fd = openat(k->to_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (o->fd < 0)
        return -errno;
    k->c->files++;
    note(k, "%s", file);
    return write_all(o->fd, init->data, init->size);
}

/* ---- records ---- */

static const struct kt_init *find_init(const struct carver *k, const uint8_t hash[KT_HASH_SIZE])
{
    for (size_t i = 0; i < k->n_inits; i++)
        if (memcmp(k->inits[i]->hash, hash, KT_HASH_SIZE) == 0)
            return k->inits[i];
    return NULL;
}

static int take_init(struct carver *k, const uint8_t *payload, size_t size)
{
    struct kt_init *init = NULL;
    const int ret = kt_init_payload_decode(&init, payload, size);
    if (ret < 0)
        return ret == -ENOMEM ? ret : 0;
    if (kt_vec_room(&k->inits, k->n_inits, &k->cap_inits) < 0) {
        kt_init_unref(&init);
        return -ENOMEM;
    }
    k->inits[k->n_inits++] = init;
    return 0;
}

static void take_names(struct carver *k, const struct kt_header *h, const uint8_t *payload)
{
    struct kt_slab_begin b;
    struct kt_stream_def def;
    if (h->type == KT_TYPE_STREAM) {
        if (h->size == KT_STREAM_DEF_SIZE && kt_stream_def_decode(&def, payload) == 0)
            name_stream(k, h->uuid, &def);
    } else if (kt_slab_begin_decode(&b, payload, h->size) == 0) {
        payload += KT_SLAB_BEGIN_SIZE;
        for (uint32_t i = 0; i < b.n_streams; i++, payload += KT_STREAM_DEF_SIZE)
            if (kt_stream_def_decode(&def, payload) == 0)
                name_stream(k, h->uuid, &def);
    }
}

static void damaged(struct carver *k, const struct slab_file *s, const struct kt_header *h,
                    const char *what)
{
    k->c->damaged++;
    note(k, "%s: record %" PRIu64 ": %s", s->name, h->seq, what);
}

static int take_media(struct carver *k, const struct slab_file *s, const struct kt_header *h,
                      const uint8_t *payload)
{
    const struct kt_init *init = find_init(k, h->init);
    struct output *o = output_of(k, h->uuid, h->stream);
    if (!o)
        return -ENOMEM;
    if (!init) {
        damaged(k, s, h, "its init segment is lost");
        return 0;
    }
    int ret = 0;
    if (o->fd >= 0 && o->run != h->run)
        ret = close_output(o);
    if (ret == 0 && o->fd < 0) {
        if (!(h->flags & KT_RECORD_KEY))
            return 0;                   /* cannot be decoded */
        ret = open_output(k, o, h, init);
    }
    kt_cleanup(kt_freep) uint8_t *out = malloc((size_t)h->size + 1);
    size_t size;
    if (ret == 0 && !out)
        ret = -ENOMEM;
    if (ret < 0)
        return ret;
    if (kt_boxes_rewrite(payload, h->size, &o->tracks, o->shift_90k, false, out, &size) < 0) {
        damaged(k, s, h, "its frames make no sense");
        return 0;
    }
    o->frames += h->frames;
    k->c->records++;
    k->c->bytes += size;
    return write_all(o->fd, out, size);
}

static int take_record(struct carver *k, const struct slab_file *s, int fd,
                       const struct kt_scan_item *item)
{
    const struct kt_header *h = &item->h;
    if (item->state == KT_SCAN_HOLE) {
        k->c->damaged++;
        note(k, "%s: a header at byte %" PRIu64 " is damaged", s->name, item->offset);
        return 0;
    }
    if (h->type != KT_TYPE_MEDIA && h->type != KT_TYPE_INIT && h->type != KT_TYPE_STREAM &&
        h->type != KT_TYPE_SLAB)
        return 0;
    kt_cleanup(kt_freep) uint8_t *payload = malloc((size_t)h->size + 1);
    if (!payload)
        return -ENOMEM;
    const int ret = kt_scan_payload(&kt_ring_io_system, fd, h, item->offset, payload);
    pace(k, h->size);
    if (ret == -EBADMSG || ret == -EIO) {
        damaged(k, s, h, "its content is damaged, torn or erased");
        return 0;
    }
    if (ret < 0)
        return ret;
    if (h->type == KT_TYPE_MEDIA)
        return take_media(k, s, h, payload);
    if (h->type == KT_TYPE_INIT)
        return take_init(k, payload, h->size);
    take_names(k, h, payload);
    return 0;
}

static void forget_inits(struct carver *k)
{
    for (size_t i = 0; i < k->n_inits; i++)
        kt_init_unref(&k->inits[i]);
    k->n_inits = 0;
}

static int carve_slab(struct carver *k, const struct slab_file *s)
{
    const uint64_t before = k->done;
    kt_cleanup(kt_closep) int fd = openat(k->from_fd, s->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct kt_scan scan = { .io = &kt_ring_io_system, .fd = fd, .slab_bytes = s->size,
                            .slab_seq = s->slab_seq, .keep_tail = true };
    int ret = kt_scan_slab(&scan);
    for (size_t i = 0; i < scan.n && ret == 0; i++)
        ret = take_record(k, s, fd, &scan.items[i]);
    kt_scan_free(&scan);
    forget_inits(k);
    k->c->slabs++;
    k->done = before + s->size;
    return ret;
}

static int open_dirs(struct carver *k, const char *from, const char *to, struct kt_error *err)
{
    k->from_fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (k->from_fd < 0)
        return kt_error_set(err, -errno, "%s: %s", from, kt_strerror(-errno));
    if (mkdir(to, 0750) < 0 && errno != EEXIST)
        return kt_error_set(err, -errno, "%s: %s", to, kt_strerror(-errno));
    k->to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (k->to_fd < 0)
        return kt_error_set(err, -errno, "%s: %s", to, kt_strerror(-errno));
    return 0;
}

int kt_ring_carve(const char *from, const char *to, struct kt_carve *carve, struct kt_error *err)
{
    struct carver k = { .c = carve, .from_fd = -1, .to_fd = -1 };
    int ret = open_dirs(&k, from, to, err);
    if (ret == 0) {
        ret = find_slabs(&k);
        if (ret == -ENOENT)
            kt_error_set(err, ret, "%s: there are no slabs", from);
        for (size_t i = 0; i < k.n_slabs && ret == 0; i++)
            ret = carve_slab(&k, &k.slabs[i]);
        for (size_t i = 0; i < k.n_outputs; i++) {
            const int closed = close_output(&k.outputs[i]);
            ret = ret < 0 ? ret : closed;
        }
        if (ret < 0 && ret != -ENOENT)
            kt_error_set(err, ret, "%s: %s", to, ret == -EEXIST ? "a file of this name is there already; give an "
                         "empty directory" : kt_strerror(ret));
    }
    forget_inits(&k);
    free(k.inits);
    free(k.outputs);
    free(k.slabs);
    kt_closep(&k.from_fd);
    kt_closep(&k.to_fd);
    return ret;
}

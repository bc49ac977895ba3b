/* cmd_export.c - `kentongan export`: a stretch of one camera as MP4, from the ring,
 * with or without the daemon running. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/usage.h"
#include "storage/ring/clip.h"

#define COPY_BYTES (1u << 20)

struct request {
    const char *config, *camera, *stream, *out;
    const char *from, *to;
    int64_t from_us, to_us;
};

static void usage(FILE *to)
{
    fputs("usage: kentongan export -c FILE --camera ID --from TIME --to TIME -o OUT.mp4\n"
          "                        [--stream main|sub]\n\n"
          "Copies the original frames, not transcoded. Times are RFC 3339\n"
          "(2026-11-24T08:00:00+07:00) or Unix seconds. The file starts at the key frame\n"
          "at or before --from. The daemon may be running.\n", to);
}

enum { OPT_CAMERA = 256, OPT_FROM, OPT_TO, OPT_STREAM };

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },      { "output", required_argument, NULL, 'o' },
    { "camera", required_argument, NULL, OPT_CAMERA }, { "from", required_argument, NULL, OPT_FROM },
    { "to", required_argument, NULL, OPT_TO },       { "stream", required_argument, NULL, OPT_STREAM },
    { "help", no_argument, NULL, 'h' },              { 0 },
};

/* -1: go on; else the exit status. */
static int check(struct request *r, const char *unexpected)
{
    const struct {
        const char *option, *value;
    } needed[] = { { "-c", r->config }, { "--camera", r->camera }, { "--from", r->from }, { "--to", r->to }, { "-o", r->out } };
    for (size_t i = 0; i < KT_ARRAY_SIZE(needed); i++)
        if (!needed[i].value)
            return kt_usage_wrong("export", "%s is missing", needed[i].option);
    if (unexpected)
        return kt_usage_wrong("export", "unexpected '%s'", unexpected);
    if (strcmp(r->stream, "main") != 0 && strcmp(r->stream, "sub") != 0)
        return kt_usage_wrong("export", "--stream '%s' is neither main nor sub", r->stream);
    if (kt_rfc3339_parse(r->from, &r->from_us) < 0)
        return kt_usage_wrong("export", "--from '%s' is no time", r->from);
    if (kt_rfc3339_parse(r->to, &r->to_us) < 0)
        return kt_usage_wrong("export", "--to '%s' is no time", r->to);
    if (r->to_us <= r->from_us)
        return kt_usage_wrong("export", "--to is not after --from");
    return -1;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct request *r)
{
    for (int c; (c = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            r->config = optarg;
            break;
        case 'o':
            r->out = optarg;
            break;
        case OPT_CAMERA:
            r->camera = optarg;
            break;
        case OPT_STREAM:
            r->stream = optarg;
            break;
        case OPT_FROM:
            r->from = optarg;
            break;
        case OPT_TO:
            r->to = optarg;
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            usage(stderr);
            return 2;
        }
    }
    return check(r, optind < argc ? argv[optind] : NULL);
}

static int copy(kt_clip *clip, int fd)
{
    kt_cleanup(kt_freep) uint8_t *buf = malloc(COPY_BYTES);
    if (!buf)
        return -ENOMEM;
    for (uint64_t at = 0;;) {
        const ssize_t n = kt_clip_read(clip, at, buf, COPY_BYTES);
        if (n <= 0)
            return (int)n;
        for (ssize_t done = 0; done < n;) {
            const ssize_t w = write(fd, buf + done, (size_t)(n - done));
            if (w < 0 && errno != EINTR)
                return -errno;
            done += w > 0 ? w : 0;
        }
        at += (uint64_t)n;
    }
}

/* Write the clip to "<out>.part", sync, rename: whoever sees OUT sees all of it. */
static int save(kt_clip *clip, const char *out)
{
    char part[4096];
    if (snprintf(part, sizeof(part), "%s.part", out) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    kt_cleanup(kt_closep) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    int ret = copy(clip, fd);
    if (ret == 0 && fsync(fd) < 0)
        ret = -errno;
    if (ret == 0 && rename(part, out) < 0)
        ret = -errno;
    if (ret < 0)
        (void)unlink(part);
    return ret;
}

struct opened {
    struct kt_clip_source sources[KT_CONFIG_MAX_RINGS];
    size_t n;
};

static void close_all(struct opened *o)
{
    while (o->n > 0)
        kt_ring_close(&o->sources[--o->n].ring);
}

/* All rings that have the stream NAME. */
static int open_all(const kt_config *config, const char *name, struct opened *o, struct kt_error *err)
{
    for (size_t i = 0; i < config->n_rings; i++) {
        const struct kt_ring_params p = { .name = config->rings[i].name, .read_only = true,
                                          .path = config->rings[i].path };
        struct kt_clip_source *s = &o->sources[o->n];
        const int ret = kt_ring_open(&s->ring, &p, err);
        if (ret < 0)
            return ret;
        if (kt_ring_find_stream(s->ring, name, &s->stream) == 0)
            o->n++;
        else
            kt_ring_close(&s->ring);
    }
    return 0;
}

/* The clip, from as many rings as it takes. */
static int export_from(const kt_config *config, const struct request *r, struct kt_error *err)
{
    char name[KT_STREAM_NAME_MAX + 1], start[KT_RFC3339_SIZE], end[KT_RFC3339_SIZE];
    kt_cleanup(close_all) struct opened o = { .n = 0 };
    kt_cleanup(kt_clip_close) kt_clip *clip = NULL;
    struct kt_clip_info info;
    snprintf(name, sizeof(name), "%s/%s", r->camera, r->stream);
    int ret = open_all(config, name, &o, err);
    if (ret < 0)
        return ret;
    ret = kt_clip_open_sources(&clip, o.sources, o.n, r->from_us, r->to_us);
    if (ret == -ENOENT)
        return kt_error_set(err, ret, "nothing of %s was recorded then", name);
    if (ret == 0)
        ret = save(clip, r->out);
    if (ret < 0)
        return kt_error_set(err, ret, "%s: %s", r->out, kt_strerror(ret));
    kt_clip_info(clip, &info);
    kt_rfc3339_format(start, info.start_us);
    kt_rfc3339_format(end, info.end_us);
    printf("%s: %u frames, %s to %s\n", r->out, info.frames, start, end);
    return 0;
}

int kt_cmd_export(int argc, char **argv)
{
    struct request r = { .stream = "main" };
    const int status = parse(argc, argv, &r);
    if (status >= 0)
        return status;
    struct kt_error err = { "" };
    kt_cleanup(kt_config_free) kt_config *config = NULL;
    if (kt_config_load(&config, r.config, &err) < 0 || export_from(config, &r, &err) < 0) {
        fprintf(stderr, "kentongan: %s\n", err.text);
        return 1;
    }
    return 0;
}

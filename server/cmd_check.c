/* cmd_check.c - `kentongan check`: is this configuration going to work here? */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "server/advice.h"
#include "server/base/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/probe.h"
#include "server/usage.h"
#include "storage/ring/ring.h"

#define DEFAULT_SECONDS 8
#define PICTURE_WIDTH 64

static void usage(FILE *to)
{
    fputs("usage: kentongan check -c FILE [--seconds N]\n\n"
          "Reads the configuration, listens to every camera for N seconds (default 8) and\n"
          "prints what it sends and for how many days the disks suffice.\n"
          "Exit status 1 when something will not work.\n", to);
}

static void print_probe(const struct kt_probe *p, int seconds)
{
    if (!p->ok) {
        printf("  %-32s FAILED: %s\n", p->name, p->why);
        return;
    }
    printf("  %-32s %s %dx%d, %.1f fps, ", p->name, p->codec, p->width, p->height, p->fps);
    if (p->fps_nominal > 0)
        printf("says %.0f, ", p->fps_nominal);
    printf("%.0f kbit/s, ", p->bitrate / 1000);
    if (p->gop_seconds > 0)
        printf("key frame every %.1f s", p->gop_seconds);
    else
        printf("key frames further apart than the probe");
    printf(", audio %s, first picture after %.1f s", p->audio[0] ? p->audio : "none",
           (double)p->first_frame_us / 1e6);
    if (p->has_clock && llabs(p->clock_offset_us) < KT_SECOND_US / 20)
        printf(", its clock is right");
    else if (p->has_clock)
        printf(", its clock is %+.1f s off", (double)p->clock_offset_us / 1e6);
    printf("\n");
    const struct kt_advice_facts facts = {
        .codec = p->codec, .gop_seconds = p->gop_seconds > 0 ? p->gop_seconds : seconds,
        .fps = p->fps, .fps_nominal = p->fps_nominal, .frames = p->frames,
        .lost_packets = p->lost_packets, .has_clock = p->has_clock,
        .clock_offset_us = p->clock_offset_us, .no_sub = p->only_main,
    };
    const char *words[KT_ADVICE_MAX];
    const size_t n = kt_advice(&facts, words);
    for (size_t i = 0; i < n; i++)
        printf("  %-32s advice: %s\n", "", kt_advice_text(words[i]));
}

/* Two probes a camera; those without a URL stay out. Returns the number. */
static size_t fill_probes(const kt_config *config, kt_ingest_loop *loop, struct kt_probe *probes)
{
    size_t n = 0;
    for (size_t i = 0; i < config->n_cameras; i++) {
        const struct kt_camera_config *c = &config->cameras[i];
        if (!c->enabled)
            continue;
        const char *const urls[] = { c->main_url, c->sub_url };
        for (int k = 0; k < 2; k++) {
            if (!urls[k][0])
                continue;
            snprintf(probes[n].name, sizeof(probes[n].name), "%s/%s", c->id, k ? "sub" : "main");
            probes[n].url = urls[k];
            probes[n].transport = c->transport;
            probes[n].picture_width = PICTURE_WIDTH;    /* says how large the stream is */
            probes[n].only_main = !c->sub_url[0] && c->analysis != KT_ANALYSIS_OFF;
            /* As the recorder will do it. */
            probes[n++].loop = strcmp(c->transport, "libav") == 0 ? NULL : loop;
        }
    }
    return n;
}

/* 0 when every stream gave a picture. */
static int check_cameras(struct kt_probe *probes, size_t n, int seconds)
{
    printf("cameras: listening to %zu streams for %d s\n", n, seconds);
    fflush(stdout);
    int ret = kt_probe_run(probes, n, seconds, -1);
    if (ret < 0)
        return ret;
    for (size_t i = 0; i < n; i++) {
        print_probe(&probes[i], seconds);
        free(probes[i].jpeg);
        if (!probes[i].ok)
            ret = -EIO;
    }
    return ret;
}

/* ---- rings ---- */

static const char *size_text(char out[32], double bytes)
{
    if (bytes < (double)(1 << 30))
        snprintf(out, 32, "%.0f MiB", bytes / (1 << 20));
    else
        snprintf(out, 32, "%.1f GiB", bytes / (1 << 30));
    return out;
}

/* What goes into the ring all the time, in bit/s. */
static double ring_bitrate(const struct kt_config_ring *r, const struct kt_probe *probes, size_t n,
                           size_t *streams)
{
    double sum = 0;
    *streams = 0;
    for (size_t i = 0; i < n && r->only != KT_RING_ONLY_EVENTS; i++) {
        char camera[sizeof(probes[i].name)];
        snprintf(camera, sizeof(camera), "%s", probes[i].name);
        char *kind = strrchr(camera, '/');
        *kind++ = '\0';
        if (!probes[i].ok || !kt_config_ring_takes(r, camera, kind))
            continue;
        sum += probes[i].bitrate;
        ++*streams;
    }
    return sum;
}

static int check_days(const struct kt_config_ring *r, double bitrate, size_t streams)
{
    if (bitrate <= 0)
        return 0;
    const double days = (double)r->size_bytes * 8 / bitrate / 86400;
    printf("    holds %.1f %s of the %.1f Mbit/s of %zu streams\n", days < 1 ? days * 24 : days,
           days < 1 ? "hours" : "days", bitrate / 1e6, streams);
    if (days >= KT_RING_LEAST_DAYS)
        return 0;
    char size[32];
    printf("    TOO SMALL for these cameras: a day takes %s\n",
           size_text(size, bitrate / 8 * 86400 * KT_RING_LEAST_DAYS));
    return -ENOSPC;
}

/* Is there room to make it? PATH's nearest folder that exists says. */
static int check_room(const struct kt_config_ring *r)
{
    char path[4096];
    struct statvfs vfs;
    snprintf(path, sizeof(path), "%s", r->path);
    while (statvfs(path, &vfs) < 0) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return 0;
        slash[slash == path] = '\0';
    }
    const double free_bytes = (double)vfs.f_bavail * (double)vfs.f_frsize;
    if (free_bytes >= (double)r->size_bytes)
        return 0;
    char size[32];
    printf("    NO ROOM: %s are free on %s\n", size_text(size, free_bytes), path);
    return -ENOSPC;
}

/* What is there already; -ENOENT: nothing, it will be made. */
static int check_existing(const struct kt_config_ring *r)
{
    const struct kt_ring_params p = { .name = r->name, .path = r->path, .read_only = true };
    kt_cleanup(kt_ring_close) kt_ring *ring = NULL;
    struct kt_error err = { "" };
    char from[KT_RFC3339_SIZE], to[KT_RFC3339_SIZE];
    const int ret = kt_ring_open(&ring, &p, &err);
    if (ret == -ENOENT)
        return ret;
    if (ret < 0) {
        printf("    FAILED: %s\n", err.text);
        return ret;
    }
    struct kt_ring_status s;
    kt_ring_status(ring, &s);
    kt_rfc3339_format(from, s.oldest_us);
    kt_rfc3339_format(to, s.newest_us);
    if (s.oldest_us > 0)
        printf("    has video from %s to %s\n", from, to);
    return 0;
}

static int check_ring(const struct kt_config_ring *r, const struct kt_probe *probes, size_t n)
{
    size_t streams;
    const double bitrate = ring_bitrate(r, probes, n, &streams);
    char size[32];
    printf("  %-12s %s in %s%s\n", r->name, size_text(size, (double)r->size_bytes), r->path,
           r->only == KT_RING_ONLY_EVENTS ? ", around events" : "");
    int ret = check_existing(r);
    if (ret == -ENOENT)
        ret = check_room(r);
    const int days = check_days(r, bitrate, streams);
    return ret < 0 ? ret : days;
}

static void check_named_cameras(const kt_config *config, const struct kt_config_ring *r)
{
    for (size_t i = 0; i < r->n_cameras; i++) {
        size_t k = 0;
        while (k < config->n_cameras && strcmp(config->cameras[k].id, r->cameras[i]) != 0)
            k++;
        if (k == config->n_cameras)
            printf("    no camera '%s' in this file: fine if it was added in the browser\n", r->cameras[i]);
    }
}

static int check_rings(const kt_config *config, const struct kt_probe *probes, size_t n)
{
    int ret = 0;
    printf("rings:\n");
    for (size_t i = 0; i < config->n_rings; i++) {
        const int one = check_ring(&config->rings[i], probes, n);
        ret = one < 0 ? one : ret;
        check_named_cameras(config, &config->rings[i]);
    }
    return ret;
}

static void check_clock(void)
{
    int64_t max_error_us;
    if (kt_clock_synchronised(&max_error_us))
        printf("clock: synchronised, error at most %lld ms\n", (long long)max_error_us / 1000);
    else
        printf("clock: NOT synchronised; install chrony, or times in evidence will be doubted\n");
}

int kt_cmd_check(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "seconds", required_argument, NULL, 's' },
                                             { "help", no_argument, NULL, 'h' }, { 0 } };
    const char *path = NULL;
    double seconds = DEFAULT_SECONDS;
    for (int c; (c = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1;) {
        if (c == 'c') {
            path = optarg;
        } else if (c == 's') {
            if (kt_usage_number(optarg, 1, 600, &seconds) < 0)
                return kt_usage_wrong("check", "--seconds '%s' is no number from 1 to 600", optarg);
        } else {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind < argc)
        return kt_usage_wrong("check", "unexpected '%s'", argv[optind]);
    if (!path)
        return kt_usage_wrong("check", "-c FILE is missing");
    struct kt_error err = { "" };
    kt_cleanup(kt_config_free) kt_config *config = NULL;
    if (kt_config_load(&config, path, &err) < 0) {
        fprintf(stderr, "kentongan: %s\n", err.text);
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);           /* OpenSSL writes to cameras that left */
    kt_cleanup(kt_freep) struct kt_probe *probes = calloc(2 * config->n_cameras + 1, sizeof(*probes));
    kt_cleanup(kt_ingest_loop_destroy) kt_ingest_loop *loop = NULL;
    if (!probes || kt_ingest_loop_create(&loop) < 0)
        return 1;
    const size_t n = fill_probes(config, loop, probes);
    const int cameras = check_cameras(probes, n, (int)seconds);
    const int rings = check_rings(config, probes, n);
    check_clock();
    return cameras < 0 || rings < 0 ? 1 : 0;
}

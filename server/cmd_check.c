/* cmd_check.c - `kentongan check`: is this configuration going to work here? */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/probe.h"

#define DEFAULT_SECONDS 8
/* Above this, seeking is slow and the start of events is at risk: a "smart codec". */
#define LONG_GOP_SECONDS 5.0

static void usage(FILE *to)
{
    fputs("usage: kentongan check -c FILE [--seconds N]\n\n"
          "Reads the configuration, listens to every camera for N seconds (default 8) and\n"
          "prints what it sends and for how many days the disks suffice.\n"
          "Exit status 1 when something will not work.\n", to);
}

static void print_probe(const struct kt_probe *p)
{
    if (!p->ok) {
        printf("  %-32s FAILED: %s\n", p->name, p->why);
        return;
    }
    printf("  %-32s %s %dx%d, %.1f fps (says %.0f), %.0f kbit/s, ", p->name, p->codec, p->width,
           p->height, p->fps, p->fps_nominal, p->bitrate / 1000);
    if (p->gop_seconds > 0)
        printf("key frame every %.1f s", p->gop_seconds);
    else
        printf("key frames further apart than the probe");
    printf(", audio %s, first picture after %.1f s\n", p->audio[0] ? p->audio : "none",
           (double)p->first_frame_us / 1e6);
    if (p->gop_seconds > LONG_GOP_SECONDS || p->gop_seconds <= 0)
        printf("  %-32s advice: set the key-frame interval to 1-2 s and switch \"smart codec\" off\n", "");
}

/* Two probes a camera; those without a URL stay out. Returns the number. */
static size_t fill_probes(const kt_config *config, struct kt_probe *probes)
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
            probes[n++].transport = c->transport;
        }
    }
    return n;
}

/* 0 when every stream gave a picture; *BITRATE is their sum. */
static int check_cameras(const kt_config *config, int seconds, double *bitrate)
{
    kt_cleanup(kt_freep) struct kt_probe *probes = calloc(2 * config->n_cameras + 1, sizeof(*probes));
    if (!probes)
        return -ENOMEM;
    const size_t n = fill_probes(config, probes);
    printf("cameras: listening to %zu streams for %d s\n", n, seconds);
    fflush(stdout);
    int ret = kt_probe_run(probes, n, seconds);
    if (ret < 0)
        return ret;
    for (size_t i = 0; i < n; i++) {
        print_probe(&probes[i]);
        *bitrate += probes[i].bitrate;
        if (!probes[i].ok)
            ret = -EIO;
    }
    return ret;
}

static int check_rings(const kt_config *config, double bitrate)
{
    int ret = 0;
    printf("rings:\n");
    for (size_t i = 0; i < config->n_rings; i++) {
        const struct kt_config_ring *r = &config->rings[i];
        struct stat st;
        const bool there = stat(r->path, &st) == 0;
        printf("  %-12s %.1f GiB in %s%s", r->name, (double)r->size_bytes / (1 << 30), r->path,
               there ? "" : " (will be made)");
        if (there && !S_ISDIR(st.st_mode)) {
            printf(": not a directory");
            ret = -ENOTDIR;
        } else if (r->only != KT_RING_ONLY_EVENTS && bitrate > 0) {
            printf(": %.1f days of %.1f Mbit/s", (double)r->size_bytes * 8 / bitrate / 86400,
                   bitrate / 1e6);
        }
        printf("\n");
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
    int seconds = DEFAULT_SECONDS;
    for (int c; (c = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1;) {
        if (c == 'c') {
            path = optarg;
        } else if (c == 's') {
            seconds = atoi(optarg);
        } else {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (!path || optind < argc || seconds < 1 || seconds > 600) {
        usage(stderr);
        return 2;
    }
    struct kt_error err = { "" };
    kt_cleanup(kt_config_free) kt_config *config = NULL;
    if (kt_config_load(&config, path, &err) < 0) {
        fprintf(stderr, "kentongan: %s\n", err.text);
        return 1;
    }
    double bitrate = 0;
    const int cameras = check_cameras(config, seconds, &bitrate);
    const int rings = check_rings(config, bitrate);
    check_clock();
    return cameras < 0 || rings < 0 ? 1 : 0;
}

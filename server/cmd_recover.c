/* cmd_recover.c - `kentongan recover`: MP4 files out of slabs, when nothing else is left. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "server/commands.h"
#include "server/progress.h"
#include "server/usage.h"
#include "storage/ring/carve.h"

static void usage(FILE *to)
{
    fputs("usage: kentongan recover RINGDIR -o DIR\n\n"
          "Writes one MP4 per camera, stream and unbroken run, from the slab files in RINGDIR\n"
          "alone: no server, no catalog, no ring.meta, not even all slabs are needed.\n"
          "Damaged records are left out and named. RINGDIR is only read. Files in DIR are\n"
          "never overwritten.\n", to);
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    kt_progress_show(user, done, total);
}

static void on_note(void *user, const char *line)
{
    kt_progress_clear(user);
    printf("%s\n", line);
}

static int recover(const char *from, const char *to)
{
    struct kt_progress progress;
    struct kt_error err = { "" };
    struct kt_carve carve = { .user = &progress, .progress = on_progress, .note = on_note };
    kt_progress_begin(&progress);
    const int ret = kt_ring_carve(from, to, &carve, &err);
    kt_progress_clear(&progress);
    if (ret < 0) {
        fprintf(stderr, "kentongan recover: %s\n", err.text);
        return 1;
    }
    printf("%" PRIu64 " files, %.1f MiB of %" PRIu64 " records from %" PRIu64 " slabs; %" PRIu64
           " damaged or unfinished records left out\n", carve.files,
           (double)carve.bytes / (1 << 20), carve.records, carve.slabs, carve.damaged);
    return 0;
}

int kt_cmd_recover(int argc, char **argv)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    const char *to = NULL;
    for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
        if (c == 'h') {
            usage(stdout);
            return 0;
        }
        if (c != 'o') {
            usage(stderr);
            return 2;
        }
        to = optarg;
    }
    if (optind + 1 != argc)
        return kt_usage_wrong("recover", optind == argc ? "which RINGDIR?" : "one RINGDIR at a time");
    if (!to)
        return kt_usage_wrong("recover", "-o DIR is missing");
    return recover(argv[optind], to);
}

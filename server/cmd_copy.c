/* cmd_copy.c - `kentongan copy`: a copy of a clip for looking at, with the time in the picture. */
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <libavutil/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "server/base/clock.h"
#include "server/commands.h"
#include "server/derive.h"
#include "server/usage.h"

#define HEAD_MAX 65536
#define FROM_1601_US (INT64_C(11644473600) * KT_SECOND_US)

struct request {
    struct kt_mask masks[KT_MASKS_MAX];
    struct kt_derive derive;
    bool has_start;
};

static void usage(FILE *to)
{
    fputs("usage: kentongan copy [--mask X,Y,W,H]... [--label TEXT] [--start TIME] IN.mp4 SALINAN-….mp4\n\n"
          "Makes a copy of a clip for looking at: the time, and that it is a copy, are written into\n"
          "the picture; each --mask paints over a part of it (shares of width and height: 0.5,0,0.5,1\n"
          "is the right half). Sound is left out. The name of the copy must begin with SALINAN: it is\n"
          "no evidence. The time of the first picture is taken from the clip (`cstb`), or from --start,\n"
          "like 2026-11-25T01:02:03Z. Times are written in the zone of TZ.\n", to);
}

/* The start that kentongan writes into the clips of packages. */
static bool read_start(const char *path, int64_t *start_us)
{
    static uint8_t head[HEAD_MAX];
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    const size_t n = f ? fread(head, 1, sizeof(head), f) : 0;
    const uint8_t *box = memmem(head, n, "cstb", 4);
    uint64_t ticks;
    if (!box || (size_t)(box - head) + 20 > n)
        return false;
    memcpy(&ticks, box + 12, sizeof(ticks));
    *start_us = (int64_t)(be64toh(ticks) / 10) - FROM_1601_US;
    return true;
}

static bool add_mask(struct request *r, const char *text)
{
    struct kt_mask m;
    char end;
    if (r->derive.n_masks == KT_MASKS_MAX ||
        sscanf(text, "%lf,%lf,%lf,%lf%c", &m.x, &m.y, &m.w, &m.h, &end) != 4 ||
        !(m.x >= 0 && m.y >= 0 && m.w > 0 && m.h > 0 && m.x + m.w <= 1.0001 && m.y + m.h <= 1.0001))    /* NaN: no */
        return false;
    r->masks[r->derive.n_masks++] = m;
    return true;
}

static int parse(int argc, char **argv, struct request *r)
{
    static const struct option options[] = {
        { "mask", required_argument, NULL, 'm' }, { "label", required_argument, NULL, 'l' },
        { "start", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    for (int c; (c = getopt_long(argc, argv, "m:l:s:h", options, NULL)) != -1;) {
        if (c == 'h') {
            usage(stdout);
            return 0;
        }
        if (c == 'l')
            r->derive.label = optarg;
        else if (c == 's')
            r->has_start = kt_rfc3339_parse(optarg, &r->derive.start_us) == 0;
        if (c == 's' && !r->has_start)
            return kt_usage_wrong("copy", "--start '%s' is no time", optarg);
        if (c == 'm' && !add_mask(r, optarg))
            return kt_usage_wrong("copy", "--mask '%s' is not X,Y,W,H inside the picture, or the mask after %d others",
                                  optarg, KT_MASKS_MAX);
        if (c == '?') {
            usage(stderr);
            return 2;
        }
    }
    if (argc - optind != 2)
        return kt_usage_wrong("copy", "a clip and the name of its copy are wanted");
    const char *out = argv[optind + 1];
    const char *slash = strrchr(out, '/');
    if (strncmp(slash ? slash + 1 : out, "SALINAN", 7) != 0)
        return kt_usage_wrong("copy", "'%s': the name of a copy begins with SALINAN", out);
    r->derive.in = argv[optind];
    r->derive.out = out;
    return -1;
}

int kt_cmd_copy(int argc, char **argv)
{
    struct request r = { .derive = { .zone = NULL } };
    struct kt_error err = { "" };
    struct stat st;
    struct tm tm;
    av_log_set_level(AV_LOG_ERROR);
    const int status = parse(argc, argv, &r);
    if (status >= 0)
        return status;
    if (!r.has_start && !read_start(r.derive.in, &r.derive.start_us)) {
        fprintf(stderr, "kentongan copy: %s does not say when it begins: give --start\n", r.derive.in);
        return 1;
    }
    if (stat(r.derive.out, &st) == 0) {
        fprintf(stderr, "kentongan copy: %s is there already\n", r.derive.out);
        return 1;
    }
    const time_t start = (time_t)(r.derive.start_us / KT_SECOND_US);
    localtime_r(&start, &tm);
    r.derive.masks = r.masks;
    r.derive.zone = tm.tm_zone;
    r.derive.zone_offset_s = (int)tm.tm_gmtoff;
    if (kt_derive_make(&r.derive, &err) < 0) {
        fprintf(stderr, "kentongan copy: %s\n", err.text);
        (void)remove(r.derive.out);
        return 1;
    }
    return 0;
}

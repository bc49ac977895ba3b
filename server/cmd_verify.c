/* cmd_verify.c - `kentongan verify PATH`: is it what was recorded? A ring, or an evidence package. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/text.h"
#include "server/commands.h"
#include "server/progress.h"
#include "server/usage.h"
#include "storage/ring/check.h"
#include "storage/vault/package.h"

#define TSA_CA_MAX (1u << 20)

struct request {
    const char *path, *fingerprint, *manifest, *ca_path;
};

static void usage(FILE *to)
{
    fputs("usage: kentongan verify [--key FINGERPRINT] [--manifest SHA256] [--tsa-ca FILE] PATH\n\n"
          "PATH is a ring (a directory with slabs) or an evidence package (.zip or folder).\n"
          "Checks every hash, the chain from record to record and every signature, and names\n"
          "the first thing that is wrong. Give the fingerprint that was written down when the\n"
          "recorder was set up: without it, whoever replaced everything, key included, is\n"
          "believed. --manifest is the number on the printed report. --tsa-ca FILE holds the\n"
          "certificates (PEM) of the time stamping service, from the service itself.\n"
          "A ring may be in use. Exit status: 0 as recorded, 1 not or it cannot be read, 2 wrong usage.\n", to);
}

/* ---- a ring ---- */

static void on_progress(void *user, uint64_t done, uint64_t total)
{
    kt_progress_show(user, done, total);
}

static void on_bad(void *user, const char *line)
{
    kt_progress_clear(user);
    printf("BAD  %s\n", line);
}

static void print_ring(const struct kt_verify *v)
{
    char from[KT_RFC3339_SIZE], to[KT_RFC3339_SIZE], at[KT_RFC3339_SIZE];
    kt_rfc3339_format(from, v->oldest_us);
    kt_rfc3339_format(to, v->newest_us);
    kt_rfc3339_format(at, v->signed_us);
    printf("%" PRIu64 " records, %.1f MiB in %" PRIu64 " slabs, video from %s to %s\n", v->records,
           (double)v->bytes / (1 << 20), v->slabs, from, to);
    printf("records %" PRIu64 " to %" PRIu64 ": %s\n", v->first_seq, v->last_seq,
           v->from_the_start ? "from the very first"
                             : "older ones were overwritten by the ring itself, as it should");
    printf("%" PRIu64 " signatures, the last of %s over record %" PRIu64 "; %" PRIu64
           " records after it are chained, not yet signed\n", v->heads, at, v->signed_seq,
           v->last_seq > v->signed_seq + 1 ? v->last_seq - v->signed_seq - 1 : 0);
    printf("key %s\n", v->key);
    if (v->erased > 0)
        printf("%" PRIu64 " records were erased by a person, as the ring says\n", v->erased);
}

static int verify_ring(const struct request *r)
{
    struct kt_progress progress;
    struct kt_error err = { "" };
    struct kt_verify v = { .user = &progress, .bad = on_bad, .progress = on_progress,
                           .fingerprint = r->fingerprint };
    kt_progress_begin(&progress);
    const int ret = kt_ring_verify(r->path, &v, &err);
    kt_progress_clear(&progress);
    if (ret < 0) {
        fprintf(stderr, "kentongan verify: %s\n", err.text);
        return 1;
    }
    print_ring(&v);
    if (v.problems > 0) {
        printf("NOT as recorded: %" PRIu64 " problems, the first: %s\n", v.problems, v.first_problem);
        return 1;
    }
    printf("OK: nothing was changed, nothing is missing\n");
    return 0;
}

/* ---- an evidence package ---- */

static void on_finding(void *user, bool good, const char *text)
{
    printf("%-4s %s\n", good ? "ok" : "BAD", text);
}

static int verify_package(const struct request *r)
{
    struct kt_error err = { "" };
    kt_cleanup(kt_freep) char *ca = NULL;
    const int ret = r->ca_path ? kt_text_read(r->ca_path, TSA_CA_MAX, &ca) : 0;
    if (ret < 0) {
        fprintf(stderr, "kentongan verify: --tsa-ca %s: %s\n", r->ca_path, kt_strerror(ret));
        return 1;
    }
    const struct kt_package_check check = { .fingerprint = r->fingerprint, .say = on_finding,
                                            .manifest_sha256 = r->manifest, .timestamp_ca = ca };
    if (kt_package_verify(r->path, &check, &err) < 0) {
        printf("NOT as exported: %s\n", err.text);
        return 1;
    }
    printf("OK: the package is as it was exported\n");
    return 0;
}

static bool is_sha256(const char *text)
{
    uint8_t sum[32];
    return kt_unhex(sum, sizeof(sum), text) == 0;
}

int kt_cmd_verify(int argc, char **argv)
{
    static const struct option options[] = {
        { "key", required_argument, NULL, 'k' }, { "manifest", required_argument, NULL, 'm' },
        { "tsa-ca", required_argument, NULL, 't' },
        { "help", no_argument, NULL, 'h' },      { 0 },
    };
    struct request r = { .path = NULL };
    for (int c; (c = getopt_long(argc, argv, "k:m:t:h", options, NULL)) != -1;) {
        switch (c) {
        case 'k':
            r.fingerprint = optarg;
            break;
        case 'm':
            r.manifest = optarg;
            break;
        case 't':
            r.ca_path = optarg;
            break;
        default:
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind + 1 != argc)
        return kt_usage_wrong("verify", optind == argc ? "which ring or package?" : "one ring or package at a time");
    if (r.fingerprint && !is_sha256(r.fingerprint))
        return kt_usage_wrong("verify", "--key '%s' is no fingerprint: 64 digits 0-9 and a-f", r.fingerprint);
    if (r.manifest && !is_sha256(r.manifest))
        return kt_usage_wrong("verify", "--manifest '%s' is no SHA-256: 64 digits 0-9 and a-f", r.manifest);
    r.path = argv[optind];
    return kt_package_is(r.path) ? verify_package(&r) : verify_ring(&r);
}

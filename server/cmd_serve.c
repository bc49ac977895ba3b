/* cmd_serve.c - `kentongan serve`: the daemon. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <libavutil/log.h>

#include "server/base/log.h"
#include "server/commands.h"
#include "server/daemon.h"
#include "server/usage.h"

static void usage(FILE *to)
{
    fputs("usage: kentongan serve [-c FILE] [--data DIR] [--listen ADDRESS:PORT]\n"
          "                       [--new-ring NAME] [--verbose]\n\n"
          "  -c, --config FILE   configuration (YAML); docs/configuration.md explains it\n"
          "  --data DIR          without -c: keep catalog and two small rings here\n"
          "                      (default: ./kentongan-data)\n"
          "  --listen ADDR:PORT  instead of the configured address\n"
          "  --new-ring NAME     the disk of this ring was replaced on purpose: use the new one\n"
          "  -v, --verbose       log more\n\n"
          "SIGTERM and SIGINT stop it, SIGHUP reads the cameras again.\n", to);
}

enum { OPT_DATA = 256, OPT_LISTEN, OPT_NEW_RING };

static const struct option options[] = {
    { "config", required_argument, NULL, 'c' },
    { "data", required_argument, NULL, OPT_DATA },
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "new-ring", required_argument, NULL, OPT_NEW_RING },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct kt_daemon_params *p)
{
    for (int c; (c = getopt_long(argc, argv, "c:vh", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            p->config_path = optarg;
            break;
        case OPT_DATA:
            p->data_dir = optarg;
            break;
        case OPT_LISTEN:
            p->listen = optarg;
            break;
        case OPT_NEW_RING:
            p->new_ring = optarg;
            break;
        case 'v':
            kt_log_set_level(KT_LOG_DEBUG);
            break;
        default:
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind < argc)
        return kt_usage_wrong("serve", "unexpected '%s'", argv[optind]);
    const char *port = p->listen ? strrchr(p->listen, ':') : NULL;
    double number;
    if (p->listen && (!port || kt_usage_number(port + 1, 0, 65535, &number) < 0))
        return kt_usage_wrong("serve", "--listen '%s' is not ADDRESS:PORT", p->listen);
    return -1;
}

/* Signals are taken by the main thread alone: blocked before any other exists. */
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/*
 * Pictures and backgrounds come and go in pieces of some 60 KiB and more, from many
 * threads. With glibc's moving threshold they end up in the arenas, which then
 * keep a third more than is in use; with a fixed one they go back when freed.
 */
static void tame_malloc(void)
{
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    mallopt(M_ARENA_MAX, 2);
}

/* What FFmpeg has to say is about frames that cameras damaged: for the curious. */
static void av_line(void *ctx, int level, const char *fmt, va_list args)
{
    char text[512];
    if (level > AV_LOG_ERROR)
        return;
    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    kt_debug("ffmpeg", "%s", text);
}

int kt_cmd_serve(int argc, char **argv)
{
    struct kt_daemon_params params = { .data_dir = "kentongan-data" };
    const int status = parse(argc, argv, &params);
    if (status >= 0)
        return status;
    tame_malloc();
    block_signals();
    av_log_set_callback(av_line);

    struct kt_error err = { "" };
    kt_daemon *daemon = NULL;
    if (kt_daemon_start(&daemon, &params, &err) < 0) {
        fprintf(stderr, "kentongan: %s\n", err.text);
        return 1;
    }
    kt_daemon_run(daemon);
    kt_info("kentongan", "stopping");
    kt_daemon_stop(&daemon);
    kt_info("kentongan", "stopped");
    return 0;
}

/*
 * bench_ingest.c - what receiving and muxing cost: N sessions for S seconds.
 *
 *     bench_ingest [-t TRANSPORT] [-s SECONDS] [-o FILE] URL...
 *
 * Prints one JSON object: CPU as percent of one core, frames, bytes, runs, and
 * the worst wall-time distance between two frames of a camera. -o keeps the
 * first URL's chunks as a file to play.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "decoders/ingest/ingest.h"
#include "decoders/mux/mux.h"
#include "server/base/clock.h"
#include "server/base/log.h"

struct camera {
    const char *url;
    kt_ingest *ingest;
    kt_mux *mux;
    FILE *file;
    const struct kt_init *init;
    /* --- ingest thread; read after kt_ingest_stop_all() --- */
    int64_t first_us, last_us, worst_us, bytes;
    int frames, audio, runs, dropped;
};

static void on_chunk(void *user, struct kt_chunk *chunk)
{
    struct camera *c = user;
    c->bytes += (int64_t)chunk->size;
    if (c->file && c->init != chunk->init) {
        fwrite(chunk->init->data, 1, chunk->init->size, c->file);
        c->init = chunk->init;
    }
    if (c->file)
        fwrite(chunk->data, 1, chunk->size, c->file);
    if (chunk->flags & KT_CHUNK_AUDIO) {
        c->audio++;
        return;
    }
    if (c->frames++ == 0)
        c->first_us = chunk->wall_us;
    else if (chunk->wall_us - c->last_us > c->worst_us)
        c->worst_us = chunk->wall_us - c->last_us;
    c->last_us = chunk->wall_us;
}

static void on_run_end(void *user, enum kt_run_end why)
{
    struct camera *c = user;
    c->runs++;
    kt_debug(c->url, "run ended: %d", (int)why);
}

static void on_stream(void *user, const struct kt_ingest_stream *stream)
{
    struct camera *c = user;
    struct kt_error err;
    if (kt_mux_begin(c->mux, stream, &err) < 0)
        kt_warn(c->url, "%s", err.text);
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    struct camera *c = user;
    if (kt_mux_packet(c->mux, pkt, arrival_us) < 0)
        c->dropped++;
}

static void on_state(void *user, enum kt_ingest_state state, const char *why)
{
    struct camera *c = user;
    kt_debug(c->url, "state %d %s", (int)state, why);
}

static int64_t cpu_us(void)
{
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * KT_SECOND_US + ru.ru_utime.tv_usec +
           ru.ru_stime.tv_usec;
}

static void wait_us(int64_t us)
{
    const struct timespec ts = { .tv_sec = us / KT_SECOND_US, .tv_nsec = us % KT_SECOND_US * 1000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static int start(struct camera *c, const char *transport, kt_ingest_loop *loop)
{
    const struct kt_mux_params mux = { .user = c, .on_chunk = on_chunk, .on_run_end = on_run_end };
    if (kt_mux_create(&c->mux, &mux) < 0)
        return -ENOMEM;
    const struct kt_ingest_params ingest = {
        .name = c->url, .url = c->url, .transport = transport, .loop = loop, .user = c,
        .on_stream = on_stream, .on_packet = on_packet, .on_state = on_state,
    };
    return kt_ingest_start(&c->ingest, &ingest);
}

static void report(struct camera *c, int n, int64_t cpu, int64_t took)
{
    int64_t worst = 0, bytes = 0;
    int frames = 0, audio = 0, runs = 0, dropped = 0, silent = 0;
    for (int i = 0; i < n; i++) {
        worst = c[i].worst_us > worst ? c[i].worst_us : worst;
        bytes += c[i].bytes;
        frames += c[i].frames;
        audio += c[i].audio;
        runs += c[i].runs;
        dropped += c[i].dropped;
        silent += c[i].frames == 0;
    }
    printf("{\"sessions\":%d,\"cpu_percent\":%.2f,\"mbit_s\":%.1f,\"frames\":%d,\"audio\":%d,"
           "\"runs\":%d,\"dropped\":%d,\"silent\":%d,\"worst_gap_ms\":%.1f}\n", n,
           100.0 * (double)cpu / (double)took, 8.0 * (double)bytes / (double)took, frames, audio,
           runs, dropped, silent, (double)worst / 1000);
}

int main(int argc, char **argv)
{
    const char *transport = "tcp", *file = NULL;
    int seconds = 10, opt;
    while ((opt = getopt(argc, argv, "t:s:o:v")) != -1) {
        if (opt == 't')
            transport = optarg;
        else if (opt == 's')
            seconds = atoi(optarg);
        else if (opt == 'o')
            file = optarg;
        else if (opt == 'v')
            kt_log_set_level(KT_LOG_DEBUG);
        else
            return 2;
    }
    const int n = argc - optind;
    struct camera *c = calloc((size_t)n, sizeof(*c));
    kt_ingest ***list = calloc((size_t)n, sizeof(*list));
    kt_ingest_loop *loop = NULL;
    if (n == 0 || !c || !list || kt_ingest_loop_create(&loop) < 0)
        return 2;
    for (int i = 0; i < n; i++) {
        c[i].url = argv[optind + i];
        list[i] = &c[i].ingest;
        if (i == 0 && file)
            c[i].file = fopen(file, "wb");
        if (start(&c[i], transport, loop) < 0)
            return 1;
    }
    wait_us(3 * KT_SECOND_US);          /* connecting is not what is measured */
    const int64_t cpu = cpu_us(), mono = kt_clock_mono_us();
    wait_us(seconds * KT_SECOND_US);
    const int64_t used = cpu_us() - cpu, took = kt_clock_mono_us() - mono;
    kt_ingest_stop_all(list, (size_t)n);
    const int64_t stopped = kt_clock_mono_us() - mono - took;
    for (int i = 0; i < n; i++) {
        kt_mux_destroy(&c[i].mux);
        if (c[i].file)
            fclose(c[i].file);
    }
    report(c, n, used, took);
    kt_debug("bench", "stopped in %d ms", (int)(stopped / 1000));
    kt_ingest_loop_destroy(&loop);
    free(list);
    free(c);
    return 0;
}

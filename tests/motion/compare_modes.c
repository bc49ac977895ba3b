/*
 * compare_modes.c - does adaptive decoding find what full decoding finds?
 *
 * usage: kt-compare-modes VIDEO [LOOPS]
 *
 * Plays VIDEO, LOOPS times in a row, through one analyzer in each mode, as a camera
 * would send it, and prints one JSON line: events of both, how many of full's
 * adaptive has too (they overlap in time), how late those start, and what was decoded.
 */
#include <errno.h>
#include <inttypes.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "decoders/motion/analyzer.h"
#include "server/base/clock.h"

#define MAX_EVENTS 4096
#define EPOCH_US INT64_C(1700000000000000)

struct found {
    int n;
    struct {
        int64_t from, to;
    } event[MAX_EVENTS];
    struct kt_analyzer_stats stats;
    double cpu_s;
};

static void on_event(void *user, enum kt_motion_event_phase phase, const struct kt_motion_event *e)
{
    struct found *f = user;
    if (phase != KT_MOTION_EVENT_CLOSE || f->n == MAX_EVENTS)
        return;
    f->event[f->n].from = e->start_us;
    f->event[f->n].to = e->end_us;
    f->n++;
}

static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int play(AVFormatContext *in, int stream, kt_analyzer *a, int64_t *base_us, double *cpu_s)
{
    kt_cleanup(av_packet_free) AVPacket *pkt = av_packet_alloc();
    const AVRational tb = in->streams[stream]->time_base, us = { 1, 1000000 };
    int64_t first = AV_NOPTS_VALUE, last_us = *base_us;
    while (pkt && av_read_frame(in, pkt) >= 0) {
        if (pkt->stream_index == stream && pkt->pts != AV_NOPTS_VALUE) {
            if (first == AV_NOPTS_VALUE)
                first = pkt->pts;
            last_us = *base_us + av_rescale_q(pkt->pts - first, tb, us);
            pkt->pts = pkt->dts = av_rescale_q(last_us - EPOCH_US, us, tb);
            const double before = cpu_now();
            (void)kt_analyzer_packet(a, pkt, last_us);
            *cpu_s += cpu_now() - before;
        }
        av_packet_unref(pkt);
    }
    *base_us = last_us + 100000;
    return 0;
}

static int run(const char *path, int loops, enum kt_analyzer_mode mode, struct found *out)
{
    kt_cleanup(kt_analyzer_destroy) kt_analyzer *a = NULL;
    struct kt_error err;
    int64_t base_us = EPOCH_US;
    for (int i = 0; i < loops; i++) {
        AVFormatContext *in = NULL;
        int stream = -1, ret = avformat_open_input(&in, path, NULL, NULL);
        if (ret == 0)
            ret = avformat_find_stream_info(in, NULL);
        if (ret >= 0)
            ret = stream = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
        if (ret >= 0 && !a) {
            const struct kt_analyzer_params params = {
                .mode = mode, .par = in->streams[stream]->codecpar,
                .time_base = in->streams[stream]->time_base, .user = out, .on_event = on_event,
            };
            ret = kt_analyzer_create(&a, &params, &err);
        }
        if (ret >= 0)
            ret = play(in, stream, a, &base_us, &out->cpu_s);
        avformat_close_input(&in);
        if (ret < 0) {
            fprintf(stderr, "%s: %s\n", path, kt_strerror(ret));
            return ret;
        }
    }
    kt_analyzer_gap(a);
    kt_analyzer_stats(a, &out->stats);
    return 0;
}

int main(int argc, char **argv)
{
    static struct found full, adaptive;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s VIDEO [LOOPS]\n", argv[0]);
        return 2;
    }
    const int loops = argc > 2 ? atoi(argv[2]) : 1;
    if (run(argv[1], loops, KT_ANALYZE_FULL, &full) < 0 ||
        run(argv[1], loops, KT_ANALYZE_ADAPTIVE, &adaptive) < 0)
        return 1;
    int both = 0;
    double latest_s = 0;
    for (int i = 0; i < full.n; i++)
        for (int j = 0; j < adaptive.n; j++)
            if (full.event[i].from <= adaptive.event[j].to &&
                adaptive.event[j].from <= full.event[i].to) {
                const double late = (double)(adaptive.event[j].from - full.event[i].from) / 1e6;
                both++;
                latest_s = late > latest_s ? late : latest_s;
                break;
            }
    printf("{\"video\":\"%s\",\"full\":%d,\"adaptive\":%d,\"in_both\":%d,\"latest_start_s\":%.2f,"
           "\"packets\":%" PRIu64 ",\"key\":%" PRIu64 ",\"decoded\":%" PRIu64 ",\"wakes\":%" PRIu64
           ",\"probes\":%" PRIu64 ",\"missed_probes\":%" PRIu64 ",\"sizes_useful\":%s,"
           "\"cpu_full_s\":%.3f,\"cpu_adaptive_s\":%.3f}\n",
           argv[1], full.n, adaptive.n, both, latest_s, adaptive.stats.packets,
           adaptive.stats.key_packets, adaptive.stats.decoded, adaptive.stats.wakes,
           adaptive.stats.probes, adaptive.stats.missed_probes,
           adaptive.stats.sizes_say_nothing ? "false" : "true", full.cpu_s, adaptive.cpu_s);
    return 0;
}

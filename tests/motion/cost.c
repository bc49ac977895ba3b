/*
 * cost.c - what does it cost to look at a picture, decoding left out?
 *
 * usage: kt-motion-cost [-n ROUNDS] VIDEO…
 *
 * Decodes each VIDEO to what analysis sees of it (luma at most 320 wide, and colour), keeps the
 * pictures, and plays them ROUNDS times (3) through the motion stages, from luma to tracks
 * and events, as `analyze` does. Prints one JSON line for each: pictures, their size, CPU
 * time of one picture in microseconds (of the round that was disturbed least), of the dearest
 * hundredth and of the first one (it makes the background out of what was learnt, and is not in
 * the mean), and a sum over all masks: the same sum, the same masks.
 */
#include <errno.h>
#include <inttypes.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "decoders/decode/decode.h"
#include "decoders/motion/motion.h"
#include "server/base/clock.h"

#define MOST 4096                   /* pictures of a video */
#define LEARN_US (10 * KT_SECOND_US)
#define LEARN_STEP_US 160000

struct picture {
    struct kt_motion_picture pic;
    int64_t t_us;
    uint8_t *bytes;
};

struct film {
    int n;
    struct picture picture[MOST];
};

static int keep(struct film *f, const struct kt_luma *l, int64_t t_us)
{
    const size_t n = (size_t)l->width * (size_t)l->height;
    const size_t c = (size_t)((l->width + 1) / 2) * (size_t)((l->height + 1) / 2);
    struct picture *p = &f->picture[f->n];
    p->bytes = malloc(n + 2 * c);
    if (!p->bytes)
        return -ENOMEM;
    memcpy(p->bytes, l->data, n);
    p->pic = (struct kt_motion_picture){ .luma = p->bytes, .w = l->width, .h = l->height,
                                         .source_w = l->source_width,
                                         .source_h = l->source_height, .key = l->key };
    if (l->cb) {
        memcpy(p->bytes + n, l->cb, c);
        memcpy(p->bytes + n + c, l->cr, c);
        p->pic.cb = p->bytes + n;
        p->pic.cr = p->bytes + n + c;
    }
    p->t_us = t_us;
    f->n++;
    return 0;
}

static int take_all(struct film *f, kt_decoder *dec, AVRational tb)
{
    struct kt_luma luma;
    while (f->n < MOST) {
        int ret = kt_decoder_receive(dec, &luma);
        if (ret == -EAGAIN)
            return 0;
        if (ret == 0)
            ret = keep(f, &luma, av_rescale_q(luma.pts, tb, (AVRational){ 1, 1000000 }));
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int read_film(struct film *f, const char *path)
{
    AVFormatContext *in = NULL;
    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = NULL;
    kt_cleanup(av_packet_free) AVPacket *pkt = av_packet_alloc();
    int stream = -1, ret = pkt ? avformat_open_input(&in, path, NULL, NULL) : -ENOMEM;
    if (ret == 0)
        ret = avformat_find_stream_info(in, NULL);
    if (ret >= 0)
        ret = stream = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    const AVRational tb = ret >= 0 ? in->streams[stream]->time_base : (AVRational){ 1, 1 };
    if (ret >= 0)
        ret = kt_decoder_create(&dec, in->streams[stream]->codecpar, tb);
    while (ret >= 0 && av_read_frame(in, pkt) >= 0) {
        if (pkt->stream_index == stream && kt_decoder_send(dec, pkt) == 0)
            ret = take_all(f, dec, tb);
        av_packet_unref(pkt);
    }
    if (ret >= 0 && kt_decoder_send(dec, NULL) == 0)
        ret = take_all(f, dec, tb);
    avformat_close_input(&in);
    return ret < 0 ? ret : 0;
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t fnv(uint64_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * UINT64_C(1099511628211);
    return sum;
}

static int learn(kt_motion *m, const struct film *f)
{
    int64_t next_us = INT64_MIN;
    for (int i = 0, n = 0; i < f->n && n < KT_MOTION_LEARN_MAX; i++) {
        const int64_t since_us = f->picture[i].t_us - f->picture[0].t_us;
        if (since_us > LEARN_US)
            break;
        if (since_us < next_us)
            continue;
        next_us = since_us + LEARN_STEP_US;
        n++;
        const int ret = kt_motion_learn(m, &f->picture[i].pic);
        if (ret < 0)
            return ret;
    }
    return 0;
}

/* COST: nanoseconds of each picture, the least of all rounds. */
static int play(const struct film *f, int64_t *cost, int64_t *all, uint64_t *sum)
{
    kt_cleanup(kt_motion_destroy) kt_motion *m = NULL;
    struct kt_error err;
    int ret = kt_motion_create(&m, &(struct kt_motion_params){ 0 }, &err);
    if (ret == 0)
        ret = learn(m, f);
    *all = 0;
    *sum = UINT64_C(14695981039346656037);
    for (int i = 0; ret == 0 && i < f->n; i++) {
        struct kt_motion_result r;
        const int64_t before = cpu_ns();
        ret = kt_motion_picture(m, &f->picture[i].pic, f->picture[i].t_us, &r);
        const int64_t took = cpu_ns() - before;
        *all += i > 0 ? took : 0;   /* the first makes the background out of what was learnt */
        cost[i] = took < cost[i] ? took : cost[i];
        if (ret == 0)
            *sum = fnv(*sum, r.mask, (size_t)r.mask_width * (size_t)r.mask_height);
    }
    return ret;
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int measure(const char *path, int rounds)
{
    static struct film film;
    static int64_t cost[MOST];
    int64_t first_ns = 0, least = INT64_MAX;
    uint64_t sum = 0;
    film.n = 0;
    int ret = read_film(&film, path);
    for (int i = 0; i < film.n; i++)
        cost[i] = INT64_MAX;
    for (int i = 0; ret == 0 && i < rounds && film.n > 0; i++) {
        int64_t all;
        ret = play(&film, cost, &all, &sum);
        least = all < least ? all : least;
    }
    if (ret == 0 && film.n > 1) {
        first_ns = cost[0];
        film.n--;                   /* without the first */
        qsort(cost + 1, (size_t)film.n, sizeof(cost[0]), by_size);
        printf("{\"video\":\"%s\",\"pictures\":%d,\"width\":%d,\"height\":%d,\"us\":%.1f,"
               "\"us_dearest_hundredth\":%.1f,\"us_first\":%.0f,\"masks\":\"%016" PRIx64 "\"}\n",
               path, film.n + 1, film.picture[0].pic.w, film.picture[0].pic.h,
               (double)least / film.n / 1e3, (double)cost[film.n - film.n / 100] / 1e3,
               (double)first_ns / 1e3, sum);
        film.n++;
    }
    for (int i = 0; i < film.n; i++)
        free(film.picture[i].bytes);
    if (ret < 0)
        fprintf(stderr, "%s: %s\n", path, kt_strerror(ret));
    return ret;
}

int main(int argc, char **argv)
{
    int rounds = 3, i = 1, ret = 0;
    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        rounds = atoi(argv[2]);
        i = 3;
    }
    if (i >= argc || rounds < 1) {
        fprintf(stderr, "usage: %s [-n ROUNDS] VIDEO...\n", argv[0]);
        return 2;
    }
    for (; i < argc && ret == 0; i++)
        ret = measure(argv[i], rounds);
    return ret < 0;
}

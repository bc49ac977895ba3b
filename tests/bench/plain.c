/*
 * plain.c - the peer that an afternoon writes: libavformat and libavcodec, a
 * thread per stream, every main stream copied to segments, every frame of the
 * sub-stream (sub) or of the main stream (main) decoded and compared with the
 * last. No ring, no index, no web.
 *
 * usage: plain OUT_DIR record|sub|main BASE_URL N
 *        cameras are BASE_URL/camNN/main and /camNN/sub
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#define DIFF_THRESHOLD 20

static atomic_bool stopping;

struct job {
    pthread_t thread;
    char url[256];
    char out[256];                  /* empty: do not record */
    bool analyse;
    unsigned long motion;
};

static int interrupted(void *opaque)
{
    return atomic_load(&stopping);
}

static AVFormatContext *open_input(const char *url)
{
    AVFormatContext *in = avformat_alloc_context();
    AVDictionary *opts = NULL;
    av_dict_set(&opts, "rtsp_transport", "tcp", 0);
    in->interrupt_callback.callback = interrupted;
    if (avformat_open_input(&in, url, NULL, &opts) < 0 || avformat_find_stream_info(in, NULL) < 0)
        exit(1);
    av_dict_free(&opts);
    return in;
}

static AVFormatContext *open_output(const char *name, const AVStream *from)
{
    AVFormatContext *out = NULL;
    avformat_alloc_output_context2(&out, NULL, "segment", name);
    AVStream *st = avformat_new_stream(out, NULL);
    avcodec_parameters_copy(st->codecpar, from->codecpar);
    st->codecpar->codec_tag = 0;
    st->time_base = from->time_base;
    AVDictionary *opts = NULL;
    av_dict_set(&opts, "segment_time", "60", 0);
    av_dict_set(&opts, "segment_format", "mp4", 0);
    if (avformat_write_header(out, &opts) < 0)
        exit(1);
    av_dict_free(&opts);
    return out;
}

static AVCodecContext *open_decoder(const AVCodecParameters *par)
{
    AVCodecContext *dec = avcodec_alloc_context3(avcodec_find_decoder(par->codec_id));
    avcodec_parameters_to_context(dec, par);
    dec->thread_count = 1;
    if (avcodec_open2(dec, NULL, NULL) < 0)
        exit(1);
    return dec;
}

/* Pixels of every second row and column that changed since the last frame. */
static unsigned difference(const AVFrame *f, uint8_t *last)
{
    unsigned changed = 0, i = 0;
    for (int y = 0; y < f->height; y += 2)
        for (int x = 0; x < f->width; x += 2, i++) {
            const uint8_t v = f->data[0][y * f->linesize[0] + x];
            changed += abs(v - last[i]) > DIFF_THRESHOLD;
            last[i] = v;
        }
    return changed;
}

static void *run(void *arg)
{
    struct job *j = arg;
    AVFormatContext *in = open_input(j->url);
    const AVCodecParameters *par = in->streams[0]->codecpar;
    AVFormatContext *out = j->out[0] ? open_output(j->out, in->streams[0]) : NULL;
    AVCodecContext *dec = j->analyse ? open_decoder(par) : NULL;
    uint8_t *last = calloc((size_t)par->width + 2, (size_t)par->height + 2);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    while (av_read_frame(in, pkt) >= 0) {
        const bool video = pkt->stream_index == 0;
        if (dec && video && avcodec_send_packet(dec, pkt) >= 0)
            while (avcodec_receive_frame(dec, frame) >= 0)
                j->motion += difference(frame, last) > 200;
        if (out && video) {
            av_packet_rescale_ts(pkt, in->streams[0]->time_base, out->streams[0]->time_base);
            av_write_frame(out, pkt);
        }
        av_packet_unref(pkt);
    }
    if (out)
        av_write_trailer(out);
    av_frame_free(&frame);
    av_packet_free(&pkt);
    free(last);
    avcodec_free_context(&dec);
    avformat_free_context(out);
    avformat_close_input(&in);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: plain OUT_DIR record|sub|main BASE_URL N\n");
        return 2;
    }
    const int n = atoi(argv[4]);
    const int kinds = strcmp(argv[2], "sub") == 0 ? 2 : 1;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct job *jobs = calloc((size_t)(n * kinds), sizeof(*jobs));
    for (int i = 0; i < n * kinds; i++) {
        struct job *j = &jobs[i];
        const int sub = i % kinds, camera = i / kinds + 1;
        snprintf(j->url, sizeof(j->url), "%s/cam%02d/%s", argv[3], camera, sub ? "sub" : "main");
        if (!sub)
            snprintf(j->out, sizeof(j->out), "%s/cam%02d-%%03d.mp4", argv[1], camera);
        j->analyse = sub || strcmp(argv[2], "main") == 0;
        pthread_create(&j->thread, NULL, run, j);
    }
    int sig;
    sigwait(&set, &sig);
    atomic_store(&stopping, true);
    for (int i = 0; i < n * kinds; i++)
        pthread_join(jobs[i].thread, NULL);
    free(jobs);
    return 0;
}

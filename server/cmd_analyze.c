/* cmd_analyze.c - `kentongan analyze`: the daemon's motion detection over a file. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <string.h>
#include <sys/stat.h>

#include "decoders/decode/decode.h"
#include "decoders/motion/motion.h"
#include "server/base/clock.h"
#include "server/commands.h"
#include "server/overlay.h"
#include "server/usage.h"

#define RULES_MAX (1 << 20)
#define LEARN_STEP_US 160000        /* the first ten seconds make the first background */

struct analysis {
    const char *video, *rules_path, *mask_dir;
    char *rules;
    AVFormatContext *input;
    int stream;
    kt_decoder *decoder;
    kt_motion *motion;
    FILE *out;
    bool cold, fast;
    int learnt;
    int64_t frames, start_us, t_us, learnt_us;
    const char *overlay_path;
    kt_overlay *overlay;
    bool progress;
    int64_t length_us, shown_us;    /* of the video, 0: unknown; clock of the last progress */
    json_t *pending;                /* event lines that follow the frame's line */
};

static void usage(FILE *to)
{
    fputs("usage: kentongan analyze VIDEO [--rules FILE] [--masks DIR] [--overlay OUT.mp4] [--cold] [--fast]\n\n"
          "Runs the motion detection of `serve` over a file and prints a JSON object a line:\n"
          "one for each frame, and one for each event as it closes.\n"
          "VIDEO is anything FFmpeg reads, numbered pictures too (in%06d.jpg); - is standard input.\n\n"
          "  --rules FILE  zones, lines and limits as JSON, see docs/motion.md\n"
          "  --masks DIR   write the foreground of each frame as DIR/000001.pgm, …\n"
          "  --overlay OUT.mp4  write the video with what was seen drawn over it\n"
          "  --progress    show how far it is (standard error; by itself when that is a\n"
          "                terminal and the output is not)\n"
          "  --cold        start knowing nothing, as `serve` does; otherwise the first ten\n"
          "                seconds are looked at beforehand to learn the place\n"
          "  --fast        decode without the loop filter, as `serve` does\n", to);
}

static int read_text(const char *path, char **out)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    kt_cleanup(kt_freep) char *text = calloc(1, RULES_MAX + 1);
    if (!text)
        return -ENOMEM;
    const size_t n = fread(text, 1, RULES_MAX + 1, f);
    if (ferror(f))
        return -EIO;
    if (n > RULES_MAX)
        return -EFBIG;
    text[n] = '\0';
    *out = kt_steal_ptr(&text);
    return 0;
}

/* "-" is standard input. Numbered pictures may begin with any number. */
static int open_video(struct analysis *a)
{
    AVDictionary *options = NULL;
    int ret = av_dict_set(&options, "start_number_range", "100000", 0);
    if (ret >= 0)
        ret = avformat_open_input(&a->input, strcmp(a->video, "-") == 0 ? "pipe:0" : a->video, NULL, &options);
    av_dict_free(&options);     /* other formats leave it */
    if (ret < 0)
        return ret;
    ret = avformat_find_stream_info(a->input, NULL);
    if (ret < 0)
        return ret;
    a->stream = av_find_best_stream(a->input, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (a->stream < 0)
        return a->stream;
    for (unsigned i = 0; i < a->input->nb_streams; i++)
        if ((int)i != a->stream)
            a->input->streams[i]->discard = AVDISCARD_ALL;
    const AVStream *st = a->input->streams[a->stream];
    a->length_us = a->input->duration > 0 ? a->input->duration : 0;
    ret = kt_decoder_create(&a->decoder, st->codecpar, st->time_base);
    if (ret == 0)
        kt_decoder_set_fast(a->decoder, a->fast);
    return ret;
}

static double seconds(const struct analysis *a, int64_t t_us)
{
    return (double)(t_us - a->start_us) / 1e6;
}

static void on_event(void *user, enum kt_motion_event_phase phase, const struct kt_motion_event *ev)
{
    struct analysis *a = user;
    if (phase != KT_MOTION_EVENT_CLOSE)
        return;
    json_t *line = json_pack("{s:{s:I,s:s,s:s,s:f,s:f,s:f,s:f,s:[i,i,i,i,I]}}", "event",
                             "id", (json_int_t)ev->id, "type", ev->type, "rule", ev->rule,
                             "start", seconds(a, ev->start_us), "end", seconds(a, ev->end_us),
                             "score", ev->score, "best_t", seconds(a, ev->best_us),
                             "best", ev->best.x, ev->best.y, ev->best.w, ev->best.h,
                             (json_int_t)ev->best.track);
    if (line)
        json_array_append_new(a->pending, line);
}

static void print_events(struct analysis *a)
{
    size_t i;
    json_t *line;
    json_array_foreach(a->pending, i, line) {
        json_dumpf(line, a->out, JSON_COMPACT | JSON_REAL_PRECISION(6));
        fputc('\n', a->out);
    }
    json_array_clear(a->pending);
}

static void print_frame(struct analysis *a, const struct kt_motion_result *r)
{
    fprintf(a->out, "{\"frame\":%" PRId64 ",\"t\":%.3f,\"motion\":%s,\"score\":%.4f,\"boxes\":[",
            a->frames, seconds(a, a->t_us), r->motion ? "true" : "false", r->score);
    for (int i = 0; i < r->n_boxes; i++) {
        const struct kt_box *b = &r->boxes[i];
        fprintf(a->out, "%s[%d,%d,%d,%d,%" PRIu32 "]", i ? "," : "", b->x, b->y, b->w, b->h,
                b->track);
    }
    fputs("]}\n", a->out);
}

/* The mask at source size, nearest pixel. */
static int write_mask(const struct analysis *a, const struct kt_motion_result *r, int w, int h)
{
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/%06" PRId64 ".pgm", a->mask_dir, a->frames) >=
        (int)sizeof(path))
        return -ENAMETOOLONG;
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "we");
    kt_cleanup(kt_freep) uint8_t *row = malloc((size_t)w);
    if (!f)
        return -errno;
    if (!row)
        return -ENOMEM;
    fprintf(f, "P5\n%d %d\n255\n", w, h);
    for (int y = 0; y < h; y++) {
        const uint8_t *src = r->mask + (ptrdiff_t)((int64_t)y * r->mask_height / h) * r->mask_width;
        for (int x = 0; x < w; x++)
            row[x] = src[(int64_t)x * r->mask_width / w];
        fwrite(row, 1, (size_t)w, f);
    }
    return ferror(f) || fflush(f) ? -EIO : 0;
}

static void set_time(struct analysis *a, int64_t pts)
{
    const AVStream *st = a->input->streams[a->stream];
    int64_t t = a->t_us + 40000;
    if (pts != AV_NOPTS_VALUE)
        t = av_rescale_q(pts, st->time_base, (AVRational){ 1, 1000000 });
    if (a->frames == 0)
        a->start_us = t;
    else if (t <= a->t_us)          /* times that run backwards do not */
        t = a->t_us + 1;
    a->t_us = t;
}

static struct kt_motion_picture picture_of(const struct kt_luma *luma)
{
    return (struct kt_motion_picture){
        .luma = luma->data, .cb = luma->cb, .cr = luma->cr, .w = luma->width, .h = luma->height,
        .source_w = luma->source_width, .source_h = luma->source_height, .key = luma->key,
        .damaged = luma->damaged,
    };
}

/* One line on a terminal, five times a second. */
static void show_progress(struct analysis *a, bool last)
{
    char bar[41];
    const int64_t now_us = kt_clock_mono_us();
    if (!last && now_us - a->shown_us < KT_SECOND_US / 5)
        return;
    a->shown_us = now_us;
    double share = a->length_us > 0 ? seconds(a, a->t_us) * 1e6 / (double)a->length_us : 0;
    share = last || share > 1 ? 1 : share;
    memset(bar, '.', 40);
    memset(bar, '#', (size_t)(share * 40));
    bar[40] = '\0';
    fprintf(stderr, "\r[%s] %3d %%  %.0f s%s", bar, (int)(share * 100), seconds(a, a->t_us),
            last ? "\n" : "");
}

static int look(struct analysis *a, const struct kt_luma *luma)
{
    const struct kt_motion_picture pic = picture_of(luma);
    struct kt_motion_result result;
    set_time(a, luma->pts);
    a->frames++;
    int ret = kt_motion_picture(a->motion, &pic, a->t_us, &result);
    if (ret < 0)
        return ret;
    print_frame(a, &result);
    print_events(a);
    if (a->progress)
        show_progress(a, false);
    if (a->overlay)
        ret = kt_overlay_add(a->overlay, kt_decoder_frame(a->decoder), &result,
                             a->t_us - a->start_us);
    if (ret < 0)
        return ret;
    return a->mask_dir ? write_mask(a, &result, luma->source_width, luma->source_height) : 0;
}

/* A picture every LEARN_STEP_US; 1 when enough are learnt. */
static int learn(struct analysis *a, const struct kt_luma *luma)
{
    const struct kt_motion_picture pic = picture_of(luma);
    set_time(a, luma->pts);
    if (a->frames++ > 0 && a->t_us - a->learnt_us < LEARN_STEP_US)
        return 0;
    a->learnt_us = a->t_us;
    const int ret = kt_motion_learn(a->motion, &pic);
    return ret < 0 ? ret : ++a->learnt == KT_MOTION_LEARN_MAX;
}

static int take_all(struct analysis *a, int (*use)(struct analysis *, const struct kt_luma *))
{
    for (;;) {
        struct kt_luma luma;
        int ret = kt_decoder_receive(a->decoder, &luma);
        if (ret == -EAGAIN)
            return 0;
        if (ret == 0)
            ret = use(a, &luma);
        if (ret != 0)
            return ret;
    }
}

/* Decode the video from where it is to its end, or until USE returns 1. */
static int decode_all(struct analysis *a, int (*use)(struct analysis *, const struct kt_luma *))
{
    kt_cleanup(av_packet_free) AVPacket *pkt = av_packet_alloc();
    if (!pkt)
        return -ENOMEM;
    int ret;
    while ((ret = av_read_frame(a->input, pkt)) >= 0) {
        if (pkt->stream_index == a->stream) {
            (void)kt_decoder_send(a->decoder, pkt);     /* damage costs frames, not the run */
            ret = take_all(a, use);
        }
        av_packet_unref(pkt);
        if (ret != 0 && ret != AVERROR_EOF)
            return ret < 0 ? ret : 0;
    }
    if (ret != AVERROR_EOF && use == look)
        fprintf(stderr, "kentongan analyze: %s: %s after frame %" PRId64 "\n", a->video,
                kt_strerror(ret), a->frames);
    (void)kt_decoder_send(a->decoder, NULL);
    ret = take_all(a, use);
    return ret < 0 ? ret : 0;
}

static void close_video(struct analysis *a)
{
    kt_decoder_destroy(&a->decoder);
    avformat_close_input(&a->input);
    a->frames = 0;
    a->t_us = 0;
}

/* A file, or numbered pictures; not a pipe. */
static bool can_reopen(const struct analysis *a)
{
    return (a->input->pb && (a->input->pb->seekable & AVIO_SEEKABLE_NORMAL)) ||
           (a->input->iformat->flags & AVFMT_NOFILE);
}

static int run(struct analysis *a)
{
    int ret = open_video(a);
    if (ret == 0 && !a->cold && can_reopen(a)) {
        ret = decode_all(a, learn);
        close_video(a);
        if (ret == 0)
            ret = open_video(a);
    }
    if (ret == 0)
        ret = decode_all(a, look);
    kt_motion_finish(a->motion);
    print_events(a);
    if (a->progress && a->frames > 0)
        show_progress(a, true);
    const int finished = kt_overlay_finish(&a->overlay);
    return ret < 0 ? ret : finished;
}

static int analyze(struct analysis *a)
{
    struct kt_error err = { "" };
    int ret;
    if (a->rules_path && (ret = read_text(a->rules_path, &a->rules)) < 0) {
        fprintf(stderr, "kentongan analyze: %s: %s\n", a->rules_path, kt_strerror(ret));
        return 1;
    }
    const struct kt_motion_params params = { .rules_json = a->rules, .user = a,
                                             .on_event = on_event };
    ret = kt_motion_create(&a->motion, &params, &err);
    if (ret < 0) {
        fprintf(stderr, "kentongan analyze: %s: %s\n", a->rules_path ? a->rules_path : "rules",
                err.text);
        return 1;
    }
    if (a->mask_dir && mkdir(a->mask_dir, 0777) < 0 && errno != EEXIST) {
        fprintf(stderr, "kentongan analyze: %s: %s\n", a->mask_dir, strerror(errno));
        return 1;
    }
    if (a->overlay_path && (ret = kt_overlay_create(&a->overlay, a->overlay_path)) < 0) {
        fprintf(stderr, "kentongan analyze: %s: %s\n", a->overlay_path, kt_strerror(ret));
        return 1;
    }
    ret = run(a);
    if (ret < 0) {
        fprintf(stderr, "kentongan analyze: %s: %s\n", a->video, kt_strerror(ret));
        return 1;
    }
    if (a->frames == 0) {
        fprintf(stderr, "kentongan analyze: %s: no picture in it\n", a->video);
        return 1;
    }
    return fflush(a->out) == 0 ? 0 : 1;
}

int kt_cmd_analyze(int argc, char **argv)
{
    static const struct option options[] = {
        { "rules", required_argument, NULL, 'r' }, { "masks", required_argument, NULL, 'm' },
        { "overlay", required_argument, NULL, 'o' }, { "progress", no_argument, NULL, 'p' },
        { "cold", no_argument, NULL, 'c' }, { "fast", no_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    struct analysis a = { .stream = -1, .out = stdout };
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'r')
            a.rules_path = optarg;
        else if (c == 'm')
            a.mask_dir = optarg;
        else if (c == 'c')
            a.cold = true;
        else if (c == 'f')
            a.fast = true;
        else if (c == 'o')
            a.overlay_path = optarg;
        else if (c == 'p')
            a.progress = true;
        else {
            usage(c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind + 1 != argc)
        return kt_usage_wrong("analyze", optind == argc ? "which video?" : "one video at a time");
    a.video = argv[optind];
    a.progress = a.progress || (isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO));
    av_log_set_level(AV_LOG_ERROR);
    a.pending = json_array();
    const int status = a.pending ? analyze(&a) : 1;
    json_decref(a.pending);
    kt_overlay_abandon(&a.overlay);
    kt_motion_destroy(&a.motion);
    kt_decoder_destroy(&a.decoder);
    avformat_close_input(&a.input);
    free(a.rules);
    return status;
}

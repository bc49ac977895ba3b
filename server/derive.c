#include "server/derive.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "decoders/decode/decode.h"
#include "server/base/clock.h"
#include "server/overlay.h"

#define GLYPH_W 5
#define GLYPH_H 7
#define CAPTION "SALINAN / COPY"
#define WHITE 235
#define BLACK 16

/* Rows of five dots, the leftmost is bit 4. Small letters are drawn as capitals. */
static const struct glyph {
    char c;
    uint8_t row[GLYPH_H];
} glyphs[] = {
    { '0', { 14, 17, 19, 21, 25, 17, 14 } }, { '1', { 4, 12, 4, 4, 4, 4, 14 } },
    { '2', { 14, 17, 1, 2, 4, 8, 31 } },     { '3', { 31, 2, 4, 2, 1, 17, 14 } },
    { '4', { 2, 6, 10, 18, 31, 2, 2 } },     { '5', { 31, 16, 30, 1, 1, 17, 14 } },
    { '6', { 6, 8, 16, 30, 17, 17, 14 } },   { '7', { 31, 1, 2, 4, 8, 8, 8 } },
    { '8', { 14, 17, 17, 14, 17, 17, 14 } }, { '9', { 14, 17, 17, 15, 1, 2, 12 } },
    { 'A', { 14, 17, 17, 31, 17, 17, 17 } }, { 'B', { 30, 17, 17, 30, 17, 17, 30 } },
    { 'C', { 14, 17, 16, 16, 16, 17, 14 } }, { 'D', { 28, 18, 17, 17, 17, 18, 28 } },
    { 'E', { 31, 16, 16, 30, 16, 16, 31 } }, { 'F', { 31, 16, 16, 30, 16, 16, 16 } },
    { 'G', { 14, 17, 16, 23, 17, 17, 15 } }, { 'H', { 17, 17, 17, 31, 17, 17, 17 } },
    { 'I', { 14, 4, 4, 4, 4, 4, 14 } },      { 'J', { 7, 2, 2, 2, 2, 18, 12 } },
    { 'K', { 17, 18, 20, 24, 20, 18, 17 } }, { 'L', { 16, 16, 16, 16, 16, 16, 31 } },
    { 'M', { 17, 27, 21, 21, 17, 17, 17 } }, { 'N', { 17, 17, 25, 21, 19, 17, 17 } },
    { 'O', { 14, 17, 17, 17, 17, 17, 14 } }, { 'P', { 30, 17, 17, 30, 16, 16, 16 } },
    { 'Q', { 14, 17, 17, 17, 21, 18, 13 } }, { 'R', { 30, 17, 17, 30, 20, 18, 17 } },
    { 'S', { 15, 16, 16, 14, 1, 1, 30 } },   { 'T', { 31, 4, 4, 4, 4, 4, 4 } },
    { 'U', { 17, 17, 17, 17, 17, 17, 14 } }, { 'V', { 17, 17, 17, 17, 17, 10, 4 } },
    { 'W', { 17, 17, 17, 21, 21, 21, 10 } }, { 'X', { 17, 17, 10, 4, 10, 17, 17 } },
    { 'Y', { 17, 17, 17, 10, 4, 4, 4 } },    { 'Z', { 31, 1, 2, 4, 8, 16, 31 } },
    { '-', { 0, 0, 0, 31, 0, 0, 0 } },       { ':', { 0, 12, 12, 0, 12, 12, 0 } },
    { '.', { 0, 0, 0, 0, 0, 12, 12 } },      { '+', { 0, 4, 4, 31, 4, 4, 0 } },
    { '/', { 1, 2, 2, 4, 8, 8, 16 } },
};

struct deriving {
    const struct kt_derive *x;
    struct kt_error *err;
    AVFormatContext *input;
    int stream;
    kt_decoder *decoder;
    kt_overlay *out;
    int64_t first_us, t_us;             /* of the first picture and of this one, in the file's time */
    bool begun;
    int ret;
};

/* ------------------------------ drawing ------------------------------ */

/* Paint a rectangle black or white, colour included. */
static void fill(AVFrame *f, int x0, int y0, int x1, int y1, uint8_t luma)
{
    x0 = x0 < 0 ? 0 : x0;
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > f->width ? f->width : x1;
    y1 = y1 > f->height ? f->height : y1;
    if (x1 <= x0 || y1 <= y0)
        return;
    for (int y = y0; y < y1; y++)
        memset(f->data[0] + (ptrdiff_t)y * f->linesize[0] + x0, luma, (size_t)(x1 - x0));
    for (int plane = 1; plane < 3; plane++)
        for (int y = y0 / 2; y < (y1 + 1) / 2; y++)
            memset(f->data[plane] + (ptrdiff_t)y * f->linesize[plane] + x0 / 2, 128,
                   (size_t)((x1 + 1) / 2 - x0 / 2));
}

static const struct glyph *glyph_of(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    for (size_t i = 0; i < KT_ARRAY_SIZE(glyphs); i++)
        if (glyphs[i].c == c)
            return &glyphs[i];
    return NULL;                        /* a space */
}

/* TEXT in white on black with its upper left corner at X, Y; dots are SCALE wide. */
static void write_text(AVFrame *f, int x, int y, int scale, const char *text)
{
    const int width = (int)strlen(text) * (GLYPH_W + 1) * scale;
    fill(f, x, y, x + width + 3 * scale, y + (GLYPH_H + 4) * scale, BLACK);
    for (x += 2 * scale, y += 2 * scale; *text; text++, x += (GLYPH_W + 1) * scale) {
        const struct glyph *g = glyph_of(*text);
        for (int row = 0; g && row < GLYPH_H; row++)
            for (int col = 0; col < GLYPH_W; col++)
                if (g->row[row] >> (GLYPH_W - 1 - col) & 1)
                    fill(f, x + col * scale, y + row * scale, x + (col + 1) * scale, y + (row + 1) * scale, WHITE);
    }
}

/* "2026-11-25 22:10:05.400 WIB" */
static void format_time(const struct deriving *d, char out[64])
{
    char text[KT_RFC3339_SIZE];
    const int64_t us = d->x->start_us + d->t_us - d->first_us;
    kt_rfc3339_format(text, us + d->x->zone_offset_s * KT_SECOND_US);
    text[strcspn(text, "Z")] = '\0';
    text[10] = ' ';
    snprintf(out, 64, "%s %.8s", text, d->x->zone ? d->x->zone : "");
}

static void draw(void *user, AVFrame *f)
{
    const struct deriving *d = user;
    const int scale = f->height >= 960 ? 4 : f->height >= 480 ? 2 : 1;
    const int line = (GLYPH_H + 4) * scale;
    char when[64];
    for (size_t i = 0; i < d->x->n_masks; i++) {
        const struct kt_mask *m = &d->x->masks[i];
        fill(f, (int)(m->x * f->width), (int)(m->y * f->height), (int)((m->x + m->w) * f->width + 0.999),
             (int)((m->y + m->h) * f->height + 0.999), BLACK);
    }
    format_time(d, when);
    write_text(f, 0, 0, scale, when);
    write_text(f, 0, line, scale, d->x->label ? d->x->label : "");
    write_text(f, 0, f->height - line, scale, CAPTION);
}

/* ------------------------------ one picture after another ------------------------------ */

static int take_picture(struct deriving *d, const struct kt_luma *luma)
{
    const AVStream *st = d->input->streams[d->stream];
    const int64_t t_us = luma->pts == AV_NOPTS_VALUE ? d->t_us + 1
                                                     : av_rescale_q(luma->pts, st->time_base, (AVRational){ 1, 1000000 });
    if (!d->begun)
        d->first_us = t_us;
    d->begun = true;
    d->t_us = t_us;
    const int ret = kt_overlay_draw(d->out, kt_decoder_frame(d->decoder), t_us - d->first_us, draw, d);
    const double length = d->input->duration > 0 ? (double)d->input->duration : 1;
    const double share = (double)(t_us - d->first_us) / length;
    if (ret == 0 && d->x->progress && d->x->progress(d->x->user, share < 1 ? share : 1))
        return -ECANCELED;
    return ret;
}

static int take_pictures(struct deriving *d)
{
    for (;;) {
        struct kt_luma luma;
        int ret = kt_decoder_receive(d->decoder, &luma);
        if (ret == -EAGAIN)
            return 0;
        if (ret == 0)
            ret = take_picture(d, &luma);
        if (ret < 0)
            return ret;
    }
}

static int convert(struct deriving *d)
{
    kt_cleanup(av_packet_free) AVPacket *pkt = av_packet_alloc();
    int ret = pkt ? 0 : -ENOMEM;
    while (ret == 0 && av_read_frame(d->input, pkt) >= 0) {
        if (pkt->stream_index == d->stream) {
            (void)kt_decoder_send(d->decoder, pkt);     /* damage costs pictures, not the copy */
            ret = take_pictures(d);
        }
        av_packet_unref(pkt);
    }
    if (ret == 0) {
        (void)kt_decoder_send(d->decoder, NULL);
        ret = take_pictures(d);
    }
    return ret;
}

static int open_input(struct deriving *d)
{
    int ret = avformat_open_input(&d->input, d->x->in, NULL, NULL);
    if (ret >= 0)
        ret = avformat_find_stream_info(d->input, NULL);
    if (ret >= 0)
        ret = d->stream = av_find_best_stream(d->input, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (ret < 0)
        return kt_error_set(d->err, -EBADMSG, "%s is no video that can be read", d->x->in);
    const AVStream *st = d->input->streams[d->stream];
    ret = kt_decoder_create(&d->decoder, st->codecpar, st->time_base);
    return ret < 0 ? kt_error_set(d->err, ret, "%s: %s", d->x->in, kt_strerror(ret)) : 0;
}

/* ------------------------------ the thread ------------------------------ */

static void *work(void *arg)
{
    struct deriving *d = arg;
    /* This thread and those that the encoder starts: recording comes first. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    int ret = open_input(d);
    if (ret == 0)
        ret = kt_overlay_create(&d->out, d->x->out);
    if (ret == 0)
        ret = convert(d);
    if (ret == 0)
        ret = kt_overlay_finish(&d->out);
    kt_overlay_abandon(&d->out);
    kt_decoder_destroy(&d->decoder);
    avformat_close_input(&d->input);
    d->ret = ret;
    return NULL;
}

int kt_derive_make(const struct kt_derive *derive, struct kt_error *err)
{
    struct deriving d = { .x = derive, .err = err };
    pthread_t thread;
    const int ret = -pthread_create(&thread, NULL, work, &d);
    if (ret < 0)
        return kt_error_set(err, ret, "no thread for the copy: %s", kt_strerror(ret));
    pthread_join(thread, NULL);
    if (d.ret < 0 && d.ret != -ECANCELED && !err->text[0])
        return kt_error_set(err, d.ret, "the copy of %s could not be made: %s", derive->in, kt_strerror(d.ret));
    return d.ret;
}

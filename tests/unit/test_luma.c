/* Small planes from every kind of picture. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <libavutil/imgutils.h>

#include "decoders/decode/luma.h"

#include "tests/unit/run_suite.h"

static AVFrame *frame_of(int format, int w, int h)
{
    AVFrame *f = av_frame_alloc();
    f->format = format;
    f->width = w;
    f->height = h;
    ck_assert_int_ge(av_frame_get_buffer(f, 0), 0);
    return f;
}

static const struct {
    int w, h, out_w, out_h;
} sizes[] = {
    { 1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 3, 5, 2, 4 }, { 160, 120, 160, 120 }, { 320, 240, 320, 240 },
    { 161, 121, 160, 120 }, { 640, 360, 320, 180 }, { 360, 240, 320, 212 }, { 704, 576, 320, 262 },
    { 1920, 1080, 320, 180 }, { 7680, 4320, 320, 180 }, { 8192, 1, 320, 1 }, { 1, 8192, 1, 8192 },
};

START_TEST(sizes_keep_the_shape_and_stay_small)
{
    int w, h;
    kt_luma_size(sizes[_i].w, sizes[_i].h, &w, &h);
    ck_assert_int_eq(w, sizes[_i].out_w);
    ck_assert_int_eq(h, sizes[_i].out_h);
    kt_luma_size(1080, 1920, &w, &h);
    ck_assert(w * h <= KT_LUMA_MAX_PIXELS && w > 200 && h > 350);
}
END_TEST

/* A flat picture stays flat, whatever the ratio; and colours go along. */
START_TEST(flat_pictures_keep_their_value)
{
    struct kt_luma out;
    kt_luma_scaler *s = NULL;
    AVFrame *f = frame_of(AV_PIX_FMT_YUV420P, sizes[_i].w, sizes[_i].h);
    const int cw = (f->width + 1) / 2, ch = (f->height + 1) / 2;
    for (int y = 0; y < f->height; y++)
        memset(f->data[0] + y * f->linesize[0], 201, (size_t)f->width);
    for (int y = 0; y < ch; y++) {
        memset(f->data[1] + y * f->linesize[1], 77, (size_t)cw);
        memset(f->data[2] + y * f->linesize[2], 150, (size_t)cw);
    }
    ck_assert_int_eq(kt_luma_scaler_create(&s), 0);
    ck_assert_int_eq(kt_luma_make(s, f, &out), 0);
    ck_assert(out.width == sizes[_i].out_w && out.height == sizes[_i].out_h);
    ck_assert(out.source_width == f->width && out.source_height == f->height);
    for (int i = 0; i < out.width * out.height; i++)
        ck_assert_int_eq(out.data[i], 201);
    for (int i = 0; out.cb && i < (out.width + 1) / 2 * ((out.height + 1) / 2); i++)
        ck_assert(out.cb[i] == 77 && out.cr[i] == 150);
    kt_luma_scaler_destroy(&s);
    av_frame_free(&f);
}
END_TEST

/* Of blocks of so many source pixels each way: odd and even ones have code of their own. */
static const int blocks[] = { 2, 3, 4, 5, 6, 8, 12 };

START_TEST(averaging_is_exact)
{
    struct kt_luma out;
    kt_luma_scaler *s = NULL;
    const int n = blocks[_i];
    AVFrame *f = frame_of(AV_PIX_FMT_GRAY8, 320 * n, 180 * n);
    srand(1);
    /* Noise, with a white and a black band. */
    for (int y = 0; y < 180 * n; y++)
        for (int x = 0; x < 320 * n; x++)
            f->data[0][y * f->linesize[0] + x] = y < 10 * n ? 255 : y < 20 * n ? 0 : (uint8_t)(rand() >> 6);
    ck_assert_int_eq(kt_luma_scaler_create(&s), 0);
    ck_assert_int_eq(kt_luma_make(s, f, &out), 0);
    ck_assert(out.width == 320 && out.height == 180 && !out.cb);
    for (int y = 0; y < 180; y++)
        for (int x = 0; x < 320; x++) {
            int sum = 0;
            for (int v = 0; v < n; v++)
                for (int u = 0; u < n; u++)
                    sum += f->data[0][(n * y + v) * f->linesize[0] + n * x + u];
            if (abs(out.data[y * 320 + x] - sum / (n * n)) > (y < 20 ? 0 : 2))
                ck_abort_msg("blocks of %d: at %d,%d %d, not %d", n, x, y, out.data[y * 320 + x], sum / (n * n));
        }
    kt_luma_scaler_destroy(&s);
    av_frame_free(&f);
}
END_TEST

static const int formats[] = {
    AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV444P, AV_PIX_FMT_NV12, AV_PIX_FMT_NV21,
    AV_PIX_FMT_YUYV422, AV_PIX_FMT_UYVY422, AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY16LE, AV_PIX_FMT_GRAY16BE,
    AV_PIX_FMT_YUV420P10LE, AV_PIX_FMT_P010LE, AV_PIX_FMT_YUV410P, AV_PIX_FMT_RGB24, AV_PIX_FMT_BGRA,
    AV_PIX_FMT_PAL8, AV_PIX_FMT_MONOWHITE, AV_PIX_FMT_YA8, AV_PIX_FMT_GBRP, AV_PIX_FMT_YUVA420P,
};

/* A picture that is dark on the left and bright on the right is so in every format. */
START_TEST(every_format_is_read)
{
    struct kt_luma out;
    kt_luma_scaler *s = NULL;
    AVFrame *f = frame_of(formats[_i], 64, 48);
    for (int p = 0; p < 4 && f->data[p]; p++) {
        if (formats[_i] == AV_PIX_FMT_PAL8 && p == 1) {
            memset(f->data[1], 0, 1024);
            memset(f->data[1] + 1020, 255, 4);
            continue;
        }
        const int bytes = av_image_get_linesize(f->format, 64, p), rows = p == 1 || p == 2
            ? AV_CEIL_RSHIFT(48, formats[_i] == AV_PIX_FMT_YUV410P ? 2 : 1) : 48;
        const int n = formats[_i] == AV_PIX_FMT_YUVJ422P || formats[_i] == AV_PIX_FMT_YUV444P ||
                      formats[_i] == AV_PIX_FMT_GBRP ? 48 : rows;
        for (int y = 0; y < n; y++) {
            memset(f->data[p] + y * f->linesize[p], 0, (size_t)bytes / 2);
            memset(f->data[p] + y * f->linesize[p] + bytes / 2, 255, (size_t)(bytes - bytes / 2));
        }
    }
    ck_assert_int_eq(kt_luma_scaler_create(&s), 0);
    ck_assert_int_eq(kt_luma_make(s, f, &out), 0);
    const int left = out.data[24 * 64 + 8], right = out.data[24 * 64 + 56];
    if (formats[_i] == AV_PIX_FMT_MONOWHITE)
        ck_assert_int_lt(right + 100, left);
    else
        ck_assert_msg(left + 100 < right, "%d and %d", left, right);
    kt_luma_scaler_destroy(&s);
    av_frame_free(&f);
}
END_TEST

START_TEST(a_jpeg_is_made_of_any_size)
{
    uint8_t *jpeg = NULL;
    size_t size = 0;
    AVFrame *f = frame_of(AV_PIX_FMT_YUV420P, sizes[_i].w, sizes[_i].h);
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (f->height + 1) / 2 : f->height); y++)
            memset(f->data[p] + y * f->linesize[p], 128, (size_t)(p ? (f->width + 1) / 2 : f->width));
    ck_assert_int_eq(kt_jpeg_encode(f, 480, &jpeg, &size), 0);
    ck_assert(size > 100 && jpeg[0] == 0xff && jpeg[1] == 0xd8 && jpeg[size - 2] == 0xff);
    free(jpeg);
    av_frame_free(&f);
}
END_TEST

START_TEST(unknown_codecs_are_refused)
{
    kt_decoder *dec = NULL;
    AVCodecParameters *par = avcodec_parameters_alloc();
    ck_assert_int_eq(kt_decoder_create(&dec, par, (AVRational){ 1, 90000 }), -ENOTSUP);
    par->codec_id = AV_CODEC_ID_AAC;
    ck_assert_int_eq(kt_decoder_create(&dec, par, (AVRational){ 1, 90000 }), -ENOTSUP);
    ck_assert_ptr_null(dec);
    avcodec_parameters_free(&par);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("luma");
    TCase *tc = tcase_create("luma");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, sizes_keep_the_shape_and_stay_small, 0, KT_ARRAY_SIZE(sizes));
    tcase_add_loop_test(tc, flat_pictures_keep_their_value, 0, KT_ARRAY_SIZE(sizes));
    tcase_add_loop_test(tc, averaging_is_exact, 0, KT_ARRAY_SIZE(blocks));
    tcase_add_loop_test(tc, every_format_is_read, 0, KT_ARRAY_SIZE(formats));
    tcase_add_loop_test(tc, a_jpeg_is_made_of_any_size, 0, KT_ARRAY_SIZE(sizes));
    tcase_add_test(tc, unknown_codecs_are_refused);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

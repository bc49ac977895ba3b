/* Decoders that share memory for pictures: the same pictures, less memory. */
#include "decoders/decode/pictures.h"

#include <libavutil/adler32.h>
#include <string.h>

#include "decoders/decode/decode.h"
#include "tests/unit/encode.h"
#include "tests/unit/run_suite.h"

#define FRAMES 24
#define MAX_SIZES 20

static const struct {
    const char *encoder;
    int w, h, bframes;
} clips[] = {
    { "libx264", 640, 360, 0 }, { "libx264", 322, 182, 2 }, { "libx264", 64, 48, 3 }, { "libx265", 640, 360, 2 },
    { "libx265", 162, 90, 0 },
};

/* What its full picture looks like, without what lies beyond the edges. */
static uint32_t sum_of(const AVFrame *f)
{
    uint32_t sum = 1;
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (f->height + 1) / 2 : f->height); y++)
            sum = av_adler32_update(sum, f->data[p] + y * f->linesize[p], (size_t)(p ? (f->width + 1) / 2 : f->width));
    return sum;
}

static kt_decoder *decoder_of(const struct kt_test_clip *clip, kt_pictures *pictures)
{
    kt_decoder *dec = NULL;
    ck_assert_int_eq(kt_decoder_create(&dec, clip->par, (AVRational){ 1, 90000 }), 0);
    kt_decoder_share(dec, pictures);
    return dec;
}

/* The sums of all pictures, and how many; LAST (may be NULL) holds the last one. */
static int decode(kt_decoder *dec, const struct kt_test_clip *clip, uint32_t sums[FRAMES], AVFrame *last)
{
    int n = 0;
    struct kt_luma luma;
    for (int i = 0; i <= clip->n; i++) {
        ck_assert_int_eq(kt_decoder_send(dec, i < clip->n ? clip->pkt[i] : NULL), 0);
        while (kt_decoder_receive(dec, &luma) == 0) {
            ck_assert_int_lt(n, FRAMES);
            sums[n++] = sum_of(kt_decoder_frame(dec));
            if (last) {
                av_frame_unref(last);
                ck_assert_int_eq(av_frame_ref(last, kt_decoder_frame(dec)), 0);
            }
        }
    }
    return n;
}

START_TEST(pictures_are_the_same_as_with_memory_of_ones_own)
{
    struct kt_test_clip clip;
    uint32_t own[FRAMES], shared[FRAMES];
    kt_pictures *pictures = NULL;
    ck_assert_int_eq(kt_pictures_create(&pictures), 0);
    kt_test_encode(&clip, clips[_i].encoder, clips[_i].w, clips[_i].h, FRAMES, 10, 8, clips[_i].bframes);
    kt_decoder *a = decoder_of(&clip, NULL), *b = decoder_of(&clip, pictures);
    ck_assert_int_eq(decode(a, &clip, own, NULL), FRAMES);
    ck_assert_int_eq(decode(b, &clip, shared, NULL), FRAMES);
    ck_assert_mem_eq(own, shared, sizeof(own));
    kt_decoder_destroy(&a);
    kt_decoder_destroy(&b);
    kt_pictures_destroy(&pictures);
    kt_test_free(&clip);
}
END_TEST

START_TEST(what_one_decoder_gave_back_another_takes)
{
    struct kt_test_clip clip;
    uint32_t sums[FRAMES];
    const uint8_t *first[8];
    int n = 0, again = 0;
    kt_pictures *pictures = NULL;
    AVFrame *last = av_frame_alloc();
    ck_assert_int_eq(kt_pictures_create(&pictures), 0);
    kt_test_encode(&clip, "libx264", 640, 360, FRAMES, 10, 8, 0);
    for (int i = 0; i < 8; i++) {
        kt_decoder *dec = decoder_of(&clip, pictures);
        decode(dec, &clip, sums, last);
        const uint8_t *at = last->buf[0]->data;
        av_frame_unref(last);
        for (int k = 0; k < n; k++)
            again += first[k] == at;
        first[n++] = at;
        kt_decoder_destroy(&dec);
    }
    /* Eight decoders of five pictures each did with the few of one. */
    ck_assert_int_ge(again, 3);
    av_frame_free(&last);
    kt_pictures_destroy(&pictures);
    kt_test_free(&clip);
}
END_TEST

START_TEST(a_picture_outlives_decoder_and_memory)
{
    struct kt_test_clip clip;
    uint32_t sums[FRAMES];
    kt_pictures *pictures = NULL;
    AVFrame *last = av_frame_alloc();
    ck_assert_int_eq(kt_pictures_create(&pictures), 0);
    kt_test_encode(&clip, "libx264", 640, 360, FRAMES, 10, 8, 0);
    kt_decoder *dec = decoder_of(&clip, pictures);
    const int n = decode(dec, &clip, sums, last);
    kt_decoder_destroy(&dec);
    kt_pictures_destroy(&pictures);
    ck_assert_uint_eq(sum_of(last), sums[n - 1]);
    av_frame_free(&last);
    kt_test_free(&clip);
}
END_TEST

START_TEST(more_sizes_than_it_keeps_are_decoded_all_the_same)
{
    kt_pictures *pictures = NULL;
    ck_assert_int_eq(kt_pictures_create(&pictures), 0);
    for (int i = 0; i < MAX_SIZES; i++) {
        struct kt_test_clip clip;
        uint32_t sums[FRAMES];
        kt_test_encode(&clip, "libx264", 64 + 32 * i, 64 + 32 * i, 3, 10, 8, 0);
        kt_decoder *dec = decoder_of(&clip, pictures);
        ck_assert_int_eq(decode(dec, &clip, sums, NULL), 3);
        kt_decoder_destroy(&dec);
        kt_test_free(&clip);
    }
    kt_pictures_destroy(&pictures);
}
END_TEST

/* As a session description tells them: what is before the first slice of CLIP becomes its extradata. */
static void describe(struct kt_test_clip *clip)
{
    const AVPacket *pkt = clip->pkt[0];
    const bool h264 = clip->par->codec_id == AV_CODEC_ID_H264;
    int n = 0;
    while (n + 3 < pkt->size) {
        const uint8_t *p = pkt->data + n;
        const bool unit = p[0] == 0 && p[1] == 0 && p[2] == 1;
        if (unit && (h264 ? (p[3] & 31) == 5 : (p[3] >> 1 & 63) < 32))
            break;
        n++;
    }
    ck_assert_int_gt(n, 0);
    clip->par->extradata = av_mallocz((size_t)n + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(clip->par->extradata, pkt->data, (size_t)n);
    clip->par->extradata_size = n;
}

/* The first key frame of CLIP alone; then the decoder rests. */
static uint32_t look_and_rest(kt_decoder *dec, const struct kt_test_clip *clip)
{
    struct kt_luma luma;
    ck_assert_int_eq(kt_decoder_send(dec, clip->pkt[0]), 0);
    if (kt_decoder_receive(dec, &luma) < 0) {
        ck_assert_int_eq(kt_decoder_send(dec, NULL), 0);
        ck_assert_int_eq(kt_decoder_receive(dec, &luma), 0);
    }
    const uint32_t sum = sum_of(kt_decoder_frame(dec));
    kt_decoder_rest(dec);
    return sum;
}

/* Decoders of two kinds take turns; what one left the next goes on with. */
START_TEST(decoders_that_rest_in_turn_see_what_they_would_see_alone)
{
    struct kt_test_clip clip[2];
    uint32_t own[2][FRAMES], again[FRAMES];
    kt_decoder *dec[8];
    kt_pictures *pictures = NULL;
    ck_assert_int_eq(kt_pictures_create(&pictures), 0);
    for (int k = 0; k < 2; k++) {
        kt_test_encode(&clip[k], clips[_i].encoder, k ? clips[_i].w : 320, k ? clips[_i].h : 176, FRAMES, 10, 8,
                       clips[_i].bframes);
        describe(&clip[k]);
        kt_decoder *alone = decoder_of(&clip[k], NULL);
        ck_assert_int_eq(decode(alone, &clip[k], own[k], NULL), FRAMES);
        kt_decoder_destroy(&alone);
    }
    for (int i = 0; i < 8; i++)
        dec[i] = decoder_of(&clip[i % 2], pictures);
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < 8; i++)
            ck_assert_uint_eq(look_and_rest(dec[i], &clip[i % 2]), own[i % 2][0]);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(decode(dec[i], &clip[i % 2], again, NULL), FRAMES);
        ck_assert_mem_eq(again, own[i % 2], sizeof(again));
        kt_decoder_destroy(&dec[i]);
    }
    kt_pictures_destroy(&pictures);
    kt_test_free(&clip[0]);
    kt_test_free(&clip[1]);
}
END_TEST

static AVCodecContext *opened(const AVCodec *codec, const AVCodecParameters *par)
{
    AVCodecContext *ctx = avcodec_alloc_context3(codec);
    ck_assert_int_eq(avcodec_parameters_to_context(ctx, par), 0);
    ck_assert_int_eq(avcodec_open2(ctx, codec, NULL), 0);
    return ctx;
}

START_TEST(a_context_goes_only_to_a_decoder_of_the_same_parameters)
{
    struct kt_test_clip small, large;
    kt_pictures *pictures = NULL;
    ck_assert_int_eq(kt_pictures_create(&pictures), 0);
    kt_test_encode(&small, "libx264", 320, 176, 1, 10, 8, 0);
    kt_test_encode(&large, "libx264", 640, 360, 1, 10, 8, 0);
    describe(&small);
    describe(&large);
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_H264);
    AVCodecContext *ctx = opened(codec, small.par), *const left = ctx;
    kt_pictures_leave_context(pictures, &ctx);
    ck_assert_ptr_null(ctx);
    ck_assert_ptr_null(kt_pictures_take_context(pictures, codec, large.par));
    ck_assert_ptr_null(kt_pictures_take_context(pictures, avcodec_find_decoder(AV_CODEC_ID_HEVC), small.par));
    ctx = kt_pictures_take_context(pictures, codec, small.par);
    ck_assert_ptr_eq(ctx, left);
    ck_assert_ptr_null(kt_pictures_take_context(pictures, codec, small.par));
    /* Nothing says what this one was opened for. */
    ctx->extradata_size = 0;
    small.par->extradata_size = 0;
    kt_pictures_leave_context(pictures, &ctx);
    ck_assert_ptr_null(kt_pictures_take_context(pictures, codec, small.par));
    kt_pictures_destroy(&pictures);
    kt_test_free(&small);
    kt_test_free(&large);
}
END_TEST

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    Suite *suite = suite_create("pictures");
    TCase *tc = tcase_create("pictures");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, pictures_are_the_same_as_with_memory_of_ones_own, 0, KT_ARRAY_SIZE(clips));
    tcase_add_test(tc, what_one_decoder_gave_back_another_takes);
    tcase_add_test(tc, a_picture_outlives_decoder_and_memory);
    tcase_add_test(tc, more_sizes_than_it_keeps_are_decoded_all_the_same);
    tcase_add_loop_test(tc, decoders_that_rest_in_turn_see_what_they_would_see_alone, 0, KT_ARRAY_SIZE(clips));
    tcase_add_test(tc, a_context_goes_only_to_a_decoder_of_the_same_parameters);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

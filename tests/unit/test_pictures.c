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
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

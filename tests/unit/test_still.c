#include "server/still.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/encode.h"
#include "tests/unit/run_suite.h"

#define TIME_BASE ((AVRational){ 1, 90000 })

static kt_still *still;
static struct kt_test_clip clip;

static void set_up(void)
{
    ck_assert_int_eq(kt_still_create(&still), 0);
}

static void tear_down(void)
{
    kt_still_destroy(&still);
    kt_test_free(&clip);
}

static const char *const encoders[] = { "libx264", "libx265" };

START_TEST(the_newest_key_frame_becomes_a_picture)
{
    uint8_t *jpeg = NULL;
    size_t size = 0;
    int64_t wall_us = 0;
    kt_test_encode(&clip, encoders[_i], 320, 180, 12, 10, 10, 0);
    kt_still_format(still, clip.par, TIME_BASE);
    ck_assert_int_eq(kt_still_jpeg(still, 0, &jpeg, &size, &wall_us), -EAGAIN);
    kt_still_put(still, clip.pkt[0], 1000);
    kt_still_put(still, clip.pkt[10], 2000);
    ck_assert_int_eq(kt_still_newest_us(still), 2000);
    for (int twice = 0; twice < 2; twice++) {
        ck_assert_int_eq(kt_still_jpeg(still, 160, &jpeg, &size, &wall_us), 0);
        ck_assert_int_eq(wall_us, 2000);
        ck_assert(size > 100 && jpeg[0] == 0xff && jpeg[1] == 0xd8);
        free(jpeg);
    }
}
END_TEST

START_TEST(what_does_not_decode_is_an_error_and_not_an_old_picture)
{
    uint8_t *jpeg = NULL;
    size_t size = 0;
    int64_t wall_us = 0;
    kt_test_encode(&clip, "libx264", 320, 180, 12, 10, 10, 0);
    kt_still_format(still, clip.par, TIME_BASE);
    kt_still_put(still, clip.pkt[0], 1000);
    AVPacket *noise = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(noise, 500), 0);
    memset(noise->data, 0x55, 500);
    kt_still_put(still, noise, 2000);
    av_packet_free(&noise);
    ck_assert_int_lt(kt_still_jpeg(still, 0, &jpeg, &size, &wall_us), 0);
    ck_assert_ptr_null(jpeg);
    /* Whole frames after it, shorter or longer, are pictures again. */
    for (int i = 0; i <= 10; i += 10) {
        kt_still_put(still, clip.pkt[i], 3000 + i);
        ck_assert_int_eq(kt_still_jpeg(still, 0, &jpeg, &size, &wall_us), 0);
        ck_assert_int_eq(wall_us, 3000 + i);
        free(jpeg);
        jpeg = NULL;
    }
}
END_TEST

START_TEST(another_format_forgets_the_picture_in_the_old_one)
{
    uint8_t *jpeg = NULL;
    size_t size = 0;
    int64_t wall_us = 0;
    kt_test_encode(&clip, "libx264", 320, 180, 12, 10, 10, 0);
    kt_still_format(still, clip.par, TIME_BASE);
    kt_still_put(still, clip.pkt[0], 1000);
    kt_still_format(still, clip.par, TIME_BASE);
    ck_assert_int_eq(kt_still_jpeg(still, 0, &jpeg, &size, &wall_us), -EAGAIN);
    ck_assert_int_eq(kt_still_newest_us(still), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("still");
    TCase *tc = tcase_create("still");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, the_newest_key_frame_becomes_a_picture, 0, 2);
    tcase_add_test(tc, what_does_not_decode_is_an_error_and_not_an_old_picture);
    tcase_add_test(tc, another_format_forgets_the_picture_in_the_old_one);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

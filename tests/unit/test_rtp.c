#include "decoders/ingest/rtp.h"

#include <string.h>
#include <libavutil/intreadwrite.h>

#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

#define SSRC 0x11223344

static struct kt_rtp rtp;
static int got, gaps;
static int order[4096];
static int64_t pts[4096];

static void on_packet(void *user, const struct kt_rtp_packet *p)
{
    ck_assert_uint_eq(p->size, 2);
    order[got] = AV_RB16(p->payload);
    pts[got++] = p->pts;
    gaps += p->lost_before;
}

static void begin(bool reorder)
{
    memset(&rtp, 0, sizeof(rtp));
    rtp.on_packet = on_packet;
    kt_rtp_init(&rtp, 96, 90000, reorder, 0, 1);
    got = gaps = 0;
}

static void send_from(uint32_t ssrc, int seq, uint32_t ts, int64_t now_us)
{
    uint8_t p[14] = { 0x80, 96 };
    AV_WB16(p + 2, (uint16_t)seq);
    AV_WB32(p + 4, ts);
    AV_WB32(p + 8, ssrc);
    AV_WB16(p + 12, (uint16_t)seq);
    kt_rtp_receive(&rtp, p, sizeof(p), now_us);
}

static void send(int seq)
{
    send_from(SSRC, seq, (uint32_t)seq * 100, 1000 + seq);
}

START_TEST(numbers_may_wrap)
{
    begin(_i);
    for (int i = 65500; i < 65600; i++)
        send(i);
    ck_assert_int_eq(got, 100);
    ck_assert_int_eq(gaps, 0);
    ck_assert_uint_eq(rtp.stats.lost, 0);
    kt_rtp_free(&rtp);
}
END_TEST

START_TEST(timestamps_may_wrap)
{
    begin(false);
    for (int i = 0; i < 100; i++)
        send_from(SSRC, i, 0xffffff00u + (uint32_t)i * 90, 1);
    for (int i = 1; i < 100; i++)
        ck_assert_int_eq(pts[i] - pts[i - 1], 90);
}
END_TEST

START_TEST(loss_is_told_and_counted)
{
    begin(_i);
    for (int i = 0; i < 10; i++)
        send(i);
    for (int i = 13; i < 20; i++)
        send(i);
    kt_rtp_tick(&rtp, 100 * KT_SECOND_US);
    ck_assert_int_eq(got, 17);
    ck_assert_int_eq(gaps, 1);
    ck_assert_uint_eq(rtp.stats.lost, 3);
    kt_rtp_free(&rtp);
}
END_TEST

START_TEST(disorder_over_udp_is_put_right)
{
    static const int mixed[] = { 0, 2, 1, 5, 3, 4, 4, 9, 8, 7, 6, 10 };
    begin(true);
    for (size_t i = 0; i < KT_ARRAY_SIZE(mixed); i++)
        send(mixed[i]);
    ck_assert_int_eq(got, 11);
    for (int i = 0; i < got; i++)
        ck_assert_int_eq(order[i], i);
    ck_assert_uint_eq(rtp.stats.lost, 0);
    kt_rtp_free(&rtp);
}
END_TEST

START_TEST(a_late_packet_is_not_waited_for_longer_than_promised)
{
    begin(true);
    send_from(SSRC, 0, 0, 0);
    send_from(SSRC, 2, 0, 1000);
    kt_rtp_tick(&rtp, KT_RTP_REORDER_US / 2);
    ck_assert_int_eq(got, 1);
    kt_rtp_tick(&rtp, KT_RTP_REORDER_US + 1001);
    ck_assert_int_eq(got, 2);
    send_from(SSRC, 1, 0, KT_RTP_REORDER_US + 2000);    /* too late now */
    ck_assert_int_eq(got, 2);
    kt_rtp_free(&rtp);
}
END_TEST

START_TEST(a_sender_that_begins_anew_is_followed)
{
    begin(_i);
    for (int i = 0; i < 10; i++)
        send(i);
    for (int i = 30000; i < 30010; i++)
        send(i);
    ck_assert_int_eq(got, 20);
    ck_assert_uint_eq(rtp.stats.lost, 0);       /* nobody lost 29990 packets */
    kt_rtp_free(&rtp);
}
END_TEST

START_TEST(an_old_session_on_the_same_connection_is_kept_out)
{
    begin(false);
    for (int i = 0; i < 50; i++) {
        send_from(SSRC, i, (uint32_t)i * 90, i * 1000);
        send_from(0xdead, i + 7000, 12345, i * 1000);
    }
    ck_assert_int_eq(got, 50);
    /* The camera restarts its sender: after two seconds of silence it is believed. */
    send_from(0xdead, 8000, 12345, 3 * KT_SECOND_US);
    ck_assert_int_eq(got, 51);
}
END_TEST

START_TEST(garbage_is_no_packet)
{
    static const uint8_t bad[][20] = {
        { 0x40, 96, 0, 1 }, { 0x80, 97, 0, 1 }, { 0x8f, 96 }, { 0x90, 96, [14] = 0xff, [15] = 0xff },
        { 0xa0, 96, [19] = 200 }, { 0xa0, 96, [19] = 0 },
    };
    begin(false);
    for (size_t i = 0; i < KT_ARRAY_SIZE(bad); i++)
        kt_rtp_receive(&rtp, bad[i], sizeof(bad[i]), 0);
    kt_rtp_receive(&rtp, bad[0], 5, 0);
    ck_assert_int_eq(got, 0);
}
END_TEST

START_TEST(a_packet_that_cannot_be_read_is_missed)
{
    static const uint8_t bad[20] = { 0xa0, 96, 0, 2, [8] = 0x11, 0x22, 0x33, 0x44, [19] = 200 };
    begin(false);
    send(1);
    kt_rtp_receive(&rtp, bad, sizeof(bad), 0);
    send(3);
    ck_assert_int_eq(got, 2);
    ck_assert_int_eq(gaps, 1);
}
END_TEST

START_TEST(a_sender_report_tells_the_cameras_clock)
{
    uint8_t sr[28] = { 0x80, 200, 0, 6 };
    const int64_t wall_us = INT64_C(1790000000) * KT_SECOND_US;
    begin(false);
    send(1);
    AV_WB32(sr + 8, (uint32_t)(1790000000 + 2208988800 - 25));  /* 25 s behind ... */
    AV_WB32(sr + 12, 0x80000000);                               /* ... and a half ahead of that */
    AV_WB32(sr + 16, 100);                                      /* at the moment of the packet */
    kt_rtp_control(&rtp, sr, sizeof(sr), 1000, wall_us);
    ck_assert(rtp.stats.has_report);
    ck_assert_int_le(llabs(rtp.stats.clock_offset_us + 24500000), 1);
}
END_TEST

/* Seconds that a report came after what it tells of, by its timestamp; and what is to be believed of that. */
static const struct late {
    double clock, arrived;      /* the report's two clocks, against a packet sent at 100 s */
    double offset;
} late_reports[] = { { 100, 100, 0 }, { 100, 120, 0 }, { 70, 120, 0 }, { 98, 101, 0 },
    { 100, 1000, -900 },        /* too late to be true */
    { 102, 100, 2 },            /* frames wait in the camera, reports do not */
    { 4000, 120, 3880 } };      /* a timestamp from nowhere */

START_TEST(a_late_report_does_not_put_the_cameras_clock_back)
{
    const struct late *l = &late_reports[_i];
    const int64_t wall_us = INT64_C(1790000000) * KT_SECOND_US;
    uint8_t sr[28] = { 0x80, 200, 0, 6 };
    begin(false);
    send_from(SSRC, 1, 100 * 90000, 100 * KT_SECOND_US);
    AV_WB32(sr + 8, (uint32_t)(1790000000 + 2208988800 + (int64_t)l->clock - 100));
    AV_WB32(sr + 16, (uint32_t)(l->clock * 90000));
    const int64_t since = (int64_t)((l->arrived - 100) * KT_SECOND_US);
    kt_rtp_control(&rtp, sr, sizeof(sr), 100 * KT_SECOND_US + since, wall_us + since);
    ck_assert_int_le(llabs(rtp.stats.clock_offset_us - (int64_t)(l->offset * KT_SECOND_US)), 1000);
}
END_TEST

START_TEST(a_report_says_what_was_lost)
{
    uint8_t out[KT_RTP_REPORT_MAX];
    begin(false);
    ck_assert_uint_eq(kt_rtp_report(&rtp, out, 0), 0);
    for (int i = 0; i < 100; i++)
        if (i % 4)
            send(i);
    const size_t n = kt_rtp_report(&rtp, out, 5000);
    ck_assert_uint_eq(n % 4, 0);
    ck_assert_uint_eq(out[1], 201);
    ck_assert_uint_eq(AV_RB32(out + 8), SSRC);
    ck_assert_uint_eq(AV_RB24(out + 13), 24);
    ck_assert_int_ge(out[12], 60);              /* a quarter, of 256 */
    ck_assert_int_le(out[12], 65);
    ck_assert_uint_eq(AV_RB32(out + 16) & 0xffff, 99);
    ck_assert_uint_eq(4u * (AV_RB16(out + 34) + 1u) + 32, n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rtp");
    TCase *tc = tcase_create("rtp");
    tcase_add_loop_test(tc, numbers_may_wrap, 0, 2);
    tcase_add_test(tc, timestamps_may_wrap);
    tcase_add_loop_test(tc, loss_is_told_and_counted, 0, 2);
    tcase_add_test(tc, disorder_over_udp_is_put_right);
    tcase_add_test(tc, a_late_packet_is_not_waited_for_longer_than_promised);
    tcase_add_loop_test(tc, a_sender_that_begins_anew_is_followed, 0, 2);
    tcase_add_test(tc, an_old_session_on_the_same_connection_is_kept_out);
    tcase_add_test(tc, garbage_is_no_packet);
    tcase_add_test(tc, a_packet_that_cannot_be_read_is_missed);
    tcase_add_test(tc, a_sender_report_tells_the_cameras_clock);
    tcase_add_loop_test(tc, a_late_report_does_not_put_the_cameras_clock_back, 0, KT_ARRAY_SIZE(late_reports));
    tcase_add_test(tc, a_report_says_what_was_lost);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

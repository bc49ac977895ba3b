#include "decoders/ingest/rtsp_client.h"

#include <errno.h>
#include <string.h>
#include <libavutil/intreadwrite.h>

#include "server/base/clock.h"
#include "tests/unit/encode.h"
#include "tests/unit/packetise.h"
#include "tests/unit/run_suite.h"

static kt_rtsp_client *client;
static int64_t now_us;
static int streams, frames, keys;
static bool has_audio;

static void on_stream(void *user, const struct kt_ingest_stream *stream)
{
    streams++;
    has_audio = stream->audio;
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
    ck_assert_int_eq(arrival_us, now_us);
    frames += pkt->stream_index == 0;
    keys += pkt->stream_index == 0 && pkt->flags & AV_PKT_FLAG_KEY;
}

static void setup(void)
{
    struct kt_rtsp_url url;
    now_us = KT_SECOND_US;
    streams = frames = keys = 0;
    ck_assert_int_eq(kt_rtsp_url_parse(&url, "rtsp://user:pw@cam/live"), 0);
    const struct kt_rtsp_client_params params = {
        .url = &url, .handshake_timeout_us = 8 * KT_SECOND_US, .random = 7,
        .on_stream = on_stream, .on_packet = on_packet,
    };
    ck_assert_int_eq(kt_rtsp_client_create(&client, &params, now_us), 0);
}

static void teardown(void)
{
    kt_rtsp_client_destroy(&client);
}

/* What our side sent since the last time, as text. */
static const char *sent(void)
{
    static char text[8192];
    size_t size;
    const uint8_t *out = kt_rtsp_client_output(client, &size);
    ck_assert_uint_lt(size, sizeof(text));
    memcpy(text, out, size);
    text[size] = '\0';
    kt_rtsp_client_sent(client, size);
    return text;
}

static int feed(const char *text)
{
    return kt_rtsp_client_feed(client, (const uint8_t *)text, strlen(text), now_us);
}

#define OK "RTSP/1.0 200 OK\r\nCSeq: 1\r\n"
#define SDP "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n"
#define SDP_AUDIO "m=audio 0 RTP/AVP 0\r\na=control:a\r\n"

static void describe(const char *sdp)
{
    char text[4096];
    snprintf(text, sizeof(text), OK "Content-Length: %zu\r\n\r\n%s", strlen(sdp), sdp);
    ck_assert_int_gt(feed(text), 0);
}

static void play_with(const char *sdp, const char *options, const char *session)
{
    char text[512];
    ck_assert_ptr_nonnull(strstr(sent(), "OPTIONS rtsp://cam/live RTSP/1.0\r\n"));
    ck_assert_int_gt(feed(options), 0);
    ck_assert_ptr_nonnull(strstr(sent(), "DESCRIBE rtsp://cam/live RTSP/1.0\r\n"));
    describe(sdp);
    ck_assert_ptr_nonnull(strstr(sent(), "SETUP rtsp://cam/live/v RTSP/1.0\r\n"));
    snprintf(text, sizeof(text), OK "Session: %s\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n", session);
    ck_assert_int_gt(feed(text), 0);
    if (strstr(sdp, "m=audio")) {
        ck_assert_ptr_nonnull(strstr(sent(), "SETUP rtsp://cam/live/a RTSP/1.0\r\n"));
        ck_assert_int_gt(feed(OK "Transport: RTP/AVP/TCP;interleaved=2-3\r\n\r\n"), 0);
    }
    ck_assert_ptr_nonnull(strstr(sent(), "PLAY rtsp://cam/live RTSP/1.0\r\n"));
    ck_assert_int_gt(feed(OK "\r\n"), 0);
    ck_assert(kt_rtsp_client_playing(client));
}

static void play(void)
{
    play_with(SDP, OK "Public: OPTIONS, DESCRIBE, GET_PARAMETER\r\n\r\n", "abc;timeout=60");
}

static int tick(int64_t seconds)
{
    now_us += seconds * KT_SECOND_US;
    return kt_rtsp_client_tick(client, now_us, now_us);
}

/* A small frame as one interleaved packet, key or not. */
static size_t packet(uint8_t *p, int seq, bool key)
{
    const uint8_t nal[] = { key ? 0x65 : 0x41, 0x88, 1, 2, 3, 4, 5, 6 };
    memcpy(p, "$\0\0\x14\x80\xe0", 6);
    AV_WB16(p + 6, (uint16_t)seq);
    AV_WB32(p + 8, (uint32_t)seq * 3600);
    AV_WB32(p + 12, 99);
    memcpy(p + 16, nal, sizeof(nal));
    return 24;
}

START_TEST(bytes_may_come_one_by_one)
{
    uint8_t data[24 * 20];
    size_t kept = 0;
    uint8_t rest[256];
    play();
    for (int i = 0; i < 20; i++)
        packet(data + 24 * i, i, i == 0);
    for (size_t i = 0; i < sizeof(data); i++) {     /* keep what is not used, as the loop does */
        rest[kept++] = data[i];
        const int used = kt_rtsp_client_feed(client, rest, kept, now_us);
        ck_assert_int_ge(used, 0);
        kept -= (size_t)used;
        memmove(rest, rest + used, kept);
    }
    ck_assert_int_eq(frames, 20);
    ck_assert_int_eq(keys, 1);
    ck_assert_uint_eq(kept, 0);
}
END_TEST

START_TEST(the_way_back_is_found_after_garbage)
{
    static const char garbage[] = "\0\x01$$$\xff\x7f$\0\xffgarbage RTSP is a word $";
    uint8_t data[4096];
    size_t n = 0;
    struct kt_rtsp_client_stats stats;
    play();
    for (int i = 0; i < 30; i++) {
        n += packet(data + n, i, i == 0);
        if (i % 7 == 3) {
            memcpy(data + n, garbage, sizeof(garbage) - 1);
            n += sizeof(garbage) - 1;
        }
        if (i % 11 == 5)
            n -= 10;                                /* a packet cut short */
    }
    memset(data + n, 0, 64);                        /* and long enough to see the end */
    ck_assert_int_ge(kt_rtsp_client_feed(client, data, n + 64, now_us), 0);
    kt_rtsp_client_stats(client, &stats);
    ck_assert_int_ge(frames, 22);
}
END_TEST

START_TEST(endless_garbage_ends_the_session)
{
    static uint8_t garbage[65536];
    int ret = 0;
    memset(garbage, 'x', sizeof(garbage));
    play();
    for (int i = 0; i < 100 && ret >= 0; i++)
        ret = kt_rtsp_client_feed(client, garbage, sizeof(garbage), now_us);
    ck_assert_int_lt(ret, 0);
}
END_TEST

/* A good packet now and then forgives the garbage: what it costs must be bounded all the same. */
START_TEST(garbage_full_of_beginnings_costs_no_more_than_its_bytes)
{
    static uint8_t data[512 << 10];
    static const char beginning[] = "RTSP/1.0 200 x\n", no_line[] = "RTSP/";
    const char *text = _i ? beginning : no_line;
    play();
    for (int i = 0; i < 400; i++) {
        size_t at = packet(data, i, i == 0);
        for (const size_t n = strlen(text); at + n <= sizeof(data); at += n)
            memcpy(data + at, text, n);
        ck_assert_int_ge(kt_rtsp_client_feed(client, data, at, now_us), 0);
    }
    ck_assert_int_eq(frames, 400);
}
END_TEST

/* What was held up for long comes at once, and is welcome; what no camera could have taken is not. */
START_TEST(a_flood_of_frames_ends_the_session)
{
    uint8_t data[24];
    int ret = 0, i = 0;
    play();
    for (; i < 4800; i++)
        ck_assert_int_eq(kt_rtsp_client_feed(client, data, packet(data, i, i == 0), now_us), sizeof(data));
    now_us += KT_SECOND_US;
    for (; i < 20000 && ret >= 0; i++)
        ret = kt_rtsp_client_feed(client, data, packet(data, i, false), now_us);
    ck_assert_int_lt(ret, 0);
    ck_assert_int_le(frames, 10000);
    ck_assert_msg(strstr(kt_rtsp_client_why(client), "frames a second"), "%s", kt_rtsp_client_why(client));
}
END_TEST

START_TEST(answers_between_packets_are_read)
{
    uint8_t data[256];
    static const char answer[] = OK "Session: abc\r\n\r\n";
    play();
    ck_assert_int_eq(tick(31), 0);
    ck_assert_ptr_nonnull(strstr(sent(), "OPTIONS rtsp://cam/live RTSP/1.0\r\n"));
    size_t n = packet(data, 0, true);
    memcpy(data + n, answer, sizeof(answer) - 1);
    n += sizeof(answer) - 1;
    n += packet(data + n, 1, false);
    ck_assert_int_eq(kt_rtsp_client_feed(client, data, n, now_us), (int)n);
    ck_assert_int_eq(frames, 2);
}
END_TEST

/* trust.md 3.2: cameras answer keep-alives with anything; a stream that delivers lives. */
static const char *const bad_answers[] = {
    "RTSP/1.0 400 Bad Request\r\nCSeq: 999\r\n\r\n", "RTSP/1.0 454 Session Not Found\r\nCSeq: 7\r\n\r\n",
    "RTSP/1.0 401 Unauthorized\r\n\r\n", "RTSP/1.0 500 Oops\r\n\r\n", "",
};
START_TEST(a_refused_keepalive_does_not_end_the_session)
{
    play();
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(tick(31), 0);
        sent();
        ck_assert_int_ge(feed(bad_answers[_i]), 0);
    }
    ck_assert(kt_rtsp_client_playing(client));
    ck_assert_int_eq(tick(31), 0);
    ck_assert_str_eq(sent(), "");                   /* every way was tried: quiet now */
}
END_TEST

START_TEST(other_keepalives_only_where_advertised)
{
    play();
    tick(31);
    ck_assert_ptr_nonnull(strstr(sent(), "OPTIONS "));
    feed("RTSP/1.0 551 Option not supported\r\n\r\n");
    tick(31);
    ck_assert_ptr_nonnull(strstr(sent(), "GET_PARAMETER rtsp://cam/live"));
    feed("RTSP/1.0 454 Session Not Found\r\n\r\n");
    tick(31);
    ck_assert_str_eq(sent(), "");                   /* SET_PARAMETER was not advertised */
}
END_TEST

START_TEST(a_new_nonce_in_a_keepalive_is_answered)
{
    play();
    tick(31);
    sent();
    ck_assert_int_ge(feed("RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n2\"\r\n\r\n"), 0);
    ck_assert_ptr_nonnull(strstr(sent(), "nonce=\"n2\""));
    feed(OK "\r\n");
    tick(31);
    ck_assert_ptr_nonnull(strstr(sent(), "OPTIONS "));
}
END_TEST

START_TEST(keepalives_come_twice_per_session_timeout)
{
    play_with(SDP, OK "\r\n", "abc;timeout=15");
    ck_assert_int_eq(tick(6), 0);
    ck_assert_ptr_null(strstr(sent(), "OPTIONS"));
    ck_assert_int_eq(tick(2), 0);
    ck_assert_ptr_nonnull(strstr(sent(), "OPTIONS"));
}
END_TEST

START_TEST(stale_nonces_are_answered_anew)
{
    sent();
    feed("RTSP/1.0 401 U\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"a\"\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(sent(), "nonce=\"a\""));
    feed(OK "\r\n");
    ck_assert_ptr_nonnull(strstr(sent(), "DESCRIBE"));
    feed("RTSP/1.0 401 U\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"b\", stale=true\r\n\r\n");
    const char *again = sent();
    ck_assert_ptr_nonnull(strstr(again, "DESCRIBE"));
    ck_assert_ptr_nonnull(strstr(again, "nonce=\"b\""));
    describe(SDP);
    ck_assert_ptr_nonnull(strstr(sent(), "SETUP"));
    feed("RTSP/1.0 401 U\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"c\"\r\n\r\n");
    again = sent();
    ck_assert_ptr_nonnull(strstr(again, "SETUP rtsp://cam/live/v"));
    ck_assert_ptr_nonnull(strstr(again, "nonce=\"c\""));
    ck_assert_ptr_nonnull(strstr(again, "Transport: "));
}
END_TEST

START_TEST(endless_challenges_end)
{
    char text[256];
    int ret = 0, asked = 0;
    sent();
    for (; asked < 50 && ret >= 0; asked++) {
        snprintf(text, sizeof(text), "RTSP/1.0 401 U\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"%d\"\r\n\r\n", asked);
        ret = feed(text);
    }
    ck_assert_int_lt(ret, 0);
    ck_assert_int_le(asked, 2);                     /* cameras lock accounts after a few */
    ck_assert_int_eq(kt_rtsp_client_end(client), KT_RTSP_END_PASSWORD);
    ck_assert_ptr_null(strstr(kt_rtsp_client_why(client), "pw"));
}
END_TEST

static const struct {
    const char *answer, *why;
} refusals[] = {
    { "RTSP/1.0 301 Moved\r\nLocation: rtsp://10.0.0.9/other\r\n\r\n", "redirects" },
    { "RTSP/1.0 302 Found\r\nLocation: rtsp://cam/live\r\n\r\n", "redirects" },
    { "RTSP/1.0 404 Not Found\r\n\r\n", "no such stream" },
    { "RTSP/1.0 453 Not Enough Bandwidth\r\n\r\n", "viewers" },
    { "RTSP/1.0 403 Forbidden\r\n\r\n", "forbids" },
    { "RTSP/1.0 500 Internal\r\n\r\n", "500" },
    { "RTSP/1.0 200 OK\r\nContent-Length: 1073741824\r\n\r\n", "too long" },
    { "HTTP/1.1 200 OK\r\n\r\n", "does not speak RTSP" },
    { "RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "no video" },
    { "RTSP/1.0 200 OK\r\nContent-Length: 60\r\n\r\nm=video 0 RTP/AVP 96\na=rtpmap:96 MP4V-ES/90000\na=control:v\n\n", "MP4V-ES" },
    { "REDIRECT rtsp://cam/live RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://evil/\r\n\r\n", "redirects" },
};
START_TEST(a_refusal_is_said_in_words)
{
    sent();
    feed(OK "\r\n");
    sent();
    ck_assert_int_lt(feed(refusals[_i].answer), 0);
    ck_assert_msg(strstr(kt_rtsp_client_why(client), refusals[_i].why), "%s", kt_rtsp_client_why(client));
}
END_TEST

START_TEST(a_camera_that_never_answers_is_given_up)
{
    ck_assert_int_eq(tick(7), 0);
    ck_assert_int_lt(tick(2), 0);
    ck_assert_ptr_nonnull(strstr(kt_rtsp_client_why(client), "no answer"));
}
END_TEST

START_TEST(refused_audio_does_not_cost_the_video)
{
    sent();
    feed(OK "\r\n");
    sent();
    describe(SDP SDP_AUDIO);
    sent();
    feed(OK "Session: s\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(sent(), "SETUP rtsp://cam/live/a"));
    feed("RTSP/1.0 461 Unsupported Transport\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(sent(), "PLAY"));
    ck_assert_int_eq(streams, 1);
    ck_assert(!has_audio);
}
END_TEST

START_TEST(audio_of_g711_is_announced_as_aac)
{
    play_with(SDP SDP_AUDIO, OK "\r\n", "s");
    ck_assert(has_audio);
}
END_TEST

START_TEST(a_camera_that_asks_for_patience_gets_it)
{
    sent();
    feed(OK "\r\n");
    sent();
    ck_assert_int_gt(feed("RTSP/1.0 100 Continue\r\nCSeq: 2\r\n\r\n"), 0);
    ck_assert_str_eq(sent(), "");
    describe(SDP);
    ck_assert_ptr_nonnull(strstr(sent(), "SETUP rtsp://cam/live/v RTSP/1.0\r\n"));
}
END_TEST

/* What is no channel is not taken: the one that was asked for stays. */
static const char *const no_channels[] = { "255-256", "2147483647", "9999999999", "-1", "x" };
START_TEST(a_channel_is_a_byte)
{
    uint8_t data[64];
    char text[256];
    sent();
    feed(OK "\r\n");
    describe(SDP);
    snprintf(text, sizeof(text), OK "Transport: RTP/AVP/TCP;interleaved=%s\r\n\r\n", no_channels[_i]);
    feed(text);
    feed(OK "\r\n");
    const size_t n = packet(data, 0, true);
    ck_assert_int_eq(kt_rtsp_client_feed(client, data, n, now_us), (int)n);
    ck_assert_int_eq(frames, 1);
}
END_TEST

START_TEST(channels_are_those_the_camera_chose)
{
    uint8_t data[64];
    sent();
    feed(OK "\r\n");
    sent();
    describe(SDP);
    sent();
    feed(OK "Session: s\r\nTransport: RTP/AVP/TCP;unicast;interleaved=4-5;ssrc= 63\r\n\r\n");
    feed(OK "\r\n");
    const size_t n = packet(data, 0, true);
    data[1] = 4;
    ck_assert_int_eq(kt_rtsp_client_feed(client, data, n, now_us), (int)n);
    ck_assert_int_eq(frames, 1);
}
END_TEST

START_TEST(a_session_id_that_changes_is_followed)
{
    sent();
    feed(OK "\r\n");
    sent();
    describe(SDP SDP_AUDIO);
    sent();
    feed(OK "Session: one;timeout=60\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(sent(), "Session: one\r\n"));
    feed(OK "Session: two\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(sent(), "Session: two\r\n"));
}
END_TEST

START_TEST(the_camera_may_ask_too)
{
    play();
    ck_assert_int_gt(feed("OPTIONS * RTSP/1.0\r\nCSeq: 77\r\n\r\n"), 0);
    ck_assert_ptr_nonnull(strstr(sent(), "RTSP/1.0 200 OK\r\nCSeq: 77\r\n"));
    ck_assert_int_lt(feed("TEARDOWN rtsp://cam/ RTSP/1.0\r\nCSeq: 78\r\n\r\n"), 0);
}
END_TEST

START_TEST(reports_are_sent)
{
    uint8_t data[24];
    size_t size;
    play();
    packet(data, 0, true);
    ck_assert_int_eq(kt_rtsp_client_feed(client, data, 24, now_us), 24);
    ck_assert_int_eq(tick(6), 0);
    const uint8_t *out = kt_rtsp_client_output(client, &size);
    ck_assert_uint_gt(size, 32);
    ck_assert_int_eq(out[0], '$');
    ck_assert_int_eq(out[1], 1);
    ck_assert_int_eq(out[5], 201);
}
END_TEST

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    Suite *suite = suite_create("rtsp_client");
    TCase *tc = tcase_create("rtsp_client");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, bytes_may_come_one_by_one);
    tcase_add_test(tc, the_way_back_is_found_after_garbage);
    tcase_add_test(tc, endless_garbage_ends_the_session);
    tcase_add_test(tc, a_flood_of_frames_ends_the_session);
    tcase_add_loop_test(tc, garbage_full_of_beginnings_costs_no_more_than_its_bytes, 0, 2);
    tcase_add_test(tc, answers_between_packets_are_read);
    tcase_add_loop_test(tc, a_refused_keepalive_does_not_end_the_session, 0, KT_ARRAY_SIZE(bad_answers));
    tcase_add_test(tc, other_keepalives_only_where_advertised);
    tcase_add_test(tc, a_new_nonce_in_a_keepalive_is_answered);
    tcase_add_test(tc, keepalives_come_twice_per_session_timeout);
    tcase_add_test(tc, stale_nonces_are_answered_anew);
    tcase_add_test(tc, endless_challenges_end);
    tcase_add_loop_test(tc, a_refusal_is_said_in_words, 0, KT_ARRAY_SIZE(refusals));
    tcase_add_test(tc, a_camera_that_never_answers_is_given_up);
    tcase_add_test(tc, refused_audio_does_not_cost_the_video);
    tcase_add_test(tc, audio_of_g711_is_announced_as_aac);
    tcase_add_test(tc, channels_are_those_the_camera_chose);
    tcase_add_loop_test(tc, a_channel_is_a_byte, 0, KT_ARRAY_SIZE(no_channels));
    tcase_add_test(tc, a_camera_that_asks_for_patience_gets_it);
    tcase_add_test(tc, a_session_id_that_changes_is_followed);
    tcase_add_test(tc, the_camera_may_ask_too);
    tcase_add_test(tc, reports_are_sent);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

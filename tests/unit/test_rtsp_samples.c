/*
 * Answers of real cameras, replayed. They are not ours to copy, so they are read
 * from $KT_RTSP_SAMPLES or ../shared/field/rtsp_samples/testdata beside the checkout.
 */
#include <errno.h>
#include <string.h>

#include "decoders/ingest/rtsp_client.h"
#include "decoders/ingest/sdp.h"
#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

static const char *dir;
static char text[65536];

static size_t load(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f, "%s: %s", path, strerror(errno));
    const size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return n;
}

static const struct {
    const char *file;
    enum AVCodecID video, audio;
    int payload_type, extradata;    /* extradata: at least so many bytes */
    const char *control;
} descriptions[] = {
    { "anjvision_describe.txt", AV_CODEC_ID_HEVC, AV_CODEC_ID_NONE, 96, 80, "trackID=1" },
    { "anpviz_sdp.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 96, 20, "trackID=1" },
    { "bunny_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 97, 30, "trackID=2" },
    { "dahua_describe_h264_aac_onvif.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 96, 40, "trackID=0" },
    { "dahua_describe_h265_pcma.txt", AV_CODEC_ID_HEVC, AV_CODEC_ID_PCM_ALAW, 98, 80, "trackID=0" },
    { "foscam_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_PCM_MULAW, 96, 20, "track1" },
    { "geovision_sdp.txt", AV_CODEC_ID_H264, AV_CODEC_ID_NONE, 105, 30, "rtsp://192.168.5.237/media/video1/video" },
    { "gw_main_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_PCM_MULAW, 96, 30, "video" },
    { "gw_sub_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_NONE, 96, 30, "video" },
    { "h264dvr_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_PCM_ALAW, 96, 30, "trackID=3" },
    { "hikvision_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_NONE, 96, 30, "rtsp://192.168.5.106:554/Streaming/Channels/101/trackID=1?transportmode=unicast&profile=Profile_1" },
    { "ipcam_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_NONE, 96, 20, "trackID=1" },
    { "macrovideo_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_NONE, 96, 30, "track1" },
    { "missing_content_type_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 96, 30, "streamid=0" },
    { "reolink_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 96, 15, "trackID=1" },
    { "reolink_describe_control_first.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 96, 15, "trackID=1" },
    { "tplink_sdp.txt", AV_CODEC_ID_HEVC, AV_CODEC_ID_PCM_ALAW, 96, 80, "track1" },
    { "ubiquiti_sdp.txt", AV_CODEC_ID_H264, AV_CODEC_ID_AAC, 97, 30, "trackID=2" },
    { "vstarcam_describe.txt", AV_CODEC_ID_H264, AV_CODEC_ID_PCM_ALAW, 96, 30, "track0" },
};

START_TEST(a_description_is_understood)
{
    struct kt_rtsp_message msg;
    struct kt_sdp sdp;
    const size_t n = load(descriptions[_i].file);
    struct kt_span body = { text, n };
    if (strstr(descriptions[_i].file, "describe")) {
        const int used = kt_rtsp_parse(&msg, text, n);
        ck_assert_msg(used > 0, "%s: %d", descriptions[_i].file, used);
        body = msg.body;
    }
    kt_sdp_parse(&sdp, body);
    ck_assert_int_eq(sdp.video.codec, descriptions[_i].video);
    ck_assert_int_eq(sdp.audio.codec, descriptions[_i].audio);
    ck_assert_int_eq(sdp.video.payload_type, descriptions[_i].payload_type);
    ck_assert_int_ge(sdp.video.extradata_size, descriptions[_i].extradata);
    ck_assert_str_eq(sdp.video.control, descriptions[_i].control);
    ck_assert_int_eq(sdp.video.clock_rate, 90000);
}
END_TEST

START_TEST(details_of_descriptions)
{
    struct kt_sdp sdp;
    size_t n = load("anjvision_describe.txt");
    kt_sdp_parse(&sdp, (struct kt_span){ text, n });
    ck_assert_int_eq(sdp.video.width, 1280);
    ck_assert_int_eq(sdp.video.height, 720);
    ck_assert_int_eq(sdp.video.frame_rate.num, 5 * sdp.video.frame_rate.den);
    n = load("ubiquiti_sdp.txt");
    kt_sdp_parse(&sdp, (struct kt_span){ text, n });
    ck_assert_int_eq(sdp.audio.clock_rate, 48000);
    ck_assert_int_eq(sdp.audio.size_length, 13);
    ck_assert_int_eq(sdp.audio.extradata_size, 2);
    n = load("h264dvr_describe.txt");           /* framerate 0S, then 25 */
    kt_sdp_parse(&sdp, (struct kt_span){ text, n });
    ck_assert_int_eq(sdp.video.frame_rate.num, 25 * sdp.video.frame_rate.den);
}
END_TEST

/* A session with what a camera said; what our side asks is looked at. */
static kt_rtsp_client *client;
static int streams;

static void on_stream(void *user, const struct kt_ingest_stream *stream)
{
    streams++;
    ck_assert_ptr_nonnull(stream->video);
}

static void on_packet(void *user, const AVPacket *pkt, int64_t arrival_us)
{
}

static void start(const char *address)
{
    struct kt_rtsp_url url;
    ck_assert_int_eq(kt_rtsp_url_parse(&url, address), 0);
    const struct kt_rtsp_client_params params = {
        .url = &url, .handshake_timeout_us = 8 * KT_SECOND_US, .random = 1,
        .on_stream = on_stream, .on_packet = on_packet,
    };
    ck_assert_int_eq(kt_rtsp_client_create(&client, &params, 1), 0);
    streams = 0;
}

/* Our side must have asked for METHOD on URI; the camera answers with FILE. */
static void expect(const char *method, const char *uri, const char *file)
{
    char line[1200];
    size_t size;
    const char *out = (const char *)kt_rtsp_client_output(client, &size);
    snprintf(line, sizeof(line), "%s %s RTSP/1.0\r\n", method, uri);
    ck_assert_msg(size > strlen(line) && strncmp(out, line, strlen(line)) == 0,
                  "expected %s, sent %.*s", line, (int)size, out);
    kt_rtsp_client_sent(client, size);
    const size_t n = load(file);
    ck_assert_msg(kt_rtsp_client_feed(client, (uint8_t *)text, n, 2) >= (int)n - 2, "%s: %s", file,
                  kt_rtsp_client_why(client));
}

static const struct {
    const char *url, *options, *describe, *setup, *setup_audio, *play;
    const char *video_uri, *audio_uri, *play_uri;
} sessions[] = {
    { "rtsp://192.168.5.111:554/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif",
      "dahua_options.txt", "dahua_describe_h264_aac_onvif.txt", "dahua_setup.txt", "dahua_setup.txt", "dahua_play.txt",
      "rtsp://192.168.5.111:554/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif/trackID=0",
      "rtsp://192.168.5.111:554/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif/trackID=1",
      "rtsp://192.168.5.111:554/cam/realmonitor?channel=1&subtype=1&unicast=true&proto=Onvif/" },
    { "rtsp://192.168.5.106/Streaming/Channels/101", "dahua_options.txt", "hikvision_describe.txt",
      "hikvision_setup.txt", NULL, "hikvision_play.txt",
      "rtsp://192.168.5.106:554/Streaming/Channels/101/trackID=1?transportmode=unicast&profile=Profile_1", NULL,
      "rtsp://192.168.5.106:554/Streaming/Channels/101/?transportmode=unicast&profile=Profile_1" },
    { "rtsp://192.168.5.106/Streaming/Channels/101", "dahua_options.txt", "hikvision_describe.txt",
      "hikvision_setup_ssrc_space.txt", NULL, "hikvision_play.txt",
      "rtsp://192.168.5.106:554/Streaming/Channels/101/trackID=1?transportmode=unicast&profile=Profile_1", NULL,
      "rtsp://192.168.5.106:554/Streaming/Channels/101/?transportmode=unicast&profile=Profile_1" },
    { "rtsp://192.168.5.206/h264Preview_01_main", "dahua_options.txt", "reolink_describe.txt", "reolink_setup.txt",
      "reolink_setup.txt", "reolink_play.txt", "rtsp://192.168.5.206/h264Preview_01_main/trackID=1",
      "rtsp://192.168.5.206/h264Preview_01_main/trackID=2", "rtsp://192.168.5.206/h264Preview_01_main/" },
    { "rtsp://wowzaec2demo.streamlock.net/vod/mp4:BigBuckBunny_115k.mov", "dahua_options.txt", "bunny_describe.txt",
      "bunny_setup.txt", "bunny_setup.txt", "bad_rtptime.txt",
      "rtsp://wowzaec2demo.streamlock.net/vod/mp4:BigBuckBunny_115k.mov/trackID=2",
      "rtsp://wowzaec2demo.streamlock.net/vod/mp4:BigBuckBunny_115k.mov/trackID=1",
      "rtsp://wowzaec2demo.streamlock.net/vod/mp4:BigBuckBunny_115k.mov/" },
    { "rtsp://192.168.1.110:5050/H264?channel=1&subtype=0&unicast=true&proto=Onvif", "dahua_options.txt",
      "gw_main_describe.txt", "gw_main_setup_video.txt", "gw_main_setup_audio.txt", "gw_main_play.txt",
      "rtsp://192.168.1.110:5050/H264?channel=1&subtype=0&unicast=true&proto=Onvif/video",
      "rtsp://192.168.1.110:5050/H264?channel=1&subtype=0&unicast=true&proto=Onvif/audio",
      "rtsp://192.168.1.110:5050/H264?channel=1&subtype=0&unicast=true&proto=Onvif" },
    { "rtsp://192.168.1.110:5049/H264?channel=1&subtype=1&unicast=true&proto=Onvif", "dahua_options.txt",
      "gw_sub_describe.txt", "gw_sub_setup.txt", NULL, "gw_sub_play.txt",
      "rtsp://192.168.1.110:5049/H264?channel=1&subtype=1&unicast=true&proto=Onvif/video", NULL,
      "rtsp://192.168.1.110:5049/H264?channel=1&subtype=1&unicast=true&proto=Onvif" },
    { "rtsp://127.0.0.1:554/camera", "dahua_options.txt", "h264dvr_describe.txt", "h264dvr_setup_video.txt",
      "h264dvr_setup_audio.txt", "h264dvr_play.txt", "rtsp://127.0.0.1:554/camera/trackID=3",
      "rtsp://127.0.0.1:554/camera/trackID=4", "rtsp://127.0.0.1:554/camera" },
    { "rtsp://192.168.5.107:65534/videoMain", "dahua_options.txt", "foscam_describe.txt", "luckfox_rkipc_setup_tcp.txt",
      "luckfox_rkipc_setup_tcp.txt", "laureii_play.txt", "rtsp://192.168.5.107:65534/videoMain/track1",
      "rtsp://192.168.5.107:65534/videoMain/track2", "rtsp://192.168.5.107:65534/videoMain/" },
    /* Content-Base without a scheme: our own address is the base. */
    { "rtsp://192.168.1.10:554/stream0", "dahua_options.txt", "anjvision_describe.txt", "reolink_setup.txt", NULL,
      "reolink_play.txt", "rtsp://192.168.1.10:554/stream0/trackID=1", NULL, "rtsp://192.168.1.10:554/stream0" },
};
START_TEST(a_session_with_a_real_camera_begins)
{
    start(sessions[_i].url);
    expect("OPTIONS", sessions[_i].url, sessions[_i].options);
    expect("DESCRIBE", sessions[_i].url, sessions[_i].describe);
    expect("SETUP", sessions[_i].video_uri, sessions[_i].setup);
    if (sessions[_i].audio_uri)
        expect("SETUP", sessions[_i].audio_uri, sessions[_i].setup_audio);
    ck_assert_int_eq(streams, 1);
    expect("PLAY", sessions[_i].play_uri, sessions[_i].play);
    ck_assert(kt_rtsp_client_playing(client));
    kt_rtsp_client_teardown(client);
    expect("TEARDOWN", sessions[_i].play_uri, "reolink_teardown.txt");
    kt_rtsp_client_destroy(&client);
}
END_TEST

START_TEST(a_camera_that_wants_a_password_gets_it)
{
    start("rtsp://admin:secret@192.168.1.10/live");
    expect("OPTIONS", "rtsp://192.168.1.10/live", "longse_unauthorized.txt");
    size_t size;
    const char *out = (const char *)kt_rtsp_client_output(client, &size);
    ck_assert_ptr_nonnull(memmem(out, size, "Authorization: Digest username=\"admin\"", 38));
    ck_assert_ptr_null(memmem(out, size, "secret", 6));
    /* The same challenge again: the password is wrong. Not asked a third time. */
    kt_rtsp_client_sent(client, size);
    const size_t n = load("longse_unauthorized.txt");
    ck_assert_int_lt(kt_rtsp_client_feed(client, (uint8_t *)text, n, 3), 0);
    ck_assert_int_eq(kt_rtsp_client_end(client), KT_RTSP_END_PASSWORD);
    kt_rtsp_client_destroy(&client);
}
END_TEST

int main(void)
{
    dir = getenv("KT_RTSP_SAMPLES");
    if (!dir)
        dir = KT_SOURCE_ROOT "/../shared/field/rtsp_samples/testdata";
    if (access(dir, R_OK) < 0) {
        printf("SKIP: no answers of real cameras at %s (set KT_RTSP_SAMPLES)\n", dir);
        return 77;
    }
    Suite *suite = suite_create("rtsp_samples");
    TCase *tc = tcase_create("rtsp_samples");
    tcase_add_loop_test(tc, a_description_is_understood, 0, KT_ARRAY_SIZE(descriptions));
    tcase_add_test(tc, details_of_descriptions);
    tcase_add_loop_test(tc, a_session_with_a_real_camera_begins, 0, KT_ARRAY_SIZE(sessions));
    tcase_add_test(tc, a_camera_that_wants_a_password_gets_it);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

#include "decoders/ingest/depay.h"

#include <string.h>

#include "decoders/ingest/audio.h"
#include "tests/unit/encode.h"
#include "tests/unit/packetise.h"
#include "tests/unit/run_suite.h"

static struct kt_test_clip clip;
static struct kt_depay depay;
static struct kt_rtp rtp;
static struct kt_test_sender sender;
static int frames, keys, expected;
static int drop_every, sent;

static int damaged;

/* What there is of a damaged frame was sent so: units of it, in order, the cut ones cut short. */
static void check_damaged(const AVPacket *pkt, const struct kt_frame *frame)
{
    const uint8_t *a = NULL, *b = NULL;
    size_t an = 0, bn = 0, ai = 0, bi = 0;
    damaged++;
    while (kt_test_next_nal(frame->data, frame->size, &bi, &b, &bn)) {
        do {
            ck_assert(kt_test_next_nal(pkt->data, (size_t)pkt->size, &ai, &a, &an));
        } while (an < bn || memcmp(a, b, bn) != 0);
    }
}

/* A frame must be exactly the next one that was sent (start codes apart). */
static void on_frame(void *user, const struct kt_frame *frame)
{
    const uint8_t *a, *b;
    size_t an, bn, ai = 0, bi = 0;
    while (clip.pkt[expected]->pts != frame->pts) {
        expected++;
        ck_assert_int_lt(expected, clip.n);
    }
    const AVPacket *pkt = clip.pkt[expected++];
    if (frame->damaged) {
        check_damaged(pkt, frame);
        return;
    }
    while (kt_test_next_nal(pkt->data, (size_t)pkt->size, &ai, &a, &an)) {
        ck_assert(kt_test_next_nal(frame->data, frame->size, &bi, &b, &bn));
        ck_assert_uint_eq(an, bn);
        ck_assert_int_eq(memcmp(a, b, an), 0);
    }
    ck_assert(!kt_test_next_nal(frame->data, frame->size, &bi, &b, &bn));
    ck_assert_int_eq(frame->key, !!(pkt->flags & AV_PKT_FLAG_KEY));
    frames++;
    keys += frame->key;
}

static void on_rtp(void *user, const struct kt_rtp_packet *packet)
{
    kt_depay_push(&depay, packet);
}

static void send(void *user, const uint8_t *packet, size_t size)
{
    if (drop_every && sent++ % drop_every == drop_every - 1)
        return;
    kt_rtp_receive(&rtp, packet, size, 1000);
}

static void begin(const char *encoder, int slices)
{
    const bool hevc = strcmp(encoder, "libx265") == 0;
    memset(&depay, 0, sizeof(depay));
    memset(&rtp, 0, sizeof(rtp));
    frames = keys = expected = drop_every = sent = 0;
    kt_test_encode(&clip, encoder, 640, 360, 40, 25, 10, 0);
    const struct kt_sdp_media media = { .codec = hevc ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264 };
    kt_depay_init(&depay, &media);
    depay.on_frame = on_frame;
    rtp.on_packet = on_rtp;
    kt_rtp_init(&rtp, 96, 90000, false, 0, 1);
    sender = (struct kt_test_sender){ .hevc = hevc, .payload_type = 96, .mtu = 300, .send = send };
}

static void finish(void)
{
    kt_depay_free(&depay);
    kt_rtp_free(&rtp);
    kt_test_free(&clip);
}

static void send_all(void)
{
    for (int i = 0; i < clip.n; i++)
        kt_test_send_frame(&sender, clip.pkt[i]->data, (size_t)clip.pkt[i]->size, (uint32_t)clip.pkt[i]->pts);
}

static const struct {
    const char *encoder;
    bool aggregate, no_marker;
    int mtu;
} ways[] = {
    { "libx264", false, false, 300 }, { "libx264", true, false, 1400 }, { "libx264", false, true, 1400 },
    { "libx264", true, false, 20 }, { "libx265", false, false, 300 }, { "libx265", true, false, 1400 },
    { "libx265", false, true, 1400 },
};
START_TEST(frames_come_out_as_they_went_in)
{
    begin(ways[_i].encoder, 1);
    sender.aggregate = ways[_i].aggregate;
    sender.no_marker = ways[_i].no_marker;
    sender.mtu = ways[_i].mtu;
    send_all();
    /* Without markers the last frame waits for the next timestamp. */
    ck_assert_int_eq(frames, clip.n - ways[_i].no_marker);
    ck_assert_int_eq(keys, 4);
    ck_assert_uint_eq(depay.incomplete, 0);
    finish();
}
END_TEST

static const int losses[] = { 20, 7, 50, 3 };
START_TEST(what_comes_out_after_loss_was_sent_so)
{
    begin("libx264", 1);
    drop_every = losses[_i];
    damaged = 0;
    send_all();                             /* on_frame() compares each with what was sent */
    ck_assert_int_lt(frames, clip.n);
    ck_assert_int_gt(damaged, 0);
    ck_assert_uint_ge(depay.incomplete, (unsigned)damaged);
    finish();
}
END_TEST

START_TEST(a_marker_on_every_packet_is_learnt)
{
    begin("libx264", 1);
    sender.marker_on_all = true;            /* also on SPS, PPS and SEI, and inside a frame */
    send_all();
    ck_assert_int_ge(frames, clip.n - 2);
    finish();
}
END_TEST

START_TEST(parameter_sets_sent_ahead_belong_to_the_next_frame)
{
    begin("libx264", 1);
    const AVPacket *key = clip.pkt[10];
    const uint8_t *nal = NULL;
    size_t n = 0, at = 0;
    /* The sets and SEI with an earlier timestamp and a marker of their own. */
    while (kt_test_next_nal(key->data, (size_t)key->size, &at, &nal, &n) && at < (size_t)key->size) {
        sender.ts = (uint32_t)key->pts - 90;
        kt_test_unit(&sender, nal, n, true);
    }
    sender.ts = (uint32_t)key->pts;
    kt_test_unit(&sender, nal, n, true);
    ck_assert_int_eq(frames, 1);
    ck_assert_int_eq(keys, 1);
    finish();
}
END_TEST

static uint8_t last[65536];
static struct kt_frame last_frame;

static void keep_frame(void *user, const struct kt_frame *frame)
{
    ck_assert_uint_le(frame->size, sizeof(last));
    memcpy(last, frame->data, frame->size);
    last_frame = *frame;
    frames++;
}

static void push(const void *data, size_t size, int64_t pts, bool marker, bool lost)
{
    const struct kt_rtp_packet p = { data, size, pts, marker, lost };
    kt_depay_push(&depay, &p);
}

static void begin_codec(enum AVCodecID codec)
{
    memset(&depay, 0, sizeof(depay));
    const struct kt_sdp_media media = {
        .codec = codec, .size_length = 13, .index_length = 3, .index_delta_length = 3,
    };
    kt_depay_init(&depay, &media);
    depay.on_frame = keep_frame;
    frames = 0;
}

START_TEST(annex_b_inside_rtp_is_read)
{
    /* SPS, PPS and IDR in one "unit", start codes and all. */
    static const uint8_t odd[] = { 0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 5,
                                   0, 0, 0, 1, 0x65, 0x88, 1, 2, 3, 4 };
    begin_codec(AV_CODEC_ID_H264);
    push(odd, sizeof(odd), 100, true, false);
    ck_assert_int_eq(frames, 1);
    ck_assert(last_frame.key);
    ck_assert_uint_eq(last_frame.size, sizeof(odd));
    kt_depay_free(&depay);
}
END_TEST

START_TEST(an_endless_frame_is_dropped)
{
    static uint8_t piece[60000] = { 0x7c, 0x05 };
    begin_codec(AV_CODEC_ID_H264);
    const uint8_t start[] = { 0x7c, 0x85, 0x88 };
    push(start, sizeof(start), 1, false, false);
    for (int i = 0; i < 300; i++)
        push(piece, sizeof(piece), 1, false, false);
    ck_assert_uint_le(depay.cap, KT_DEPAY_FRAME_MAX);
    push(piece, 10, 2, false, false);
    ck_assert_int_eq(frames, 0);
    ck_assert_uint_ge(depay.incomplete, 1);
    kt_depay_free(&depay);
}
END_TEST

/* The thread that reads it reads all cameras: a minute for what is over in a blink would stop them all. */
START_TEST(a_frame_of_countless_units_costs_no_more_than_its_bytes)
{
    static uint8_t sei[132] = { 0x06, 5, 200 };
    begin_codec(AV_CODEC_ID_H264);
    for (int i = 0; i < 200000; i++)
        push(sei, sizeof(sei), 1, true, false);
    push(sei, sizeof(sei), 2, true, false);
    ck_assert_int_eq(frames, 0);
    ck_assert_uint_ge(depay.incomplete, 1);
    kt_depay_free(&depay);
}
END_TEST

START_TEST(a_packet_of_countless_units_is_cut_short)
{
    static uint8_t packet[60000] = { 0xc3, 0x50 };      /* 50 000 bits: units of a byte each */
    memset(packet + 2, 0xff, 50000 / 8);
    begin_codec(AV_CODEC_ID_AAC);
    depay.size_length = 1;
    depay.index_length = depay.index_delta_length = 0;
    push(packet, sizeof(packet), 5000, true, false);
    ck_assert_int_eq(frames, 64);
    kt_depay_free(&depay);
}
END_TEST

START_TEST(aac_units_share_a_packet_or_fill_several)
{
    begin_codec(AV_CODEC_ID_AAC);
    const uint8_t two[] = { 0, 32, 0, 3 << 3, 0, 2 << 3, 'a', 'b', 'c', 'd', 'e' };
    push(two, sizeof(two), 5000, true, false);
    ck_assert_int_eq(frames, 2);
    ck_assert_int_eq(last_frame.pts, 5000 + 1024);
    ck_assert_mem_eq(last, "de", 2);

    const uint8_t first[] = { 0, 16, 0, 6 << 3, 'a', 'b', 'c' }, second[] = { 0, 16, 0, 6 << 3, 'd', 'e', 'f' };
    push(first, sizeof(first), 9000, false, false);
    ck_assert_int_eq(frames, 2);
    push(second, sizeof(second), 9000, true, false);
    ck_assert_int_eq(frames, 3);
    ck_assert_uint_eq(last_frame.size, 6);
    ck_assert_mem_eq(last, "abcdef", 6);

    const uint8_t lies[] = { 0xff, 0xff, 1, 2, 3 };
    push(lies, sizeof(lies), 1, true, false);
    ck_assert_int_eq(frames, 3);
    kt_depay_free(&depay);
}
END_TEST

/* Take an encoder's JPEG apart as RFC 2435 says, and put it together again. */
START_TEST(a_jpeg_is_put_together_again)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *enc = avcodec_alloc_context3(codec);
    enc->width = 320;
    enc->height = 240;
    enc->pix_fmt = AV_PIX_FMT_YUVJ420P;
    enc->time_base = (AVRational){ 1, 25 };
    enc->thread_count = 1;
    av_opt_set(enc->priv_data, "huffman", "default", 0);
    ck_assert_int_eq(avcodec_open2(enc, codec, NULL), 0);
    AVFrame *frame = av_frame_alloc();
    frame->width = 320;
    frame->height = 240;
    frame->format = enc->pix_fmt;
    ck_assert_int_eq(av_frame_get_buffer(frame, 0), 0);
    kt_test_draw(frame, 3);
    AVPacket *pkt = av_packet_alloc();
    ck_assert_int_eq(avcodec_send_frame(enc, frame), 0);
    ck_assert_int_eq(avcodec_receive_packet(enc, pkt), 0);
    const uint8_t *dqt = memmem(pkt->data, (size_t)pkt->size, "\xff\xdb", 2);
    const uint8_t *sos = memmem(pkt->data, (size_t)pkt->size, "\xff\xda", 2);
    const uint8_t *scan = sos + 2 + AV_RB16(sos + 2), *end = pkt->data + pkt->size - 2;

    /* The second time its size is only in the session's description, as of pictures larger than 2040. */
    begin_codec(AV_CODEC_ID_MJPEG);
    depay.width = 320;
    depay.height = 240;
    for (const uint8_t *p = scan; p < end;) {
        uint8_t out[2000] = { 0, 0, 0, 0, 1, 255, _i ? 0 : 40, _i ? 0 : 30 };
        size_t at = 8;
        const size_t n = FFMIN(200, (size_t)(end - p));
        AV_WB24(out + 1, (unsigned)(p - scan));
        if (p == scan) {
            memcpy(out + at, "\0\0\0\x80", 4);
            memcpy(out + at + 4, dqt + 5, 64);          /* the encoder has one table for both */
            memcpy(out + at + 68, dqt + 5, 64);
            at += 132;
        }
        memcpy(out + at, p, n);
        push(out, at + n, 777, p + n == end, false);
        p += n;
    }
    ck_assert_int_eq(frames, 1);
    AVCodecContext *dec = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));
    dec->thread_count = 1;
    ck_assert_int_eq(avcodec_open2(dec, NULL, NULL), 0);
    AVPacket *again = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(again, (int)last_frame.size), 0);
    memcpy(again->data, last, last_frame.size);
    AVFrame *shown = av_frame_alloc();
    ck_assert_int_eq(avcodec_send_packet(dec, again), 0);
    ck_assert_int_eq(avcodec_receive_frame(dec, shown), 0);
    ck_assert_int_eq(shown->width, 320);
    int worst = 0;
    for (int y = 0; y < 240; y++)
        for (int x = 0; x < 320; x++)
            worst = FFMAX(worst, abs(shown->data[0][y * shown->linesize[0] + x] -
                                     frame->data[0][y * frame->linesize[0] + x]));
    ck_assert_int_lt(worst, 60);
    av_frame_free(&frame);
    av_frame_free(&shown);
    av_packet_free(&pkt);
    av_packet_free(&again);
    avcodec_free_context(&enc);
    avcodec_free_context(&dec);
    kt_depay_free(&depay);
}
END_TEST

static int aac_packets;
static int64_t aac_pts;

static void on_aac(void *user, const AVPacket *pkt)
{
    if (aac_packets++)
        ck_assert_int_eq(pkt->pts, aac_pts + 1024);
    aac_pts = pkt->pts;
    ck_assert_int_gt(pkt->size, 0);
}

START_TEST(g711_becomes_aac)
{
    kt_audio *audio = NULL;
    uint8_t samples[160];
    ck_assert_int_eq(kt_audio_create(&audio, _i ? AV_CODEC_ID_PCM_ALAW : AV_CODEC_ID_PCM_MULAW, 8000, 1, NULL, on_aac), 0);
    ck_assert_int_ge(kt_audio_parameters(audio)->extradata_size, 2);
    for (int i = 0; i < 500; i++) {
        for (int j = 0; j < 160; j++)
            samples[j] = (uint8_t)(i * j);
        /* The camera's timestamps are off by a little, now and then. */
        kt_audio_push(audio, samples, sizeof(samples), 1000 + i * 160 + (i % 7 == 0 ? 40 : 0));
    }
    ck_assert_int_ge(aac_packets, 500 * 160 / 1024 - 2);
    kt_audio_destroy(&audio);
}
END_TEST

#define TRACKS 6

static uint8_t byte_of(int track, size_t i)
{
    return (uint8_t)(track * 31 + i * 7 + i / 251);
}

static void on_large(void *user, const struct kt_frame *frame)
{
    const int track = *(const int *)user;
    size_t wrong = 0;
    for (size_t i = 0; i < frame->size; i++)
        wrong += frame->data[i] != byte_of(track, i);
    for (size_t i = 0; i < AV_INPUT_BUFFER_PADDING_SIZE; i++)
        wrong += frame->data[frame->size + i] != 0;
    ck_assert_uint_eq(wrong, 0);
    frames++;
}

/* Key frames of many cameras arrive at once, in pieces. */
START_TEST(large_frames_of_many_tracks_take_turns_with_few_buffers)
{
    static const size_t sizes[] = { 1000, 150000, 65536, 600000, 3000, 1200000, 65472, 66000 };
    struct kt_depay_spares spares = { .cap = { 0 } };
    struct kt_depay track[TRACKS] = { 0 };
    int number[TRACKS];
    frames = 0;
    for (int t = 0; t < TRACKS; t++) {
        number[t] = t;
        track[t] = (struct kt_depay){ .user = &number[t], .on_frame = on_large, .spares = &spares };
    }
    for (int round = 0; round < 10; round++) {
        for (size_t at = 0; at < 1200000; at += 777) {
            for (int t = 0; t < TRACKS; t++) {
                const size_t size = sizes[(round + t) % (int)KT_ARRAY_SIZE(sizes)];
                uint8_t piece[777];
                for (size_t i = 0; i < sizeof(piece); i++)
                    piece[i] = byte_of(t, at + i);
                if (at < size && !kt_depay_append(&track[t], piece, FFMIN(sizeof(piece), size - at)))
                    ck_abort_msg("no memory");
            }
        }
        for (int t = 0; t < TRACKS; t++)
            kt_depay_emit(&track[t]);
    }
    ck_assert_int_eq(frames, 10 * TRACKS);
    /* What is kept: no track a large buffer, and the spares no very large one. */
    for (int t = 0; t < TRACKS; t++) {
        ck_assert_uint_le(track[t].cap, 64 << 10);
        kt_depay_free(&track[t]);
    }
    for (int i = 0; i < KT_DEPAY_SPARES; i++)
        ck_assert_uint_le(spares.cap[i], 1 << 20);
    kt_depay_spares_free(&spares);
}
END_TEST

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    Suite *suite = suite_create("depay");
    TCase *tc = tcase_create("depay");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, frames_come_out_as_they_went_in, 0, KT_ARRAY_SIZE(ways));
    tcase_add_loop_test(tc, what_comes_out_after_loss_was_sent_so, 0, KT_ARRAY_SIZE(losses));
    tcase_add_test(tc, a_marker_on_every_packet_is_learnt);
    tcase_add_test(tc, parameter_sets_sent_ahead_belong_to_the_next_frame);
    tcase_add_test(tc, annex_b_inside_rtp_is_read);
    tcase_add_test(tc, an_endless_frame_is_dropped);
    tcase_add_test(tc, a_frame_of_countless_units_costs_no_more_than_its_bytes);
    tcase_add_test(tc, a_packet_of_countless_units_is_cut_short);
    tcase_add_test(tc, aac_units_share_a_packet_or_fill_several);
    tcase_add_loop_test(tc, a_jpeg_is_put_together_again, 0, 2);
    tcase_add_loop_test(tc, g711_becomes_aac, 0, 2);
    tcase_add_test(tc, large_frames_of_many_tracks_take_turns_with_few_buffers);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

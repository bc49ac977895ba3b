#include "decoders/mux/mux.h"
#include "decoders/mux/sps_rate.h"

#include <errno.h>
#include <string.h>
#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>

#include "server/base/clock.h"
#include "tests/unit/encode.h"
#include "tests/unit/run_suite.h"

#define MONO_US (1000 * KT_SECOND_US)
#define OFFSET_US INT64_C(1790000000000000)

/* What came out of the mux, in order. */
static struct kt_chunk *chunk[1024];
static int chunks;
static enum kt_run_end ended[16];
static int ends;
static int64_t offset_us;

static void on_chunk(void *user, struct kt_chunk *c)
{
    ck_assert_int_lt(chunks, 1024);
    chunk[chunks++] = kt_chunk_ref(c);
}

static void on_run_end(void *user, enum kt_run_end why)
{
    ended[ends++] = why;
}

static int64_t fake_offset(void *user)
{
    return offset_us;
}

static kt_mux *mux;
static struct kt_test_clip clip;

static void setup(void)
{
    const struct kt_mux_params params = {
        .on_chunk = on_chunk, .on_run_end = on_run_end, .wall_offset_us = fake_offset,
    };
    offset_us = OFFSET_US;
    ck_assert_int_eq(kt_mux_create(&mux, &params), 0);
}

static void teardown(void)
{
    kt_mux_destroy(&mux);
    for (int i = 0; i < chunks; i++)
        kt_chunk_unref(&chunk[i]);
    chunks = ends = 0;
    kt_test_free(&clip);
}

static struct kt_ingest_stream stream_of(const AVCodecParameters *par)
{
    return (struct kt_ingest_stream){
        .video = par, .video_time_base = { 1, 90000 }, .video_rate = { 25, 1 },
    };
}

static void begin(const AVCodecParameters *par)
{
    const struct kt_ingest_stream stream = stream_of(par);
    struct kt_error err;
    ck_assert_int_eq(kt_mux_begin(mux, &stream, &err), 0);
}

/* Send packet I of the clip without a DTS, as RTP does, when it would arrive. */
static int send(int i)
{
    AVPacket *pkt = av_packet_clone(clip.pkt[i]);
    pkt->dts = AV_NOPTS_VALUE;
    pkt->stream_index = 0;
    const int ret = kt_mux_packet(mux, pkt, MONO_US + (int64_t)i * 40000);
    av_packet_free(&pkt);
    return ret;
}

static void send_all(void)
{
    for (int i = 0; i < clip.n; i++)
        ck_assert_int_eq(send(i), 0);
    kt_mux_end(mux);
}

struct memory {
    uint8_t *data;
    size_t size, at;
};

static int read_memory(void *user, uint8_t *buf, int size)
{
    struct memory *m = user;
    const size_t n = FFMIN((size_t)size, m->size - m->at);
    if (n == 0)
        return AVERROR_EOF;
    memcpy(buf, m->data + m->at, n);
    m->at += n;
    return (int)n;
}

/* Init segment and chunks [FROM, TO) as a file, opened by libavformat's demuxer. */
static AVFormatContext *open_chunks(struct memory *m, int from, int to)
{
    const struct kt_init *init = chunk[from]->init;
    m->data = malloc(64 << 20);
    memcpy(m->data, init->data, init->size);
    m->size = init->size;
    for (int i = from; i < to; i++) {
        memcpy(m->data + m->size, chunk[i]->data, chunk[i]->size);
        m->size += chunk[i]->size;
    }
    m->at = 0;
    AVFormatContext *av = avformat_alloc_context();
    av->pb = avio_alloc_context(av_malloc(4096), 4096, 0, m, read_memory, NULL, NULL);
    ck_assert_int_eq(avformat_open_input(&av, NULL, NULL, NULL), 0);
    return av;
}

static void close_chunks(AVFormatContext **av, struct memory *m)
{
    AVIOContext *pb = (*av)->pb;
    avformat_close_input(av);
    av_freep(&pb->buffer);
    avio_context_free(&pb);
    free(m->data);
}

/* Decode what was muxed; the pictures must be the CLIP's, in order. */
static int decode_all(AVFormatContext *av)
{
    const AVCodecParameters *par = av->streams[0]->codecpar;
    AVCodecContext *ctx = avcodec_alloc_context3(avcodec_find_decoder(par->codec_id));
    avcodec_parameters_to_context(ctx, par);
    ctx->thread_count = 1;
    ck_assert_int_eq(avcodec_open2(ctx, NULL, NULL), 0);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    int frames = 0, over = 0;
    int64_t last_pts = INT64_MIN, last_dts = INT64_MIN;
    while (!over) {
        over = av_read_frame(av, pkt) < 0;
        if (!over) {
            ck_assert_int_gt(pkt->dts, last_dts);
            ck_assert_int_ge(pkt->pts, pkt->dts);
            last_dts = pkt->dts;
        }
        ck_assert_int_eq(avcodec_send_packet(ctx, over ? NULL : pkt), 0);
        av_packet_unref(pkt);
        while (avcodec_receive_frame(ctx, frame) == 0) {
            ck_assert_int_gt(frame->pts, last_pts);
            ck_assert_int_eq(frame->decode_error_flags, 0);
            last_pts = frame->pts;
            frames++;
        }
    }
    av_frame_free(&frame);
    av_packet_free(&pkt);
    avcodec_free_context(&ctx);
    return frames;
}

static const struct {
    const char *encoder, *mime_start;
    int bframes;
} kinds[] = {
    { "libx264", "video/mp4; codecs=\"avc1.64", 0 },
    { "libx264", "video/mp4; codecs=\"avc1.64", 2 },
    { "libx265", "video/mp4; codecs=\"hvc1.1.6.L", 0 },
    { "libx265", "video/mp4; codecs=\"hvc1.1.6.L", 2 },
};

START_TEST(what_goes_in_decodes_from_the_chunks)
{
    kt_test_encode(&clip, kinds[_i].encoder, 320, 180, 60, 25, 20, kinds[_i].bframes);
    begin(clip.par);
    send_all();
    ck_assert_int_eq(chunks, 60);
    ck_assert_int_eq(ends, 1);
    ck_assert_int_eq(ended[0], KT_RUN_SESSION);
    ck_assert_msg(strncmp(chunk[0]->init->mime, kinds[_i].mime_start,
                          strlen(kinds[_i].mime_start)) == 0, "%s", chunk[0]->init->mime);
    ck_assert_int_eq(chunk[0]->init->width, 320);
    ck_assert_int_eq(chunk[0]->init->height, 180);

    struct memory m;
    AVFormatContext *av = open_chunks(&m, 0, chunks);
    ck_assert_int_eq(decode_all(av), 60);
    close_chunks(&av, &m);
}
END_TEST

START_TEST(a_chunk_says_what_its_boxes_say)
{
    kt_test_encode(&clip, "libx264", 320, 180, 60, 25, 20, 2);
    begin(clip.par);
    send_all();
    for (int i = 0; i < chunks; i++) {
        const struct kt_chunk *c = chunk[i];
        const uint8_t *tfdt = memmem(c->data, c->size, "tfdt", 4);
        ck_assert_ptr_nonnull(tfdt);
        ck_assert_int_eq(tfdt[4], 1);   /* version */
        ck_assert_int_eq((int64_t)AV_RB64(tfdt + 8), c->dts_90k);
        ck_assert_int_eq(!!(c->flags & KT_CHUNK_KEY), i % 20 == 0);
        ck_assert_uint_eq(c->run, chunk[0]->run);
        ck_assert_int_eq(memcmp(c->data + 4, "moof", 4), 0);
        const uint32_t moof = AV_RB32(c->data);
        ck_assert_uint_eq(moof + AV_RB32(c->data + moof), c->size);
        ck_assert_int_eq(memcmp(c->data + moof + 4, "mdat", 4), 0);
    }
}
END_TEST

START_TEST(an_init_segment_has_no_duration)
{
    kt_test_encode(&clip, "libx264", 320, 180, 10, 25, 10, 0);
    begin(clip.par);
    send_all();
    const struct kt_init *init = chunk[0]->init;
    const uint8_t *mvhd = memmem(init->data, init->size, "mvhd", 4);
    ck_assert_ptr_nonnull(mvhd);
    ck_assert_int_eq(mvhd[4], 0);
    ck_assert_uint_eq(AV_RB32(mvhd + 4 + 4 + 12), 0);
    ck_assert_ptr_null(memmem(init->data, init->size, "mehd", 4));
    ck_assert_ptr_null(memmem(init->data, init->size, "elst", 4));
}
END_TEST

START_TEST(wall_time_is_the_arrival_of_the_least_delayed_frame)
{
    kt_test_encode(&clip, "libx264", 320, 180, 60, 25, 20, 0);
    begin(clip.par);
    send_all();
    for (int i = 0; i < chunks; i++)
        ck_assert_int_le(llabs(chunk[i]->wall_us - (OFFSET_US + MONO_US + i * 40000)), 100);
}
END_TEST

START_TEST(nothing_comes_out_before_a_key_frame_with_parameters)
{
    kt_test_encode(&clip, "libx264", 320, 180, 60, 25, 20, 0);
    begin(clip.par);
    for (int i = 5; i < 20; i++)
        ck_assert_int_eq(send(i), -EAGAIN);
    for (int i = 20; i < 60; i++)
        ck_assert_int_eq(send(i), 0);
    kt_mux_end(mux);
    ck_assert_int_eq(chunks, 40);
    ck_assert(chunk[0]->flags & KT_CHUNK_KEY);
}
END_TEST

static const struct {
    const char *encoder;
    int fps, bframes;
} rates[] = { { "libx264", 25, 0 }, { "libx264", 15, 2 }, { "libx264", 1, 0 }, { "libx265", 10, 0 }, { "libx265", 30, 2 } };
START_TEST(what_the_parameter_sets_say_of_the_rate_is_told)
{
    kt_test_encode(&clip, rates[_i].encoder, 320, 180, 6, rates[_i].fps, 6, rates[_i].bframes);
    begin(clip.par);
    ck_assert_int_eq(kt_mux_rate(mux).num, 0);
    send_all();
    ck_assert_double_eq_tol(av_q2d(kt_mux_rate(mux)), rates[_i].fps, 0.01);
}
END_TEST

START_TEST(any_bytes_may_stand_where_a_rate_is_looked_for)
{
    uint8_t sps[80];
    srand(7);
    for (int turn = 0; turn < 20000; turn++) {
        for (size_t i = 0; i < sizeof(sps); i++)
            sps[i] = (uint8_t)(rand() & (turn % 2 ? rand() : 255));
        const AVRational rate = kt_sps_rate(sps, (size_t)turn % sizeof(sps));
        ck_assert(rate.den > 0 && (rate.num == 0 || (av_q2d(rate) >= 0.5 && av_q2d(rate) <= 240)));
    }
}
END_TEST

START_TEST(another_resolution_begins_another_run)
{
    struct kt_test_clip first, second;
    kt_test_encode(&first, "libx264", 320, 180, 30, 25, 10, 0);
    kt_test_encode(&second, "libx264", 640, 360, 30, 25, 10, 0);
    clip = first;
    begin(clip.par);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(send(i), 0);
    for (int i = 0; i < 30; i++) {
        AVPacket *pkt = second.pkt[i];
        pkt->pts += 30 * 3600;
        pkt->dts = AV_NOPTS_VALUE;
        ck_assert_int_eq(kt_mux_packet(mux, pkt, MONO_US + (30 + i) * 40000), 0);
    }
    kt_mux_end(mux);
    ck_assert_int_eq(chunks, 60);
    ck_assert_int_eq(ends, 2);
    ck_assert_int_eq(ended[0], KT_RUN_PARAMETERS);
    ck_assert_uint_gt(chunk[30]->run, chunk[29]->run);
    ck_assert_int_eq(chunk[30]->init->width, 640);
    ck_assert_int_eq(chunk[30]->dts_90k, 0);
    for (int i = 1; i < 60; i++)
        ck_assert_int_le(llabs(chunk[i]->wall_us - chunk[i - 1]->wall_us - 40000), 100);
    struct memory m;
    for (int part = 0; part < 2; part++) {
        AVFormatContext *av = open_chunks(&m, part * 30, part * 30 + 30);
        ck_assert_int_eq(decode_all(av), 30);
        close_chunks(&av, &m);
    }
    kt_test_free(&second);
}
END_TEST

static void count_run(void *user, enum kt_run_end why)
{
    ++*(int *)user;
}

static void let_go(void *user, struct kt_chunk *c)
{
}

/* Parameters in each frame, or only a clock that jumps: either costs more than the frame itself. */
START_TEST(a_camera_that_changes_all_the_time_changes_a_few_times)
{
    struct kt_test_clip two[2];
    int runs = 0;
    kt_mux *busy = NULL;
    const struct kt_mux_params params = {
        .user = &runs, .on_chunk = let_go, .on_run_end = count_run, .wall_offset_us = fake_offset,
    };
    kt_test_encode(&two[0], "libx264", 64, 64, 1, 25, 10, 0);
    kt_test_encode(&two[1], "libx264", 80, 80, 1, 25, 10, 0);
    const struct kt_ingest_stream stream = stream_of(two[0].par);
    struct kt_error err;
    offset_us = OFFSET_US;
    ck_assert_int_eq(kt_mux_create(&busy, &params), 0);
    ck_assert_int_eq(kt_mux_begin(busy, &stream, &err), 0);
    for (int i = 0; i < 20000; i++) {               /* in two seconds */
        AVPacket *pkt = two[_i ? i % 2 : 0].pkt[0];
        pkt->pts = _i ? i * 9 : i % 2 * 90000 * 60;
        pkt->dts = AV_NOPTS_VALUE;
        (void)!kt_mux_packet(busy, pkt, MONO_US + i * 100);
    }
    ck_assert_int_ge(runs, 64);
    ck_assert_int_le(runs, 128 + 2 * 64 + 1);
    /* A second later it is a camera like any other. */
    for (int i = 0; i < 10; i++) {
        two[0].pkt[0]->pts = i * 3600;
        ck_assert_int_eq(kt_mux_packet(busy, two[0].pkt[0], MONO_US + 3 * KT_SECOND_US + i * 40000), 0);
    }
    kt_mux_destroy(&busy);
    kt_test_free(&two[0]);
    kt_test_free(&two[1]);
}
END_TEST

START_TEST(the_same_parameters_give_the_same_init_segment)
{
    kt_test_encode(&clip, "libx264", 320, 180, 20, 25, 10, 0);
    for (int i = 0; i < 2; i++) {
        begin(clip.par);
        send_all();
    }
    ck_assert_int_eq(chunks, 40);
    ck_assert_mem_eq(chunk[0]->init->hash, chunk[39]->init->hash, KT_INIT_HASH_SIZE);
    ck_assert_uint_gt(chunk[39]->run, chunk[0]->run);
}
END_TEST

START_TEST(runs_grow_even_when_the_clock_goes_back)
{
    kt_test_encode(&clip, "libx264", 320, 180, 20, 25, 10, 0);
    begin(clip.par);
    send_all();
    offset_us -= 3600 * KT_SECOND_US;
    begin(clip.par);
    send_all();
    ck_assert_uint_gt(chunk[39]->run, chunk[0]->run);
}
END_TEST

START_TEST(sei_is_kept)
{
    static const uint8_t uuid[16] = { 0, 0x5b, 0xc9, 0x3f, 0x2d, 0x71, 0x5e, 0x95,
                                      0xad, 0xa4, 0x79, 0x6f, 0x90, 0x87, 0x7a, 0x6f };
    const uint8_t head[] = { 0, 0, 0, 1, 0x06, 5, 16 };
    kt_test_encode(&clip, "libx264", 320, 180, 20, 25, 10, 0);
    begin(clip.par);
    ck_assert_int_eq(send(0), 0);
    for (int i = 1; i < 20; i++) {
        AVPacket *pkt = av_packet_alloc();
        ck_assert_int_eq(av_new_packet(pkt, clip.pkt[i]->size + 24), 0);
        memcpy(pkt->data, head, sizeof(head));
        memcpy(pkt->data + sizeof(head), uuid, 16);
        pkt->data[23] = 0x80;
        memcpy(pkt->data + 24, clip.pkt[i]->data, (size_t)clip.pkt[i]->size);
        pkt->pts = clip.pkt[i]->pts;
        pkt->flags = clip.pkt[i]->flags;
        ck_assert_int_eq(kt_mux_packet(mux, pkt, MONO_US + i * 40000), 0);
        av_packet_free(&pkt);
    }
    kt_mux_end(mux);
    for (int i = 1; i < 20; i++)
        ck_assert_ptr_nonnull(memmem(chunk[i]->data, chunk[i]->size, uuid, 16));
}
END_TEST

START_TEST(a_codec_for_no_browser_is_refused_in_words)
{
    AVCodecParameters *par = avcodec_parameters_alloc();
    par->codec_type = AVMEDIA_TYPE_VIDEO;
    par->codec_id = AV_CODEC_ID_MPEG4;
    const struct kt_ingest_stream stream = stream_of(par);
    struct kt_error err;
    ck_assert_int_eq(kt_mux_begin(mux, &stream, &err), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "mpeg4"));
    avcodec_parameters_free(&par);
}
END_TEST

START_TEST(audio_lies_beside_the_video)
{
    kt_test_encode(&clip, "libx264", 320, 180, 75, 25, 25, 0);
    AVCodecParameters *audio = avcodec_parameters_alloc();
    audio->codec_type = AVMEDIA_TYPE_AUDIO;
    audio->codec_id = AV_CODEC_ID_AAC;
    audio->sample_rate = 16000;
    av_channel_layout_default(&audio->ch_layout, 1);
    audio->extradata = av_mallocz(2 + AV_INPUT_BUFFER_PADDING_SIZE);
    audio->extradata_size = 2;
    audio->extradata[0] = 0x14;
    audio->extradata[1] = 0x08;
    struct kt_ingest_stream stream = stream_of(clip.par);
    stream.audio = audio;
    stream.audio_time_base = (AVRational){ 1, 16000 };
    ck_assert_int_eq(kt_mux_begin(mux, &stream, NULL), 0);

    AVPacket *pkt = av_packet_alloc();
    ck_assert_int_eq(av_new_packet(pkt, 100), 0);
    memset(pkt->data, 0x21, 100);
    int sent = 0;
    for (int i = 0; i < 75; i++) {
        ck_assert_int_eq(send(i), 0);
        for (; sent * 64 < (i + 1) * 40; sent++) {      /* 64 ms each, some random start */
            pkt->stream_index = 1;
            pkt->pts = INT64_C(123456789) + sent * 1024;
            kt_mux_packet(mux, pkt, MONO_US + sent * 64000);
        }
    }
    kt_mux_end(mux);
    int heard = 0;
    int64_t next = -1;
    for (int i = 0; i < chunks; i++) {
        if (!(chunk[i]->flags & KT_CHUNK_AUDIO))
            continue;
        const int64_t truth = OFFSET_US + MONO_US + (heard + sent - 47) * 64000;
        ck_assert_int_le(llabs(chunk[i]->wall_us - truth), 1000);
        if (next >= 0)
            ck_assert_int_le(llabs(chunk[i]->dts_90k - next), 1);
        next = chunk[i]->dts_90k + chunk[i]->duration_90k;
        heard++;
    }
    ck_assert_int_ge(heard, 46);
    ck_assert_ptr_nonnull(strstr(chunk[0]->init->mime, ",mp4a.40.2\""));
    struct memory m;
    AVFormatContext *av = open_chunks(&m, 0, chunks);
    ck_assert_uint_eq(av->nb_streams, 2);
    close_chunks(&av, &m);
    av_packet_free(&pkt);
    avcodec_parameters_free(&audio);
}
END_TEST

int main(void)
{
    av_log_set_level(AV_LOG_ERROR);
    Suite *suite = suite_create("mux");
    TCase *tc = tcase_create("mux");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, what_goes_in_decodes_from_the_chunks, 0, KT_ARRAY_SIZE(kinds));
    tcase_add_test(tc, a_chunk_says_what_its_boxes_say);
    tcase_add_test(tc, an_init_segment_has_no_duration);
    tcase_add_test(tc, wall_time_is_the_arrival_of_the_least_delayed_frame);
    tcase_add_test(tc, nothing_comes_out_before_a_key_frame_with_parameters);
    tcase_add_loop_test(tc, what_the_parameter_sets_say_of_the_rate_is_told, 0, KT_ARRAY_SIZE(rates));
    tcase_add_test(tc, any_bytes_may_stand_where_a_rate_is_looked_for);
    tcase_add_test(tc, another_resolution_begins_another_run);
    tcase_add_loop_test(tc, a_camera_that_changes_all_the_time_changes_a_few_times, 0, 2);
    tcase_add_test(tc, the_same_parameters_give_the_same_init_segment);
    tcase_add_test(tc, runs_grow_even_when_the_clock_goes_back);
    tcase_add_test(tc, sei_is_kept);
    tcase_add_test(tc, a_codec_for_no_browser_is_refused_in_words);
    tcase_add_test(tc, audio_lies_beside_the_video);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

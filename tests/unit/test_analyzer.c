/* One camera's packets, made by a real encoder, through the analyzer in every mode. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>

#include "decoders/decode/adaptive.h"
#include "decoders/decode/decode.h"
#include "decoders/motion/analyzer.h"
#include "server/base/clock.h"

#include "tests/unit/run_suite.h"

#define W 320
#define H 176
#define FPS 10
#define FRAMES 500
#define STILL_FRAMES 660
#define RATE_FRAMES 1100
#define GOP 20
#define EPOCH_US INT64_C(1700000000000000)
#define WALK_1 150
#define WALK_2 330
#define WALK_FRAMES 60

static AVPacket *packet[RATE_FRAMES];
static int n_packets;
static AVCodecParameters *par;

struct seen {
    int open, closed, thumbnails, seconds;
    int64_t start_us[16], end_us[16];
    uint64_t thumbnail_of[64];
    int trouble_on, trouble_off;
    int64_t now_us, trouble_us;         /* of the packet given; of the one when trouble began */
    enum kt_trouble trouble;
    int boxed, boxes_now;               /* pictures with boxes; boxes of the last one */
};

static void draw(AVFrame *f, int n)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            f->data[0][y * f->linesize[0] + x] =
                (uint8_t)(80 + x / 5 + (y % 24 < 3 ? 40 : 0) + (x * 7 + y * 13) % 11 + rand() % 5);
    for (int p = 1; p < 3; p++)
        for (int y = 0; y < H / 2; y++)
            memset(f->data[p] + y * f->linesize[p], 128, W / 2);
    const int step = n >= WALK_1 && n < WALK_1 + WALK_FRAMES   ? n - WALK_1
                     : n >= WALK_2 && n < WALK_2 + WALK_FRAMES ? n - WALK_2
                                                               : -1;
    for (int v = 0; step >= 0 && v < 50; v++)
        for (int u = 0; u < 24; u++) {
            const int x = -24 + step * 6 + u, y = 70 + v;
            if (x >= 0 && x < W)
                f->data[0][y * f->linesize[0] + x] = (u / 6 + v / 8) % 2 ? 25 : 230;
        }
}

static void drain(AVCodecContext *ctx)
{
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (avcodec_receive_packet(ctx, pkt) < 0) {
            av_packet_free(&pkt);
            return;
        }
        packet[n_packets++] = pkt;
    }
}

/* What every test sees; or, from frame STILL_FROM on, the picture before it again and again. QP:
 * "28", for one quality, NULL, for one as good as need be, or "80k", for a bit rate that is kept. */
static void encode(int frames, int gop, int still_from, const char *qp)
{
    const int rate = qp && strchr(qp, 'k') ? 1000 * atoi(qp) : 0;
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    AVCodecContext *ctx = avcodec_alloc_context3(codec);
    ctx->width = W;
    ctx->height = H;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->time_base = (AVRational){ 1, FPS };
    ctx->gop_size = ctx->keyint_min = gop;
    ctx->max_b_frames = 0;
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    av_opt_set(ctx->priv_data, "preset", "ultrafast", 0);
    ctx->bit_rate = ctx->rc_max_rate = ctx->rc_buffer_size = rate;
    if (!rate)
        av_opt_set(ctx->priv_data, qp ? "qp" : "crf", qp ? qp : "26", 0);
    av_opt_set(ctx->priv_data, "x264-params", "scenecut=0", 0);
    ck_assert_int_ge(avcodec_open2(ctx, codec, NULL), 0);
    par = avcodec_parameters_alloc();
    ck_assert_int_ge(avcodec_parameters_from_context(par, ctx), 0);
    AVFrame *f = av_frame_alloc();
    f->format = AV_PIX_FMT_YUV420P;
    f->width = W;
    f->height = H;
    ck_assert_int_ge(av_frame_get_buffer(f, 0), 0);
    srand(3);
    for (int n = 0; n < frames; n++) {
        ck_assert_int_ge(av_frame_make_writable(f), 0);
        if (n < still_from)
            draw(f, n);
        f->pts = n;
        ck_assert_int_ge(avcodec_send_frame(ctx, f), 0);
        drain(ctx);
    }
    ck_assert_int_ge(avcodec_send_frame(ctx, NULL), 0);
    drain(ctx);
    av_frame_free(&f);
    avcodec_free_context(&ctx);
    ck_assert_int_eq(n_packets, frames);
}

static void encode_walks(void)
{
    encode(FRAMES, GOP, FRAMES, NULL);
}

static void forget(void)
{
    for (int i = 0; i < n_packets; i++)
        av_packet_free(&packet[i]);
    n_packets = 0;
    avcodec_parameters_free(&par);
}

static void on_event(void *user, enum kt_motion_event_phase phase, const struct kt_motion_event *e)
{
    struct seen *s = user;
    s->open += phase == KT_MOTION_EVENT_OPEN;
    if (phase != KT_MOTION_EVENT_CLOSE)
        return;
    ck_assert_int_lt(s->closed, 16);
    s->start_us[s->closed] = e->start_us;
    s->end_us[s->closed++] = e->end_us;
}

static void on_thumbnail(void *user, uint64_t event, const uint8_t *jpeg, size_t size)
{
    struct seen *s = user;
    ck_assert(size > 500 && jpeg[0] == 0xff && jpeg[1] == 0xd8 && jpeg[size - 1] == 0xd9);
    ck_assert_int_lt(s->thumbnails, 64);
    s->thumbnail_of[s->thumbnails++] = event;
}

static void on_second(void *user, int64_t second, uint8_t score, const uint8_t *grid)
{
    struct seen *s = user;
    int bits = 0;
    for (int i = 0; i < KT_MOTION_GRID_BYTES; i++)
        bits += __builtin_popcount(grid[i]);
    ck_assert(score > 0 && bits > 0 && second >= EPOCH_US / KT_SECOND_US);
    s->seconds++;
}

static void on_boxes(void *user, const struct kt_box *boxes, int n, int source_w, int source_h,
                     int64_t wall_us)
{
    struct seen *s = user;
    for (int i = 0; i < n; i++)
        ck_assert(boxes[i].x >= 0 && boxes[i].y >= 0 && boxes[i].w > 0 && boxes[i].h > 0 &&
                  boxes[i].x + boxes[i].w <= source_w && boxes[i].y + boxes[i].h <= source_h);
    s->boxed += n > 0;
    s->boxes_now = n;
}

static void on_trouble(void *user, enum kt_trouble trouble, bool now, int64_t since_us)
{
    struct seen *s = user;
    ck_assert_int_ge(since_us, EPOCH_US);
    if (trouble != KT_TROUBLE_FROZEN)   /* so small a place soon looks like another */
        return;
    s->trouble = trouble;
    s->trouble_on += now;
    s->trouble_us = now ? s->now_us : s->trouble_us;
    s->trouble_off += !now;
}

static kt_analyzer *create(enum kt_analyzer_mode mode, struct seen *s)
{
    kt_analyzer *a = NULL;
    struct kt_error err = { "" };
    const struct kt_analyzer_params params = {
        .mode = mode, .par = par, .time_base = { 1, FPS }, .user = s, .on_event = on_event,
        .on_thumbnail = on_thumbnail, .on_second = on_second, .on_trouble = on_trouble,
        .on_boxes = on_boxes,
    };
    memset(s, 0, sizeof(*s));
    ck_assert_msg(kt_analyzer_create(&a, &params, &err) == 0, "%s", err.text);
    return a;
}

static int64_t at(int n)
{
    return EPOCH_US + (int64_t)n * KT_SECOND_US / FPS;
}

static void play(kt_analyzer *a, int from, int to)
{
    for (int n = from; n < to; n++)
        ck_assert_int_eq(kt_analyzer_packet(a, packet[n], at(n)), 0);
}

static void check_walks(const struct seen *s)
{
    static const int walk[2] = { WALK_1, WALK_2 };
    ck_assert_int_eq(s->open, 2);
    ck_assert_int_eq(s->closed, 2);
    ck_assert_int_gt(s->boxed, WALK_FRAMES);
    ck_assert_int_eq(s->boxes_now, 0);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ge(s->start_us[i], at(walk[i]));
        ck_assert_int_le(s->start_us[i], at(walk[i] + 5));
        ck_assert_int_ge(s->end_us[i], at(walk[i] + WALK_FRAMES - 12));
        ck_assert_int_le(s->end_us[i], at(walk[i] + WALK_FRAMES));
    }
}

START_TEST(full_mode_decodes_all_and_finds_both)
{
    struct seen s;
    struct kt_analyzer_stats stats;
    kt_analyzer *a = create(KT_ANALYZE_FULL, &s);
    play(a, 0, FRAMES);
    kt_analyzer_gap(a);
    check_walks(&s);
    kt_analyzer_stats(a, &stats);
    ck_assert_uint_eq(stats.decoded, FRAMES);
    ck_assert_uint_eq(stats.packets, FRAMES);
    ck_assert(s.seconds >= 10 && s.seconds <= 16);
    ck_assert_int_ge(s.thumbnails, 2);
    kt_analyzer_destroy(&a);
    ck_assert_ptr_null(a);
}
END_TEST

START_TEST(adaptive_mode_finds_the_same_and_starts_as_early)
{
    struct seen s;
    struct kt_analyzer_stats stats;
    kt_analyzer *a = create(KT_ANALYZE_ADAPTIVE, &s);
    play(a, 0, FRAMES);
    kt_analyzer_gap(a);
    check_walks(&s);
    kt_analyzer_stats(a, &stats);
    ck_assert_msg(stats.decoded < FRAMES * 3 / 4, "%d decoded", (int)stats.decoded);
    ck_assert_uint_ge(stats.wakes, 2);
    kt_analyzer_destroy(&a);
}
END_TEST

START_TEST(keyframes_and_off_decode_what_they_say)
{
    struct seen s;
    struct kt_analyzer_stats stats;
    kt_analyzer *a = create(KT_ANALYZE_KEYFRAMES, &s);
    play(a, 0, FRAMES);
    kt_analyzer_stats(a, &stats);
    ck_assert_uint_eq(stats.decoded, FRAMES / GOP);
    kt_analyzer_destroy(&a);

    a = create(KT_ANALYZE_OFF, &s);
    play(a, 0, FRAMES);
    kt_analyzer_gap(a);
    ck_assert_int_eq(s.open + s.seconds, 0);
    kt_analyzer_destroy(&a);
}
END_TEST

START_TEST(load_is_shed_and_taken_up_again)
{
    struct seen s;
    struct kt_analyzer_stats before, after;
    kt_analyzer *a = create(KT_ANALYZE_FULL, &s);
    play(a, 0, 100);
    kt_analyzer_set_load(a, KT_LOAD_VERY_HIGH);
    kt_analyzer_stats(a, &before);
    ck_assert_int_eq(before.mode, KT_ANALYZE_KEYFRAMES);
    play(a, 100, 140);
    kt_analyzer_stats(a, &after);
    ck_assert_uint_eq(after.decoded - before.decoded, 2);
    kt_analyzer_set_load(a, KT_LOAD_OVER);
    play(a, 140, 240);              /* ten seconds: one or two */
    kt_analyzer_stats(a, &before);
    ck_assert_uint_le(before.decoded - after.decoded, 2);
    kt_analyzer_set_load(a, KT_LOAD_NORMAL);
    play(a, 240, 300);
    kt_analyzer_stats(a, &after);
    ck_assert_uint_eq(after.decoded - before.decoded, 60);
    kt_analyzer_destroy(&a);
}
END_TEST

START_TEST(damage_and_gaps_do_not_end_it)
{
    struct seen s;
    struct kt_analyzer_stats stats;
    kt_analyzer *a = create(_i ? KT_ANALYZE_ADAPTIVE : KT_ANALYZE_FULL, &s);
    srand(11);
    for (int n = 0; n < FRAMES; n++) {
        AVPacket *p = av_packet_clone(packet[n]);
        ck_assert_int_ge(av_packet_make_writable(p), 0);
        if (n % 7 == 3)
            for (int k = 0; k < 20; k++)
                p->data[rand() % p->size] ^= (uint8_t)(1 << rand() % 8);
        if (n % 31 == 5)
            av_shrink_packet(p, p->size / 2);
        if (n % 90 == 50)
            kt_analyzer_gap(a);
        if (n % 13 != 6)            /* lost */
            (void)kt_analyzer_packet(a, p, at(n));
        av_packet_free(&p);
    }
    ck_assert_int_eq(kt_analyzer_restart(a, par, (AVRational){ 1, FPS }), 0);
    for (int n = 0; n < 40; n++)
        ck_assert_int_eq(kt_analyzer_packet(a, packet[n], at(FRAMES + n)), 0);
    kt_analyzer_stats(a, &stats);
    ck_assert_uint_ge(stats.decoded, 40);
    kt_analyzer_destroy(&a);
}
END_TEST

START_TEST(boxes_go_away_when_pictures_do)
{
    struct seen s;
    kt_analyzer *a = create(KT_ANALYZE_FULL, &s);
    play(a, 0, WALK_1 + WALK_FRAMES / 2);
    ck_assert_int_gt(s.boxes_now, 0);
    kt_analyzer_gap(a);
    ck_assert_int_eq(s.boxes_now, 0);
    kt_analyzer_destroy(&a);
}
END_TEST

START_TEST(the_newest_picture_can_be_had)
{
    struct seen s;
    int64_t wall_us = 0;
    uint8_t *jpeg = NULL;
    size_t size = 0;
    kt_analyzer *a = create(KT_ANALYZE_FULL, &s);
    AVFrame *f = av_frame_alloc();
    ck_assert_int_eq(kt_analyzer_latest(a, f, &wall_us), -EAGAIN);
    play(a, 0, 30);
    ck_assert_int_eq(kt_analyzer_latest(a, f, &wall_us), 0);
    ck_assert(wall_us >= at(26) && wall_us <= at(29));
    ck_assert(f->width == W && f->height == H);
    ck_assert_int_eq(kt_jpeg_encode(f, 100, &jpeg, &size), 0);
    ck_assert(size > 300 && jpeg[0] == 0xff && jpeg[1] == 0xd8);
    free(jpeg);
    av_frame_free(&f);
    kt_analyzer_destroy(&a);
}
END_TEST

START_TEST(a_stuck_encoder_is_a_frozen_camera)
{
    struct seen s;
    kt_analyzer *a = create(KT_ANALYZE_KEYFRAMES, &s);
    for (int n = 0; n < 80; n++)    /* the same key frame for 160 s */
        ck_assert_int_eq(kt_analyzer_packet(a, packet[0], EPOCH_US + n * 2 * KT_SECOND_US), 0);
    ck_assert_int_eq(s.trouble_on, 1);
    ck_assert_int_eq(s.trouble, KT_TROUBLE_FROZEN);
    ck_assert_str_eq(kt_trouble_name(s.trouble), "camera-frozen");
    kt_analyzer_destroy(&a);
}
END_TEST

/* Frames between key frames, and where it gets stuck; 3000 frames are 5 minutes. QP: the encoder
 * does not go on looking for a better rate while it is stuck, which changes its key frames. */
static const struct {
    int gop, still_from;
    enum kt_analyzer_mode mode;
    const char *qp;
} stuck[] = {
    { 20, 455, KT_ANALYZE_KEYFRAMES, "28" }, { 20, 455, KT_ANALYZE_ADAPTIVE, NULL },
    { 40, 455, KT_ANALYZE_ADAPTIVE, "28" },  { 40, 455, KT_ANALYZE_ADAPTIVE, NULL }, { 60, 455, KT_ANALYZE_FULL, "28" },
    { 200, 405, KT_ANALYZE_ADAPTIVE, NULL }, { 200, 490, KT_ANALYZE_ADAPTIVE, NULL },
    { 200, 490, KT_ANALYZE_FULL, NULL },     { 3000, 470, KT_ANALYZE_ADAPTIVE, NULL },
};
START_TEST(a_picture_that_stands_still_is_told_within_15_s_however_far_the_key_frames_are)
{
    struct seen s;
    struct kt_analyzer_stats stats;
    encode(STILL_FRAMES, stuck[_i].gop, stuck[_i].still_from, stuck[_i].qp);
    kt_analyzer *a = create(stuck[_i].mode, &s);
    for (int n = 0; n < STILL_FRAMES; n++) {
        s.now_us = at(n);
        play(a, n, n + 1);
        if (n == stuck[_i].still_from)
            kt_analyzer_stats(a, &stats);
    }
    ck_assert_int_eq(s.trouble_on, 1);
    ck_assert_int_eq(s.trouble, KT_TROUBLE_FROZEN);
    const double after = (double)(s.trouble_us - at(stuck[_i].still_from)) / 1e6;
    printf("# key frames every %d s, %s%s: told after %.1f s\n", stuck[_i].gop / FPS,
           kt_analyzer_mode_name(stuck[_i].mode), stats.awake ? "" : " and asleep", after);
    ck_assert_msg(after > 0 && after <= 15, "after %.1f s", after);
    kt_analyzer_destroy(&a);
    forget();
}
END_TEST

START_TEST(a_picture_that_stands_still_is_told_where_sizes_say_that_nothing_moves)
{
    struct seen s;
    struct kt_analyzer_stats before, after;
    encode(FRAMES, GOP, FRAMES, "20");
    kt_analyzer *a = create(KT_ANALYZE_ADAPTIVE, &s);
    play(a, 0, FRAMES);
    forget();
    const int still_from = 80, frames = 250;
    encode(frames, 3000, still_from, "20");
    ck_assert_int_eq(kt_analyzer_restart(a, par, (AVRational){ 1, FPS }), 0);
    for (int n = 0; n < frames; n++) {
        s.now_us = at(FRAMES + n);
        ck_assert_int_eq(kt_analyzer_packet(a, packet[n], s.now_us), 0);
        if (n == still_from)
            kt_analyzer_stats(a, &before);
    }
    kt_analyzer_stats(a, &after);
    ck_assert(!before.awake && !before.sizes_say_nothing && !after.awake);
    ck_assert_uint_lt(before.decoded, FRAMES);
    ck_assert_int_eq(s.trouble_on, 1);
    ck_assert_int_gt(s.trouble_us, at(FRAMES + still_from));
    ck_assert_int_le(s.trouble_us, at(FRAMES + still_from) + 15 * KT_SECOND_US);
    kt_analyzer_destroy(&a);
    forget();
}
END_TEST

static const char *const rates[] = { "120k", "160k", "400k" };
START_TEST(a_picture_that_stands_still_is_told_although_its_bit_rate_is_kept)
{
    struct seen s;
    const int still_from = 795;
    encode(RATE_FRAMES, 40, still_from, rates[_i]);
    kt_analyzer *a = create(KT_ANALYZE_ADAPTIVE, &s);
    for (int n = 0; n < RATE_FRAMES; n++) {
        s.now_us = at(n);
        play(a, n, n + 1);
    }
    ck_assert_int_eq(s.trouble_on, 1);
    ck_assert_int_eq(s.trouble, KT_TROUBLE_FROZEN);
    const double after = (double)(s.trouble_us - at(still_from)) / 1e6;
    printf("# %sbit/s: told after %.1f s\n", rates[_i], after);
    ck_assert_msg(after > 0 && after <= 15, "after %.1f s", after);
    kt_analyzer_destroy(&a);
    forget();
}
END_TEST

START_TEST(an_encoder_that_leaves_noise_out_is_mistaken_once_also_over_a_restart)
{
    char path[] = "/tmp/test_analyzer.XXXXXX";
    struct seen first, second;
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    encode(STILL_FRAMES, 120, STILL_FRAMES, "44");
    kt_analyzer *a = create(KT_ANALYZE_ADAPTIVE, &first);
    play(a, 0, STILL_FRAMES);
    ck_assert_int_eq(first.trouble_on, 1);
    ck_assert_int_eq(first.trouble, KT_TROUBLE_FROZEN);
    ck_assert_int_eq(kt_analyzer_save(a, path), 0);
    kt_analyzer_destroy(&a);
    a = create(KT_ANALYZE_ADAPTIVE, &second);
    ck_assert_int_eq(kt_analyzer_load(a, path), 0);
    play(a, 0, STILL_FRAMES);
    ck_assert_int_eq(second.trouble_on, 0);
    kt_analyzer_destroy(&a);
    unlink(path);
    forget();
}
END_TEST

static const int gops[] = { 40, 200 };
START_TEST(a_quiet_place_with_noise_is_never_frozen)
{
    struct seen s;
    struct kt_analyzer_stats stats;
    encode(STILL_FRAMES, gops[_i], STILL_FRAMES, NULL);
    kt_analyzer *a = create(KT_ANALYZE_ADAPTIVE, &s);
    play(a, 0, STILL_FRAMES);
    ck_assert_int_eq(s.trouble_on, 0);
    kt_analyzer_stats(a, &stats);
    printf("# key frames every %d s: %d of %d decoded\n", gops[_i] / FPS, (int)stats.decoded, STILL_FRAMES);
    kt_analyzer_destroy(&a);
    forget();
}
END_TEST

START_TEST(sizes_are_believed_only_when_they_tell)
{
    struct kt_adaptive telling = { .n_quiet = 0 }, constant = { .n_quiet = 0 };
    srand(5);
    for (int i = 0; i < 400; i++) {
        kt_adaptive_learn(&telling, 300 + (size_t)(rand() % 100), false);
        kt_adaptive_learn(&telling, 2000 + (size_t)(rand() % 900), true);
        kt_adaptive_learn(&constant, 4000 + (size_t)(rand() % 900), i % 2);
    }
    ck_assert(kt_adaptive_useful(&telling) && !kt_adaptive_useful(&constant));
    ck_assert(!kt_adaptive_alarm(&telling, 350) && !kt_adaptive_alarm(&telling, 2500));
    ck_assert(kt_adaptive_alarm(&telling, 2500));
}
END_TEST

int main(void)
{
    if (!avcodec_find_encoder_by_name("libx264")) {
        printf("libavcodec without libx264: nothing to test with\n");
        return 77;
    }
    av_log_set_level(AV_LOG_QUIET);
    Suite *suite = suite_create("analyzer");
    TCase *tc = tcase_create("analyzer");
    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, encode_walks, forget);
    tcase_add_test(tc, full_mode_decodes_all_and_finds_both);
    tcase_add_test(tc, adaptive_mode_finds_the_same_and_starts_as_early);
    tcase_add_test(tc, keyframes_and_off_decode_what_they_say);
    tcase_add_test(tc, load_is_shed_and_taken_up_again);
    tcase_add_loop_test(tc, damage_and_gaps_do_not_end_it, 0, 2);
    tcase_add_test(tc, boxes_go_away_when_pictures_do);
    tcase_add_test(tc, the_newest_picture_can_be_had);
    tcase_add_test(tc, a_stuck_encoder_is_a_frozen_camera);
    tcase_add_test(tc, sizes_are_believed_only_when_they_tell);
    suite_add_tcase(suite, tc);
    tc = tcase_create("still");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_picture_that_stands_still_is_told_within_15_s_however_far_the_key_frames_are, 0,
                        KT_ARRAY_SIZE(stuck));
    tcase_add_test(tc, a_picture_that_stands_still_is_told_where_sizes_say_that_nothing_moves);
    tcase_add_loop_test(tc, a_picture_that_stands_still_is_told_although_its_bit_rate_is_kept, 0, KT_ARRAY_SIZE(rates));
    tcase_add_test(tc, an_encoder_that_leaves_noise_out_is_mistaken_once_also_over_a_restart);
    tcase_add_loop_test(tc, a_quiet_place_with_noise_is_never_frozen, 0, KT_ARRAY_SIZE(gops));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

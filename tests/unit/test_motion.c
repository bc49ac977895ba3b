/* The whole pipeline on pictures drawn here: a noisy place, and squares that walk. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decoders/motion/memory.h"
#include "decoders/motion/motion.h"
#include "decoders/motion/tracks.h"
#include "server/base/clock.h"

#include "tests/unit/run_suite.h"

#define W 160
#define H 96
#define STEP_US 100000
#define MAX_EVENTS 32

struct seen {
    int open, best, closed;
    struct kt_motion_event event[MAX_EVENTS];   /* as closed */
    char type[MAX_EVENTS][24], rule[MAX_EVENTS][64];
};

static uint8_t place[W * H], picture[W * H];
static struct seen seen;

static void on_event(void *user, enum kt_motion_event_phase phase, const struct kt_motion_event *e)
{
    struct seen *s = user;
    s->open += phase == KT_MOTION_EVENT_OPEN;
    s->best += phase == KT_MOTION_EVENT_BEST;
    if (phase != KT_MOTION_EVENT_CLOSE)
        return;
    ck_assert_int_lt(s->closed, MAX_EVENTS);
    ck_assert_int_ge(e->end_us, e->start_us);
    strcpy(s->type[s->closed], e->type);
    strcpy(s->rule[s->closed], e->rule);
    s->event[s->closed++] = *e;
}

static kt_motion *create(const char *rules)
{
    kt_motion *m = NULL;
    struct kt_error err = { "" };
    const struct kt_motion_params params = { .rules_json = rules, .user = &seen,
                                             .on_event = on_event };
    memset(&seen, 0, sizeof(seen));
    ck_assert_msg(kt_motion_create(&m, &params, &err) == 0, "%s", err.text);
    srand(7);
    for (int i = 0; i < W * H; i++)
        place[i] = (uint8_t)(90 + (i % W) / 4 + (i / W % 16 < 2 ? 25 : 0) + rand() % 12);
    return m;
}

static void draw_place(void)
{
    for (int i = 0; i < W * H; i++)
        picture[i] = (uint8_t)(place[i] + rand() % 5 - 2);
}

/* A checked square of 14x22 with its top left corner at X, Y, which may lie outside. */
static void draw_walker(int x, int y)
{
    for (int v = 0; v < 22; v++)
        for (int u = 0; u < 14; u++)
            if (x + u >= 0 && x + u < W && y + v >= 0 && y + v < H)
                picture[(y + v) * W + x + u] = (u / 4 + v / 4) % 2 ? 30 : 220;
}

static struct kt_motion_result look(kt_motion *m, int64_t *t_us)
{
    struct kt_motion_result r;
    ck_assert_int_eq(kt_motion_frame(m, picture, W, H, 2 * W, 2 * H, *t_us, &r), 0);
    *t_us += STEP_US;
    return r;
}

static void show_empty(kt_motion *m, int n, int64_t *t_us)
{
    for (int i = 0; i < n; i++) {
        draw_place();
        const struct kt_motion_result r = look(m, t_us);
        (void)r;
    }
}

static void end_without_event(kt_motion **m)
{
    kt_motion_finish(*m);
    ck_assert_int_eq(seen.open, 0);
    kt_motion_destroy(m);
}

/* Somebody walks from X0 to X1 at Y, DX pixels a picture. */
static void show_walk(kt_motion *m, int x0, int x1, int y, int dx, int64_t *t_us)
{
    for (int x = x0; dx > 0 ? x < x1 : x > x1; x += dx) {
        draw_place();
        draw_walker(x, y);
        (void)look(m, t_us);
    }
}

START_TEST(an_empty_place_gives_nothing)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    for (int i = 0; i < 300; i++) {
        draw_place();
        const struct kt_motion_result r = look(m, &t);
        ck_assert_msg(!r.motion && r.n_boxes == 0 && !r.busy, "picture %d", i);
    }
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 0);
    kt_motion_destroy(&m);
    ck_assert_ptr_null(m);
}
END_TEST

START_TEST(each_pass_is_one_event_that_starts_when_it_started)
{
    kt_motion *m = create(NULL);
    int64_t t = 0, start[3], end[3];
    show_empty(m, 60, &t);
    for (int i = 0; i < 3; i++) {
        start[i] = t;
        show_walk(m, -14, W, 20 + 20 * i, 3, &t);
        end[i] = t;
        show_empty(m, 50, &t);
    }
    ck_assert_int_eq(seen.open, 3);
    ck_assert_int_eq(seen.closed, 3);
    ck_assert_int_ge(seen.best, 3);
    for (int i = 0; i < 3; i++) {
        const struct kt_motion_event *e = &seen.event[i];
        ck_assert_str_eq(seen.type[i], "motion");
        ck_assert_str_eq(seen.rule[i], "");
        ck_assert_int_eq(e->id, (uint64_t)i + 1);
        ck_assert_int_ge(e->start_us, start[i]);
        ck_assert_int_le(e->start_us, start[i] + 4 * STEP_US);
        ck_assert_int_le(e->end_us, end[i]);
        ck_assert_int_ge(e->end_us, end[i] - 6 * STEP_US);
        ck_assert(e->best_us >= e->start_us && e->best_us <= e->end_us && e->score > 0.1);
        /* boxes are in source pixels, twice as large */
        ck_assert_int_ge(e->best.h, 36);
        ck_assert_int_le(e->best.h, 52);
        ck_assert_uint_gt(e->best.track, 0);
    }
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(two_who_meet_keep_their_names)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    uint32_t left = 0, right = 0;
    show_empty(m, 60, &t);
    for (int i = 0; i < 60; i++) {
        draw_place();
        draw_walker(2 + 2 * i, 30);
        draw_walker(140 - 2 * i, 50);
        const struct kt_motion_result r = look(m, &t);
        for (int k = 0; k < r.n_boxes && (i == 20 || i == 58); k++) {
            const bool upper = r.boxes[k].y < 80 && r.boxes[k].y + r.boxes[k].h < 120;
            if (i == 20)
                *(upper ? &left : &right) = r.boxes[k].track;
            else
                ck_assert_uint_eq(r.boxes[k].track, upper ? left : right);
        }
    }
    ck_assert(left && right && left != right);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 1);
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(what_sways_in_place_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    for (int i = 0; i < 300; i++) {
        static const int sway[8] = { 0, 1, 2, 1, 0, -1, -2, -1 };
        draw_place();
        draw_walker(70 + sway[i % 8], 30);
        (void)look(m, &t);
    }
    end_without_event(&m);
}
END_TEST

static void draw_checks(int x0, int x1, int y0, int y1)
{
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            picture[y * W + x] = (x / 4 + y / 4) % 2 ? 30 : 220;
}

START_TEST(what_grows_and_shrinks_to_another_side_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    for (int i = 0; i < 16; i++) {              /* first its right end goes, then its left end follows */
        const int left = 30 + (i > 8 ? (i - 8) * 10 : 0), right = 45 + (i < 8 ? i : 8) * 10;
        draw_place();
        draw_checks(left, right > left + 12 ? right : left + 12, 30, 52);
        (void)look(m, &t);
    }
    show_empty(m, 30, &t);
    end_without_event(&m);
}
END_TEST

START_TEST(what_swings_to_one_side_while_nothing_is_known_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 5, &t);
    for (int i = 0; i < 30; i++) {              /* a branch: there and back */
        const int x = 40 + 3 * (i < 15 ? i : 30 - i);
        draw_place();
        draw_checks(x, x + 10, 20, 32);
        (void)look(m, &t);
    }
    show_empty(m, 30, &t);
    end_without_event(&m);
}
END_TEST

START_TEST(a_thread_that_swings_before_the_lens_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    for (int i = 0; i < 300; i++) {
        const double swing = 14 * sin(i * 0.12);
        draw_place();
        for (int y = 0; y < H; y++)
            for (int u = 0; u < 4; u++)
                picture[y * W + 80 + (int)lround(swing * y / H) + u] = 250;
        (void)look(m, &t);
    }
    end_without_event(&m);
}
END_TEST

START_TEST(who_comes_straight_towards_the_camera_is_found)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    for (int i = 0; i < 40; i++) {              /* the head stays where it is, the rest grows */
        const int feet = 36 + i * 3 / 2 < H ? 36 + i * 3 / 2 : H, half = 4 + i / 4;
        draw_place();
        for (int y = 20; y < feet; y++)
            for (int x = 80 - half; x < 80 + half; x++)
                picture[y * W + x] = (x / 4 + y / 4) % 2 ? 30 : 220;
        (void)look(m, &t);
    }
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 1);
    kt_motion_destroy(&m);
}
END_TEST

static bool any_confirmed(const kt_tracks *tracks)
{
    for (int i = 0; i < KT_TRACKS_MAX; i++)
        if (kt_tracks_list(tracks)[i].id && kt_tracks_list(tracks)[i].confirmed)
            return true;
    return false;
}

/* A tree all over the picture, of which a twig is seen again and again; somebody passes close to the camera. */
START_TEST(who_walks_in_before_a_restless_tree_is_found)
{
    static uint8_t restless[W * H], mask[W * H];
    kt_tracks *tracks = NULL;
    int64_t t = 0;
    memset(restless, 160, sizeof(restless));
    ck_assert_int_eq(kt_tracks_create(&tracks, W, H), 0);
    kt_tracks_know_place(tracks);
    kt_tracks_know_unrest(tracks, restless);
    for (int i = 0; i < 60; i++, t += STEP_US) {
        const struct kt_blob twig = { .area = 20, .x0 = 90 + 8 * (i % 2), .y0 = 40, .x1 = 94 + 8 * (i % 2), .y1 = 43 };
        kt_tracks_update(tracks, mask, &twig, i % 8 < 6, t);
        ck_assert(!any_confirmed(tracks));
    }
    for (int x = W - 12; x > 20; x -= 12, t += STEP_US) {
        const struct kt_blob who = { .area = 3600, .x0 = x, .y0 = 10, .x1 = x + 50 < W ? x + 50 : W - 1, .y1 = H - 1 };
        kt_tracks_update(tracks, mask, &who, 1, t);
    }
    ck_assert(any_confirmed(tracks));
    kt_tracks_destroy(&tracks);
}
END_TEST

/* Everything GAIN times as bright, black excepted. */
static void relight(double gain)
{
    for (int i = 0; i < W * H; i++)
        picture[i] = (uint8_t)fmin(255, 16 + gain * (picture[i] - 16));
}

START_TEST(a_cloud_that_goes_by_is_no_visitor_and_hides_none)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    for (int i = 0; i < 80; i++) {              /* darker in two seconds, bright again in four */
        draw_place();
        relight(i < 20 ? 1 - 0.02 * i : i < 40 ? 0.6 : fmin(1, 0.6 + 0.01 * (i - 40)));
        (void)look(m, &t);
    }
    ck_assert_int_eq(seen.open, 0);
    for (int i = 0; i < 60; i++) {              /* somebody walks while it gets darker */
        draw_place();
        draw_walker(3 * i - 14, 40);
        relight(1 - 0.008 * i);
        (void)look(m, &t);
    }
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 1);
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(the_light_going_on_and_off_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    for (int i = 0; i < 400; i++) {
        draw_place();
        if (i / 50 % 2)
            for (int p = 0; p < W * H; p++)
                picture[p] = (uint8_t)(picture[p] * 3 / 5);
        (void)look(m, &t);
    }
    end_without_event(&m);
}
END_TEST

/* A bright square of SIZE at X, Y, which may lie outside. */
static void draw_flake(int x, int y, int size)
{
    for (int v = 0; v < size; v++)
        for (int u = 0; u < size; u++)
            if (x + u >= 0 && x + u < W && y + v >= 0 && y + v < H)
                picture[(y + v) * W + x + u] = 235;
}

/* For N pictures; somebody walks through it from picture WALKS on. */
static void show_snow(kt_motion *m, int n, int walks, int64_t *t_us)
{
    for (int i = 0; i < n; i++) {
        draw_place();
        for (int k = 0; k < 9; k++)
            draw_flake(8 + 16 * k + i % 3, (i * 5 + k * 37) % (H + 12) - 12, 5);
        if (i >= walks)
            draw_walker(-14 + 3 * (i - walks), 60);
        (void)look(m, t_us);
    }
}

START_TEST(snow_is_no_visitor_and_hides_none)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    show_snow(m, 200, 200, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 0);
    show_snow(m, 56, 0, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 1);
    kt_motion_destroy(&m);
}
END_TEST

/* Coarsely coded leaves: a strong pattern, never quite the same. */
START_TEST(a_shadow_that_creeps_over_leaves_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    for (int i = 0; i < W * H; i++)
        if (i % W > 60)
            place[i] = (uint8_t)(110 + (rand() % 2 ? 60 : -60) + rand() % 20);
    show_empty(m, 60, &t);
    for (int i = 0; i < 2 * W; i++) {
        draw_place();
        for (int p = 0; p < W * H; p++)
            if (p % W > 60 && p % W < i - p / W / 4)
                picture[p] = (uint8_t)(picture[p] / 2 + rand() % 20 - 10);
        (void)look(m, &t);
    }
    end_without_event(&m);
}
END_TEST

/* A screen: what it shows jumps from place to place. */
static void draw_screen(int i)
{
    draw_place();
    draw_flake(60 + i / 2 * 7 % 19, 30 + i / 2 * 5 % 11, 12);
}

START_TEST(what_jumped_about_while_the_place_was_learnt_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    for (int i = 0; i < 60; i++) {
        draw_screen(i);
        const struct kt_motion_picture pic = { .luma = picture, .w = W, .h = H, .source_w = W,
                                               .source_h = H };
        ck_assert_int_eq(kt_motion_learn(m, &pic), 0);
    }
    for (int i = 60; i < 300; i++) {
        draw_screen(i);
        (void)look(m, &t);
    }
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 0);
    show_walk(m, -14, W, 50, 3, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 1);
    kt_motion_destroy(&m);
}
END_TEST

/* Bell-shaped, 6 grey levels. */
static int night_noise(void)
{
    int sum = 0;
    for (int i = 0; i < 4; i++)
        sum += rand() % 11 - 5;
    return sum;
}

/* Somebody who is brighter than the dark place by half of what the noise reaches. */
static void show_night(kt_motion *m, int n, int walks, int64_t *t_us)
{
    for (int i = 0; i < n; i++) {
        const int x = -20 + 3 * (i - walks);
        for (int p = 0; p < W * H; p++) {
            const int u = p % W, v = p / W;
            const bool inside = i >= walks && u >= x && u < x + 18 && v >= 30 && v < 70;
            picture[p] = (uint8_t)(place[p] / 4 + 12 + (inside ? 10 : 0) + night_noise());
        }
        (void)look(m, t_us);
    }
}

START_TEST(who_is_fainter_than_the_noise_of_the_night_is_found)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_night(m, 200, 200, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 0);
    show_night(m, 60, 0, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.open, 1);
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(who_stands_still_is_not_lost_at_once)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    show_empty(m, 60, &t);
    show_walk(m, -14, 70, 40, 3, &t);
    for (int i = 0; i < 600; i++) {         /* a minute */
        draw_place();
        draw_walker(70, 40);
        const struct kt_motion_result r = look(m, &t);
        ck_assert_msg(r.motion && r.n_boxes > 0, "lost after %d pictures", i);
    }
    ck_assert_int_eq(seen.closed, 1);       /* but it keeps no event open */
    show_walk(m, 70, W, 40, 3, &t);
    show_empty(m, 40, &t);
    ck_assert_int_eq(seen.closed, 2);
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(zones_report_only_what_is_in_them)
{
    kt_motion *m = create("{\"zones\":[{\"name\":\"bawah\",\"points\":[[0,0.7],[1,0.7],[1,1],[0,1]]}]}");
    int64_t t = 0;
    show_empty(m, 60, &t);
    show_walk(m, -14, W, 10, 3, &t);        /* above the zone */
    show_empty(m, 40, &t);
    ck_assert_int_eq(seen.open, 0);
    show_walk(m, -14, W, 66, 3, &t);
    show_empty(m, 40, &t);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_str_eq(seen.rule[0], "bawah");
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(a_gate_counts_who_comes_and_who_goes)
{
    /* From bottom to top, so that left to right is "in". */
    kt_motion *m = create("{\"lines\":[{\"name\":\"gerbang\",\"points\":[[0.5,1],[0.5,0.2]],"
                          "\"count\":true}]}");
    int64_t t = 0;
    show_empty(m, 60, &t);
    show_walk(m, -14, W, 40, 3, &t);
    show_empty(m, 40, &t);
    show_walk(m, -14, W, 50, 3, &t);
    show_empty(m, 40, &t);
    show_walk(m, W, -14, 45, -3, &t);
    show_empty(m, 40, &t);
    show_walk(m, -14, 50, 45, 3, &t);       /* comes near and turns back */
    show_walk(m, 50, -14, 45, -3, &t);
    show_empty(m, 40, &t);
    int in = 0, out = 0, motion = 0;
    for (int i = 0; i < seen.closed; i++) {
        in += strcmp(seen.type[i], "count-in") == 0;
        out += strcmp(seen.type[i], "count-out") == 0;
        motion += strcmp(seen.type[i], "motion") == 0;
    }
    ck_assert_int_eq(in, 2);
    ck_assert_int_eq(out, 1);
    ck_assert_int_eq(motion, 4);            /* a line takes nothing away */
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(limits_and_ignored_places_are_kept)
{
    kt_motion *m = create("{\"zones\":[{\"name\":\"besar\",\"min_size\":0.5},"
                          "{\"name\":\"lama\",\"min_time\":60}],"
                          "\"ignore\":[{\"points\":[[0,0.6],[1,0.6],[1,1],[0,1]]}]}");
    int64_t t = 0;
    show_empty(m, 60, &t);
    show_walk(m, -14, W, 20, 3, &t);        /* too small, too short */
    show_walk(m, -14, W, 70, 3, &t);        /* ignored */
    draw_place();
    draw_walker(80, 70);
    const struct kt_motion_result r = look(m, &t);
    ck_assert(!r.motion);
    end_without_event(&m);
}
END_TEST

START_TEST(loitering_and_objects_left_are_reported_once)
{
    kt_motion *m = create("{\"zones\":[{\"name\":\"pos\",\"motion\":false,\"loiter\":12,"
                          "\"objects\":8}]}");
    int64_t t = 0;
    int loiter = 0, left = 0, removed = 0;
    show_empty(m, 60, &t);
    show_walk(m, -14, 70, 40, 3, &t);
    for (int i = 0; i < 250; i++) {
        draw_place();
        draw_walker(70, 40);
        (void)look(m, &t);
    }
    kt_motion_finish(m);
    for (int i = 0; i < seen.closed; i++) {
        loiter += strcmp(seen.type[i], "loiter") == 0;
        left += strcmp(seen.type[i], "object-left") == 0;
        removed += strcmp(seen.type[i], "object-removed") == 0;
    }
    ck_assert_int_eq(loiter, 1);
    ck_assert_int_eq(left, 1);
    ck_assert_int_eq(removed, 0);
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(learning_first_leaves_no_ghost)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    struct kt_motion_picture pic = { .luma = picture, .w = W, .h = H, .source_w = W, .source_h = H };
    for (int i = 0; i < 48; i++) {          /* somebody walks all through the pictures */
        draw_place();
        draw_walker(3 * i, 40);
        ck_assert_int_eq(kt_motion_learn(m, &pic), 0);
    }
    draw_place();
    const struct kt_motion_result r = look(m, &t);
    ck_assert(!r.motion);
    kt_motion_destroy(&m);
}
END_TEST

static int save_memory(const kt_motion *m, const char *path)
{
    kt_cleanup(kt_memory_destroy) struct kt_memory *memory = NULL;
    const int ret = kt_motion_remember(m, &memory);
    return ret < 0 ? ret : kt_memory_save(memory, path);
}

static int load_memory(kt_motion *m, const char *path)
{
    struct kt_memory *memory = NULL;
    const int ret = kt_memory_load(&memory, path);
    if (ret == 0)
        kt_motion_recall(m, &memory);
    return ret;
}

/* A saved place in PATH; the file's descriptor is closed. */
static void save_place(char path[], int64_t *t)
{
    kt_motion *m = create(NULL);
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(save_memory(m, path), -EAGAIN);
    show_empty(m, 60, t);
    ck_assert_int_eq(save_memory(m, path), 0);
    kt_motion_destroy(&m);
}

START_TEST(after_a_restart_the_place_is_known)
{
    char path[] = "/tmp/test_motion.XXXXXX";
    int64_t t = 0;
    save_place(path, &t);
    kt_motion *m = create(NULL);
    ck_assert_int_eq(load_memory(m, path), 0);
    t += 3600 * KT_SECOND_US;
    const int64_t began = t;
    draw_place();
    draw_walker(30, 40);            /* somebody is there already in the first picture */
    ck_assert(look(m, &t).motion);
    show_walk(m, 33, 120, 40, 3, &t);
    show_empty(m, 1, &t);
    draw_place();
    const struct kt_motion_result r = look(m, &t);
    ck_assert(!r.motion);           /* no ghost where he stood at first */
    show_empty(m, 40, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 1);
    ck_assert_int_eq(seen.event[0].start_us, began);
    kt_motion_destroy(&m);
    unlink(path);
}
END_TEST

START_TEST(a_memory_of_another_view_floods_nobody)
{
    char path[] = "/tmp/test_motion.XXXXXX";
    int64_t t = 0;
    save_place(path, &t);
    kt_motion *m = create(NULL);
    ck_assert_int_eq(load_memory(m, path), 0);
    for (int i = 0; i < W * H; i++)     /* turned meanwhile */
        place[i] = (uint8_t)(60 + i % W / 10 % 3 * 40 + i / W / 7 % 2 * 30);
    show_empty(m, 100, &t);
    draw_place();
    ck_assert(!look(m, &t).motion);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 0);
    kt_motion_destroy(&m);
    unlink(path);
}
END_TEST

START_TEST(a_damaged_memory_is_refused_and_another_size_forgotten)
{
    char path[] = "/tmp/test_motion.XXXXXX";
    int64_t t = 0;
    save_place(path, &t);
    kt_motion *m = create(NULL);
    struct kt_motion_result r;
    ck_assert_int_eq(load_memory(m, "/nowhere/at/all"), -ENOENT);
    ck_assert_int_eq(load_memory(m, path), 0);
    ck_assert_int_eq(kt_motion_frame(m, picture, 64, 32, 64, 32, t, &r), 0);
    const int fd = open(path, O_RDWR);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "x", 1, 5000), 1);
    ck_assert_int_eq(load_memory(m, path), -EBADMSG);
    ck_assert_int_eq(ftruncate(fd, 4000), 0);
    ck_assert_int_eq(load_memory(m, path), -EBADMSG);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(load_memory(m, path), -EBADMSG);
    close(fd);
    kt_motion_destroy(&m);
    unlink(path);
}
END_TEST

START_TEST(a_trembling_or_turned_camera_is_no_visitor)
{
    kt_motion *m = create(NULL);
    int64_t t = 0;
    static uint8_t wide[W * H];
    show_empty(m, 60, &t);
    memcpy(wide, place, sizeof(wide));
    for (int i = 0; i < 300; i++) {     /* 3 pixels to and fro, then for good by 30 */
        const int dx = i < 200 ? (i % 4 < 2 ? i % 4 : 2 - i % 4) * 3 : 30;
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                place[y * W + x] = wide[y * W + (x + dx + W) % W];
        show_empty(m, 1, &t);
    }
    draw_place();
    ck_assert(!look(m, &t).motion);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 0);
    show_walk(m, -14, W, 40, 3, &t);
    kt_motion_finish(m);
    ck_assert_int_eq(seen.closed, 1);
    kt_motion_destroy(&m);
}
END_TEST

static const struct {
    int w, h;
} sizes[] = { { 1, 1 }, { 2, 2 }, { 1, 480 }, { 3, 7 }, { 33, 31 }, { 320, 1 }, { 8192, 2 } };

START_TEST(pictures_of_any_size_and_change_of_size_are_taken)
{
    kt_motion *m = create("{\"zones\":[{\"name\":\"a\",\"objects\":2}]}");
    uint8_t *big = malloc(8192 * 2 * 2);
    int64_t t = 0;
    for (int i = 0; i < 60; i++) {
        struct kt_motion_result r;
        const int w = sizes[i / 4 % KT_ARRAY_SIZE(sizes)].w, h = sizes[i / 4 % KT_ARRAY_SIZE(sizes)].h;
        for (int p = 0; p < w * h; p++)
            big[p] = (uint8_t)(rand() >> 5);
        const struct kt_motion_picture pic = {
            .luma = big, .cb = i % 3 ? big : NULL, .cr = i % 3 ? big : NULL, .w = w, .h = h,
            .source_w = w, .source_h = h, .key = i % 5 == 0, .damaged = i % 7 == 0,
        };
        ck_assert_int_eq(kt_motion_picture(m, &pic, t += STEP_US, &r), 0);
        ck_assert(r.mask_width == w && r.mask_height == h);
    }
    struct kt_motion_result r;
    ck_assert_int_eq(kt_motion_frame(m, big, 0, 5, 1, 1, t, &r), -EINVAL);
    ck_assert_int_eq(kt_motion_frame(m, big, 9000, 5, 1, 1, t, &r), -EINVAL);
    free(big);
    kt_motion_destroy(&m);
}
END_TEST

START_TEST(rules_without_sense_are_refused)
{
    kt_motion *m = NULL;
    struct kt_error err = { "" };
    const struct kt_motion_params params = { .rules_json = "{\"zones\":3}" };
    ck_assert_int_eq(kt_motion_create(&m, &params, &err), -EINVAL);
    ck_assert_ptr_null(m);
    ck_assert(strstr(err.text, "zones") != NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("motion");
    TCase *tc = tcase_create("motion");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, an_empty_place_gives_nothing);
    tcase_add_test(tc, each_pass_is_one_event_that_starts_when_it_started);
    tcase_add_test(tc, two_who_meet_keep_their_names);
    tcase_add_test(tc, what_sways_in_place_is_no_visitor);
    tcase_add_test(tc, what_grows_and_shrinks_to_another_side_is_no_visitor);
    tcase_add_test(tc, what_swings_to_one_side_while_nothing_is_known_is_no_visitor);
    tcase_add_test(tc, a_thread_that_swings_before_the_lens_is_no_visitor);
    tcase_add_test(tc, who_comes_straight_towards_the_camera_is_found);
    tcase_add_test(tc, who_walks_in_before_a_restless_tree_is_found);
    tcase_add_test(tc, a_cloud_that_goes_by_is_no_visitor_and_hides_none);
    tcase_add_test(tc, the_light_going_on_and_off_is_no_visitor);
    tcase_add_test(tc, snow_is_no_visitor_and_hides_none);
    tcase_add_test(tc, a_shadow_that_creeps_over_leaves_is_no_visitor);
    tcase_add_test(tc, what_jumped_about_while_the_place_was_learnt_is_no_visitor);
    tcase_add_test(tc, who_is_fainter_than_the_noise_of_the_night_is_found);
    tcase_add_test(tc, who_stands_still_is_not_lost_at_once);
    tcase_add_test(tc, zones_report_only_what_is_in_them);
    tcase_add_test(tc, a_gate_counts_who_comes_and_who_goes);
    tcase_add_test(tc, limits_and_ignored_places_are_kept);
    tcase_add_test(tc, loitering_and_objects_left_are_reported_once);
    tcase_add_test(tc, learning_first_leaves_no_ghost);
    tcase_add_test(tc, after_a_restart_the_place_is_known);
    tcase_add_test(tc, a_memory_of_another_view_floods_nobody);
    tcase_add_test(tc, a_damaged_memory_is_refused_and_another_size_forgotten);
    tcase_add_test(tc, a_trembling_or_turned_camera_is_no_visitor);
    tcase_add_test(tc, pictures_of_any_size_and_change_of_size_are_taken);
    tcase_add_test(tc, rules_without_sense_are_refused);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

/*
 * footage.c - kt-footage: the demo cameras' videos, and the truth about them.
 *
 * For each scene: SCENE-main.mp4 (1920x1080, 15 a second), SCENE-sub.mp4 (640x360, 10 a
 * second) from one painting, and last SCENE.json, which says who passes when.
 */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/cleanup.h"
#include "tests/camera/footage/encoder.h"
#include "tests/camera/footage/painter.h"

/* Main and sub frames both fall on ticks of the strip in the picture. */
enum { TICKS = 30, MAIN_FPS = 15, SUB_FPS = 10, SEEN_PIXELS = 500, MAX_THREADS = KT_SCENES };

struct work {
    const char *dir;
    const char *codec;
    atomic_int next;
    atomic_bool failed;
};

static const char *const kind_names[] = { "person", "motorbike", "car" };

struct story {
    double enter, leave;
    json_t *boxes;
};

static void note(struct story *story, double t, const struct sight *sight, bool keep_box)
{
    if (sight->pixels < SEEN_PIXELS)
        return;
    if (story->enter < 0)
        story->enter = t;
    story->leave = t;
    if (keep_box)
        json_array_append_new(story->boxes, json_pack("[f,f,f,f,f]", t, sight->x, sight->y, sight->w, sight->h));
}

static int write_truth(const char *dir, const struct scene *scene, struct story *stories)
{
    char path[4096];
    json_t *passes = json_array();

    for (int i = 0; i < scene->n_passes; i++)
        json_array_append_new(passes, json_pack("{s:s, s:f, s:f, s:o}", "kind", kind_names[scene->pass[i].figure.kind],
            "enter", stories[i].enter, "leave", stories[i].leave, "boxes", stories[i].boxes));
    json_t *truth = json_pack("{s:s, s:s, s:f, s:o}", "scene", scene->file, "name", scene->name,
                              "loop_s", kt_loop_seconds, "passes", passes);
    snprintf(path, sizeof(path), "%s/%s.json", dir, scene->file);
    const int ret = json_dump_file(truth, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(truth);
    return ret;
}

static int paint_loop(const struct scene *scene, kt_painter *painter, kt_encoder *main, kt_encoder *sub,
                      struct story *stories)
{
    const unsigned ticks = (unsigned)lrint(kt_loop_seconds * TICKS);
    struct sight sight[KT_MAX_PASSES];

    for (unsigned tick = 0; tick < ticks; tick++) {
        const bool is_main = tick % (TICKS / MAIN_FPS) == 0, is_sub = tick % (TICKS / SUB_FPS) == 0;
        const double t = (double)tick / TICKS;
        if (!is_main && !is_sub)
            continue;
        kt_painter_paint(painter, t, sight);
        for (int i = 0; i < scene->n_passes; i++)
            note(&stories[i], t, &sight[i], tick % (TICKS / 2) == 0);
        if (is_sub && kt_encoder_add(sub, (const uint8_t *const *)kt_painter_sub(painter, tick)->p) < 0)
            return -1;
        if (is_main && kt_encoder_add(main, (const uint8_t *const *)kt_painter_main(painter, tick)->p) < 0)
            return -1;
    }
    return 0;
}

static kt_encoder *open_stream(const struct work *work, const struct scene *scene, bool main)
{
    const struct kt_encoder_params params = {
        .width = main ? KT_PICTURE_WIDTH : KT_PICTURE_WIDTH / 3,
        .height = main ? KT_PICTURE_HEIGHT : KT_PICTURE_HEIGHT / 3,
        .fps = main ? MAIN_FPS : SUB_FPS,
        .gop = 2 * (main ? MAIN_FPS : SUB_FPS),
        .bit_rate = main ? 2000000 : 300000,
        .codec = work->codec,
    };
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s-%s.mp4", work->dir, scene->file, main ? "main" : "sub");
    return kt_encoder_open(path, &params);
}

static int make_scene(const struct work *work, const struct scene *scene)
{
    struct story stories[KT_MAX_PASSES];
    kt_cleanup(kt_painter_free) kt_painter *painter = kt_painter_new(scene);
    kt_encoder *main = open_stream(work, scene, true), *sub = open_stream(work, scene, false);
    int ret = -1;

    for (int i = 0; i < scene->n_passes; i++)
        stories[i] = (struct story){ .enter = -1, .leave = -1, .boxes = json_array() };
    if (painter && main && sub)
        ret = paint_loop(scene, painter, main, sub, stories);
    if (kt_encoder_close(&main) < 0 || kt_encoder_close(&sub) < 0)
        ret = -1;
    return ret < 0 ? ret : write_truth(work->dir, scene, stories);
}

static void *worker(void *user)
{
    struct work *work = user;
    int i;

    while ((i = atomic_fetch_add(&work->next, 1)) < KT_SCENES) {
        if (make_scene(work, &kt_scenes[i]) < 0) {
            fprintf(stderr, "kt-footage: cannot make %s in %s\n", kt_scenes[i].file, work->dir);
            atomic_store(&work->failed, true);
        } else {
            printf("%s: %g s\n", kt_scenes[i].name, kt_loop_seconds);
            fflush(stdout);
        }
    }
    return NULL;
}

static int make_all(struct work *work)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const int n = cpus < 1 ? 1 : cpus > MAX_THREADS ? MAX_THREADS : (int)cpus;
    pthread_t threads[MAX_THREADS];
    int started = 0;

    while (started < n && pthread_create(&threads[started], NULL, worker, work) == 0)
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started == 0 || atomic_load(&work->failed) ? 1 : 0;
}

static int make_still(const char *path, int scene, double t)
{
    struct sight sight[KT_MAX_PASSES];
    kt_cleanup(kt_painter_free) kt_painter *painter = kt_painter_new(&kt_scenes[scene]);

    if (!painter)
        return 1;
    kt_painter_paint(painter, t, sight);
    (void)kt_painter_main(painter, (unsigned)lrint(t * TICKS));
    return kt_painter_write_png(painter, path) < 0;
}

int main(int argc, char **argv)
{
    struct work work = { .codec = "libx264" };

    if (argc == 5 && strcmp(argv[1], "--still") == 0 && atoi(argv[2]) >= 1 && atoi(argv[2]) <= KT_SCENES)
        return make_still(argv[4], atoi(argv[2]) - 1, atof(argv[3]));
    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: kt-footage DIR                        make the demo cameras' videos in DIR\n"
              "       kt-footage --still SCENE SECONDS PNG   one picture of scene 1 to 4\n", stderr);
        return 2;
    }
    work.dir = argv[1];
    return make_all(&work);
}

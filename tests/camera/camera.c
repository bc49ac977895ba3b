/*
 * camera.c - kt-camera: N network cameras in one program.
 *
 * Serves encoded files in an endless loop, each camera with a phase of its own,
 * and tells what is to be seen when ("the truth") in a JSON file.
 */
#include <dirent.h>
#include <getopt.h>
#include <glib-unix.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "tests/camera/loop_media.h"

#define MAX_SCENES 16
/* Offsets are whole numbers of this: a frame of 15 and of 10 a second both start there. */
#define OFFSET_STEP (200 * GST_MSECOND)

struct scene {
    json_t *about;              /* the scene's JSON: name, passes, loop length */
    kt_loop_file *main, *sub;
};

struct options {
    const char *media, *truth, *bind, *auth, *tls;
    int port, cameras;
    bool udp;
};

static const char help[] =
    "usage: kt-camera [OPTIONS] MEDIA_DIR\n"
    "\n"
    "Simulated network cameras: rtsp://HOST:PORT/camNN/main and /camNN/sub, NN from 01.\n"
    "MEDIA_DIR holds SCENE.json, SCENE-main.mp4 and SCENE-sub.mp4 of each scene (kt-footage\n"
    "makes them); cameras show the scenes in turn.\n"
    "\n"
    "  --cameras N        how many (8)\n"
    "  --port P           TCP port; 0 takes a free one (8554)\n"
    "  --bind ADDRESS     where to listen (127.0.0.1)\n"
    "  --auth USER:PASS   ask for digest authentication\n"
    "  --tls FILE         RTSP over TLS (rtsps://), with certificate and key from this PEM file\n"
    "  --udp              offer UDP as well as interleaved TCP\n"
    "  --truth FILE       write what each camera shows, and when, as JSON\n"
    "\n"
    "Prints one line, \"ready port=P cameras=N\", when clients may connect.\n";

static void free_scenes(struct scene *scenes, int n)
{
    for (int i = 0; i < n; i++) {
        kt_loop_file_free(&scenes[i].main);
        kt_loop_file_free(&scenes[i].sub);
        json_decref(scenes[i].about);
    }
}

static int is_scene(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".json") == 0;
}

static kt_loop_file *open_stream(const char *dir, const char *scene, const char *stream)
{
    g_autofree char *path = g_strdup_printf("%s/%s-%s.mp4", dir, scene, stream);
    kt_loop_file *file = kt_loop_file_open(path);

    if (file && kt_loop_file_packetise(file) < 0) {
        fprintf(stderr, "kt-camera: %s: cannot be cut into RTP packets\n", path);
        kt_loop_file_free(&file);
    }
    return file;
}

static int load_scene(struct scene *scene, const char *dir, const char *file)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);
    g_autofree char *name = g_strndup(file, strlen(file) - strlen(".json"));
    json_error_t error;

    scene->about = json_load_file(path, 0, &error);
    if (!scene->about) {
        fprintf(stderr, "kt-camera: %s: %s\n", path, error.text);
        return -1;
    }
    scene->main = open_stream(dir, name, "main");
    scene->sub = open_stream(dir, name, "sub");
    return scene->main && scene->sub ? 0 : -1;
}

/* All scenes of DIR in name order; their number, or -1. */
static int load_scenes(struct scene *scenes, const char *dir)
{
    struct dirent **list = NULL;
    const int found = scandir(dir, &list, is_scene, alphasort);
    int n = 0;
    bool failed = found <= 0;

    if (failed)
        fprintf(stderr, "kt-camera: no scenes in %s (kt-footage makes them)\n", dir);
    for (int i = 0; i < found; i++) {
        if (!failed && n < MAX_SCENES)
            failed = load_scene(&scenes[n++], dir, list[i]->d_name) < 0;
        free(list[i]);
    }
    free(list);
    if (failed)
        free_scenes(scenes, n);
    return failed ? -1 : n;
}

static GstClockTime camera_offset(const struct scene *scene, int i, int cameras)
{
    const GstClockTime offset = kt_loop_file_length(scene->main) * (guint64)i / (guint64)cameras;
    return offset - offset % OFFSET_STEP;
}

static void mount(GstRTSPServer *server, const struct options *opt, const char *path,
                  GstRTSPMediaFactory *factory)
{
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);

    gst_rtsp_media_factory_set_protocols(factory, opt->udp ?
        GST_RTSP_LOWER_TRANS_TCP | GST_RTSP_LOWER_TRANS_UDP : GST_RTSP_LOWER_TRANS_TCP);
    gst_rtsp_media_factory_set_suspend_mode(factory, GST_RTSP_SUSPEND_MODE_NONE);
    if (opt->auth || opt->tls)
        gst_rtsp_media_factory_add_role(factory, "viewer", GST_RTSP_PERM_MEDIA_FACTORY_ACCESS,
            G_TYPE_BOOLEAN, TRUE, GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, G_TYPE_BOOLEAN, TRUE, NULL);
    gst_rtsp_mount_points_add_factory(mounts, path, factory);
    g_object_unref(mounts);
}

static void add_cameras(GstRTSPServer *server, const struct options *opt,
                        const struct scene *scenes, int n_scenes, const struct kt_loop_clock *clock)
{
    for (int i = 0; i < opt->cameras; i++) {
        const struct scene *scene = &scenes[i % n_scenes];
        const GstClockTime offset = camera_offset(scene, i, opt->cameras);
        g_autofree char *main = g_strdup_printf("/cam%02d/main", i + 1);
        g_autofree char *sub = g_strdup_printf("/cam%02d/sub", i + 1);

        mount(server, opt, main, kt_loop_media_factory_new(scene->main, clock, offset));
        mount(server, opt, sub, kt_loop_media_factory_new(scene->sub, clock, offset));
    }
}

static void require_digest(GstRTSPAuth *auth, const char *credentials, GstRTSPToken *viewer)
{
    const char *colon = strchr(credentials, ':');
    g_autofree char *user = g_strndup(credentials, (gsize)(colon - credentials));

    gst_rtsp_auth_set_supported_methods(auth, GST_RTSP_AUTH_DIGEST);
    gst_rtsp_auth_add_digest(auth, user, colon + 1, viewer);
}

static int protect(GstRTSPServer *server, const struct options *opt)
{
    GstRTSPAuth *auth = gst_rtsp_auth_new();
    GstRTSPToken *viewer = gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING,
                                              "viewer", NULL);
    g_autoptr(GError) error = NULL;
    GTlsCertificate *own = opt->tls ? g_tls_certificate_new_from_file(opt->tls, &error) : NULL;

    if (opt->auth)
        require_digest(auth, opt->auth, viewer);
    else
        gst_rtsp_auth_set_default_token(auth, viewer);
    if (own)
        gst_rtsp_auth_set_tls_certificate(auth, own);
    gst_rtsp_server_set_auth(server, auth);
    gst_rtsp_token_unref(viewer);
    g_clear_object(&own);
    g_object_unref(auth);
    if (error)
        fprintf(stderr, "kt-camera: %s: %s\n", opt->tls, error->message);
    return error ? -1 : 0;
}

/*
 * The truth: camera C shows loop position (t - epoch + offset) modulo loop_s at
 * wall time t, and a pass is to be seen from "enter" to "leave" in loop time.
 */
static int write_truth(const struct options *opt, const struct scene *scenes, int n_scenes,
                       int64_t epoch_us)
{
    g_autofree char *part = g_strconcat(opt->truth, ".part", NULL);
    json_t *cameras = json_array();
    char when[KT_RFC3339_SIZE];

    for (int i = 0; i < opt->cameras; i++) {
        const struct scene *scene = &scenes[i % n_scenes];
        json_t *camera = json_pack("{s:o, s:f, s:f}",
            "id", json_sprintf("cam%02d", i + 1),
            "offset_s", (double)camera_offset(scene, i, opt->cameras) / GST_SECOND,
            "loop_s", (double)kt_loop_file_length(scene->main) / GST_SECOND);
        json_object_update_missing(camera, scene->about);
        json_array_append_new(cameras, camera);
    }
    kt_rfc3339_format(when, epoch_us);
    json_t *truth = json_pack("{s:i, s:s, s:I, s:o}", "port", opt->port, "epoch", when,
                              "epoch_us", (json_int_t)epoch_us, "cameras", cameras);
    int ret = json_dump_file(truth, part, JSON_INDENT(1));
    json_decref(truth);
    if (ret == 0)
        ret = rename(part, opt->truth);
    if (ret != 0)
        fprintf(stderr, "kt-camera: cannot write %s\n", opt->truth);
    return ret;
}

static gboolean drop_stale_sessions(void *server)
{
    GstRTSPSessionPool *pool = gst_rtsp_server_get_session_pool(server);
    gst_rtsp_session_pool_cleanup(pool);
    g_object_unref(pool);
    return G_SOURCE_CONTINUE;
}

static gboolean stop(void *loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static int serve(struct options *opt, const struct scene *scenes, int n_scenes)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    GstRTSPServer *server = gst_rtsp_server_new();
    GstClock *clock = gst_system_clock_obtain();
    const GstClockTime turn = kt_loop_file_length(scenes[0].main);
    g_autofree char *service = g_strdup_printf("%d", opt->port);
    /* Two turns back, so that no camera's timestamps are negative. */
    struct kt_loop_clock line = { .origin = gst_clock_get_time(clock) - 2 * turn };
    const int64_t epoch_us = kt_clock_wall_us() - (int64_t)(2 * turn / 1000);

    gst_rtsp_server_set_address(server, opt->bind);
    gst_rtsp_server_set_service(server, service);
    gst_rtsp_server_set_backlog(server, 256);
    if ((opt->auth || opt->tls) && protect(server, opt) < 0)
        return -1;
    if (!opt->udp && !opt->tls) {       /* these go the library's own way */
        line.pacer = kt_pacer_start(line.origin);
        kt_loop_media_watch(server);
    }
    add_cameras(server, opt, scenes, n_scenes, &line);
    if (gst_rtsp_server_attach(server, NULL) == 0) {
        fprintf(stderr, "kt-camera: cannot listen on %s:%d\n", opt->bind, opt->port);
        return -1;
    }
    opt->port = gst_rtsp_server_get_bound_port(server);
    if (opt->truth && write_truth(opt, scenes, n_scenes, epoch_us) != 0)
        return -1;
    printf("ready port=%d cameras=%d\n", opt->port, opt->cameras);
    fflush(stdout);
    g_unix_signal_add(SIGTERM, stop, loop);
    g_unix_signal_add(SIGINT, stop, loop);
    g_timeout_add_seconds(5, drop_stale_sessions, server);
    g_main_loop_run(loop);
    /* A camera that loses power does not say good-bye: no teardown of the sessions. */
    _exit(0);
}

static int parse_options(struct options *opt, int argc, char **argv)
{
    static const struct option longs[] = {
        { "cameras", required_argument, NULL, 'n' }, { "port", required_argument, NULL, 'p' },
        { "bind", required_argument, NULL, 'b' },    { "auth", required_argument, NULL, 'a' },
        { "tls", required_argument, NULL, 's' },     { "udp", no_argument, NULL, 'u' },
        { "truth", required_argument, NULL, 't' },   { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'n': opt->cameras = atoi(optarg); break;
        case 'p': opt->port = atoi(optarg); break;
        case 'b': opt->bind = optarg; break;
        case 'a': opt->auth = optarg; break;
        case 's': opt->tls = optarg; break;
        case 'u': opt->udp = true; break;
        case 't': opt->truth = optarg; break;
        case 'h': fputs(help, stdout); exit(0);
        default: return -1;
        }
    }
    if (optind != argc - 1 || opt->cameras < 1 || opt->cameras > 999 || opt->port < 0 ||
        opt->port > 65535 || (opt->auth && !strchr(opt->auth, ':')))
        return -1;
    opt->media = argv[optind];
    return 0;
}

int main(int argc, char **argv)
{
    struct options opt = { .bind = "127.0.0.1", .port = 8554, .cameras = 8 };
    struct scene scenes[MAX_SCENES] = { 0 };

    if (parse_options(&opt, argc, argv) < 0) {
        fputs(help, stderr);
        return 2;
    }
    gst_init(NULL, NULL);
    const int n = load_scenes(scenes, opt.media);
    if (n < 0)
        return 1;
    const int ret = serve(&opt, scenes, n);
    free_scenes(scenes, n);
    return ret < 0 ? 1 : 0;
}

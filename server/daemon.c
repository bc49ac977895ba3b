#include "server/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "server/announce.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/camera.h"
#include "server/clips.h"
#include "server/evidence.h"
#include "server/notify.h"
#include "server/ring_set.h"
#include "server/tryout.h"
#include "storage/catalog/activity.h"
#include "storage/catalog/people.h"

#define TICK_US KT_SECOND_US
#define LOAD_WINDOW_US (5 * KT_SECOND_US)
#define FORGET_TICKS 3600
/* The story of what happened outlives its pictures by a month. */
#define KEEP_LONGER_US (30 * 24 * 3600 * KT_SECOND_US)

struct kt_daemon {
    /* --- constant after start --- */
    struct kt_daemon_params params;
    int64_t started_us;
    int utc_offset_s;
    kt_catalog *catalog;
    struct kt_ring_set *rings;
    kt_hub *hub;
    kt_keeper *keeper;
    kt_alerts *alerts;                  /* NULL: none configured, like announce */
    kt_announce *announce;
    struct kt_net_guard guard;
    kt_clips *clips;
    kt_analysis *analysis;
    kt_ingest_loop *loop;
    struct kt_evidence *evidence;
    kt_web *web;
    struct kt_camera_env env;
    /* --- main thread --- */
    uint64_t ticks;
    int64_t load_at_us, load_cpu_us;

    pthread_mutex_t change_lock;        /* one change of cameras at a time; before lock */
    kt_config *config;                  /* protected by change_lock */
    pthread_mutex_t lock;               /* leaf */
    /* --- protected by lock --- */
    kt_camera **cameras;
    size_t n_cameras;
    double cpu_percent;                 /* of one core, over the last seconds */
};

/* ------------------------- which cameras ------------------------- */

static bool same_camera(const struct kt_camera_config *a, const struct kt_camera_config *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->main_url, b->main_url) == 0 && strcmp(a->sub_url, b->sub_url) == 0 &&
           strcmp(a->transport, b->transport) == 0 && strcmp(a->rules, b->rules) == 0 &&
           a->analysis == b->analysis && a->enabled == b->enabled &&
           a->provisioned == b->provisioned;
}

static const struct kt_camera_config *find_config(const struct kt_camera_config *list, size_t n,
                                                  const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].id, id) == 0)
            return &list[i];
    return NULL;
}

/* Cameras of the file, then those of the catalog that the file does not name. */
static int wanted_cameras(kt_daemon *d, struct kt_camera_config **out, size_t *n)
{
    kt_cleanup(kt_freep) struct kt_camera_config *added = NULL;
    size_t n_added = 0;
    int ret = kt_catalog_camera_list(d->catalog, &added, &n_added);
    if (ret < 0)
        return ret;
    const size_t n_file = d->config->n_cameras;
    struct kt_camera_config *all = calloc(n_file + n_added + 1, sizeof(*all));
    if (!all)
        return -ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < n_file; i++) {
        all[count] = d->config->cameras[i];
        all[count++].provisioned = true;
    }
    for (size_t i = 0; i < n_added; i++)
        if (!find_config(all, n_file, added[i].id))
            all[count++] = added[i];
    *out = all;
    *n = count;
    return 0;
}

/* Take cameras that are no longer wanted as they are out of the list, stop them. */
static void stop_changed(kt_daemon *d, const struct kt_camera_config *want, size_t n)
{
    kt_cleanup(kt_freep) kt_camera **gone = calloc(d->n_cameras + 1, sizeof(*gone));
    kt_cleanup(kt_freep) kt_camera ***list = calloc(d->n_cameras + 1, sizeof(*list));
    if (!gone || !list)
        return;
    size_t n_gone = 0, kept = 0;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras; i++) {
        const struct kt_camera_config *old = kt_camera_config(d->cameras[i]);
        const struct kt_camera_config *new = find_config(want, n, old->id);
        if (new && same_camera(old, new))
            d->cameras[kept++] = d->cameras[i];
        else
            gone[n_gone++] = d->cameras[i];
    }
    d->n_cameras = kept;
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < n_gone; i++) {
        kt_info("cameras", "%s: stopped", kt_camera_config(gone[i])->id);
        kt_hub_remove(d->hub, kt_camera_config(gone[i])->id);
        list[i] = &gone[i];
    }
    kt_camera_stop_all(list, n_gone);
}

static bool is_running(kt_daemon *d, const char *id)
{
    for (size_t i = 0; i < d->n_cameras; i++)
        if (strcmp(kt_camera_config(d->cameras[i])->id, id) == 0)
            return true;
    return false;
}

static int start_camera(kt_daemon *d, const struct kt_camera_config *config)
{
    struct kt_error err = { "" };
    kt_camera *camera = NULL;
    const int ret = kt_camera_start(&camera, config, &d->env, &err);
    if (ret < 0) {
        kt_error_log("cameras", "%s: %s", config->id, err.text);
        return ret;
    }
    pthread_mutex_lock(&d->lock);
    kt_camera **bigger = reallocarray(d->cameras, d->n_cameras + 1, sizeof(kt_camera *));
    if (bigger) {
        d->cameras = bigger;
        d->cameras[d->n_cameras++] = kt_steal_ptr(&camera);
    }
    pthread_mutex_unlock(&d->lock);
    if (camera) {
        kt_camera_stop_all((kt_camera **[]){ &camera }, 1);
        return -ENOMEM;
    }
    return 0;
}

/* Make the running cameras those that are wanted; the unchanged ones do not
 * notice. change_lock held. */
static int reconcile(kt_daemon *d)
{
    kt_cleanup(kt_freep) struct kt_camera_config *want = NULL;
    size_t n = 0;
    int ret = wanted_cameras(d, &want, &n);
    if (ret < 0)
        return ret;
    stop_changed(d, want, n);
    for (size_t i = 0; i < n; i++)
        if (!is_running(d, want[i].id) && start_camera(d, &want[i]) < 0)
            ret = -EIO;
    return ret;
}

/* ------------------------- for the web room ------------------------- */

static int site_cameras(void *user, struct kt_camera_state **out, size_t *n)
{
    kt_daemon *d = user;
    pthread_mutex_lock(&d->lock);
    struct kt_camera_state *list = calloc(d->n_cameras + 1, sizeof(*list));
    for (size_t i = 0; list && i < d->n_cameras; i++)
        kt_camera_state(d->cameras[i], &list[i]);
    *n = d->n_cameras;
    pthread_mutex_unlock(&d->lock);
    if (!list)
        return -ENOMEM;
    *out = list;
    return 0;
}

static int site_snapshot(void *user, const char *id, uint8_t **out, size_t *n, int64_t *wall_us)
{
    kt_daemon *d = user;
    int ret = -ENOENT;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras; i++)
        if (strcmp(kt_camera_config(d->cameras[i])->id, id) == 0)
            ret = kt_camera_snapshot(d->cameras[i], 0, out, n, wall_us);
    pthread_mutex_unlock(&d->lock);
    return ret;
}

/* Says early what the guard would refuse at every connection. A name that is not known
 * now may be later: the camera is off. */
static int check_addresses(kt_daemon *d, const struct kt_camera_config *cam, struct kt_error *err)
{
    int ret = kt_net_check_url(d->guard.allow, "rtsp,rtsps", cam->main_url, err);
    if ((ret == 0 || ret == -ENOENT) && cam->sub_url[0])
        ret = kt_net_check_url(d->guard.allow, "rtsp,rtsps", cam->sub_url, err);
    return ret == -EACCES ? -EINVAL : ret == -ENOENT ? 0 : ret;
}

static int site_camera_put(void *user, const struct kt_camera_config *cam, bool create,
                           struct kt_error *err)
{
    kt_daemon *d = user;
    int ret = check_addresses(d, cam, err);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&d->change_lock);
    if (find_config(d->config->cameras, d->config->n_cameras, cam->id))
        ret = kt_error_set(err, create ? -EEXIST : -EPERM,
                           "%s comes from the configuration file", cam->id);
    else if (create && is_running(d, cam->id))
        ret = kt_error_set(err, -EEXIST, "there is a camera %s already", cam->id);
    if (ret == 0)
        ret = kt_catalog_camera_put(d->catalog, cam);
    if (ret == 0)
        ret = reconcile(d);
    pthread_mutex_unlock(&d->change_lock);
    return ret;
}

static int site_camera_delete(void *user, const char *id, struct kt_error *err)
{
    kt_daemon *d = user;
    pthread_mutex_lock(&d->change_lock);
    int ret = 0;
    if (find_config(d->config->cameras, d->config->n_cameras, id))
        ret = kt_error_set(err, -EPERM, "%s comes from the configuration file", id);
    if (ret == 0)
        ret = kt_catalog_camera_delete(d->catalog, id);
    if (ret == 0)
        ret = reconcile(d);
    pthread_mutex_unlock(&d->change_lock);
    return ret;
}

/* Resident memory of this process. */
static int64_t memory_bytes(void)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen("/proc/self/statm", "re");
    long long pages = 0;
    if (!f || fscanf(f, "%*d %lld", &pages) != 1)
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t cpu_us(void)
{
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    return (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * KT_SECOND_US + ru.ru_utime.tv_usec +
           ru.ru_stime.tv_usec;
}

/* What the machine is short of, over the last ticks. */
static void measure_load(kt_daemon *d)
{
    const int64_t now = kt_clock_mono_us(), cpu = cpu_us();
    if (now - d->load_at_us < LOAD_WINDOW_US)
        return;
    pthread_mutex_lock(&d->lock);
    if (d->load_at_us)
        d->cpu_percent = 100.0 * (double)(cpu - d->load_cpu_us) / (double)(now - d->load_at_us);
    pthread_mutex_unlock(&d->lock);
    d->load_at_us = now;
    d->load_cpu_us = cpu;
}

static char *site_system(void *user)
{
    kt_daemon *d = user;
    uint64_t dropped = 0;
    bool degraded = false;
    pthread_mutex_lock(&d->lock);
    const double cpu_percent = d->cpu_percent;
    for (size_t i = 0; i < d->n_cameras; i++) {
        struct kt_analysis_status a;
        kt_camera_analysis(d->cameras[i], &a);
        dropped += a.refused;
        degraded |= a.load != KT_LOAD_NORMAL;
    }
    pthread_mutex_unlock(&d->lock);
    int64_t max_error_us;
    const bool synced = kt_clock_synchronised(&max_error_us);
    json_t *o = json_pack("{s:I,s:{s:f,s:I,s:i},s:{s:I,s:b},s:{s:b,s:I}}", "uptime_seconds",
                          (json_int_t)((kt_clock_mono_us() - d->started_us) / KT_SECOND_US),
                          "load", "cpu_percent", cpu_percent, "memory_bytes",
                          (json_int_t)memory_bytes(), "cores", get_nprocs(),
                          "analysis", "dropped_frames", (json_int_t)dropped, "degraded", degraded,
                          "clock", "synchronised", synced, "max_error_us", (json_int_t)max_error_us);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

static char *site_log(void *user, size_t limit)
{
    static const char *const levels[] = { [KT_LOG_ERROR] = "error", [KT_LOG_WARN] = "warning",
                                          [KT_LOG_INFO] = "info", [KT_LOG_DEBUG] = "debug" };
    struct kt_log_line *lines = calloc(KT_LOG_KEPT, sizeof(*lines));
    json_t *items = json_array();
    if (!lines || !items) {
        free(lines);
        json_decref(items);
        return NULL;
    }
    const size_t n = kt_log_recent(lines, limit < KT_LOG_KEPT ? limit : KT_LOG_KEPT);
    for (size_t i = 0; i < n; i++) {
        char when[KT_RFC3339_SIZE];
        kt_rfc3339_format(when, lines[i].wall_us);
        json_array_append_new(items, json_pack("{s:s,s:s,s:s}", "time", when, "level",
                                               levels[lines[i].level], "text", lines[i].text));
    }
    free(lines);
    char *text = json_dumps(items, JSON_COMPACT);
    json_decref(items);
    return text;
}

static char *site_probe(void *user, const char *url, const char *transport, const char *camera,
                        struct kt_error *err)
{
    kt_daemon *d = user;
    char with_password[KT_URL_MAX] = "";
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras && camera && !with_password[0]; i++) {
        const struct kt_camera_config *c = kt_camera_config(d->cameras[i]);
        if (strcmp(c->id, camera) == 0 && kt_tryout_password(with_password, url, c->main_url) < 0 &&
            kt_tryout_password(with_password, url, c->sub_url) < 0)
            with_password[0] = '\0';
    }
    pthread_mutex_unlock(&d->lock);
    char *text = kt_tryout_probe(with_password[0] ? with_password : url, transport, d->loop, &d->guard, err);
    explicit_bzero(with_password, sizeof(with_password));
    return text;
}

static char *site_discover(void *user, const struct kt_discover_ask *ask, struct kt_error *err)
{
    kt_daemon *d = user;
    return kt_tryout_discover(ask, &d->guard, err);
}

/* ------------------------- events to clips ------------------------- */

/* Only what was seen is worth keeping longer; a camera that is away has no video. */
static bool worth_keeping(const struct kt_event *ev)
{
    return strncmp(ev->type, "camera-", strlen("camera-")) != 0;
}

static void on_event(void *user, const struct kt_event *ev, bool closed, const uint8_t *jpeg,
                     size_t jpeg_size)
{
    kt_daemon *d = user;
    if (d->announce)
        kt_announce_event(d->announce, ev, jpeg, jpeg_size);
    if (!d->clips || !worth_keeping(ev))
        return;
    if (closed)
        kt_clips_end(d->clips, ev->camera, ev->end_us);
    else if (kt_clips_begin(d->clips, ev->camera, ev->start_us) < 0)
        kt_warn("clips", "%s: too many cameras at once", ev->camera);
}

static void on_picture(void *user, const struct kt_event *ev, const uint8_t *jpeg, size_t jpeg_size)
{
    kt_daemon *d = user;
    if (d->announce)
        kt_announce_event(d->announce, ev, jpeg, jpeg_size);
}

static void camera_name(void *user, const char *id, char *out, size_t cap)
{
    kt_daemon *d = user;
    out[0] = '\0';
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras; i++)
        if (strcmp(kt_camera_config(d->cameras[i])->id, id) == 0)
            snprintf(out, cap, "%s", kt_camera_config(d->cameras[i])->name);
    pthread_mutex_unlock(&d->lock);
}

static int start_alerts(kt_daemon *d)
{
    const struct kt_alerts_params alerts = { .config = d->config->alerts, .catalog = d->catalog,
                                             .language = d->config->language,
                                             .utc_offset_s = d->utc_offset_s };
    if (!d->config->alerts)
        return 0;
    const int ret = kt_alerts_create(&d->alerts, &alerts);
    const struct kt_announce_params announce = { .alerts = d->alerts, .rings = d->rings, .user = d,
                                                 .name = camera_name };
    return ret == 0 ? kt_announce_create(&d->announce, &announce) : ret;
}

/* ------------------------- start and stop ------------------------- */

static int load_config(const struct kt_daemon_params *p, kt_config **out, struct kt_error *err)
{
    if (p->config_path)
        return kt_config_load(out, p->config_path, err);
    return kt_config_default(out, p->data_dir, err);
}

static int open_catalog(kt_daemon *d, struct kt_error *err)
{
    int ret = kt_catalog_open(&d->catalog, d->config->catalog, err);
    if (ret < 0)
        return ret;
    const int stale = kt_catalog_event_close_stale(d->catalog, kt_clock_wall_us());
    if (stale > 0)
        kt_info("catalog", "%d events were open when the recorder last stopped; closed", stale);
    char *password = NULL;
    ret = kt_catalog_bootstrap_admin(d->catalog, &password);
    if (ret < 0)
        return kt_error_set(err, ret, "cannot make the administrator: %s", kt_strerror(ret));
    if (password)       /* to the terminal, never to the log */
        printf("First start: log in as 'admin' with the password '%s'. It is not shown again.\n",
               password);
    fflush(stdout);
    free(password);
    return 0;
}

static int start_workers(kt_daemon *d, struct kt_error *err)
{
    int ret = kt_hub_create(&d->hub, &(struct kt_hub_params){ 0 });
    if (ret < 0)
        return kt_error_set(err, ret, "live hub: %s", kt_strerror(ret));
    const struct kt_keeper_params events = { .catalog = d->catalog, .hub = d->hub, .user = d,
                                             .on_event = on_event, .on_picture = on_picture };
    if (d->rings->all && d->rings->events) {
        const struct kt_clips_params clips = { .from = d->rings->all, .to = d->rings->events };
        ret = kt_clips_create(&d->clips, &clips);
    }
    if (ret == 0)
        ret = start_alerts(d);
    if (ret == 0)
        ret = kt_keeper_create(&d->keeper, &events);
    if (ret == 0)
        ret = kt_analysis_create(&d->analysis, 0);
    if (ret == 0)
        ret = kt_ingest_loop_create(&d->loop);
    if (ret < 0)
        return kt_error_set(err, ret, "cannot start the workers: %s", kt_strerror(ret));
    return 0;
}

/* Seconds east of UTC. Indonesia has no summer time, so once at start is enough. */
static int utc_offset(const char *timezone)
{
    setenv("TZ", timezone, 1);          /* no other thread exists yet */
    tzset();
    const time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    return (int)tm.tm_gmtoff;
}

static void fill_env(kt_daemon *d)
{
    d->env = (struct kt_camera_env){ .no_ring_why = d->rings->why, .hub = d->hub,
                                     .catalog = d->catalog, .keeper = d->keeper,
                                     .analysis = d->analysis, .loop = d->loop };
    d->env.utc_offset_s = d->utc_offset_s;
    d->env.guard = &d->guard;
    d->env.n_rings = kt_ring_set_recorders(d->rings, d->env.rings, KT_STREAM_MAX_RINGS);
}

/* What a package says about a camera; the address without credentials. */
static int evidence_camera(void *user, const char *id, char name[128], char address[KT_URL_MAX])
{
    kt_daemon *d = user;
    int ret = -ENOENT;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras && ret < 0; i++) {
        const struct kt_camera_config *c = kt_camera_config(d->cameras[i]);
        if (strcmp(c->id, id) != 0)
            continue;
        snprintf(name, 128, "%s", c->name);
        kt_url_redact(address, KT_URL_MAX, c->main_url);
        ret = 0;
    }
    pthread_mutex_unlock(&d->lock);
    return ret;
}

static int start_evidence(kt_daemon *d, struct kt_error *err)
{
    const struct kt_evidence_params p = { .config = d->config, .rings = d->rings,
                                          .catalog = d->catalog, .utc_offset_s = d->utc_offset_s,
                                          .user = d, .camera = evidence_camera };
    return kt_evidence_open(&d->evidence, &p, err);
}

static int start_web(kt_daemon *d, struct kt_error *err)
{
    const struct kt_web_params p = {
        .listen = d->params.listen ? d->params.listen : d->config->listen,
        .timezone = d->config->timezone,
        .language = d->config->language,
        .web_root = getenv("KENTONGAN_WEB_ROOT"),
        .catalog = d->catalog,
        .hub = d->hub,
        .rings = d->rings->web,
        .n_rings = d->rings->n,
        .vault = d->evidence->vault,
        .jobs = d->evidence->jobs,
        .site = { .user = d, .cameras = site_cameras, .snapshot = site_snapshot,
                  .camera_put = site_camera_put, .camera_delete = site_camera_delete,
                  .system_json = site_system, .probe_json = site_probe,
                  .discover_json = site_discover, .log_json = site_log },
    };
    return kt_web_start(&d->web, &p, err);
}

int kt_daemon_start(kt_daemon **out, const struct kt_daemon_params *params, struct kt_error *err)
{
    kt_cleanup(kt_daemon_stop) kt_daemon *d = calloc(1, sizeof(*d));
    if (!d)
        return kt_error_set(err, -ENOMEM, "out of memory");
    d->params = *params;
    d->started_us = kt_clock_mono_us();
    pthread_mutex_init(&d->change_lock, NULL);
    pthread_mutex_init(&d->lock, NULL);

    int ret = load_config(params, &d->config, err);
    if (ret == 0) {
        d->utc_offset_s = utc_offset(d->config->timezone);
        d->guard.allow = d->config->allow_loopback ? KT_NET_ALLOW_LOOPBACK | KT_NET_ALLOW_LINK_LOCAL
                                                   : KT_NET_GUARDED;
        ret = open_catalog(d, err);
    }
    if (ret == 0)
        ret = kt_ring_set_open(&d->rings, d->config, d->catalog, params->new_ring, err);
    if (ret == 0)
        ret = start_workers(d, err);
    if (ret < 0)
        return ret;
    fill_env(d);
    ret = start_evidence(d, err);
    if (ret == 0)
        ret = start_web(d, err);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&d->change_lock);
    (void)reconcile(d);         /* a camera that cannot start is logged; the others run */
    pthread_mutex_unlock(&d->change_lock);
    kt_info("kentongan", "%zu cameras, listening on port %d", d->n_cameras, kt_web_port(d->web));
    *out = kt_steal_ptr(&d);
    return 0;
}

static void stop_cameras(kt_daemon *d)
{
    kt_cleanup(kt_freep) kt_camera ***list = calloc(d->n_cameras + 1, sizeof(*list));
    for (size_t i = 0; list && i < d->n_cameras; i++)
        list[i] = &d->cameras[i];
    if (list)
        kt_camera_stop_all(list, d->n_cameras);
    pthread_mutex_lock(&d->lock);
    d->n_cameras = 0;
    pthread_mutex_unlock(&d->lock);
}

void kt_daemon_stop(kt_daemon **pd)
{
    kt_daemon *d = kt_steal_ptr(pd);
    if (!d)
        return;
    kt_web_stop(&d->web);
    stop_cameras(d);
    free(d->cameras);
    kt_ingest_loop_destroy(&d->loop);
    kt_analysis_destroy(&d->analysis);
    kt_keeper_destroy(&d->keeper);
    kt_announce_destroy(&d->announce);
    kt_alerts_destroy(&d->alerts);
    kt_clips_destroy(&d->clips);
    kt_hub_destroy(&d->hub);
    kt_evidence_close(&d->evidence);
    kt_ring_set_close(&d->rings);
    kt_catalog_close(&d->catalog);
    kt_config_free(&d->config);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->change_lock);
    free(d);
}

/* ------------------------- supervision ------------------------- */

/* Read the configuration again; what it says about cameras takes effect. */
static void reload(kt_daemon *d)
{
    struct kt_error err = { "" };
    kt_config *config = NULL;
    if (load_config(&d->params, &config, &err) < 0) {
        kt_error_log("configuration", "not reloaded: %s", err.text);
        return;
    }
    pthread_mutex_lock(&d->change_lock);
    kt_config *old = d->config;
    /* Strings that other rooms borrowed at start stay those of the first one. */
    struct kt_camera_config *cameras = old->cameras;
    const size_t n = old->n_cameras;
    old->cameras = config->cameras;
    old->n_cameras = config->n_cameras;
    config->cameras = cameras;
    config->n_cameras = n;
    (void)reconcile(d);
    pthread_mutex_unlock(&d->change_lock);
    kt_config_free(&config);
    kt_info("configuration", "read again: %zu cameras", d->n_cameras);
}

/* Events and activity older than the oldest video that is left are forgotten. */
static void forget(kt_daemon *d)
{
    int64_t oldest = 0;
    for (size_t i = 0; i < d->rings->n; i++) {
        struct kt_ring_status s;
        if (!d->rings->web[i].ring)
            return;                     /* a disk that is away may come back with its video */
        kt_ring_status(d->rings->web[i].ring, &s);
        if (s.oldest_us && (!oldest || s.oldest_us < oldest))
            oldest = s.oldest_us;
    }
    if (oldest)
        (void)kt_catalog_expire(d->catalog, oldest - KEEP_LONGER_US);   /* again in an hour */
}

static void tick(kt_daemon *d)
{
    measure_load(d);
    if (d->ticks++ % FORGET_TICKS == FORGET_TICKS - 1)
        forget(d);
    /* Cameras come and go under change_lock: holding it, the list is ours to walk. */
    pthread_mutex_lock(&d->change_lock);
    const int64_t now = kt_clock_wall_us();
    for (size_t i = 0; i < d->n_cameras; i++)
        kt_camera_tick(d->cameras[i], now);
    pthread_mutex_unlock(&d->change_lock);
    if (d->announce)
        kt_announce_tick(d->announce, now);
}

/* STATE, and what `systemctl status` shows. */
static void tell_systemd(kt_daemon *d, const char *state)
{
    char text[160];
    pthread_mutex_lock(&d->lock);
    const size_t n = d->n_cameras;
    pthread_mutex_unlock(&d->lock);
    snprintf(text, sizeof(text), "%sSTATUS=%zu cameras, %s", state, n,
             d->env.n_rings ? "recording" : "NOT RECORDING");
    (void)kt_notify(text);      /* a systemd that does not listen is no reason to stop */
}

static void reload_and_tell(kt_daemon *d)
{
    char text[64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)kt_clock_mono_us());
    (void)kt_notify(text);
    reload(d);
    tell_systemd(d, "READY=1\n");
}

void kt_daemon_run(kt_daemon *d)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    const struct timespec wait = { .tv_sec = TICK_US / KT_SECOND_US };
    const int64_t feed_us = kt_notify_watchdog_us();
    int64_t fed_us = kt_clock_mono_us();
    tell_systemd(d, "READY=1\n");
    for (;;) {
        const int sig = sigtimedwait(&set, NULL, &wait);
        if (sig == SIGINT || sig == SIGTERM)
            break;
        if (sig == SIGHUP)
            reload_and_tell(d);
        tick(d);
        /* Fed only here: a supervisor that hangs is restarted. */
        if (feed_us && kt_clock_mono_us() - fed_us >= feed_us) {
            tell_systemd(d, "WATCHDOG=1\n");
            fed_us = kt_clock_mono_us();
        }
    }
    (void)kt_notify("STOPPING=1");
}

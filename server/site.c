/* site.c - what the pages ask of the daemon: struct kt_site of web/http/web.h. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "decoders/motion/rules.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/daemon_private.h"
#include "server/disk.h"
#include "server/tryout.h"

#define LOAD_WINDOW_US (5 * KT_SECOND_US)

/* All that should run: one that is between its old and its new settings is not gone. */
static int site_cameras(void *user, struct kt_camera_state **out, size_t *n)
{
    kt_daemon *d = user;
    pthread_mutex_lock(&d->lock);
    struct kt_camera_state *list = calloc(d->n_wanted + 1, sizeof(*list));
    for (size_t i = 0; list && i < d->n_wanted; i++) {
        kt_camera *camera = kt_fleet_running(d, d->wanted[i].id);
        if (camera) {
            kt_camera_state(camera, &list[i]);
        } else {
            list[i].config = d->wanted[i];
            strcpy(list[i].state, "connecting");
        }
    }
    *n = d->n_wanted;
    pthread_mutex_unlock(&d->lock);
    if (!list)
        return -ENOMEM;
    *out = list;
    return 0;
}

static int site_snapshot(void *user, const char *id, uint8_t **out, size_t *n, int64_t *wall_us)
{
    kt_daemon *d = user;
    pthread_rwlock_rdlock(&d->in_use);
    pthread_mutex_lock(&d->lock);
    kt_camera *camera = kt_fleet_running(d, id);
    pthread_mutex_unlock(&d->lock);
    /* A picture takes long to make: nobody but the end of this camera waits for it. */
    const int ret = camera ? kt_camera_snapshot(camera, 0, out, n, wall_us) : -ENOENT;
    pthread_rwlock_unlock(&d->in_use);
    return ret;
}

/* Says early what the guard would refuse at every connection. A name that is not known
 * now may be later: the camera is off. */
static int check_addresses(kt_daemon *d, const struct kt_camera_config *cam, struct kt_error *err)
{
    int ret = kt_net_check_url(d->guard.allow, "rtsp,rtsps", cam->main_url, d->stop_fd, err);
    if ((ret == 0 || ret == -ENOENT) && cam->sub_url[0])
        ret = kt_net_check_url(d->guard.allow, "rtsp,rtsps", cam->sub_url, d->stop_fd, err);
    if ((ret == 0 || ret == -ENOENT) && cam->snapshot_url[0])
        ret = kt_net_check_url(d->guard.allow, "http,https", cam->snapshot_url, d->stop_fd, err);
    return ret == -EACCES ? -EINVAL : ret == -ENOENT ? 0 : ret;
}

/* Refused here, the camera keeps the rules it has; one that starts with such has none. */
static int check_rules(const struct kt_camera_config *cam, struct kt_error *err)
{
    kt_cleanup(kt_rules_destroy) struct kt_rules *rules = NULL;
    return kt_rules_parse(&rules, cam->rules, err);
}

static int site_camera_put(void *user, const struct kt_camera_config *cam, bool create,
                           struct kt_error *err)
{
    kt_daemon *d = user;
    int ret = check_rules(cam, err);
    if (ret == 0)
        ret = check_addresses(d, cam, err);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&d->change_lock);
    if (kt_fleet_find(d->config->cameras, d->config->n_cameras, cam->id))
        ret = kt_error_set(err, create ? -EEXIST : -EPERM,
                           "%s comes from the configuration file", cam->id);
    else if (create && kt_fleet_running(d, cam->id))
        ret = kt_error_set(err, -EEXIST, "there is a camera %s already", cam->id);
    if (ret == 0)
        ret = kt_catalog_camera_put(d->catalog, cam);
    if (ret == 0)
        ret = kt_fleet_reconcile(d);
    pthread_mutex_unlock(&d->change_lock);
    return ret;
}

static int site_camera_delete(void *user, const char *id, struct kt_error *err)
{
    kt_daemon *d = user;
    pthread_mutex_lock(&d->change_lock);
    int ret = 0;
    if (kt_fleet_find(d->config->cameras, d->config->n_cameras, id))
        ret = kt_error_set(err, -EPERM, "%s comes from the configuration file", id);
    if (ret == 0)
        ret = kt_catalog_camera_delete(d->catalog, id);
    if (ret == 0)
        ret = kt_fleet_reconcile(d);
    if (ret == 0)
        kt_analysis_forget(d->analysis, id);
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

void kt_daemon_measure_load(kt_daemon *d)
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

/* The disks under the rings, in the order of the rings. */
static json_t *disks_json(const kt_daemon *d)
{
    json_t *list = json_array();
    for (size_t i = 0; list && d->rings && i < d->rings->n; i++) {
        struct kt_disk disk;
        if (kt_disk_look(&disk, d->rings->config[i].path, "/sys") < 0)
            continue;
        (void)json_array_append_new(list, json_pack(
            "{s:s,s:s,s:s,s:I,s:I,s:s,s:o,s:o}", "ring", d->rings->config[i].name, "device", disk.device,
            "model", disk.model, "total_bytes", (json_int_t)disk.total_bytes, "free_bytes",
            (json_int_t)disk.free_bytes, "kind", !disk.known_kind ? "unknown" : disk.rotates ? "hdd" : "flash",
            "temperature", disk.known_temperature ? json_integer(disk.temperature_c) : json_null(),
            "errors", disk.errors >= 0 ? json_integer((json_int_t)disk.errors) : json_null()));
    }
    return list;
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
    if (o)
        (void)json_object_set_new(o, "disks", disks_json(d));
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

static struct kt_tryout tryout(kt_daemon *d)
{
    return (struct kt_tryout){ .loop = d->loop, .snapshots = d->snapshots, .guard = &d->guard, .stop_fd = d->stop_fd };
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
            kt_tryout_password(with_password, url, c->sub_url) < 0 &&
            kt_tryout_password(with_password, url, c->snapshot_url) < 0)
            with_password[0] = '\0';
    }
    pthread_mutex_unlock(&d->lock);
    if (with_password[0])
        url = with_password;
    const struct kt_tryout with = tryout(d);
    char *text = kt_tryout_is_snapshot(url) ? kt_tryout_snapshot(&with, url, err)
                                         : kt_tryout_probe(&with, url, transport, err);
    explicit_bzero(with_password, sizeof(with_password));
    return text;
}

static char *site_discover(void *user, const struct kt_discover_ask *ask, struct kt_error *err)
{
    kt_daemon *d = user;
    const struct kt_tryout with = tryout(d);
    return kt_tryout_discover(&with, ask, err);
}

static int site_trial_start(void *user, const struct kt_trial_ask *ask, struct kt_error *err)
{
    kt_daemon *d = user;
    enum kt_analyzer_mode mode = KT_ANALYZE_OFF;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras; i++)
        if (strcmp(kt_camera_config(d->cameras[i])->id, ask->camera) == 0)
            mode = kt_camera_analyzer_mode(kt_camera_config(d->cameras[i])->analysis);
    pthread_mutex_unlock(&d->lock);
    return kt_trials_start(d->trials, ask, mode == KT_ANALYZE_OFF ? KT_ANALYZE_ADAPTIVE : mode, err);
}

static char *site_trial_json(void *user, const char *camera, size_t skip)
{
    kt_daemon *d = user;
    return kt_trials_json(d->trials, camera, skip);
}

static int site_trial_cancel(void *user, const char *camera)
{
    kt_daemon *d = user;
    return kt_trials_cancel(d->trials, camera);
}

struct kt_site kt_daemon_site(kt_daemon *d)
{
    return (struct kt_site){
        .user = d, .cameras = site_cameras, .snapshot = site_snapshot,
        .camera_put = site_camera_put, .camera_delete = site_camera_delete,
        .system_json = site_system, .probe_json = site_probe, .discover_json = site_discover,
        .log_json = site_log, .trial_start = site_trial_start, .trial_json = site_trial_json,
        .trial_cancel = site_trial_cancel,
    };
}

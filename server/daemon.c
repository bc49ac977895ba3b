/* daemon.c - what runs while the daemon does: start, supervision, stop. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <libavutil/macros.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/daemon_private.h"
#include "server/notify.h"
#include "server/sandbox.h"
#include "storage/catalog/activity.h"
#include "storage/catalog/people.h"

#define TICK_US KT_SECOND_US
#define FORGET_TICKS 3600
#define SMALL_TICKS 180                 /* by now the rings know what comes in a second */
/* The story of what happened outlives its pictures by a month. */
#define KEEP_LONGER_US (30 * 24 * 3600 * KT_SECOND_US)

/* ------------------------- what is told of events ------------------------- */

static void on_event(void *user, const struct kt_event *ev, bool closed, const uint8_t *jpeg,
                     size_t jpeg_size)
{
    kt_daemon *d = user;
    if (d->announce)
        kt_announce_event(d->announce, ev, jpeg, jpeg_size);
    kt_daemon_keep_event(d, ev, closed);
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
    const kt_camera *camera = kt_fleet_running(d, id);
    if (camera)
        snprintf(out, cap, "%s", kt_camera_config(camera)->name);
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

/* ------------------------------ where it may write ------------------------------ */

#define WRITABLE_MAX (3 * (KT_CONFIG_MAX_RINGS + 2) + 2)

struct writable {
    char *paths[WRITABLE_MAX];
    size_t n;
};

static void add_folder(struct writable *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    w->paths[w->n++] = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
}

/* PATH, its folder (beside it are its lock, its key, its journal), and where both really are. */
static void add_writable(struct writable *w, const char *path)
{
    char *real = realpath(path, NULL);
    add_folder(w, path);
    if (!real)
        return;
    add_folder(w, real);
    w->paths[w->n++] = real;
}

/* Whoever takes us over by a camera's or a browser's bytes cannot write elsewhere. */
static void restrict_writing(const kt_config *config)
{
    struct writable w = { .paths = { strdup("/tmp"), strdup("/var/tmp") }, .n = 2 };  /* the database sorts there */
    add_writable(&w, config->catalog);
    if (config->vault_path)
        add_writable(&w, config->vault_path);
    for (size_t i = 0; i < config->n_rings; i++)
        add_writable(&w, config->rings[i].path);
    int ret = 0;
    for (size_t i = 0; i < w.n; i++)
        ret = w.paths[i] ? ret : -ENOMEM;
    if (ret == 0)
        ret = kt_sandbox_write_only_below((const char *const *)w.paths, w.n);
    if (ret < 0)
        kt_info("kentongan", "writing is not restricted to its own folders: %s", kt_strerror(ret));
    for (size_t i = 0; i < w.n; i++)
        free(w.paths[i]);
}

static int open_catalog(kt_daemon *d, struct kt_error *err)
{
    int ret = kt_catalog_open(&d->catalog, d->config->catalog, err);
    if (ret < 0)
        return ret;
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
    char places[PATH_MAX];
    if (snprintf(places, sizeof(places), "%s.places", d->config->catalog) >= (int)sizeof(places))
        return kt_error_set(err, -ENAMETOOLONG, "%s: too long", d->config->catalog);
    int ret = kt_hub_create(&d->hub, &(struct kt_hub_params){ 0 });
    if (ret < 0)
        return kt_error_set(err, ret, "live hub: %s", kt_strerror(ret));
    const struct kt_keeper_params events = { .catalog = d->catalog, .hub = d->hub, .user = d,
                                             .on_event = on_event, .on_picture = on_picture };
    for (size_t i = 0; i < d->rings->n && ret == 0; i++) {
        const struct kt_clips_params clips = { .to = d->rings->web[i].ring };
        if (clips.to && d->rings->web[i].events_only)
            ret = kt_clips_create(&d->clips[i], &clips);
    }
    if (ret == 0)
        ret = start_alerts(d);
    if (ret == 0)
        ret = kt_keeper_create(&d->keeper, &events);
    if (ret == 0)
        ret = kt_analysis_create(&d->analysis, 0, places);
    if (ret == 0)
        ret = kt_ingest_loop_create(&d->loop);
    if (ret == 0)
        ret = kt_pool_create(&d->pool);
    if (ret < 0)
        return kt_error_set(err, ret, "cannot start the workers: %s", kt_strerror(ret));
    return kt_snapshots_create(&d->snapshots, err);
}

/* Is any camera looked at less than it should be? */
static bool analysis_is_behind(void *user)
{
    kt_daemon *d = user;
    bool behind = false;
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_cameras && !behind; i++) {
        struct kt_analysis_status a;
        kt_camera_analysis(d->cameras[i], &a);
        behind = a.load != KT_LOAD_NORMAL;
    }
    pthread_mutex_unlock(&d->lock);
    return behind;
}

static int start_trials(kt_daemon *d, struct kt_error *err)
{
    const struct kt_trials_params p = { .rings = d->rings, .analysis = d->analysis, .utc_offset_s = d->utc_offset_s,
                                        .behind = analysis_is_behind, .user = d };
    const int ret = kt_trials_create(&d->trials, &p);
    return ret < 0 ? kt_error_set(err, ret, "out of memory") : 0;
}

static void fill_env(kt_daemon *d)
{
    d->env = (struct kt_camera_env){ .rings = d->rings, .hub = d->hub,
                                     .catalog = d->catalog, .keeper = d->keeper,
                                     .analysis = d->analysis, .loop = d->loop, .pool = d->pool,
                                     .snapshots = d->snapshots };
    d->env.utc_offset_s = d->utc_offset_s;
    d->env.guard = &d->guard;
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
        .tls_cert = d->config->tls_cert, .tls_key = d->config->tls_key,
        .web_root = getenv("KENTONGAN_WEB_ROOT"),
        .catalog = d->catalog,
        .hub = d->hub,
        .rings = d->rings->web,
        .n_rings = d->rings->n,
        .vault = d->evidence->vault,
        .jobs = d->evidence->jobs,
        .site = kt_daemon_site(d),
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
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&d->change_lock, NULL);
    pthread_mutex_init(&d->lock, NULL);
    pthread_rwlock_init(&d->in_use, NULL);

    int ret = d->stop_fd < 0 ? kt_error_set(err, -errno, "eventfd: %s", strerror(errno))
                             : load_config(params, &d->config, err);
    if (ret == 0) {
        d->utc_offset_s = kt_clock_use_timezone(d->config->timezone);
        d->guard.allow = d->config->allow_loopback ? KT_NET_ALLOW_LOOPBACK | KT_NET_ALLOW_LINK_LOCAL
                                                   : KT_NET_GUARDED;
        restrict_writing(d->config);
        ret = open_catalog(d, err);
    }
    if (ret == 0)
        ret = kt_ring_set_open(&d->rings, d->config, d->catalog, params->new_ring, err);
    if (ret == 0)
        ret = start_workers(d, err);
    if (ret < 0)
        return ret;
    kt_daemon_take_up_events(d);
    fill_env(d);
    ret = start_evidence(d, err);
    if (ret == 0)
        ret = start_trials(d, err);
    if (ret == 0)
        ret = start_web(d, err);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&d->change_lock);
    (void)kt_fleet_reconcile(d);         /* a camera that cannot start is logged; the others run */
    pthread_mutex_unlock(&d->change_lock);
    kt_info("kentongan", "%zu cameras, listening on port %d", d->n_cameras, kt_web_port(d->web));
    *out = kt_steal_ptr(&d);
    return 0;
}

void kt_daemon_stop(kt_daemon **pd)
{
    kt_daemon *d = kt_steal_ptr(pd);
    if (!d)
        return;
    if (d->stop_fd >= 0)
        (void)eventfd_write(d->stop_fd, 1);
    if (d->snapshots)
        kt_snapshots_interrupt(d->snapshots);
    kt_web_stop(&d->web);               /* waits for requests */
    kt_trials_destroy(&d->trials);      /* asks cameras how they are */
    kt_fleet_stop(d);
    free(d->cameras);
    free(d->wanted);
    kt_ingest_loop_destroy(&d->loop);
    kt_pool_destroy(&d->pool);          /* chunks still out keep it */
    kt_snapshots_destroy(&d->snapshots);
    kt_analysis_destroy(&d->analysis);
    kt_keeper_destroy(&d->keeper);
    kt_announce_destroy(&d->announce);
    kt_alerts_destroy(&d->alerts);
    for (size_t i = 0; i < KT_CONFIG_MAX_RINGS; i++)
        kt_clips_destroy(&d->clips[i]);
    kt_hub_destroy(&d->hub);
    kt_evidence_close(&d->evidence);
    kt_ring_set_close(&d->rings);
    kt_catalog_close(&d->catalog);
    kt_config_free(&d->config);
    pthread_rwlock_destroy(&d->in_use);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->change_lock);
    if (d->stop_fd >= 0)
        close(d->stop_fd);
    free(d);
}

/* ------------------------- supervision ------------------------- */

/* A certificate lives for weeks: who renews it sends SIGHUP. */
static void renew_certificate(kt_daemon *d, kt_config *config)
{
    struct kt_error err = { "" };
    const char *cert = config->tls_cert, *key = config->tls_key;
    if (!key || (d->config->tls_key && strcmp(cert, d->config->tls_cert) == 0 && strcmp(key, d->config->tls_key) == 0))
        return;
    if (kt_web_renew_certificate(d->web, cert, key, &err) < 0) {
        kt_error_log("configuration", "certificate not changed: %s", err.text);
        return;
    }
    FFSWAP(char *, d->config->tls_cert, config->tls_cert);
    FFSWAP(char *, d->config->tls_key, config->tls_key);
    kt_info("configuration", "certificate read again");
}

/* Read the configuration again; what it says about cameras and the certificate takes effect. */
static void reload(kt_daemon *d)
{
    struct kt_error err = { "" };
    kt_config *config = NULL;
    if (load_config(&d->params, &config, &err) < 0) {
        kt_error_log("configuration", "not reloaded: %s", err.text);
        return;
    }
    pthread_mutex_lock(&d->change_lock);
    renew_certificate(d, config);
    kt_config *old = d->config;
    /* Strings that other rooms borrowed at start stay those of the first one. */
    struct kt_camera_config *cameras = old->cameras;
    const size_t n = old->n_cameras;
    old->cameras = config->cameras;
    old->n_cameras = config->n_cameras;
    config->cameras = cameras;
    config->n_cameras = n;
    (void)kt_fleet_reconcile(d);
    pthread_mutex_unlock(&d->change_lock);
    kt_snapshots_hurry(d->snapshots);
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

/* A disk for an hour is seen the morning after, when it is too late. */
static void warn_of_small_rings(kt_daemon *d)
{
    for (size_t i = 0; i < d->rings->n; i++) {
        const struct kt_web_ring *r = &d->rings->web[i];
        struct kt_ring_status s;
        if (!r->ring || r->events_only)
            continue;
        kt_ring_status(r->ring, &s);
        if (s.days_capacity > 0 && s.days_capacity < KT_RING_LEAST_DAYS)
            kt_warn("rings", "%s is too small for its cameras: it holds %.1f hours of %.1f Mbit/s", r->name,
                    s.days_capacity * 24, s.bytes_per_second * 8 / 1e6);
    }
}

static void tick(kt_daemon *d)
{
    kt_daemon_measure_load(d);
    if (d->ticks == SMALL_TICKS)
        warn_of_small_rings(d);
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
             kt_ring_set_whole(d->rings) ? "recording" : "NOT RECORDING");
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

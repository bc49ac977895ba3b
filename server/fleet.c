/* fleet.c - which cameras run: those of the file and those added in the browser. */
#include <errno.h>
#include <string.h>

#include "server/base/log.h"
#include "server/daemon_private.h"

static bool same_camera(const struct kt_camera_config *a, const struct kt_camera_config *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->main_url, b->main_url) == 0 && strcmp(a->sub_url, b->sub_url) == 0 &&
           strcmp(a->snapshot_url, b->snapshot_url) == 0 &&
           strcmp(a->transport, b->transport) == 0 && strcmp(a->rules, b->rules) == 0 &&
           a->analysis == b->analysis && a->enabled == b->enabled &&
           a->provisioned == b->provisioned;
}

const struct kt_camera_config *kt_fleet_find(const struct kt_camera_config *list, size_t n,
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
        if (!kt_fleet_find(all, n_file, added[i].id))
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
        const struct kt_camera_config *new = kt_fleet_find(want, n, old->id);
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
    /* Whoever found one of them in the list before is done with it now. */
    pthread_rwlock_wrlock(&d->in_use);
    pthread_rwlock_unlock(&d->in_use);
    kt_camera_stop_all(list, n_gone);
}

kt_camera *kt_fleet_running(const kt_daemon *d, const char *id)
{
    for (size_t i = 0; i < d->n_cameras; i++)
        if (strcmp(kt_camera_config(d->cameras[i])->id, id) == 0)
            return d->cameras[i];
    return NULL;
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

int kt_fleet_reconcile(kt_daemon *d)
{
    struct kt_camera_config *want = NULL;
    size_t n = 0;
    int ret = wanted_cameras(d, &want, &n);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&d->lock);
    free(d->wanted);
    d->wanted = want;                   /* changed only here, so it is ours to read without the lock */
    d->n_wanted = n;
    pthread_mutex_unlock(&d->lock);
    stop_changed(d, want, n);
    for (size_t i = 0; i < n; i++)
        if (!kt_fleet_running(d, want[i].id) && start_camera(d, &want[i]) < 0)
            ret = -EIO;
    return ret;
}

void kt_fleet_stop(kt_daemon *d)
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

#include "storage/vault/jobs.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/audit.h"

#define LOOK_US (5 * KT_SECOND_US)          /* for holds whose span has now passed */
#define SETTLE_US (3 * KT_SECOND_US)        /* until what was recorded is on disk */
#define TELL_US (KT_SECOND_US / 2)

enum kind { NOTHING, HOLD, EXPORT };

struct kt_vault_jobs {
    struct kt_vault_jobs_params p;
    pthread_t thread;
    bool started;
    int64_t told_us;                        /* worker thread */
    pthread_mutex_t lock;                   /* leaf */
    pthread_cond_t changed;
    /* --- protected by lock --- */
    bool woken, stopping, cancel;
    enum kind kind;                         /* what is being done now */
    int64_t id;
};

/* ------------------------------ progress ------------------------------ */

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    struct kt_vault_jobs *j = user;
    pthread_mutex_lock(&j->lock);
    const bool stop = j->stopping || j->cancel;
    const enum kind kind = j->kind;
    const int64_t id = j->id;
    pthread_mutex_unlock(&j->lock);
    const int64_t now = kt_clock_mono_us();
    if (!stop && now - j->told_us >= TELL_US) {
        j->told_us = now;
        if (kind == HOLD)
            (void)kt_catalog_hold_progress(j->p.catalog, id, done, total);
        else
            (void)kt_catalog_export_progress(j->p.catalog, id, done, total);
    }
    return stop;
}

static void begin(struct kt_vault_jobs *j, enum kind kind, int64_t id)
{
    pthread_mutex_lock(&j->lock);
    j->kind = kind;
    j->id = id;
    j->cancel = false;
    pthread_mutex_unlock(&j->lock);
    j->told_us = 0;
}

/* What became of it: a machine that stops leaves the job waiting. */
static enum kt_job_state outcome(struct kt_vault_jobs *j, int ret)
{
    pthread_mutex_lock(&j->lock);
    const bool cancelled = j->cancel;
    pthread_mutex_unlock(&j->lock);
    if (ret == 0)
        return KT_JOB_DONE;
    return cancelled ? KT_JOB_CANCELLED : ret == -ECANCELED ? KT_JOB_WAITING : KT_JOB_FAILED;
}

/* The catalog knows what became of it. Was it cancelled? Whoever cancels from now on does it all. */
static bool leave(struct kt_vault_jobs *j)
{
    pthread_mutex_lock(&j->lock);
    const bool cancelled = j->cancel;
    j->kind = NOTHING;
    pthread_mutex_unlock(&j->lock);
    return cancelled;
}

/* ------------------------------ holds ------------------------------ */

static int copy_hold(struct kt_vault_jobs *j, const struct kt_hold *hold, struct kt_error *err)
{
    char name[128] = "", address[KT_URL_MAX] = "";
    if (j->p.camera && j->p.camera(j->p.user, hold->camera, name, address) < 0)
        name[0] = address[0] = '\0';
    const struct kt_vault_source source = { j->p.host, name[0] ? name : hold->camera, address };
    if (j->p.n_rings == 0)
        return kt_error_set(err, -ENOENT, "there is no ring to copy from");
    return kt_vault_hold(j->p.vault, j->p.rings, j->p.n_rings, hold, &source, on_progress, j, err);
}

/* False: the catalog cannot be written now; do not try again at once. */
static bool do_hold(struct kt_vault_jobs *j, const struct kt_hold *hold)
{
    struct kt_error err = { "" };
    struct kt_hold now;
    begin(j, HOLD, hold->id);
    /* It may have been let go since it was listed. */
    int ret = kt_catalog_hold_get(j->p.catalog, hold->id, &now);
    if (ret == -ENOENT || (ret == 0 && now.state != KT_JOB_WAITING)) {
        (void)leave(j);
        return true;
    }
    if (ret == 0)
        ret = kt_catalog_hold_state(j->p.catalog, hold->id, KT_JOB_RUNNING, NULL);
    if (ret == 0)
        ret = copy_hold(j, hold, &err);
    const enum kt_job_state state = outcome(j, ret);
    if (state != KT_JOB_CANCELLED)
        ret = kt_catalog_hold_state(j->p.catalog, hold->id, state, state == KT_JOB_FAILED ? err.text : NULL);
    if (leave(j))
        ret = kt_vault_release(j->p.vault, hold->id);
    return ret == 0;
}

/* ------------------------------ packages ------------------------------ */

/* All that a package says of one hold, owned. */
struct held {
    struct kt_hold hold;
    char name[128], address[KT_URL_MAX];
    struct kt_hold_file *files;
    size_t n_files;
    json_t *gaps_json;
    struct kt_package_gap *gaps;
    size_t n_gaps;
};

static int read_gaps(struct kt_vault_jobs *j, struct held *h)
{
    kt_cleanup(kt_freep) char *text = NULL;
    const int ret = kt_catalog_hold_gaps(j->p.catalog, h->hold.id, &text);
    if (ret < 0 || !text)
        return ret;
    h->gaps_json = json_loads(text, 0, NULL);
    const size_t n = json_array_size(h->gaps_json);
    h->gaps = calloc(n + 1, sizeof(*h->gaps));
    if (!h->gaps)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *gap = json_array_get(h->gaps_json, i);
        const char *reason = json_string_value(json_array_get(gap, 2));
        h->gaps[h->n_gaps++] = (struct kt_package_gap){ json_integer_value(json_array_get(gap, 0)),
            json_integer_value(json_array_get(gap, 1)), reason ? reason : "not-recorded" };
    }
    return 0;
}

static int read_held(struct kt_vault_jobs *j, struct held *h)
{
    if (!j->p.camera || j->p.camera(j->p.user, h->hold.camera, h->name, h->address) < 0)
        snprintf(h->name, sizeof(h->name), "%s", h->hold.camera);
    const int ret = kt_catalog_hold_files(j->p.catalog, h->hold.id, &h->files, &h->n_files);
    return ret < 0 ? ret : read_gaps(j, h);
}

static void free_held(struct held *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++) {
        kt_hold_file_list_free(&list[i].files, list[i].n_files);
        free(list[i].gaps);
        json_decref(list[i].gaps_json);
    }
    free(list);
}

static int collect(struct kt_vault_jobs *j, int64_t incident, struct held **out, size_t *n)
{
    kt_cleanup(kt_freep) struct kt_hold *holds = NULL;
    size_t count = 0;
    int ret = kt_catalog_hold_list(j->p.catalog, incident, &holds, &count);
    if (ret < 0)
        return ret;
    struct held *list = calloc(count + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    *out = list;
    for (size_t i = 0; ret == 0 && i < count; i++) {
        if (holds[i].state == KT_JOB_CANCELLED)
            continue;
        list[*n].hold = holds[i];
        ret = read_held(j, &list[(*n)++]);
    }
    return ret;
}

static int build(struct kt_vault_jobs *j, const struct kt_export *e, const struct kt_incident *incident,
                 const struct held *held, size_t n, struct kt_package_info *info, struct kt_error *err)
{
    kt_cleanup(kt_freep) struct kt_package_camera *cameras = calloc(n + 1, sizeof(*cameras));
    kt_cleanup(kt_freep) char *previous = NULL;
    uint8_t head[32];
    char head_hex[65] = "";
    struct kt_package_params p = { .incident = incident, .request = e->request,
        .exported_by = e->created_by, .site = j->p.site, .host = j->p.host, .version = j->p.version,
        .zone = j->p.zone, .zone_offset_s = j->p.zone_offset_s, .cameras = cameras, .n_cameras = n,
        .signer = j->p.signer, .timestamp_service = j->p.timestamp_service, .timestamp_ca = j->p.timestamp_ca,
        .timestamp = j->p.timestamp, .timestamp_user = j->p.timestamp_user, .progress = on_progress, .user = j };
    if (!cameras)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        cameras[i] = (struct kt_package_camera){ held[i].hold.camera, held[i].name, held[i].hold.stream,
            held[i].address, held[i].hold.from_us, held[i].hold.to_us, held[i].files, held[i].n_files,
            held[i].gaps, held[i].n_gaps };
    if (kt_derived_wanted(e->request)) {
        p.serial = e->id;
        return j->p.derive ? kt_derived_make(j->p.vault, &p, j->p.derive, info, err)
                           : kt_error_set(err, -ENOTSUP, "copies cannot be made here");
    }
    if (kt_catalog_audit_verify(j->p.catalog, head, NULL, NULL) == 0)
        kt_hex(head_hex, head, sizeof(head));
    p.audit_head = head_hex;
    (void)!kt_catalog_setting_get(j->p.catalog, "package-previous", &previous);
    p.previous_manifest = previous;
    int ret = kt_catalog_package_serial(j->p.catalog, &p.serial);
    if (ret == 0)
        ret = kt_package_make(j->p.vault, &p, info, err);
    if (ret == 0)
        ret = kt_catalog_setting_put(j->p.catalog, "package-previous", info->manifest_sha256);
    return ret;
}

static int make_export(struct kt_vault_jobs *j, const struct kt_export *e, struct kt_package_info *info,
                       struct kt_error *err)
{
    struct kt_incident *incident = NULL;
    struct held *held = NULL;
    size_t n = 0;
    int ret = kt_catalog_export_state(j->p.catalog, e->id, KT_JOB_RUNNING, NULL);
    if (ret == 0)
        ret = kt_catalog_incident_get(j->p.catalog, e->incident, &incident);
    if (ret == 0)
        ret = collect(j, e->incident, &held, &n);
    if (ret == 0)
        ret = build(j, e, incident, held, n, info, err);
    free_held(held, n);
    kt_incident_list_free(&incident, 1);
    return ret;
}

static bool do_export(struct kt_vault_jobs *j, const struct kt_export *e)
{
    struct kt_package_info info = { 0 };
    struct kt_error err = { "" };
    struct kt_export *now = NULL;
    begin(j, EXPORT, e->id);
    int ret = kt_catalog_export_get(j->p.catalog, e->id, &now);
    const bool waits = ret == 0 && now->state == KT_JOB_WAITING;
    kt_export_list_free(&now, 1);
    if (ret == -ENOENT || (ret == 0 && !waits)) {
        (void)leave(j);
        return true;
    }
    if (ret == 0)
        ret = make_export(j, e, &info, &err);
    const enum kt_job_state state = outcome(j, ret);
    if (state == KT_JOB_DONE)
        ret = kt_catalog_export_done(j->p.catalog, e->id, info.name, info.size_bytes, info.manifest_sha256, info.note);
    else
        ret = kt_catalog_export_state(j->p.catalog, e->id, state, state == KT_JOB_FAILED ? err.text : NULL);
    if (leave(j) && state != KT_JOB_CANCELLED)
        ret = kt_vault_jobs_cancel_export(j, e->id);
    return ret == 0;
}

/* ------------------------------ the thread ------------------------------ */

static bool stopping(struct kt_vault_jobs *j)
{
    pthread_mutex_lock(&j->lock);
    const bool stop = j->stopping;
    pthread_mutex_unlock(&j->lock);
    return stop;
}

/* Do one hold that waits and whose span has passed. Was there one? */
static bool next_hold(struct kt_vault_jobs *j)
{
    kt_cleanup(kt_freep) struct kt_hold *holds = NULL;
    size_t n = 0;
    if (kt_catalog_hold_list(j->p.catalog, 0, &holds, &n) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (holds[i].state == KT_JOB_WAITING && holds[i].to_us + SETTLE_US <= kt_clock_wall_us())
            return do_hold(j, &holds[i]);
    return false;
}

/* Is there still something to be held for INCIDENT? Then its package waits. */
static bool unheld(struct kt_vault_jobs *j, int64_t incident)
{
    kt_cleanup(kt_freep) struct kt_hold *holds = NULL;
    size_t n = 0;
    bool yes = kt_catalog_hold_list(j->p.catalog, incident, &holds, &n) < 0;
    for (size_t i = 0; i < n; i++)
        yes = yes || holds[i].state == KT_JOB_WAITING;
    return yes;
}

static bool next_export(struct kt_vault_jobs *j)
{
    struct kt_export *list = NULL;
    size_t n = 0;
    bool did = false;
    if (kt_catalog_export_list(j->p.catalog, 0, &list, &n) < 0)
        return false;
    for (size_t i = n; i-- > 0;)        /* oldest first */
        if (list[i].state == KT_JOB_WAITING && !unheld(j, list[i].incident)) {
            did = do_export(j, &list[i]);
            break;
        }
    kt_export_list_free(&list, n);
    return did;
}

static void wait_for_work(struct kt_vault_jobs *j)
{
    const struct timespec deadline = kt_clock_deadline(LOOK_US);
    int ret = 0;
    pthread_mutex_lock(&j->lock);
    while (!j->woken && !j->stopping && ret == 0)
        ret = pthread_cond_timedwait(&j->changed, &j->lock, &deadline);
    j->woken = false;
    pthread_mutex_unlock(&j->lock);
}

static void *work(void *arg)
{
    struct kt_vault_jobs *j = arg;
    (void)pthread_setname_np(pthread_self(), "kt-vault");
    while (!stopping(j))
        if (!next_hold(j) && !next_export(j))
            wait_for_work(j);
    return NULL;
}

int kt_vault_jobs_start(kt_vault_jobs **out, const struct kt_vault_jobs_params *params)
{
    kt_cleanup(kt_vault_jobs_stop) kt_vault_jobs *j = calloc(1, sizeof(*j));
    if (!j)
        return -ENOMEM;
    j->p = *params;
    pthread_mutex_init(&j->lock, NULL);
    int ret = kt_cond_init(&j->changed);
    if (ret == 0)
        ret = kt_catalog_jobs_restart(j->p.catalog);
    if (ret == 0)
        ret = -pthread_create(&j->thread, NULL, work, j);
    if (ret < 0)
        return ret;
    j->started = true;
    *out = kt_steal_ptr(&j);
    return 0;
}

void kt_vault_jobs_stop(kt_vault_jobs **pj)
{
    kt_vault_jobs *j = kt_steal_ptr(pj);
    if (!j)
        return;
    if (j->started) {
        pthread_mutex_lock(&j->lock);
        j->stopping = true;
        pthread_cond_signal(&j->changed);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
    }
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

void kt_vault_jobs_wake(kt_vault_jobs *j)
{
    pthread_mutex_lock(&j->lock);
    j->woken = true;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

/* Is it running? Then the worker cleans up when it notices. */
static bool cancel_running(kt_vault_jobs *j, enum kind kind, int64_t id)
{
    pthread_mutex_lock(&j->lock);
    const bool running = j->kind == kind && j->id == id;
    j->cancel = j->cancel || running;
    pthread_mutex_unlock(&j->lock);
    return running;
}

/* Asked again once the catalog says so: a worker that looked before that may have begun meanwhile. */
int kt_vault_jobs_cancel_hold(kt_vault_jobs *j, int64_t id)
{
    if (cancel_running(j, HOLD, id))
        return 0;
    const int ret = kt_vault_release(j->p.vault, id);
    (void)cancel_running(j, HOLD, id);
    return ret;
}

int kt_vault_jobs_cancel_export(kt_vault_jobs *j, int64_t id)
{
    struct kt_export *e = NULL;
    int ret = kt_catalog_export_state(j->p.catalog, id, KT_JOB_CANCELLED, NULL);
    if (ret < 0 || cancel_running(j, EXPORT, id))
        return ret;
    ret = kt_catalog_export_get(j->p.catalog, id, &e);
    if (ret == 0 && e->name[0])
        ret = kt_package_delete(j->p.vault, e->name);
    kt_export_list_free(&e, 1);
    return ret == -ENOENT ? 0 : ret;
}

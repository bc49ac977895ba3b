#include "server/ring_set.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"

/* What a ring of events takes is on disk in another ring already: one commit for several seconds. */
#define EVENTS_COMMIT_US (5 * KT_SECOND_US)

static void setting_key(char out[80], const char *ring)
{
    snprintf(out, 80, "ring.%s.uuid", ring);
}

/* Remember which ring it is, so that no other is taken for it. */
static int remember(kt_ring *ring, const char *name, kt_catalog *catalog, struct kt_error *why)
{
    struct kt_ring_status status;
    char key[80];
    kt_ring_status(ring, &status);
    setting_key(key, name);
    const int ret = kt_catalog_setting_put(catalog, key, status.uuid);
    return ret < 0 ? kt_error_set(why, ret, "catalog: %s", kt_strerror(ret)) : 0;
}

static int open_one(struct kt_ring_set *set, size_t i, kt_catalog *catalog, const char *new_ring,
                    struct kt_error *err)
{
    const struct kt_config_ring *c = &set->config[i];
    char key[80];
    setting_key(key, c->name);
    kt_cleanup(kt_freep) char *known = NULL;
    const bool expected = !new_ring || strcmp(new_ring, c->name) != 0;
    int ret = expected ? kt_catalog_setting_get(catalog, key, &known) : -ENOENT;
    if (ret < 0 && ret != -ENOENT)
        return kt_error_set(err, ret, "catalog: %s", kt_strerror(ret));

    const struct kt_ring_params p = { .name = c->name, .path = c->path, .size_bytes = c->size_bytes,
                                      .create = !known, .uuid = known,
                                      .commit_interval_us = c->only == KT_RING_ONLY_EVENTS ? EVENTS_COMMIT_US : 0 };
    kt_ring *ring = NULL;
    ret = kt_ring_open(&ring, &p, &set->whys[i]);
    if (ret == -EXDEV) {
        const struct kt_error other = set->whys[i];
        kt_error_set(&set->whys[i], ret, "%.400s; if it was replaced on purpose, start once with --new-ring %s",
                     other.text, c->name);
    } else if (ret == 0 && !known) {
        ret = remember(ring, c->name, catalog, &set->whys[i]);
    }
    set->web[i].name = c->name;
    set->web[i].events_only = c->only == KT_RING_ONLY_EVENTS;
    set->web[i].streams = c->streams == KT_RING_STREAM_ALL ? "all"
                          : c->streams == KT_RING_STREAM_MAIN ? "main" : "sub";
    set->web[i].cameras = (const char *const *)c->cameras;
    set->web[i].n_cameras = c->n_cameras;
    set->web[i].why = set->whys[i].text;
    if (ret == 0) {
        set->web[i].ring = ring;
        return 0;
    }
    kt_ring_close(&ring);
    if (!known)
        return kt_error_set(err, ret, "%s", set->whys[i].text);
    kt_error_log("rings", "NOT RECORDING to %s: %s", c->name, set->whys[i].text);
    return 0;
}

static void log_open(const struct kt_web_ring *r)
{
    struct kt_ring_status s;
    kt_ring_status(r->ring, &s);
    kt_info("rings", "%s: %.1f GiB, %llu records, key %.16s…", r->name,
            (double)s.size_bytes / (1 << 30), (unsigned long long)s.records, s.key_fingerprint);
}

int kt_ring_set_open(struct kt_ring_set **out, const kt_config *config, kt_catalog *catalog,
                     const char *new_ring, struct kt_error *err)
{
    kt_cleanup(kt_ring_set_close) struct kt_ring_set *set = calloc(1, sizeof(*set));
    if (!set)
        return kt_error_set(err, -ENOMEM, "out of memory");
    set->n = config->n_rings;
    set->config = config->rings;
    set->web = calloc(set->n + 1, sizeof(*set->web));
    set->whys = calloc(set->n + 1, sizeof(*set->whys));
    if (!set->web || !set->whys)
        return kt_error_set(err, -ENOMEM, "out of memory");
    size_t named = 0;
    while (new_ring && named < set->n && strcmp(set->config[named].name, new_ring) != 0)
        named++;
    if (new_ring && named == set->n)
        return kt_error_set(err, -EINVAL, "--new-ring %s: no ring of the configuration is called so", new_ring);
    for (size_t i = 0; i < set->n; i++) {
        const int ret = open_one(set, i, catalog, new_ring, err);
        if (ret < 0)
            return ret;
    }
    for (size_t i = 0; i < set->n; i++)
        if (set->web[i].ring)
            log_open(&set->web[i]);
    *out = kt_steal_ptr(&set);
    return 0;
}

/* Is STREAM of CAMERA for ring I, all the time? */
static bool records(const struct kt_ring_set *set, size_t i, const char *camera, const char *stream)
{
    return set->config[i].only != KT_RING_ONLY_EVENTS &&
           kt_config_ring_takes(&set->config[i], camera, stream);
}

void kt_ring_set_close(struct kt_ring_set **pset)
{
    struct kt_ring_set *set = kt_steal_ptr(pset);
    if (!set)
        return;
    for (size_t i = 0; set->web && i < set->n; i++)
        kt_ring_close(&set->web[i].ring);
    free(set->web);
    free(set->whys);
    free(set);
}

size_t kt_ring_set_recorders(const struct kt_ring_set *set, const char *camera, const char *stream,
                             kt_ring **out, size_t max, const char **why)
{
    size_t n = 0;
    *why = "no ring of the configuration is for this camera";
    for (size_t i = set->n; i-- > 0;)
        if (records(set, i, camera, stream) && !set->web[i].ring)
            *why = set->whys[i].text;
    for (size_t i = 0; i < set->n && n < max; i++)
        if (records(set, i, camera, stream) && set->web[i].ring)
            out[n++] = set->web[i].ring;
    return n;
}

bool kt_ring_set_keeps_events(const struct kt_ring_set *set, size_t i, const char *camera,
                              const char *stream)
{
    return set->config[i].only == KT_RING_ONLY_EVENTS &&
           kt_config_ring_takes(&set->config[i], camera, stream);
}

bool kt_ring_set_whole(const struct kt_ring_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (!set->web[i].ring && set->config[i].only != KT_RING_ONLY_EVENTS)
            return false;
    return true;
}

#include "server/evidence.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/log.h"
#include "server/derive.h"
#include "server/timestamp.h"

/* In the configuration's order: those that record all the time first, they have no holes. */
static void choose_rings(struct kt_evidence *e, const struct kt_ring_set *set)
{
    for (size_t i = 0; i < set->n && e->n_rings < KT_CONFIG_MAX_RINGS; i++)
        if (set->web[i].ring)
            e->rings[e->n_rings++] = (struct kt_vault_ring){ set->web[i].ring, set->web[i].events_only };
}

static int open_vault(struct kt_evidence *e, const struct kt_evidence_params *p, struct kt_error *err)
{
    const struct kt_vault_params vault = { .path = p->config->vault_path,
                                           .max_bytes = p->config->vault_max_bytes,
                                           .catalog = p->catalog };
    int ret = kt_vault_open(&e->vault, &vault, err);
    if (ret < 0)
        return ret;
    char key[4200];
    snprintf(key, sizeof(key), "%s.key.pem", p->config->vault_path);
    return kt_signer_load(&e->signer, key, e->host, err);
}

static int stamp(void *user, const void *data, size_t size, uint8_t **out, size_t *n, struct kt_error *err)
{
    const kt_config *config = user;
    const int ret = kt_timestamp_get(config->timestamp_url, config->timestamp_ca, data, size, out, n, err);
    if (ret < 0)
        kt_warn("evidence", "%s", err->text);
    return ret;
}

static int start_jobs(struct kt_evidence *e, const struct kt_evidence_params *p, struct kt_error *err)
{
    const struct kt_vault_jobs_params jobs = {
        .vault = e->vault, .catalog = p->catalog, .rings = e->rings, .n_rings = e->n_rings,
        .signer = e->signer, .site = e->host, .host = e->host, .version = KT_VERSION, .zone = e->zone,
        .zone_offset_s = p->utc_offset_s, .camera = p->camera, .user = p->user,
        .timestamp_service = p->config->timestamp_url, .timestamp_ca = p->config->timestamp_ca,
        .derive = kt_derive_make,
        .timestamp = p->config->timestamp_url ? stamp : NULL, .timestamp_user = (void *)p->config,
    };
    const int ret = kt_vault_jobs_start(&e->jobs, &jobs);
    return ret < 0 ? kt_error_set(err, ret, "vault: %s", kt_strerror(ret)) : 0;
}

int kt_evidence_open(struct kt_evidence **out, const struct kt_evidence_params *p, struct kt_error *err)
{
    kt_cleanup(kt_evidence_close) struct kt_evidence *e = calloc(1, sizeof(*e));
    if (!e)
        return kt_error_set(err, -ENOMEM, "out of memory");
    if (gethostname(e->host, sizeof(e->host) - 1) < 0)
        strcpy(e->host, "kentongan");
    struct tm tm;
    const time_t now = time(NULL);
    localtime_r(&now, &tm);
    snprintf(e->zone, sizeof(e->zone), "%s", tm.tm_zone);
    if (p->config->vault_path) {
        choose_rings(e, p->rings);
        int ret = open_vault(e, p, err);
        if (ret == 0)
            ret = start_jobs(e, p, err);
        if (ret < 0)
            return ret;
    }
    *out = kt_steal_ptr(&e);
    return 0;
}

void kt_evidence_close(struct kt_evidence **pe)
{
    struct kt_evidence *e = kt_steal_ptr(pe);
    if (!e)
        return;
    kt_vault_jobs_stop(&e->jobs);
    kt_vault_close(&e->vault);
    kt_signer_free(&e->signer);
    free(e);
}

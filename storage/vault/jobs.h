/*
 * jobs.h - one thread that does what the catalog says is waiting: holds first, then
 * packages. One job at a time: the disk has recording to do.
 *
 * A hold asked for while its span is still being recorded waits until the span has
 * passed. What was running when the machine went down is taken up again.
 *
 * Threads: all functions from any thread, but stop. Stop finishes within a second:
 * the job at hand goes back to waiting.
 */
#ifndef KT_VAULT_JOBS_H
#define KT_VAULT_JOBS_H

#include "storage/vault/derived.h"

typedef struct kt_vault_jobs kt_vault_jobs;

struct kt_vault_jobs_params {
    kt_vault *vault;                /* all borrowed */
    kt_catalog *catalog;
    const struct kt_vault_ring *rings;  /* asked in this order for each hold */
    size_t n_rings;
    const kt_signer *signer;
    const char *site, *host, *version, *zone;
    int zone_offset_s;
    /* Name and address (without credentials) of a camera; may be NULL. -ENOENT. */
    int (*camera)(void *user, const char *id, char name[128], char address[KT_URL_MAX]);
    void *user;
    const char *timestamp_service, *timestamp_ca;   /* as in struct kt_package_params */
    int (*timestamp)(void *timestamp_user, const void *data, size_t size, uint8_t **out, size_t *n,
                     struct kt_error *err);
    void *timestamp_user;
    kt_derive_fn derive;            /* NULL: copies cannot be made */
};

kt_must_check int kt_vault_jobs_start(kt_vault_jobs **out, const struct kt_vault_jobs_params *params);
void kt_vault_jobs_stop(kt_vault_jobs **jobs);

/* Something new is in the catalog (kt_catalog_hold_add(), kt_catalog_export_add()). */
void kt_vault_jobs_wake(kt_vault_jobs *jobs);

/* Stop hold or package ID, waiting or running. A hold's copied files are let go. */
int kt_vault_jobs_cancel_hold(kt_vault_jobs *jobs, int64_t id);
int kt_vault_jobs_cancel_export(kt_vault_jobs *jobs, int64_t id);

#endif

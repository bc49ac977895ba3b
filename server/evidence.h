/*
 * evidence.h - the vault while the daemon runs: where held video and packages are, the
 * key that signs, the thread that does the work.
 *
 * Without a vault in the configuration there is no evidence: all is NULL, and the pages
 * say so.
 *
 * Threads: opened and closed by the supervisor, constant in between.
 */
#ifndef KT_SERVER_EVIDENCE_H
#define KT_SERVER_EVIDENCE_H

#include "server/config.h"
#include "server/ring_set.h"
#include "storage/vault/jobs.h"


struct kt_evidence {
    kt_vault *vault;
    kt_signer *signer;
    kt_vault_jobs *jobs;
    /* --- borrowed by the jobs --- */
    struct kt_vault_ring rings[KT_CONFIG_MAX_RINGS];
    size_t n_rings;
    char host[256], zone[16];
};

struct kt_evidence_params {
    const kt_config *config;            /* all borrowed */
    const struct kt_ring_set *rings;
    kt_catalog *catalog;
    int utc_offset_s;
    void *user;
    /* Name and address (without credentials) of a camera. -ENOENT. Any thread. */
    int (*camera)(void *user, const char *id, char name[128], char address[KT_URL_MAX]);
};

/* *OUT is never NULL on success; its vault is when none is configured. */
kt_must_check int kt_evidence_open(struct kt_evidence **out, const struct kt_evidence_params *params,
                                   struct kt_error *err);

/* The job at hand goes back to waiting; within a second. */
void kt_evidence_close(struct kt_evidence **evidence);

#endif

/*
 * vault.h - video that is kept for somebody, apart from the rings that overwrite.
 *
 * A hold (catalog/cases.h) is copied from the rings into files of the vault's
 * directory: one MP4 for each unbroken stretch of one ring, at most half an hour, cut at key
 * frames, its bytes those of the ring. A file has its name only once it is whole and
 * on disk, and its row in the catalog only after that; beside it the log that it was
 * recorded in, up to a signature (hold_records.h). A power cut costs the stretch
 * being copied, and the copy goes on there. At open, what has no row is deleted.
 *
 * The vault has a limit of its own. A hold that does not fit is refused before a byte
 * is copied; recording goes on either way. The directory is the vault's alone.
 *
 * Threads: any, except kt_vault_close(). Copying takes minutes: do it on a thread of
 * its own. Errors: 0 or a negative errno.
 */
#ifndef KT_VAULT_VAULT_H
#define KT_VAULT_VAULT_H

#include "storage/catalog/cases.h"
#include "storage/ring/ring.h"

typedef struct kt_vault kt_vault;

struct kt_vault_params {
    const char *path;               /* made when missing */
    uint64_t max_bytes;
    kt_catalog *catalog;            /* borrowed */
};

/* -EBUSY another process has it, others as the system says; ERR in words. */
kt_must_check int kt_vault_open(kt_vault **out, const struct kt_vault_params *params,
                                struct kt_error *err);
void kt_vault_close(kt_vault **vault);

struct kt_vault_status {
    uint64_t max_bytes, used_bytes; /* held video and packages */
    uint64_t free_bytes;            /* on the disk */
};
void kt_vault_status(kt_vault *vault, struct kt_vault_status *out);

/* Told now and then how far it is; not 0 stops the work with -ECANCELED. */
typedef int (*kt_vault_progress)(void *user, uint64_t done_bytes, uint64_t total_bytes);

/* What an MP4 says inside of where it comes from (export_box.h). Strings may be NULL. */
struct kt_vault_source {
    const char *unit;               /* this recorder */
    const char *name, *address;     /* of the camera, without credentials */
};

/* A ring to copy from. */
struct kt_vault_ring {
    kt_ring *ring;
    bool events_only;               /* what it lacks says nothing: it is not asked for reasons */
};

/*
 * Copy what is recorded of HOLD's span and not copied yet. RINGS are asked in turn: what one
 * lacks, or has damaged, comes from the next. Files and their rows are made, and what no ring
 * has is noted with its reason; the hold's state is the caller's to write (see jobs.h). May be
 * called again after any failure: it goes on where it stopped.
 *   -ENOENT    nothing is recorded there
 *   -ENOSPC    does not fit (vault's limit, or the disk); nothing was copied
 *   -ESTALE    the rings were faster; what could be copied is kept
 *   -EBADMSG   hundreds of records are damaged; the same
 *   -ECANCELED PROGRESS said so
 */
kt_must_check int kt_vault_hold(kt_vault *vault, const struct kt_vault_ring *rings, size_t n_rings,
                                const struct kt_hold *hold, const struct kt_vault_source *source /* may be NULL */,
                                kt_vault_progress progress, void *user, struct kt_error *err);

/* Let go of a hold: rows first, then the files. */
kt_must_check int kt_vault_release(kt_vault *vault, int64_t hold);

/* Open a file of the vault for reading; the descriptor is the caller's. */
kt_must_check int kt_vault_open_file(kt_vault *vault, const char *name);

/* Is every file of HOLD what was written? -EBADMSG with ERR naming the first that is not. */
kt_must_check int kt_vault_verify(kt_vault *vault, int64_t hold, struct kt_error *err);

/* Directory of the vault, for packages beside the held files; and room taken up front
 * for one of BYTES. -ENOSPC. Give back what was not used. */
int kt_vault_dir(const kt_vault *vault);
const char *kt_vault_path(const kt_vault *vault);
kt_must_check int kt_vault_reserve(kt_vault *vault, uint64_t bytes);
void kt_vault_unreserve(kt_vault *vault, uint64_t bytes);

#endif

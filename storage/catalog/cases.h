/*
 * cases.h - incidents, the video held for them, the packages made of them and the
 * links by which a package leaves. See catalog.h for threads, units and errors.
 *
 * The rows here say what is wanted and how far it came; the work is done by
 * storage/vault (holds) and storage/vault/package.h (packages), driven by server/.
 */
#ifndef KT_CATALOG_CASES_H
#define KT_CATALOG_CASES_H

#include "storage/catalog/people.h"

/* ------------------------------ incidents ------------------------------ */

struct kt_incident {
    int64_t id;                     /* 0 while new */
    char title[160];
    int64_t from_us, to_us;
    char *cameras;                  /* JSON list of camera ids */
    char *notes;                    /* plain text, may be NULL */
    bool closed;
    char created_by[KT_USERNAME_MAX + 1];
    int64_t created_us, changed_us; /* set by the catalog */
};

/* Insert (id == 0, the new id is stored in IN) or replace title, span, cameras, notes
 * and closed. -EINVAL: no title, an empty span, or cameras that are no list of ids. */
kt_must_check int kt_catalog_incident_put(kt_catalog *c, struct kt_incident *in);
kt_must_check int kt_catalog_incident_get(kt_catalog *c, int64_t id, struct kt_incident **out);

/* Newest first. SHARED_WITH (a user name) gives only those shared with that user; NULL all. */
kt_must_check int kt_catalog_incident_list(kt_catalog *c, const char *shared_with,
                                           struct kt_incident **out, size_t *n);
void kt_incident_list_free(struct kt_incident **list, size_t n);

/* -EBUSY while something is held for it or a package of it exists. */
kt_must_check int kt_catalog_incident_delete(kt_catalog *c, int64_t id);

/* Events marked as belonging to it. -ENOENT when there is no such incident or event. */
kt_must_check int kt_catalog_incident_mark(kt_catalog *c, int64_t id, int64_t event, bool marked);
kt_must_check int kt_catalog_incident_events(kt_catalog *c, int64_t id, int64_t **out, size_t *n);

/* Let a user (police) see it, or no longer. */
kt_must_check int kt_catalog_incident_share(kt_catalog *c, int64_t id, const char *username, bool on);
kt_must_check int kt_catalog_incident_shared(kt_catalog *c, int64_t id, const char *username,
                                             bool *yes);

/* ------------------------------ holds ------------------------------ */

enum kt_job_state {
    KT_JOB_WAITING = 1,
    KT_JOB_RUNNING,
    KT_JOB_DONE,
    KT_JOB_FAILED,                  /* see why; may be asked for again */
    KT_JOB_CANCELLED,               /* a hold that was released, a package that was withdrawn */
};
const char *kt_job_state_name(enum kt_job_state state);    /* "waiting", … */

/* One stream's span that must not be overwritten. */
struct kt_hold {
    int64_t id;
    int64_t incident;
    char camera[KT_ID_MAX + 1];
    char stream[8];                 /* "main", "sub" */
    int64_t from_us, to_us;
    enum kt_job_state state;
    uint64_t done_bytes, total_bytes;
    char why[160];                  /* of a failure, in plain words */
    char created_by[KT_USERNAME_MAX + 1];
    int64_t created_us;
};

/* A file of the vault: one unbroken stretch of a hold. A row means that the whole file
 * is on disk. */
struct kt_hold_file {
    int64_t id, hold;
    char name[160];                 /* in the vault's directory */
    int64_t start_us, end_us;       /* first frame, end of the last */
    uint64_t run, size_bytes;
    uint32_t frames;
    char mime[96];
    char sha256[65];
    char stream_hash[65];           /* of the video packets: survives remuxing */
    char *records;                  /* JSON: the ring's records it was made of */
};

kt_must_check int kt_catalog_hold_add(kt_catalog *c, struct kt_hold *hold);    /* stores the id */
kt_must_check int kt_catalog_hold_get(kt_catalog *c, int64_t id, struct kt_hold *out);
kt_must_check int kt_catalog_hold_list(kt_catalog *c, int64_t incident /* 0: all */,
                                       struct kt_hold **out, size_t *n);       /* free(3) */
kt_must_check int kt_catalog_hold_state(kt_catalog *c, int64_t id, enum kt_job_state state,
                                        const char *why);
/* Queued: only for people to look at. */
int kt_catalog_hold_progress(kt_catalog *c, int64_t id, uint64_t done, uint64_t total);

kt_must_check int kt_catalog_hold_file_add(kt_catalog *c, struct kt_hold_file *file);
kt_must_check int kt_catalog_hold_files(kt_catalog *c, int64_t hold /* 0: all */,
                                        struct kt_hold_file **out, size_t *n);
void kt_hold_file_list_free(struct kt_hold_file **list, size_t n);
/* Where the held span has no video, as JSON: [[from_us, to_us, "reason"], …]. *OUT is
 * malloc'd, NULL when none was written. */
kt_must_check int kt_catalog_hold_gaps_put(kt_catalog *c, int64_t id, const char *gaps);
kt_must_check int kt_catalog_hold_gaps(kt_catalog *c, int64_t id, char **out);

/* Forget the files of a hold and mark it cancelled; the caller then deletes the files. */
kt_must_check int kt_catalog_hold_release(kt_catalog *c, int64_t id);

/* ------------------------------ packages ------------------------------ */

struct kt_export {
    int64_t id, incident;
    enum kt_job_state state;
    uint64_t done_bytes, total_bytes, size_bytes;
    char name[96];                  /* of the package, without ".zip"; empty until done */
    char manifest_sha256[65];
    char why[160];                  /* of a failure; of a package that was made: what to know about it */
    char *request;                  /* JSON: agency, officer, officer_id, letter, letter_date, report, purpose */
    char created_by[KT_USERNAME_MAX + 1];
    int64_t created_us, finished_us;
};

kt_must_check int kt_catalog_export_add(kt_catalog *c, struct kt_export *e);   /* stores the id */
kt_must_check int kt_catalog_export_get(kt_catalog *c, int64_t id, struct kt_export **out);
kt_must_check int kt_catalog_export_list(kt_catalog *c, int64_t incident /* 0: all */,
                                         struct kt_export **out, size_t *n);
void kt_export_list_free(struct kt_export **list, size_t n);
kt_must_check int kt_catalog_export_state(kt_catalog *c, int64_t id, enum kt_job_state state,
                                          const char *why);
int kt_catalog_export_progress(kt_catalog *c, int64_t id, uint64_t done, uint64_t total);  /* queued */
kt_must_check int kt_catalog_export_done(kt_catalog *c, int64_t id, const char *name,
                                         uint64_t size, const char *manifest_sha256,
                                         const char *note /* kept as WHY; may be empty */);

/* After a start: what was running when the machine went down waits again. */
int kt_catalog_jobs_restart(kt_catalog *c);

/* The next package's serial number: it counts for ever, so that a missing one shows. */
kt_must_check int kt_catalog_package_serial(kt_catalog *c, int64_t *serial);

/* ------------------------------ links ------------------------------ */

struct kt_share {
    int64_t id;
    int64_t export_id;
    int64_t created_us, expires_us;
    uint32_t max_downloads;         /* 0: no limit */
    uint32_t downloads;
    bool has_pin, revoked;
    char note[128];                 /* for whom */
    char created_by[KT_USERNAME_MAX + 1];
};

/* A link to one package. PIN is four to twelve digits or NULL. TOKEN goes into the
 * address /e/TOKEN; only its hash is kept. -EINVAL bad PIN, -ENOENT no such package. */
kt_must_check int kt_catalog_share_add(kt_catalog *c, struct kt_share *share, const char *pin,
                                       char token[KT_TOKEN_SIZE]);

/*
 * What a link gives. Every answer is logged in share_log.
 *   -ENOENT   no such link
 *   -ESTALE   expired, revoked or used up; *OUT says which
 *   -ENOKEY   a PIN is needed (PIN is NULL)
 *   -EACCES   wrong PIN; the tenth revokes the link
 */
kt_must_check int kt_catalog_share_open(kt_catalog *c, const char *token, const char *pin,
                                        const char *address, struct kt_share *out);
/* The same, and counts a download: call once when the file begins to be sent. */
kt_must_check int kt_catalog_share_download(kt_catalog *c, const char *token, const char *pin,
                                            const char *address, struct kt_share *out);
/* For the rest of a download that began at this ADDRESS within a day, which the link still gives when
 * that was its last one. When none began there it is counted like one: then 1 is returned. */
kt_must_check int kt_catalog_share_resume(kt_catalog *c, const char *token, const char *pin,
                                          const char *address, struct kt_share *out);
kt_must_check int kt_catalog_share_list(kt_catalog *c, int64_t export_id /* 0: all */,
                                        struct kt_share **out, size_t *n);     /* free(3) */
kt_must_check int kt_catalog_share_revoke(kt_catalog *c, int64_t id);

struct kt_share_use {
    int64_t time_us;
    char address[64];
    char what[16];                  /* "seen", "download", "wrong-pin", "refused" */
};
kt_must_check int kt_catalog_share_log(kt_catalog *c, int64_t id, struct kt_share_use **out,
                                       size_t *n);                             /* free(3) */

#endif

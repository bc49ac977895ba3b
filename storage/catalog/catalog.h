/*
 * catalog.h - what happened: cameras, events, activity, people. SQLite in WAL.
 *
 * One thread owns the only writing connection, commits and checkpoints (SQLite
 * before 3.51.3 can corrupt a WAL that two connections checkpoint). Readers use
 * a small pool of read-only connections. Schema versions live in
 * PRAGMA user_version; opening migrates, and refuses a newer schema.
 *
 * Threads: any function from any thread. Functions that write wait until their
 * transaction is on disk unless they say "queued" or "soon".
 * Units:   *_us is UTC microseconds.
 * Errors:  0 or negative errno (-ENOENT no such row, -EEXIST taken, -EIO SQLite).
 * Lists:   *OUT is one malloc'd block that kt_..._free() frees.
 *
 * Tables are split over headers: this one (life, cameras, settings), events.h,
 * activity.h, people.h.
 */
#ifndef KT_CATALOG_CATALOG_H
#define KT_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/text.h"

typedef struct kt_catalog kt_catalog;

/* Open or create the database at PATH (":memory:" is refused). */
kt_must_check int kt_catalog_open(kt_catalog **out, const char *path, struct kt_error *err);

/* Write what is queued, close. */
void kt_catalog_close(kt_catalog **catalog);

/* Wait until all queued writes are committed. */
int kt_catalog_flush(kt_catalog *catalog);

/* How often it waited for the disk (fsync) since it was opened. */
uint64_t kt_catalog_syncs(kt_catalog *catalog);

/* ------------------------------ cameras ------------------------------ */

enum kt_analysis_mode {
    KT_ANALYSIS_OFF = 1,
    KT_ANALYSIS_KEYFRAMES,
    KT_ANALYSIS_ADAPTIVE,
    KT_ANALYSIS_FULL,
};
const char *kt_analysis_mode_name(enum kt_analysis_mode mode);  /* "adaptive" */
kt_must_check int kt_analysis_mode_parse(const char *name, enum kt_analysis_mode *mode);

/* A camera as somebody configured it, in the file or in the browser. URLs hold
 * passwords: they never leave through the API or the log unredacted. */
struct kt_camera_config {
    char id[KT_ID_MAX + 1];
    char name[128];
    char main_url[KT_URL_MAX];
    char sub_url[KT_URL_MAX];       /* empty: no sub-stream */
    char snapshot_url[KT_URL_MAX];  /* http(s), for a picture while no stream gives one; empty: none */
    char transport[8];              /* "tcp" (default), "udp", "tls" */
    enum kt_analysis_mode analysis;
    bool enabled;
    bool provisioned;               /* comes from the configuration file: read-only in the browser */
    char rules[8192];               /* JSON of zones and rules, empty: whole picture */
};

kt_must_check int kt_catalog_camera_list(kt_catalog *c, struct kt_camera_config **out, size_t *n);
kt_must_check int kt_catalog_camera_put(kt_catalog *c, const struct kt_camera_config *cam);
kt_must_check int kt_catalog_camera_delete(kt_catalog *c, const char *id);

/* ------------------------------ settings ------------------------------ */

/* Small values by name. *OUT is malloc'd. -ENOENT when never set. */
kt_must_check int kt_catalog_setting_get(kt_catalog *c, const char *key, char **out);
kt_must_check int kt_catalog_setting_put(kt_catalog *c, const char *key, const char *value);

#endif

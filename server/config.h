/*
 * config.h - the configuration file: YAML, read by libcyaml, checked whole.
 *
 * docs/configuration.md explains every key. Unknown keys, bad values and duplicates
 * are errors that name FILE:LINE:COLUMN. ${NAME} in camera addresses is taken from
 * the environment; it is an error when NAME is not set.
 *
 * Threads: a configuration is constant after loading.
 */
#ifndef KT_SERVER_CONFIG_H
#define KT_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "server/alerts/alerts.h"
#include "server/base/error.h"
#include "storage/catalog/catalog.h"

#define KT_CONFIG_MAX_RINGS 32

enum kt_ring_only {
    KT_RING_ONLY_NOTHING = 0,       /* no restriction: all the time */
    KT_RING_ONLY_EVENTS,            /* around events, copied from the rings that record all the time */
};

enum kt_ring_streams {              /* bits */
    KT_RING_STREAM_MAIN = 1,
    KT_RING_STREAM_SUB = 2,
    KT_RING_STREAM_ALL = 3,
};

struct kt_config_ring {
    char *name, *path;
    uint64_t size_bytes;
    enum kt_ring_only only;
    enum kt_ring_streams streams;
    char **cameras;                 /* ids; NULL: of all cameras */
    size_t n_cameras;
};

typedef struct kt_config {
    char *listen;                   /* "0.0.0.0:8080" */
    char *timezone;                 /* "Asia/Jakarta" */
    char *language;                 /* "id" or "en" */
    char *tls_cert, *tls_key;       /* PEM, read from their files; both or neither */
    bool allow_loopback;            /* cameras added in the browser may be on this machine */
    char *catalog;                  /* path of the database */
    struct kt_config_ring *rings;   /* those that record all the time first */
    size_t n_rings;
    char *vault_path;               /* NULL: no vault */
    uint64_t vault_max_bytes;
    char *timestamp_url;            /* of a time stamping service; NULL: none */
    char *timestamp_ca;             /* its certificates, PEM; not NULL when there is one */
    struct kt_camera_config *cameras;
    size_t n_cameras;
    struct kt_alerts_config *alerts;    /* NULL: none */
} kt_config;

/*
 * Read and check PATH.
 *   -EINVAL  what it says makes no sense; ERR names file, line and column
 *   others   the file cannot be read
 */
kt_must_check int kt_config_load(kt_config **out, const char *path, struct kt_error *err);

/* Without a file: catalog and two small rings below DATA_DIR (made when missing),
 * no cameras but those added in the browser. */
kt_must_check int kt_config_default(kt_config **out, const char *data_dir, struct kt_error *err);

void kt_config_free(kt_config **config);

/* Is STREAM ("main", "sub") of CAMERA for this ring, all the time or around events? */
bool kt_config_ring_takes(const struct kt_config_ring *ring, const char *camera, const char *stream);

/* "2 TiB", "300 GiB", "512MB", "1000000" to bytes. -EINVAL, -ERANGE. */
kt_must_check int kt_size_parse(const char *text, uint64_t *bytes);

#endif

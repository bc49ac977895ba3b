/*
 * web.h - the HTTP server: routes, sessions, files of the browser app.
 *
 * docs/openapi.yaml is the contract. What only the daemon knows (live camera
 * state, applying changes) comes through struct kt_site; the rest is read from
 * catalog and rings directly.
 *
 * Threads: handlers run on libmicrohttpd's pool; kt_site functions are called
 * from there and must be thread-safe and quick.
 */
#ifndef KT_HTTP_WEB_H
#define KT_HTTP_WEB_H

#include "server/base/error.h"
#include "storage/catalog/catalog.h"
#include "storage/ring/ring.h"
#include "storage/vault/jobs.h"
#include "web/live/hub.h"

typedef struct kt_web kt_web;

/* What a camera is doing now. */
struct kt_camera_state {
    struct kt_camera_config config;
    char state[24];                 /* recording, connecting, offline, silent, frozen, disabled, not-recording … */
    char why[256];                  /* in plain words, no secrets */
    bool recording;                 /* the main stream reaches the disk now */
    char codec[16];                 /* "h264", of the main stream */
    int width, height;
    double fps, fps_nominal, bitrate;   /* measured; bit/s */
    int64_t last_frame_us;
    uint64_t reconnects, lost_packets, decode_errors;
    double gop_seconds;
    int64_t picture_us;             /* when the newest picture was taken that can be shown; 0: none yet */
    bool has_clock;                 /* the camera has told its time (RTCP) */
    int64_t clock_offset_us;        /* the camera's clock minus ours */
    const char *advice[7];          /* words for settings of the camera that hurt: "long-gop" */
    size_t n_advice;
    bool has_sub;
    bool motion_now;
    int analysis_load;              /* 0: all is looked at, up to 3: one key frame in 10 s */
    double analysis_lag_s;          /* how long its pictures wait to be looked at */
    uint64_t analysis_dropped;      /* packets that were never looked at */
};

/* What POST /cameras/discover asks for; each may be NULL. */
struct kt_discover_ask {
    const char *range;              /* "192.168.1.0/24"; NULL: all networks, by multicast */
    const char *user, *password;    /* of the cameras: read profiles and stream addresses */
};

/* What POST /cameras/{id}/rules/trial asks for. */
struct kt_trial_ask {
    const char *camera;
    const char *rules;              /* as docs/motion.md; "": none */
    int64_t from_us, to_us;         /* UTC */
};

struct kt_site {
    void *user;
    /* All cameras; *OUT one malloc'd block. */
    int (*cameras)(void *user, struct kt_camera_state **out, size_t *n);
    /* Newest decoded frame as JPEG, *OUT malloc'd. -ENOENT unknown camera, -EAGAIN none yet. */
    int (*snapshot)(void *user, const char *camera, uint8_t **out, size_t *n, int64_t *wall_us);
    /* Add or change (already stored in the catalog by the site). -EEXIST, -EPERM provisioned, -EINVAL */
    int (*camera_put)(void *user, const struct kt_camera_config *cam, bool create, struct kt_error *err);
    int (*camera_delete)(void *user, const char *id, struct kt_error *err);
    /* More for GET /system as a JSON object text, malloc'd; may be NULL. */
    char *(*system_json)(void *user);
    /* These three answer with JSON text, malloc'd, as docs/openapi.yaml says; NULL:
     * the route answers 501. The first two may block their caller for some seconds,
     * two calls of them run at once at most. A NULL answer: see ERR. */
    /* POST /cameras/test: the body of the answer. CAMERA (may be NULL) is the one whose
     * password stands for "***" in URL. */
    char *(*probe_json)(void *user, const char *url, const char *transport, const char *camera,
                        struct kt_error *err);
    char *(*discover_json)(void *user, const struct kt_discover_ask *ask, struct kt_error *err);   /* the list "items" */
    char *(*log_json)(void *user, size_t limit);                /* the list "items" */
    /* Rules tried on a recording; all NULL or none. Start: -EINVAL with ERR, -EBUSY, -ENOENT nothing
     * recorded. JSON as docs/openapi.yaml's Trial, malloc'd. Cancel: -ENOENT none runs. */
    int (*trial_start)(void *user, const struct kt_trial_ask *ask, struct kt_error *err);
    char *(*trial_json)(void *user, const char *camera, size_t skip);
    int (*trial_cancel)(void *user, const char *camera);
};

struct kt_web_ring {
    const char *name;
    kt_ring *ring;                  /* NULL: could not be opened: NOT RECORDING, see why */
    const char *why;
    bool events_only;               /* keeps what is around events; else records all the time */
    const char *streams;            /* "all", "main", "sub"; NULL: all */
    const char *const *cameras;     /* ids of those it is for; NULL: all */
    size_t n_cameras;
};

struct kt_web_params {
    const char *listen;             /* "0.0.0.0:8080", "[::]:8080" */
    const char *timezone;           /* "Asia/Jakarta" */
    const char *language;           /* "id" or "en" */
    const char *tls_cert, *tls_key; /* PEM: certificate chain and key; both NULL: plain HTTP. Read at start only */
    const char *web_root;           /* serve the app from here instead of the embedded one; NULL */
    kt_catalog *catalog;            /* borrowed */
    kt_hub *hub;                    /* borrowed */
    kt_vault *vault;                /* borrowed; NULL: no holds and no packages */
    kt_vault_jobs *jobs;            /* borrowed, what works for it; NULL: nothing does */
    const struct kt_web_ring *rings;    /* first is where playback reads first */
    size_t n_rings;
    struct kt_site site;
};

/* Everything in PARAMS that is a pointer stays valid until kt_web_stop().
 *   -EADDRINUSE  with ERR naming the port
 *   -EINVAL      certificate and key do not belong together, or cannot be read */
kt_must_check int kt_web_start(kt_web **out, const struct kt_web_params *params,
                               struct kt_error *err);
void kt_web_stop(kt_web **web);

/* Another certificate and key (PEM, copied) for who connects from now on; who is connected stays. Any
 * thread. After an error the old ones serve on.
 *   -EINVAL    they do not belong together, or cannot be read
 *   -ENOTSUP   started without TLS */
kt_must_check int kt_web_renew_certificate(kt_web *web, const char *cert, const char *key, struct kt_error *err);

/* The port it listens on (when asked for port 0). */
int kt_web_port(const kt_web *web);

#endif

/*
 * web_private.h - a request on its way, and how to answer it.
 */
#ifndef KT_HTTP_WEB_PRIVATE_H
#define KT_HTTP_WEB_PRIVATE_H

#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "storage/catalog/cases.h"
#include "storage/catalog/events.h"
#include "storage/catalog/people.h"
#include "web/http/parse.h"
#include "web/http/tls.h"
#include "web/http/web.h"

#define WEB_COOKIE "kentongan"
#define WEB_BODY_MAX (96 * 1024)
#define WEB_CONNECTIONS 512

struct web_conn;
struct web_live;

/* Which camera ids exist; asked for every request, renewed every second. */
struct web_known {
    char (*ids)[KT_ID_MAX + 1];
    size_t n;
    int64_t until_us;
};

/* Somebody looks at a camera: one line in the audit log for ten minutes of it. */
struct web_seen {
    char who[KT_USERNAME_MAX + 1], camera[KT_ID_MAX + 1], action[8];
    int64_t until_us;
};

struct kt_web {
    /* --- constant after start --- */
    struct kt_web_params params;
    struct MHD_Daemon *daemon;
    web_tls *tls;                       /* NULL: plain HTTP */
    int port;
    int64_t started_us;
    /* --- connections, see conn.c --- */
    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t changed;
    pthread_t reaper;
    struct web_conn *conns;
    size_t n_conns;
    bool stop;
    struct web_known known;
    int64_t volunteer_us, volunteer_until_us;   /* how far back volunteers may look, cached */
    struct web_seen seen[256];          /* what was written to the audit log just now */
    size_t seen_next;
    struct web_live *lives;
    /* --- any thread --- */
    atomic_uint logins;                 /* passwords being checked now */
    atomic_uint slow;                   /* probes and discoveries running now */
    atomic_uint revokes;                /* calls of web_live_revoke(); changed with lock held */
    atomic_uint_fast64_t requests, refused;
};

enum web_scope {
    SCOPE_NONE = 1,
    SCOPE_CAMERA,           /* the first part of the path is a camera the user may see */
    SCOPE_EVENT,            /* it is an event of such a camera */
    SCOPE_INCIDENT,         /* it is an incident that the user may see */
    SCOPE_EXPORT,           /* it is a package of such an incident */
    SCOPE_SHARE,            /* it is a link to such a package */
    SCOPE_HOLD,             /* it is video held of a camera that the user may see */
    SCOPE_USER,             /* it is an account that is not above the user's own */
    SCOPE_TOKEN,            /* it is a secret that is right enough, see cases.h */
    SCOPE_LIST,             /* the handler filters by what the user may see */
};

#define ROLE_BIT(role) (1u << (role))
#define ANYBODY (1u << 0)               /* also who is not logged in */
#define VOLUNTEER ROLE_BIT(KT_ROLE_VOLUNTEER)
#define POLICE ROLE_BIT(KT_ROLE_POLICE)
#define HEAD ROLE_BIT(KT_ROLE_HEAD)
#define ADMIN ROLE_BIT(KT_ROLE_ADMIN)
#define WATCHERS (VOLUNTEER | HEAD | ADMIN)
#define LOGGED_IN (WATCHERS | POLICE)

struct web_request;
typedef enum MHD_Result web_handler(struct web_request *r);

struct web_route {
    const char *method, *path;
    web_handler *handle;
    unsigned roles;                     /* who may; 0 is a mistake that the tests find */
    enum web_scope scope;
    const char *audit;                  /* what it is called in the audit log, or NULL */
};

/* The one table: a path that is not in it does not exist. */
extern const struct web_route web_routes[];
extern const size_t web_n_routes;

struct web_request {
    struct kt_web *web;
    struct MHD_Connection *conn;
    const char *method;                 /* HEAD is handled as GET */
    const char *path;
    const struct web_route *route;
    struct web_params params;
    char allow[48];                     /* methods of the path, where this one is not among them */
    char *body;
    size_t body_size, body_cap;
    bool started, bad_uri, too_big, secure, head;
    char address[INET6_ADDRSTRLEN];     /* of the browser, also behind a proxy on this machine */
    char token[KT_TOKEN_SIZE];          /* empty: no session */
    struct kt_user *user;               /* NULL: nobody */
    json_t *cameras;                    /* those of the user; NULL: all */
    unsigned revokes;                   /* how many there were before rights were read */
    struct kt_event *event;             /* SCOPE_EVENT */
    struct kt_incident *incident;       /* SCOPE_INCIDENT */
    struct kt_export *export;           /* SCOPE_EXPORT */
};

/* ------------------------------ asking (request.c) ------------------------------ */

const char *web_query(struct web_request *r, const char *name);     /* NULL when absent */
/* As web_parse_list() of all values of NAME, which may come several times; MAX is of all together. */
bool web_query_list(struct web_request *r, const char *name, size_t max, size_t part_max,
                    bool (*each)(void *user, const char *part), void *user);
const char *web_header(struct web_request *r, const char *name);
bool web_camera_known(struct kt_web *web, const char *id);

/* The body as an object whose keys are all in KEYS (NULL-terminated). NULL: *RESULT
 * is the answer that was queued. */
json_t *web_body(struct web_request *r, const char *const *keys, enum MHD_Result *result);

/* from= and to= as times, from < to. False: *RESULT is the answer that was queued. */
bool web_span(struct web_request *r, int64_t *from_us, int64_t *to_us, enum MHD_Result *result);

/* ------------------------------ who may see what (rights.c) ------------------------------ */

bool web_may_see(const struct web_request *r, const char *camera);
bool web_list_has(const json_t *list, const char *camera);          /* LIST NULL: all */
bool web_may_see_incident(struct web_request *r, const struct kt_incident *in);

#define WEB_VOLUNTEER_KEY "site.volunteer_hours"
#define WEB_VOLUNTEER_MAX_HOURS (366 * 24)

/* How far back volunteers may look. */
uint64_t web_volunteer_hours(struct kt_web *web);
/* The oldest moment whose pictures this user may see; 0: all. Volunteers look at what
 * is recent (setting volunteer_hours), everybody else at everything. */
int64_t web_earliest(struct web_request *r);
/* Is WALL_US before that? Then *RESULT is the answer that was queued. */
bool web_too_old(struct web_request *r, int64_t wall_us, enum MHD_Result *result);

/* ------------------------------ answering (reply.c) ------------------------------ */

enum web_cache { CACHE_NEVER, CACHE_REVALIDATE, CACHE_FOREVER, CACHE_PUBLIC };

/* Queue RESPONSE with the headers that every answer carries; consumes it. */
enum MHD_Result web_reply(struct web_request *r, unsigned status, struct MHD_Response *response,
                          enum web_cache cache);
/* Consumes ROOT. */
enum MHD_Result web_reply_json(struct web_request *r, unsigned status, json_t *root);
/* DATA was malloc'd and is taken over. */
enum MHD_Result web_reply_bytes(struct web_request *r, void *data, size_t n, const char *mime,
                                enum web_cache cache);
enum MHD_Result web_reply_empty(struct web_request *r, unsigned status);
enum MHD_Result web_problem(struct web_request *r, unsigned status, const char *code,
                            const char *detail);
enum MHD_Result web_problem_retry(struct web_request *r, unsigned status, const char *code,
                                  const char *detail, int retry_s);
/* A problem for what a catalog or ring function returned. */
enum MHD_Result web_problem_errno(struct web_request *r, int ret);

/* What Range and If-Range ask for; then the answer with the headers of parts. */
enum web_range web_range_of(struct web_request *r, uint64_t size, const char *etag, uint64_t *first,
                            uint64_t *last);
enum MHD_Result web_bad_range(struct web_request *r, uint64_t size);
enum MHD_Result web_reply_range(struct web_request *r, struct MHD_Response *response,
                                enum web_range what, uint64_t first, uint64_t last, uint64_t size,
                                const char *etag, const char *filename);

json_t *web_json_time(int64_t wall_us);         /* null for 0 */
/* A string even where TEXT is not UTF-8. */
json_t *web_json_text(const char *text);

/* ------------------------------ life (conn.c) ------------------------------ */

int web_listen(const char *listen, int *port, struct kt_error *err);
void web_conn_notify(void *cls, struct MHD_Connection *conn, void **socket_context,
                     enum MHD_ConnectionNotificationCode code);
enum MHD_Result web_conn_accept(void *cls, const struct sockaddr *addr, socklen_t n);
void web_conn_busy(struct web_request *r);      /* the header is complete */
void web_conn_idle(struct web_request *r);
void web_conn_upgraded(struct web_request *r);
int web_reaper_start(struct kt_web *web);
void web_reaper_stop(struct kt_web *web);

/* ------------------------------ who may (guard.c) ------------------------------ */

/* Who asks, from where. */
void web_identify(struct web_request *r);
/* Find the route and check every rule. True: call its handler; else *RESULT. */
bool web_admit(struct web_request *r, enum MHD_Result *result);
/* Write into the audit log; consumes DETAIL (may be NULL). */
void web_audit(struct web_request *r, const char *action, const char *object, json_t *detail);
/* WHO looks at CAMERA ("live", "play"): the audit log gets it once in a while. DETAIL is
 * JSON text or NULL. */
void web_audit_look(struct kt_web *web, const char *who, const char *address, const char *action,
                    const char *camera, const char *detail);

/* ------------------------------ shared by routes ------------------------------ */

/* Send clip bytes with Range. Takes CLIP over. */
struct kt_clip;
enum MHD_Result web_reply_clip(struct web_request *r, struct kt_clip *clip, const char *filename);
/* Any stretch of CAMERA's STREAM, of all the rings that it takes, as one clip. -ENOENT: nothing there. */
kt_must_check int web_open_clip(struct kt_web *web, const char *camera, const char *stream, int64_t from_us,
                                int64_t to_us, struct kt_clip **out);
/* The same, sent. */
enum MHD_Result web_send_clip(struct web_request *r, const char *camera, const char *stream,
                              int64_t from_us, int64_t to_us);
/* The site's cameras. *OUT malloc'd. */
int web_cameras(struct kt_web *web, struct kt_camera_state **out, size_t *n);
/* Rules from a body as text, null as "". False: no object, or too long. */
bool web_rules_text(char out[8192], const json_t *value);
/* Time of CAMERA's oldest recording, 0: none. */
int64_t web_oldest(struct kt_web *web, const char *camera);
bool web_any_ring(const struct kt_web *web);
/* The number of CAMERA's STREAM in RING, which may be NULL. */
bool web_find_stream(kt_ring *ring, const char *camera, const char *stream, uint32_t *number);

/* The PIN that was typed before, kept by the officer's browser for this link alone. NULL: none. */
const char *web_share_pin_cookie(struct web_request *r, char out[16]);
/* There is something to copy or to pack. */
void web_wake_jobs(struct web_request *r);

/* End live sockets of USERNAME (NULL: of TOKEN). */
void web_live_revoke(struct kt_web *web, const char *username, const char *token);

web_handler web_login, web_who_am_i, web_logout, web_change_password, web_get_settings,
    web_put_settings, web_list_cameras, web_add_camera, web_get_camera, web_change_camera,
    web_delete_camera, web_snapshot, web_playlist, web_segments, web_segment, web_init,
    web_keyframe, web_clip, web_erase, web_search_activity, web_list_events, web_mark_seen, web_get_event,
    web_change_event, web_thumbnail, web_event_clip, web_timeline, web_live, web_system,
    web_metrics, web_health, web_list_users, web_add_user, web_openapi, web_test_camera,
    web_discover, web_logs, web_change_user, web_delete_user, web_end_user_sessions,
    web_end_own_sessions, web_drop_user_totp, web_list_invitations, web_invite,
    web_withdraw_invitation, web_look_invitation, web_accept_invitation, web_begin_totp,
    web_confirm_totp, web_list_incidents, web_add_incident, web_get_incident,
    web_change_incident, web_delete_incident, web_mark_event, web_share_incident, web_add_holds,
    web_list_holds, web_release_hold, web_list_exports, web_add_export, web_get_export,
    web_cancel_export, web_package, web_list_shares, web_add_share, web_revoke_share,
    web_share_log, web_share_page, web_share_pin, web_share_package, web_list_audit,
    web_audit_table, web_verify_audit, web_get_site_settings, web_put_site_settings,
    web_list_own_sessions, web_end_own_session, web_drop_own_totp, web_paper, web_start_trial,
    web_get_trial, web_cancel_trial;

/* A path that is no route: a file of the browser app. */
enum MHD_Result web_asset(struct web_request *r);

#endif

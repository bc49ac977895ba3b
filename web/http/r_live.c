/*
 * r_live.c - from a request to a WebSocket that the hub owns.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>

#include "server/base/clock.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SESSION_CHECK_US (15 * KT_SECOND_US)

struct web_live {
    struct kt_web *web;
    struct web_live *prev, *next;       /* protected by web->lock */
    struct MHD_UpgradeResponseHandle *urh;
    char token[KT_TOKEN_SIZE];
    char username[KT_USERNAME_MAX + 1];
    char address[INET6_ADDRSTRLEN];
    json_t *cameras;                    /* NULL: all; constant */
    unsigned revokes;                   /* before its rights were read; constant */
    atomic_bool revoked;
    int64_t checked_us;                 /* hub's thread */
};

static void live_free(struct web_live *live)
{
    json_decref(live->cameras);
    free(live);
}

static void link_live(struct web_live *live)
{
    struct kt_web *web = live->web;
    pthread_mutex_lock(&web->lock);
    /* Rights that changed between being read and now: whoever revoked did not find it here. */
    if (live->revokes != atomic_load(&web->revokes))
        live->revoked = true;
    live->next = web->lives;
    if (live->next)
        live->next->prev = live;
    web->lives = live;
    pthread_mutex_unlock(&web->lock);
}

static void unlink_live(struct web_live *live)
{
    struct kt_web *web = live->web;
    pthread_mutex_lock(&web->lock);
    if (live->prev)
        live->prev->next = live->next;
    else
        web->lives = live->next;
    if (live->next)
        live->next->prev = live->prev;
    pthread_mutex_unlock(&web->lock);
}

void web_live_revoke(struct kt_web *web, const char *username, const char *token)
{
    pthread_mutex_lock(&web->lock);
    atomic_fetch_add(&web->revokes, 1);
    for (struct web_live *live = web->lives; live; live = live->next)
        if (username ? strcmp(live->username, username) == 0 : strcmp(live->token, token) == 0)
            live->revoked = true;
    pthread_mutex_unlock(&web->lock);
}

/* ------------------------------ for the hub ------------------------------ */

static int may_see(void *user, const char *camera)
{
    const struct web_live *live = user;
    return !live->revoked && web_list_has(live->cameras, camera) &&
           web_camera_known(live->web, camera);
}

static int alive(void *user)
{
    struct web_live *live = user;
    struct kt_user *u = NULL;
    const int64_t now_us = kt_clock_mono_us();
    if (live->revoked)
        return 0;
    if (now_us - live->checked_us < SESSION_CHECK_US)
        return 1;
    live->checked_us = now_us;
    if (kt_catalog_session_user(live->web->params.catalog, live->token, &u) < 0)
        return 0;
    kt_user_list_free(&u, 1);
    return 1;
}

static void on_watch(void *user, const char *camera, const char *stream)
{
    const struct web_live *live = user;
    char detail[64];
    snprintf(detail, sizeof(detail), "{\"stream\":\"%s\"}", stream);
    web_audit_look(live->web, live->username, live->address, "live", camera, detail);
}

static void on_close(void *user)
{
    struct web_live *live = user;
    unlink_live(live);
    (void)MHD_upgrade_action(live->urh, MHD_UPGRADE_ACTION_CLOSE);
    live_free(live);
}

/* libmicrohttpd hands the socket over. */
static void on_upgrade(void *cls, struct MHD_Connection *conn, void *context, const char *extra,
                       size_t extra_size, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    struct web_live *live = cls;
    const struct kt_hub_viewer viewer = { .fd = fd, .extra = extra, .extra_size = extra_size,
                                          .user = live, .may_see = may_see, .on_close = on_close,
                                          .alive = alive, .on_watch = on_watch };
    const int flags = fcntl(fd, F_GETFL);
    live->urh = urh;
    link_live(live);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        kt_hub_adopt(live->web->params.hub, &viewer) < 0)
        on_close(live);
}

/* ------------------------------ the handshake ------------------------------ */

static void accept_key(const char *key, char out[32])
{
    char text[128];
    uint8_t hash[EVP_MAX_MD_SIZE];
    const int n = snprintf(text, sizeof(text), "%.24s" GUID, key);
    (void)EVP_Digest(text, (size_t)n, hash, NULL, EVP_sha1(), NULL);
    (void)EVP_EncodeBlock((unsigned char *)out, hash, 20);
}

/* A WebSocket is not bound by the same-origin rule: a page of another site could
 * open one with the visitor's cookie. */
static bool is_foreign(struct web_request *r)
{
    const char *origin = web_header(r, "Origin");
    return origin && !web_same_origin(origin, web_header(r, "Host"), r->secure);
}

static struct web_live *live_new(struct web_request *r)
{
    struct web_live *live = calloc(1, sizeof(*live));
    if (!live)
        return NULL;
    live->web = r->web;
    strcpy(live->token, r->token);
    strcpy(live->username, r->user->username);
    strcpy(live->address, r->address);
    live->cameras = r->cameras ? json_deep_copy(r->cameras) : NULL;
    live->checked_us = kt_clock_mono_us();
    live->revokes = r->revokes;
    atomic_init(&live->revoked, r->cameras && !live->cameras);
    return live;
}

enum MHD_Result web_live(struct web_request *r)
{
    char accept[32];
    const char *key = web_header(r, "Sec-WebSocket-Key");
    const char *version = web_header(r, "Sec-WebSocket-Version");
    if (is_foreign(r))
        return web_problem(r, 403, "cross-site", "asked for by another site");
    if (r->head || !web_has_token(web_header(r, "Upgrade"), "websocket") ||
        !web_has_token(web_header(r, "Connection"), "upgrade") || !version ||
        strcmp(version, "13") != 0 || !key || strlen(key) != 24)
        return web_problem(r, 426, "not-websocket", "this address speaks WebSocket version 13");
    struct web_live *live = live_new(r);
    struct MHD_Response *response = live ? MHD_create_response_for_upgrade(on_upgrade, live) : NULL;
    if (!response) {
        if (live)
            live_free(live);
        return MHD_NO;
    }
    accept_key(key, accept);
    (void)MHD_add_response_header(response, "Upgrade", "websocket");
    (void)MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
    web_conn_upgraded(r);
    const enum MHD_Result ret = MHD_queue_response(r->conn, 101, response);
    MHD_destroy_response(response);
    return ret;
}

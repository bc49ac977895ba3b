/*
 * web.c - libmicrohttpd: an epoll thread pool, one struct web_request a request.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "server/base/clock.h"
#include "server/base/log.h"

#define THREADS 8
#define IDLE_S 60
#define CONNECTION_MEMORY (32 * 1024)

static void request_free(struct web_request *r)
{
    json_decref(r->cameras);
    if (r->user)
        kt_user_list_free(&r->user, 1);
    if (r->event)
        kt_event_list_free(&r->event, 1);
    if (r->incident)
        kt_incident_list_free(&r->incident, 1);
    if (r->export)
        kt_export_list_free(&r->export, 1);
    free(r->body);
    free(r);
}

/* Before anything is parsed: URI is what the client wrote. */
static void *on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
    struct web_request *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->web = cls;
    r->conn = conn;
    r->bad_uri = uri[0] != '/' || strlen(uri) > 8000;
    for (const char *p = uri; *p; p++)
        r->bad_uri |= *p <= ' ' || *p >= 0x7f || *p == '\\' || strncmp(p, "%00", 3) == 0;
    return r;
}

static void on_done(void *cls, struct MHD_Connection *conn, void **context,
                    enum MHD_RequestTerminationCode code)
{
    struct web_request *r = *context;
    *context = NULL;
    if (!r)
        return;
    web_conn_idle(r);
    request_free(r);
}

struct header_count {
    unsigned length, encoding, host, cookie;
    bool odd;               /* a name with a space (libmicrohttpd takes it for another name), an unknown encoding */
};

static bool is_token(const char *name)
{
    for (; *name; name++)
        if (*name <= ' ' || *name >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *name))
            return false;
    return true;
}

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct header_count *n = cls;
    n->length += strcasecmp(key, "Content-Length") == 0;
    n->encoding += strcasecmp(key, "Transfer-Encoding") == 0;
    n->odd |= !is_token(key) || (strcasecmp(key, "Transfer-Encoding") == 0 && (!value || strcasecmp(value, "chunked") != 0));
    n->host += strcasecmp(key, "Host") == 0;
    n->cookie += strcasecmp(key, "Cookie") == 0;
    return MHD_YES;
}

/* Where two programs could read the same request differently, nobody reads it. */
static bool is_ambiguous(struct MHD_Connection *conn)
{
    struct header_count n = { 0 };
    (void)MHD_get_connection_values(conn, MHD_HEADER_KIND, count_header, &n);
    return n.length > 1 || n.encoding > 1 || (n.length > 0 && n.encoding > 0) || n.host > 1 ||
           n.cookie > 1 || n.odd;
}

static enum MHD_Result begin(struct web_request *r, const char *url, const char *method)
{
    enum MHD_Result result = MHD_YES;
    uint64_t length = 0;
    r->started = true;
    r->head = strcmp(method, "HEAD") == 0;
    r->method = r->head ? "GET" : method;
    r->path = url;
    r->web->requests++;
    web_conn_busy(r);
    for (const char *p = url; *p; p++)      /* after decoding */
        r->bad_uri |= (unsigned char)*p < 0x20 || *p == 0x7f;
    if (r->bad_uri || is_ambiguous(r->conn))
        return web_problem(r, 400, "bad-request", "not a request this server reads");
    const char *text = web_header(r, "Content-Length");
    if (text && (!web_parse_uint(text, UINT64_MAX, &length) || length > WEB_BODY_MAX))
        return web_problem(r, 413, "too-large", "the request is too large");
    web_identify(r);
    if (!web_admit(r, &result))
        return result;
    return MHD_YES;
}

static void take_body(struct web_request *r, const char *data, size_t n)
{
    if (r->too_big || r->body_size + n > WEB_BODY_MAX) {
        r->too_big = true;
        return;
    }
    if (r->body_size + n + 1 > r->body_cap) {
        const size_t cap = (r->body_size + n + 4096) & ~(size_t)4095;
        char *body = realloc(r->body, cap);
        if (!body) {
            r->too_big = true;
            return;
        }
        r->body = body;
        r->body_cap = cap;
    }
    memcpy(r->body + r->body_size, data, n);
    r->body_size += n;
    r->body[r->body_size] = '\0';
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
    struct web_request *r = *context;
    if (!r)
        return MHD_NO;
    if (!r->started)
        return begin(r, url, method);
    if (*size > 0) {
        const bool was_too_big = r->too_big;
        take_body(r, data, *size);
        *size = 0;
        return was_too_big ? MHD_NO : MHD_YES;      /* who goes on after that is cut off */
    }
    if (r->too_big)
        return web_problem(r, 413, "too-large", "the request is too large");
    web_conn_upgraded(r);           /* an answer may take as long as it takes */
    return r->route ? r->route->handle(r) : web_asset(r);
}

static kt_printf(2, 0) void on_log(void *cls, const char *fmt, va_list ap)
{
    char line[256];
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    kt_debug("http", "%s", line);
}

/* With TLS, connections come from there and not from the listening socket. */
static int start_daemon(struct kt_web *web, int fd)
{
    struct MHD_OptionItem listen[] = { { MHD_OPTION_LISTEN_SOCKET, fd, NULL }, { MHD_OPTION_END, 0, NULL } };
    if (web->tls)
        listen[0] = listen[1];
    web->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG |
            (web->tls ? MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC : 0), 0,
        web_conn_accept, web, on_request, web,
        MHD_OPTION_EXTERNAL_LOGGER, on_log, web,
        MHD_OPTION_ARRAY, listen,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)WEB_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, web,
        MHD_OPTION_NOTIFY_COMPLETED, on_done, web,
        MHD_OPTION_NOTIFY_CONNECTION, web_conn_notify, web,
        MHD_OPTION_END);
    if (!web->daemon)
        return -EIO;
    const int ret = web->tls ? web_tls_start(web->tls, fd, web->daemon) : 0;
    if (ret < 0)
        MHD_stop_daemon(web->daemon);
    return ret;
}

static void web_free(struct kt_web *web)
{
    web_tls_stop(&web->tls);
    pthread_mutex_destroy(&web->lock);
    pthread_cond_destroy(&web->changed);
    free(web->known.ids);
    free(web);
}

int kt_web_start(kt_web **out, const struct kt_web_params *params, struct kt_error *err)
{
    struct kt_web *web = calloc(1, sizeof(*web));
    if (!web)
        return kt_error_set(err, -ENOMEM, "no memory for the web server");
    web->params = *params;
    web->started_us = kt_clock_wall_us();
    pthread_mutex_init(&web->lock, NULL);
    (void)kt_cond_init(&web->changed);
    int ret = params->tls_key ? web_tls_create(&web->tls, params->tls_cert, params->tls_key, err) : 0;
    const int fd = ret == 0 ? web_listen(params->listen, &web->port, err) : ret;
    if (fd < 0) {
        web_free(web);
        return fd;
    }
    ret = web_reaper_start(web);
    if (ret < 0) {
        (void)close(fd);
        web_free(web);
        return kt_error_set(err, ret, "cannot start a thread: %s", kt_strerror(ret));
    }
    ret = start_daemon(web, fd);
    if (ret < 0) {
        if (!web->tls)                  /* else it is TLS's, or nobody's */
            (void)close(fd);
        web_reaper_stop(web);
        web_free(web);
        return kt_error_set(err, ret, "the web server on %s does not start", params->listen);
    }
    *out = web;
    return 0;
}

void kt_web_stop(kt_web **pweb)
{
    struct kt_web *web = kt_steal_ptr(pweb);
    if (!web)
        return;
    const int fd = MHD_quiesce_daemon(web->daemon);     /* nobody new */
    kt_hub_disconnect(web->params.hub);                 /* gives all upgraded sockets back */
    web_tls *tls = web->tls;            /* requests on their way still ask whether it is there */
    web_tls_stop(&tls);
    MHD_stop_daemon(web->daemon);
    web->tls = NULL;
    if (fd >= 0)
        (void)close(fd);
    web_reaper_stop(web);
    web_free(web);
}

int kt_web_renew_certificate(kt_web *web, const char *cert, const char *key, struct kt_error *err)
{
    if (!web->tls)
        return kt_error_set(err, -ENOTSUP, "HTTPS begins at a restart only");
    return web_tls_renew(web->tls, cert, key, err);
}

int kt_web_port(const kt_web *web)
{
    return web->port;
}

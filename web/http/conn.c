/*
 * conn.c - the listening socket, and a list of all connections so that nobody can
 * keep one without using it: libmicrohttpd's own timeout starts again with every
 * byte, which a patient client can send for ever.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "server/base/clock.h"

#define HEADER_US (20 * KT_SECOND_US)       /* a new connection has this long for its first header */
#define IDLE_US (75 * KT_SECOND_US)         /* and this long between two requests */
#define BODY_US (30 * KT_SECOND_US)
#define PER_ADDRESS 96
#define REAP_US (2 * KT_SECOND_US)

struct web_conn {
    struct kt_web *web;
    struct web_conn *prev, *next;
    int fd;
    struct in6_addr address;
    int64_t deadline_us;                    /* 0: none, an answer is being sent */
};

/* ------------------------------ listening ------------------------------ */

static int bind_to(const struct addrinfo *ai, int *port)
{
    kt_cleanup(kt_closep) int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1, off = 0;
    struct sockaddr_in6 name;
    socklen_t n = sizeof(name);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 256) < 0 ||
        getsockname(fd, (struct sockaddr *)&name, &n) < 0)
        return -errno;
    *port = ntohs(name.sin6_port);          /* where it is for IPv4 too */
    const int ret = fd;
    fd = -1;
    return ret;
}

static int say_why(int ret, const char *text, struct kt_error *err)
{
    if (ret == -EADDRINUSE)
        return kt_error_set(err, ret, "cannot listen on %s: another program uses this port", text);
    return kt_error_set(err, ret, "cannot listen on %s: %s", text, kt_strerror(ret));
}

int web_listen(const char *text, int *port, struct kt_error *err)
{
    char host[64] = "";
    const char *colon = strrchr(text, ':');
    const size_t n = colon ? (size_t)(colon - text) : 0;
    const bool v6 = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    uint64_t number;
    if (!colon || n >= sizeof(host) || !web_parse_uint(colon + 1, 65535, &number))
        return kt_error_set(err, -EINVAL, "cannot listen on \"%s\": write ADDRESS:PORT", text);
    memcpy(host, text + (v6 ? 1 : 0), n - (v6 ? 2 : 0));
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *ai = NULL;
    if (getaddrinfo(n > 0 ? host : NULL, colon + 1, &hints, &ai) != 0)
        return kt_error_set(err, -EINVAL, "cannot listen on \"%s\": write ADDRESS:PORT, for example "
                            "0.0.0.0:8080", text);
    const int fd = bind_to(ai, port);
    freeaddrinfo(ai);
    return fd < 0 ? say_why(fd, text, err) : fd;
}

/* ------------------------------ the list ------------------------------ */

static struct in6_addr address_of(const struct sockaddr *addr)
{
    struct in6_addr out = IN6ADDR_ANY_INIT;
    if (addr->sa_family == AF_INET6)
        return ((const struct sockaddr_in6 *)addr)->sin6_addr;
    if (addr->sa_family == AF_INET) {
        memset(out.s6_addr + 10, 0xff, 2);
        memcpy(out.s6_addr + 12, &((const struct sockaddr_in *)addr)->sin_addr, 4);
    }
    return out;
}

static bool is_loopback(const struct in6_addr *a)
{
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

enum MHD_Result web_conn_accept(void *cls, const struct sockaddr *addr, socklen_t n)
{
    struct kt_web *web = cls;
    const struct in6_addr address = address_of(addr);
    size_t same = 0;
    if (is_loopback(&address))              /* a reverse proxy brings everybody */
        return MHD_YES;
    pthread_mutex_lock(&web->lock);
    for (const struct web_conn *c = web->conns; c; c = c->next)
        same += IN6_ARE_ADDR_EQUAL(&c->address, &address);
    pthread_mutex_unlock(&web->lock);
    if (same < PER_ADDRESS)
        return MHD_YES;
    web->refused++;
    return MHD_NO;
}

static void add(struct kt_web *web, struct MHD_Connection *conn, void **socket_context)
{
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *addr = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct web_conn *c = calloc(1, sizeof(*c));
    *socket_context = c;
    if (!c)
        return;
    c->web = web;
    c->fd = fd->connect_fd;
    c->address = address_of(addr->client_addr);
    c->deadline_us = kt_clock_mono_us() + HEADER_US;
    pthread_mutex_lock(&web->lock);
    c->next = web->conns;
    if (c->next)
        c->next->prev = c;
    web->conns = c;
    web->n_conns++;
    pthread_mutex_unlock(&web->lock);
}

static void drop(struct kt_web *web, struct web_conn *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&web->lock);
    if (c->prev)
        c->prev->next = c->next;
    else
        web->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    web->n_conns--;
    pthread_mutex_unlock(&web->lock);
    free(c);
}

void web_conn_notify(void *cls, struct MHD_Connection *conn, void **socket_context,
                     enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        add(cls, conn, socket_context);
        return;
    }
    drop(cls, *socket_context);
    *socket_context = NULL;
}

static void set_deadline(struct web_request *r, int64_t deadline_us)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct web_conn *c = info ? info->socket_context : NULL;
    if (!c)
        return;
    pthread_mutex_lock(&r->web->lock);
    c->deadline_us = deadline_us;
    pthread_mutex_unlock(&r->web->lock);
}

void web_conn_busy(struct web_request *r)
{
    set_deadline(r, kt_clock_mono_us() + BODY_US);
}

void web_conn_idle(struct web_request *r)
{
    set_deadline(r, kt_clock_mono_us() + IDLE_US);
}

void web_conn_upgraded(struct web_request *r)
{
    set_deadline(r, 0);
}

/* ------------------------------ the reaper ------------------------------ */

static void *reap(void *arg)
{
    struct kt_web *web = arg;
    (void)pthread_setname_np(pthread_self(), "kt-reaper");
    pthread_mutex_lock(&web->lock);
    while (!web->stop) {
        const struct timespec deadline = kt_clock_deadline(REAP_US);
        (void)pthread_cond_timedwait(&web->changed, &web->lock, &deadline);
        const int64_t now_us = kt_clock_mono_us();
        for (struct web_conn *c = web->conns; c; c = c->next) {
            if (c->deadline_us == 0 || now_us < c->deadline_us)
                continue;
            (void)shutdown(c->fd, SHUT_RDWR);   /* libmicrohttpd sees the end and closes it */
            c->deadline_us = 0;
        }
    }
    pthread_mutex_unlock(&web->lock);
    return NULL;
}

int web_reaper_start(struct kt_web *web)
{
    return -pthread_create(&web->reaper, NULL, reap, web);
}

void web_reaper_stop(struct kt_web *web)
{
    pthread_mutex_lock(&web->lock);
    web->stop = true;
    pthread_cond_broadcast(&web->changed);
    pthread_mutex_unlock(&web->lock);
    pthread_join(web->reaper, NULL);
}

/*
 * http_client.h - a client that says exactly what it is told to, also what no
 * browser would say. For tests of the HTTP server.
 */
#ifndef KT_TESTS_HTTP_CLIENT_H
#define KT_TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct http_reply {
    int status;                     /* 0: the connection ended without an answer */
    char head[8192];
    char *body;                     /* NUL after SIZE bytes; http_free() */
    size_t size;
};

static inline int http_connect(int port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
        abort();
    return fd;
}

static inline void http_free(struct http_reply *r)
{
    free(r->body);
    *r = (struct http_reply){ 0 };
}

/* The value of a header into OUT. */
static inline bool http_header(const struct http_reply *r, const char *name, char *out, size_t cap)
{
    const size_t n = strlen(name);
    for (const char *p = strstr(r->head, "\r\n"); p && p[2]; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) != 0 || p[n] != ':')
            continue;
        const char *value = p + n + 1 + strspn(p + n + 1, " ");
        snprintf(out, cap, "%.*s", (int)strcspn(value, "\r"), value);
        return true;
    }
    return false;
}

/* Read one answer from FD, waiting up to MS for each part of it. */
static inline struct http_reply http_read(int fd, int ms, bool no_body)
{
    struct http_reply r = { 0 };
    char text[32], *end = NULL;
    size_t n = 0;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (!end && n < sizeof(r.head) - 1 && poll(&p, 1, ms) == 1) {
        const ssize_t got = recv(fd, r.head + n, 1, 0);     /* what follows is not ours to take */
        if (got <= 0)
            break;
        n += (size_t)got;
        r.head[n] = '\0';
        end = strstr(r.head, "\r\n\r\n");
    }
    if (!end)
        return r;
    r.status = atoi(r.head + 9);
    end[2] = '\0';
    size_t size = http_header(&r, "Content-Length", text, sizeof(text)) ? strtoul(text, NULL, 10) : 0;
    if (no_body || r.status == 101 || r.status == 204 || r.status == 304)
        size = 0;
    r.body = calloc(1, size + 1);
    while (r.size < size && poll(&p, 1, ms) == 1) {
        const ssize_t got = recv(fd, r.body + r.size, size - r.size, 0);
        if (got <= 0)
            break;
        r.size += (size_t)got;
    }
    return r;
}

static inline void http_send(int fd, const char *text, size_t n)
{
    while (n > 0) {
        const ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        n -= (size_t)sent;
    }
}

/* Send TEXT as it is on a connection of its own. */
static inline struct http_reply http_raw(int port, const char *text, size_t n)
{
    const int fd = http_connect(port);
    http_send(fd, text, n);
    struct http_reply r = http_read(fd, 5000, strncmp(text, "HEAD", 4) == 0);
    close(fd);
    return r;
}

/*
 * METHOD PATH with further HEADERS ("A: b\r\n…" or NULL), COOKIE (a token or NULL)
 * and BODY (sent as JSON, or NULL).
 */
static inline struct http_reply http_do(int port, const char *method, const char *path,
                                        const char *cookie, const char *headers, const char *body)
{
    char *text = NULL, type[96] = "", session[128] = "";
    if (body)
        snprintf(type, sizeof(type), "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                 strlen(body));
    if (cookie)
        snprintf(session, sizeof(session), "Cookie: kentongan=%s\r\n", cookie);
    const int n = asprintf(&text, "%s %s HTTP/1.1\r\nHost: pos:8080\r\nConnection: close\r\n%s%s%s\r\n%s",
                           method, path, session, type, headers ? headers : "", body ? body : "");
    if (n < 0)
        abort();
    struct http_reply r = http_raw(port, text, (size_t)n);
    free(text);
    return r;
}

#endif

/*
 * fuzz_http.c - requests to the whole HTTP side, over a socket: real routes, catalog, vault
 * and hub. The first byte chooses between raw bytes and a proper request of an administrator
 * whose query, body or headers are what is fuzzed; the second byte chooses the route.
 * Nothing may crash, and every answer must be one that the server means: never a 5xx but
 * for what is not there in this site (503) or does not fit (507).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/catalog/people.h"
#include "web/http/web_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 3000

static char dir[] = "/tmp/kt-fuzz-http-XXXXXX";
static kt_catalog *catalog;
static kt_web *web;
static int port;
static char token[KT_TOKEN_SIZE];

static int site_cameras(void *user, struct kt_camera_state **out, size_t *n)
{
    struct kt_camera_state *list = calloc(2, sizeof(*list));
    if (!list)
        return -ENOMEM;
    strcpy(list[0].config.id, "gate");
    strcpy(list[0].config.name, "Gate");
    strcpy(list[0].state, "recording");
    *out = list;
    *n = 1;
    return 0;
}

static int site_snapshot(void *user, const char *camera, uint8_t **out, size_t *n, int64_t *wall_us)
{
    return -EAGAIN;
}

static int site_put(void *user, const struct kt_camera_config *cam, bool create, struct kt_error *err)
{
    return -EPERM;
}

static int site_delete(void *user, const char *id, struct kt_error *err)
{
    return -EPERM;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void clean(void)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void log_in(void)
{
    int retry_s;
    if (kt_catalog_login(catalog, "admin", "burung gagak hitam", "fuzz", token, &retry_s) < 0)
        abort();
}

static void start(void)
{
    static struct kt_web_ring rings[1] = { { .name = "video", .why = "none here" } };
    char path[96];
    struct kt_error err = { "" };
    kt_hub *hub = NULL;
    kt_vault *vault = NULL;
    if (!mkdtemp(dir))
        abort();
    atexit(clean);
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
    if (kt_catalog_open(&catalog, path, &err) < 0)
        abort();
    snprintf(path, sizeof(path), "%s/vault", dir);
    const struct kt_vault_params store = { .path = path, .max_bytes = 1 << 20, .catalog = catalog };
    if (kt_vault_open(&vault, &store, &err) < 0 || kt_hub_create(&hub, NULL) < 0 ||
        kt_catalog_user_add(catalog, "admin", "burung gagak hitam", KT_ROLE_ADMIN) < 0)
        abort();
    const struct kt_web_params params = {
        .listen = "127.0.0.1:0", .timezone = "Asia/Jakarta", .language = "id", .catalog = catalog,
        .hub = hub, .vault = vault, .rings = rings, .n_rings = 1,
        .site = { .cameras = site_cameras, .snapshot = site_snapshot, .camera_put = site_put,
                  .camera_delete = site_delete },
    };
    if (kt_web_start(&web, &params, &err) < 0)
        abort();
    port = kt_web_port(web);
    log_in();
}

/* The path of a route with something in the place of its {parameters}. */
static void fill_path(const char *pattern, char *out, size_t cap)
{
    size_t n = 0;
    while (*pattern && n + 16 < cap) {
        if (*pattern != '{') {
            out[n++] = *pattern++;
            continue;
        }
        const bool id = strncmp(pattern, "{id}", 4) == 0;
        n += (size_t)snprintf(out + n, cap - n, "%s", id ? "gate" : "1");
        pattern += strcspn(pattern, "}");
        pattern += *pattern == '}';
    }
    out[n] = '\0';
}

/* These would end our own session or take what they are given for hours of hashing. */
static bool left_out(const struct web_route *r)
{
    return strstr(r->path, "/session") || strstr(r->path, "/users") || strstr(r->path, "invitation") ||
           strstr(r->path, "/live");
}

/* Characters that may stand in a request line. */
static void plain(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            *text = '.';
}

static size_t make_request(const uint8_t *data, size_t size, char *out, size_t cap)
{
    char path[256], text[TEXT_MAX + 1];
    if (data[0] % 4 == 0) {
        memcpy(out, data + 2, size - 2);
        return size - 2;
    }
    const struct web_route *route = &web_routes[data[1] % web_n_routes];
    if (left_out(route))
        return 0;
    fill_path(route->path, path, sizeof(path));
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    if (strcmp(route->method, "GET") == 0 || strcmp(route->method, "DELETE") == 0) {
        plain(text);
        const bool range = data[0] % 4 == 1;
        return (size_t)snprintf(out, cap, "%s %s%s%s HTTP/1.1\r\nHost: x\r\nCookie: kentongan=%s\r\n%s%s%s"
                                "Connection: close\r\n\r\n", route->method, path, range ? "" : "?",
                                range ? "" : text, token, range ? "Range: " : "", range ? text : "",
                                range ? "\r\n" : "");
    }
    return (size_t)snprintf(out, cap, "%s %s HTTP/1.1\r\nHost: x\r\nCookie: kentongan=%s\r\nContent-Type: "
                            "application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", route->method,
                            path, token, strlen(text), text);
}

/* RAW: what may be half a request is not waited for until the server gives up on it. */
static int answer_of(const char *request, size_t n, bool raw)
{
    char reply[512];
    size_t have = 0;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = { .tv_sec = raw ? 0 : 10, .tv_usec = raw ? 20000 : 0 };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        abort();
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    /* No thousands of ports that wait. */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    (void)send(fd, request, n, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    for (ssize_t got; have < sizeof(reply) - 1 && (got = recv(fd, reply + have, sizeof(reply) - 1 - have, 0)) > 0;)
        have += (size_t)got;
    close(fd);
    reply[have] = '\0';
    return have >= 12 && strncmp(reply, "HTTP/1.1 ", 9) == 0 ? atoi(reply + 9) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char request[TEXT_MAX + 1024];
    if (size < 2 || size > TEXT_MAX)
        return 0;
    if (!web)
        start();
    const size_t n = make_request(data, size, request, sizeof(request));
    if (n == 0 || n >= sizeof(request))
        return 0;
    const int status = answer_of(request, n, data[0] % 4 == 0);
    if (status >= 500 && status != 503 && status != 507 && status != 501 && status != 505)
        abort();
    if (status == 401 && data[0] % 4 != 0)
        log_in();
    return 0;
}

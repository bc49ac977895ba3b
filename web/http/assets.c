/*
 * assets.c - the browser app: from inside the program, or from a directory while
 * somebody works on it.
 */
#include "web/ui/assets.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "web/http/web_private.h"

extern const unsigned char kt_openapi[], kt_openapi_end[];     /* docs/openapi.yaml */

static const char not_built[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Kentongan</title>"
    "<h1>Kentongan</h1><p>The recorder runs, but this build has no browser app in it: Node or its "
    "packages were missing. Run <code>./run build</code> with the network up. The interface for "
    "programs is at <a href=\"/api/v1/openapi.yaml\">/api/v1/openapi.yaml</a>.</p></html>\n";

static int by_path(const void *key, const void *item)
{
    return strcmp(key, ((const struct kt_ui_asset *)item)->path);
}

static const struct kt_ui_asset *find_asset(const char *path)
{
    return bsearch(path, kt_ui_assets, kt_ui_assets_count, sizeof(*kt_ui_assets), by_path);
}

static enum MHD_Result send_asset(struct web_request *r, const struct kt_ui_asset *a)
{
    const char *accepted = web_header(r, "Accept-Encoding");
    const char *known = web_header(r, "If-None-Match");
    const struct kt_ui_bytes *bytes = &a->plain;
    const char *encoding = NULL;
    if (a->br.data && web_has_token(accepted, "br")) {
        bytes = &a->br;
        encoding = "br";
    } else if (a->gz.data && web_has_token(accepted, "gzip")) {
        bytes = &a->gz;
        encoding = "gzip";
    }
    char etag[96];
    snprintf(etag, sizeof(etag), "\"%.80s\"", a->etag);
    const bool same = known && web_has_token(known, etag);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        same ? 0 : bytes->size, (void *)bytes->data, MHD_RESPMEM_PERSISTENT);
    if (response) {
        (void)MHD_add_response_header(response, "Content-Type", a->type);
        (void)MHD_add_response_header(response, "ETag", etag);
        (void)MHD_add_response_header(response, "Vary", "Accept-Encoding");
        if (encoding && !same)
            (void)MHD_add_response_header(response, "Content-Encoding", encoding);
    }
    return web_reply(r, same ? 304 : 200, response, a->immutable ? CACHE_PUBLIC : CACHE_REVALIDATE);
}

/* ------------------------------ from a directory ------------------------------ */

static const char *mime_of(const char *path)
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" }, { ".json", "application/json" },
        { ".svg", "image/svg+xml" }, { ".png", "image/png" }, { ".map", "application/json" },
        { ".webmanifest", "application/manifest+json" },
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < KT_ARRAY_SIZE(types); i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

/* Plain names only: nothing hidden, nothing upwards. */
static bool is_plain(const char *path)
{
    static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    return path[0] == '/' && path[strspn(path, ok)] == '\0' && !strstr(path, "/.") &&
           !strstr(path, "//");
}

static enum MHD_Result send_file(struct web_request *r, const char *path)
{
    kt_cleanup(kt_closep) int dir = open(r->web->params.web_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (!is_plain(path) || dir < 0)
        return web_problem(r, 404, "not-found", "no such address");
    const int fd = openat(dir, path + 1, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            (void)close(fd);
        return web_problem(r, 404, "not-found", "no such address");
    }
    struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)st.st_size, fd);
    if (!response) {
        (void)close(fd);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", mime_of(path));
    return web_reply(r, 200, response, CACHE_NEVER);
}

static enum MHD_Result send_constant(struct web_request *r, const void *data, size_t n,
                                     const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(n, (void *)data, MHD_RESPMEM_PERSISTENT);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", type);
    return web_reply(r, 200, response, CACHE_REVALIDATE);
}

enum MHD_Result web_asset(struct web_request *r)
{
    const char *path = strcmp(r->path, "/") == 0 ? "/index.html" : r->path;
    if (r->web->params.web_root)
        return send_file(r, path);
    const struct kt_ui_asset *a = find_asset(path + 1);
    if (a)
        return send_asset(r, a);
    if (kt_ui_assets_count == 0 && strcmp(path, "/index.html") == 0)
        return send_constant(r, not_built, sizeof(not_built) - 1, "text/html; charset=utf-8");
    return web_problem(r, 404, "not-found", "no such address");
}

enum MHD_Result web_openapi(struct web_request *r)
{
    return send_constant(r, kt_openapi, (size_t)(kt_openapi_end - kt_openapi), "application/yaml");
}

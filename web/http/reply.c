/*
 * reply.c - every answer carries the same protective headers.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/clock.h"

static const char *const cache_text[] = {
    [CACHE_NEVER] = "no-store",
    [CACHE_REVALIDATE] = "no-cache",
    [CACHE_FOREVER] = "private, max-age=31536000, immutable",
    [CACHE_PUBLIC] = "public, max-age=31536000, immutable",
};

static const char *const protective[][2] = {
    { "X-Content-Type-Options", "nosniff" },
    { "X-Frame-Options", "DENY" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()" },
    { "Content-Security-Policy",
      "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; connect-src 'self'; "
      "worker-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; "
      "form-action 'self'; frame-ancestors 'none'" },
};

enum MHD_Result web_reply(struct web_request *r, unsigned status, struct MHD_Response *response,
                          enum web_cache cache)
{
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < KT_ARRAY_SIZE(protective); i++)
        (void)MHD_add_response_header(response, protective[i][0], protective[i][1]);
    (void)MHD_add_response_header(response, "Cache-Control", cache_text[cache]);
    if (r->secure)
        (void)MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
    const enum MHD_Result ret = MHD_queue_response(r->conn, status, response);
    MHD_destroy_response(response);
    return ret;
}

static struct MHD_Response *json_response(json_t *root, const char *mime)
{
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (!text)
        return NULL;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", mime);
    else
        free(text);
    return response;
}

enum MHD_Result web_reply_json(struct web_request *r, unsigned status, json_t *root)
{
    return web_reply(r, status, json_response(root, "application/json"), CACHE_NEVER);
}

enum MHD_Result web_reply_bytes(struct web_request *r, void *data, size_t n, const char *mime,
                                enum web_cache cache)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(n, data, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(data);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", mime);
    return web_reply(r, 200, response, cache);
}

enum MHD_Result web_reply_empty(struct web_request *r, unsigned status)
{
    return web_reply(r, status, MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT),
                     CACHE_NEVER);
}

static const char *title_of(unsigned status)
{
    const char *title = MHD_get_reason_phrase_for(status);
    return title ? title : "Error";
}

enum MHD_Result web_problem_retry(struct web_request *r, unsigned status, const char *code,
                                  const char *detail, int retry_s)
{
    char seconds[16];
    json_t *root = json_pack("{s:s, s:s, s:i, s:s, s:o}", "type", "about:blank", "title",
                             title_of(status), "status", (int)status, "code", code, "detail",
                             web_json_text(detail));
    if (retry_s > 0)
        (void)json_object_set_new(root, "retry_after", json_integer(retry_s));
    struct MHD_Response *response = json_response(root, "application/problem+json");
    if (response && retry_s > 0) {
        snprintf(seconds, sizeof(seconds), "%d", retry_s);
        (void)MHD_add_response_header(response, "Retry-After", seconds);
    }
    if (response && status == 405)
        (void)MHD_add_response_header(response, "Allow", r->allow);
    if (response && (status == 413 || r->bad_uri))
        (void)MHD_add_response_header(response, "Connection", "close");
    return web_reply(r, status, response, CACHE_NEVER);
}

enum MHD_Result web_problem(struct web_request *r, unsigned status, const char *code,
                            const char *detail)
{
    return web_problem_retry(r, status, code, detail, 0);
}

enum MHD_Result web_problem_errno(struct web_request *r, int ret)
{
    switch (ret) {
    case -ENOENT:
        return web_problem(r, 404, "not-found", "there is no such thing");
    case -EEXIST:
        return web_problem(r, 409, "conflict", "there is one of that name already");
    case -EINVAL:
    case -ERANGE:
        return web_problem(r, 400, "bad-request", "a value is not allowed");
    case -EPERM:
        return web_problem(r, 403, "forbidden", "this cannot be changed here");
    case -ESTALE:
        return web_problem(r, 410, "gone", "the recording was overwritten since");
    case -EBADMSG:
        return web_problem(r, 500, "damaged", "the recording is damaged here");
    case -EAGAIN:
    case -EBUSY:
        return web_problem_retry(r, 503, "busy", "not now, try again", 2);
    default:
        return web_problem(r, 500, "internal", kt_strerror(ret));
    }
}

json_t *web_json_time(int64_t wall_us)
{
    char text[KT_RFC3339_SIZE];
    if (wall_us == 0)
        return json_null();
    kt_rfc3339_format(text, wall_us);
    return json_string(text);
}

json_t *web_json_text(const char *text)
{
    json_t *value = json_string(text);
    return value ? value : json_string("?");
}

/* ------------------------------ parts ------------------------------ */

enum web_range web_range_of(struct web_request *r, uint64_t size, const char *etag, uint64_t *first,
                            uint64_t *last)
{
    const char *if_range = web_header(r, "If-Range");
    if (if_range && strcmp(if_range, etag) != 0)
        return WEB_RANGE_NONE;
    return web_parse_range(web_header(r, "Range"), size, first, last);
}

enum MHD_Result web_bad_range(struct web_request *r, uint64_t size)
{
    char text[64];
    struct MHD_Response *response = json_response(
        json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", title_of(416), "status",
                  416, "code", "bad-range"), "application/problem+json");
    snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
    if (response)
        (void)MHD_add_response_header(response, "Content-Range", text);
    return web_reply(r, 416, response, CACHE_NEVER);
}

enum MHD_Result web_reply_range(struct web_request *r, struct MHD_Response *response,
                                enum web_range what, uint64_t first, uint64_t last, uint64_t size,
                                const char *etag, const char *filename)
{
    char text[192];
    if (what == WEB_RANGE_OK) {
        snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, last, size);
        (void)MHD_add_response_header(response, "Content-Range", text);
    }
    (void)MHD_add_response_header(response, "Accept-Ranges", "bytes");
    (void)MHD_add_response_header(response, "ETag", etag);
    snprintf(text, sizeof(text), "%s; filename=\"%s\"",
             strstr(filename, ".zip") ? "attachment" : "inline", filename);
    (void)MHD_add_response_header(response, "Content-Disposition", text);
    return web_reply(r, what == WEB_RANGE_OK ? 206 : 200, response, CACHE_REVALIDATE);
}

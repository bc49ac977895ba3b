/*
 * request.c - what a request asks for, checked.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"

#define KNOWN_US KT_SECOND_US
#define JSON_DEPTH 16

const char *web_query(struct web_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_GET_ARGUMENT_KIND, name);
}

struct list_query {
    const char *name;
    size_t left, part_max;
    bool (*each)(void *user, const char *part);
    void *user;
    bool ok;
};

static bool one_part(void *arg, const char *part)
{
    struct list_query *q = arg;
    if (q->left == 0)
        return false;
    q->left--;
    return q->each(q->user, part);
}

static enum MHD_Result one_value(void *arg, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct list_query *q = arg;
    if (strcmp(key, q->name) == 0)
        q->ok = value && web_parse_list(value, SIZE_MAX, q->part_max, one_part, q);
    return q->ok ? MHD_YES : MHD_NO;
}

bool web_query_list(struct web_request *r, const char *name, size_t max, size_t part_max,
                    bool (*each)(void *user, const char *part), void *user)
{
    struct list_query q = { name, max, part_max, each, user, true };
    (void)MHD_get_connection_values(r->conn, MHD_GET_ARGUMENT_KIND, one_value, &q);
    return q.ok;
}

const char *web_header(struct web_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

int web_cameras(struct kt_web *web, struct kt_camera_state **out, size_t *n)
{
    return web->params.site.cameras(web->params.site.user, out, n);
}

static void renew_known(struct kt_web *web)
{
    struct kt_camera_state *list = NULL;
    size_t n = 0;
    if (web_cameras(web, &list, &n) < 0)
        return;
    char (*ids)[KT_ID_MAX + 1] = calloc(n + 1, sizeof(*ids));
    for (size_t i = 0; ids && i < n; i++)
        memcpy(ids[i], list[i].config.id, sizeof(ids[i]));
    free(list);
    pthread_mutex_lock(&web->lock);
    char (*old)[KT_ID_MAX + 1] = web->known.ids;
    web->known.ids = ids;
    web->known.n = ids ? n : 0;
    web->known.until_us = kt_clock_mono_us() + KNOWN_US;
    pthread_mutex_unlock(&web->lock);
    free(old);
}

static bool is_listed(struct kt_web *web, const char *id, bool *fresh)
{
    bool found = false;
    pthread_mutex_lock(&web->lock);
    *fresh = kt_clock_mono_us() < web->known.until_us;
    for (size_t i = 0; i < web->known.n && !found; i++)
        found = strcmp(web->known.ids[i], id) == 0;
    pthread_mutex_unlock(&web->lock);
    return found;
}

/* One that is configured, or one that was and left recordings. */
bool web_camera_known(struct kt_web *web, const char *id)
{
    bool fresh;
    if (is_listed(web, id, &fresh))
        return true;
    if (!fresh) {
        renew_known(web);
        if (is_listed(web, id, &fresh))
            return true;
    }
    for (size_t i = 0; i < web->params.n_rings; i++) {
        uint32_t number;
        if (web_find_stream(web->params.rings[i].ring, id, "main", &number))
            return true;
    }
    return false;
}

bool web_find_stream(kt_ring *ring, const char *camera, const char *stream, uint32_t *number)
{
    char name[WEB_PARAM_MAX + 8];
    if ((size_t)snprintf(name, sizeof(name), "%s/%s", camera, stream) >= sizeof(name))
        return false;
    return ring && kt_ring_find_stream(ring, name, number) == 0;
}

bool web_any_ring(const struct kt_web *web)
{
    for (size_t i = 0; i < web->params.n_rings; i++)
        if (web->params.rings[i].ring)
            return true;
    return false;
}

static bool is_deep(const char *text, size_t n)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && (text[i] == '}' || text[i] == ']'))
            depth--;
        if (depth > JSON_DEPTH)
            return true;
    }
    return false;
}

json_t *web_body(struct web_request *r, const char *const *keys, enum MHD_Result *result)
{
    json_error_t error = { .text = "nothing was sent" };
    char detail[256];
    json_t *root = NULL;
    if (r->body_size > 0 && !is_deep(r->body, r->body_size))
        root = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        snprintf(detail, sizeof(detail), "the body is not a JSON object: %s", error.text);
        json_decref(root);
        *result = web_problem(r, 400, "bad-request", detail);
        return NULL;
    }
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        size_t i = 0;
        while (keys && keys[i] && strcmp(keys[i], key) != 0)
            i++;
        if (!keys || keys[i])
            continue;
        snprintf(detail, sizeof(detail), "unknown member \"%.60s\"", key);
        json_decref(root);
        *result = web_problem(r, 400, "bad-request", detail);
        return NULL;
    }
    return root;
}

bool web_span(struct web_request *r, int64_t *from_us, int64_t *to_us, enum MHD_Result *result)
{
    const char *from = web_query(r, "from"), *to = web_query(r, "to");
    if (!from || !to || kt_rfc3339_parse(from, from_us) < 0 || kt_rfc3339_parse(to, to_us) < 0) {
        *result = web_problem(r, 400, "bad-request", "from and to are times like "
                              "2026-11-24T01:02:03Z");
        return false;
    }
    if (*from_us >= *to_us) {
        *result = web_problem(r, 416, "bad-range", "from is not before to");
        return false;
    }
    return true;
}

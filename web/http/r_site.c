/*
 * r_site.c - what only the daemon can do for a request: try an address, look for
 * cameras, show its log.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#define SLOW_AT_ONCE 2              /* each holds one of the server's threads for seconds */

static enum MHD_Result not_available(struct web_request *r)
{
    return web_problem(r, 501, "not-available", "this program was started without it");
}

static bool slow_begin(struct web_request *r)
{
    if (atomic_fetch_add(&r->web->slow, 1) < SLOW_AT_ONCE)
        return true;
    atomic_fetch_sub(&r->web->slow, 1);
    return false;
}

static void slow_end(struct web_request *r)
{
    atomic_fetch_sub(&r->web->slow, 1);
}

/* TEXT (consumed) is JSON of the site's making, or NULL with ERR. */
static enum MHD_Result reply_text(struct web_request *r, char *text, const struct kt_error *err,
                                  const char *wrap)
{
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    const bool had_text = text != NULL;
    free(text);
    if (!root)
        return web_problem(r, had_text ? 500 : 400, had_text ? "internal" : "bad-request",
                           had_text ? "an answer that is no JSON" : err->text);
    return web_reply_json(r, 200, wrap ? json_pack("{s:o}", wrap, root) : root);
}

static enum MHD_Result probe(struct web_request *r, const char *url, const char *transport,
                             const char *camera)
{
    const struct kt_site *site = &r->web->params.site;
    struct kt_error err = { .text = "not an address" };
    char shown[KT_URL_MAX];
    if (strlen(url) >= KT_URL_MAX || (camera && !kt_id_valid(camera)))
        return web_problem(r, 400, "bad-request", "not an address");
    if (!slow_begin(r))
        return web_problem_retry(r, 429, "too-many", "two are being tried already", 5);
    kt_url_redact(shown, sizeof(shown), url);
    web_audit(r, "camera-test", camera, json_pack("{s:o}", "url", web_json_text(shown)));
    char *text = site->probe_json(site->user, url, transport, camera, &err);
    slow_end(r);
    return reply_text(r, text, &err, NULL);
}

enum MHD_Result web_test_camera(struct web_request *r)
{
    static const char *const keys[] = { "url", "transport", "camera", NULL };
    const char *url = "", *transport = "tcp", *camera = NULL;
    enum MHD_Result result;
    if (!r->web->params.site.probe_json)
        return not_available(r);
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:s, s?s, s?s}", "url", &url, "transport", &transport, "camera",
                    &camera) < 0)
        result = web_problem(r, 400, "bad-request", "url is needed");
    else
        result = probe(r, url, transport, camera);
    json_decref(body);
    return result;
}

enum MHD_Result web_discover(struct web_request *r)
{
    const struct kt_site *site = &r->web->params.site;
    static const char *const keys[] = { "range", "user", "password", NULL };
    struct kt_error err = { .text = "nobody could be asked" };
    struct kt_discover_ask ask = { NULL, NULL, NULL };
    enum MHD_Result result;
    if (!site->discover_json)
        return not_available(r);
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s?s, s?s, s?s}", "range", &ask.range, "user", &ask.user, "password",
                    &ask.password) < 0) {
        result = web_problem(r, 400, "bad-request", "range, user and password are texts");
    } else if (!slow_begin(r)) {
        result = web_problem_retry(r, 429, "too-many", "somebody is looking already", 5);
    } else {
        web_audit(r, "camera-discover", NULL,
                  json_pack("{s:o}", "range", web_json_text(ask.range ? ask.range : "")));
        char *text = site->discover_json(site->user, &ask, &err);
        slow_end(r);
        result = reply_text(r, text, &err, "items");
    }
    json_decref(body);
    return result;
}

enum MHD_Result web_logs(struct web_request *r)
{
    const struct kt_site *site = &r->web->params.site;
    const char *text = web_query(r, "limit");
    const struct kt_error err = { .text = "there is no log" };
    uint64_t limit = 200;
    if (!site->log_json)
        return not_available(r);
    if (text && (!web_parse_uint(text, 1000, &limit) || limit == 0))
        return web_problem(r, 400, "bad-request", "limit is 1 to 1000");
    return reply_text(r, site->log_json(site->user, (size_t)limit), &err, "items");
}

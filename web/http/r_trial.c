/*
 * r_trial.c - rules tried on what was recorded: begun, asked after, cancelled.
 */
#include "web/http/web_private.h"

#include <errno.h>

#include "server/base/clock.h"

static bool is_available(const struct web_request *r)
{
    const struct kt_site *site = &r->web->params.site;
    return site->trial_start && site->trial_json && site->trial_cancel;
}

static enum MHD_Result not_available(struct web_request *r)
{
    return web_problem(r, 501, "not-available", "this program was started without it");
}

static enum MHD_Result reply_trial(struct web_request *r, unsigned status, size_t skip)
{
    const struct kt_site *site = &r->web->params.site;
    kt_cleanup(kt_freep) char *text = site->trial_json(site->user, r->params.value[0], skip);
    json_t *root = text ? json_loads(text, 0, NULL) : NULL;
    return root ? web_reply_json(r, status, root) : web_problem_errno(r, -ENOMEM);
}

static enum MHD_Result start(struct web_request *r, const struct kt_trial_ask *ask)
{
    const struct kt_site *site = &r->web->params.site;
    struct kt_error err = { .text = "" };
    char from[KT_RFC3339_SIZE], to[KT_RFC3339_SIZE];
    const int ret = site->trial_start(site->user, ask, &err);
    if (ret == -EBUSY)
        return web_problem_retry(r, 409, "trial-running", "rules are being tried already", 30);
    if (ret == -ENOENT)
        return web_problem(r, 404, "not-recorded", "nothing was recorded there, or it is overwritten");
    if (ret == -EINVAL)
        return web_problem(r, 400, "bad-request", err.text);
    if (ret < 0)
        return web_problem_errno(r, ret);
    kt_rfc3339_format(from, ask->from_us);
    kt_rfc3339_format(to, ask->to_us);
    web_audit(r, "rules-trial", ask->camera, json_pack("{s:s,s:s}", "from", from, "to", to));
    return reply_trial(r, 202, 0);
}

enum MHD_Result web_start_trial(struct web_request *r)
{
    static const char *const keys[] = { "rules", "from", "to", NULL };
    kt_cleanup(kt_freep) char *rules = malloc(8192);
    struct kt_trial_ask ask = { .camera = r->params.value[0], .rules = rules };
    const char *from = "", *to = "";
    json_t *value = NULL;
    enum MHD_Result result;
    if (!is_available(r))
        return not_available(r);
    if (!rules)
        return web_problem_errno(r, -ENOMEM);
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    if (json_unpack(body, "{s:o, s:s, s:s}", "rules", &value, "from", &from, "to", &to) < 0 ||
        kt_rfc3339_parse(from, &ask.from_us) < 0 || kt_rfc3339_parse(to, &ask.to_us) < 0)
        result = web_problem(r, 400, "bad-request", "rules (or null), from and to are needed");
    else if (!web_rules_text(rules, value))
        result = web_problem(r, 400, "bad-request", "the value of rules is not allowed");
    else
        result = start(r, &ask);
    json_decref(body);
    return result;
}

enum MHD_Result web_get_trial(struct web_request *r)
{
    const char *text = web_query(r, "skip");
    uint64_t skip = 0;
    if (!is_available(r))
        return not_available(r);
    if (text && !web_parse_uint(text, 1000000, &skip))
        return web_problem(r, 400, "bad-request", "skip is a number");
    return reply_trial(r, 200, (size_t)skip);
}

enum MHD_Result web_cancel_trial(struct web_request *r)
{
    const struct kt_site *site = &r->web->params.site;
    if (!is_available(r))
        return not_available(r);
    if (site->trial_cancel(site->user, r->params.value[0]) < 0)
        return web_problem(r, 404, "not-found", "nothing is being tried for this camera");
    return web_reply_empty(r, 204);
}

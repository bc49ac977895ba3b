/*
 * r_settings.c - what the head decides for everybody.
 */
#include "web/http/web_private.h"

enum MHD_Result web_get_site_settings(struct web_request *r)
{
    return web_reply_json(r, 200, json_pack("{s:I}", "volunteer_hours",
                                            (json_int_t)web_volunteer_hours(r->web)));
}

enum MHD_Result web_put_site_settings(struct web_request *r)
{
    static const char *const keys[] = { "volunteer_hours", NULL };
    char text[24];
    enum MHD_Result result;
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    const json_t *value = json_object_get(body, "volunteer_hours");
    const json_int_t hours = json_is_integer(value) ? json_integer_value(value) : -1;
    json_decref(body);
    if (hours < 0 || hours > WEB_VOLUNTEER_MAX_HOURS)
        return web_problem(r, 400, "bad-request", "volunteer_hours is 0 to 8784");
    snprintf(text, sizeof(text), "%lld", (long long)hours);
    const int ret = kt_catalog_setting_put(r->web->params.catalog, WEB_VOLUNTEER_KEY, text);
    if (ret < 0)
        return web_problem_errno(r, ret);
    pthread_mutex_lock(&r->web->lock);
    r->web->volunteer_until_us = 0;
    pthread_mutex_unlock(&r->web->lock);
    web_audit(r, "settings", NULL, json_pack("{s:I}", "volunteer_hours", hours));
    return web_get_site_settings(r);
}

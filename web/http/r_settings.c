/*
 * r_settings.c - what the head decides for everybody.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"

#define VOLUNTEER_KEY "site.volunteer_hours"
#define VOLUNTEER_HOURS 72
#define MAX_HOURS (366 * 24)
#define CACHE_US (10 * KT_SECOND_US)
#define HOUR_US (INT64_C(3600) * KT_SECOND_US)

static uint64_t volunteer_hours(struct kt_web *web)
{
    kt_cleanup(kt_freep) char *text = NULL;
    uint64_t hours = VOLUNTEER_HOURS;
    if (kt_catalog_setting_get(web->params.catalog, VOLUNTEER_KEY, &text) < 0 ||
        !web_parse_uint(text, MAX_HOURS, &hours))
        return VOLUNTEER_HOURS;
    return hours;
}

int64_t web_earliest(struct web_request *r)
{
    struct kt_web *web = r->web;
    const int64_t now_us = kt_clock_mono_us();
    if (!r->user || r->user->role != KT_ROLE_VOLUNTEER)
        return 0;
    pthread_mutex_lock(&web->lock);
    const bool fresh = now_us < web->volunteer_until_us;
    int64_t back_us = web->volunteer_us;
    pthread_mutex_unlock(&web->lock);
    if (!fresh) {
        back_us = (int64_t)volunteer_hours(web) * HOUR_US;
        pthread_mutex_lock(&web->lock);
        web->volunteer_us = back_us;
        web->volunteer_until_us = now_us + CACHE_US;
        pthread_mutex_unlock(&web->lock);
    }
    return kt_clock_wall_us() - back_us;
}

bool web_too_old(struct web_request *r, int64_t wall_us, enum MHD_Result *result)
{
    const int64_t earliest_us = web_earliest(r);
    if (wall_us >= earliest_us)
        return false;
    *result = web_problem(r, 403, "too-old", "volunteers see recent recordings only: ask the head");
    return true;
}

enum MHD_Result web_get_site_settings(struct web_request *r)
{
    return web_reply_json(r, 200, json_pack("{s:I}", "volunteer_hours",
                                            (json_int_t)volunteer_hours(r->web)));
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
    if (hours < 0 || hours > MAX_HOURS)
        return web_problem(r, 400, "bad-request", "volunteer_hours is 0 to 8784");
    snprintf(text, sizeof(text), "%lld", (long long)hours);
    const int ret = kt_catalog_setting_put(r->web->params.catalog, VOLUNTEER_KEY, text);
    if (ret < 0)
        return web_problem_errno(r, ret);
    pthread_mutex_lock(&r->web->lock);
    r->web->volunteer_until_us = 0;
    pthread_mutex_unlock(&r->web->lock);
    web_audit(r, "settings", NULL, json_pack("{s:I}", "volunteer_hours", hours));
    return web_get_site_settings(r);
}

/*
 * rights.c - which cameras, incidents and hours a person may see. Whether they may ask at
 * all is guard.c's and the table's of routes.c.
 */
#include "web/http/web_private.h"

#include <string.h>

#include "server/base/clock.h"

#define VOLUNTEER_HOURS 72
#define CACHE_US (10 * KT_SECOND_US)
#define HOUR_US (INT64_C(3600) * KT_SECOND_US)

bool web_list_has(const json_t *list, const char *camera)
{
    size_t i;
    json_t *item;
    if (!list)
        return true;
    json_array_foreach(list, i, item)
        if (json_is_string(item) && strcmp(json_string_value(item), camera) == 0)
            return true;
    return false;
}

bool web_may_see(const struct web_request *r, const char *camera)
{
    return r->user && web_list_has(r->cameras, camera);
}

/* Police: what was shared with them. Others: when all its cameras are theirs. */
bool web_may_see_incident(struct web_request *r, const struct kt_incident *in)
{
    bool shared = false, all = true;
    size_t i;
    json_t *item;
    if (r->user->role == KT_ROLE_POLICE)
        return kt_catalog_incident_shared(r->web->params.catalog, in->id, r->user->username,
                                          &shared) == 0 && shared;
    json_t *cameras = in->cameras ? json_loads(in->cameras, 0, NULL) : NULL;
    json_array_foreach(cameras, i, item)
        all = all && json_is_string(item) && web_may_see(r, json_string_value(item));
    json_decref(cameras);
    return all;
}

uint64_t web_volunteer_hours(struct kt_web *web)
{
    kt_cleanup(kt_freep) char *text = NULL;
    uint64_t hours = VOLUNTEER_HOURS;
    if (kt_catalog_setting_get(web->params.catalog, WEB_VOLUNTEER_KEY, &text) < 0 ||
        !web_parse_uint(text, WEB_VOLUNTEER_MAX_HOURS, &hours))
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
        back_us = (int64_t)web_volunteer_hours(web) * HOUR_US;
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

/* answer.c - what was found, for people and for pages. */
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "server/onvif/onvif.h"

#define SUB_MAX_PIXELS (720L * 576)     /* "D1" is what many cameras call their sub-stream */

const char *kt_onvif_state_name(enum kt_onvif_state state)
{
    switch (state) {
    case KT_ONVIF_READY:
        return "ready";
    case KT_ONVIF_PASSWORD_NEEDED:
        return "password-needed";
    case KT_ONVIF_WRONG_PASSWORD:
        return "wrong-password";
    case KT_ONVIF_FAILED:
        return "failed";
    default:
        return "asking";
    }
}

static long pixels(const struct kt_onvif_profile *p)
{
    return (long)p->width * p->height;
}

/* The K-th video source that appears in CAM's profiles; NULL: there are fewer. */
static const char *nth_source(const struct kt_onvif_camera *cam, size_t k)
{
    size_t seen = 0;
    for (size_t i = 0; i < cam->n_profiles; i++) {
        size_t j = 0;
        while (j < i && strcmp(cam->profiles[j].source, cam->profiles[i].source) != 0)
            j++;
        if (j == i && seen++ == k)
            return cam->profiles[i].source;
    }
    return NULL;
}

static bool is(const struct kt_onvif_profile *p, const char *codec)
{
    return strcmp(p->codec, codec) == 0;
}

static bool fits(const struct kt_onvif_profile *p)
{
    return p->width > 0 && pixels(p) <= SUB_MAX_PIXELS;
}

/* Of profiles of one source: JPEG costs ten times the bits, and every browser shows H.264. */
static bool better_main(const struct kt_onvif_profile *p, const struct kt_onvif_profile *than)
{
    if (!than || is(p, "jpeg") != is(than, "jpeg"))
        return !than || is(than, "jpeg");
    return pixels(p) != pixels(than) ? pixels(p) > pixels(than) : is(p, "h264") && !is(than, "h264");
}

static bool better_sub(const struct kt_onvif_profile *p, const struct kt_onvif_profile *than)
{
    if (!than || is(p, "jpeg") != is(than, "jpeg"))
        return !than || is(than, "jpeg");
    if (fits(p) != fits(than))
        return fits(p);
    if (is(p, "h264") != is(than, "h264"))
        return is(p, "h264");
    return fits(p) ? pixels(p) > pixels(than) : pixels(p) < pixels(than);
}

int kt_onvif_suggest(const struct kt_onvif_camera *cam, size_t k,
                     const struct kt_onvif_profile **main_profile, const struct kt_onvif_profile **sub)
{
    const char *source = nth_source(cam, k);
    const struct kt_onvif_profile *big = NULL, *small = NULL;
    if (!source)
        return -ENOENT;
    for (size_t i = 0; i < cam->n_profiles; i++) {
        const struct kt_onvif_profile *p = &cam->profiles[i];
        if (p->stream[0] && strcmp(p->source, source) == 0 && better_main(p, big))
            big = p;
    }
    for (size_t i = 0; i < cam->n_profiles && big; i++) {
        const struct kt_onvif_profile *p = &cam->profiles[i];
        if (p->stream[0] && strcmp(p->source, source) == 0 && pixels(p) < pixels(big) &&
            strcmp(p->stream, big->stream) != 0 && better_sub(p, small))
            small = p;
    }
    if (!big)
        return -ENOENT;
    *main_profile = big;
    *sub = small;
    return 0;
}

int kt_onvif_stream_url(char out[KT_URL_MAX], const char *stream, const char *user, const char *password)
{
    const char *at = strstr(stream, "://");
    if (!at)
        return -EINVAL;
    char *u = curl_easy_escape(NULL, user ? user : "", 0);
    const bool variable = password && strncmp(password, "${", 2) == 0;
    char *p = variable ? strdup(password) : curl_easy_escape(NULL, password ? password : "", 0);
    int n = -1;
    if (u && p)
        n = user ? snprintf(out, KT_URL_MAX, "%.*s%s:%s@%s", (int)(at + 3 - stream), stream, u, p, at + 3)
                 : snprintf(out, KT_URL_MAX, "%s", stream);
    curl_free(u);
    if (variable)
        free(p);
    else
        curl_free(p);
    return n < 0 ? -ENOMEM : n >= KT_URL_MAX ? -ENAMETOOLONG : 0;
}

static json_t *profile_json(const struct kt_onvif_profile *p)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:s}", "token", p->token, "name", p->name, "source",
                     p->source, "codec", p->codec, "width", p->width, "height", p->height, "fps", p->fps,
                     "kbps", p->kbps, "stream", p->stream);
}

static json_t *suggestions_json(const struct kt_onvif_camera *cam)
{
    const struct kt_onvif_profile *big, *small;
    json_t *list = json_array();
    for (size_t k = 0; list && kt_onvif_suggest(cam, k, &big, &small) == 0; k++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "source", big->source, "main", big->stream,
                                              "sub", small ? small->stream : ""));
    return list;
}

static json_t *camera_json(const struct kt_onvif_camera *c)
{
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "state",
                          kt_onvif_state_name(c->state), "why", c->why, "service", c->service, "host",
                          c->host, "name", c->name, "maker", c->maker, "model", c->model, "firmware",
                          c->firmware, "serial", c->serial, "snapshot", c->snapshot);
    json_t *profiles = json_array();
    for (size_t i = 0; profiles && i < c->n_profiles; i++)
        json_array_append_new(profiles, profile_json(&c->profiles[i]));
    json_object_set_new(o, "clock_offset_seconds",
                        c->has_clock ? json_real((double)c->clock_offset_us / 1e6) : json_null());
    json_object_set_new(o, "profiles", profiles);
    json_object_set_new(o, "suggested", suggestions_json(c));
    return o;
}

char *kt_onvif_json(const struct kt_onvif_camera *list, size_t n, bool done)
{
    json_t *items = json_array();
    for (size_t i = 0; items && i < n; i++)
        json_array_append_new(items, camera_json(&list[i]));
    json_t *all = json_pack("{s:b,s:o}", "done", done, "items", items);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    return text;
}

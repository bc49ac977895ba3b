#include "server/tryout.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/onvif/onvif.h"
#include "server/probe.h"

#define LISTEN_S 5
#define PICTURE_WIDTH 640
#define DISCOVER_US (40 * KT_SECOND_US)

/* ------------------------- one address ------------------------- */

static void add_picture(json_t *o, const uint8_t *jpeg, size_t size)
{
    char *text = jpeg ? malloc((size + 2) / 3 * 4 + 1) : NULL;
    if (!text)
        return;
    EVP_EncodeBlock((unsigned char *)text, jpeg, (int)size);
    json_object_set_new(o, "picture", json_string(text));
    free(text);
}

char *kt_tryout_probe(const struct kt_tryout *with, const char *url, const char *transport,
                      struct kt_error *err)
{
    struct kt_probe p = { .name = "try", .url = url, .transport = transport, .loop = with->loop,
                          .guard = with->guard, .picture_width = PICTURE_WIDTH };
    int ret = kt_net_check_url(with->guard->allow, "rtsp,rtsps", url, with->stop_fd, err);
    if (ret < 0)
        return NULL;
    ret = kt_probe_run(&p, 1, LISTEN_S, with->stop_fd);
    if (ret < 0) {
        (void)kt_error_set(err, ret, "%s", kt_strerror(ret));
        return NULL;
    }
    json_t *o = json_pack("{s:b,s:s,s:s,s:s,s:i,s:i,s:f,s:f,s:f}", "ok", p.ok, "why", p.why, "codec",
                          p.codec, "audio", p.audio, "width", p.width, "height", p.height, "fps", p.fps,
                          "gop_seconds", p.gop_seconds, "bitrate", p.bitrate);
    if (o)
        add_picture(o, p.jpeg, p.jpeg_size);
    free(p.jpeg);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

bool kt_tryout_is_snapshot(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

char *kt_tryout_snapshot(const struct kt_tryout *with, const char *url, struct kt_error *err)
{
    const struct kt_snapshot_params params = { .name = "try", .url = url, .allow = with->guard->allow };
    kt_cleanup(kt_snapshots_remove) kt_snapshot *snapshot = NULL;
    kt_cleanup(kt_freep) uint8_t *jpeg = NULL;
    struct kt_error why = { "" };
    size_t size = 0;
    int64_t wall_us;
    if (kt_net_check_url(with->guard->allow, "http,https", url, with->stop_fd, err) < 0 ||
        kt_snapshots_add(with->snapshots, &snapshot, &params, err) < 0)
        return NULL;
    kt_snapshot_want(snapshot);
    int ret = kt_snapshot_wait(snapshot, LISTEN_S * 2 * KT_SECOND_US, &why);
    if (ret == -ETIMEDOUT)
        ret = kt_error_set(&why, ret, "nothing answers at this address");
    if (ret == 0)
        ret = kt_snapshot_get(snapshot, PICTURE_WIDTH, &jpeg, &size, &wall_us);
    json_t *o = json_pack("{s:b,s:s,s:s}", "ok", ret == 0, "why", why.text, "codec", ret == 0 ? "jpeg" : "");
    if (o)
        add_picture(o, jpeg, size);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

/* Where "user:password@" of URL's authority ends; NULL: there is none. */
static const char *user_end(const char *authority)
{
    return memrchr(authority, '@', strcspn(authority, "/?#"));
}

int kt_tryout_password(char out[KT_URL_MAX], const char *url, const char *stored)
{
    const char *a = strstr(url, "://"), *b = strstr(stored, "://");
    const char *a_at = a ? user_end(a + 3) : NULL, *b_at = b ? user_end(b + 3) : NULL;
    if (!a_at || !b_at)
        return -EINVAL;
    a += 3;
    b += 3;
    const char *a_colon = memchr(a, ':', (size_t)(a_at - a)), *b_colon = memchr(b, ':', (size_t)(b_at - b));
    const size_t host = strcspn(b_at, ":/?#");
    if (!a_colon || !b_colon || strncmp(a_colon, ":***@", 5) != 0 || a_colon + 4 != a_at ||
        a_colon - a != b_colon - b || strncmp(a, b, (size_t)(a_colon - a)) != 0 ||
        strcspn(a_at, ":/?#") != host || strncmp(a_at, b_at, host) != 0)
        return -EINVAL;
    const int n = snprintf(out, KT_URL_MAX, "%.*s%.*s%s", (int)(a_colon - url), url, (int)(b_at - b_colon),
                           b_colon, a_at);
    return n < KT_URL_MAX ? 0 : -EINVAL;
}

/* ------------------------- the network ------------------------- */

/* What the page needs of an ONVIF answer, beside all of it. */
static json_t *item(json_t *camera)
{
    const char *model = json_string_value(json_object_get(camera, "model"));
    json_t *first = json_array_get(json_object_get(camera, "suggested"), 0);
    json_t *url = json_object_get(first, "main"), *sub = json_object_get(first, "sub");
    json_object_set(camera, "address", json_object_get(camera, "host"));
    json_object_set_new(camera, "hardware", json_string(model ? model : ""));
    if (url)
        json_object_set(camera, "url", url);
    if (sub)
        json_object_set(camera, "sub", sub);
    return camera;
}

char *kt_tryout_discover(const struct kt_tryout *with, const struct kt_discover_ask *ask,
                         struct kt_error *err)
{
    const bool range = ask->range && ask->range[0];
    const struct kt_onvif_ask onvif = { .range = range ? ask->range : NULL, .multicast = !range,
                                        .user = ask->user, .password = ask->password,
                                        .allow = with->guard->allow, .listen_ms = 3000 };
    kt_cleanup(kt_onvif_stop) kt_onvif_job *job = NULL;
    kt_cleanup(kt_freep) struct kt_onvif_camera *list = NULL;
    size_t n = 0;
    bool done = false;
    int ret = kt_onvif_start(&job, &onvif, err);
    if (ret < 0)
        return NULL;
    if (kt_onvif_wait(job, DISCOVER_US, with->stop_fd) == -ETIMEDOUT)
        kt_info("discover", "still looking after %lld s: telling what there is", (long long)(DISCOVER_US / KT_SECOND_US));
    ret = kt_onvif_poll(job, &list, &n, &done);
    if (ret < 0) {
        (void)kt_error_set(err, ret, "%s", kt_strerror(ret));
        return NULL;
    }
    kt_cleanup(kt_freep) char *text = kt_onvif_json(list, n, done);
    json_t *all = text ? json_loads(text, 0, NULL) : NULL, *camera;
    json_t *items = json_object_get(all, "items");
    size_t i;
    json_array_foreach(items, i, camera)
        (void)item(camera);
    char *out = items ? json_dumps(items, JSON_COMPACT) : NULL;
    json_decref(all);
    return out;
}

/* keep_events.c - which streams of which events go to the rings of events; what a stop left open. */
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/daemon_private.h"

#define RESUME_EVENTS_US (120 * KT_SECOND_US)      /* more than a copy of events can be behind */

/* One stream of a camera, and where it is copied from and to. */
struct copies {
    char stream[KT_STREAM_NAME_MAX + 1];
    kt_ring *from;
    kt_clips *to[KT_CONFIG_MAX_RINGS];
    size_t n;
};

/* Only what was seen is worth keeping longer; a camera that is away has no video. */
static bool worth_keeping(const struct kt_event *ev)
{
    return strncmp(ev->type, "camera-", strlen("camera-")) != 0;
}

/* Each ring of events that is for KIND of CAMERA; none when no ring records it. */
static void find_copies(const kt_daemon *d, const char *camera, const char *kind, struct copies *out)
{
    const char *why;
    out->n = 0;
    if (kt_ring_set_recorders(d->rings, camera, kind, &out->from, 1, &why) == 0)
        return;
    snprintf(out->stream, sizeof(out->stream), "%s/%s", camera, kind);
    for (size_t i = 0; i < d->rings->n; i++)
        if (d->clips[i] && kt_ring_set_keeps_events(d->rings, i, camera, kind))
            out->to[out->n++] = d->clips[i];
}

static void too_many(const struct copies *c)
{
    kt_warn("clips", "%s: too many streams at once", c->stream);
}

static void keep_stream(const kt_daemon *d, const struct kt_event *ev, const char *kind, bool closed)
{
    struct copies c;
    find_copies(d, ev->camera, kind, &c);
    for (size_t i = 0; i < c.n; i++) {
        if (closed)
            kt_clips_end(c.to[i], c.stream, ev->end_us);
        else if (kt_clips_begin(c.to[i], c.from, c.stream, ev->start_us) < 0)
            too_many(&c);
    }
}

void kt_daemon_keep_event(kt_daemon *d, const struct kt_event *ev, bool closed)
{
    if (!worth_keeping(ev))
        return;
    keep_stream(d, ev, "main", closed);
    keep_stream(d, ev, "sub", closed);
}

static void resume_stream(const kt_daemon *d, const struct kt_event *ev, const char *kind, int64_t last_us)
{
    struct copies c;
    find_copies(d, ev->camera, kind, &c);
    for (size_t i = 0; i < c.n; i++)
        if (ev->end_us >= last_us - kt_clips_lag_us(c.to[i]) &&
            kt_clips_resume(c.to[i], c.from, c.stream, ev->start_us, ev->end_us) < 0)
            too_many(&c);
}

/* What a crash, or the end of the last run, left uncopied of the events just before it. */
static void resume_clips(kt_daemon *d, int64_t last_us)
{
    struct kt_event *list = NULL;
    size_t n = 0;
    const struct kt_event_filter f = { .from_us = last_us - RESUME_EVENTS_US, .seen = -1, .limit = 1000 };
    if (last_us == 0 || kt_catalog_event_list(d->catalog, &f, &list, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!worth_keeping(&list[i]))
            continue;
        resume_stream(d, &list[i], "main", last_us);
        resume_stream(d, &list[i], "sub", last_us);
    }
    kt_event_list_free(&list, n);
}

/* The newest video from before this start; 0: none. */
static int64_t last_video(const struct kt_ring_set *rings)
{
    const int64_t now_us = kt_clock_wall_us();
    int64_t last_us = 0;
    for (size_t i = 0; i < rings->n; i++) {
        struct kt_ring_status s = { .newest_us = 0 };
        if (rings->web[i].ring)
            kt_ring_status(rings->web[i].ring, &s);
        last_us = s.newest_us > last_us ? s.newest_us : last_us;
    }
    return last_us < now_us ? last_us : now_us;
}

void kt_daemon_take_up_events(kt_daemon *d)
{
    const int64_t last_us = last_video(d->rings);
    const int stale = kt_catalog_event_close_stale(d->catalog, last_us);
    if (stale > 0)
        kt_info("catalog", "%d events were open when the recorder last stopped; closed", stale);
    resume_clips(d, last_us);
}

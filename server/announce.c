#include "server/announce.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/clock.h"

#define SETTLE_US (10 * KT_SECOND_US)           /* a disk may blink */
#define CLOCK_SETTLE_US (15 * 60 * KT_SECOND_US)/* after a power cut NTP takes its time */
#define LOST_AGAIN_US (10 * 60 * KT_SECOND_US)

/* Something that is wrong, for how long, and whether we said so. */
struct trouble {
    int64_t since_us;                   /* monotonic; 0: it is right */
    bool told;
};

struct kt_announce {
    struct kt_announce_params params;   /* constant */
    /* --- supervisor --- */
    struct trouble recording, clock;
    uint64_t lost;
    int64_t lost_told_us;
};

int kt_announce_create(kt_announce **out, const struct kt_announce_params *params)
{
    kt_announce *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    a->params = *params;
    *out = a;
    return 0;
}

void kt_announce_destroy(kt_announce **a)
{
    free(kt_steal_ptr(a));
}

static void post(kt_announce *a, const struct kt_alert *alert)
{
    (void)kt_alerts_post(a->params.alerts, alert);      /* full: counted there */
}

/* ------------------------- cameras ------------------------- */

/* What to tell about EV now; 0: nothing. */
static enum kt_alert_kind kind_of(const struct kt_event *ev, bool picture)
{
    const bool over = ev->end_us != 0;
    if (strcmp(ev->type, "camera-offline") == 0)
        return over ? KT_ALERT_CAMERA_BACK : picture ? 0 : KT_ALERT_CAMERA_OFFLINE;
    if (strncmp(ev->type, "camera-", strlen("camera-")) == 0)
        return over || picture ? 0 : KT_ALERT_CAMERA_TROUBLE;
    return picture || (over && !ev->has_thumbnail) ? KT_ALERT_MOTION : 0;
}

void kt_announce_event(kt_announce *a, const struct kt_event *ev, const uint8_t *jpeg, size_t jpeg_size)
{
    struct kt_alert alert = { .kind = kind_of(ev, jpeg != NULL), .event = ev->id, .jpeg = jpeg,
                              .jpeg_size = jpeg_size, .wall_us = ev->end_us ? ev->end_us : ev->start_us };
    if (!alert.kind)
        return;
    snprintf(alert.camera, sizeof(alert.camera), "%s", ev->camera);
    a->params.name(a->params.user, ev->camera, alert.camera_name, sizeof(alert.camera_name));
    if (alert.kind == KT_ALERT_CAMERA_TROUBLE)
        snprintf(alert.text, sizeof(alert.text), "%s", ev->type + strlen("camera-"));
    else if (strcmp(ev->type, "motion") != 0 && alert.kind == KT_ALERT_MOTION)
        snprintf(alert.text, sizeof(alert.text), "%s %s", ev->type, ev->rule);
    else
        snprintf(alert.text, sizeof(alert.text), "%s", ev->rule);
    post(a, &alert);
}

/* ------------------------- the recorder ------------------------- */

/* True once, when BAD has lasted for AFTER_US; *OVER once, when what was told is over. */
static bool begins(struct trouble *t, bool bad, int64_t now_us, int64_t after_us, bool *over)
{
    *over = !bad && t->told;
    if (!bad) {
        *t = (struct trouble){ 0 };
        return false;
    }
    if (!t->since_us)
        t->since_us = now_us;
    if (t->told || now_us - t->since_us < after_us)
        return false;
    t->told = true;
    return true;
}

static void tell(kt_announce *a, enum kt_alert_kind kind, int64_t wall_us, const char *text)
{
    struct kt_alert alert = { .kind = kind, .wall_us = wall_us };
    snprintf(alert.text, sizeof(alert.text), "%s", text);
    post(a, &alert);
}

void kt_announce_facts(kt_announce *a, const struct kt_announce_facts *f)
{
    bool over;
    char text[160];
    if (begins(&a->recording, f->not_recording, f->mono_us, SETTLE_US, &over))
        tell(a, KT_ALERT_NOT_RECORDING, f->wall_us, f->not_recording);
    if (over)
        tell(a, KT_ALERT_RECORDING, f->wall_us, "");
    if (begins(&a->clock, !f->clock_synchronised, f->mono_us, CLOCK_SETTLE_US, &over))
        tell(a, KT_ALERT_CLOCK, f->wall_us, "no time server for 15 minutes");
    if (f->lost_intervals > a->lost &&
        (!a->lost_told_us || f->mono_us - a->lost_told_us > LOST_AGAIN_US)) {
        snprintf(text, sizeof(text), "%" PRIu64 " stretches of video were not written",
                 f->lost_intervals - a->lost);
        tell(a, KT_ALERT_DISK, f->wall_us, text);
        a->lost_told_us = f->mono_us;
        a->lost = f->lost_intervals;
    }
}

void kt_announce_tick(kt_announce *a, int64_t wall_us)
{
    const struct kt_ring_set *set = a->params.rings;
    struct kt_announce_facts f = { .clock_synchronised = kt_clock_synchronised(NULL),
                                   .wall_us = wall_us, .mono_us = kt_clock_mono_us() };
    char why[240] = "";
    for (size_t i = 0; i < set->n; i++) {
        struct kt_ring_status s = { .state = KT_RING_FAILED };
        if (set->web[i].ring)
            kt_ring_status(set->web[i].ring, &s);
        f.lost_intervals += s.lost_intervals;
        if (s.state != KT_RING_OK && !why[0])
            snprintf(why, sizeof(why), "%.40s: %.160s", set->web[i].name,
                     set->web[i].ring ? s.why : set->web[i].why);
    }
    f.not_recording = why[0] ? why : NULL;
    kt_announce_facts(a, &f);
}

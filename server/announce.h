/*
 * announce.h - from what the daemon notices to alerts: events of cameras, rings that do
 * not record, disks that lose, a clock that nobody sets.
 *
 * Threads: kt_announce_event() on the event keeper's, kt_announce_tick() on the
 * supervisor's; they share nothing that changes.
 */
#ifndef KT_SERVER_ANNOUNCE_H
#define KT_SERVER_ANNOUNCE_H

#include "server/alerts/alerts.h"
#include "server/ring_set.h"
#include "storage/catalog/events.h"

struct kt_announce_params {
    kt_alerts *alerts;                  /* borrowed, as all here */
    const struct kt_ring_set *rings;
    void *user;
    /* The name of camera ID; leaves OUT empty when there is none. Any thread. */
    void (*name)(void *user, const char *id, char *out, size_t cap);
};

typedef struct kt_announce kt_announce;

kt_must_check int kt_announce_create(kt_announce **out, const struct kt_announce_params *params);
void kt_announce_destroy(kt_announce **announce);

/*
 * An event began, got its first PICTURE, or (ev->end_us set) ended. What the rules saw
 * is told with the picture, or at its end when there never was one; what happens to a
 * camera is told at once.
 */
void kt_announce_event(kt_announce *a, const struct kt_event *ev, const uint8_t *jpeg,
                       size_t jpeg_size);

/* Once a second. */
void kt_announce_tick(kt_announce *a, int64_t wall_us);

/* What a tick looks at; apart, so that tests need neither a broken disk nor a wrong clock. */
struct kt_announce_facts {
    const char *not_recording;          /* why, or NULL */
    uint64_t lost_intervals;            /* of all rings, since the start */
    bool clock_synchronised;
    int64_t wall_us, mono_us;
};
void kt_announce_facts(kt_announce *a, const struct kt_announce_facts *facts);

#endif

/*
 * keeper.h - the event keeper: what detectors and the supervisor notice becomes
 * rows in the catalog, messages to browsers, spans in the clips ring, alerts.
 *
 * One thread does the waiting for the disk, so that neither analysis nor ingest
 * does. Its queue holds KT_KEEPER_QUEUE notes; when it is full the oldest
 * "better picture" notes are dropped first, then new ones are refused and counted.
 *
 * Threads: kt_keeper_post() from any thread, never blocks.
 */
#ifndef KT_SERVER_KEEPER_H
#define KT_SERVER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/text.h"
#include "storage/catalog/events.h"
#include "web/live/hub.h"

#define KT_KEEPER_QUEUE 512

typedef struct kt_keeper kt_keeper;

enum kt_event_phase {
    KT_EVENT_OPEN = 1,
    KT_EVENT_BETTER,            /* a better picture */
    KT_EVENT_CLOSE,
    KT_EVENT_MOMENT,            /* open and close at once: the camera went offline */
};

struct kt_event_note {
    enum kt_event_phase phase;
    char camera[KT_ID_MAX + 1];
    uint64_t source_id;         /* with the camera it names an event while it is open */
    char type[24];
    char rule[64];
    int64_t start_us, end_us;
    double score;
    char detail[256];           /* JSON object, or empty */
    uint8_t *jpeg;              /* malloc'd thumbnail or NULL; always taken over */
    size_t jpeg_size;
};

struct kt_keeper_params {
    kt_catalog *catalog;        /* borrowed, as all here */
    kt_hub *hub;
    void *user;
    /* On the keeper's thread, when readers see the row; it is on disk KT_CATALOG_SOON_S later
     * at the latest. CLOSED says that it is over. */
    void (*on_event)(void *user, const struct kt_event *event, bool closed,
                     const uint8_t *jpeg, size_t jpeg_size);
    /* Likewise, when an event that is not over got its first picture; may be NULL. */
    void (*on_picture)(void *user, const struct kt_event *event, const uint8_t *jpeg,
                       size_t jpeg_size);
};

kt_must_check int kt_keeper_create(kt_keeper **out, const struct kt_keeper_params *params);

/* Finish what is queued; open events are closed at their last known time. */
void kt_keeper_destroy(kt_keeper **events);

/* Takes over NOTE->jpeg whatever the outcome. -EAGAIN: queue full. */
int kt_keeper_post(kt_keeper *keeper, struct kt_event_note *note);

#endif

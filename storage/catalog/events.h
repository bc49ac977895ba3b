/*
 * events.h - what was seen. See catalog.h for threads, units and errors.
 */
#ifndef KT_CATALOG_EVENTS_H
#define KT_CATALOG_EVENTS_H

#include "storage/catalog/catalog.h"

struct kt_event {
    int64_t id;                     /* 0 while new */
    char camera[KT_ID_MAX + 1];
    char type[24];                  /* motion, line, loiter, count-in, count-out, camera-offline,
                                     * camera-frozen, camera-covered, … */
    char rule[64];                  /* name of the zone or line, may be empty */
    int64_t start_us;
    int64_t end_us;                 /* 0 while it is still going on */
    double score;                   /* 0..1, best of the event */
    char *detail;                   /* JSON object or NULL: boxes over time, best frame's box */
    bool seen;                      /* somebody looked at it */
    bool has_thumbnail;
};

/* Insert (id == 0, the new id is stored in EV) or replace. */
kt_must_check int kt_catalog_event_put(kt_catalog *c, struct kt_event *ev);

/*
 * Likewise, with its thumbnail (JPEG may be NULL: that it had stays; the bytes are copied) in
 * one transaction. Readers see it on return and a killed process loses nothing, but only within
 * KT_CATALOG_SOON_S is it on disk: a power cut may take what is younger. Sets has_thumbnail.
 * -EINVAL: a thumbnail above KT_THUMBNAIL_MAX.
 */
#define KT_CATALOG_SOON_S 3
#define KT_THUMBNAIL_MAX (4u << 20)
kt_must_check int kt_catalog_event_put_soon(kt_catalog *c, struct kt_event *ev, const void *jpeg,
                                            size_t n);
kt_must_check int kt_catalog_event_get(kt_catalog *c, int64_t id, struct kt_event **out);
kt_must_check int kt_catalog_event_set_seen(kt_catalog *c, int64_t id, bool seen);

/* JPEG bytes. The first is copied; *OUT of the second is malloc'd. */
kt_must_check int kt_catalog_thumbnail_put(kt_catalog *c, int64_t event, const void *jpeg, size_t n);
kt_must_check int kt_catalog_thumbnail_get(kt_catalog *c, int64_t event, uint8_t **out, size_t *n);

/* Delete the thumbnails of CAMERA's events that overlap [FROM, TO). Returns how many. */
int kt_catalog_thumbnails_erase(kt_catalog *c, const char *camera, int64_t from_us, int64_t to_us);

struct kt_event_filter {
    const char *const *cameras;     /* NULL: any; else N_CAMERAS ids */
    size_t n_cameras;
    const char *type;               /* NULL: any */
    const char *rule;               /* name of a zone or line; NULL: any */
    int64_t from_us, to_us;         /* overlap; 0: open */
    int seen;                       /* -1 any, 0, 1 */
    size_t limit;                   /* 1..1000 */
    int64_t before_start_us;        /* cursor: strictly after (start, id) in the list's order */
    int64_t before_id;              /* 0: from the newest */
};

/* Newest first. kt_event_list_free() frees block and details. */
kt_must_check int kt_catalog_event_list(kt_catalog *c, const struct kt_event_filter *f,
                                        struct kt_event **out, size_t *n);
void kt_event_list_free(struct kt_event **list, size_t n);

/*
 * What the timeline marks of CAMERA in [FROM, TO): all events when there are at most MAX,
 * else the first of each of MAX equal parts (that of a rule and, unless parts are longer than
 * an hour, any), and up to MAX that tell of trouble with the camera. Those that began earlier and reach into it come first. *TOTAL is how many
 * there are. *OUT is malloc'd, by start.
 */
struct kt_event_pin {
    int64_t id;
    char type[24];
    int64_t start_us, end_us;       /* end is 0 while it is still going on */
};
kt_must_check int kt_catalog_event_pins(kt_catalog *c, const char *camera, int64_t from_us,
                                        int64_t to_us, size_t max, struct kt_event_pin **out,
                                        size_t *n, size_t *total);

/* Close events that a crash left open. They end at LAST, the newest video from before it (0: unknown),
 * or a second after they began. Returns how many. */
int kt_catalog_event_close_stale(kt_catalog *c, int64_t last_us);

#endif

/*
 * alerts.h - messages to people who are not looking: web hook, Telegram, ntfy, e-mail.
 *
 * One thread delivers (curl multi), one message at a time for each channel, in order.
 * What fails is tried again (5 s, doubled, at most 15 min apart, for a day); what the
 * other side refuses for good (4xx) is not. At most KT_ALERTS_QUEUE deliveries wait:
 * when there are more, the oldest that is not urgent goes, counted. What waits is kept in
 * the catalog, without pictures, and survives a restart.
 *
 * Which messages go at all is decided by gate.h: once for each event, not again within
 * the cool-down, motion in the night watch's hours only, only the urgent in quiet hours.
 *
 * Threads: kt_alerts_post() from any thread, never blocks; the rest on the supervisor's.
 */
#ifndef KT_ALERTS_ALERTS_H
#define KT_ALERTS_ALERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"
#include "server/base/text.h"
#include "storage/catalog/catalog.h"

#define KT_ALERTS_QUEUE 256
#define KT_ALERTS_PICTURE_MAX (400u << 10)

enum kt_alert_kind {
    KT_ALERT_MOTION = 1,        /* and lines crossed, loitering: what the rules found */
    KT_ALERT_CAMERA_OFFLINE,
    KT_ALERT_CAMERA_BACK,
    KT_ALERT_CAMERA_TROUBLE,    /* frozen, covered, dark, moved */
    KT_ALERT_NOT_RECORDING,     /* urgent */
    KT_ALERT_RECORDING,         /* again */
    KT_ALERT_DISK,              /* urgent: failing, full, gone */
    KT_ALERT_CLOCK,
    KT_ALERT_TEST,              /* somebody tries the channel: passes every gate */
    KT_ALERT_KINDS,
};

/* "motion", "camera-offline", …; 0: none of that name. */
const char *kt_alert_kind_name(enum kt_alert_kind kind);
enum kt_alert_kind kt_alert_kind_parse(const char *name);

enum kt_alert_channel_type {
    KT_ALERT_WEBHOOK = 1,
    KT_ALERT_TELEGRAM,
    KT_ALERT_NTFY,
    KT_ALERT_MAIL,
};

/* A span of the day in minutes since midnight, over midnight when FROM > TO. from == to:
 * none. */
struct kt_alert_hours {
    int from, to;
};

struct kt_alert_channel {
    enum kt_alert_channel_type type;
    const char *name;           /* for the log; never NULL */
    const char *url;            /* web hook, ntfy topic, smtp(s)://host:port; Telegram: NULL, or
                                 * another server than api.telegram.org */
    const char *secret;         /* key of the web hook's signature, bot token, ntfy token, mail
                                 * password; NULL: none */
    const char *to;             /* Telegram chat, mail addresses separated by commas */
    const char *from, *user;    /* mail; user NULL: no login */
    const char *body_template;  /* web hook: JSON with {{text}} and the like; NULL: ours */
    unsigned kinds;             /* bit 1 << kind; 0: all */
    bool no_pictures;
    int allow;                  /* enum kt_net_allow */
};

struct kt_alerts_config {
    const struct kt_alert_channel *channels;
    size_t n_channels;
    struct kt_alert_hours night;        /* motion is told only then; none: always */
    struct kt_alert_hours quiet;        /* only the urgent is told then */
    int cooldown_s;                     /* same kind, same camera; 0: 300 */
    const char *link;                   /* "https://cctv.example" for links in messages; NULL */
};

struct kt_alert {
    enum kt_alert_kind kind;
    char camera[KT_ID_MAX + 1];         /* empty: the recorder itself */
    char camera_name[128];
    char text[256];                     /* more, in plain words, no secrets; may be empty */
    int64_t wall_us;
    int64_t event;                      /* catalog id; told once; 0: none */
    const uint8_t *jpeg;                /* copied; dropped above KT_ALERTS_PICTURE_MAX; NULL */
    size_t jpeg_size;
};

struct kt_alerts_params {
    const struct kt_alerts_config *config;  /* copied */
    kt_catalog *catalog;                    /* borrowed; NULL: nothing survives */
    const char *language;                   /* "id" or "en" */
    int utc_offset_s;                       /* of the site */
    int64_t retry_min_us;                   /* 0: 5 s */
};

typedef struct kt_alerts kt_alerts;

kt_must_check int kt_alerts_create(kt_alerts **out, const struct kt_alerts_params *params);

/* Stop at once; what waits goes to the catalog. */
void kt_alerts_destroy(kt_alerts **alerts);

/* Tell it, if the gate lets it through. Never blocks. -EAGAIN: too many at once, counted. */
int kt_alerts_post(kt_alerts *alerts, const struct kt_alert *alert);

/* Wait until nothing waits any more: all sent, given up or dropped. 0 or -ETIMEDOUT. */
kt_must_check int kt_alerts_wait(kt_alerts *alerts, int64_t timeout_us);

struct kt_alerts_stats {
    uint64_t sent, failed, dropped;     /* failed: given up */
    size_t waiting;
    char last_error[200];               /* "telegram: …"; empty: none since the last success */
};
void kt_alerts_stats(kt_alerts *alerts, struct kt_alerts_stats *out);

#endif

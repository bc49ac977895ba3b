/*
 * gate.h - is this worth telling, now? One gate for each channel.
 *
 * Threads: one at a time. Time is the alert's own (wall_us), so that nothing here waits.
 */
#ifndef KT_ALERTS_GATE_H
#define KT_ALERTS_GATE_H

#include "server/alerts/alerts.h"

#define KT_GATE_SLOTS 256       /* camera and kind; the longest unused is forgotten */

struct kt_gate_slot {
    char camera[KT_ID_MAX + 1];
    enum kt_alert_kind kind;            /* 0: free */
    int64_t told_us, event;
};

struct kt_gate {
    struct kt_gate_slot slot[KT_GATE_SLOTS];
};

struct kt_gate_rules {
    unsigned kinds;
    struct kt_alert_hours night, quiet;
    int cooldown_s, utc_offset_s;
};

bool kt_alert_urgent(enum kt_alert_kind kind);

/* Is WALL_US within HOURS of the site's day? */
bool kt_alert_hours_hold(const struct kt_alert_hours *hours, int64_t wall_us, int utc_offset_s);

/* "22:00" to minutes; -EINVAL. */
kt_must_check int kt_alert_hour_parse(const char *text);

/* True: tell it; the gate remembers. */
bool kt_gate_pass(struct kt_gate *gate, const struct kt_gate_rules *rules, const struct kt_alert *alert);

#endif

#include "server/alerts/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"

#define DAY_S 86400

bool kt_alert_urgent(enum kt_alert_kind kind)
{
    return kind == KT_ALERT_NOT_RECORDING || kind == KT_ALERT_DISK || kind == KT_ALERT_TEST;
}

bool kt_alert_hours_hold(const struct kt_alert_hours *h, int64_t wall_us, int utc_offset_s)
{
    const int64_t local = wall_us / KT_SECOND_US + utc_offset_s;
    const int minute = (int)(((local % DAY_S) + DAY_S) % DAY_S / 60);
    if (h->from == h->to)
        return false;
    if (h->from < h->to)
        return minute >= h->from && minute < h->to;
    return minute >= h->from || minute < h->to;
}

int kt_alert_hour_parse(const char *text)
{
    int hour, minute, end = 0;
    if (sscanf(text, "%2d%*1[:.]%2d%n", &hour, &minute, &end) != 2 || text[end] || hour < 0 || hour > 24 ||
        minute < 0 || minute > 59 || hour * 60 + minute > 24 * 60)
        return -EINVAL;
    return hour * 60 + minute;
}

static bool right_time(const struct kt_gate_rules *rules, const struct kt_alert *alert)
{
    const bool has_night = rules->night.from != rules->night.to;
    if (alert->kind == KT_ALERT_MOTION && has_night &&
        !kt_alert_hours_hold(&rules->night, alert->wall_us, rules->utc_offset_s))
        return false;
    return kt_alert_urgent(alert->kind) ||
           !kt_alert_hours_hold(&rules->quiet, alert->wall_us, rules->utc_offset_s);
}

/* The slot of this camera and kind, or the one to use for it. */
static struct kt_gate_slot *find_slot(struct kt_gate *gate, const struct kt_alert *alert)
{
    struct kt_gate_slot *oldest = &gate->slot[0];
    for (size_t i = 0; i < KT_GATE_SLOTS; i++) {
        struct kt_gate_slot *s = &gate->slot[i];
        if (s->kind == alert->kind && strcmp(s->camera, alert->camera) == 0)
            return s;
        if (oldest->kind && (!s->kind || s->told_us < oldest->told_us))
            oldest = s;
    }
    memset(oldest, 0, sizeof(*oldest));
    return oldest;
}

bool kt_gate_pass(struct kt_gate *gate, const struct kt_gate_rules *rules, const struct kt_alert *alert)
{
    if (alert->kind == KT_ALERT_TEST)
        return true;
    if ((rules->kinds && !(rules->kinds & 1u << alert->kind)) || !right_time(rules, alert))
        return false;
    struct kt_gate_slot *slot = find_slot(gate, alert);
    const int64_t since = alert->wall_us - slot->told_us;
    /* A clock that went back would hold everything up: since < 0 passes. */
    const bool cooling = slot->kind && since >= 0 && since < rules->cooldown_s * KT_SECOND_US;
    if (slot->kind && (cooling || (alert->event && alert->event == slot->event)))
        return false;
    snprintf(slot->camera, sizeof(slot->camera), "%s", alert->camera);
    slot->kind = alert->kind;
    slot->told_us = alert->wall_us;
    slot->event = alert->event;
    return true;
}

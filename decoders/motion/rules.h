/*
 * rules.h - what a person drew over the picture: zones, lines, what to ignore.
 *
 * JSON as documented in docs/motion.md. Coordinates run from 0 to 1, from the
 * top left corner, so that rules outlive a change of resolution.
 *
 * Threads: rules do not change once parsed; any number of threads may read them.
 */
#ifndef KT_MOTION_RULES_H
#define KT_MOTION_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

#define KT_RULES_MAX_ZONES 16
#define KT_RULES_MAX_LINES 16
#define KT_RULES_MAX_POINTS 32
#define KT_RULES_MAX_HOURS 8
#define KT_RULES_NAME_SIZE 64

struct kt_point {
    float x, y;
};

struct kt_polygon {
    int n;                          /* 0: the whole picture */
    struct kt_point p[KT_RULES_MAX_POINTS];
};

/* Minutes of the day; FROM > TO runs past midnight. */
struct kt_hours {
    int from, to;
};

/* Which things a zone or line cares about, and when. */
struct kt_limits {
    float min_size, max_size;       /* larger side of the box, as a share of the picture's */
    int64_t min_time_us;            /* seen there at least so long */
    int n_hours;                    /* 0: always */
    struct kt_hours hours[KT_RULES_MAX_HOURS];
};

struct kt_zone {
    char name[KT_RULES_NAME_SIZE];
    struct kt_polygon area;
    struct kt_limits limits;
    bool motion;                    /* report what moves in it */
    int64_t loiter_us;              /* report who stays so long; 0: no */
    int64_t object_us;              /* report what is left or missing so long; 0: no */
};

enum kt_direction { KT_DIRECTION_BOTH = 0, KT_DIRECTION_IN, KT_DIRECTION_OUT };

struct kt_line {
    char name[KT_RULES_NAME_SIZE];
    struct kt_point a, b;           /* seen from A towards B, "in" is from left to right */
    struct kt_limits limits;
    enum kt_direction direction;
    bool count;                     /* report count-in and count-out instead of line */
};

struct kt_rules {
    int n_zones, n_lines, n_ignore;
    struct kt_zone zone[KT_RULES_MAX_ZONES];
    struct kt_line line[KT_RULES_MAX_LINES];
    struct kt_polygon ignore[KT_RULES_MAX_ZONES];
};

/*
 * Parse JSON (NULL or "": one zone, the whole picture) into *OUT, to be freed
 * with kt_rules_destroy().
 *   -EINVAL  with ERR saying where and why; *OUT is untouched
 */
kt_must_check int kt_rules_parse(struct kt_rules **out, const char *json, struct kt_error *err);
void kt_rules_destroy(struct kt_rules **rules);

bool kt_polygon_contains(const struct kt_polygon *poly, float x, float y);

/* Is T_US (UTC) within the hours, on a clock OFFSET_S ahead of UTC? */
bool kt_limits_now(const struct kt_limits *limits, int64_t t_us, int offset_s);

/* 255 into PLANE (W x H) where RULES say to ignore, 0 elsewhere. Returns
 * whether any is. */
bool kt_rules_draw_ignored(const struct kt_rules *rules, uint8_t *plane, int w, int h);

#endif

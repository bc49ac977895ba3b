/* rules.c - JSON to rules, and every way in which it can be wrong. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "decoders/motion/rules.h"
#include "server/base/clock.h"

#define RULES_MAX_BYTES (256 << 10)
#define MIN_LINE 0.01f              /* shorter ones are a slip of the mouse */
#define MAX_SECONDS 86400.0

/* Where in the document we are, for messages: "zones[1].points". */
struct place {
    struct kt_error *err;
    char at[96];
};

static int wrong(const struct place *p, const char *fmt, ...) kt_printf(2, 3);
static int wrong(const struct place *p, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return kt_error_set(p->err, -EINVAL, "%s%s%s", p->at, p->at[0] ? ": " : "", text);
}

static struct place below(const struct place *p, const char *key, int index)
{
    struct place q = { .err = p->err };
    const char *dot = p->at[0] && key[0] ? "." : "";
    if (index >= 0)
        snprintf(q.at, sizeof(q.at), "%.40s%s%.40s[%d]", p->at, dot, key, index);
    else
        snprintf(q.at, sizeof(q.at), "%.40s%s%.40s", p->at, dot, key);
    return q;
}

/* Keys of OBJECT that are not in KNOWN (separated by spaces) are mistakes. */
static int check_keys(const struct place *p, json_t *object, const char *known)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return wrong(p, "must be an object");
    json_object_foreach(object, key, value) {
        const size_t n = strlen(key);
        const char *s = known;
        bool ok = false;
        while (!ok && n > 0 && !strchr(key, ' ') && (s = strstr(s, key)) != NULL) {
            ok = (s == known || s[-1] == ' ') && (s[n] == ' ' || s[n] == '\0');
            s += n;
        }
        if (!ok)
            return wrong(p, "unknown key \"%.60s\" (known: %s)", key, known);
    }
    return 0;
}

static int read_number(const struct place *p, json_t *object, const char *key, double low,
                       double high, double *out)
{
    json_t *v = json_object_get(object, key);
    if (!v)
        return 0;
    const struct place q = below(p, key, -1);
    if (!json_is_number(v))
        return wrong(&q, "must be a number");
    const double d = json_number_value(v);
    if (!(d >= low && d <= high))
        return wrong(&q, "must lie between %g and %g", low, high);
    *out = d;
    return 0;
}

static int read_bool(const struct place *p, json_t *object, const char *key, bool *out)
{
    json_t *v = json_object_get(object, key);
    if (!v)
        return 0;
    const struct place q = below(p, key, -1);
    if (!json_is_boolean(v))
        return wrong(&q, "must be true or false");
    *out = json_is_true(v);
    return 0;
}

static int read_name(const struct place *p, json_t *object, char out[KT_RULES_NAME_SIZE])
{
    const char *name = json_string_value(json_object_get(object, "name"));
    if (!name || !name[0])
        return wrong(p, "needs a \"name\"");
    if (strlen(name) >= KT_RULES_NAME_SIZE)
        return wrong(p, "the name is longer than %d bytes", KT_RULES_NAME_SIZE - 1);
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < 0x20 || *c == 0x7f)
            return wrong(p, "the name has control characters in it");
    strcpy(out, name);
    return 0;
}

static int read_point(const struct place *p, json_t *v, struct kt_point *out)
{
    if (!json_is_array(v) || json_array_size(v) != 2 || !json_is_number(json_array_get(v, 0)) ||
        !json_is_number(json_array_get(v, 1)))
        return wrong(p, "a point is [x, y]");
    const double x = json_number_value(json_array_get(v, 0));
    const double y = json_number_value(json_array_get(v, 1));
    if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1))
        return wrong(p, "[%g, %g] lies outside the picture (0 to 1)", x, y);
    out->x = (float)x;
    out->y = (float)y;
    return 0;
}

static int read_points(const struct place *p, json_t *object, int min, int max,
                       struct kt_point *out, int *n)
{
    json_t *list = json_object_get(object, "points");
    const struct place q = below(p, "points", -1);
    if (!json_is_array(list))
        return wrong(&q, "must be a list of [x, y]");
    const size_t size = json_array_size(list);
    if (size < (size_t)min || size > (size_t)max)
        return wrong(&q, min == max ? "needs %d points" : "needs %d to %d points", min, max);
    for (size_t i = 0; i < size; i++) {
        const struct place r = below(p, "points", (int)i);
        const int ret = read_point(&r, json_array_get(list, i), &out[i]);
        if (ret < 0)
            return ret;
    }
    *n = (int)size;
    return 0;
}

/* > 0: C lies to the right of A to B, as seen on a screen (y grows downwards). */
static float side(struct kt_point a, struct kt_point b, struct kt_point c)
{
    return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

static bool between(struct kt_point a, struct kt_point b, struct kt_point c)
{
    return fminf(a.x, b.x) <= c.x && c.x <= fmaxf(a.x, b.x) && fminf(a.y, b.y) <= c.y &&
           c.y <= fmaxf(a.y, b.y);
}

static bool segments_meet(struct kt_point a, struct kt_point b, struct kt_point c, struct kt_point d)
{
    const float s1 = side(a, b, c), s2 = side(a, b, d), s3 = side(c, d, a), s4 = side(c, d, b);
    if (((s1 > 0 && s2 < 0) || (s1 < 0 && s2 > 0)) && ((s3 > 0 && s4 < 0) || (s3 < 0 && s4 > 0)))
        return true;
    return (s1 == 0 && between(a, b, c)) || (s2 == 0 && between(a, b, d)) ||
           (s3 == 0 && between(c, d, a)) || (s4 == 0 && between(c, d, b));
}

/* Edges that are not neighbours must not meet, and the area must not be nothing. */
static int check_polygon(const struct place *p, const struct kt_polygon *poly)
{
    const int n = poly->n;
    float area = 0;
    for (int i = 0; i < n; i++) {
        const struct kt_point a = poly->p[i], b = poly->p[(i + 1) % n];
        area += a.x * b.y - b.x * a.y;
        if (a.x == b.x && a.y == b.y)
            return wrong(p, "points %d and %d are the same", i, (i + 1) % n);
        for (int j = i + 2; j < n; j++) {
            if (i == 0 && j == n - 1)
                continue;
            if (segments_meet(a, b, poly->p[j], poly->p[(j + 1) % n]))
                return wrong(p, "crosses itself: the edge from point %d meets the one from point %d",
                             i, j);
        }
    }
    if (fabsf(area) / 2 < 1e-5f)
        return wrong(p, "encloses nothing");
    return 0;
}

static int read_polygon(const struct place *p, json_t *object, struct kt_polygon *out)
{
    const int ret = read_points(p, object, 3, KT_RULES_MAX_POINTS, out->p, &out->n);
    return ret < 0 ? ret : check_polygon(p, out);
}

static int read_hours(const struct place *p, json_t *object, struct kt_limits *limits)
{
    json_t *list = json_object_get(object, "hours");
    if (!list)
        return 0;
    const struct place q = below(p, "hours", -1);
    if (!json_is_array(list) || json_array_size(list) > KT_RULES_MAX_HOURS)
        return wrong(&q, "must be a list of at most %d \"HH:MM-HH:MM\"", KT_RULES_MAX_HOURS);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        int h1, m1, h2, m2, end = 0;
        if (!text || strlen(text) != 11 ||
            sscanf(text, "%2d:%2d-%2d:%2d%n", &h1, &m1, &h2, &m2, &end) != 4 || end != 11 ||
            h1 < 0 || h2 < 0 || m1 < 0 || m2 < 0 || h1 > 24 || h2 > 24 || m1 > 59 || m2 > 59 ||
            h1 * 60 + m1 > 1440 || h2 * 60 + m2 > 1440)
            return wrong(&q, "\"%.20s\" is not \"HH:MM-HH:MM\"", text ? text : "");
        limits->hours[limits->n_hours++] = (struct kt_hours){ h1 * 60 + m1, h2 * 60 + m2 };
    }
    return 0;
}

static int read_limits(const struct place *p, json_t *object, const struct kt_limits *defaults,
                       struct kt_limits *out)
{
    double min_size = defaults->min_size, max_size = defaults->max_size;
    double min_time = (double)defaults->min_time_us / 1e6;
    int ret = read_number(p, object, "min_size", 0, 1, &min_size);
    if (ret == 0)
        ret = read_number(p, object, "max_size", 0, 1, &max_size);
    if (ret == 0)
        ret = read_number(p, object, "min_time", 0, MAX_SECONDS, &min_time);
    if (ret < 0)
        return ret;
    if (min_size > max_size)
        return wrong(p, "min_size is above max_size");
    *out = *defaults;
    if (json_object_get(object, "hours"))
        out->n_hours = 0;
    out->min_size = (float)min_size;
    out->max_size = (float)max_size;
    out->min_time_us = (int64_t)(min_time * 1e6);
    return read_hours(p, object, out);
}

static int read_zone(const struct place *p, json_t *v, const struct kt_limits *defaults,
                     struct kt_zone *z)
{
    double loiter = 0, objects = 0;
    int ret = check_keys(p, v, "name points min_size max_size min_time hours motion loiter objects");
    z->motion = true;
    if (ret == 0)
        ret = read_name(p, v, z->name);
    if (ret == 0 && json_object_get(v, "points"))
        ret = read_polygon(p, v, &z->area);
    if (ret == 0)
        ret = read_limits(p, v, defaults, &z->limits);
    if (ret == 0)
        ret = read_bool(p, v, "motion", &z->motion);
    if (ret == 0)
        ret = read_number(p, v, "loiter", 1, MAX_SECONDS, &loiter);
    if (ret == 0)
        ret = read_number(p, v, "objects", 2, 3600, &objects);
    z->loiter_us = (int64_t)(loiter * 1e6);
    z->object_us = (int64_t)(objects * 1e6);
    return ret;
}

static int read_line(const struct place *p, json_t *v, const struct kt_limits *defaults,
                     struct kt_line *l)
{
    static const char *const words[] = { "both", "in", "out" };
    struct kt_point ends[2];
    int n, ret = check_keys(p, v, "name points min_size max_size min_time hours direction count");
    if (ret == 0)
        ret = read_name(p, v, l->name);
    if (ret == 0)
        ret = read_points(p, v, 2, 2, ends, &n);
    if (ret == 0)
        ret = read_limits(p, v, defaults, &l->limits);
    if (ret == 0)
        ret = read_bool(p, v, "count", &l->count);
    if (ret < 0)
        return ret;
    l->a = ends[0];
    l->b = ends[1];
    if (hypotf(l->b.x - l->a.x, l->b.y - l->a.y) < MIN_LINE)
        return wrong(p, "the line is too short");
    json_t *direction = json_object_get(v, "direction");
    for (size_t i = 0; direction && json_is_string(direction) && i < KT_ARRAY_SIZE(words); i++)
        if (strcmp(words[i], json_string_value(direction)) == 0) {
            l->direction = (enum kt_direction)i;
            return 0;
        }
    return direction ? wrong(p, "direction is \"both\", \"in\" or \"out\"") : 0;
}

static int read_ignore(const struct place *p, json_t *v, struct kt_polygon *out)
{
    char name[KT_RULES_NAME_SIZE];
    int ret = check_keys(p, v, "name points");
    if (ret == 0 && json_object_get(v, "name"))
        ret = read_name(p, v, name);
    return ret < 0 ? ret : read_polygon(p, v, out);
}

/* The list KEY of ROOT, or NULL with *N 0 when it is absent. */
static int list_of(const struct place *p, json_t *root, const char *key, int max, json_t **list,
                   int *n)
{
    *list = json_object_get(root, key);
    *n = 0;
    if (!*list)
        return 0;
    const struct place q = below(p, key, -1);
    if (!json_is_array(*list))
        return wrong(&q, "must be a list");
    if (json_array_size(*list) > (size_t)max)
        return wrong(&q, "at most %d", max);
    *n = (int)json_array_size(*list);
    return 0;
}

static int read_lists(const struct place *p, json_t *root, const struct kt_limits *defaults,
                      struct kt_rules *r)
{
    json_t *list;
    int ret = list_of(p, root, "zones", KT_RULES_MAX_ZONES, &list, &r->n_zones);
    for (int i = 0; ret == 0 && i < r->n_zones; i++) {
        const struct place q = below(p, "zones", i);
        ret = read_zone(&q, json_array_get(list, (size_t)i), defaults, &r->zone[i]);
        for (int j = 0; ret == 0 && j < i; j++)
            if (strcmp(r->zone[i].name, r->zone[j].name) == 0)
                ret = wrong(&q, "the name \"%s\" is taken", r->zone[i].name);
    }
    if (ret == 0)
        ret = list_of(p, root, "lines", KT_RULES_MAX_LINES, &list, &r->n_lines);
    for (int i = 0; ret == 0 && i < r->n_lines; i++) {
        const struct place q = below(p, "lines", i);
        ret = read_line(&q, json_array_get(list, (size_t)i), defaults, &r->line[i]);
        for (int j = 0; ret == 0 && j < i; j++)
            if (strcmp(r->line[i].name, r->line[j].name) == 0)
                ret = wrong(&q, "the name \"%s\" is taken", r->line[i].name);
    }
    if (ret == 0)
        ret = list_of(p, root, "ignore", KT_RULES_MAX_ZONES, &list, &r->n_ignore);
    for (int i = 0; ret == 0 && i < r->n_ignore; i++) {
        const struct place q = below(p, "ignore", i);
        ret = read_ignore(&q, json_array_get(list, (size_t)i), &r->ignore[i]);
    }
    return ret;
}

static int read_rules(const struct place *p, json_t *root, struct kt_rules *r)
{
    struct kt_limits defaults;
    const struct kt_limits none = { .max_size = 1 };
    int ret = check_keys(p, root, "version zones lines ignore min_size max_size min_time hours");
    if (ret < 0)
        return ret;
    json_t *version = json_object_get(root, "version");
    if (version && json_integer_value(version) != 1)
        return wrong(p, "version must be 1");
    ret = read_limits(p, root, &none, &defaults);
    if (ret == 0)
        ret = read_lists(p, root, &defaults, r);
    if (ret == 0 && r->n_zones == 0) {      /* lines add to the whole picture, zones replace it */
        r->n_zones = 1;
        r->zone[0] = (struct kt_zone){ .limits = defaults, .motion = true };
    }
    return ret;
}

static void json_freep(json_t **v)
{
    json_decref(*v);
    *v = NULL;
}

int kt_rules_parse(struct kt_rules **out, const char *json, struct kt_error *err)
{
    const struct place top = { .err = err };
    json_error_t je;
    kt_cleanup(kt_rules_destroy) struct kt_rules *r = calloc(1, sizeof(*r));
    if (!r)
        return kt_error_set(err, -ENOMEM, "out of memory");
    if (!json || json[strspn(json, " \t\r\n")] == '\0')
        json = "{}";
    if (strlen(json) > RULES_MAX_BYTES)
        return wrong(&top, "more than %d bytes of rules", RULES_MAX_BYTES);
    kt_cleanup(json_freep) json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &je);
    if (!root)
        return wrong(&top, "line %d, column %d: %.200s", je.line, je.column, je.text);
    const int ret = read_rules(&top, root, r);
    if (ret == 0)
        *out = kt_steal_ptr(&r);
    return ret;
}

void kt_rules_destroy(struct kt_rules **rules)
{
    free(kt_steal_ptr(rules));
}

bool kt_polygon_contains(const struct kt_polygon *poly, float x, float y)
{
    if (poly->n == 0)
        return true;
    bool inside = false;
    for (int i = 0, j = poly->n - 1; i < poly->n; j = i++) {
        const struct kt_point a = poly->p[i], b = poly->p[j];
        if ((a.y > y) != (b.y > y) && x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x)
            inside = !inside;
    }
    return inside;
}

bool kt_limits_now(const struct kt_limits *limits, int64_t t_us, int offset_s)
{
    const int64_t minute = (t_us / KT_SECOND_US + offset_s) / 60;
    const int now = (int)((minute % 1440 + 1440) % 1440);
    for (int i = 0; i < limits->n_hours; i++) {
        const struct kt_hours h = limits->hours[i];
        if (h.from <= h.to ? now >= h.from && now < h.to : now >= h.from || now < h.to)
            return true;
    }
    return limits->n_hours == 0;
}

bool kt_rules_draw_ignored(const struct kt_rules *rules, uint8_t *plane, int w, int h)
{
    memset(plane, 0, (size_t)w * (size_t)h);
    for (int i = 0; i < rules->n_ignore; i++)
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                if (kt_polygon_contains(&rules->ignore[i], ((float)x + 0.5f) / (float)w,
                                        ((float)y + 0.5f) / (float)h))
                    plane[(size_t)y * (size_t)w + (size_t)x] = 255;
    return rules->n_ignore > 0;
}

/* figures.c - see figures.h. */
#include <math.h>
#include <stdlib.h>

#include "server/base/cleanup.h"
#include "tests/camera/footage/figures.h"

/* A figure's own axes: a point (forward, left, up) from where it stands. */
struct frame {
    struct vec origin;
    double c, s;
};

static struct vec at(const struct frame *f, double forward, double left, double up)
{
    return (struct vec){ f->origin.x + f->c * forward - f->s * left,
                         f->origin.y + f->s * forward + f->c * left, f->origin.z + up };
}

static struct vec turn(const struct frame *f, struct vec n)
{
    return (struct vec){ f->c * n.x - f->s * n.y, f->s * n.x + f->c * n.y, n.z };
}

/* The camera sees the figure's left side when it stands to the left of its line. */
static bool left_is_near(const struct frame *f)
{
    return f->origin.x * f->s - f->origin.y * f->c > 0;
}

struct leg {
    double knee_x, knee_z, ankle_x, ankle_z;    /* from the hip */
};

static struct leg swing_leg(double height, double phase)
{
    const double thigh = 0.245 * height, shin = 0.245 * height;
    const double a = 0.44 * sin(phase), bend = 0.10 + 0.75 * fmax(0, cos(phase + 0.25));
    struct leg leg = { .knee_x = thigh * sin(a), .knee_z = -thigh * cos(a) };

    leg.ankle_x = leg.knee_x + shin * sin(a - bend);
    leg.ankle_z = leg.knee_z - shin * cos(a - bend);
    return leg;
}

static void draw_leg(const struct brush *b, const struct frame *f, const struct look *look,
                     const struct leg *leg, double hip, double side)
{
    const double h = look->height;
    const struct vec joint = at(f, 0, side, hip), knee = at(f, leg->knee_x, side, hip + leg->knee_z);
    const struct vec ankle = at(f, leg->ankle_x, side * 0.9, hip + leg->ankle_z);
    const struct vec toe = at(f, leg->ankle_x + 0.11 * h, side * 0.95, hip + leg->ankle_z - 0.015 * h);
    const struct rgb shoe = { 0.16, 0.13, 0.12 };

    kt_limb(b, ankle, toe, 0.05 * h, shoe);
    kt_limb(b, knee, ankle, 0.065 * h, look->sarong ? look->skin : look->trousers);
    kt_limb(b, joint, knee, 0.092 * h, look->trousers);
}

static void draw_arm(const struct brush *b, const struct frame *f, const struct look *look,
                     double phase, double shoulder, double side)
{
    const double h = look->height, a = 0.38 * sin(phase), bend = 0.25 + 0.2 * fmax(0, sin(phase));
    const double ex = 0.165 * h * sin(a), ez = shoulder - 0.165 * h * cos(a);
    const struct vec elbow = at(f, ex, side * 1.12, ez);
    const struct vec hand = at(f, ex + 0.15 * h * sin(a + bend), side * 1.1, ez - 0.15 * h * cos(a + bend));

    kt_limb(b, elbow, hand, 0.043 * h, look->headwear == KT_HIJAB ? look->shirt : look->skin);
    kt_limb(b, at(f, 0, side, shoulder), elbow, 0.06 * h, kt_mix(look->shirt, (struct rgb){ 0 }, 0.12));
    kt_ball(b, hand, 0.024 * h, look->skin);
}

static void draw_torso(const struct brush *b, const struct frame *f, const struct look *look,
                       double hip, double lean)
{
    const double h = look->height, top = hip + 0.29 * h;
    const struct vec p[] = { at(f, 0, 0.075 * h, hip), at(f, 0, -0.075 * h, hip),
                             at(f, lean, -0.095 * h, top), at(f, lean, 0.095 * h, top) };

    kt_path(b, p, 4);
    kt_set_color(b, look->shirt, 1);
    cairo_set_line_join(b->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_width(b->cr, 0.115 * h * kt_scale_at(b, p[0]));
    cairo_stroke_preserve(b->cr);
    cairo_fill(b->cr);
    /* Light from above: the shoulders are brighter. */
    if (!b->shadow)
        kt_limb(b, p[2], p[3], 0.06 * h, kt_mix(look->shirt, (struct rgb){ 1, 1, 1 }, 0.18));
    if (look->bag)
        kt_limb(b, at(f, -0.13 * h, 0, hip + 0.08 * h), at(f, -0.12 * h, 0, top - 0.06 * h), 0.13 * h,
                (struct rgb){ 0.15, 0.17, 0.28 });
}

static void draw_sarong(const struct brush *b, const struct frame *f, const struct look *look,
                        double hip, double phase)
{
    const double h = look->height, flare = 0.10 * h * (1 + 0.5 * fabs(sin(phase)));
    const struct vec p[] = { at(f, 0.05 * h, 0.08 * h, hip), at(f, -0.05 * h, -0.08 * h, hip),
                             at(f, -flare, -0.075 * h, hip - 0.40 * h), at(f, flare, 0.075 * h, hip - 0.40 * h) };

    kt_path(b, p, 4);
    kt_set_color(b, look->trousers, 1);
    cairo_set_line_join(b->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_width(b->cr, 0.08 * h * kt_scale_at(b, p[0]));
    cairo_stroke_preserve(b->cr);
    cairo_fill(b->cr);
}

static void draw_head(const struct brush *b, const struct frame *f, const struct look *look, struct vec neck)
{
    const double h = look->height, r = 0.062 * h;
    const struct frame at_neck = { neck, f->c, f->s };
    const struct vec head = at(&at_neck, 0.015 * h, 0, 0.10 * h);

    if (look->headwear == KT_HIJAB) {
        kt_limb(b, at(&at_neck, 0, 0, -0.02 * h), head, 0.17 * h, look->head);
        kt_ball(b, at(&at_neck, 0.045 * h, 0, 0.10 * h), 0.047 * h, look->skin);
        return;
    }
    kt_limb(b, neck, head, 0.06 * h, look->skin);
    kt_ball(b, head, r, look->skin);
    kt_limb(b, at(&at_neck, -0.02 * h, 0, 0.105 * h), at(&at_neck, 0, 0, 0.125 * h), 1.75 * r,
            look->headwear == KT_HAIR ? (struct rgb){ 0.07, 0.06, 0.06 } : look->head);
    if (look->headwear == KT_PECI)
        kt_limb(b, at(&at_neck, -0.02 * h, 0, 0.15 * h), at(&at_neck, 0.03 * h, 0, 0.15 * h), 0.085 * h, look->head);
    if (look->headwear == KT_HELMET)
        kt_ball(b, at(&at_neck, -0.005 * h, 0, 0.11 * h), 1.45 * r, look->head);
    if (look->headwear == KT_CAPING) {
        struct vec brim[14];
        for (int i = 0; i < 12; i++)
            brim[i] = at(&at_neck, 0.17 * h * cos(i * M_PI / 6), 0.17 * h * sin(i * M_PI / 6), 0.13 * h);
        kt_fill_polygon(b, brim, 12, kt_mix(look->head, (struct rgb){ 0 }, 0.25), 1);
        for (int i = 0; i < 12; i++) {
            const struct vec t[] = { brim[i], brim[(i + 1) % 12], at(&at_neck, 0, 0, 0.22 * h) };
            kt_fill_polygon(b, t, 3, kt_mix(look->head, (struct rgb){ 0 }, 0.04 * (i % 6)), 1);
        }
    }
}

static void draw_person(const struct brush *b, const struct look *look, const struct frame *f, double walked)
{
    const double h = look->height, phase = walked / (0.42 * h) * M_PI, side = 0.058 * h;
    const struct leg left = swing_leg(h, phase), right = swing_leg(h, phase + M_PI);
    const double hip = 0.035 * h - fmin(left.ankle_z, right.ankle_z), shoulder = hip + 0.295 * h;
    const double near = left_is_near(f) ? 1 : -1;
    const struct leg *far_leg = near > 0 ? &right : &left, *near_leg = near > 0 ? &left : &right;
    const double far_phase = near > 0 ? phase : phase + M_PI;

    draw_arm(b, f, look, far_phase, shoulder, -near * 0.115 * h);
    draw_leg(b, f, look, far_leg, hip, -near * side);
    draw_leg(b, f, look, near_leg, hip, near * side);
    if (look->sarong)
        draw_sarong(b, f, look, hip, phase);
    draw_torso(b, f, look, hip, 0.02 * h);
    draw_head(b, f, look, at(f, 0.02 * h, 0, hip + 0.33 * h));
    draw_arm(b, f, look, far_phase + M_PI, shoulder, near * 0.115 * h);
}

static void draw_wheel(const struct brush *b, const struct frame *f, double x, double left, double r,
                       double width)
{
    struct vec rim[20], hub[20];

    for (int i = 0; i < 20; i++) {
        const double c = cos(i * M_PI / 10), s = sin(i * M_PI / 10);
        rim[i] = at(f, x + r * c, left, r + r * s);
        hub[i] = at(f, x + 0.5 * r * c, left, r + 0.5 * r * s);
    }
    kt_path(b, rim, 20);
    kt_set_color(b, (struct rgb){ 0.07, 0.07, 0.08 }, 1);
    cairo_set_line_width(b->cr, width * kt_scale_at(b, rim[0]));
    cairo_stroke_preserve(b->cr);
    cairo_fill(b->cr);
    kt_fill_polygon(b, hub, 20, (struct rgb){ 0.55, 0.56, 0.58 }, 1);
}

static bool front_is_seen(const struct frame *f)
{
    return -f->origin.x * f->c - f->origin.y * f->s > 0;
}

static void draw_rider(const struct brush *b, const struct look *look, const struct frame *f)
{
    const double near = left_is_near(f) ? 1 : -1;

    for (int i = 0; i < 2; i++) {
        const double side = (i == 0 ? -near : near) * 0.14;
        const struct vec knee = at(f, 0.24, side * 1.3, 0.66);
        kt_limb(b, at(f, -0.16, side, 0.80), knee, 0.15, look->trousers);
        kt_limb(b, knee, at(f, 0.06, side * 1.2, 0.28), 0.11, look->trousers);
        kt_limb(b, at(f, 0.06, side * 1.2, 0.26), at(f, 0.22, side * 1.2, 0.25), 0.08, (struct rgb){ 0.1, 0.1, 0.1 });
        if (i == 0) {
            const struct vec torso[] = { at(f, -0.20, 0, 0.82), at(f, -0.02, 0, 1.28) };
            kt_limb(b, torso[0], torso[1], 0.30, look->shirt);
        }
        const struct vec elbow = at(f, 0.16, side * 1.9, 1.02);
        kt_limb(b, at(f, 0.0, side * 1.2, 1.28), elbow, 0.10, kt_mix(look->shirt, (struct rgb){ 0 }, 0.15));
        kt_limb(b, elbow, at(f, 0.42, side * 1.7, 1.00), 0.075, look->skin);
    }
    const struct frame neck = { f->origin, f->c, f->s };
    draw_head(b, f, look, at(&neck, 0.02, 0, 1.36));
}

static void draw_motorbike(const struct brush *b, const struct figure *figure, const struct frame *f)
{
    const struct rgb dark = { 0.12, 0.12, 0.13 }, steel = { 0.5, 0.5, 0.52 };
    const struct rgb deep = kt_mix(figure->paint, (struct rgb){ 0 }, 0.35);

    draw_wheel(b, f, -0.60, 0, 0.28, 0.10);
    draw_wheel(b, f, 0.62, 0, 0.28, 0.09);
    kt_limb(b, at(f, 0.62, 0, 0.28), at(f, 0.42, 0, 0.95), 0.07, steel);
    kt_limb(b, at(f, -0.75, 0.12, 0.33), at(f, 0.05, 0.12, 0.27), 0.08, steel);
    kt_limb(b, at(f, -0.42, 0, 0.42), at(f, 0.12, 0, 0.40), 0.24, dark);
    kt_limb(b, at(f, -0.68, 0, 0.68), at(f, -0.20, 0, 0.60), 0.22, figure->paint);
    kt_limb(b, at(f, 0.36, 0, 0.48), at(f, 0.46, 0, 0.88), 0.24, figure->paint);
    kt_limb(b, at(f, 0.14, 0, 0.42), at(f, 0.34, 0, 0.50), 0.20, deep);
    kt_limb(b, at(f, -0.62, 0, 0.78), at(f, 0.02, 0, 0.76), 0.14, dark);
    kt_limb(b, at(f, 0.40, -0.30, 1.0), at(f, 0.40, 0.30, 1.0), 0.05, dark);
    draw_rider(b, &figure->look, f);
    if (figure->lamps && !b->shadow) {
        if (front_is_seen(f))
            kt_ball(b, at(f, 0.55, 0, 0.85), 0.08, (struct rgb){ 1, 0.97, 0.85 });
        else
            kt_ball(b, at(f, -0.82, 0, 0.66), 0.05, (struct rgb){ 0.95, 0.1, 0.08 });
    }
}

/* One flat side of a car: points (forward, left, up) and its outward normal. */
struct face {
    struct vec p[6], normal;
    int n;
    struct rgb color;
    double depth;
};

static int nearer_last(const void *a, const void *b)
{
    const struct face *fa = a, *fb = b;
    return fa->depth < fb->depth ? 1 : fa->depth > fb->depth ? -1 : 0;
}

static const struct rgb glass = { 0.12, 0.15, 0.18 };

static size_t car_faces(struct face *out, struct rgb paint)
{
    const double w = 0.83, tw = 0.70;
    size_t n = 0;

    for (int i = 0; i < 2; i++) {
        const double s = i ? -1 : 1;
        out[n++] = (struct face){ { { -2.0, s * w, .28 }, { 2.0, s * w, .28 }, { 2.02, s * w, .72 },
            { 1.15, s * w, 1.0 }, { -2.0, s * w, 1.0 } }, { 0, s, 0 }, 5, paint, 0 };
        out[n++] = (struct face){ { { -2.0, s * w, 1.0 }, { 1.15, s * w, 1.0 }, { 0.45, s * tw, 1.62 },
            { -1.85, s * tw, 1.62 } }, { 0, s * 0.98, 0.2 }, 4, paint, 0 };
    }
    out[n++] = (struct face){ { { 2.0, -w, .28 }, { 2.0, w, .28 }, { 2.02, w, .72 }, { 2.02, -w, .72 } },
        { 1, 0, 0 }, 4, paint, 0 };
    out[n++] = (struct face){ { { -2.0, -w, .28 }, { -2.0, w, .28 }, { -2.0, w, 1.0 }, { -2.0, -w, 1.0 } },
        { -1, 0, 0 }, 4, paint, 0 };
    out[n++] = (struct face){ { { 2.02, -w, .72 }, { 2.02, w, .72 }, { 1.15, w, 1.0 }, { 1.15, -w, 1.0 } },
        { 0.3, 0, 0.95 }, 4, paint, 0 };
    out[n++] = (struct face){ { { 1.15, -w, 1.0 }, { 1.15, w, 1.0 }, { 0.45, tw, 1.62 }, { 0.45, -tw, 1.62 } },
        { 0.66, 0, 0.75 }, 4, glass, 0 };
    out[n++] = (struct face){ { { -2.0, -w, 1.0 }, { -2.0, w, 1.0 }, { -1.85, tw, 1.62 }, { -1.85, -tw, 1.62 } },
        { -0.97, 0, 0.2 }, 4, glass, 0 };
    out[n++] = (struct face){ { { 0.45, -tw, 1.62 }, { 0.45, tw, 1.62 }, { -1.85, tw, 1.62 }, { -1.85, -tw, 1.62 } },
        { 0, 0, 1 }, 4, paint, 0 };
    return n;
}

static void draw_face(const struct brush *b, const struct frame *f, const struct face *face)
{
    struct vec p[6];

    for (int i = 0; i < face->n; i++)
        p[i] = at(f, face->p[i].x, face->p[i].y, face->p[i].z);
    kt_fill_polygon(b, p, (size_t)face->n, kt_shade(b->lens, face->color, turn(f, face->normal)), 1);
}

static void draw_side_details(const struct brush *b, const struct frame *f, double s)
{
    const double w = 0.84 * s;
    static const double window[][4] = { { -1.78, -0.95, -1.72, -0.92 }, { -0.85, 0.05, -0.83, -0.0 },
                                        { 0.13, 0.95, 0.08, 0.40 } };

    for (size_t i = 0; i < KT_ARRAY_SIZE(window); i++) {
        const struct vec p[] = { at(f, window[i][0], w, 1.04), at(f, window[i][1], w, 1.04),
                                 at(f, window[i][3], 0.73 * s, 1.53), at(f, window[i][2], 0.73 * s, 1.53) };
        kt_fill_polygon(b, p, 4, glass, 1);
    }
    draw_wheel(b, f, -1.25, w, 0.31, 0.03);
    draw_wheel(b, f, 1.25, w, 0.31, 0.03);
}

static void draw_car(const struct brush *b, const struct figure *figure, const struct frame *f)
{
    struct face faces[16];
    const size_t n = car_faces(faces, figure->paint);
    const double near = left_is_near(f) ? 1 : -1;

    for (size_t i = 0; i < n; i++) {
        faces[i].depth = 0;
        for (int k = 0; k < faces[i].n; k++) {
            double x, y, d;
            kt_project(b, at(f, faces[i].p[k].x, faces[i].p[k].y, faces[i].p[k].z), &x, &y, &d);
            faces[i].depth += d / faces[i].n;
        }
    }
    qsort(faces, n, sizeof(faces[0]), nearer_last);
    draw_wheel(b, f, -1.25, -0.8 * near, 0.31, 0.03);
    draw_wheel(b, f, 1.25, -0.8 * near, 0.31, 0.03);
    for (size_t i = 0; i < n; i++)
        draw_face(b, f, &faces[i]);
    draw_side_details(b, f, near);
    for (int i = 0; i < 2 && !b->shadow; i++) {
        const double s = i ? -0.6 : 0.6;
        if (front_is_seen(f))
            kt_ball(b, at(f, 2.02, s, 0.66), 0.10, figure->lamps ? (struct rgb){ 1, 0.97, 0.86 }
                                                                 : (struct rgb){ 0.8, 0.8, 0.78 });
        else
            kt_ball(b, at(f, -2.0, s, 0.80), 0.08, (struct rgb){ 0.75, 0.08, 0.06 });
    }
}

void kt_draw_figure(const struct brush *brush, const struct figure *figure, struct vec p,
                    double heading, double walked)
{
    const struct frame f = { p, cos(heading), sin(heading) };

    switch (figure->kind) {
    case KT_PERSON: draw_person(brush, &figure->look, &f, walked); break;
    case KT_MOTORBIKE: draw_motorbike(brush, figure, &f); break;
    case KT_CAR: draw_car(brush, figure, &f); break;
    }
}

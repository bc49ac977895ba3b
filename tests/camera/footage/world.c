/* world.c - see world.h. */
#include <math.h>

#include "tests/camera/footage/world.h"

void kt_project(const struct brush *brush, struct vec p, double *x, double *y, double *depth)
{
    const struct lens *lens = brush->lens;

    if (brush->shadow) {
        const double t = p.z / lens->sun.z;
        p = (struct vec){ p.x - lens->sun.x * t, p.y - lens->sun.y * t, 0 };
    }
    const double c = cos(lens->pitch), s = sin(lens->pitch), dz = p.z - lens->height;
    double d = p.y * c - dz * s;
    if (d < 0.3)
        d = 0.3;
    *x = KT_PICTURE_WIDTH / 2.0 + lens->focal * p.x / d;
    *y = KT_PICTURE_HEIGHT / 2.0 - lens->focal * (p.y * s + dz * c) / d;
    if (depth)
        *depth = d;
}

double kt_scale_at(const struct brush *brush, struct vec p)
{
    double x, y, depth;
    kt_project(brush, p, &x, &y, &depth);
    return brush->lens->focal / depth;
}

void kt_set_color(const struct brush *brush, struct rgb c, double alpha)
{
    if (brush->shadow)
        cairo_set_source_rgba(brush->cr, 0, 0, 0.02, 1);
    else
        cairo_set_source_rgba(brush->cr, c.r, c.g, c.b, alpha);
}

struct rgb kt_mix(struct rgb a, struct rgb b, double t)
{
    return (struct rgb){ a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t };
}

struct rgb kt_shade(const struct lens *lens, struct rgb base, struct vec n)
{
    const double dot = n.x * lens->sun.x + n.y * lens->sun.y + n.z * lens->sun.z;
    const double direct = dot > 0 ? 0.5 * dot : 0, sky = 0.5 + 0.08 * n.z;
    return (struct rgb){ base.r * (sky * 0.97 + direct * lens->light.r),
                         base.g * (sky + direct * lens->light.g),
                         base.b * (sky * 1.05 + direct * lens->light.b) };
}

void kt_path(const struct brush *brush, const struct vec *p, size_t n)
{
    cairo_new_path(brush->cr);
    for (size_t i = 0; i < n; i++) {
        double x, y;
        kt_project(brush, p[i], &x, &y, NULL);
        cairo_line_to(brush->cr, x, y);
    }
    cairo_close_path(brush->cr);
}

void kt_fill_polygon(const struct brush *brush, const struct vec *p, size_t n, struct rgb c, double alpha)
{
    kt_path(brush, p, n);
    kt_set_color(brush, c, alpha);
    cairo_fill(brush->cr);
}

void kt_limb(const struct brush *brush, struct vec a, struct vec b, double thickness, struct rgb c)
{
    double ax, ay, bx, by;

    kt_project(brush, a, &ax, &ay, NULL);
    kt_project(brush, b, &bx, &by, NULL);
    cairo_new_path(brush->cr);
    cairo_move_to(brush->cr, ax, ay);
    cairo_line_to(brush->cr, bx, by);
    cairo_set_line_cap(brush->cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_width(brush->cr, thickness * kt_scale_at(brush, a));
    kt_set_color(brush, c, 1);
    cairo_stroke(brush->cr);
}

void kt_ball(const struct brush *brush, struct vec p, double radius, struct rgb c)
{
    kt_limb(brush, p, p, 2 * radius, c);
}

double kt_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 11) / 9007199254740992.0;
}

double kt_random_between(uint64_t *state, double a, double b)
{
    return a + (b - a) * kt_random(state);
}

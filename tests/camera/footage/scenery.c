/* scenery.c - see scenery.h. */
#include <math.h>

#include "tests/camera/footage/scenery.h"

static struct rgb vary(struct rgb c, double f)
{
    return (struct rgb){ c.r * f, c.g * f, c.b * f };
}

static double horizon(const struct brush *b)
{
    return KT_PICTURE_HEIGHT / 2.0 - b->lens->focal * tan(b->lens->pitch);
}

void kt_draw_sky(const struct brush *b, struct rgb top, struct rgb bottom)
{
    const double h = horizon(b);
    cairo_pattern_t *sky = cairo_pattern_create_linear(0, h - 420, 0, h);

    cairo_pattern_add_color_stop_rgb(sky, 0, top.r, top.g, top.b);
    cairo_pattern_add_color_stop_rgb(sky, 1, bottom.r, bottom.g, bottom.b);
    cairo_set_source(b->cr, sky);
    cairo_paint(b->cr);
    cairo_pattern_destroy(sky);
}

static void dab(const struct brush *b, struct vec p, double rx, double rz, struct rgb c, double alpha)
{
    double x, y, depth;

    kt_project(b, p, &x, &y, &depth);
    const double s = b->lens->focal / depth;
    cairo_save(b->cr);
    cairo_translate(b->cr, x, y);
    cairo_scale(b->cr, fmax(rx * s, 0.4), fmax(rz * s, 0.3));
    cairo_new_path(b->cr);
    cairo_arc(b->cr, 0, 0, 1, 0, 2 * M_PI);
    cairo_restore(b->cr);
    kt_set_color(b, c, alpha);
    cairo_fill(b->cr);
}

void kt_draw_ground(const struct brush *b, double x0, double y0, double x1, double y1, struct rgb c, int grains)
{
    const struct vec p[] = { { x0, y0, 0 }, { x1, y0, 0 }, { x1, y1, 0 }, { x0, y1, 0 } };
    uint64_t seed = (uint64_t)(grains * 31) + (uint64_t)(y0 * 1000);
    const struct rgb lit = kt_shade(b->lens, c, (struct vec){ 0, 0, 1 });

    kt_fill_polygon(b, p, 4, lit, 1);
    cairo_save(b->cr);
    kt_path(b, p, 4);
    cairo_clip(b->cr);
    for (int i = 0; i < grains; i++) {
        /* Even on the picture, not on the ground: more of them near the camera. */
        const double inv = kt_random_between(&seed, 1 / y1, 1 / y0);
        const struct vec q = { kt_random_between(&seed, x0, x1), 1 / inv, 0 };
        const double r = kt_random_between(&seed, 0.01, 0.05) * (i % 40 == 0 ? 9 : 1);
        dab(b, q, r, r * 0.35, vary(lit, kt_random_between(&seed, 0.72, 1.2)), i % 40 == 0 ? 0.12 : 0.35);
    }
    cairo_restore(b->cr);
}

void kt_draw_grass(const struct brush *b, double x0, double y0, double x1, double y1, struct rgb c, int tufts)
{
    uint64_t seed = (uint64_t)(tufts * 7) + (uint64_t)((x0 + 100) * 10);
    const struct rgb lit = kt_shade(b->lens, c, (struct vec){ 0, 0, 1 });

    kt_draw_ground(b, x0, y0, x1, y1, c, tufts / 4);
    for (int i = 0; i < tufts; i++) {
        const double y = y1 + (y0 - y1) * i / tufts;
        const struct vec root = { kt_random_between(&seed, x0, x1), y, 0 };
        const struct vec tip = { root.x + kt_random_between(&seed, -0.06, 0.06), y, kt_random_between(&seed, 0.04, 0.16) };
        kt_limb(b, root, tip, 0.025, vary(lit, kt_random_between(&seed, 0.6, 1.3)));
    }
}

void kt_draw_joints(const struct brush *b, double x0, double y0, double x1, double y1, double step)
{
    cairo_set_line_width(b->cr, 1);
    for (double y = y0; y <= y1; y += step) {
        const struct vec row[] = { { x0, y, 0 }, { x1, y, 0 } };
        kt_path(b, row, 2);
        kt_set_color(b, (struct rgb){ 0.1, 0.09, 0.08 }, fmin(0.4, 3 / y));
        cairo_stroke(b->cr);
    }
    for (double x = x0; x <= x1; x += step) {
        const struct vec row[] = { { x, y0, 0 }, { x, y1, 0 } };
        kt_path(b, row, 2);
        kt_set_color(b, (struct rgb){ 0.1, 0.09, 0.08 }, 0.16);
        cairo_stroke(b->cr);
    }
}

void kt_draw_wall(const struct brush *b, double x0, double y0, double x1, double y1, double z0, double z1, struct rgb c)
{
    const double len = hypot(x1 - x0, y1 - y0);
    struct vec n = { (y1 - y0) / len, -(x1 - x0) / len, 0 };
    if (n.x * -x0 + n.y * -y0 < 0)
        n = (struct vec){ -n.x, -n.y, 0 };
    const struct vec p[] = { { x0, y0, z0 }, { x1, y1, z0 }, { x1, y1, z1 }, { x0, y0, z1 } };
    const struct rgb lit = kt_shade(b->lens, c, n);
    uint64_t seed = (uint64_t)((x0 + 50) * 97 + y0 * 13 + z1 * 7);

    kt_fill_polygon(b, p, 4, lit, 1);
    cairo_save(b->cr);
    kt_path(b, p, 4);
    cairo_clip(b->cr);
    for (int i = 0; i < (int)(len * (z1 - z0) * 26); i++) {
        const double u = kt_random(&seed), z = kt_random_between(&seed, z0, z1);
        const struct vec q = { x0 + (x1 - x0) * u, y0 + (y1 - y0) * u, z };
        dab(b, q, kt_random_between(&seed, 0.02, 0.12), kt_random_between(&seed, 0.03, 0.25),
            vary(lit, kt_random_between(&seed, 0.78, 1.14)), 0.13);
    }
    for (int i = 0; i < (int)(len * 14); i++) {     /* rain splashes along the foot */
        const double u = kt_random(&seed);
        const struct vec q = { x0 + (x1 - x0) * u, y0 + (y1 - y0) * u, z0 + 0.25 * kt_random(&seed) * kt_random(&seed) };
        dab(b, q, 0.09, 0.10, vary(lit, 0.45), 0.22);
    }
    cairo_restore(b->cr);
}

void kt_draw_opening(const struct brush *b, struct vec a, struct vec along, double u0, double u1,
                     double z0, double z1, struct rgb frame, struct rgb inside)
{
    const struct vec p[] = { { a.x + along.x * u0, a.y + along.y * u0, z0 }, { a.x + along.x * u1, a.y + along.y * u1, z0 },
                             { a.x + along.x * u1, a.y + along.y * u1, z1 }, { a.x + along.x * u0, a.y + along.y * u0, z1 } };
    const double um = (u0 + u1) / 2;
    const struct vec bar[] = { { a.x + along.x * um, a.y + along.y * um, z0 }, { a.x + along.x * um, a.y + along.y * um, z1 } };

    kt_fill_polygon(b, p, 4, inside, 1);
    kt_path(b, p, 4);
    kt_set_color(b, frame, 1);
    cairo_set_line_width(b->cr, 0.08 * kt_scale_at(b, p[0]));
    cairo_stroke(b->cr);
    kt_limb(b, bar[0], bar[1], 0.05, frame);
}

void kt_draw_roof(const struct brush *b, struct vec p0, struct vec p1, struct vec p2, struct vec p3, struct rgb color)
{
    const struct vec p[] = { p0, p1, p2, p3 };
    const struct rgb lit = kt_shade(b->lens, color, (struct vec){ 0, -0.5, 0.86 });
    uint64_t seed = 11;

    kt_fill_polygon(b, p, 4, lit, 1);
    cairo_save(b->cr);
    kt_path(b, p, 4);
    cairo_clip(b->cr);
    for (int row = 0; row <= 14; row++) {
        const double t = row / 14.0;
        const struct vec l = { p0.x + (p3.x - p0.x) * t, p0.y + (p3.y - p0.y) * t, p0.z + (p3.z - p0.z) * t };
        const struct vec r = { p1.x + (p2.x - p1.x) * t, p1.y + (p2.y - p1.y) * t, p1.z + (p2.z - p1.z) * t };
        kt_limb(b, l, r, 0.03, vary(lit, 0.62));
        for (int i = 0; i < 60; i++) {
            const double u = kt_random(&seed);
            const struct vec q = { l.x + (r.x - l.x) * u, l.y + (r.y - l.y) * u, l.z + (r.z - l.z) * u + 0.08 };
            dab(b, q, 0.12, 0.07, vary(lit, kt_random_between(&seed, 0.7, 1.2)), 0.45);
        }
    }
    cairo_restore(b->cr);
}

void kt_draw_box(const struct brush *b, double x0, double y0, double x1, double y1, double z0, double z1, struct rgb c)
{
    const struct vec top[] = { { x0, y0, z1 }, { x1, y0, z1 }, { x1, y1, z1 }, { x0, y1, z1 } };

    if (x0 > 0)
        kt_draw_wall(b, x0, y1, x0, y0, z0, z1, c);
    if (x1 < 0)
        kt_draw_wall(b, x1, y0, x1, y1, z0, z1, c);
    kt_draw_wall(b, x0, y0, x1, y0, z0, z1, c);
    if (z1 < b->lens->height)
        kt_fill_polygon(b, top, 4, kt_shade(b->lens, c, (struct vec){ 0, 0, 1 }), 1);
}

static void leaves(const struct brush *b, struct vec middle, double rx, double rz, struct rgb leaf, int n, uint64_t *seed)
{
    for (int i = 0; i < n; i++) {
        const double t = kt_random(seed) * 2 * M_PI, r = sqrt(kt_random(seed)), up = sin(t) * r;
        const struct vec q = { middle.x + rx * cos(t) * r, middle.y + kt_random_between(seed, -0.3, 0.3) * rx, middle.z + rz * up };
        /* Brighter where the sun falls in, dark below and within. */
        const double light = 0.72 + 0.32 * up + 0.22 * b->lens->sun.x * cos(t) * r + kt_random_between(seed, -0.22, 0.2);
        dab(b, q, kt_random_between(seed, 0.04, 0.13), kt_random_between(seed, 0.03, 0.09),
            vary(leaf, i < n / 3 ? light * 0.55 : light), 0.9);
    }
}

void kt_draw_shade(const struct brush *b, double x, double y, double rx, double ry, double alpha)
{
    uint64_t seed = (uint64_t)(x * 77 + y * 131 + 5000);

    for (int i = 0; i < 90; i++) {
        const double t = kt_random(&seed) * 2 * M_PI, r = sqrt(kt_random(&seed));
        const struct vec q = { x + rx * cos(t) * r, y + ry * sin(t) * r, 0 };
        const double w = kt_random_between(&seed, 0.15, 0.5);
        dab(b, q, w, w * 0.28, (struct rgb){ 0.05, 0.06, 0.08 }, alpha * 0.22);
    }
}

void kt_draw_bush(const struct brush *b, double x, double y, double radius, struct rgb leaf, uint64_t seed)
{
    const struct rgb lit = kt_shade(b->lens, leaf, (struct vec){ 0, 0, 1 });
    leaves(b, (struct vec){ x, y, radius * 0.8 }, radius, radius * 0.8, lit, (int)(700 * radius), &seed);
}

void kt_draw_tree(const struct brush *b, double x, double y, double height, double spread, struct rgb leaf, uint64_t seed)
{
    const struct rgb bark = kt_shade(b->lens, (struct rgb){ 0.35, 0.27, 0.20 }, (struct vec){ 0, -1, 0 });
    const struct rgb lit = kt_shade(b->lens, leaf, (struct vec){ 0, 0, 1 });
    const struct vec fork = { x + 0.1, y, height * 0.55 };

    kt_limb(b, (struct vec){ x, y, 0 }, fork, 0.30, bark);
    for (int i = 0; i < 6; i++) {
        const struct vec tip = { x + spread * kt_random_between(&seed, -0.7, 0.7), y, height * kt_random_between(&seed, 0.72, 0.95) };
        kt_limb(b, fork, tip, 0.12, bark);
    }
    for (int i = 0; i < 9; i++) {
        const struct vec m = { x + spread * kt_random_between(&seed, -0.75, 0.75), y, height * kt_random_between(&seed, 0.68, 1.02) };
        leaves(b, m, spread * 0.45, spread * 0.30, lit, 420, &seed);
    }
}

void kt_draw_palm(const struct brush *b, double x, double y, double height, uint64_t seed)
{
    const struct rgb bark = kt_shade(b->lens, (struct rgb){ 0.42, 0.36, 0.28 }, (struct vec){ 0, -1, 0 });
    const struct rgb green = kt_shade(b->lens, (struct rgb){ 0.25, 0.42, 0.14 }, (struct vec){ 0, 0, 1 });
    const double lean = kt_random_between(&seed, -0.8, 0.8);
    struct vec last = { x, y, 0 };

    for (int i = 1; i <= 8; i++) {
        const double t = i / 8.0;
        const struct vec p = { x + lean * t * t, y, height * t };
        kt_limb(b, last, p, 0.26 - 0.12 * t, vary(bark, i % 2 ? 1 : 0.9));
        last = p;
    }
    for (int i = 0; i < 13; i++) {
        const double t = i / 13.0 * 2 * M_PI, len = kt_random_between(&seed, 1.7, 2.4);
        struct vec rib = last;
        for (int k = 1; k <= 12; k++) {
            const double u = k / 12.0;
            const struct vec p = { last.x + len * cos(t) * u, y, last.z + 0.55 * sin(t) * u + 0.9 * u - 1.9 * u * u };
            const struct rgb c = vary(green, kt_random_between(&seed, 0.55, 1.25));
            kt_limb(b, rib, p, 0.03, c);
            kt_limb(b, p, (struct vec){ p.x + 0.12 * cos(t), y, p.z - 0.38 * (1 - u * 0.5) }, 0.035, c);
            kt_limb(b, p, (struct vec){ p.x - 0.10 * cos(t), y, p.z - 0.30 * (1 - u * 0.5) }, 0.03, vary(c, 0.8));
            rib = p;
        }
    }
}

void kt_draw_pole(const struct brush *b, double x, double y, double height)
{
    const struct rgb c = kt_shade(b->lens, (struct rgb){ 0.55, 0.54, 0.52 }, (struct vec){ 0, -1, 0 });

    kt_limb(b, (struct vec){ x, y, 0 }, (struct vec){ x, y, height }, 0.16, vary(c, 0.8));
    kt_limb(b, (struct vec){ x - 0.03, y, 0 }, (struct vec){ x - 0.03, y, height }, 0.06, vary(c, 1.2));
    kt_limb(b, (struct vec){ x - 0.7, y, height - 0.4 }, (struct vec){ x + 0.7, y, height - 0.4 }, 0.10, vary(c, 0.7));
}

void kt_draw_cable(const struct brush *b, struct vec a, struct vec c, double sag)
{
    double x, y;

    cairo_new_path(b->cr);
    for (int i = 0; i <= 24; i++) {
        const double t = i / 24.0;
        kt_project(b, (struct vec){ a.x + (c.x - a.x) * t, a.y + (c.y - a.y) * t,
                                    a.z + (c.z - a.z) * t - 4 * sag * t * (1 - t) }, &x, &y, NULL);
        cairo_line_to(b->cr, x, y);
    }
    kt_set_color(b, (struct rgb){ 0.08, 0.08, 0.09 }, 0.9);
    cairo_set_line_width(b->cr, 1.6);
    cairo_stroke(b->cr);
}

void kt_draw_hills(const struct brush *b, double base, double height, struct rgb c, uint64_t seed)
{
    const double h = horizon(b) - base, p1 = kt_random(&seed) * 6, p2 = kt_random(&seed) * 6;

    cairo_new_path(b->cr);
    cairo_move_to(b->cr, 0, h + 300);
    for (int x = 0; x <= KT_PICTURE_WIDTH; x += 8) {
        const double t = x / 300.0;
        cairo_line_to(b->cr, x, h - height * (0.5 + 0.3 * sin(t + p1) + 0.14 * sin(2.7 * t + p2) + 0.03 * sin(9 * t) +
                                              0.015 * kt_random(&seed)));
    }
    cairo_line_to(b->cr, KT_PICTURE_WIDTH, h + 300);
    kt_set_color(b, c, 1);
    cairo_fill(b->cr);
}

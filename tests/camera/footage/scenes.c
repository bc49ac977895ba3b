/* scenes.c - see scenes.h. */
#include <math.h>

#include "server/base/cleanup.h"
#include "tests/camera/footage/scenery.h"
#include "tests/camera/footage/scenes.h"

const double kt_loop_seconds = 80;

static const struct rgb asphalt = { 0.42, 0.41, 0.40 }, concrete = { 0.66, 0.64, 0.60 };
static const struct rgb soil = { 0.52, 0.43, 0.33 }, grass = { 0.34, 0.44, 0.18 };
static const struct rgb leaf = { 0.24, 0.40, 0.15 }, leaf_light = { 0.36, 0.50, 0.18 };
static const struct rgb tile_red = { 0.62, 0.30, 0.20 }, white = { 0.92, 0.91, 0.87 };
static const struct rgb cream = { 0.86, 0.79, 0.62 }, mint = { 0.56, 0.72, 0.64 }, blue_wall = { 0.50, 0.63, 0.76 };
static const struct rgb wood = { 0.40, 0.27, 0.17 }, dark_room = { 0.10, 0.10, 0.11 };

static void text_on_wall(const struct brush *b, struct vec p, double size, const char *text, struct rgb c)
{
    double x, y;

    kt_project(b, p, &x, &y, NULL);
    cairo_select_font_face(b->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(b->cr, size * kt_scale_at(b, p));
    cairo_text_extents_t e;
    cairo_text_extents(b->cr, text, &e);
    cairo_move_to(b->cr, x - e.width / 2, y);
    kt_set_color(b, c, 1);
    cairo_show_text(b->cr, text);
}

/* ---------------------------------------------------------------- the gate */

static void gate_pillar(const struct brush *b, double x)
{
    kt_draw_box(b, x - 0.55, 15.0, x + 0.55, 16.0, 0, 0.7, (struct rgb){ 0.45, 0.44, 0.43 });
    kt_draw_box(b, x - 0.40, 15.1, x + 0.40, 15.9, 0.7, 3.6, (struct rgb){ 0.70, 0.36, 0.26 });
    kt_draw_box(b, x - 0.48, 15.05, x + 0.48, 15.95, 2.2, 2.45, white);
    kt_draw_box(b, x - 0.55, 15.0, x + 0.55, 16.0, 3.6, 3.85, white);
    kt_draw_box(b, x - 0.38, 15.1, x + 0.38, 15.9, 3.85, 4.25, (struct rgb){ 0.70, 0.36, 0.26 });
    kt_draw_box(b, x - 0.22, 15.2, x + 0.22, 15.8, 4.25, 4.65, (struct rgb){ 0.62, 0.32, 0.23 });
}

static void gate_front(const struct brush *b)
{
    kt_draw_wall(b, -14, 15.5, -2.9, 15.5, 0, 1.9, cream);
    kt_draw_wall(b, 2.9, 15.5, 14, 15.5, 0, 1.9, cream);
    kt_draw_box(b, -14, 15.4, -2.9, 15.6, 1.9, 2.02, tile_red);
    kt_draw_box(b, 2.9, 15.4, 14, 15.6, 1.9, 2.02, tile_red);
    gate_pillar(b, -2.7);
    gate_pillar(b, 2.7);
}

static void gate_banner(const struct brush *b)
{
    const struct vec board[] = { { -2.3, 15.3, 3.05 }, { 2.3, 15.3, 3.05 }, { 2.3, 15.3, 3.75 }, { -2.3, 15.3, 3.75 } };

    kt_fill_polygon(b, board, 4, (struct rgb){ 0.10, 0.34, 0.20 }, 1);
    kt_path(b, board, 4);
    kt_set_color(b, (struct rgb){ 0.93, 0.82, 0.35 }, 1);
    cairo_set_line_width(b->cr, 4);
    cairo_stroke(b->cr);
    text_on_wall(b, (struct vec){ 0, 15.25, 3.42 }, 0.24, "SELAMAT DATANG", white);
    text_on_wall(b, (struct vec){ 0, 15.25, 3.14 }, 0.22, "KAMPUNG RW 05", (struct rgb){ 0.96, 0.86, 0.4 });
}

static void guard_post(const struct brush *b)
{
    const struct vec a = { -7.6, 13.2, 0 }, along = { 2.6, 0, 0 };

    kt_draw_shade(b, -5.6, 12.9, 1.7, 0.4, 0.7);
    kt_draw_wall(b, -5.0, 13.2, -5.0, 15.2, 0, 2.5, (struct rgb){ 0.62, 0.74, 0.66 });
    kt_draw_wall(b, -7.6, 13.2, -5.0, 13.2, 0, 2.5, (struct rgb){ 0.70, 0.82, 0.72 });
    kt_draw_opening(b, a, along, 0.08, 0.42, 0.0, 2.0, wood, dark_room);
    kt_draw_opening(b, a, along, 0.52, 0.92, 1.0, 1.9, white, (struct rgb){ 0.16, 0.18, 0.2 });
    kt_draw_roof(b, (struct vec){ -8.0, 12.7, 2.4 }, (struct vec){ -4.6, 12.7, 2.4 },
                 (struct vec){ -5.2, 14.2, 3.5 }, (struct vec){ -7.4, 14.2, 3.5 }, tile_red);
    text_on_wall(b, (struct vec){ -6.3, 13.1, 2.12 }, 0.20, "POS SISKAMLING", (struct rgb){ 0.15, 0.2, 0.5 });
    /* The slit drum under the eaves: what this program is named after. */
    kt_limb(b, (struct vec){ -4.75, 12.8, 1.3 }, (struct vec){ -4.75, 12.8, 2.0 }, 0.22, wood);
    kt_limb(b, (struct vec){ -4.75, 12.75, 1.42 }, (struct vec){ -4.75, 12.75, 1.88 }, 0.05, dark_room);
    /* boom bar, raised */
    kt_draw_box(b, -3.75, 14.1, -3.45, 14.4, 0, 1.0, (struct rgb){ 0.85, 0.7, 0.15 });
    for (int i = 0; i < 6; i++)
        kt_limb(b, (struct vec){ -3.6 + 0.10 * i, 14.2, 1.0 + 0.55 * i }, (struct vec){ -3.6 + 0.10 * (i + 1), 14.2, 1.0 + 0.55 * (i + 1) },
                0.09, i % 2 ? white : (struct rgb){ 0.8, 0.12, 0.1 });
}

static void draw_gate(const struct brush *b)
{
    kt_draw_sky(b, (struct rgb){ 0.62, 0.76, 0.90 }, (struct rgb){ 0.88, 0.92, 0.94 });
    kt_draw_hills(b, -6, 60, (struct rgb){ 0.60, 0.70, 0.72 }, 5);
    kt_draw_ground(b, -60, 12.5, 60, 90, soil, 900);
    for (int i = 0; i < 12; i++)
        kt_draw_tree(b, -26 + 4.7 * i + (i % 3), 38 + 3 * (i % 4), 6.5 + (i % 3), 2.6, i % 2 ? leaf : leaf_light, (uint64_t)i + 3);
    kt_draw_palm(b, -9.5, 27, 8.5, 4);
    kt_draw_palm(b, 12.5, 31, 9.5, 9);
    kt_draw_wall(b, 4.2, 21, 11, 21, 0, 3.0, mint);
    kt_draw_roof(b, (struct vec){ 3.7, 20.5, 2.9 }, (struct vec){ 11.5, 20.5, 2.9 }, (struct vec){ 10.5, 23.5, 4.8 }, (struct vec){ 4.7, 23.5, 4.8 }, tile_red);
    kt_draw_opening(b, (struct vec){ 4.2, 21, 0 }, (struct vec){ 6.8, 0, 0 }, 0.15, 0.4, 1.0, 2.2, white, dark_room);
    kt_draw_wall(b, -11, 22, -3.8, 22, 0, 3.0, blue_wall);
    kt_draw_roof(b, (struct vec){ -11.5, 21.5, 2.9 }, (struct vec){ -3.3, 21.5, 2.9 }, (struct vec){ -4.3, 24.5, 4.7 }, (struct vec){ -10.5, 24.5, 4.7 }, (struct rgb){ 0.5, 0.33, 0.27 });
    kt_draw_opening(b, (struct vec){ -11, 22, 0 }, (struct vec){ 7.2, 0, 0 }, 0.55, 0.8, 1.0, 2.2, white, dark_room);
    kt_draw_ground(b, -2.4, 12.5, 2.4, 60, concrete, 500);
    kt_draw_joints(b, -2.4, 12.5, 2.4, 40, 1.2);
    kt_draw_grass(b, -30, 12.2, 30, 15.4, grass, 4200);
    kt_draw_ground(b, -2.6, 12.0, 2.6, 17, concrete, 500);
    gate_front(b);
    gate_banner(b);
    kt_draw_ground(b, -30, 6.9, 30, 12.3, asphalt, 5200);
    kt_draw_box(b, -30, 12.2, -2.7, 12.45, 0, 0.14, concrete);
    kt_draw_box(b, 2.7, 12.2, 30, 12.45, 0, 0.14, concrete);
    kt_draw_grass(b, -20, 4.2, 20, 6.9, grass, 3200);
    guard_post(b);
    kt_draw_bush(b, 4.4, 14.4, 0.6, leaf, 31);
    kt_draw_bush(b, 5.6, 14.5, 0.5, leaf_light, 32);
    kt_draw_bush(b, 8.6, 14.3, 0.7, leaf, 33);
    kt_draw_pole(b, 7.2, 13.6, 6.5);
    kt_draw_cable(b, (struct vec){ 7.2, 13.6, 6.1 }, (struct vec){ -26, 17, 6.3 }, 0.7);
    kt_draw_cable(b, (struct vec){ 7.2, 13.6, 5.9 }, (struct vec){ 30, 12, 6.2 }, 0.6);
    kt_draw_shade(b, 8.2, 11.2, 2.6, 0.9, 0.8);
}

/* ---------------------------------------------------------------- the lane */

static void lane_right_house(const struct brush *b)
{
    kt_draw_wall(b, 2.3, 4, 2.3, 13.5, 0, 3.3, cream);
    kt_draw_opening(b, (struct vec){ 2.3, 4, 0 }, (struct vec){ 0, 9.5, 0 }, 0.42, 0.52, 0, 2.1, wood, (struct rgb){ 0.3, 0.2, 0.13 });
    kt_draw_opening(b, (struct vec){ 2.3, 4, 0 }, (struct vec){ 0, 9.5, 0 }, 0.62, 0.80, 1.0, 2.1, white, dark_room);
    kt_draw_roof(b, (struct vec){ 1.8, 3, 3.2 }, (struct vec){ 1.8, 13.9, 3.2 }, (struct vec){ 6.2, 13.9, 5.6 }, (struct vec){ 6.2, 3, 5.6 }, tile_red);
}

static void lane_plants(const struct brush *b)
{
    static const double pot[][2] = { { 1.95, 7.6 }, { 1.95, 8.3 }, { -1.9, 9.0 }, { -1.95, 9.8 }, { 1.95, 12.2 }, { -1.95, 14.6 }, { -1.95, 6.6 } };

    for (size_t i = 0; i < KT_ARRAY_SIZE(pot); i++) {
        kt_draw_shade(b, pot[i][0], pot[i][1], 0.3, 0.15, 0.8);
        kt_limb(b, (struct vec){ pot[i][0], pot[i][1], 0.12 }, (struct vec){ pot[i][0], pot[i][1], 0.3 }, 0.34, (struct rgb){ 0.55, 0.28, 0.18 });
        kt_draw_bush(b, pot[i][0], pot[i][1], 0.42, i % 2 ? leaf : leaf_light, i + 70);
    }
}

static void parked_motorbike(const struct brush *b, double x, double y, double heading, struct rgb paint)
{
    /* Its rider is at home: a motorbike is drawn with somebody on it, so draw the parts here. */
    const struct rgb dark = { 0.10, 0.10, 0.11 }, steel = { 0.5, 0.5, 0.52 };
    const double c = cos(heading), s = sin(heading);
    #define AT(f, u) (struct vec){ x + c * (f), y + s * (f), u }

    kt_draw_shade(b, x, y, 0.5, 0.5, 0.9);
    for (int i = 0; i < 2; i++) {
        kt_ball(b, AT(i ? 0.62 : -0.6, 0.3), 0.31, dark);
        kt_ball(b, AT(i ? 0.62 : -0.6, 0.3), 0.17, steel);
    }
    kt_limb(b, AT(0.62, 0.3), AT(0.42, 0.95), 0.07, steel);
    kt_limb(b, AT(-0.42, 0.42), AT(0.12, 0.40), 0.24, dark);
    kt_limb(b, AT(-0.68, 0.68), AT(-0.2, 0.60), 0.22, paint);
    kt_limb(b, AT(0.36, 0.48), AT(0.46, 0.88), 0.24, paint);
    kt_limb(b, AT(-0.62, 0.80), AT(0.02, 0.76), 0.14, dark);
    kt_limb(b, AT(0.40, 1.0), AT(0.30, 1.04), 0.10, dark);
    #undef AT
}

static void laundry(const struct brush *b)
{
    static const struct rgb cloth[] = { { 0.85, 0.84, 0.8 }, { 0.25, 0.35, 0.6 }, { 0.7, 0.25, 0.25 }, { 0.85, 0.7, 0.3 }, { 0.4, 0.6, 0.5 } };

    kt_draw_cable(b, (struct vec){ -2.25, 17.5, 3.1 }, (struct vec){ -2.25, 22.5, 3.1 }, 0.15);
    for (int i = 0; i < 5; i++) {
        const double y = 18 + 0.9 * i;
        const struct vec p[] = { { -2.15, y, 3.0 }, { -2.15, y + 0.6, 3.0 }, { -2.1, y + 0.58, 2.1 }, { -2.1, y + 0.03, 2.15 } };
        kt_fill_polygon(b, p, 4, kt_shade(b->lens, cloth[i], (struct vec){ 1, 0, 0 }), 1);
    }
}

static void draw_lane(const struct brush *b)
{
    kt_draw_sky(b, (struct rgb){ 0.70, 0.80, 0.90 }, (struct rgb){ 0.92, 0.94, 0.94 });
    for (int i = 0; i < 7; i++)
        kt_draw_tree(b, -9 + 3 * i, 42 + (i % 3) * 2, 7 + (i % 2) * 2, 2.4, i % 2 ? leaf : leaf_light, (uint64_t)i + 20);
    kt_draw_grass(b, -40, 2.6, 40, 60, (struct rgb){ 0.42, 0.45, 0.22 }, 5200);
    kt_draw_wall(b, -3.2, 31, 3.6, 31, 0, 3.2, mint);
    kt_draw_opening(b, (struct vec){ -3.2, 31, 0 }, (struct vec){ 6.8, 0, 0 }, 0.35, 0.50, 0, 2.1, wood, dark_room);
    kt_draw_roof(b, (struct vec){ -3.8, 30.5, 3.1 }, (struct vec){ 4.2, 30.5, 3.1 }, (struct vec){ 3.2, 33.5, 5.1 }, (struct vec){ -2.8, 33.5, 5.1 }, tile_red);
    kt_draw_palm(b, 5, 35, 9, 17);
    kt_draw_ground(b, -2.3, 2.8, 2.3, 31, concrete, 5200);
    kt_draw_joints(b, -2.3, 2.8, 2.3, 31, 0.9);
    kt_draw_ground(b, 2.2, 13.3, 12, 17.2, concrete, 900);
    kt_draw_wall(b, 2.3, 17.0, 9, 17.0, 0, 3.2, blue_wall);
    kt_draw_wall(b, 2.3, 17.0, 2.3, 29, 0, 3.2, blue_wall);
    kt_draw_opening(b, (struct vec){ 2.3, 17, 0 }, (struct vec){ 0, 12, 0 }, 0.2, 0.36, 1.0, 2.1, white, dark_room);
    kt_draw_roof(b, (struct vec){ 1.9, 16.6, 3.1 }, (struct vec){ 1.9, 29, 3.1 }, (struct vec){ 6, 29, 5.2 }, (struct vec){ 6, 16.6, 5.2 }, (struct rgb){ 0.5, 0.34, 0.28 });
    kt_draw_wall(b, -2.3, 16, -2.3, 29, 0, 3.4, (struct rgb){ 0.80, 0.60, 0.48 });
    kt_draw_opening(b, (struct vec){ -2.3, 16, 0 }, (struct vec){ 0, 13, 0 }, 0.06, 0.13, 0, 2.1, wood, dark_room);
    laundry(b);
    kt_draw_wall(b, -2.3, 3.6, -2.3, 16, 0, 2.2, white);
    kt_draw_wall(b, -2.3, 3.6, -2.3, 16, 0, 0.6, (struct rgb){ 0.35, 0.5, 0.38 });
    for (int i = 0; i < 7; i++)
        kt_draw_bush(b, -3.0, 15.5 - 1.6 * i, 1.1, i % 2 ? leaf : leaf_light, (uint64_t)i + 50);
    kt_draw_tree(b, -4.4, 13, 6.5, 2.3, leaf_light, 77);
    lane_right_house(b);
    kt_draw_shade(b, 0.9, 10.5, 1.5, 2.6, 0.7);
    kt_draw_shade(b, -1.6, 20, 0.7, 4.5, 0.9);
    lane_plants(b);
    parked_motorbike(b, 1.8, 10.6, 1.45, (struct rgb){ 0.55, 0.08, 0.08 });
    kt_draw_cable(b, (struct vec){ -2.3, 12, 4.8 }, (struct vec){ 2.3, 20, 4.3 }, 0.25);
    kt_draw_cable(b, (struct vec){ -2.3, 22, 4.8 }, (struct vec){ 2.3, 13, 4.6 }, 0.2);
}

/* ------------------------------------------------------- the mosque's yard */

static void dome(const struct brush *b, double x, double y, double z, double r, struct rgb c)
{
    for (int i = 0; i < 18; i++) {
        const double t = i / 18.0, w = r * sqrt(1 - t * t * 0.98);
        kt_limb(b, (struct vec){ x - w, y, z + r * 1.1 * t }, (struct vec){ x + w, y, z + r * 1.1 * t }, r * 0.09, kt_mix(kt_mix(c, (struct rgb){ 0 }, 0.35), c, 0.3 + 0.7 * t));
        kt_limb(b, (struct vec){ x - w * 0.75, y, z + r * 1.1 * t }, (struct vec){ x - w * 0.2, y, z + r * 1.1 * t }, r * 0.09, kt_mix(c, (struct rgb){ 1, 1, 1 }, 0.18 * (0.4 + t)));
    }
    kt_limb(b, (struct vec){ x, y, z + r * 1.1 }, (struct vec){ x, y, z + r * 1.55 }, 0.09, (struct rgb){ 0.85, 0.75, 0.35 });
    kt_ball(b, (struct vec){ x, y, z + r * 1.38 }, 0.14, (struct rgb){ 0.9, 0.8, 0.4 });
}

static void mosque(const struct brush *b)
{
    const struct rgb green = { 0.20, 0.50, 0.36 };

    kt_draw_box(b, 6.2, 24, 7.8, 25.6, 0, 9.5, white);
    kt_draw_box(b, 5.9, 23.8, 8.1, 25.8, 6.6, 6.95, green);
    dome(b, 7, 24.5, 9.5, 0.9, green);
    kt_draw_wall(b, -7.5, 22, 5, 22, 0, 4.2, white);
    kt_draw_box(b, -7.9, 21.7, 5.4, 26, 4.2, 4.6, green);
    kt_draw_box(b, -4.2, 22.5, 1.7, 26, 4.6, 5.4, white);
    dome(b, -1.25, 24, 5.4, 2.3, green);
    for (int i = 0; i < 5; i++) {
        const double x = -6.6 + 2.5 * i;
        double px, py;
        const struct vec p[] = { { x, 21.9, 0.2 }, { x + 1.5, 21.9, 0.2 }, { x + 1.5, 21.9, 2.4 }, { x, 21.9, 2.4 } };
        kt_fill_polygon(b, p, 4, i == 2 ? wood : (struct rgb){ 0.22, 0.30, 0.30 }, 1);
        kt_project(b, (struct vec){ x + 0.75, 21.9, 2.4 }, &px, &py, NULL);
        cairo_new_path(b->cr);
        cairo_arc(b->cr, px, py, 0.75 * kt_scale_at(b, p[0]), M_PI, 2 * M_PI);
        kt_set_color(b, i == 2 ? wood : (struct rgb){ 0.22, 0.30, 0.30 }, 1);
        cairo_fill_preserve(b->cr);
        kt_set_color(b, green, 1);
        cairo_set_line_width(b->cr, 5);
        cairo_stroke(b->cr);
    }
    for (int i = 0; i < 3; i++)
        kt_draw_box(b, -2.6 - 0.3 * i, 21.5 - 0.35 * i, 0.2 + 0.3 * i, 21.9 - 0.35 * i, 0, 0.45 - 0.15 * i, concrete);
    text_on_wall(b, (struct vec){ -1.2, 21.8, 3.55 }, 0.42, "MASJID AL-IKHLAS", (struct rgb){ 0.1, 0.35, 0.25 });
}

static void draw_mosque(const struct brush *b)
{
    kt_draw_sky(b, (struct rgb){ 0.50, 0.70, 0.92 }, (struct rgb){ 0.84, 0.91, 0.96 });
    for (int i = 0; i < 10; i++)
        kt_draw_tree(b, -22 + 5 * i, 36 + 2 * (i % 3), 7 + (i % 3), 2.7, i % 2 ? leaf : leaf_light, (uint64_t)i + 90);
    kt_draw_grass(b, -60, 4.0, 60, 40, grass, 6000);
    kt_draw_ground(b, -14, 4.2, 14, 21.6, (struct rgb){ 0.62, 0.56, 0.52 }, 5200);
    kt_draw_joints(b, -14, 4.2, 14, 21.6, 0.6);
    mosque(b);
    kt_draw_palm(b, -10.5, 23, 8.0, 41);
    kt_draw_tree(b, 11.2, 19, 6.0, 2.4, leaf, 43);
    kt_draw_shade(b, 11.8, 18.2, 2.6, 1.0, 0.9);
    for (int i = 0; i < 6; i++) {
        kt_draw_bush(b, -13.2 + 0.9 * i, 20.9, 0.5, i % 2 ? leaf : leaf_light, (uint64_t)i + 110);
        kt_draw_bush(b, 8.2 + 0.9 * i, 20.9, 0.5, i % 2 ? leaf_light : leaf, (uint64_t)i + 120);
    }
    kt_draw_grass(b, -30, 4.2, -8.6, 12.5, grass, 1800);
    kt_draw_tree(b, -9.4, 12.0, 5.6, 2.2, leaf_light, 47);
    kt_draw_shade(b, -8.6, 11.6, 2.2, 0.8, 0.9);
    parked_motorbike(b, 5.6, 18.6, 0.9, (struct rgb){ 0.1, 0.2, 0.5 });
    parked_motorbike(b, 6.7, 18.6, 0.9, (struct rgb){ 0.2, 0.2, 0.22 });
}

/* ------------------------------------------------ the rice-field road, dusk */

static void draw_fields(const struct brush *b)
{
    kt_draw_sky(b, (struct rgb){ 0.42, 0.46, 0.62 }, (struct rgb){ 0.98, 0.72, 0.46 });
    kt_draw_hills(b, 0, 170, (struct rgb){ 0.44, 0.42, 0.54 }, 3);
    kt_draw_hills(b, -8, 90, (struct rgb){ 0.34, 0.36, 0.42 }, 8);
    kt_draw_ground(b, -90, 13, 90, 160, (struct rgb){ 0.40, 0.46, 0.20 }, 1800);
    for (int i = 0; i < 9; i++) {       /* paddies with water that mirrors the sky */
        const double y = 17 + 4.6 * i * (1 + 0.13 * i);
        const struct vec p[] = { { -60, y, 0 }, { 60, y + 1, 0 }, { 60, y + 2.2 + 0.4 * i, 0 }, { -60, y + 1.5 + 0.4 * i, 0 } };
        kt_fill_polygon(b, p, 4, i % 2 ? (struct rgb){ 0.62, 0.52, 0.42 } : (struct rgb){ 0.33, 0.42, 0.16 }, 0.75);
    }
    for (int i = 0; i < 8; i++)
        kt_draw_palm(b, -34 + 9.3 * i + 2 * (i % 2), 52 + 6 * (i % 3), 8 + (i % 3), (uint64_t)i + 140);
    kt_draw_grass(b, -60, 12.2, 60, 17, (struct rgb){ 0.36, 0.46, 0.16 }, 6500);
    kt_draw_ground(b, -30, 6.6, 30, 12.2, (struct rgb){ 0.40, 0.38, 0.38 }, 5200);
    kt_draw_grass(b, -20, 4.0, 20, 6.7, (struct rgb){ 0.32, 0.40, 0.15 }, 3600);
    for (int i = 0; i < 4; i++)
        kt_draw_box(b, -9 + 5.7 * i, 12.5, -8.7 + 5.7 * i, 12.7, 0, 0.7, white);
    kt_draw_pole(b, 9.2, 14.5, 6.6);
    kt_draw_cable(b, (struct vec){ 9.2, 14.5, 6.2 }, (struct vec){ -28, 16, 6.4 }, 0.8);
    kt_draw_cable(b, (struct vec){ 9.2, 14.5, 6.2 }, (struct vec){ 30, 14, 6.4 }, 0.5);
    /* a hut on stilts */
    kt_draw_wall(b, -9.6, 19, -7.0, 19, 0.8, 1.5, wood);
    for (int i = 0; i < 3; i++)
        kt_limb(b, (struct vec){ -9.5 + 1.2 * i, 19, 0 }, (struct vec){ -9.5 + 1.2 * i, 19, 2.4 }, 0.12, wood);
    kt_draw_roof(b, (struct vec){ -10.2, 18.6, 2.3 }, (struct vec){ -6.4, 18.6, 2.3 }, (struct vec){ -7.3, 19.6, 3.4 }, (struct vec){ -9.3, 19.6, 3.4 }, (struct rgb){ 0.42, 0.34, 0.22 });
}

#define SKIN { 0.55, 0.38, 0.27 }
#define DAY { 1.10, 1.04, 0.92 }

const struct scene kt_scenes[KT_SCENES] = {
    {
        .file = "1-gerbang", .name = "GERBANG UTAMA", .draw = draw_gate, .noise = 2.0,
        .lens = { 4.4, 0.235, 1180, { -0.45, -0.46, 0.765 }, DAY },
        .n_screens = 1, .screen = { { 15.3, gate_front } },
        .n_passes = 2, .pass = {
            { 8, 1.45, { KT_PERSON, { 1.62, SKIN, { 0.78, 0.30, 0.34 }, { 0.25, 0.24, 0.35 }, { 0.80, 0.62, 0.60 }, KT_HIJAB, false, true }, { 0 }, false },
              2, { { -9.5, 9.6 }, { 9.5, 9.2 } } },
            { 47, 7.5, { KT_MOTORBIKE, { 1.68, SKIN, { 0.20, 0.34, 0.55 }, { 0.18, 0.18, 0.20 }, { 0.75, 0.12, 0.1 }, KT_HELMET, false, false }, { 0.72, 0.10, 0.09 }, false },
              2, { { 14, 11.0 }, { -14, 10.6 } } },
        },
    },
    {
        .file = "2-gang", .name = "GANG MELATI", .draw = draw_lane, .noise = 2.2,
        .lens = { 3.9, 0.22, 1180, { -0.42, -0.40, 0.815 }, DAY },
        .n_screens = 1, .screen = { { 13.5, lane_right_house } },
        .n_passes = 1, .pass = {
            { 20, 1.35, { KT_PERSON, { 1.70, SKIN, { 0.86, 0.84, 0.78 }, { 0.32, 0.22, 0.36 }, { 0.08, 0.08, 0.09 }, KT_PECI, true, false }, { 0 }, false },
              3, { { 6.0, 15.3 }, { 0.5, 15.0 }, { -0.4, 2.0 } } },
        },
    },
    {
        .file = "3-masjid", .name = "HALAMAN MASJID", .draw = draw_mosque, .noise = 2.0,
        .lens = { 4.4, 0.225, 1180, { -0.38, -0.42, 0.82 }, DAY },
        .n_passes = 3, .pass = {
            { 14, 1.40, { KT_PERSON, { 1.68, SKIN, { 0.30, 0.52, 0.44 }, { 0.20, 0.20, 0.34 }, { 0.08, 0.08, 0.08 }, KT_PECI, true, false }, { 0 }, false },
              2, { { 9.5, 10.2 }, { -9.8, 9.4 } } },
            { 14.6, 1.40, { KT_PERSON, { 1.18, SKIN, { 0.90, 0.70, 0.20 }, { 0.22, 0.30, 0.52 }, { 0.1, 0.1, 0.1 }, KT_HAIR, false, true }, { 0 }, false },
              2, { { 9.5, 9.5 }, { -9.8, 8.8 } } },
            { 55, 6.5, { KT_MOTORBIKE, { 1.66, SKIN, { 0.75, 0.76, 0.72 }, { 0.2, 0.2, 0.22 }, { 0.9, 0.9, 0.88 }, KT_HELMET, false, false }, { 0.12, 0.22, 0.55 }, false },
              2, { { -14, 14.0 }, { 15, 12.6 } } },
        },
    },
    {
        .file = "4-sawah", .name = "JALAN SAWAH", .draw = draw_fields, .noise = 3.2,
        .lens = { 4.2, 0.205, 1180, { 0.72, -0.30, 0.46 }, { 1.05, 0.80, 0.58 } },
        .n_passes = 2, .pass = {
            { 26, 1.50, { KT_PERSON, { 1.64, SKIN, { 0.26, 0.30, 0.36 }, { 0.36, 0.30, 0.24 }, { 0.80, 0.70, 0.46 }, KT_CAPING, false, true }, { 0 }, false },
              2, { { -9.0, 8.6 }, { 9.0, 8.9 } } },
            { 62, 8.0, { KT_CAR, { 0 }, { 0.70, 0.71, 0.73 }, true },
              2, { { 17, 11.2 }, { -17, 10.8 } } },
        },
    },
};

/* scenery.h - what villages are made of: ground, walls, roofs, trees, poles. */
#ifndef KT_FOOTAGE_SCENERY_H
#define KT_FOOTAGE_SCENERY_H

#include "tests/camera/footage/world.h"

/* Sky down to the horizon, two colours. */
void kt_draw_sky(const struct brush *b, struct rgb top, struct rgb bottom);

/* A flat piece of ground with GRAINS dabs of lighter and darker colour. */
void kt_draw_ground(const struct brush *b, double x0, double y0, double x1, double y1, struct rgb c, int grains);

/* Tufts of grass over a piece of ground. */
void kt_draw_grass(const struct brush *b, double x0, double y0, double x1, double y1, struct rgb c, int tufts);

/* Paving: lines every STEP metres. */
void kt_draw_joints(const struct brush *b, double x0, double y0, double x1, double y1, double step);

/* An upright wall from (x0, y0) to (x1, y1); plaster with stains, a darker foot. */
void kt_draw_wall(const struct brush *b, double x0, double y0, double x1, double y1, double z0, double z1, struct rgb c);

/* A rectangle on a wall, fractions U and V along and up it: windows, doors. */
void kt_draw_opening(const struct brush *b, struct vec a, struct vec along, double u0, double u1,
                     double z0, double z1, struct rgb frame, struct rgb inside);

/* A sloped roof with tile rows: the eaves A-B low and near, the ridge C-D. */
void kt_draw_roof(const struct brush *b, struct vec a, struct vec bb, struct vec c, struct vec d, struct rgb color);

void kt_draw_box(const struct brush *b, double x0, double y0, double x1, double y1, double z0, double z1, struct rgb c);
void kt_draw_tree(const struct brush *b, double x, double y, double height, double spread, struct rgb leaf, uint64_t seed);
void kt_draw_palm(const struct brush *b, double x, double y, double height, uint64_t seed);
void kt_draw_bush(const struct brush *b, double x, double y, double radius, struct rgb leaf, uint64_t seed);
void kt_draw_pole(const struct brush *b, double x, double y, double height);
void kt_draw_cable(const struct brush *b, struct vec a, struct vec c, double sag);
void kt_draw_hills(const struct brush *b, double base, double height, struct rgb c, uint64_t seed);

/* A soft shadow on the ground, as of a tree. */
void kt_draw_shade(const struct brush *b, double x, double y, double rx, double ry, double alpha);

#endif

/*
 * world.h - a small pinhole camera over a flat ground, drawn with cairo.
 *
 * World axes in metres: x to the right, y away from the camera, z up; the camera
 * stands at (0, 0, height) and looks along y, tilted down. A brush that draws
 * shadows drops every point along the sun's rays on the ground and is black, so a
 * figure and its shadow are the same drawing code.
 */
#ifndef KT_FOOTAGE_WORLD_H
#define KT_FOOTAGE_WORLD_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_PICTURE_WIDTH 1920
#define KT_PICTURE_HEIGHT 1080

struct vec {
    double x, y, z;
};

struct rgb {
    double r, g, b;
};

struct lens {
    double height, pitch, focal;    /* metres, radians, pixels */
    struct vec sun;                 /* towards the sun, length 1 */
    struct rgb light;               /* what the sun does to a white wall */
};

struct brush {
    cairo_t *cr;
    const struct lens *lens;
    bool shadow;
};

/* A point of the world on the picture; *DEPTH (may be NULL) in metres. */
void kt_project(const struct brush *brush, struct vec p, double *x, double *y, double *depth);

/* Pixels per metre at P. */
double kt_scale_at(const struct brush *brush, struct vec p);

void kt_set_color(const struct brush *brush, struct rgb c, double alpha);
struct rgb kt_shade(const struct lens *lens, struct rgb base, struct vec normal);
struct rgb kt_mix(struct rgb a, struct rgb b, double t);

/* Trace a polygon; fill it. */
void kt_path(const struct brush *brush, const struct vec *p, size_t n);
void kt_fill_polygon(const struct brush *brush, const struct vec *p, size_t n, struct rgb c, double alpha);

/* A limb: a round-ended line of a thickness in metres. */
void kt_limb(const struct brush *brush, struct vec a, struct vec b, double thickness, struct rgb c);

/* A ball as a filled circle. */
void kt_ball(const struct brush *brush, struct vec p, double radius, struct rgb c);

/* A small deterministic generator: every run draws the same village. */
double kt_random(uint64_t *state);                       /* 0 to 1 */
double kt_random_between(uint64_t *state, double a, double b);

#endif

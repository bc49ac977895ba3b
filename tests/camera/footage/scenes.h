/*
 * scenes.h - the places the demo cameras look at, and who passes there when.
 */
#ifndef KT_FOOTAGE_SCENES_H
#define KT_FOOTAGE_SCENES_H

#include "tests/camera/footage/figures.h"

#define KT_MAX_STOPS 5
#define KT_MAX_PASSES 8
#define KT_MAX_SCREENS 3

/* Somebody's way through the picture: straight from stop to stop at one speed. */
struct pass {
    double start;               /* seconds into the loop */
    double speed;               /* metres a second */
    struct figure figure;
    int n_stops;
    struct { double x, y; } stop[KT_MAX_STOPS];
};

/* A part of the scenery that hides whoever is farther away than DISTANCE (y). */
struct screen {
    double distance;
    void (*draw)(const struct brush *brush);
};

struct scene {
    const char *file, *name;    /* file name, and the text in the picture */
    struct lens lens;
    double noise;               /* standard deviation of the sensor, of 255 */
    void (*draw)(const struct brush *brush);
    int n_screens;
    struct screen screen[KT_MAX_SCREENS];
    int n_passes;
    struct pass pass[KT_MAX_PASSES];
};

#define KT_SCENES 4
extern const struct scene kt_scenes[KT_SCENES];
extern const double kt_loop_seconds;

#endif

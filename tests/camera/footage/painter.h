/*
 * painter.h - one scene to pictures: what a camera there would see at a given time.
 *
 * The scenery is painted once; a frame is the scenery, what moves, the burnt-in clock
 * and the sensor's noise. The name and a clock of loop time are burnt in for people; for tests
 * a strip of black and white cells at the bottom left tells the same time.
 * A painter belongs to one thread.
 */
#ifndef KT_FOOTAGE_PAINTER_H
#define KT_FOOTAGE_PAINTER_H

#include "tests/camera/footage/scenes.h"

typedef struct kt_painter kt_painter;

/* 4:2:0 planes without padding: 1920x1080, or a third of that each way. */
struct planes {
    uint8_t *p[3];
};

/* What of a pass is to be seen in the last frame: 0 pixels when it is hidden or away.
 * The box is in fractions of the picture. */
struct sight {
    int pixels;
    double x, y, w, h;
};

kt_painter *kt_painter_new(const struct scene *scene);
void kt_painter_free(kt_painter **painter);

/* Paint loop time T; SIGHT gets one entry for each pass of the scene. */
void kt_painter_paint(kt_painter *painter, double t, struct sight *sight);

/* The painted frame as the main or (smaller) the sub stream shows it; the
 * planes are valid until the next call. TICK is the time on the strip. */
const struct planes *kt_painter_main(kt_painter *painter, unsigned tick);
const struct planes *kt_painter_sub(kt_painter *painter, unsigned tick);

/* The clean picture as PNG, for people. 0 or -1. */
int kt_painter_write_png(kt_painter *painter, const char *path);

#endif

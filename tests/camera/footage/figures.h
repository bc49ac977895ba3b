/* figures.h - what moves: people that walk, motorbikes with riders, cars. */
#ifndef KT_FOOTAGE_FIGURES_H
#define KT_FOOTAGE_FIGURES_H

#include "tests/camera/footage/world.h"

enum kt_headwear { KT_HAIR, KT_HIJAB, KT_PECI, KT_CAPING, KT_HELMET };

struct look {
    double height;              /* metres: 1.15 is a child */
    struct rgb skin, shirt, trousers, head;
    enum kt_headwear headwear;
    bool sarong, bag;
};

enum kt_kind { KT_PERSON, KT_MOTORBIKE, KT_CAR };

struct figure {
    enum kt_kind kind;
    struct look look;           /* of the person or rider */
    struct rgb paint;           /* of the vehicle */
    bool lamps;
};

/* Draw FIGURE standing at P on the ground, facing HEADING (radians from +x
 * towards +y), having come WALKED metres (which moves its legs or wheels). */
void kt_draw_figure(const struct brush *brush, const struct figure *figure, struct vec p,
                    double heading, double walked);

#endif

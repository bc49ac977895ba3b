/*
 * components.h - 8-connected components of a mask.
 *
 * Threads: a finder belongs to one thread at a time.
 */
#ifndef KT_MOTION_COMPONENTS_H
#define KT_MOTION_COMPONENTS_H

#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_BLOBS_MAX 128

struct kt_blob {
    int x0, y0, x1, y1;             /* inclusive, mask pixels */
    int area;
    int64_t sum_x, sum_y;           /* of its pixels: the centre is sum / area */
    int label;                      /* for kt_components_paint(), until the next find */
};

typedef struct kt_components kt_components;

kt_must_check int kt_components_create(kt_components **out, int w, int h);
void kt_components_destroy(kt_components **c);

/*
 * Fill BLOB with the components of MASK (non-zero is foreground) of at least
 * MIN_AREA pixels, the largest first, at most KT_BLOBS_MAX. Smaller components are
 * cleared from MASK. Returns how many.
 */
int kt_components_find(kt_components *c, uint8_t *mask, int min_area,
                       struct kt_blob blob[KT_BLOBS_MAX]);

/* Write VALUE[i] to the pixels of BLOB[i] in PLANE; a negative value leaves them. */
void kt_components_paint(kt_components *c, uint8_t *plane, const struct kt_blob *blob,
                         const int16_t *value, int n);

/* Set what is enclosed by foreground, does not touch the edge of the picture and
 * is not larger than MAX_AREA. Ends the life of labels. */
void kt_components_fill_holes(kt_components *c, uint8_t *mask, int max_area);

#endif

/* MP4 boxes of a stored record or an init segment, as a damaged or hostile muxer may have made them. */
#include <stdlib.h>
#include <string.h>

#include "storage/ring/boxes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void chunks(const uint8_t *data, size_t size, bool indexed)
{
    const struct kt_tracks tracks = { .a = { { .id = 1, .timescale = 90000, .video = true, .entry = 2 },
                                             { .id = 2, .timescale = 48000, .entry = 1 } }, .n = 2 };
    uint8_t *out = malloc(size + size / 8 + 64);
    size_t n = 0;
    if (kt_boxes_rewrite(data, size, &tracks, -1000, indexed, out, &n) == 0 && n < size)
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_tracks tracks;
    const size_t half = size / 2;
    chunks(data, size, false);
    chunks(data, size, true);
    (void)!kt_boxes_tracks(data, size, &tracks);
    uint8_t *base = malloc(half + 1);
    size_t n = half;
    memcpy(base, data, half);
    (void)!kt_boxes_merge(&base, &n, data + half, size - half, &tracks);
    n = half;
    base = realloc(base, half + 1);
    memcpy(base, data, half);
    (void)!kt_boxes_merge(&base, &n, data, half, &tracks);
    free(base);
    return 0;
}

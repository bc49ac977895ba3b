/*
 * memory.h - what a place looks like, kept in a file over a restart.
 *
 * The file is small (the typical picture, its colour, where it flickers, its noise),
 * is replaced as a whole, and carries a sum: a torn or foreign one is refused.
 * It holds a picture of the place and is readable by its owner only.
 *
 * Threads: pure functions on what they are given.
 * Errors:  0 or a negative errno.
 */
#ifndef KT_MOTION_MEMORY_H
#define KT_MOTION_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "decoders/motion/noise.h"
#include "server/base/error.h"

struct kt_memory {
    int w, h;
    bool has_colour;
    struct kt_noise noise;
    int64_t repeat_us;              /* of kt_health_repeat() */
    uint8_t *planes;                /* luma, its flicker (W x H each), cb, cr ((W + 1) / 2 x …) */
};

/* Bytes of the planes of a W x H picture. */
size_t kt_memory_bytes(int w, int h);

/* Room for a W x H picture. -EINVAL outside 1 .. 8192, -ENOMEM. */
kt_must_check int kt_memory_create(struct kt_memory **out, int w, int h);
void kt_memory_destroy(struct kt_memory **memory);

/* Write to PATH, which never holds half a file. */
kt_must_check int kt_memory_save(const struct kt_memory *memory, const char *path);

/*
 *   -ENOENT   there is none
 *   -EBADMSG  it is damaged, or of another version
 *   others    as open(2), and -ENOMEM
 */
kt_must_check int kt_memory_load(struct kt_memory **out, const char *path);

#endif

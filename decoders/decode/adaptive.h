/*
 * adaptive.h - do packet sizes say that something moves, or that nothing does, not even noise?
 *
 * Learns, from packets whose pictures were looked at, which sizes are usual while
 * nothing moves and which while something does. With a camera of constant
 * quality these lie far apart; with constant bit rate they do not, and then this
 * says so.
 *
 * Threads: belongs to one thread at a time.
 */
#ifndef KT_DECODE_ADAPTIVE_H
#define KT_DECODE_ADAPTIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_ADAPTIVE_BINS 64         /* of size, a third of a doubling each */

/* Zero it to begin. Key frames are not for it. */
struct kt_adaptive {
    uint32_t quiet[KT_ADAPTIVE_BINS], moving[KT_ADAPTIVE_BINS];
    uint32_t n_quiet, n_moving;
    int limit;                      /* bins from here on are unusual while quiet */
    unsigned recent;                /* last packets, newest in bit 0: unusual? */
};

/* A packet of SIZE bytes came. Does it, with those before it, look like motion? */
bool kt_adaptive_alarm(struct kt_adaptive *ad, size_t size);

/* What a packet's picture turned out to show. Pictures nobody looked at, of a
 * group in which nothing else was found, count as quiet. */
void kt_adaptive_learn(struct kt_adaptive *ad, size_t size, bool moving);

/*
 * Can sizes be told apart at all? False while too little is known, and where at
 * the limit that leaves quiet alone most of what moves would pass unnoticed.
 */
bool kt_adaptive_useful(const struct kt_adaptive *ad);

/* Packets of the same size, again and again. Zero it to begin, and where packets are missing. */
struct kt_adaptive_steady {
    size_t least, most;
    int64_t since_us;
    unsigned packets;
};

/*
 * A packet of SIZE bytes, not of a key frame, came at WALL_US. Have all been of one size, but
 * for a few bytes, for 4 s? An encoder whose picture stands still sends such; a living
 * picture hardly ever, but for one who fills his packets up.
 */
bool kt_adaptive_is_steady(struct kt_adaptive_steady *steady, size_t size, int64_t wall_us);

#endif

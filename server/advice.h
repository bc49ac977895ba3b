/*
 * advice.h - settings of a camera that hurt, from what it sends: what to change.
 *
 * Pure functions; any thread.
 */
#ifndef KT_SERVER_ADVICE_H
#define KT_SERVER_ADVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_ADVICE_MAX 7

/* What is known of a camera's main stream; 0 and empty: not known. */
struct kt_advice_facts {
    const char *codec;                  /* "h264", "hevc", "mjpeg" */
    double gop_seconds;
    double fps, fps_nominal;
    uint64_t frames, lost_packets;      /* since the recorder began with this camera */
    bool has_clock;
    int64_t clock_offset_us;            /* the camera's clock minus ours */
    bool sub_breaks;                    /* the sub-stream breaks the main stream: it stays closed */
    bool no_sub;                        /* motion is looked for in the main stream */
};

/* Words for programs ("long-gop") of all that should be changed, the worst first, into OUT.
 * Returns how many. */
size_t kt_advice(const struct kt_advice_facts *facts, const char *out[KT_ADVICE_MAX]);

/* The same for people, in English: what to change in the camera. */
const char *kt_advice_text(const char *word);

#endif

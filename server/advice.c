#include "server/advice.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/cleanup.h"

#define LONG_GOP_SECONDS 5.0            /* seeking is slow, the start of events at risk: a "smart codec" */
#define RATE_LIE 0.85                   /* sends less than this part of what it says */
#define CLOCK_OFF_US (5 * KT_SECOND_US)
#define LOSSY_SHARE 2000                /* one packet lost in so many frames is too much */
#define LOSSY_MIN 20

static const struct {
    const char *word, *text;
} advice[] = {
    { "sub-breaks", "it cannot give two streams at once: a newer firmware may help, or fewer viewers; else remove the sub-stream" },
    { "long-gop", "set the key-frame interval to 1-2 s and switch \"smart codec\" (H.264+, H.265+, Zipstream) off" },
    { "lossy", "packets get lost: check cable, plug and switch; use tcp instead of udp" },
    { "rate-low", "it sends fewer frames than it says: lower its resolution, frame rate or bit rate" },
    { "clock-off", "set its clock: give it a time server (NTP)" },
    { "not-h264", "set it to H.264: not every browser shows its format" },
    { "no-sub", "switch its sub-stream on, 640 x 360 in H.264: finding motion then costs a fifth" },
};

static bool applies(const char *word, const struct kt_advice_facts *f)
{
    if (strcmp(word, "sub-breaks") == 0)
        return f->sub_breaks;
    if (strcmp(word, "long-gop") == 0)
        return f->gop_seconds > LONG_GOP_SECONDS;
    if (strcmp(word, "lossy") == 0)
        return f->lost_packets > LOSSY_MIN && f->lost_packets * LOSSY_SHARE > f->frames;
    if (strcmp(word, "rate-low") == 0)
        return f->fps > 0 && f->fps < f->fps_nominal * RATE_LIE;
    if (strcmp(word, "clock-off") == 0)
        return f->has_clock && llabs(f->clock_offset_us) > CLOCK_OFF_US;
    if (strcmp(word, "not-h264") == 0)
        return f->codec && f->codec[0] && strcmp(f->codec, "h264") != 0;
    return f->no_sub;
}

size_t kt_advice(const struct kt_advice_facts *facts, const char *out[KT_ADVICE_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < KT_ARRAY_SIZE(advice); i++)
        if (applies(advice[i].word, facts))
            out[n++] = advice[i].word;
    return n;
}

const char *kt_advice_text(const char *word)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(advice); i++)
        if (strcmp(advice[i].word, word) == 0)
            return advice[i].text;
    return word;
}

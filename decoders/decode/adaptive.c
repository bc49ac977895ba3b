/* adaptive.c - two histograms of log size, and the limit between them. */
#include "decoders/decode/adaptive.h"

#include "server/base/clock.h"

#define ENOUGH_QUIET 60
#define ENOUGH_MOVING 20
#define FORGET_AT 6000              /* counts are halved: half of what it knows is recent */
#define QUIET_TAIL 50               /* one in so many quiet packets may be unusual */
#define NOTICED 2                   /* useful when one in so many moving packets is unusual */
#define STEADY_US (4 * KT_SECOND_US)
#define STEADY_PACKETS 4
#define STEADY_BYTES 16             /* and a 64th: counters in headers, coded in so many bits as they need */
#define RECENT 0x7u                 /* alarm: two of three packets are unusual */

static int bin_of(size_t size)
{
    /* log2 in thirds: 2^(1/3) = 1.26, 2^(2/3) = 1.59 */
    const uint64_t s = size < 1 ? 1 : size;
    const int octave = 63 - __builtin_clzll(s);
    const double rest = (double)s / (double)(UINT64_C(1) << octave);
    const int bin = 3 * octave + (rest >= 1.5874) + (rest >= 1.2599);
    return bin < KT_ADAPTIVE_BINS ? bin : KT_ADAPTIVE_BINS - 1;
}

static void halve(uint32_t bins[KT_ADAPTIVE_BINS], uint32_t *total)
{
    *total = 0;
    for (int i = 0; i < KT_ADAPTIVE_BINS; i++)
        *total += bins[i] /= 2;
}

/* The lowest bin from which on no more than the tail of quiet packets lies. */
static int find_limit(const struct kt_adaptive *ad)
{
    uint32_t above = 0;
    int limit = KT_ADAPTIVE_BINS;
    while (limit > 0 && above + ad->quiet[limit - 1] <= ad->n_quiet / QUIET_TAIL)
        above += ad->quiet[--limit];
    return limit;
}

void kt_adaptive_learn(struct kt_adaptive *ad, size_t size, bool moving)
{
    const int bin = bin_of(size);
    if (moving) {
        ad->moving[bin]++;
        if (++ad->n_moving > FORGET_AT)
            halve(ad->moving, &ad->n_moving);
    } else {
        ad->quiet[bin]++;
        if (++ad->n_quiet > FORGET_AT)
            halve(ad->quiet, &ad->n_quiet);
    }
    if (ad->n_quiet % 16 == 0 || ad->n_quiet <= ENOUGH_QUIET)
        ad->limit = find_limit(ad);
}

bool kt_adaptive_alarm(struct kt_adaptive *ad, size_t size)
{
    const bool unusual = bin_of(size) >= ad->limit;
    ad->recent = ad->recent << 1 | unusual;
    return ad->n_quiet >= ENOUGH_QUIET && unusual &&
           __builtin_popcount(ad->recent & RECENT) >= 2;
}

bool kt_adaptive_useful(const struct kt_adaptive *ad)
{
    uint32_t noticed = 0;
    for (int i = ad->limit; i < KT_ADAPTIVE_BINS; i++)
        noticed += ad->moving[i];
    return ad->n_quiet >= ENOUGH_QUIET && ad->n_moving >= ENOUGH_MOVING &&
           noticed * NOTICED >= ad->n_moving;
}

bool kt_adaptive_is_steady(struct kt_adaptive_steady *st, size_t size, int64_t wall_us)
{
    const size_t least = size < st->least ? size : st->least;
    const size_t most = size > st->most ? size : st->most;
    if (st->packets == 0 || most - least > STEADY_BYTES + least / 64 || wall_us < st->since_us) {
        *st = (struct kt_adaptive_steady){ size, size, wall_us, 1 };
        return false;
    }
    st->least = least;
    st->most = most;
    st->packets++;
    return st->packets >= STEADY_PACKETS && wall_us - st->since_us >= STEADY_US;
}

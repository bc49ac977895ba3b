/* noise.c - a histogram of differences for each band, of every sixteenth pixel. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/noise.h"
#include "server/base/clock.h"

#define ROWS 8                      /* every so many-th row, and every second pixel of it, is enough */
#define MOST 64                     /* grey levels; larger differences count as this */
#define FEW 48                      /* pixels of a band that say nothing */
#define FOLLOW_US (2 * KT_SECOND_US)

/* In ordinary light a background pixel may be off by 6 grey levels and one a band. */
#define ORDINARY(band) (6 + (band))
#define LEAST 4                     /* the encoder's rounding, and the age of the samples */
#define NOISE_PERCENT 180           /* of what nine in ten keep to */
#define ORDINARY_RANGE 128          /* grey levels between the darkest and brightest twentieth */
#define CONTRAST_MIN 96

void kt_noise_reset(struct kt_noise *n)
{
    for (int i = 0; i < KT_NOISE_BANDS; i++)
        n->usual[i] = (uint16_t)(16 * 2 + 9 * i);
    n->contrast = 256;
}

/* Nine in ten of the N differences counted in BIN are at most so large, in 1/16. */
static int nine_in_ten(const uint16_t *bin, int n)
{
    int below = 0, v = 0;
    const int wanted = n - n / 10;
    while (v < MOST - 1 && below + bin[v] < wanted)
        below += bin[v++];
    return 16 * v + (bin[v] ? 16 * (wanted - below) / bin[v] : 0);
}

/* The range of brightness of the place, less a twentieth at both ends. */
static int range_of(const uint16_t level[256], int n)
{
    int low = 0, high = 255, below = 0, above = 0;
    while (low < 255 && (below += level[low]) < n / 20)
        low++;
    while (high > 0 && (above += level[high]) < n / 20)
        high--;
    return high > low ? high - low : 0;
}

static uint16_t towards(int was, int now, int64_t step_us)
{
    int64_t by = (int64_t)(now - was) * step_us / FOLLOW_US;
    if (by == 0 && step_us > 0)
        by = (now > was) - (now < was);
    return (uint16_t)(was + by);
}

void kt_noise_measure(struct kt_noise *n, const uint8_t *luma, const uint8_t *typical,
                      const uint8_t *mask, int w, int h, int64_t step_us)
{
    uint16_t bin[KT_NOISE_BANDS][MOST], level[256] = { 0 };
    int seen[KT_NOISE_BANDS] = { 0 }, all = 0;
    memset(bin, 0, sizeof(bin));
    for (int y = ROWS / 2; y < h; y += ROWS) {
        const ptrdiff_t at = (ptrdiff_t)y * w;
        for (int x = 0; x < w; x += 2) {
            level[typical[at + x]]++;
            all++;
            if (mask[at + x])
                continue;
            const int band = typical[at + x] >> 4, d = abs(luma[at + x] - typical[at + x]);
            bin[band][d < MOST ? d : MOST - 1]++;
            seen[band]++;
        }
    }
    const int64_t step = step_us < 0 ? 0 : step_us > FOLLOW_US ? FOLLOW_US : step_us;
    for (int i = 0; i < KT_NOISE_BANDS; i++)
        if (seen[i] >= FEW)
            n->usual[i] = towards(n->usual[i], nine_in_ten(bin[i], seen[i]), step);
    if (all >= FEW) {
        const int c = 256 * range_of(level, all) / ORDINARY_RANGE;
        n->contrast = towards(n->contrast, c < CONTRAST_MIN ? CONTRAST_MIN : c > 256 ? 256 : c,
                              step);
    }
}

void kt_noise_reach(const struct kt_noise *n, uint8_t reach[KT_NOISE_BANDS])
{
    for (int i = 0; i < KT_NOISE_BANDS; i++) {
        const int noise = LEAST + n->usual[i] * NOISE_PERCENT / 100 / 16;
        const int wanted = (ORDINARY(i) * n->contrast + 128) / 256;
        const int r = wanted < noise ? noise : wanted;
        reach[i] = (uint8_t)(r > ORDINARY(i) ? ORDINARY(i) : r);
    }
}

static int by_size(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

int kt_noise_median(const struct kt_noise *n)
{
    uint16_t sorted[KT_NOISE_BANDS];
    memcpy(sorted, n->usual, sizeof(sorted));
    qsort(sorted, KT_NOISE_BANDS, sizeof(sorted[0]), by_size);
    return (sorted[KT_NOISE_BANDS / 2] + 8) / 16;
}

double kt_noise_contrast(const struct kt_noise *n)
{
    return n->contrast / 256.0;
}

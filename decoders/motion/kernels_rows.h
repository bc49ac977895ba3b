/*
 * kernels_rows.h - the loops over rows for vector units, for kernels_*.c only.
 *
 * Who includes this has defined TARGET (an attribute), BLOCK (bytes in a vector), vec,
 * SET and NAME (of the set), and what a vector can do: load, store, same, plus,
 * minus, plus_full and minus_full (which stay within 0 and 255), least_of, equal, above,
 * both, either_of, without (not A, and B), choose (A, or B where the mask is set),
 * shifted_1, _3, _4 (to the right), twice, table, table_of, looked_up.
 *
 * What is left of a row is done as one last block that ends with the row
 * where the function may write a pixel twice with the same result, and by the
 * plain C set where it may not (what it writes depends on what was there).
 */
TARGET static inline vec distance(vec a, vec b)
{
    return either_of(minus_full(a, b), minus_full(b, a));
}

/* 255 where a <= b, unsigned. */
TARGET static inline vec at_most(vec a, vec b)
{
    return equal(least_of(a, b), a);
}

TARGET static void row_radius(uint8_t *radius, const uint8_t *blink, const uint8_t *typical,
                             const uint8_t *colour, const uint8_t reach[16], int n)
{
    const vec most = same(60);
    const table from = table_of(reach);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const vec at_least = looked_up(from, shifted_4(load(typical + x)));
        vec r = plus_full(shifted_3(load(blink + x)), at_least);
        r = least_of(r, most);
        if (colour)
            r = choose(r, shifted_1(r), twice(colour + (x >> 1)));
        store(radius + x, r);
    }
    if (x < n)
        kt_kernels_c.radius(radius + x, blink + x, typical + x, colour ? colour + (x >> 1) : NULL,
                            reach, n - x);
}

TARGET static void row_radius_colour(uint8_t *radius, const uint8_t *blink, int n)
{
    const vec base = same(8);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK)
        store(radius + x, plus(shifted_3(load(blink + x)), base));
    kt_kernels_c.radius_colour(radius + x, blink + x, n - x);
}

TARGET static inline void match_block(uint8_t *fg, const uint8_t *px, const uint8_t *const *sample,
                                    int samples, const uint8_t *radius, int x)
{
    const vec p = load(px + x), r = load(radius + x);
    vec near = same(0);
    for (int i = 0; i < samples; i++)
        near = minus(near, at_most(distance(p, load(sample[i] + x)), r));
    store(fg + x, above(same(KT_KERNEL_NEEDED), near));
}

TARGET static void row_match(uint8_t *fg, const uint8_t *px, const uint8_t *const *sample,
                            int samples, const uint8_t *radius, int n)
{
    if (n < BLOCK) {
        kt_kernels_c.match(fg, px, sample, samples, radius, n);
        return;
    }
    for (int x = 0; x + BLOCK <= n; x += BLOCK)
        match_block(fg, px, sample, samples, radius, x);
    if (n % BLOCK)
        match_block(fg, px, sample, samples, radius, n - BLOCK);
}

TARGET static inline void match_colour_block(uint8_t *fg, const uint8_t *cb, const uint8_t *cr,
                                           const uint8_t *const *sample_b,
                                           const uint8_t *const *sample_r, int samples,
                                           const uint8_t *radius, int x)
{
    const vec b = load(cb + x), r = load(cr + x), limit = load(radius + x);
    vec near = same(0);
    for (int i = 0; i < samples; i++) {
        const vec d = plus_full(distance(b, load(sample_b[i] + x)),
                                           distance(r, load(sample_r[i] + x)));
        near = minus(near, at_most(d, limit));
    }
    store(fg + x, above(same(KT_KERNEL_NEEDED), near));
}

TARGET static void row_match_colour(uint8_t *fg, const uint8_t *cb, const uint8_t *cr,
                                   const uint8_t *const *sample_b, const uint8_t *const *sample_r,
                                   int samples, const uint8_t *radius, int n)
{
    if (n < BLOCK) {
        kt_kernels_c.match_colour(fg, cb, cr, sample_b, sample_r, samples, radius, n);
        return;
    }
    for (int x = 0; x + BLOCK <= n; x += BLOCK)
        match_colour_block(fg, cb, cr, sample_b, sample_r, samples, radius, x);
    if (n % BLOCK)
        match_colour_block(fg, cb, cr, sample_b, sample_r, samples, radius, n - BLOCK);
}

TARGET static void row_count(uint8_t *count, const uint8_t *row, int n)
{
    const vec one = same(1);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK)
        store(count + x, plus(load(count + x), both(load(row + x), one)));
    kt_kernels_c.count(count + x, row + x, n - x);
}

TARGET static void row_vote(uint8_t *dst, const uint8_t *count, int reach, unsigned limit, int n)
{
    const vec over = same(limit);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const uint8_t *c = count + x;
        vec sum = plus(load(c), plus(load(c - 1), load(c + 1)));
        if (reach == 2)
            sum = plus(sum, plus(load(c - 2), load(c + 2)));
        store(dst + x, above(sum, over));   /* at most 25 */
    }
    kt_kernels_c.vote(dst + x, count + x, reach, limit, n - x);
}

TARGET static void row_blink(uint8_t *blink, uint8_t *was, const uint8_t *fg, const uint8_t *hold,
                            unsigned decay, int n)
{
    const vec step = same(16), zero = same(0);
    const vec less = same(decay);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const vec f = load(fg + x), b = load(blink + x);
        const vec free = equal(load(hold + x), zero);
        const vec turned = without(equal(f, load(was + x)), free);
        store(blink + x, choose(minus_full(b, less), plus_full(b, step),
                                            turned));
        store(was + x, f);
    }
    kt_kernels_c.blink(blink + x, was + x, fg + x, hold + x, decay, n - x);
}

TARGET static void row_replace(uint8_t *sample, const uint8_t *px, const uint8_t *barred,
                              const uint8_t *random, unsigned rate, int n)
{
    const vec zero = same(0);
    const vec last = same(rate - 1);
    if (n < BLOCK || rate == 0) {
        kt_kernels_c.replace(sample, px, barred, random, rate, n);
        return;
    }
    for (int x = 0; x < n; x += BLOCK) {
        x = x + BLOCK > n ? n - BLOCK : x;
        const vec free = equal(load(barred + x), zero);
        const vec take = both(at_most(load(random + x), last), free);
        store(sample + x, choose(load(sample + x), load(px + x), take));
    }
}

TARGET static void row_either(uint8_t *dst, const uint8_t *a, const uint8_t *b, int n)
{
    if (n < BLOCK) {
        kt_kernels_c.either(dst, a, b, n);
        return;
    }
    for (int x = 0; x < n; x += BLOCK) {
        x = x + BLOCK > n ? n - BLOCK : x;
        store(dst + x, either_of(load(a + x), load(b + x)));
    }
}

TARGET static void row_approach(uint8_t *typical, const uint8_t *px, const uint8_t *barred, int n)
{
    const vec zero = same(0), one = same(1);
    int x = 0;
    for (; x + BLOCK <= n; x += BLOCK) {
        const vec t = load(typical + x), p = load(px + x);
        const vec free = both(equal(load(barred + x), zero), one);
        const vec up = least_of(minus_full(p, t), free);
        const vec down = least_of(minus_full(t, p), free);
        store(typical + x, minus(plus(t, up), down));
    }
    kt_kernels_c.approach(typical + x, px + x, barred + x, n - x);
}

const struct kt_kernels SET = {
    .name = NAME,
    .radius = row_radius,
    .radius_colour = row_radius_colour,
    .match = row_match,
    .match_colour = row_match_colour,
    .count = row_count,
    .vote = row_vote,
    .blink = row_blink,
    .replace = row_replace,
    .either = row_either,
    .approach = row_approach,
};

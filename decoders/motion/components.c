/*
 * components.c - run-based labelling: runs of a row are joined with those of
 * the row above by union-find. Cost follows the number of runs, and an empty mask
 * costs one memchr() a row.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "decoders/motion/components.h"

struct run {
    int y, x0, x1;                  /* inclusive */
    int parent;                     /* index of a run of the same component, or itself */
};

struct kt_components {
    int w, h;
    int runs;                       /* of the last find */
    size_t map_bytes;               /* of both arrays, which are one mapping */
    struct run *run;
    struct kt_blob *sum;            /* by root run */
};

int kt_components_create(kt_components **out, int w, int h)
{
    assert(out);
    if (w < 1 || h < 1)
        return -EINVAL;
    kt_cleanup(kt_components_destroy) kt_components *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->w = w;
    c->h = h;
    /* No mask has more runs, and hardly any has a tenth of them: a mapping, because
     * what is not touched of it takes no memory, in forty cameras 60 MB. */
    const size_t cap = ((size_t)w + 1) / 2 * (size_t)h;
    c->map_bytes = cap * (sizeof(*c->run) + sizeof(*c->sum));
    void *map = mmap(NULL, c->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return -ENOMEM;
    c->sum = map;
    c->run = (struct run *)(c->sum + cap);
    *out = kt_steal_ptr(&c);
    return 0;
}

void kt_components_destroy(kt_components **pc)
{
    kt_components *c = kt_steal_ptr(pc);
    if (!c)
        return;
    if (c->sum)
        munmap(c->sum, c->map_bytes);
    free(c);
}

static int root(struct run *run, int i)
{
    while (run[i].parent != i) {
        run[i].parent = run[run[i].parent].parent;
        i = run[i].parent;
    }
    return i;
}

static void join(struct run *run, int a, int b)
{
    const int ra = root(run, a), rb = root(run, b);
    if (ra < rb)
        run[rb].parent = ra;
    else
        run[ra].parent = rb;
}

/* Where the first pixel at or after X is that is not VALUE, or the width. */
static int skip(const kt_components *c, const uint8_t *row, int x, uint8_t value)
{
    uint64_t same, eight;
    memset(&same, value, 8);
    while (x + 8 <= c->w && (memcpy(&eight, row + x, 8), eight == same))
        x += 8;
    while (x < c->w && row[x] == value)
        x++;
    return x;
}

/* Append the runs of VALUE (0 or 255) in row Y; returns the new count. */
static int scan_row(kt_components *c, const uint8_t *row, uint8_t value, int y, int n)
{
    const uint8_t other = (uint8_t)~value;
    for (int x = skip(c, row, 0, other); x < c->w; x = skip(c, row, x, other)) {
        const int x0 = x;
        x = skip(c, row, x, value);
        c->run[n] = (struct run){ .y = y, .x0 = x0, .x1 = x - 1, .parent = n };
        n++;
    }
    return n;
}

/* Find and join the runs of VALUE in the rows from Y0 to Y1; pixels that meet at a corner
 * are joined when CORNER is 1. */
static void label(kt_components *c, const uint8_t *mask, uint8_t value, int corner, int y0, int y1)
{
    int above = 0, n = 0;           /* first run of the row above; all runs */
    for (int y = y0; y <= y1; y++) {
        const int row = n;
        n = scan_row(c, mask + (ptrdiff_t)y * c->w, value, y, n);
        int a = above;
        for (int r = row; r < n; r++) {
            while (a < row && c->run[a].x1 + corner < c->run[r].x0)
                a++;
            for (int b = a; b < row && c->run[b].x0 <= c->run[r].x1 + corner; b++)
                join(c->run, b, r);
        }
        above = row;
    }
    c->runs = n;
}

static void add_run(struct kt_blob *b, const struct run *r)
{
    const int n = r->x1 - r->x0 + 1;
    if (b->area == 0)
        *b = (struct kt_blob){ .x0 = r->x0, .y0 = r->y, .x1 = r->x1, .y1 = r->y };
    b->x0 = r->x0 < b->x0 ? r->x0 : b->x0;
    b->x1 = r->x1 > b->x1 ? r->x1 : b->x1;
    b->y1 = r->y;                   /* rows come in order */
    b->area += n;
    b->sum_x += (int64_t)(r->x0 + r->x1) * n / 2;
    b->sum_y += (int64_t)r->y * n;
}

/* Insert into LIST, ordered by area, dropping the smallest when it is full. */
static int insert(struct kt_blob *list, int n, const struct kt_blob *b)
{
    if (n == KT_BLOBS_MAX && list[n - 1].area >= b->area)
        return n;
    int at = n < KT_BLOBS_MAX ? n : n - 1;
    while (at > 0 && list[at - 1].area < b->area) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = *b;
    return n < KT_BLOBS_MAX ? n + 1 : n;
}

static void sum_up(kt_components *c)
{
    memset(c->sum, 0, (size_t)c->runs * sizeof(*c->sum));
    for (int i = 0; i < c->runs; i++)
        add_run(&c->sum[root(c->run, i)], &c->run[i]);
}

static void paint(const kt_components *c, uint8_t *mask, const struct run *r, uint8_t value)
{
    memset(mask + (ptrdiff_t)r->y * c->w + r->x0, value, (size_t)(r->x1 - r->x0 + 1));
}

int kt_components_find(kt_components *c, uint8_t *mask, int min_area,
                       struct kt_blob blob[KT_BLOBS_MAX])
{
    label(c, mask, 255, 1, 0, c->h - 1);
    sum_up(c);
    int found = 0;
    for (int i = 0; i < c->runs; i++) {
        const int r = root(c->run, i);
        c->sum[r].label = r;
        if (c->sum[r].area < min_area)
            paint(c, mask, &c->run[i], 0);
        else if (r == i)
            found = insert(blob, found, &c->sum[r]);
    }
    return found;
}

void kt_components_paint(kt_components *c, uint8_t *plane, const struct kt_blob *blob,
                         const int16_t *value, int n)
{
    for (int i = 0; i < c->runs; i++)
        c->sum[i].label = -1;
    for (int i = 0; i < n; i++)
        c->sum[blob[i].label].label = value[i];
    for (int i = 0; i < c->runs; i++) {
        const int v = c->sum[root(c->run, i)].label;
        if (v >= 0)
            paint(c, plane, &c->run[i], (uint8_t)v);
    }
}

void kt_components_fill_holes(kt_components *c, uint8_t *mask, int max_area)
{
    /* A hole has foreground above and below: the first and the last row with any bound them all. */
    const size_t w = (size_t)c->w;
    const uint8_t *first = memchr(mask, 255, w * (size_t)c->h);
    if (!first)
        return;
    const int y0 = (int)((size_t)(first - mask) / w);
    int y1 = c->h - 1;
    while (!memchr(mask + (size_t)y1 * w, 255, w))
        y1--;
    label(c, mask, 0, 0, y0, y1);
    sum_up(c);
    for (int i = 0; i < c->runs; i++) {
        const struct kt_blob *b = &c->sum[root(c->run, i)];
        if (b->x0 > 0 && b->y0 > y0 && b->x1 < c->w - 1 && b->y1 < y1 && b->area <= max_area)
            paint(c, mask, &c->run[i], 255);
    }
}

/* painter.c - see painter.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/cleanup.h"
#include "tests/camera/footage/painter.h"

enum {
    W = KT_PICTURE_WIDTH, H = KT_PICTURE_HEIGHT, SW = W / 3, SH = H / 3,
    NOISE_SIZE = 1 << 20,
    CELL = 12, STRIP_X = 24, STRIP_Y = H - 36, STRIP_BITS = 16,
    SEEN_DIFFERENCE = 14,
};

struct rect {
    int x0, y0, x1, y1;
};

struct kt_painter {
    const struct scene *scene;
    cairo_surface_t *back, *work, *screen[KT_MAX_SCREENS];
    struct planes back_yuv, frame, main, sub;
    int8_t *noise;              /* NOISE_SIZE samples, then W more so that a row may start anywhere */
    uint64_t seed;
    int gain;                   /* of 256: clouds */
    char clock[16];
};

static int alloc_planes(struct planes *planes, int w, int h)
{
    for (int i = 0; i < 3; i++) {
        planes->p[i] = malloc((size_t)(w * h / (i ? 4 : 1)));
        if (!planes->p[i])
            return -1;
    }
    return 0;
}

static void free_planes(struct planes *planes)
{
    for (int i = 0; i < 3; i++)
        free(planes->p[i]);
}

void kt_painter_free(kt_painter **pp)
{
    kt_painter *painter = kt_steal_ptr(pp);
    if (!painter)
        return;
    for (int i = 0; i < KT_MAX_SCREENS; i++)
        if (painter->screen[i])
            cairo_surface_destroy(painter->screen[i]);
    if (painter->back)
        cairo_surface_destroy(painter->back);
    if (painter->work)
        cairo_surface_destroy(painter->work);
    free_planes(&painter->back_yuv);
    free_planes(&painter->frame);
    free_planes(&painter->main);
    free_planes(&painter->sub);
    free(painter->noise);
    free(painter);
}

/* ------------------------------------------------------------- the scenery */

/* A lens is never as sharp as a drawing: a 3x3 blur, and darker corners. */
static void soften(cairo_surface_t *surface)
{
    cairo_surface_flush(surface);
    uint8_t *px = cairo_image_surface_get_data(surface);
    const int stride = cairo_image_surface_get_stride(surface);
    kt_cleanup(kt_freep) uint8_t *copy = malloc((size_t)(stride * H));

    memcpy(copy, px, (size_t)(stride * H));
    for (int y = 1; y < H - 1; y++) {
        const uint8_t *in = copy + y * stride;
        for (int i = 4; i < W * 4 - 4; i++) {
            const int sum = 4 * in[i] + 2 * (in[i - 4] + in[i + 4] + in[i - stride] + in[i + stride]) +
                in[i - stride - 4] + in[i - stride + 4] + in[i + stride - 4] + in[i + stride + 4];
            const double dx = (i / 4 - W / 2) / (double)W, dy = (y - H / 2) / (double)H;
            px[y * stride + i] = (uint8_t)(i % 4 == 3 ? 255 : sum / 16.0 * (1 - 0.42 * (dx * dx + dy * dy)));
        }
    }
    cairo_surface_mark_dirty(surface);
}

static struct brush brush_on(const kt_painter *painter, cairo_t *cr)
{
    return (struct brush){ .cr = cr, .lens = &painter->scene->lens };
}

static void outlined_text(cairo_t *cr, double x, double y, double size, const char *text)
{
    cairo_select_font_face(cr, "monospace", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(cr, size);
    cairo_move_to(cr, x, y);
    cairo_text_path(cr, text);
    cairo_set_source_rgb(cr, 0, 0, 0);
    cairo_set_line_width(cr, size * 0.16);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke_preserve(cr);
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_fill(cr);
}

static void paint_scenery(kt_painter *painter)
{
    cairo_t *cr = cairo_create(painter->back);
    const struct brush brush = brush_on(painter, cr);

    painter->scene->draw(&brush);
    cairo_destroy(cr);
    soften(painter->back);
    cr = cairo_create(painter->back);
    outlined_text(cr, 30, 66, 46, painter->scene->name);
    cairo_destroy(cr);
    for (int i = 0; i < painter->scene->n_screens; i++) {
        painter->screen[i] = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, W, H);
        cr = cairo_create(painter->screen[i]);
        const struct brush on_screen = brush_on(painter, cr);
        painter->scene->screen[i].draw(&on_screen);
        /* Hide with what the finished scenery shows there, not with a second drawing of it. */
        cairo_set_operator(cr, CAIRO_OPERATOR_IN);
        cairo_set_source_surface(cr, painter->back, 0, 0);
        cairo_paint(cr);
        cairo_destroy(cr);
    }
}

/* ------------------------------------------------------------------ planes */

static uint8_t clamp(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* BT.601, limited range; RECT has even corners. */
static void convert_rect(cairo_surface_t *surface, const struct rect *r, struct planes *out)
{
    cairo_surface_flush(surface);
    const uint8_t *px = cairo_image_surface_get_data(surface);
    const int stride = cairo_image_surface_get_stride(surface);

    for (int y = r->y0; y < r->y1; y++) {
        const uint8_t *in = px + y * stride + r->x0 * 4;
        uint8_t *luma = out->p[0] + y * W;
        for (int x = r->x0; x < r->x1; x++, in += 4)
            luma[x] = (uint8_t)(16 + ((66 * in[2] + 129 * in[1] + 25 * in[0] + 128) >> 8));
    }
    for (int y = r->y0; y < r->y1; y += 2)
        for (int x = r->x0; x < r->x1; x += 2) {
            const uint8_t *a = px + y * stride + x * 4, *b = a + stride;
            const int bl = a[0] + a[4] + b[0] + b[4], g = a[1] + a[5] + b[1] + b[5], re = a[2] + a[6] + b[2] + b[6];
            out->p[1][y / 2 * (W / 2) + x / 2] = clamp(128 + ((-38 * re - 74 * g + 112 * bl + 512) >> 10));
            out->p[2][y / 2 * (W / 2) + x / 2] = clamp(128 + ((112 * re - 94 * g - 18 * bl + 512) >> 10));
        }
}

static void make_noise(kt_painter *painter)
{
    for (int i = 0; i < NOISE_SIZE + W; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += kt_random(&painter->seed) - 0.5;
        painter->noise[i] = (int8_t)lrint(sum * 1.732 * painter->scene->noise);
    }
}

/* OUT = IN times the gain, plus noise (from a random place, half as much in shadows is
 * not worth its time). */
static void expose(kt_painter *painter, const uint8_t *restrict in, uint8_t *restrict out, int w, int h)
{
    const int gain = painter->gain;

    for (int y = 0; y < h; y++) {
        const int8_t *restrict noise = painter->noise + (size_t)(kt_random(&painter->seed) * NOISE_SIZE);
        for (int x = 0; x < w; x++) {
            const int v = ((in[y * w + x] * gain) >> 8) + noise[x];
            out[y * w + x] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}

static void shrink(const uint8_t *in, uint8_t *out, int w, int h)
{
    for (int y = 0; y < h / 3; y++)
        for (int x = 0; x < w / 3; x++) {
            const uint8_t *p = in + 3 * y * w + 3 * x;
            out[y * (w / 3) + x] = (uint8_t)((p[0] + p[1] + p[2] + p[w] + p[w + 1] + p[w + 2] + p[2 * w] +
                                              p[2 * w + 1] + p[2 * w + 2] + 4) / 9);
        }
}

/* White, black, 16 bits of Gray code (high first), parity, white. */
static void draw_strip(uint8_t *luma, int width, int cell, int x0, int y0, unsigned tick)
{
    const unsigned gray = tick ^ (tick >> 1);
    uint32_t cells = 2;

    for (int bit = STRIP_BITS - 1; bit >= 0; bit--)
        cells = cells << 1 | ((gray >> bit) & 1);
    cells = cells << 2 | (unsigned)__builtin_parity(gray) << 1 | 1;
    for (int i = 0; i < STRIP_BITS + 4; i++)
        for (int y = 0; y < cell; y++)
            memset(luma + (y0 + y) * width + x0 + i * cell, cells >> (STRIP_BITS + 3 - i) & 1 ? 220 : 24, (size_t)cell);
}

/* ------------------------------------------------------------ what moves */

static bool place(const struct pass *pass, double t, struct vec *p, double *walked)
{
    double left = (t - pass->start) * pass->speed;

    *walked = left;
    if (left < 0)
        return false;
    for (int i = 0; i + 1 < pass->n_stops; i++) {
        const double dx = pass->stop[i + 1].x - pass->stop[i].x, dy = pass->stop[i + 1].y - pass->stop[i].y;
        const double len = hypot(dx, dy);
        if (left <= len) {
            *p = (struct vec){ pass->stop[i].x + dx * left / len, pass->stop[i].y + dy * left / len, 0 };
            return true;
        }
        left -= len;
    }
    return false;
}

/* From where it was to where it will be: turns corners in half a second. */
static double heading_at(const struct pass *pass, double t, struct vec p)
{
    struct vec before = p, after = p;
    double ignored;

    (void)place(pass, t - 0.25, &before, &ignored);
    (void)place(pass, t + 0.25, &after, &ignored);
    return atan2(after.y - before.y, after.x - before.x);
}

static struct rect bounds(const struct brush *brush, const struct pass *pass, struct vec p)
{
    const double r = pass->figure.kind == KT_CAR ? 2.4 : pass->figure.kind == KT_MOTORBIKE ? 1.25 : 0.75;
    struct rect box = { W, H, 0, 0 };

    for (int i = 0; i < 8; i++) {
        double x, y;
        kt_project(brush, (struct vec){ p.x + (i & 1 ? r : -r), p.y + (i & 2 ? r : -r), i & 4 ? 1.95 : -0.1 }, &x, &y, NULL);
        box.x0 = (int)fmin(box.x0, x);
        box.y0 = (int)fmin(box.y0, y);
        box.x1 = (int)fmax(box.x1, x);
        box.y1 = (int)fmax(box.y1, y);
    }
    return box;
}

static struct rect join(struct rect a, struct rect b)
{
    return (struct rect){ a.x0 < b.x0 ? a.x0 : b.x0, a.y0 < b.y0 ? a.y0 : b.y0,
                          a.x1 > b.x1 ? a.x1 : b.x1, a.y1 > b.y1 ? a.y1 : b.y1 };
}

static struct rect on_picture(struct rect r)
{
    r.x0 = (r.x0 < 0 ? 0 : r.x0) & ~1;
    r.y0 = (r.y0 < 0 ? 0 : r.y0) & ~1;
    r.x1 = r.x1 > W ? W : (r.x1 + 1) & ~1;
    r.y1 = r.y1 > H ? H : (r.y1 + 1) & ~1;
    return r;
}

static bool empty(const struct rect *r)
{
    return r->x0 >= r->x1 || r->y0 >= r->y1;
}

static void paint_with_alpha(cairo_t *cr, double alpha)
{
    cairo_pop_group_to_source(cr);
    cairo_paint_with_alpha(cr, alpha);
}

static void paint_mover(kt_painter *painter, cairo_t *cr, const struct pass *pass, struct vec p, double heading,
                        double walked)
{
    struct brush brush = brush_on(painter, cr);

    brush.shadow = true;
    cairo_push_group(cr);
    kt_draw_figure(&brush, &pass->figure, p, heading, walked);
    paint_with_alpha(cr, 0.42);
    brush.shadow = false;
    kt_draw_figure(&brush, &pass->figure, p, heading, walked);
    for (int i = 0; i < painter->scene->n_screens; i++)
        if (p.y > painter->scene->screen[i].distance) {
            cairo_set_source_surface(cr, painter->screen[i], 0, 0);
            cairo_paint(cr);
        }
}

static void look_at(const kt_painter *painter, struct rect r, struct sight *sight)
{
    struct rect seen = { W, H, 0, 0 };

    for (int y = r.y0; y < r.y1; y++)
        for (int x = r.x0; x < r.x1; x++)
            if (abs(painter->frame.p[0][y * W + x] - painter->back_yuv.p[0][y * W + x]) > SEEN_DIFFERENCE) {
                sight->pixels++;
                seen = join(seen, (struct rect){ x, y, x + 1, y + 1 });
            }
    if (sight->pixels > 0) {
        sight->x = seen.x0 / (double)W;
        sight->y = seen.y0 / (double)H;
        sight->w = (seen.x1 - seen.x0) / (double)W;
        sight->h = (seen.y1 - seen.y0) / (double)H;
    }
}

static struct rect paint_pass(kt_painter *painter, int i, double t)
{
    const struct pass *pass = &painter->scene->pass[i];
    struct vec p = { 0 };
    double walked;

    if (!place(pass, t, &p, &walked))
        return (struct rect){ 0 };
    cairo_t *cr = cairo_create(painter->work);
    struct brush brush = brush_on(painter, cr);
    const struct rect body = bounds(&brush, pass, p);
    brush.shadow = true;
    const struct rect dirty = on_picture(join(body, bounds(&brush, pass, p)));
    if (!empty(&dirty)) {
        cairo_rectangle(cr, dirty.x0, dirty.y0, dirty.x1 - dirty.x0, dirty.y1 - dirty.y0);
        cairo_clip(cr);
        paint_mover(painter, cr, pass, p, heading_at(pass, t, p), walked);
    }
    cairo_destroy(cr);
    return empty(&dirty) ? (struct rect){ 0 } : dirty;
}

static void restore(kt_painter *painter, const struct rect *r)
{
    cairo_t *cr = cairo_create(painter->work);

    cairo_rectangle(cr, r->x0, r->y0, r->x1 - r->x0, r->y1 - r->y0);
    cairo_set_source_surface(cr, painter->back, 0, 0);
    cairo_fill(cr);
    cairo_destroy(cr);
}

static void paint_clock(kt_painter *painter, double t)
{
    const struct rect r = { W - 330, 10, W - 10, 90 };
    cairo_t *cr = cairo_create(painter->work);
    const unsigned s = (unsigned)t % 3600;

    snprintf(painter->clock, sizeof(painter->clock), "00:%02u:%02u", s / 60, s % 60);
    outlined_text(cr, W - 290, 66, 46, painter->clock);
    cairo_destroy(cr);
    convert_rect(painter->work, &r, &painter->frame);
    restore(painter, &r);
}

void kt_painter_paint(kt_painter *painter, double t, struct sight *sight)
{
    struct rect dirty[KT_MAX_PASSES];

    for (int i = 0; i < 3; i++)
        memcpy(painter->frame.p[i], painter->back_yuv.p[i], (size_t)(W * H / (i ? 4 : 1)));
    painter->gain = 256 + (int)lrint(4 * sin(2 * M_PI * t / kt_loop_seconds));
    for (int i = 0; i < painter->scene->n_passes; i++)
        dirty[i] = paint_pass(painter, i, t);
    for (int i = 0; i < painter->scene->n_passes; i++) {
        sight[i] = (struct sight){ 0 };
        if (empty(&dirty[i]))
            continue;
        convert_rect(painter->work, &dirty[i], &painter->frame);
        look_at(painter, dirty[i], &sight[i]);
    }
    paint_clock(painter, t);
    for (int i = 0; i < painter->scene->n_passes; i++)
        if (!empty(&dirty[i]))
            restore(painter, &dirty[i]);
}

const struct planes *kt_painter_main(kt_painter *painter, unsigned tick)
{
    expose(painter, painter->frame.p[0], painter->main.p[0], W, H);
    memcpy(painter->main.p[1], painter->frame.p[1], W * H / 4);
    memcpy(painter->main.p[2], painter->frame.p[2], W * H / 4);
    draw_strip(painter->main.p[0], W, CELL, STRIP_X, STRIP_Y, tick);
    return &painter->main;
}

const struct planes *kt_painter_sub(kt_painter *painter, unsigned tick)
{
    shrink(painter->frame.p[0], painter->main.p[0], W, H);
    expose(painter, painter->main.p[0], painter->sub.p[0], SW, SH);
    shrink(painter->frame.p[1], painter->sub.p[1], W / 2, H / 2);
    shrink(painter->frame.p[2], painter->sub.p[2], W / 2, H / 2);
    draw_strip(painter->sub.p[0], SW, CELL / 3, STRIP_X / 3, STRIP_Y / 3, tick);
    return &painter->sub;
}

kt_painter *kt_painter_new(const struct scene *scene)
{
    kt_cleanup(kt_painter_free) kt_painter *painter = calloc(1, sizeof(*painter));

    if (!painter)
        return NULL;
    painter->scene = scene;
    painter->seed = (uint64_t)(scene->noise * 1000) + (uint64_t)scene->name[0];
    painter->back = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, W, H);
    painter->work = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, W, H);
    painter->noise = malloc(NOISE_SIZE + W);
    if (!painter->noise || alloc_planes(&painter->back_yuv, W, H) < 0 || alloc_planes(&painter->frame, W, H) < 0 ||
        alloc_planes(&painter->main, W, H) < 0 || alloc_planes(&painter->sub, SW, SH) < 0)
        return NULL;
    make_noise(painter);
    paint_scenery(painter);
    const struct rect all = { 0, 0, W, H };
    convert_rect(painter->back, &all, &painter->back_yuv);
    restore(painter, &all);
    return kt_steal_ptr(&painter);
}

/* Grey-free and quick: from the planes that were encoded. */
int kt_painter_write_png(kt_painter *painter, const char *path)
{
    cairo_surface_t *out = cairo_image_surface_create(CAIRO_FORMAT_RGB24, W, H);
    uint8_t *px = cairo_image_surface_get_data(out);
    const int stride = cairo_image_surface_get_stride(out);

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const int c = 298 * (painter->main.p[0][y * W + x] - 16), u = painter->main.p[1][y / 2 * (W / 2) + x / 2] - 128;
            const int v = painter->main.p[2][y / 2 * (W / 2) + x / 2] - 128;
            uint8_t *o = px + y * stride + x * 4;
            o[2] = clamp((c + 409 * v + 128) >> 8);
            o[1] = clamp((c - 100 * u - 208 * v + 128) >> 8);
            o[0] = clamp((c + 516 * u + 128) >> 8);
        }
    cairo_surface_mark_dirty(out);
    const cairo_status_t status = cairo_surface_write_to_png(out, path);
    cairo_surface_destroy(out);
    return status == CAIRO_STATUS_SUCCESS ? 0 : -1;
}

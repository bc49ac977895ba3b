/* gaps.c - absence is a fact too: where held video has holes, and why. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/vault/vault_private.h"

#define DAMAGED "damaged"
#define UNKNOWN "not-recorded"          /* never, or it was overwritten */

/* The longest explanation of one hole so far. */
struct reason {
    const struct kt_cover_span *hole;
    const char *name;
    int64_t us;
};

/* What RING has or noted of STREAM in a span; nothing where it does not know the stream. */
static int spans_of(kt_ring *ring, const char *stream, int64_t from_us, int64_t to_us, struct kt_ring_span **spans, size_t *n)
{
    uint32_t number;
    int ret = kt_ring_find_stream(ring, stream, &number);
    if (ret == 0)
        ret = kt_ring_spans(ring, number, from_us, to_us, spans, n);
    return ret == -ENOENT ? 0 : ret;
}

/* Count what RING noted of the hole. */
static int ask(struct reason *r, kt_ring *ring, const char *stream)
{
    kt_cleanup(kt_freep) struct kt_ring_span *spans = NULL;
    size_t n = 0;
    const int ret = spans_of(ring, stream, r->hole->from_us, r->hole->to_us, &spans, &n);
    for (size_t i = 0; ret == 0 && i < n; i++) {
        const int64_t from = spans[i].from_us > r->hole->from_us ? spans[i].from_us : r->hole->from_us;
        const int64_t to = spans[i].to_us < r->hole->to_us ? spans[i].to_us : r->hole->to_us;
        if (spans[i].reason != KT_GAP_NONE && to - from > r->us) {
            r->us = to - from;
            r->name = kt_gap_reason_name(spans[i].reason);
        }
    }
    return ret;
}

static int mark_erased(struct kt_cover *marked, kt_ring *ring, const char *stream, const struct kt_hold *hold)
{
    kt_cleanup(kt_freep) struct kt_ring_span *spans = NULL;
    size_t n = 0;
    int ret = spans_of(ring, stream, hold->from_us, hold->to_us, &spans, &n);
    for (size_t i = 0; ret == 0 && i < n; i++)
        if (spans[i].reason == KT_GAP_ERASED)
            ret = kt_cover_add_damage(marked, spans[i].from_us, spans[i].to_us);
    return ret;
}

int kt_vault_note_gaps(kt_vault *v, const struct kt_vault_ring *rings, size_t n_rings, const char *stream,
                       const struct kt_hold *hold, const struct kt_cover *have)
{
    kt_cleanup(kt_freep) struct kt_cover_span *holes = NULL;
    size_t n = 0;
    /* However short it is: what is missing on purpose, or damaged. */
    struct kt_cover marked = { .spans = have->spans, .n = have->n };
    int ret = 0;
    for (size_t i = 0; i < have->n_damage && ret == 0; i++)
        ret = kt_cover_add_damage(&marked, have->damage[i].from_us, have->damage[i].to_us);
    for (size_t i = 0; i < n_rings && ret == 0; i++)
        ret = mark_erased(&marked, rings[i].ring, stream, hold);
    if (ret == 0)
        ret = kt_cover_holes(&marked, hold->from_us, hold->to_us, &holes, &n);
    free(marked.damage);
    if (ret < 0)
        return ret;
    json_t *list = json_array();
    for (size_t i = 0; ret == 0 && i < n; i++) {
        struct reason r = { .hole = &holes[i], .name = UNKNOWN };
        for (size_t k = 0; ret == 0 && k < n_rings; k++)
            ret = rings[k].events_only ? 0 : ask(&r, rings[k].ring, stream);
        if (kt_cover_is_damage(have, holes[i].from_us, holes[i].to_us))
            r.name = DAMAGED;
        (void)json_array_append_new(list, json_pack("[I,I,s]", (json_int_t)holes[i].from_us,
                                                    (json_int_t)holes[i].to_us, r.name));
    }
    kt_cleanup(kt_freep) char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    if (ret < 0)
        return ret;
    return text ? kt_catalog_hold_gaps_put(kt_vault_catalog(v), hold->id, text) : -ENOMEM;
}

static int read_damage(kt_vault *v, const struct kt_hold *hold, struct kt_cover *out)
{
    kt_cleanup(kt_freep) char *text = NULL;
    size_t i;
    json_t *gap;
    int ret = kt_catalog_hold_gaps(kt_vault_catalog(v), hold->id, &text);
    json_t *list = ret == 0 && text ? json_loads(text, 0, NULL) : NULL;
    json_array_foreach(list, i, gap) {
        const char *reason = json_string_value(json_array_get(gap, 2));
        if (ret == 0 && reason && strcmp(reason, DAMAGED) == 0)
            ret = kt_cover_add_damage(out, json_integer_value(json_array_get(gap, 0)),
                                      json_integer_value(json_array_get(gap, 1)));
    }
    json_decref(list);
    return ret;
}

int kt_vault_hold_cover(kt_vault *v, const struct kt_hold *hold, struct kt_cover *out)
{
    struct kt_hold_file *files = NULL;
    size_t n = 0;
    int ret = kt_catalog_hold_files(kt_vault_catalog(v), hold->id, &files, &n);
    for (size_t i = 0; ret == 0 && i < n; i++)
        ret = kt_cover_add_file(out, &files[i]);
    kt_hold_file_list_free(&files, n);
    return ret < 0 ? ret : read_damage(v, hold, out);
}

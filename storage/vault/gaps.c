/* gaps.c - absence is a fact too: where held video has holes, and why. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/vault/vault_private.h"

#define SHORTEST_US (3 * KT_SECOND_US / 2)

/* The reason that covers most of [FROM, TO), as the ring noted it. */
static const char *reason_of(const struct kt_ring_span *spans, size_t n, int64_t from_us, int64_t to_us)
{
    const char *reason = "not-recorded";
    int64_t most = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t from = spans[i].from_us > from_us ? spans[i].from_us : from_us;
        const int64_t to = spans[i].to_us < to_us ? spans[i].to_us : to_us;
        if (spans[i].reason != KT_GAP_NONE && to - from > most) {
            most = to - from;
            reason = kt_gap_reason_name(spans[i].reason);
        }
    }
    return reason;
}

static void add(json_t *list, const struct kt_ring_span *spans, size_t n, int64_t from_us, int64_t to_us)
{
    if (to_us - from_us >= SHORTEST_US)
        (void)json_array_append_new(list, json_pack("[I,I,s]", (json_int_t)from_us, (json_int_t)to_us,
                                                    reason_of(spans, n, from_us, to_us)));
}

int kt_vault_note_gaps(kt_vault *v, kt_ring *ring, uint32_t stream, const struct kt_hold *hold)
{
    struct kt_hold_file *files = NULL;
    kt_cleanup(kt_freep) struct kt_ring_span *spans = NULL;
    size_t n_files = 0, n_spans = 0;
    int ret = kt_ring_spans(ring, stream, hold->from_us, hold->to_us, &spans, &n_spans);
    if (ret == 0)
        ret = kt_catalog_hold_files(kt_vault_catalog(v), hold->id, &files, &n_files);
    if (ret < 0)
        return ret;
    json_t *list = json_array();
    int64_t at = hold->from_us;
    for (size_t i = 0; i < n_files; i++) {
        add(list, spans, n_spans, at, files[i].start_us);
        at = files[i].end_us > at ? files[i].end_us : at;
    }
    add(list, spans, n_spans, at, hold->to_us);
    kt_hold_file_list_free(&files, n_files);
    kt_cleanup(kt_freep) char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text ? kt_catalog_hold_gaps_put(kt_vault_catalog(v), hold->id, text) : -ENOMEM;
}

#include "storage/vault/cover.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "server/base/cleanup.h"
#include "storage/catalog/db.h"
#include "storage/vault/hold_records.h"

void kt_cover_free(struct kt_cover *c)
{
    free(c->spans);
    free(c->damage);
    *c = (struct kt_cover){ .n = 0 };
}

int kt_cover_add(struct kt_cover *c, int64_t from_us, int64_t to_us)
{
    if (from_us >= to_us)
        return 0;
    size_t last = c->n;                 /* records come in order, mostly: look from the end */
    while (last > 0 && c->spans[last - 1].from_us > to_us)
        last--;
    size_t first = last;
    while (first > 0 && c->spans[first - 1].to_us >= from_us) {
        first--;
        from_us = c->spans[first].from_us < from_us ? c->spans[first].from_us : from_us;
        to_us = c->spans[first].to_us > to_us ? c->spans[first].to_us : to_us;
    }
    if (first == last) {
        const int ret = kt_db_grow(&c->spans, c->n, sizeof(*c->spans));
        if (ret < 0)
            return ret;
    }
    /* One span instead of FIRST..LAST. */
    memmove(&c->spans[first + 1], &c->spans[last], (c->n - last) * sizeof(*c->spans));
    c->n = c->n + 1 - (last - first);
    c->spans[first] = (struct kt_cover_span){ from_us, to_us };
    return 0;
}

int kt_cover_add_damage(struct kt_cover *c, int64_t from_us, int64_t to_us)
{
    const int ret = kt_db_grow(&c->damage, c->n_damage, sizeof(*c->damage));
    if (ret == 0)
        c->damage[c->n_damage++] = (struct kt_cover_span){ from_us, to_us };
    return ret;
}

int kt_cover_add_file(struct kt_cover *c, const struct kt_hold_file *file)
{
    size_t i;
    json_t *rec, *about = kt_hold_records_parse(file);
    if (!about)
        return -ENOMEM;
    const json_t *records = json_object_get(about, "records");
    int ret = json_array_size(records) == 0 ? kt_cover_add(c, file->start_us, file->end_us) : 0;
    json_array_foreach(records, i, rec)
        if (ret == 0)
            ret = kt_cover_add(c, json_integer_value(json_array_get(rec, 1)),
                               json_integer_value(json_array_get(rec, 2)));
    json_decref(about);
    return ret;
}

int64_t kt_cover_missing(const struct kt_cover *c, int64_t from_us, int64_t to_us)
{
    int64_t missing = to_us > from_us ? to_us - from_us : 0;
    for (size_t i = 0; i < c->n; i++) {
        const int64_t from = c->spans[i].from_us > from_us ? c->spans[i].from_us : from_us;
        const int64_t to = c->spans[i].to_us < to_us ? c->spans[i].to_us : to_us;
        missing -= to > from ? to - from : 0;
    }
    return missing;
}

bool kt_cover_is_damage(const struct kt_cover *c, int64_t from_us, int64_t to_us)
{
    for (size_t i = 0; i < c->n_damage; i++)
        if (c->damage[i].from_us < to_us && c->damage[i].to_us > from_us)
            return true;
    return false;
}

static int add_hole(const struct kt_cover *c, struct kt_cover_span **list, size_t *n, int64_t from_us,
                    int64_t to_us, bool all)
{
    if (from_us >= to_us || (to_us - from_us < KT_COVER_SLACK_US && !all && !kt_cover_is_damage(c, from_us, to_us)))
        return 0;
    const int ret = kt_db_grow(list, *n, sizeof(**list));
    if (ret == 0)
        (*list)[(*n)++] = (struct kt_cover_span){ from_us, to_us };
    return ret;
}

int kt_cover_holes(const struct kt_cover *c, int64_t from_us, int64_t to_us, struct kt_cover_span **out,
                   size_t *n)
{
    kt_cleanup(kt_freep) struct kt_cover_span *list = NULL;
    int ret = 0;
    int64_t at = from_us;
    *n = 0;
    for (size_t i = 0; ret == 0 && i < c->n && c->spans[i].from_us < to_us; i++) {
        if (c->spans[i].to_us <= at)
            continue;
        ret = add_hole(c, &list, n, at, c->spans[i].from_us, false);
        at = c->spans[i].to_us;
    }
    if (ret == 0)
        ret = add_hole(c, &list, n, at, to_us, at == from_us);
    if (ret == 0)
        *out = kt_steal_ptr(&list);
    return ret;
}

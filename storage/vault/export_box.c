#include "storage/vault/export_box.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/ring/boxes.h"

#define FROM_1904_S INT64_C(2082844800)     /* ISO/IEC 14496-12 counts seconds from 1904 ... */
#define FROM_1601_S INT64_C(11644473600)    /* ... cstb 100 ns from 1601 */

static void put_number(FILE *out, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        fputc((int)(value >> (8 * bytes) & 0xff), out);
}

static void put_text(FILE *out, const char *text)
{
    fputs(text ? text : "", out);
    fputc('\0', out);
}

static void put_suep(FILE *out, const struct kt_export_box *b, const struct kt_tracks *tracks)
{
    put_number(out, 1u << 24, 4);           /* version 1, no flags */
    put_text(out, b->unit);
    put_text(out, NULL);                    /* URL, MAC: not known here */
    put_text(out, NULL);
    put_number(out, (uint64_t)(b->exported_us / KT_SECOND_US + FROM_1904_S), 8);
    put_text(out, b->operator_name);
    put_number(out, tracks->n, 4);
    for (size_t i = 0; i < tracks->n; i++) {
        put_number(out, tracks->a[i].id, 2);
        put_text(out, b->source_name);
        put_text(out, b->source_url);
        put_text(out, NULL);
        put_text(out, NULL);
    }
}

static void put_cstb(FILE *out, const struct kt_export_box *b, const struct kt_tracks *tracks)
{
    put_number(out, tracks->n, 4);
    for (size_t i = 0; i < tracks->n; i++) {
        put_number(out, tracks->a[i].id, 4);
        put_number(out, (uint64_t)(b->start_us + FROM_1601_S * KT_SECOND_US) * 10, 8);
    }
}

/* A box begun at AT ends here. */
static void end_box(FILE *out, long at)
{
    const long end = ftell(out);
    fseek(out, at, SEEK_SET);
    put_number(out, (uint64_t)(end - at), 4);
    fseek(out, end, SEEK_SET);
}

static long begin_box(FILE *out, const char *type)
{
    const long at = ftell(out);
    put_number(out, 0, 4);
    fputs(type, out);
    return at;
}

static void put_meta(FILE *out, const struct kt_export_box *b, const struct kt_tracks *tracks)
{
    const long meta = begin_box(out, "meta");
    put_number(out, 0, 4);
    long box = begin_box(out, "hdlr");
    put_number(out, 0, 8);
    fputs("null", out);
    put_number(out, 0, 8);                  /* reserved ... */
    put_number(out, 0, 5);                  /* ... and an empty name */
    end_box(out, box);
    box = begin_box(out, "suep");
    put_suep(out, b, tracks);
    end_box(out, box);
    box = begin_box(out, "cstb");
    put_cstb(out, b, tracks);
    end_box(out, box);
    end_box(out, meta);
}

int kt_export_box_make(const struct kt_export_box *about, const uint8_t *head, size_t head_size,
                       uint8_t **out, size_t *size)
{
    struct kt_tracks tracks;
    char *data = NULL;
    const int ret = kt_boxes_tracks(head, head_size, &tracks);
    if (ret < 0)
        return ret;
    FILE *file = open_memstream(&data, size);
    if (!file)
        return -ENOMEM;
    put_meta(file, about, &tracks);
    if (fclose(file) != 0) {
        free(data);
        return -ENOMEM;
    }
    *out = (uint8_t *)data;
    return 0;
}

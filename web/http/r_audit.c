/*
 * r_audit.c - who did what, for the head: as a list, as a table to take away, and
 * whether the chain still holds.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/audit.h"

#define DEFAULT_LIMIT 100
#define MAX_LIMIT 1000
#define MAX_ROWS 100000         /* of one table to take away */

static json_t *row_json(const struct kt_audit_row *row)
{
    char hash[65];
    json_t *detail = row->detail ? json_loads(row->detail, 0, NULL) : NULL;
    kt_hex(hash, row->hash, sizeof(row->hash));
    return json_pack("{s:I, s:o, s:o, s:o, s:s, s:o, s:o, s:s}", "id", (json_int_t)row->id, "time",
                     web_json_time(row->time_us), "who",
                     row->who[0] ? web_json_text(row->who) : json_null(), "address",
                     web_json_text(row->address), "action", row->action, "object",
                     row->object[0] ? web_json_text(row->object) : json_null(), "detail",
                     detail ? detail : json_null(), "hash", hash);
}

static bool parse_filter(struct web_request *r, struct kt_audit_filter *f)
{
    uint64_t limit = DEFAULT_LIMIT, cursor = 0;
    const char *from = web_query(r, "from"), *to = web_query(r, "to");
    const char *count = web_query(r, "limit"), *before = web_query(r, "cursor");
    *f = (struct kt_audit_filter){ .who = web_query(r, "who"), .action = web_query(r, "action"),
                                   .object = web_query(r, "object") };
    if ((from && kt_rfc3339_parse(from, &f->from_us) < 0) ||
        (to && kt_rfc3339_parse(to, &f->to_us) < 0) ||
        (count && (!web_parse_uint(count, MAX_LIMIT, &limit) || limit == 0)) ||
        (before && !web_parse_uint(before, INT64_MAX, &cursor)))
        return false;
    f->limit = (size_t)limit;
    f->before_id = (int64_t)cursor;
    return true;
}

enum MHD_Result web_list_audit(struct web_request *r)
{
    struct kt_audit_filter f;
    struct kt_audit_row *list = NULL;
    size_t n = 0;
    char cursor[32] = "";
    if (!parse_filter(r, &f))
        return web_problem(r, 400, "bad-request", "from, to, limit or cursor is not right");
    const int ret = kt_catalog_audit_list(r->web->params.catalog, &f, &list, &n);
    if (ret < 0)
        return web_problem_errno(r, ret);
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(items, row_json(&list[i]));
    if (n == f.limit)
        snprintf(cursor, sizeof(cursor), "%" PRId64, list[n - 1].id);
    kt_audit_list_free(&list, n);
    return web_reply_json(r, 200, json_pack("{s:o, s:o}", "items", items, "next",
                                            cursor[0] ? json_string(cursor) : json_null()));
}

/* One cell. A spreadsheet must not take it for a formula. */
static void write_cell(FILE *f, const char *text, char end)
{
    fputc('"', f);
    if (text[0] && strchr("=+-@\t\r", text[0]))
        fputc('\'', f);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', f);
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, f);
    }
    fputc('"', f);
    fputc(end, f);
}

static void write_row(FILE *f, const struct kt_audit_row *row)
{
    char time[KT_RFC3339_SIZE], hash[65];
    kt_rfc3339_format(time, row->time_us);
    kt_hex(hash, row->hash, sizeof(row->hash));
    fprintf(f, "%" PRId64 ",%s,", row->id, time);
    write_cell(f, row->who, ',');
    write_cell(f, row->address, ',');
    write_cell(f, row->action, ',');
    write_cell(f, row->object, ',');
    write_cell(f, row->detail ? row->detail : "", ',');
    fprintf(f, "%s\r\n", hash);
}

static int write_all(struct web_request *r, FILE *f, struct kt_audit_filter *filter)
{
    size_t total = 0, n = MAX_LIMIT;
    filter->limit = MAX_LIMIT;
    fputs("id,time,who,address,action,object,detail,hash\r\n", f);
    while (n == MAX_LIMIT && total < MAX_ROWS) {
        struct kt_audit_row *list = NULL;
        const int ret = kt_catalog_audit_list(r->web->params.catalog, filter, &list, &n);
        if (ret < 0)
            return ret;
        for (size_t i = 0; i < n; i++)
            write_row(f, &list[i]);
        if (n > 0)
            filter->before_id = list[n - 1].id;
        kt_audit_list_free(&list, n);
        total += n;
    }
    return 0;
}

enum MHD_Result web_audit_table(struct web_request *r)
{
    struct kt_audit_filter filter;
    char *text = NULL;
    size_t size = 0;
    if (!parse_filter(r, &filter))
        return web_problem(r, 400, "bad-request", "from or to is not right");
    FILE *f = open_memstream(&text, &size);
    const int ret = f ? write_all(r, f, &filter) : -ENOMEM;
    if (f && fclose(f) != 0 && ret == 0)
        return web_problem_errno(r, -ENOMEM);
    if (ret < 0) {
        free(text);
        return web_problem_errno(r, ret);
    }
    web_audit(r, "audit-export", NULL, NULL);
    return web_reply_bytes(r, text, size, "text/csv; charset=utf-8", CACHE_NEVER);
}

enum MHD_Result web_verify_audit(struct web_request *r)
{
    uint8_t head[32] = { 0 };
    char hash[65];
    uint64_t rows = 0;
    int64_t bad = 0;
    const int ret = kt_catalog_audit_verify(r->web->params.catalog, head, &rows, &bad);
    if (ret < 0 && ret != -EBADMSG)
        return web_problem_errno(r, ret);
    kt_hex(hash, head, sizeof(head));
    return web_reply_json(r, 200, json_pack("{s:b, s:I, s:s, s:o}", "ok", ret == 0, "rows",
                                            (json_int_t)rows, "head", hash, "first_bad",
                                            ret == 0 ? json_null() : json_integer(bad)));
}

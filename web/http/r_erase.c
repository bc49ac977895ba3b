/* r_erase.c - a span of one camera is taken out for good, in all rings: somebody had a right to that. */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/cases.h"
#include "storage/catalog/events.h"

#define ERASE_MAX_US (3600 * KT_SECOND_US)      /* at once: its bytes are overwritten while the client waits */
#define FLUSH_US (10 * KT_SECOND_US)
#define REASON_MAX 1000                         /* bytes */

/* A ring that is away keeps its copy: then nothing is erased, rather than half of it. */
static const struct kt_web_ring *ring_that_is_away(const struct kt_web *web)
{
    for (size_t i = 0; i < web->params.n_rings; i++)
        if (!web->params.rings[i].ring)
            return &web->params.rings[i];
    return NULL;
}

/* Is evidence being copied out of this span, or about to be? */
static int is_being_held(struct web_request *r, int64_t from_us, int64_t to_us, bool *yes)
{
    kt_cleanup(kt_freep) struct kt_hold *holds = NULL;
    size_t n = 0;
    const int ret = kt_catalog_hold_list(r->web->params.catalog, 0, &holds, &n);
    *yes = false;
    for (size_t i = 0; ret == 0 && i < n; i++) {
        const struct kt_hold *h = &holds[i];
        *yes |= (h->state == KT_JOB_WAITING || h->state == KT_JOB_RUNNING) && h->from_us < to_us &&
                h->to_us > from_us && strcmp(h->camera, r->params.value[0]) == 0;
    }
    return ret;
}

/* *RECORDS counts what was erased, also before an error. */
static int erase_stream(struct web_request *r, const char *stream, int64_t from_us, int64_t to_us,
                        int64_t *records)
{
    for (size_t i = 0; i < r->web->params.n_rings; i++) {
        uint32_t number;
        kt_ring *ring = r->web->params.rings[i].ring;
        if (!web_find_stream(ring, r->params.value[0], stream, &number))
            continue;
        int ret = kt_ring_flush(ring, FLUSH_US);        /* what is on its way to the disk goes, too */
        if (ret == 0)
            ret = kt_ring_erase(ring, number, from_us, to_us);
        if (ret < 0)
            return ret;
        *records += ret;
    }
    return 0;
}

/* Pictures of the events last: that waits for the disk, and so for the line in the audit log, too. */
static enum MHD_Result erase(struct web_request *r, int64_t from_us, int64_t to_us, const char *reason)
{
    int64_t records = 0;
    const char *camera = r->params.value[0];
    int ret = erase_stream(r, "main", from_us, to_us, &records);
    if (ret == 0)
        ret = erase_stream(r, "sub", from_us, to_us, &records);
    web_audit(r, "erase", camera, json_pack("{s:o, s:o, s:s, s:I, s:b}", "from", web_json_time(from_us), "to",
                                            web_json_time(to_us), "reason", reason, "records",
                                            (json_int_t)records, "complete", ret == 0));
    if (ret < 0)
        return web_problem_errno(r, ret);
    const int pictures = kt_catalog_thumbnails_erase(r->web->params.catalog, camera, from_us, to_us);
    if (pictures < 0)
        return web_problem_errno(r, pictures);
    return web_reply_json(r, 200, json_pack("{s:I, s:i}", "records", (json_int_t)records, "pictures", pictures));
}

enum MHD_Result web_erase(struct web_request *r)
{
    static const char *const keys[] = { "reason", NULL };
    enum MHD_Result result;
    int64_t from_us, to_us;
    bool held;
    const struct kt_web_ring *away = ring_that_is_away(r->web);
    if (!web_span(r, &from_us, &to_us, &result))
        return result;
    if (to_us - from_us > ERASE_MAX_US)
        return web_problem(r, 416, "bad-range", "at most an hour at once");
    json_t *body = web_body(r, keys, &result);
    if (!body)
        return result;
    const char *reason = json_string_value(json_object_get(body, "reason"));
    const int ret = is_being_held(r, from_us, to_us, &held);
    if (!reason || reason[strspn(reason, " \t\r\n")] == '\0' || strlen(reason) > REASON_MAX)
        result = web_problem(r, 400, "bad-request", "a reason is needed, in at most 1000 bytes");
    else if (away)
        result = web_problem(r, 503, "not-recording", away->why);
    else if (ret < 0)
        result = web_problem_errno(r, ret);
    else if (held)
        result = web_problem(r, 409, "being-held", "evidence of this time is being copied: wait until that is done");
    else
        result = erase(r, from_us, to_us, reason);
    json_decref(body);
    return result;
}

/* r_erase.c - a span of one camera is taken out for good, in all rings: somebody had a right to that. */
#include "web/http/web_private.h"

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/events.h"

#define ERASE_MAX_US (3600 * KT_SECOND_US)      /* at once: its bytes are overwritten while the client waits */
#define FLUSH_US (10 * KT_SECOND_US)

/* A ring that is away keeps its copy: then nothing is erased, rather than half of it. */
static const struct kt_web_ring *ring_that_is_away(const struct kt_web *web)
{
    for (size_t i = 0; i < web->params.n_rings; i++)
        if (!web->params.rings[i].ring)
            return &web->params.rings[i];
    return NULL;
}

/* Records erased, or an error. */
static int64_t erase_stream(struct web_request *r, const char *stream, int64_t from_us, int64_t to_us)
{
    int64_t records = 0;
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
        records += ret;
    }
    return records;
}

enum MHD_Result web_erase(struct web_request *r)
{
    static const char *const streams[] = { "main", "sub" };
    enum MHD_Result result;
    int64_t from_us, to_us, records = 0;
    const char *camera = r->params.value[0];
    const struct kt_web_ring *away = ring_that_is_away(r->web);
    if (!web_span(r, &from_us, &to_us, &result))
        return result;
    if (to_us - from_us > ERASE_MAX_US)
        return web_problem(r, 416, "bad-range", "at most an hour at once");
    if (away)
        return web_problem(r, 503, "not-recording", away->why);
    for (size_t i = 0; i < KT_ARRAY_SIZE(streams); i++) {
        const int64_t n = erase_stream(r, streams[i], from_us, to_us);
        if (n < 0)
            return web_problem_errno(r, (int)n);
        records += n;
    }
    web_audit(r, "erase", camera, json_pack("{s:o, s:o, s:I}", "from", web_json_time(from_us), "to",
                                            web_json_time(to_us), "records", (json_int_t)records));
    /* Waits for the disk, and so for the line in the audit log, too. */
    const int pictures = kt_catalog_thumbnails_erase(r->web->params.catalog, camera, from_us, to_us);
    if (pictures < 0)
        return web_problem_errno(r, pictures);
    return web_reply_json(r, 200, json_pack("{s:I, s:i}", "records", (json_int_t)records, "pictures", pictures));
}

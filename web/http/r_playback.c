/*
 * r_playback.c - recorded video, as the bytes on disk: playlists, segments, clips,
 * key frames. The first ring that has something answers; what it forgot the others give.
 */
#include "web/http/web_private.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/ring/clip.h"

#define HLS_TARGET_US (5 * KT_SECOND_US)
#define PLAYER_TARGET_US (KT_SECOND_US * 3 / 2)    /* a GOP of 2 s is one segment */
#define PLAYLIST_MAX_US (INT64_C(86400) * 2 * KT_SECOND_US)
#define CLIP_MAX_US (INT64_C(86400) * KT_SECOND_US)
#define WINDOW_US (1800 * KT_SECOND_US)     /* looked through at once for the player's list */
#define MAX_SEGMENTS 500
#define LOOK_BACK_US (30 * KT_SECOND_US)
#define EVENT_BEFORE_US (5 * KT_SECOND_US)
#define EVENT_AFTER_US (5 * KT_SECOND_US)
#define EVENT_MAX_US (600 * KT_SECOND_US)
#define CLIP_BLOCK (128 * 1024)

/* "main" when not given. NULL: the answer *RESULT was queued. */
static const char *stream_of(struct web_request *r, enum MHD_Result *result)
{
    const char *stream = web_query(r, "stream");
    if (!stream || strcmp(stream, "main") == 0)
        return "main";
    if (strcmp(stream, "sub") == 0)
        return "sub";
    *result = web_problem(r, 400, "bad-request", "stream is main or sub");
    return NULL;
}

static enum MHD_Result nothing_recorded(struct web_request *r)
{
    for (size_t i = 0; i < r->web->params.n_rings; i++)
        if (!web_any_ring(r->web) && r->web->params.rings[i].why)
            return web_problem(r, 503, "not-recording", r->web->params.rings[i].why);
    if (!web_any_ring(r->web))
        return web_problem(r, 503, "not-recording", "NOT RECORDING: there is no ring");
    return web_problem(r, 404, "not-recorded", "nothing was recorded there, or it is overwritten");
}

static void audit_play(struct web_request *r, const char *camera, int64_t from_us)
{
    char time[KT_RFC3339_SIZE], detail[64];
    kt_rfc3339_format(time, from_us);
    snprintf(detail, sizeof(detail), "{\"from\":\"%s\"}", time);
    web_audit_look(r->web, r->user->username, r->address, "play", camera, detail);
}

/* The ring NAME, or NULL. */
static kt_ring *ring_by_name(struct kt_web *web, const char *name)
{
    for (size_t i = 0; i < web->params.n_rings; i++)
        if (strcmp(web->params.rings[i].name, name) == 0)
            return web->params.rings[i].ring;
    return NULL;
}

/* Segments from the first ring that has any, from index *RING on. *RING becomes its index. */
static int find_segments(struct web_request *r, const char *stream, int64_t from_us, int64_t to_us,
                         int64_t target_us, struct kt_segment **out, size_t *n, size_t *ring)
{
    for (size_t i = *ring; i < r->web->params.n_rings; i++) {
        uint32_t number;
        kt_ring *from = r->web->params.rings[i].ring;
        if (!web_find_stream(from, r->params.value[0], stream, &number))
            continue;
        const int ret = kt_clip_segments(from, number, from_us, to_us, target_us, out, n);
        if (ret < 0 && ret != -ENOENT)
            return ret;
        *ring = i;
        if (ret == 0 && *n > 0)
            return 0;
        if (ret == 0)
            free(*out);
    }
    return -ENOENT;
}

/* What the ring that is asked first forgot, the others may have: the oldest segments of the span, and
 * *END_US where to go on. */
static int oldest_segments(struct web_request *r, const char *stream, int64_t from_us, int64_t *end_us,
                           int64_t target_us, struct kt_segment **out, size_t *n, size_t *ring)
{
    *ring = 0;
    int ret = find_segments(r, stream, from_us, *end_us, target_us, out, n, ring);
    while (ret == 0 && (*out)[0].start_us > from_us) {
        struct kt_segment *older = NULL;
        size_t n_older = 0, at = *ring + 1;
        const int64_t before_us = (*out)[0].start_us;
        if (find_segments(r, stream, from_us, before_us, target_us, &older, &n_older, &at) < 0)
            break;
        free(*out);
        *out = older;
        *n = n_older;
        *ring = at;
        *end_us = before_us;
    }
    return ret;
}

/* ------------------------------ HLS ------------------------------ */

static void write_segment(FILE *f, const struct kt_segment *s, const char *ring, const char *stream)
{
    char time[KT_RFC3339_SIZE];
    kt_rfc3339_format(time, s->start_us);
    fprintf(f, "#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:%.6f,\n", time,
            (double)s->duration_us / 1e6);
    fprintf(f, "segment.m4s?ring=%s&stream=%s&first=%" PRIu64 "&last=%" PRIu64 "\n", ring, stream,
            s->first_seq, s->last_seq);
}

struct playlist {
    struct kt_segment *list;
    const char **rings;                 /* the name of each one's ring */
    size_t n;
};

static void free_playlist(struct playlist *p)
{
    free(p->list);
    free(p->rings);
}

static int add_to_playlist(struct playlist *p, const struct kt_segment *list, size_t n, const char *ring)
{
    struct kt_segment *segments = reallocarray(p->list, p->n + n, sizeof(*segments));
    if (!segments)
        return -ENOMEM;
    p->list = segments;
    const char **rings = reallocarray(p->rings, p->n + n, sizeof(*rings));
    if (!rings)
        return -ENOMEM;
    p->rings = rings;
    memcpy(segments + p->n, list, n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        rings[p->n + i] = ring;
    segments[p->n].discontinuity = p->n > 0;
    p->n += n;
    return 0;
}

/* All of the span, from as many rings as it takes. */
static int make_playlist(struct web_request *r, const char *stream, int64_t from_us, int64_t to_us,
                         struct playlist *p)
{
    int ret = 0;
    while (ret == 0 && from_us < to_us) {
        struct kt_segment *list = NULL;
        size_t n = 0, ring = 0;
        int64_t end_us = to_us;
        ret = oldest_segments(r, stream, from_us, &end_us, HLS_TARGET_US, &list, &n, &ring);
        if (ret == 0)
            ret = add_to_playlist(p, list, n, r->web->params.rings[ring].name);
        free(list);
        from_us = end_us;
    }
    return ret == -ENOENT && p->n > 0 ? 0 : ret;
}

static void write_playlist(FILE *f, const struct playlist *p, const char *stream)
{
    const struct kt_segment *list = p->list;
    int64_t longest_us = KT_SECOND_US;
    for (size_t i = 0; i < p->n; i++)
        longest_us = list[i].duration_us > longest_us ? list[i].duration_us : longest_us;
    fprintf(f, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-PLAYLIST-TYPE:VOD\n"
            "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-TARGETDURATION:%" PRId64 "\n"
            "#EXT-X-MEDIA-SEQUENCE:0\n", (longest_us + KT_SECOND_US - 1) / KT_SECOND_US);
    for (size_t i = 0; i < p->n; i++) {
        const bool new_init = i == 0 || memcmp(list[i].init, list[i - 1].init, KT_INIT_HASH_SIZE);
        const bool jump = i > 0 && (list[i].discontinuity || new_init);
        char hash[2 * KT_INIT_HASH_SIZE + 1];
        kt_hex(hash, list[i].init, KT_INIT_HASH_SIZE);
        if (jump)
            fputs("#EXT-X-DISCONTINUITY\n", f);
        if (new_init || jump)
            fprintf(f, "#EXT-X-MAP:URI=\"../../inits/%s.mp4\"\n", hash);
        write_segment(f, &list[i], p->rings[i], stream);
    }
    fputs("#EXT-X-ENDLIST\n", f);
}

enum MHD_Result web_playlist(struct web_request *r)
{
    int64_t from_us, to_us;
    enum MHD_Result result;
    kt_cleanup(free_playlist) struct playlist list = { .n = 0 };
    size_t size = 0;
    char *text = NULL;
    const char *stream = stream_of(r, &result);
    if (!stream || !web_span(r, &from_us, &to_us, &result))
        return result;
    if (web_too_old(r, from_us, &result))
        return result;
    audit_play(r, r->params.value[0], from_us);
    if (to_us - from_us > PLAYLIST_MAX_US)
        return web_problem(r, 416, "bad-range", "at most two days at once");
    const int ret = make_playlist(r, stream, from_us, to_us, &list);
    if (ret == -ENOENT)
        return nothing_recorded(r);
    if (ret < 0)
        return web_problem_errno(r, ret);
    FILE *f = open_memstream(&text, &size);
    if (f)
        write_playlist(f, &list, stream);
    if (!f || fclose(f) != 0) {
        free(text);
        return web_problem_errno(r, -ENOMEM);
    }
    return web_reply_bytes(r, text, size, "application/vnd.apple.mpegurl", CACHE_NEVER);
}

/* ------------------------------ the player's own list ------------------------------ */

/* The MIME type of an init segment; most segments of a list have the same one. */
static const char *mime_of(kt_ring *ring, const uint8_t hash[KT_INIT_HASH_SIZE],
                           struct kt_init **cache)
{
    if (*cache && memcmp((*cache)->hash, hash, KT_INIT_HASH_SIZE) == 0)
        return (*cache)->mime;
    kt_init_unref(cache);
    return kt_ring_init(ring, hash, cache) == 0 ? (*cache)->mime : "video/mp4";
}

static json_t *segment_json(struct web_request *r, const struct kt_segment *s, size_t ring,
                            const char *stream, struct kt_init **cache)
{
    const struct kt_web_ring *where = &r->web->params.rings[ring];
    char hash[2 * KT_INIT_HASH_SIZE + 1], init[128], url[256];
    kt_hex(hash, s->init, KT_INIT_HASH_SIZE);
    snprintf(init, sizeof(init), "/api/v1/inits/%s.mp4", hash);
    snprintf(url, sizeof(url), "/api/v1/cameras/%s/segment.m4s?ring=%s&stream=%s&first=%" PRIu64
             "&last=%" PRIu64, r->params.value[0], where->name, stream, s->first_seq, s->last_seq);
    return json_pack("{s:o, s:f, s:I, s:b, s:s, s:s, s:s}", "start", web_json_time(s->start_us),
                     "duration", (double)s->duration_us / 1e6, "run", (json_int_t)s->run,
                     "discontinuity", s->discontinuity, "mime",
                     mime_of(where->ring, s->init, cache), "init", init, "url", url);
}

/* Up to MAX_SEGMENTS from *FROM_US on; *FROM_US moves to where to go on. */
static int list_segments(struct web_request *r, const char *stream, int64_t *from_us,
                         int64_t to_us, json_t *items)
{
    struct kt_init *cache = NULL;
    uint64_t last_run = 0;
    int ret = 0;
    while (ret == 0 && *from_us < to_us && json_array_size(items) < MAX_SEGMENTS) {
        int64_t end_us = to_us - *from_us > WINDOW_US ? *from_us + WINDOW_US : to_us;
        struct kt_segment *list = NULL;
        size_t n = 0, ring = 0, i;
        ret = oldest_segments(r, stream, *from_us, &end_us, PLAYER_TARGET_US, &list, &n, &ring);
        *from_us = end_us;
        if (ret == -ENOENT) {
            ret = 0;
            continue;
        }
        for (i = 0; ret == 0 && i < n && json_array_size(items) < MAX_SEGMENTS; i++) {
            list[i].discontinuity = last_run != 0 && list[i].run != last_run;
            last_run = list[i].run;
            (void)json_array_append_new(items, segment_json(r, &list[i], ring, stream, &cache));
        }
        if (ret == 0 && i > 0) {
            const int64_t last_us = list[i - 1].start_us + list[i - 1].duration_us;
            if (i < n || last_us > *from_us)    /* up to the next millisecond: no segment twice */
                *from_us = (last_us + 999) / 1000 * 1000;
        }
        free(list);
    }
    kt_init_unref(&cache);
    return ret;
}

enum MHD_Result web_segments(struct web_request *r)
{
    int64_t from_us, to_us;
    enum MHD_Result result;
    const char *stream = stream_of(r, &result);
    if (!stream || !web_span(r, &from_us, &to_us, &result))
        return result;
    if (web_too_old(r, from_us, &result))
        return result;
    audit_play(r, r->params.value[0], from_us);
    if (!web_any_ring(r->web))
        return nothing_recorded(r);
    json_t *items = json_array();
    const int ret = list_segments(r, stream, &from_us, to_us, items);
    if (ret < 0) {
        json_decref(items);
        return web_problem_errno(r, ret);
    }
    return web_reply_json(r, 200, json_pack("{s:o, s:o}", "items", items, "next",
                                            web_json_time(from_us < to_us ? from_us : 0)));
}

/* ------------------------------ bytes ------------------------------ */

struct clip_reader {
    struct kt_clip *clip;
    uint64_t first;
};

static ssize_t read_clip(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct clip_reader *c = cls;
    const ssize_t n = kt_clip_read(c->clip, c->first + pos, buf, max);
    if (n == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_reader(void *cls)
{
    struct clip_reader *c = cls;
    kt_clip_close(&c->clip);
    free(c);
}

/* Takes CLIP over. */
static struct MHD_Response *clip_response(struct kt_clip *clip, uint64_t first, uint64_t size)
{
    struct clip_reader *reader = malloc(sizeof(*reader));
    if (!reader) {
        kt_clip_close(&clip);
        return NULL;
    }
    *reader = (struct clip_reader){ .clip = clip, .first = first };
    struct MHD_Response *response =
        MHD_create_response_from_callback(size, CLIP_BLOCK, read_clip, reader, free_reader);
    if (!response)
        free_reader(reader);
    return response;
}

/* The same for the same frames, whatever from= and to= said. */
static void clip_etag(const struct kt_clip_info *info, const char *name, char out[40])
{
    char text[256];
    uint8_t hash[EVP_MAX_MD_SIZE];
    const int n = snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRId64 " %" PRId64 " %u", name,
                           info->size, info->start_us, info->end_us, info->frames);
    (void)EVP_Digest(text, (size_t)n, hash, NULL, EVP_sha256(), NULL);
    out[0] = '"';
    kt_hex(out + 1, hash, 16);
    strcpy(out + 33, "\"");
}

enum MHD_Result web_reply_clip(struct web_request *r, struct kt_clip *clip, const char *filename)
{
    struct kt_clip_info info;
    char etag[40], time[KT_RFC3339_SIZE];
    uint64_t first = 0, last = 0;
    kt_clip_info(clip, &info);
    clip_etag(&info, filename, etag);
    const enum web_range what = web_range_of(r, info.size, etag, &first, &last);
    if (what == WEB_RANGE_BAD) {
        kt_clip_close(&clip);
        return web_bad_range(r, info.size);
    }
    struct MHD_Response *response =
        clip_response(clip, first, what == WEB_RANGE_OK ? last - first + 1 : info.size);
    if (!response)
        return MHD_NO;
    kt_rfc3339_format(time, info.start_us);
    (void)MHD_add_response_header(response, "Content-Type", "video/mp4");
    (void)MHD_add_response_header(response, "Kentongan-Start", time);
    (void)MHD_add_response_header(response, "Kentongan-Codecs", info.mime);
    return web_reply_range(r, response, what, first, last, info.size, etag, filename);
}

/* gate_main_20261124T010203Z.mp4 */
static void clip_name(char out[128], const char *camera, const char *stream, int64_t from_us)
{
    char time[KT_RFC3339_SIZE];
    kt_rfc3339_format(time, from_us);
    snprintf(out, 128, "%s_%s_%.4s%.2s%.2sT%.2s%.2s%.2sZ.mp4", camera, stream, time, time + 5,
             time + 8, time + 11, time + 14, time + 17);
}

int web_open_clip(struct kt_web *web, const char *camera, const char *stream, int64_t from_us, int64_t to_us,
                  struct kt_clip **out)
{
    const size_t n_rings = web->params.n_rings;
    kt_cleanup(kt_freep) struct kt_clip_source *sources = calloc(n_rings + 1, sizeof(*sources));
    size_t n = 0;
    if (!sources)
        return -ENOMEM;
    for (size_t i = 0; i < n_rings; i++) {
        sources[n].ring = web->params.rings[i].ring;
        n += web_find_stream(sources[n].ring, camera, stream, &sources[n].stream);
    }
    return kt_clip_open_sources(out, sources, n, from_us, to_us);
}

enum MHD_Result web_send_clip(struct web_request *r, const char *camera, const char *stream,
                              int64_t from_us, int64_t to_us)
{
    char name[128];
    struct kt_clip *clip = NULL;
    const int ret = web_open_clip(r->web, camera, stream, from_us, to_us, &clip);
    if (ret == -ENOENT)
        return nothing_recorded(r);
    if (ret < 0)
        return web_problem_errno(r, ret);
    clip_name(name, camera, stream, from_us);
    return web_reply_clip(r, clip, name);
}

enum MHD_Result web_clip(struct web_request *r)
{
    int64_t from_us, to_us;
    enum MHD_Result result;
    const char *stream = stream_of(r, &result);
    if (!stream || !web_span(r, &from_us, &to_us, &result))
        return result;
    if (to_us - from_us > CLIP_MAX_US)
        return web_problem(r, 416, "bad-range", "at most one day at once");
    if (!web_header(r, "Range"))
        web_audit(r, "download", r->params.value[0],
                  json_pack("{s:o, s:o, s:s}", "from", web_json_time(from_us), "to",
                            web_json_time(to_us), "stream", stream));
    return web_send_clip(r, r->params.value[0], stream, from_us, to_us);
}

enum MHD_Result web_event_clip(struct web_request *r)
{
    enum MHD_Result result;
    const struct kt_event *ev = r->event;
    const char *stream = stream_of(r, &result);
    if (!stream)
        return result;
    audit_play(r, ev->camera, ev->start_us);
    int64_t end_us = ev->end_us ? ev->end_us : kt_clock_wall_us();
    if (end_us - ev->start_us > EVENT_MAX_US)
        end_us = ev->start_us + EVENT_MAX_US;
    return web_send_clip(r, ev->camera, stream, ev->start_us - EVENT_BEFORE_US,
                         end_us + EVENT_AFTER_US);
}

enum MHD_Result web_segment(struct web_request *r)
{
    enum MHD_Result result;
    uint64_t first, last;
    uint32_t number;
    struct kt_clip *clip = NULL;
    struct kt_clip_info info;
    const char *stream = stream_of(r, &result);
    if (!stream)
        return result;
    const char *ring_name = web_query(r, "ring");
    if (!web_parse_uint(web_query(r, "first"), UINT64_MAX, &first) ||
        !web_parse_uint(web_query(r, "last"), UINT64_MAX, &last) || last < first)
        return web_problem(r, 400, "bad-request", "first and last are numbers of the playlist");
    kt_ring *ring = ring_name ? ring_by_name(r->web, ring_name) :
                    r->web->params.n_rings > 0 ? r->web->params.rings[0].ring : NULL;
    if (!web_find_stream(ring, r->params.value[0], stream, &number))
        return nothing_recorded(r);
    const int ret = kt_clip_open_segment(&clip, ring, number, first, last);
    if (ret == -ENOENT)
        return web_problem(r, 410, "gone", "the recording was overwritten since");
    if (ret < 0)
        return web_problem_errno(r, ret);
    kt_clip_info(clip, &info);
    if (web_too_old(r, info.end_us, &result)) {
        kt_clip_close(&clip);
        return result;
    }
    struct MHD_Response *response = clip_response(clip, 0, info.size);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", "video/iso.segment");
    return web_reply(r, 200, response, CACHE_FOREVER);
}

static void release_init(void *cls)
{
    struct kt_init *init = cls;
    kt_init_unref(&init);
}

static ssize_t read_init(void *cls, uint64_t pos, char *buf, size_t max)
{
    const struct kt_init *init = cls;
    if (pos >= init->size)
        return MHD_CONTENT_READER_END_OF_STREAM;
    const size_t n = init->size - pos < max ? init->size - pos : max;
    memcpy(buf, init->data + pos, n);
    return (ssize_t)n;
}

enum MHD_Result web_init(struct web_request *r)
{
    uint8_t hash[KT_INIT_HASH_SIZE];
    struct kt_init *init = NULL;
    if (kt_unhex(hash, sizeof(hash), r->params.value[0]) < 0)
        return web_problem(r, 404, "not-found", "no such init segment");
    for (size_t i = 0; i < r->web->params.n_rings && !init; i++)
        if (r->web->params.rings[i].ring)
            (void)!kt_ring_init(r->web->params.rings[i].ring, hash, &init);
    if (!init)
        return web_problem(r, 404, "not-found", "no such init segment");
    struct MHD_Response *response = MHD_create_response_from_callback(
        init->size, 4096, read_init, init, release_init);
    if (response)
        (void)MHD_add_response_header(response, "Content-Type", "video/mp4");
    else
        kt_init_unref(&init);
    return web_reply(r, 200, response, CACHE_FOREVER);
}

/* Start of the newest record that begins with a key frame at or before AT. */
static int find_key(kt_ring *ring, uint32_t stream, int64_t at_us, int64_t *start_us)
{
    struct kt_record *list = NULL;
    size_t n = 0;
    int ret = kt_ring_query(ring, stream, at_us, at_us + 1, 64, &list, &n);
    if (ret == 0 && n == 0)
        ret = kt_ring_query(ring, stream, at_us - LOOK_BACK_US, at_us + 1, 512, &list, &n);
    if (ret < 0)
        return ret;
    ret = -ENOENT;
    for (size_t i = 0; i < n; i++) {
        if (!(list[i].flags & KT_RECORD_KEY) || list[i].start_us > at_us)
            continue;
        *start_us = list[i].start_us;
        ret = 0;
    }
    free(list);
    return ret;
}

enum MHD_Result web_keyframe(struct web_request *r)
{
    enum MHD_Result result;
    int64_t at_us, start_us;
    const char *camera = r->params.value[0], *at = web_query(r, "at");
    const char *stream = stream_of(r, &result);
    if (!stream)
        return result;
    if (!at || kt_rfc3339_parse(at, &at_us) < 0)
        return web_problem(r, 400, "bad-request", "at is a time like 2026-11-24T01:02:03Z");
    if (web_too_old(r, at_us, &result))
        return result;
    audit_play(r, camera, at_us);
    for (size_t i = 0; i < r->web->params.n_rings; i++) {
        uint32_t number;
        kt_ring *ring = r->web->params.rings[i].ring;
        if (web_find_stream(ring, camera, stream, &number) &&
            find_key(ring, number, at_us, &start_us) == 0)
            return web_send_clip(r, camera, stream, start_us, start_us + 1);
    }
    return nothing_recorded(r);
}

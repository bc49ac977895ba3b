/* package_manifest.c - everything there is to say about a package, as JSON. */
#include <string.h>

#include "server/base/clock.h"
#include "storage/vault/package_private.h"

static json_t *text_or_null(const char *text)
{
    return text && text[0] ? json_string(text) : json_null();
}

static json_t *utc(int64_t us)
{
    char text[KT_RFC3339_SIZE];
    kt_rfc3339_format(text, us);
    return json_string(text);
}

static json_t *local(const struct kt_package *p, int64_t us)
{
    char text[64];
    kt_package_local(us, p->params->zone_offset_s, text, sizeof(text));
    return json_string(text);
}

static json_t *span(const struct kt_package *p, int64_t from_us, int64_t to_us)
{
    return json_pack("{s:o,s:o,s:o,s:o}", "from", utc(from_us), "to", utc(to_us), "from_local",
                     local(p, from_us), "to_local", local(p, to_us));
}

static json_t *describe_clip(const struct kt_package *p, const struct kt_package_clip *clip)
{
    const struct kt_hold_file *f = clip->file;
    const int64_t asked = clip->camera->from_us;
    return json_pack("{s:s,s:o,s:s,s:i,s:I,s:s,s:s,s:I,s:s,s:f}", "file", clip->name, "recorded",
                     span(p, f->start_us, f->end_us), "mime", f->mime, "frames", (int)f->frames, "size",
                     (json_int_t)f->size_bytes, "sha256", f->sha256, "stream_hash", f->stream_hash,
                     "run", (json_int_t)f->run, "records", clip->records_name,
                     /* It starts at a key frame: that much was not asked for. */
                     "starts_before_request_s",
                     f->start_us < asked ? (double)((asked - f->start_us) / 1000) / 1000.0 : 0.0);
}

static json_t *describe_camera(const struct kt_package *p, const struct kt_package_camera *cam)
{
    json_t *clips = json_array(), *gaps = json_array();
    for (size_t i = 0; i < p->n_clips; i++)
        if (p->clips[i].camera == cam)
            (void)json_array_append_new(clips, describe_clip(p, &p->clips[i]));
    for (size_t i = 0; i < cam->n_gaps; i++) {
        json_t *gap = span(p, cam->gaps[i].from_us, cam->gaps[i].to_us);
        (void)json_object_set_new(gap, "reason", json_string(cam->gaps[i].reason));
        (void)json_array_append_new(gaps, gap);
    }
    return json_pack("{s:s,s:o,s:s,s:o,s:o,s:o,s:o}", "id", cam->id, "name", text_or_null(cam->name),
                     "stream", cam->stream, "address", text_or_null(cam->address), "requested",
                     span(p, cam->from_us, cam->to_us), "clips", clips, "gaps", gaps);
}

static json_t *parse_or_null(const char *text)
{
    json_t *value = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    return value ? value : json_null();
}

static json_t *describe_export(const struct kt_package *p)
{
    int64_t error_us = 0;
    const bool synchronised = kt_clock_synchronised(&error_us);
    return json_pack("{s:o,s:o,s:o,s:o,s:{s:b,s:I}}", "utc", utc(p->now_us), "local",
                     local(p, p->now_us), "by", text_or_null(p->params->exported_by), "zone",
                     text_or_null(p->params->zone), "clock", "synchronised", synchronised,
                     "max_error_us", (json_int_t)error_us);
}

static json_t *describe_recorder(const struct kt_package *p)
{
    const struct kt_package_params *x = p->params;
    return json_pack("{s:o,s:o,s:s,s:o,s:s,s:o,s:o}", "site", text_or_null(x->site), "host",
                     text_or_null(x->host), "software", "kentongan", "version", text_or_null(x->version),
                     "key_fingerprint", kt_signer_fingerprint(x->signer), "ring",
                     parse_or_null(x->ring_json), "audit_head", text_or_null(x->audit_head));
}

json_t *kt_package_manifest(const struct kt_package *p)
{
    const struct kt_package_params *x = p->params;
    json_t *cameras = json_array(), *files = json_array();
    for (size_t i = 0; i < x->n_cameras; i++)
        (void)json_array_append_new(cameras, describe_camera(p, &x->cameras[i]));
    for (size_t i = 0; i < p->n_texts; i++)
        (void)json_array_append_new(files, json_pack("{s:s,s:I,s:s}", "file", p->texts[i].name, "size",
                                                     (json_int_t)p->texts[i].size, "sha256",
                                                     p->texts[i].sha256));
    return json_pack("{s:s,s:s,s:I,s:{s:I,s:s,s:o},s:o,s:o,s:o,s:o,s:o,s:o}", "format", KT_PACKAGE_FORMAT,
                     "package", p->name, "serial", (json_int_t)x->serial, "incident", "id",
                     (json_int_t)x->incident->id, "title", x->incident->title, "span",
                     span(p, x->incident->from_us, x->incident->to_us), "request",
                     parse_or_null(x->request), "exported", describe_export(p), "recorder",
                     describe_recorder(p), "previous_manifest", text_or_null(x->previous_manifest),
                     "cameras", cameras, "files", files);
}

char *kt_canonical_json(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_SORT_KEYS | JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : NULL;
    char *line = NULL;
    if (text && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    return line;
}

/* package_manifest.c - everything there is to say about a package, as JSON. */
#include <string.h>

#include "server/base/clock.h"
#include "storage/ring/format.h"
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

/* When nobody vouched for the recorder's clock: how many of the records. */
static json_int_t unsynchronised(const json_t *records)
{
    size_t i;
    json_t *rec;
    json_int_t n = 0;
    json_array_foreach(records, i, rec)
        n += (json_integer_value(json_array_get(rec, 5)) & KT_RECORD_CLOCK_UNSYNCED) != 0;
    return n;
}

static json_t *file_name(const char *base, const char *ending)
{
    return json_sprintf("%s.%s", base, ending);
}

/* The log around the clip, and the head that was signed then. */
static json_t *describe_chain(const struct kt_package_clip *clip)
{
    const json_t *chain = json_object_get(clip->about, "chain");
    uint8_t key[128];
    char fingerprint[65] = "";
    if (!clip->chain_sha256)
        return json_pack("{s:n,s:O}", "file", "why", json_object_get(clip->about, "why"));
    const char *hex = json_string_value(json_object_get(chain, "key"));
    const size_t n = hex ? strlen(hex) / 2 : 0;
    if (n > 0 && n <= sizeof(key) && kt_unhex(key, n, hex) == 0)
        kt_sha256_hex(key, n, fingerprint);
    const char *head = json_string_value(json_object_get(chain, "head"));
    return json_pack("{s:o,s:I,s:s,s:O,s:O,s:O,s:O,s:o,s:o,s:o,s:s,s:s%,s:o}", "file",
                     file_name(clip->log_name, "chain"), "size", (json_int_t)clip->chain_size, "sha256",
                     clip->chain_sha256, "ring", json_object_get(clip->about, "ring"), "stream",
                     json_object_get(clip->about, "stream"), "first_record", json_object_get(chain, "first"),
                     "last_record", json_object_get(chain, "last"), "head",
                     file_name(clip->log_name, "head"), "signature", file_name(clip->log_name, "head.sig"),
                     "key", file_name(clip->log_name, "ring.pem"), "key_fingerprint", fingerprint,
                     /* "KTHEAD1", uuid and sequence are before it. */
                     "head_hash", head && strlen(head) == 2 * KT_HEAD_SIGNED ? head + 64 : "", (size_t)64,
                     "signed", utc(json_integer_value(json_object_get(chain, "signed_us"))));
}

static json_t *describe_clip(const struct kt_package *p, const struct kt_package_clip *clip)
{
    const struct kt_hold_file *f = clip->file;
    const int64_t asked = clip->camera->from_us;
    const json_t *records = json_object_get(clip->about, "records");
    const int64_t end = clip->camera->to_us;
    return json_pack("{s:s,s:o,s:s,s:i,s:I,s:s,s:s,s:I,s:o,s:o,s:I,s:I,s:f,s:f}", "file", clip->name, "recorded",
                     span(p, f->start_us, f->end_us), "mime", f->mime, "frames", (int)f->frames, "size",
                     (json_int_t)f->size_bytes, "sha256", f->sha256, "stream_hash", f->stream_hash,
                     "run", (json_int_t)f->run, "records", file_name(clip->log_name, "records.json"),
                     "chain", describe_chain(clip), "ring_records", (json_int_t)json_array_size(records),
                     "ring_records_with_unsynchronised_clock", unsynchronised(records),
                     "ends_after_request_s", f->end_us > end ? (double)((f->end_us - end) / 1000) / 1000.0 : 0.0,
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
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:{s:b,s:I}}", "utc", utc(p->now_us), "local",
                     local(p, p->now_us), "time_stamping_service", text_or_null(p->params->timestamp_service), "by", text_or_null(p->params->exported_by), "zone",
                     text_or_null(p->params->zone), "clock", "synchronised", synchronised,
                     "max_error_us", (json_int_t)error_us);
}

static json_t *describe_recorder(const struct kt_package *p)
{
    const struct kt_package_params *x = p->params;
    return json_pack("{s:o,s:o,s:s,s:o,s:s,s:o}", "site", text_or_null(x->site), "host",
                     text_or_null(x->host), "software", "kentongan", "version", text_or_null(x->version),
                     "key_fingerprint", kt_signer_fingerprint(x->signer), "audit_head", text_or_null(x->audit_head));
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

/* package_verify.c - is this package what somebody once signed? */
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "server/base/clock.h"
#include "server/base/text.h"
#include "storage/vault/mp4_hash.h"
#include "storage/vault/package_private.h"
#include "storage/vault/timestamp.h"

#define OUTSIDE_SUMS "SHA256SUMS"       /* and .sig, .tsr: they vouch for the rest */

/* One check of one package. Findings go on after a fault: all are worth knowing. */
struct check {
    const struct kt_package_check *x;
    kt_bag *bag;
    json_t *manifest;
    char *public_key;
    char manifest_sha256[65], fingerprint[65];
    int faults;
};

static void say(struct check *c, bool good, const char *fmt, ...) kt_printf(3, 4);

static void say(struct check *c, bool good, const char *fmt, ...)
{
    char raw[400], text[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    (void)kt_text_printable(text, sizeof(text), raw);       /* names come from the package: no escape sequences */
    c->faults += !good;
    if (c->x->say)
        c->x->say(c->x->user, good, text);
}

/* ------------------------------ sums ------------------------------ */

struct facts {
    crypto_hash_sha256_state state;
    kt_mp4_hash *mp4;                   /* NULL: no video */
    bool no_mp4;
    uint64_t size;
    char sha256[65];
};

static int feed_facts(void *user, const void *data, size_t n)
{
    struct facts *f = user;
    crypto_hash_sha256_update(&f->state, data, n);
    f->size += n;
    if (f->mp4 && !f->no_mp4 && kt_mp4_hash_feed(f->mp4, data, n) < 0)
        f->no_mp4 = true;
    return 0;
}

static int read_facts(struct check *c, size_t i, struct facts *f)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_init(&f->state);
    const int ret = kt_bag_read(c->bag, i, feed_facts, f);
    crypto_hash_sha256_final(&f->state, hash);
    kt_hex(f->sha256, hash, sizeof(hash));
    return ret;
}

static void check_one_sum(struct check *c, const char *sum, const char *name, bool *listed)
{
    struct facts f = { 0 };
    const int i = kt_bag_find(c->bag, name);
    if (i < 0) {
        say(c, false, "%s is listed in SHA256SUMS but missing", name);
        return;
    }
    if (listed[i])
        say(c, false, "%s is listed twice in SHA256SUMS", name);
    listed[i] = true;
    if (read_facts(c, (size_t)i, &f) < 0 || strcmp(f.sha256, sum) != 0)
        say(c, false, "%s was changed: its SHA-256 is not the listed one", name);
}

static bool outside_sums(const char *name)
{
    return strcmp(name, OUTSIDE_SUMS) == 0 || strcmp(name, OUTSIDE_SUMS ".sig") == 0 ||
           strcmp(name, OUTSIDE_SUMS ".tsr") == 0;
}

/* Every line is "<64 hex>  <name>", every file has a line. */
static void check_sums(struct check *c)
{
    kt_cleanup(kt_freep) char *text = NULL;
    kt_cleanup(kt_freep) bool *listed = calloc(kt_bag_count(c->bag) + 1, sizeof(*listed));
    size_t size;
    const int before = c->faults;
    if (!listed || kt_bag_text(c->bag, OUTSIDE_SUMS, &text, &size) < 0) {
        say(c, false, "SHA256SUMS is missing");
        return;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && (*line || rest);) {
        uint8_t raw[32];
        if (strlen(line) < 67 || line[64] != ' ' || line[65] != ' ') {
            say(c, false, "SHA256SUMS has a line that is none");
            continue;
        }
        line[64] = '\0';
        if (kt_unhex(raw, sizeof(raw), line) < 0)
            say(c, false, "SHA256SUMS has a line that is none");
        else
            check_one_sum(c, line, line + 66, listed);
    }
    for (size_t i = 0; i < kt_bag_count(c->bag); i++)
        if (!listed[i] && !outside_sums(kt_bag_name(c->bag, i)))
            say(c, false, "%s was added: SHA256SUMS does not list it", kt_bag_name(c->bag, i));
    if (c->faults == before)
        say(c, true, "all %zu files are as listed in SHA256SUMS", kt_bag_count(c->bag));
}

/* ------------------------------ signatures ------------------------------ */

static void check_key(struct check *c)
{
    kt_cleanup(kt_freep) char *certificate = NULL;
    size_t size;
    if (kt_bag_text(c->bag, "signer-cert.pem", &certificate, &size) < 0 ||
        kt_bag_text(c->bag, "signer-pub.pem", &c->public_key, &size) < 0 ||
        kt_signer_check_key(certificate, c->public_key, c->fingerprint) < 0) {
        say(c, false, "the signer's certificate is missing, damaged, or of another key");
        return;
    }
    if (!c->x->fingerprint)
        say(c, true, "signed with the key %s: compare with the printed report", c->fingerprint);
    else if (strcasecmp(c->x->fingerprint, c->fingerprint) == 0)
        say(c, true, "signed with the expected key");
    else
        say(c, false, "signed with another key, %s: somebody else made this package", c->fingerprint);
}

static void check_signature(struct check *c, const char *name)
{
    kt_cleanup(kt_freep) char *data = NULL, *sig = NULL;
    char sig_name[64];
    size_t size, sig_size;
    snprintf(sig_name, sizeof(sig_name), "%s.sig", name);
    if (!c->public_key || kt_bag_text(c->bag, name, &data, &size) < 0 ||
        kt_bag_text(c->bag, sig_name, &sig, &sig_size) < 0 ||
        kt_signer_verify(c->public_key, data, size, (uint8_t *)sig, sig_size) < 0)
        say(c, false, "the signature of %s is missing or wrong", name);
    else
        say(c, true, "the signature of %s is right", name);
}

/* ------------------------------ the manifest ------------------------------ */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void check_canonical(struct check *c, const char *text)
{
    kt_cleanup(kt_freep) char *again = kt_canonical_json(c->manifest);
    if (!again || strcmp(again, text) != 0)
        say(c, false, "manifest.json is not in its canonical form");
    if (strcmp(text_of(c->manifest, "format"), KT_PACKAGE_FORMAT) != 0)
        say(c, false, "manifest.json is of a format this program does not know");
    if (strcmp(text_of(c->manifest, "package"), kt_bag_title(c->bag)) != 0)
        say(c, false, "this is package '%s', but it is called '%s'", text_of(c->manifest, "package"),
            kt_bag_title(c->bag));
    const json_t *recorder = json_object_get(c->manifest, "recorder");
    if (c->fingerprint[0] && strcmp(text_of(recorder, "key_fingerprint"), c->fingerprint) != 0)
        say(c, false, "the manifest names another key than the one that signed");
}

static void load_manifest(struct check *c)
{
    kt_cleanup(kt_freep) char *text = NULL;
    size_t size;
    if (kt_bag_text(c->bag, "manifest.json", &text, &size) < 0) {
        say(c, false, "manifest.json is missing");
        return;
    }
    kt_sha256_hex(text, size, c->manifest_sha256);
    c->manifest = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(c->manifest)) {
        say(c, false, "manifest.json is no JSON");
        return;
    }
    check_canonical(c, text);
    if (!c->x->manifest_sha256)
        say(c, true, "manifest %s: compare with the printed report", c->manifest_sha256);
    else if (strcasecmp(c->x->manifest_sha256, c->manifest_sha256) == 0)
        say(c, true, "the manifest is the printed one");
    else
        say(c, false, "the manifest is not the printed one");
}

/* FROM before TO, and the site's time saying the same. */
static bool good_span(const json_t *span)
{
    int64_t from, to, from_local, to_local;
    return kt_rfc3339_parse(text_of(span, "from"), &from) == 0 &&
           kt_rfc3339_parse(text_of(span, "to"), &to) == 0 &&
           kt_rfc3339_parse(text_of(span, "from_local"), &from_local) == 0 &&
           kt_rfc3339_parse(text_of(span, "to_local"), &to_local) == 0 && from <= to &&
           from == from_local && to == to_local;
}

/* The ring's records must follow one another, and hold the clip's frames. */
static bool good_records(struct check *c, const char *name, json_int_t frames)
{
    kt_cleanup(kt_freep) char *text = NULL;
    size_t size, i;
    if (kt_bag_text(c->bag, name, &text, &size) < 0)
        return false;
    json_t *list = json_loadb(text, size, 0, NULL), *rec;
    json_int_t last_seq = -1, last_start = -1, sum = 0;
    bool good = json_is_array(list);
    json_array_foreach(list, i, rec) {
        const json_int_t seq = json_integer_value(json_array_get(rec, 0));
        const json_int_t start = json_integer_value(json_array_get(rec, 1));
        good = good && seq > last_seq && start >= last_start;
        last_seq = seq;
        last_start = start;
        sum += json_integer_value(json_array_get(rec, 3));
    }
    json_decref(list);
    return good && (i == 0 || sum >= frames);
}

/* Findings of other files. */
static void pass_on(void *user, bool good, const char *text)
{
    say(user, good, "%s", text);
}

static void check_clip(struct check *c, const json_t *clip, const json_t *gaps)
{
    const char *name = text_of(clip, "file");
    const json_int_t frames = json_integer_value(json_object_get(clip, "frames"));
    const int i = kt_bag_find(c->bag, name);
    struct facts f = { 0 };
    struct kt_mp4_facts mp4 = { .frames = 0 };
    if (i < 0) {
        say(c, false, "%s is in the manifest but missing", name);
        return;
    }
    if (kt_mp4_hash_create(&f.mp4) < 0 || read_facts(c, (size_t)i, &f) < 0 || f.no_mp4 ||
        kt_mp4_hash_finish(f.mp4, &mp4) < 0)
        say(c, false, "%s is no whole video", name);
    else if (strcmp(f.sha256, text_of(clip, "sha256")) != 0 ||
             (json_int_t)f.size != json_integer_value(json_object_get(clip, "size")))
        say(c, false, "%s is not the file that the manifest describes", name);
    else if ((json_int_t)mp4.frames != frames || strcmp(mp4.stream_hash, text_of(clip, "stream_hash")) != 0)
        say(c, false, "%s does not hold the frames that the manifest describes", name);
    else if (!good_span(json_object_get(clip, "recorded")))
        say(c, false, "%s: its times contradict each other", name);
    else if (!good_records(c, text_of(clip, "records"), frames))
        say(c, false, "%s: the ring's records are missing or out of order", name);
    else {
        say(c, true, "%s: %" JSON_INTEGER_FORMAT " frames from %s", name, frames,
            text_of(json_object_get(clip, "recorded"), "from_local"));
        const struct kt_chain_check chain = { c->bag, clip, gaps, pass_on, c };
        (void)kt_package_check_chain(&chain);
    }
    kt_mp4_hash_free(&f.mp4);
}

static void check_camera(struct check *c, const json_t *cam)
{
    size_t i;
    json_t *item;
    if (!good_span(json_object_get(cam, "requested")))
        say(c, false, "camera %s: the times asked for contradict each other", text_of(cam, "id"));
    json_array_foreach(json_object_get(cam, "clips"), i, item)
        check_clip(c, item, json_object_get(cam, "gaps"));
    json_array_foreach(json_object_get(cam, "gaps"), i, item) {
        const bool good = good_span(item) && text_of(item, "reason")[0];
        say(c, good, "camera %s: no video from %s to %s (%s)", text_of(cam, "id"),
            text_of(item, "from_local"), text_of(item, "to_local"), text_of(item, "reason"));
    }
}

/* Files that the manifest names beside the clips. */
static void check_files(struct check *c)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(c->manifest, "files"), i, item) {
        const char *name = text_of(item, "file");
        struct facts f = { 0 };
        const int at = kt_bag_find(c->bag, name);
        if (at < 0)
            say(c, false, "%s is in the manifest but missing", name);
        else if (read_facts(c, (size_t)at, &f) < 0 || strcmp(f.sha256, text_of(item, "sha256")) != 0)
            say(c, false, "%s is not the file that the manifest describes", name);
    }
}

/* The printed page must show this manifest and this key. */
static void check_paper(struct check *c)
{
    kt_cleanup(kt_freep) char *text = NULL;
    size_t size;
    if (kt_bag_text(c->bag, "BERITA-ACARA.html", &text, &size) < 0)
        say(c, false, "BERITA-ACARA.html is missing");
    else if (!strstr(text, c->manifest_sha256) || !strstr(text, c->fingerprint))
        say(c, false, "BERITA-ACARA.html is of another package");
}

/* ------------------------------ the time stamp ------------------------------ */

static void judge_timestamp(struct check *c, const char *token, size_t token_size)
{
    kt_cleanup(kt_freep) char *sums = NULL, *inside = NULL;
    size_t sums_size, ca_size;
    struct kt_timestamp stamp;
    struct kt_error err = { "" };
    char when[KT_RFC3339_SIZE];
    const char *ca = c->x->timestamp_ca;
    if (!ca && kt_bag_text(c->bag, "tsa-ca.pem", &inside, &ca_size) == 0)
        ca = inside;
    if (kt_bag_text(c->bag, OUTSIDE_SUMS, &sums, &sums_size) < 0 ||
        kt_timestamp_check((const uint8_t *)token, token_size, NULL, 0, sums, sums_size, ca, &stamp, &err) < 0) {
        say(c, false, "%s", err.text[0] ? err.text : "the time stamp has nothing to stamp");
        return;
    }
    kt_rfc3339_format(when, stamp.time_us);
    say(c, true, "%s vouches that this existed at %s%s", stamp.authority, when, c->x->timestamp_ca ? "" :
        inside ? " (its certificates are the package's: give --tsa-ca with your own copy)"
               : " (nobody vouches for that service: give --tsa-ca)");
}

static void check_timestamp(struct check *c)
{
    kt_cleanup(kt_freep) char *token = NULL;
    size_t size;
    const char *service = text_of(json_object_get(c->manifest, "exported"), "time_stamping_service");
    if (kt_bag_text(c->bag, OUTSIDE_SUMS ".tsr", &token, &size) == 0)
        judge_timestamp(c, token, size);
    else if (service[0])
        say(c, true, "without a time stamp: %s did not answer when this was made", service);
    else
        say(c, true, "without a time stamp: no service was set up");
}

/* ------------------------------ all of it ------------------------------ */

static void check_all(struct check *c)
{
    size_t i;
    json_t *cam;
    check_key(c);
    check_signature(c, OUTSIDE_SUMS);
    check_signature(c, "manifest.json");
    check_sums(c);
    load_manifest(c);
    if (!json_is_object(c->manifest))
        return;
    const json_t *cameras = json_object_get(c->manifest, "cameras");
    if (json_array_size(cameras) == 0)
        say(c, false, "the manifest names no camera");
    json_array_foreach(cameras, i, cam)
        check_camera(c, cam);
    check_files(c);
    check_paper(c);
    check_timestamp(c);
}

int kt_package_verify(const char *path, const struct kt_package_check *x, struct kt_error *err)
{
    struct check c = { .x = x };
    if (sodium_init() < 0)
        return kt_error_set(err, -EIO, "no random numbers");
    int ret = kt_bag_open(&c.bag, path, err);
    if (ret < 0)
        return ret;
    check_all(&c);
    json_decref(c.manifest);
    free(c.public_key);
    kt_bag_close(&c.bag);
    return c.faults ? kt_error_set(err, -EBADMSG, "%s: %d fault%s", path, c.faults, c.faults > 1 ? "s" : "")
                    : 0;
}

bool kt_package_is(const char *path)
{
    struct stat st;
    kt_cleanup(kt_freep) char *manifest = NULL;
    const size_t n = strlen(path);
    if (n > 4 && strcasecmp(path + n - 4, ".zip") == 0)
        return true;
    if (asprintf(&manifest, "%s/manifest.json", path) < 0) {
        manifest = NULL;
        return false;
    }
    return stat(manifest, &st) == 0;
}

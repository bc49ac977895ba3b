/* package_make.c - a ZIP that holds all of a case. */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "server/base/clock.h"
#include "storage/catalog/db.h"
#include "storage/vault/hold_records.h"
#include "storage/vault/package_private.h"
#include "storage/vault/vault_private.h"

#define OVERHEAD_BYTES (4u << 20)       /* for everything that is no video */

/* ------------------------------ names and texts ------------------------------ */

void kt_sha256_hex(const void *data, size_t size, char out[65])
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, data, size);
    kt_hex(out, hash, sizeof(hash));
}

void kt_package_compact_time(int64_t us, char out[16])
{
    const time_t t = (time_t)(us / KT_SECOND_US);
    struct tm tm;
    gmtime_r(&t, &tm);
    if (strftime(out, 16, "%Y%m%dT%H%M%S", &tm) == 0)
        out[0] = '\0';
}

void kt_package_local(int64_t us, int offset_s, char *out, size_t cap)
{
    char text[KT_RFC3339_SIZE];
    const int minutes = abs(offset_s) / 60;
    kt_rfc3339_format(text, us + offset_s * KT_SECOND_US);
    text[strcspn(text, "Z")] = '\0';
    snprintf(out, cap, "%s%c%02d:%02d", text, offset_s < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
}

int kt_package_add(struct kt_package *p, const char *name, char *data, size_t size)
{
    if (!data)
        return -ENOMEM;
    const int ret = kt_db_grow(&p->texts, p->n_texts, sizeof(*p->texts));
    if (ret < 0) {
        free(data);
        return ret;
    }
    struct kt_package_text *t = &p->texts[p->n_texts++];
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->data = data;
    t->size = size;
    kt_sha256_hex(data, size, t->sha256);
    return 0;
}

static int add_string(struct kt_package *p, const char *name, char *text)
{
    return kt_package_add(p, name, text, text ? strlen(text) : 0);
}

static void package_clear(struct kt_package *p)
{
    for (size_t i = 0; i < p->n_texts; i++)
        free(p->texts[i].data);
    for (size_t i = 0; i < p->n_clips; i++)
        json_decref(p->clips[i].about);
    free(p->texts);
    free(p->clips);
}

/* ------------------------------ clips ------------------------------ */

static bool name_is_taken(const struct kt_package *p, const struct kt_package_clip *clip)
{
    for (const struct kt_package_clip *other = p->clips; other < clip; other++)
        if (strcmp(other->name, clip->name) == 0)
            return true;
    return false;
}

/* CLIP is the last of P's. */
static void name_clip(const struct kt_package *p, struct kt_package_clip *clip)
{
    char when[16];
    const bool is_main = strcmp(clip->camera->stream, "main") == 0;
    kt_package_compact_time(clip->file->start_us, when);
    snprintf(clip->name, sizeof(clip->name), "clip-%s%s%s-%s.%03dZ.mp4", clip->camera->id, is_main ? "" : "-",
             is_main ? "" : clip->camera->stream, when, (int)(clip->file->start_us % KT_SECOND_US / 1000));
    /* Two rings may have the same GOP beside what the other lacks. */
    for (size_t i = 2; name_is_taken(p, clip); i++)
        snprintf(clip->name + strcspn(clip->name, "."), sizeof(clip->name) - strcspn(clip->name, "."),
                 ".%03dZ-%zu.mp4", (int)(clip->file->start_us % KT_SECOND_US / 1000), i);
    snprintf(clip->log_name, sizeof(clip->log_name), "log/%.*s", (int)strlen(clip->name) - 4, clip->name);
}

static int add_log(struct kt_package *p, const struct kt_package_clip *clip, const char *ending, char *data,
                   size_t size)
{
    char name[224];
    snprintf(name, sizeof(name), "%s.%s", clip->log_name, ending);
    return kt_package_add(p, name, data, size);
}

/* The bytes that KEY of the chain's description holds in hex. */
static int add_hex(struct kt_package *p, const struct kt_package_clip *clip, const char *key, const char *ending)
{
    const char *text = json_string_value(json_object_get(json_object_get(clip->about, "chain"), key));
    const size_t n = text ? strlen(text) / 2 : 0;
    kt_cleanup(kt_freep) uint8_t *bytes = malloc(n + 1);
    if (!bytes)
        return -ENOMEM;
    if (n == 0 || kt_unhex(bytes, n, text) < 0)
        return -EBADMSG;
    if (strcmp(key, "key") != 0)
        return add_log(p, clip, ending, (char *)kt_steal_ptr(&bytes), n);
    char *pem = kt_public_key_pem(bytes, n);
    return pem ? add_log(p, clip, ending, pem, strlen(pem)) : -EBADMSG;
}

/* What the ring said of the clip when it was held. */
static int add_clip_log(struct kt_package *p, struct kt_package_clip *clip)
{
    clip->about = kt_hold_records_parse(clip->file);
    char *records = json_dumps(json_object_get(clip->about, "records"), JSON_COMPACT);
    int ret = add_log(p, clip, "records.json", records, records ? strlen(records) : 0);
    const json_t *chain = json_object_get(clip->about, "chain");
    if (ret < 0 || !json_is_object(chain))
        return ret;
    clip->chain_sha256 = json_string_value(json_object_get(chain, "sha256"));
    clip->chain_size = (uint64_t)json_integer_value(json_object_get(chain, "size"));
    if (!clip->chain_sha256)
        return -EBADMSG;
    kt_hold_chain_name(clip->file->name, clip->chain_file, sizeof(clip->chain_file));
    ret = add_hex(p, clip, "head", "head");
    if (ret == 0)
        ret = add_hex(p, clip, "sig", "head.sig");
    return ret < 0 ? ret : add_hex(p, clip, "key", "ring.pem");
}

static int add_clips(struct kt_package *p)
{
    for (size_t i = 0; i < p->params->n_cameras; i++) {
        const struct kt_package_camera *cam = &p->params->cameras[i];
        for (size_t k = 0; k < cam->n_files; k++) {
            int ret = kt_db_grow(&p->clips, p->n_clips, sizeof(*p->clips));
            if (ret < 0)
                return ret;
            struct kt_package_clip *clip = &p->clips[p->n_clips++];
            *clip = (struct kt_package_clip){ .camera = cam, .file = &cam->files[k] };
            name_clip(p, clip);
            ret = add_clip_log(p, clip);
            if (ret < 0)
                return ret;
        }
    }
    return p->n_clips ? 0 : -ENOENT;
}

/* ------------------------------ signing ------------------------------ */

static int add_signature(struct kt_package *p, const char *name, const struct kt_package_text *of)
{
    uint8_t *sig = malloc(KT_SIGNATURE_CAP);
    size_t n = 0;
    if (!sig)
        return -ENOMEM;
    const int ret = kt_signer_sign(p->params->signer, of->data, of->size, sig, &n);
    if (ret < 0) {
        free(sig);
        return ret;
    }
    return kt_package_add(p, name, (char *)sig, n);
}

static int add_manifest(struct kt_package *p)
{
    json_t *root = kt_package_manifest(p);
    int ret = add_string(p, "manifest.json", kt_canonical_json(root));
    json_decref(root);
    if (ret < 0)
        return ret;
    memcpy(p->manifest_sha256, p->texts[p->n_texts - 1].sha256, sizeof(p->manifest_sha256));
    return add_signature(p, "manifest.json.sig", &p->texts[p->n_texts - 1]);
}

/* Without a network there is no time stamp, and a package all the same. */
static int add_timestamp(struct kt_package *p, size_t sums)
{
    const struct kt_package_params *x = p->params;
    struct kt_error err = { "" };
    uint8_t *token = NULL;
    size_t n = 0;
    if (x->timestamp(x->timestamp_user, p->texts[sums].data, p->texts[sums].size, &token, &n, &err) == 0)
        return kt_package_add(p, "SHA256SUMS.tsr", (char *)token, n);
    snprintf(p->note, sizeof(p->note), "made without a time stamp: %.120s", err.text);
    return 0;
}

static int add_sums(struct kt_package *p)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_clips; i++) {
        fprintf(out, "%s  %s\n", p->clips[i].file->sha256, p->clips[i].name);
        if (p->clips[i].chain_sha256)
            fprintf(out, "%s  %s.chain\n", p->clips[i].chain_sha256, p->clips[i].log_name);
    }
    for (size_t i = 0; i < p->n_texts; i++)
        fprintf(out, "%s  %s\n", p->texts[i].sha256, p->texts[i].name);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    int ret = kt_package_add(p, "SHA256SUMS", text, size);
    const size_t sums = p->n_texts - 1;
    if (ret == 0)
        ret = add_signature(p, "SHA256SUMS.sig", &p->texts[sums]);
    return ret < 0 || !p->params->timestamp ? ret : add_timestamp(p, sums);
}

/* In this order: the manifest lists what stands before it, the paper shows the manifest's
 * hash, the sums cover all of it. */
static int add_texts(struct kt_package *p)
{
    const kt_signer *signer = p->params->signer;
    int ret = add_clips(p);
    if (ret == 0)
        ret = add_string(p, "signer-cert.pem", strdup(kt_signer_certificate(signer)));
    if (ret == 0)
        ret = add_string(p, "signer-pub.pem", strdup(kt_signer_public_key(signer)));
    if (ret == 0 && p->params->timestamp_ca)
        ret = add_string(p, "tsa-ca.pem", strdup(p->params->timestamp_ca));
    if (ret == 0)
        ret = add_string(p, "custody.csv", kt_package_custody(p));
    if (ret == 0)
        ret = add_string(p, "BACA-SAYA.txt", kt_package_readme(p, true));
    if (ret == 0)
        ret = add_string(p, "README.txt", kt_package_readme(p, false));
    if (ret == 0)
        ret = add_manifest(p);
    if (ret == 0)
        ret = add_string(p, "BERITA-ACARA.html", kt_package_paper(p));
    return ret < 0 ? ret : add_sums(p);
}

/* ------------------------------ the ZIP ------------------------------ */

struct writing {
    const struct kt_package *p;
    kt_vault *vault;
    uint64_t video_bytes;
    bool cancelled;
};

static int tell(struct writing *w, double share)
{
    const struct kt_package_params *x = w->p->params;
    if (!w->cancelled && x->progress &&
        x->progress(x->user, (uint64_t)(share * (double)w->video_bytes), w->video_bytes))
        w->cancelled = true;
    return w->cancelled;
}

static void on_progress(zip_t *zip, double share, void *user)
{
    (void)tell(user, 0.5 + share / 2);
}

static int on_cancel(zip_t *zip, void *user)
{
    return ((struct writing *)user)->cancelled;
}

/* Put SOURCE in as <package>/NAME, stored. */
static int put_file(struct writing *w, zip_t *zip, const char *name, zip_source_t *source)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/%s", w->p->name, name);
    const zip_int64_t i = source ? zip_file_add(zip, path, source, ZIP_FL_ENC_UTF_8) : -1;
    if (i < 0) {
        zip_source_free(source);
        return -EIO;
    }
    if (zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) < 0 ||
        zip_file_set_mtime(zip, (zip_uint64_t)i, (time_t)(w->p->now_us / KT_SECOND_US), 0) < 0)
        return -EIO;
    return 0;
}

/* FILE of the vault as NAME. */
static int put_held(struct writing *w, zip_t *zip, const char *file, const char *name)
{
    const int fd = kt_vault_open_file(w->vault, file);
    FILE *f = fd >= 0 ? fdopen(fd, "rb") : NULL;
    if (!f) {
        if (fd >= 0)
            (void)close(fd);
        return fd < 0 ? fd : -ENOMEM;
    }
    zip_source_t *source = zip_source_filep(zip, f, 0, -1);
    if (!source)
        (void)fclose(f);
    return put_file(w, zip, name, source);
}

static int put_clip(struct writing *w, zip_t *zip, const struct kt_package_clip *clip)
{
    char name[224];
    const int ret = put_held(w, zip, clip->file->name, clip->name);
    if (ret < 0 || !clip->chain_sha256)
        return ret;
    snprintf(name, sizeof(name), "%s.chain", clip->log_name);
    return put_held(w, zip, clip->chain_file, name);
}

static int put_all(struct writing *w, zip_t *zip)
{
    int ret = 0;
    for (size_t i = 0; ret == 0 && i < w->p->n_clips; i++)
        ret = put_clip(w, zip, &w->p->clips[i]);
    for (size_t i = 0; ret == 0 && i < w->p->n_texts; i++) {
        const struct kt_package_text *t = &w->p->texts[i];
        ret = put_file(w, zip, t->name, zip_source_buffer(zip, t->data, t->size, 0));
    }
    return ret;
}

static int write_zip(struct writing *w, const char *path)
{
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    if (!zip)
        return -EIO;
    (void)zip_register_progress_callback_with_state(zip, 0.01, on_progress, NULL, w);
    (void)zip_register_cancel_callback_with_state(zip, on_cancel, NULL, w);
    int ret = put_all(w, zip);
    if (ret == 0 && zip_close(zip) == 0)
        return 0;
    if (ret == 0)
        ret = w->cancelled ? -ECANCELED : zip_error_code_system(zip_get_error(zip)) == ENOSPC ? -ENOSPC : -EIO;
    zip_discard(zip);
    return ret;
}

int kt_package_publish(kt_vault *v, const char *part, const char *name, uint64_t *size)
{
    struct stat st;
    kt_cleanup(kt_closep) int fd = openat(kt_vault_dir(v), part, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0 || fstat(fd, &st) < 0 || fchmod(fd, 0640) < 0 ||
        renameat2(kt_vault_dir(v), part, kt_vault_dir(v), name, RENAME_NOREPLACE) < 0 ||
        fsync(kt_vault_dir(v)) < 0)
        return -errno;
    *size = (uint64_t)st.st_size;
    return 0;
}

/* Every held file must be what was once written, or it is no evidence. */
static int check_clips(struct writing *w, struct kt_error *err)
{
    uint64_t done = 0;
    int ret = 0;
    for (size_t i = 0; ret == 0 && i < w->p->n_clips; i++) {
        ret = kt_vault_check_file(w->vault, w->p->clips[i].file, err);
        done += w->p->clips[i].file->size_bytes + w->p->clips[i].chain_size;
        if (ret == 0 && tell(w, (double)done / (double)w->video_bytes / 2))
            ret = -ECANCELED;
    }
    return ret;
}

static int write_package(struct writing *w, struct kt_package_info *out, struct kt_error *err)
{
    char name[128], part[sizeof(name) + 8];
    kt_cleanup(kt_freep) char *path = NULL;
    snprintf(name, sizeof(name), "%s.zip", w->p->name);
    snprintf(part, sizeof(part), "%s.part", name);
    if (asprintf(&path, "%s/%s", kt_vault_path(w->vault), part) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    int ret = check_clips(w, err);
    if (ret < 0)
        return ret;
    ret = write_zip(w, path);
    if (ret == 0)
        ret = kt_package_publish(w->vault, part, name, &out->size_bytes);
    if (ret < 0) {
        (void)unlinkat(kt_vault_dir(w->vault), part, 0);
        (void)kt_error_set(err, ret, "the package could not be written: %s", kt_strerror(ret));
    }
    return ret;
}

/* ------------------------------ all of it ------------------------------ */

static int make(kt_vault *vault, struct kt_package *p, struct kt_package_info *out, struct kt_error *err)
{
    struct writing w = { .p = p, .vault = vault };
    uint64_t text_bytes = OVERHEAD_BYTES;
    int ret = add_texts(p);
    if (ret < 0)
        return kt_error_set(err, ret, ret == -ENOENT ? "there is no video to put into the package"
                                                     : "the package could not be described");
    for (size_t i = 0; i < p->n_clips; i++)
        w.video_bytes += p->clips[i].file->size_bytes + p->clips[i].chain_size;
    for (size_t i = 0; i < p->n_texts; i++)
        text_bytes += p->texts[i].size;
    const uint64_t room = w.video_bytes + text_bytes;
    ret = kt_vault_reserve(vault, room);
    if (ret < 0)
        return kt_error_set(err, ret, "the vault has no room for %.1f MB more: let go of something first",
                            (double)room / 1e6);
    ret = write_package(&w, out, err);
    kt_vault_unreserve(vault, ret < 0 ? room : room - out->size_bytes);
    return ret;
}

int kt_package_make(kt_vault *vault, const struct kt_package_params *params, struct kt_package_info *out,
                    struct kt_error *err)
{
    struct kt_package p = { .params = params, .now_us = params->now_us ? params->now_us : kt_clock_wall_us() };
    char when[16];
    kt_package_compact_time(p.now_us, when);
    snprintf(p.name, sizeof(p.name), "EV-%lld-%sZ-%04lld", (long long)params->incident->id, when,
             (long long)params->serial);
    *out = (struct kt_package_info){ 0 };
    const int ret = make(vault, &p, out, err);
    if (ret == 0) {
        memcpy(out->name, p.name, sizeof(out->name));
        memcpy(out->note, p.note, sizeof(out->note));
        memcpy(out->manifest_sha256, p.manifest_sha256, sizeof(out->manifest_sha256));
    }
    package_clear(&p);
    return ret;
}

int kt_package_delete(kt_vault *vault, const char *name)
{
    char file[128];
    struct stat st;
    if ((strncmp(name, "EV-", 3) != 0 && strncmp(name, "SALINAN-", 8) != 0) || strchr(name, '/'))
        return -EINVAL;
    snprintf(file, sizeof(file), "%s.zip", name);
    if (fstatat(kt_vault_dir(vault), file, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        unlinkat(kt_vault_dir(vault), file, 0) < 0)
        return -errno;
    kt_vault_unreserve(vault, (uint64_t)st.st_size);
    return fsync(kt_vault_dir(vault)) < 0 ? -errno : 0;
}

#include "storage/vault/derived.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "server/base/clock.h"
#include "storage/vault/package_private.h"
#include "storage/vault/vault_private.h"

#define FORMAT "kentongan-copy-1"
#define ROOM_FACTOR 3                   /* the copies, and the ZIP made of them */

struct making {
    kt_vault *vault;
    const struct kt_package_params *x;
    kt_derive_fn derive;
    int64_t now_us;
    char name[96];
    const char *word;                   /* "SALINAN-LIHAT" or "SALINAN-DISAMARKAN" */
    json_t *copies;                     /* of SALINAN.json */
    char (*parts)[224];                 /* in the vault, named "….part": gone when this ends */
    char (*names)[192];                 /* in the ZIP */
    size_t n, total;
    struct kt_error *err;
};

/* ------------------------------ what is asked for ------------------------------ */

bool kt_derived_wanted(const char *request)
{
    json_t *root = request ? json_loads(request, 0, NULL) : NULL;
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const bool yes = kind && strcmp(kind, "copy") == 0;
    json_decref(root);
    return yes;
}

/* Are copies of CAMERA asked for? Of every one where no "cameras" are named. */
static bool wants_camera(const char *request, const char *camera)
{
    json_t *root = request ? json_loads(request, 0, NULL) : NULL;
    const json_t *list = json_object_get(root, "cameras");
    size_t i;
    json_t *item;
    bool yes = !list;
    json_array_foreach(list, i, item)
        yes = yes || (json_is_string(item) && strcmp(json_string_value(item), camera) == 0);
    json_decref(root);
    return yes;
}

static bool read_mask(const json_t *item, struct kt_mask *m)
{
    const char *camera;
    return json_unpack((json_t *)item, "{s:s, s:F, s:F, s:F, s:F !}", "camera", &camera, "x", &m->x, "y", &m->y,
                       "w", &m->w, "h", &m->h) == 0 && m->x >= 0 && m->y >= 0 && m->w > 0 && m->h > 0 &&
           m->x + m->w <= 1.0001 && m->y + m->h <= 1.0001;
}

int kt_masks_of(const char *request, const char *camera, struct kt_mask masks[KT_MASKS_MAX], size_t *n)
{
    json_t *root = request ? json_loads(request, 0, NULL) : NULL;
    const json_t *list = json_object_get(root, "masks");
    size_t i;
    json_t *item;
    int ret = list && !json_is_array(list) ? -EINVAL : 0;
    *n = 0;
    json_array_foreach(list, i, item) {
        struct kt_mask m;
        if (*n == KT_MASKS_MAX || !read_mask(item, &m)) {
            ret = -EINVAL;
            break;
        }
        if (!camera || strcmp(json_string_value(json_object_get(item, "camera")), camera) == 0)
            masks[(*n)++] = m;
    }
    json_decref(root);
    return ret;
}

/* ------------------------------ one copy ------------------------------ */

static int on_share(void *user, double share)
{
    const struct making *m = user;
    const double whole = ((double)m->n + share) / (double)m->total;
    return m->x->progress ? m->x->progress(m->x->user, (uint64_t)(whole * 1000), 1000) : 0;
}

static int describe(struct making *m, const struct kt_package_camera *cam, const struct kt_hold_file *f,
                    const struct kt_mask *masks, size_t n_masks)
{
    char sha256[65], when[KT_RFC3339_SIZE];
    json_t *list = json_array();
    kt_cleanup(kt_closep) int fd = kt_vault_open_file(m->vault, m->parts[m->n]);
    const int ret = fd < 0 ? fd : kt_vault_hash_file(fd, sha256);
    for (size_t i = 0; i < n_masks; i++)
        (void)json_array_append_new(list, json_pack("[f,f,f,f]", masks[i].x, masks[i].y, masks[i].w, masks[i].h));
    kt_rfc3339_format(when, f->start_us);
    if (ret == 0)
        (void)json_array_append_new(m->copies, json_pack(
            "{s:s,s:s,s:s,s:s,s:o,s:{s:s,s:s,s:s}}", "file", m->names[m->n], "sha256", sha256, "camera", cam->id,
            "from", when, "masked", list, "made_of", "held_file", f->name, "sha256", f->sha256, "stream_hash",
            f->stream_hash));
    else
        json_decref(list);
    return ret;
}

static int copy_one(struct making *m, const struct kt_package_camera *cam, const struct kt_hold_file *f)
{
    struct kt_mask masks[KT_MASKS_MAX];
    kt_cleanup(kt_freep) char *in = NULL, *out = NULL;
    size_t n_masks = 0;
    char when[16];
    int ret = kt_masks_of(m->x->request, cam->id, masks, &n_masks);
    if (ret == 0)
        ret = kt_vault_check_file(m->vault, f, m->err);
    if (ret < 0)
        return ret;
    kt_package_compact_time(f->start_us, when);
    snprintf(m->names[m->n], sizeof(m->names[0]), "%s-%s-%s-%s.%03dZ.mp4", m->word, cam->id, cam->stream, when,
             (int)(f->start_us % KT_SECOND_US / 1000));
    snprintf(m->parts[m->n], sizeof(m->parts[0]), "%s.part", m->names[m->n]);
    if (asprintf(&in, "%s/%s", kt_vault_path(m->vault), f->name) < 0 ||
        asprintf(&out, "%s/%s", kt_vault_path(m->vault), m->parts[m->n]) < 0)
        return -ENOMEM;
    const struct kt_derive derive = { .in = in, .out = out, .label = cam->name ? cam->name : cam->id,
        .start_us = f->start_us, .zone_offset_s = m->x->zone_offset_s, .zone = m->x->zone, .masks = masks,
        .n_masks = n_masks, .progress = on_share, .user = m };
    ret = m->derive(&derive, m->err);
    if (ret == 0)
        ret = describe(m, cam, f, masks, n_masks);
    m->n++;                             /* its part may be there in any case */
    return ret;
}

static int copy_all(struct making *m)
{
    int ret = 0;
    for (size_t i = 0; i < m->x->n_cameras && ret == 0; i++) {
        const struct kt_package_camera *cam = &m->x->cameras[i];
        const size_t n = wants_camera(m->x->request, cam->id) ? cam->n_files : 0;
        for (size_t k = 0; k < n && ret == 0; k++)
            ret = copy_one(m, cam, &cam->files[k]);
    }
    return ret;
}

/* ------------------------------ the ZIP ------------------------------ */

static const char readme[] =
    "INI SALINAN UNTUK DILIHAT, BUKAN BUKTI.\n\n"
    "Video di sini dikodekan ulang: jam dituliskan di dalam gambar, dan pada SALINAN-DISAMARKAN sebagian gambar\n"
    "ditutup untuk melindungi orang lain. Rekaman aslinya ada di paket bukti (EV-...zip); SALINAN.json menyebut\n"
    "SHA-256 rekaman asal tiap salinan.\n\n"
    "THIS IS A COPY FOR LOOKING AT, NOT EVIDENCE.\n\n"
    "The video here was encoded anew: the time is written into the picture, and in SALINAN-DISAMARKAN parts of\n"
    "it are covered to protect others. The originals are in the evidence package (EV-...zip); SALINAN.json has the\n"
    "SHA-256 of what each copy was made from.\n";

static int put(const struct making *m, zip_t *zip, const char *name, zip_source_t *source)
{
    char path[320];
    snprintf(path, sizeof(path), "%s/%s", m->name, name);
    const zip_int64_t i = source ? zip_file_add(zip, path, source, ZIP_FL_ENC_UTF_8) : -1;
    if (i < 0)
        zip_source_free(source);
    return i < 0 || zip_set_file_compression(zip, (zip_uint64_t)i, ZIP_CM_STORE, 0) < 0 ? -EIO : 0;
}

static int put_copy(const struct making *m, zip_t *zip, size_t i)
{
    kt_cleanup(kt_freep) char *path = NULL;
    if (asprintf(&path, "%s/%s", kt_vault_path(m->vault), m->parts[i]) < 0)
        return -ENOMEM;
    return put(m, zip, m->names[i], zip_source_file(zip, path, 0, -1));
}

static int write_zip(const struct making *m, const char *path, const char *json)
{
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    int ret = zip ? 0 : -EIO;
    for (size_t i = 0; i < m->n && ret == 0; i++)
        ret = put_copy(m, zip, i);
    if (ret == 0)
        ret = put(m, zip, "SALINAN.json", zip_source_buffer(zip, json, strlen(json), 0));
    if (ret == 0)
        ret = put(m, zip, "BACA-SAYA.txt", zip_source_buffer(zip, readme, sizeof(readme) - 1, 0));
    if (ret == 0 && zip_close(zip) == 0)
        return 0;
    if (zip)
        zip_discard(zip);
    return ret < 0 ? ret : -EIO;
}

static char *make_json(const struct making *m)
{
    char when[KT_RFC3339_SIZE];
    kt_rfc3339_format(when, m->now_us);
    json_t *root = json_pack("{s:s,s:s,s:s,s:I,s:s,s:s,s:O}", "format", FORMAT, "name", m->name, "warning",
                             "copies for looking at, encoded anew: not evidence", "incident",
                             (json_int_t)m->x->incident->id, "made", when, "made_by",
                             m->x->exported_by ? m->x->exported_by : "", "copies", m->copies);
    char *text = kt_canonical_json(root);
    json_decref(root);
    return text;
}

static int pack(struct making *m, struct kt_package_info *out)
{
    char name[128], part[136];
    kt_cleanup(kt_freep) char *path = NULL, *json = make_json(m);
    snprintf(name, sizeof(name), "%s.zip", m->name);
    snprintf(part, sizeof(part), "%s.part", name);
    if (!json || asprintf(&path, "%s/%s", kt_vault_path(m->vault), part) < 0)
        return -ENOMEM;
    kt_sha256_hex(json, strlen(json), out->manifest_sha256);
    int ret = write_zip(m, path, json);
    if (ret == 0)
        ret = kt_package_publish(m->vault, part, name, &out->size_bytes);
    if (ret < 0)
        (void)unlinkat(kt_vault_dir(m->vault), part, 0);
    return ret;
}

/* ------------------------------ all of it ------------------------------ */

static int prepare(struct making *m, uint64_t *room)
{
    struct kt_mask masks[KT_MASKS_MAX];
    size_t n_masks = 0;
    char when[16];
    const int ret = kt_masks_of(m->x->request, NULL, masks, &n_masks);
    if (ret < 0)
        return kt_error_set(m->err, ret, "the masks make no sense");
    for (size_t i = 0; i < m->x->n_cameras; i++) {
        const struct kt_package_camera *cam = &m->x->cameras[i];
        const size_t n = wants_camera(m->x->request, cam->id) ? cam->n_files : 0;
        m->total += n;
        for (size_t k = 0; k < n; k++)
            *room += ROOM_FACTOR * cam->files[k].size_bytes;
    }
    if (m->total == 0)
        return kt_error_set(m->err, -ENOENT, "there is no video to make copies of");
    m->word = n_masks ? "SALINAN-DISAMARKAN" : "SALINAN-LIHAT";
    kt_package_compact_time(m->now_us, when);
    snprintf(m->name, sizeof(m->name), "%s-%lld-%sZ-%04lld", m->word, (long long)m->x->incident->id, when,
             (long long)m->x->serial);
    m->copies = json_array();
    m->parts = calloc(m->total, sizeof(*m->parts));
    m->names = calloc(m->total, sizeof(*m->names));
    return m->copies && m->parts && m->names ? 0 : -ENOMEM;
}

static int make(struct making *m, struct kt_package_info *out)
{
    uint64_t room = 1u << 20;
    int ret = prepare(m, &room);
    if (ret < 0)
        return ret;
    ret = kt_vault_reserve(m->vault, room);
    if (ret < 0)
        return kt_error_set(m->err, ret, "the vault has no room for %.1f MB more: let go of something first",
                            (double)room / 1e6);
    ret = copy_all(m);
    if (ret == 0)
        ret = pack(m, out);
    const uint64_t used = ret == 0 ? out->size_bytes : 0;
    kt_vault_unreserve(m->vault, room - (used < room ? used : room));
    return ret;
}

int kt_derived_make(kt_vault *vault, const struct kt_package_params *params, kt_derive_fn derive,
                    struct kt_package_info *out, struct kt_error *err)
{
    struct making m = { .vault = vault, .x = params, .derive = derive, .err = err,
                        .now_us = params->now_us ? params->now_us : kt_clock_wall_us() };
    *out = (struct kt_package_info){ 0 };
    const int ret = make(&m, out);
    for (size_t i = 0; i < m.n; i++)
        (void)unlinkat(kt_vault_dir(vault), m.parts[i], 0);
    if (ret == 0)
        memcpy(out->name, m.name, sizeof(out->name));
    else if (!err->text[0])
        (void)kt_error_set(err, ret, "the copies could not be made: %s", kt_strerror(ret));
    json_decref(m.copies);
    free(m.parts);
    free(m.names);
    return ret;
}

/*
 * derived.h - copies for looking at: with the time burnt in, and with parts of the picture
 * masked for others' privacy. Never evidence: a ZIP of its own, whose every file is called
 * SALINAN ("copy"), with the SHA-256 of what each was made from (decision 0023).
 *
 *   SALINAN-LIHAT-<incident>-<time>-<number>/       or SALINAN-DISAMARKAN-…, where something is masked
 *     SALINAN-…-<camera>-<time>.mp4
 *     SALINAN.json              what each was made from, and how
 *     BACA-SAYA.txt
 *
 * Making one takes about as long as the video, on a thread that yields to everything else.
 *
 * Threads: one at a time a vault. Errors: 0 or a negative errno.
 */
#ifndef KT_VAULT_DERIVED_H
#define KT_VAULT_DERIVED_H

#include "storage/vault/package.h"

#define KT_MASKS_MAX 32

/* A part of the picture that is painted over, in shares of its width and height. */
struct kt_mask {
    double x, y, w, h;
};

/* One copy to be made: a video at IN to a new MP4 at OUT. */
struct kt_derive {
    const char *in, *out;
    const char *label;              /* written beside the time: the camera's name */
    int64_t start_us;               /* of the first picture; times are written from it */
    int zone_offset_s;
    const char *zone;               /* "WIB" */
    const struct kt_mask *masks;
    size_t n_masks;
    int (*progress)(void *user, double share);  /* not 0: stop, -ECANCELED; may be NULL */
    void *user;
};

/* Makes one; the decoder and the encoder are the caller's (server/derive.h). */
typedef int (*kt_derive_fn)(const struct kt_derive *derive, struct kt_error *err);

/*
 * The masks of CAMERA in REQUEST (JSON of a struct kt_export with "kind": "copy" and perhaps
 * "masks": [{"camera": "gerbang", "x": 0.1, "y": 0, "w": 0.2, "h": 0.5}, …]).
 * *N is at most KT_MASKS_MAX. CAMERA NULL: all of them. -EINVAL.
 */
kt_must_check int kt_masks_of(const char *request, const char *camera, struct kt_mask masks[KT_MASKS_MAX],
                              size_t *n);

/* Does REQUEST (may be NULL) ask for copies instead of a package? */
bool kt_derived_wanted(const char *request);

/* Make the ZIP in the vault's directory, whole or not at all; of the cameras in "cameras" of the
 * request, of all where it has none (-ENOENT: no video of them). As kt_package_make(), of whose
 * PARAMS it takes incident, request, cameras, zone, exported_by, serial (a number for the name),
 * now_us, progress and user. OUT->manifest_sha256 is of SALINAN.json. */
kt_must_check int kt_derived_make(kt_vault *vault, const struct kt_package_params *params, kt_derive_fn derive,
                                  struct kt_package_info *out, struct kt_error *err);

#endif

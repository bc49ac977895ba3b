/*
 * package.h - an evidence package: one ZIP (stored, not compressed) that a stranger
 * can check years later, offline, with sha256sum, certutil or openssl.
 *
 *   EV-<incident>-<time>-<serial>/
 *     clip-<camera>-<time>.mp4    the recorded frames, never transcoded
 *     log/<clip>.records.json     the ring's records that it was made of
 *     log/<clip>.chain            the recorder's log around them: headers of docs/ring-format.md
 *     log/<clip>.head, .head.sig  up to the head that was signed when it was recorded ...
 *     log/<clip>.ring.pem         ... with the ring's own key
 *     manifest.json               everything there is to say, canonical JSON
 *     manifest.json.sig           ECDSA P-256 over SHA-256, of signer-pub.pem
 *     signer-cert.pem, signer-pub.pem
 *     custody.csv                 who had it
 *     BERITA-ACARA.html           to print and sign: facts, fingerprints, QR
 *     BACA-SAYA.txt, README.txt   how to check, in Indonesian and English
 *     SHA256SUMS, SHA256SUMS.sig  every file above, and its signature
 *     tsa-ca.pem                  certificates of the time stamping service, where one is set up
 *     SHA256SUMS.tsr              its RFC 3161 token, where it answered
 *
 * docs/evidence-package.md describes each file. What it does not prove is said there
 * and in README.txt: whoever owns the recorder's key could have signed anything, so
 * the key's fingerprint belongs on paper, and into other hands, beforehand.
 *
 * Threads: a package is made and checked on one thread; both take as long as reading
 * the video. Errors: 0 or a negative errno.
 */
#ifndef KT_VAULT_PACKAGE_H
#define KT_VAULT_PACKAGE_H

#include "storage/catalog/cases.h"
#include "storage/ring/ring.h"
#include "storage/vault/signer.h"
#include "storage/vault/vault.h"

/* A stretch without video that was asked for. */
struct kt_package_gap {
    int64_t from_us, to_us;
    const char *reason;             /* kt_gap_reason_name(), or "not-recorded" */
};

/* One hold, as the package tells about it. */
struct kt_package_camera {
    const char *id, *name, *stream; /* "gerbang", "Gerbang Utara", "main" */
    const char *address;            /* without credentials, may be NULL */
    int64_t from_us, to_us;         /* what was asked for */
    const struct kt_hold_file *files;   /* in the vault */
    size_t n_files;
    const struct kt_package_gap *gaps;
    size_t n_gaps;
};

struct kt_package_params {
    const struct kt_incident *incident;
    const char *request;            /* JSON of struct kt_export, may be NULL */
    const char *exported_by;
    const char *site;               /* "RW 05 Kampung Melati" */
    const char *host;               /* name of the machine */
    const char *version;            /* of the program */
    const char *zone;               /* "WIB" */
    int zone_offset_s;              /* 25200 */
    int64_t serial;                 /* kt_catalog_package_serial() */
    int64_t now_us;                 /* 0: the clock */
    const char *previous_manifest;  /* SHA-256 of the package before this one, hex; may be empty */
    const char *audit_head;         /* hex, may be NULL */
    const struct kt_package_camera *cameras;
    size_t n_cameras;
    const kt_signer *signer;
    /* Where a time stamping service is set up, all four: its name and its certificates (PEM) for the
     * package, and who gets the stamp of DATA (a DER TimeStampResp, *OUT malloc'd, ERR in words). Its
     * failure does not fail the package: there is no .tsr then, and info.note says why. */
    const char *timestamp_service, *timestamp_ca;
    int (*timestamp)(void *timestamp_user, const void *data, size_t size, uint8_t **out, size_t *n,
                     struct kt_error *err);
    void *timestamp_user;
    kt_vault_progress progress;     /* may be NULL */
    void *user;
};

struct kt_package_info {
    char name[96];                  /* without ".zip" */
    char manifest_sha256[65];
    uint64_t size_bytes;            /* of the ZIP */
    char note[160];                 /* what its maker should know: "made without a time stamp: …" */
};

/*
 * Make <name>.zip in the vault's directory, whole or not at all. Each clip's bytes are
 * checked against its row on the way.
 *   -ENOSPC    the vault or the disk is full
 *   -EBADMSG   a held file is not what was written; ERR names it
 *   -ECANCELED PROGRESS said so
 */
kt_must_check int kt_package_make(kt_vault *vault, const struct kt_package_params *params,
                                  struct kt_package_info *out, struct kt_error *err);

/* A small file of package NAME, such as "BERITA-ACARA.html": malloc'd, with a NUL behind its
 * SIZE bytes. -ENOENT, -EFBIG, -EBADMSG. */
kt_must_check int kt_package_text(kt_vault *vault, const char *name, const char *file, char **out,
                                  size_t *size);

/* Delete a package, or copies (derived.h), that was made. */
int kt_package_delete(kt_vault *vault, const char *name);

/* ------------------------------ checking ------------------------------ */

struct kt_package_check {
    const char *fingerprint;        /* of the key, as printed on paper; NULL: not known */
    const char *manifest_sha256;    /* as printed on paper; NULL: not known */
    const char *timestamp_ca;       /* certificates (PEM) of time stamping services that are trusted; NULL:
                                     * those in the package, which only the package vouches for */
    /* Told each finding in words. */
    void (*say)(void *user, bool good, const char *text);
    void *user;
};

/*
 * Check the package at PATH, a ZIP or the folder that was unpacked from it: names,
 * sums, signatures, canonical manifest, and that each clip's frames, times, coded
 * content and records are what the manifest says. Needs nothing but the package.
 *   -EBADMSG  something is wrong: SAY was told what
 *   -ENOENT   PATH is no package
 */
kt_must_check int kt_package_verify(const char *path, const struct kt_package_check *check,
                                    struct kt_error *err);

/* Does PATH look like one (a .zip, or a folder with a manifest.json)? */
bool kt_package_is(const char *path);

#endif

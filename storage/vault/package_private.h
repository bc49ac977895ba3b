/*
 * package_private.h - what the files that make and check packages share.
 */
#ifndef KT_VAULT_PACKAGE_PRIVATE_H
#define KT_VAULT_PACKAGE_PRIVATE_H

#include <jansson.h>

#include "storage/vault/package.h"

#define KT_PACKAGE_FORMAT "kentongan-evidence-1"
#define KT_PACKAGE_TEXT_MAX (64u << 20)     /* largest manifest or table that is read */

/* A small file of a package while it is made. */
struct kt_package_text {
    char name[192];
    char *data;
    size_t size;
    char sha256[65];
};

/* A clip: its name in the package and the vault's files that it is. */
struct kt_package_clip {
    char name[160], log_name[192];      /* "clip-….mp4", "log/clip-…" without an ending */
    const struct kt_package_camera *camera;
    const struct kt_hold_file *file;
    json_t *about;                      /* hold_records.h */
    char chain_file[192];               /* in the vault; empty: the ring gave none */
    const char *chain_sha256;           /* in ABOUT */
    uint64_t chain_size;
};

/* A package while it is made. */
struct kt_package {
    const struct kt_package_params *params;
    int64_t now_us;
    char name[96];
    struct kt_package_text *texts;
    size_t n_texts;
    struct kt_package_clip *clips;
    size_t n_clips;
    char manifest_sha256[65];
    char note[160];                     /* kt_package_info.note */
};

void kt_sha256_hex(const void *data, size_t size, char out[65]);

/* Take DATA (malloc'd, now the package's) as file NAME. */
kt_must_check int kt_package_add(struct kt_package *p, const char *name, char *data, size_t size);

/* Give PART of the vault's directory the name NAME: durable, or not there. */
kt_must_check int kt_package_publish(kt_vault *v, const char *part, const char *name, uint64_t *size);

/* "2026-11-24T08:02:03.456+07:00" in the site's zone. */
void kt_package_local(int64_t us, int offset_s, char *out, size_t cap);

/* "20261124T010203", UTC, for names of files. */
void kt_package_compact_time(int64_t us, char out[16]);

/* package_manifest.c */
json_t *kt_package_manifest(const struct kt_package *p);
char *kt_canonical_json(const json_t *value);   /* malloc'd: sorted keys, two spaces, LF at the end */

/* package_paper.c: malloc'd texts, NULL without memory */
char *kt_package_readme(const struct kt_package *p, bool indonesian);
char *kt_package_paper(const struct kt_package *p);
char *kt_package_custody(const struct kt_package *p);

/* ------------------------------ reading one ------------------------------ */

/* package_reader.c: a ZIP or a folder, the same to the one who checks. */
typedef struct kt_bag kt_bag;
kt_must_check int kt_bag_open(kt_bag **out, const char *path, struct kt_error *err);
void kt_bag_close(kt_bag **bag);
const char *kt_bag_title(const kt_bag *bag);    /* name of the folder */
size_t kt_bag_count(const kt_bag *bag);
const char *kt_bag_name(const kt_bag *bag, size_t i);
int kt_bag_find(const kt_bag *bag, const char *name);       /* index, or -ENOENT */

/* Give all bytes of file I to FEED in pieces; stops when that is negative. */
kt_must_check int kt_bag_read(kt_bag *bag, size_t i, int (*feed)(void *user, const void *data, size_t n),
                              void *user);
/* All of file NAME with a NUL behind it. -ENOENT, -EFBIG. */
kt_must_check int kt_bag_text(kt_bag *bag, const char *name, char **out, size_t *size);

/* package_chain.c: does a clip's log say what the manifest and the video say? SAY is told
 * every fault; the number of faults is returned. */
struct kt_chain_check {
    kt_bag *bag;
    const json_t *clip, *gaps;          /* of the manifest */
    void (*say)(void *user, bool good, const char *text);
    void *user;
};
int kt_package_check_chain(const struct kt_chain_check *check);

#endif

/*
 * assets.h - files of the browser app inside the program. The table is made by
 * embed.py from what web/ui/build.mjs left in its dist/ directory.
 */
#ifndef KT_HTTP_ASSETS_H
#define KT_HTTP_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

struct kt_asset_bytes {
    const unsigned char *data;      /* NULL: not in this encoding */
    size_t size;
};

struct kt_asset {
    const char *path;               /* "/assets/app-1a2b.js" */
    const char *mime;
    const char *etag;               /* with its quotes */
    bool immutable;                 /* its name changes with its content */
    struct kt_asset_bytes plain, br, gz;
};

extern const struct kt_asset kt_assets[];   /* sorted by path */
extern const size_t kt_n_assets;

#endif

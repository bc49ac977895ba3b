/*
 * assets.h - the files of the browser app inside the program.
 *
 * web/ui/build.mjs makes the table; where there was no Node at build time it is
 * empty, and the server can only serve a folder (kt_web_params.web_root, which
 * holds the same files and their list, assets.json).
 *
 * Everything here is constant.
 */
#ifndef KT_UI_ASSETS_H
#define KT_UI_ASSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_ui_bytes {
    const uint8_t *data;            /* NULL: there is no such form */
    size_t size;
};

struct kt_ui_asset {
    const char *path;               /* "index.html", "assets/app-1a2b3c.js": no leading slash */
    const char *type;               /* "text/javascript; charset=utf-8" */
    const char *etag;               /* hash of the content, without quotes */
    bool immutable;                 /* the name holds a hash: may be cached for ever */
    struct kt_ui_bytes plain, br, gz;
};

/* Sorted by path (strcmp). */
extern const struct kt_ui_asset kt_ui_assets[];
extern const size_t kt_ui_assets_count;

#endif

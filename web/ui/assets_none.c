/* assets_none.c - built without Node: no browser app inside. See assets.h. */
#include "web/ui/assets.h"

const struct kt_ui_asset kt_ui_assets[1];
const size_t kt_ui_assets_count = 0;

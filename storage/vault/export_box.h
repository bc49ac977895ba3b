/*
 * export_box.h - where an MP4 came from, inside the MP4: the `suep` and `cstb` boxes of the
 * ONVIF Export File Format (version 1), in a file-level `meta` box. Players skip it.
 *
 * Not sealed with that format's own RSA signature: the package is signed as a whole.
 */
#ifndef KT_VAULT_EXPORT_BOX_H
#define KT_VAULT_EXPORT_BOX_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

struct kt_export_box {
    const char *unit;               /* the exporting machine; all strings may be NULL */
    const char *operator_name;
    const char *source_name, *source_url;   /* of the camera, without credentials */
    int64_t exported_us, start_us;  /* now; UTC of the origin of the media timeline */
};

/*
 * Make the box for the file that begins with HEAD (`ftyp`, `moov`): one entry for each of
 * its tracks. *OUT is malloc'd. -EBADMSG when HEAD cannot be read, -ENOMEM.
 */
kt_must_check int kt_export_box_make(const struct kt_export_box *about, const uint8_t *head,
                                     size_t head_size, uint8_t **out, size_t *size);

#endif

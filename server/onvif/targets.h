/*
 * targets.h - "192.168.1.0/24, 192.168.1.7:8899" to addresses of device services.
 */
#ifndef KT_ONVIF_TARGETS_H
#define KT_ONVIF_TARGETS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/error.h"

struct kt_onvif_target {
    char service[256];
    bool named;         /* one address or URL that somebody typed: say so when it fails */
};

/* *OUT is one malloc'd block. See struct kt_onvif_ask for the language.
 *   -EINVAL, -E2BIG  with ERR */
kt_must_check int kt_onvif_targets(struct kt_onvif_target **out, size_t *n, const char *range,
                                   const char *ports, struct kt_error *err);

#endif

/*
 * error.h - one clear line for a person, beside the negative errno for code.
 *
 * Functions that can fail for a reason a person must read (opening a ring,
 * reading a configuration) take a struct kt_error, which may be NULL. It is
 * written on failure only. Secrets never go into it.
 */
#ifndef KT_BASE_ERROR_H
#define KT_BASE_ERROR_H

#include "server/base/cleanup.h"

struct kt_error {
    char text[512];
};

/* Format into ERR (which may be NULL) and return RET, so that
 * `return kt_error_set(err, -EINVAL, "size is 0");` is one line. */
int kt_error_set(struct kt_error *err, int ret, const char *fmt, ...) kt_printf(3, 4);

/* Text for a negative errno or an FFmpeg AVERROR tag, in a per-thread buffer
 * that the next call of the same thread overwrites. */
const char *kt_strerror(int ret);

#endif

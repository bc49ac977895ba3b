/*
 * text.h - the few string rules that several rooms share.
 */
#ifndef KT_BASE_TEXT_H
#define KT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_ID_MAX 48                    /* longest camera id, without the NUL */
#define KT_STREAM_NAME_MAX (KT_ID_MAX + 8)
#define KT_URL_MAX 1024

/* A camera or ring id: 1 to KT_ID_MAX of [a-z0-9-], no '-' at either end. It is
 * safe as a file name, a URL part and a JSON key. */
bool kt_id_valid(const char *id);

/* Copy URL into OUT with its password replaced by "***" (user name kept).
 * Truncates to CAP. Text that is no URL is copied as it is, and anything
 * before a last '@' of its authority is treated as user information. */
void kt_url_redact(char *out, size_t cap, const char *url);

/* Copy TEXT for a log or a terminal: control characters (also C1), what moves the line or the direction
 * of writing, and bytes that are no UTF-8 become \xNN. Truncates to CAP at a whole character. Returns
 * the length. */
size_t kt_text_printable(char *out, size_t cap, const char *text);

/* Lower-case hex of N bytes into OUT, which holds 2 N + 1. */
void kt_hex(char *out, const uint8_t *data, size_t n);

/* Inverse of kt_hex(): exactly 2 N hex digits. -EINVAL otherwise. */
kt_must_check int kt_unhex(uint8_t *out, size_t n, const char *hex);

/* All of the file at PATH with a NUL behind it; *OUT is malloc'd.
 *   -EFBIG more than MAX bytes, others as open(2) and read(2) */
kt_must_check int kt_text_read(const char *path, size_t max, char **out);

#endif

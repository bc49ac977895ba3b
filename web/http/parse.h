/*
 * parse.h - what strangers write: Range, Cookie, Host, numbers, lists, paths.
 *
 * Pure functions over text, without allocation unless said so: each is fuzzed.
 */
#ifndef KT_HTTP_PARSE_H
#define KT_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"
#include "server/base/text.h"

enum web_range {
    WEB_RANGE_NONE,         /* no header, one we do not understand, or several ranges: answer 200 */
    WEB_RANGE_OK,           /* answer 206 */
    WEB_RANGE_BAD,          /* answer 416 */
};

/* A Range header (may be NULL) over SIZE bytes. On OK: SIZE > 0, *FIRST <= *LAST < SIZE. */
enum web_range web_parse_range(const char *text, uint64_t size, uint64_t *first, uint64_t *last);

/* The value of cookie NAME in a Cookie header (may be NULL) into OUT. False: absent,
 * too long, empty, or there are two of that name. */
bool web_parse_cookie(const char *text, const char *name, char *out, size_t cap);

/* Digits only, at most MAX. */
bool web_parse_uint(const char *text, uint64_t max, uint64_t *out);

/* "true"/"1" or "false"/"0". */
bool web_parse_bool(const char *text, bool *out);

/*
 * Call EACH for every part of a comma list, which must be 1..MAX parts of
 * letters, digits, '-' and '_', each shorter than PART_MAX. False: bad, or EACH
 * returned false.
 */
bool web_parse_list(const char *text, size_t max, size_t part_max,
                    bool (*each)(void *user, const char *part), void *user);

#define WEB_PARAMS 2
#define WEB_PARAM_MAX 80
struct web_params {
    char value[WEB_PARAMS][WEB_PARAM_MAX];
};

/* Does PATH match PATTERN ("/api/v1/inits/{hash}.mp4")? The parts go to PARAMS. */
bool web_parse_path(const char *pattern, const char *path, struct web_params *params);

/* Are ORIGIN ("https://host:port") and HOST ("host:port") the same place? SECURE
 * is what the request came by. */
bool web_same_origin(const char *origin, const char *host, bool secure);

/* "2026-11-24_1-7" style cursor of the event list. */
bool web_parse_cursor(const char *text, int64_t *start_us, int64_t *id);

/* Does a comma-separated header VALUE (may be NULL) hold TOKEN (case-insensitive)? */
bool web_has_token(const char *value, const char *token);

#endif

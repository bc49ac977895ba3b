/*
 * log.h - the log: one line per fact, to standard error (journald adds the rest).
 *
 *     2026-11-24T01:02:03.456Z INFO  camera gerbang: recording, h264 1920x1080
 *
 * The only mutable global of the program. Any thread may log; lines never mix.
 * Control characters in the text are written as \xNN, so that a camera name
 * cannot forge a line. Callers never pass a URL with its password in it: see
 * kt_url_redact() in text.h. Library code (storage, decoders, web) does not
 * log what it returns as an error: the caller that decides does.
 */
#ifndef KT_BASE_LOG_H
#define KT_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

enum kt_log_level {
    KT_LOG_ERROR = 1,
    KT_LOG_WARN,
    KT_LOG_INFO,
    KT_LOG_DEBUG,
};

/* Lines above LEVEL are dropped. INFO at start. */
void kt_log_set_level(enum kt_log_level level);

/* AREA names who speaks: "camera gerbang", "ring video", "http". */
void kt_log(enum kt_log_level level, const char *area, const char *fmt, ...) kt_printf(3, 4);

#define KT_LOG_KEPT 512         /* newest lines kept in memory */
#define KT_LOG_TEXT 320

struct kt_log_line {
    int64_t wall_us;
    enum kt_log_level level;
    char text[KT_LOG_TEXT];     /* "AREA: …", cut to size, control characters escaped */
};

/* Copy the newest lines, at most MAX, oldest first, to OUT. Returns how many. */
size_t kt_log_recent(struct kt_log_line *out, size_t max);

#define kt_error_log(area, ...) kt_log(KT_LOG_ERROR, area, __VA_ARGS__)
#define kt_warn(area, ...) kt_log(KT_LOG_WARN, area, __VA_ARGS__)
#define kt_info(area, ...) kt_log(KT_LOG_INFO, area, __VA_ARGS__)
#define kt_debug(area, ...) kt_log(KT_LOG_DEBUG, area, __VA_ARGS__)

#endif

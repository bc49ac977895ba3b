/*
 * rtsp_message.h - RTSP/1.0 messages (RFC 2326), as cameras write them: any line
 * end, any case, spaces anywhere.
 *
 * Pure: text in, spans of the same text out. Nothing is copied, so spans live as
 * long as the text. Safe for any bytes.
 */
#ifndef KT_INGEST_RTSP_MESSAGE_H
#define KT_INGEST_RTSP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_RTSP_HEADERS 48              /* more are ignored */
#define KT_RTSP_HEAD_MAX (16 << 10)     /* bytes of status line and headers */
#define KT_RTSP_BODY_MAX (64 << 10)

struct kt_span {
    const char *p;
    size_t n;
};

struct kt_rtsp_message {
    int status;                 /* 0: not an answer but a request of the camera's */
    struct kt_span method;      /* of a request */
    int headers;
    struct kt_span name[KT_RTSP_HEADERS], value[KT_RTSP_HEADERS];
    struct kt_span body;
};

/*
 * Parse the message at the start of DATA. Returns its length, or
 *   0          incomplete: come back with more
 *   -EBADMSG   no RTSP message
 *   -EMSGSIZE  longer than a camera's message may be
 */
kt_must_check int kt_rtsp_parse(struct kt_rtsp_message *msg, const void *data, size_t size);

/* Could DATA be the beginning of a message? (Not interleaved data, not garbage.) */
bool kt_rtsp_looks_like(const void *data, size_t size);

/* The NTH (from 0) header called NAME; false when there is none. */
bool kt_rtsp_header(const struct kt_rtsp_message *msg, const char *name, int nth,
                    struct kt_span *value);

/* A header that is a number; OTHERWISE when it is absent or something else. */
long kt_rtsp_number(const struct kt_rtsp_message *msg, const char *name, long otherwise);

/* Next part of *REST up to SEPARATOR (outside quotes), trimmed; false at the end. */
bool kt_span_next(struct kt_span *rest, char separator, struct kt_span *part);

/* "name=value", trimmed and unquoted; a part without '=' has an empty value. */
void kt_span_pair(struct kt_span part, struct kt_span *name, struct kt_span *value);

/* The value of NAME in a list like "a=1;b;c=2". */
bool kt_span_param(struct kt_span list, char separator, const char *name, struct kt_span *value);

struct kt_span kt_span_trim(struct kt_span span);
bool kt_span_is(struct kt_span span, const char *text);          /* ignoring case */
bool kt_span_starts(struct kt_span span, const char *text);      /* ignoring case */
/* Copy and terminate; false (and OUT empty) when it does not fit. */
bool kt_span_copy(char *out, size_t cap, struct kt_span span);
/* A number in BASE at the start of SPAN, after spaces; -1 when there is none. */
long kt_span_number(struct kt_span span, int base);

#endif

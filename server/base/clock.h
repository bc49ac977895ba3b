/*
 * clock.h - the two clocks and the text form of the first.
 *
 * Units: *_us is microseconds; wall time counts from the Unix epoch in UTC.
 * Deadlines and durations use the monotonic clock, never wall time.
 * Thread rule: all functions may be called from any thread.
 */
#ifndef KT_BASE_CLOCK_H
#define KT_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "server/base/cleanup.h"

#define KT_SECOND_US INT64_C(1000000)
#define KT_RFC3339_SIZE 32

int64_t kt_clock_wall_us(void);
int64_t kt_clock_mono_us(void);

/* Absolute CLOCK_MONOTONIC time TIMEOUT_US from now, for a condition variable
 * made with kt_cond_init(). */
struct timespec kt_clock_deadline(int64_t timeout_us);

/* A condition variable whose timed wait uses CLOCK_MONOTONIC. */
int kt_cond_init(pthread_cond_t *cond);

/* Does the kernel believe that the wall clock is synchronised (adjtimex(2))?
 * *MAX_ERROR_US may be NULL. */
bool kt_clock_synchronised(int64_t *max_error_us);

/* Make TIMEZONE ("Asia/Jakarta") the process's own, before any other thread exists. Returns its seconds east of
 * UTC now: Indonesia has no summer time, so once at start is enough. */
int kt_clock_use_timezone(const char *timezone);

/* "2026-11-24T01:02:03.456Z" (RFC 3339, UTC, milliseconds, rounded down). */
void kt_rfc3339_format(char out[KT_RFC3339_SIZE], int64_t wall_us);

/*
 * Parse RFC 3339 with any fraction and any offset ("Z", "+07:00"), or plain
 * Unix seconds with optional fraction ("1700000000.5").
 *   -EINVAL  anything else, or outside the years 1970 to 9999
 */
kt_must_check int kt_rfc3339_parse(const char *text, int64_t *wall_us);

#endif

/*
 * progress.h - one line on a terminal: how far, and how long still. Silent when
 * standard error is no terminal.
 *
 * Threads: one.
 */
#ifndef KT_SERVER_PROGRESS_H
#define KT_SERVER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct kt_progress {
    bool terminal;
    int64_t start_us, last_us;      /* monotonic */
};

void kt_progress_begin(struct kt_progress *p);
void kt_progress_show(struct kt_progress *p, uint64_t done, uint64_t total);

/* Wipe the line, so that other text may follow. */
void kt_progress_clear(struct kt_progress *p);

#endif

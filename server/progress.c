#include "server/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "server/base/clock.h"

#define WIDTH 30
#define REDRAW_US 200000

void kt_progress_begin(struct kt_progress *p)
{
    *p = (struct kt_progress){ .terminal = isatty(STDERR_FILENO), .start_us = kt_clock_mono_us() };
}

void kt_progress_show(struct kt_progress *p, uint64_t done, uint64_t total)
{
    const int64_t now = kt_clock_mono_us();
    if (!p->terminal || total == 0 || now - p->last_us < REDRAW_US)
        return;
    p->last_us = now;
    const double part = done < total ? (double)done / (double)total : 1;
    const int64_t left = part > 0 ? (int64_t)((double)(now - p->start_us) * (1 - part) / part) : 0;
    const int64_t seconds = left / KT_SECOND_US;
    fprintf(stderr, "\r[");
    for (int i = 0; i < WIDTH; i++)
        fputc(i < (int)(part * WIDTH) ? '#' : '.', stderr);
    fprintf(stderr, "] %3d %%, %" PRId64 ":%02" PRId64 " left ", (int)(part * 100), seconds / 60,
            seconds % 60);
}

void kt_progress_clear(struct kt_progress *p)
{
    if (p->terminal && p->last_us > 0)
        fprintf(stderr, "\r\033[K");
    p->last_us = 0;
}

/*
 * usage.h - what is wrong with a command line, said in one line that names it.
 *
 * Threads: any; before there are others.
 */
#ifndef KT_SERVER_USAGE_H
#define KT_SERVER_USAGE_H

#include "server/base/cleanup.h"

/* Say it on standard error and where to read more: "kentongan WORD: …". Returns 2, the
 * exit status of a wrong command line. */
int kt_usage_wrong(const char *word, const char *fmt, ...) kt_printf(2, 3);

/* All of TEXT is a number from MIN to MAX. -EINVAL otherwise. */
kt_must_check int kt_usage_number(const char *text, double min, double max, double *out);

#endif

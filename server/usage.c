#include "server/usage.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int kt_usage_wrong(const char *word, const char *fmt, ...)
{
    va_list args;
    fprintf(stderr, "kentongan %s: ", word);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n'kentongan %s --help' tells more\n", word);
    return 2;
}

int kt_usage_number(const char *text, double min, double max, double *out)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end || isnan(v) || v < min || v > max)
        return -EINVAL;
    *out = v;
    return 0;
}

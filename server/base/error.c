#include "server/base/error.h"

#include <stdarg.h>
#include <libavutil/error.h>

int kt_error_set(struct kt_error *err, int ret, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
    return ret;
}

const char *kt_strerror(int ret)
{
    static _Thread_local char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(ret, text, sizeof(text));
    return text;
}

#include "server/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "server/base/clock.h"

static atomic_int log_level = KT_LOG_INFO;

void kt_log_set_level(enum kt_log_level level)
{
    atomic_store(&log_level, (int)level);
}

/* Copy SRC to DST, control characters as \xNN. Returns the length written. */
static size_t escape(char *dst, size_t cap, const char *src)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (; *src && n + 5 < cap; src++) {
        const unsigned char c = (unsigned char)*src;
        if (c >= 0x20 && c != 0x7f) {
            dst[n++] = (char)c;
            continue;
        }
        dst[n++] = '\\';
        dst[n++] = 'x';
        dst[n++] = hex[c >> 4];
        dst[n++] = hex[c & 15];
    }
    dst[n] = '\0';
    return n;
}

void kt_log(enum kt_log_level level, const char *area, const char *fmt, ...)
{
    static const char *const names[] = { "", "ERROR", "WARN ", "INFO ", "DEBUG" };
    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
        return;

    char text[2048], raw[2560], clean[3072], when[KT_RFC3339_SIZE], line[3200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    snprintf(raw, sizeof(raw), "%s: %s", area, text);
    escape(clean, sizeof(clean), raw);
    kt_rfc3339_format(when, kt_clock_wall_us());
    const int n = snprintf(line, sizeof(line), "%s %s %s\n", when, names[level], clean);
    /* One write(2) per line: lines of different threads never mix. */
    if (n > 0 && write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nowhere left to say it */
}

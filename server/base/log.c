#include "server/base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/text.h"

static atomic_int log_level = KT_LOG_INFO;

/* What is shown in the browser: the newest lines. */
static struct {
    pthread_mutex_t lock;
    struct kt_log_line line[KT_LOG_KEPT];
    size_t count;                       /* lines ever kept */
} kept = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep(int64_t wall_us, enum kt_log_level level, const char *text)
{
    pthread_mutex_lock(&kept.lock);
    struct kt_log_line *l = &kept.line[kept.count++ % KT_LOG_KEPT];
    l->wall_us = wall_us;
    l->level = level;
    (void)kt_text_printable(l->text, sizeof(l->text), text);    /* ends with a whole character */
    pthread_mutex_unlock(&kept.lock);
}

size_t kt_log_recent(struct kt_log_line *out, size_t max)
{
    pthread_mutex_lock(&kept.lock);
    const size_t have = kept.count < KT_LOG_KEPT ? kept.count : KT_LOG_KEPT;
    const size_t n = have < max ? have : max;
    for (size_t i = 0; i < n; i++)
        out[i] = kept.line[(kept.count - n + i) % KT_LOG_KEPT];
    pthread_mutex_unlock(&kept.lock);
    return n;
}

void kt_log_set_level(enum kt_log_level level)
{
    atomic_store(&log_level, (int)level);
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
    (void)kt_text_printable(clean, sizeof(clean), raw);
    const int64_t now = kt_clock_wall_us();
    kt_rfc3339_format(when, now);
    keep(now, level, clean);
    const int n = snprintf(line, sizeof(line), "%s %s %s\n", when, names[level], clean);
    /* One write(2) per line: lines of different threads never mix. */
    if (n > 0 && write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nowhere left to say it */
}

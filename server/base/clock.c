#include "server/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#define YEAR_10000_S INT64_C(253402300800)

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * KT_SECOND_US + ts.tv_nsec / 1000;
}

int64_t kt_clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t kt_clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

struct timespec kt_clock_deadline(int64_t timeout_us)
{
    const int64_t at = kt_clock_mono_us() + timeout_us;
    return (struct timespec){ .tv_sec = at / KT_SECOND_US, .tv_nsec = at % KT_SECOND_US * 1000 };
}

int kt_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int ret = pthread_condattr_init(&attr);
    if (ret)
        return -ret;
    ret = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (ret == 0)
        ret = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return -ret;
}

bool kt_clock_synchronised(int64_t *max_error_us)
{
    struct timex tx = { .modes = 0 };
    const int state = adjtimex(&tx);
    if (max_error_us)
        *max_error_us = tx.maxerror;
    return state >= 0 && state != TIME_ERROR && !(tx.status & STA_UNSYNC);
}

int kt_clock_use_timezone(const char *timezone)
{
    setenv("TZ", timezone, 1);
    tzset();
    const time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    return (int)tm.tm_gmtoff;
}

void kt_rfc3339_format(char out[KT_RFC3339_SIZE], int64_t wall_us)
{
    time_t s = wall_us / KT_SECOND_US;
    int64_t us = wall_us % KT_SECOND_US;
    if (us < 0) {
        us += KT_SECOND_US;
        s--;
    }
    struct tm tm;
    gmtime_r(&s, &tm);
    char date[24];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, KT_RFC3339_SIZE, "%s.%03dZ", date, (int)(us / 1000));
}

/* ".123456" -> microseconds; TEXT moves past the digits. */
static int64_t parse_fraction(const char **text)
{
    int64_t us = 0, unit = 100000;
    if (**text != '.')
        return 0;
    for ((*text)++; isdigit((unsigned char)**text); (*text)++) {
        us += (**text - '0') * unit;
        unit /= 10;
    }
    return us;
}

static int parse_seconds(const char *text, int64_t *wall_us)
{
    char *end;
    errno = 0;
    const long long s = strtoll(text, &end, 10);
    const char *p = end;
    if (errno || p == text || s < 0 || s >= YEAR_10000_S)
        return -EINVAL;
    const int64_t us = parse_fraction(&p);
    if (*p)
        return -EINVAL;
    *wall_us = s * KT_SECOND_US + us;
    return 0;
}

static int parse_offset(const char *p, int64_t *seconds)
{
    if ((*p == 'Z' || *p == 'z') && !p[1]) {
        *seconds = 0;
        return 0;
    }
    int h, m, n = 0;
    /* A '+' in a query string may arrive as a space. */
    if (sscanf(p + 1, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5 || p[6] || h > 23 || m > 59 ||
        !strchr("+- ", *p))
        return -EINVAL;
    *seconds = (h * 60 + m) * 60 * (*p == '-' ? -1 : 1);
    return 0;
}

int kt_rfc3339_parse(const char *text, int64_t *wall_us)
{
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    if (strlen(text) < 11 || text[4] != '-')
        return parse_seconds(text, wall_us);

    struct tm tm = { 0 };
    const char *p = strptime(text, "%Y-%m-%d", &tm);
    if (!p || (*p != 'T' && *p != 't' && *p != ' '))
        return -EINVAL;
    p = strptime(p + 1, "%H:%M:%S", &tm);
    if (!p)
        return -EINVAL;
    const int mday = tm.tm_mday;
    const int64_t us = parse_fraction(&p);
    int64_t offset;
    if (!*p || parse_offset(p, &offset) < 0)
        return -EINVAL;
    const int64_t s = (int64_t)timegm(&tm) - offset;
    if (tm.tm_mday != mday || s < 0 || s >= YEAR_10000_S)  /* 31 February became March */
        return -EINVAL;
    *wall_us = s * KT_SECOND_US + us;
    return 0;
}

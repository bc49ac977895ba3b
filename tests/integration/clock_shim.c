/*
 * clock_shim.c - preloaded into the daemon, it shifts the wall clock by as many nanoseconds as
 * the file named in KT_CLOCK_OFFSET holds (int64, native): a clock that a test can step. A second
 * number there says whether the kernel thinks it right: 0 as it is, 1 synchronised, 2 not.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)

static const volatile int64_t *offset;
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_adjtimex)(struct timex *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("KT_CLOCK_OFFSET");
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
    *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_adjtimex = dlsym(RTLD_NEXT, "adjtimex");
    if (map == MAP_FAILED || !real_gettime || !real_adjtimex)
        abort();
    offset = map;
    close(fd);
}

int clock_gettime(clockid_t which, struct timespec *out)
{
    if (!real_gettime)      /* somebody else's constructor came first */
        *(void **)&real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const int ret = real_gettime(which, out);
    if (ret != 0 || !offset || (which != CLOCK_REALTIME && which != CLOCK_REALTIME_COARSE))
        return ret;
    const int64_t ns = out->tv_sec * SECOND_NS + out->tv_nsec + *offset;
    out->tv_sec = ns / SECOND_NS;
    out->tv_nsec = ns % SECOND_NS;
    return 0;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int adjtimex(struct timex *tx)
{
    const int ret = real_adjtimex(tx);
    if (ret < 0 || offset[1] == 0)
        return ret;
    tx->status = offset[1] == 1 ? tx->status & ~(STA_UNSYNC | STA_CLOCKERR) : tx->status | STA_UNSYNC;
    return offset[1] == 1 ? TIME_OK : TIME_ERROR;
}

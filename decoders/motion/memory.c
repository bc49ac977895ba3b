/* memory.c - a header, the planes, and FNV-1a over both. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decoders/motion/memory.h"
#include "server/base/clock.h"

#define MAGIC "KTPLACE1"
#define MAX_SIDE 8192
#define TENTH_US (KT_SECOND_US / 10)

/* In the order of the machine: the file never leaves it. */
struct header {
    char magic[8];
    int32_t w, h;
    uint8_t has_colour, zero[3];
    uint16_t usual[KT_NOISE_BANDS], contrast, repeat;   /* repeat: 1/10 s */
    uint64_t sum;                   /* of the header with this 0, then the planes */
};

size_t kt_memory_bytes(int w, int h)
{
    const size_t n = (size_t)w * (size_t)h, c = (size_t)((w + 1) / 2) * (size_t)((h + 1) / 2);
    return 2 * n + 2 * c;
}

int kt_memory_create(struct kt_memory **out, int w, int h)
{
    if (w < 1 || h < 1 || w > MAX_SIDE || h > MAX_SIDE)
        return -EINVAL;
    kt_cleanup(kt_memory_destroy) struct kt_memory *m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->w = w;
    m->h = h;
    m->planes = calloc(kt_memory_bytes(w, h), 1);
    if (!m->planes)
        return -ENOMEM;
    *out = kt_steal_ptr(&m);
    return 0;
}

void kt_memory_destroy(struct kt_memory **pm)
{
    struct kt_memory *m = kt_steal_ptr(pm);
    if (!m)
        return;
    free(m->planes);
    free(m);
}

static uint64_t fnv(uint64_t sum, const void *data, size_t n)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * UINT64_C(1099511628211);
    return sum;
}

static uint64_t sum_of(struct header h, const uint8_t *planes, size_t n)
{
    h.sum = 0;
    return fnv(fnv(UINT64_C(14695981039346656037), &h, sizeof(h)), planes, n);
}

int kt_memory_save(const struct kt_memory *m, const char *path)
{
    char part[PATH_MAX];
    const size_t n = kt_memory_bytes(m->w, m->h);
    struct header h;
    memset(&h, 0, sizeof(h));
    memcpy(h.magic, MAGIC, sizeof(h.magic));
    h.w = m->w;
    h.h = m->h;
    h.has_colour = m->has_colour;
    memcpy(h.usual, m->noise.usual, sizeof(h.usual));
    h.contrast = m->noise.contrast;
    h.repeat = (uint16_t)(m->repeat_us / TENTH_US);
    h.sum = sum_of(h, m->planes, n);
    if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    const int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    kt_cleanup(kt_fclosep) FILE *f = fdopen(fd, "w");
    if (!f) {
        const int ret = -errno;
        (void)close(fd);
        return ret;
    }
    if (fwrite(&h, sizeof(h), 1, f) != 1 || fwrite(m->planes, 1, n, f) != n || fflush(f) != 0 ||
        rename(part, path) < 0) {
        const int ret = errno ? -errno : -EIO;
        (void)unlink(part);
        return ret;
    }
    return 0;
}

int kt_memory_load(struct kt_memory **out, const char *path)
{
    struct header h;
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    if (!f)
        return -errno;
    if (fread(&h, sizeof(h), 1, f) != 1 || memcmp(h.magic, MAGIC, sizeof(h.magic)) != 0 ||
        h.w < 1 || h.h < 1 || h.w > MAX_SIDE || h.h > MAX_SIDE)
        return -EBADMSG;
    kt_cleanup(kt_memory_destroy) struct kt_memory *m = NULL;
    const int ret = kt_memory_create(&m, h.w, h.h);
    if (ret < 0)
        return ret;
    const size_t n = kt_memory_bytes(h.w, h.h);
    if (fread(m->planes, 1, n, f) != n || fgetc(f) != EOF || sum_of(h, m->planes, n) != h.sum)
        return -EBADMSG;
    m->has_colour = h.has_colour;
    memcpy(m->noise.usual, h.usual, sizeof(h.usual));
    m->noise.contrast = h.contrast;
    m->repeat_us = h.repeat * TENTH_US;
    *out = kt_steal_ptr(&m);
    return 0;
}

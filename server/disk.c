/* disk.c - /sys/dev/block, hwmon and the error count of ext4. */
#include "server/disk.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "server/base/cleanup.h"

/* The first line of DIR/NAME without blanks at its ends. */
static bool read_line(const char *dir, const char *name, char *out, size_t cap)
{
    char path[PATH_MAX], line[128];
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return false;
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    if (!f || !fgets(line, sizeof(line), f))
        return false;
    const char *start = line + strspn(line, " \t");
    size_t n = strlen(start);
    while (n > 0 && strchr(" \t\r\n", start[n - 1]))
        n--;
    snprintf(out, cap, "%.*s", (int)n, start);
    return n > 0;
}

static bool read_number(const char *dir, const char *name, long long *out)
{
    char text[32], *end;
    if (!read_line(dir, name, text, sizeof(text)))
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

/* The hottest sensor of the disk, in thousandths of a degree as the kernel has it. */
static void read_temperature(struct kt_disk *d, const char *disk)
{
    static const char *const places[] = { "device/hwmon/hwmon*", "device/hwmon*", "device/device/hwmon/hwmon*" };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char pattern[PATH_MAX];
        glob_t found;
        if (snprintf(pattern, sizeof(pattern), "%s/%s", disk, places[i]) >= (int)sizeof(pattern) ||
            glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
            continue;
        for (size_t k = 0; k < found.gl_pathc; k++) {
            long long milli;
            if (!read_number(found.gl_pathv[k], "temp1_input", &milli) || milli < -60000 || milli > 200000)
                continue;
            const int celsius = (int)(milli / 1000);
            if (!d->known_temperature || celsius > d->temperature_c)
                d->temperature_c = celsius;
            d->known_temperature = true;
        }
        globfree(&found);
    }
}

/* REAL is the folder of the block device in /sys, without links. */
static void read_device(struct kt_disk *d, char *real, const char *sys)
{
    char fs[PATH_MAX], partition[PATH_MAX + 16];
    long long number;
    snprintf(d->device, sizeof(d->device), "%s", strrchr(real, '/') + 1);
    if (snprintf(fs, sizeof(fs), "%s/fs/ext4/%s", sys, d->device) < (int)sizeof(fs) &&
        read_number(fs, "errors_count", &number))
        d->errors = number;
    snprintf(partition, sizeof(partition), "%s/partition", real);
    if (access(partition, F_OK) == 0)
        *strrchr(real, '/') = '\0';         /* the disk that the partition is on */
    (void)read_line(real, "device/model", d->model, sizeof(d->model));
    d->known_kind = read_number(real, "queue/rotational", &number);
    d->rotates = d->known_kind && number != 0;
    read_temperature(d, real);
}

int kt_disk_look(struct kt_disk *out, const char *path, const char *sys)
{
    struct stat st;
    struct statvfs vfs;
    char link[PATH_MAX], real[PATH_MAX];
    *out = (struct kt_disk){ .errors = -1 };
    if (stat(path, &st) < 0 || statvfs(path, &vfs) < 0)
        return -errno;
    out->total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
    out->free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
    if (snprintf(link, sizeof(link), "%s/dev/block/%u:%u", sys, major(st.st_dev), minor(st.st_dev)) <
            (int)sizeof(link) && realpath(link, real) && strrchr(real, '/'))
        read_device(out, real, sys);
    return 0;
}

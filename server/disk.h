/*
 * disk.h - what the kernel says of the disk under a folder, without any privilege:
 * no device is opened, so the sandbox of the daemon stays closed.
 *
 * Threads: any. Errors: 0 or a negative errno. Nothing here logs.
 */
#ifndef KT_SERVER_DISK_H
#define KT_SERVER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/error.h"

struct kt_disk {
    char device[32];            /* "sda1"; empty where it is no disk of this machine */
    char model[64];             /* "WDC WD20PURZ-85G"; may be empty */
    uint64_t total_bytes;       /* of the file system */
    uint64_t free_bytes;        /* for this program */
    bool known_kind;
    bool rotates;               /* with KNOWN_KIND: a hard disk, else flash */
    bool known_temperature;
    int temperature_c;          /* with KNOWN_TEMPERATURE; needs the kernel's drivetemp or NVMe */
    int64_t errors;             /* that the file system counted (ext4); -1: it does not say */
};

/* Look at the disk under PATH. SYS is "/sys". -errno of stat(2) for PATH; what the kernel
 * does not tell is left unknown. */
kt_must_check int kt_disk_look(struct kt_disk *out, const char *path, const char *sys);

#endif

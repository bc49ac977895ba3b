#include "server/disk.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/run_suite.h"

static char dir[64], device[300];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void make_dirs(const char *path)
{
    char part[256];
    for (const char *p = path + strlen(dir) + 1; ; p++) {
        if (*p && *p != '/')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)(p - path), path);
        ck_assert(mkdir(part, 0700) == 0 || errno == EEXIST);
        if (!*p)
            return;
    }
}

/* DIR/PATH holds TEXT. */
static void put(const char *path, const char *text)
{
    char full[256], folder[256];
    snprintf(full, sizeof(full), "%s/%s", dir, path);
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(full, '/') - full), full);
    make_dirs(folder);
    FILE *f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

/* A /sys in which the device that holds DIR is TARGET, below "devices". */
static void setup(void)
{
    struct stat st;
    char path[256];
    strcpy(dir, "/tmp/kt-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(stat(dir, &st), 0);
    snprintf(path, sizeof(path), "%s/dev/block", dir);
    make_dirs(path);
    snprintf(device, sizeof(device), "%s/%u:%u", path, major(st.st_dev), minor(st.st_dev));
}

static void teardown(void)
{
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void is_device(const char *target)
{
    ck_assert_int_eq(symlink(target, device), 0);
}

START_TEST(a_partition_is_told_with_its_disk)
{
    struct kt_disk d;
    put("devices/ata1/block/sdb/sdb1/partition", "1\n");
    put("devices/ata1/block/sdb/device/model", "WDC WD20PURZ-85G  \n");
    put("devices/ata1/block/sdb/queue/rotational", "1\n");
    put("devices/ata1/block/sdb/device/hwmon/hwmon2/temp1_input", "41000\n");
    put("fs/ext4/sdb1/errors_count", "3\n");
    is_device("../../devices/ata1/block/sdb/sdb1");
    ck_assert_int_eq(kt_disk_look(&d, dir, dir), 0);
    ck_assert_str_eq(d.device, "sdb1");
    ck_assert_str_eq(d.model, "WDC WD20PURZ-85G");
    ck_assert(d.known_kind && d.rotates && d.known_temperature);
    ck_assert_int_eq(d.temperature_c, 41);
    ck_assert_int_eq(d.errors, 3);
    ck_assert_uint_gt(d.total_bytes, 0);
    ck_assert_uint_le(d.free_bytes, d.total_bytes);
}
END_TEST

START_TEST(a_whole_disk_is_told_and_the_hottest_sensor_counts)
{
    struct kt_disk d;
    put("devices/pci/nvme0n1/device/model", "Samsung SSD\n");
    put("devices/pci/nvme0n1/queue/rotational", "0\n");
    put("devices/pci/nvme0n1/device/hwmon1/temp1_input", "38850\n");
    put("devices/pci/nvme0n1/device/hwmon2/temp1_input", "52000\n");
    is_device("../../devices/pci/nvme0n1");
    ck_assert_int_eq(kt_disk_look(&d, dir, dir), 0);
    ck_assert_str_eq(d.device, "nvme0n1");
    ck_assert(d.known_kind && !d.rotates);
    ck_assert_int_eq(d.temperature_c, 52);
    ck_assert_int_eq(d.errors, -1);
}
END_TEST

START_TEST(what_the_kernel_does_not_tell_is_unknown)
{
    struct kt_disk d;
    ck_assert_int_eq(kt_disk_look(&d, dir, dir), 0);        /* no such device in this /sys */
    ck_assert_str_eq(d.device, "");
    ck_assert_str_eq(d.model, "");
    ck_assert(!d.known_kind && !d.known_temperature);
    put("devices/sdc/queue/rotational", "maybe\n");
    put("devices/sdc/device/hwmon/hwmon0/temp1_input", "999999999\n");
    put("fs/ext4/sdc/errors_count", "\n");
    is_device("../../devices/sdc");
    ck_assert_int_eq(kt_disk_look(&d, dir, dir), 0);
    ck_assert_str_eq(d.device, "sdc");
    ck_assert(!d.known_kind && !d.known_temperature);
    ck_assert_int_eq(d.errors, -1);
    ck_assert_int_eq(kt_disk_look(&d, "/no/such/folder", dir), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk");
    TCase *tc = tcase_create("disk");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_partition_is_told_with_its_disk);
    tcase_add_test(tc, a_whole_disk_is_told_and_the_hottest_sensor_counts);
    tcase_add_test(tc, what_the_kernel_does_not_tell_is_unknown);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

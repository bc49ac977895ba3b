#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

static char dir[64], inside[96], outside[96];

static void setup(void)
{
    strcpy(dir, "/tmp/kt-sandbox-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(inside, sizeof(inside), "%s/in", dir);
    snprintf(outside, sizeof(outside), "%s/out", dir);
    ck_assert_int_eq(mkdir(inside, 0700), 0);
    ck_assert_int_eq(mkdir(outside, 0700), 0);
}

static void teardown(void)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int write_file(const char *folder, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

/* Each test is a process of its own: what is taken away there does not come back. */
START_TEST(files_are_made_changed_and_deleted_in_the_own_folders_only)
{
    char path[160], later[160];
    ck_assert_int_eq(write_file(outside, "old"), 0);
    snprintf(later, sizeof(later), "%s/not/yet/there", inside);
    const char *const list[] = { inside, later };
    const int ret = kt_sandbox_write_only_below(list, 2);
    if (ret == -EOPNOTSUPP)
        return;
    ck_assert_int_eq(ret, 0);
    ck_assert_int_eq(write_file(inside, "new"), 0);
    snprintf(path, sizeof(path), "%s/not", inside);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(write_file(outside, "new"), -EACCES);
    ck_assert_int_eq(write_file(outside, "old"), -EACCES);
    snprintf(path, sizeof(path), "%s/old", outside);
    ck_assert_int_lt(unlink(path), 0);
    ck_assert_int_ge(open(path, O_RDONLY), 0);
    ck_assert_int_ge(open("/dev/null", O_WRONLY), 0);
}
END_TEST

START_TEST(there_is_no_core_file)
{
    struct rlimit limit;
    kt_sandbox_no_core();
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_max, 0);
#ifndef __SANITIZE_ADDRESS__
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sandbox");
    TCase *tc = tcase_create("sandbox");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_add_test(tc, files_are_made_changed_and_deleted_in_the_own_folders_only);
    tcase_add_test(tc, there_is_no_core_file);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_set_fork_status(runner, CK_FORK);   /* also where CK_FORK=no is asked for */
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

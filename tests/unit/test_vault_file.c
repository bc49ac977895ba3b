#include "storage/vault/vault_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/unit/run_suite.h"

static char dir[64];
static int dir_fd;

static void setup(void)
{
    strcpy(dir, "/tmp/kt-vault-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert_int_ge(dir_fd, 0);
}

static void teardown(void)
{
    char command[96];
    close(dir_fd);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static int exists(const char *name)
{
    return faccessat(dir_fd, name, F_OK, 0) == 0;
}

START_TEST(file_is_invisible_until_commit)
{
    kt_vault_file *file = NULL;
    struct kt_vault_file_info info;
    ck_assert_int_eq(kt_vault_file_create(&file, dir_fd, "a.mp4", 1000), 0);
    ck_assert_int_eq(kt_vault_file_append(file, "video", 5), 0);
    ck_assert(!exists("a.mp4"));
    ck_assert_int_eq(kt_vault_file_commit(&file, &info), 0);
    ck_assert_ptr_null(file);
    ck_assert(exists("a.mp4") && !exists("a.mp4.part"));
    ck_assert_uint_eq(info.size_bytes, 5);
    /* printf video | sha256sum */
    ck_assert_str_eq(info.sha256, "0cab1c9617404faf2b24e221e189ca5945813e14d3f766345b09ca13bbe28ffc");
}
END_TEST

START_TEST(a_taken_name_keeps_the_older_file)
{
    kt_vault_file *file = NULL;
    ck_assert_int_eq(kt_vault_file_create(&file, dir_fd, "a.mp4", 0), 0);
    ck_assert_int_eq(kt_vault_file_commit(&file, NULL), 0);
    ck_assert_int_eq(kt_vault_file_create(&file, dir_fd, "a.mp4", 0), 0);
    ck_assert_int_eq(kt_vault_file_append(file, "x", 1), 0);
    ck_assert_int_eq(kt_vault_file_commit(&file, NULL), -EEXIST);
    ck_assert_ptr_null(file);
    ck_assert(exists("a.mp4") && !exists("a.mp4.part"));
}
END_TEST

START_TEST(a_leftover_is_not_written_over)
{
    kt_vault_file *file = NULL, *other = NULL;
    ck_assert_int_eq(kt_vault_file_create(&file, dir_fd, "a.mp4", 0), 0);
    ck_assert_int_eq(kt_vault_file_create(&other, dir_fd, "a.mp4", 0), -EEXIST);
    ck_assert_ptr_null(other);
    kt_vault_file_discard(&file);
    ck_assert(!exists("a.mp4.part"));
}
END_TEST

START_TEST(full_disk_is_reported_and_leaves_nothing)
{
    kt_vault_file *file = NULL;
    struct rlimit was;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &was), 0);
    ck_assert_int_eq(kt_vault_file_create(&file, dir_fd, "a.mp4", 0), 0);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ .rlim_cur = 4, .rlim_max = was.rlim_max });
    int ret = kt_vault_file_append(file, "12345678", 8);    /* a short write, then the failure */
    setrlimit(RLIMIT_FSIZE, &was);                          /* before asserting: Check writes files */
    ck_assert_int_eq(ret, -EFBIG);
    kt_vault_file_discard(&file);
    ck_assert(!exists("a.mp4.part"));
}
END_TEST

static const char *const bad_names[] = { "", "/", "../a.mp4", "cam/a.mp4" };
START_TEST(name_with_a_path_is_refused)
{
    kt_vault_file *file = NULL;
    ck_assert_int_eq(kt_vault_file_create(&file, dir_fd, bad_names[_i], 0), -EINVAL);
    ck_assert_ptr_null(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vault_file");
    TCase *tc = tcase_create("vault_file");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, file_is_invisible_until_commit);
    tcase_add_test(tc, a_taken_name_keeps_the_older_file);
    tcase_add_test(tc, a_leftover_is_not_written_over);
    tcase_add_test(tc, full_disk_is_reported_and_leaves_nothing);
    tcase_add_loop_test(tc, name_with_a_path_is_refused, 0, (int)(sizeof(bad_names) / sizeof(bad_names[0])));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

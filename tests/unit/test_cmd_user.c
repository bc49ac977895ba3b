#include <string.h>

#include "server/commands.h"
#include "storage/catalog/audit.h"
#include "storage/catalog/people.h"

#include "tests/unit/run_suite.h"

static char dir[64], path[96];

static void setup(void)
{
    strcpy(dir, "/tmp/kt-cmd-user-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
    setenv("KENTONGAN_ADMIN_PASSWORD", "sepeda-merah-7", 1);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* `kentongan user A B --catalog PATH [--role ROLE]` */
static int user(const char *a, const char *b, const char *role)
{
    char *argv[8] = { (char *)"user", (char *)a };
    int argc = 2;
    if (b)
        argv[argc++] = (char *)b;
    argv[argc++] = (char *)"--catalog";
    argv[argc++] = path;
    if (role) {
        argv[argc++] = (char *)"--role";
        argv[argc++] = (char *)role;
    }
    optind = 0;
    return kt_cmd_user(argc, argv);
}

static int can_login(const char *password)
{
    kt_catalog *c = NULL;
    char token[KT_TOKEN_SIZE];
    int retry;
    ck_assert_int_eq(kt_catalog_open(&c, path, NULL), 0);
    const int ret = kt_catalog_login(c, "budi", password, NULL, token, &retry);
    kt_catalog_close(&c);
    return ret == 0;
}

START_TEST(an_account_is_made_and_gets_another_password)
{
    ck_assert_int_eq(user("add", "budi", "head"), 0);
    ck_assert(can_login("sepeda-merah-7"));
    ck_assert_int_eq(user("add", "budi", NULL), 1);
    setenv("KENTONGAN_ADMIN_PASSWORD", "kopi-tubruk-9", 1);
    ck_assert_int_eq(user("passwd", "budi", NULL), 0);
    ck_assert(!can_login("sepeda-merah-7") && can_login("kopi-tubruk-9"));
    ck_assert_int_eq(user("passwd", "siti", NULL), 1);
    ck_assert_int_eq(user("list", NULL, NULL), 0);
    /* Who did it, but not the password, is in the audit log. */
    kt_catalog *c = NULL;
    struct kt_audit_row *rows = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_open(&c, path, NULL), 0);
    ck_assert_int_eq(kt_catalog_audit_list(c, &(struct kt_audit_filter){ .limit = 10 }, &rows, &n), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(rows[0].action, "user-password");
    ck_assert_str_eq(rows[1].object, "budi");
    kt_audit_list_free(&rows, n);
    kt_catalog_close(&c);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    ck_assert_int_eq(user("frobnicate", "budi", NULL), 2);
    ck_assert_int_eq(user("add", NULL, NULL), 2);
    ck_assert_int_eq(user("add", "budi", "king"), 2);
    ck_assert_int_eq(user("add", "bu di", NULL), 1);
    setenv("KENTONGAN_ADMIN_PASSWORD", "short", 1);
    ck_assert_int_eq(user("add", "budi", NULL), 1);
    strcpy(path, "/nonexistent/catalog.db");
    ck_assert_int_eq(user("list", NULL, NULL), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cmd_user");
    TCase *tc = tcase_create("cmd_user");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_account_is_made_and_gets_another_password);
    tcase_add_test(tc, what_makes_no_sense_is_refused);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

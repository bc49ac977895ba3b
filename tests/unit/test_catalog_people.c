#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/accounts.h"
#include "storage/catalog/audit.h"

#include "tests/unit/catalog_kit.h"

static void setup(void)
{
    make_dir();
    open_catalog();
    ck_assert_int_eq(kt_catalog_user_add(c, "admin", "kuda-lumping-5", KT_ROLE_ADMIN), 0);
    ck_assert_int_eq(kt_catalog_user_add(c, "budi", "sepeda-merah-7", KT_ROLE_VOLUNTEER), 0);
}

static void login(const char *name, const char *password, char token[KT_TOKEN_SIZE])
{
    int retry;
    ck_assert_int_eq(kt_catalog_login(c, name, password, "10.0.0.1", token, &retry), 0);
}

static int alive(const char *token)
{
    struct kt_user *u = NULL;
    const int ret = kt_catalog_session_user(c, token, &u);
    kt_user_list_free(&u, 1);
    return ret;
}

/* ------------------------------ accounts ------------------------------ */

START_TEST(rights_narrow_at_the_next_request)
{
    char token[KT_TOKEN_SIZE];
    struct kt_user *u = NULL;
    login("budi", "sepeda-merah-7", token);
    ck_assert_int_eq(kt_catalog_session_user(c, token, &u), 0);
    ck_assert(kt_user_may_see(u, "gerbang") && kt_user_may_see(u, "kebun"));
    kt_user_list_free(&u, 1);
    ck_assert_int_eq(kt_catalog_user_set_cameras(c, "budi", "[\"gerbang\"]"), 0);
    ck_assert_int_eq(kt_catalog_session_user(c, token, &u), 0);
    ck_assert(kt_user_may_see(u, "gerbang") && !kt_user_may_see(u, "kebun"));
    ck_assert(!kt_user_may_see(u, "gerban") && !kt_user_may_see(u, ""));
    kt_user_list_free(&u, 1);
    ck_assert_int_eq(kt_catalog_user_set_cameras(c, "budi", "[]"), 0);
    ck_assert_int_eq(kt_catalog_user_get(c, "budi", &u), 0);
    ck_assert(!kt_user_may_see(u, "gerbang"));
    kt_user_list_free(&u, 1);
    ck_assert_int_eq(kt_catalog_user_set_cameras(c, "budi", "[\"../x\"]"), -EINVAL);
    ck_assert_int_eq(kt_catalog_user_set_cameras(c, "budi", "gerbang"), -EINVAL);
    ck_assert_int_eq(kt_catalog_user_set_cameras(c, "siti", NULL), -ENOENT);
    ck_assert_int_eq(kt_catalog_user_set_disabled(c, "budi", true), 0);
    ck_assert_int_eq(alive(token), -ENOENT);
    ck_assert_int_eq(kt_catalog_user_set_disabled(c, "budi", false), 0);
    ck_assert_int_eq(alive(token), -ENOENT);        /* the old session stays dead */
}
END_TEST

START_TEST(the_last_administrator_stays)
{
    struct kt_user *u = NULL;
    ck_assert_int_eq(kt_catalog_user_delete(c, "admin"), -EPERM);
    ck_assert_int_eq(kt_catalog_user_set_disabled(c, "admin", true), -EPERM);
    ck_assert_int_eq(kt_catalog_user_set_role(c, "admin", KT_ROLE_HEAD), -EPERM);
    ck_assert_int_eq(kt_catalog_user_get(c, "admin", &u), 0);
    ck_assert(u->role == KT_ROLE_ADMIN && !u->disabled);
    kt_user_list_free(&u, 1);
    ck_assert_int_eq(kt_catalog_user_set_role(c, "budi", KT_ROLE_ADMIN), 0);
    ck_assert_int_eq(kt_catalog_user_delete(c, "admin"), 0);
    ck_assert_int_eq(kt_catalog_user_get(c, "admin", &u), -ENOENT);
}
END_TEST

START_TEST(logging_out_everywhere_ends_all_sessions)
{
    char a[KT_TOKEN_SIZE], b[KT_TOKEN_SIZE], other[KT_TOKEN_SIZE];
    login("budi", "sepeda-merah-7", a);
    login("budi", "sepeda-merah-7", b);
    login("admin", "kuda-lumping-5", other);
    ck_assert_int_eq(kt_catalog_logout_all(c, "budi"), 2);
    ck_assert_int_eq(alive(a), -ENOENT);
    ck_assert_int_eq(alive(b), -ENOENT);
    ck_assert_int_eq(alive(other), 0);
    ck_assert_int_eq(kt_catalog_logout_all(c, "siti"), -ENOENT);
}
END_TEST

/* ------------------------------ sessions and throttling ------------------------------ */

static int run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    const int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_close(db);
    return rc;
}

START_TEST(a_session_ends_when_idle_and_after_a_week)
{
    char token[KT_TOKEN_SIZE];
    login("budi", "sepeda-merah-7", token);
    ck_assert_int_eq(run_sql("UPDATE session SET seen = seen - 12 * 3600000000 + 60000000"), SQLITE_OK);
    ck_assert_int_eq(alive(token), 0);                  /* and is prolonged by that */
    ck_assert_int_eq(kt_catalog_flush(c), 0);
    ck_assert_int_eq(run_sql("UPDATE session SET seen = seen - 12 * 3600000000 + 60000000"), SQLITE_OK);
    ck_assert_int_eq(alive(token), 0);
    ck_assert_int_eq(kt_catalog_flush(c), 0);
    ck_assert_int_eq(run_sql("UPDATE session SET created = created - 7 * 86400000000"), SQLITE_OK);
    ck_assert_int_eq(alive(token), -ENOENT);
    login("budi", "sepeda-merah-7", token);
    ck_assert_int_eq(run_sql("UPDATE session SET seen = seen - 12 * 3600000000"), SQLITE_OK);
    ck_assert_int_eq(alive(token), -ENOENT);
}
END_TEST

START_TEST(no_token_or_password_is_in_the_file)
{
    char token[KT_TOKEN_SIZE], command[256];
    login("budi", "sepeda-merah-7", token);
    kt_catalog_close(&c);
    snprintf(command, sizeof(command), "! grep -aqrFe %s -e sepeda-merah %s", token, dir);
    ck_assert_int_eq(system(command), 0);
    snprintf(command, sizeof(command), "test $(stat -c %%a %s) = 600", path);
    ck_assert_int_eq(system(command), 0);
    open_catalog();
}
END_TEST

static void *guess(void *arg)
{
    char token[KT_TOKEN_SIZE];
    int retry, *tried = arg;
    for (int i = 0; i < 6; i++)
        *tried += kt_catalog_login(c, "budi", "wrong-guess-1", "10.9.9.9", token, &retry) == -EACCES;
    return NULL;
}

START_TEST(guesses_sent_at_once_do_not_slip_through_together)
{
    pthread_t t[8];
    int tried[8] = { 0 }, sum = 0;
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, guess, &tried[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], NULL);
        sum += tried[i];
    }
    ck_assert_int_le(sum, 8);           /* five are free; one more may be under way */
    ck_assert_int_ge(sum, 5);
}
END_TEST

/* ------------------------------ second factor ------------------------------ */

/* RFC 6238, appendix B, SHA-1, the last six digits. */
static const struct {
    int64_t time;
    const char *code;
} rfc6238[] = { { 59, "287082" }, { 1111111109, "081804" }, { 1111111111, "050471" },
                { 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" } };

START_TEST(codes_are_those_of_the_standard)
{
    const uint8_t *secret = (const uint8_t *)"12345678901234567890";
    char code[7], text[KT_TOTP_TEXT_SIZE];
    int64_t matched;
    const int64_t step = rfc6238[_i].time / KT_TOTP_STEP_S;
    ck_assert_int_eq(kt_totp_code(secret, 20, step, code), 0);
    ck_assert_str_eq(code, rfc6238[_i].code);
    ck_assert_int_eq(kt_totp_check(secret, 20, code, step + 1, 0, &matched), 0);
    ck_assert_int_eq(matched, step);
    ck_assert_int_eq(kt_totp_check(secret, 20, code, step, step, &matched), -EACCES);
    ck_assert_int_eq(kt_totp_check(secret, 20, code, step + 2, 0, &matched), -EACCES);
    ck_assert_int_eq(kt_totp_check(secret, 20, "12345", step, 0, &matched), -EACCES);
    kt_base32(text, secret, 20);
    ck_assert_str_eq(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
}
END_TEST

static void unbase32(const char *text, uint8_t *out)
{
    uint32_t bits = 0;
    for (int have = 0; *text; text++) {
        bits = bits << 5 | (uint32_t)(*text >= 'A' ? *text - 'A' : *text - '2' + 26);
        have += 5;
        if (have >= 8)
            *out++ = (uint8_t)(bits >> (have -= 8));
    }
}

START_TEST(with_a_second_factor_the_password_alone_is_not_enough)
{
    char text[KT_TOTP_TEXT_SIZE], code[7], token[KT_TOKEN_SIZE];
    uint8_t secret[KT_TOTP_SECRET_BYTES];
    int retry;
    struct kt_user *u = NULL;
    ck_assert_int_eq(kt_catalog_totp_confirm(c, "budi", "123456"), -ENOENT);
    ck_assert_int_eq(kt_catalog_totp_begin(c, "budi", text), 0);
    login("budi", "sepeda-merah-7", token);         /* begun is not in use */
    unbase32(text, secret);
    ck_assert_int_eq(kt_totp_code(secret, sizeof(secret), kt_clock_wall_us() / KT_SECOND_US / 30, code), 0);
    ck_assert_int_eq(kt_catalog_totp_confirm(c, "budi", "000000x"), -EACCES);
    ck_assert_int_eq(kt_catalog_totp_confirm(c, "budi", code), 0);
    ck_assert_int_eq(kt_catalog_user_get(c, "budi", &u), 0);
    ck_assert(u->has_totp);
    kt_user_list_free(&u, 1);
    ck_assert_int_eq(kt_catalog_totp_begin(c, "budi", text), -EEXIST);      /* no other telephone instead */
    ck_assert_int_eq(kt_catalog_totp_begin(c, "tiada", text), -ENOENT);
    ck_assert_int_eq(kt_catalog_totp_confirm(c, "budi", code), -ENOENT);
    ck_assert_int_eq(kt_catalog_login(c, "budi", "sepeda-merah-7", NULL, token, &retry), -ENOKEY);
    ck_assert_int_eq(kt_catalog_login_code(c, "budi", "wrong-guess-1", code, NULL, token, &retry), -EACCES);
    ck_assert_int_eq(kt_catalog_login_code(c, "budi", "sepeda-merah-7", "999999x", NULL, token, &retry), -EACCES);
    ck_assert_int_eq(kt_catalog_login_code(c, "budi", "sepeda-merah-7", code, NULL, token, &retry), 0);
    ck_assert_int_eq(alive(token), 0);
    /* Seen over somebody's shoulder, it opens nothing more. */
    ck_assert_int_eq(kt_catalog_login_code(c, "budi", "sepeda-merah-7", code, NULL, token, &retry), -EACCES);
    ck_assert_int_eq(kt_catalog_totp_remove(c, "budi"), 0);
    login("budi", "sepeda-merah-7", token);
}
END_TEST

/* ------------------------------ invitations ------------------------------ */

START_TEST(an_invitation_makes_one_account_and_no_more)
{
    const struct kt_invitation in = { .role = KT_ROLE_POLICE, .cameras = (char *)"[\"gerbang\"]",
                                      .note = "Bripka Sari", .created_by = "admin" };
    char token[KT_TOKEN_SIZE];
    struct kt_invitation *offer = NULL;
    struct kt_user *u = NULL;
    ck_assert_int_eq(kt_catalog_invite(c, &in, 3600 * KT_SECOND_US, token), 0);
    ck_assert_int_eq(kt_catalog_invitation(c, token, &offer), 0);
    ck_assert_str_eq(offer->note, "Bripka Sari");
    kt_invitation_list_free(&offer, 1);
    ck_assert_int_eq(kt_catalog_invitation_use(c, token, "sari", "short"), -ERANGE);
    ck_assert_int_eq(kt_catalog_invitation_use(c, token, "budi", "kopi-tubruk-9"), -EEXIST);
    ck_assert_int_eq(kt_catalog_invitation_use(c, token, "sari", "kopi-tubruk-9"), 0);
    ck_assert_int_eq(kt_catalog_invitation_use(c, token, "sari2", "kopi-tubruk-9"), -ENOENT);
    ck_assert_int_eq(kt_catalog_user_get(c, "sari", &u), 0);
    ck_assert_int_eq(u->role, KT_ROLE_POLICE);
    ck_assert_str_eq(u->cameras, "[\"gerbang\"]");
    kt_user_list_free(&u, 1);
}
END_TEST

START_TEST(an_invitation_ends_by_time_or_by_withdrawal)
{
    const struct kt_invitation in = { .role = KT_ROLE_VOLUNTEER, .created_by = "admin" };
    char token[KT_TOKEN_SIZE];
    struct kt_invitation *list = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_invite(c, &in, 1, token), 0);
    ck_assert_int_eq(kt_catalog_invitation_use(c, token, "sari", "kopi-tubruk-9"), -ENOENT);
    ck_assert_int_eq(kt_catalog_invite(c, &in, 3600 * KT_SECOND_US, token), 0);
    ck_assert_int_eq(kt_catalog_invitation_list(c, &list, &n), 0);
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(kt_catalog_invitation_withdraw(c, list[0].id), 0);
    kt_invitation_list_free(&list, n);
    ck_assert_int_eq(kt_catalog_invitation_use(c, token, "sari", "kopi-tubruk-9"), -ENOENT);
    ck_assert_int_eq(kt_catalog_invite(c, &in, 0, token), -EINVAL);
}
END_TEST

/* ------------------------------ audit ------------------------------ */

static void fill_audit(void)
{
    for (int i = 0; i < 20; i++) {
        char object[16];
        snprintf(object, sizeof(object), "cam-%d", i);
        ck_assert_int_eq(kt_catalog_audit(c, i % 2 ? "budi" : "admin", "10.0.0.1", "play", object,
                                          "{\"from\":1}"), 0);
    }
    ck_assert_int_eq(kt_catalog_flush(c), 0);
}

START_TEST(the_audit_log_is_a_chain_that_reads_newest_first)
{
    uint8_t head[32], zero[32] = { 0 };
    uint64_t rows;
    struct kt_audit_row *list = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_audit_verify(c, head, &rows, NULL), 0);
    ck_assert(rows == 0 && memcmp(head, zero, 32) == 0);
    fill_audit();
    ck_assert_int_eq(kt_catalog_audit_verify(c, head, &rows, NULL), 0);
    ck_assert_uint_eq(rows, 20);
    ck_assert_int_eq(kt_catalog_audit_list(c, &(struct kt_audit_filter){ .who = "budi", .limit = 4 }, &list, &n), 0);
    ck_assert_uint_eq(n, 4);
    ck_assert_str_eq(list[0].object, "cam-19");
    ck_assert_mem_eq(list[0].hash, head, 32);
    const int64_t before = list[3].id;
    kt_audit_list_free(&list, n);
    ck_assert_int_eq(kt_catalog_audit_list(c, &(struct kt_audit_filter){ .who = "budi", .limit = 100,
                                                                         .before_id = before }, &list, &n), 0);
    ck_assert_uint_eq(n, 6);
    ck_assert_str_eq(list[0].object, "cam-11");
    kt_audit_list_free(&list, n);
}
END_TEST

/* What somebody with the file in hand may do, and which row betrays it. */
static const struct {
    const char *sql;
    int64_t row;
} forgeries[] = {
    { "UPDATE audit SET who = 'siti' WHERE id = 7", 7 },
    { "UPDATE audit SET time = time + 1 WHERE id = 3", 3 },
    { "DELETE FROM audit WHERE id = 5", 6 },
    { "UPDATE audit SET detail = '' WHERE id = 20", 20 },
    { "UPDATE audit SET hash = zeroblob(32) WHERE id = 1", 1 },
    { "UPDATE audit SET id = 100 WHERE id = 9; UPDATE audit SET id = 9 WHERE id = 10;"
      "UPDATE audit SET id = 10 WHERE id = 100", 9 },
};

START_TEST(a_forged_audit_row_shows)
{
    char sql[512];
    int64_t bad = 0;
    fill_audit();
    ck_assert_int_ne(run_sql(forgeries[_i].sql), SQLITE_OK);        /* append-only */
    ck_assert_int_eq(kt_catalog_audit_verify(c, NULL, NULL, &bad), 0);
    snprintf(sql, sizeof(sql), "DROP TRIGGER audit_unchanged; DROP TRIGGER audit_undeleted; %s",
             forgeries[_i].sql);
    ck_assert_int_eq(run_sql(sql), SQLITE_OK);
    ck_assert_int_eq(kt_catalog_audit_verify(c, NULL, NULL, &bad), -EBADMSG);
    ck_assert_int_eq(bad, forgeries[_i].row);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog_people");
    TCase *tc = tcase_create("catalog_people");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, rights_narrow_at_the_next_request);
    tcase_add_test(tc, the_last_administrator_stays);
    tcase_add_test(tc, logging_out_everywhere_ends_all_sessions);
    tcase_add_test(tc, a_session_ends_when_idle_and_after_a_week);
    tcase_add_test(tc, no_token_or_password_is_in_the_file);
    tcase_add_test(tc, guesses_sent_at_once_do_not_slip_through_together);
    tcase_add_loop_test(tc, codes_are_those_of_the_standard, 0, KT_ARRAY_SIZE(rfc6238));
    tcase_add_test(tc, with_a_second_factor_the_password_alone_is_not_enough);
    tcase_add_test(tc, an_invitation_makes_one_account_and_no_more);
    tcase_add_test(tc, an_invitation_ends_by_time_or_by_withdrawal);
    tcase_add_test(tc, the_audit_log_is_a_chain_that_reads_newest_first);
    tcase_add_loop_test(tc, a_forged_audit_row_shows, 0, KT_ARRAY_SIZE(forgeries));
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

/* What the catalog keeps when the process is killed, and how fast it answers when full. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "server/base/clock.h"
#include "storage/catalog/activity.h"
#include "storage/catalog/audit.h"
#include "storage/catalog/events.h"

#include "tests/unit/catalog_kit.h"

static void setup(void)
{
    make_dir();
}

/* ------------------------------ kill -9 ------------------------------ */

/* Write events for ever and say the id of each that is acknowledged. */
static void write_until_killed(int to)
{
    open_catalog();
    for (int64_t i = 1;; i++) {
        struct kt_event ev = { .camera = "gerbang", .type = "motion", .start_us = i, .end_us = i + 1 };
        const struct kt_activity a = { .second = i, .score = 1 };
        if (kt_catalog_activity_add(c, "gerbang", &a) < 0 ||
            kt_catalog_audit(c, "budi", NULL, "play", "gerbang", NULL) < 0 ||
            kt_catalog_event_put(c, &ev) < 0 || write(to, &ev.id, sizeof(ev.id)) != sizeof(ev.id))
            _exit(3);
    }
}

/* A child that writes; *FD says what it was told is safe. Call with no catalog open:
 * neither threads nor SQLite survive fork(). */
static pid_t start_writer(int *fd)
{
    int fds[2];
    int64_t first;
    ck_assert_ptr_null(c);
    ck_assert_int_eq(pipe(fds), 0);
    const pid_t child = fork();
    if (child == 0)
        write_until_killed(fds[1]);
    close(fds[1]);
    *fd = fds[0];
    ck_assert_int_eq(read(*fd, &first, sizeof(first)), sizeof(first));      /* it is under way */
    return child;
}

/* Kill it; the last id that it was told is safe, 0 when none came since. */
static int64_t kill_writer(pid_t child, int fd)
{
    int status;
    int64_t id, last = 0;
    kill(child, SIGKILL);
    while (read(fd, &id, sizeof(id)) == sizeof(id))
        last = id;
    close(fd);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

static void check_integrity(void)
{
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "PRAGMA integrity_check", "");
    ck_assert_int_eq(kt_db_step(stmt), 1);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "ok");
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
}

START_TEST(what_was_acknowledged_survives_kill_9)
{
    for (unsigned i = 0; i < 15; i++) {
        int fd;
        const pid_t child = start_writer(&fd);
        nanosleep(&(struct timespec){ 0, (long)(20000 + i * 7919 % 50000) * 1000 }, NULL);
        const int64_t last = kill_writer(child, fd);
        struct kt_event *ev = NULL;
        int64_t bad = 0;
        open_catalog();
        check_integrity();
        ck_assert_msg(!last || kt_catalog_event_get(c, last, &ev) == 0, "event %lld was acknowledged and is lost",
                      (long long)last);
        kt_event_list_free(&ev, 1);
        ck_assert_int_eq(kt_catalog_audit_verify(c, NULL, NULL, &bad), 0);
        kt_catalog_close(&c);
    }
}
END_TEST

START_TEST(a_damaged_catalog_is_one_clear_error_or_works)
{
    /* Zero a page at a time: never a crash, never a hang. */
    open_catalog();
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(kt_catalog_audit(c, "budi", NULL, "play", "gerbang", "{\"a\":1}"), 0);
    kt_catalog_close(&c);
    FILE *f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    fclose(f);
    for (long at = 0; at < size; at += 4096) {
        char command[512];
        struct kt_error err = { "" };
        snprintf(command, sizeof(command), "cp %s %s.copy && dd if=/dev/zero of=%s.copy bs=4096 count=1"
                 " seek=%ld conv=notrunc 2>/dev/null", path, path, path, at / 4096);
        ck_assert_int_eq(system(command), 0);
        snprintf(command, sizeof(command), "%s.copy", path);
        if (kt_catalog_open(&c, command, &err) == 0) {
            struct kt_audit_row *rows = NULL;
            size_t n = 0;
            if (kt_catalog_audit_list(c, &(struct kt_audit_filter){ .limit = 1000 }, &rows, &n) == 0)
                kt_audit_list_free(&rows, n);
        } else {
            ck_assert_msg(strstr(err.text, "catalog") && !strchr(err.text, '\n'), "%s", err.text);
        }
        kt_catalog_close(&c);
    }
}
END_TEST

START_TEST(a_catalog_of_the_first_version_is_taken_over)
{
    sqlite3 *db = NULL;
    open_catalog();
    kt_catalog_close(&c);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    /* Back to what version 1 made, with a user and an audit row in it. */
    ck_assert_int_eq(sqlite3_exec(db,
        "DROP TRIGGER audit_unchanged; DROP TRIGGER audit_undeleted; DROP INDEX audit_who;"
        "DROP TABLE share_log; DROP TABLE share; DROP TABLE export; DROP TABLE hold_file; DROP TABLE hold;"
        "DROP TABLE incident_user; DROP TABLE incident_event; DROP TABLE incident; DROP TABLE invitation;"
        "ALTER TABLE user DROP COLUMN totp; ALTER TABLE user DROP COLUMN totp_new;"
        "ALTER TABLE user DROP COLUMN totp_step; ALTER TABLE camera DROP COLUMN snapshot_url;"
        "ALTER TABLE session DROP COLUMN address; ALTER TABLE session DROP COLUMN agent;"
        "DROP INDEX event_long; DROP INDEX event_trouble; DROP INDEX event_marked; DROP INDEX activity_sum;"
        "PRAGMA user_version = 1;"
        "INSERT INTO user (username, hash, role, created) VALUES ('lama', 'x', 4, 1);", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    open_catalog();
    struct kt_user *u = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_user_list(c, &u, &n), 0);
    ck_assert(n == 1 && strcmp(u[0].username, "lama") == 0 && !u[0].has_totp);
    kt_user_list_free(&u, n);
    check_integrity();
}
END_TEST

START_TEST(two_processes_may_write)
{
    /* `kentongan user` beside the server. */
    int fd;
    const pid_t child = start_writer(&fd);
    open_catalog();
    for (int i = 0; i < 100; i++) {
        struct kt_event ev = { .camera = "kebun", .type = "motion", .start_us = 1, .end_us = 2 };
        ck_assert_int_eq(kt_catalog_event_put(c, &ev), 0);
    }
    const int64_t last = kill_writer(child, fd);
    struct kt_event ev = { .camera = "kebun", .type = "motion", .start_us = 1, .end_us = 2 };
    ck_assert_int_eq(kt_catalog_event_put(c, &ev), 0);      /* its lock went with it */
    ck_assert_int_gt(last, 0);
    check_integrity();
    ck_assert_int_eq(kt_catalog_audit_verify(c, NULL, NULL, NULL), 0);
}
END_TEST

/* ------------------------------ a month of forty cameras ------------------------------ */

/* Sanitizers slow down; the promise is for the product. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_MS 2000
#else
#define LIMIT_MS 100
#endif
#define CAMERAS 40
#define DAYS 30
#define DAY_MINUTES (24 * 60)
#define FIRST_MINUTE (INT64_C(1700000000) / 60 / 60 * 60)

/* A month as the catalog itself would have stored it: 15 % of all seconds with motion,
 * in bursts, and forty events a camera and day. Made with SQL: it is 6.5 M seconds. */
static void make_month(void)
{
    sqlite3 *db = NULL;
    char sql[1500];
    open_catalog();
    kt_catalog_close(&c);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    snprintf(sql, sizeof(sql),
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN;"
        "WITH RECURSIVE cam(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM cam WHERE i < %d),"
        " m(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM m WHERE k < %d)"
        " INSERT INTO activity SELECT printf('cam%%02d', i), %lld + k, 36 * 50, randomblob(36 * 20)"
        "  FROM cam, m WHERE (k * 7 + i * 13) %% 4 = 0;"
        "INSERT INTO activity_hour SELECT camera, minute / 60, sum(sum) FROM activity GROUP BY 1, 2;"
        "WITH RECURSIVE e(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM e WHERE i < %d)"
        " INSERT INTO event (camera, type, rule, start, end, score) SELECT printf('cam%%02d', i %% %d), 'motion',"
        "  '', (%lld * 60 + i * 54) * 1000000, (%lld * 60 + i * 54 + 20) * 1000000, 0.5 FROM e; COMMIT;",
        CAMERAS - 1, DAYS * DAY_MINUTES - 1, (long long)FIRST_MINUTE, CAMERAS * DAYS * 40 - 1, CAMERAS,
        (long long)FIRST_MINUTE, (long long)FIRST_MINUTE);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void heat_of_all(int64_t from_us, int64_t to_us, size_t buckets)
{
    static uint8_t heat[2000];
    for (int i = 0; i < CAMERAS; i++) {
        char camera[16];
        snprintf(camera, sizeof(camera), "cam%02d", i);
        ck_assert_int_eq(kt_catalog_activity_heat(c, camera, from_us, to_us, buckets, heat), 0);
        int moved = 0;
        for (size_t k = 0; k < buckets; k++)
            moved += heat[k] > 0;
        ck_assert_int_ge(moved, (int)buckets / 5);
    }
}

static void search_all(int64_t from_us, int64_t to_us)
{
    const uint8_t corner[KT_GRID_BYTES] = { 0x03, 0x00, 0x03 };
    for (int i = 0; i < CAMERAS; i++) {
        struct kt_activity_span *spans = NULL;
        size_t n = 0;
        char camera[16];
        snprintf(camera, sizeof(camera), "cam%02d", i);
        ck_assert_int_eq(kt_catalog_activity_search(c, camera, from_us, to_us, corner, 1000000, &spans, &n), 0);
        ck_assert_uint_gt(n, 1000);
        free(spans);
    }
}

START_TEST(a_month_of_forty_cameras_answers_in_100_ms)
{
    const int64_t from = FIRST_MINUTE * 60 * KT_SECOND_US;
    const int64_t month = from + (int64_t)DAYS * DAY_MINUTES * 60 * KT_SECOND_US;
    const int64_t week = from + INT64_C(7) * DAY_MINUTES * 60 * KT_SECOND_US;
    make_month();
    open_catalog();
    double t0 = cpu_ms();
    heat_of_all(from, month, 720);
    const double heat = cpu_ms() - t0;
    t0 = cpu_ms();
    heat_of_all(from, from + 86400 * KT_SECOND_US, 1440);
    const double day = cpu_ms() - t0;
    t0 = cpu_ms();
    search_all(from, week);
    const double search = cpu_ms() - t0;
    t0 = cpu_ms();
    struct kt_event *list = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_event_list(c, &(struct kt_event_filter){ .seen = -1, .limit = 1000,
                                                                         .from_us = week }, &list, &n), 0);
    kt_event_list_free(&list, n);
    const double events = cpu_ms() - t0;
    fprintf(stderr, "CPU for %d cameras: heat of %d days %.1f ms, of one day by the minute %.1f ms,"
            " a corner in a week %.1f ms; 1000 events %.1f ms\n", CAMERAS, DAYS, heat, day, search, events);
    ck_assert_msg(heat <= LIMIT_MS && day <= LIMIT_MS && events <= LIMIT_MS, "too slow");
    /* The worst of all: almost every one of four million seconds matches. */
    ck_assert_msg(search <= 2 * LIMIT_MS, "too slow");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog_power");
    TCase *tc = tcase_create("catalog_power");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_was_acknowledged_survives_kill_9);
    tcase_add_test(tc, a_damaged_catalog_is_one_clear_error_or_works);
    tcase_add_test(tc, a_catalog_of_the_first_version_is_taken_over);
    tcase_add_test(tc, two_processes_may_write);
    tcase_add_test(tc, a_month_of_forty_cameras_answers_in_100_ms);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

#include <errno.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/activity.h"
#include "storage/catalog/events.h"
#include "storage/catalog/people.h"

#include "tests/unit/catalog_kit.h"

static void setup(void)
{
    make_dir();
    open_catalog();
}

/* ------------------------------ cameras ------------------------------ */

START_TEST(cameras_and_settings_survive_a_restart)
{
    struct kt_camera_config cam = { .id = "gerbang", .name = "Gerbang \"'; DROP TABLE camera",
                                    .main_url = "rtsp://h/1", .transport = "tcp",
                                    .snapshot_url = "http://h/1.jpg",
                                    .analysis = KT_ANALYSIS_FULL, .enabled = true };
    ck_assert_int_eq(kt_catalog_camera_put(c, &cam), 0);
    ck_assert_int_eq(kt_catalog_setting_put(c, "k", "v1"), 0);
    ck_assert_int_eq(kt_catalog_setting_put(c, "k", "v2"), 0);
    reopen();
    struct kt_camera_config *list = NULL;
    size_t n = 0;
    char *value = NULL;
    ck_assert_int_eq(kt_catalog_camera_list(c, &list, &n), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(list[0].name, cam.name);
    ck_assert_str_eq(list[0].snapshot_url, cam.snapshot_url);
    ck_assert_int_eq(list[0].analysis, KT_ANALYSIS_FULL);
    ck_assert_int_eq(kt_catalog_setting_get(c, "k", &value), 0);
    ck_assert_str_eq(value, "v2");
    ck_assert_int_eq(kt_catalog_camera_delete(c, "gerbang"), 0);
    ck_assert_int_eq(kt_catalog_camera_delete(c, "gerbang"), -ENOENT);
    strcpy(cam.id, "../x");
    ck_assert_int_eq(kt_catalog_camera_put(c, &cam), -EINVAL);
    free(list);
    free(value);
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    kt_catalog_close(&c);
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(kt_db_run(db, "PRAGMA user_version = 999", ""), 0);
    sqlite3_close(db);
    struct kt_error err = { "" };
    ck_assert_int_eq(kt_catalog_open(&c, path, &err), -EINVAL);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(err.text, "999"));
}
END_TEST

START_TEST(a_file_that_is_no_database_is_one_clear_error)
{
    kt_catalog_close(&c);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is not a database\n", f);
    fclose(f);
    struct kt_error err = { "" };
    ck_assert_int_lt(kt_catalog_open(&c, path, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "catalog"));
}
END_TEST

/* ------------------------------ events ------------------------------ */

static int64_t add_event(const char *camera, int64_t start_us, int64_t end_us)
{
    struct kt_event ev = { .type = "motion", .start_us = start_us, .end_us = end_us, .score = 0.5 };
    strcpy(ev.camera, camera);
    ck_assert_int_eq(kt_catalog_event_put(c, &ev), 0);
    return ev.id;
}

static size_t count(const struct kt_event_filter *f, int64_t *first)
{
    struct kt_event *list = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_event_list(c, f, &list, &n), 0);
    if (first)
        *first = n ? list[0].id : 0;
    kt_event_list_free(&list, n);
    return n;
}

START_TEST(events_are_found_by_camera_time_type_and_seen)
{
    const int64_t a = add_event("a", 1000, 2000), b = add_event("b", 3000, 4000);
    const char *only_a[] = { "a" };
    int64_t first;
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10 }, &first), 2);
    ck_assert_int_eq(first, b);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .cameras = only_a,
                                                       .n_cameras = 1 }, &first), 1);
    ck_assert_int_eq(first, a);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .cameras = only_a,
                                                       .n_cameras = 0 }, NULL), 0);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .from_us = 2000 }, NULL), 1);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .to_us = 3000 }, NULL), 1);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .type = "line" }, NULL), 0);
    struct kt_event gate = { .camera = "a", .type = "line", .rule = "Portal", .start_us = 5000, .end_us = 6000 };
    ck_assert_int_eq(kt_catalog_event_put(c, &gate), 0);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .rule = "Portal" }, &first), 1);
    ck_assert_int_eq(first, gate.id);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = -1, .limit = 10, .rule = "portal" }, NULL), 0);
    ck_assert_int_eq(kt_catalog_event_set_seen(c, a, true), 0);
    ck_assert_int_eq(kt_catalog_event_set_seen(c, 9999, true), -ENOENT);
    ck_assert_uint_eq(count(&(struct kt_event_filter){ .seen = 1, .limit = 10 }, &first), 1);
    ck_assert_int_eq(first, a);
}
END_TEST

START_TEST(an_event_is_found_in_every_stretch_that_it_reaches_into)
{
    const int64_t hour = 3600 * INT64_C(1000000), day = 24 * hour;
    const int64_t days = add_event("a", 10 * day, 13 * day), minutes = add_event("a", 12 * day - hour / 2, 12 * day + hour / 2);
    const int64_t open = add_event("b", day, 0);
    struct kt_event_filter f = { .seen = -1, .limit = 10, .from_us = 12 * day, .to_us = 12 * day + hour };
    int64_t first;
    ck_assert_uint_eq(count(&f, &first), 3);
    ck_assert_int_eq(first, minutes);
    f.limit = 2;
    ck_assert_uint_eq(count(&f, &first), 2);
    f.from_us = 12 * day + hour;
    f.to_us = 0;
    f.limit = 10;
    ck_assert_uint_eq(count(&f, &first), 2);
    ck_assert_int_eq(first, days);
    f.from_us = 14 * day;
    ck_assert_uint_eq(count(&f, &first), 1);
    ck_assert_int_eq(first, open);
    f.to_us = day;
    f.from_us = 1;
    ck_assert_uint_eq(count(&f, NULL), 0);
}
END_TEST

static int64_t add_typed(const char *type, int64_t start, int64_t end)
{
    struct kt_event ev = { .start_us = start, .end_us = end };
    strcpy(ev.camera, "a");
    strcpy(ev.type, type);
    ck_assert_int_eq(kt_catalog_event_put(c, &ev), 0);
    return ev.id;
}

static bool pinned(const struct kt_event_pin *list, size_t n, int64_t id)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].id == id)
            return true;
    return false;
}

START_TEST(pins_are_few_spread_out_and_leave_out_no_trouble)
{
    const int64_t minute = 60 * INT64_C(1000000), hour = 60 * minute;
    struct kt_event_pin *list = NULL;
    size_t n, total;
    const int64_t before = add_typed("motion", 100 * hour - minute, 100 * hour + minute);
    for (int i = 0; i < 240; i++)
        add_typed("motion", 100 * hour + i * minute, 100 * hour + i * minute + minute / 2);
    const int64_t line = add_typed("line", 102 * hour + minute / 2, 102 * hour + minute);
    const int64_t away = add_typed("camera-offline", 101 * hour + minute / 3, 0);
    ck_assert_int_eq(kt_catalog_event_pins(c, "a", 100 * hour, 104 * hour, 1000, &list, &n, &total), 0);
    ck_assert_uint_eq(n, 243);
    ck_assert_uint_eq(total, 243);
    free(list);
    ck_assert_int_eq(kt_catalog_event_pins(c, "a", 100 * hour, 104 * hour, 16, &list, &n, &total), 0);
    ck_assert_uint_eq(total, 243);
    ck_assert(n >= 16 && n <= 3 * 16);
    ck_assert(pinned(list, n, before) && pinned(list, n, line) && pinned(list, n, away));
    for (size_t i = 1; i < n; i++)      /* a quarter of an hour each */
        ck_assert_int_le(list[i].start_us - list[i - 1].start_us, 16 * minute);
    free(list);
    /* Parts longer than an hour: what moved is told by the heat. */
    ck_assert_int_eq(kt_catalog_event_pins(c, "a", 99 * hour, 199 * hour, 16, &list, &n, &total), 0);
    ck_assert(n >= 1 && pinned(list, n, away));
    for (size_t i = 0; i < n; i++)
        ck_assert_str_ne(list[i].type, "motion");
    free(list);
    ck_assert_int_eq(kt_catalog_event_pins(c, "b", 0, 199 * hour, 16, &list, &n, &total), 0);
    ck_assert_uint_eq(n + total, 0);
    free(list);
}
END_TEST

START_TEST(paging_gives_every_event_once)
{
    for (int i = 0; i < 25; i++)
        add_event("a", 1000 + i / 5, 2000);         /* five of each start */
    struct kt_event_filter f = { .seen = -1, .limit = 4 };
    bool got[26] = { false };
    for (size_t n = f.limit; n == f.limit;) {
        struct kt_event *list = NULL;
        ck_assert_int_eq(kt_catalog_event_list(c, &f, &list, &n), 0);
        for (size_t i = 0; i < n; i++) {
            ck_assert(!got[list[i].id]);
            got[list[i].id] = true;
        }
        if (n) {
            f.before_start_us = list[n - 1].start_us;
            f.before_id = list[n - 1].id;
        }
        kt_event_list_free(&list, n);
    }
    for (int i = 1; i <= 25; i++)
        ck_assert(got[i]);
}
END_TEST

START_TEST(an_event_left_open_by_a_crash_is_closed)
{
    const int64_t last = INT64_C(1700000100000000);
    const int64_t ids[] = { add_event("a", INT64_C(1700000000000000), 0), add_event("b", last + 5, 0) };
    ck_assert_int_eq(kt_catalog_event_close_stale(c, last), 2);
    ck_assert_int_eq(kt_catalog_event_close_stale(c, last), 0);
    const int64_t ends[] = { last, last + 5 + 1000000 };        /* with the last video, or at once */
    for (int i = 0; i < 2; i++) {
        struct kt_event *ev = NULL;
        ck_assert_int_eq(kt_catalog_event_get(c, ids[i], &ev), 0);
        ck_assert_int_eq(ev->end_us, ends[i]);
        kt_event_list_free(&ev, 1);
    }
}
END_TEST

START_TEST(a_thumbnail_is_given_back_as_it_came)
{
    const int64_t id = add_event("a", 1, 2);
    uint8_t *jpeg = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_thumbnail_get(c, id, &jpeg, &n), -ENOENT);
    ck_assert_int_eq(kt_catalog_thumbnail_put(c, id, "\xff\xd8\0\xff", 4), 0);
    ck_assert_int_eq(kt_catalog_thumbnail_get(c, id, &jpeg, &n), 0);
    ck_assert_uint_eq(n, 4);
    ck_assert_mem_eq(jpeg, "\xff\xd8\0\xff", 4);
    free(jpeg);
}
END_TEST

/* ------------------------------ activity ------------------------------ */

START_TEST(heat_is_the_mean_of_the_seconds_at_every_width)
{
    const int64_t base = INT64_C(1700000000) / 3600 * 3600;
    for (int i = 0; i < 60; i++) {
        const struct kt_activity a = { .second = base + i, .score = 100, .grid = { 1 } };
        ck_assert_int_eq(kt_catalog_activity_add(c, "a", &a), 0);
    }
    ck_assert_int_eq(kt_catalog_flush(c), 0);
    uint8_t heat[2];
    const int64_t widths[] = { 60, 120, 7200 };
    for (size_t i = 0; i < KT_ARRAY_SIZE(widths); i++) {
        ck_assert_int_eq(kt_catalog_activity_heat(c, "a", base * KT_SECOND_US,
                                                  (base + widths[i]) * KT_SECOND_US, 2, heat), 0);
        const int expected = (int)(6000 / (widths[i] / 2)) > 100 ? 100 : (int)(6000 / (widths[i] / 2));
        ck_assert_int_le(abs(heat[0] - expected), 1);
        ck_assert_int_eq(heat[1], i == 0 ? 100 : i == 1 ? 0 : heat[1]);
    }
}
END_TEST

START_TEST(a_region_is_found_only_where_it_moved)
{
    const int64_t base = 1700000000;
    struct kt_activity a = { .second = base, .score = 9 };
    a.grid[0] = 0x01;
    ck_assert_int_eq(kt_catalog_activity_add(c, "a", &a), 0);
    a.second = base + 2;
    ck_assert_int_eq(kt_catalog_activity_add(c, "a", &a), 0);
    a.second = base + 100;
    a.grid[0] = 0x02;
    ck_assert_int_eq(kt_catalog_activity_add(c, "a", &a), 0);
    ck_assert_int_eq(kt_catalog_flush(c), 0);
    const uint8_t corner[KT_GRID_BYTES] = { 0x01 }, nowhere[KT_GRID_BYTES] = { 0x80 };
    struct kt_activity_span *list = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_activity_search(c, "a", base * KT_SECOND_US, (base + 200) * KT_SECOND_US,
                                                corner, 10, &list, &n), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(list[0].from_us, base * KT_SECOND_US);
    ck_assert_int_eq(list[0].to_us, (base + 3) * KT_SECOND_US);
    free(list);
    list = NULL;
    ck_assert_int_eq(kt_catalog_activity_search(c, "a", base * KT_SECOND_US, (base + 200) * KT_SECOND_US,
                                                nowhere, 10, &list, &n), 0);
    ck_assert_uint_eq(n, 0);
    free(list);
}
END_TEST

/* ------------------------------ people ------------------------------ */

START_TEST(the_right_password_opens_a_session_and_logging_out_ends_it)
{
    char token[KT_TOKEN_SIZE];
    int retry;
    ck_assert_int_eq(kt_catalog_user_add(c, "budi", "sepeda-merah-7", KT_ROLE_VOLUNTEER), 0);
    ck_assert_int_eq(kt_catalog_user_add(c, "budi", "sepeda-merah-8", KT_ROLE_ADMIN), -EEXIST);
    ck_assert_int_eq(kt_catalog_login(c, "budi", "sepeda-merah-8", "1.2.3.4", token, &retry), -EACCES);
    ck_assert_int_eq(kt_catalog_login(c, "siti", "sepeda-merah-7", "1.2.3.4", token, &retry), -EACCES);
    ck_assert_int_eq(kt_catalog_login(c, "budi", "sepeda-merah-7", "1.2.3.4", token, &retry), 0);
    reopen();
    struct kt_user *u = NULL;
    ck_assert_int_eq(kt_catalog_session_user(c, token, &u), 0);
    ck_assert_str_eq(u->username, "budi");
    ck_assert_int_eq(u->role, KT_ROLE_VOLUNTEER);
    kt_user_list_free(&u, 1);
    ck_assert_int_eq(kt_catalog_logout(c, token), 0);
    ck_assert_int_eq(kt_catalog_session_user(c, token, &u), -ENOENT);
    ck_assert_int_eq(kt_catalog_session_user(c, "nonsense", &u), -ENOENT);
}
END_TEST

START_TEST(a_new_password_ends_all_sessions)
{
    char token[KT_TOKEN_SIZE];
    int retry;
    struct kt_user *u = NULL;
    ck_assert_int_eq(kt_catalog_user_add(c, "budi", "sepeda-merah-7", KT_ROLE_HEAD), 0);
    ck_assert_int_eq(kt_catalog_login(c, "budi", "sepeda-merah-7", NULL, token, &retry), 0);
    ck_assert_int_eq(kt_catalog_user_set_password(c, "budi", "sepeda-biru-88"), 0);
    ck_assert_int_eq(kt_catalog_session_user(c, token, &u), -ENOENT);
    ck_assert_int_eq(kt_catalog_user_set_password(c, "nobody", "sepeda-biru-88"), -ENOENT);
}
END_TEST

START_TEST(guessing_is_slowed_down_and_a_restart_does_not_help)
{
    char token[KT_TOKEN_SIZE];
    int retry = 0, ret = -EACCES, tries = 0;
    ck_assert_int_eq(kt_catalog_user_add(c, "budi", "sepeda-merah-7", KT_ROLE_HEAD), 0);
    for (; ret == -EACCES && tries < 20; tries++)
        ret = kt_catalog_login(c, "budi", "wrong-password", "1.2.3.4", token, &retry);
    ck_assert_int_eq(ret, -EBUSY);
    ck_assert_int_le(tries, 8);
    ck_assert_int_gt(retry, 0);
    reopen();
    ck_assert_int_eq(kt_catalog_login(c, "budi", "sepeda-merah-7", "5.6.7.8", token, &retry), -EBUSY);
}
END_TEST

static const char *const bad_passwords[] = { "", "short", "password", "ADMIN123", "bismillah", "Sunshine1", "trustno1",
                                           "Liverpool1", "siskamling", "00000000" };

START_TEST(a_weak_password_is_refused)
{
    ck_assert_int_eq(kt_catalog_user_add(c, "u", bad_passwords[_i], KT_ROLE_ADMIN), -ERANGE);
}
END_TEST

START_TEST(the_first_start_makes_one_administrator)
{
    char *password = NULL, *again = NULL, token[KT_TOKEN_SIZE];
    bool made_up = false;
    int retry;
    unsetenv("KENTONGAN_ADMIN_PASSWORD");
    ck_assert_int_eq(kt_catalog_bootstrap_admin(c, &password), 0);
    ck_assert_ptr_nonnull(password);
    ck_assert_int_eq(kt_catalog_bootstrap_admin(c, &again), 0);
    ck_assert_ptr_null(again);
    ck_assert_int_eq(kt_catalog_login(c, "admin", password, NULL, token, &retry), 0);
    free(password);
    ck_assert_int_eq(kt_catalog_password_is_made_up(c, "admin", &made_up), 0);
    ck_assert(made_up);
    ck_assert_int_eq(kt_catalog_user_set_password(c, "admin", "burung gagak hitam"), 0);
    ck_assert_int_eq(kt_catalog_password_is_made_up(c, "admin", &made_up), 0);
    ck_assert(!made_up);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog");
    TCase *tc = tcase_create("catalog");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, cameras_and_settings_survive_a_restart);
    tcase_add_test(tc, a_newer_schema_is_refused);
    tcase_add_test(tc, a_file_that_is_no_database_is_one_clear_error);
    tcase_add_test(tc, events_are_found_by_camera_time_type_and_seen);
    tcase_add_test(tc, an_event_is_found_in_every_stretch_that_it_reaches_into);
    tcase_add_test(tc, pins_are_few_spread_out_and_leave_out_no_trouble);
    tcase_add_test(tc, paging_gives_every_event_once);
    tcase_add_test(tc, an_event_left_open_by_a_crash_is_closed);
    tcase_add_test(tc, a_thumbnail_is_given_back_as_it_came);
    tcase_add_test(tc, heat_is_the_mean_of_the_seconds_at_every_width);
    tcase_add_test(tc, a_region_is_found_only_where_it_moved);
    tcase_add_test(tc, the_right_password_opens_a_session_and_logging_out_ends_it);
    tcase_add_test(tc, a_new_password_ends_all_sessions);
    tcase_add_test(tc, guessing_is_slowed_down_and_a_restart_does_not_help);
    tcase_add_loop_test(tc, a_weak_password_is_refused, 0, KT_ARRAY_SIZE(bad_passwords));
    tcase_add_test(tc, the_first_start_makes_one_administrator);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/cases.h"
#include "storage/catalog/events.h"

#include "tests/unit/catalog_kit.h"

#define BASE INT64_C(1700000000000000)

static struct kt_incident incident;

static void setup(void)
{
    make_dir();
    open_catalog();
    incident = (struct kt_incident){ .title = "Motor hilang", .from_us = BASE, .to_us = BASE + 1000,
                                     .cameras = (char *)"[\"gerbang\"]", .notes = (char *)"catatan",
                                     .created_by = "pak-rw" };
    ck_assert_int_eq(kt_catalog_incident_put(c, &incident), 0);
}

START_TEST(an_incident_is_kept_and_changed)
{
    struct kt_incident *in = NULL;
    ck_assert_int_gt(incident.id, 0);
    strcpy(incident.title, "Motor ditemukan");
    incident.closed = true;
    incident.notes = NULL;
    ck_assert_int_eq(kt_catalog_incident_put(c, &incident), 0);
    ck_assert_int_eq(kt_catalog_incident_get(c, incident.id, &in), 0);
    ck_assert_str_eq(in->title, "Motor ditemukan");
    ck_assert_str_eq(in->cameras, "[\"gerbang\"]");
    ck_assert(in->closed && !in->notes);
    ck_assert_str_eq(in->created_by, "pak-rw");
    kt_incident_list_free(&in, 1);
    incident.to_us = incident.from_us;
    ck_assert_int_eq(kt_catalog_incident_put(c, &incident), -EINVAL);
    incident.to_us++;
    incident.cameras = (char *)"{}";
    ck_assert_int_eq(kt_catalog_incident_put(c, &incident), -EINVAL);
    incident.cameras = (char *)"[]";
    incident.id = 999;
    ck_assert_int_eq(kt_catalog_incident_put(c, &incident), -ENOENT);
    ck_assert_int_eq(kt_catalog_incident_get(c, 999, &in), -ENOENT);
}
END_TEST

START_TEST(police_see_only_what_is_shared_with_them)
{
    struct kt_incident *list = NULL, other = { .title = "Lain", .from_us = BASE, .to_us = BASE + 1,
                                               .cameras = (char *)"[]" };
    size_t n;
    bool yes;
    ck_assert_int_eq(kt_catalog_user_add(c, "sari", "kopi-tubruk-9", KT_ROLE_POLICE), 0);
    ck_assert_int_eq(kt_catalog_incident_put(c, &other), 0);
    ck_assert_int_eq(kt_catalog_incident_list(c, "sari", &list, &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(kt_catalog_incident_share(c, incident.id, "sari", true), 0);
    ck_assert_int_eq(kt_catalog_incident_share(c, incident.id, "sari", true), 0);
    ck_assert_int_eq(kt_catalog_incident_share(c, incident.id, "nobody", true), -ENOENT);
    ck_assert_int_eq(kt_catalog_incident_share(c, 999, "sari", true), -ENOENT);
    ck_assert_int_eq(kt_catalog_incident_list(c, "sari", &list, &n), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert_int_eq(list[0].id, incident.id);
    kt_incident_list_free(&list, n);
    ck_assert_int_eq(kt_catalog_incident_shared(c, other.id, "sari", &yes), 0);
    ck_assert(!yes);
    ck_assert_int_eq(kt_catalog_incident_shared(c, incident.id, "sari", &yes), 0);
    ck_assert(yes);
    ck_assert_int_eq(kt_catalog_incident_share(c, incident.id, "sari", false), 0);
    ck_assert_int_eq(kt_catalog_incident_shared(c, incident.id, "sari", &yes), 0);
    ck_assert(!yes);
    ck_assert_int_eq(kt_catalog_incident_list(c, NULL, &list, &n), 0);
    ck_assert_uint_eq(n, 2);
    kt_incident_list_free(&list, n);
}
END_TEST

START_TEST(events_are_marked_and_unmarked)
{
    struct kt_event ev = { .camera = "gerbang", .type = "motion", .start_us = BASE, .end_us = BASE + 5 };
    int64_t *list = NULL;
    size_t n;
    ck_assert_int_eq(kt_catalog_event_put(c, &ev), 0);
    ck_assert_int_eq(kt_catalog_incident_mark(c, incident.id, ev.id, true), 0);
    ck_assert_int_eq(kt_catalog_incident_mark(c, incident.id, ev.id, true), 0);
    ck_assert_int_eq(kt_catalog_incident_mark(c, incident.id, 999, true), -ENOENT);
    ck_assert_int_eq(kt_catalog_incident_mark(c, 999, ev.id, true), -ENOENT);
    ck_assert_int_eq(kt_catalog_incident_events(c, incident.id, &list, &n), 0);
    ck_assert(n == 1 && list[0] == ev.id);
    free(list);
    ck_assert_int_eq(kt_catalog_incident_mark(c, incident.id, ev.id, false), 0);
    ck_assert_int_eq(kt_catalog_incident_events(c, incident.id, &list, &n), 0);
    ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(an_incident_with_held_video_is_not_deleted)
{
    struct kt_hold h = { .incident = incident.id, .camera = "gerbang", .stream = "main", .from_us = BASE,
                         .to_us = BASE + 1 };
    ck_assert_int_eq(kt_catalog_hold_add(c, &h), 0);
    const int64_t held = h.id;
    ck_assert_int_eq(kt_catalog_incident_delete(c, incident.id), -EBUSY);
    h.incident = 999;
    ck_assert_int_eq(kt_catalog_hold_add(c, &h), -ENOENT);
    h.incident = incident.id;
    strcpy(h.camera, "../etc");
    ck_assert_int_eq(kt_catalog_hold_add(c, &h), -EINVAL);
    struct kt_incident empty = { .title = "Kosong", .from_us = 1, .to_us = 2, .cameras = (char *)"[]" };
    ck_assert_int_eq(kt_catalog_incident_put(c, &empty), 0);
    ck_assert_int_eq(kt_catalog_incident_delete(c, empty.id), 0);
    ck_assert_int_eq(kt_catalog_incident_delete(c, empty.id), -ENOENT);
    ck_assert_int_eq(kt_catalog_hold_release(c, held), 0);
    struct kt_export e = { .incident = incident.id, .request = (char *)"{}" };
    ck_assert_int_eq(kt_catalog_export_add(c, &e), 0);
    ck_assert_int_eq(kt_catalog_incident_delete(c, incident.id), -EBUSY);
    ck_assert_int_eq(kt_catalog_export_state(c, e.id, KT_JOB_CANCELLED, NULL), 0);
    ck_assert_int_eq(kt_catalog_incident_delete(c, incident.id), 0);     /* nothing is held any more */
}
END_TEST

START_TEST(jobs_that_ran_when_the_power_went_wait_again)
{
    struct kt_hold h = { .incident = incident.id, .camera = "gerbang", .stream = "main", .from_us = BASE,
                         .to_us = BASE + 1 };
    struct kt_export e = { .incident = incident.id, .created_by = "pak-rw" }, *got = NULL;
    int64_t first, second;
    ck_assert_int_eq(kt_catalog_hold_add(c, &h), 0);
    ck_assert_int_eq(kt_catalog_export_add(c, &e), 0);
    ck_assert_int_eq(kt_catalog_hold_state(c, h.id, KT_JOB_RUNNING, NULL), 0);
    ck_assert_int_eq(kt_catalog_export_state(c, e.id, KT_JOB_RUNNING, NULL), 0);
    ck_assert_int_eq(kt_catalog_hold_progress(c, h.id, 5, 10), 0);
    ck_assert_int_eq(kt_catalog_flush(c), 0);
    ck_assert_int_eq(kt_catalog_jobs_restart(c), 0);
    ck_assert_int_eq(kt_catalog_hold_get(c, h.id, &h), 0);
    ck_assert(h.state == KT_JOB_WAITING && h.done_bytes == 5 && h.total_bytes == 10);
    ck_assert_int_eq(kt_catalog_export_get(c, e.id, &got), 0);
    ck_assert_int_eq(got->state, KT_JOB_WAITING);
    kt_export_list_free(&got, 1);
    ck_assert_int_eq(kt_catalog_package_serial(c, &first), 0);
    ck_assert_int_eq(kt_catalog_package_serial(c, &second), 0);
    ck_assert_int_eq(second, first + 1);
    ck_assert_str_eq(kt_job_state_name(KT_JOB_WAITING), "waiting");
}
END_TEST

/* ------------------------------ links ------------------------------ */

static struct kt_share new_share(const char *pin, uint32_t max, int64_t valid_us, char token[KT_TOKEN_SIZE])
{
    struct kt_export e = { .incident = incident.id, .created_by = "pak-rw" };
    ck_assert_int_eq(kt_catalog_export_add(c, &e), 0);
    struct kt_share s = { .export_id = e.id, .expires_us = kt_clock_wall_us() + valid_us, .max_downloads = max,
                          .note = "Bripka Sari" };
    ck_assert_int_eq(kt_catalog_share_add(c, &s, pin, token), 0);
    return s;
}

START_TEST(a_link_needs_its_pin_and_ten_wrong_ones_end_it)
{
    char token[KT_TOKEN_SIZE];
    struct kt_share out, s = new_share("4711", 0, 3600 * KT_SECOND_US, token);
    ck_assert_int_eq(kt_catalog_share_open(c, token, NULL, "1.1.1.1", &out), -ENOKEY);
    ck_assert_int_eq(kt_catalog_share_open(c, token, "4711", "1.1.1.1", &out), 0);
    ck_assert_int_eq(out.export_id, s.export_id);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(kt_catalog_share_open(c, token, "0000", "6.6.6.6", &out), -EACCES);
    ck_assert_int_eq(kt_catalog_share_open(c, token, "4711", "1.1.1.1", &out), -ESTALE);
    ck_assert(out.revoked);
    struct kt_share_use *log = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_share_log(c, s.id, &log, &n), 0);
    ck_assert_uint_eq(n, 13);
    ck_assert_str_eq(log[2].what, "wrong-pin");
    ck_assert_str_eq(log[2].address, "6.6.6.6");
    ck_assert_str_eq(log[12].what, "refused");
    free(log);
    ck_assert_int_eq(kt_catalog_share_add(c, &s, "12", token), -EINVAL);
    ck_assert_int_eq(kt_catalog_share_add(c, &s, "abcd", token), -EINVAL);
    s.export_id = 999;
    ck_assert_int_eq(kt_catalog_share_add(c, &s, NULL, token), -ENOENT);
}
END_TEST

static char shared_token[KT_TOKEN_SIZE];

static void *download(void *arg)
{
    struct kt_share out;
    *(int *)arg = kt_catalog_share_download(c, shared_token, NULL, "1.1.1.1", &out);
    return NULL;
}

START_TEST(downloads_are_counted_even_when_they_come_together)
{
    pthread_t t[8];
    int ret[8], good = 0;
    struct kt_share out;
    (void)new_share(NULL, 3, 3600 * KT_SECOND_US, shared_token);
    ck_assert_int_eq(kt_catalog_share_open(c, shared_token, NULL, NULL, &out), 0);     /* counts nothing */
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, download, &ret[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], NULL);
        ck_assert(ret[i] == 0 || ret[i] == -ESTALE);
        good += ret[i] == 0;
    }
    ck_assert_int_eq(good, 3);
}
END_TEST

START_TEST(a_link_ends_by_time_or_by_hand)
{
    char token[KT_TOKEN_SIZE];
    struct kt_share out, s = new_share(NULL, 0, 3600 * KT_SECOND_US, token);
    struct kt_share *list = NULL;
    size_t n;
    ck_assert_int_eq(kt_catalog_share_open(c, token, NULL, NULL, &out), 0);
    ck_assert_int_eq(kt_catalog_share_revoke(c, s.id), 0);
    ck_assert_int_eq(kt_catalog_share_open(c, token, NULL, NULL, &out), -ESTALE);
    ck_assert_int_eq(kt_catalog_share_list(c, s.export_id, &list, &n), 0);
    ck_assert(n == 1 && list[0].revoked);
    free(list);
    (void)new_share(NULL, 0, -1, token);
    ck_assert_int_eq(kt_catalog_share_open(c, token, NULL, NULL, &out), -ESTALE);
    token[3] ^= 1;
    ck_assert_int_eq(kt_catalog_share_open(c, token, NULL, NULL, &out), -ENOENT);
    ck_assert_int_eq(kt_catalog_share_open(c, "x", NULL, NULL, &out), -ENOENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog_cases");
    TCase *tc = tcase_create("catalog_cases");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_incident_is_kept_and_changed);
    tcase_add_test(tc, police_see_only_what_is_shared_with_them);
    tcase_add_test(tc, events_are_marked_and_unmarked);
    tcase_add_test(tc, an_incident_with_held_video_is_not_deleted);
    tcase_add_test(tc, jobs_that_ran_when_the_power_went_wait_again);
    tcase_add_test(tc, a_link_needs_its_pin_and_ten_wrong_ones_end_it);
    tcase_add_test(tc, downloads_are_counted_even_when_they_come_together);
    tcase_add_test(tc, a_link_ends_by_time_or_by_hand);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

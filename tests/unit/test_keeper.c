#include "server/keeper.h"

#include <string.h>

#include "tests/unit/run_suite.h"

static char dir[64];
static kt_catalog *catalog;
static kt_hub *hub;
static kt_keeper *keeper;
static int opened, closed;

static void on_event(void *user, const struct kt_event *ev, bool over, const uint8_t *jpeg, size_t n)
{
    if (over)
        closed++;
    else
        opened++;
}

static void setup(void)
{
    char path[96];
    struct kt_error err = { "" };
    strcpy(dir, "/tmp/kt-events-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/c.db", dir);
    ck_assert_msg(kt_catalog_open(&catalog, path, &err) == 0, "%s", err.text);
    ck_assert_int_eq(kt_hub_create(&hub, &(struct kt_hub_params){ 0 }), 0);
    const struct kt_keeper_params p = { .catalog = catalog, .hub = hub, .on_event = on_event };
    ck_assert_int_eq(kt_keeper_create(&keeper, &p), 0);
    opened = closed = 0;
}

static void teardown(void)
{
    kt_keeper_destroy(&keeper);
    kt_hub_destroy(&hub);
    kt_catalog_close(&catalog);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void post(enum kt_event_phase phase, uint64_t source, const char *jpeg)
{
    struct kt_event_note n = { .phase = phase, .source_id = source, .camera = "a", .type = "motion",
                               .start_us = 1000000, .end_us = phase == KT_EVENT_OPEN ? 0 : 5000000,
                               .score = 0.5 };
    if (jpeg) {
        n.jpeg = (uint8_t *)strdup(jpeg);
        n.jpeg_size = strlen(jpeg);
    }
    ck_assert_int_eq(kt_keeper_post(keeper, &n), 0);
    ck_assert_ptr_null(n.jpeg);
}

/* All rows, once the keeper has finished. */
static size_t rows(struct kt_event **list)
{
    size_t n = 0;
    kt_keeper_destroy(&keeper);
    ck_assert_int_eq(kt_catalog_event_list(catalog, &(struct kt_event_filter){ .seen = -1, .limit = 100 },
                                           list, &n), 0);
    return n;
}

START_TEST(an_event_is_one_row_from_opening_to_closing)
{
    struct kt_event *list = NULL;
    post(KT_EVENT_OPEN, 1, NULL);
    post(KT_EVENT_BETTER, 1, "jpeg-1");
    post(KT_EVENT_BETTER, 1, "jpeg-2");
    post(KT_EVENT_CLOSE, 1, NULL);
    ck_assert_uint_eq(rows(&list), 1);
    ck_assert_int_eq(list[0].end_us, 5000000);
    ck_assert(list[0].has_thumbnail);
    ck_assert_int_eq(opened, 1);
    ck_assert_int_eq(closed, 1);
    uint8_t *jpeg = NULL;
    size_t n = 0;
    ck_assert_int_eq(kt_catalog_thumbnail_get(catalog, list[0].id, &jpeg, &n), 0);
    ck_assert_mem_eq(jpeg, "jpeg-2", 6);
    free(jpeg);
    kt_event_list_free(&list, 1);
}
END_TEST

START_TEST(stopping_closes_what_is_still_open)
{
    struct kt_event *list = NULL;
    post(KT_EVENT_OPEN, 1, NULL);
    post(KT_EVENT_OPEN, 2, NULL);
    const size_t n = rows(&list);
    ck_assert_uint_eq(n, 2);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_gt(list[i].end_us, 0);
    ck_assert_int_eq(closed, 2);
    kt_event_list_free(&list, n);
}
END_TEST

START_TEST(a_picture_of_an_event_that_never_opened_is_dropped)
{
    struct kt_event *list = NULL;
    post(KT_EVENT_BETTER, 7, "jpeg");
    ck_assert_uint_eq(rows(&list), 0);
}
END_TEST

START_TEST(a_full_queue_refuses_new_notes_but_keeps_openings_and_closings)
{
    struct kt_event *list = NULL;
    int refused = 0;
    post(KT_EVENT_OPEN, 1, NULL);
    for (int i = 0; i < 20 * KT_KEEPER_QUEUE; i++) {
        struct kt_event_note n = { .phase = KT_EVENT_BETTER, .source_id = 1, .camera = "a",
                                   .jpeg = (uint8_t *)strdup("x"), .jpeg_size = 1 };
        refused += kt_keeper_post(keeper, &n) < 0;
        ck_assert_ptr_null(n.jpeg);
    }
    ck_assert_int_eq(refused, 0);       /* older pictures made room */
    post(KT_EVENT_CLOSE, 1, NULL);
    ck_assert_uint_eq(rows(&list), 1);
    ck_assert_int_eq(list[0].end_us, 5000000);
    kt_event_list_free(&list, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keeper");
    TCase *tc = tcase_create("keeper");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, an_event_is_one_row_from_opening_to_closing);
    tcase_add_test(tc, stopping_closes_what_is_still_open);
    tcase_add_test(tc, a_picture_of_an_event_that_never_opened_is_dropped);
    tcase_add_test(tc, a_full_queue_refuses_new_notes_but_keeps_openings_and_closings);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

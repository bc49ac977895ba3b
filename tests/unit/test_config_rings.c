/* Which ring records what: the configuration, and where streams go by it. */
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "server/ring_set.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

static char dir[64], path[80];
static kt_config *config;
static struct kt_error err;

static void setup(void)
{
    strcpy(dir, "/tmp/kt-rings-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/c.yaml", dir);
    config = NULL;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(name);
}

static void teardown(void)
{
    kt_config_free(&config);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* RINGS are the lines of the list, with @ for the folder. Three cameras: a, b, c. */
static int load(const char *rings)
{
    FILE *f = fopen(path, "w");
    fprintf(f, "storage:\n  catalog: %s/c.db\n  rings:\n", dir);
    for (const char *p = rings; *p; p++) {
        if (*p == '@')
            fputs(dir, f);
        else
            fputc(*p, f);
    }
    fputs("cameras:\n  - { id: a, main: 'rtsp://h/1', sub: 'rtsp://h/2' }\n"
          "  - { id: b, main: 'rtsp://h/1' }\n  - { id: c, main: 'rtsp://h/1' }\n", f);
    fclose(f);
    return kt_config_load(&config, path, &err);
}

#define MANY \
    "    - { name: clips, path: '@/clips', size: 9 MiB, only: events }\n" \
    "    - { name: gate, path: '@/gate', size: 9 MiB, cameras: [a], streams: main }\n" \
    "    - { name: rest, path: '@/rest', size: 9 MiB, cameras: [b, c, added] }\n" \
    "    - { name: wall, path: '@/wall', size: 9 MiB, streams: sub }\n" \
    "    - { name: gate-clips, path: '@/gate-clips', size: 9 MiB, only: events, cameras: [a], streams: all }\n"

/* Names of the rings that take a stream all the time, and around events. */
static const struct {
    const char *camera, *stream, *all, *events;
} routes[] = {
    { "a", "main", "gate", "clips gate-clips" }, { "a", "sub", "wall", "gate-clips" },
    { "b", "main", "rest", "clips" },            { "b", "sub", "rest wall", "" },
    { "added", "main", "rest", "clips" },        { "other", "main", "", "clips" },
    { "other", "sub", "wall", "" },
};

START_TEST(a_camera_or_a_class_of_streams_goes_to_its_ring)
{
    ck_assert_msg(load(MANY) == 0, "%s", err.text);
    ck_assert_uint_eq(config->n_rings, 5);
    char all[80] = "", events[80] = "";
    for (size_t i = 0; i < config->n_rings; i++) {
        const struct kt_config_ring *r = &config->rings[i];
        char *to = r->only == KT_RING_ONLY_EVENTS ? events : all;
        if (kt_config_ring_takes(r, routes[_i].camera, routes[_i].stream))
            snprintf(to + strlen(to), 80 - strlen(to), "%s%s", to[0] ? " " : "", r->name);
    }
    ck_assert_str_eq(all, routes[_i].all);
    ck_assert_str_eq(events, routes[_i].events);
}
END_TEST

START_TEST(rings_of_events_are_asked_last)
{
    ck_assert_int_eq(load(MANY), 0);
    ck_assert_str_eq(config->rings[0].name, "gate");
    ck_assert_str_eq(config->rings[2].name, "wall");
    ck_assert_str_eq(config->rings[3].name, "clips");
    ck_assert_str_eq(config->rings[4].name, "gate-clips");
}
END_TEST

START_TEST(the_open_rings_get_the_streams_and_a_lost_one_says_why)
{
    struct kt_ring_set *set = NULL;
    kt_catalog *catalog = NULL;
    kt_ring *to[4];
    const char *why;
    ck_assert_int_eq(load(MANY), 0);
    ck_assert_int_eq(kt_catalog_open(&catalog, config->catalog, &err), 0);
    ck_assert_msg(kt_ring_set_open(&set, config, catalog, NULL, &err) == 0, "%s", err.text);
    ck_assert(kt_ring_set_whole(set));
    ck_assert_uint_eq(kt_ring_set_recorders(set, "b", "sub", to, 4, &why), 2);
    ck_assert_ptr_eq(to[0], set->web[1].ring);
    ck_assert_ptr_eq(to[1], set->web[2].ring);
    ck_assert_uint_eq(kt_ring_set_recorders(set, "b", "sub", to, 1, &why), 1);
    ck_assert_uint_eq(kt_ring_set_recorders(set, "other", "main", to, 4, &why), 0);
    ck_assert_str_eq(why, "no ring of the configuration is for this camera");
    ck_assert(kt_ring_set_keeps_events(set, 3, "b", "main") && !kt_ring_set_keeps_events(set, 3, "b", "sub"));
    ck_assert(!kt_ring_set_keeps_events(set, 4, "b", "main") && !kt_ring_set_keeps_events(set, 0, "a", "main"));
    ck_assert(set->web[3].events_only && !set->web[0].events_only);
    kt_ring_set_close(&set);

    char command[128];
    snprintf(command, sizeof(command), "rm -r %s/gate", dir);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(kt_ring_set_open(&set, config, catalog, NULL, &err), 0);
    ck_assert(!kt_ring_set_whole(set));
    ck_assert_uint_eq(kt_ring_set_recorders(set, "a", "main", to, 4, &why), 0);
    ck_assert_ptr_nonnull(strstr(why, "ring gate"));
    ck_assert_uint_eq(kt_ring_set_recorders(set, "b", "main", to, 4, &why), 1);
    kt_ring_set_close(&set);
    kt_catalog_close(&catalog);
}
END_TEST

static void record_a_gop(kt_ring *ring)
{
    struct kit_feed f = kit_feed(ring, "a/main", 1000);
    kit_push_n(&f, GOP);
    kit_flush(ring);
    kt_init_unref(&f.init);
}

/* Open the rings of MANY after SHELL was done to the folder; NEW_RING as on the command line. */
static struct kt_ring_set *open_after(const char *shell, const char *new_ring, kt_catalog **catalog)
{
    struct kt_ring_set *set = NULL;
    char command[256];
    ck_assert_int_eq(load(MANY), 0);
    ck_assert_int_eq(kt_catalog_open(catalog, config->catalog, &err), 0);
    ck_assert_int_eq(kt_ring_set_open(&set, config, *catalog, NULL, &err), 0);
    for (int i = 0; i < 3; i++)         /* a restart has a gap to write behind it */
        record_a_gop(set->web[i].ring);
    kt_ring_set_close(&set);
    snprintf(command, sizeof(command), "cd %s && { %s; }", dir, shell);
    ck_assert_int_eq(system(command), 0);
    ck_assert_msg(kt_ring_set_open(&set, config, *catalog, new_ring, &err) == 0, "%s", err.text);
    return set;
}

static void shell_says(const char *shell)
{
    char command[256];
    snprintf(command, sizeof(command), "cd %s && { %s; }", dir, shell);
    ck_assert_msg(system(command) == 0, "%s", shell);
}

START_TEST(swapped_disks_are_not_recorded_to)
{
    kt_catalog *catalog = NULL;
    struct kt_ring_set *set = open_after("mv gate x; mv rest gate; mv x rest; sha256sum gate/* rest/* > sums; ls gate rest > names",
                                         NULL, &catalog);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_null(set->web[i].ring);
        ck_assert_ptr_nonnull(strstr(set->web[i].why, "this is another ring's disk"));
        ck_assert_ptr_nonnull(strstr(set->web[i].why, "--new-ring"));
    }
    ck_assert(set->web[2].ring && !kt_ring_set_whole(set));
    kt_ring_set_close(&set);
    kt_catalog_close(&catalog);
    shell_says("sha256sum -c --quiet sums && ls gate rest | cmp - names");
}
END_TEST

START_TEST(a_disk_that_is_not_mounted_is_left_empty)
{
    kt_catalog *catalog = NULL;
    struct kt_ring_set *set = open_after("rm gate/*", NULL, &catalog);
    ck_assert_ptr_null(set->web[0].ring);
    ck_assert_ptr_nonnull(strstr(set->web[0].why, "there is no ring in"));
    shell_says("test -z \"$(ls -A gate)\"");
    kt_ring_set_close(&set);
    kt_catalog_close(&catalog);
}
END_TEST

START_TEST(a_lost_meta_file_makes_no_other_ring_of_it)
{
    kt_catalog *catalog = NULL;
    /* Swapped, and one of them without its ring.meta; and one in its place, without it. */
    struct kt_ring_set *set = open_after("rm gate/ring.meta; mv gate x; mv rest gate; mv x rest; "
                                         "sha256sum gate/* rest/* > sums; rm wall/ring.meta", NULL, &catalog);
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_null(set->web[i].ring);
        ck_assert_msg(strstr(set->web[i].why, "this is another ring's disk"), "%s", set->web[i].why);
    }
    ck_assert_msg(set->web[2].ring, "%s", set->web[2].why);
    kt_ring_set_close(&set);
    kt_catalog_close(&catalog);
    shell_says("sha256sum -c --quiet sums && test ! -e rest/ring.meta && test -s wall/ring.meta");
}
END_TEST

START_TEST(a_disk_replaced_on_purpose_is_used_from_then_on)
{
    kt_catalog *catalog = NULL;
    struct kt_ring_set *set = open_after("rm gate/*", "gate", &catalog);
    ck_assert_ptr_nonnull(set->web[0].ring);
    kt_ring_set_close(&set);
    ck_assert_int_eq(kt_ring_set_open(&set, config, catalog, NULL, &err), 0);
    ck_assert(kt_ring_set_whole(set));
    kt_ring_set_close(&set);
    kt_catalog_close(&catalog);
}
END_TEST

#define RING "    - { name: video, path: '@/v', size: 9 MiB"

/* What is wrong with the rings, and what the message says. */
static const struct {
    const char *rings, *says;
} bad[] = {
    { RING ", streams: both }\n", "4:" },
    { RING ", cameras: [] }\n", ":4:" },
    { RING ", cameras: [a, b, c, a] }\n", "'a' stands there twice" },
    { RING ", cameras: [a, b, 'C!'] }\n", "'C!': an id is made of" },
    { RING ", cameras: a }\n", "4:" },
    { RING ", camera: [a] }\n", "no key 'camera'" },
    { RING ", cameras: [a, b] }\n", ":8:11: no ring records the main stream of 'c' all the time" },
    { RING ", streams: sub }\n", ":6:11: no ring records the main stream of 'a'" },
    { RING ", only: events }\n", "there is none to record all the time" },
    { RING " }\n" RING "2 }\n", ":5:15: there is a ring 'video' already" },
    { "    - { name: video, path: '@/v', size: 9 MiB }\n    - { name: clips, path: '@/v', size: 9 MiB }\n",
      "ring 'video' is there already" },
    { "    - { name: video, path: '@/v', size: 0 }\n", "'0' is no size" },
    { "    - { name: video, path: '@/v', size: -5 GiB }\n", "'-5 GiB' is no size" },
    { "    - { name: video, path: '@/v', size: 7 MiB }\n", "7 MiB: a ring takes at least 8 MiB" },
    { "    - { name: 'Video 1', path: '@/v', size: 9 MiB }\n", "'Video 1': a name is made of" },
    { "    - { name: video, size: 9 MiB }\n", "path" },
};

START_TEST(what_makes_no_sense_is_refused_with_its_place)
{
    ck_assert_int_eq(load(bad[_i].rings), -EINVAL);
    ck_assert_msg(strstr(err.text, bad[_i].says), "%s: %s", bad[_i].rings, err.text);
    ck_assert_int_eq(strncmp(err.text, path, strlen(path)), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_rings");
    TCase *t = tcase_create("config_rings");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_camera_or_a_class_of_streams_goes_to_its_ring, 0, (int)KT_ARRAY_SIZE(routes));
    tcase_add_test(t, rings_of_events_are_asked_last);
    tcase_add_test(t, the_open_rings_get_the_streams_and_a_lost_one_says_why);
    tcase_add_test(t, swapped_disks_are_not_recorded_to);
    tcase_add_test(t, a_disk_that_is_not_mounted_is_left_empty);
    tcase_add_test(t, a_lost_meta_file_makes_no_other_ring_of_it);
    tcase_add_test(t, a_disk_replaced_on_purpose_is_used_from_then_on);
    tcase_add_loop_test(t, what_makes_no_sense_is_refused_with_its_place, 0, (int)KT_ARRAY_SIZE(bad));
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

#include "server/config.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/unit/run_suite.h"

static char path[64];

static void setup(void)
{
    strcpy(path, "/tmp/kt-config-XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    setenv("KT_TEST_PASS", "s3cret@:/", 1);
}

static void teardown(void)
{
    unlink(path);
}

static int load(const char *text, kt_config **out, struct kt_error *err)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    return kt_config_load(out, path, err);
}

#define STORAGE \
    "storage:\n" \
    "  catalog: /tmp/c.db\n" \
    "  rings:\n" \
    "    - { name: video, path: /tmp/v, size: 2 TiB }\n" \
    "    - { name: clips, path: /tmp/k, size: 300 GiB, only: events }\n"

START_TEST(the_example_of_the_manual_is_read)
{
    kt_config *c = NULL;
    struct kt_error err = { "" };
    ck_assert_msg(load("server: { listen: \"0.0.0.0:8081\", timezone: Asia/Makassar, language: en }\n" STORAGE
                       "cameras:\n"
                       "  - id: gerbang-utara\n"
                       "    name: Gerbang Utara\n"
                       "    main: rtsp://kamera:${KT_TEST_PASS}@192.168.1.11/stream1\n"
                       "    sub: rtsp://192.168.1.11/stream2\n"
                       "    analysis: full\n"
                       "  - { id: b, main: 'rtsp://h/1', enabled: false }\n", &c, &err) == 0, "%s", err.text);
    ck_assert_str_eq(c->listen, "0.0.0.0:8081");
    ck_assert_uint_eq(c->n_rings, 2);
    ck_assert_uint_eq(c->rings[0].size_bytes, UINT64_C(2) << 40);
    ck_assert_int_eq(c->rings[1].only, KT_RING_ONLY_EVENTS);
    ck_assert_uint_eq(c->n_cameras, 2);
    ck_assert_str_eq(c->cameras[0].main_url, "rtsp://kamera:s3cret@:/@192.168.1.11/stream1");
    ck_assert_int_eq(c->cameras[0].analysis, KT_ANALYSIS_FULL);
    ck_assert(c->cameras[0].enabled && c->cameras[0].provisioned && !c->cameras[1].enabled);
    ck_assert_str_eq(c->cameras[1].name, "b");
    ck_assert_int_eq(c->cameras[1].analysis, KT_ANALYSIS_ADAPTIVE);
    kt_config_free(&c);
}
END_TEST

/* What is wrong, and what the message says after the file's name. */
static const struct {
    const char *text, *says;
} bad[] = {
    { STORAGE "cameras:\n  - { id: a, main: 'rtsp://h/1' }\n  - { id: a, main: 'rtsp://h/2' }\n",
      ":8:11: there is a camera 'a' already" },
    { "storage:\n  catalog: /tmp/c\n  rings:\n    - name: video\n      path: /v\n      size: many\n",
      ":6:13: 'many' is no size" },
    { STORAGE "cameras:\n  - { id: A!, main: 'rtsp://h/1' }\n", ":7:11: 'A!'" },
    { STORAGE "cameras:\n  - { id: a, main: 'rtsp://h/${KT_NOT_SET}' }\n", ":7:20: ${KT_NOT_SET}" },
    { STORAGE "cameras:\n  - { id: a, main: nonsense }\n", ":7:20: no address" },
    { STORAGE "cameras:\n  - { id: a, main: 'http://h/1' }\n", ":7:20: no address" },
    { STORAGE "cameras:\n  - { id: a, main: 'rtsp://h', sub: 'file:///etc/passwd' }\n", ":7:37: no address" },
    { STORAGE "cameras:\n  - { id: a, main: 'rtsp://h', transport: pigeon }\n", "pigeon" },
    { STORAGE "cameras:\n  - { id: a, main: 'rtsp://h', colour: red }\n", ":7:32: there is no key 'colour'" },
    { STORAGE "cameras:\n  - { id: a, main: 'rtsp://h', analysis: sometimes }\n", ":7:" },
    { STORAGE "alerts:\n  night: evening\n  channels: []\n", ":7:10: 'evening'" },
    { STORAGE "alerts:\n  channels:\n    - { type: pigeon, url: 'https://h/' }\n", ":8:" },
    { STORAGE "alerts:\n  channels:\n    - { type: ntfy }\n", ":8:15: 'url' is missing" },
    { STORAGE "alerts:\n  channels:\n    - { type: webhook, url: 'file:///etc/passwd' }\n", ":8:29: this is no address" },
    { STORAGE "alerts:\n  channels:\n    - { type: telegram, to: '-1', secret: '${KT_NOT_SET}' }\n", ":8:43: ${KT_NOT_SET}" },
    { STORAGE "alerts:\n  channels:\n    - { type: ntfy, url: 'https://h/', events: [motion, weather] }\n", ":8:" },
    { STORAGE "alerts:\n  channels:\n    - { type: ntfy, url: 'https://h/1' }\n    - { type: ntfy, url: 'https://h/2' }\n",
      "there is a channel 'ntfy' already" },
    { STORAGE "storage: {}\n", ":6:1: 'storage' stands here twice" },
    { "server: { listen: '0.0.0.0:1', language: jv }\n" STORAGE, ":1:42: 'jv'" },
    { "server: { timezone: Asia/Atlantis }\n" STORAGE, ":1:21: 'Asia/Atlantis'" },
    { "server: [\n", ":2:1:" },
    { "cameras: []\n", ":1:" },
    { "", ":1:1:" },
};

START_TEST(what_makes_no_sense_is_refused_with_line_and_column)
{
    kt_config *c = NULL;
    struct kt_error err = { "" };
    ck_assert_int_lt(load(bad[_i].text, &c, &err), 0);
    ck_assert_ptr_null(c);
    ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "no file name: %s", err.text);
    ck_assert_msg(strstr(err.text, bad[_i].says), "'%s' lacks '%s'", err.text, bad[_i].says);
}
END_TEST

static const struct {
    const char *text;
    uint64_t bytes;
} sizes[] = { { "2 TiB", UINT64_C(2) << 40 }, { "300GiB", UINT64_C(300) << 30 }, { "512 MB", 512000000 },
              { "1000000", 1000000 }, { "1.5 GiB", UINT64_C(3) << 29 } };
static const char *const bad_sizes[] = { "", "GiB", "-1 GiB", "2 bananas", "1e30 TiB", "0x10", "nan", "inf" };

START_TEST(sizes_are_read)
{
    uint64_t bytes = 0;
    ck_assert_int_eq(kt_size_parse(sizes[_i].text, &bytes), 0);
    ck_assert_uint_eq(bytes, sizes[_i].bytes);
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
    uint64_t bytes = 7;
    ck_assert_int_lt(kt_size_parse(bad_sizes[_i], &bytes), 0);
    ck_assert_uint_eq(bytes, 7);
}
END_TEST

START_TEST(alerts_are_read_with_their_secrets_from_elsewhere)
{
    kt_config *c = NULL;
    struct kt_error err = { "" };
    ck_assert_msg(load(STORAGE "alerts:\n"
                       "  link: https://cctv.example\n"
                       "  night: \"22:00-05:00\"\n"
                       "  cooldown: 60\n"
                       "  channels:\n"
                       "    - { type: telegram, to: \"-100\", secret: \"${KT_TEST_PASS}\", events: [motion, disk] }\n"
                       "    - { type: mail, name: post, url: 'smtps://h', from: a@b, to: c@d, pictures: false }\n",
                       &c, &err) == 0, "%s", err.text);
    ck_assert_ptr_nonnull(c->alerts);
    ck_assert_uint_eq(c->alerts->n_channels, 2);
    ck_assert_int_eq(c->alerts->night.from, 22 * 60);
    ck_assert_int_eq(c->alerts->night.to, 5 * 60);
    ck_assert_int_eq(c->alerts->cooldown_s, 60);
    ck_assert_str_eq(c->alerts->channels[0].secret, "s3cret@:/");
    ck_assert_str_eq(c->alerts->channels[0].name, "telegram");
    ck_assert_uint_eq(c->alerts->channels[0].kinds, 1u << KT_ALERT_MOTION | 1u << KT_ALERT_DISK);
    ck_assert(c->alerts->channels[1].no_pictures && !c->alerts->channels[0].no_pictures);
    kt_config_free(&c);
}
END_TEST

START_TEST(without_a_file_there_are_two_small_rings)
{
    char dir[] = "/tmp/kt-config-dir-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    kt_config *c = NULL;
    struct kt_error err = { "" };
    ck_assert_msg(kt_config_default(&c, dir, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(c->n_rings, 2);
    ck_assert_ptr_nonnull(strstr(c->catalog, dir));
    kt_config_free(&c);
    rmdir(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_example_of_the_manual_is_read);
    tcase_add_loop_test(tc, what_makes_no_sense_is_refused_with_line_and_column, 0, KT_ARRAY_SIZE(bad));
    tcase_add_loop_test(tc, sizes_are_read, 0, KT_ARRAY_SIZE(sizes));
    tcase_add_loop_test(tc, what_is_no_size_is_refused, 0, KT_ARRAY_SIZE(bad_sizes));
    tcase_add_test(tc, alerts_are_read_with_their_secrets_from_elsewhere);
    tcase_add_test(tc, without_a_file_there_are_two_small_rings);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

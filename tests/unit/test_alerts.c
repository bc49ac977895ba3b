#include "server/alerts/alerts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "server/alerts/gate.h"
#include "server/alerts/message.h"
#include "server/announce.h"
#include "server/base/clock.h"
#include "server/net_guard.h"
#include "tests/unit/run_suite.h"

#define NOON_UTC (INT64_C(1795521600) * KT_SECOND_US)      /* 2026-11-24T12:00:00Z */
#define HOUR_US (3600 * KT_SECOND_US)
#define WIB (7 * 3600)

/* ------------------------- gate ------------------------- */

static struct kt_gate gate;

static void clear_gate(void)
{
    memset(&gate, 0, sizeof(gate));
}

static const struct {
    struct kt_alert_hours hours;
    int hour_utc;
    bool holds;
} times[] = {
    { { 22 * 60, 5 * 60 }, 15, true },      /* 22:00 WIB */
    { { 22 * 60, 5 * 60 }, 14, false },
    { { 22 * 60, 5 * 60 }, 21, true },      /* 04:00 WIB */
    { { 22 * 60, 5 * 60 }, 22, false },
    { { 8 * 60, 17 * 60 }, 1, true },       /* 08:00 WIB */
    { { 8 * 60, 17 * 60 }, 10, false },
    { { 0, 24 * 60 }, 3, true },
    { { 0, 0 }, 3, false },
};

START_TEST(hours_are_those_of_the_site_and_go_over_midnight)
{
    const int64_t at = NOON_UTC + (times[_i].hour_utc - 12) * HOUR_US;
    ck_assert_int_eq(kt_alert_hours_hold(&times[_i].hours, at, WIB), times[_i].holds);
}
END_TEST

static const struct {
    const char *text;
    int minutes;
} hours[] = { { "22:00", 1320 }, { "05:30", 330 }, { "24:00", 1440 }, { "24:01", -EINVAL }, { "7", -EINVAL },
              { "22:00x", -EINVAL }, { "", -EINVAL }, { "22:60", -EINVAL }, { "-1:00", -EINVAL } };

START_TEST(an_hour_is_read)
{
    ck_assert_int_eq(kt_alert_hour_parse(hours[_i].text), hours[_i].minutes);
}
END_TEST

static struct kt_alert alert_at(enum kt_alert_kind kind, const char *camera, int64_t wall_us, int64_t event)
{
    struct kt_alert a = { .kind = kind, .wall_us = wall_us, .event = event };
    snprintf(a.camera, sizeof(a.camera), "%s", camera);
    return a;
}

static bool pass(const struct kt_gate_rules *rules, enum kt_alert_kind kind, const char *camera, int64_t s,
                 int64_t event)
{
    const struct kt_alert a = alert_at(kind, camera, NOON_UTC + s * KT_SECOND_US, event);
    return kt_gate_pass(&gate, rules, &a);
}

START_TEST(the_same_is_not_told_again_while_it_is_fresh)
{
    const struct kt_gate_rules r = { .cooldown_s = 300 };
    ck_assert(pass(&r, KT_ALERT_MOTION, "a", 0, 1));
    ck_assert(!pass(&r, KT_ALERT_MOTION, "a", 10, 2));
    ck_assert(pass(&r, KT_ALERT_MOTION, "b", 10, 3));
    ck_assert(pass(&r, KT_ALERT_CAMERA_OFFLINE, "a", 10, 0));
    ck_assert(!pass(&r, KT_ALERT_MOTION, "a", 299, 4));
    ck_assert(pass(&r, KT_ALERT_MOTION, "a", 300, 5));
    ck_assert_msg(!pass(&r, KT_ALERT_MOTION, "a", 900, 5), "one event is told once, however long it is");
    ck_assert_msg(pass(&r, KT_ALERT_MOTION, "a", -7200, 6), "a clock set back must not silence it");
}
END_TEST

START_TEST(motion_is_for_the_night_and_only_the_urgent_breaks_the_quiet)
{
    /* NOON_UTC is 19:00 at the site. */
    const struct kt_gate_rules night = { .night = { 22 * 60, 5 * 60 }, .utc_offset_s = WIB };
    const struct kt_gate_rules quiet = { .quiet = { 18 * 60, 20 * 60 }, .utc_offset_s = WIB };
    ck_assert(!pass(&night, KT_ALERT_MOTION, "a", 0, 1));
    ck_assert(pass(&night, KT_ALERT_MOTION, "a", 4 * 3600, 1));
    ck_assert(pass(&night, KT_ALERT_CAMERA_OFFLINE, "a", 0, 0));
    ck_assert(!pass(&quiet, KT_ALERT_CAMERA_OFFLINE, "b", 0, 0));
    ck_assert(pass(&quiet, KT_ALERT_NOT_RECORDING, "b", 0, 0));
    ck_assert(pass(&quiet, KT_ALERT_DISK, "", 0, 0));
    ck_assert(pass(&quiet, KT_ALERT_TEST, "", 0, 0) && pass(&quiet, KT_ALERT_TEST, "", 0, 0));
}
END_TEST

START_TEST(a_channel_gets_the_kinds_it_asked_for)
{
    const struct kt_gate_rules r = { .kinds = 1u << KT_ALERT_DISK };
    ck_assert(pass(&r, KT_ALERT_DISK, "", 0, 0));
    ck_assert(!pass(&r, KT_ALERT_MOTION, "a", 0, 1));
    for (int k = 1; k < KT_ALERT_KINDS; k++)
        ck_assert_int_eq(kt_alert_kind_parse(kt_alert_kind_name((enum kt_alert_kind)k)), k);
    ck_assert_int_eq(kt_alert_kind_parse("nonsense"), 0);
}
END_TEST

START_TEST(more_cameras_than_slots_are_still_told)
{
    const struct kt_gate_rules r = { .cooldown_s = 300 };
    char name[16];
    for (int i = 0; i < 2 * KT_GATE_SLOTS; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        ck_assert(pass(&r, KT_ALERT_MOTION, name, i, i + 1));
    }
    ck_assert(!pass(&r, KT_ALERT_MOTION, name, 2 * KT_GATE_SLOTS, 9999));
}
END_TEST

/* ------------------------- words ------------------------- */

START_TEST(the_words_say_who_when_and_what_on_one_line)
{
    char out[256];
    struct kt_alert a = alert_at(KT_ALERT_MOTION, "gerbang", NOON_UTC, 7);
    strcpy(a.camera_name, "Gerbang\r\nUtara");
    kt_alert_words(out, sizeof(out), &a, &(struct kt_alert_site){ "id", NULL, WIB });
    ck_assert_str_eq(out, "Gerakan di Gerbang  Utara (24-11 19:00 WIB)");
    a = alert_at(KT_ALERT_NOT_RECORDING, "", NOON_UTC, 0);
    strcpy(a.text, "disk gone");
    kt_alert_words(out, sizeof(out), &a, &(struct kt_alert_site){ "en", NULL, -3600 });
    ck_assert_str_eq(out, "NOT RECORDING: the recorder: disk gone (24-11 11:00 -0100)");
}
END_TEST

START_TEST(a_signature_is_what_openssl_says)
{
    char mac[65];   /* printf '1795521600.{"a":1}' | openssl dgst -sha256 -hmac rahasia */
    kt_alert_sign(mac, "rahasia", "1795521600", "{\"a\":1}");
    ck_assert_str_eq(mac, "d79475badab63190d6628caebf42e28919d063891eaa743fe3006df36bd22998");
}
END_TEST

/* ------------------------- a server that listens ------------------------- */

#define SEEN_MAX 16
static struct seen {
    char url[1024], method[8], body[65536];
    char signature[80], stamp[32], id[40], authorization[64], type[80];
    size_t size;
} seen[SEEN_MAX];
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static size_t n_seen;
static int failures_left, failure_status;
static struct MHD_Daemon *web;
static char base[64];

static void keep_header(char *out, size_t cap, struct MHD_Connection *c, const char *name)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
    snprintf(out, cap, "%s", value ? value : "");
}

static enum MHD_Result add_query(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct seen *s = cls;
    const size_t n = strlen(s->url);
    snprintf(s->url + n, sizeof(s->url) - n, "|%s=%s", key, value);
    return MHD_YES;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *upload, size_t *size, void **con)
{
    struct seen *s = *con;
    pthread_mutex_lock(&seen_lock);
    if (!s) {
        *con = s = &seen[n_seen % SEEN_MAX];
        memset(s, 0, sizeof(*s));
        pthread_mutex_unlock(&seen_lock);
        return MHD_YES;
    }
    if (*size) {
        const size_t n = *size < sizeof(s->body) - s->size ? *size : sizeof(s->body) - s->size;
        memcpy(s->body + s->size, upload, n);
        s->size += n;
        *size = 0;
        pthread_mutex_unlock(&seen_lock);
        return MHD_YES;
    }
    snprintf(s->url, sizeof(s->url), "%s", url);
    snprintf(s->method, sizeof(s->method), "%s", method);
    MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, add_query, s);
    keep_header(s->signature, sizeof(s->signature), c, "X-Kentongan-Signature");
    keep_header(s->stamp, sizeof(s->stamp), c, "X-Kentongan-Timestamp");
    keep_header(s->id, sizeof(s->id), c, "X-Kentongan-Id");
    keep_header(s->authorization, sizeof(s->authorization), c, "Authorization");
    keep_header(s->type, sizeof(s->type), c, "Content-Type");
    n_seen++;
    const int status = failures_left > 0 ? failure_status : 200;
    failures_left -= failures_left > 0;
    pthread_mutex_unlock(&seen_lock);
    struct MHD_Response *r = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    const enum MHD_Result ret = MHD_queue_response(c, (unsigned)status, r);
    MHD_destroy_response(r);
    return ret;
}

static void start_web(void)
{
    n_seen = 0;
    failures_left = 0;
    memset(seen, 0, sizeof(seen));
    web = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_END);
    ck_assert_ptr_nonnull(web);
    snprintf(base, sizeof(base), "http://127.0.0.1:%d", MHD_get_daemon_info(web, MHD_DAEMON_INFO_BIND_PORT)->port);
}

static void stop_web(void)
{
    MHD_stop_daemon(web);
}

static size_t requests(void)
{
    pthread_mutex_lock(&seen_lock);
    const size_t n = n_seen;
    pthread_mutex_unlock(&seen_lock);
    return n;
}

/* Wait until N requests came and nothing waits, or the time is up. */
static void settle(kt_alerts *a, uint64_t sent, uint64_t failed)
{
    struct kt_alerts_stats s = { 0 };
    for (int i = 0; i < 500; i++) {
        kt_alerts_stats(a, &s);
        if (s.sent >= sent && s.failed >= failed)
            break;
        poll(NULL, 0, 10);
    }
    ck_assert_uint_eq(s.sent, sent);
    ck_assert_uint_eq(s.failed, failed);
}

static kt_alerts *create(const struct kt_alert_channel *ch, size_t n, kt_catalog *catalog)
{
    kt_alerts *a = NULL;
    const struct kt_alerts_config config = { .channels = ch, .n_channels = n, .link = "https://cctv.example/" };
    const struct kt_alerts_params p = { .config = &config, .catalog = catalog, .language = "id",
                                        .utc_offset_s = WIB, .retry_min_us = 20000 };
    ck_assert_int_eq(kt_alerts_create(&a, &p), 0);
    return a;
}

static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff, 0xe0, 'J', 'F', 'I', 'F', 0, 0xff, 0xd9 };

static struct kt_alert motion(int64_t event)
{
    struct kt_alert a = alert_at(KT_ALERT_MOTION, "gerbang", NOON_UTC, event);
    strcpy(a.camera_name, "Gerbang \"Utara\" é");
    a.jpeg = jpeg;
    a.jpeg_size = sizeof(jpeg);
    return a;
}

static bool body_has(const struct seen *s, const void *what, size_t n)
{
    return memmem(s->body, s->size, what, n) != NULL;
}

START_TEST(a_web_hook_is_signed_json_with_the_picture)
{
    char url[128], expected[65];
    snprintf(url, sizeof(url), "%s/hook", base);
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = url, .secret = "kunci",
                                         .allow = KT_NET_ALLOW_ALL };
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(42);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 1, 0);
    kt_alerts_destroy(&a);
    ck_assert_str_eq(seen[0].method, "POST");
    ck_assert_str_eq(seen[0].type, "application/json");
    json_t *o = json_loadb(seen[0].body, seen[0].size, 0, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(json_string_value(json_object_get(o, "kind")), "motion");
    ck_assert_str_eq(json_string_value(json_object_get(o, "camera_name")), m.camera_name);
    ck_assert_str_eq(json_string_value(json_object_get(o, "link")), "https://cctv.example/events/42");
    ck_assert_str_eq(json_string_value(json_object_get(o, "picture")), "/9j/4EpGSUYA/9k=");
    ck_assert_str_eq(json_string_value(json_object_get(o, "id")), seen[0].id);
    json_decref(o);
    seen[0].body[seen[0].size] = '\0';
    kt_alert_sign(expected, "kunci", seen[0].stamp, seen[0].body);
    ck_assert_str_eq(seen[0].signature + strlen("sha256="), expected);
}
END_TEST

START_TEST(a_template_makes_the_body_that_the_other_side_wants)
{
    char url[128];
    snprintf(url, sizeof(url), "%s/hook", base);
    const struct kt_alert_channel ch = {
        .type = KT_ALERT_WEBHOOK, .name = "hook", .url = url, .allow = KT_NET_ALLOW_ALL,
        .body_template = "{\"to\":\"62812\",\"text\":\"{{text}}\",\"n\":{{event}},\"x\":\"{{none}}\"}" };
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(42);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 1, 0);
    kt_alerts_destroy(&a);
    json_t *o = json_loadb(seen[0].body, seen[0].size, 0, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(json_string_value(json_object_get(o, "text")),
                     "Gerakan di Gerbang \"Utara\" é (24-11 19:00 WIB)");
    ck_assert_int_eq(json_integer_value(json_object_get(o, "n")), 42);
    ck_assert_str_eq(json_string_value(json_object_get(o, "x")), "");
    json_decref(o);
    ck_assert_str_eq(seen[0].signature, "");
}
END_TEST

START_TEST(telegram_gets_the_photo_with_a_caption)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_TELEGRAM, .name = "t", .url = base, .secret = "12:ab",
                                         .to = "-1001", .allow = KT_NET_ALLOW_ALL };
    kt_alerts *a = create(&ch, 1, NULL);
    struct kt_alert m = motion(42);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 1, 0);
    m.jpeg = NULL;
    m.kind = KT_ALERT_DISK;
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 2, 0);
    kt_alerts_destroy(&a);
    ck_assert_str_eq(seen[0].url, "/bot12:ab/sendPhoto");
    ck_assert(body_has(&seen[0], "name=\"chat_id\"\r\n\r\n-1001\r\n", 25));
    ck_assert(body_has(&seen[0], "Gerakan di Gerbang", 18));
    ck_assert(body_has(&seen[0], jpeg, sizeof(jpeg)));
    ck_assert_str_eq(seen[1].url, "/bot12:ab/sendMessage");
}
END_TEST

START_TEST(ntfy_gets_the_picture_and_the_words)
{
    char url[128];
    snprintf(url, sizeof(url), "%s/ronda", base);
    const struct kt_alert_channel ch = { .type = KT_ALERT_NTFY, .name = "n", .url = url, .secret = "tk_1",
                                         .allow = KT_NET_ALLOW_ALL };
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(42);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 1, 0);
    kt_alerts_destroy(&a);
    ck_assert_str_eq(seen[0].method, "PUT");
    ck_assert_str_eq(seen[0].authorization, "Bearer tk_1");
    ck_assert_ptr_nonnull(strstr(seen[0].url, "/ronda|title=Kentongan|message=Gerakan di Gerbang \"Utara\" é (24"));
    ck_assert_ptr_nonnull(strstr(seen[0].url, "|click=https://cctv.example/events/42"));
    ck_assert_uint_eq(seen[0].size, sizeof(jpeg));
    ck_assert_mem_eq(seen[0].body, jpeg, sizeof(jpeg));
}
END_TEST

START_TEST(what_fails_is_tried_again_under_the_same_id)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                         .allow = KT_NET_ALLOW_ALL };
    failures_left = 2;
    failure_status = 503;
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(1);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 1, 0);
    struct kt_alerts_stats s;
    kt_alerts_stats(a, &s);
    ck_assert_str_eq(s.last_error, "");
    kt_alerts_destroy(&a);
    ck_assert_uint_eq(n_seen, 3);
    ck_assert_str_eq(seen[0].id, seen[2].id);
    ck_assert_uint_eq(strlen(seen[0].id), 32);
}
END_TEST

START_TEST(what_is_refused_for_good_is_given_up_and_said)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                         .allow = KT_NET_ALLOW_ALL };
    struct kt_alerts_stats s;
    failures_left = 9;
    failure_status = 404;
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(1);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 0, 1);
    kt_alerts_stats(a, &s);
    ck_assert_str_eq(s.last_error, "hook: answer 404");
    kt_alerts_destroy(&a);
    ck_assert_uint_eq(n_seen, 1);
}
END_TEST

START_TEST(a_test_message_passes_every_gate_and_can_be_waited_for)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                         .kinds = 1u << KT_ALERT_DISK, .allow = KT_NET_ALLOW_ALL };
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert test = { .kind = KT_ALERT_TEST, .wall_us = NOON_UTC };
    for (size_t i = 1; i <= 3; i++) {
        ck_assert_int_eq(kt_alerts_post(a, &test), 0);
        ck_assert_int_eq(kt_alerts_wait(a, 5 * KT_SECOND_US), 0);
        ck_assert_uint_eq(requests(), i);
    }
    pthread_mutex_lock(&seen_lock);
    failures_left = 1000;
    failure_status = 500;
    pthread_mutex_unlock(&seen_lock);
    ck_assert_int_eq(kt_alerts_post(a, &test), 0);
    ck_assert_int_eq(kt_alerts_wait(a, KT_SECOND_US / 5), -ETIMEDOUT);
    kt_alerts_destroy(&a);
}
END_TEST

START_TEST(a_guarded_hook_does_not_reach_this_machine)
{
    struct kt_alerts_stats s;
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                         .allow = KT_NET_GUARDED };
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(1);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 0, 1);
    kt_alerts_stats(a, &s);
    ck_assert_ptr_nonnull(strstr(s.last_error, "loopback"));
    kt_alerts_destroy(&a);
    ck_assert_uint_eq(n_seen, 0);
}
END_TEST

START_TEST(one_dead_channel_does_not_hold_up_the_other)
{
    const struct kt_alert_channel ch[] = {
        { .type = KT_ALERT_WEBHOOK, .name = "dead", .url = "http://127.0.0.1:1/", .allow = KT_NET_ALLOW_ALL },
        { .type = KT_ALERT_WEBHOOK, .name = "alive", .url = base, .allow = KT_NET_ALLOW_ALL },
    };
    kt_alerts *a = create(ch, 2, NULL);
    for (int i = 1; i <= 5; i++) {
        struct kt_alert m = motion(i);
        snprintf(m.camera, sizeof(m.camera), "c%d", i);
        ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    }
    settle(a, 5, 0);
    struct kt_alerts_stats s;
    kt_alerts_stats(a, &s);
    ck_assert_uint_ge(s.waiting, 5);
    kt_alerts_destroy(&a);
}
END_TEST

START_TEST(a_flood_is_bounded_and_never_blocks)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "dead", .url = "http://127.0.0.1:1/",
                                         .allow = KT_NET_ALLOW_ALL };
    struct kt_alerts_stats s = { 0 };
    kt_alerts *a = create(&ch, 1, NULL);
    for (int i = 0; i < 2000; i++) {
        struct kt_alert m = motion(i + 1);
        snprintf(m.camera, sizeof(m.camera), "c%d", i);
        (void)kt_alerts_post(a, &m);
        if (i % 32 == 31)
            poll(NULL, 0, 1);
    }
    for (int i = 0; i < 500 && (s.waiting > KT_ALERTS_QUEUE || s.dropped == 0); i++) {
        poll(NULL, 0, 10);
        kt_alerts_stats(a, &s);
    }
    ck_assert_uint_le(s.waiting, KT_ALERTS_QUEUE);
    ck_assert_uint_gt(s.dropped, 0);
    const int64_t before = kt_clock_mono_us();
    kt_alerts_destroy(&a);
    ck_assert_int_lt(kt_clock_mono_us() - before, 2 * KT_SECOND_US);
}
END_TEST

START_TEST(what_waits_survives_a_restart)
{
    char dir[] = "/tmp/kt-alerts-XXXXXX", path[64];
    kt_catalog *catalog = NULL;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/c.db", dir);
    ck_assert_int_eq(kt_catalog_open(&catalog, path, NULL), 0);
    struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                   .allow = KT_NET_ALLOW_ALL };
    failures_left = 1000;
    failure_status = 500;
    kt_alerts *a = create(&ch, 1, catalog);
    const struct kt_alert m = motion(42);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    for (int i = 0; i < 500 && requests() == 0; i++)
        poll(NULL, 0, 10);
    kt_alerts_destroy(&a);
    kt_catalog_close(&catalog);
    stop_web();                         /* whatever it was doing */
    char id[40];
    strcpy(id, seen[0].id);
    start_web();
    ck_assert_int_eq(kt_catalog_open(&catalog, path, NULL), 0);
    a = create(&ch, 1, catalog);
    settle(a, 1, 0);
    kt_alerts_destroy(&a);
    ck_assert_str_eq(seen[0].id, id);
    json_t *o = json_loadb(seen[0].body, seen[0].size, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(o, "camera_name")), m.camera_name);
    json_decref(o);
    a = create(&ch, 1, catalog);        /* sent: it must not come again */
    poll(NULL, 0, 150);
    kt_alerts_destroy(&a);
    ck_assert_uint_eq(requests(), 1);
    kt_catalog_close(&catalog);
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ------------------------- a mail server ------------------------- */

static int smtp_fd;
static char mail[65536];

static void *serve_mail(void *user)
{
    const int fd = accept(smtp_fd, NULL, NULL);
    FILE *f = fdopen(fd, "r+");
    char line[2048];
    bool data = false;
    fputs("220 test\r\n", f);
    fflush(f);
    while (fgets(line, sizeof(line), f)) {
        strncat(mail, line, sizeof(mail) - strlen(mail) - 1);
        if (data && strcmp(line, ".\r\n") != 0)
            continue;
        const bool to_data = strncmp(line, "DATA", 4) == 0;
        data = to_data;
        fseek(f, 0, SEEK_CUR);
        fputs(to_data ? "354 go on\r\n" : strncmp(line, "QUIT", 4) == 0 ? "221 bye\r\n" : "250 ok\r\n", f);
        fflush(f);
    }
    fclose(f);
    return NULL;
}

START_TEST(mail_goes_to_everybody_with_the_picture)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(in);
    char url[64];
    pthread_t thread;
    smtp_fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(smtp_fd, (struct sockaddr *)&in, sizeof(in)), 0);
    ck_assert_int_eq(listen(smtp_fd, 1), 0);
    ck_assert_int_eq(getsockname(smtp_fd, (struct sockaddr *)&in, &len), 0);
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%d", ntohs(in.sin_port));
    mail[0] = '\0';
    ck_assert_int_eq(pthread_create(&thread, NULL, serve_mail, NULL), 0);
    const struct kt_alert_channel ch = { .type = KT_ALERT_MAIL, .name = "mail", .url = url, .from = "cctv@rw05.example",
                                         .to = "a@example.org, b@example.org", .allow = KT_NET_ALLOW_ALL };
    kt_alerts *a = create(&ch, 1, NULL);
    const struct kt_alert m = motion(42);
    ck_assert_int_eq(kt_alerts_post(a, &m), 0);
    settle(a, 1, 0);
    kt_alerts_destroy(&a);
    pthread_join(thread, NULL);
    close(smtp_fd);
    ck_assert_ptr_nonnull(strstr(mail, "MAIL FROM:<cctv@rw05.example>"));
    ck_assert_ptr_nonnull(strstr(mail, "RCPT TO:<a@example.org>"));
    ck_assert_ptr_nonnull(strstr(mail, "RCPT TO:<b@example.org>"));
    ck_assert_ptr_nonnull(strstr(mail, "Subject: =?UTF-8?B?"));
    ck_assert_ptr_nonnull(strstr(mail, "Gerakan di Gerbang"));
    ck_assert_ptr_nonnull(strstr(mail, "image/jpeg"));
    ck_assert_ptr_nonnull(strstr(mail, "https://cctv.example/events/42"));
}
END_TEST

/* ------------------------- what the daemon notices ------------------------- */

static void name_of(void *user, const char *id, char *out, size_t cap)
{
    snprintf(out, cap, "Nama %s", id);
}

static char kinds_seen[256];

/* The kinds that reached the web hook, in order. */
static const char *kinds(kt_alerts **a, uint64_t sent)
{
    settle(*a, sent, 0);
    kt_alerts_destroy(a);
    kinds_seen[0] = '\0';
    for (size_t i = 0; i < n_seen; i++) {
        json_t *o = json_loadb(seen[i].body, seen[i].size, 0, NULL);
        strcat(kinds_seen, json_string_value(json_object_get(o, "kind")));
        strcat(kinds_seen, " ");
        json_decref(o);
    }
    return kinds_seen;
}

START_TEST(what_the_recorder_cannot_do_is_told_once_and_so_is_its_end)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                         .allow = KT_NET_ALLOW_ALL };
    const struct kt_ring_set none = { .n = 0 };
    kt_alerts *a = create(&ch, 1, NULL);
    kt_announce *an = NULL;
    const struct kt_announce_params p = { .alerts = a, .rings = &none, .name = name_of };
    ck_assert_int_eq(kt_announce_create(&an, &p), 0);
    struct kt_announce_facts f = { .clock_synchronised = true, .wall_us = NOON_UTC, .mono_us = 1 };
    for (int s = 0; s < 3600; s++) {
        f.mono_us += KT_SECOND_US;
        f.not_recording = s == 5 || (s >= 100 && s < 200) ? "video: the disk is gone" : NULL;
        f.clock_synchronised = s < 300;
        f.lost_intervals = s >= 1000 ? 3 : 0;
        kt_announce_facts(an, &f);
    }
    ck_assert_str_eq(kinds(&a, 4), "not-recording recording disk clock ");
    kt_announce_destroy(&an);
}
END_TEST

START_TEST(an_event_is_told_with_its_picture_and_only_once)
{
    const struct kt_alert_channel ch = { .type = KT_ALERT_WEBHOOK, .name = "hook", .url = base,
                                         .allow = KT_NET_ALLOW_ALL };
    const struct kt_ring_set none = { .n = 0 };
    kt_alerts *a = create(&ch, 1, NULL);
    kt_announce *an = NULL;
    const struct kt_announce_params p = { .alerts = a, .rings = &none, .name = name_of };
    ck_assert_int_eq(kt_announce_create(&an, &p), 0);
    struct kt_event ev = { .id = 1, .camera = "a", .type = "motion", .start_us = NOON_UTC };
    kt_announce_event(an, &ev, NULL, 0);
    kt_announce_event(an, &ev, jpeg, sizeof(jpeg));
    ev.has_thumbnail = true;
    ev.end_us = NOON_UTC + 400 * KT_SECOND_US;
    kt_announce_event(an, &ev, NULL, 0);
    ev = (struct kt_event){ .id = 2, .camera = "b", .type = "line", .start_us = NOON_UTC, .end_us = NOON_UTC + 1 };
    kt_announce_event(an, &ev, NULL, 0);
    ev = (struct kt_event){ .id = 3, .camera = "a", .type = "camera-covered", .start_us = NOON_UTC };
    kt_announce_event(an, &ev, NULL, 0);
    ev = (struct kt_event){ .id = 4, .camera = "a", .type = "camera-offline", .start_us = NOON_UTC };
    kt_announce_event(an, &ev, NULL, 0);
    ev.end_us = NOON_UTC + 1;
    kt_announce_event(an, &ev, NULL, 0);
    ck_assert_str_eq(kinds(&a, 5), "motion motion camera-trouble camera-offline camera-back ");
    kt_announce_destroy(&an);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alerts");
    TCase *tc = tcase_create("gate");
    tcase_add_checked_fixture(tc, clear_gate, NULL);
    tcase_add_loop_test(tc, hours_are_those_of_the_site_and_go_over_midnight, 0, KT_ARRAY_SIZE(times));
    tcase_add_loop_test(tc, an_hour_is_read, 0, KT_ARRAY_SIZE(hours));
    tcase_add_test(tc, the_same_is_not_told_again_while_it_is_fresh);
    tcase_add_test(tc, motion_is_for_the_night_and_only_the_urgent_breaks_the_quiet);
    tcase_add_test(tc, a_channel_gets_the_kinds_it_asked_for);
    tcase_add_test(tc, more_cameras_than_slots_are_still_told);
    tcase_add_test(tc, the_words_say_who_when_and_what_on_one_line);
    tcase_add_test(tc, a_signature_is_what_openssl_says);
    suite_add_tcase(suite, tc);
    tc = tcase_create("delivery");
    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, start_web, stop_web);
    tcase_add_test(tc, a_web_hook_is_signed_json_with_the_picture);
    tcase_add_test(tc, a_template_makes_the_body_that_the_other_side_wants);
    tcase_add_test(tc, telegram_gets_the_photo_with_a_caption);
    tcase_add_test(tc, ntfy_gets_the_picture_and_the_words);
    tcase_add_test(tc, what_fails_is_tried_again_under_the_same_id);
    tcase_add_test(tc, what_is_refused_for_good_is_given_up_and_said);
    tcase_add_test(tc, a_test_message_passes_every_gate_and_can_be_waited_for);
    tcase_add_test(tc, a_guarded_hook_does_not_reach_this_machine);
    tcase_add_test(tc, one_dead_channel_does_not_hold_up_the_other);
    tcase_add_test(tc, a_flood_is_bounded_and_never_blocks);
    tcase_add_test(tc, what_waits_survives_a_restart);
    tcase_add_test(tc, mail_goes_to_everybody_with_the_picture);
    tcase_add_test(tc, what_the_recorder_cannot_do_is_told_once_and_so_is_its_end);
    tcase_add_test(tc, an_event_is_told_with_its_picture_and_only_once);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

#include "web/live/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>

#include "server/base/clock.h"
#include "tests/unit/run_suite.h"

/* ------------------------------ a viewer of our own ------------------------------ */

struct client {
    int fd, hub_fd;
    sem_t closed;
    uint8_t buf[1 << 20];
    size_t size;
};

struct message {
    int opcode;
    size_t size;
    uint8_t data[1 << 18];
};

static kt_hub *hub;
static struct client client;
static struct message msg;
static struct kt_init *init_a;

static int may_see(void *user, const char *camera)
{
    return strncmp(camera, "secret", 6) != 0;
}

static void on_close(void *user)
{
    struct client *c = user;
    sem_post(&c->closed);
}

static void client_open(struct client *c, const void *extra, size_t n)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    c->fd = pair[0];
    c->hub_fd = pair[1];
    c->size = 0;
    sem_init(&c->closed, 0, 0);
    const struct kt_hub_viewer viewer = { .fd = pair[1], .user = c, .may_see = may_see,
                                          .on_close = on_close, .extra = extra, .extra_size = n };
    ck_assert_int_eq(kt_hub_adopt(hub, &viewer), 0);
}

/* Mask and send one frame. */
static void send_frame(struct client *c, int opcode, const void *data, size_t n)
{
    uint8_t frame[8 + 8192] = { (uint8_t)(0x80 | opcode) };
    size_t at = 2;
    ck_assert_uint_le(n, 8000);
    frame[1] = n < 126 ? (uint8_t)(0x80 | n) : 0x80 | 126;
    if (n >= 126) {
        frame[at++] = (uint8_t)(n >> 8);
        frame[at++] = (uint8_t)n;
    }
    memcpy(frame + at, "\x11\x22\x33\x44", 4);
    for (size_t i = 0; i < n; i++)
        frame[at + 4 + i] = ((const uint8_t *)data)[i] ^ frame[at + i % 4];
    (void)!send(c->fd, frame, at + 4 + n, MSG_NOSIGNAL);    /* fails once the hub hung up */
}

static void say(const char *json)
{
    send_frame(&client, 1, json, strlen(json));
}

/* Take a whole frame out of the buffer. */
static bool cut_frame(struct client *c, struct message *m)
{
    if (c->size < 2)
        return false;
    size_t head = 2, n = c->buf[1] & 0x7f;
    ck_assert_int_eq(c->buf[1] & 0x80, 0);      /* a server does not mask */
    const size_t more = n == 126 ? 2 : n == 127 ? 8 : 0;
    if (c->size < head + more)
        return false;
    if (more > 0)
        n = 0;
    for (size_t i = 0; i < more; i++)
        n = n << 8 | c->buf[head++];
    if (c->size < head + n)
        return false;
    ck_assert_uint_le(n, sizeof(m->data) - 1);
    m->opcode = c->buf[0] & 0x0f;
    m->size = n;
    memcpy(m->data, c->buf + head, n);
    m->data[n] = '\0';
    c->size -= head + n;
    memmove(c->buf, c->buf + head + n, c->size);
    return true;
}

/* The next message within 2 s; false at the end of the connection or when none comes. */
static bool next_within(struct client *c, struct message *m, int ms)
{
    while (!cut_frame(c, m)) {
        struct pollfd p = { .fd = c->fd, .events = POLLIN };
        if (poll(&p, 1, ms) <= 0)
            return false;
        const ssize_t n = recv(c->fd, c->buf + c->size, sizeof(c->buf) - c->size, 0);
        if (n <= 0)
            return false;
        c->size += (size_t)n;
    }
    return true;
}

static void expect_text(const char *part)
{
    ck_assert_msg(next_within(&client, &msg, 2000), "no message, expected %s", part);
    ck_assert_int_eq(msg.opcode, 1);
    ck_assert_msg(strstr((char *)msg.data, part), "%s lacks %s", msg.data, part);
}

static uint64_t le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

static void expect_binary(int type, int tile, bool key, uint64_t seq, const void *data, size_t n)
{
    ck_assert(next_within(&client, &msg, 2000));
    ck_assert_msg(msg.opcode == 2, "%d %s", msg.opcode, msg.data);
    ck_assert_uint_eq(msg.data[0], 1);
    ck_assert_uint_eq(msg.data[1], type);
    ck_assert_uint_eq(le(msg.data + 2, 2), tile);
    ck_assert_uint_eq(le(msg.data + 4, 4), key);
    ck_assert_uint_eq(le(msg.data + 8, 8), seq);
    ck_assert_uint_eq(msg.size, 24 + n);
    ck_assert_mem_eq(msg.data + 24, data, n);
}

/* ------------------------------ a publisher ------------------------------ */

static void publish_sized(const char *name, struct kt_init *init, bool key, int64_t wall_us,
                          const void *data, size_t n)
{
    struct kt_chunk *chunk = NULL;
    const struct kt_chunk meta = { .init = init, .run = 7, .wall_us = wall_us,
                                   .flags = key ? KT_CHUNK_KEY : 0, .size = n, .data = data };
    ck_assert_int_eq(kt_chunk_create(&chunk, &meta), 0);
    kt_hub_publish(hub, name, chunk);
    kt_chunk_unref(&chunk);
}

static void publish(const char *name, bool key, int64_t wall_us, const char *data)
{
    publish_sized(name, init_a, key, wall_us, data, strlen(data));
}

static void setup(void)
{
    const struct kt_hub_params params = { .max_viewers = 2, .gop_cache_bytes = 100000 };
    ck_assert_int_eq(kt_hub_create(&hub, &params), 0);
    ck_assert_int_eq(kt_init_create(&init_a, "INIT-A", 6, "video/mp4; codecs=\"avc1.64001f\"",
                                    640, 360), 0);
    client_open(&client, NULL, 0);
}

static void teardown(void)
{
    kt_hub_destroy(&hub);
    kt_init_unref(&init_a);
    (void)close(client.fd);
    (void)close(client.hub_fd);
}

static void expect_start(int tile)
{
    expect_text("\"op\":\"ready\"");
    ck_assert(strstr((char *)msg.data, "avc1.64001f\\\""));
    ck_assert(next_within(&client, &msg, 2000));
    ck_assert_int_eq(msg.data[1], 1);
    ck_assert_uint_eq(le(msg.data + 2, 2), tile);
    ck_assert_mem_eq(msg.data + 24, "INIT-A", 6);
}

/* What was said before has been heard. */
static void settle(void)
{
    say("{\"op\":\"nonsense\",\"tile\":9}");
    expect_text("bad-request");
}

/* ------------------------------ promises ------------------------------ */

START_TEST(tile_starts_at_once_from_the_current_group)
{
    publish("gate/sub", true, 1000000, "old key");
    publish("gate/sub", false, 1100000, "old");
    publish("gate/sub", true, 3000000, "key");
    publish("gate/sub", false, 3100000, "delta");
    say("{\"op\":\"subscribe\",\"tile\":513,\"camera\":\"gate\",\"stream\":\"sub\"}");
    expect_start(513);
    expect_binary(2, 513, true, 3, "key", 3);
    ck_assert_int_eq((int64_t)le(msg.data + 16, 8), 3000000);
    expect_binary(2, 513, false, 4, "delta", 5);
    publish("gate/sub", false, 3200000, "next");
    expect_binary(2, 513, false, 5, "next", 4);
}
END_TEST

START_TEST(nothing_is_sent_before_the_first_key_frame)
{
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"main\"}");
    publish("gate/main", false, 1000000, "delta");
    ck_assert(!next_within(&client, &msg, 100));
    publish("gate/main", true, 1100000, "key");
    expect_start(1);
    expect_binary(2, 1, true, 2, "key", 3);
}
END_TEST

START_TEST(new_run_sends_the_init_segment_again)
{
    struct kt_init *init_b = NULL;
    ck_assert_int_eq(kt_init_create(&init_b, "INIT-B", 6, "video/mp4; codecs=\"hvc1.1\"", 0, 0), 0);
    publish("gate/main", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"main\"}");
    expect_start(1);
    expect_binary(2, 1, true, 1, "key", 3);
    publish_sized("gate/main", init_b, true, 1100000, "hevc", 4);
    expect_text("hvc1.1");
    expect_binary(1, 1, true, 2, "INIT-B", 6);
    expect_binary(2, 1, true, 2, "hevc", 4);
    kt_init_unref(&init_b);
}
END_TEST

START_TEST(unsubscribed_tile_gets_nothing)
{
    publish("gate/sub", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"sub\"}");
    expect_start(1);
    expect_binary(2, 1, true, 1, "key", 3);
    say("{\"op\":\"unsubscribe\",\"tile\":1}");
    say("{\"op\":\"nonsense\",\"tile\":9}");
    expect_text("bad-request");
    publish("gate/sub", false, 1100000, "delta");
    ck_assert(!next_within(&client, &msg, 100));
    struct kt_hub_status status;
    kt_hub_status(hub, &status);
    ck_assert_uint_eq(status.tiles, 0);
    ck_assert_uint_eq(status.viewers, 1);
}
END_TEST

START_TEST(viewer_sees_only_its_cameras)
{
    publish("secret/sub", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"secret\",\"stream\":\"sub\"}");
    expect_text("not-found");
    kt_hub_publish_text(hub, "secret", "{\"op\":\"event\",\"n\":1}");
    kt_hub_publish_text(hub, "gate", "{\"op\":\"event\",\"n\":2}");
    kt_hub_publish_text(hub, NULL, "{\"op\":\"event\",\"n\":3}");
    expect_text("\"n\":2");
    expect_text("\"n\":3");
}
END_TEST

START_TEST(slow_viewer_skips_to_the_newest_key_frame_and_is_told)
{
    static uint8_t big[60000];
    publish("gate/main", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"main\"}");
    expect_start(1);
    expect_binary(2, 1, true, 1, "key", 3);
    /* 200 frames of 60 kB, 0.1 s apart, a key frame each second; nobody reads. */
    for (int i = 1; i <= 200; i++)
        publish_sized("gate/main", init_a, i % 10 == 0, 1000000 + i * 100000, big, sizeof(big));
    uint64_t last = 1, told = 0, gaps = 0;
    bool key = true;
    while (last < 201 && next_within(&client, &msg, 2000)) {
        if (msg.opcode == 1) {
            ck_assert_ptr_nonnull(strstr((char *)msg.data, "dropped"));
            told += strtoull(strstr((char *)msg.data, "frames\":") + 8, NULL, 10);
            key = false;
            continue;
        }
        const uint64_t seq = le(msg.data + 8, 8);
        if (!key)       /* after a gap comes a key frame */
            ck_assert_uint_eq(msg.data[4], 1);
        key = true;
        gaps += seq - last - 1;
        last = seq;
    }
    ck_assert_uint_eq(last, 201);
    ck_assert_uint_gt(told, 100);
    ck_assert_uint_eq(gaps, told);
    struct kt_hub_status status;
    kt_hub_status(hub, &status);
    ck_assert_uint_eq(status.frames_dropped, told);
}
END_TEST

START_TEST(endless_group_keeps_its_key_frame_and_its_end)
{
    static uint8_t big[30000];
    publish_sized("gate/main", init_a, true, 1000000, big, sizeof(big));
    for (int i = 1; i <= 20; i++)
        publish_sized("gate/main", init_a, false, 1000000 + i * 100000, big, sizeof(big));
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"main\"}");
    expect_start(1);
    expect_binary(2, 1, true, 1, big, sizeof(big));
    expect_text("dropped");
    publish_sized("gate/main", init_a, false, 3100000, big, sizeof(big));
    ck_assert(!next_within(&client, &msg, 100));
    publish("gate/main", true, 3200000, "key");
    expect_text("dropped");
    expect_binary(2, 1, true, 23, "key", 3);
}
END_TEST

START_TEST(still_tile_gets_the_newest_still_only)
{
    kt_hub_publish_still(hub, "gate", "jpeg1", 5, kt_clock_wall_us());
    kt_hub_publish_still(hub, "gate", "jpeg2", 5, kt_clock_wall_us());
    say("{\"op\":\"subscribe\",\"tile\":3,\"camera\":\"gate\",\"stream\":\"still\"}");
    expect_binary(3, 3, true, 2, "jpeg2", 5);
    kt_hub_publish_still(hub, "gate", "jpeg3", 5, kt_clock_wall_us());
    expect_binary(3, 3, true, 3, "jpeg3", 5);
    say("{\"op\":\"subscribe\",\"tile\":4,\"camera\":\"gate\",\"stream\":\"still\",\"every\":3600}");
    expect_binary(3, 4, true, 3, "jpeg3", 5);
    say("{\"op\":\"unsubscribe\",\"tile\":3}");
    settle();
    kt_hub_publish_still(hub, "gate", "jpeg4", 5, kt_clock_wall_us());
    ck_assert(!next_within(&client, &msg, 100));
    /* Another pace for the same tile: what is due comes, nothing comes twice. */
    say("{\"op\":\"subscribe\",\"tile\":4,\"camera\":\"gate\",\"stream\":\"still\"}");
    expect_binary(3, 4, true, 4, "jpeg4", 5);
    say("{\"op\":\"subscribe\",\"tile\":4,\"camera\":\"gate\",\"stream\":\"still\",\"every\":3600}");
    ck_assert(!next_within(&client, &msg, 100));
}
END_TEST

START_TEST(old_still_is_shown_at_once_and_replaced_as_soon_as_there_is_another)
{
    kt_hub_publish_still(hub, "gate", "long ago", 8, 1000000);
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"still\",\"every\":3600}");
    expect_binary(3, 1, true, 1, "long ago", 8);
    kt_hub_publish_still(hub, "gate", "now", 3, kt_clock_wall_us());
    expect_binary(3, 1, true, 2, "now", 3);
    kt_hub_publish_still(hub, "gate", "then", 4, kt_clock_wall_us());
    ck_assert(!next_within(&client, &msg, 100));
}
END_TEST

static const char moving[] = "{\"op\":\"motion\",\"camera\":\"gate\",\"boxes\":[[0.1,0.1,0.2,0.2]]}";
static const char quiet[] = "{\"op\":\"motion\",\"camera\":\"gate\",\"boxes\":[]}";

START_TEST(motion_is_told_to_those_who_look_and_kept_for_those_who_come)
{
    publish("gate/sub", true, 1000000, "key");
    publish("yard/sub", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"yard\"}");
    expect_start(1);
    expect_binary(2, 1, true, 1, "key", 3);
    kt_hub_publish_motion(hub, "gate", moving, true);
    ck_assert(!next_within(&client, &msg, 100));
    say("{\"op\":\"subscribe\",\"tile\":2,\"camera\":\"gate\"}");
    expect_text("[[0.1,0.1,0.2,0.2]]");
    expect_start(2);
    expect_binary(2, 2, true, 1, "key", 3);
    kt_hub_publish_motion(hub, "gate", quiet, false);
    expect_text("\"boxes\":[]");
    ck_assert(!next_within(&client, &msg, 100));
}
END_TEST

START_TEST(slow_viewer_hears_only_the_newest_motion)
{
    static uint8_t big[60000];
    publish("gate/sub", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\"}");
    expect_start(1);
    expect_binary(2, 1, true, 1, "key", 3);
    /* Nobody reads: far more text than the hub would keep for a viewer. */
    for (int i = 1; i <= 40; i++)
        publish_sized("gate/sub", init_a, i % 10 == 0, 1000000 + i * 100000, big, sizeof(big));
    char text[KT_HUB_MOTION_MAX];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "{\"op\":\"motion\",\"n\":%d,\"fill\":\"%1000s\"}", i, "");
        kt_hub_publish_motion(hub, "gate", text, true);
    }
    int heard = 0, last = -1;
    while (last < 999 && next_within(&client, &msg, 2000)) {
        const char *n = msg.opcode == 1 ? strstr((char *)msg.data, "\"n\":") : NULL;
        if (!n)
            continue;
        ck_assert_int_gt(atoi(n + 4), last);
        last = atoi(n + 4);
        heard++;
    }
    ck_assert_int_eq(last, 999);
    ck_assert_int_lt(heard, 500);
}
END_TEST

START_TEST(still_tile_hears_only_of_beginning_and_end_of_motion)
{
    kt_hub_publish_still(hub, "gate", "jpeg", 4, kt_clock_wall_us());
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"still\",\"every\":3600}");
    expect_binary(3, 1, true, 1, "jpeg", 4);
    for (int round = 0; round < 2; round++) {
        kt_hub_publish_motion(hub, "gate", moving, true);
        expect_text("[[0.1");
        kt_hub_publish_motion(hub, "gate", moving, true);
        ck_assert(!next_within(&client, &msg, 50));
        kt_hub_publish_motion(hub, "gate", quiet, false);
        expect_text("[]");
    }
}
END_TEST

START_TEST(motion_of_a_camera_one_may_not_see_is_not_told)
{
    publish("secret/sub", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"secret\"}");
    expect_text("not-found");
    kt_hub_publish_motion(hub, "secret", moving, true);
    kt_hub_publish_motion(hub, "nowhere", moving, true);
    ck_assert(!next_within(&client, &msg, 100));
}
END_TEST

START_TEST(removed_camera_ends_its_tiles)
{
    publish("gate/sub", true, 1000000, "key");
    say("{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"sub\"}");
    say("{\"op\":\"subscribe\",\"tile\":2,\"camera\":\"gate\",\"stream\":\"sub\"}");
    for (int i = 0; i < 6; i++)     /* ready, init, key; twice */
        ck_assert(next_within(&client, &msg, 2000));
    kt_hub_remove(hub, "gate");
    expect_text("gone");
    expect_text("gone");
    publish("gate/sub", true, 9000000, "key");
    ck_assert(!next_within(&client, &msg, 100));
}
END_TEST

START_TEST(bytes_read_before_the_upgrade_are_heard)
{
    struct client *late = calloc(1, sizeof(*late));
    uint8_t frame[80];
    const char *json = "{\"op\":\"unsubscribe\",\"tile\":-1}";
    const size_t n = strlen(json);
    frame[0] = 0x81;
    frame[1] = (uint8_t)(0x80 | n);
    memset(frame + 2, 0, 4);
    memcpy(frame + 6, json, n);
    client_open(late, frame, 6 + n);
    ck_assert(next_within(late, &msg, 2000));
    ck_assert_ptr_nonnull(strstr((char *)msg.data, "bad-request"));
    close(late->fd);
    sem_wait(&late->closed);
    close(late->hub_fd);
    free(late);
}
END_TEST

START_TEST(too_many_viewers_are_refused)
{
    struct client *second = calloc(1, sizeof(*second));
    client_open(second, NULL, 0);
    const struct kt_hub_viewer third = { .fd = client.hub_fd, .may_see = may_see,
                                         .on_close = on_close };
    ck_assert_int_eq(kt_hub_adopt(hub, &third), -EBUSY);
    close(second->fd);
    sem_wait(&second->closed);
    close(second->hub_fd);
    free(second);
}
END_TEST

static const struct {
    int opcode;
    const char *data;
    int answer;         /* 0: closed, else the close code; 1: an error message */
} bad_frames[] = {
    { 1, "{", 1 }, { 1, "[]", 1 }, { 1, "\"op\"", 1 }, { 1, "{\"op\":\"subscribe\"}", 1 },
    { 1, "{\"op\":\"subscribe\",\"tile\":70000,\"camera\":\"gate\"}", 1 },
    { 1, "{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"../x\",\"stream\":\"sub\"}", 1 },
    { 1, "{\"op\":\"subscribe\",\"tile\":1,\"camera\":\"gate\",\"stream\":\"x\"}", 1 },
    { 1, "{\"op\":\"subscribe\",\"op\":\"subscribe\",\"tile\":1}", 1 },
    { 2, "binary", 1003 }, { 1, "\xff\xfe", 1007 }, { 3, "reserved", 1002 },
};

START_TEST(bad_message_harms_nobody)
{
    send_frame(&client, bad_frames[_i].opcode, bad_frames[_i].data, strlen(bad_frames[_i].data));
    ck_assert(next_within(&client, &msg, 2000));
    if (bad_frames[_i].answer == 1) {
        ck_assert_int_eq(msg.opcode, 1);
        ck_assert_ptr_nonnull(strstr((char *)msg.data, "\"op\":\"error\""));
        return;
    }
    ck_assert_int_eq(msg.opcode, 8);
    ck_assert_int_eq(msg.data[0] << 8 | msg.data[1], bad_frames[_i].answer);
}
END_TEST

START_TEST(long_message_and_flood_are_cut_off)
{
    if (_i == 0) {
        char text[5000];
        memset(text, ' ', sizeof(text));
        send_frame(&client, 1, text, sizeof(text));
    } else {
        for (int i = 0; i < 300; i++)
            say("{\"op\":\"unsubscribe\",\"tile\":1}");
    }
    while (next_within(&client, &msg, 3000) && msg.opcode != 8)
        ;
    ck_assert_int_eq(msg.opcode, 8);
    ck_assert_int_eq(msg.data[0] << 8 | msg.data[1], _i == 0 ? 1009 : 1008);
    sem_wait(&client.closed);
}
END_TEST

START_TEST(ping_is_answered_and_close_is_clean)
{
    send_frame(&client, 9, "hi", 2);
    ck_assert(next_within(&client, &msg, 2000));
    ck_assert_int_eq(msg.opcode, 10);
    ck_assert_mem_eq(msg.data, "hi", 2);
    send_frame(&client, 8, "\x03\xe8", 2);
    ck_assert(next_within(&client, &msg, 2000));
    ck_assert_int_eq(msg.opcode, 8);
    sem_wait(&client.closed);
}
END_TEST

START_TEST(disconnect_says_goodbye_to_everybody)
{
    kt_hub_disconnect(hub);
    ck_assert_int_eq(sem_trywait(&client.closed), 0);
    ck_assert(next_within(&client, &msg, 2000));
    ck_assert_int_eq(msg.opcode, 8);
    ck_assert_int_eq(msg.data[0] << 8 | msg.data[1], 1001);
    const struct kt_hub_viewer late = { .fd = client.hub_fd, .may_see = may_see,
                                        .on_close = on_close };
    ck_assert_int_eq(kt_hub_adopt(hub, &late), -ESHUTDOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hub");
    TCase *tc = tcase_create("hub");
    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, tile_starts_at_once_from_the_current_group);
    tcase_add_test(tc, nothing_is_sent_before_the_first_key_frame);
    tcase_add_test(tc, new_run_sends_the_init_segment_again);
    tcase_add_test(tc, unsubscribed_tile_gets_nothing);
    tcase_add_test(tc, viewer_sees_only_its_cameras);
    tcase_add_test(tc, slow_viewer_skips_to_the_newest_key_frame_and_is_told);
    tcase_add_test(tc, endless_group_keeps_its_key_frame_and_its_end);
    tcase_add_test(tc, still_tile_gets_the_newest_still_only);
    tcase_add_test(tc, old_still_is_shown_at_once_and_replaced_as_soon_as_there_is_another);
    tcase_add_test(tc, motion_is_told_to_those_who_look_and_kept_for_those_who_come);
    tcase_add_test(tc, slow_viewer_hears_only_the_newest_motion);
    tcase_add_test(tc, still_tile_hears_only_of_beginning_and_end_of_motion);
    tcase_add_test(tc, motion_of_a_camera_one_may_not_see_is_not_told);
    tcase_add_test(tc, removed_camera_ends_its_tiles);
    tcase_add_test(tc, bytes_read_before_the_upgrade_are_heard);
    tcase_add_test(tc, too_many_viewers_are_refused);
    tcase_add_loop_test(tc, bad_message_harms_nobody, 0, KT_ARRAY_SIZE(bad_frames));
    tcase_add_loop_test(tc, long_message_and_flood_are_cut_off, 0, 2);
    tcase_add_test(tc, ping_is_answered_and_close_is_clean);
    tcase_add_test(tc, disconnect_says_goodbye_to_everybody);
    suite_add_tcase(suite, tc);
    return kt_run_suite(suite);
}

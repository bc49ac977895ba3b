/*
 * history - a month of recordings and of what moved, without having waited for it.
 *
 *   history RINGDIR RING_BYTES CATALOG CAMERAS DAYS
 *
 * Makes the ring and the catalog of CAMERAS cameras (cam01, cam02, …) that end now: recorded all the time
 * but for a few gaps a day, something moving about an hour in ten and more in the evening, two hundred
 * events a day and camera. Pictures are dummies: only the index is real. For measuring the timeline.
 */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"
#include "storage/catalog/activity.h"
#include "storage/catalog/catalog.h"
#include "storage/ring/ring.h"

#define MINUTE_US (60 * KT_SECOND_US)
#define RECORD_US (10 * MINUTE_US)      /* one chunk stands for so much video */
#define FLUSH_EVERY 20000
#define EVENT_CHANCE 7                  /* in a hundred busy minutes, three times that */

static void check(int ret, const char *what)
{
    if (ret >= 0)
        return;
    fprintf(stderr, "history: %s: %s\n", what, kt_strerror(ret));
    exit(1);
}

static unsigned chance(void)
{
    static uint64_t x = 88172645463325252ULL;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned)(x >> 33);
}

/* ------------------------------ the ring ------------------------------ */

struct writer {
    kt_ring *ring;
    struct kt_init *init;
    size_t appended;
};

static void append(struct writer *w, uint32_t stream, uint64_t run, int64_t at_us, int64_t run_us,
                   int64_t length_us)
{
    struct kt_chunk *chunk = NULL;
    const struct kt_chunk meta = { .init = w->init, .run = run, .wall_us = at_us,
                                   .dts_90k = (at_us - run_us) / 100 * 9,
                                   .duration_90k = (uint32_t)(length_us / 100 * 9),
                                   .flags = KT_CHUNK_KEY, .size = 8,
                                   .data = (const uint8_t *)"no video" };
    check(kt_chunk_create(&chunk, &meta), "chunk");
    int ret = kt_ring_append(w->ring, stream, chunk);
    if (ret == -EAGAIN) {
        check(kt_ring_flush(w->ring, 60 * KT_SECOND_US), "flush");
        ret = kt_ring_append(w->ring, stream, chunk);
    }
    check(ret, "append");
    kt_chunk_unref(&chunk);
    if (++w->appended % FLUSH_EVERY == 0)
        check(kt_ring_flush(w->ring, 60 * KT_SECOND_US), "flush");
}

static void record(struct writer *w, int camera, int64_t from_us, int64_t to_us)
{
    char name[32];
    uint32_t stream;
    uint64_t run = 1;
    int64_t run_us = from_us;
    snprintf(name, sizeof(name), "cam%02d/main", camera);
    check(kt_ring_stream(w->ring, name, &stream), name);
    for (int64_t at = from_us; at < to_us;) {
        const int64_t length = to_us - at < RECORD_US ? to_us - at : RECORD_US;
        append(w, stream, run, at, run_us, length);
        at += length;
        if (chance() % 50 || to_us - at < 60 * MINUTE_US)
            continue;
        const int64_t gap = (5 + chance() % 900) * KT_SECOND_US;
        (void)kt_ring_gap(w->ring, stream, at, at + gap,
                          chance() % 3 ? KT_GAP_CAMERA_SILENT : KT_GAP_DISK_STALL);
        at += gap;
        run_us = at;
        run++;
    }
}

/* ------------------------------ the catalog ------------------------------ */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        fprintf(stderr, "history: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
    return s;
}

static void step(sqlite3_stmt *s)
{
    if (sqlite3_step(s) != SQLITE_DONE) {
        fprintf(stderr, "history: %s\n", sqlite3_errmsg(sqlite3_db_handle(s)));
        exit(1);
    }
    sqlite3_reset(s);
}

struct statements {
    sqlite3_stmt *minute, *hour, *event;
};

/* A minute in which something moved: every other second or so. Returns the sum of its scores. */
static int64_t busy_minute(const struct statements *st, const char *camera, int64_t minute)
{
    uint8_t data[60 * (2 + KT_GRID_BYTES)];
    int n = 0;
    int64_t sum = 0;
    for (int second = (int)(chance() % 20); second < 60; second += 1 + (int)(chance() % 3)) {
        data[n] = (uint8_t)second;
        data[n + 1] = (uint8_t)(1 + chance() % 60);
        sum += data[n + 1];
        for (int i = 0; i < KT_GRID_BYTES; i++)
            data[n + 2 + i] = (uint8_t)(chance() & chance() & chance());
        n += 2 + KT_GRID_BYTES;
    }
    sqlite3_bind_text(st->minute, 1, camera, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st->minute, 2, minute);
    sqlite3_bind_int64(st->minute, 3, sum);
    sqlite3_bind_blob(st->minute, 4, data, n, SQLITE_STATIC);
    step(st->minute);
    return sum;
}

static void event(const struct statements *st, const char *camera, int64_t start_us)
{
    const int64_t length = (4 + chance() % 40) * KT_SECOND_US;
    sqlite3_bind_text(st->event, 1, camera, -1, SQLITE_STATIC);
    sqlite3_bind_text(st->event, 2, chance() % 8 ? "motion" : "line", -1, SQLITE_STATIC);
    sqlite3_bind_int64(st->event, 3, start_us);
    sqlite3_bind_int64(st->event, 4, start_us + length);
    sqlite3_bind_double(st->event, 5, (double)(chance() % 1000) / 1000);
    step(st->event);
}

static void live(const struct statements *st, const char *camera, int64_t from_us, int64_t to_us)
{
    int64_t hour = from_us / MINUTE_US / 60, sum = 0;
    for (int64_t minute = from_us / MINUTE_US; minute < to_us / MINUTE_US; minute++) {
        const int local = (int)((minute / 60 + 7) % 24);
        const unsigned busy = local >= 17 && local < 23 ? 40 : local < 5 ? 5 : 20;
        if (minute / 60 != hour) {
            sqlite3_bind_text(st->hour, 1, camera, -1, SQLITE_STATIC);
            sqlite3_bind_int64(st->hour, 2, hour);
            sqlite3_bind_int64(st->hour, 3, sum);
            step(st->hour);
            hour = minute / 60;
            sum = 0;
        }
        if (chance() % 100 >= busy)
            continue;
        sum += busy_minute(st, camera, minute);
        for (int i = 0; i < 9; i++)
            if (chance() % 100 < EVENT_CHANCE)
                event(st, camera, minute * MINUTE_US + (int64_t)(chance() % 50) * KT_SECOND_US);
    }
}

static void fill_catalog(const char *path, int cameras, int64_t from_us, int64_t to_us)
{
    kt_catalog *catalog = NULL;
    struct kt_error err = { "" };
    sqlite3 *db = NULL;
    check(kt_catalog_open(&catalog, path, &err), err.text);     /* makes the tables */
    kt_catalog_close(&catalog);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        check(-EIO, path);
    sqlite3_exec(db, "PRAGMA synchronous = OFF; BEGIN", NULL, NULL, NULL);
    const struct statements st = {
        .minute = prepare(db, "INSERT INTO activity (camera, minute, sum, data) VALUES (?,?,?,?)"),
        .hour = prepare(db, "INSERT INTO activity_hour (camera, hour, sum) VALUES (?,?,?)"),
        .event = prepare(db, "INSERT INTO event (camera, type, rule, start, end, score, seen)"
                             " VALUES (?,?,'',?,?,?,1)"),
    };
    for (int i = 1; i <= cameras; i++) {
        char camera[16];
        snprintf(camera, sizeof(camera), "cam%02d", i);
        live(&st, camera, from_us, to_us);
    }
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_stmt *count = prepare(db, "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM activity)");
    if (sqlite3_step(count) == SQLITE_ROW)
        printf("{\"events\":%lld,\"minutes\":%lld,", sqlite3_column_int64(count, 0),
               sqlite3_column_int64(count, 1));
    sqlite3_finalize(count);
    sqlite3_finalize(st.minute);
    sqlite3_finalize(st.hour);
    sqlite3_finalize(st.event);
    sqlite3_close(db);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: history RINGDIR RING_BYTES CATALOG CAMERAS DAYS\n");
        return 2;
    }
    const int cameras = atoi(argv[4]), days = atoi(argv[5]);
    const int64_t to_us = kt_clock_wall_us() / MINUTE_US * MINUTE_US;
    const int64_t from_us = to_us - days * 24 * 60 * MINUTE_US;
    const struct kt_ring_params p = { .name = "video", .path = argv[1], .create = true, .scrub_rate = -1,
                                      .size_bytes = strtoull(argv[2], NULL, 10) };
    struct kt_error err = { "" };
    struct writer w = { .appended = 0 };
    check(kt_ring_open(&w.ring, &p, &err), err.text);
    check(kt_init_create(&w.init, "init", 4, "video/mp4; codecs=\"avc1.640028\"", 1920, 1080), "init");
    for (int i = 1; i <= cameras; i++)
        record(&w, i, from_us, to_us);
    kt_init_unref(&w.init);
    kt_ring_close(&w.ring);
    fill_catalog(argv[3], cameras, from_us, to_us);
    printf("\"records\":%zu}\n", w.appended);
    return 0;
}

/* Forty cameras of 2 Mbit/s, in real time: the disk stalls for half a minute; eight people look on.
 * KT_STALL_SECONDS: another length of the stall. */
#include <sys/resource.h>

#include "server/base/log.h"
#include "tests/faults/ring/bad_disk.h"
#include "tests/unit/ring_kit.h"
#include "tests/unit/run_suite.h"

#define STREAMS 40
#define FRAME_BYTES 50000               /* 5 a second: 2 Mbit/s */
#define VIEWERS 8
#define QUEUE_BYTES (64 * MIB)          /* what a ring has by default */

static struct bad_disk disk;
static struct kt_ring_io io;
static kt_ring *ring;
static struct kit_feed feed[STREAMS];
static int64_t began_us, slowest_us, most_queued;

static void open_ring(uint64_t size_bytes, uint64_t slab_bytes)
{
    struct kt_ring_params p = kit_params();
    struct kt_error err = { "" };
    disk = (struct bad_disk){ .error = 0 };
    io = bad_io(&disk);
    p.size_bytes = size_bytes;
    p.slab_bytes = slab_bytes;
    ck_assert_msg(kt_ring_open_io(&ring, &p, &io, &err) == 0, "%s", err.text);
    for (int i = 0; i < STREAMS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d/main", i);
        feed[i] = kit_feed(ring, name, FRAME_BYTES);
    }
    began_us = kt_clock_mono_us();
    slowest_us = most_queued = 0;
}

static void close_ring(void)
{
    kt_ring_close(&ring);
    for (int i = 0; i < STREAMS; i++)
        kt_init_unref(&feed[i].init);
}

/* One frame of each stream, when it is due. Cameras do not wait for the disk. */
static void push_due(void)
{
    const int64_t due = began_us + (int64_t)feed[0].frame * FRAME_US;
    const int64_t now = kt_clock_mono_us();
    if (due > now)
        usleep((useconds_t)(due - now));
    for (int i = 0; i < STREAMS; i++) {
        const uint64_t dropped = ring->count.dropped_chunks;
        const int64_t start = kt_clock_mono_us();
        const int ret = kit_push(&feed[i]);
        const int64_t took = kt_clock_mono_us() - start;
        ck_assert(ret == 0 || (ret == -EAGAIN && ring->count.dropped_chunks == dropped + 1));
        slowest_us = took > slowest_us ? took : slowest_us;
    }
    pthread_mutex_lock(&ring->lock);
    const int64_t queued = (int64_t)(ring->queue.bytes + ring->in_flight);
    pthread_mutex_unlock(&ring->lock);
    most_queued = queued > most_queued ? queued : most_queued;
}

static void push_seconds(double seconds)
{
    for (const int until = feed[0].frame + (int)(seconds * FPS); feed[0].frame < until;)
        push_due();
}

static long peak_kib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Stream I: before the stall, one gap for it, after it; whole groups of pictures; every byte right. */
static int64_t check_stream(int i)
{
    struct kt_ring_span *span = NULL;
    struct kt_record *rec = NULL;
    size_t n = 0;
    const int64_t end = T0 + feed[i].frame * FRAME_US;
    ck_assert_int_eq(kt_ring_spans(ring, feed[i].stream, T0, end, &span, &n), 0);
    ck_assert_msg(n == 3, "stream %d: %zu spans", i, n);
    ck_assert_int_eq(span[0].from_us, T0);
    ck_assert_int_eq(span[0].reason, KT_GAP_NONE);
    ck_assert_int_eq(span[1].reason, KT_GAP_DISK_STALL);
    ck_assert_int_eq(span[2].reason, KT_GAP_NONE);
    ck_assert_int_eq(span[2].to_us, end);
    ck_assert_int_eq((span[1].to_us - T0) % (GOP * FRAME_US), 0);   /* it goes on with a key frame */
    const int64_t gap = span[1].to_us - span[1].from_us;
    ck_assert_int_eq(kit_verify(&feed[i], T0, end), (end - T0 - gap) / FRAME_US);
    ck_assert_int_eq(kt_ring_query(ring, feed[i].stream, span[1].to_us, end, 1, &rec, &n), 0);
    ck_assert(n == 1 && rec->start_us == span[1].to_us && (rec->flags & KT_RECORD_KEY));
    free(rec);
    free(span);
    return gap;
}

START_TEST(a_stalled_disk_costs_whole_gops_and_no_memory)
{
    const char *more = getenv("KT_STALL_SECONDS");
    const double stall = more ? atof(more) : 30;
    int64_t least = INT64_MAX, most = 0;
    struct kt_ring_status st;
    open_ring(512 * MIB, 32 * MIB);
    push_seconds(4);
    const long before = peak_kib();
    pthread_mutex_lock(&disk.gate);
    push_seconds(stall);
    pthread_mutex_unlock(&disk.gate);
    const long grown = peak_kib() - before;
    push_seconds(5);
    kit_flush(ring);
    kt_ring_status(ring, &st);
    ck_assert_int_eq(st.state, KT_RING_OK);
    ck_assert_uint_eq(st.lost_intervals, 0);
    for (int i = 0; i < STREAMS; i++) {
        const int64_t gap = check_stream(i);
        least = gap < least ? gap : least;
        most = gap > most ? gap : most;
    }
    printf("stall of %.0f s: at most %.1f MiB queued, the process grew by %.1f MiB, gaps of %.1f to %.1f s, "
           "slowest append %.1f ms\n", stall, (double)most_queued / (double)MIB, (double)grown / 1024,
           (double)least / 1e6, (double)most / 1e6, (double)slowest_us / 1e3);
    ck_assert_int_le(most_queued, QUEUE_BYTES);
    ck_assert_int_le(grown, (long)(QUEUE_BYTES / 1024 + 24 * 1024));
    ck_assert_int_gt(least, (int64_t)((stall - 12) * 1e6));         /* 6.4 s fit into the queue */
    ck_assert_int_lt(most, (int64_t)((stall + 4) * 1e6));
    close_ring();
}
END_TEST

/* ---- people who look on ---- */

struct viewer {
    pthread_t thread;
    int n;
    atomic_bool *stop;
    uint64_t bytes;
    int bad, gone;
};

/* Each frame of the record begins as this stream's frame of that time does. */
static bool is_right(const struct kit_feed *f, const struct kt_record *rec, const uint8_t *p)
{
    for (uint32_t k = 0; k < rec->frames; k++, p += FRAME_BYTES)
        for (size_t i = 0; i < 64; i++)
            if (p[i] != kit_byte(f->seed, rec->start_us / FRAME_US + k, i))
                return false;
    return true;
}

/* Reads everything of one stream after the other, as fast as it can; slabs are reused under its hands. */
static void *view(void *arg)
{
    struct viewer *v = arg;
    uint8_t *buf = malloc(KT_MAX_PAYLOAD);
    for (uint32_t stream = (uint32_t)v->n; !*v->stop; stream = (stream + 1) % STREAMS) {
        struct kt_record *rec = NULL;
        size_t n = 0;
        v->bad += kt_ring_query(ring, stream, 0, INT64_MAX, SIZE_MAX, &rec, &n) < 0;
        for (size_t i = 0; i < n && !*v->stop; i++) {
            const int ret = kt_ring_read(ring, &rec[i], buf);
            v->gone += ret == -ESTALE;
            v->bad += ret == 0 ? !is_right(&feed[stream], &rec[i], buf) : ret != -ESTALE;
            v->bytes += ret == 0 ? rec[i].size : 0;
        }
        free(rec);
    }
    free(buf);
    return NULL;
}

/* The longest that a frame waited to be on disk, over SECONDS. */
static int64_t worst_lag_us(double seconds)
{
    int64_t worst = 0;
    for (const int until = feed[0].frame + (int)(seconds * FPS); feed[0].frame < until;) {
        push_due();
        struct kt_ring_status st;
        kt_ring_status(ring, &st);
        const int64_t lag = T0 + feed[0].frame * FRAME_US - st.durable_us;
        worst = st.durable_us && lag > worst ? lag : worst;
    }
    return worst;
}

START_TEST(eight_viewers_do_not_delay_the_writer_nor_see_what_is_reused)
{
    atomic_bool stop = false;
    struct viewer viewer[VIEWERS];
    struct kt_ring_status st;
    uint64_t bytes = 0;
    int gone = 0;
    open_ring(64 * MIB, 8 * MIB);       /* goes round every 6 s */
    push_seconds(4);
    const int64_t alone = worst_lag_us(4);
    const int64_t start = kt_clock_mono_us();
    for (int i = 0; i < VIEWERS; i++) {
        viewer[i] = (struct viewer){ .n = i * STREAMS / VIEWERS, .stop = &stop };
        ck_assert_int_eq(pthread_create(&viewer[i].thread, NULL, view, &viewer[i]), 0);
    }
    const int64_t watched = worst_lag_us(7);
    const double took = (double)(kt_clock_mono_us() - start) / 1e6;
    stop = true;
    for (int i = 0; i < VIEWERS; i++) {
        pthread_join(viewer[i].thread, NULL);
        ck_assert_int_eq(viewer[i].bad, 0);
        bytes += viewer[i].bytes;
        gone += viewer[i].gone;
    }
    kit_flush(ring);
    kt_ring_status(ring, &st);
    printf("a frame is on disk after at most %.2f s; with %d viewers who read %.0f Mbit/s, %.2f s; "
           "%d times gone\n", (double)alone / 1e6, VIEWERS, (double)bytes * 8 / took / 1e6,
           (double)watched / 1e6, gone);
    ck_assert_uint_eq(st.dropped_chunks, 0);
    ck_assert_double_gt((double)bytes * 8 / took / 1e6, VIEWERS * 2.0);    /* they did look */
    ck_assert_int_le(watched, 2 * KT_SECOND_US);
    close_ring();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load");
    TCase *t = tcase_create("load");
    kt_log_set_level(0);
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, kit_setup, kit_teardown);
    tcase_add_test(t, a_stalled_disk_costs_whole_gops_and_no_memory);
    tcase_add_test(t, eight_viewers_do_not_delay_the_writer_nor_see_what_is_reused);
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

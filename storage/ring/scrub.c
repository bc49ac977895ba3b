#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "server/base/log.h"
#include "storage/ring/check.h"
#include "storage/ring/ring_private.h"
#include "storage/ring/vec.h"

#define PAUSE_US (600 * KT_SECOND_US)   /* between one time around and the next */

struct finding {
    uint64_t slab_seq, seq, offset;
    char what[80];
};

struct scrub {
    kt_ring *ring;
    struct finding *found;              /* in the slab at hand */
    size_t n, cap;
    int64_t ahead_us;                   /* how much time the bytes read so far should have taken */
    int64_t since_us;
};

bool kt_ring_note_bad(kt_ring *ring, uint64_t slab_seq, uint64_t offset)
{
    bool known = false;
    pthread_mutex_lock(&ring->scrub_lock);
    for (size_t i = 0; i < ring->n_known_bad && i < KT_KNOWN_BAD; i++)
        known |= ring->known_bad[i].slab_seq == slab_seq && ring->known_bad[i].offset == offset;
    if (!known) {                       /* with more than that, some are counted again */
        ring->known_bad[ring->n_known_bad++ % KT_KNOWN_BAD] = (struct kt_bad_place){ slab_seq, offset };
        atomic_fetch_add(&ring->count.corrupt, 1);
    }
    pthread_mutex_unlock(&ring->scrub_lock);
    return !known;
}

/* Wait until AT, or until told to stop: false. */
static bool wait_until(kt_ring *ring, int64_t at_us)
{
    pthread_mutex_lock(&ring->scrub_lock);
    while (!ring->scrub_stop && kt_clock_mono_us() < at_us) {
        const struct timespec at = kt_clock_deadline(at_us - kt_clock_mono_us());
        pthread_cond_timedwait(&ring->scrub_wake, &ring->scrub_lock, &at);
    }
    const bool go_on = !ring->scrub_stop;
    pthread_mutex_unlock(&ring->scrub_lock);
    return go_on;
}

static bool on_pace(void *user, size_t bytes)
{
    struct scrub *s = user;
    atomic_fetch_add(&s->ring->count.scrubbed, bytes);
    s->ahead_us += (int64_t)bytes * KT_SECOND_US / s->ring->scrub_rate;
    return wait_until(s->ring, s->since_us + s->ahead_us);
}

static void on_bad(void *user, uint64_t slab_seq, uint64_t seq, uint64_t offset, const char *what)
{
    struct scrub *s = user;
    if (kt_vec_room(&s->found, s->n, &s->cap) < 0)
        return;
    struct finding *f = &s->found[s->n++];
    *f = (struct finding){ .slab_seq = slab_seq, .seq = seq, .offset = offset };
    snprintf(f->what, sizeof(f->what), "%s", what);
}

/* Payloads that are not what was written, and were not erased. */
static void add_payloads(struct scrub *s, const struct kt_scan *scan)
{
    for (size_t i = 0; i < scan->n; i++) {
        const struct kt_scan_item *item = &scan->items[i];
        if (item->state != KT_SCAN_BAD_PAYLOAD)
            continue;
        pthread_rwlock_rdlock(&s->ring->ix->lock);
        const struct kt_index_stream *st = kt_index_stream_of(s->ring->ix, item->h.stream);
        const bool erased = st && kt_index_is_erased(st, item->h.seq);
        pthread_rwlock_unlock(&s->ring->ix->lock);
        if (!erased)
            on_bad(s, item->h.slab_seq, item->h.seq, item->offset, "a record's content is damaged");
    }
}

/* Behind a damaged header comes another record, but for the last one of a slab. */
static void add_missing_end(struct scrub *s, const struct kt_scan *scan)
{
    const uint64_t last_seq = scan->n > 0 ? scan->items[scan->n - 1].h.seq : 0;
    if (last_seq < scan->max_seq)
        on_bad(s, scan->slab_seq, last_seq + 1, scan->end, "a record's header is damaged");
}

static void tell(struct scrub *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct finding *f = &s->found[i];
        if (kt_ring_note_bad(s->ring, f->slab_seq, f->offset))
            kt_error_log("ring", "%s: damage on disk: slab %" PRIu64 ", byte %" PRIu64 ", record %" PRIu64
                         ": %s", s->ring->name, f->slab_seq, f->offset, f->seq, f->what);
    }
}

/* True: nothing is written there any more. A slab that has no footer has a later one. */
static bool get_slab(kt_ring *ring, uint32_t file, struct kt_slab *out)
{
    bool later = false;
    pthread_rwlock_rdlock(&ring->ix->lock);
    *out = ring->ix->slabs[file];
    for (uint32_t i = 0; i < ring->ix->n_slabs && !later && !out->sealed; i++)
        later = ring->ix->slabs[i].slab_seq > out->slab_seq;
    pthread_rwlock_unlock(&ring->ix->lock);
    return out->slab_seq > 0 && (out->sealed || later);
}

/* False: stop. */
static bool scrub_slab(struct scrub *s, uint32_t file)
{
    kt_ring *ring = s->ring;
    struct kt_slab slab, after;
    if (!get_slab(ring, file, &slab))
        return wait_until(ring, 0);
    const int fd = kt_ring_open_slab(ring, slab.slab_seq, O_RDONLY);
    if (fd < 0)
        return wait_until(ring, 0);
    s->n = 0;
    s->ahead_us = 0;
    s->since_us = kt_clock_mono_us();
    struct kt_slab_check check = {
        .scan = { .io = ring->io, .fd = fd, .slab_bytes = ring->meta.slab_bytes, .uuid = ring->meta.uuid,
                  .slab_seq = slab.slab_seq, .bounded = true, .max_seq = slab.last_seq, .pace = on_pace,
                  .pace_user = s },
        .user = s, .bad = on_bad, .quiet_payloads = true,
    };
    const int ret = kt_slab_check(&check);
    if (ret == 0)
        add_payloads(s, &check.scan);
    if (ret == 0)
        add_missing_end(s, &check.scan);
    ring->io->close(ring->io->user, fd);
    kt_scan_free(&check.scan);
    /* Was it overwritten while we read? Then what we saw means nothing. */
    if (ret == 0 && get_slab(ring, file, &after) && after.slab_seq == slab.slab_seq)
        tell(s);
    return ret != -ECANCELED;
}

static void *run(void *arg)
{
    struct scrub s = { .ring = arg };
    bool go_on = true;
    (void)pthread_setname_np(pthread_self(), "kt-scrub");
    while (go_on) {
        for (uint32_t i = 0; i < s.ring->ix->n_slabs && go_on; i++)
            go_on = scrub_slab(&s, i);
        if (go_on) {
            atomic_fetch_add(&s.ring->count.scrub_passes, 1);
            go_on = wait_until(s.ring, kt_clock_mono_us() + PAUSE_US);
        }
    }
    free(s.found);
    return NULL;
}

int kt_scrub_start(kt_ring *ring)
{
    if (ring->scrub_rate < 0)
        return 0;
    const int ret = -pthread_create(&ring->scrub_thread, NULL, run, ring);
    ring->scrub_started = ret == 0;
    return ret;
}

void kt_scrub_stop(kt_ring *ring)
{
    if (!ring->scrub_started)
        return;
    pthread_mutex_lock(&ring->scrub_lock);
    ring->scrub_stop = true;
    pthread_cond_signal(&ring->scrub_wake);
    pthread_mutex_unlock(&ring->scrub_lock);
    pthread_join(ring->scrub_thread, NULL);
    ring->scrub_started = false;
}

#include "server/clips.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"

#define DEFAULT_PRE_US (5 * KT_SECOND_US)
#define DEFAULT_POST_US (10 * KT_SECOND_US)
#define MAX_STREAMS 1024
/* How often the copier looks for records that became durable. */
#define ROUND_US (2 * KT_SECOND_US)
#define BATCH_RECORDS 64
/* A crash may cost so much of what was to be copied: a round, a commit, and a slow disk. */
#define LAG_US (30 * KT_SECOND_US)

/* The span of one stream that is to be kept, and how far copying is. */
struct wish {
    kt_ring *from;
    char stream[KT_STREAM_NAME_MAX + 1];
    int64_t from_us;                    /* first moment not yet copied */
    int64_t to_us;                      /* end of the last post-roll, once open is 0 */
    int open;                           /* events that are still going on */
    uint64_t last_seq;                  /* newest record already copied */
    bool resumed;                       /* some of it may have been copied before a crash */
    struct wish *next;
};

struct kt_clips {
    /* --- constant after create --- */
    struct kt_clips_params params;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;               /* leaf; not held while copying */
    pthread_cond_t changed;
    /* --- protected by lock --- */
    struct wish *wishes;
    size_t n;
    bool stopping;
};

static struct wish *find(kt_clips *c, const char *stream)
{
    struct wish *w = c->wishes;
    while (w && strcmp(w->stream, stream) != 0)
        w = w->next;
    return w;
}

/* The records of the stream that the ring of events has around N records RECS of another ring. */
static int kept_already(kt_clips *c, uint32_t stream, const struct kt_record *recs, size_t n,
                        struct kt_record **out, size_t *n_out)
{
    *out = NULL;
    *n_out = 0;
    return n == 0 ? 0 : kt_ring_query(c->params.to, stream, recs[0].start_us, recs[n - 1].end_us, SIZE_MAX, out,
                                      n_out);
}

static bool is_kept(const struct kt_record *rec, const struct kt_record *kept, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kept[i].run == rec->run && kept[i].dts_90k == rec->dts_90k && kept[i].start_us == rec->start_us)
            return true;
    return false;
}

/* Copy what is on disk of W (a private copy); advances W. */
static void copy_wish(kt_clips *c, struct wish *w, int64_t now_us)
{
    uint32_t from_stream, to_stream;
    if (kt_ring_find_stream(w->from, w->stream, &from_stream) < 0 ||
        kt_ring_stream(c->params.to, w->stream, &to_stream) < 0)
        return;
    const int64_t until = w->open == 0 && w->to_us < now_us ? w->to_us : now_us;
    for (size_t n = BATCH_RECORDS; n == BATCH_RECORDS && w->from_us < until;) {
        kt_cleanup(kt_freep) struct kt_record *recs = NULL;
        kt_cleanup(kt_freep) struct kt_record *kept = NULL;
        size_t n_kept = 0;
        if (kt_ring_query(w->from, from_stream, w->from_us, until, BATCH_RECORDS, &recs, &n) < 0 ||
            (w->resumed && kept_already(c, to_stream, recs, n, &kept, &n_kept) < 0))
            return;
        for (size_t i = 0; i < n; i++) {
            if (recs[i].seq <= w->last_seq)
                continue;
            const int ret = is_kept(&recs[i], kept, n_kept)
                            ? 0 : kt_ring_copy_record(c->params.to, to_stream, w->from, &recs[i]);
            if (ret == -EAGAIN)
                return;                 /* the disk is behind: again next round */
            if (ret < 0)
                kt_warn("clips", "%s: a record could not be kept: %s", w->stream, kt_strerror(ret));
            w->last_seq = recs[i].seq;
            if (recs[i].end_us > w->from_us)
                w->from_us = recs[i].end_us;
        }
    }
}

/* Store back what COPY reached; drop the wish once its span is behind us. Lock held. */
static void advance(kt_clips *c, const struct wish *copy, int64_t now_us)
{
    for (struct wish **p = &c->wishes; *p; p = &(*p)->next) {
        struct wish *w = *p;
        if (strcmp(w->stream, copy->stream) != 0)
            continue;
        w->from_us = copy->from_us;
        w->last_seq = copy->last_seq;
        /* Ended long enough ago for its last record to be on disk: done. */
        if (w->open == 0 && now_us > w->to_us + 3 * ROUND_US) {
            *p = w->next;
            c->n--;
            free(w);
        }
        return;
    }
}

static void copy_round(kt_clips *c)
{
    /* Wishes are only removed by this thread, so the list can be walked with
     * the lock released while copying. */
    const int64_t now = kt_clock_wall_us();
    pthread_mutex_lock(&c->lock);
    for (struct wish *w = c->wishes; w;) {
        struct wish *next = w->next;
        struct wish copy = *w;
        pthread_mutex_unlock(&c->lock);
        copy_wish(c, &copy, now);
        pthread_mutex_lock(&c->lock);
        advance(c, &copy, now);
        w = next;
    }
    pthread_mutex_unlock(&c->lock);
}

static void *copier(void *arg)
{
    kt_clips *c = arg;
    (void)pthread_setname_np(pthread_self(), "kt-clips");
    for (bool stop = false; !stop;) {
        const struct timespec deadline = kt_clock_deadline(ROUND_US);
        pthread_mutex_lock(&c->lock);
        int ret = 0;
        while (!c->stopping && ret == 0)
            ret = pthread_cond_timedwait(&c->changed, &c->lock, &deadline);
        stop = c->stopping;
        pthread_mutex_unlock(&c->lock);
        copy_round(c);
    }
    return NULL;
}

int kt_clips_create(kt_clips **out, const struct kt_clips_params *params)
{
    kt_cleanup(kt_clips_destroy) kt_clips *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->params = *params;
    if (c->params.pre_us == 0)
        c->params.pre_us = DEFAULT_PRE_US;
    if (c->params.post_us == 0)
        c->params.post_us = DEFAULT_POST_US;
    pthread_mutex_init(&c->lock, NULL);
    int ret = kt_cond_init(&c->changed);
    if (ret < 0)
        return ret;
    ret = -pthread_create(&c->thread, NULL, copier, c);
    if (ret < 0)
        return ret;
    c->started = true;
    *out = kt_steal_ptr(&c);
    return 0;
}

void kt_clips_destroy(kt_clips **pc)
{
    kt_clips *c = kt_steal_ptr(pc);
    if (!c)
        return;
    if (c->started) {
        pthread_mutex_lock(&c->lock);
        c->stopping = true;
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    while (c->wishes) {
        struct wish *w = c->wishes;
        c->wishes = w->next;
        free(w);
    }
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* A new wish at the end of the list; lock held. */
static struct wish *add(kt_clips *c, kt_ring *from, const char *stream)
{
    struct wish *w = c->n < MAX_STREAMS ? calloc(1, sizeof(*w)) : NULL;
    if (!w)
        return NULL;
    w->from = from;
    snprintf(w->stream, sizeof(w->stream), "%s", stream);
    w->from_us = INT64_MAX;
    struct wish **tail = &c->wishes;
    while (*tail)
        tail = &(*tail)->next;
    *tail = w;
    c->n++;
    return w;
}

int kt_clips_begin(kt_clips *c, kt_ring *from, const char *stream, int64_t start_us)
{
    const int64_t from_us = start_us - c->params.pre_us;

    pthread_mutex_lock(&c->lock);
    struct wish *w = find(c, stream);
    if (!w)
        w = add(c, from, stream);
    if (w) {
        w->open++;
        if (w->last_seq == 0 && from_us < w->from_us)
            w->from_us = from_us;       /* once copying began, it only goes forward */
    }
    pthread_mutex_unlock(&c->lock);
    return w ? 0 : -ENOSPC;
}

int64_t kt_clips_lag_us(const kt_clips *c)
{
    return c->params.post_us + LAG_US;
}

int kt_clips_resume(kt_clips *c, kt_ring *from, const char *stream, int64_t start_us, int64_t end_us)
{
    const int64_t earliest_us = end_us - KT_CLIPS_RESUME_US;
    const int64_t from_us = start_us - c->params.pre_us;
    pthread_mutex_lock(&c->lock);
    struct wish *w = find(c, stream);
    if (!w)
        w = add(c, from, stream);
    if (w && w->last_seq == 0) {
        w->resumed = true;
        if (w->from_us > from_us)
            w->from_us = from_us > earliest_us ? from_us : earliest_us;
        if (end_us + c->params.post_us > w->to_us)
            w->to_us = end_us + c->params.post_us;
    }
    pthread_mutex_unlock(&c->lock);
    return w ? 0 : -ENOSPC;
}

void kt_clips_end(kt_clips *c, const char *stream, int64_t end_us)
{
    pthread_mutex_lock(&c->lock);
    struct wish *w = find(c, stream);
    if (w) {
        w->open--;
        if (end_us + c->params.post_us > w->to_us)
            w->to_us = end_us + c->params.post_us;
    }
    pthread_mutex_unlock(&c->lock);
}

#include "server/analysis.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "decoders/decode/decode.h"
#include "server/base/clock.h"
#include "server/base/log.h"

/* A camera's packets are looked at in batches of this age. */
#define BATCH_US (200 * 1000)
#define QUEUE_PACKETS 256
#define QUEUE_BYTES (6u << 20)
/* A camera whose packets wait longer than this looks at less; shorter than that, more again. */
#define LAG_HIGH_US (3 * KT_SECOND_US)
#define LAG_VERY_HIGH_US (4500 * 1000)
#define LAG_LOW_US (1 * KT_SECOND_US)
#define LOAD_HOLD_US (10 * KT_SECOND_US)
#define LOAD_HOLD_MAX_US (160 * KT_SECOND_US)

#define WORKER_NICE 5               /* a trial has 19 */

/* What a place looks like is written this often. */
#define REMEMBER_US (600 * KT_SECOND_US)

/* A packet; a change of format when PAR is set; a gap when neither is. */
struct item {
    AVPacket *pkt;
    AVCodecParameters *par;
    AVRational time_base;
    int64_t wall_us, queued_us;
    struct item *next;
};

struct kt_analysis_camera {
    /* --- constant after add --- */
    kt_analysis *pool;
    char *name, *rules;
    char *memory;                       /* the file with its place, NULL: none */
    struct kt_analyzer_params params;   /* par is NULL: see kt_analysis_format() */

    /* --- protected by pool->lock --- */
    struct item *head, **tail;
    size_t packets, bytes;
    bool need_key;                      /* refusing until a key frame */
    bool due;                           /* what waits shall be looked at now */
    bool queued;                        /* in the run queue */
    bool running;                       /* on a worker */
    kt_analysis_camera *next_run;
    struct kt_analysis_status status;

    /* --- the worker that runs the camera --- */
    kt_analyzer *analyzer;              /* NULL before the first format, or without decoder */
    int64_t load_since_us, remembered_us;
    int64_t lowered_us;                 /* when it began to look at more, … */
    int64_t calm_us;                    /* … and how long calm must last for that */

    pthread_mutex_t frame_lock;         /* leaf */
    AVFrame *frame;                     /* protected by frame_lock: newest picture */
    int64_t frame_us;
};

struct kt_analysis {
    /* --- constant after create --- */
    pthread_t *threads;
    int n_threads;
    char *places;                       /* folder, NULL: none */
    kt_pictures *pictures;
    pthread_mutex_t lock;               /* order: before frame_lock */
    pthread_cond_t work, idle;
    _Atomic int64_t raised_us;      /* when a camera was last told to look at less */
    /* --- protected by lock --- */
    kt_analysis_camera *run_head, **run_tail;
    bool stopping;
};

static void item_free(struct item **pi)
{
    struct item *i = kt_steal_ptr(pi);
    if (!i)
        return;
    av_packet_free(&i->pkt);
    avcodec_parameters_free(&i->par);
    free(i);
}

static void items_free(struct item *list)
{
    while (list) {
        struct item *i = list;
        list = i->next;
        item_free(&i);
    }
}

/* ------------------------- the workers ------------------------- */

static void schedule(kt_analysis_camera *c)
{
    kt_analysis *p = c->pool;
    if (c->queued || c->running)
        return;
    c->queued = true;
    c->next_run = NULL;
    *p->run_tail = c;
    p->run_tail = &c->next_run;
    pthread_cond_signal(&p->work);
}

static void keep_frame(kt_analysis_camera *c)
{
    int64_t wall_us;
    AVFrame *frame = av_frame_alloc();
    if (frame && kt_analyzer_latest(c->analyzer, frame, &wall_us) == 0) {
        pthread_mutex_lock(&c->frame_lock);
        AVFrame *old = c->frame;
        c->frame = frame;
        c->frame_us = wall_us;
        pthread_mutex_unlock(&c->frame_lock);
        frame = old;
    }
    av_frame_free(&frame);
}

/* The file with the place of camera NAME, malloc'd; *OUT is NULL where places are not kept. */
static int memory_path(const kt_analysis *p, const char *name, char **out)
{
    *out = NULL;
    if (!p->places || asprintf(out, "%s/%s", p->places, name) >= 0)
        return 0;
    *out = NULL;                    /* undefined after a failed asprintf() */
    return -ENOMEM;
}

int kt_analysis_recall(const kt_analysis *p, const char *name, kt_analyzer *analyzer)
{
    kt_cleanup(kt_freep) char *path = NULL;
    int ret = memory_path(p, name, &path);
    if (ret < 0 || !path)
        return ret;
    ret = kt_analyzer_load(analyzer, path);
    if (ret < 0 && ret != -ENOENT)
        kt_warn(name, "must learn its place anew: %s: %s", path, kt_strerror(ret));
    return ret == -ENOMEM ? ret : 0;
}

/* A new analyzer starts from what an earlier one knew. */
static void recall(kt_analysis_camera *c)
{
    c->remembered_us = kt_clock_mono_us();
    (void)kt_analysis_recall(c->pool, c->name, c->analyzer);    /* else it learns */
}

static void remember(kt_analysis_camera *c)
{
    c->remembered_us = kt_clock_mono_us();
    const int ret = c->memory ? kt_analyzer_save(c->analyzer, c->memory) : 0;
    if (ret < 0 && ret != -EAGAIN)
        kt_warn(c->name, "what its place looks like is not kept: %s: %s", c->memory,
                kt_strerror(ret));
}

static void change_format(kt_analysis_camera *c, const struct item *i)
{
    struct kt_error err = { "" };
    int ret;
    if (c->analyzer) {
        ret = kt_analyzer_restart(c->analyzer, i->par, i->time_base);
        kt_error_set(&err, ret, "%s", kt_strerror(ret));
    } else {
        struct kt_analyzer_params p = c->params;
        p.par = i->par;
        p.time_base = i->time_base;
        p.pictures = c->pool->pictures;
        ret = kt_analyzer_create(&c->analyzer, &p, &err);
        if (ret == 0)
            recall(c);
    }
    if (ret < 0) {
        kt_warn(c->name, "cannot be analysed: %s", err.text);
        kt_analyzer_destroy(&c->analyzer);
    }
}

static void run_item(kt_analysis_camera *c, const struct item *i)
{
    if (i->par)
        change_format(c, i);
    else if (c->analyzer && i->pkt)
        (void)kt_analyzer_packet(c->analyzer, i->pkt, i->wall_us);  /* counted in its stats */
    else if (c->analyzer)
        kt_analyzer_gap(c->analyzer);
}

/*
 * How much to look at, from how late we are: LAG_US for what was QUEUED_US. When that is very late,
 * at once key frames only: a round over all cameras takes as long as the lag. What was queued
 * before the last change says nothing about it. Who had to look at less again soon after looking
 * at more waits longer the next time.
 */
static enum kt_analyzer_load choose_load(kt_analysis_camera *c, enum kt_analyzer_load load,
                                         int64_t queued_us, int64_t lag_us)
{
    const int64_t now = kt_clock_mono_us();
    /* Fewer key frames only when all who had to look at less do so. */
    const int64_t since_us = load < KT_LOAD_VERY_HIGH ? c->load_since_us :
                             atomic_load(&c->pool->raised_us);
    enum kt_analyzer_load next = load;
    if (lag_us > LAG_HIGH_US && load < KT_LOAD_OVER && queued_us > since_us) {
        atomic_store(&c->pool->raised_us, now);
        const bool again = c->lowered_us && now - c->lowered_us < 3 * LOAD_HOLD_US;
        const int64_t longer = c->calm_us < LOAD_HOLD_MAX_US ? 2 * c->calm_us : c->calm_us;
        c->calm_us = again ? longer : LOAD_HOLD_US;
        next = lag_us > LAG_VERY_HIGH_US && load < KT_LOAD_VERY_HIGH ? KT_LOAD_VERY_HIGH : load + 1;
    } else if (lag_us < LAG_LOW_US && load > KT_LOAD_NORMAL &&
               now - c->load_since_us > c->calm_us) {
        c->lowered_us = now;
        next = load - 1;
    }
    if (next != load && c->analyzer) {
        c->load_since_us = now;
        kt_analyzer_set_load(c->analyzer, next);
        kt_info(c->name, "analysis load %d -> %d", load, next);
    }
    return next;
}

/* The last key frame in LIST when there is no time for what came before it, else NULL. */
static const struct item *newest_key(const struct item *list, enum kt_analyzer_load load)
{
    const struct item *key = NULL;
    for (; list && load >= KT_LOAD_VERY_HIGH; list = list->next)
        if (list->pkt && (list->pkt->flags & AV_PKT_FLAG_KEY))
            key = list;
    return key;
}

/* Run all that waits in C. Called and left with the pool locked. */
static void run_camera(kt_analysis *p, kt_analysis_camera *c)
{
    struct item *list = c->head;
    c->head = NULL;
    c->tail = &c->head;
    c->packets = c->bytes = 0;
    c->due = false;
    c->running = true;
    enum kt_analyzer_load load = c->status.load;
    const int64_t queued_us = list ? list->queued_us : 0;
    const int64_t lag = list ? kt_clock_mono_us() - queued_us : 0;
    pthread_mutex_unlock(&p->lock);

    load = choose_load(c, load, queued_us, lag);
    const struct item *from = newest_key(list, load);
    uint64_t left_out = 0;
    for (const struct item *i = list; i; i = i->next) {
        from = i == from ? NULL : from;
        if (from && i->pkt)
            left_out++;
        else
            run_item(c, i);
    }
    items_free(list);
    struct kt_analyzer_stats stats = { 0 };
    if (c->analyzer) {
        keep_frame(c);
        kt_analyzer_stats(c->analyzer, &stats);
        if (kt_clock_mono_us() - c->remembered_us > REMEMBER_US)
            remember(c);
    }

    pthread_mutex_lock(&p->lock);
    c->status.lag_us = lag;
    c->status.refused += left_out;
    c->status.load = load;
    c->status.analyzer = stats;
    c->running = false;
    pthread_cond_broadcast(&p->idle);
    if (c->head && (c->due || kt_clock_mono_us() - c->head->queued_us >= BATCH_US))
        schedule(c);
}

static void *worker(void *arg)
{
    kt_analysis *p = arg;
    (void)pthread_setname_np(pthread_self(), "kt-analysis");
    /* Recording comes first, to the kernel too. Linux has priorities for each thread. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WORKER_NICE);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->run_head && !p->stopping)
            pthread_cond_wait(&p->work, &p->lock);
        kt_analysis_camera *c = p->run_head;
        if (!c)
            break;
        p->run_head = c->next_run;
        if (!p->run_head)
            p->run_tail = &p->run_head;
        c->queued = false;
        run_camera(p, c);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int kt_analysis_create(kt_analysis **out, int workers, const char *places)
{
    kt_cleanup(kt_analysis_destroy) kt_analysis *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    const int n = workers > 0 ? workers : get_nprocs();
    p->run_tail = &p->run_head;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    p->threads = calloc((size_t)n, sizeof(*p->threads));
    if (!p->threads || kt_pictures_create(&p->pictures) < 0)
        return -ENOMEM;
    if (places && mkdir(places, 0700) < 0 && errno != EEXIST)
        kt_warn("analysis", "what places look like is not kept: %s: %s", places, strerror(errno));
    else if (places && !(p->places = strdup(places)))
        return -ENOMEM;
    for (; p->n_threads < n; p->n_threads++) {
        const int ret = pthread_create(&p->threads[p->n_threads], NULL, worker, p);
        if (ret)
            return -ret;
    }
    *out = kt_steal_ptr(&p);
    return 0;
}

void kt_analysis_forget(kt_analysis *p, const char *name)
{
    kt_cleanup(kt_freep) char *path = NULL;
    if (memory_path(p, name, &path) < 0 || !path)
        return;
    if (unlink(path) < 0 && errno != ENOENT)
        kt_warn(name, "%s is not deleted: %s", path, strerror(errno));
}

void kt_analysis_destroy(kt_analysis **pp)
{
    kt_analysis *p = kt_steal_ptr(pp);
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    kt_pictures_destroy(&p->pictures);
    free(p->threads);
    free(p->places);
    pthread_cond_destroy(&p->idle);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ------------------------- the cameras ------------------------- */

static void camera_free(kt_analysis_camera **pc)
{
    kt_analysis_camera *c = kt_steal_ptr(pc);
    if (!c)
        return;
    items_free(c->head);
    kt_analyzer_destroy(&c->analyzer);
    av_frame_free(&c->frame);
    pthread_mutex_destroy(&c->frame_lock);
    free(c->name);
    free(c->rules);
    free(c->memory);
    free(c);
}

int kt_analysis_add(kt_analysis *pool, kt_analysis_camera **out, const char *name,
                    const struct kt_analyzer_params *params, struct kt_error *err)
{
    /* The analyzer comes with the first format; say now when its rules are wrong. */
    kt_cleanup(kt_motion_destroy) kt_motion *trial = NULL;
    const struct kt_motion_params motion = { .rules_json = params->rules_json };
    const int ret = kt_motion_create(&trial, &motion, err);
    if (ret < 0)
        return ret;

    kt_cleanup(camera_free) kt_analysis_camera *c = calloc(1, sizeof(*c));
    if (!c)
        return kt_error_set(err, -ENOMEM, "out of memory");
    c->pool = pool;
    c->tail = &c->head;
    c->need_key = true;
    pthread_mutex_init(&c->frame_lock, NULL);
    c->name = strdup(name);
    c->rules = strdup(params->rules_json ? params->rules_json : "");
    if (!c->name || !c->rules)
        return kt_error_set(err, -ENOMEM, "out of memory");
    if (memory_path(pool, name, &c->memory) < 0)
        return kt_error_set(err, -ENOMEM, "out of memory");
    c->params = *params;
    c->params.par = NULL;
    c->params.rules_json = c->rules;
    *out = kt_steal_ptr(&c);
    return 0;
}

/* Take C out of the run queue; pool locked. */
static void unschedule(kt_analysis_camera *c)
{
    kt_analysis *p = c->pool;
    for (kt_analysis_camera **i = &p->run_head; *i; i = &(*i)->next_run) {
        if (*i != c)
            continue;
        *i = c->next_run;
        if (!*i)
            p->run_tail = i;
        break;
    }
    c->queued = false;
}

void kt_analysis_remove(kt_analysis_camera **pc)
{
    kt_analysis_camera *c = *pc;
    if (!c)
        return;
    kt_analysis *p = c->pool;
    pthread_mutex_lock(&p->lock);
    while (c->running)
        pthread_cond_wait(&p->idle, &p->lock);
    if (c->queued)
        unschedule(c);
    pthread_mutex_unlock(&p->lock);
    if (c->analyzer) {
        kt_analyzer_gap(c->analyzer);   /* closes its events */
        remember(c);
    }
    camera_free(pc);
}

/* Queue ITEM (taken over) and wake a worker when it is due; pool locked. */
static void enqueue(kt_analysis_camera *c, struct item *item, bool now)
{
    item->queued_us = kt_clock_mono_us();
    *c->tail = item;
    c->tail = &item->next;
    c->due |= now;
    if (now || item->queued_us - c->head->queued_us >= BATCH_US)
        schedule(c);
}

void kt_analysis_format(kt_analysis_camera *c, const AVCodecParameters *par, AVRational time_base)
{
    kt_cleanup(item_free) struct item *item = calloc(1, sizeof(*item));
    if (!item)
        return;
    item->time_base = time_base;
    item->par = avcodec_parameters_alloc();
    if (!item->par || avcodec_parameters_copy(item->par, par) < 0)
        return;
    pthread_mutex_lock(&c->pool->lock);
    c->need_key = true;
    enqueue(c, kt_steal_ptr(&item), true);
    pthread_mutex_unlock(&c->pool->lock);
}

void kt_analysis_gap(kt_analysis_camera *c)
{
    struct item *item = calloc(1, sizeof(*item));
    if (!item)
        return;
    pthread_mutex_lock(&c->pool->lock);
    c->need_key = true;
    enqueue(c, item, true);
    pthread_mutex_unlock(&c->pool->lock);
}

void kt_analysis_packet(kt_analysis_camera *c, const AVPacket *pkt, int64_t wall_us)
{
    const bool key = pkt->flags & AV_PKT_FLAG_KEY;
    kt_cleanup(item_free) struct item *item = calloc(1, sizeof(*item));
    if (item)
        item->pkt = av_packet_clone(pkt);
    pthread_mutex_lock(&c->pool->lock);
    const bool full = c->packets >= QUEUE_PACKETS ||
                      (c->packets > 0 && c->bytes + (size_t)pkt->size > QUEUE_BYTES);
    if (!item || !item->pkt || full || (c->need_key && !key)) {
        c->need_key = true;
        c->status.refused++;
    } else {
        c->need_key = false;
        c->packets++;
        c->bytes += (size_t)pkt->size;
        c->status.packets++;
        item->wall_us = wall_us;
        enqueue(c, kt_steal_ptr(&item), key);
    }
    pthread_mutex_unlock(&c->pool->lock);
}

void kt_analysis_status(kt_analysis_camera *c, struct kt_analysis_status *out)
{
    pthread_mutex_lock(&c->pool->lock);
    *out = c->status;
    pthread_mutex_unlock(&c->pool->lock);
}

int64_t kt_analysis_picture_us(kt_analysis_camera *c)
{
    pthread_mutex_lock(&c->frame_lock);
    const int64_t when_us = c->frame ? c->frame_us : 0;
    pthread_mutex_unlock(&c->frame_lock);
    return when_us;
}

int kt_analysis_snapshot(kt_analysis_camera *c, int max_width, uint8_t **out, size_t *size,
                         int64_t *wall_us)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return -ENOMEM;
    int ret = -EAGAIN;
    pthread_mutex_lock(&c->frame_lock);
    if (c->frame)
        ret = av_frame_ref(frame, c->frame);
    *wall_us = c->frame_us;
    pthread_mutex_unlock(&c->frame_lock);
    if (ret == 0)
        ret = kt_jpeg_encode(frame, max_width, out, size);
    av_frame_free(&frame);
    return ret;
}

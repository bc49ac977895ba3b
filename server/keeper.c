#include "server/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>

#include "server/base/clock.h"
#include "server/base/log.h"

struct note_node {
    struct kt_event_note note;
    struct note_node *next;
};

/* An event that is still going on. */
struct open_event {
    uint64_t source_id;
    struct kt_event row;
    struct open_event *next;
};

struct kt_keeper {
    /* --- constant after create --- */
    struct kt_keeper_params params;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t changed;
    /* --- protected by lock --- */
    struct note_node *head, **tail;
    size_t count;
    uint64_t refused;
    bool stopping;
    /* --- keeper thread --- */
    struct open_event *open;
};

static void note_free(struct note_node **pn)
{
    struct note_node *n = kt_steal_ptr(pn);
    if (!n)
        return;
    free(n->note.jpeg);
    free(n);
}

/* {"op":"event","phase":…,"event":{…}} for the browsers: as the HTTP API shows it, without its detail. */
static void tell_browsers(kt_keeper *e, const struct kt_event *ev, const char *phase)
{
    char start[KT_RFC3339_SIZE], end[KT_RFC3339_SIZE];
    kt_rfc3339_format(start, ev->start_us);
    kt_rfc3339_format(end, ev->end_us);
    char picture[64];
    snprintf(picture, sizeof(picture), "/api/v1/events/%" PRId64 "/thumbnail.jpg", ev->id);
    json_t *msg = json_pack("{s:s,s:s,s:{s:I,s:s,s:s,s:s,s:s,s:o,s:f,s:b,s:o}}", "op", "event", "phase",
                            phase, "event", "id", (json_int_t)ev->id, "camera", ev->camera, "type", ev->type,
                            "rule", ev->rule, "start", start, "end",
                            ev->end_us ? json_string(end) : json_null(), "score", ev->score, "seen", ev->seen,
                            "thumbnail", ev->has_thumbnail ? json_string(picture) : json_null());
    char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;
    if (text)
        kt_hub_publish_text(e->params.hub, ev->camera, text);
    free(text);
    json_decref(msg);
}

static struct open_event **find_open(kt_keeper *e, const struct kt_event_note *n)
{
    struct open_event **p = &e->open;
    while (*p && ((*p)->source_id != n->source_id || strcmp((*p)->row.camera, n->camera) != 0))
        p = &(*p)->next;
    return p;
}

static void store(kt_keeper *e, struct kt_event *row, const struct kt_event_note *n,
                  const char *phase)
{
    row->detail = n->detail[0] ? (char *)n->detail : NULL;      /* borrowed for the call */
    const bool had_thumbnail = row->has_thumbnail;
    const bool fits = n->jpeg_size > 0 && n->jpeg_size <= KT_THUMBNAIL_MAX;
    const int ret = kt_catalog_event_put_soon(e->params.catalog, row, fits ? n->jpeg : NULL,
                                              n->jpeg_size);
    row->detail = NULL;
    if (ret < 0)
        kt_error_log("events", "%s: cannot store an event: %s", row->camera, kt_strerror(ret));
    tell_browsers(e, row, phase);
    if (e->params.on_event && n->phase != KT_EVENT_BETTER)
        e->params.on_event(e->params.user, row, row->end_us != 0, n->jpeg, n->jpeg_size);
    if (e->params.on_picture && !had_thumbnail && row->has_thumbnail && !row->end_us)
        e->params.on_picture(e->params.user, row, n->jpeg, n->jpeg_size);
}

static void fill(struct kt_event *row, const struct kt_event_note *n)
{
    snprintf(row->camera, sizeof(row->camera), "%s", n->camera);
    snprintf(row->type, sizeof(row->type), "%s", n->type);
    snprintf(row->rule, sizeof(row->rule), "%s", n->rule);
    row->start_us = n->start_us;
    if (n->score > row->score)
        row->score = n->score;
}

static void handle(kt_keeper *e, const struct kt_event_note *n)
{
    if (n->phase == KT_EVENT_MOMENT) {
        struct kt_event row = { .end_us = n->end_us };
        fill(&row, n);
        store(e, &row, n, "close");
        return;
    }
    struct open_event **p = find_open(e, n);
    if (!*p) {
        if (n->phase == KT_EVENT_BETTER)
            return;                     /* its opening was refused */
        *p = calloc(1, sizeof(**p));
        if (!*p)
            return;
        (*p)->source_id = n->source_id;
    }
    struct kt_event *row = &(*p)->row;
    if (n->phase != KT_EVENT_BETTER)
        fill(row, n);
    if (n->phase == KT_EVENT_CLOSE)
        row->end_us = n->end_us > n->start_us ? n->end_us : n->start_us + 1;
    store(e, row, n, n->phase == KT_EVENT_OPEN ? "open" :
                     n->phase == KT_EVENT_CLOSE ? "close" : "update");
    if (n->phase == KT_EVENT_CLOSE) {
        struct open_event *done = *p;
        *p = done->next;
        free(done);
    }
}

static void close_all(kt_keeper *e)
{
    while (e->open) {
        const struct open_event *o = e->open;
        struct kt_event_note n = { .phase = KT_EVENT_CLOSE, .source_id = o->source_id,
                                   .start_us = o->row.start_us, .end_us = kt_clock_wall_us() };
        snprintf(n.camera, sizeof(n.camera), "%s", o->row.camera);
        snprintf(n.type, sizeof(n.type), "%s", o->row.type);
        snprintf(n.rule, sizeof(n.rule), "%s", o->row.rule);
        handle(e, &n);
    }
}

/* The oldest note, or NULL once stopping and empty. */
static struct note_node *take(kt_keeper *e)
{
    pthread_mutex_lock(&e->lock);
    while (!e->head && !e->stopping)
        pthread_cond_wait(&e->changed, &e->lock);
    struct note_node *n = e->head;
    if (n) {
        e->head = n->next;
        if (!e->head)
            e->tail = &e->head;
        e->count--;
    }
    pthread_mutex_unlock(&e->lock);
    return n;
}

static void *keeper(void *arg)
{
    kt_keeper *e = arg;
    struct note_node *n;
    (void)pthread_setname_np(pthread_self(), "kt-events");
    while ((n = take(e))) {
        handle(e, &n->note);
        note_free(&n);
    }
    close_all(e);
    return NULL;
}

int kt_keeper_create(kt_keeper **out, const struct kt_keeper_params *params)
{
    kt_cleanup(kt_keeper_destroy) kt_keeper *e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->params = *params;
    e->tail = &e->head;
    pthread_mutex_init(&e->lock, NULL);
    int ret = kt_cond_init(&e->changed);
    if (ret < 0)
        return ret;
    ret = -pthread_create(&e->thread, NULL, keeper, e);
    if (ret < 0)
        return ret;
    e->started = true;
    *out = kt_steal_ptr(&e);
    return 0;
}

void kt_keeper_destroy(kt_keeper **pe)
{
    kt_keeper *e = kt_steal_ptr(pe);
    if (!e)
        return;
    if (e->started) {
        pthread_mutex_lock(&e->lock);
        e->stopping = true;
        pthread_cond_signal(&e->changed);
        pthread_mutex_unlock(&e->lock);
        pthread_join(e->thread, NULL);
    }
    if (e->refused)
        kt_warn("events", "%llu notes were refused, the queue was full",
                (unsigned long long)e->refused);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* Make room by dropping the oldest better-picture note; lock held. */
static struct note_node *drop_picture(kt_keeper *e)
{
    for (struct note_node **p = &e->head; *p; p = &(*p)->next) {
        if ((*p)->note.phase != KT_EVENT_BETTER)
            continue;
        struct note_node *victim = *p;
        *p = victim->next;
        if (!*p)
            e->tail = p;
        e->count--;
        return victim;
    }
    return NULL;
}

int kt_keeper_post(kt_keeper *e, struct kt_event_note *note)
{
    struct note_node *n = calloc(1, sizeof(*n));
    if (!n) {
        free(note->jpeg);
        note->jpeg = NULL;
        return -ENOMEM;
    }
    n->note = *note;
    note->jpeg = NULL;

    struct note_node *victim = NULL;
    int ret = 0;
    pthread_mutex_lock(&e->lock);
    if (e->count >= KT_KEEPER_QUEUE)
        victim = drop_picture(e);
    if (e->count >= KT_KEEPER_QUEUE) {
        e->refused++;
        ret = -EAGAIN;
    } else {
        *e->tail = n;
        e->tail = &n->next;
        e->count++;
        n = NULL;
        pthread_cond_signal(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    note_free(&victim);
    note_free(&n);
    return ret;
}

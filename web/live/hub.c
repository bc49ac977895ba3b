/*
 * hub.c - publishers on one side, one epoll thread with all viewers on the other.
 *
 * Publishing puts a chunk into the stream's cache under a lock that is never held
 * over a system call, and wakes the thread only when somebody watches the stream.
 */
#include "web/live/hub_private.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "server/base/clock.h"

#define DEFAULT_VIEWERS 256
#define DEFAULT_GOP_BYTES (3u << 20)    /* 12 s of 2 Mbit/s; forty cameras keep 120 MB at worst */
#define MAX_NOTES 4096
#define MAX_EVENTS 64
#define TICK_US KT_SECOND_US

static const char *const kinds[] = { "main", "sub", "still" };

enum note_type { NOTE_TEXT, NOTE_REMOVE, NOTE_ADOPT };

struct hub_note {
    struct hub_note *next;
    enum note_type type;
    char camera[KT_STREAM_NAME_MAX + 1];    /* empty: all */
    struct viewer *viewer;
    size_t size;
    char text[];
};

/* ------------------------------ streams by name ------------------------------ */

static struct stream **bucket_of(struct kt_hub *hub, const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return &hub->buckets[hash % HUB_BUCKETS];
}

/* With the lock held. */
static struct stream *find(struct kt_hub *hub, const char *name)
{
    struct stream *s = *bucket_of(hub, name);
    while (s && strcmp(s->name, name) != 0)
        s = s->next;
    return s;
}

/* With the lock held. NULL: no such name, or no memory. */
static struct stream *find_or_make(struct kt_hub *hub, const char *name)
{
    struct stream **bucket = bucket_of(hub, name);
    struct stream *s = find(hub, name);
    if (s)
        return s;
    s = calloc(1, sizeof(*s));
    if (!s || hub_stream_init(s, name) < 0) {
        free(s);
        return NULL;
    }
    s->next = *bucket;
    *bucket = s;
    return s;
}

static void stream_free(struct stream *s)
{
    struct chunk_bin bin = { 0 };
    hub_stream_clear(s, &bin);
    hub_bin_empty(&bin);
    free(s->ring);
    free(s->motion);
    free(s);
}

/* Forget STREAM when nobody publishes and nobody watches. With the lock held;
 * a dirty one is still in a list and stays until the next time. */
static void forget_unused(struct kt_hub *hub, struct stream *stream)
{
    if (stream->published || stream->n_tiles > 0 || stream->dirty)
        return;
    struct stream **p = bucket_of(hub, stream->name);
    while (*p != stream)
        p = &(*p)->next;
    *p = stream->next;
    stream_free(stream);
}

struct stream *hub_stream_attach(struct kt_hub *hub, const char *name, struct tile *tile)
{
    pthread_mutex_lock(&hub->lock);
    struct stream *s = find_or_make(hub, name);
    if (s)
        s->n_tiles++;
    pthread_mutex_unlock(&hub->lock);
    if (!s)
        return NULL;
    tile->stream = s;
    tile->next = s->tiles;
    s->tiles = tile;
    hub->n_tiles++;
    return s;
}

void hub_stream_detach(struct kt_hub *hub, struct tile *tile)
{
    struct stream *s = tile->stream;
    struct tile **p = &s->tiles;
    while (*p != tile)
        p = &(*p)->next;
    *p = tile->next;
    hub->n_tiles--;
    pthread_mutex_lock(&hub->lock);
    s->n_tiles--;
    forget_unused(hub, s);
    pthread_mutex_unlock(&hub->lock);
}

/* ------------------------------ publishing ------------------------------ */

/* With the lock held. True: the caller must wake the thread after unlocking. */
static bool need_wake(struct kt_hub *hub)
{
    const bool need = !hub->woken;
    hub->woken = true;
    return need;
}

static void wake(struct kt_hub *hub)
{
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(hub->wake_fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
}

/* STREAM has something new. With the lock held. True: wake the thread after unlocking. */
static bool mark_dirty(struct kt_hub *hub, struct stream *s)
{
    if (s->n_tiles == 0 || s->dirty)
        return false;
    s->dirty = true;
    s->next_dirty = hub->dirty;
    hub->dirty = s;
    return need_wake(hub);
}

/* CHUNK's reference is taken over. */
static void publish(struct kt_hub *hub, const char *name, struct kt_chunk *chunk)
{
    struct chunk_bin bin = { 0 };
    bool must_wake = false;
    pthread_mutex_lock(&hub->lock);
    struct stream *s = find_or_make(hub, name);
    if (s) {
        s->published = true;
        hub_stream_push(s, chunk, hub->gop_cache_bytes, &bin);
        chunk = NULL;
        must_wake = mark_dirty(hub, s);
    }
    pthread_mutex_unlock(&hub->lock);
    kt_chunk_unref(&chunk);
    hub_bin_empty(&bin);
    if (must_wake)
        wake(hub);
}

void kt_hub_publish(kt_hub *hub, const char *name, struct kt_chunk *chunk)
{
    publish(hub, name, kt_chunk_ref(chunk));
}

void kt_hub_publish_still(kt_hub *hub, const char *camera, const void *jpeg, size_t size,
                          int64_t wall_us)
{
    char name[KT_STREAM_NAME_MAX + 1];
    struct kt_chunk *chunk = NULL;
    const struct kt_chunk meta = { .init = hub->still_init, .run = 1, .wall_us = wall_us,
                                   .flags = KT_CHUNK_KEY, .size = size, .data = jpeg };
    if ((size_t)snprintf(name, sizeof(name), "%s/still", camera) < sizeof(name) &&
        kt_chunk_create(&chunk, &meta) == 0)
        publish(hub, name, chunk);
}

void kt_hub_publish_motion(kt_hub *hub, const char *camera, const char *json, bool moving)
{
    if (strlen(json) > KT_HUB_MOTION_MAX || strlen(camera) > KT_STREAM_NAME_MAX)
        return;
    for (size_t i = 0; i < KT_ARRAY_SIZE(kinds); i++) {
        char name[2 * KT_STREAM_NAME_MAX];
        bool must_wake = false;
        char *text = strdup(json);
        snprintf(name, sizeof(name), "%s/%s", camera, kinds[i]);
        pthread_mutex_lock(&hub->lock);
        struct stream *s = text ? find(hub, name) : NULL;
        if (s && (s->kind != STREAM_STILL || s->moving != moving)) {
            char *old = s->motion;
            s->motion = text;
            text = old;
            s->moving = moving;
            s->motion_seq++;
            must_wake = mark_dirty(hub, s);
        }
        pthread_mutex_unlock(&hub->lock);
        free(text);
        if (must_wake)
            wake(hub);
    }
}

bool kt_hub_watched(kt_hub *hub, const char *name)
{
    pthread_mutex_lock(&hub->lock);
    const struct stream *s = find(hub, name);
    const bool watched = s && s->n_tiles > 0;
    pthread_mutex_unlock(&hub->lock);
    return watched;
}

/* Hand NOTE to the hub's thread. False: there are too many, it is still ours. */
static bool post(struct kt_hub *hub, struct hub_note *note)
{
    bool must_wake = false, taken = false;
    pthread_mutex_lock(&hub->lock);
    if (note->type != NOTE_TEXT || hub->n_notes < MAX_NOTES) {
        *hub->notes_tail = note;
        hub->notes_tail = &note->next;
        hub->n_notes++;
        taken = true;
        must_wake = need_wake(hub);
    }
    pthread_mutex_unlock(&hub->lock);
    if (must_wake)
        wake(hub);
    return taken;
}

static struct hub_note *note_new(enum note_type type, const char *camera, const char *text)
{
    const size_t size = text ? strlen(text) : 0;
    if (camera && strlen(camera) > KT_STREAM_NAME_MAX)
        return NULL;
    struct hub_note *note = calloc(1, sizeof(*note) + size + 1);
    if (!note)
        return NULL;
    note->type = type;
    note->size = size;
    if (camera)
        strcpy(note->camera, camera);
    if (text)
        memcpy(note->text, text, size + 1);
    return note;
}

void kt_hub_publish_text(kt_hub *hub, const char *camera, const char *json)
{
    struct hub_note *note = note_new(NOTE_TEXT, camera, json);
    if (note && !post(hub, note))
        free(note);
}

void kt_hub_remove(kt_hub *hub, const char *camera)
{
    struct hub_note *note = note_new(NOTE_REMOVE, camera, NULL);
    if (note)
        (void)post(hub, note);
}

int kt_hub_adopt(kt_hub *hub, const struct kt_hub_viewer *pub)
{
    struct viewer *viewer = NULL;
    struct hub_note *note = note_new(NOTE_ADOPT, NULL, NULL);
    int ret = note ? hub_viewer_create(&viewer, hub, pub) : -ENOMEM;
    if (ret < 0) {
        free(note);
        return ret;
    }
    pthread_mutex_lock(&hub->lock);
    if (hub->refuse)
        ret = -ESHUTDOWN;
    else if (hub->n_viewers >= hub->max_viewers)
        ret = -EBUSY;
    else
        hub->n_viewers++;
    pthread_mutex_unlock(&hub->lock);
    if (ret < 0) {
        viewer->pub.on_close = NULL;
        hub_viewer_destroy(&viewer);
        free(note);
        return ret;
    }
    note->viewer = viewer;
    (void)post(hub, note);
    return 0;
}

/* ------------------------------ the thread ------------------------------ */

static void list_flush(struct kt_hub *hub, struct viewer *v)
{
    if (v->flush_listed)
        return;
    v->flush_listed = true;
    v->next_flush = hub->flush;
    hub->flush = v;
}

static void leave(struct kt_hub *hub, struct viewer *v)
{
    (void)epoll_ctl(hub->epoll_fd, EPOLL_CTL_DEL, v->pub.fd, NULL);
    if (v->prev)
        v->prev->next = v->next;
    else
        hub->viewers = v->next;
    if (v->next)
        v->next->prev = v->prev;
    hub_viewer_destroy(&v);
    pthread_mutex_lock(&hub->lock);
    hub->n_viewers--;
    pthread_cond_broadcast(&hub->idle);
    pthread_mutex_unlock(&hub->lock);
}

static void enter(struct kt_hub *hub, struct viewer *v)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = v };
    v->next = hub->viewers;
    if (v->next)
        v->next->prev = v;
    hub->viewers = v;
    if (epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, v->pub.fd, &ev) < 0)
        v->dead = true;
    else if (v->pub.extra_size > 0)
        hub_viewer_readable(v);
    list_flush(hub, v);
}

static void tell(struct kt_hub *hub, const struct hub_note *note)
{
    for (struct viewer *v = hub->viewers; v; v = v->next) {
        if (note->camera[0] && !v->pub.may_see(v->pub.user, note->camera))
            continue;
        hub_viewer_text(v, note->text, note->size);
        list_flush(hub, v);
    }
}

static void end_tiles(struct kt_hub *hub, struct stream *s)
{
    while (s->tiles) {
        struct viewer *v = s->tiles->viewer;
        size_t i = 0;
        while (v->tiles[i] != s->tiles)
            i++;
        hub_tile_error(v, v->tiles[i]->id, "gone");
        list_flush(hub, v);
        /* Under no lock here: the last tile may take the stream with it. */
        const bool last = !s->tiles->next;
        hub_viewer_drop_tile(v, i);
        if (last)
            return;
    }
}

static void remove_camera(struct kt_hub *hub, const char *camera)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(kinds); i++) {
        char name[2 * KT_STREAM_NAME_MAX];
        struct chunk_bin bin = { 0 };
        struct tile *tiles = NULL;
        snprintf(name, sizeof(name), "%s/%s", camera, kinds[i]);
        pthread_mutex_lock(&hub->lock);
        struct stream *s = find(hub, name);
        if (s) {
            s->published = false;
            hub_stream_clear(s, &bin);
            tiles = s->tiles;
            forget_unused(hub, s);
        }
        pthread_mutex_unlock(&hub->lock);
        hub_bin_empty(&bin);
        if (tiles)
            end_tiles(hub, s);
    }
}

static void take_notes(struct kt_hub *hub, struct hub_note *notes)
{
    while (notes) {
        struct hub_note *note = notes;
        notes = note->next;
        if (note->type == NOTE_TEXT)
            tell(hub, note);
        else if (note->type == NOTE_REMOVE)
            remove_camera(hub, note->camera);
        else
            enter(hub, note->viewer);
        free(note);
    }
}

/* The viewers of streams that have something new. */
static void take_dirty(struct kt_hub *hub, struct stream *dirty)
{
    while (dirty) {
        struct stream *s = dirty;
        struct tile *tiles = s->tiles;
        dirty = s->next_dirty;
        pthread_mutex_lock(&hub->lock);
        s->dirty = false;       /* from here on a publisher may list it again */
        forget_unused(hub, s);
        pthread_mutex_unlock(&hub->lock);
        for (struct tile *t = tiles; t; t = t->next)
            if (!t->viewer->want_out)       /* else it is flushed when it can take more */
                list_flush(hub, t->viewer);
    }
}

/* Returns true when the hub is to stop; REFUSE: close everybody. */
static bool take_inbox(struct kt_hub *hub, bool *refuse)
{
    uint64_t count;
    (void)!read(hub->wake_fd, &count, sizeof(count));
    pthread_mutex_lock(&hub->lock);
    struct hub_note *notes = hub->notes;
    struct stream *dirty = hub->dirty;
    hub->notes = NULL;
    hub->notes_tail = &hub->notes;
    hub->n_notes = 0;
    hub->dirty = NULL;
    hub->woken = false;
    const bool stop = hub->stop;
    *refuse = hub->refuse;
    pthread_mutex_unlock(&hub->lock);
    take_dirty(hub, dirty);
    take_notes(hub, notes);
    return stop;
}

static void flush_listed(struct kt_hub *hub)
{
    while (hub->flush) {
        struct viewer *v = hub->flush;
        hub->flush = v->next_flush;
        v->flush_listed = false;
        hub_viewer_flush(v);
        if (v->dead)
            leave(hub, v);
    }
}

static void tick(struct kt_hub *hub, bool closing)
{
    const int64_t now_us = kt_clock_mono_us();
    for (struct viewer *v = hub->viewers; v; v = v->next) {
        if (closing)
            hub_viewer_close(v, WSLAY_CODE_GOING_AWAY, "server stops");
        hub_viewer_tick(v, now_us);
        list_flush(hub, v);
    }
}

static void leave_all(struct kt_hub *hub)
{
    while (hub->viewers)
        leave(hub, hub->viewers);
}

static void *run(void *arg)
{
    struct kt_hub *hub = arg;
    struct epoll_event events[MAX_EVENTS];
    int64_t next_tick_us = kt_clock_mono_us() + TICK_US;
    (void)pthread_setname_np(pthread_self(), "kt-live");
    for (;;) {
        const int64_t wait_us = next_tick_us - kt_clock_mono_us();
        const int n = epoll_wait(hub->epoll_fd, events, MAX_EVENTS,
                                 wait_us > 0 ? (int)(wait_us / 1000) + 1 : 0);
        bool refuse = false, stop = false;
        for (int i = 0; i < n; i++) {
            struct viewer *v = events[i].data.ptr;
            if (!v) {
                stop = take_inbox(hub, &refuse);
                continue;
            }
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                hub_viewer_readable(v);
            list_flush(hub, v);
        }
        const bool due = kt_clock_mono_us() >= next_tick_us;
        if (due || refuse)
            tick(hub, refuse);
        if (due)
            next_tick_us = kt_clock_mono_us() + TICK_US;
        flush_listed(hub);
        if (refuse)             /* the goodbye was sent where there was room for it */
            leave_all(hub);
        if (stop)
            return NULL;
    }
}

/* ------------------------------ life ------------------------------ */

/* wslay writes a frame of ours: bytes of the caller stay where they are. */
static ssize_t on_frame(const uint8_t *data, size_t n, int flags, void *user)
{
    struct kt_hub *hub = user;
    struct out_msg *m = hub->framing;
    if (data == m->data)
        return (ssize_t)n;
    if (m->head_size + n > sizeof(m->head))
        return -1;
    memcpy(m->head + m->head_size, data, n);
    m->head_size += n;
    return (ssize_t)n;
}

static int start(struct kt_hub *hub)
{
    static const struct wslay_frame_callbacks callbacks = { .send_callback = on_frame };
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
    if (kt_init_create(&hub->still_init, "", 1, "image/jpeg", 0, 0) < 0 ||
        wslay_frame_context_init(&hub->framer, &callbacks, hub) != 0)
        return -ENOMEM;
    hub->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    hub->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (hub->epoll_fd < 0 || hub->wake_fd < 0 ||
        epoll_ctl(hub->epoll_fd, EPOLL_CTL_ADD, hub->wake_fd, &ev) < 0)
        return -errno;
    return -pthread_create(&hub->thread, NULL, run, hub);
}

static void release(struct kt_hub *hub)
{
    for (size_t i = 0; i < HUB_BUCKETS; i++) {
        while (hub->buckets[i]) {
            struct stream *s = hub->buckets[i];
            hub->buckets[i] = s->next;
            stream_free(s);
        }
    }
    while (hub->notes) {
        struct hub_note *note = hub->notes;
        hub->notes = note->next;
        hub_viewer_destroy(&note->viewer);
        free(note);
    }
    if (hub->framer)
        wslay_frame_context_free(hub->framer);
    kt_init_unref(&hub->still_init);
    kt_closep(&hub->epoll_fd);
    kt_closep(&hub->wake_fd);
    pthread_mutex_destroy(&hub->lock);
    pthread_cond_destroy(&hub->idle);
    free(hub);
}

int kt_hub_create(kt_hub **out, const struct kt_hub_params *params)
{
    struct kt_hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return -ENOMEM;
    hub->epoll_fd = hub->wake_fd = -1;
    hub->max_viewers = params && params->max_viewers ? params->max_viewers : DEFAULT_VIEWERS;
    hub->gop_cache_bytes = params && params->gop_cache_bytes ? params->gop_cache_bytes
                                                             : DEFAULT_GOP_BYTES;
    hub->notes_tail = &hub->notes;
    pthread_mutex_init(&hub->lock, NULL);
    pthread_cond_init(&hub->idle, NULL);
    const int ret = start(hub);
    if (ret < 0) {
        release(hub);
        return ret;
    }
    *out = hub;
    return 0;
}

void kt_hub_disconnect(kt_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    hub->refuse = true;
    hub->woken = true;
    pthread_mutex_unlock(&hub->lock);
    wake(hub);
    pthread_mutex_lock(&hub->lock);
    while (hub->n_viewers > 0)
        pthread_cond_wait(&hub->idle, &hub->lock);
    pthread_mutex_unlock(&hub->lock);
}

void kt_hub_destroy(kt_hub **phub)
{
    struct kt_hub *hub = kt_steal_ptr(phub);
    if (!hub)
        return;
    kt_hub_disconnect(hub);
    pthread_mutex_lock(&hub->lock);
    hub->stop = true;
    pthread_mutex_unlock(&hub->lock);
    wake(hub);
    pthread_join(hub->thread, NULL);
    release(hub);
}

void kt_hub_status(kt_hub *hub, struct kt_hub_status *out)
{
    pthread_mutex_lock(&hub->lock);
    const size_t viewers = hub->n_viewers;
    pthread_mutex_unlock(&hub->lock);
    *out = (struct kt_hub_status){ .viewers = viewers, .tiles = hub->n_tiles,
                                   .bytes_sent = hub->bytes_sent,
                                   .frames_dropped = hub->frames_dropped };
}

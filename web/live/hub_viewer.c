/*
 * hub_viewer.c - one WebSocket: what it asks for, and what it is sent when its
 * socket can take more. wslay does the framing both ways; chunk bytes go from
 * the shared chunk straight to writev(2).
 */
#include "web/live/hub_private.h"

#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "server/base/clock.h"

#define READ_ROUND (64 * 1024)          /* bytes of one viewer before others have their turn */
#define MESSAGE_MAX 4096                /* longest message a viewer may send */
#define MESSAGE_RATE 50.0               /* a second, and four times that at once */
#define UNSENT_LOW 32768                /* TCP_NOTSENT_LOWAT: what waits in the kernel is stale */
#define PING_US (25 * KT_SECOND_US)
#define SILENT_US (70 * KT_SECOND_US)
#define STUCK_US (20 * KT_SECOND_US)    /* something to send and not a byte taken */
#define CHECK_US (5 * KT_SECOND_US)
#define STILL_STALE_US (2 * KT_SECOND_US)
#define CLOSE_US (2 * KT_SECOND_US)

/* ------------------------------ sending ------------------------------ */

static void msg_free(struct out_msg *m)
{
    kt_chunk_unref(&m->chunk);
    kt_init_unref(&m->init);
    free(m->text);
    m->text = NULL;
}

static int text_append(struct viewer *v, const void *data, size_t n)
{
    if (v->text_size + n > HUB_TEXT_MAX)
        return -ENOBUFS;
    if (v->text_size + n > v->text_cap) {
        const size_t cap = (v->text_size + n + 1023) & ~(size_t)1023;
        uint8_t *text = realloc(v->text, cap);
        if (!text)
            return -ENOMEM;
        v->text = text;
        v->text_cap = cap;
    }
    memcpy(v->text + v->text_size, data, n);
    v->text_size += n;
    return 0;
}

/* Let wslay frame HEAD followed by N bytes of DATA (not copied) as message M. */
static void frame(struct kt_hub *hub, struct out_msg *m, uint8_t opcode, const void *head,
                  size_t head_size, const void *data, size_t n)
{
    struct wslay_frame_iocb iocb = { .fin = 1, .opcode = opcode, .payload_length = head_size + n,
                                     .data = head, .data_length = head_size };
    hub->framing = m;
    m->head_size = 0;
    (void)wslay_frame_send(hub->framer, &iocb);
    if (n > 0 && head_size > 0) {
        iocb.data = data;
        iocb.data_length = n;
        m->data = data;
        (void)wslay_frame_send(hub->framer, &iocb);
    }
    m->data = data;
    m->size = n;
    hub->framing = NULL;
}

void hub_viewer_text(struct viewer *v, const char *json, size_t n)
{
    struct out_msg m = { .size = 0 };
    struct wslay_frame_iocb iocb = { .fin = 1, .opcode = WSLAY_TEXT_FRAME, .payload_length = n };
    if (v->closing || v->dead)
        return;
    v->hub->framing = &m;
    (void)wslay_frame_send(v->hub->framer, &iocb);     /* the header only */
    iocb.data = (const uint8_t *)json;
    iocb.data_length = n;
    m.data = iocb.data;
    if (n > 0)
        (void)wslay_frame_send(v->hub->framer, &iocb);
    v->hub->framing = NULL;
    if (text_append(v, m.head, m.head_size) < 0 || text_append(v, json, n) < 0)
        v->dead = true;
}

static kt_printf(2, 3) void textf(struct viewer *v, const char *fmt, ...)
{
    char json[512];
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(json, sizeof(json), fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof(json))
        hub_viewer_text(v, json, (size_t)n);
}

void hub_tile_error(struct viewer *v, int tile, const char *code)
{
    textf(v, "{\"op\":\"error\",\"tile\":%d,\"code\":\"%s\"}", tile, code);
}

static void put_le(uint8_t *p, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

enum media_type { MEDIA_INIT = 1, MEDIA_CHUNK = 2, MEDIA_JPEG = 3 };

static void media_head(uint8_t head[HUB_MEDIA_HEAD], enum media_type type, const struct tile *t,
                       bool key, uint64_t seq, int64_t wall_us)
{
    head[0] = 1;
    head[1] = (uint8_t)type;
    put_le(head + 2, t->id, 2);
    put_le(head + 4, key ? 1 : 0, 4);
    put_le(head + 8, seq, 8);
    put_le(head + 16, (uint64_t)wall_us, 8);
}

/* What is framed as text becomes the next message of the batch. */
static void take_text(struct viewer *v)
{
    if (v->text_size == 0)
        return;
    struct out_msg *m = &v->out[v->out_n++];
    *m = (struct out_msg){ .data = v->text, .size = v->text_size, .text = v->text };
    v->text = NULL;
    v->text_size = v->text_cap = 0;
}

static void json_mime(char out[2 * KT_MIME_SIZE], const char *mime)
{
    for (; *mime; mime++) {
        if (*mime == '"' || *mime == '\\')
            *out++ = '\\';
        if ((unsigned char)*mime >= 0x20)
            *out++ = *mime;
    }
    *out = '\0';
}

/* New parameters or a new run: say so, and send the init segment. */
static void announce(struct viewer *v, struct tile *t, const struct kt_chunk *chunk, uint64_t seq)
{
    char mime[2 * KT_MIME_SIZE];
    uint8_t head[HUB_MEDIA_HEAD];
    json_mime(mime, chunk->init->mime);
    textf(v, "{\"op\":\"ready\",\"tile\":%u,\"camera\":\"%s\",\"stream\":\"%s\",\"mime\":\"%s\","
          "\"width\":%d,\"height\":%d}", t->id, t->stream->camera,
          t->stream->name + strlen(t->stream->camera) + 1, mime, chunk->init->width,
          chunk->init->height);
    take_text(v);
    struct out_msg *m = &v->out[v->out_n++];
    *m = (struct out_msg){ .init = kt_init_ref(chunk->init) };
    media_head(head, MEDIA_INIT, t, true, seq, chunk->wall_us);
    frame(v->hub, m, WSLAY_BINARY_FRAME, head, sizeof(head), m->init->data, m->init->size);
    t->run = chunk->run;
    memcpy(t->init_hash, chunk->init->hash, sizeof(t->init_hash));
}

/* Put CHUNK (its reference is taken over) into the batch, which has room for 4. */
static void send_chunk(struct viewer *v, struct tile *t, struct kt_chunk *chunk, uint64_t seq)
{
    const bool still = t->stream->kind == STREAM_STILL;
    const bool key = chunk->flags & KT_CHUNK_KEY;
    uint8_t head[HUB_MEDIA_HEAD];
    if (!still && (t->run != chunk->run ||
                   memcmp(t->init_hash, chunk->init->hash, sizeof(t->init_hash)) != 0))
        announce(v, t, chunk, seq);
    struct out_msg *m = &v->out[v->out_n++];
    *m = (struct out_msg){ .chunk = chunk };
    media_head(head, still ? MEDIA_JPEG : MEDIA_CHUNK, t, key, seq, chunk->wall_us);
    frame(v->hub, m, WSLAY_BINARY_FRAME, head, sizeof(head), chunk->data, chunk->size);
}

/* What moves at the tile's camera, when the viewer has not heard it yet. */
static void say_motion(struct viewer *v, struct tile *t)
{
    char json[KT_HUB_MOTION_MAX + 1];
    size_t n = 0;
    pthread_mutex_lock(&v->hub->lock);
    const struct stream *s = t->stream;
    if (s->motion && t->motion_seq != s->motion_seq) {
        n = strlen(s->motion);
        memcpy(json, s->motion, n);
        t->motion_seq = s->motion_seq;
    }
    pthread_mutex_unlock(&v->hub->lock);
    if (n > 0)
        hub_viewer_text(v, json, n);
}

/* One chunk of tile T into the batch. Returns its size, 0 when there is none. */
static size_t choose(struct viewer *v, struct tile *t)
{
    struct kt_hub *hub = v->hub;
    uint64_t seq = 0, dropped = 0;
    say_motion(v, t);
    take_text(v);
    if (t->still_every_us > 0 && kt_clock_mono_us() < t->still_next_us)
        return 0;
    pthread_mutex_lock(&hub->lock);
    struct kt_chunk *chunk = hub_stream_next(t->stream, &t->cursor, &seq, &dropped);
    pthread_mutex_unlock(&hub->lock);
    if (dropped > 0) {
        hub->frames_dropped += dropped;
        textf(v, "{\"op\":\"dropped\",\"tile\":%u,\"frames\":%llu}", t->id,
              (unsigned long long)dropped);
        take_text(v);
    }
    if (!chunk)
        return 0;
    /* A still that is a little early is on time. The first may be from when somebody last
     * looked: then the next one does not wait for its turn. */
    const bool stale = t->stills_sent++ == 0 && kt_clock_wall_us() - chunk->wall_us > STILL_STALE_US;
    if (t->still_every_us > 0 && !stale)
        t->still_next_us = kt_clock_mono_us() + t->still_every_us * 7 / 8;
    const size_t size = chunk->size;
    send_chunk(v, t, chunk, seq);
    return size;
}

/* Choose what goes out next, now that the socket can take it: text first, then
 * one chunk of each tile in turn. */
static bool fill(struct viewer *v)
{
    size_t bytes = 0, idle = 0;
    v->out_n = v->out_first = v->out_sent = 0;
    take_text(v);
    while (!v->closing && v->n_tiles > 0 && idle < v->n_tiles && bytes < HUB_BATCH_BYTES &&
           v->out_n + 5 <= HUB_BATCH) {
        v->turn %= v->n_tiles;
        const size_t size = choose(v, v->tiles[v->turn++]);
        bytes += size;
        idle = size > 0 ? 0 : idle + 1;
    }
    return v->out_n > 0;
}

static size_t gather(struct viewer *v, struct iovec iov[2 * HUB_BATCH])
{
    size_t n = 0, skip = v->out_sent;
    for (size_t i = v->out_first; i < v->out_n; i++) {
        struct out_msg *m = &v->out[i];
        if (skip < m->head_size)
            iov[n++] = (struct iovec){ m->head + skip, m->head_size - skip };
        skip = skip > m->head_size ? skip - m->head_size : 0;
        if (m->size > skip)
            iov[n++] = (struct iovec){ (void *)(m->data + skip), m->size - skip };
        skip = 0;
    }
    return n;
}

static void consume(struct viewer *v, size_t sent)
{
    v->out_sent += sent;
    while (v->out_first < v->out_n) {
        struct out_msg *m = &v->out[v->out_first];
        if (v->out_sent < m->head_size + m->size)
            return;
        v->out_sent -= m->head_size + m->size;
        msg_free(m);
        v->out_first++;
    }
}

static void watch_out(struct viewer *v, bool on)
{
    if (v->want_out == on)
        return;
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | (on ? (uint32_t)EPOLLOUT : 0),
                              .data.ptr = v };
    if (epoll_ctl(v->hub->epoll_fd, EPOLL_CTL_MOD, v->pub.fd, &ev) < 0)
        v->dead = true;
    v->want_out = on;
}

void hub_viewer_flush(struct viewer *v)
{
    struct iovec iov[2 * HUB_BATCH];
    while (!v->dead) {
        if (v->out_first == v->out_n && !fill(v)) {
            watch_out(v, false);
            v->progress_us = kt_clock_mono_us();
            if (v->closing)
                (void)shutdown(v->pub.fd, SHUT_WR);
            return;
        }
        struct msghdr msg = { .msg_iov = iov, .msg_iovlen = gather(v, iov) };
        const ssize_t sent = sendmsg(v->pub.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch_out(v, true);
            return;
        }
        if (sent < 0) {
            v->dead = true;
            return;
        }
        v->hub->bytes_sent += (uint64_t)sent;
        v->progress_us = kt_clock_mono_us();
        consume(v, (size_t)sent);
    }
}

/* ------------------------------ receiving ------------------------------ */

static void drop_tile_id(struct viewer *v, int id)
{
    for (size_t i = 0; i < v->n_tiles; i++) {
        if (v->tiles[i]->id == id) {
            hub_viewer_drop_tile(v, i);
            return;
        }
    }
}

void hub_viewer_drop_tile(struct viewer *v, size_t i)
{
    struct tile *t = v->tiles[i];
    v->tiles[i] = v->tiles[--v->n_tiles];
    hub_stream_detach(v->hub, t);
    free(t);
}

/* More or fewer stills of a camera that is looked at already: no picture is sent twice. */
static bool change_pace(struct viewer *v, int id, const char *name, double every)
{
    for (size_t i = 0; i < v->n_tiles; i++) {
        struct tile *t = v->tiles[i];
        if (t->id != id || t->stream->kind != STREAM_STILL || strcmp(t->stream->name, name) != 0)
            continue;
        const int64_t every_us = every > 0 && every <= 3600 ? (int64_t)(every * KT_SECOND_US) : 0;
        t->still_next_us += (every_us - t->still_every_us) * 7 / 8;
        t->still_every_us = every_us;
        return true;
    }
    return false;
}

static void subscribe(struct viewer *v, int id, const char *camera, const char *stream,
                      double every)
{
    char name[KT_STREAM_NAME_MAX + 1];
    struct stream probe = { .key_seq = 0 };
    const size_t n = (size_t)snprintf(name, sizeof(name), "%s/%s", camera, stream);
    if (n < sizeof(name) && change_pace(v, id, name, every))
        return;
    drop_tile_id(v, id);
    if (v->n_tiles == HUB_MAX_TILES) {
        hub_tile_error(v, id, "too-many");
        return;
    }
    if (n >= sizeof(name) || hub_stream_init(&probe, name) < 0) {
        hub_tile_error(v, id, "bad-request");
        return;
    }
    if (!v->pub.may_see(v->pub.user, camera)) {     /* also one that does not exist */
        hub_tile_error(v, id, "not-found");
        return;
    }
    struct tile *t = calloc(1, sizeof(*t));
    if (!t || !hub_stream_attach(v->hub, name, t)) {
        free(t);
        hub_tile_error(v, id, "busy");
        return;
    }
    t->viewer = v;
    t->id = (uint16_t)id;
    if (t->stream->kind == STREAM_STILL && every > 0 && every <= 3600)
        t->still_every_us = (int64_t)(every * KT_SECOND_US);
    v->tiles[v->n_tiles++] = t;
    if (v->pub.on_watch)
        v->pub.on_watch(v->pub.user, camera, stream);
}

static void on_json(struct viewer *v, json_t *root)
{
    const char *op = "", *camera = "", *stream = "sub";
    int tile = -1;
    double every = 0;
    if (json_unpack(root, "{s:s, s:i, s?s, s?s, s?F}", "op", &op, "tile", &tile, "camera", &camera,
                    "stream", &stream, "every", &every) < 0 || tile < 0 || tile > UINT16_MAX) {
        textf(v, "{\"op\":\"error\",\"code\":\"bad-request\"}");
        return;
    }
    if (strcmp(op, "subscribe") == 0)
        subscribe(v, tile, camera, stream, every);
    else if (strcmp(op, "unsubscribe") == 0)
        drop_tile_id(v, tile);
    else
        hub_tile_error(v, tile, "bad-request");
}

static bool may_talk(struct viewer *v)
{
    const int64_t now_us = kt_clock_mono_us();
    v->tokens += (double)(now_us - v->tokens_us) / 1e6 * MESSAGE_RATE;
    v->tokens_us = now_us;
    if (v->tokens > 4 * MESSAGE_RATE)
        v->tokens = 4 * MESSAGE_RATE;
    v->tokens -= 1;
    return v->tokens >= 0;
}

static void on_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg,
                       void *user)
{
    struct viewer *v = user;
    v->heard_us = kt_clock_mono_us();
    if (v->closing)
        return;
    if (!may_talk(v)) {
        hub_viewer_close(v, WSLAY_CODE_POLICY_VIOLATION, "too many messages");
        return;
    }
    if (arg->opcode == WSLAY_BINARY_FRAME)
        hub_viewer_close(v, WSLAY_CODE_UNSUPPORTED_DATA, "text only");
    if (arg->opcode != WSLAY_TEXT_FRAME)
        return;
    json_t *root = json_loadb((const char *)arg->msg, arg->msg_length, JSON_REJECT_DUPLICATES,
                              NULL);
    if (json_is_object(root))
        on_json(v, root);
    else
        textf(v, "{\"op\":\"error\",\"code\":\"bad-request\"}");
    json_decref(root);
}

static ssize_t on_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t n, int flags, void *user)
{
    struct viewer *v = user;
    const size_t extra = v->pub.extra_size - v->extra_used;
    if (extra > 0) {
        n = n < extra ? n : extra;
        memcpy(buf, (const uint8_t *)v->pub.extra + v->extra_used, n);
        v->extra_used += n;
        return (ssize_t)n;
    }
    ssize_t got;
    if (v->read_budget == 0) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    do
        got = recv(v->pub.fd, buf, n < v->read_budget ? n : v->read_budget, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        v->read_budget -= (size_t)got;
        return got;
    }
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        v->dead = true;
    wslay_event_set_error(ws, v->dead ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

/* Answers of wslay itself: pong, close. */
static ssize_t on_send(wslay_event_context_ptr ws, const uint8_t *data, size_t n, int flags,
                       void *user)
{
    struct viewer *v = user;
    if (text_append(v, data, n) < 0) {
        v->dead = true;
        wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return (ssize_t)n;
}

static void drain_answers(struct viewer *v)
{
    if (!v->dead && wslay_event_want_write(v->ws) && wslay_event_send(v->ws) < 0)
        v->dead = true;
}

/* After the goodbye: wslay reads no more, but the end must still be seen. */
static void discard(struct viewer *v)
{
    uint8_t buf[4096];
    ssize_t got;
    while ((got = recv(v->pub.fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
        ;
    if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        v->dead = true;
}

void hub_viewer_readable(struct viewer *v)
{
    v->read_budget = READ_ROUND;
    if (!wslay_event_want_read(v->ws)) {
        discard(v);
        return;
    }
    if (wslay_event_recv(v->ws) < 0)
        v->dead = true;
    drain_answers(v);
    if (!v->closing && (wslay_event_get_close_received(v->ws) || wslay_event_get_close_sent(v->ws))) {
        v->closing = true;
        v->close_by_us = kt_clock_mono_us() + CLOSE_US;
    }
}

/* ------------------------------ life ------------------------------ */

void hub_viewer_close(struct viewer *v, uint16_t code, const char *why)
{
    if (v->closing || v->dead)
        return;
    (void)wslay_event_queue_close(v->ws, code, (const uint8_t *)why, strlen(why));
    drain_answers(v);
    v->closing = true;
    v->close_by_us = kt_clock_mono_us() + CLOSE_US;
}

void hub_viewer_tick(struct viewer *v, int64_t now_us)
{
    const bool stuck = v->want_out && now_us - v->progress_us > STUCK_US;
    if (stuck || now_us - v->heard_us > SILENT_US || (v->closing && now_us > v->close_by_us)) {
        v->dead = true;
        return;
    }
    if (!v->closing && v->pub.alive && now_us - v->checked_us > CHECK_US) {
        v->checked_us = now_us;
        if (!v->pub.alive(v->pub.user))
            hub_viewer_close(v, WSLAY_CODE_POLICY_VIOLATION, "session ended");
    }
    if (!v->closing && now_us - v->pinged_us > PING_US) {
        v->pinged_us = now_us;
        const struct wslay_event_msg ping = { .opcode = WSLAY_PING };
        (void)wslay_event_queue_msg(v->ws, &ping);
        drain_answers(v);
    }
}

static void tune_socket(int fd)
{
    const int on = 1, low = UNSENT_LOW;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));    /* may be a socket pair */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof(low));
}

int hub_viewer_create(struct viewer **out, struct kt_hub *hub, const struct kt_hub_viewer *pub)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message };
    struct viewer *v = calloc(1, sizeof(*v));
    uint8_t *extra = malloc(pub->extra_size + 1);
    if (!v || !extra || wslay_event_context_server_init(&v->ws, &callbacks, v) != 0) {
        free(extra);
        free(v);
        return -ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(v->ws, MESSAGE_MAX);
    if (pub->extra_size > 0)
        memcpy(extra, pub->extra, pub->extra_size);
    v->pub = *pub;
    v->pub.extra = extra;
    v->hub = hub;
    v->heard_us = v->progress_us = v->pinged_us = v->checked_us = kt_clock_mono_us();
    v->tokens = 4 * MESSAGE_RATE;
    v->tokens_us = v->heard_us;
    tune_socket(pub->fd);
    *out = v;
    return 0;
}

void hub_viewer_destroy(struct viewer **pv)
{
    struct viewer *v = kt_steal_ptr(pv);
    if (!v)
        return;
    while (v->n_tiles > 0)
        hub_viewer_drop_tile(v, v->n_tiles - 1);
    for (size_t i = v->out_first; i < v->out_n; i++)
        msg_free(&v->out[i]);
    wslay_event_context_free(v->ws);
    free((void *)v->pub.extra);
    free(v->text);
    if (v->pub.on_close)
        v->pub.on_close(v->pub.user);
    free(v);
}

/*
 * viewers.c - pages of live tiles, as a browser opens them, from a running server.
 *
 *   viewers PORT COOKIE VIEWERS TILES CAMERAS main|sub WARM_UP SECONDS TURN_US PHASE_US,…
 *
 * Viewer v shows cameras v+1, v+2, … in its tiles. Prints one JSON object: what
 * came in SECONDS after WARM_UP seconds, how late (from the moment when the camera
 * took the frame to its last byte here), and how long the first picture of a tile
 * took (from asking to the last byte of its first key frame).
 *
 * Camera c of the simulator takes a key frame at PHASE_US (of c, by this machine's
 * clock) and each TURN_US from there. So the capture time in the message of a key
 * frame tells how far the recorder's idea of that camera's time is off, if by less
 * than half a TURN, and that holds for the frames up to the next: "off_min_ms" and
 * "off_max_ms" are the least and the most of all cameras (less than 0: early).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "server/base/clock.h"

#define MAX_TILES 64
#define MAX_CAMERAS 99
#define HEAD_MAX (10 + 24)          /* of the WebSocket frame, and ours */
#define SAMPLES_MAX (4 << 20)
#define PONG_US (15 * INT64_C(1000000))

struct samples {
    uint32_t *us;
    size_t n;
};

struct viewer {
    int fd, number;
    uint8_t head[HEAD_MAX];
    size_t have, skip;              /* bytes of the head; of the body still to come */
    bool binary;
    int64_t wall_us;                /* of the message that is being skipped */
    uint16_t tile;
    bool key_chunk;
    bool seen[MAX_TILES];
    int64_t asked_us;
};

static struct viewer *viewers;
static int n_viewers;               /* that are connected */
static struct samples late, first;
static unsigned long long bytes, messages, drops;
static bool measuring;
static int64_t turn_us;
static int n_cameras;
static struct camera {
    int64_t phase_us;
    int64_t off_us;                 /* the recorder's time of its frames, less the true one */
    bool known;
} cameras[MAX_CAMERAS];

/* What a key frame that the recorder says was taken at WALL_US tells of its camera. */
static void see_key_frame(struct camera *c, int64_t wall_us)
{
    const int64_t turns = (wall_us - c->phase_us + turn_us / 2) / turn_us;
    c->off_us = wall_us - (c->phase_us + turns * turn_us);
    c->known = true;
}

static void add(struct samples *s, int64_t us)
{
    if (s->n < SAMPLES_MAX)
        s->us[s->n++] = us < 0 ? 0 : (uint32_t)us;
}

static int compare(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The value below which the share Q of the samples lies, in ms. */
static double quantile(struct samples *s, double q)
{
    qsort(s->us, s->n, sizeof(*s->us), compare);
    return s->n ? s->us[(size_t)(q * (double)(s->n - 1))] / 1e3 : -1;
}

/* ---- what comes ---- */

static void message_ends(struct viewer *v)
{
    if (!v->binary)
        return;
    if (v->tile < MAX_TILES && v->key_chunk && !v->seen[v->tile]) {
        v->seen[v->tile] = true;
        add(&first, kt_clock_mono_us() - v->asked_us);
    }
    struct camera *c = &cameras[(v->number + v->tile) % n_cameras];
    if (v->key_chunk)
        see_key_frame(c, v->wall_us);
    if (measuring && v->wall_us && c->known) {
        messages++;
        add(&late, kt_clock_wall_us() - (v->wall_us - c->off_us));
    }
}

/* The size of the WebSocket header that begins with what there is; 2 while unknown. */
static size_t header_size(const struct viewer *v)
{
    const int code = v->have >= 2 ? v->head[1] & 0x7f : 0;
    return 2 + (code == 126 ? 2u : code == 127 ? 8u : 0u);
}

static size_t body_size(const struct viewer *v, size_t header)
{
    size_t size = 0;
    if (header == 2)
        return v->head[1] & 0x7f;
    for (size_t i = 2; i < header; i++)
        size = size << 8 | v->head[i];
    return size;
}

/* One byte of a head. Binary messages are read up to their capture time. */
static void head_byte(struct viewer *v, uint8_t byte)
{
    v->head[v->have++] = byte;
    const size_t header = header_size(v);
    if (v->have < 2 || v->have < header)
        return;
    const size_t body = body_size(v, header);
    v->binary = (v->head[0] & 0x0f) == 2 && body >= 24;
    const size_t want = header + (v->binary ? 24 : 0);
    if (v->have < want)
        return;
    if (v->binary) {
        const uint8_t *p = v->head + header;
        memcpy(&v->tile, p + 2, 2);
        memcpy(&v->wall_us, p + 16, 8);
        v->key_chunk = p[1] == 2 && p[4] & 1;
        if (p[1] != 2)
            v->wall_us = 0;
    }
    v->skip = body - (want - header);
    v->have = 0;
    if (v->skip == 0)
        message_ends(v);
}

static void take(struct viewer *v, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        if (v->skip == 0) {
            head_byte(v, data[at++]);
            continue;
        }
        const size_t n = v->skip < size - at ? v->skip : size - at;
        if (!v->binary && memmem(data + at, n, "\"op\":\"dropped\"", 14))
            drops++;
        v->skip -= n;
        at += n;
        if (v->skip == 0)
            message_ends(v);
    }
}

static void receive(struct viewer *v)
{
    static uint8_t buf[256 << 10];
    const ssize_t n = recv(v->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        fprintf(stderr, "viewers: the server closed a connection\n");
        exit(1);
    }
    if (measuring)
        bytes += (size_t)n;
    take(v, buf, (size_t)n);
}

/* ---- opening ---- */

static void send_all(int fd, const char *data, size_t size)
{
    if (send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) {
        perror("viewers: send");
        exit(1);
    }
}

static int open_socket(int port, const char *cookie)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char text[1024];
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        perror("viewers: connect");
        exit(1);
    }
    const int n = snprintf(text, sizeof(text),
        "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\nCookie: %s\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", port, port, cookie);
    send_all(fd, text, (size_t)n);
    size_t have = 0;
    while (have < sizeof(text) - 1 && recv(fd, text + have, 1, 0) == 1) {
        text[++have] = '\0';
        if (strstr(text, "\r\n\r\n"))
            break;
    }
    if (strncmp(text, "HTTP/1.1 101", 12) != 0) {
        fprintf(stderr, "viewers: no WebSocket: %.60s\n", text);
        exit(1);
    }
    return fd;
}

static void subscribe(struct viewer *v, int tile, int camera, const char *stream)
{
    char frame[200] = { (char)0x81 };
    const int n = snprintf(frame + 6, sizeof(frame) - 6, "{\"op\":\"subscribe\",\"tile\":%d,"
                           "\"camera\":\"cam%02d\",\"stream\":\"%s\"}", tile, camera, stream);
    frame[1] = (char)(0x80 | n);        /* masked with zeros; shorter than 126 */
    send_all(v->fd, frame, 6 + (size_t)n);
}

/* ---- time ---- */

/* Pages that say nothing for more than a minute are taken for dead: RFC 6455 5.5.3, a pong that nobody asked for. */
static void say_we_live(int64_t now_us)
{
    static const char pong[6] = { (char)0x8a, (char)0x80 };
    static int64_t said_us;
    if (now_us - said_us < PONG_US)
        return;
    said_us = now_us;
    for (int i = 0; i < n_viewers; i++)
        send_all(viewers[i].fd, pong, sizeof(pong));
}

static void run_for(int epoll, double seconds)
{
    const int64_t end = kt_clock_mono_us() + (int64_t)(seconds * 1e6);
    struct epoll_event events[64];
    for (;;) {
        const int64_t now = kt_clock_mono_us(), left = end - now;
        if (left <= 0)
            return;
        say_we_live(now);
        const int64_t wait = left < PONG_US ? left : PONG_US;
        const int n = epoll_wait(epoll, events, 64, (int)(wait / 1000) + 1);
        for (int i = 0; i < n; i++)
            receive(events[i].data.ptr);
    }
}

/* CAMERAS phases, with commas between them. */
static int read_phases(int count, const char *turn, const char *phases)
{
    turn_us = atoll(turn);
    n_cameras = count;
    if (count < 1 || count > MAX_CAMERAS || turn_us < 1)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        char *end;
        cameras[i].phase_us = strtoll(phases, &end, 10);
        if (end == phases)
            return -EINVAL;
        phases = end + (*end == ',');
    }
    return 0;
}

/* The least and the most that the recorder's time is off. */
static void spread(int64_t *least, int64_t *most)
{
    bool any = false;
    for (int i = 0; i < n_cameras; i++) {
        if (!cameras[i].known)
            continue;
        if (!any || cameras[i].off_us < *least)
            *least = cameras[i].off_us;
        if (!any || cameras[i].off_us > *most)
            *most = cameras[i].off_us;
        any = true;
    }
}

int main(int argc, char **argv)
{
    if (argc != 11) {
        fprintf(stderr, "usage: viewers PORT COOKIE VIEWERS TILES CAMERAS main|sub WARM_UP SECONDS "
                "TURN_US PHASE_US,...\n");
        return 2;
    }
    const int n = atoi(argv[3]), tiles = atoi(argv[4]);
    const double warm_up = atof(argv[7]), seconds = atof(argv[8]);
    if (read_phases(atoi(argv[5]), argv[9], argv[10]) < 0)
        return 2;
    viewers = calloc((size_t)n + 1, sizeof(*viewers));
    late.us = malloc(SAMPLES_MAX * sizeof(*late.us));
    first.us = malloc(SAMPLES_MAX * sizeof(*first.us));
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!viewers || !late.us || !first.us || epoll < 0 || tiles > MAX_TILES)
        return 1;
    for (int i = 0; i < n; i++) {
        struct viewer *v = &viewers[i];
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = v };
        v->number = i;
        v->fd = open_socket(atoi(argv[1]), argv[2]);
        v->asked_us = kt_clock_mono_us();
        for (int t = 0; t < tiles; t++)
            subscribe(v, t, (i + t) % n_cameras + 1, argv[6]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &ev) < 0)
            return 1;
        n_viewers = i + 1;
        run_for(epoll, 0.05);           /* people do not all come at once */
    }
    run_for(epoll, warm_up);
    measuring = true;
    const int64_t from = kt_clock_mono_us();
    run_for(epoll, seconds);
    const double span = (double)(kt_clock_mono_us() - from) / 1e6;
    int64_t off_min = 0, off_max = 0;
    spread(&off_min, &off_max);
    printf("{\"viewers\":%d,\"tiles\":%d,\"tiles_with_picture\":%zu,\"mb_per_s\":%.2f,"
           "\"messages_per_s\":%.0f,\"late_p50_ms\":%.1f,\"late_p99_ms\":%.1f,\"first_p50_ms\":%.1f,"
           "\"first_max_ms\":%.1f,\"drops\":%llu,\"off_min_ms\":%.1f,\"off_max_ms\":%.1f}\n", n, tiles, first.n, (double)bytes / 1e6 / span,
           (double)messages / span, quantile(&late, 0.5), quantile(&late, 0.99),
           quantile(&first, 0.5), quantile(&first, 1), drops,
           (double)off_min / 1e3, (double)off_max / 1e3);
    return 0;
}

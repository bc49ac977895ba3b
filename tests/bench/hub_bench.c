/*
 * hub_bench.c - what 50 viewers of 16 tiles cost the recorder.
 *
 *     hub_bench [VIEWERS [TILES [SECONDS]]]
 *
 * Publishes 40 sub-streams (640x360 at 10/s, about 300 kbit/s, a key frame each
 * second) in real time to viewers that another process reads over TCP, and prints
 * CPU of the hub's thread and of publishing, per MB sent, and how late chunks arrive.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "server/base/clock.h"
#include "web/live/hub.h"

#define STREAMS 40
#define FPS 10
#define KEY_BYTES 14000
#define DELTA_BYTES 2600

static int may_see(void *user, const char *camera) { return 1; }
static void on_close(void *user) { }

static int64_t cpu_us(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct shared {
    atomic_ullong bytes, messages, late_us, worst_us;
};

struct reader {
    int fd;
    uint8_t head[10 + 24];
    size_t have, skip;
};

/* Count messages of one viewer; only heads are looked at. */
static void read_some(struct reader *r, struct shared *s)
{
    static uint8_t buf[256 * 1024];
    const ssize_t got = recv(r->fd, buf, sizeof(buf), MSG_DONTWAIT);
    if (got <= 0)
        return;
    s->bytes += (size_t)got;
    for (size_t at = 0; at < (size_t)got;) {
        if (r->skip > 0) {
            const size_t n = r->skip < (size_t)got - at ? r->skip : (size_t)got - at;
            r->skip -= n;
            at += n;
            continue;
        }
        r->head[r->have++] = buf[at++];
        const size_t code = r->have >= 2 ? r->head[1] & 0x7f : 0;
        const size_t ws = 2 + (code == 126 ? 2 : code == 127 ? 8 : 0);
        if (r->have < ws)
            continue;
        size_t size = code;
        if (code >= 126) {
            size = 0;
            for (size_t i = 2; i < ws; i++)
                size = size << 8 | r->head[i];
        }
        if ((r->head[0] & 0x0f) != 2 || size < 24) {
            r->skip = size;
            r->have = 0;
        } else if (r->have == ws + 24) {
            int64_t wall_us;
            memcpy(&wall_us, r->head + ws + 16, 8);
            const int64_t late_us = kt_clock_wall_us() - wall_us;
            s->messages++;
            s->late_us += (unsigned long long)late_us;
            if (late_us < 1000000 && (unsigned long long)late_us > s->worst_us)
                s->worst_us = (unsigned long long)late_us;
            r->skip = size - 24;
            r->have = 0;
        }
    }
}

static void read_all(struct reader *readers, size_t n, struct shared *s)
{
    const int ep = epoll_create1(0);
    struct epoll_event events[64];
    for (size_t i = 0; i < n; i++) {
        struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &readers[i] };
        epoll_ctl(ep, EPOLL_CTL_ADD, readers[i].fd, &ev);
    }
    for (;;) {
        const int got = epoll_wait(ep, events, 64, -1);
        for (int i = 0; i < got; i++)
            read_some(events[i].data.ptr, s);
    }
}

static void send_text(int fd, const char *json)
{
    uint8_t frame[200] = { 0x81, (uint8_t)(0x80 | strlen(json)) };
    memcpy(frame + 6, json, strlen(json));
    if (send(fd, frame, 6 + strlen(json), 0) < 0)
        abort();
}

static int tcp_pair(int listener, int *server)
{
    struct sockaddr_in name;
    socklen_t size = sizeof(name);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    getsockname(listener, (struct sockaddr *)&name, &size);
    if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
        abort();
    *server = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    return fd;
}

static void publish_for(kt_hub *hub, struct kt_init *init, int seconds)
{
    static uint8_t data[KEY_BYTES];
    const int64_t start_us = kt_clock_mono_us(), step_us = KT_SECOND_US / FPS / STREAMS;
    for (int64_t i = 0; i < (int64_t)seconds * FPS * STREAMS; i++) {
        const int64_t wait_us = start_us + i * step_us - kt_clock_mono_us();
        if (wait_us > 0)
            nanosleep(&(struct timespec){ .tv_nsec = wait_us * 1000 }, NULL);
        const bool key = i / STREAMS % FPS == 0;
        char name[32];
        struct kt_chunk *chunk;
        snprintf(name, sizeof(name), "cam%02d/sub", (int)(i % STREAMS));
        const struct kt_chunk meta = { .init = init, .run = 1, .wall_us = kt_clock_wall_us(),
                                       .flags = key ? KT_CHUNK_KEY : 0, .data = data,
                                       .size = key ? KEY_BYTES : DELTA_BYTES };
        if (kt_chunk_create(&chunk, &meta) < 0)
            abort();
        kt_hub_publish(hub, name, chunk);
        kt_chunk_unref(&chunk);
    }
}

int main(int argc, char **argv)
{
    const int viewers = argc > 1 ? atoi(argv[1]) : 50, tiles = argc > 2 ? atoi(argv[2]) : 16;
    const int seconds = argc > 3 ? atoi(argv[3]) : 10;
    kt_hub *hub = NULL;
    struct kt_init *init = NULL;
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct reader *readers = calloc((size_t)viewers + 1, sizeof(*readers));
    int *fds = calloc((size_t)viewers + 1, sizeof(*fds));
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (!readers || !fds || bind(listener, (const struct sockaddr *)&any, sizeof(any)) < 0 ||
        listen(listener, 64) < 0)
        return 1;
    for (int i = 0; i < viewers; i++)
        readers[i].fd = tcp_pair(listener, &fds[i]);
    const pid_t pid = fork();
    if (pid == 0)
        read_all(readers, (size_t)viewers, shared);
    if (kt_hub_create(&hub, NULL) < 0 || kt_init_create(&init, "init", 4, "video/mp4", 640, 360) < 0)
        return 1;
    for (int i = 0; i < viewers; i++) {
        const struct kt_hub_viewer viewer = { .fd = fds[i], .may_see = may_see, .on_close = on_close };
        if (kt_hub_adopt(hub, &viewer) < 0)
            return 1;
        for (int t = 0; t < tiles; t++) {
            char json[128];
            snprintf(json, sizeof(json), "{\"op\":\"subscribe\",\"tile\":%d,\"camera\":\"cam%02d\","
                     "\"stream\":\"sub\"}", t, (i + t) % STREAMS);
            send_text(readers[i].fd, json);
        }
    }
    publish_for(hub, init, 1);
    struct kt_hub_status before, after;
    kt_hub_status(hub, &before);
    const int64_t all_us = cpu_us(CLOCK_PROCESS_CPUTIME_ID), own_us = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    const unsigned long long messages = shared->messages, late_us = shared->late_us;
    publish_for(hub, init, seconds);
    const int64_t own = cpu_us(CLOCK_THREAD_CPUTIME_ID) - own_us;
    const int64_t hub_cpu = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - all_us - own;
    kt_hub_status(hub, &after);
    const double mb = (double)(after.bytes_sent - before.bytes_sent) / 1e6;
    const double count = (double)(shared->messages - messages);
    printf("%d viewers of %d tiles: %.1f MB/s, %.0f messages/s, hub %.1f %% of a core (%.2f ms/MB, "
           "%.1f us a message), publishing %.1f %%, late %.2f ms on average, %.0f ms at worst, "
           "%llu frames dropped\n", viewers, tiles, mb / seconds, count / seconds,
           (double)hub_cpu / seconds / 1e4, mb > 0 ? (double)hub_cpu / 1e3 / mb : 0,
           count > 0 ? (double)hub_cpu / count : 0, (double)own / seconds / 1e4,
           count > 0 ? (double)(shared->late_us - late_us) / count / 1e3 : 0,
           (double)shared->worst_us / 1e3, (unsigned long long)(after.frames_dropped - before.frames_dropped));
    kt_hub_destroy(&hub);
    kt_init_unref(&init);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}

#include "decoders/ingest/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define GRACE_NS 500000000L         /* for lookups in progress at the end, */
#define GRACE_ONE_MS 100            /* and for one that is called off */

struct kt_lookup {
    kt_lookup *next;            /* in the list */
    char *host, *port;
    /* --- protected by the resolver's lock --- */
    bool busy;                  /* a thread is looking it up */
    bool done, cancelled;
    int n;
    struct kt_address address[KT_RESOLVER_ADDRESSES];
};

struct kt_resolver {
    int wake_fd;                /* borrowed */
    pthread_t thread[KT_RESOLVER_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* --- protected by lock --- */
    kt_lookup *first;           /* all of them, the oldest first: at most one per session */
    int threads, idle;
    bool stop;
};

static void free_lookup(kt_lookup *lookup)
{
    free(lookup->host);
    free(lookup->port);
    free(lookup);
}

static int look_up(const char *host, const char *port, int flags,
                   struct kt_address out[KT_RESOLVER_ADDRESSES])
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = flags };
    struct addrinfo *list = NULL;
    const int ret = getaddrinfo(host, port, &hints, &list);
    if (ret)
        return ret == EAI_AGAIN ? -ETIMEDOUT : -EHOSTUNREACH;
    int n = 0;
    for (const struct addrinfo *a = list; a && n < KT_RESOLVER_ADDRESSES; a = a->ai_next) {
        memcpy(&out[n].address, a->ai_addr, a->ai_addrlen);
        out[n++].size = a->ai_addrlen;
    }
    freeaddrinfo(list);
    return n ? n : -EHOSTUNREACH;
}

int kt_resolver_numeric(const char *host, const char *port, struct kt_address *out)
{
    struct kt_address found[KT_RESOLVER_ADDRESSES];
    if (look_up(host, port, AI_NUMERICHOST | AI_NUMERICSERV, found) < 1)
        return 0;
    *out = found[0];
    return 1;
}

static bool same_name(const kt_lookup *a, const kt_lookup *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

/* Under the lock, as all below. Does nobody look it up yet? */
static bool is_waiting(const kt_resolver *r, const kt_lookup *lookup)
{
    for (const kt_lookup *l = r->first; l; l = l->next)
        if (l->busy && same_name(l, lookup))
            return false;
    return !lookup->done && !lookup->cancelled;
}

/* The oldest that waits, and how many do. */
static kt_lookup *next_lookup(const kt_resolver *r, int *n)
{
    kt_lookup *oldest = NULL;
    *n = 0;
    for (kt_lookup *l = r->first; l; l = l->next) {
        if (!is_waiting(r, l))
            continue;
        oldest = oldest ? oldest : l;
        (*n)++;
    }
    return oldest;
}

static void remove_lookup(kt_resolver *r, kt_lookup *lookup)
{
    kt_lookup **p = &r->first;
    while (*p != lookup)
        p = &(*p)->next;
    *p = lookup->next;
    free_lookup(lookup);
}

/* The lookup itself is done without the lock, and given up when the resolver is destroyed: it
 * waits in poll(2), where a thread may be cancelled. Decision 0047. */
static void serve(kt_resolver *r, kt_lookup *lookup)
{
    struct kt_address found[KT_RESOLVER_ADDRESSES];
    lookup->busy = true;
    pthread_mutex_unlock(&r->lock);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    const int n = look_up(lookup->host, lookup->port, AI_NUMERICSERV, found);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_mutex_lock(&r->lock);
    lookup->busy = false;
    for (kt_lookup *l = r->first; l; l = l->next) {
        if (l->done || !same_name(l, lookup))
            continue;
        l->done = true;
        l->n = n;
        if (n > 0)
            memcpy(l->address, found, sizeof(found[0]) * (size_t)n);
    }
    if (lookup->cancelled)
        remove_lookup(r, lookup);
    if (r->stop)
        pthread_cond_broadcast(&r->changed);
    const uint64_t one = 1;
    (void)!write(r->wake_fd, &one, sizeof(one));
}

static void *resolver_main(void *user)
{
    kt_resolver *r = user;
    (void)pthread_setname_np(pthread_self(), "kt-resolver");
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        int n;
        kt_lookup *lookup = next_lookup(r, &n);
        if (lookup) {
            serve(r, lookup);
            continue;
        }
        r->idle++;
        pthread_cond_wait(&r->changed, &r->lock);
        r->idle--;
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* A thread for each name that waits. 0, or a negative errno when there is none at all. */
static int add_thread(kt_resolver *r)
{
    int n;
    (void)next_lookup(r, &n);
    if (n <= r->idle || r->threads == KT_RESOLVER_THREADS)
        return 0;
    const int ret = pthread_create(&r->thread[r->threads], NULL, resolver_main, r);
    r->threads += ret == 0;
    return r->threads ? 0 : -ret;
}

int kt_resolver_create(kt_resolver **out, int wake_fd)
{
    kt_resolver *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->wake_fd = wake_fd;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = r;
    return 0;
}

static bool any_busy(const kt_resolver *r)
{
    for (const kt_lookup *l = r->first; l; l = l->next)
        if (l->busy)
            return true;
    return false;
}

/* Most lookups are over soon, and libc has then nothing open. */
static void wait_for_lookups(kt_resolver *r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GRACE_NS;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (any_busy(r) && pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
        ;
}

void kt_resolver_destroy(kt_resolver **presolver)
{
    kt_resolver *r = kt_steal_ptr(presolver);
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    wait_for_lookups(r);
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < r->threads; i++)
        (void)pthread_cancel(r->thread[i]);
    for (int i = 0; i < r->threads; i++)
        pthread_join(r->thread[i], NULL);
    while (r->first)                /* given up in the middle */
        remove_lookup(r, r->first);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int kt_resolver_start(kt_resolver *r, kt_lookup **out, const char *host, const char *port)
{
    kt_lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup)
        return -ENOMEM;
    lookup->host = strdup(host);
    lookup->port = strdup(port);
    if (!lookup->host || !lookup->port) {
        free_lookup(lookup);
        return -ENOMEM;
    }
    pthread_mutex_lock(&r->lock);
    kt_lookup **end = &r->first;
    while (*end)
        end = &(*end)->next;
    *end = lookup;
    const int ret = add_thread(r);
    pthread_cond_signal(&r->changed);
    if (ret < 0)
        remove_lookup(r, lookup);
    else
        *out = lookup;
    pthread_mutex_unlock(&r->lock);
    return ret;
}

int kt_resolver_result(kt_resolver *r, kt_lookup *lookup,
                       struct kt_address out[KT_RESOLVER_ADDRESSES])
{
    pthread_mutex_lock(&r->lock);
    const int n = lookup->done ? lookup->n : 0;
    if (n > 0)
        memcpy(out, lookup->address, sizeof(out[0]) * (size_t)n);
    pthread_mutex_unlock(&r->lock);
    return n;
}

void kt_resolver_cancel(kt_resolver *r, kt_lookup **plookup)
{
    kt_lookup *lookup = kt_steal_ptr(plookup);
    if (!lookup)
        return;
    pthread_mutex_lock(&r->lock);
    lookup->cancelled = true;
    if (!lookup->busy)
        remove_lookup(r, lookup);   /* busy: the thread does */
    pthread_mutex_unlock(&r->lock);
}

/* ------------------------- one name, and somebody who waits for it ------------------------- */

struct one_lookup {
    const char *host, *port;
    int done_fd;                /* an eventfd, written when the rest is there */
    int n;
    struct kt_address found[KT_RESOLVER_ADDRESSES];
};

static void *look_up_one(void *user)
{
    struct one_lookup *one = user;
    (void)pthread_setname_np(pthread_self(), "kt-resolver");
    one->n = look_up(one->host, one->port, AI_NUMERICSERV, one->found);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)eventfd_write(one->done_fd, 1);
    return NULL;
}

/* 0, or -ECANCELED once CANCEL_FD can be read and DONE_FD still cannot after a while. */
static int wait_for_one(int done_fd, int cancel_fd)
{
    struct pollfd fds[] = { { .fd = done_fd, .events = POLLIN }, { .fd = cancel_fd, .events = POLLIN } };
    while (!fds[0].revents && !fds[1].revents)
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
    if (!fds[0].revents)
        (void)poll(fds, 1, GRACE_ONE_MS);
    return fds[0].revents ? 0 : -ECANCELED;
}

int kt_resolver_look_up(const char *host, const char *port, int cancel_fd,
                        struct kt_address out[KT_RESOLVER_ADDRESSES])
{
    struct one_lookup one = { .host = host, .port = port };
    pthread_t thread;
    if (kt_resolver_numeric(host, port, &out[0]))
        return 1;
    kt_cleanup(kt_closep) int done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (done_fd < 0)
        return -errno;
    one.done_fd = done_fd;
    int ret = -pthread_create(&thread, NULL, look_up_one, &one);
    if (ret < 0)
        return ret;
    ret = wait_for_one(done_fd, cancel_fd);
    if (ret < 0)
        (void)pthread_cancel(thread);       /* it waits in poll(2): decision 0047 */
    pthread_join(thread, NULL);
    if (ret < 0)
        return ret;
    if (one.n > 0)
        memcpy(out, one.found, sizeof(out[0]) * (size_t)one.n);
    return one.n;
}

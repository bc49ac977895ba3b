#include "decoders/ingest/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

struct kt_lookup {
    kt_lookup *next;            /* in the queue */
    char *host, *port;
    /* --- protected by the resolver's lock --- */
    bool busy, cancelled, done;
    int n;
    struct kt_address address[KT_RESOLVER_ADDRESSES];
};

struct kt_resolver {
    int wake_fd;                /* borrowed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* --- protected by lock --- */
    kt_lookup *first;           /* waiting; at most one per session */
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
    if (getaddrinfo(host, port, &hints, &list))
        return -EHOSTUNREACH;
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

/* Under the lock; the lookup itself is done without it. */
static void serve_first(kt_resolver *r)
{
    struct kt_address found[KT_RESOLVER_ADDRESSES];
    kt_lookup *lookup = r->first;
    r->first = lookup->next;
    lookup->busy = true;
    pthread_mutex_unlock(&r->lock);
    const int n = look_up(lookup->host, lookup->port, AI_NUMERICSERV, found);
    pthread_mutex_lock(&r->lock);
    if (lookup->cancelled) {
        free_lookup(lookup);
        return;
    }
    lookup->busy = false;
    lookup->done = true;
    lookup->n = n;
    if (n > 0)
        memcpy(lookup->address, found, sizeof(found[0]) * (size_t)n);
    const uint64_t one = 1;
    (void)!write(r->wake_fd, &one, sizeof(one));
}

static void *resolver_main(void *user)
{
    kt_resolver *r = user;
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        if (r->first)
            serve_first(r);
        else
            pthread_cond_wait(&r->changed, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int kt_resolver_create(kt_resolver **out, int wake_fd)
{
    kt_resolver *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->wake_fd = wake_fd;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    const int ret = pthread_create(&r->thread, NULL, resolver_main, r);
    if (ret) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return -ret;
    }
    *out = r;
    return 0;
}

void kt_resolver_destroy(kt_resolver **presolver)
{
    kt_resolver *r = kt_steal_ptr(presolver);
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
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
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    *out = lookup;
    return 0;
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
    for (kt_lookup **p = &r->first; *p; p = &(*p)->next) {
        if (*p == lookup) {
            *p = lookup->next;
            break;
        }
    }
    const bool busy = lookup->busy;
    lookup->cancelled = true;
    pthread_mutex_unlock(&r->lock);
    if (!busy)
        free_lookup(lookup);    /* busy: the thread frees it */
}

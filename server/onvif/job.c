/* job.c - one search: a thread that probes, talks to what answers, and keeps the list. */
#include <curl/curl.h>
#include <errno.h>
#include <libxml/parser.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/net_guard.h"
#include "server/onvif/discovery.h"
#include "server/onvif/onvif.h"
#include "server/onvif/soap.h"
#include "server/onvif/talk.h"
#include "server/onvif/targets.h"

#define MAX_TRANSFERS 96
#define CONNECT_TIMEOUT_MS 2500L
#define TRANSFER_TIMEOUT_MS 8000L
#define LISTEN_MS 4000
#define PROBE_AGAIN_US KT_SECOND_US

/* One device, and the transfer that talks to it. */
struct device {
    struct kt_onvif_talk talk;
    bool named, active, listed;
    CURL *easy;
    struct curl_slist *headers;
    struct kt_net_guard guard;
    char *body;
    char *answer;
    size_t answer_size;
    int64_t sent_us;
};

struct kt_onvif_job {
    /* --- constant after start --- */
    char *interface, *user, *password;
    bool multicast;
    int allow, listen_ms;
    int done_fd;                        /* an eventfd: can be read when it is done */
    pthread_t thread;
    CURLM *multi;
    pthread_mutex_t lock;               /* leaf */
    /* --- protected by lock --- */
    struct kt_onvif_camera *found;      /* sorted when polled */
    size_t n_found;
    bool done, stop;
    /* --- the job's thread --- */
    struct kt_onvif_target *targets;
    size_t n_targets, next_target;
    struct device **devices;
    size_t n_devices, cap_devices, n_active;
    struct kt_discovery net;
};

/* ------------------------- the list ------------------------- */

/* Put what is known about DEV where others see it. */
static void publish(struct kt_onvif_job *job, struct device *dev)
{
    if (!dev->talk.answered && !dev->named)
        return;                         /* an address of a range where nobody lives */
    pthread_mutex_lock(&job->lock);
    struct kt_onvif_camera *slot = NULL;
    for (size_t i = 0; i < job->n_found && dev->listed; i++)
        if (strcmp(job->found[i].service, dev->talk.cam.service) == 0)
            slot = &job->found[i];
    if (!slot && job->n_found < KT_ONVIF_CAMERAS_MAX) {
        struct kt_onvif_camera *more = reallocarray(job->found, job->n_found + 1, sizeof(*more));
        if (more) {
            job->found = more;
            slot = &more[job->n_found++];
        }
    }
    if (slot) {
        *slot = dev->talk.cam;
        dev->listed = true;
    }
    pthread_mutex_unlock(&job->lock);
}

static bool known(const struct kt_onvif_job *job, const char *service)
{
    for (size_t i = 0; i < job->n_devices; i++)
        if (strcmp(job->devices[i]->talk.cam.service, service) == 0)
            return true;
    return false;
}

static void free_device(struct device **pdev)
{
    struct device *dev = kt_steal_ptr(pdev);
    if (!dev)
        return;
    if (dev->easy)
        curl_easy_cleanup(dev->easy);
    curl_slist_free_all(dev->headers);
    free(dev->body);
    free(dev->answer);
    free(dev);
}

/* ------------------------- transfers ------------------------- */

static size_t take_bytes(char *data, size_t size, size_t count, void *user)
{
    struct device *dev = user;
    const size_t n = size * count;
    if (dev->answer_size + n > KT_SOAP_MAX_BYTES)
        return 0;
    char *more = realloc(dev->answer, dev->answer_size + n + 1);
    if (!more)
        return 0;
    memcpy(more + dev->answer_size, data, n);
    dev->answer = more;
    dev->answer_size += n;
    return n;
}

static void set_options(struct kt_onvif_job *job, struct device *dev, const char *url)
{
    CURL *e = dev->easy;
    kt_net_guard_curl(e, "http,https", &dev->guard);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PRIVATE, dev);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, dev->headers);
    curl_easy_setopt(e, CURLOPT_POSTFIELDS, dev->body);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, dev);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, TRANSFER_TIMEOUT_MS);
    /* A camera's certificate is its own; what is sent under it is a digest, no password. */
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    if (dev->talk.http_digest) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_DIGEST);
        curl_easy_setopt(e, CURLOPT_USERNAME, job->user);
        curl_easy_setopt(e, CURLOPT_PASSWORD, job->password);
    }
}

/* Ask the next question. False: the conversation is over. */
static bool ask_next(struct kt_onvif_job *job, struct device *dev)
{
    const char *url;
    free(dev->body);
    dev->body = NULL;
    dev->answer_size = 0;
    if (kt_onvif_talk_ask(&dev->talk, &url, &dev->body) < 0)
        return false;
    if (!dev->easy)
        dev->easy = curl_easy_init();
    if (!dev->headers)
        dev->headers = curl_slist_append(NULL, "Content-Type: application/soap+xml; charset=utf-8");
    if (!dev->easy || !dev->headers)
        return false;
    set_options(job, dev, url);
    dev->sent_us = kt_clock_wall_us();
    return curl_multi_add_handle(job->multi, dev->easy) == CURLM_OK;
}

static void begin(struct kt_onvif_job *job, const char *service, bool named, const char *name)
{
    if (job->n_devices == job->cap_devices || known(job, service))
        return;
    struct device *dev = calloc(1, sizeof(*dev));
    if (!dev)
        return;
    dev->named = named;
    dev->guard.allow = job->allow;
    if (kt_onvif_talk_begin(&dev->talk, service, job->user, job->password) < 0) {
        free_device(&dev);
        return;
    }
    if (name)
        snprintf(dev->talk.cam.name, sizeof(dev->talk.cam.name), "%s", name);
    dev->active = ask_next(job, dev);
    job->n_active += dev->active;
    job->devices[job->n_devices++] = dev;
    publish(job, dev);
}

static void fail(struct device *dev, CURLcode code)
{
    char why[160];
    if (dev->guard.refused)
        snprintf(why, sizeof(why), "a %s address, which is not allowed here",
                 kt_net_class_name(dev->guard.refused));
    else
        snprintf(why, sizeof(why), "no answer: %s", curl_easy_strerror(code));
    kt_onvif_talk_fail(&dev->talk, why);
}

static void finish(struct kt_onvif_job *job, struct device *dev, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(dev->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(job->multi, dev->easy);
    if (code == CURLE_OK)
        kt_onvif_talk_hear(&dev->talk, status, dev->answer ? dev->answer : "", dev->answer_size,
                           dev->sent_us, kt_clock_wall_us());
    else
        fail(dev, code);
    if (!ask_next(job, dev)) {
        if (dev->talk.cam.state == KT_ONVIF_ASKING)
            kt_onvif_talk_fail(&dev->talk, "out of memory");
        dev->active = false;
        job->n_active--;
        curl_easy_cleanup(kt_steal_ptr(&dev->easy));    /* a range has many, most of them empty */
    }
    publish(job, dev);
}

static void finish_all(struct kt_onvif_job *job)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(job->multi, &left));) {
        struct device *dev = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&dev);
        finish(job, dev, m->data.result);
    }
}

/* ------------------------- the thread ------------------------- */

static void read_matches(struct kt_onvif_job *job)
{
    struct kt_discovery_match match;
    for (size_t i = 0; i < job->net.n; i++)
        for (int budget = 256; budget > 0; budget--) {
            const int ret = kt_discovery_read(&job->net, i, &match);
            if (ret == 0)
                begin(job, match.service, true, match.name[0] ? match.name : match.hardware);
            else if (ret != -EBADMSG)
                break;
        }
}

static void start_targets(struct kt_onvif_job *job)
{
    for (; job->next_target < job->n_targets && job->n_active < MAX_TRANSFERS; job->next_target++)
        begin(job, job->targets[job->next_target].service, job->targets[job->next_target].named, NULL);
}

static bool stopped(struct kt_onvif_job *job)
{
    pthread_mutex_lock(&job->lock);
    const bool stop = job->stop;
    pthread_mutex_unlock(&job->lock);
    return stop;
}

static void wait_for_something(struct kt_onvif_job *job, int64_t until_us)
{
    struct curl_waitfd fds[KT_DISCOVERY_SOCKETS_MAX];
    for (size_t i = 0; i < job->net.n; i++)
        fds[i] = (struct curl_waitfd){ .fd = job->net.fd[i], .events = CURL_WAIT_POLLIN };
    const int64_t left = (until_us - kt_clock_mono_us()) / 1000;
    const int ms = left < 0 ? 1000 : left > 1000 ? 1000 : (int)left + 1;
    (void)curl_multi_poll(job->multi, fds, (unsigned)job->net.n, ms, NULL);
}

static void *run(void *user)
{
    struct kt_onvif_job *job = user;
    const int64_t start = kt_clock_mono_us();
    const int64_t listen_until = job->net.n ? start + job->listen_ms * INT64_C(1000) : start;
    int64_t probe_at = start;
    int running = 0;
    (void)pthread_setname_np(pthread_self(), "kt-onvif");
    for (;;) {
        const int64_t now = kt_clock_mono_us();
        if (job->net.n && now >= probe_at && probe_at < start + 2 * PROBE_AGAIN_US) {
            kt_discovery_probe(&job->net);
            probe_at += PROBE_AGAIN_US;
        }
        read_matches(job);
        start_targets(job);
        (void)curl_multi_perform(job->multi, &running);
        finish_all(job);
        const bool all_asked = job->n_active == 0 && job->next_target == job->n_targets;
        if (stopped(job) || (all_asked && now >= listen_until))
            break;
        wait_for_something(job, probe_at > now ? probe_at : listen_until);
    }
    for (size_t i = 0; i < job->n_devices; i++)
        if (job->devices[i]->active)
            curl_multi_remove_handle(job->multi, job->devices[i]->easy);
    pthread_mutex_lock(&job->lock);
    job->done = true;
    (void)eventfd_write(job->done_fd, 1);
    pthread_mutex_unlock(&job->lock);
    return NULL;
}

/* ------------------------- from outside ------------------------- */

static void init_libraries(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    xmlInitParser();
}

static int copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static void free_job(struct kt_onvif_job **pjob)
{
    struct kt_onvif_job *job = kt_steal_ptr(pjob);
    if (!job)
        return;
    for (size_t i = 0; i < job->n_devices; i++)
        free_device(&job->devices[i]);
    free(job->devices);
    free(job->targets);
    free(job->found);
    kt_discovery_close(&job->net);
    if (job->multi)
        curl_multi_cleanup(job->multi);
    if (job->password)
        explicit_bzero(job->password, strlen(job->password));
    free(job->password);
    free(job->user);
    free(job->interface);
    if (job->done_fd >= 0)
        close(job->done_fd);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static int prepare(struct kt_onvif_job *job, const struct kt_onvif_ask *ask, struct kt_error *err)
{
    job->multicast = ask->multicast;
    job->allow = ask->allow;
    job->listen_ms = ask->listen_ms ? ask->listen_ms : LISTEN_MS;
    if (job->done_fd < 0)
        return kt_error_set(err, -errno, "no more files can be opened");
    if (copy(&job->user, ask->user) < 0 || copy(&job->password, ask->password) < 0)
        return kt_error_set(err, -ENOMEM, "out of memory");
    if (ask->range && ask->range[0]) {
        const int ret = kt_onvif_targets(&job->targets, &job->n_targets, ask->range, ask->ports, err);
        if (ret < 0)
            return ret;
    }
    if (ask->multicast && kt_discovery_open(&job->net, ask->interface) < 0)
        return kt_error_set(err, -ENODEV, "there is no network to look in");
    job->cap_devices = job->n_targets + KT_ONVIF_CAMERAS_MAX;
    job->devices = calloc(job->cap_devices, sizeof(*job->devices));
    job->multi = curl_multi_init();
    if (!job->devices || !job->multi)
        return kt_error_set(err, -ENOMEM, "out of memory");
    return 0;
}

int kt_onvif_start(kt_onvif_job **out, const struct kt_onvif_ask *ask, struct kt_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_libraries);
    kt_cleanup(free_job) struct kt_onvif_job *job = calloc(1, sizeof(*job));
    if (!job)
        return kt_error_set(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&job->lock, NULL);
    job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int ret = prepare(job, ask, err);
    if (ret == 0)
        ret = -pthread_create(&job->thread, NULL, run, job);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&job);
    return 0;
}

/* By address as numbers: .9 before .10. */
static int by_service(const void *a, const void *b)
{
    const struct kt_onvif_camera *x = a, *y = b;
    return strverscmp(x->service, y->service);
}

int kt_onvif_poll(kt_onvif_job *job, struct kt_onvif_camera **out, size_t *n, bool *done)
{
    pthread_mutex_lock(&job->lock);
    struct kt_onvif_camera *list = calloc(job->n_found + 1, sizeof(*list));
    if (list && job->n_found)
        memcpy(list, job->found, job->n_found * sizeof(*list));
    *n = job->n_found;
    *done = job->done;
    pthread_mutex_unlock(&job->lock);
    if (!list)
        return -ENOMEM;
    qsort(list, *n, sizeof(*list), by_service);
    *out = list;
    return 0;
}

int kt_onvif_wait(kt_onvif_job *job, int64_t timeout_us, int stop_fd)
{
    const int64_t until_us = kt_clock_mono_us() + timeout_us;
    struct pollfd fds[] = { { .fd = job->done_fd, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };
    for (int64_t us = timeout_us; us > 0; us = until_us - kt_clock_mono_us()) {
        (void)poll(fds, 2, (int)(us / 1000 + 1));
        if (fds[0].revents)
            return 0;
        if (fds[1].revents)
            return -ECANCELED;
    }
    return -ETIMEDOUT;
}

void kt_onvif_stop(kt_onvif_job **pjob)
{
    struct kt_onvif_job *job = kt_steal_ptr(pjob);
    if (!job)
        return;
    pthread_mutex_lock(&job->lock);
    job->stop = true;
    pthread_mutex_unlock(&job->lock);
    (void)curl_multi_wakeup(job->multi);
    pthread_join(job->thread, NULL);
    free_job(&job);
}

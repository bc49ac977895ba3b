#include "server/alerts/alerts.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>

#include "server/alerts/gate.h"
#include "server/alerts/message.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net_guard.h"

#define INBOX_MAX 64
#define COOLDOWN_S 300
#define RETRY_MIN_US (5 * KT_SECOND_US)
#define RETRY_MAX_US (15 * 60 * KT_SECOND_US)
#define KEEP_TRYING_US (24 * 3600 * KT_SECOND_US)
#define SAVED_KEY "alerts.waiting"

/* An alert with its picture, shared by the deliveries of all channels. */
struct shared {
    struct kt_alert alert;
    uint8_t *jpeg;
    int refs;                           /* the alert thread only */
};

struct delivery {
    struct delivery *next;
    struct shared *shared;
    size_t channel;
    char id[33];                        /* the same at every attempt */
    int attempts;
    int64_t due_us, since_us;           /* monotonic */
    CURL *easy;                         /* while it is on its way */
    struct kt_alert_request request;
    struct kt_net_guard guard;
};

/* A channel's configuration in memory of our own. */
struct channel {
    struct kt_alert_channel config;
    struct kt_gate gate;
    bool busy;
};

struct kt_alerts {
    /* --- constant after create --- */
    struct channel *channels;
    size_t n_channels;
    struct kt_alerts_config config;     /* without channels */
    char *link, *language;
    int utc_offset_s;
    int64_t retry_min_us;
    kt_catalog *catalog;
    CURLM *multi;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t idle;                /* busy became false */
    /* --- protected by lock --- */
    struct shared *inbox[INBOX_MAX];
    size_t n_inbox;
    bool stop;
    bool busy;                          /* something waits, or may */
    struct kt_alerts_stats stats;
    /* --- the alert thread --- */
    struct delivery *waiting;           /* oldest first; those on their way included */
    size_t n_waiting;
    bool saved;                         /* the catalog holds a list that is not empty */
};

/* ------------------------- what is shared ------------------------- */

static void unref(struct shared **ps)
{
    struct shared *s = kt_steal_ptr(ps);
    if (!s || --s->refs > 0)
        return;
    free(s->jpeg);
    free(s);
}

static struct shared *share(const struct kt_alert *alert)
{
    struct shared *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->alert = *alert;
    s->refs = 1;
    s->alert.jpeg = NULL;
    s->alert.jpeg_size = 0;
    if (alert->jpeg && alert->jpeg_size && alert->jpeg_size <= KT_ALERTS_PICTURE_MAX)
        s->jpeg = malloc(alert->jpeg_size);
    if (s->jpeg) {
        memcpy(s->jpeg, alert->jpeg, alert->jpeg_size);
        s->alert.jpeg = s->jpeg;
        s->alert.jpeg_size = alert->jpeg_size;
    }
    return s;
}

static void free_delivery(struct delivery **pd)
{
    struct delivery *d = kt_steal_ptr(pd);
    if (!d)
        return;
    if (d->easy)
        curl_easy_cleanup(d->easy);
    kt_alert_request_free(&d->request);
    unref(&d->shared);
    free(d);
}

static void take_out(kt_alerts *a, struct delivery *d)
{
    for (struct delivery **at = &a->waiting; *at; at = &(*at)->next)
        if (*at == d) {
            *at = d->next;
            a->n_waiting--;
            break;
        }
    if (d->easy) {
        curl_multi_remove_handle(a->multi, d->easy);
        a->channels[d->channel].busy = false;
    }
    free_delivery(&d);
}

/* ------------------------- counting and saying ------------------------- */

static void count(kt_alerts *a, uint64_t *counter)
{
    pthread_mutex_lock(&a->lock);
    (*counter)++;
    pthread_mutex_unlock(&a->lock);
}

static void note_error(kt_alerts *a, const struct delivery *d, const char *what, bool given_up)
{
    const char *name = a->channels[d->channel].config.name;
    pthread_mutex_lock(&a->lock);
    snprintf(a->stats.last_error, sizeof(a->stats.last_error), "%s: %s", name, what);
    a->stats.failed += given_up;
    pthread_mutex_unlock(&a->lock);
    if (given_up || d->attempts == 1)
        kt_warn("alerts", "%s: %s%s", name, what, given_up ? ", given up" : ", will try again");
}

/* ------------------------- the list in the catalog ------------------------- */

static json_t *delivery_json(const kt_alerts *a, const struct delivery *d)
{
    const struct kt_alert *al = &d->shared->alert;
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "channel", a->channels[d->channel].config.name, "id",
                     d->id, "kind", kt_alert_kind_name(al->kind), "camera", al->camera, "name",
                     al->camera_name, "text", al->text, "time", (json_int_t)al->wall_us, "event",
                     (json_int_t)al->event);
}

static void save(kt_alerts *a)
{
    if (!a->catalog || (!a->waiting && !a->saved))
        return;
    json_t *list = json_array();
    for (const struct delivery *d = a->waiting; list && d; d = d->next)
        json_array_append_new(list, delivery_json(a, d));
    kt_cleanup(kt_freep) char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    if (text && kt_catalog_setting_put(a->catalog, SAVED_KEY, text) == 0)
        a->saved = a->waiting != NULL;
}

static struct delivery *append(kt_alerts *a, struct shared *shared, size_t channel, const char *id)
{
    struct delivery *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    uint8_t random[16];
    if (RAND_bytes(random, sizeof(random)) != 1)
        memset(random, 0, sizeof(random));
    kt_hex(d->id, random, sizeof(random));
    if (id)
        snprintf(d->id, sizeof(d->id), "%s", id);
    d->shared = shared;
    shared->refs++;
    d->channel = channel;
    d->due_us = d->since_us = kt_clock_mono_us();
    struct delivery **at = &a->waiting;
    while (*at)
        at = &(*at)->next;
    *at = d;
    a->n_waiting++;
    return d;
}

static int channel_named(const kt_alerts *a, const char *name)
{
    for (size_t i = 0; i < a->n_channels; i++)
        if (strcmp(a->channels[i].config.name, name) == 0)
            return (int)i;
    return -ENOENT;
}

static void restore_one(kt_alerts *a, json_t *o)
{
    const char *channel = NULL, *id = NULL, *kind = NULL, *camera = NULL, *name = NULL, *text = NULL;
    json_int_t when = 0, event = 0;
    if (json_unpack(o, "{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "channel", &channel, "id", &id, "kind", &kind,
                    "camera", &camera, "name", &name, "text", &text, "time", &when, "event", &event) < 0)
        return;
    struct kt_alert alert = { .kind = kt_alert_kind_parse(kind), .wall_us = when, .event = event };
    const int i = channel_named(a, channel);
    if (!alert.kind || i < 0)
        return;
    snprintf(alert.camera, sizeof(alert.camera), "%s", camera);
    snprintf(alert.camera_name, sizeof(alert.camera_name), "%s", name);
    snprintf(alert.text, sizeof(alert.text), "%s", text);
    struct shared *shared = share(&alert);
    if (shared && append(a, shared, (size_t)i, id))
        a->saved = true;
    unref(&shared);
}

static void restore(kt_alerts *a)
{
    kt_cleanup(kt_freep) char *text = NULL;
    if (!a->catalog || kt_catalog_setting_get(a->catalog, SAVED_KEY, &text) < 0)
        return;
    json_t *list = json_loads(text, 0, NULL), *o;
    size_t i;
    json_array_foreach(list, i, o)
        restore_one(a, o);
    json_decref(list);
}

/* ------------------------- from the inbox to deliveries ------------------------- */

/* Make room: the oldest that is neither urgent nor on its way, else the new one must wait
 * outside. */
static bool make_room(kt_alerts *a)
{
    if (a->n_waiting < KT_ALERTS_QUEUE)
        return true;
    for (struct delivery *d = a->waiting; d; d = d->next)
        if (!d->easy && !kt_alert_urgent(d->shared->alert.kind)) {
            take_out(a, d);
            count(a, &a->stats.dropped);
            return true;
        }
    count(a, &a->stats.dropped);
    return false;
}

static void sort_in(kt_alerts *a, struct shared *shared)
{
    for (size_t i = 0; i < a->n_channels; i++) {
        struct channel *ch = &a->channels[i];
        const struct kt_gate_rules rules = { .kinds = ch->config.kinds, .night = a->config.night,
                                             .quiet = a->config.quiet,
                                             .cooldown_s = a->config.cooldown_s,
                                             .utc_offset_s = a->utc_offset_s };
        if (kt_gate_pass(&ch->gate, &rules, &shared->alert) && make_room(a))
            (void)append(a, shared, i, NULL);
    }
}

static void empty_inbox(kt_alerts *a)
{
    struct shared *list[INBOX_MAX];
    pthread_mutex_lock(&a->lock);
    const size_t n = a->n_inbox;
    memcpy(list, a->inbox, n * sizeof(list[0]));
    a->n_inbox = 0;
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < n; i++) {
        sort_in(a, list[i]);
        unref(&list[i]);
    }
}

/* ------------------------- transfers ------------------------- */

static size_t drop(char *data, size_t size, size_t n, void *user)
{
    return size * n;        /* what it answers is of no use; the status is */
}

static int start(kt_alerts *a, struct delivery *d)
{
    const struct kt_alert_channel *ch = &a->channels[d->channel].config;
    const struct kt_alert_site site = { .language = a->language, .link = a->link,
                                        .utc_offset_s = a->utc_offset_s };
    d->easy = curl_easy_init();
    if (!d->easy)
        return -ENOMEM;
    const int ret = kt_alert_prepare(d->easy, &d->request, ch, &d->shared->alert, &site, d->id);
    if (ret < 0)
        return ret;
    d->guard.allow = ch->allow;
    kt_net_guard_curl(d->easy, ch->type == KT_ALERT_MAIL ? "smtp,smtps" : "http,https", &d->guard);
    curl_easy_setopt(d->easy, CURLOPT_PRIVATE, d);
    curl_easy_setopt(d->easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(d->easy, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(d->easy, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(d->easy, CURLOPT_USERAGENT, "kentongan");
    if (curl_multi_add_handle(a->multi, d->easy) != CURLM_OK)
        return -ENOMEM;
    a->channels[d->channel].busy = true;
    return 0;
}

static void not_on_its_way(kt_alerts *a, struct delivery *d)
{
    if (d->easy)
        curl_easy_cleanup(d->easy);
    d->easy = NULL;
    kt_alert_request_free(&d->request);
}

static void try_again(kt_alerts *a, struct delivery *d, int64_t after_us)
{
    int64_t wait = a->retry_min_us << (d->attempts < 12 ? d->attempts - 1 : 11);
    wait = wait > RETRY_MAX_US ? RETRY_MAX_US : wait;
    d->due_us = kt_clock_mono_us() + (after_us > wait ? after_us : wait);
}

static void start_due(kt_alerts *a)
{
    const int64_t now = kt_clock_mono_us();
    for (struct delivery *d = a->waiting, *next; d; d = next) {
        next = d->next;
        if (d->easy || d->due_us > now || a->channels[d->channel].busy)
            continue;
        d->attempts++;
        if (start(a, d) < 0) {
            not_on_its_way(a, d);
            note_error(a, d, "the message cannot be made", true);
            take_out(a, d);
        }
    }
}

/* Is it of no use to send this once more? */
static bool is_final(CURLcode code, long status, bool mail)
{
    if (code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR)
        return mail || (status >= 300 && status < 500 && status != 408 && status != 425 && status != 429);
    return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
           (mail && status >= 500 && status < 600);
}

static void finish(kt_alerts *a, struct delivery *d, CURLcode code)
{
    const bool mail = a->channels[d->channel].config.type == KT_ALERT_MAIL;
    long status = 0;
    curl_off_t retry_after = 0;
    char what[160];
    curl_easy_getinfo(d->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(d->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (code == CURLE_OK && (mail || (status >= 200 && status < 300))) {
        pthread_mutex_lock(&a->lock);
        a->stats.sent++;
        a->stats.last_error[0] = '\0';
        pthread_mutex_unlock(&a->lock);
        take_out(a, d);
        return;
    }
    curl_multi_remove_handle(a->multi, d->easy);
    a->channels[d->channel].busy = false;
    if (d->guard.refused)
        snprintf(what, sizeof(what), "a %s address, which is not allowed",
                 kt_net_class_name(d->guard.refused));
    else if (code == CURLE_OK)
        snprintf(what, sizeof(what), "answer %ld", status);
    else
        snprintf(what, sizeof(what), "%s", curl_easy_strerror(code));
    not_on_its_way(a, d);
    const bool over = d->guard.refused || is_final(code, status, mail) ||
                      kt_clock_mono_us() - d->since_us > KEEP_TRYING_US;
    note_error(a, d, what, over);
    if (over)
        take_out(a, d);
    else
        try_again(a, d, retry_after * KT_SECOND_US);
}

/* True: something ended. */
static bool finish_all(kt_alerts *a)
{
    bool any = false;
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(a->multi, &left));) {
        struct delivery *d = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&d);
        finish(a, d, m->data.result);
        any = true;
    }
    return any;
}

/* ------------------------- the thread ------------------------- */

static int until_next(const kt_alerts *a)
{
    const int64_t now = kt_clock_mono_us();
    int64_t wait = 60 * KT_SECOND_US;
    for (const struct delivery *d = a->waiting; d; d = d->next)
        if (!d->easy && !a->channels[d->channel].busy && d->due_us - now < wait)
            wait = d->due_us - now;
    return wait < 0 ? 0 : (int)(wait / 1000) + 1;
}

static bool tell_stats(kt_alerts *a)
{
    pthread_mutex_lock(&a->lock);
    a->stats.waiting = a->n_waiting;
    a->busy = a->n_waiting > 0 || a->n_inbox > 0;
    if (!a->busy)
        pthread_cond_broadcast(&a->idle);
    const bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    return stop;
}

static void *run(void *user)
{
    kt_alerts *a = user;
    int running = 0;
    (void)pthread_setname_np(pthread_self(), "kt-alerts");
    restore(a);
    while (!tell_stats(a)) {
        empty_inbox(a);
        start_due(a);
        (void)curl_multi_perform(a->multi, &running);
        if (finish_all(a)) {
            save(a);            /* what failed must survive; what went must not come again */
            continue;
        }
        (void)curl_multi_poll(a->multi, NULL, 0, until_next(a), NULL);
    }
    empty_inbox(a);
    save(a);
    while (a->waiting)
        take_out(a, a->waiting);
    return NULL;
}

/* ------------------------- from outside ------------------------- */

int kt_alerts_post(kt_alerts *a, const struct kt_alert *alert)
{
    if (alert->kind <= 0 || alert->kind >= KT_ALERT_KINDS)
        return -EINVAL;
    if (a->n_channels == 0)
        return 0;
    struct shared *s = share(alert);
    if (!s)
        return -ENOMEM;
    pthread_mutex_lock(&a->lock);
    const bool room = a->n_inbox < INBOX_MAX;
    a->busy = true;
    if (room)
        a->inbox[a->n_inbox++] = s;
    else
        a->stats.dropped++;
    pthread_mutex_unlock(&a->lock);
    if (!room) {
        unref(&s);
        return -EAGAIN;
    }
    (void)curl_multi_wakeup(a->multi);
    return 0;
}

int kt_alerts_wait(kt_alerts *a, int64_t timeout_us)
{
    const struct timespec deadline = kt_clock_deadline(timeout_us);
    int ret = 0;
    pthread_mutex_lock(&a->lock);
    while (a->busy && ret == 0)
        ret = -pthread_cond_timedwait(&a->idle, &a->lock, &deadline);
    pthread_mutex_unlock(&a->lock);
    return ret;
}

void kt_alerts_stats(kt_alerts *a, struct kt_alerts_stats *out)
{
    pthread_mutex_lock(&a->lock);
    *out = a->stats;
    out->waiting += a->n_inbox;
    pthread_mutex_unlock(&a->lock);
}

static int copy(const char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int copy_channel(struct kt_alert_channel *to, const struct kt_alert_channel *from)
{
    *to = *from;
    to->name = to->url = to->secret = to->to = to->from = to->user = to->body_template = NULL;
    int ret = copy(&to->name, from->name);
    ret = ret ? ret : copy(&to->url, from->url);
    ret = ret ? ret : copy(&to->secret, from->secret);
    ret = ret ? ret : copy(&to->to, from->to);
    ret = ret ? ret : copy(&to->from, from->from);
    ret = ret ? ret : copy(&to->user, from->user);
    return ret ? ret : copy(&to->body_template, from->body_template);
}

static void free_channel(struct kt_alert_channel *ch)
{
    if (ch->secret)
        explicit_bzero((char *)ch->secret, strlen(ch->secret));
    free((char *)ch->secret);
    free((char *)ch->name);
    free((char *)ch->url);
    free((char *)ch->to);
    free((char *)ch->from);
    free((char *)ch->user);
    free((char *)ch->body_template);
}

static int take_config(kt_alerts *a, const struct kt_alerts_params *p)
{
    a->config = *p->config;
    a->config.channels = NULL;
    a->config.cooldown_s = p->config->cooldown_s ? p->config->cooldown_s : COOLDOWN_S;
    a->utc_offset_s = p->utc_offset_s;
    a->retry_min_us = p->retry_min_us ? p->retry_min_us : RETRY_MIN_US;
    a->catalog = p->catalog;
    a->language = strdup(p->language ? p->language : "id");
    a->link = p->config->link ? strdup(p->config->link) : NULL;
    a->channels = calloc(p->config->n_channels + 1, sizeof(*a->channels));
    if (!a->language || !a->channels || (p->config->link && !a->link))
        return -ENOMEM;
    int ret = 0;
    for (size_t i = 0; i < p->config->n_channels && ret == 0; i++, a->n_channels++)
        ret = copy_channel(&a->channels[i].config, &p->config->channels[i]);
    return ret;
}

int kt_alerts_create(kt_alerts **out, const struct kt_alerts_params *p)
{
    kt_cleanup(kt_alerts_destroy) kt_alerts *a = calloc(1, sizeof(*a));
    if (!a)
        return -ENOMEM;
    pthread_mutex_init(&a->lock, NULL);
    (void)kt_cond_init(&a->idle);
    a->busy = true;                     /* until it has read what an earlier life left */
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int ret = take_config(a, p);
    a->multi = curl_multi_init();
    if (ret < 0 || !a->multi)
        return -ENOMEM;
    ret = -pthread_create(&a->thread, NULL, run, a);
    if (ret < 0)
        return ret;
    a->running = true;
    *out = kt_steal_ptr(&a);
    return 0;
}

void kt_alerts_destroy(kt_alerts **pa)
{
    kt_alerts *a = kt_steal_ptr(pa);
    if (!a)
        return;
    if (a->running) {
        pthread_mutex_lock(&a->lock);
        a->stop = true;
        pthread_mutex_unlock(&a->lock);
        (void)curl_multi_wakeup(a->multi);
        pthread_join(a->thread, NULL);
    }
    for (size_t i = 0; i < a->n_channels; i++)
        free_channel(&a->channels[i].config);
    free(a->channels);
    if (a->multi)
        curl_multi_cleanup(a->multi);
    free(a->link);
    free(a->language);
    pthread_cond_destroy(&a->idle);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

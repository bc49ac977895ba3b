#include "server/snapshots.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "decoders/decode/decode.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/net_guard.h"

#define CONNECT_TIMEOUT_MS 3000L
#define TRANSFER_TIMEOUT_MS 8000L
#define AGAIN_US (10 * KT_SECOND_US)
#define AFTER_FAILURE_US (30 * KT_SECOND_US)
#define AFTER_REFUSALS_US (1800 * KT_SECOND_US)     /* for so long cameras count wrong tries, and lock */
#define IDLE_POLL_MS 60000
#define MAX_CONNECTIONS 8L
#define JPEG_RATE 90000

/* "scheme://user:password@host:port/path" taken apart. */
struct login {
    char address[KT_URL_MAX];           /* without user and password */
    char *user, *password;              /* curl's; NULL: none */
    char host[256];
};

struct picture {
    uint8_t *data;
    size_t size;
};

struct kt_snapshot {
    /* --- constant after add --- */
    kt_snapshots *owner;
    char name[KT_ID_MAX + 1];
    struct login login;
    struct kt_net_guard guard;
    /* --- the thread --- */
    CURL *easy;                         /* while a transfer runs */
    uint8_t *body;
    size_t size;
    /* --- protected by the lock --- */
    kt_snapshot *next;
    bool wanted, active, removed;
    int64_t due_us;                     /* monotonic: not before */
    unsigned refusals;                  /* of the password, in a row */
    char why[160];                      /* of the last attempt; empty: it went well */
    struct picture full, small;
    int64_t wall_us;
};

struct kt_snapshots {
    CURLM *multi;
    pthread_t thread;
    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t changed;
    /* --- protected by lock --- */
    kt_snapshot *first;
    bool stop, interrupted;
    unsigned seed;                      /* of what spreads the waits */
};

/* ------------------------- addresses ------------------------- */

static void free_login(struct login *l)
{
    if (l->password)
        explicit_bzero(l->password, strlen(l->password));
    curl_free(l->user);
    curl_free(l->password);
    *l = (struct login){ .user = NULL };
}

/* They become a header's text: a line break in one would begin another header. */
static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* As in stream addresses a password may hold '@': the last one counts, and the first ':'. */
static int take_apart(struct login *out, const char *url)
{
    const char *scheme_end = strstr(url, "://");
    if (!scheme_end || strlen(url) >= sizeof(out->address))
        return -EINVAL;
    const char *auth = scheme_end + 3, *end = auth + strcspn(auth, "/?#");
    const char *at = memrchr(auth, '@', (size_t)(end - auth)), *host = at ? at + 1 : auth;
    const char *colon = at ? memchr(auth, ':', (size_t)(at - auth)) : NULL;
    const char *host_end = *host == '[' ? memchr(host, ']', (size_t)(end - host))
                                        : host + strcspn(host, ":/?#");
    if (!host_end || host_end == host || host_end - host >= (int)sizeof(out->host))
        return -EINVAL;
    snprintf(out->host, sizeof(out->host), "%.*s", (int)(host_end - host), host);
    snprintf(out->address, sizeof(out->address), "%.*s%s", (int)(auth - url), url, host);
    if (!at)
        return 0;
    out->user = curl_easy_unescape(NULL, auth, (int)((colon ? colon : at) - auth), NULL);
    out->password = colon ? curl_easy_unescape(NULL, colon + 1, (int)(at - colon - 1), NULL)
                          : curl_easy_unescape(NULL, "", 0, NULL);
    if (!out->user || !out->password)
        return -ENOMEM;
    return has_control(out->user) || has_control(out->password) ? -EINVAL : 0;
}

static int find_login(struct login *out, const struct kt_snapshot_params *p)
{
    int ret = take_apart(out, p->url);
    if (ret == 0 && strncasecmp(out->address, "http://", 7) != 0 &&
        strncasecmp(out->address, "https://", 8) != 0)
        ret = -EINVAL;
    if (ret < 0 || out->user || !p->login_url)
        return ret;
    struct login other = { .user = NULL };
    if (take_apart(&other, p->login_url) == 0 && strcasecmp(other.host, out->host) == 0) {
        out->user = kt_steal_ptr(&other.user);
        out->password = kt_steal_ptr(&other.password);
    }
    free_login(&other);
    return 0;
}

/* ------------------------- pictures ------------------------- */

static void free_packet(AVPacket **pkt)
{
    av_packet_free(pkt);
}

static void free_codec(AVCodecParameters **par)
{
    avcodec_parameters_free(par);
}

/* The bytes of a camera to two pictures of our own. -EBADMSG: no JPEG. */
static int encode_anew(const kt_snapshot *s, struct picture *full, struct picture *small)
{
    kt_cleanup(free_codec) AVCodecParameters *par = avcodec_parameters_alloc();
    kt_cleanup(free_packet) AVPacket *pkt = av_packet_alloc();
    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = NULL;
    struct kt_luma luma;
    if (!par || !pkt || av_new_packet(pkt, (int)s->size) < 0)
        return -ENOMEM;
    memcpy(pkt->data, s->body, s->size);
    pkt->flags = AV_PKT_FLAG_KEY;
    par->codec_type = AVMEDIA_TYPE_VIDEO;
    par->codec_id = AV_CODEC_ID_MJPEG;
    int ret = kt_decoder_create(&dec, par, (AVRational){ 1, JPEG_RATE });
    if (ret < 0)
        return ret;
    if (kt_decoder_send(dec, pkt) < 0 || kt_decoder_receive(dec, &luma) < 0)
        return -EBADMSG;
    ret = kt_jpeg_encode(kt_decoder_frame(dec), 0, &full->data, &full->size);
    if (ret == 0)
        ret = kt_jpeg_encode(kt_decoder_frame(dec), KT_SNAPSHOT_SMALL_WIDTH, &small->data, &small->size);
    return ret;
}

static size_t take_bytes(char *data, size_t size, size_t count, void *user)
{
    kt_snapshot *s = user;
    const size_t n = size * count;
    if (s->size + n > KT_SNAPSHOT_MAX_BYTES)
        return 0;
    uint8_t *more = realloc(s->body, s->size + n);
    if (!more)
        return 0;
    memcpy(more + s->size, data, n);
    s->body = more;
    s->size += n;
    return n;
}

/* ------------------------- transfers, on the thread ------------------------- */

static bool begin(kt_snapshot *s)
{
    CURL *e = curl_easy_init();
    if (!e)
        return false;
    kt_net_guard_curl(e, "http,https", &s->guard);
    curl_easy_setopt(e, CURLOPT_URL, s->login.address);
    curl_easy_setopt(e, CURLOPT_PRIVATE, s);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(e, CURLOPT_MAXFILESIZE, (long)KT_SNAPSHOT_MAX_BYTES);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, TRANSFER_TIMEOUT_MS);
    /* A camera's certificate is its own, see docs/cameras.md. */
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    if (s->login.user) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)(CURLAUTH_DIGEST | CURLAUTH_BASIC));
        curl_easy_setopt(e, CURLOPT_USERNAME, s->login.user);
        curl_easy_setopt(e, CURLOPT_PASSWORD, s->login.password);
    }
    s->size = 0;
    s->easy = e;
    return curl_multi_add_handle(s->owner->multi, e) == CURLM_OK;
}

static void end_transfer(kt_snapshot *s)
{
    if (s->easy)
        curl_multi_remove_handle(s->owner->multi, s->easy);
    curl_easy_cleanup(kt_steal_ptr(&s->easy));
    free(s->body);
    s->body = NULL;
}

static void say_why(char why[160], const kt_snapshot *s, CURLcode code, long status)
{
    if (s->guard.refused)
        snprintf(why, 160, "a %s address, which is not allowed here", kt_net_class_name(s->guard.refused));
    else if (code == CURLE_WRITE_ERROR || code == CURLE_FILESIZE_EXCEEDED)
        snprintf(why, 160, "the picture is too large");
    else if (code != CURLE_OK)
        snprintf(why, 160, "no picture: %s", curl_easy_strerror(code));
    else if (status == 401 || status == 403)
        snprintf(why, 160, "the camera refuses this user name and password");
    else if (status >= 300 && status < 400)
        snprintf(why, 160, "the camera sends us to another address: redirects are not followed");
    else if (status != 200)
        snprintf(why, 160, "the camera answers HTTP %ld", status);
    else
        why[0] = '\0';
}

int64_t kt_snapshot_wait_us(unsigned refusals, unsigned random)
{
    const int64_t least = refusals < KT_SNAPSHOT_REFUSALS ? AFTER_FAILURE_US : AFTER_REFUSALS_US;
    return least + (int64_t)(random % 1000) * (least / 4) / 1000;
}

/* Keep what came; the lock is taken only to put it where others see it. */
static void finish(kt_snapshot *s, CURLcode code)
{
    struct picture full = { NULL, 0 }, small = { NULL, 0 };
    char why[160];
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    say_why(why, s, code, status);
    if (!why[0] && encode_anew(s, &full, &small) < 0)
        snprintf(why, sizeof(why), "what the camera sends is no JPEG picture");
    end_transfer(s);

    kt_snapshots *st = s->owner;
    const bool refused = s->login.user && (status == 401 || status == 403);
    pthread_mutex_lock(&st->lock);
    const bool news = strcmp(s->why, why) != 0;
    strcpy(s->why, why);
    s->active = s->wanted = false;
    s->refusals = !why[0] ? 0 : s->refusals + refused;
    s->due_us = kt_clock_mono_us() + (!why[0] ? AGAIN_US : kt_snapshot_wait_us(refused ? s->refusals : 0,
                                                                              (unsigned)rand_r(&st->seed)));
    if (!why[0]) {
        const struct picture old[2] = { s->full, s->small };
        s->full = full;
        s->small = small;
        full = old[0];
        small = old[1];
        s->wall_us = kt_clock_wall_us();
    }
    pthread_cond_broadcast(&st->changed);
    pthread_mutex_unlock(&st->lock);
    if (news && why[0])
        kt_warn(s->name, "snapshot: %s", why);
    free(full.data);
    free(small.data);
}

static void finish_all(kt_snapshots *st)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(st->multi, &left));) {
        kt_snapshot *s = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        const CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        finish(s, code);
    }
}

/* Let go of those that are removed, begin with those that are wanted. False: stop. */
static bool look_around(kt_snapshots *st)
{
    pthread_mutex_lock(&st->lock);
    for (kt_snapshot **p = &st->first; *p;) {
        kt_snapshot *s = *p;
        if (s->removed) {
            *p = s->next;
            end_transfer(s);
            s->owner = NULL;           /* it is the remover's now */
            pthread_cond_broadcast(&st->changed);
            continue;
        }
        if (s->wanted && !s->active && !begin(s)) {
            end_transfer(s);
            snprintf(s->why, sizeof(s->why), "out of memory");
            s->wanted = false;
            pthread_cond_broadcast(&st->changed);
        } else if (s->wanted) {
            s->active = true;
        }
        p = &s->next;
    }
    const bool go_on = !st->stop;
    pthread_mutex_unlock(&st->lock);
    return go_on;
}

static void *run(void *user)
{
    kt_snapshots *st = user;
    int running = 0;
    (void)pthread_setname_np(pthread_self(), "kt-snapshots");
    while (look_around(st)) {
        (void)curl_multi_perform(st->multi, &running);
        finish_all(st);
        (void)curl_multi_poll(st->multi, NULL, 0, IDLE_POLL_MS, NULL);
    }
    return NULL;
}

/* ------------------------- from outside ------------------------- */

int kt_snapshots_create(kt_snapshots **out, struct kt_error *err)
{
    kt_snapshots *st = calloc(1, sizeof(*st));
    if (!st)
        return kt_error_set(err, -ENOMEM, "out of memory");
    st->seed = (unsigned)kt_clock_mono_us();
    pthread_mutex_init(&st->lock, NULL);
    (void)kt_cond_init(&st->changed);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);    /* counted */
    st->multi = curl_multi_init();
    int ret = st->multi ? 0 : -ENOMEM;
    if (ret == 0) {
        curl_multi_setopt(st->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, MAX_CONNECTIONS);
        ret = -pthread_create(&st->thread, NULL, run, st);
    }
    if (ret < 0) {
        if (st->multi)
            curl_multi_cleanup(st->multi);
        free(st);
        return kt_error_set(err, ret, "snapshots: %s", kt_strerror(ret));
    }
    *out = st;
    return 0;
}

void kt_snapshots_hurry(kt_snapshots *st)
{
    pthread_mutex_lock(&st->lock);
    for (kt_snapshot *s = st->first; s; s = s->next) {
        s->refusals = 0;
        s->due_us = 0;
    }
    pthread_mutex_unlock(&st->lock);
}

void kt_snapshots_interrupt(kt_snapshots *st)
{
    pthread_mutex_lock(&st->lock);
    st->interrupted = true;
    pthread_cond_broadcast(&st->changed);
    pthread_mutex_unlock(&st->lock);
}

void kt_snapshots_destroy(kt_snapshots **psnapshots)
{
    kt_snapshots *st = kt_steal_ptr(psnapshots);
    if (!st)
        return;
    pthread_mutex_lock(&st->lock);
    st->stop = true;
    pthread_mutex_unlock(&st->lock);
    (void)curl_multi_wakeup(st->multi);
    pthread_join(st->thread, NULL);
    curl_multi_cleanup(st->multi);
    pthread_cond_destroy(&st->changed);
    pthread_mutex_destroy(&st->lock);
    free(st);
}

static void free_snapshot(kt_snapshot **ps)
{
    kt_snapshot *s = kt_steal_ptr(ps);
    if (!s)
        return;
    free_login(&s->login);
    free(s->full.data);
    free(s->small.data);
    free(s);
}

int kt_snapshots_add(kt_snapshots *st, kt_snapshot **out, const struct kt_snapshot_params *p, struct kt_error *err)
{
    kt_cleanup(free_snapshot) kt_snapshot *s = calloc(1, sizeof(*s));
    if (!s)
        return kt_error_set(err, -ENOMEM, "out of memory");
    snprintf(s->name, sizeof(s->name), "%s", p->name);
    s->guard.allow = p->allow;
    const int ret = find_login(&s->login, p);
    if (ret < 0)
        return kt_error_set(err, ret, "the snapshot's address is none: http://… is expected");
    pthread_mutex_lock(&st->lock);
    s->owner = st;
    s->next = st->first;
    st->first = s;
    pthread_mutex_unlock(&st->lock);
    *out = kt_steal_ptr(&s);
    return 0;
}

void kt_snapshots_remove(kt_snapshot **psnapshot)
{
    kt_cleanup(free_snapshot) kt_snapshot *s = kt_steal_ptr(psnapshot);
    if (!s)
        return;
    kt_snapshots *st = s->owner;
    pthread_mutex_lock(&st->lock);
    s->removed = true;
    (void)curl_multi_wakeup(st->multi);
    while (s->owner)
        pthread_cond_wait(&st->changed, &st->lock);
    pthread_mutex_unlock(&st->lock);
}

void kt_snapshot_want(kt_snapshot *s)
{
    kt_snapshots *st = s->owner;
    pthread_mutex_lock(&st->lock);
    const bool now = !s->wanted && kt_clock_mono_us() >= s->due_us;
    s->wanted |= now;
    pthread_mutex_unlock(&st->lock);
    if (now)
        (void)curl_multi_wakeup(st->multi);
}

int kt_snapshot_wait(kt_snapshot *s, int64_t timeout_us, struct kt_error *err)
{
    kt_snapshots *st = s->owner;
    const struct timespec deadline = kt_clock_deadline(timeout_us);
    int ret = 0;
    pthread_mutex_lock(&st->lock);
    while (s->wanted && ret == 0)
        ret = st->interrupted ? -ECANCELED : -pthread_cond_timedwait(&st->changed, &st->lock, &deadline);
    if (ret == 0 && s->why[0])
        ret = kt_error_set(err, -EIO, "%s", s->why);
    pthread_mutex_unlock(&st->lock);
    return ret;
}

int64_t kt_snapshot_newest_us(kt_snapshot *s)
{
    pthread_mutex_lock(&s->owner->lock);
    const int64_t newest_us = s->wall_us;
    pthread_mutex_unlock(&s->owner->lock);
    return newest_us;
}

int kt_snapshot_get(kt_snapshot *s, int max_width, uint8_t **out, size_t *n, int64_t *wall_us)
{
    kt_snapshots *st = s->owner;
    int ret = -EAGAIN;
    pthread_mutex_lock(&st->lock);
    const struct picture *p = max_width > 0 ? &s->small : &s->full;
    if (p->data) {
        uint8_t *copy = malloc(p->size);
        ret = copy ? 0 : -ENOMEM;
        if (copy) {
            memcpy(copy, p->data, p->size);
            *out = copy;
            *n = p->size;
            *wall_us = s->wall_us;
        }
    }
    pthread_mutex_unlock(&st->lock);
    return ret;
}

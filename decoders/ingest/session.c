#include "decoders/ingest/session.h"

#include <errno.h>
#include <string.h>
#include <libavutil/common.h>

#include "server/base/clock.h"

#define WORKED_US (10 * KT_SECOND_US)           /* a session that lasted so long was a good one */
#define NO_KEY_US (10 * KT_SECOND_US)           /* frames but none to start with: say so ... */
#define NO_KEY_GIVE_UP_US (360 * KT_SECOND_US)  /* ... and in the end try a new session */

int kt_ingest_params_copy(struct kt_ingest_params *to, const struct kt_ingest_params *from)
{
    *to = *from;
    to->name = strdup(from->name ? from->name : "");
    to->url = strdup(from->url);
    to->transport = strdup(from->transport ? from->transport : "tcp");
    if (!to->name || !to->url || !to->transport) {
        kt_ingest_params_free(to);
        return -ENOMEM;
    }
    if (to->connect_timeout_us <= 0)
        to->connect_timeout_us = 8 * KT_SECOND_US;
    if (to->silence_timeout_us <= 0)
        to->silence_timeout_us = 10 * KT_SECOND_US;
    if (to->backoff_min_us <= 0)
        to->backoff_min_us = KT_SECOND_US / 2;
    if (to->backoff_max_us < to->backoff_min_us)
        to->backoff_max_us = FFMAX(8 * KT_SECOND_US, to->backoff_min_us);
    return 0;
}

void kt_ingest_params_free(struct kt_ingest_params *params)
{
    free((char *)params->name);
    free((char *)params->url);
    free((char *)params->transport);
    params->name = params->url = params->transport = NULL;
}

void kt_backoff_init(struct kt_backoff *backoff, const struct kt_ingest_params *params)
{
    backoff->min_us = params->backoff_min_us;
    backoff->max_us = params->backoff_max_us;
    backoff->seed = (unsigned)((uintptr_t)params >> 4 ^ (uint64_t)kt_clock_mono_us());
    kt_backoff_reset(backoff);
}

static int64_t between(struct kt_backoff *backoff, int64_t least, int64_t most)
{
    return least + rand_r(&backoff->seed) % (most - least + 1);
}

int64_t kt_backoff_next(struct kt_backoff *backoff)
{
    const int64_t wait = backoff->next_us;
    backoff->next_us = FFMIN(wait * 2, backoff->max_us);
    return between(backoff, wait - wait / 4, FFMIN(wait + wait / 4, backoff->max_us));
}

int64_t kt_backoff_password(struct kt_backoff *backoff)
{
    return between(backoff, KT_INGEST_PASSWORD_US, KT_INGEST_PASSWORD_US * 5 / 4);
}

void kt_backoff_reset(struct kt_backoff *backoff)
{
    backoff->next_us = backoff->min_us;
}

void kt_ingest_init_base(kt_ingest *ingest, const struct kt_ingest_ops *ops)
{
    ingest->ops = ops;
    pthread_mutex_init(&ingest->stats_lock, NULL);
    ingest->stats.state = KT_INGEST_CONNECTING;
}

void kt_ingest_free_base(kt_ingest *ingest)
{
    pthread_mutex_destroy(&ingest->stats_lock);
}

void kt_ingest_get_stats(kt_ingest *ingest, struct kt_ingest_stats *stats)
{
    pthread_mutex_lock(&ingest->stats_lock);
    *stats = ingest->stats;
    pthread_mutex_unlock(&ingest->stats_lock);
}

void kt_watch_say(struct kt_watch *w, enum kt_ingest_state state, const char *why)
{
    if (w->state == state && state != KT_INGEST_OFFLINE)
        return;
    w->state = state;
    pthread_mutex_lock(&w->ingest->stats_lock);
    w->ingest->stats.state = state;
    snprintf(w->ingest->stats.why, sizeof(w->ingest->stats.why), "%s", why);
    w->ingest->stats.sessions += state == KT_INGEST_STREAMING;
    pthread_mutex_unlock(&w->ingest->stats_lock);
    w->params->on_state(w->params->user, state, why);
}

void kt_watch_begin(struct kt_watch *w, int64_t now_us)
{
    w->begun_us = now_us;
    w->last_frame_us = w->last_key_us = 0;
}

int kt_watch_check(struct kt_watch *w, int64_t now_us, char why[KT_INGEST_WHY_SIZE])
{
    if (w->last_key_us)
        kt_watch_say(w, KT_INGEST_STREAMING, "");
    if (now_us - FFMAX(w->begun_us, w->last_frame_us) > w->params->silence_timeout_us) {
        snprintf(why, KT_INGEST_WHY_SIZE, "no video for %d seconds",
                 (int)(w->params->silence_timeout_us / KT_SECOND_US));
        return -ETIMEDOUT;
    }
    if (w->last_key_us)
        return 0;
    if (now_us - w->begun_us > NO_KEY_US)
        kt_watch_say(w, KT_INGEST_SILENT, "the camera sends no key frame");
    if (now_us - w->begun_us > NO_KEY_GIVE_UP_US) {
        snprintf(why, KT_INGEST_WHY_SIZE, "no key frame for six minutes");
        return -ETIMEDOUT;
    }
    return 0;
}

bool kt_watch_worked(const struct kt_watch *w, int64_t now_us)
{
    return w->begun_us && w->last_key_us && now_us - w->begun_us > WORKED_US;
}

#include "decoders/ingest/session.h"

#include <errno.h>
#include <string.h>
#include <libavutil/common.h>

#include "server/base/clock.h"

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
        to->backoff_max_us = FFMAX(30 * KT_SECOND_US, to->backoff_min_us);
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

int64_t kt_backoff_next(struct kt_backoff *backoff)
{
    const int64_t wait = backoff->next_us;
    backoff->next_us = FFMIN(wait * 2, backoff->max_us);
    const int64_t quarter = FFMAX(wait / 4, 1);
    return FFMIN(wait - quarter + rand_r(&backoff->seed) % (2 * quarter), backoff->max_us);
}

void kt_backoff_reset(struct kt_backoff *backoff)
{
    backoff->next_us = backoff->min_us;
}

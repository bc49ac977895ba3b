#include "decoders/ingest/ingest.h"

#include <errno.h>
#include <string.h>

#include "decoders/ingest/session.h"

int kt_ingest_start(kt_ingest **out, const struct kt_ingest_params *params)
{
    if (!params->url || !params->on_stream || !params->on_packet || !params->on_state)
        return -EINVAL;
    const bool libav = !params->loop || (params->transport && !strcmp(params->transport, "libav"));
    if (libav && params->may_connect)
        return -EINVAL;                 /* nobody sees its sockets before they connect */
    return libav ? kt_ingest_libav_start(out, params) : kt_ingest_loop_start(out, params);
}

void kt_ingest_stop(kt_ingest **ingest)
{
    kt_ingest_stop_all(&ingest, 1);
}

void kt_ingest_stop_all(kt_ingest **list[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (*list[i])
            (*list[i])->ops->interrupt(*list[i]);
    for (size_t i = 0; i < n; i++) {
        kt_ingest *ingest = kt_steal_ptr(list[i]);
        if (ingest)
            ingest->ops->join(ingest);
    }
}

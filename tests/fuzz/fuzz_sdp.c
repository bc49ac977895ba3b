/* fuzz_sdp.c - a session description of anything; what comes of it must be in bounds. */
#include <stdlib.h>
#include <string.h>

#include "decoders/ingest/rtsp_url.h"
#include "decoders/ingest/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct kt_sdp_media *m)
{
    char out[KT_URL_MAX];
    if (m->extradata_size < 0 || m->extradata_size > KT_SDP_EXTRADATA_MAX)
        abort();
    if (m->codec != AV_CODEC_ID_NONE && (m->clock_rate <= 0 || m->channels < 1 || m->channels > 8))
        abort();
    if (kt_rtsp_url_join(out, "rtsp://cam/live", m->control) == 0 && strlen(out) >= sizeof(out))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_sdp sdp;
    kt_sdp_parse(&sdp, (struct kt_span){ (const char *)data, size });
    check(&sdp.video);
    check(&sdp.audio);
    return 0;
}

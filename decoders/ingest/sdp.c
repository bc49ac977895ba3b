#include "decoders/ingest/sdp.h"

#include <stdlib.h>
#include <string.h>
#include <libavutil/base64.h>
#include <libavutil/common.h>
#include <libavutil/intreadwrite.h>

enum kind { OTHER, VIDEO, AUDIO };

/* The media section being read. */
struct section {
    enum kind kind;
    struct kt_sdp_media media;
    bool mapped;                /* a=rtpmap came */
    char name[32];              /* encoding name */
};

static const struct {
    const char *name;
    enum kind kind;
    enum AVCodecID codec;
} encodings[] = {
    { "H264", VIDEO, AV_CODEC_ID_H264 },
    { "H265", VIDEO, AV_CODEC_ID_HEVC },
    { "HEVC", VIDEO, AV_CODEC_ID_HEVC },
    { "JPEG", VIDEO, AV_CODEC_ID_MJPEG },
    { "MPEG4-GENERIC", AUDIO, AV_CODEC_ID_AAC },
    { "PCMU", AUDIO, AV_CODEC_ID_PCM_MULAW },
    { "PCMA", AUDIO, AV_CODEC_ID_PCM_ALAW },
};

static void set_encoding(struct section *s, struct kt_span name)
{
    s->media.codec = AV_CODEC_ID_NONE;
    kt_span_copy(s->name, sizeof(s->name), name);
    for (size_t i = 0; i < KT_ARRAY_SIZE(encodings); i++)
        if (encodings[i].kind == s->kind && kt_span_is(name, encodings[i].name))
            s->media.codec = encodings[i].codec;
}

/* "video 0 RTP/AVP 96" */
static void begin_media(struct section *s, struct kt_span line)
{
    struct kt_span word;
    long payload_type = -1;
    *s = (struct section){ .media = { .codec = AV_CODEC_ID_NONE, .frame_rate = { 0, 1 } } };
    kt_span_next(&line, ' ', &word);
    s->kind = kt_span_is(word, "video") ? VIDEO : kt_span_is(word, "audio") ? AUDIO : OTHER;
    for (int i = 0; i < 3 && kt_span_next(&line, ' ', &word); i++)
        if (i == 2)
            payload_type = kt_span_number(word, 10);
    s->media.payload_type = (int)payload_type;
    s->media.clock_rate = s->kind == VIDEO ? 90000 : 8000;
    s->media.channels = 1;
    /* Types that need no a=rtpmap (RFC 3551). */
    static const char *const fixed[] = { [0] = "PCMU", [8] = "PCMA", [26] = "JPEG" };
    if (payload_type >= 0 && payload_type < (long)KT_ARRAY_SIZE(fixed) && fixed[payload_type])
        set_encoding(s, (struct kt_span){ fixed[payload_type], 4 });
}

/* "96 H264/90000", "97 MPEG4-GENERIC/16000/2" */
static void read_rtpmap(struct section *s, struct kt_span value)
{
    struct kt_span word, part;
    if (s->mapped || !kt_span_next(&value, ' ', &word) ||
        kt_span_number(word, 10) != s->media.payload_type)
        return;
    value = kt_span_trim(value);
    if (!kt_span_next(&value, '/', &part))
        return;
    set_encoding(s, part);
    s->mapped = true;
    if (kt_span_next(&value, '/', &part) && kt_span_number(part, 10) > 0)
        s->media.clock_rate = (int)FFMIN(kt_span_number(part, 10), 200000);
    if (kt_span_next(&value, '/', &part) && kt_span_number(part, 10) > 0)
        s->media.channels = (int)FFMIN(kt_span_number(part, 10), 8);
    if (s->kind == VIDEO)
        s->media.clock_rate = 90000;    /* the payload formats allow no other */
}

/* Append one parameter set in base64, with a start code. */
static void add_set(struct kt_sdp_media *m, struct kt_span coded)
{
    char text[KT_SDP_EXTRADATA_MAX];
    uint8_t raw[KT_SDP_EXTRADATA_MAX];
    if (coded.n == 0 || !kt_span_copy(text, sizeof(text), coded))
        return;
    const int n = av_base64_decode(raw, text, sizeof(raw));
    if (n < 2 || m->extradata_size + 4 + n > KT_SDP_EXTRADATA_MAX)
        return;
    AV_WB32(m->extradata + m->extradata_size, 1);
    memcpy(m->extradata + m->extradata_size + 4, raw, (size_t)n);
    m->extradata_size += 4 + n;
}

static void add_sets(struct kt_sdp_media *m, struct kt_span fmtp, const char *name)
{
    struct kt_span value, one;
    if (!kt_span_param(fmtp, ';', name, &value))
        return;
    while (kt_span_next(&value, ',', &one))
        add_set(m, one);
}

static void read_aac(struct kt_sdp_media *m, struct kt_span fmtp)
{
    struct kt_span v;
    m->size_length = 13;
    m->index_length = m->index_delta_length = 3;
    if (kt_span_param(fmtp, ';', "sizelength", &v))
        m->size_length = (int)FFMIN(FFMAX(kt_span_number(v, 10), 0), 16);
    if (kt_span_param(fmtp, ';', "indexlength", &v))
        m->index_length = (int)FFMIN(FFMAX(kt_span_number(v, 10), 0), 16);
    if (kt_span_param(fmtp, ';', "indexdeltalength", &v))
        m->index_delta_length = (int)FFMIN(FFMAX(kt_span_number(v, 10), 0), 16);
    if (!kt_span_param(fmtp, ';', "config", &v) || v.n < 4 || v.n > 64)
        return;
    char hex[65];
    kt_span_copy(hex, sizeof(hex), v);
    if (kt_unhex(m->extradata, v.n / 2, hex) == 0)
        m->extradata_size = (int)v.n / 2;
}

static void read_fmtp(struct section *s, struct kt_span value)
{
    struct kt_span word;
    if (!kt_span_next(&value, ' ', &word) || kt_span_number(word, 10) != s->media.payload_type)
        return;
    s->media.extradata_size = 0;
    if (s->media.codec == AV_CODEC_ID_H264) {
        add_sets(&s->media, value, "sprop-parameter-sets");
    } else if (s->media.codec == AV_CODEC_ID_HEVC) {
        add_sets(&s->media, value, "sprop-vps");
        add_sets(&s->media, value, "sprop-sps");
        add_sets(&s->media, value, "sprop-pps");
    } else if (s->media.codec == AV_CODEC_ID_AAC) {
        read_aac(&s->media, value);
    }
}

static void read_frame_rate(struct kt_sdp_media *m, struct kt_span value)
{
    char text[16];
    const double rate = kt_span_copy(text, sizeof(text), value) ? strtod(text, NULL) : 0;
    if (rate >= 0.5 && rate <= 240)
        m->frame_rate = av_d2q(rate, 1001);
}

/* "1920,1080", "1280, 720" */
static void read_dimensions(struct kt_sdp_media *m, struct kt_span value)
{
    struct kt_span part;
    const long w = kt_span_next(&value, ',', &part) ? kt_span_number(part, 10) : 0;
    const long h = kt_span_number(value, 10);
    if (w > 0 && w <= 16384 && h > 0 && h <= 16384) {
        m->width = (int)w;
        m->height = (int)h;
    }
}

static void read_attribute(struct kt_sdp *sdp, struct section *s, struct kt_span value)
{
    struct kt_span name;
    kt_span_next(&value, ':', &name);
    value = kt_span_trim(value);
    if (kt_span_is(name, "control"))
        kt_span_copy(s ? s->media.control : sdp->control, KT_URL_MAX, value);
    else if (!s)
        return;
    else if (kt_span_is(name, "rtpmap"))
        read_rtpmap(s, value);
    else if (kt_span_is(name, "fmtp"))
        read_fmtp(s, value);
    else if (kt_span_is(name, "framerate") || kt_span_is(name, "x-framerate"))
        read_frame_rate(&s->media, value);
    else if (kt_span_is(name, "x-dimensions"))
        read_dimensions(&s->media, value);
}

static void end_media(struct kt_sdp *sdp, const struct section *s)
{
    if (s->kind == VIDEO && s->media.codec == AV_CODEC_ID_NONE)
        memcpy(sdp->other_video, s->name, sizeof(sdp->other_video));
    if (s->kind == OTHER || s->media.codec == AV_CODEC_ID_NONE)
        return;
    if (s->media.codec == AV_CODEC_ID_AAC && s->media.extradata_size == 0)
        return;                         /* without its config nobody can decode it */
    struct kt_sdp_media *m = s->kind == VIDEO ? &sdp->video : &sdp->audio;
    if (m->codec == AV_CODEC_ID_NONE)
        *m = s->media;
}

void kt_sdp_parse(struct kt_sdp *sdp, struct kt_span text)
{
    struct kt_span line;
    struct section section = { .kind = OTHER };
    bool in_media = false;

    *sdp = (struct kt_sdp){ 0 };
    sdp->video.codec = sdp->audio.codec = AV_CODEC_ID_NONE;
    while (text.n) {
        const char *end = memchr(text.p, '\n', text.n);
        const size_t n = end ? (size_t)(end - text.p) : text.n;
        line = kt_span_trim((struct kt_span){ text.p, n });
        text.p += end ? n + 1 : n;
        text.n -= end ? n + 1 : n;
        if (line.n < 2 || line.p[1] != '=')
            continue;
        const struct kt_span value = { line.p + 2, line.n - 2 };
        if (line.p[0] == 'm') {
            if (in_media)
                end_media(sdp, &section);
            begin_media(&section, value);
            in_media = true;
        } else if (line.p[0] == 'a') {
            read_attribute(sdp, in_media ? &section : NULL, value);
        }
    }
    if (in_media)
        end_media(sdp, &section);
}

#include "decoders/mux/params.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavutil/intreadwrite.h>
#include <libavutil/mem.h>

#include "decoders/mux/sps_rate.h"

enum { VPS, SPS, PPS };

struct nal {
    const uint8_t *data;        /* behind the start code */
    size_t size;                /* without the zeros before the next one */
};

/* The offset behind the next 00 00 01 at or after AT; SIZE when there is none. */
static size_t after_start_code(const uint8_t *data, size_t size, size_t at)
{
    for (; at + 3 <= size; at++) {
        const uint8_t *one = memchr(data + at + 2, 1, size - at - 2);
        if (!one)
            break;
        at = (size_t)(one - data) - 2;
        if (data[at] == 0 && data[at + 1] == 0)
            return at + 3;
    }
    return size;
}

static bool next_nal(const uint8_t *data, size_t size, size_t *at, struct nal *nal)
{
    const size_t begin = after_start_code(data, size, *at);
    if (begin >= size)
        return false;
    const size_t next = after_start_code(data, size, begin);
    size_t end = next < size || (next >= 3 && memcmp(data + size - 3, "\0\0\1", 3) == 0)
        ? next - 3 : size;
    if (end < begin)
        end = begin;
    *at = end;
    while (end > begin && data[end - 1] == 0)
        end--;
    *nal = (struct nal){ data + begin, end - begin };
    return true;
}

/* Which kind of parameter set; -1 for another unit that may precede the picture;
 * -2 for the picture itself. */
static int kind_of(enum AVCodecID codec, const struct nal *nal)
{
    if (nal->size < 3)
        return -1;
    if (codec == AV_CODEC_ID_H264) {
        const int type = nal->data[0] & 31;
        return type == 7 ? SPS : type == 8 ? PPS : type >= 1 && type <= 5 ? -2 : -1;
    }
    const int type = nal->data[0] >> 1 & 63;
    return type >= 32 && type <= 34 ? type - 32 : type < 32 ? -2 : -1;
}

static void append(uint8_t *set, size_t *size, const struct nal *nal)
{
    if (*size + 4 + nal->size > KT_PARAMS_MAX)
        return;
    AV_WB32(set + *size, 1);
    memcpy(set + *size + 4, nal->data, nal->size);
    *size += 4 + nal->size;
}

void kt_params_reset(struct kt_params *params, enum AVCodecID codec)
{
    memset(params, 0, sizeof(*params));
    params->codec = codec;
}

static bool has_sets(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
}

bool kt_params_update(struct kt_params *params, const uint8_t *data, size_t size)
{
    struct kt_params found = { .codec = params->codec };
    struct nal nal;
    bool changed = false;

    if (!has_sets(params->codec))
        return false;
    for (size_t at = 0; next_nal(data, size, &at, &nal);) {
        const int kind = kind_of(params->codec, &nal);
        if (kind == -2)
            break;
        if (kind >= 0)
            append(found.set[kind], &found.size[kind], &nal);
    }
    for (int i = 0; i < KT_PARAMS_KINDS; i++) {
        if (found.size[i] == 0 || (found.size[i] == params->size[i] &&
                                   memcmp(found.set[i], params->set[i], found.size[i]) == 0))
            continue;
        memcpy(params->set[i], found.set[i], found.size[i]);
        params->size[i] = found.size[i];
        changed = true;
    }
    return changed;
}

bool kt_params_complete(const struct kt_params *params)
{
    if (!has_sets(params->codec))
        return true;
    return params->size[SPS] && params->size[PPS] &&
           (params->codec != AV_CODEC_ID_HEVC || params->size[VPS]);
}

static int set_extradata(const struct kt_params *params, AVCodecParameters *par)
{
    size_t size = 0;
    for (int i = 0; i < KT_PARAMS_KINDS; i++)
        size += params->size[i];
    if (size == 0)
        return 0;
    av_freep(&par->extradata);
    par->extradata_size = 0;
    par->extradata = av_mallocz(size + AV_INPUT_BUFFER_PADDING_SIZE);
    if (!par->extradata)
        return -ENOMEM;
    for (int i = 0; i < KT_PARAMS_KINDS; i++) {
        memcpy(par->extradata + par->extradata_size, params->set[i], params->size[i]);
        par->extradata_size += (int)params->size[i];
    }
    return 0;
}

/* How many frames are held back for reordering: the decoder knows when it opens,
 * the parser does not tell. */
static int ask_decoder(const AVCodecParameters *par)
{
    int delay = 0;
    AVCodecContext *ctx = avcodec_alloc_context3(NULL);
    if (ctx && avcodec_parameters_to_context(ctx, par) >= 0) {
        ctx->thread_count = 1;
        if (avcodec_open2(ctx, avcodec_find_decoder(par->codec_id), NULL) >= 0)
            delay = ctx->has_b_frames;
    }
    avcodec_free_context(&ctx);
    return delay;
}

/* libavcodec's parser reads the sets and the head of the frame. */
static int ask_parser(const AVPacket *key, AVCodecParameters *par, AVRational *rate)
{
    AVCodecParserContext *parser = av_parser_init(par->codec_id);
    AVCodecContext *ctx = avcodec_alloc_context3(NULL);
    int ret = parser && ctx ? avcodec_parameters_to_context(ctx, par) : -ENOMEM;
    if (ret >= 0) {
        uint8_t *out;
        int size;
        parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;
        av_parser_parse2(parser, ctx, &out, &size, key->data, key->size, AV_NOPTS_VALUE,
                         AV_NOPTS_VALUE, 0);
        if (parser->width > 0 && parser->height > 0) {
            par->width = parser->width;
            par->height = parser->height;
        }
        par->video_delay = ask_decoder(par);
        if (ctx->profile != -99) {
            par->profile = ctx->profile;
            par->level = ctx->level;
        }
        *rate = kt_rate_or_unknown(ctx->framerate);
    }
    avcodec_free_context(&ctx);
    if (parser)
        av_parser_close(parser);
    return ret;
}

/* A JPEG says its size in its frame header (SOF0 to SOF2). */
static void jpeg_size(const AVPacket *key, AVCodecParameters *par)
{
    const uint8_t *p = key->data;
    const int size = key->size;
    for (int at = 2; at + 9 < size && p[at] == 0xff;) {
        const int marker = p[at + 1];
        if (marker >= 0xc0 && marker <= 0xc2) {
            par->height = AV_RB16(p + at + 5);
            par->width = AV_RB16(p + at + 7);
            return;
        }
        at += 2 + AV_RB16(p + at + 2);
    }
}

/* Copy up to CAP bytes of an SPS without the emulation prevention bytes. */
static size_t unescape(uint8_t *out, size_t cap, const uint8_t *in, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size && n < cap; i++) {
        if (i >= 2 && in[i] == 3 && in[i - 1] == 0 && in[i - 2] == 0)
            continue;
        out[n++] = in[i];
    }
    return n;
}

static uint32_t reverse_bits(uint32_t v)
{
    uint32_t r = 0;
    for (int i = 0; i < 32; i++)
        r |= (v >> i & 1) << (31 - i);
    return r;
}

static bool find_sps(const AVCodecParameters *par, struct nal *nal)
{
    for (size_t at = 0; next_nal(par->extradata, (size_t)par->extradata_size, &at, nal);)
        if (kind_of(par->codec_id, nal) == SPS && nal->size >= 4)
            return true;
    return false;
}

static AVRational h264_rate(const AVCodecParameters *par)
{
    uint8_t sps[256];
    struct nal nal;
    if (!find_sps(par, &nal))
        return (AVRational){ 0, 1 };
    return kt_sps_rate(sps, unescape(sps, sizeof(sps), nal.data, nal.size));
}

int kt_params_describe(const struct kt_params *params, const AVPacket *key, AVCodecParameters *par,
                       AVRational *rate)
{
    int ret = set_extradata(params, par);
    *rate = (AVRational){ 0, 1 };
    if (ret < 0)
        return ret;
    if (par->codec_id == AV_CODEC_ID_MJPEG)
        jpeg_size(key, par);
    else
        ret = ask_parser(key, par, rate);
    if (ret < 0)
        return ret;
    if (par->codec_id == AV_CODEC_ID_H264)
        *rate = h264_rate(par);
    return par->width > 0 && par->height > 0 ? 0 : -EINVAL;
}

/* ISO/IEC 14496-15 E.3: profile, compatibility (bits reversed), tier and level, constraints. */
static int hevc_codec(char out[KT_MIME_SIZE], const uint8_t *sps, size_t size)
{
    uint8_t b[15];
    if (unescape(b, sizeof(b), sps, size) < sizeof(b))
        return -ENOTSUP;
    static const char *const space[] = { "", "A", "B", "C" };
    const uint8_t *ptl = b + 3;         /* behind the NAL header and the ids */
    const int n = snprintf(out, KT_MIME_SIZE, "hvc1.%s%d.%X.%c%d", space[ptl[0] >> 6], ptl[0] & 31,
                           reverse_bits(AV_RB32(ptl + 1)), ptl[0] & 0x20 ? 'H' : 'L', ptl[11]);
    int last = 5;
    while (last >= 0 && ptl[5 + last] == 0)
        last--;
    for (int i = 0, at = n; i <= last; i++)
        at += snprintf(out + at, KT_MIME_SIZE - (size_t)at, ".%X", ptl[5 + i]);
    return 0;
}

int kt_params_codec(char out[KT_MIME_SIZE], const AVCodecParameters *par)
{
    if (par->codec_id == AV_CODEC_ID_MJPEG) {
        snprintf(out, KT_MIME_SIZE, "mp4v.6C");
        return 0;
    }
    if (!has_sets(par->codec_id))
        return -ENOTSUP;
    struct nal nal;
    if (!find_sps(par, &nal))
        return -ENOTSUP;
    if (par->codec_id == AV_CODEC_ID_HEVC)
        return hevc_codec(out, nal.data, nal.size);
    snprintf(out, KT_MIME_SIZE, "avc1.%02x%02x%02x", nal.data[1], nal.data[2], nal.data[3]);
    return 0;
}

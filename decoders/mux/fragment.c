#include "decoders/mux/fragment.h"

#include <errno.h>
#include <string.h>
#include <libavformat/avformat.h>
#include <libavutil/intreadwrite.h>

#include "server/base/cleanup.h"

#define IO_BUFFER 8192          /* holds any init segment; the payload of a frame bypasses it */
#define BOX_ROOM 1024           /* moof and mdat headers, start codes that grow */
#define INIT_ROOM IO_BUFFER

struct kt_fragment {
    AVFormatContext *av;
    AVPacket *pkt;              /* scratch */
    int64_t next_dts[2];        /* of each track, as the muxer counts: see set_time() */
    struct kt_init *init;
    /* --- where the bytes go, during a write --- */
    uint8_t *bytes;
    size_t size, room;
    struct kt_chunk *chunk;     /* whose memory BYTES is; NULL for the init segment */
};

/* Make room for N more bytes. The estimate is nearly always right, so growing is rare. */
static int grow(struct kt_fragment *f, size_t n)
{
    struct kt_chunk *larger = NULL;
    struct kt_chunk meta = *f->chunk;
    meta.size = 2 * f->room + n;
    meta.data = NULL;
    const int ret = kt_chunk_create(&larger, &meta);
    if (ret < 0)
        return ret;
    memcpy(kt_chunk_bytes(larger), f->bytes, f->size);
    kt_chunk_unref(&f->chunk);
    f->chunk = larger;
    f->bytes = kt_chunk_bytes(larger);
    f->room = meta.size;
    return 0;
}

#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int write_bytes(void *user, const uint8_t *data, int size)
#else
static int write_bytes(void *user, uint8_t *data, int size)
#endif
{
    struct kt_fragment *f = user;
    if (f->size + (size_t)size > f->room) {
        if (!f->chunk || grow(f, (size_t)size) < 0)
            return AVERROR(ENOMEM);
    }
    memcpy(f->bytes + f->size, data, (size_t)size);
    f->size += (size_t)size;
    return size;
}

static int add_track(struct kt_fragment *f, const AVCodecParameters *par, AVRational time_base)
{
    AVStream *st = avformat_new_stream(f->av, NULL);
    if (!st)
        return -ENOMEM;
    const int ret = avcodec_parameters_copy(st->codecpar, par);
    if (ret < 0)
        return ret;
    /* hvc1: parameter sets in the init segment, which is what Safari asks for. */
    st->codecpar->codec_tag = par->codec_id == AV_CODEC_ID_HEVC ? MKTAG('h', 'v', 'c', '1') : 0;
    st->time_base = time_base;
    return 0;
}

static int open_muxer(struct kt_fragment *f)
{
    uint8_t *buffer = av_malloc(IO_BUFFER);
    if (!buffer)
        return -ENOMEM;
    f->av->pb = avio_alloc_context(buffer, IO_BUFFER, 1, f, NULL, write_bytes, NULL);
    if (!f->av->pb) {
        av_free(buffer);
        return -ENOMEM;
    }
    f->av->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT; /* same parameters, same bytes */
    f->av->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
    f->av->max_interleave_delta = 0;

    AVDictionary *options = NULL;
    av_dict_set(&options, "movflags", "frag_custom+empty_moov+default_base_moof+skip_trailer", 0);
    av_dict_set(&options, "use_editlist", "0", 0);
    av_dict_set_int(&options, "video_track_timescale", KT_TIMESCALE, 0);
    const int ret = avformat_write_header(f->av, &options);
    av_dict_free(&options);
    if (ret < 0)
        return ret;
    avio_flush(f->av->pb);
    /* From here on a frame's bytes bypass the buffer. Not earlier: sizes of boxes
     * are filled in afterwards, which works only while they are in the buffer. */
    f->av->pb->direct = 1;
    return 0;
}

int kt_fragment_create(kt_fragment **out, const AVCodecParameters *video,
                       const AVCodecParameters *audio, const char *mime)
{
    uint8_t init[INIT_ROOM];
    kt_cleanup(kt_fragment_destroy) kt_fragment *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->bytes = init;
    f->room = sizeof(init);
    f->pkt = av_packet_alloc();
    if (!f->pkt)
        return -ENOMEM;
    int ret = avformat_alloc_output_context2(&f->av, NULL, "mp4", NULL);
    if (ret >= 0)
        ret = add_track(f, video, (AVRational){ 1, KT_TIMESCALE });
    if (ret >= 0 && audio)
        ret = add_track(f, audio, (AVRational){ 1, audio->sample_rate });
    if (ret >= 0)
        ret = open_muxer(f);
    if (ret >= 0)
        ret = kt_init_create(&f->init, f->bytes, f->size, mime, video->width, video->height);
    f->bytes = NULL;
    f->size = f->room = 0;
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&f);
    return 0;
}

void kt_fragment_destroy(kt_fragment **pfragment)
{
    kt_fragment *f = kt_steal_ptr(pfragment);
    if (!f)
        return;
    if (f->av) {
        AVIOContext *pb = f->av->pb;
        f->av->pb = NULL;
        avformat_free_context(f->av);
        if (pb) {
            av_freep(&pb->buffer);
            avio_context_free(&pb);
        }
    }
    kt_init_unref(&f->init);
    av_packet_free(&f->pkt);
    free(f);
}

int kt_fragment_audio_rate(const kt_fragment *fragment)
{
    return fragment->av->nb_streams > 1 ? fragment->av->streams[1]->time_base.den : 0;
}

/*
 * The muxer insists that a frame begins where the duration of the one before it
 * ended; a camera's frames do not. (Its flag frag_discont helps only forwards.)
 * So it counts by durations, and the decode time of the chunk (`tfdt`, always
 * 64 bits here) is then set to the truth.
 */
static int set_time(const struct kt_fragment *f, int64_t dts)
{
    uint8_t *tfdt = memmem(f->bytes, FFMIN(f->size, 256), "tfdt", 4);
    if (!tfdt || tfdt[4] != 1)
        return -EINVAL;
    AV_WB64(tfdt + 8, (uint64_t)dts);
    return 0;
}

static int mux_frame(struct kt_fragment *f, const AVPacket *pkt)
{
    f->pkt->data = pkt->data;       /* borrowed */
    f->pkt->size = pkt->size;
    f->pkt->flags = pkt->flags;
    f->pkt->stream_index = pkt->stream_index;
    f->pkt->duration = pkt->duration;
    f->pkt->dts = f->next_dts[pkt->stream_index];
    f->pkt->pts = f->pkt->dts + (pkt->pts - pkt->dts);
    f->next_dts[pkt->stream_index] += pkt->duration;
    int ret = av_write_frame(f->av, f->pkt);
    if (ret >= 0)
        ret = av_write_frame(f->av, NULL);
    av_packet_unref(f->pkt);
    avio_flush(f->av->pb);
    if (ret >= 0)
        ret = f->av->pb->error;
    f->av->pb->error = 0;
    return ret < 0 ? ret : set_time(f, pkt->dts);
}

int kt_fragment_write(kt_fragment *f, const AVPacket *pkt, const struct kt_chunk *meta,
                      struct kt_chunk **out)
{
    struct kt_chunk m = *meta;
    m.init = f->init;
    m.data = NULL;
    m.size = (size_t)pkt->size + BOX_ROOM;
    int ret = kt_chunk_create(&f->chunk, &m);
    if (ret < 0)
        return ret;
    f->bytes = kt_chunk_bytes(f->chunk);
    f->room = m.size;
    f->size = 0;
    ret = mux_frame(f, pkt);
    struct kt_chunk *chunk = kt_steal_ptr(&f->chunk);
    f->bytes = NULL;
    f->room = 0;
    if (ret < 0) {
        kt_chunk_unref(&chunk);
        return ret;
    }
    chunk->size = f->size;
    *out = chunk;
    return 0;
}

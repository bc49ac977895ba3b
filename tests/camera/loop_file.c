/* loop_file.c - see loop_file.h. */
#include <stdbool.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/rtp/gstrtpbuffer.h>

#include "server/base/cleanup.h"
#include "tests/camera/loop_file.h"

struct frame {
    GstBuffer *data;
    GPtrArray *payloads;        /* of GstBuffer; NULL until packetised */
    gsize octets;               /* of the payloads */
    GstClockTime pts, dts;
    bool key;
};

struct kt_loop_file {
    GArray *frames;             /* struct frame, in decoding order; the first is a key frame */
    GstClockTime period, length;
    GstCaps *caps;
    const char *pipeline;
};

static void close_input(AVFormatContext **ctx)
{
    avformat_close_input(ctx);
}

static void free_packet(AVPacket **pkt)
{
    av_packet_free(pkt);
}

static void clear_frame(void *element)
{
    struct frame *frame = element;
    gst_clear_buffer(&frame->data);
    g_clear_pointer(&frame->payloads, g_ptr_array_unref);
}

void kt_loop_file_free(kt_loop_file **pfile)
{
    kt_loop_file *file = kt_steal_ptr(pfile);
    if (!file)
        return;
    if (file->frames)
        g_array_unref(file->frames);
    gst_clear_caps(&file->caps);
    g_free(file);
}

/* MP4 keeps parameter sets apart ("avc", "hvc1"); elementary streams in line. */
static int make_caps(kt_loop_file *file, const AVCodecParameters *par)
{
    const bool hevc = par->codec_id == AV_CODEC_ID_HEVC;
    if (!hevc && par->codec_id != AV_CODEC_ID_H264)
        return -1;
    const bool packed = par->extradata_size > 4 && par->extradata[0] == 1;

    file->pipeline = hevc ? "appsrc name=frames ! rtph265pay name=pay0 pt=96 config-interval=-1"
                          : "appsrc name=frames ! rtph264pay name=pay0 pt=96 config-interval=-1";
    file->caps = gst_caps_new_simple(hevc ? "video/x-h265" : "video/x-h264",
        "stream-format", G_TYPE_STRING, !packed ? "byte-stream" : hevc ? "hvc1" : "avc",
        "alignment", G_TYPE_STRING, "au", "width", G_TYPE_INT, par->width,
        "height", G_TYPE_INT, par->height, NULL);
    if (packed) {
        GstBuffer *data = gst_buffer_new_memdup(par->extradata, (gsize)par->extradata_size);
        gst_caps_set_simple(file->caps, "codec_data", GST_TYPE_BUFFER, data, NULL);
        gst_buffer_unref(data);
    }
    return 0;
}

static void add_frame(kt_loop_file *file, const AVPacket *pkt, AVRational tb)
{
    const AVRational ns = { 1, 1000000000 };
    const GstClockTime nominal = file->frames->len * file->period;
    struct frame frame = {
        .data = gst_buffer_new_memdup(pkt->data, (gsize)pkt->size),
        .pts = pkt->pts == AV_NOPTS_VALUE ? nominal : (GstClockTime)av_rescale_q(pkt->pts, tb, ns),
        .dts = nominal,
        .key = pkt->flags & AV_PKT_FLAG_KEY,
    };
    if (file->frames->len > 0 || frame.key)
        g_array_append_val(file->frames, frame);
    else
        gst_buffer_unref(frame.data);
}

static int read_frames(kt_loop_file *file, AVFormatContext *ctx, int video)
{
    kt_cleanup(free_packet) AVPacket *pkt = av_packet_alloc();
    int ret;

    while ((ret = av_read_frame(ctx, pkt)) >= 0) {
        if (pkt->stream_index == video)
            add_frame(file, pkt, ctx->streams[video]->time_base);
        av_packet_unref(pkt);
    }
    return ret == AVERROR_EOF && file->frames->len > 0 ? 0 : -1;
}

static int load(kt_loop_file *file, const char *path)
{
    kt_cleanup(close_input) AVFormatContext *ctx = NULL;

    if (avformat_open_input(&ctx, path, NULL, NULL) < 0)
        return -1;
    if (avformat_find_stream_info(ctx, NULL) < 0)
        return -1;
    const int video = av_find_best_stream(ctx, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (video < 0 || make_caps(file, ctx->streams[video]->codecpar) < 0)
        return -1;
    const AVRational rate = ctx->streams[video]->avg_frame_rate;
    if (rate.num <= 0 || rate.den <= 0)
        return -1;
    file->period = gst_util_uint64_scale(GST_SECOND, (guint64)rate.den, (guint64)rate.num);
    file->frames = g_array_new(FALSE, FALSE, sizeof(struct frame));
    g_array_set_clear_func(file->frames, clear_frame);
    if (read_frames(file, ctx, video) < 0)
        return -1;
    file->length = gst_util_uint64_scale(GST_SECOND * file->frames->len, (guint64)rate.den,
                                         (guint64)rate.num);
    return 0;
}

kt_loop_file *kt_loop_file_open(const char *path)
{
    kt_cleanup(kt_loop_file_free) kt_loop_file *file = g_new0(kt_loop_file, 1);

    if (load(file, path) < 0) {
        fprintf(stderr, "kt-camera: %s: not an H.264 or H.265 video that can be looped\n", path);
        return NULL;
    }
    return kt_steal_ptr(&file);
}

static void free_buffer(void *buffer)
{
    gst_buffer_unref(buffer);
}

static void keep_payload(struct frame *frame, GstBuffer *packet)
{
    GstRTPBuffer rtp = GST_RTP_BUFFER_INIT;

    if (gst_rtp_buffer_map(packet, GST_MAP_READ, &rtp)) {
        g_ptr_array_add(frame->payloads, gst_rtp_buffer_get_payload_buffer(&rtp));
        frame->octets += gst_rtp_buffer_get_payload_len(&rtp);
        gst_rtp_buffer_unmap(&rtp);
    }
}

/* One sample is a frame's packets, or a part of them: all carry its timestamp. */
static int keep_sample(kt_loop_file *file, GstSample *sample)
{
    GstBufferList *list = gst_sample_get_buffer_list(sample);
    GstBuffer *one = gst_sample_get_buffer(sample), *first = list ? gst_buffer_list_get(list, 0) : one;
    /* Frame number N was pushed with a timestamp of N seconds. */
    const guint64 n = GST_BUFFER_PTS(first) / GST_SECOND;

    if (n >= file->frames->len)
        return -1;
    struct frame *frame = &g_array_index(file->frames, struct frame, n);
    for (guint i = 0; list && i < gst_buffer_list_length(list); i++)
        keep_payload(frame, gst_buffer_list_get(list, i));
    if (!list)
        keep_payload(frame, one);
    return 0;
}

static int payload_all(kt_loop_file *file, GstAppSrc *src, GstAppSink *sink)
{
    GstSample *sample;
    int ret = 0;

    gst_app_src_set_caps(src, file->caps);
    for (guint n = 0; n < file->frames->len; n++) {
        struct frame *frame = &g_array_index(file->frames, struct frame, n);
        GstBuffer *buffer = gst_buffer_copy(frame->data);
        frame->payloads = g_ptr_array_new_with_free_func(free_buffer);
        GST_BUFFER_PTS(buffer) = n * GST_SECOND;
        if (!frame->key)
            GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
        gst_app_src_push_buffer(src, buffer);
    }
    gst_app_src_end_of_stream(src);
    while ((sample = gst_app_sink_pull_sample(sink)) != NULL) {
        if (keep_sample(file, sample) < 0)
            ret = -1;
        gst_sample_unref(sample);
    }
    for (guint n = 0; n < file->frames->len; n++)
        if (g_array_index(file->frames, struct frame, n).payloads->len == 0)
            ret = -1;
    return ret;
}

int kt_loop_file_packetise(kt_loop_file *file)
{
    g_autofree char *line = g_strconcat(file->pipeline, " ! appsink name=packets sync=false buffer-list=true", NULL);
    GstElement *pipeline = gst_parse_launch(line, NULL);
    if (!pipeline)
        return -1;
    GstElement *src = gst_bin_get_by_name(GST_BIN(pipeline), "frames");
    GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), "packets");

    g_object_set(src, "format", GST_FORMAT_TIME, "max-bytes", (guint64)0, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    const int ret = payload_all(file, GST_APP_SRC(src), GST_APP_SINK(sink));
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(src);
    gst_object_unref(sink);
    gst_object_unref(pipeline);
    return ret;
}

static const struct frame *frame_at(const kt_loop_file *file, guint64 number)
{
    return &g_array_index(file->frames, struct frame, number % file->frames->len);
}

GstClockTime kt_loop_file_due(const kt_loop_file *file, guint64 number)
{
    return number / file->frames->len * file->length + frame_at(file, number)->pts;
}

const GPtrArray *kt_loop_file_payloads(const kt_loop_file *file, guint64 number)
{
    return frame_at(file, number)->payloads;
}

gsize kt_loop_file_octets(const kt_loop_file *file, guint64 number)
{
    return frame_at(file, number)->octets;
}

GstClockTime kt_loop_file_length(const kt_loop_file *file)
{
    return file->length;
}

GstClockTime kt_loop_file_gop(const kt_loop_file *file)
{
    for (guint n = 1; n < file->frames->len; n++) {
        const struct frame *frame = &g_array_index(file->frames, struct frame, n);
        if (frame->key)
            return frame->dts;
    }
    return file->length;
}

const char *kt_loop_file_pipeline(const kt_loop_file *file)
{
    return file->pipeline;
}

GstCaps *kt_loop_file_caps(const kt_loop_file *file)
{
    return file->caps;
}

guint64 kt_loop_file_key_before(const kt_loop_file *file, GstClockTime position)
{
    const guint64 turn = position / file->length;
    guint i = 0;

    for (guint n = 0; n < file->frames->len; n++) {
        const struct frame *frame = &g_array_index(file->frames, struct frame, n);
        if (frame->dts > position % file->length)
            break;
        if (frame->key)
            i = n;
    }
    return turn * file->frames->len + i;
}

GstBuffer *kt_loop_file_frame(const kt_loop_file *file, guint64 number, GstClockTimeDiff shift)
{
    const guint64 turn = number / file->frames->len;
    const struct frame *frame = frame_at(file, number);
    const GstClockTime start = (GstClockTime)((GstClockTimeDiff)(turn * file->length) + shift);
    GstBuffer *buffer = gst_buffer_copy(frame->data);

    GST_BUFFER_PTS(buffer) = start + frame->pts;
    GST_BUFFER_DTS(buffer) = start + frame->dts;
    GST_BUFFER_DURATION(buffer) = file->period;
    if (!frame->key)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    return buffer;
}

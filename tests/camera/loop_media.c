/* loop_media.c - see loop_media.h. */
#include <gst/app/gstappsrc.h>

#include "tests/camera/loop_media.h"

/* --- the factory: constant after it is made --- */
typedef struct {
    GstRTSPMediaFactory parent;
    const kt_loop_file *file;
    const struct kt_loop_clock *clock;
    GstClockTime offset;
} LoopFactory;

typedef struct {
    GstRTSPMediaFactoryClass parent;
} LoopFactoryClass;

static GType loop_factory_get_type(void);
G_DEFINE_TYPE(LoopFactory, loop_factory, GST_TYPE_RTSP_MEDIA_FACTORY)

static const char feed_key[] = "kt-feed", pacer_key[] = "kt-pacer";

static void free_feed(void *feed)
{
    g_free(feed);
}

static GstBuffer *next_frame(struct kt_pacer_feed *feed)
{
    return kt_loop_file_frame(feed->file, feed->next++, feed->shift);
}

/* Without a pacer: the sink waits for each frame's time, so one frame in hand is enough. */
static void on_need_data(GstAppSrc *src, guint length, void *user)
{
    gst_app_src_push_buffer(src, next_frame(user));
}

/* With one: a single frame, from which the server learns the parameters for its SDP. */
static void on_need_first(GstAppSrc *src, guint length, void *user)
{
    struct kt_pacer_feed *feed = user;

    if (feed->next != G_MAXUINT64)
        gst_app_src_push_buffer(src, next_frame(feed));
    feed->next = G_MAXUINT64;
}

static struct kt_pacer_feed *new_feed(const LoopFactory *factory)
{
    GstClock *clock = gst_system_clock_obtain();
    const GstClockTime running = gst_clock_get_time(clock) - factory->clock->origin;
    struct kt_pacer_feed *feed = g_new0(struct kt_pacer_feed, 1);

    feed->file = factory->file;
    feed->shift = -(GstClockTimeDiff)factory->offset;
    feed->next = kt_loop_file_key_before(factory->file, running + factory->offset);
    feed->ssrc = g_random_int();
    feed->timestamp_offset = g_random_int();
    feed->sequence = (guint16)g_random_int();
    gst_object_unref(clock);
    return feed;
}

static GstElement *create_element(GstRTSPMediaFactory *parent, const GstRTSPUrl *url)
{
    const LoopFactory *factory = (const LoopFactory *)parent;
    GError *error = NULL;
    GstElement *bin = gst_parse_bin_from_description(kt_loop_file_pipeline(factory->file), FALSE, &error);

    if (!bin) {
        g_printerr("kt-camera: %s\n", error->message);
        g_clear_error(&error);
        return NULL;
    }
    struct kt_pacer_feed *feed = new_feed(factory);
    GstElement *src = gst_bin_get_by_name(GST_BIN(bin), "frames");
    GstElement *pay = gst_bin_get_by_name(GST_BIN(bin), "pay0");
    const GstAppSrcCallbacks callbacks = { .need_data = factory->clock->pacer ? on_need_first : on_need_data };

    g_object_set(pay, "ssrc", feed->ssrc, "timestamp-offset", feed->timestamp_offset,
                 "seqnum-offset", (gint)feed->sequence, NULL);
    g_object_set(src, "caps", kt_loop_file_caps(factory->file), "format", GST_FORMAT_TIME,
                 "is-live", TRUE, "max-buffers", (guint64)2, NULL);
    g_object_set_data_full(G_OBJECT(bin), feed_key, g_memdup2(feed, sizeof(*feed)), free_feed);
    gst_app_src_set_callbacks(GST_APP_SRC(src), (GstAppSrcCallbacks *)&callbacks, feed, free_feed);
    gst_object_unref(pay);
    gst_object_unref(src);
    return bin;
}

/* All cameras share one time line: base time is the origin, not the PLAY. */
static GstElement *create_pipeline(GstRTSPMediaFactory *parent, GstRTSPMedia *media)
{
    GstElement *pipeline = gst_pipeline_new("camera");
    GstClock *clock = gst_system_clock_obtain();

    gst_pipeline_use_clock(GST_PIPELINE(pipeline), clock);
    gst_element_set_start_time(pipeline, GST_CLOCK_TIME_NONE);
    gst_element_set_base_time(pipeline, ((LoopFactory *)parent)->clock->origin);
    gst_object_unref(clock);
    gst_rtsp_media_take_pipeline(media, GST_PIPELINE(pipeline));
    return pipeline;
}

static GstPadProbeReturn drop(GstPad *pad, GstPadProbeInfo *info, void *user)
{
    return GST_PAD_PROBE_DROP;
}

/* The pipeline itself sends nothing: its one frame and its reports end here. */
static void silence_pad(GstElement *rtpbin, const char *name)
{
    GstPad *pad = gst_element_get_static_pad(rtpbin, name);

    if (pad) {
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST, drop, NULL, NULL);
        gst_object_unref(pad);
    }
}

static void on_prepared(GstRTSPMedia *media, void *user)
{
    GstElement *bin = gst_rtsp_media_get_element(media);
    GstElement *pipeline = GST_ELEMENT(gst_object_get_parent(GST_OBJECT(bin)));
    GstIterator *it = gst_bin_iterate_all_by_element_factory_name(GST_BIN(pipeline), "rtpbin");
    GValue item = G_VALUE_INIT;

    while (gst_iterator_next(it, &item) == GST_ITERATOR_OK) {
        silence_pad(g_value_get_object(&item), "send_rtp_src_0");
        silence_pad(g_value_get_object(&item), "send_rtcp_src_0");
        g_value_reset(&item);
    }
    gst_iterator_free(it);
    gst_object_unref(pipeline);
    gst_object_unref(bin);
}

static void on_unprepared(GstRTSPMedia *media, void *pacer)
{
    kt_pacer_remove(pacer, media);
}

static void configure(GstRTSPMediaFactory *parent, GstRTSPMedia *media)
{
    LoopFactory *factory = (LoopFactory *)parent;

    GST_RTSP_MEDIA_FACTORY_CLASS(loop_factory_parent_class)->configure(parent, media);
    if (!factory->clock->pacer)
        return;
    g_object_set_data(G_OBJECT(media), pacer_key, factory->clock->pacer);
    g_signal_connect(media, "prepared", G_CALLBACK(on_prepared), NULL);
    g_signal_connect(media, "unprepared", G_CALLBACK(on_unprepared), factory->clock->pacer);
}

/* Each client has a media of its own: it starts at a key frame of its own. */
static gchar *gen_key(GstRTSPMediaFactory *parent, const GstRTSPUrl *url)
{
    return NULL;
}

static void on_play(GstRTSPClient *client, GstRTSPContext *ctx, void *user)
{
    GstRTSPMedia *media = gst_rtsp_session_media_get_media(ctx->sessmedia);
    GstRTSPStreamTransport *transport = gst_rtsp_session_media_get_transport(ctx->sessmedia, 0);
    kt_pacer *pacer = g_object_get_data(G_OBJECT(media), pacer_key);
    GstElement *bin = gst_rtsp_media_get_element(media);

    if (pacer && transport) {
        kt_pacer_remove(pacer, media);
        kt_pacer_add(pacer, media, transport, g_object_get_data(G_OBJECT(bin), feed_key));
    }
    gst_object_unref(bin);
}

static void on_pause(GstRTSPClient *client, GstRTSPContext *ctx, void *user)
{
    GstRTSPMedia *media = gst_rtsp_session_media_get_media(ctx->sessmedia);
    kt_pacer *pacer = g_object_get_data(G_OBJECT(media), pacer_key);

    if (pacer)
        kt_pacer_remove(pacer, media);
}

static void on_client(GstRTSPServer *server, GstRTSPClient *client, void *user)
{
    g_signal_connect(client, "play-request", G_CALLBACK(on_play), NULL);
    g_signal_connect(client, "pause-request", G_CALLBACK(on_pause), NULL);
    g_signal_connect(client, "teardown-request", G_CALLBACK(on_pause), NULL);
}

void kt_loop_media_watch(GstRTSPServer *server)
{
    g_signal_connect(server, "client-connected", G_CALLBACK(on_client), NULL);
}

static void loop_factory_class_init(LoopFactoryClass *class)
{
    GstRTSPMediaFactoryClass *base = GST_RTSP_MEDIA_FACTORY_CLASS(class);
    base->create_element = create_element;
    base->create_pipeline = create_pipeline;
    base->configure = configure;
    base->gen_key = gen_key;
}

static void loop_factory_init(LoopFactory *factory)
{
}

GstRTSPMediaFactory *kt_loop_media_factory_new(const kt_loop_file *file, const struct kt_loop_clock *clock,
                                               GstClockTime offset)
{
    LoopFactory *factory = g_object_new(loop_factory_get_type(), NULL);

    factory->file = file;
    factory->clock = clock;
    factory->offset = offset;
    return GST_RTSP_MEDIA_FACTORY(factory);
}

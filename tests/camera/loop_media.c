/* loop_media.c - see loop_media.h. */
#include <gst/app/gstappsrc.h>

#include "tests/camera/loop_media.h"

/* --- the factory: constant after it is made --- */
typedef struct {
    GstRTSPMediaFactory parent;
    const kt_loop_file *file;
    GstClockTime origin, offset;
} LoopFactory;

typedef struct {
    GstRTSPMediaFactoryClass parent;
} LoopFactoryClass;

static GType loop_factory_get_type(void);
G_DEFINE_TYPE(LoopFactory, loop_factory, GST_TYPE_RTSP_MEDIA_FACTORY)

/* One client's place in the loop; touched by its appsrc's thread only. */
struct feed {
    const kt_loop_file *file;
    GstClockTimeDiff shift;     /* loop time to running time */
    guint64 next;
};

static void free_feed(void *feed)
{
    g_free(feed);
}

/* The sink waits for each frame's time, so one frame in hand is enough. */
static void on_need_data(GstAppSrc *src, guint length, void *user)
{
    struct feed *feed = user;
    gst_app_src_push_buffer(src, kt_loop_file_frame(feed->file, feed->next++, feed->shift));
}

static void start_feed(const LoopFactory *factory, GstElement *bin)
{
    GstElement *src = gst_bin_get_by_name(GST_BIN(bin), "frames");
    GstClock *clock = gst_system_clock_obtain();
    const GstClockTime running = gst_clock_get_time(clock) - factory->origin;
    struct feed *feed = g_new0(struct feed, 1);
    const GstAppSrcCallbacks callbacks = { .need_data = on_need_data };

    feed->file = factory->file;
    feed->shift = -(GstClockTimeDiff)factory->offset;
    feed->next = kt_loop_file_key_before(factory->file, running + factory->offset);
    g_object_set(src, "caps", kt_loop_file_caps(factory->file), "format", GST_FORMAT_TIME,
                 "is-live", TRUE, "max-buffers", (guint64)2, NULL);
    gst_app_src_set_callbacks(GST_APP_SRC(src), (GstAppSrcCallbacks *)&callbacks, feed, free_feed);
    gst_object_unref(clock);
    gst_object_unref(src);
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
    start_feed(factory, bin);
    return bin;
}

/* All cameras share one time line: base time is the origin, not the PLAY. */
static GstElement *create_pipeline(GstRTSPMediaFactory *parent, GstRTSPMedia *media)
{
    GstElement *pipeline = gst_pipeline_new("camera");
    GstClock *clock = gst_system_clock_obtain();

    gst_pipeline_use_clock(GST_PIPELINE(pipeline), clock);
    gst_element_set_start_time(pipeline, GST_CLOCK_TIME_NONE);
    gst_element_set_base_time(pipeline, ((LoopFactory *)parent)->origin);
    gst_object_unref(clock);
    gst_rtsp_media_take_pipeline(media, GST_PIPELINE(pipeline));
    return pipeline;
}

/* Each client has a media of its own: it starts at a key frame of its own. */
static gchar *gen_key(GstRTSPMediaFactory *parent, const GstRTSPUrl *url)
{
    return NULL;
}

static void loop_factory_class_init(LoopFactoryClass *class)
{
    GstRTSPMediaFactoryClass *base = GST_RTSP_MEDIA_FACTORY_CLASS(class);
    base->create_element = create_element;
    base->create_pipeline = create_pipeline;
    base->gen_key = gen_key;
}

static void loop_factory_init(LoopFactory *factory)
{
}

GstRTSPMediaFactory *kt_loop_media_factory_new(const kt_loop_file *file, GstClockTime origin,
                                               GstClockTime offset)
{
    LoopFactory *factory = g_object_new(loop_factory_get_type(), NULL);

    factory->file = file;
    factory->origin = origin;
    factory->offset = offset;
    return GST_RTSP_MEDIA_FACTORY(factory);
}

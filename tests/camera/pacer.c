/* pacer.c - see pacer.h. */
#include <gst/rtp/gstrtcpbuffer.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/camera/pacer.h"

enum { RTP_HEADER = 12, CLOCK_RATE = 90000, PAYLOAD_TYPE = 96, MTU = 1400 };
#define REPORT_EVERY (5 * GST_SECOND)
#define LATE_AT_MOST (2 * GST_SECOND)
#define NAP_US 5000                 /* frames that fall due together are sent together */
#define NTP_UNIX_OFFSET UINT64_C(2208988800)

struct session {
    const void *key;
    GstRTSPStreamTransport *transport;
    struct kt_pacer_feed feed;
    GstClockTime due, report_due;   /* running time */
    GstClockTime patience;          /* how late it may be */
    guint32 packets, octets;
};

struct kt_pacer {
    GstClockTime origin;            /* constant */
    GstClock *clock;
    GMutex lock;
    GArray *sessions;               /* struct session; protected by lock */
};

static void put32(guint8 *p, guint32 v)
{
    GST_WRITE_UINT32_BE(p, v);
}

static GstClockTime next_due(const struct session *s)
{
    return (GstClockTime)((GstClockTimeDiff)kt_loop_file_due(s->feed.file, s->feed.next) + s->feed.shift);
}

static guint32 timestamp_at(const struct session *s, GstClockTime running)
{
    return s->feed.timestamp_offset + (guint32)gst_util_uint64_scale(running, CLOCK_RATE, GST_SECOND);
}

/* The RTP packets of the next frame: one block of headers, each before its payload. */
static GstBufferList *build_frame(const struct session *s, GstClockTime running)
{
    const GPtrArray *payloads = kt_loop_file_payloads(s->feed.file, s->feed.next);
    GstBufferList *list = gst_buffer_list_new_sized(payloads->len);
    guint8 *headers = g_malloc(RTP_HEADER * payloads->len);
    GstMemory *block = gst_memory_new_wrapped(0, headers, RTP_HEADER * payloads->len, 0,
                                              RTP_HEADER * payloads->len, headers, g_free);

    for (guint i = 0; i < payloads->len; i++) {
        guint8 *h = headers + i * RTP_HEADER;
        h[0] = 0x80;
        h[1] = (guint8)(PAYLOAD_TYPE | (i + 1 == payloads->len ? 0x80 : 0));
        GST_WRITE_UINT16_BE(h + 2, (guint16)(s->feed.sequence + i));
        put32(h + 4, timestamp_at(s, running));
        put32(h + 8, s->feed.ssrc);
        GstBuffer *packet = gst_buffer_new();
        gst_buffer_append_memory(packet, gst_memory_share(block, i * RTP_HEADER, RTP_HEADER));
        gst_buffer_copy_into(packet, payloads->pdata[i], GST_BUFFER_COPY_MEMORY, 0, (gsize)-1);
        gst_buffer_list_add(list, packet);
    }
    gst_memory_unref(block);
    return list;
}

static void count_frame(struct session *s)
{
    const guint packets = kt_loop_file_payloads(s->feed.file, s->feed.next)->len;

    s->octets += (guint32)kt_loop_file_octets(s->feed.file, s->feed.next);
    s->packets += packets;
    s->feed.sequence += (guint16)packets;
    s->feed.next++;
    s->due = next_due(s);
}

static void send_report(struct session *s, GstClockTime running)
{
    const gint64 wall_us = g_get_real_time();
    const guint64 seconds = (guint64)(wall_us / G_USEC_PER_SEC) + NTP_UNIX_OFFSET;
    const guint64 fraction = gst_util_uint64_scale((guint64)(wall_us % G_USEC_PER_SEC), UINT64_C(1) << 32, G_USEC_PER_SEC);
    GstBuffer *buffer = gst_rtcp_buffer_new(MTU);
    GstRTCPBuffer rtcp = GST_RTCP_BUFFER_INIT;
    GstRTCPPacket packet;

    gst_rtcp_buffer_map(buffer, GST_MAP_READWRITE, &rtcp);
    gst_rtcp_buffer_add_packet(&rtcp, GST_RTCP_TYPE_SR, &packet);
    gst_rtcp_packet_sr_set_sender_info(&packet, s->feed.ssrc, seconds << 32 | fraction,
                                       timestamp_at(s, running), s->packets, s->octets);
    gst_rtcp_buffer_add_packet(&rtcp, GST_RTCP_TYPE_SDES, &packet);
    gst_rtcp_packet_sdes_add_item(&packet, s->feed.ssrc);
    gst_rtcp_packet_sdes_add_entry(&packet, GST_RTCP_SDES_CNAME, 9, (const guint8 *)"kt-camera");
    gst_rtcp_buffer_unmap(&rtcp);
    gst_rtsp_stream_transport_send_rtcp(s->transport, buffer);
    gst_buffer_unref(buffer);
    s->report_due = running + REPORT_EVERY;
}

static void skip_to_key(struct session *s, GstClockTime running)
{
    const guint64 key = kt_loop_file_key_before(s->feed.file,
        (GstClockTime)((GstClockTimeDiff)running - s->feed.shift));

    if (key > s->feed.next)
        s->feed.next = key;
    s->due = next_due(s);
}

/* Send what is due. A transport that refuses has a full backlog: try again later. */
static void serve_session(struct session *s, GstClockTime running)
{
    if (running > s->due + s->patience)
        skip_to_key(s, running);
    while (s->due <= running) {
        GstBufferList *list = build_frame(s, s->due);
        const bool sent = gst_rtsp_stream_transport_send_rtp_list(s->transport, list);
        gst_buffer_list_unref(list);
        if (!sent)
            return;
        count_frame(s);
    }
    if (running >= s->report_due)
        send_report(s, running);
}

static void *run(void *user)
{
    kt_pacer *pacer = user;

    for (;;) {
        const GstClockTime running = gst_clock_get_time(pacer->clock) - pacer->origin;
        g_mutex_lock(&pacer->lock);
        for (guint i = 0; i < pacer->sessions->len; i++)
            serve_session(&g_array_index(pacer->sessions, struct session, i), running);
        g_mutex_unlock(&pacer->lock);
        g_usleep(NAP_US);
    }
    return NULL;
}

kt_pacer *kt_pacer_start(GstClockTime origin)
{
    kt_pacer *pacer = g_new0(kt_pacer, 1);

    pacer->origin = origin;
    pacer->clock = gst_system_clock_obtain();
    pacer->sessions = g_array_new(FALSE, FALSE, sizeof(struct session));
    g_mutex_init(&pacer->lock);
    g_thread_unref(g_thread_new("pacer", run, pacer));
    return pacer;
}

void kt_pacer_add(kt_pacer *pacer, const void *key, GstRTSPStreamTransport *transport,
                  const struct kt_pacer_feed *feed)
{
    struct session s = { .key = key, .transport = g_object_ref(transport), .feed = *feed };

    s.due = next_due(&s);
    s.patience = LATE_AT_MOST + kt_loop_file_gop(feed->file);

    g_mutex_lock(&pacer->lock);
    g_array_append_val(pacer->sessions, s);
    g_mutex_unlock(&pacer->lock);
}

void kt_pacer_remove(kt_pacer *pacer, const void *key)
{
    GstRTSPStreamTransport *transport = NULL;

    g_mutex_lock(&pacer->lock);
    for (guint i = 0; i < pacer->sessions->len; i++) {
        struct session *s = &g_array_index(pacer->sessions, struct session, i);
        if (s->key == key) {
            transport = s->transport;
            g_array_remove_index_fast(pacer->sessions, i);
            break;
        }
    }
    g_mutex_unlock(&pacer->lock);
    if (transport)
        g_object_unref(transport);
}

/*
 * loop_file.h - one encoded video file held in memory, to be sent round and round.
 *
 * The file is read once and shared by every camera and client that shows it; a
 * frame handed out is a reference to the same bytes. Immutable after opening,
 * so any thread may read it.
 *
 * Units: nanoseconds (GstClockTime). The length is frames times frame period:
 * the first frame of the next turn follows the last of this one as any other.
 */
#ifndef KT_CAMERA_LOOP_FILE_H
#define KT_CAMERA_LOOP_FILE_H

#include <gst/gst.h>

typedef struct kt_loop_file kt_loop_file;

/* Read PATH (MP4, or an elementary .h264/.h265 file with a frame rate in its
 * headers). Prints why on failure and returns NULL. */
kt_loop_file *kt_loop_file_open(const char *path);
void kt_loop_file_free(kt_loop_file **file);

GstClockTime kt_loop_file_length(const kt_loop_file *file);
GstClockTime kt_loop_file_gop(const kt_loop_file *file);    /* between the first two key frames */

/* The launch line of an appsrc ("frames") and its payloader ("pay0"), and the caps
 * of the appsrc. */
const char *kt_loop_file_pipeline(const kt_loop_file *file);
GstCaps *kt_loop_file_caps(const kt_loop_file *file);

/* Cut every frame into RTP payloads once, with the payloader of that line.
 * 0 or -1. Before the file is shared. */
int kt_loop_file_packetise(kt_loop_file *file);

/* The number, counted from the loop's beginning at time 0, of the last key
 * frame that is due at POSITION. It does not wrap: turn = number / frames. */
guint64 kt_loop_file_key_before(const kt_loop_file *file, GstClockTime position);

/* When frame NUMBER is due, counted from the loop's beginning. */
GstClockTime kt_loop_file_due(const kt_loop_file *file, guint64 number);

/* The RTP payloads of frame NUMBER (which may be turns ahead), in order. */
const GPtrArray *kt_loop_file_payloads(const kt_loop_file *file, guint64 number);
gsize kt_loop_file_octets(const kt_loop_file *file, guint64 number);    /* bytes in all of them */

/* A new buffer with frame NUMBER (which may be turns ahead), its timestamps
 * counted from the loop's beginning, plus SHIFT. */
GstBuffer *kt_loop_file_frame(const kt_loop_file *file, guint64 number, GstClockTimeDiff shift);

#endif

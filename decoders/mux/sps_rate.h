/*
 * sps_rate.h - the frame rate that an H.264 stream says it has.
 *
 * Pure functions; any thread. Bytes may be anything.
 */
#ifndef KT_MUX_SPS_RATE_H
#define KT_MUX_SPS_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <libavutil/rational.h>

/* Frames a second of the sequence parameter set SPS (a NAL unit without emulation prevention
 * bytes, SIZE bytes); 0/1 when it does not say. */
AVRational kt_sps_rate(const uint8_t *sps, size_t size);

/* RATE, or 0/1 when no camera has such a rate. */
AVRational kt_rate_or_unknown(AVRational rate);

#endif

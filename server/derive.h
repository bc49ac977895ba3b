/*
 * derive.h - makes copies of videos for looking at (storage/vault/derived.h): decodes, writes
 * the time and what it is into the picture, paints over what must not be seen, encodes.
 *
 * Works on a thread of its own that yields to everything else on the machine.
 */
#ifndef KT_SERVER_DERIVE_H
#define KT_SERVER_DERIVE_H

#include "storage/vault/derived.h"

/* A kt_derive_fn. Sound is left out. -EBADMSG IN is no video, -ECANCELED, others with ERR. */
kt_must_check int kt_derive_make(const struct kt_derive *derive, struct kt_error *err);

#endif

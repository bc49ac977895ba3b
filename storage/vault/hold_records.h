/*
 * hold_records.h - what the ring itself says of a held stretch, kept with it: its records,
 * and the log around them up to a signed head ("hold-….chain" beside "hold-….mp4": headers
 * of docs/ring-format.md, 256 bytes each).
 *
 * In the catalog it is kt_hold_file.records, JSON:
 *   {"stream": 3, "ring": "<uuid>", "records": [[sequence, start µs, end µs, frames, bytes, flags], …],
 *    "chain": {"size": …, "sha256": "…", "first": seq, "last": seq, "signed_us": …,
 *              "head": "<hex>", "sig": "<hex>", "key": "<hex DER>"} or null, "why": "…"}
 * Holds of the first version have the list of records only.
 *
 * Threads: any. Errors: 0 or a negative errno.
 */
#ifndef KT_VAULT_HOLD_RECORDS_H
#define KT_VAULT_HOLD_RECORDS_H

#include <jansson.h>

#include "storage/ring/clip.h"
#include "storage/vault/vault.h"

/* Name of the chain beside MP4. */
void kt_hold_chain_name(const char *mp4, char *out, size_t cap);

/* At most so many bytes of chain for STRETCH. */
uint64_t kt_hold_chain_room(const struct kt_segment *stretch);

/*
 * Describe STRETCH of STREAM, writing the chain beside MP4 where the ring can sign one; where
 * it cannot, the JSON says why and there is no file. *JSON is malloc'd, *BYTES what was written.
 */
kt_must_check int kt_hold_records_make(kt_vault *vault, kt_ring *ring, uint32_t stream,
                                       const struct kt_segment *stretch, const char *mp4, char **json,
                                       uint64_t *bytes);

/* The records of STRETCH, whole, in order of time; malloc'd. Others of the stream may overlap it in time. */
kt_must_check int kt_hold_records_query(kt_ring *ring, uint32_t stream, const struct kt_segment *stretch,
                                        struct kt_record **out, size_t *n);

/* A hold file's description, parsed; to be released with json_decref(). Never NULL but without memory:
 * of the first version, "chain" is null. */
json_t *kt_hold_records_parse(const struct kt_hold_file *file);

#endif

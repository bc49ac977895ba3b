/*
 * timestamp.h - asks a time stamping service (RFC 3161 over HTTP) about the sums of a package.
 *
 * The address is the operator's own word (the configuration file), so it may be anywhere.
 * Blocks at most twenty seconds: for the thread that makes packages.
 */
#ifndef KT_SERVER_TIMESTAMP_H
#define KT_SERVER_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"

/*
 * *OUT becomes the service's TimeStampResp (malloc'd), checked: it is of DATA, answers our question,
 * and is signed by somebody the certificates CA (PEM) vouch for.
 *   -ETIMEDOUT, -ECONNREFUSED, -EBADMSG … with ERR in words
 */
kt_must_check int kt_timestamp_get(const char *url, const char *ca, const void *data, size_t size,
                                   uint8_t **out, size_t *n, struct kt_error *err);

#endif

/*
 * totp.h - one-time codes from a telephone (RFC 6238: SHA-1, six digits, 30 s).
 *
 * Threads: any; nothing is kept. Errors: 0 or a negative errno.
 */
#ifndef KT_CATALOG_TOTP_H
#define KT_CATALOG_TOTP_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_TOTP_SECRET_BYTES 20
#define KT_TOTP_TEXT_SIZE 33            /* base32 of a secret, with NUL */
#define KT_TOTP_STEP_S 30

/* The code of STEP (Unix seconds / 30). */
kt_must_check int kt_totp_code(const uint8_t *secret, size_t n, int64_t step, char out[7]);

/* Is CODE the one of STEP, or of the step before or after it? *MATCHED is which.
 * -EACCES when it is none, or when that step is not newer than LAST. */
kt_must_check int kt_totp_check(const uint8_t *secret, size_t n, const char *code, int64_t step,
                                int64_t last, int64_t *matched);

/* RFC 4648 base32 without padding, as authenticator apps read it. */
void kt_base32(char *out, const uint8_t *data, size_t n);   /* OUT holds (8 n + 4) / 5 + 1 */

#endif

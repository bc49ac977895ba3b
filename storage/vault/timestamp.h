/*
 * timestamp.h - RFC 3161 time stamps: somebody else's word that data existed at a time.
 *
 * What is asked and how an answer is judged; the asking itself is the caller's (it needs
 * a network). All is OpenSSL's.
 *
 * Threads: any. Errors: 0 or a negative errno, ERR in words.
 */
#ifndef KT_VAULT_TIMESTAMP_H
#define KT_VAULT_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"

/* What a token says. */
struct kt_timestamp {
    int64_t time_us;
    char authority[200];            /* the subject that signed it */
};

/* A TimeStampReq for DATA with a nonce, asking for the certificate; DER, malloc'd. */
kt_must_check int kt_timestamp_request(const void *data, size_t size, uint8_t **out, size_t *n);

/*
 * Is REPLY a TimeStampResp that grants a stamp for DATA, signed by somebody whom the certificates
 * of CA (PEM, one or more) vouch for at that time? REQUEST, where not NULL, is what it must answer
 * (nonce). CA NULL: nobody's word is taken for the signer, but the signature must be right.
 *   -EBADMSG  no, ERR says what is wrong
 *   -EINVAL   CA is no certificate
 */
kt_must_check int kt_timestamp_check(const uint8_t *reply, size_t n, const uint8_t *request, size_t request_n,
                                     const void *data, size_t size, const char *ca,
                                     struct kt_timestamp *out, struct kt_error *err);

#endif

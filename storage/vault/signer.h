/*
 * signer.h - the key that vouches for evidence packages: ECDSA P-256 over SHA-256,
 * with a certificate of its own making, so that `openssl dgst -verify` checks it.
 *
 * The key file may be a ring's (the same PEM). Its certificate is kept beside it as
 * "<key>.crt" and made once: the fingerprint printed on paper must stay the same.
 *
 * Threads: a signer is constant once loaded. Errors: 0 or a negative errno.
 */
#ifndef KT_VAULT_SIGNER_H
#define KT_VAULT_SIGNER_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/error.h"

#define KT_SIGNATURE_CAP 80             /* DER of a P-256 signature is at most 72 */

typedef struct kt_signer kt_signer;

/* Load the key at PATH, or make it (0600). NAME goes into the certificate when that is made. */
kt_must_check int kt_signer_load(kt_signer **out, const char *path, const char *name,
                                 struct kt_error *err);
void kt_signer_free(kt_signer **signer);

const char *kt_signer_certificate(const kt_signer *signer);     /* PEM */
const char *kt_signer_public_key(const kt_signer *signer);      /* PEM */
const char *kt_signer_fingerprint(const kt_signer *signer);     /* SHA-256 of the public key's DER, hex */

kt_must_check int kt_signer_sign(const kt_signer *signer, const void *data, size_t size,
                                 uint8_t out[KT_SIGNATURE_CAP], size_t *out_size);

/*
 * What somebody else signed. CERTIFICATE and PUBLIC_KEY are PEM; both must hold the
 * same P-256 key. FINGERPRINT is of that key, written on success.
 */
kt_must_check int kt_signer_check_key(const char *certificate, const char *public_key,
                                      char fingerprint[65]);
kt_must_check int kt_signer_verify(const char *public_key, const void *data, size_t size,
                                   const uint8_t *signature, size_t signature_size);

/* A public key as PEM, of its DER SubjectPublicKeyInfo. malloc'd; NULL when it is none of P-256. */
char *kt_public_key_pem(const uint8_t *der, size_t size);
/* SHA-256 of the key's DER. -EBADMSG. */
kt_must_check int kt_public_key_fingerprint(const char *pem, char out[65]);

#endif

/*
 * key.h - the key that signs the heads of the chain: ECDSA P-256 over SHA-256,
 * one PEM file of the owner only.
 *
 * Threads: a key is constant once loaded.
 */
#ifndef KT_RING_KEY_H
#define KT_RING_KEY_H

#include "server/base/error.h"
#include "storage/ring/format.h"

typedef struct kt_key kt_key;

#define KT_SIGNATURE_MAX 80

/* Load the private key at PATH, or make it (0600) when there is none.
 *   -EACCES  others may read it
 *   -EINVAL  not a P-256 key */
kt_must_check int kt_key_load(kt_key **out, const char *path, struct kt_error *err);
void kt_key_free(kt_key **key);

/* SubjectPublicKeyInfo. */
const uint8_t *kt_key_der(const kt_key *key, size_t *size);
const uint8_t *kt_key_fingerprint(const kt_key *key);

kt_must_check int kt_key_sign(const kt_key *key, const void *data, size_t size,
                              uint8_t sig[KT_SIGNATURE_MAX], size_t *sig_size);

/* 0, or -EBADMSG. DER is the public key as kt_key_der() gives it. */
kt_must_check int kt_key_verify(const uint8_t *der, size_t der_size, const void *data, size_t size,
                                const uint8_t *sig, size_t sig_size);

#endif

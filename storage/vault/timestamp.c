#include "storage/vault/timestamp.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ts.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NONCE_SIZE 8

#define KT_FREEP(name, type, free_it) \
    static inline void name(type **p) \
    { \
        free_it(*p); \
        *p = NULL; \
    }
KT_FREEP(req_freep, TS_REQ, TS_REQ_free)
KT_FREEP(resp_freep, TS_RESP, TS_RESP_free)
KT_FREEP(imprint_freep, TS_MSG_IMPRINT, TS_MSG_IMPRINT_free)
KT_FREEP(algor_freep, X509_ALGOR, X509_ALGOR_free)
KT_FREEP(integer_freep, ASN1_INTEGER, ASN1_INTEGER_free)
KT_FREEP(verify_freep, TS_VERIFY_CTX, TS_VERIFY_CTX_free)
KT_FREEP(bio_freep, BIO, BIO_free)

/* ------------------------------ asking ------------------------------ */

static bool set_imprint(TS_REQ *req, const void *data, size_t size)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    kt_cleanup(imprint_freep) TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
    kt_cleanup(algor_freep) X509_ALGOR *algor = X509_ALGOR_new();
    SHA256(data, size, hash);
    return imprint && algor && X509_ALGOR_set0(algor, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) &&
           TS_MSG_IMPRINT_set_algo(imprint, algor) &&
           TS_MSG_IMPRINT_set_msg(imprint, hash, (int)sizeof(hash)) && TS_REQ_set_msg_imprint(req, imprint);
}

static bool set_nonce(TS_REQ *req)
{
    uint64_t number;
    kt_cleanup(integer_freep) ASN1_INTEGER *nonce = ASN1_INTEGER_new();
    return nonce && RAND_bytes((unsigned char *)&number, NONCE_SIZE) == 1 &&
           ASN1_INTEGER_set_uint64(nonce, number | 1) && TS_REQ_set_nonce(req, nonce);
}

int kt_timestamp_request(const void *data, size_t size, uint8_t **out, size_t *n)
{
    kt_cleanup(req_freep) TS_REQ *req = TS_REQ_new();
    uint8_t *der = NULL;
    if (!req || !TS_REQ_set_version(req, 1) || !set_imprint(req, data, size) || !set_nonce(req) ||
        !TS_REQ_set_cert_req(req, 1))
        return -EIO;
    const int length = i2d_TS_REQ(req, &der);
    if (length <= 0)
        return -ENOMEM;
    *out = malloc((size_t)length);
    if (*out)
        memcpy(*out, der, (size_t)length);
    OPENSSL_free(der);
    *n = (size_t)length;
    return *out ? 0 : -ENOMEM;
}

/* ------------------------------ judging ------------------------------ */

static int why(struct kt_error *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return kt_error_set(err, -EBADMSG, "the time stamp is not right: %s", reason ? reason : what);
}

/* Certificates of PEM as those that are trusted, as they were at TIME. */
static int make_store(const char *pem, time_t at, X509_STORE **out)
{
    kt_cleanup(bio_freep) BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_STORE *store = X509_STORE_new();
    X509 *x;
    int n = 0;
    while (bio && store && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        n += X509_STORE_add_cert(store, x);
        X509_free(x);
    }
    ERR_clear_error();
    if (n == 0) {
        X509_STORE_free(store);
        return -EINVAL;
    }
    /* A certificate that has run out since was good when it signed. */
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), at);
    *out = store;
    return 0;
}

static time_t time_of(TS_RESP *resp)
{
    struct tm tm;
    TS_TST_INFO *info = TS_RESP_get_tst_info(resp);
    const ASN1_GENERALIZEDTIME *at = info ? TS_TST_INFO_get_time(info) : NULL;
    return at && ASN1_TIME_to_tm(at, &tm) == 1 ? timegm(&tm) : -1;
}

static void describe(TS_RESP *resp, time_t at, struct kt_timestamp *out)
{
    out->time_us = (int64_t)at * 1000000;
    out->authority[0] = '\0';
    STACK_OF(X509) *signers = PKCS7_get0_signers(TS_RESP_get_token(resp), NULL, 0);
    if (signers && sk_X509_num(signers) > 0)
        X509_NAME_oneline(X509_get_subject_name(sk_X509_value(signers, 0)), out->authority,
                          (int)sizeof(out->authority));
    sk_X509_free(signers);
    ERR_clear_error();
}

/* The signature is that of the certificate inside, whoever that is. */
static bool is_signed(TS_RESP *resp)
{
    PKCS7 *token = TS_RESP_get_token(resp);
    return token && PKCS7_verify(token, NULL, NULL, NULL, NULL, PKCS7_NOVERIFY) == 1;
}

static int verify(TS_RESP *resp, TS_REQ *req, const void *data, size_t size, X509_STORE *store,
                  struct kt_error *err)
{
    kt_cleanup(verify_freep) TS_VERIFY_CTX *ctx = req ? TS_REQ_to_TS_VERIFY_CTX(req, NULL)
                                                      : TS_VERIFY_CTX_new();
    if (!ctx) {
        X509_STORE_free(store);
        return -ENOMEM;
    }
    if (!req) {
        TS_VERIFY_CTX_set_flags(ctx, TS_VFY_VERSION | TS_VFY_DATA);
        TS_VERIFY_CTX_set_data(ctx, BIO_new_mem_buf(data, (int)size));
    }
    if (store) {
        TS_VERIFY_CTX_add_flags(ctx, TS_VFY_SIGNATURE);
        TS_VERIFY_CTX_set_store(ctx, store);    /* the context's from here on */
    }
    return TS_RESP_verify_response(ctx, resp) == 1 ? 0 : why(err, "it is not of this data");
}

int kt_timestamp_check(const uint8_t *reply, size_t n, const uint8_t *request, size_t request_n,
                       const void *data, size_t size, const char *ca, struct kt_timestamp *out,
                       struct kt_error *err)
{
    const uint8_t *p = reply, *q = request;
    X509_STORE *store = NULL;
    ERR_clear_error();
    kt_cleanup(resp_freep) TS_RESP *resp = d2i_TS_RESP(NULL, &p, (long)n);
    kt_cleanup(req_freep) TS_REQ *req = request ? d2i_TS_REQ(NULL, &q, (long)request_n) : NULL;
    if (!resp || p != reply + n || (request && !req))
        return why(err, "it is no time stamp");
    const time_t at = time_of(resp);
    if (at < 0)
        return why(err, "the service refused, or gave no time");
    if (ca && make_store(ca, at, &store) < 0)
        return kt_error_set(err, -EINVAL, "the time stamping service's certificates cannot be read");
    const int ret = verify(resp, req, data, size, store, err);
    if (ret < 0)
        return ret;
    if (!ca && !is_signed(resp))
        return why(err, "its signature is wrong");
    describe(resp, at, out);
    return 0;
}

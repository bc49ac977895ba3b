#include "storage/vault/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "server/base/text.h"
#include "storage/ring/io.h"

#define CERTIFICATE_DAYS 10958L         /* thirty years: trials and appeals take long */

struct kt_signer {
    EVP_PKEY *key;
    char *certificate, *public_key;
    char fingerprint[65];
};

static inline void pkey_freep(EVP_PKEY **p)
{
    EVP_PKEY_free(*p);
    *p = NULL;
}

static inline void x509_freep(X509 **p)
{
    X509_free(*p);
    *p = NULL;
}

static inline void bio_freep(BIO **p)
{
    BIO_free(*p);
    *p = NULL;
}

/* ------------------------------ files ------------------------------ */

/* The text of BIO as a string. */
static char *bio_text(BIO *bio)
{
    char *data;
    const long n = BIO_get_mem_data(bio, &data);
    return n > 0 ? strndup(data, (size_t)n) : NULL;
}

/* Write TEXT to a new file that only the owner reads, whole or not at all. */
static int write_new(const char *path, const char *text)
{
    kt_cleanup(kt_freep) char *part = NULL;
    if (asprintf(&part, "%s.part", path) < 0) {
        part = NULL;
        return -ENOMEM;
    }
    (void)unlink(part);                 /* of a start that was cut short; never somebody's link or mode */
    kt_cleanup(kt_closep) int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    const size_t n = strlen(text);
    errno = 0;
    if (write(fd, text, n) != (ssize_t)n || fsync(fd) < 0 || rename(part, path) < 0) {
        const int ret = errno ? -errno : -EIO;
        (void)unlink(part);             /* half a secret is nobody's */
        return ret;
    }
    return kt_io_sync_name(path);
}

static EVP_PKEY *read_key(const char *path)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    return f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
}

static int make_key(const char *path, EVP_PKEY **out)
{
    kt_cleanup(pkey_freep) EVP_PKEY *key = EVP_EC_gen("P-256");
    kt_cleanup(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    if (!key || !bio || !PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
        return -EIO;
    kt_cleanup(kt_freep) char *text = bio_text(bio);
    const int ret = text ? write_new(path, text) : -ENOMEM;
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    if (ret == 0)
        *out = kt_steal_ptr(&key);
    return ret;
}

static bool is_p256(EVP_PKEY *key)
{
    char group[32] = "";
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
           (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static int load_key(kt_signer *s, const char *path, struct kt_error *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        const int ret = errno == ENOENT ? make_key(path, &s->key) : -errno;
        return ret < 0 ? kt_error_set(err, ret, "signing key %s: %s", path, kt_strerror(ret)) : 0;
    }
    if (st.st_mode & 077)
        return kt_error_set(err, -EACCES, "signing key %s: others may read it (chmod 600)", path);
    s->key = read_key(path);
    if (!s->key || !is_p256(s->key))
        return kt_error_set(err, -EINVAL, "signing key %s: not an ECDSA P-256 key", path);
    return 0;
}

/* ------------------------------ the certificate ------------------------------ */

static bool fill_certificate(X509 *x, EVP_PKEY *key, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(x);
    unsigned char serial[16];
    BIGNUM *number = NULL;
    if (RAND_bytes(serial, sizeof(serial)) == 1)
        number = BN_bin2bn(serial, sizeof(serial), NULL);
    const bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) &&
        X509_set_version(x, X509_VERSION_3) && X509_gmtime_adj(X509_getm_notBefore(x), -86400) &&
        X509_time_adj_ex(X509_getm_notAfter(x), CERTIFICATE_DAYS, 0, NULL) && X509_set_pubkey(x, key) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0) &&
        X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"Kentongan", -1, -1, 0) &&
        X509_set_issuer_name(x, subject) && X509_sign(x, key, EVP_sha256()) > 0;
    BN_free(number);
    return ok;
}

static int make_certificate(kt_signer *s, const char *path, const char *name)
{
    kt_cleanup(x509_freep) X509 *x = X509_new();
    kt_cleanup(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    char cn[65];
    snprintf(cn, sizeof(cn), "%.64s", name && name[0] ? name : "Kentongan");
    if (!x || !bio || !fill_certificate(x, s->key, cn) || !PEM_write_bio_X509(bio, x))
        return -EIO;
    s->certificate = bio_text(bio);
    return s->certificate ? write_new(path, s->certificate) : -ENOMEM;
}

/* The certificate that was made earlier, when it is of this key. */
static int read_certificate(kt_signer *s, const char *path)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    kt_cleanup(x509_freep) X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
    kt_cleanup(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    if (!x || !bio || X509_check_private_key(x, s->key) != 1 || !PEM_write_bio_X509(bio, x))
        return -ENOENT;
    s->certificate = bio_text(bio);
    return s->certificate ? 0 : -ENOMEM;
}

/* ------------------------------ fingerprints ------------------------------ */

static int fingerprint(EVP_PKEY *key, char out[65])
{
    uint8_t *der = NULL, hash[SHA256_DIGEST_LENGTH];
    const int n = i2d_PUBKEY(key, &der);
    if (n <= 0)
        return -EBADMSG;
    SHA256(der, (size_t)n, hash);
    OPENSSL_free(der);
    kt_hex(out, hash, sizeof(hash));
    return 0;
}

static int describe_key(kt_signer *s)
{
    kt_cleanup(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    if (!bio || !PEM_write_bio_PUBKEY(bio, s->key))
        return -ENOMEM;
    s->public_key = bio_text(bio);
    return s->public_key ? fingerprint(s->key, s->fingerprint) : -ENOMEM;
}

int kt_signer_load(kt_signer **out, const char *path, const char *name, struct kt_error *err)
{
    kt_cleanup(kt_signer_free) kt_signer *s = calloc(1, sizeof(*s));
    kt_cleanup(kt_freep) char *beside = NULL;
    if (!s || asprintf(&beside, "%s.crt", path) < 0)
        return kt_error_set(err, -ENOMEM, "out of memory");
    int ret = load_key(s, path, err);
    if (ret < 0)
        return ret;
    ret = read_certificate(s, beside);
    if (ret == -ENOENT)
        ret = make_certificate(s, beside, name);
    if (ret == 0)
        ret = describe_key(s);
    if (ret < 0)
        return kt_error_set(err, ret, "certificate %s: %s", beside, kt_strerror(ret));
    *out = kt_steal_ptr(&s);
    return 0;
}

void kt_signer_free(kt_signer **ps)
{
    kt_signer *s = kt_steal_ptr(ps);
    if (!s)
        return;
    EVP_PKEY_free(s->key);
    free(s->certificate);
    free(s->public_key);
    free(s);
}

const char *kt_signer_certificate(const kt_signer *s)
{
    return s->certificate;
}

const char *kt_signer_public_key(const kt_signer *s)
{
    return s->public_key;
}

const char *kt_signer_fingerprint(const kt_signer *s)
{
    return s->fingerprint;
}

/* ------------------------------ signatures ------------------------------ */

int kt_signer_sign(const kt_signer *s, const void *data, size_t size, uint8_t out[KT_SIGNATURE_CAP],
                   size_t *out_size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    *out_size = KT_SIGNATURE_CAP;
    const bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, s->key) == 1 &&
                    EVP_DigestSign(ctx, out, out_size, data, size) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -EIO;
}

static EVP_PKEY *parse_public(const char *pem)
{
    kt_cleanup(bio_freep) BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    if (key && !is_p256(key))
        pkey_freep(&key);
    return key;
}

int kt_signer_check_key(const char *certificate, const char *public_key, char out[65])
{
    kt_cleanup(pkey_freep) EVP_PKEY *key = parse_public(public_key);
    kt_cleanup(bio_freep) BIO *bio = BIO_new_mem_buf(certificate, -1);
    kt_cleanup(x509_freep) X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (!key || !x || EVP_PKEY_eq(X509_get0_pubkey(x), key) != 1 || X509_verify(x, key) != 1)
        return -EBADMSG;
    return fingerprint(key, out);
}

int kt_signer_verify(const char *public_key, const void *data, size_t size, const uint8_t *signature,
                     size_t signature_size)
{
    kt_cleanup(pkey_freep) EVP_PKEY *key = parse_public(public_key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok = key && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                    EVP_DigestVerify(ctx, signature, signature_size, data, size) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : -EBADMSG;
}

/* ------------------------------ other people's keys ------------------------------ */

char *kt_public_key_pem(const uint8_t *der, size_t size)
{
    kt_cleanup(pkey_freep) EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)size);
    kt_cleanup(bio_freep) BIO *bio = BIO_new(BIO_s_mem());
    if (!key || !is_p256(key) || !bio || !PEM_write_bio_PUBKEY(bio, key))
        return NULL;
    return bio_text(bio);
}

int kt_public_key_fingerprint(const char *pem, char out[65])
{
    kt_cleanup(pkey_freep) EVP_PKEY *key = parse_public(pem);
    return key ? fingerprint(key, out) : -EBADMSG;
}

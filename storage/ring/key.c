#include "storage/ring/key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "storage/ring/io.h"

struct kt_key {
    EVP_PKEY *pkey;
    uint8_t der[128];
    size_t der_size;
    uint8_t fingerprint[KT_HASH_SIZE];
};

void kt_key_free(kt_key **pkey)
{
    kt_key *key = kt_steal_ptr(pkey);
    if (!key)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

static void closep(FILE **f)
{
    kt_fclosep(f);
}

/* Written whole under another name first: a power cut leaves no half a key. */
static int write_key(EVP_PKEY *pkey, const char *path)
{
    char part[4096];
    if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
        return -ENAMETOOLONG;
    (void)unlink(part);
    const int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    kt_cleanup(closep) FILE *f = fdopen(fd, "w");
    if (!f) {
        (void)close(fd);
        return -ENOMEM;
    }
    if (PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL) != 1 || fflush(f) != 0 ||
        fsync(fd) < 0 || link(part, path) < 0) {
        const int ret = errno ? -errno : -EIO;
        (void)unlink(part);
        return ret;
    }
    (void)unlink(part);
    return kt_io_sync_name(path);       /* else records could outlive the key that signed them */
}

static int make_key(const char *path)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    if (!pkey)
        return -EIO;
    errno = 0;
    const int ret = write_key(pkey, path);
    EVP_PKEY_free(pkey);
    return ret == -EEXIST ? 0 : ret;
}

static int read_key(kt_key *key, const char *path, struct kt_error *err)
{
    kt_cleanup(closep) FILE *f = fopen(path, "re");
    struct stat st;
    if (!f || fstat(fileno(f), &st) < 0)
        return kt_error_set(err, -errno, "signing key %s: %s", path, kt_strerror(-errno));
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return kt_error_set(err, -EACCES, "signing key %s: others may read it (chmod 600 it)", path);
    key->pkey = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    char group[32] = "";
    if (!key->pkey ||
        EVP_PKEY_get_group_name(key->pkey, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "prime256v1") != 0)
        return kt_error_set(err, -EINVAL, "signing key %s: not a P-256 key in PEM form", path);
    return 0;
}

int kt_key_load(kt_key **out, const char *path, struct kt_error *err)
{
    kt_cleanup(kt_key_free) kt_key *key = calloc(1, sizeof(*key));
    if (!key)
        return -ENOMEM;
    int ret = access(path, F_OK) < 0 ? make_key(path) : 0;
    if (ret < 0)
        return kt_error_set(err, ret, "signing key %s cannot be made: %s", path, kt_strerror(ret));
    ret = read_key(key, path, err);
    if (ret < 0)
        return ret;
    uint8_t *p = key->der;
    const int n = i2d_PUBKEY(key->pkey, NULL);
    if (n <= 0 || (size_t)n > sizeof(key->der) || i2d_PUBKEY(key->pkey, &p) != n)
        return kt_error_set(err, -EINVAL, "signing key %s: no public part", path);
    key->der_size = (size_t)n;
    kt_sha256(key->fingerprint, key->der, key->der_size);
    *out = kt_steal_ptr(&key);
    return 0;
}

const uint8_t *kt_key_der(const kt_key *key, size_t *size)
{
    *size = key->der_size;
    return key->der;
}

const uint8_t *kt_key_fingerprint(const kt_key *key)
{
    return key->fingerprint;
}

int kt_key_sign(const kt_key *key, const void *data, size_t size, uint8_t sig[KT_SIGNATURE_MAX],
                size_t *sig_size)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = KT_SIGNATURE_MAX;
    const bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pkey) == 1 &&
                    EVP_DigestSign(ctx, sig, &n, data, size) == 1;
    EVP_MD_CTX_free(ctx);
    *sig_size = n;
    return ok ? 0 : -EIO;
}

int kt_key_verify(const uint8_t *der, size_t der_size, const void *data, size_t size,
                  const uint8_t *sig, size_t sig_size)
{
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)der_size);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
                    EVP_DigestVerify(ctx, sig, sig_size, data, size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok ? 0 : -EBADMSG;
}

#include "storage/catalog/totp.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

int kt_totp_code(const uint8_t *secret, size_t n, int64_t step, char out[7])
{
    uint8_t counter[8], mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    for (int i = 0; i < 8; i++)
        counter[i] = (uint8_t)((uint64_t)step >> (56 - 8 * i));
    if (!HMAC(EVP_sha1(), secret, (int)n, counter, sizeof(counter), mac, &size) || size != 20)
        return -EIO;
    const uint8_t *p = mac + (mac[19] & 15);        /* RFC 4226, 5.3: dynamic truncation */
    const uint32_t word = (uint32_t)(p[0] & 0x7f) << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    snprintf(out, 7, "%06u", word % 1000000);
    return 0;
}

int kt_totp_check(const uint8_t *secret, size_t n, const char *code, int64_t step, int64_t last,
                  int64_t *matched)
{
    int ret = -EACCES;
    if (strlen(code) != 6)
        return ret;
    for (int64_t s = step - 1; s <= step + 1; s++) {
        char expected[7];
        const int made = kt_totp_code(secret, n, s, expected);
        if (made < 0)
            return made;
        if (CRYPTO_memcmp(expected, code, 6) == 0 && s > last) {
            *matched = s;
            ret = 0;
        }
    }
    return ret;
}

void kt_base32(char *out, const uint8_t *data, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | data[i];
        for (have += 8; have >= 5; have -= 5)
            *out++ = alphabet[bits >> (have - 5) & 31];
    }
    if (have > 0)
        *out++ = alphabet[bits << (5 - have) & 31];
    *out = '\0';
}

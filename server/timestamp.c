#include "server/timestamp.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "server/net_guard.h"
#include "storage/vault/timestamp.h"

#define REPLY_MAX (256u << 10)
#define CONNECT_S 5L
#define WHOLE_S 20L

struct reply {
    uint8_t *data;
    size_t size;
};

static size_t take(char *data, size_t one, size_t n, void *user)
{
    struct reply *r = user;
    if (n > REPLY_MAX - r->size)
        return 0;
    uint8_t *bigger = realloc(r->data, r->size + n + 1);
    if (!bigger)
        return 0;
    r->data = bigger;
    memcpy(r->data + r->size, data, n);
    r->size += n;
    return n;
}

static int post(CURL *easy, const char *url, const uint8_t *request, size_t n, struct reply *reply,
                struct kt_error *err)
{
    struct kt_net_guard guard = { .allow = KT_NET_ALLOW_ALL };
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/timestamp-query");
    long status = 0;
    char *type = NULL;
    kt_net_guard_curl(easy, "http,https", &guard);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)n);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, WHOLE_S);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "kentongan");
    const CURLcode code = curl_easy_perform(easy);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    curl_slist_free_all(headers);
    if (code != CURLE_OK)
        return kt_error_set(err, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -ECONNREFUSED,
                            "the time stamping service did not answer: %s", curl_easy_strerror(code));
    if (status != 200 || !type || strncmp(type, "application/timestamp-reply", 27) != 0)
        return kt_error_set(err, -EBADMSG, "the time stamping service answered %ld, no time stamp", status);
    return 0;
}

int kt_timestamp_get(const char *url, const char *ca, const void *data, size_t size, uint8_t **out, size_t *n,
                     struct kt_error *err)
{
    kt_cleanup(kt_freep) uint8_t *request = NULL;
    struct kt_timestamp stamp;
    struct reply reply = { 0 };
    size_t request_n = 0;
    int ret = kt_timestamp_request(data, size, &request, &request_n);
    if (ret < 0)
        return kt_error_set(err, ret, "no time stamp can be asked for: %s", kt_strerror(ret));
    CURL *easy = curl_easy_init();
    ret = easy ? post(easy, url, request, request_n, &reply, err) : -ENOMEM;
    curl_easy_cleanup(easy);
    if (ret == 0)
        ret = kt_timestamp_check(reply.data, reply.size, request, request_n, data, size, ca, &stamp, err);
    if (ret < 0) {
        free(reply.data);
        return ret;
    }
    *out = reply.data;
    *n = reply.size;
    return 0;
}

/*
 * message.h - an alert as words, and as one transfer for each kind of channel.
 */
#ifndef KT_ALERTS_MESSAGE_H
#define KT_ALERTS_MESSAGE_H

#include <curl/curl.h>

#include "server/alerts/alerts.h"

struct kt_alert_site {
    const char *language, *link;
    int utc_offset_s;
};

/* What a transfer needs until it is over. */
struct kt_alert_request {
    char *url, *body;
    struct curl_slist *headers, *recipients;
    curl_mime *mime;
};

/* "Gerakan di Gerbang Utara (24-11 02:14 WIB)": one line, no control characters. */
void kt_alert_words(char *out, size_t cap, const struct kt_alert *alert, const struct kt_alert_site *site);

/*
 * Set EASY up to send ALERT through CH. ID is the delivery's, the same at every attempt.
 * REQ is empty before; free it after the transfer, whatever the outcome. -ENOMEM, -EINVAL.
 */
kt_must_check int kt_alert_prepare(CURL *easy, struct kt_alert_request *req,
                                   const struct kt_alert_channel *ch, const struct kt_alert *alert,
                                   const struct kt_alert_site *site, const char *id);
void kt_alert_request_free(struct kt_alert_request *req);

/* Lower-case hex HMAC-SHA256 of "TIMESTAMP.BODY". */
void kt_alert_sign(char out[65], const char *key, const char *timestamp, const char *body);

#endif

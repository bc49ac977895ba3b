#include "server/alerts/message.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

#include "server/alerts/gate.h"
#include "server/base/clock.h"

#define TELEGRAM "https://api.telegram.org"
#define TELEGRAM_CAPTION_MAX 1024

static const char *const kind_names[KT_ALERT_KINDS] = {
    [KT_ALERT_MOTION] = "motion",               [KT_ALERT_CAMERA_OFFLINE] = "camera-offline",
    [KT_ALERT_CAMERA_BACK] = "camera-back",     [KT_ALERT_CAMERA_TROUBLE] = "camera-trouble",
    [KT_ALERT_NOT_RECORDING] = "not-recording",
    [KT_ALERT_RECORDING] = "recording",         [KT_ALERT_DISK] = "disk",
    [KT_ALERT_CLOCK] = "clock",                 [KT_ALERT_TEST] = "test",
};

const char *kt_alert_kind_name(enum kt_alert_kind kind)
{
    return kind > 0 && kind < KT_ALERT_KINDS ? kind_names[kind] : "unknown";
}

enum kt_alert_kind kt_alert_kind_parse(const char *name)
{
    for (int k = 1; k < KT_ALERT_KINDS; k++)
        if (strcmp(kind_names[k], name) == 0)
            return (enum kt_alert_kind)k;
    return 0;
}

/* ------------------------- words ------------------------- */

static const struct {
    const char *id, *en;
} words[KT_ALERT_KINDS] = {
    [KT_ALERT_MOTION] = { "Gerakan di %s", "Motion at %s" },
    [KT_ALERT_CAMERA_OFFLINE] = { "Kamera %s tidak terhubung", "Camera %s is offline" },
    [KT_ALERT_CAMERA_BACK] = { "Kamera %s terhubung lagi", "Camera %s is back" },
    [KT_ALERT_CAMERA_TROUBLE] = { "Kamera %s terganggu", "Camera %s has trouble" },
    [KT_ALERT_NOT_RECORDING] = { "TIDAK MEREKAM: %s", "NOT RECORDING: %s" },
    [KT_ALERT_RECORDING] = { "Merekam lagi: %s", "Recording again: %s" },
    [KT_ALERT_DISK] = { "Disk bermasalah: %s", "Disk trouble: %s" },
    [KT_ALERT_CLOCK] = { "Jam tidak benar: %s", "Clock is wrong: %s" },
    [KT_ALERT_TEST] = { "Pesan percobaan dari %s", "Test message from %s" },
};

static const char *zone_name(char buf[8], int offset_s)
{
    switch (offset_s) {
    case 7 * 3600: return "WIB";
    case 8 * 3600: return "WITA";
    case 9 * 3600: return "WIT";
    default:
        snprintf(buf, 8, "%+03d%02d", offset_s / 3600 % 24, abs(offset_s) / 60 % 60);
        return buf;
    }
}

static void one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

void kt_alert_words(char *out, size_t cap, const struct kt_alert *a, const struct kt_alert_site *site)
{
    char head[200], when[32], zone[8];
    const bool id = strcmp(site->language, "en") != 0;
    const char *fmt = id ? words[a->kind].id : words[a->kind].en;
    const char *who = a->camera_name[0] ? a->camera_name : a->camera[0] ? a->camera
                      : id                                              ? "perekam"
                                                                        : "the recorder";
    const char *slot = strstr(fmt, "%s");
    snprintf(head, sizeof(head), "%.*s%s%s", (int)(slot - fmt), fmt, who, slot + 2);
    const time_t local = a->wall_us / KT_SECOND_US + site->utc_offset_s;
    struct tm tm;
    gmtime_r(&local, &tm);
    strftime(when, sizeof(when), "%d-%m %H:%M", &tm);
    snprintf(out, cap, "%s%s%s (%s %s)", head, a->text[0] ? ": " : "", a->text, when,
             zone_name(zone, site->utc_offset_s));
    one_line(out);
}

static char *link_to(const struct kt_alert *a, const struct kt_alert_site *site)
{
    char *text = NULL;
    const size_t n = site->link ? strlen(site->link) : 0;
    const int trimmed = (int)(n && site->link[n - 1] == '/' ? n - 1 : n);
    int ret = 0;
    if (!site->link)
        return strdup("");
    if (a->event)
        ret = asprintf(&text, "%.*s/events/%lld", trimmed, site->link, (long long)a->event);
    else
        ret = asprintf(&text, "%.*s/", trimmed, site->link);
    return ret < 0 ? NULL : text;
}

/* ------------------------- web hook ------------------------- */

void kt_alert_sign(char out[65], const char *key, const char *timestamp, const char *body)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    kt_cleanup(kt_freep) char *signed_text = NULL;
    out[0] = '\0';
    if (asprintf(&signed_text, "%s.%s", timestamp, body) < 0) {
        signed_text = NULL;
        return;
    }
    if (HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)signed_text, strlen(signed_text),
             mac, &n))
        kt_hex(out, mac, 32);
}

static json_t *fields(const struct kt_alert_channel *ch, const struct kt_alert *a,
                      const struct kt_alert_site *site, const char *id)
{
    char text[512], when[KT_RFC3339_SIZE];
    kt_cleanup(kt_freep) char *link = link_to(a, site);
    kt_alert_words(text, sizeof(text), a, site);
    kt_rfc3339_format(when, a->wall_us);
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:b,s:s}", "id", id, "kind",
                          kt_alert_kind_name(a->kind), "camera", a->camera, "camera_name", a->camera_name,
                          "text", text, "time", when, "event", (json_int_t)a->event, "urgent",
                          kt_alert_urgent(a->kind), "link", link ? link : "");
    if (o && a->jpeg && !ch->no_pictures) {
        const size_t cap = (a->jpeg_size + 2) / 3 * 4 + 1;
        kt_cleanup(kt_freep) char *base64 = malloc(cap);
        if (base64) {
            EVP_EncodeBlock((unsigned char *)base64, a->jpeg, (int)a->jpeg_size);
            json_object_set_new(o, "picture", json_string(base64));
        }
    }
    return o;
}

/* Each {{key}} of TEMPLATE by the text of O's member, as inside a JSON string. */
static char *fill(const char *template, json_t *o)
{
    char *out = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&out, &size);
    for (const char *p = template; f && *p;) {
        const char *end = strncmp(p, "{{", 2) == 0 ? strstr(p, "}}") : NULL;
        if (!end || end - p > 40) {
            fputc(*p++, f);
            continue;
        }
        char key[48];
        snprintf(key, sizeof(key), "%.*s", (int)(end - p - 2), p + 2);
        json_t *value = json_object_get(o, key);
        char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
        const size_t n = text ? strlen(text) : 0;
        if (n >= 2 && text[0] == '"')
            fwrite(text + 1, 1, n - 2, f);      /* escaped, without its quotes */
        else if (text)
            fputs(text, f);
        free(text);
        p = end + 2;
    }
    if (!f || fclose(f) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

static int add_header(struct kt_alert_request *req, const char *name, const char *value)
{
    kt_cleanup(kt_freep) char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0) {
        line = NULL;
        return -ENOMEM;
    }
    struct curl_slist *more = curl_slist_append(req->headers, line);
    if (!more)
        return -ENOMEM;
    req->headers = more;
    return 0;
}

static int prepare_webhook(CURL *easy, struct kt_alert_request *req, const struct kt_alert_channel *ch,
                           const struct kt_alert *a, const struct kt_alert_site *site, const char *id)
{
    char stamp[24], mac[65], signature[80];
    json_t *o = fields(ch, a, site, id);
    if (o)
        req->body = ch->body_template ? fill(ch->body_template, o) : json_dumps(o, JSON_COMPACT);
    json_decref(o);
    req->url = strdup(ch->url);
    if (!req->body || !req->url)
        return -ENOMEM;
    snprintf(stamp, sizeof(stamp), "%lld", (long long)(kt_clock_wall_us() / KT_SECOND_US));
    int ret = add_header(req, "Content-Type", "application/json");
    if (ret == 0)
        ret = add_header(req, "X-Kentongan-Id", id);
    if (ret == 0 && ch->secret) {
        kt_alert_sign(mac, ch->secret, stamp, req->body);
        snprintf(signature, sizeof(signature), "sha256=%s", mac);
        ret = add_header(req, "X-Kentongan-Timestamp", stamp);
        if (ret == 0)
            ret = add_header(req, "X-Kentongan-Signature", signature);
    }
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, req->body);
    return ret;
}

/* ------------------------- Telegram ------------------------- */

static int add_part(curl_mime *mime, const char *name, const char *value)
{
    curl_mimepart *part = curl_mime_addpart(mime);
    if (!part || (name && curl_mime_name(part, name) != CURLE_OK) ||
        curl_mime_data(part, value, CURL_ZERO_TERMINATED) != CURLE_OK)
        return -ENOMEM;
    return 0;
}

static int add_picture(curl_mime *mime, const char *name, const struct kt_alert *a)
{
    curl_mimepart *part = curl_mime_addpart(mime);
    if (!part || (name && curl_mime_name(part, name) != CURLE_OK) ||
        curl_mime_data(part, (const char *)a->jpeg, a->jpeg_size) != CURLE_OK ||
        curl_mime_type(part, "image/jpeg") != CURLE_OK ||
        curl_mime_filename(part, "kentongan.jpg") != CURLE_OK)
        return -ENOMEM;
    return 0;
}

static int prepare_telegram(CURL *easy, struct kt_alert_request *req, const struct kt_alert_channel *ch,
                            const struct kt_alert *a, const struct kt_alert_site *site)
{
    char text[TELEGRAM_CAPTION_MAX], words_of[512];
    const bool picture = a->jpeg && !ch->no_pictures;
    kt_cleanup(kt_freep) char *link = link_to(a, site);
    kt_alert_words(words_of, sizeof(words_of), a, site);
    snprintf(text, sizeof(text), "%s%s%s", words_of, link && link[0] ? "\n" : "", link ? link : "");
    if (asprintf(&req->url, "%s/bot%s/%s", ch->url ? ch->url : TELEGRAM, ch->secret ? ch->secret : "",
                 picture ? "sendPhoto" : "sendMessage") < 0) {
        req->url = NULL;
        return -ENOMEM;
    }
    req->mime = curl_mime_init(easy);
    int ret = req->mime ? add_part(req->mime, "chat_id", ch->to ? ch->to : "") : -ENOMEM;
    if (ret == 0)
        ret = add_part(req->mime, picture ? "caption" : "text", text);
    if (ret == 0 && picture)
        ret = add_picture(req->mime, "photo", a);
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, req->mime);
    return ret;
}

/* ------------------------- ntfy ------------------------- */

static int prepare_ntfy(CURL *easy, struct kt_alert_request *req, const struct kt_alert_channel *ch,
                        const struct kt_alert *a, const struct kt_alert_site *site)
{
    char text[512];
    const bool picture = a->jpeg && !ch->no_pictures;
    kt_cleanup(kt_freep) char *link = link_to(a, site);
    kt_alert_words(text, sizeof(text), a, site);
    /* Parameters, not headers: those would have to be ASCII. */
    char *message = curl_easy_escape(easy, text, 0);
    char *click = curl_easy_escape(easy, link ? link : "", 0);
    int ret = !message || !click ? -ENOMEM
              : asprintf(&req->url, "%s%ctitle=Kentongan&message=%s&priority=%d&tags=%s%s%s%s", ch->url,
                         strchr(ch->url, '?') ? '&' : '?', message, kt_alert_urgent(a->kind) ? 5 : 3,
                         kt_alert_urgent(a->kind) ? "rotating_light" : "bell", link && link[0] ? "&click=" : "",
                         link && link[0] ? click : "", picture ? "&filename=kentongan.jpg" : "") < 0
                  ? -ENOMEM
                  : 0;
    curl_free(message);
    curl_free(click);
    if (ret < 0) {
        req->url = NULL;
        return ret;
    }
    if (ch->secret) {
        kt_cleanup(kt_freep) char *bearer = NULL;
        if (asprintf(&bearer, "Bearer %s", ch->secret) < 0) {
            bearer = NULL;
            return -ENOMEM;
        }
        ret = add_header(req, "Authorization", bearer);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, picture ? (long)a->jpeg_size : 0L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, picture ? (const char *)a->jpeg : "");
    return ret == 0 ? add_header(req, "Content-Type", picture ? "image/jpeg" : "text/plain") : ret;
}

/* ------------------------- e-mail ------------------------- */

static int add_recipients(struct kt_alert_request *req, const char *to)
{
    kt_cleanup(kt_freep) char *list = strdup(to ? to : "");
    char *save = NULL;
    for (char *one = list ? strtok_r(list, ", ", &save) : NULL; one; one = strtok_r(NULL, ", ", &save)) {
        struct curl_slist *more = curl_slist_append(req->recipients, one);
        if (!more)
            return -ENOMEM;
        req->recipients = more;
    }
    return req->recipients ? 0 : -EINVAL;
}

/* RFC 2047: a header of any characters. */
static int add_subject(struct kt_alert_request *req, const char *text)
{
    char base64[256], line[300];
    char cut[160];
    size_t n = strlen(text);
    if (n >= sizeof(cut)) {
        n = sizeof(cut) - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    memcpy(cut, text, n);
    EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)cut, (int)n);
    snprintf(line, sizeof(line), "=?UTF-8?B?%s?=", base64);
    return add_header(req, "Subject", line);
}

static int add_mail_headers(struct kt_alert_request *req, const struct kt_alert_channel *ch, const char *text,
                            const char *id)
{
    char date[64], message_id[128];
    struct tm tm;
    const time_t now = kt_clock_wall_us() / KT_SECOND_US;
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    snprintf(message_id, sizeof(message_id), "<%s@kentongan>", id);
    int ret = add_header(req, "Date", date);
    if (ret == 0)
        ret = add_header(req, "From", ch->from);
    if (ret == 0)
        ret = add_header(req, "To", ch->to);
    if (ret == 0)
        ret = add_header(req, "Message-ID", message_id);
    return ret == 0 ? add_subject(req, text) : ret;
}

static int prepare_mail(CURL *easy, struct kt_alert_request *req, const struct kt_alert_channel *ch,
                        const struct kt_alert *a, const struct kt_alert_site *site, const char *id)
{
    char text[512], body[1024];
    if (!ch->from || !ch->to || strpbrk(ch->from, "\r\n") || strpbrk(ch->to, "\r\n"))
        return -EINVAL;
    kt_cleanup(kt_freep) char *link = link_to(a, site);
    kt_alert_words(text, sizeof(text), a, site);
    snprintf(body, sizeof(body), "%s\r\n\r\n%s\r\n", text, link ? link : "");
    req->url = strdup(ch->url);
    req->mime = curl_mime_init(easy);
    int ret = req->url && req->mime ? add_recipients(req, ch->to) : -ENOMEM;
    if (ret == 0)
        ret = add_mail_headers(req, ch, text, id);
    if (ret == 0)
        ret = add_part(req->mime, NULL, body);
    if (ret == 0 && a->jpeg && !ch->no_pictures)
        ret = add_picture(req->mime, NULL, a);
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, ch->from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, req->recipients);
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, req->mime);
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)(ch->secret ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    if (ch->user) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, ch->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, ch->secret ? ch->secret : "");
    }
    return ret;
}

/* ------------------------- all of them ------------------------- */

int kt_alert_prepare(CURL *easy, struct kt_alert_request *req, const struct kt_alert_channel *ch,
                     const struct kt_alert *a, const struct kt_alert_site *site, const char *id)
{
    int ret = -EINVAL;
    switch (ch->type) {
    case KT_ALERT_WEBHOOK:
        ret = prepare_webhook(easy, req, ch, a, site, id);
        break;
    case KT_ALERT_TELEGRAM:
        ret = prepare_telegram(easy, req, ch, a, site);
        break;
    case KT_ALERT_NTFY:
        ret = prepare_ntfy(easy, req, ch, a, site);
        break;
    case KT_ALERT_MAIL:
        ret = prepare_mail(easy, req, ch, a, site, id);
        break;
    }
    if (ret < 0)
        return ret;
    curl_easy_setopt(easy, CURLOPT_URL, req->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, req->headers);
    return 0;
}

void kt_alert_request_free(struct kt_alert_request *req)
{
    free(req->url);         /* holds a Telegram token, no better and no worse than the configuration */
    free(req->body);
    curl_slist_free_all(req->headers);
    curl_slist_free_all(req->recipients);
    curl_mime_free(req->mime);
    memset(req, 0, sizeof(*req));
}

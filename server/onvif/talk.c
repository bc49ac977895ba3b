#include "server/onvif/talk.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "server/base/clock.h"
#include "server/onvif/soap.h"

#define VER10_MEDIA "http://www.onvif.org/ver10/media/wsdl"
#define VER20_MEDIA "http://www.onvif.org/ver20/media/wsdl"

/* ------------------------- addresses ------------------------- */

static void free_url(CURLU **u)
{
    curl_url_cleanup(*u);
}

static void free_part(char **part)
{
    curl_free(*part);
}

static bool scheme_in(const char *scheme, const char *list)
{
    const char *at = strstr(list, scheme);
    const char after = at ? at[strlen(scheme)] : 'x';
    return at && (at == list || at[-1] == ',') && (after == ',' || after == '\0');
}

int kt_onvif_rehost(char *out, size_t cap, const char *url, const char *host, const char *schemes)
{
    kt_cleanup(free_url) CURLU *u = curl_url();
    kt_cleanup(free_part) char *scheme = NULL, *text = NULL;
    if (!u)
        return -ENOMEM;
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK || !scheme_in(scheme, schemes))
        return -EINVAL;
    if ((host && curl_url_set(u, CURLUPART_HOST, host, 0) != CURLUE_OK) ||
        curl_url_set(u, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
        return -EINVAL;
    if (strstr(text, "${"))             /* our configuration file would put a secret there */
        return -EINVAL;
    if (strlen(text) >= cap)
        return -ENAMETOOLONG;
    strcpy(out, text);
    return 0;
}

static int host_of(char *out, size_t cap, const char *url)
{
    kt_cleanup(free_url) CURLU *u = curl_url();
    kt_cleanup(free_part) char *host = NULL;
    if (!u || curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK || strlen(host) >= cap)
        return -EINVAL;
    strcpy(out, host);
    return 0;
}

/* ------------------------- what to ask ------------------------- */

int kt_onvif_talk_begin(struct kt_onvif_talk *talk, const char *service, const char *user,
                        const char *password)
{
    memset(talk, 0, sizeof(*talk));
    talk->user = user;
    talk->password = password ? password : "";
    talk->cam.state = KT_ONVIF_ASKING;
    int ret = kt_onvif_rehost(talk->cam.service, sizeof(talk->cam.service), service, NULL, "http,https");
    if (ret == 0)
        ret = host_of(talk->cam.host, sizeof(talk->cam.host), talk->cam.service);
    return ret;
}

static int stream_request(struct kt_onvif_talk *talk, char **out)
{
    kt_cleanup(kt_freep) char *token = kt_soap_escape(talk->cam.profiles[talk->profile].token);
    if (!token)
        return -ENOMEM;
    const char *fmt =
        talk->step == KT_ONVIF_STEP_SNAPSHOT
            ? (talk->uses_media2 ? "<tr2:GetSnapshotUri><tr2:ProfileToken>%s</tr2:ProfileToken></tr2:GetSnapshotUri>"
                                 : "<trt:GetSnapshotUri><trt:ProfileToken>%s</trt:ProfileToken></trt:GetSnapshotUri>")
        : talk->uses_media2
            ? "<tr2:GetStreamUri><tr2:Protocol>RTSP</tr2:Protocol><tr2:ProfileToken>%s</tr2:ProfileToken>"
              "</tr2:GetStreamUri>"
            : "<trt:GetStreamUri><trt:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport>"
              "<tt:Protocol>RTSP</tt:Protocol></tt:Transport></trt:StreamSetup>"
              "<trt:ProfileToken>%s</trt:ProfileToken></trt:GetStreamUri>";
    const size_t cap = strlen(fmt) + strlen(token) + 1;
    char *text = malloc(cap);
    if (!text)
        return -ENOMEM;
    const char *slot = strstr(fmt, "%s");
    snprintf(text, cap, "%.*s%s%s", (int)(slot - fmt), fmt, token, slot + 2);
    *out = text;
    return 0;
}

static int request_body(struct kt_onvif_talk *talk, char **out)
{
    static const char *const bodies[] = {
        [KT_ONVIF_STEP_CLOCK] = "<tds:GetSystemDateAndTime/>",
        [KT_ONVIF_STEP_INFO] = "<tds:GetDeviceInformation/>",
        [KT_ONVIF_STEP_SERVICES] =
            "<tds:GetServices><tds:IncludeCapability>false</tds:IncludeCapability></tds:GetServices>",
        [KT_ONVIF_STEP_CAPABILITIES] =
            "<tds:GetCapabilities><tds:Category>All</tds:Category></tds:GetCapabilities>",
        [KT_ONVIF_STEP_PROFILES2] = "<tr2:GetProfiles><tr2:Type>All</tr2:Type></tr2:GetProfiles>",
        [KT_ONVIF_STEP_PROFILES] = "<trt:GetProfiles/>",
    };
    if (talk->step == KT_ONVIF_STEP_STREAM || talk->step == KT_ONVIF_STEP_SNAPSHOT)
        return stream_request(talk, out);
    *out = strdup(bodies[talk->step]);
    return *out ? 0 : -ENOMEM;
}

int kt_onvif_talk_ask(struct kt_onvif_talk *talk, const char **url, char **out)
{
    if (talk->step == KT_ONVIF_STEP_OVER)
        return -EPIPE;
    kt_cleanup(kt_freep) char *body = NULL;
    int ret = request_body(talk, &body);
    if (ret < 0)
        return ret;
    *url = talk->step < KT_ONVIF_STEP_PROFILES2 ? talk->cam.service
           : talk->uses_media2                  ? talk->media2
                                                : talk->media;
    const struct kt_soap_login login = { talk->user, talk->password, talk->cam.clock_offset_us };
    /* The clock is everyone's to ask: the answer is needed to make a token. */
    const bool with_login = talk->user && !talk->http_digest && talk->step != KT_ONVIF_STEP_CLOCK;
    return kt_soap_envelope(out, body, with_login ? &login : NULL);
}

/* ------------------------- what an answer means ------------------------- */

static void end(struct kt_onvif_talk *talk, enum kt_onvif_state state, const char *why)
{
    talk->cam.state = state;
    talk->step = KT_ONVIF_STEP_OVER;
    snprintf(talk->cam.why, sizeof(talk->cam.why), "%s", why);
}

void kt_onvif_talk_fail(struct kt_onvif_talk *talk, const char *why)
{
    if (talk->step == KT_ONVIF_STEP_SNAPSHOT && talk->cam.n_profiles > 0)
        end(talk, KT_ONVIF_READY, "");          /* a snapshot address is nice to have */
    else
        end(talk, KT_ONVIF_FAILED, why);
}

static void hear_clock(struct kt_onvif_talk *talk, xmlNode *root, int64_t middle_us)
{
    xmlNode *utc = kt_soap_find(root, "UTCDateTime");
    xmlNode *date = utc ? kt_soap_find(utc, "Date") : NULL, *time = utc ? kt_soap_find(utc, "Time") : NULL;
    if (!date || !time)
        return;
    struct tm tm = { .tm_year = kt_soap_int(date, "Year") - 1900, .tm_mon = kt_soap_int(date, "Month") - 1,
                     .tm_mday = kt_soap_int(date, "Day"), .tm_hour = kt_soap_int(time, "Hour"),
                     .tm_min = kt_soap_int(time, "Minute"), .tm_sec = kt_soap_int(time, "Second") };
    if (tm.tm_year < 0 || tm.tm_year > 300)
        return;
    /* It says whole seconds: half a second on average has passed since. */
    const int64_t theirs = (int64_t)timegm(&tm) * KT_SECOND_US + KT_SECOND_US / 2;
    talk->cam.clock_offset_us = theirs - middle_us;
    talk->cam.has_clock = true;
}

static void hear_information(struct kt_onvif_talk *talk, xmlNode *root)
{
    struct kt_onvif_camera *c = &talk->cam;
    kt_soap_text(root, "Manufacturer", c->maker, sizeof(c->maker));
    kt_soap_text(root, "Model", c->model, sizeof(c->model));
    kt_soap_text(root, "FirmwareVersion", c->firmware, sizeof(c->firmware));
    kt_soap_text(root, "SerialNumber", c->serial, sizeof(c->serial));
    if (!c->name[0])
        snprintf(c->name, sizeof(c->name), "%s", c->model);
}

static void take_service(struct kt_onvif_talk *talk, xmlNode *node, char *out, size_t cap)
{
    char address[256];
    if (kt_soap_text(node, "XAddr", address, sizeof(address)) &&
        kt_onvif_rehost(out, cap, address, talk->cam.host, "http,https") < 0)
        out[0] = '\0';
}

static void hear_services(struct kt_onvif_talk *talk, xmlNode *root)
{
    char name[128];
    for (xmlNode *s = kt_soap_find(root, "Service"); s; s = kt_soap_next(s)) {
        kt_soap_text(s, "Namespace", name, sizeof(name));
        if (strcmp(name, VER10_MEDIA) == 0)
            take_service(talk, s, talk->media, sizeof(talk->media));
        else if (strcmp(name, VER20_MEDIA) == 0)
            take_service(talk, s, talk->media2, sizeof(talk->media2));
    }
}

static void hear_capabilities(struct kt_onvif_talk *talk, xmlNode *root)
{
    xmlNode *media = kt_soap_find(root, "Media");
    if (media)
        take_service(talk, media, talk->media, sizeof(talk->media));
    if (!talk->media[0])        /* some name no media service and have it where all is */
        snprintf(talk->media, sizeof(talk->media), "%s", talk->cam.service);
}

/* "H264", "H265", "video/H265", "JPEG" -> "h264" … */
static void codec_name(char out[16], const char *encoding)
{
    const char *slash = strrchr(encoding, '/');
    size_t n = 0;
    for (const char *p = slash ? slash + 1 : encoding; *p && n < 15; p++)
        if (*p != '.')
            out[n++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
    out[n] = '\0';
    if (strcmp(out, "hevc") == 0)
        strcpy(out, "h265");
}

static bool take_profile(struct kt_onvif_profile *p, xmlNode *node)
{
    char encoding[32];
    memset(p, 0, sizeof(*p));
    kt_soap_attribute(node, "token", p->token, sizeof(p->token));
    kt_soap_text(node, "Name", p->name, sizeof(p->name));
    xmlNode *encoder = kt_soap_find(node, "VideoEncoderConfiguration");
    if (!encoder)
        encoder = kt_soap_find(node, "VideoEncoder");           /* Media2 */
    if (!encoder || !p->token[0])
        return false;
    kt_soap_text(encoder, "Encoding", encoding, sizeof(encoding));
    codec_name(p->codec, encoding);
    p->width = kt_soap_int(encoder, "Width");
    p->height = kt_soap_int(encoder, "Height");
    p->fps = kt_soap_int(encoder, "FrameRateLimit");
    p->kbps = kt_soap_int(encoder, "BitrateLimit");
    kt_soap_text(node, "SourceToken", p->source, sizeof(p->source));
    return true;
}

static void hear_profiles(struct kt_onvif_talk *talk, xmlNode *root)
{
    struct kt_onvif_camera *c = &talk->cam;
    for (xmlNode *p = kt_soap_find(root, "Profiles"); p && c->n_profiles < KT_ONVIF_PROFILES_MAX;
         p = kt_soap_next(p))
        if (take_profile(&c->profiles[c->n_profiles], p))
            c->n_profiles++;
}

static void hear_stream(struct kt_onvif_talk *talk, xmlNode *root)
{
    char address[KT_URL_MAX];
    struct kt_onvif_profile *p = &talk->cam.profiles[talk->profile];
    if (kt_soap_text(root, "Uri", address, sizeof(address)) &&
        kt_onvif_rehost(p->stream, sizeof(p->stream), address, talk->cam.host, "rtsp,rtsps") < 0)
        p->stream[0] = '\0';
}

static void hear_snapshot(struct kt_onvif_talk *talk, xmlNode *root)
{
    char address[KT_URL_MAX];
    if (kt_soap_text(root, "Uri", address, sizeof(address)) &&
        kt_onvif_rehost(talk->cam.snapshot, sizeof(talk->cam.snapshot), address, talk->cam.host,
                        "http,https") < 0)
        talk->cam.snapshot[0] = '\0';
}

static void next_profiles(struct kt_onvif_talk *talk)
{
    talk->uses_media2 = talk->media2[0] != '\0';
    talk->step = talk->uses_media2 ? KT_ONVIF_STEP_PROFILES2 : KT_ONVIF_STEP_PROFILES;
}

static bool any_stream(const struct kt_onvif_camera *c)
{
    for (size_t i = 0; i < c->n_profiles; i++)
        if (c->profiles[i].stream[0])
            return true;
    return false;
}

/* FAULT: the device does not know the question. */
static void step_on(struct kt_onvif_talk *talk, bool fault)
{
    switch (talk->step) {
    case KT_ONVIF_STEP_CLOCK:
        talk->step = KT_ONVIF_STEP_INFO;
        break;
    case KT_ONVIF_STEP_INFO:
        talk->step = KT_ONVIF_STEP_SERVICES;
        break;
    case KT_ONVIF_STEP_SERVICES:
        if (fault || (!talk->media[0] && !talk->media2[0]))
            talk->step = KT_ONVIF_STEP_CAPABILITIES;
        else
            next_profiles(talk);
        break;
    case KT_ONVIF_STEP_CAPABILITIES:
        next_profiles(talk);
        break;
    case KT_ONVIF_STEP_PROFILES2:
    case KT_ONVIF_STEP_PROFILES:
        if (talk->cam.n_profiles > 0) {
            talk->step = KT_ONVIF_STEP_STREAM;
        } else if (talk->uses_media2 && talk->media[0]) {
            talk->uses_media2 = false;
            talk->step = KT_ONVIF_STEP_PROFILES;
        } else {
            end(talk, KT_ONVIF_FAILED, "it has no video profile");
        }
        break;
    case KT_ONVIF_STEP_STREAM:
        if (++talk->profile < talk->cam.n_profiles)
            break;
        talk->profile = 0;
        if (any_stream(&talk->cam))
            talk->step = KT_ONVIF_STEP_SNAPSHOT;
        else
            end(talk, KT_ONVIF_FAILED, "it gives no stream address");
        break;
    default:
        end(talk, KT_ONVIF_READY, "");
    }
}

/* A login is missing or wrong. Devices want one of two ways of showing it: try the other
 * once, and no more: many lock the account after a few failures. */
static void refused(struct kt_onvif_talk *talk, long status)
{
    if (!talk->user)
        end(talk, KT_ONVIF_PASSWORD_NEEDED, "it asks for a user name and password");
    else if (status == 401 && !talk->http_digest)
        talk->http_digest = true;
    else
        end(talk, KT_ONVIF_WRONG_PASSWORD, "it refuses this user name and password");
}

static void understand(struct kt_onvif_talk *talk, xmlNode *root, int64_t middle_us)
{
    switch (talk->step) {
    case KT_ONVIF_STEP_CLOCK:
        hear_clock(talk, root, middle_us);
        break;
    case KT_ONVIF_STEP_INFO:
        hear_information(talk, root);
        break;
    case KT_ONVIF_STEP_SERVICES:
        hear_services(talk, root);
        break;
    case KT_ONVIF_STEP_CAPABILITIES:
        hear_capabilities(talk, root);
        break;
    case KT_ONVIF_STEP_PROFILES2:
    case KT_ONVIF_STEP_PROFILES:
        hear_profiles(talk, root);
        break;
    case KT_ONVIF_STEP_STREAM:
        hear_stream(talk, root);
        break;
    default:
        hear_snapshot(talk, root);
    }
}

void kt_onvif_talk_hear(struct kt_onvif_talk *talk, long status, const void *data, size_t size,
                        int64_t sent_us, int64_t now_us)
{
    char reason[120] = "";
    bool unauthorised = false;
    kt_cleanup(kt_soap_free) xmlDoc *doc = NULL;
    const int ret = kt_soap_parse(&doc, data, size);
    xmlNode *root = ret == 0 ? xmlDocGetRootElement(doc) : NULL;
    const bool soap = root && strcmp((const char *)root->name, "Envelope") == 0;
    const bool fault = soap && kt_soap_fault(doc, reason, sizeof(reason), &unauthorised);

    talk->answered |= soap;
    if (status == 401 || (fault && unauthorised)) {
        if (talk->step == KT_ONVIF_STEP_CLOCK && talk->answered)
            step_on(talk, true);    /* some hide even their clock: guess that it is right */
        else if (talk->step == KT_ONVIF_STEP_SNAPSHOT)
            end(talk, KT_ONVIF_READY, "");
        else
            refused(talk, status);
        talk->answered = true;
        return;
    }
    if (!soap) {
        kt_onvif_talk_fail(talk, "it does not speak ONVIF");
        return;
    }
    if (!fault)
        understand(talk, root, sent_us + (now_us - sent_us) / 2);
    step_on(talk, fault);
    if (talk->cam.state == KT_ONVIF_FAILED && reason[0])
        snprintf(talk->cam.why, sizeof(talk->cam.why), "it says: %s", reason);
}

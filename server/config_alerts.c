#include "server/config_alerts.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "server/alerts/gate.h"
#include "server/net_guard.h"

#define TEMPLATE_MAX 16384

#define PTR_OPT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT(key) CYAML_FIELD_STRING_PTR(#key, PTR_OPT, struct kt_yaml_channel, key, 0, 1023)

static const cyaml_strval_t type_words[] = { { "webhook", KT_ALERT_WEBHOOK },
                                             { "telegram", KT_ALERT_TELEGRAM },
                                             { "ntfy", KT_ALERT_NTFY },
                                             { "mail", KT_ALERT_MAIL } };
static const cyaml_strval_t kind_words[] = {
    { "motion", 1 << KT_ALERT_MOTION },
    { "camera-offline", 1 << KT_ALERT_CAMERA_OFFLINE },
    { "camera-back", 1 << KT_ALERT_CAMERA_BACK },
    { "camera-trouble", 1 << KT_ALERT_CAMERA_TROUBLE },
    { "not-recording", 1 << KT_ALERT_NOT_RECORDING },
    { "recording", 1 << KT_ALERT_RECORDING },
    { "disk", 1 << KT_ALERT_DISK },
    { "clock", 1 << KT_ALERT_CLOCK },
};

static const cyaml_schema_field_t channel_fields[] = {
    CYAML_FIELD_ENUM("type", CYAML_FLAG_STRICT, struct kt_yaml_channel, type, type_words,
                     KT_ARRAY_SIZE(type_words)),
    TEXT(name),
    TEXT(url),
    TEXT(secret),
    TEXT(secret_file),
    TEXT(to),
    TEXT(from),
    TEXT(user),
    TEXT(template_file),
    CYAML_FIELD_FLAGS("events", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct kt_yaml_channel, events,
                      kind_words, KT_ARRAY_SIZE(kind_words)),
    CYAML_FIELD_BOOL_PTR("pictures", PTR_OPT, struct kt_yaml_channel, pictures),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t channel_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct kt_yaml_channel, channel_fields),
};

const cyaml_schema_field_t kt_yaml_alerts_fields[] = {
    CYAML_FIELD_STRING_PTR("link", PTR_OPT, struct kt_yaml_alerts, link, 0, 500),
    CYAML_FIELD_STRING_PTR("night", PTR_OPT, struct kt_yaml_alerts, night, 0, 20),
    CYAML_FIELD_STRING_PTR("quiet", PTR_OPT, struct kt_yaml_alerts, quiet, 0, 20),
    CYAML_FIELD_INT("cooldown", CYAML_FLAG_OPTIONAL, struct kt_yaml_alerts, cooldown),
    CYAML_FIELD_SEQUENCE("channels", CYAML_FLAG_POINTER, struct kt_yaml_alerts, channels, &channel_value,
                         0, 16),
    CYAML_FIELD_END,
};

static int complain(struct kt_alerts_complaint *c, int index, const char *key, const char *fmt, ...)
    kt_printf(4, 5);

static int complain(struct kt_alerts_complaint *c, int index, const char *key, const char *fmt, ...)
{
    va_list ap;
    c->index = index;
    c->key = key;
    va_start(ap, fmt);
    vsnprintf(c->text, sizeof(c->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

/* "22:00-05:00" */
static int read_hours(struct kt_alert_hours *out, const char *text, const char *key,
                      struct kt_alerts_complaint *c)
{
    char from[8];
    const char *dash = text ? strchr(text, '-') : NULL;
    if (!text || !text[0])
        return 0;
    if (dash && dash - text < (int)sizeof(from)) {
        snprintf(from, sizeof(from), "%.*s", (int)(dash - text), text);
        out->from = kt_alert_hour_parse(from);
        out->to = kt_alert_hour_parse(dash + 1);
        if (out->from >= 0 && out->to >= 0 && out->from != out->to)
            return 0;
    }
    return complain(c, -1, key, "'%s': write it as \"22:00-05:00\"", text);
}

/* A copy; "${NAME}" as the whole of it is taken from the environment. */
static int take(const char **out, const char *text, int index, const char *key,
                struct kt_alerts_complaint *c)
{
    const size_t n = text ? strlen(text) : 0;
    char name[128];
    if (n == 0)
        return 0;
    if (strncmp(text, "${", 2) == 0 && text[n - 1] == '}' && n < sizeof(name)) {
        snprintf(name, sizeof(name), "%.*s", (int)n - 3, text + 2);
        text = getenv(name);
        if (!text)
            return complain(c, index, key, "${%s} is not set in the environment", name);
    }
    *out = strdup(text);
    return *out ? 0 : -ENOMEM;
}

/* All of PATH, or (FIRST_LINE) its first line. */
static int take_file(const char **out, const char *path, bool first_line, int index, const char *key,
                     struct kt_alerts_complaint *c)
{
    kt_cleanup(kt_fclosep) FILE *f = path && path[0] ? fopen(path, "re") : NULL;
    if (!path || !path[0])
        return 0;
    char *text = f ? calloc(1, TEMPLATE_MAX) : NULL;
    if (!text)
        return complain(c, index, key, "%.120s: %s", path, strerror(errno));
    const size_t n = fread(text, 1, TEMPLATE_MAX, f);
    *out = text;
    if (n == TEMPLATE_MAX || memchr(text, '\0', n))
        return complain(c, index, key, "%.120s: too long, or no text", path);
    if (first_line)
        text[strcspn(text, "\r\n")] = '\0';
    return 0;
}

static int check_url(const struct kt_alert_channel *ch, int i, struct kt_alerts_complaint *c)
{
    const char *schemes[] = { [KT_ALERT_WEBHOOK] = "http://,https://", [KT_ALERT_TELEGRAM] = "http://,https://",
                              [KT_ALERT_NTFY] = "http://,https://", [KT_ALERT_MAIL] = "smtp://,smtps://" };
    if (!ch->url)
        return ch->type == KT_ALERT_TELEGRAM ? 0 : complain(c, i, "type", "'url' is missing");
    const char *colon = strstr(ch->url, "://");
    char scheme[16] = "";
    if (colon && colon - ch->url < 10)
        snprintf(scheme, sizeof(scheme), "%.*s", (int)(colon - ch->url) + 3, ch->url);
    if (!scheme[0] || !strstr(schemes[ch->type], scheme))
        return complain(c, i, "url", "this is no address of the kind %s", schemes[ch->type]);
    return 0;
}

static int check_channel(const struct kt_alert_channel *ch, int i, struct kt_alerts_complaint *c)
{
    const int ret = check_url(ch, i, c);
    if (ret < 0)
        return ret;
    if (ch->type == KT_ALERT_TELEGRAM && (!ch->secret || !ch->to))
        return complain(c, i, "type", "telegram needs 'secret' (the bot's token) and 'to' (the chat)");
    if (ch->type == KT_ALERT_MAIL && (!ch->from || !ch->to))
        return complain(c, i, "type", "mail needs 'from' and 'to'");
    return 0;
}

static int read_channel(struct kt_alert_channel *ch, const struct kt_yaml_channel *y, int i,
                        struct kt_alerts_complaint *c)
{
    static const char *const names[] = { [KT_ALERT_WEBHOOK] = "webhook", [KT_ALERT_TELEGRAM] = "telegram",
                                         [KT_ALERT_NTFY] = "ntfy", [KT_ALERT_MAIL] = "mail" };
    ch->type = (enum kt_alert_channel_type)y->type;
    ch->kinds = y->events;
    ch->no_pictures = y->pictures && !*y->pictures;
    ch->allow = KT_NET_ALLOW_ALL;           /* the file is the operator's own word */
    if (y->secret && y->secret_file)
        return complain(c, i, "secret_file", "'secret' is there too: only one of them");
    int ret = take(&ch->name, y->name ? y->name : names[y->type], i, "name", c);
    ret = ret ? ret : take(&ch->url, y->url, i, "url", c);
    ret = ret ? ret : take(&ch->secret, y->secret, i, "secret", c);
    ret = ret ? ret : take_file(&ch->secret, y->secret_file, true, i, "secret_file", c);
    ret = ret ? ret : take(&ch->to, y->to, i, "to", c);
    ret = ret ? ret : take(&ch->from, y->from, i, "from", c);
    ret = ret ? ret : take(&ch->user, y->user, i, "user", c);
    ret = ret ? ret : take_file(&ch->body_template, y->template_file, false, i, "template_file", c);
    return ret ? ret : check_channel(ch, i, c);
}

int kt_config_alerts_read(struct kt_alerts_config **out, const struct kt_yaml_alerts *y,
                          struct kt_alerts_complaint *c)
{
    kt_cleanup(kt_config_alerts_free) struct kt_alerts_config *config = calloc(1, sizeof(*config));
    struct kt_alert_channel *channels = calloc(y->channels_count + 1, sizeof(*channels));
    if (!config || !channels) {
        free(channels);
        return -ENOMEM;
    }
    config->channels = channels;
    config->cooldown_s = y->cooldown;
    if (y->cooldown < 0 || y->cooldown > 86400)
        return complain(c, -1, "cooldown", "%d: 1 to 86400 seconds", y->cooldown);
    int ret = read_hours(&config->night, y->night, "night", c);
    ret = ret ? ret : read_hours(&config->quiet, y->quiet, "quiet", c);
    ret = ret ? ret : take(&config->link, y->link, -1, "link", c);
    for (unsigned i = 0; i < y->channels_count && ret == 0; i++) {
        config->n_channels++;
        ret = read_channel(&channels[i], &y->channels[i], (int)i, c);
        for (unsigned k = 0; k < i && ret == 0; k++)
            if (strcmp(channels[k].name, channels[i].name) == 0)
                ret = complain(c, (int)i, "name", "there is a channel '%s' already: give it a name",
                               channels[i].name);
    }
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&config);
    return 0;
}

void kt_config_alerts_free(struct kt_alerts_config **pc)
{
    struct kt_alerts_config *c = kt_steal_ptr(pc);
    if (!c)
        return;
    for (size_t i = 0; i < c->n_channels; i++) {
        const struct kt_alert_channel *ch = &c->channels[i];
        if (ch->secret)
            explicit_bzero((char *)ch->secret, strlen(ch->secret));
        free((char *)ch->name);
        free((char *)ch->url);
        free((char *)ch->secret);
        free((char *)ch->to);
        free((char *)ch->from);
        free((char *)ch->user);
        free((char *)ch->body_template);
    }
    free((void *)c->channels);
    free((char *)c->link);
    free(c);
}

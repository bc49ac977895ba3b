#include "server/config.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "server/config_alerts.h"
#include "server/config_place.h"
#include "storage/ring/ring.h"

#define MAX_FILE_BYTES (4u << 20)
#define MAX_CA_BYTES (1u << 20)
#define DEFAULT_LISTEN "0.0.0.0:8080"
#define DEFAULT_TIMEZONE "Asia/Jakarta"
#define DEFAULT_LANGUAGE "id"
#define DEFAULT_VIDEO_BYTES (UINT64_C(2) << 30)
#define DEFAULT_VAULT_BYTES (UINT64_C(1) << 30)
#define DEFAULT_CLIPS_BYTES (UINT64_C(512) << 20)

/* ------------------------- the file as libcyaml sees it ------------------------- */

struct yaml_server {
    char *listen, *timezone, *language, *tls_cert, *tls_key;
    bool *allow_loopback;
};

struct yaml_ring {
    char *name, *path, *size;
    enum kt_ring_only only;
    enum kt_ring_streams streams;       /* 0: not given */
    char **cameras;
    unsigned cameras_count;
};

struct yaml_vault {
    char *path, *max_size, *timestamp_url, *timestamp_ca;
};

struct yaml_storage {
    char *catalog;
    struct yaml_ring *rings;
    unsigned rings_count;
    struct yaml_vault *vault;
};

struct yaml_camera {
    char *id, *name, *main, *sub, *snapshot, *transport, *password_file, *rules_file;
    int analysis;
    bool *enabled;
};

struct yaml_file {
    struct yaml_server *server;
    struct yaml_storage *storage;
    struct kt_yaml_alerts *alerts;
    struct yaml_camera *cameras;
    unsigned cameras_count;
};

#define PTR_OPT (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT(key, type, max) \
    CYAML_FIELD_STRING_PTR(#key, CYAML_FLAG_POINTER, struct type, key, 1, max)
#define TEXT_OPT(key, type, max) CYAML_FIELD_STRING_PTR(#key, PTR_OPT, struct type, key, 0, max)

static const cyaml_strval_t only_words[] = { { "all", KT_RING_ONLY_NOTHING },
                                             { "events", KT_RING_ONLY_EVENTS } };
static const cyaml_strval_t stream_words[] = { { "all", KT_RING_STREAM_ALL },
                                               { "main", KT_RING_STREAM_MAIN },
                                               { "sub", KT_RING_STREAM_SUB } };
static const cyaml_strval_t analysis_words[] = { { "off", KT_ANALYSIS_OFF },
                                                 { "keyframes", KT_ANALYSIS_KEYFRAMES },
                                                 { "adaptive", KT_ANALYSIS_ADAPTIVE },
                                                 { "full", KT_ANALYSIS_FULL } };

static const cyaml_schema_field_t server_fields[] = {
    TEXT_OPT(listen, yaml_server, 255),
    TEXT_OPT(timezone, yaml_server, 63),
    TEXT_OPT(language, yaml_server, 7),
    TEXT_OPT(tls_cert, yaml_server, 4000),
    TEXT_OPT(tls_key, yaml_server, 4000),
    CYAML_FIELD_BOOL_PTR("allow_loopback", PTR_OPT, struct yaml_server, allow_loopback),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t id_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, KT_ID_MAX),
};
static const cyaml_schema_field_t ring_fields[] = {
    TEXT(name, yaml_ring, KT_ID_MAX),
    TEXT(path, yaml_ring, 4000),
    TEXT(size, yaml_ring, 32),
    CYAML_FIELD_ENUM("only", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct yaml_ring, only,
                     only_words, KT_ARRAY_SIZE(only_words)),
    CYAML_FIELD_ENUM("streams", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct yaml_ring, streams,
                     stream_words, KT_ARRAY_SIZE(stream_words)),
    CYAML_FIELD_SEQUENCE("cameras", PTR_OPT, struct yaml_ring, cameras, &id_value, 1, 1024),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t ring_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_ring, ring_fields),
};

static const cyaml_schema_field_t vault_fields[] = {
    TEXT(path, yaml_vault, 4000),
    TEXT(max_size, yaml_vault, 32),
    TEXT_OPT(timestamp_url, yaml_vault, KT_URL_MAX - 1),
    TEXT_OPT(timestamp_ca, yaml_vault, 4000),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t storage_fields[] = {
    TEXT(catalog, yaml_storage, 4000),
    CYAML_FIELD_SEQUENCE("rings", CYAML_FLAG_POINTER, struct yaml_storage, rings, &ring_value, 1,
                         KT_CONFIG_MAX_RINGS),
    CYAML_FIELD_MAPPING_PTR("vault", PTR_OPT, struct yaml_storage, vault, vault_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t camera_fields[] = {
    TEXT(id, yaml_camera, KT_ID_MAX),
    TEXT_OPT(name, yaml_camera, 127),
    TEXT(main, yaml_camera, KT_URL_MAX - 1),
    TEXT_OPT(sub, yaml_camera, KT_URL_MAX - 1),
    TEXT_OPT(snapshot, yaml_camera, KT_URL_MAX - 1),
    TEXT_OPT(transport, yaml_camera, 7),
    TEXT_OPT(password_file, yaml_camera, 4000),
    TEXT_OPT(rules_file, yaml_camera, 4000),
    CYAML_FIELD_ENUM("analysis", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct yaml_camera,
                     analysis, analysis_words, KT_ARRAY_SIZE(analysis_words)),
    CYAML_FIELD_BOOL_PTR("enabled", PTR_OPT, struct yaml_camera, enabled),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t camera_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct yaml_camera, camera_fields),
};

static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_MAPPING_PTR("server", PTR_OPT, struct yaml_file, server, server_fields),
    CYAML_FIELD_MAPPING_PTR("storage", CYAML_FLAG_POINTER, struct yaml_file, storage, storage_fields),
    CYAML_FIELD_MAPPING_PTR("alerts", PTR_OPT, struct yaml_file, alerts, kt_yaml_alerts_fields),
    CYAML_FIELD_SEQUENCE("cameras", PTR_OPT, struct yaml_file, cameras, &camera_value, 0, 1024),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t file_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct yaml_file, file_fields),
};

/* ------------------------- reading ------------------------- */

/* What checking needs besides the values. */
struct reader {
    const kt_config_place *place;
    struct kt_error *err;
};

/* A value that makes no sense, with its place. */
static int refuse(const struct reader *r, const char *section, int index, const char *key,
                  const char *fmt, ...) kt_printf(5, 6);

static int refuse(const struct reader *r, const char *section, int index, const char *key,
                  const char *fmt, ...)
{
    char place[256], text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!r)
        return -EINVAL;                 /* defaults: the caller says what is wrong */
    kt_config_place_find(r->place, section, index, key, place, sizeof(place));
    return kt_error_set(r->err, -EINVAL, "%s%s", place, text);
}

int kt_size_parse(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = { { "", 1 }, { "B", 1 }, { "KiB", UINT64_C(1) << 10 }, { "MiB", UINT64_C(1) << 20 },
                  { "GiB", UINT64_C(1) << 30 }, { "TiB", UINT64_C(1) << 40 }, { "KB", 1000 },
                  { "MB", 1000000 }, { "GB", 1000000000 }, { "TB", UINT64_C(1000000000000) } };
    char *end;
    const double value = strtod(text, &end);
    if (end == text || !(value >= 0) || text[strcspn(text, "xXnN")] != '\0')
        return -EINVAL;
    end += strspn(end, " ");
    for (size_t i = 0; i < KT_ARRAY_SIZE(units); i++) {
        if (strcasecmp(end, units[i].unit) != 0)
            continue;
        if (value * (double)units[i].factor >= 9e18)
            return -ERANGE;
        *bytes = (uint64_t)(value * (double)units[i].factor);
        return 0;
    }
    return -EINVAL;
}

/* Replace ${NAME} by the environment's value. */
static int expand(const struct reader *r, int index, const char *key, const char *from, char *to,
                  size_t cap)
{
    size_t n = 0;
    for (const char *p = from; *p;) {
        const char *close = p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;
        char one[2] = { *p, '\0' }, name[128];
        const char *value = one;
        if (close) {
            snprintf(name, sizeof(name), "%.*s", (int)(close - p - 2), p + 2);
            value = getenv(name);
            if (!value)
                return refuse(r, "cameras", index, key, "${%s} is not set in the environment", name);
        }
        if (n + strlen(value) >= cap)
            return refuse(r, "cameras", index, key, "longer than %zu characters", cap - 1);
        n += (size_t)snprintf(to + n, cap - n, "%s", value);
        p = close ? close + 1 : p + 1;
    }
    to[n] = '\0';
    return 0;
}

/* The first line of PATH. */
static int read_secret(const char *path, char *out, size_t cap)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    if (!f || !fgets(out, (int)cap, f))
        return f ? -EINVAL : -errno;
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

/* Put PASSWORD into a URL that has a user but no password. */
static int add_password(char url[KT_URL_MAX], const char *password)
{
    const char *auth = strstr(url, "://");
    auth = auth ? auth + 3 : url;
    const char *at = strchr(auth, '@');
    if (!url[0] || !at || memchr(auth, ':', (size_t)(at - auth)))
        return 0;
    char with[KT_URL_MAX];
    if (snprintf(with, sizeof(with), "%.*s:%s%s", (int)(at - url), url, password, at) >=
        (int)sizeof(with))
        return -ENAMETOOLONG;
    strcpy(url, with);
    return 0;
}

static bool is_rtsp(const char *url)
{
    return strncasecmp(url, "rtsp://", 7) == 0 || strncasecmp(url, "rtsps://", 8) == 0;
}

static bool is_http(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static int read_addresses(const struct reader *r, int i, const struct yaml_camera *y,
                          struct kt_camera_config *c)
{
    int ret = expand(r, i, "main", y->main, c->main_url, sizeof(c->main_url));
    if (ret == 0 && y->sub)
        ret = expand(r, i, "sub", y->sub, c->sub_url, sizeof(c->sub_url));
    if (ret == 0 && y->snapshot)
        ret = expand(r, i, "snapshot", y->snapshot, c->snapshot_url, sizeof(c->snapshot_url));
    if (ret < 0)
        return ret;
    if (!is_rtsp(c->main_url))
        return refuse(r, "cameras", i, "main", "no address: rtsp://… is expected");
    if (c->sub_url[0] && !is_rtsp(c->sub_url))
        return refuse(r, "cameras", i, "sub", "no address: rtsp://… is expected");
    if (c->snapshot_url[0] && !is_http(c->snapshot_url))
        return refuse(r, "cameras", i, "snapshot", "no address: http://… is expected");
    if (!y->password_file)
        return 0;
    char password[256];
    ret = read_secret(y->password_file, password, sizeof(password));
    if (ret < 0)
        return refuse(r, "cameras", i, "password_file", "%s: %s", y->password_file, kt_strerror(ret));
    if (add_password(c->main_url, password) < 0 || add_password(c->sub_url, password) < 0 ||
        add_password(c->snapshot_url, password) < 0)
        return refuse(r, "cameras", i, "password_file", "the address becomes too long");
    return 0;
}

static int read_rules(const struct reader *r, int i, const char *path, struct kt_camera_config *c)
{
    kt_cleanup(kt_fclosep) FILE *f = fopen(path, "re");
    if (!f)
        return refuse(r, "cameras", i, "rules_file", "%s: %s", path, strerror(errno));
    const size_t n = fread(c->rules, 1, sizeof(c->rules), f);
    if (n == sizeof(c->rules))
        return refuse(r, "cameras", i, "rules_file", "%s: larger than %zu bytes", path, n - 1);
    c->rules[n] = '\0';
    return 0;
}

static int read_camera(const struct reader *r, const kt_config *config, int i,
                       const struct yaml_camera *y, struct kt_camera_config *c)
{
    if (!kt_id_valid(y->id))
        return refuse(r, "cameras", i, "id", "'%s': an id is made of a-z, 0-9 and -", y->id);
    for (int k = 0; k < i; k++)
        if (strcmp(config->cameras[k].id, y->id) == 0)
            return refuse(r, "cameras", i, "id", "there is a camera '%s' already", y->id);
    snprintf(c->id, sizeof(c->id), "%s", y->id);
    snprintf(c->name, sizeof(c->name), "%s", y->name && y->name[0] ? y->name : y->id);
    snprintf(c->transport, sizeof(c->transport), "%s", y->transport ? y->transport : "tcp");
    static const char *const transports[] = { "tcp", "udp", "tls", "libav" };
    size_t t = 0;
    while (t < KT_ARRAY_SIZE(transports) && strcmp(transports[t], c->transport) != 0)
        t++;
    if (t == KT_ARRAY_SIZE(transports))
        return refuse(r, "cameras", i, "transport", "'%s': tcp, udp, tls or libav", c->transport);
    c->analysis = y->analysis ? (enum kt_analysis_mode)y->analysis : KT_ANALYSIS_ADAPTIVE;
    c->enabled = !y->enabled || *y->enabled;
    c->provisioned = true;
    int ret = read_addresses(r, i, y, c);
    if (ret == 0 && y->rules_file)
        ret = read_rules(r, i, y->rules_file, c);
    return ret;
}

static int read_ring_cameras(const struct reader *r, int i, const struct yaml_ring *y,
                             struct kt_config_ring *ring)
{
    if (!y->cameras)
        return 0;
    ring->cameras = calloc(y->cameras_count, sizeof(*ring->cameras));
    if (!ring->cameras)
        return -ENOMEM;
    for (unsigned k = 0; k < y->cameras_count; k++) {
        if (!kt_id_valid(y->cameras[k]))
            return refuse(r, "storage.rings", i, "cameras", "'%s': an id is made of a-z, 0-9 and -",
                          y->cameras[k]);
        for (unsigned j = 0; j < k; j++)
            if (strcmp(y->cameras[j], y->cameras[k]) == 0)
                return refuse(r, "storage.rings", i, "cameras", "'%s' stands there twice", y->cameras[k]);
        ring->cameras[k] = strdup(y->cameras[k]);
        if (!ring->cameras[k])
            return -ENOMEM;
        ring->n_cameras++;
    }
    return 0;
}

static int read_ring(const struct reader *r, const kt_config *config, int i,
                     const struct yaml_ring *y, struct kt_config_ring *ring)
{
    if (!kt_id_valid(y->name))
        return refuse(r, "storage.rings", i, "name", "'%s': a name is made of a-z, 0-9 and -", y->name);
    for (int k = 0; k < i; k++) {
        if (strcmp(config->rings[k].name, y->name) == 0)
            return refuse(r, "storage.rings", i, "name", "there is a ring '%s' already", y->name);
        if (strcmp(config->rings[k].path, y->path) == 0)
            return refuse(r, "storage.rings", i, "path", "ring '%s' is there already",
                          config->rings[k].name);
    }
    if (kt_size_parse(y->size, &ring->size_bytes) < 0 || ring->size_bytes == 0)
        return refuse(r, "storage.rings", i, "size", "'%s' is no size; write 300 GiB or 2 TiB",
                      y->size);
    if (ring->size_bytes < KT_RING_LEAST_BYTES)
        return refuse(r, "storage.rings", i, "size", "%s: a ring takes at least %d MiB", y->size,
                      (int)(KT_RING_LEAST_BYTES >> 20));
    ring->only = y->only;
    ring->streams = y->only == KT_RING_ONLY_EVENTS ? KT_RING_STREAM_MAIN : KT_RING_STREAM_ALL;
    if (y->streams)
        ring->streams = y->streams;
    ring->name = strdup(y->name);
    ring->path = strdup(y->path);
    return ring->name && ring->path ? read_ring_cameras(r, i, y, ring) : -ENOMEM;
}

bool kt_config_ring_takes(const struct kt_config_ring *ring, const char *camera, const char *stream)
{
    const enum kt_ring_streams bit = strcmp(stream, "sub") == 0 ? KT_RING_STREAM_SUB : KT_RING_STREAM_MAIN;
    bool named = !ring->cameras;
    for (size_t i = 0; i < ring->n_cameras && !named; i++)
        named = strcmp(ring->cameras[i], camera) == 0;
    return named && (ring->streams & bit);
}

/* What is in no ring that records all the time is nowhere: say it before a night is lost. */
static int check_recorded(const struct reader *r, const kt_config *config)
{
    size_t recorders = 0;
    while (recorders < config->n_rings && config->rings[recorders].only != KT_RING_ONLY_EVENTS)
        recorders++;
    if (recorders == 0)
        return refuse(r, "storage", -1, "rings", "each ring is 'only: events': there is none to record "
                      "all the time, from which they are filled");
    for (size_t i = 0; i < config->n_cameras; i++) {
        const struct kt_camera_config *c = &config->cameras[i];
        bool taken = !c->enabled;
        for (size_t k = 0; k < recorders && !taken; k++)
            taken = kt_config_ring_takes(&config->rings[k], c->id, "main");
        if (!taken)
            return refuse(r, "cameras", (int)i, "id", "no ring records the main stream of '%s' all the "
                          "time: see 'cameras' and 'streams' of the rings", c->id);
    }
    return 0;
}

/* Playback asks in this order, and the rings of events have holes. */
static int order_rings(kt_config *config)
{
    struct kt_config_ring *sorted = calloc(config->n_rings + 1, sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    size_t n = 0;
    for (int events = 0; events < 2; events++)
        for (size_t i = 0; i < config->n_rings; i++)
            if ((config->rings[i].only == KT_RING_ONLY_EVENTS) == events)
                sorted[n++] = config->rings[i];
    free(config->rings);
    config->rings = sorted;
    return 0;
}

static char *or_default(const char *text, const char *fallback)
{
    return strdup(text && text[0] ? text : fallback);
}

/* Into *OUT, the PEM in the file that KEY names; it must hold WORD. */
static int read_pem(const struct reader *r, const char *section, const char *key, const char *path,
                    const char *word, char **out)
{
    const int ret = kt_text_read(path, MAX_CA_BYTES, out);
    if (ret == 0 && strstr(*out, word))
        return 0;
    return refuse(r, section, -1, key, "%s: %s", path, ret < 0 ? kt_strerror(ret) : "not what is expected in it");
}

static int read_tls(const struct reader *r, const struct yaml_server *y, kt_config *config)
{
    const bool cert = y && y->tls_cert && y->tls_cert[0], key = y && y->tls_key && y->tls_key[0];
    struct stat st;
    if (!cert && !key)
        return 0;
    if (!cert || !key)
        return refuse(r, "server", -1, cert ? "tls_cert" : "tls_key", "tls_cert and tls_key belong together");
    if (stat(y->tls_key, &st) == 0 && (st.st_mode & 07))
        return refuse(r, "server", -1, "tls_key", "%s: everybody may read it (chmod 640)", y->tls_key);
    const int ret = read_pem(r, "server", "tls_cert", y->tls_cert, "-----BEGIN CERTIFICATE-----", &config->tls_cert);
    return ret < 0 ? ret : read_pem(r, "server", "tls_key", y->tls_key, "PRIVATE KEY-----", &config->tls_key);
}

static int read_server(const struct reader *r, const struct yaml_server *y, kt_config *config)
{
    config->listen = or_default(y ? y->listen : NULL, DEFAULT_LISTEN);
    config->timezone = or_default(y ? y->timezone : NULL, DEFAULT_TIMEZONE);
    config->language = or_default(y ? y->language : NULL, DEFAULT_LANGUAGE);
    config->allow_loopback = y && y->allow_loopback && *y->allow_loopback;
    if (!config->listen || !config->timezone || !config->language)
        return -ENOMEM;
    if (strcmp(config->language, "id") != 0 && strcmp(config->language, "en") != 0)
        return refuse(r, "server", -1, "language", "'%s': id or en", config->language);
    char zone[128];
    snprintf(zone, sizeof(zone), "/usr/share/zoneinfo/%s", config->timezone);
    struct stat st;
    if (strstr(config->timezone, "..") || stat(zone, &st) < 0 || !S_ISREG(st.st_mode))
        return refuse(r, "server", -1, "timezone", "'%s' is no time zone; Asia/Jakarta is one",
                      config->timezone);
    if (!strrchr(config->listen, ':'))
        return refuse(r, "server", -1, "listen", "'%s': ADDRESS:PORT is expected", config->listen);
    return read_tls(r, y, config);
}

/* A stamp that nobody can check is none: address and certificates, or neither. */
static int read_timestamp(const struct reader *r, const struct yaml_vault *y, kt_config *config)
{
    const bool url = y->timestamp_url && y->timestamp_url[0], ca = y->timestamp_ca && y->timestamp_ca[0];
    if (!url && !ca)
        return 0;
    if (!url || !ca)
        return refuse(r, "storage.vault", -1, url ? "timestamp_url" : "timestamp_ca",
                      "timestamp_url needs timestamp_ca beside it, and the other way round");
    if (strncasecmp(y->timestamp_url, "http://", 7) != 0 && strncasecmp(y->timestamp_url, "https://", 8) != 0)
        return refuse(r, "storage.vault", -1, "timestamp_url", "no address: http://… is expected");
    const int ret = read_pem(r, "storage.vault", "timestamp_ca", y->timestamp_ca, "-----BEGIN CERTIFICATE-----",
                             &config->timestamp_ca);
    if (ret < 0)
        return ret;
    config->timestamp_url = strdup(y->timestamp_url);
    return config->timestamp_url ? 0 : -ENOMEM;
}

static int read_storage(const struct reader *r, const struct yaml_storage *y, kt_config *config)
{
    config->catalog = strdup(y->catalog);
    config->rings = calloc(y->rings_count + 1, sizeof(*config->rings));
    if (!config->catalog || !config->rings)
        return -ENOMEM;
    for (unsigned i = 0; i < y->rings_count; i++) {
        const int ret = read_ring(r, config, (int)i, &y->rings[i], &config->rings[config->n_rings++]);
        if (ret < 0)
            return ret;
    }
    if (!y->vault)
        return 0;
    config->vault_path = strdup(y->vault->path);
    if (kt_size_parse(y->vault->max_size, &config->vault_max_bytes) < 0)
        return refuse(r, "storage.vault", -1, "max_size", "'%s' is no size", y->vault->max_size);
    return config->vault_path ? read_timestamp(r, y->vault, config) : -ENOMEM;
}

static int read_alerts(const struct reader *r, const struct kt_yaml_alerts *y, kt_config *config)
{
    struct kt_alerts_complaint c = { .index = -1 };
    if (!y)
        return 0;
    const int ret = kt_config_alerts_read(&config->alerts, y, &c);
    return ret == -EINVAL ? refuse(r, c.index < 0 ? "alerts" : "alerts.channels", c.index, c.key, "%s", c.text)
                          : ret;
}

static int read_all(const struct reader *r, const struct yaml_file *y, kt_config *config)
{
    int ret = read_server(r, y->server, config);
    if (ret == 0)
        ret = read_storage(r, y->storage, config);
    if (ret < 0)
        return ret;
    ret = read_alerts(r, y->alerts, config);
    if (ret < 0)
        return ret;
    config->cameras = calloc(y->cameras_count + 1, sizeof(*config->cameras));
    if (!config->cameras)
        return -ENOMEM;
    for (unsigned i = 0; i < y->cameras_count && ret == 0; i++) {
        ret = read_camera(r, config, (int)i, &y->cameras[i], &config->cameras[i]);
        config->n_cameras++;
    }
    if (ret == 0)
        ret = order_rings(config);
    return ret == 0 ? check_recorded(r, config) : ret;
}

/* ------------------------- libcyaml ------------------------- */

struct complaint {
    char first[256];                    /* libcyaml's first error is the cause */
    char place[64];                     /* "LINE:COLUMN" from its back-trace */
};

static void collect(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct complaint *c = ctx;
    char line[256];
    if (level < CYAML_LOG_ERROR)
        return;
    vsnprintf(line, sizeof(line), fmt, args);
    line[strcspn(line, "\n")] = '\0';
    unsigned row, column;
    const char *at = strstr(line, "line: ");
    if (at && !c->place[0] && sscanf(at, "line: %u, column: %u", &row, &column) == 2)
        snprintf(c->place, sizeof(c->place), "%u:%u", row, column);
    if (!c->first[0])
        snprintf(c->first, sizeof(c->first), "%s", strncmp(line, "Load: ", 6) == 0 ? line + 6 : line);
}

/* libcyaml's back-trace names the entry before an unknown key: look for the key itself. */
static int refuse_key(const kt_config_place *place, const struct complaint *c, const char *key,
                      struct kt_error *err)
{
    char at[KT_URL_MAX];
    kt_config_place_find_key(place, key, (size_t)atoi(c->place), at, sizeof(at));
    return kt_error_set(err, -EINVAL, "%sthere is no key '%s' here", at, key);
}

static int parse(const char *path, const kt_config_place *place, const char *text, size_t size,
                 struct yaml_file **out, struct kt_error *err)
{
    struct complaint complaint = { "", "" };
    const cyaml_config_t cyaml = { .log_fn = collect, .log_ctx = &complaint,
                                   .log_level = CYAML_LOG_ERROR, .mem_fn = cyaml_mem };
    cyaml_data_t *data = NULL;
    const cyaml_err_t ret = cyaml_load_data((const uint8_t *)text, size, &cyaml, &file_value, &data,
                                            NULL);
    static const char unknown[] = "Unexpected key: ";
    if (ret != CYAML_OK && strncmp(complaint.first, unknown, strlen(unknown)) == 0)
        return refuse_key(place, &complaint, complaint.first + strlen(unknown), err);
    if (ret != CYAML_OK)
        return kt_error_set(err, -EINVAL, "%s:%s: %s", path,
                            complaint.place[0] ? complaint.place : "1:1",
                            complaint.first[0] ? complaint.first : cyaml_strerror(ret));
    if (!data)
        return kt_error_set(err, -EINVAL, "%s:1:1: the file is empty", path);
    *out = data;
    return 0;
}

static void yaml_freep(struct yaml_file **y)
{
    const cyaml_config_t cyaml = { .mem_fn = cyaml_mem };
    if (*y)
        cyaml_free(&cyaml, &file_value, *y, 0);
}

int kt_config_load(kt_config **out, const char *path, struct kt_error *err)
{
    kt_cleanup(kt_freep) char *text = NULL;
    int ret = kt_text_read(path, MAX_FILE_BYTES, &text);
    if (ret < 0)
        return kt_error_set(err, ret, "%s: %s", path, kt_strerror(ret));
    const size_t size = strlen(text);
    kt_cleanup(kt_config_place_free) kt_config_place *place = NULL;
    ret = kt_config_place_create(&place, path, text, size, err);
    if (ret < 0)
        return ret;
    kt_cleanup(yaml_freep) struct yaml_file *y = NULL;
    ret = parse(path, place, text, size, &y, err);
    if (ret < 0)
        return ret;
    kt_cleanup(kt_config_free) kt_config *config = calloc(1, sizeof(*config));
    if (!config)
        return kt_error_set(err, -ENOMEM, "out of memory");
    ret = read_all(&(struct reader){ .place = place, .err = err }, y, config);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&config);
    return 0;
}

/* ------------------------- without a file ------------------------- */

static int default_ring(struct kt_config_ring *ring, const char *dir, const char *name,
                        uint64_t size, enum kt_ring_only only)
{
    ring->name = strdup(name);
    ring->size_bytes = size;
    ring->only = only;
    ring->streams = only == KT_RING_ONLY_EVENTS ? KT_RING_STREAM_MAIN : KT_RING_STREAM_ALL;
    if (asprintf(&ring->path, "%s/%s", dir, name) < 0)
        ring->path = NULL;
    return ring->name && ring->path ? 0 : -ENOMEM;
}

int kt_config_default(kt_config **out, const char *dir, struct kt_error *err)
{
    if (mkdir(dir, 0750) < 0 && errno != EEXIST)
        return kt_error_set(err, -errno, "%s: %s", dir, strerror(errno));
    kt_cleanup(kt_config_free) kt_config *c = calloc(1, sizeof(*c));
    if (!c)
        return kt_error_set(err, -ENOMEM, "out of memory");
    c->rings = calloc(2, sizeof(*c->rings));
    c->cameras = calloc(1, sizeof(*c->cameras));
    if (!c->rings || !c->cameras || read_server(NULL, NULL, c) < 0 ||
        default_ring(&c->rings[c->n_rings++], dir, "video", DEFAULT_VIDEO_BYTES,
                     KT_RING_ONLY_NOTHING) < 0 ||
        default_ring(&c->rings[c->n_rings++], dir, "clips", DEFAULT_CLIPS_BYTES,
                     KT_RING_ONLY_EVENTS) < 0)
        return kt_error_set(err, -EINVAL, "no defaults: out of memory, or %s is not installed",
                            "tzdata");
    c->vault_max_bytes = DEFAULT_VAULT_BYTES;
    if (asprintf(&c->vault_path, "%s/vault", dir) < 0)
        c->vault_path = NULL;
    if (asprintf(&c->catalog, "%s/catalog.db", dir) < 0) {
        c->catalog = NULL;
        return kt_error_set(err, -ENOMEM, "out of memory");
    }
    *out = kt_steal_ptr(&c);
    return 0;
}

void kt_config_free(kt_config **pc)
{
    kt_config *c = kt_steal_ptr(pc);
    if (!c)
        return;
    for (size_t i = 0; c->rings && i < c->n_rings; i++) {
        for (size_t k = 0; k < c->rings[i].n_cameras; k++)
            free(c->rings[i].cameras[k]);
        free(c->rings[i].cameras);
        free(c->rings[i].name);
        free(c->rings[i].path);
    }
    free(c->rings);
    kt_config_alerts_free(&c->alerts);
    free(c->cameras);
    free(c->listen);
    free(c->timezone);
    free(c->language);
    free(c->catalog);
    free(c->vault_path);
    free(c->tls_cert);
    if (c->tls_key)
        explicit_bzero(c->tls_key, strlen(c->tls_key));
    free(c->tls_key);
    free(c->timestamp_url);
    free(c->timestamp_ca);
    free(c);
}

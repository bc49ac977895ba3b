/*
 * config_alerts.h - the section `alerts` of the configuration file (docs/alerts.md).
 */
#ifndef KT_SERVER_CONFIG_ALERTS_H
#define KT_SERVER_CONFIG_ALERTS_H

#include <cyaml/cyaml.h>

#include "server/alerts/alerts.h"

/* The section as libcyaml reads it. */
struct kt_yaml_channel {
    int type;
    char *name, *url, *secret, *secret_file, *to, *from, *user, *template_file;
    unsigned events;
    bool *pictures;
};

struct kt_yaml_alerts {
    char *link, *night, *quiet;
    int cooldown;
    struct kt_yaml_channel *channels;
    unsigned channels_count;
};

extern const cyaml_schema_field_t kt_yaml_alerts_fields[];

/* What makes no sense, and where: channel INDEX (-1: the section itself), KEY. */
struct kt_alerts_complaint {
    int index;
    const char *key;
    char text[200];
};

/* Check Y. *OUT owns copies of everything. -EINVAL with COMPLAINT; -ENOMEM. */
kt_must_check int kt_config_alerts_read(struct kt_alerts_config **out, const struct kt_yaml_alerts *y,
                                        struct kt_alerts_complaint *complaint);
void kt_config_alerts_free(struct kt_alerts_config **config);

#endif

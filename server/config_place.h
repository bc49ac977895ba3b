/*
 * config_place.h - where in a YAML file something stands, and what is there twice.
 *
 * libcyaml says the line of what its schema refuses; what only makes no sense
 * (a second camera of the same id, a size that is none) is looked up here.
 */
#ifndef KT_SERVER_CONFIG_PLACE_H
#define KT_SERVER_CONFIG_PLACE_H

#include <yaml.h>

#include "server/base/error.h"

typedef struct kt_config_place kt_config_place;

/* Parse TEXT. -EINVAL with ERR ("PATH:LINE:COLUMN: …") for bad syntax and for keys
 * that a mapping has twice. */
kt_must_check int kt_config_place_create(kt_config_place **out, const char *path, const char *text,
                                         size_t size, struct kt_error *err);
void kt_config_place_free(kt_config_place **place);

/* Write "PATH:LINE:COLUMN: " of SECTION[INDEX].KEY (INDEX < 0: SECTION.KEY) to OUT; of
 * the nearest thing around it when that is not there. SECTION may hold dots. */
void kt_config_place_find(const kt_config_place *place, const char *section, int index,
                          const char *key, char *out, size_t cap);

/* As kt_config_place_find() for a KEY that some mapping has: the first at or after LINE. */
void kt_config_place_find_key(const kt_config_place *place, const char *key, size_t line,
                              char *out, size_t cap);

#endif

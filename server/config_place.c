#include "server/config_place.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct kt_config_place {
    char *path;
    yaml_document_t doc;
    bool loaded;
};

static const char *scalar(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : "";
}

static yaml_node_t *child(const kt_config_place *p, const yaml_node_t *map, const char *key,
                          size_t key_len)
{
    yaml_document_t *doc = (yaml_document_t *)&p->doc;     /* libyaml's getters are not const */
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *i = map->data.mapping.pairs.start; i < map->data.mapping.pairs.top; i++) {
        const char *name = scalar(yaml_document_get_node(doc, i->key));
        if (strlen(name) == key_len && strncmp(name, key, key_len) == 0)
            return yaml_document_get_node(doc, i->value);
    }
    return NULL;
}

/* The first key of MAP that stands there twice, or NULL. */
static const yaml_node_t *repeated_key(yaml_document_t *doc, const yaml_node_t *map)
{
    for (yaml_node_pair_t *i = map->data.mapping.pairs.start; i < map->data.mapping.pairs.top; i++)
        for (yaml_node_pair_t *k = map->data.mapping.pairs.start; k < i; k++) {
            const yaml_node_t *key = yaml_document_get_node(doc, i->key);
            if (strcmp(scalar(key), scalar(yaml_document_get_node(doc, k->key))) == 0)
                return key;
        }
    return NULL;
}

static int refuse_repeated_keys(kt_config_place *p, struct kt_error *err)
{
    const yaml_node_t *node;
    for (int i = 1; (node = yaml_document_get_node(&p->doc, i)); i++) {
        if (node->type != YAML_MAPPING_NODE)
            continue;
        const yaml_node_t *key = repeated_key(&p->doc, node);
        if (key)
            return kt_error_set(err, -EINVAL, "%s:%zu:%zu: '%s' stands here twice", p->path,
                                key->start_mark.line + 1, key->start_mark.column + 1, scalar(key));
    }
    return 0;
}

int kt_config_place_create(kt_config_place **out, const char *path, const char *text, size_t size,
                           struct kt_error *err)
{
    kt_cleanup(kt_config_place_free) kt_config_place *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->path = strdup(path);
    yaml_parser_t parser;
    if (!p->path || !yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    p->loaded = yaml_parser_load(&parser, &p->doc);
    int ret = 0;
    if (!p->loaded)
        ret = kt_error_set(err, -EINVAL, "%s:%zu:%zu: %s", path, parser.problem_mark.line + 1,
                           parser.problem_mark.column + 1,
                           parser.problem ? parser.problem : "not YAML");
    yaml_parser_delete(&parser);
    if (ret == 0)
        ret = refuse_repeated_keys(p, err);
    if (ret == 0)
        *out = kt_steal_ptr(&p);
    return ret;
}

void kt_config_place_free(kt_config_place **pp)
{
    kt_config_place *p = kt_steal_ptr(pp);
    if (!p)
        return;
    if (p->loaded)
        yaml_document_delete(&p->doc);
    free(p->path);
    free(p);
}

void kt_config_place_find(const kt_config_place *p, const char *section, int index, const char *key,
                          char *out, size_t cap)
{
    yaml_document_t *doc = (yaml_document_t *)&p->doc;
    const yaml_node_t *at = yaml_document_get_root_node(doc), *next = at;
    for (const char *s = section; next && *s; s += strcspn(s, ".") + (s[strcspn(s, ".")] == '.')) {
        next = child(p, at, s, strcspn(s, "."));
        at = next ? next : at;
    }
    if (next && index >= 0 && next->type == YAML_SEQUENCE_NODE) {
        const yaml_node_item_t *item = next->data.sequence.items.start + index;
        next = item < next->data.sequence.items.top ? yaml_document_get_node(doc, *item) : NULL;
        at = next ? next : at;
    }
    if (next && key)
        next = child(p, next, key, strlen(key));
    if (next)
        at = next;
    const size_t line = at ? at->start_mark.line : 0, column = at ? at->start_mark.column : 0;
    snprintf(out, cap, "%s:%zu:%zu: ", p->path, line + 1, column + 1);
}

void kt_config_place_find_key(const kt_config_place *p, const char *key, size_t line, char *out,
                              size_t cap)
{
    yaml_document_t *doc = (yaml_document_t *)&p->doc;
    const yaml_node_t *node;
    yaml_mark_t best = { .line = SIZE_MAX };
    for (int i = 1; (node = yaml_document_get_node(doc, i)); i++) {
        if (node->type != YAML_MAPPING_NODE)
            continue;
        for (yaml_node_pair_t *k = node->data.mapping.pairs.start; k < node->data.mapping.pairs.top; k++) {
            const yaml_node_t *name = yaml_document_get_node(doc, k->key);
            const yaml_mark_t at = name->start_mark;
            if (strcmp(scalar(name), key) == 0 && at.line + 1 >= line && at.line < best.line)
                best = at;
        }
    }
    if (best.line == SIZE_MAX)
        best = (yaml_mark_t){ .line = line ? line - 1 : 0 };
    snprintf(out, cap, "%s:%zu:%zu: ", p->path, best.line + 1, best.column + 1);
}

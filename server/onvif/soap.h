/*
 * soap.h - SOAP 1.2 envelopes for ONVIF: writing them, and reading answers that
 * nobody has checked. No I/O here.
 */
#ifndef KT_ONVIF_SOAP_H
#define KT_ONVIF_SOAP_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

#define KT_SOAP_MAX_BYTES (512u << 10)

struct kt_soap_login {
    const char *user, *password;
    int64_t clock_offset_us;    /* the device's clock minus ours: it refuses old tokens */
};

/* Envelope around BODY (XML text). LOGIN adds a WS-Security UsernameToken with password
 * digest; NULL: none. *OUT is malloc'd. */
kt_must_check int kt_soap_envelope(char **out, const char *body, const struct kt_soap_login *login);

/* A WS-Discovery probe for TYPES ("dn:NetworkVideoTransmitter"). *OUT is malloc'd. */
kt_must_check int kt_soap_probe(char **out, const char *types);

/* TEXT with & < > " ' escaped, malloc'd; NULL without memory. */
char *kt_soap_escape(const char *text);

/* Parse an answer. -EBADMSG: no XML, too large, or with a DTD (entities!). */
kt_must_check int kt_soap_parse(xmlDoc **out, const void *data, size_t size);
void kt_soap_free(xmlDoc **doc);

/* The first element below NODE of local name NAME, depth first; NULL: none. Namespace
 * prefixes differ from maker to maker and are not looked at. */
xmlNode *kt_soap_find(xmlNode *node, const char *name);

/* The next sibling of the same local name, or NULL. */
xmlNode *kt_soap_next(xmlNode *node);

/* Text of the first NAME below NODE (of NODE itself when NAME is NULL), trimmed, control
 * characters as spaces, cut at a character. False, and OUT empty, when there is none. */
bool kt_soap_text(xmlNode *node, const char *name, char *out, size_t cap);
int kt_soap_int(xmlNode *node, const char *name);       /* 0 when there is none */
bool kt_soap_attribute(xmlNode *node, const char *name, char *out, size_t cap);

/* Is DOC a SOAP fault? REASON gets its text, *UNAUTHORISED whether a login would help. */
bool kt_soap_fault(xmlDoc *doc, char *reason, size_t cap, bool *unauthorised);

#endif

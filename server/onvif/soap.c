#include "server/onvif/soap.h"

#include <errno.h>
#include <libxml/parser.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "server/base/clock.h"

#define NONCE_SIZE 16
#define SHA1_SIZE 20

/* ------------------------- writing ------------------------- */

char *kt_soap_escape(const char *text)
{
    xmlChar *escaped = xmlEncodeSpecialChars(NULL, BAD_CAST text);
    char *out = escaped ? strdup((const char *)escaped) : NULL;
    xmlFree(escaped);
    return out;
}

/* Base64(SHA-1(nonce + created + password)), as WS-Security UsernameToken 1.0 says. */
static int password_digest(char out[32], const uint8_t nonce[NONCE_SIZE], const char *created,
                           const char *password)
{
    uint8_t sum[SHA1_SIZE];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    const bool ok = md && EVP_DigestInit_ex(md, EVP_sha1(), NULL) &&
                    EVP_DigestUpdate(md, nonce, NONCE_SIZE) &&
                    EVP_DigestUpdate(md, created, strlen(created)) &&
                    EVP_DigestUpdate(md, password, strlen(password)) &&
                    EVP_DigestFinal_ex(md, sum, NULL);
    EVP_MD_CTX_free(md);
    if (!ok)
        return -EIO;
    EVP_EncodeBlock((unsigned char *)out, sum, SHA1_SIZE);
    return 0;
}

#define WSS "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"

static int security_header(char **out, const struct kt_soap_login *login)
{
    uint8_t nonce[NONCE_SIZE];
    char created[KT_RFC3339_SIZE], digest[32], nonce64[32];
    if (RAND_bytes(nonce, sizeof(nonce)) != 1)
        return -EIO;
    kt_rfc3339_format(created, kt_clock_wall_us() + login->clock_offset_us);
    EVP_EncodeBlock((unsigned char *)nonce64, nonce, sizeof(nonce));
    int ret = password_digest(digest, nonce, created, login->password);
    if (ret < 0)
        return ret;
    kt_cleanup(kt_freep) char *user = kt_soap_escape(login->user);
    if (!user ||
        asprintf(out,
                 "<s:Header><wsse:Security s:mustUnderstand=\"true\" xmlns:wsse=\"" WSS
                 "wssecurity-secext-1.0.xsd\" xmlns:wsu=\"" WSS "wssecurity-utility-1.0.xsd\">"
                 "<wsse:UsernameToken><wsse:Username>%s</wsse:Username>"
                 "<wsse:Password Type=\"" WSS "username-token-profile-1.0#PasswordDigest\">%s"
                 "</wsse:Password><wsse:Nonce EncodingType=\"" WSS
                 "soap-message-security-1.0#Base64Binary\">%s</wsse:Nonce>"
                 "<wsu:Created>%s</wsu:Created></wsse:UsernameToken></wsse:Security></s:Header>",
                 user, digest, nonce64, created) < 0) {
        *out = NULL;
        return -ENOMEM;
    }
    return 0;
}

int kt_soap_envelope(char **out, const char *body, const struct kt_soap_login *login)
{
    kt_cleanup(kt_freep) char *header = NULL;
    if (login) {
        const int ret = security_header(&header, login);
        if (ret < 0)
            return ret;
    }
    char *text = NULL;
    if (asprintf(&text,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                 "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" "
                 "xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" "
                 "xmlns:trt=\"http://www.onvif.org/ver10/media/wsdl\" "
                 "xmlns:tr2=\"http://www.onvif.org/ver20/media/wsdl\" "
                 "xmlns:tt=\"http://www.onvif.org/ver10/schema\">%s<s:Body>%s</s:Body></s:Envelope>",
                 header ? header : "", body) < 0)
        return -ENOMEM;
    *out = text;
    return 0;
}

int kt_soap_probe(char **out, const char *types)
{
    uint8_t r[16];
    char hex[33], *text = NULL;
    if (RAND_bytes(r, sizeof(r)) != 1)
        return -EIO;
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);     /* UUID version 4 */
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(r); i++)
        snprintf(hex + 2 * i, 3, "%02x", r[i]);
    if (asprintf(&text,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
                 "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" "
                 "xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" "
                 "xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" "
                 "xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\" "
                 "xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\"><s:Header>"
                 "<a:Action s:mustUnderstand=\"1\">"
                 "http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"
                 "<a:MessageID>uuid:%.8s-%.4s-%.4s-%.4s-%.12s</a:MessageID>"
                 "<a:ReplyTo><a:Address>"
                 "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
                 "</a:Address></a:ReplyTo>"
                 "<a:To s:mustUnderstand=\"1\">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>"
                 "</s:Header><s:Body><d:Probe><d:Types>%s</d:Types></d:Probe></s:Body></s:Envelope>",
                 hex, hex + 8, hex + 12, hex + 16, hex + 20, types) < 0)
        return -ENOMEM;
    *out = text;
    return 0;
}

/* ------------------------- reading ------------------------- */

int kt_soap_parse(xmlDoc **out, const void *data, size_t size)
{
    if (size == 0 || size > KT_SOAP_MAX_BYTES)
        return -EBADMSG;
    kt_cleanup(kt_soap_free) xmlDoc *doc =
        xmlReadMemory(data, (int)size, "answer", NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS);
    if (!doc || doc->intSubset || doc->extSubset || !xmlDocGetRootElement(doc))
        return -EBADMSG;
    *out = kt_steal_ptr(&doc);
    return 0;
}

void kt_soap_free(xmlDoc **doc)
{
    if (*doc)
        xmlFreeDoc(*doc);
    *doc = NULL;
}

static bool is_named(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

xmlNode *kt_soap_find(xmlNode *node, const char *name)
{
    /* Without recursion: how deep it goes is up to the device. */
    for (xmlNode *at = node ? node->children : NULL; at;) {
        if (is_named(at, name))
            return at;
        if (at->type == XML_ELEMENT_NODE && at->children) {
            at = at->children;
            continue;
        }
        while (at && at != node && !at->next)
            at = at->parent;
        at = at && at != node ? at->next : NULL;
    }
    return NULL;
}

xmlNode *kt_soap_next(xmlNode *node)
{
    for (xmlNode *at = node->next; at; at = at->next)
        if (is_named(at, (const char *)node->name))
            return at;
    return NULL;
}

/* Copy trimmed and cleaned; cut where a UTF-8 character begins. */
static void copy_text(char *out, size_t cap, const char *from)
{
    from += strspn(from, " \t\r\n");
    size_t n = strlen(from);
    while (n > 0 && strchr(" \t\r\n", from[n - 1]))
        n--;
    if (n >= cap) {
        n = cap - 1;
        while (n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? ' ' : from[i];
    out[n] = '\0';
}

bool kt_soap_text(xmlNode *node, const char *name, char *out, size_t cap)
{
    xmlNode *at = name ? kt_soap_find(node, name) : node;
    xmlChar *text = at ? xmlNodeGetContent(at) : NULL;
    out[0] = '\0';
    if (text)
        copy_text(out, cap, (const char *)text);
    xmlFree(text);
    return out[0] != '\0';
}

int kt_soap_int(xmlNode *node, const char *name)
{
    char text[24];
    if (!kt_soap_text(node, name, text, sizeof(text)))
        return 0;
    const double value = strtod(text, NULL);    /* Media2 has frame rates as floats */
    return value > 0 && value < 1e9 ? (int)value : 0;
}

bool kt_soap_attribute(xmlNode *node, const char *name, char *out, size_t cap)
{
    xmlChar *text = xmlGetNoNsProp(node, BAD_CAST name);
    out[0] = '\0';
    if (text)
        copy_text(out, cap, (const char *)text);
    xmlFree(text);
    return out[0] != '\0';
}

bool kt_soap_fault(xmlDoc *doc, char *reason, size_t cap, bool *unauthorised)
{
    xmlNode *fault = kt_soap_find(xmlDocGetRootElement(doc), "Fault");
    *unauthorised = false;
    if (!fault)
        return false;
    char all[512];
    kt_soap_text(fault, NULL, all, sizeof(all));
    *unauthorised = strcasestr(all, "NotAuthorized") || strcasestr(all, "not authorized") ||
                    strcasestr(all, "FailedAuthentication") || strcasestr(all, "InvalidSecurity") ||
                    strcasestr(all, "OperationProhibited");
    if (!kt_soap_text(fault, "Text", reason, cap) && !kt_soap_text(fault, "faultstring", reason, cap))
        snprintf(reason, cap, "it answered with a fault");
    return true;
}

#include "server/onvif/discovery.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "server/onvif/soap.h"
#include "server/onvif/talk.h"

#define GROUP "239.255.255.250"
#define PORT 3702
#define DATAGRAM_MAX 65536

static int open_on(struct in_addr address)
{
    kt_cleanup(kt_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr = address };
    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &address, sizeof(address)) < 0 ||
        bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
        return -errno;
    const int ret = fd;
    fd = -1;
    return ret;
}

static bool wanted(const struct ifaddrs *ifa, const char *interface)
{
    if (!ifa->ifa_addr || ifa->ifa_addr->sa_family != AF_INET || !(ifa->ifa_flags & IFF_UP))
        return false;
    if (!interface)
        return (ifa->ifa_flags & IFF_MULTICAST) && !(ifa->ifa_flags & IFF_LOOPBACK);
    char text[INET_ADDRSTRLEN];
    struct sockaddr_in in;
    memcpy(&in, ifa->ifa_addr, sizeof(in));
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
    return strcmp(interface, ifa->ifa_name) == 0 || strcmp(interface, text) == 0;
}

int kt_discovery_open(struct kt_discovery *d, const char *interface)
{
    struct ifaddrs *list = NULL;
    d->n = 0;
    if (getifaddrs(&list) < 0)
        return -errno;
    for (const struct ifaddrs *ifa = list; ifa && d->n < KT_DISCOVERY_SOCKETS_MAX; ifa = ifa->ifa_next) {
        if (!wanted(ifa, interface))
            continue;
        struct sockaddr_in in;
        memcpy(&in, ifa->ifa_addr, sizeof(in));
        const int fd = open_on(in.sin_addr);
        if (fd >= 0)
            d->fd[d->n++] = fd;
    }
    freeifaddrs(list);
    return d->n ? 0 : -ENODEV;
}

void kt_discovery_close(struct kt_discovery *d)
{
    for (size_t i = 0; i < d->n; i++)
        (void)close(d->fd[i]);
    d->n = 0;
}

void kt_discovery_probe(struct kt_discovery *d)
{
    /* Old devices answer only to the first, some new ones only to the second. */
    static const char *const types[] = { "dn:NetworkVideoTransmitter", "tds:Device" };
    const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT),
                                    .sin_addr.s_addr = inet_addr(GROUP) };
    for (size_t t = 0; t < KT_ARRAY_SIZE(types); t++) {
        kt_cleanup(kt_freep) char *probe = NULL;
        if (kt_soap_probe(&probe, types[t]) < 0)
            return;
        for (size_t i = 0; i < d->n; i++)
            (void)sendto(d->fd[i], probe, strlen(probe), 0, (const struct sockaddr *)&to, sizeof(to));
    }
}

static void unescape(char *text)
{
    int n = 0;
    char *plain = curl_easy_unescape(NULL, text, 0, &n);
    if (plain && (size_t)n <= strlen(text))
        for (int i = 0; i <= n; i++)
            text[i] = (unsigned char)plain[i] < 0x20 && i < n ? ' ' : plain[i];
    curl_free(plain);
    if (!xmlCheckUTF8(BAD_CAST text))
        text[0] = '\0';
}

/* "onvif://www.onvif.org/name/Gerbang%20Utara …": the word after KEY. */
static void scope(const char *scopes, const char *key, char *out, size_t cap)
{
    const char *at = strcasestr(scopes, key);
    out[0] = '\0';
    if (!at)
        return;
    at += strlen(key);
    snprintf(out, cap, "%.*s", (int)strcspn(at, " \t\r\n"), at);
    unescape(out);
}

/* Of several addresses the one at HOST; else the first of IPv4, else the first, moved to HOST. */
static int choose(char *out, size_t cap, char *addresses, const char *host)
{
    char *save = NULL, first[256] = "";
    for (char *a = strtok_r(addresses, " \t\r\n", &save); a; a = strtok_r(NULL, " \t\r\n", &save)) {
        const char *at = strstr(a, "://");
        if (!at)
            continue;
        const size_t n = strlen(host);
        if (strncmp(at + 3, host, n) == 0 && strchr(":/", at[3 + n]))
            return kt_onvif_rehost(out, cap, a, host, "http,https");
        if (!first[0] || (strstr(first, "://[") && at[3] != '['))
            snprintf(first, sizeof(first), "%s", a);
    }
    return first[0] ? kt_onvif_rehost(out, cap, first, host, "http,https") : -EBADMSG;
}

int kt_discovery_parse(struct kt_discovery_match *out, const void *data, size_t size, const char *host)
{
    kt_cleanup(kt_soap_free) xmlDoc *doc = NULL;
    int ret = kt_soap_parse(&doc, data, size);
    if (ret < 0)
        return ret;
    xmlNode *match = kt_soap_find(xmlDocGetRootElement(doc), "ProbeMatch");
    char text[2048];
    if (!match || !kt_soap_text(match, "XAddrs", text, sizeof(text)))
        return -EBADMSG;
    if (choose(out->service, sizeof(out->service), text, host) < 0)
        return -EBADMSG;
    kt_soap_text(match, "Scopes", text, sizeof(text));
    scope(text, "/name/", out->name, sizeof(out->name));
    scope(text, "/hardware/", out->hardware, sizeof(out->hardware));
    return 0;
}

int kt_discovery_read(struct kt_discovery *d, size_t i, struct kt_discovery_match *out)
{
    kt_cleanup(kt_freep) char *data = malloc(DATAGRAM_MAX);
    struct sockaddr_in from = { 0 };
    socklen_t len = sizeof(from);
    char host[INET_ADDRSTRLEN];
    if (!data)
        return -ENOMEM;
    const ssize_t n = recvfrom(d->fd[i], data, DATAGRAM_MAX, 0, (struct sockaddr *)&from, &len);
    if (n < 0)
        return errno == EINTR || errno == ECONNREFUSED ? -EBADMSG : -EAGAIN;
    inet_ntop(AF_INET, &from.sin_addr, host, sizeof(host));
    return kt_discovery_parse(out, data, (size_t)n, host);
}

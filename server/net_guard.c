#include "decoders/ingest/resolver.h"
#include "server/net_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct prefix4 {
    uint32_t net;
    int bits;
    enum kt_net_class is;
};

/* First match counts. */
static const struct prefix4 prefixes4[] = {
    { 0xa9fea9fe, 32, KT_NET_METADATA },        /* 169.254.169.254: most clouds */
    { 0xa9feaa02, 32, KT_NET_METADATA },        /* 169.254.170.2: container credentials */
    { 0x646464c8, 32, KT_NET_METADATA },        /* 100.100.100.200 */
    { 0xc00000c0, 32, KT_NET_METADATA },        /* 192.0.0.192 */
    { 0xa83f8110, 32, KT_NET_METADATA },        /* 168.63.129.16 */
    { 0x00000000, 8, KT_NET_UNSPECIFIED },
    { 0x7f000000, 8, KT_NET_LOOPBACK },
    { 0xa9fe0000, 16, KT_NET_LINK_LOCAL },
    { 0x0a000000, 8, KT_NET_PRIVATE },
    { 0xac100000, 12, KT_NET_PRIVATE },
    { 0xc0a80000, 16, KT_NET_PRIVATE },
    { 0x64400000, 10, KT_NET_PRIVATE },         /* 100.64/10: carriers, Tailscale */
    { 0xe0000000, 4, KT_NET_MULTICAST },
    { 0xffffffff, 32, KT_NET_MULTICAST },
    { 0xf0000000, 4, KT_NET_RESERVED },
};

static enum kt_net_class classify4(uint32_t address)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(prefixes4); i++) {
        const uint32_t mask = 0xffffffffu << (32 - prefixes4[i].bits);
        if ((address & mask) == prefixes4[i].net)
            return prefixes4[i].is;
    }
    return KT_NET_PUBLIC;
}

static uint32_t embedded4(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Does the IPv6 address carry an IPv4 address that a gateway or the kernel would use? */
static bool carries4(const uint8_t a[16], uint32_t *address)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, compatible[12] = { 0 };
    static const uint8_t translated[12] = { [8] = 0xff, [9] = 0xff };
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const uint8_t local_nat64[6] = { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 };
    if (memcmp(a, mapped, 12) == 0 || memcmp(a, translated, 12) == 0 || memcmp(a, nat64, 12) == 0 ||
        memcmp(a, local_nat64, 6) == 0) {
        *address = embedded4(a + 12);
        return true;
    }
    if (memcmp(a, compatible, 12) == 0 && embedded4(a + 12) > 1) {  /* not :: and ::1 */
        *address = embedded4(a + 12);
        return true;
    }
    *address = embedded4(a + 2);
    return a[0] == 0x20 && a[1] == 0x02;        /* 6to4 */
}

static enum kt_net_class classify6(const struct in6_addr *in)
{
    static const uint8_t metadata[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
    const uint8_t *a = in->s6_addr;
    uint32_t address;
    if (carries4(a, &address))
        return classify4(address);
    if (IN6_IS_ADDR_UNSPECIFIED(in))
        return KT_NET_UNSPECIFIED;
    if (IN6_IS_ADDR_LOOPBACK(in))
        return KT_NET_LOOPBACK;
    if (memcmp(a, metadata, 16) == 0)
        return KT_NET_METADATA;
    if (IN6_IS_ADDR_MULTICAST(in))
        return KT_NET_MULTICAST;
    if (IN6_IS_ADDR_LINKLOCAL(in))
        return KT_NET_LINK_LOCAL;
    if ((a[0] & 0xfe) == 0xfc || IN6_IS_ADDR_SITELOCAL(in))
        return KT_NET_PRIVATE;
    return (a[0] & 0xe0) == 0x20 ? KT_NET_PUBLIC : KT_NET_RESERVED;
}

enum kt_net_class kt_net_classify(const struct sockaddr *address)
{
    /* Copied: what curl and getaddrinfo() hand out is not always aligned. */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&in, address, sizeof(in));
        return classify4(ntohl(in.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&in6, address, sizeof(in6));
        return classify6(&in6.sin6_addr);
    default:
        return KT_NET_RESERVED;
    }
}

bool kt_net_allowed(int allow, const struct sockaddr *address)
{
    if (allow == KT_NET_ALLOW_ALL)
        return true;
    switch (kt_net_classify(address)) {
    case KT_NET_PUBLIC:
    case KT_NET_PRIVATE:
        return true;
    case KT_NET_LOOPBACK:
        return allow & KT_NET_ALLOW_LOOPBACK;
    case KT_NET_LINK_LOCAL:
        return allow & KT_NET_ALLOW_LINK_LOCAL;
    default:
        return false;
    }
}

const char *kt_net_class_name(enum kt_net_class what)
{
    static const char *const names[] = {
        [KT_NET_PUBLIC] = "public",         [KT_NET_PRIVATE] = "private",
        [KT_NET_LOOPBACK] = "loopback",     [KT_NET_LINK_LOCAL] = "link-local",
        [KT_NET_METADATA] = "metadata",     [KT_NET_UNSPECIFIED] = "unspecified",
        [KT_NET_MULTICAST] = "multicast",   [KT_NET_RESERVED] = "reserved",
    };
    return (size_t)what < KT_ARRAY_SIZE(names) && names[what] ? names[what] : "unknown";
}

int kt_net_check_host(int allow, const char *host, int stop_fd, struct kt_error *err)
{
    struct kt_address found[KT_RESOLVER_ADDRESSES];
    const int n = host[0] ? kt_resolver_look_up(host, "0", stop_fd, found) : -EHOSTUNREACH;
    if (n == -ECANCELED)
        return kt_error_set(err, n, "the recorder is being stopped");
    if (n < 0)
        return kt_error_set(err, -ENOENT, "no machine is called '%.200s'", host);
    for (int i = 0; i < n; i++) {
        const struct sockaddr *address = (const struct sockaddr *)&found[i].address;
        if (!kt_net_allowed(allow, address))
            return kt_error_set(err, -EACCES, "'%.200s' is a %s address, which is not allowed here",
                                host, kt_net_class_name(kt_net_classify(address)));
    }
    return 0;
}

/* Is WORD one of the comma-separated LIST? */
static bool in_list(const char *word, const char *list)
{
    const size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncasecmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

static void free_url(CURLU **url)
{
    curl_url_cleanup(*url);
}

static void free_part(char **part)
{
    curl_free(*part);
}

/* May PART (user, password) of U stand in a header? curl decodes none with control characters. */
static bool is_plain(CURLU *u, CURLUPart part, CURLUcode none)
{
    kt_cleanup(free_part) char *text = NULL;
    const CURLUcode code = curl_url_get(u, part, &text, CURLU_URLDECODE);
    return code == CURLUE_OK || code == none;
}

int kt_net_check_url(int allow, const char *schemes, const char *url, int stop_fd, struct kt_error *err)
{
    kt_cleanup(free_url) CURLU *u = curl_url();
    kt_cleanup(free_part) char *scheme = NULL, *host = NULL;
    if (!u)
        return kt_error_set(err, -ENOMEM, "out of memory");
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, CURLU_URLDECODE) != CURLUE_OK)
        return kt_error_set(err, -EINVAL, "this is no address: SCHEME://HOST/… is expected");
    if (!is_plain(u, CURLUPART_USER, CURLUE_NO_USER) || !is_plain(u, CURLUPART_PASSWORD, CURLUE_NO_PASSWORD))
        return kt_error_set(err, -EINVAL, "user name and password cannot hold control characters");
    if (!in_list(scheme, schemes))
        return kt_error_set(err, -EINVAL, "%.16s:// is not possible here, but %s", scheme, schemes);
    size_t n = strlen(host);
    if (host[0] == '[' && host[n - 1] == ']') {
        memmove(host, host + 1, n);
        host[n - 2] = '\0';
    }
    return kt_net_check_host(allow, host, stop_fd, err);
}

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct kt_net_guard *guard = user;
    if (purpose != CURLSOCKTYPE_IPCXN || !kt_net_allowed(guard->allow, &address->addr)) {
        guard->refused = kt_net_classify(&address->addr);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void kt_net_guard_curl(CURL *easy, const char *schemes, struct kt_net_guard *guard)
{
    guard->refused = 0;
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, guard);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, schemes);
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");      /* a proxy would connect for us, unguarded */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server that hangs */
}

int kt_net_guard_connect(void *user, const struct sockaddr *address)
{
    const struct kt_net_guard *guard = user;
    return kt_net_allowed(guard->allow, address) ? 0 : -EACCES;
}

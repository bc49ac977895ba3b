#include "server/onvif/targets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "server/onvif/onvif.h"

#define PORTS_MAX 16
/* 80 most; 8899 Xiongmai and its many names; 2020 TP-Link; 8080, 8000 the rest. */
#define PORTS_DEFAULT "80,8899,2020,8080,8000"
#define DEVICE_SERVICE "/onvif/device_service"

struct list {
    struct kt_onvif_target *items;
    size_t n;
    int ports[PORTS_MAX];
    size_t n_ports;
    struct kt_error *err;
};

/* A number at *P, moved past it. -EINVAL: none, or larger than MAX. */
static int number(const char **p, unsigned max)
{
    unsigned value = 0;
    const char *start = *p;
    while (**p >= '0' && **p <= '9' && value <= max)
        value = value * 10 + (unsigned)(*(*p)++ - '0');
    return *p == start || value > max ? -EINVAL : (int)value;
}

static int read_ports(struct list *l, const char *text)
{
    for (const char *p = text; *p; p += *p == ',') {
        p += strspn(p, " ");
        const int port = number(&p, 65535);
        p += strspn(p, " ");
        if (port < 1 || (*p && *p != ',') || l->n_ports == PORTS_MAX)
            return kt_error_set(l->err, -EINVAL, "'%.60s' is no list of ports", text);
        l->ports[l->n_ports++] = port;
    }
    return l->n_ports ? 0 : kt_error_set(l->err, -EINVAL, "no ports to try");
}

static int add(struct list *l, const char *service, bool named)
{
    if (l->n == KT_ONVIF_RANGE_MAX)
        return kt_error_set(l->err, -E2BIG,
                            "more than %d addresses and ports: try a smaller range", KT_ONVIF_RANGE_MAX);
    snprintf(l->items[l->n].service, sizeof(l->items[l->n].service), "%s", service);
    l->items[l->n++].named = named;
    return 0;
}

static int add_address(struct list *l, uint32_t address, int port, bool named)
{
    char service[128];
    const size_t n = port ? 1 : l->n_ports;
    for (size_t i = 0; i < n; i++) {
        const int at = port ? port : l->ports[i];
        snprintf(service, sizeof(service), "http://%u.%u.%u.%u:%d" DEVICE_SERVICE, address >> 24,
                 address >> 16 & 255, address >> 8 & 255, address & 255, at);
        const int ret = add(l, service, named && n == 1);
        if (ret < 0)
            return ret;
    }
    return 0;
}

/* 192.168.1.7, with /24 or -60 or :8899 behind it. */
static int add_range(struct list *l, const char *item)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr in;
    const size_t n = strspn(item, "0123456789.");
    snprintf(text, sizeof(text), "%.*s", (int)n, item);
    if (n >= sizeof(text) || inet_pton(AF_INET, text, &in) != 1)
        return -EINVAL;
    uint32_t from = ntohl(in.s_addr), to = from;
    const char *p = item + n;
    int port = 0;
    if (*p == '/') {
        p++;
        const int bits = number(&p, 32);
        if (bits < 8)
            return -EINVAL;
        const uint32_t host = bits == 32 ? 0 : 0xffffffffu >> bits;
        from &= ~host;
        to = from | host;
        if (bits < 31) {        /* neither the network nor its broadcast address */
            from++;
            to--;
        }
    } else if (*p == '-') {
        p++;
        const int last = number(&p, 255);
        if (last < 0 || (unsigned)last < (from & 255))
            return -EINVAL;
        to = (from & 0xffffff00u) | (unsigned)last;
    }
    if (*p == ':') {
        p++;
        port = number(&p, 65535);
        if (port < 1)
            return -EINVAL;
    }
    if (*p)
        return -EINVAL;
    int ret = 0;
    for (uint64_t a = from; a <= to && ret == 0; a++)
        ret = add_address(l, (uint32_t)a, port, from == to);
    return ret;
}

static int add_item(struct list *l, const char *item)
{
    int ret = strstr(item, "://") ? add(l, item, true) : add_range(l, item);
    if (ret == -EINVAL)
        return kt_error_set(l->err, ret, "'%.100s' is no address range: write 192.168.1.0/24, "
                            "192.168.1.10-60 or 192.168.1.7:8899", item);
    return ret;
}

int kt_onvif_targets(struct kt_onvif_target **out, size_t *n, const char *range, const char *ports,
                     struct kt_error *err)
{
    struct list l = { .err = err };
    kt_cleanup(kt_freep) char *text = strdup(range);
    kt_cleanup(kt_freep) struct kt_onvif_target *items = calloc(KT_ONVIF_RANGE_MAX, sizeof(*items));
    if (!text || !items)
        return kt_error_set(err, -ENOMEM, "out of memory");
    l.items = items;
    int ret = read_ports(&l, ports ? ports : PORTS_DEFAULT);
    char *save = NULL;
    for (char *item = strtok_r(text, ", \t\r\n", &save); item && ret == 0;
         item = strtok_r(NULL, ", \t\r\n", &save))
        ret = strlen(item) < sizeof(items->service) ? add_item(&l, item)
                                                    : kt_error_set(err, -EINVAL, "too long an address");
    if (ret == 0 && l.n == 0)
        ret = kt_error_set(err, -EINVAL, "no addresses to try");
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&items);
    *n = l.n;
    return 0;
}

/*
 * name_shim.c - preloaded into the daemon, it is the name server of somebody who wants in:
 * "rebind-a.example" and "rebind-b.example" are a public address when somebody asks for the first
 * time, and then 127.0.0.1.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static atomic_int asked[2];

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    const bool a = host && strcmp(host, "rebind-a.example") == 0, b = host && strcmp(host, "rebind-b.example") == 0;
    if (a || b)
        host = atomic_fetch_add(&asked[b], 1) == 0 ? "192.0.2.1" : "127.0.0.1";
    return real(host, port, hints, out);
}

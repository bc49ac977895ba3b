/*
 * notify.h - telling systemd that we are ready, alive, reloading, stopping: the
 * NOTIFY_SOCKET protocol of sd_notify(3), without its library.
 *
 * Threads: any; the environment must not change meanwhile.
 */
#ifndef KT_SERVER_NOTIFY_H
#define KT_SERVER_NOTIFY_H

#include <stdint.h>

/* Send STATE ("READY=1", "WATCHDOG=1", "STATUS=…"; lines). 0 when it went or when nobody
 * listens (NOTIFY_SOCKET is not set); else a negative errno. Never blocks. */
int kt_notify(const char *state);

/* How often WATCHDOG=1 is wanted: half of what systemd allows. 0: not at all. */
int64_t kt_notify_watchdog_us(void);

#endif

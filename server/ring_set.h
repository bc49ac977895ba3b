/*
 * ring_set.h - the rings of the configuration, opened, and whether each is the
 * disk it was yesterday.
 *
 * The catalog remembers the UUID of every ring. A ring that was there before and
 * is not there now (no disk, another disk, read-only) is not made anew: it would
 * fill the boot disk, or hide the video. It stays closed and `why` says so.
 *
 * Threads: opened and closed by the supervisor, constant in between.
 */
#ifndef KT_SERVER_RING_SET_H
#define KT_SERVER_RING_SET_H

#include "server/config.h"
#include "web/http/web.h"

struct kt_ring_set {
    size_t n;
    struct kt_web_ring *web;            /* n: name, ring (NULL: not there), why */
    struct kt_error *whys;              /* n: what web[i].why points to */
    const struct kt_config_ring *config;    /* n: borrowed from the configuration */
};

/* NEW_RING names a ring whose disk was replaced on purpose, or is NULL. */
kt_must_check int kt_ring_set_open(struct kt_ring_set **out, const kt_config *config,
                                   kt_catalog *catalog, const char *new_ring, struct kt_error *err);
void kt_ring_set_close(struct kt_ring_set **set);

/*
 * The open rings that record STREAM ("main", "sub") of CAMERA all the time, at most MAX, the
 * first being where playback reads. Where there is none, *WHY says so in words (as long as SET).
 */
size_t kt_ring_set_recorders(const struct kt_ring_set *set, const char *camera, const char *stream,
                             kt_ring **out, size_t max, const char **why);

/* Does ring I keep STREAM of CAMERA around events? */
bool kt_ring_set_keeps_events(const struct kt_ring_set *set, size_t i, const char *camera,
                              const char *stream);

/* Is every ring there that should record all the time? */
bool kt_ring_set_whole(const struct kt_ring_set *set);

#endif

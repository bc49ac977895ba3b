/*
 * hub.h - fans chunks out to WebSockets: one epoll thread for all viewers.
 *
 * A slow viewer never slows anything else: what it cannot take is skipped to
 * the newest key frame, and it is told. The protocol is docs/live-protocol.md
 * (design section 6). The current GOP of each stream is cached, so a tile
 * starts at once.
 *
 * Threads: publish functions from any thread, never block. Callbacks run on the
 * hub's thread and must not block.
 */
#ifndef KT_LIVE_HUB_H
#define KT_LIVE_HUB_H

#include <stdbool.h>

#include "server/base/chunk.h"
#include "server/base/error.h"

typedef struct kt_hub kt_hub;

struct kt_hub_params {
    size_t max_viewers;             /* 0: 256 */
    size_t gop_cache_bytes;         /* of one stream; 0: 3 MiB. Of a longer GOP the key frame and
                                     * the end are kept */
};

kt_must_check int kt_hub_create(kt_hub **out, const struct kt_hub_params *params);
void kt_hub_destroy(kt_hub **hub);

/* NAME is "camera/main" or "camera/sub". CHUNK is borrowed, the hub refs it. */
void kt_hub_publish(kt_hub *hub, const char *name, struct kt_chunk *chunk);

/* Newest still of a camera (JPEG, copied) for "stream":"still" tiles. */
void kt_hub_publish_still(kt_hub *hub, const char *camera, const void *jpeg, size_t size,
                          int64_t wall_us);

/* Does anybody look at NAME ("camera/still") now? Pictures nobody asked for need not
 * be made. */
bool kt_hub_watched(kt_hub *hub, const char *name);

/*
 * What moves at CAMERA now: JSON is kept until the next one and goes to those who have
 * a tile of that camera, also to tiles that come later. A slow viewer gets only the
 * newest. MOVING is false when nothing moves any more; tiles of stills hear only of
 * beginning and end. Longer than KT_HUB_MOTION_MAX: ignored.
 */
#define KT_HUB_MOTION_MAX 2048
void kt_hub_publish_motion(kt_hub *hub, const char *camera, const char *json, bool moving);

/* A JSON text message to every viewer that may see CAMERA (NULL: all). */
void kt_hub_publish_text(kt_hub *hub, const char *camera, const char *json);

/* The camera is gone (deleted or disabled): end its tiles (error "gone"), drop
 * the cache. Publishing again brings the stream back. */
void kt_hub_remove(kt_hub *hub, const char *camera);

/*
 * Take over an upgraded socket. FD is non-blocking; the hub calls
 * ON_CLOSE(USER) once when it is done with it, and never closes FD itself.
 * EXTRA are bytes already read. MAY_SEE(USER, camera) says whether this viewer
 * may see a camera; called on the hub's thread for every subscribe and message.
 * Every few seconds ALIVE says whether the session still is: 0 closes the
 * viewer. ON_WATCH hears of each subscribe that was granted.
 *
 * When this fails nothing is called and FD stays the caller's:
 *   -EBUSY   there are max_viewers already
 *   -ESHUTDOWN  after kt_hub_disconnect()
 */
struct kt_hub_viewer {
    int fd;
    const void *extra;
    size_t extra_size;
    void *user;
    int (*may_see)(void *user, const char *camera);
    void (*on_close)(void *user);
    int (*alive)(void *user);                               /* may be NULL */
    void (*on_watch)(void *user, const char *camera, const char *stream);   /* may be NULL */
};
kt_must_check int kt_hub_adopt(kt_hub *hub, const struct kt_hub_viewer *viewer);

/* Close every viewer, wait until each on_close was called, and take no more.
 * For the owner of the sockets before it stops. */
void kt_hub_disconnect(kt_hub *hub);

struct kt_hub_status {
    size_t viewers, tiles;
    uint64_t bytes_sent, frames_dropped;
};
void kt_hub_status(kt_hub *hub, struct kt_hub_status *out);

#endif

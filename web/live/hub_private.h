/*
 * hub_private.h - what the parts of the hub share: streams with their GOP cache
 * (hub_stream.c), viewers and their tiles (hub_viewer.c), and the thread that
 * ties them together (hub.c).
 *
 * Locking: hub->lock is a leaf; no system call and no callback happens under it.
 * Publishers touch only what it protects. Everything else belongs to the hub's
 * thread.
 */
#ifndef KT_LIVE_HUB_PRIVATE_H
#define KT_LIVE_HUB_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>
#include <wslay/wslay.h>

#include "server/base/text.h"
#include "web/live/hub.h"

#define HUB_BUCKETS 256
#define HUB_MAX_TILES 64                /* of one viewer */
#define HUB_BATCH 24                    /* messages of one writev(2) */
#define HUB_BATCH_BYTES (64 * 1024)     /* more is chosen only when these are gone */
#define HUB_TEXT_MAX (256 * 1024)       /* unsent text of one viewer; more: it is closed */
#define HUB_MEDIA_HEAD 24
#define HUB_FRAME_HEAD 14               /* longest WebSocket frame header */
#define HUB_LAG_US 1000000              /* further behind a newer key frame: skip to it */

/* ------------------------------ streams ------------------------------ */

enum stream_kind { STREAM_MAIN, STREAM_SUB, STREAM_STILL };

struct stream_entry {
    uint64_t seq;
    struct kt_chunk *chunk;             /* owned reference */
};

struct tile;

struct stream {
    /* --- constant after create --- */
    char name[KT_STREAM_NAME_MAX + 1];
    char camera[KT_STREAM_NAME_MAX + 1];
    enum stream_kind kind;
    /* --- protected by hub->lock --- */
    struct stream *next;                /* in its bucket */
    struct stream_entry *ring;          /* CAP of them, COUNT in use from HEAD on */
    size_t cap, head, count, bytes;
    uint64_t next_seq;                  /* of the next chunk; the first is 1 */
    uint64_t key_seq;                   /* newest key frame, 0: none yet */
    char *motion;                       /* newest message about what moves, owned; NULL: none yet */
    uint64_t motion_seq;                /* counts them */
    bool moving;
    bool published;                     /* somebody publishes it: keep it without tiles */
    bool dirty;
    struct stream *next_dirty;
    unsigned n_tiles;
    /* --- hub thread --- */
    struct tile *tiles;
};

/* Chunks to be released outside the lock. */
struct chunk_bin {
    struct kt_chunk **items;
    size_t n, cap;
};
void hub_bin_empty(struct chunk_bin *bin);

/* Split "camera/main" into STREAM. -EINVAL for anything else. */
kt_must_check int hub_stream_init(struct stream *stream, const char *name);

/* Append CHUNK (its reference is taken over); what falls out goes to BIN. With
 * the lock held. */
void hub_stream_push(struct stream *stream, struct kt_chunk *chunk, size_t max_bytes,
                     struct chunk_bin *bin);
void hub_stream_clear(struct stream *stream, struct chunk_bin *bin);

/* Where a tile is in its stream. All 0: start at the newest key frame. */
struct stream_cursor {
    uint64_t seq;                       /* next wanted */
    bool need_key;                      /* what lies between is lost: wait for a key frame */
};

/* The next chunk for CURSOR with a reference, or NULL. Moves the cursor; adds
 * skipped chunks to *DROPPED. With the lock held. */
struct kt_chunk *hub_stream_next(struct stream *stream, struct stream_cursor *cursor,
                                 uint64_t *seq, uint64_t *dropped);

/* ------------------------------ viewers ------------------------------ */

struct tile {
    struct tile *next;                  /* of the same stream */
    struct viewer *viewer;
    struct stream *stream;
    uint16_t id;
    struct stream_cursor cursor;
    uint64_t run;                       /* of the last init segment sent, 0: none yet */
    uint8_t init_hash[KT_INIT_HASH_SIZE];
    int64_t still_every_us, still_next_us;
    uint64_t stills_sent;               /* chunks, in fact: only of stills it matters */
    uint64_t motion_seq;                /* of the last motion message sent, 0: none yet */
};

/* One message on its way: a copied head, then bytes that belong to one of the
 * references. */
struct out_msg {
    uint8_t head[HUB_FRAME_HEAD + HUB_MEDIA_HEAD];
    size_t head_size;
    const uint8_t *data;
    size_t size;
    struct kt_chunk *chunk;
    struct kt_init *init;
    uint8_t *text;
};

struct viewer {
    struct viewer *prev, *next;
    struct kt_hub *hub;
    struct kt_hub_viewer pub;           /* extra is a copy */
    size_t extra_used;
    wslay_event_context_ptr ws;         /* reads and answers; its output goes to text */
    size_t read_budget;                 /* bytes it may still take in this round */
    struct tile *tiles[HUB_MAX_TILES];
    size_t n_tiles, turn;               /* TURN: the tile that is next in the round */
    uint8_t *text;                      /* framed text and control messages not yet chosen */
    size_t text_size, text_cap;
    struct out_msg out[HUB_BATCH];
    size_t out_n, out_first, out_sent;  /* OUT_SENT bytes of out[out_first] are gone */
    bool want_out, flush_listed;
    bool closing, dead;
    int64_t heard_us, progress_us, pinged_us, checked_us, close_by_us;
    double tokens;                      /* messages it may still send us */
    int64_t tokens_us;
    struct viewer *next_flush;
};

kt_must_check int hub_viewer_create(struct viewer **out, struct kt_hub *hub,
                                    const struct kt_hub_viewer *pub);
/* Unhook from all streams, call on_close, free. */
void hub_viewer_destroy(struct viewer **viewer);
void hub_viewer_readable(struct viewer *viewer);
/* Send what can be sent. Sets dead when the socket failed. */
void hub_viewer_flush(struct viewer *viewer);
/* A JSON text of N bytes. */
void hub_viewer_text(struct viewer *viewer, const char *json, size_t n);
void hub_viewer_tick(struct viewer *viewer, int64_t now_us);
void hub_viewer_close(struct viewer *viewer, uint16_t code, const char *why);
void hub_viewer_drop_tile(struct viewer *viewer, size_t i);
void hub_tile_error(struct viewer *viewer, int tile, const char *code);

/* ------------------------------ the hub ------------------------------ */

struct hub_note;                        /* text or an order for the hub's thread */

struct kt_hub {
    /* --- constant after create --- */
    size_t max_viewers, gop_cache_bytes;
    struct kt_init *still_init;         /* stands in for stills, which have none */
    int epoll_fd, wake_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t idle;                /* n_viewers fell, with the lock */
    /* --- protected by lock --- */
    struct stream *buckets[HUB_BUCKETS];
    struct stream *dirty;
    struct hub_note *notes, **notes_tail;
    size_t n_notes;
    size_t n_viewers;                   /* adopted, also those still on their way to the thread */
    bool woken, stop, refuse;
    /* --- hub thread --- */
    struct viewer *viewers, *flush;
    wslay_frame_context_ptr framer;     /* of our own messages; never holds half a frame */
    struct out_msg *framing;            /* where it writes to */
    /* --- any thread --- */
    atomic_uint_fast64_t bytes_sent, frames_dropped;
    atomic_size_t n_tiles;
};

/* STREAM by NAME for a new tile, made when missing. NULL: no memory, or too many. */
struct stream *hub_stream_attach(struct kt_hub *hub, const char *name, struct tile *tile);
void hub_stream_detach(struct kt_hub *hub, struct tile *tile);

#endif

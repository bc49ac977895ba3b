#include "storage/ring/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "storage/ring/ring_private.h"
#include "storage/ring/scan.h"

/* Where in the log a walk is: the next header is looked for at OFFSET. */
struct walk {
    kt_ring *ring;
    int fd;                             /* of the slab with life SLAB_SEQ */
    uint64_t slab_seq, offset;
    uint64_t seq;                       /* of the record wanted next */
    uint8_t prev[KT_HASH_SIZE];
    bool begun;
};

static void leave(struct walk *w)
{
    if (w->fd >= 0)
        w->ring->io->close(w->ring->io->user, w->fd);
    w->fd = -1;
}

static int enter(struct walk *w, uint64_t slab_seq, uint64_t offset)
{
    leave(w);
    w->fd = kt_ring_open_slab(w->ring, slab_seq, O_RDONLY);
    w->slab_seq = slab_seq;
    w->offset = offset;
    return w->fd < 0 ? w->fd : 0;
}

/* The life whose first record is the one wanted; 0: none. */
static uint64_t life_of(struct walk *w)
{
    uint64_t life = 0;
    pthread_rwlock_rdlock(&w->ring->ix->lock);
    for (uint32_t i = 0; i < w->ring->ix->n_slabs; i++)
        if (w->ring->ix->slabs[i].slab_seq > w->slab_seq && w->ring->ix->slabs[i].first_seq == w->seq)
            life = w->ring->ix->slabs[i].slab_seq;
    pthread_rwlock_unlock(&w->ring->ix->lock);
    return life;
}

/* Is the wanted header at OFFSET? */
static bool look(struct walk *w, uint64_t offset, uint8_t bytes[KT_HEADER_SIZE], struct kt_header *h)
{
    if (offset + KT_HEADER_SIZE > w->ring->meta.slab_bytes ||
        kt_io_read(w->ring->io, w->fd, bytes, KT_HEADER_SIZE, offset) < 0 || kt_header_decode(h, bytes) < 0)
        return false;
    return h->seq == w->seq && h->slab_seq == w->slab_seq &&
           memcmp(h->uuid, w->ring->meta.uuid, KT_UUID_SIZE) == 0 &&
           (!w->begun || memcmp(h->prev, w->prev, KT_HASH_SIZE) == 0);
}

/* The header wanted: right here, where the next commit begins, or in the next slab. */
static int next(struct walk *w, uint8_t bytes[KT_HEADER_SIZE], struct kt_header *h)
{
    uint64_t at = w->offset;
    if (!look(w, at, bytes, h)) {
        at = kt_page_up(at);
        if (!look(w, at, bytes, h)) {
            const uint64_t life = life_of(w);
            if (life == 0)
                return -EAGAIN;
            const int ret = enter(w, life, 0);
            if (ret < 0)
                return ret;
            at = 0;
            if (!look(w, at, bytes, h))
                return -EBADMSG;
        }
    }
    w->offset = at + kt_record_space(h->size);
    w->seq = h->seq + 1;
    w->begun = true;
    memcpy(w->prev, h->hash, KT_HASH_SIZE);
    return 0;
}

static int read_head(struct walk *w, const struct kt_header *h, struct kt_chain_end *end)
{
    uint8_t payload[KT_HEAD_MAX];
    const uint8_t *sig;
    size_t key_size;
    if (h->size > sizeof(payload))
        return -EBADMSG;
    int ret = kt_scan_payload(w->ring->io, w->fd, h, w->offset - kt_record_space(h->size), payload);
    if (ret == 0)
        ret = kt_head_decode(&end->fields, &sig, &end->sig_size, payload, h->size);
    if (ret < 0 || end->sig_size > sizeof(end->sig))
        return -EBADMSG;
    memcpy(end->head, payload, KT_HEAD_SIGNED);
    memcpy(end->sig, sig, end->sig_size);
    const uint8_t *der = kt_key_der(w->ring->key, &key_size);
    if (key_size > sizeof(end->key_der) ||
        memcmp(end->fields.key, kt_key_fingerprint(w->ring->key), KT_HASH_SIZE) != 0)
        return -EKEYREJECTED;
    memcpy(end->key_der, der, key_size);
    end->key_size = key_size;
    return 0;
}

/* Damage in the middle is told from the end of the log by what is known to follow. */
static int why_not(struct walk *w, int ret, uint64_t last_seq)
{
    pthread_rwlock_rdlock(&w->ring->ix->lock);
    const bool gone = !kt_index_slab(w->ring->ix, w->slab_seq);
    pthread_rwlock_unlock(&w->ring->ix->lock);
    if (gone)
        return -ESTALE;
    return ret == -EAGAIN && w->seq <= last_seq ? -EBADMSG : ret;
}

int kt_ring_chain(kt_ring *ring, const struct kt_record *first, uint64_t last_seq,
                  int (*feed)(void *user, const uint8_t header[KT_HEADER_SIZE]), void *user,
                  struct kt_chain_end *end)
{
    struct walk w = { .ring = ring, .fd = -1, .seq = first->seq };
    struct kt_header h = { .type = 0 };
    *end = (struct kt_chain_end){ .records = 0 };
    if (!ring->key)
        return -EAGAIN;
    int ret = enter(&w, first->slab_seq, first->offset - KT_HEADER_SIZE);
    while (ret == 0) {
        uint8_t bytes[KT_HEADER_SIZE];
        ret = next(&w, bytes, &h);
        if (ret < 0) {
            ret = why_not(&w, ret, last_seq);
            break;
        }
        end->records++;
        ret = feed(user, bytes);
        if (ret == 0 && h.type == KT_TYPE_HEAD && h.seq > last_seq) {
            ret = read_head(&w, &h, end);
            break;
        }
    }
    leave(&w);
    return ret;
}

int kt_ring_sign(kt_ring *ring, int64_t timeout_us)
{
    const struct timespec deadline = kt_clock_deadline(timeout_us);
    int ret = 0;
    pthread_mutex_lock(&ring->lock);
    const uint64_t wanted = ++ring->sign_asked;
    ring->flush = true;
    pthread_cond_signal(&ring->wake);
    while (ring->sign_done < wanted && ret == 0)
        ret = ring->state == KT_RING_OK ? -pthread_cond_timedwait(&ring->done, &ring->lock, &deadline) : -EIO;
    pthread_mutex_unlock(&ring->lock);
    return ret;
}

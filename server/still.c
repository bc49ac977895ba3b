#include "server/still.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <libavcodec/avcodec.h>

#include "decoders/decode/decode.h"

struct kt_still {
    pthread_mutex_t lock;           /* leaf */
    /* --- protected by lock --- */
    AVCodecParameters *par;         /* NULL: no format yet */
    AVRational time_base;
    AVPacket *key;                  /* NULL: none yet */
    int64_t wall_us;
};

int kt_still_create(kt_still **out)
{
    kt_still *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    pthread_mutex_init(&s->lock, NULL);
    *out = s;
    return 0;
}

void kt_still_destroy(kt_still **pstill)
{
    kt_still *s = kt_steal_ptr(pstill);
    if (!s)
        return;
    avcodec_parameters_free(&s->par);
    av_packet_free(&s->key);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void kt_still_format(kt_still *s, const AVCodecParameters *par, AVRational time_base)
{
    AVCodecParameters *fresh = avcodec_parameters_alloc();
    if (fresh && avcodec_parameters_copy(fresh, par) < 0)
        avcodec_parameters_free(&fresh);
    pthread_mutex_lock(&s->lock);
    avcodec_parameters_free(&s->par);
    s->par = fresh;
    s->time_base = time_base;
    av_packet_free(&s->key);        /* it was in the old format */
    s->wall_us = 0;
    pthread_mutex_unlock(&s->lock);
}

/* Is the memory of KEY ours alone, and large enough for SIZE bytes? */
static bool has_room(const AVPacket *key, int size)
{
    return key && av_buffer_is_writable(key->buf) &&
           key->buf->size >= (size_t)size + AV_INPUT_BUFFER_PADDING_SIZE;
}

/* Key frames follow each other through the same memory: new pages for each would cost more than the copy. */
void kt_still_put(kt_still *s, const AVPacket *pkt, int64_t wall_us)
{
    pthread_mutex_lock(&s->lock);
    if (!has_room(s->key, pkt->size)) {
        av_packet_free(&s->key);
        s->key = av_packet_alloc();
        if (s->key && av_new_packet(s->key, pkt->size + pkt->size / 4) < 0)
            av_packet_free(&s->key);
    }
    if (s->key) {
        s->key->data = s->key->buf->data;
        s->key->size = pkt->size;
        memcpy(s->key->data, pkt->data, (size_t)pkt->size);
        memset(s->key->data + pkt->size, 0, AV_INPUT_BUFFER_PADDING_SIZE);
        s->key->pts = pkt->pts;
        s->key->dts = pkt->dts;
        s->key->flags = pkt->flags;
    }
    s->wall_us = s->key ? wall_us : 0;
    pthread_mutex_unlock(&s->lock);
}

int64_t kt_still_newest_us(kt_still *s)
{
    pthread_mutex_lock(&s->lock);
    const int64_t wall_us = s->wall_us;
    pthread_mutex_unlock(&s->lock);
    return wall_us;
}

/* The picture of key frame KEY in DEC. */
static int decode(kt_decoder *dec, const AVPacket *key)
{
    struct kt_luma luma;
    int ret = kt_decoder_send(dec, key);
    if (ret == 0)
        ret = kt_decoder_receive(dec, &luma);
    if (ret == -EAGAIN && kt_decoder_send(dec, NULL) == 0)     /* push it out */
        ret = kt_decoder_receive(dec, &luma);
    return ret;
}

int kt_still_jpeg(kt_still *s, int max_width, uint8_t **out, size_t *size, int64_t *wall_us)
{
    kt_cleanup(kt_decoder_destroy) kt_decoder *dec = NULL;
    kt_cleanup(av_packet_free) AVPacket *key = NULL;
    int ret = -EAGAIN;
    pthread_mutex_lock(&s->lock);
    if (s->par && s->key) {
        key = av_packet_clone(s->key);
        ret = key ? kt_decoder_create(&dec, s->par, s->time_base) : -ENOMEM;
    }
    *wall_us = s->wall_us;
    pthread_mutex_unlock(&s->lock);
    if (ret == 0)
        ret = decode(dec, key);
    return ret < 0 ? ret : kt_jpeg_encode(kt_decoder_frame(dec), max_width, out, size);
}

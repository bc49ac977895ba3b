/* analyzer.c - packets through the decoder to the detector, second by second. */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <libavcodec/avcodec.h>

#include "decoders/decode/decode.h"
#include "decoders/motion/analyzer.h"
#include "server/base/clock.h"

#define DEFAULT_THUMBNAIL_WIDTH 480
#define OVERLOAD_PERIOD_US (10 * KT_SECOND_US)
#define TIMES 64                    /* packets inside the decoder, at most */

struct kt_analyzer {
    struct kt_analyzer_params params;       /* par and rules_json are NULL */
    enum kt_analyzer_mode wanted;
    enum kt_analyzer_load load;
    kt_decoder *decoder;
    kt_motion *motion;
    bool need_key;                  /* nothing decodes until a key frame */
    int64_t last_decoded_us;
    struct {
        int64_t pts, wall_us;
    } time[TIMES];                  /* of the packets given to the decoder, newest at next - 1 */
    unsigned next_time;
    AVFrame *latest;                /* blank until the first picture */
    int64_t latest_us;
    /* the second being collected */
    int64_t second;
    double second_score;
    uint8_t grid[KT_MOTION_GRID_BYTES];
    /* thumbnails: the event whose best picture is the one being looked at */
    uint64_t best_event;
    struct kt_analyzer_stats stats;
};

static const char *const mode_names[] = { "off", "keyframes", "adaptive", "full" };

int kt_analyzer_mode_parse(const char *word, enum kt_analyzer_mode *mode)
{
    for (size_t i = 0; i < KT_ARRAY_SIZE(mode_names); i++)
        if (strcmp(word, mode_names[i]) == 0) {
            *mode = (enum kt_analyzer_mode)i;
            return 0;
        }
    return -EINVAL;
}

const char *kt_analyzer_mode_name(enum kt_analyzer_mode mode)
{
    return mode_names[mode];
}

const char *kt_trouble_name(enum kt_trouble trouble)
{
    static const char *const names[] = { "", "camera-frozen", "camera-covered",
                                         "camera-defocused", "camera-moved",
                                         "camera-undecodable" };
    return names[trouble];
}

static void on_motion_event(void *user, enum kt_motion_event_phase phase,
                            const struct kt_motion_event *event)
{
    kt_analyzer *a = user;
    if (phase == KT_MOTION_EVENT_BEST)
        a->best_event = event->id;
    if (a->params.on_event)
        a->params.on_event(a->params.user, phase, event);
}

int kt_analyzer_create(kt_analyzer **out, const struct kt_analyzer_params *params,
                       struct kt_error *err)
{
    assert(out && params && params->par);
    kt_cleanup(kt_analyzer_destroy) kt_analyzer *a = calloc(1, sizeof(*a));
    if (!a || !(a->latest = av_frame_alloc()))
        return kt_error_set(err, -ENOMEM, "out of memory");
    a->params = *params;
    a->params.par = NULL;
    a->params.rules_json = NULL;
    if (a->params.thumbnail_width <= 0)
        a->params.thumbnail_width = DEFAULT_THUMBNAIL_WIDTH;
    a->wanted = params->mode;
    a->need_key = true;
    int ret = kt_decoder_create(&a->decoder, params->par, params->time_base);
    if (ret < 0)
        return kt_error_set(err, ret, "no decoder for %s", avcodec_get_name(params->par->codec_id));
    kt_decoder_set_fast(a->decoder, true);
    const struct kt_motion_params motion = { .rules_json = params->rules_json,
                                             .utc_offset_s = params->utc_offset_s, .user = a,
                                             .on_event = on_motion_event };
    ret = kt_motion_create(&a->motion, &motion, err);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&a);
    return 0;
}

void kt_analyzer_destroy(kt_analyzer **pa)
{
    kt_analyzer *a = kt_steal_ptr(pa);
    if (!a)
        return;
    kt_motion_destroy(&a->motion);
    kt_decoder_destroy(&a->decoder);
    av_frame_free(&a->latest);
    free(a);
}

static enum kt_analyzer_mode mode_now(const kt_analyzer *a)
{
    if (a->load >= KT_LOAD_VERY_HIGH && a->wanted > KT_ANALYZE_KEYFRAMES)
        return KT_ANALYZE_KEYFRAMES;
    if (a->load >= KT_LOAD_HIGH && a->wanted > KT_ANALYZE_ADAPTIVE)
        return KT_ANALYZE_ADAPTIVE;
    return a->wanted;
}

static void end_second(kt_analyzer *a)
{
    if (a->second_score > 0 && a->params.on_second) {
        const int score = (int)lround(a->second_score * 255);
        a->params.on_second(a->params.user, a->second, (uint8_t)(score < 1 ? 1 : score), a->grid);
    }
    a->second_score = 0;
    memset(a->grid, 0, sizeof(a->grid));
}

static void add_to_second(kt_analyzer *a, const struct kt_motion_result *r, int64_t wall_us)
{
    if (wall_us / KT_SECOND_US != a->second) {
        end_second(a);
        a->second = wall_us / KT_SECOND_US;
    }
    if (!r->motion)
        return;
    a->second_score = fmax(a->second_score, r->score);
    for (int i = 0; i < KT_MOTION_GRID_BYTES; i++)
        a->grid[i] |= r->grid[i];
}

static void make_thumbnail(kt_analyzer *a)
{
    kt_cleanup(kt_freep) uint8_t *jpeg = NULL;
    size_t size;
    if (a->params.on_thumbnail &&
        kt_jpeg_encode(kt_decoder_frame(a->decoder), a->params.thumbnail_width, &jpeg, &size) == 0)
        a->params.on_thumbnail(a->params.user, a->best_event, jpeg, size);
    a->best_event = 0;
}

static int64_t wall_of(const kt_analyzer *a, int64_t pts)
{
    for (unsigned i = 0; i < TIMES && i < a->next_time; i++) {
        const unsigned at = (a->next_time - 1 - i) % TIMES;
        if (a->time[at].pts == pts)
            return a->time[at].wall_us;
    }
    return a->time[(a->next_time - 1) % TIMES].wall_us;
}

static int look(kt_analyzer *a, const struct kt_luma *luma)
{
    const struct kt_motion_picture pic = {
        .luma = luma->data, .cb = luma->cb, .cr = luma->cr, .w = luma->width, .h = luma->height,
        .source_w = luma->source_width, .source_h = luma->source_height, .key = luma->key,
        .damaged = luma->damaged,
    };
    const int64_t wall_us = wall_of(a, luma->pts);
    struct kt_motion_result result;
    a->stats.decoded++;
    a->stats.damaged += luma->damaged;
    av_frame_unref(a->latest);
    int ret = av_frame_ref(a->latest, kt_decoder_frame(a->decoder));
    if (ret < 0)
        return ret;
    a->latest_us = wall_us;
    if (mode_now(a) == KT_ANALYZE_OFF)
        return 0;
    ret = kt_motion_picture(a->motion, &pic, wall_us, &result);
    if (ret < 0)
        return ret;
    add_to_second(a, &result, wall_us);
    if (a->best_event)
        make_thumbnail(a);
    return 0;
}

static int take_all(kt_analyzer *a)
{
    for (;;) {
        struct kt_luma luma;
        int ret = kt_decoder_receive(a->decoder, &luma);
        if (ret == -EAGAIN)
            return 0;
        if (ret == 0)
            ret = look(a, &luma);
        if (ret < 0)
            return ret;
    }
}

static int decode(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    a->time[a->next_time % TIMES].pts = pkt->pts;
    a->time[a->next_time % TIMES].wall_us = wall_us;
    a->next_time++;
    const int ret = kt_decoder_send(a->decoder, pkt);
    if (ret < 0) {
        a->stats.damaged++;
        return 0;
    }
    return take_all(a);
}

/* A key frame alone: the picture must come out now, not with the next packet. */
static int decode_alone(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    int ret = decode(a, pkt, wall_us);
    if (ret == 0 && kt_decoder_send(a->decoder, NULL) == 0)
        ret = take_all(a);
    kt_decoder_flush(a->decoder);
    return ret;
}

int kt_analyzer_packet(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    const bool key = pkt->flags & AV_PKT_FLAG_KEY;
    const enum kt_analyzer_mode mode = mode_now(a);
    a->stats.packets++;
    a->stats.key_packets += key;
    if (key)
        a->need_key = false;
    if (a->need_key || (mode <= KT_ANALYZE_KEYFRAMES && !key)) {
        a->need_key = true;
        a->stats.skipped++;
        return 0;
    }
    if (mode <= KT_ANALYZE_KEYFRAMES) {
        if (a->load >= KT_LOAD_OVER && wall_us - a->last_decoded_us < OVERLOAD_PERIOD_US)
            return 0;
        a->last_decoded_us = wall_us;
        return decode_alone(a, pkt, wall_us);
    }
    return decode(a, pkt, wall_us);
}

void kt_analyzer_gap(kt_analyzer *a)
{
    if (kt_decoder_send(a->decoder, NULL) == 0)
        (void)take_all(a);
    kt_decoder_flush(a->decoder);
    a->need_key = true;
    kt_motion_finish(a->motion);
    end_second(a);
}

int kt_analyzer_restart(kt_analyzer *a, const AVCodecParameters *par, AVRational time_base)
{
    kt_analyzer_gap(a);
    kt_decoder *fresh = NULL;
    const int ret = kt_decoder_create(&fresh, par, time_base);
    if (ret < 0)
        return ret;
    kt_decoder_set_fast(fresh, true);
    kt_decoder_destroy(&a->decoder);
    a->decoder = fresh;
    return 0;
}

void kt_analyzer_set_load(kt_analyzer *a, enum kt_analyzer_load load)
{
    a->load = load;
}

void kt_analyzer_set_mode(kt_analyzer *a, enum kt_analyzer_mode mode)
{
    a->wanted = mode;
}

int kt_analyzer_latest(const kt_analyzer *a, AVFrame *ref, int64_t *wall_us)
{
    if (!a->latest->buf[0])
        return -EAGAIN;
    if (wall_us)
        *wall_us = a->latest_us;
    return av_frame_ref(ref, a->latest);
}

void kt_analyzer_stats(const kt_analyzer *a, struct kt_analyzer_stats *out)
{
    *out = a->stats;
    out->mode = mode_now(a);
    out->awake = out->mode == KT_ANALYZE_FULL || out->mode == KT_ANALYZE_ADAPTIVE;
}

/*
 * analyzer.c - packets through the decoder to the detector, second by second.
 *
 * The group of pictures since the last key frame is kept (as references). Asleep,
 * key frames are decoded and looked at before anything is learnt from them; if one
 * is suspicious, the group before it is decoded first, by another decoder, so that the
 * detector sees every picture in order and none twice.
 */
#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <libavcodec/avcodec.h>

#include "decoders/decode/adaptive.h"
#include "decoders/decode/decode.h"
#include "decoders/motion/analyzer.h"
#include "decoders/motion/health.h"
#include "decoders/motion/memory.h"
#include "server/base/clock.h"

#define DEFAULT_THUMBNAIL_WIDTH 480
#define THUMBNAIL_STEP_US KT_SECOND_US
#define OVERLOAD_PERIOD_US (10 * KT_SECOND_US)
#define WARM_UP_US (6 * KT_SECOND_US)       /* adaptive starts with everything */
#define CALM_US (2500 * 1000)               /* asleep again after so long without sight of anything */
#define PROBE_EVERY 24                      /* key frames asleep, to the next check */
#define MISSED_PROBES_MAX 2                 /* then sizes and key frames are not enough */
#define SLOW_GOP_US (4 * KT_SECOND_US)      /* key frames alone see too little then */
#define DISTRUST_US (600 * KT_SECOND_US)    /* everything is decoded for so long */
#define TIMES 64                            /* packets inside the decoder, at most */
#define STILL_PROBE_US (5 * KT_SECOND_US)   /* does the picture stand still? For so long at least, */
#define STILL_PROBE_EVERY_US (10 * KT_SECOND_US)    /* and so often at most, where it does not */
#define THUMBNAILS 8                        /* events whose best picture is being chosen */

struct waiting {
    AVPacket *pkt;
    int64_t wall_us;
    bool given;                     /* to the decoder */
};

struct thumbnail {
    uint64_t event;                 /* 0: free */
    int64_t made_us;
    AVFrame *better;                /* seen since, not yet made; NULL: none */
};

struct kt_analyzer {
    struct kt_analyzer_params params;       /* par and rules_json are NULL */
    enum kt_analyzer_mode wanted;
    enum kt_analyzer_load load;
    kt_decoder *decoder;
    kt_motion *motion;
    kt_health *health;
    bool need_key;                  /* nothing decodes until a key frame */
    int64_t last_decoded_us;
    struct {
        int64_t pts, wall_us;
    } time[TIMES];                  /* of the packets given to the decoder, newest at next - 1 */
    unsigned next_time;
    AVFrame *latest;                /* blank until the first picture */
    int64_t latest_us;
    int64_t looked_us;              /* pictures up to here have been looked at */
    /* adaptive: the group since the last key frame */
    struct waiting *group;
    size_t n_group, cap_group, group_bytes;
    bool decoder_lost;              /* the decoder is not where the group says */
    bool awake, probing, probe_found;
    bool still_probing;             /* ... because of sizes that do not change */
    int64_t first_us, busy_us;      /* first packet; last time that something went on */
    int64_t distrust_until_us;
    unsigned asleep_keys;
    struct kt_adaptive sizes;
    struct kt_adaptive_steady steady;
    int64_t still_probe_us;         /* the last began; 0: none did */
    /* the second being collected */
    int64_t second;
    double second_score;
    uint8_t grid[KT_MOTION_GRID_BYTES];
    struct thumbnail thumbnail[THUMBNAILS];
    struct kt_analyzer_stats stats;
};

static const char *const mode_names[] = { "off", "keyframes", "adaptive", "full" };

const char *kt_analyzer_mode_name(enum kt_analyzer_mode mode)
{
    return mode_names[mode];
}

const char *kt_trouble_name(enum kt_trouble trouble)
{
    static const char *const names[] = { "", "camera-frozen", "camera-covered",
                                         "camera-defocused", "camera-moved",
                                         "camera-undecodable", "camera-dark" };
    return names[trouble];
}

/* ---- thumbnails ---- */

static void make_thumbnail(kt_analyzer *a, struct thumbnail *t, const AVFrame *frame,
                           int64_t wall_us)
{
    kt_cleanup(kt_freep) uint8_t *jpeg = NULL;
    size_t size;
    t->made_us = wall_us;
    if (kt_jpeg_encode(frame, a->params.thumbnail_width, &jpeg, &size) == 0)
        a->params.on_thumbnail(a->params.user, t->event, jpeg, size);
    av_frame_free(&t->better);
}

/* The slot of EVENT, or a free one, or the one that was quiet longest. */
static struct thumbnail *thumbnail_slot(kt_analyzer *a, uint64_t event)
{
    struct thumbnail *best = &a->thumbnail[0];
    for (int i = 0; i < THUMBNAILS; i++) {
        struct thumbnail *t = &a->thumbnail[i];
        if (t->event == event)
            return t;
        if (best->event && (!t->event || t->made_us < best->made_us))
            best = t;
    }
    av_frame_free(&best->better);
    *best = (struct thumbnail){ .event = event, .made_us = INT64_MIN / 2 };
    return best;
}

static void on_best(kt_analyzer *a, const struct kt_motion_event *event)
{
    const AVFrame *frame = kt_decoder_frame(a->decoder);
    struct thumbnail *t = thumbnail_slot(a, event->id);
    if (!frame)
        return;
    if (event->best_us - t->made_us >= THUMBNAIL_STEP_US) {
        make_thumbnail(a, t, frame, event->best_us);
        return;
    }
    av_frame_free(&t->better);
    t->better = av_frame_clone(frame);
}

static void on_motion_event(void *user, enum kt_motion_event_phase phase,
                            const struct kt_motion_event *event)
{
    kt_analyzer *a = user;
    if (phase == KT_MOTION_EVENT_CLOSE && a->params.on_thumbnail) {
        struct thumbnail *t = thumbnail_slot(a, event->id);
        if (t->better)
            make_thumbnail(a, t, t->better, event->best_us);
        t->event = 0;
    }
    if (a->params.on_event)
        a->params.on_event(a->params.user, phase, event);
    if (phase == KT_MOTION_EVENT_BEST && a->params.on_thumbnail)
        on_best(a, event);
}

static void on_health(void *user, enum kt_trouble trouble, bool now, int64_t since_us)
{
    kt_analyzer *a = user;
    if (a->params.on_trouble)
        a->params.on_trouble(a->params.user, trouble, now, since_us);
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
    kt_decoder_share(a->decoder, params->pictures);
    kt_decoder_set_fast(a->decoder, true);
    const struct kt_motion_params motion = { .rules_json = params->rules_json,
                                             .utc_offset_s = params->utc_offset_s, .user = a,
                                             .on_event = on_motion_event };
    ret = kt_motion_create(&a->motion, &motion, err);
    if (ret < 0)
        return ret;
    ret = kt_health_create(&a->health, on_health, a);
    if (ret < 0)
        return kt_error_set(err, ret, "out of memory");
    *out = kt_steal_ptr(&a);
    return 0;
}

void kt_analyzer_destroy(kt_analyzer **pa)
{
    kt_analyzer *a = kt_steal_ptr(pa);
    if (!a)
        return;
    for (int i = 0; i < THUMBNAILS; i++)
        av_frame_free(&a->thumbnail[i].better);
    for (size_t i = 0; i < a->cap_group; i++)
        av_packet_free(&a->group[i].pkt);
    free(a->group);
    kt_motion_destroy(&a->motion);
    kt_health_destroy(&a->health);
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

static int64_t wall_of(const kt_analyzer *a, int64_t pts)
{
    for (unsigned i = 0; i < TIMES && i < a->next_time; i++) {
        const unsigned at = (a->next_time - 1 - i) % TIMES;
        if (a->time[at].pts == pts)
            return a->time[at].wall_us;
    }
    return a->time[(a->next_time - 1) % TIMES].wall_us;
}

/* ---- pictures ---- */

static struct kt_motion_picture picture_of(const struct kt_luma *luma)
{
    return (struct kt_motion_picture){
        .luma = luma->data, .cb = luma->cb, .cr = luma->cr, .w = luma->width, .h = luma->height,
        .source_w = luma->source_width, .source_h = luma->source_height, .key = luma->key,
        .damaged = luma->damaged,
    };
}

static int keep_latest(kt_analyzer *a, int64_t wall_us)
{
    av_frame_unref(a->latest);
    a->latest_us = wall_us;
    return av_frame_ref(a->latest, kt_decoder_frame(a->decoder));
}

static int look(kt_analyzer *a, const struct kt_luma *luma, int64_t wall_us)
{
    const struct kt_motion_picture pic = picture_of(luma);
    struct kt_motion_result result;
    a->looked_us = wall_us;
    if (mode_now(a) == KT_ANALYZE_OFF)
        return 0;
    kt_health_picture(a->health, &pic, wall_us);
    const int ret = kt_motion_picture(a->motion, &pic, wall_us, &result);
    if (ret < 0)
        return ret;
    add_to_second(a, &result, wall_us);
    if (a->params.on_boxes)
        a->params.on_boxes(a->params.user, result.boxes, result.n_boxes, pic.source_w, pic.source_h,
                           wall_us);
    if (result.busy) {
        a->busy_us = wall_us;
        a->probe_found |= result.motion && a->probing;
    }
    return 0;
}

/* Take what the decoder has, and look at what has not been looked at. */
static int take_all(kt_analyzer *a)
{
    for (;;) {
        struct kt_luma luma;
        int ret = kt_decoder_receive(a->decoder, &luma);
        if (ret == -EAGAIN)
            return 0;
        if (ret < 0)
            return ret;
        const int64_t wall_us = wall_of(a, luma.pts);
        a->stats.decoded++;
        a->stats.damaged += luma.damaged;
        ret = keep_latest(a, wall_us);
        if (ret == 0 && wall_us > a->looked_us)
            ret = look(a, &luma, wall_us);
        if (ret < 0)
            return ret;
    }
}

/* 0 when the decoder took it; damage is counted, not returned. */
static bool give(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    a->time[a->next_time % TIMES].pts = pkt->pts;
    a->time[a->next_time % TIMES].wall_us = wall_us;
    a->next_time++;
    const bool taken = kt_decoder_send(a->decoder, pkt) == 0;
    a->stats.damaged += !taken;
    return taken;
}

static int decode(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    return give(a, pkt, wall_us) ? take_all(a) : 0;
}

/* A key frame alone: the picture must come out now, not with the next packet. */
static int decode_alone(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    int ret = decode(a, pkt, wall_us);
    if (ret == 0 && kt_decoder_send(a->decoder, NULL) == 0)
        ret = take_all(a);
    kt_decoder_rest(a->decoder);
    return ret;
}

/* ---- adaptive ---- */

static void clear_group(kt_analyzer *a)
{
    for (size_t i = 0; i < a->n_group; i++)
        av_packet_unref(a->group[i].pkt);
    a->n_group = a->group_bytes = 0;
}

static int add_to_group(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    if (a->n_group == a->cap_group) {
        const size_t cap = a->cap_group ? 2 * a->cap_group : 32;
        struct waiting *more = realloc(a->group, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        memset(more + a->cap_group, 0, (cap - a->cap_group) * sizeof(*more));
        a->group = more;
        a->cap_group = cap;
    }
    struct waiting *w = &a->group[a->n_group];
    if (!w->pkt && !(w->pkt = av_packet_alloc()))
        return -ENOMEM;
    const int ret = av_packet_ref(w->pkt, pkt);
    if (ret < 0)
        return ret;
    w->wall_us = wall_us;
    w->given = false;
    a->n_group++;
    a->group_bytes += (size_t)pkt->size;
    return 0;
}

/* Decode what waits in the group, from its key frame when the decoder is elsewhere. */
static int decode_group(kt_analyzer *a)
{
    int ret = 0;
    if (a->decoder_lost)
        kt_decoder_flush(a->decoder);
    for (size_t i = 0; ret == 0 && i < a->n_group; i++) {
        struct waiting *w = &a->group[i];
        if (w->given && !a->decoder_lost)
            continue;
        w->given = true;
        ret = decode(a, w->pkt, w->wall_us);
    }
    a->decoder_lost = false;
    return ret;
}

/* What sizes of this group's packets mean, now that it is known what it shows. It may have been
 * busy until it was left alone: that is not learnt as quiet. */
static void learn_sizes(kt_analyzer *a, bool moving)
{
    for (size_t i = 1; i < a->n_group; i++)
        if (moving || a->group[i].wall_us > a->busy_us)
            kt_adaptive_learn(&a->sizes, (size_t)a->group[i].pkt->size, moving);
}

static int wake(kt_analyzer *a, int64_t wall_us)
{
    a->awake = true;
    a->busy_us = wall_us;
    a->stats.wakes++;
    return decode_group(a);
}

static bool distrusted(const kt_analyzer *a, int64_t wall_us)
{
    return wall_us < a->distrust_until_us ||
           (!kt_adaptive_useful(&a->sizes) &&
            (kt_motion_is_faint(a->motion) ||
             (a->n_group > 0 && wall_us - a->group[0].wall_us > SLOW_GOP_US)));
}

static bool may_sleep(const kt_analyzer *a, int64_t wall_us)
{
    const int64_t calm_us = a->load >= KT_LOAD_HIGH ? CALM_US / 2 : CALM_US;
    return wall_us - a->first_us >= WARM_UP_US && wall_us - a->busy_us >= calm_us &&
           !distrusted(a, wall_us);
}

/* A probe is over: did it show what would have been missed? */
static void end_probe(kt_analyzer *a, int64_t wall_us)
{
    a->probing = a->still_probing = false;
    a->stats.probes++;
    if (!a->probe_found)
        return;
    if (++a->stats.missed_probes % MISSED_PROBES_MAX == 0)
        a->distrust_until_us = wall_us + DISTRUST_US;
}

/*
 * Asleep, and a key frame came. Decode it into LUMA, and look at it unless it is *SUSPICIOUS: then
 * the group before it must be decoded first. The decoder is lost where it had to be drained.
 */
static int peek(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us, struct kt_luma *luma,
                bool *suspicious)
{
    kt_decoder_flush(a->decoder);
    a->decoder_lost = true;
    *suspicious = false;
    if (!give(a, pkt, wall_us))
        return 0;
    int ret = kt_decoder_receive(a->decoder, luma);
    bool drained = false;
    if (ret == -EAGAIN) {           /* it waits for later pictures: push it out */
        drained = true;
        if (kt_decoder_send(a->decoder, NULL) == 0)
            ret = kt_decoder_receive(a->decoder, luma);
    }
    if (ret == -EAGAIN)
        return 0;
    if (ret < 0)
        return ret;
    a->decoder_lost = drained;
    const struct kt_motion_picture pic = picture_of(luma);
    a->stats.decoded++;
    ret = keep_latest(a, wall_us);
    if (ret < 0)
        return ret;
    *suspicious = !luma->damaged && kt_motion_suspects(a->motion, &pic, wall_us);
    return *suspicious ? 0 : look(a, luma, wall_us);
}

/*
 * The key frame at WALL_US is in the decoder, its picture in LUMA. Another decoder goes back to the
 * group before it; then the key frame's turn comes.
 */
static int wake_before(kt_analyzer *a, const struct kt_luma *luma, int64_t wall_us)
{
    kt_cleanup(kt_decoder_destroy) kt_decoder *back = NULL;
    kt_decoder *const ahead = a->decoder;
    const bool lost = a->decoder_lost;
    int ret = kt_decoder_twin(&back, ahead);
    if (ret < 0)
        return ret;
    a->decoder = back;              /* callbacks ask it for the picture */
    a->decoder_lost = true;
    ret = wake(a, wall_us);
    if (ret == 0 && kt_decoder_send(back, NULL) == 0)
        ret = take_all(a);
    kt_decoder_rest(back);
    a->decoder = ahead;
    a->decoder_lost = lost;
    if (ret == 0)
        ret = keep_latest(a, wall_us);
    return ret < 0 ? ret : look(a, luma, wall_us);
}

/* Asleep, and a key frame came: stay asleep, check, or wake for the group before it. */
static int key_asleep(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    struct kt_luma luma;
    bool suspicious;
    const int ret = peek(a, pkt, wall_us, &luma, &suspicious);
    if (suspicious)
        return wake_before(a, &luma, wall_us);
    learn_sizes(a, false);
    a->probing = ++a->asleep_keys % PROBE_EVERY == 0 && a->load == KT_LOAD_NORMAL;
    a->probe_found = false;
    if (!a->probing) {              /* perhaps for long: its group is decoded from the start if need be */
        kt_decoder_rest(a->decoder);
        a->decoder_lost = true;
    }
    return ret;
}

/* A key frame begins a new group. */
static int begin_group(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    const bool asleep = !a->awake;
    int ret = 0;
    if (a->probing)
        end_probe(a, wall_us);
    if (asleep)
        ret = key_asleep(a, pkt, wall_us);
    else if (a->n_group > 0)
        learn_sizes(a, a->busy_us >= a->group[0].wall_us);
    clear_group(a);
    if (ret == 0)
        ret = add_to_group(a, pkt, wall_us);
    if (ret < 0)
        return ret;
    a->group[0].given = true;
    return asleep ? 0 : decode(a, pkt, wall_us);
}

/*
 * Asleep, nobody would see a picture that stands still until the next key frames come, if those
 * are far. What waits in the group is decoded when sizes say so, and all as long as it does.
 */
static void probe_still(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    const bool steady = kt_adaptive_is_steady(&a->steady, (size_t)pkt->size, wall_us);
    const int64_t since_us = wall_us - a->still_probe_us;
    if (a->awake)
        return;
    if (a->still_probing && since_us >= STILL_PROBE_US && !kt_health_still(a->health)) {
        end_probe(a, wall_us);
    } else if (!a->probing && steady && wall_us - a->group[0].wall_us > SLOW_GOP_US &&
               (since_us >= STILL_PROBE_EVERY_US || since_us < 0 || kt_health_still(a->health))) {
        a->probing = a->still_probing = true;
        a->probe_found = false;
        a->still_probe_us = wall_us;
    }
}

static int continue_group(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    int ret = add_to_group(a, pkt, wall_us);
    if (ret < 0)
        return ret;
    probe_still(a, pkt, wall_us);
    if (a->awake || a->probing)
        return decode_group(a);
    a->stats.skipped++;
    const bool alarm = kt_adaptive_alarm(&a->sizes, (size_t)pkt->size) &&
                       kt_adaptive_useful(&a->sizes);
    if (alarm || a->group_bytes > KT_ANALYZER_WAIT_BYTES || distrusted(a, wall_us))
        return wake(a, wall_us);
    return 0;
}

static int adaptive_packet(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    if (a->first_us == 0) {
        a->first_us = a->busy_us = wall_us;
        a->awake = true;
    }
    const bool key = pkt->flags & AV_PKT_FLAG_KEY;
    const int ret = key ? begin_group(a, pkt, wall_us) : continue_group(a, pkt, wall_us);
    if (a->probing && a->probe_found) {     /* something is there: stay */
        end_probe(a, wall_us);
        a->awake = true;
    }
    if (a->awake && may_sleep(a, wall_us))
        a->awake = false;
    return ret;
}

static int keyframes_packet(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    const bool due = a->load < KT_LOAD_OVER || wall_us - a->last_decoded_us >= OVERLOAD_PERIOD_US;
    if (!(pkt->flags & AV_PKT_FLAG_KEY) || !due) {
        a->stats.skipped++;
        return 0;
    }
    a->last_decoded_us = wall_us;
    return decode_alone(a, pkt, wall_us);
}

int kt_analyzer_packet(kt_analyzer *a, const AVPacket *pkt, int64_t wall_us)
{
    const bool key = pkt->flags & AV_PKT_FLAG_KEY;
    const enum kt_analyzer_mode mode = mode_now(a);
    a->stats.packets++;
    a->stats.key_packets += key;
    if (mode != a->stats.mode) {            /* begin anew at the next key frame */
        a->stats.mode = mode;
        clear_group(a);
        kt_decoder_flush(a->decoder);
        a->need_key = true;
        a->first_us = 0;
    }
    kt_health_packet(a->health, wall_us);
    if (a->need_key && !key) {
        a->stats.skipped++;
        return 0;
    }
    a->need_key = false;
    if (mode <= KT_ANALYZE_KEYFRAMES)
        return keyframes_packet(a, pkt, wall_us);
    return mode == KT_ANALYZE_FULL ? decode(a, pkt, wall_us) : adaptive_packet(a, pkt, wall_us);
}

void kt_analyzer_gap(kt_analyzer *a)
{
    if (a->awake && kt_decoder_send(a->decoder, NULL) == 0)
        (void)take_all(a);
    clear_group(a);
    a->steady = (struct kt_adaptive_steady){ 0 };
    kt_decoder_flush(a->decoder);
    a->need_key = true;
    a->decoder_lost = false;
    kt_motion_finish(a->motion);
    if (a->params.on_boxes)
        a->params.on_boxes(a->params.user, NULL, 0, 0, 0, a->looked_us);
    end_second(a);
}

int kt_analyzer_restart(kt_analyzer *a, const AVCodecParameters *par, AVRational time_base)
{
    kt_analyzer_gap(a);
    kt_decoder *fresh = NULL;
    const int ret = kt_decoder_create(&fresh, par, time_base);
    if (ret < 0)
        return ret;
    kt_decoder_share(fresh, a->params.pictures);
    kt_decoder_set_fast(fresh, true);
    kt_decoder_destroy(&a->decoder);
    a->decoder = fresh;
    return 0;
}

void kt_analyzer_set_load(kt_analyzer *a, enum kt_analyzer_load load)
{
    a->load = load;
}

int kt_analyzer_save(const kt_analyzer *a, const char *path)
{
    kt_cleanup(kt_memory_destroy) struct kt_memory *memory = NULL;
    const int ret = kt_motion_remember(a->motion, &memory);
    if (ret < 0)
        return ret;
    memory->repeat_us = kt_health_repeat(a->health);
    return kt_memory_save(memory, path);
}

int kt_analyzer_load(kt_analyzer *a, const char *path)
{
    struct kt_memory *memory = NULL;
    const int ret = kt_memory_load(&memory, path);
    if (ret < 0)
        return ret;
    kt_health_expect_repeat(a->health, memory->repeat_us);
    kt_motion_recall(a->motion, &memory);
    return 0;
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
    out->awake = out->mode == KT_ANALYZE_FULL || (out->mode == KT_ANALYZE_ADAPTIVE && a->awake);
    out->sizes_say_nothing = !kt_adaptive_useful(&a->sizes);
}

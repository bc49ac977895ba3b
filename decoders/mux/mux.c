#include "decoders/mux/mux.h"

#include <errno.h>
#include <string.h>
#include <libavutil/avutil.h>
#include <libavutil/mathematics.h>

#include "decoders/mux/fragment.h"
#include "decoders/mux/params.h"
#include "decoders/mux/timeline.h"
#include "server/base/clock.h"

#define HOLD_MAX 256                /* frames that wait for the anchor of a run ... */
#define HOLD_BYTES (16 << 20)       /* ... and their bytes; when full, they go early */
#define CHANGE_US (KT_SECOND_US / 64)   /* for each change of parameters or runs, in the long run, ... */
#define CHANGES 128                 /* ... and so many at once: no camera, but one that means to stop the others */
#define AUDIO_SLACK_US 80000        /* audio further off than this is put right */

/* A frame whose place in the run is known, but not yet its wall time. */
struct held {
    AVPacket *pkt;
    int64_t audio_wall_us;          /* audio only */
    uint32_t flags;
};

struct kt_mux {
    struct kt_mux_params params;
    /* --- the session --- */
    AVCodecParameters *video, *audio;   /* audio NULL: none, or not wanted */
    AVRational audio_time_base;
    struct kt_params sets;
    AVRational rate;                /* of frames, as the sets say; 0/1 when they do not */
    bool sets_changed;              /* since the fragment was made */
    int64_t changes_us;             /* arrival by which the changes so far are paid for */
    /* --- the run --- */
    kt_fragment *fragment;          /* NULL: waiting for a key frame */
    struct kt_timeline timeline, audio_timeline;
    uint64_t run;
    int64_t next_audio;             /* samples; INT64_MIN: place the next packet anew */
    AVPacket *passing;              /* scratch: one that need not be held; its data is borrowed */
    struct held held[HOLD_MAX];
    int n_held;
    size_t held_bytes;
    int64_t last_wall_us;
};

static int64_t system_offset(void *user)
{
    return kt_clock_wall_us() - kt_clock_mono_us();
}

int kt_mux_create(kt_mux **out, const struct kt_mux_params *params)
{
    kt_mux *mux = calloc(1, sizeof(*mux));
    if (!mux || !(mux->passing = av_packet_alloc())) {
        free(mux);
        return -ENOMEM;
    }
    mux->params = *params;
    if (!mux->params.wall_offset_us)
        mux->params.wall_offset_us = system_offset;
    mux->run = params->last_run;
    mux->changes_us = INT64_MIN;
    *out = mux;
    return 0;
}

void kt_mux_destroy(kt_mux **pmux)
{
    kt_mux *mux = kt_steal_ptr(pmux);
    if (!mux)
        return;
    for (int i = 0; i < mux->n_held; i++)
        av_packet_free(&mux->held[i].pkt);
    av_packet_free(&mux->passing);
    kt_fragment_destroy(&mux->fragment);
    avcodec_parameters_free(&mux->video);
    avcodec_parameters_free(&mux->audio);
    free(mux);
}

/* ---- emitting ---- */

static void emit(kt_mux *mux, const AVPacket *pkt, int64_t wall_us, uint32_t flags)
{
    const int rate = pkt->stream_index ? kt_fragment_audio_rate(mux->fragment) : KT_TIMESCALE;
    const struct kt_chunk meta = {
        .run = mux->run,
        .wall_us = wall_us,
        .dts_90k = av_rescale(pkt->dts, KT_TIMESCALE, rate),
        .duration_90k = (uint32_t)av_rescale(pkt->duration, KT_TIMESCALE, rate),
        .flags = flags,
        .pool = mux->params.pool,
    };
    struct kt_chunk *chunk = NULL;
    if (kt_fragment_write(mux->fragment, pkt, &meta, &chunk) < 0)
        return;
    mux->params.on_chunk(mux->params.user, chunk);
    kt_chunk_unref(&chunk);
}

/* Audio follows its own timestamps from packet to packet, and the video's wall
 * time where the two have parted. Returns false for a packet that comes too late. */
static bool place_audio(kt_mux *mux, AVPacket *pkt, int64_t wall_us, int64_t anchor_us)
{
    const int rate = kt_fragment_audio_rate(mux->fragment);
    const int64_t want = av_rescale(wall_us - anchor_us, rate, KT_SECOND_US);
    const int64_t slack = av_rescale(AUDIO_SLACK_US, rate, KT_SECOND_US);
    if (mux->next_audio == INT64_MIN || want - mux->next_audio > slack) {
        if (want < 0)
            return false;
        mux->next_audio = want;
    } else if (mux->next_audio - want > slack) {
        return false;
    }
    pkt->pts = pkt->dts = mux->next_audio;
    mux->next_audio += pkt->duration;
    return true;
}

static void release(kt_mux *mux, const struct held *h, int64_t anchor_us)
{
    if (mux->fragment && !(h->flags & KT_CHUNK_AUDIO))
        emit(mux, h->pkt, anchor_us + kt_timeline_us(h->pkt->pts), h->flags);
    else if (mux->fragment && place_audio(mux, h->pkt, h->audio_wall_us, anchor_us))
        emit(mux, h->pkt, h->audio_wall_us, h->flags);
}

static void flush_held(kt_mux *mux, int64_t anchor_us)
{
    for (int i = 0; i < mux->n_held; i++) {
        release(mux, &mux->held[i], anchor_us);
        av_packet_free(&mux->held[i].pkt);
    }
    mux->n_held = 0;
    mux->held_bytes = 0;
}

static void place(AVPacket *pkt, int64_t dts, int64_t pts, int64_t duration)
{
    pkt->dts = dts;
    pkt->pts = pts;
    pkt->duration = duration;
}

/* Nothing waits and the anchor is known, as nearly always: out it goes. */
static void pass(kt_mux *mux, const AVPacket *pkt, const struct held *as, int64_t dts, int64_t pts,
                 int64_t duration)
{
    struct held h = *as;
    h.pkt = mux->passing;
    h.pkt->data = pkt->data;
    h.pkt->size = pkt->size;
    h.pkt->flags = pkt->flags;
    h.pkt->stream_index = pkt->stream_index;
    place(h.pkt, dts, pts, duration);
    release(mux, &h, kt_timeline_anchor_us(&mux->timeline));
    av_packet_unref(h.pkt);
}

static int hold(kt_mux *mux, const AVPacket *pkt, const struct held *as, int64_t dts, int64_t pts,
                int64_t duration)
{
    if (mux->n_held == HOLD_MAX || mux->held_bytes + (size_t)pkt->size > HOLD_BYTES)
        flush_held(mux, kt_timeline_anchor_us(&mux->timeline));
    if (mux->n_held == 0 && !kt_timeline_settling(&mux->timeline)) {
        pass(mux, pkt, as, dts, pts, duration);
        return 0;
    }
    struct held *h = &mux->held[mux->n_held];
    *h = *as;
    h->pkt = av_packet_clone(pkt);
    if (!h->pkt)
        return -ENOMEM;
    place(h->pkt, dts, pts, duration);
    mux->n_held++;
    mux->held_bytes += (size_t)pkt->size;
    if (!kt_timeline_settling(&mux->timeline))
        flush_held(mux, kt_timeline_anchor_us(&mux->timeline));
    return 0;
}

/* ---- runs ---- */

static void end_run(kt_mux *mux, enum kt_run_end why, int64_t anchor_us)
{
    if (!mux->fragment)
        return;
    flush_held(mux, anchor_us);
    kt_fragment_destroy(&mux->fragment);
    if (mux->params.on_run_end)
        mux->params.on_run_end(mux->params.user, why);
}

static int make_mime(char mime[KT_MIME_SIZE], const AVCodecParameters *video,
                     const AVCodecParameters *audio)
{
    char codec[KT_MIME_SIZE];
    const int ret = kt_params_codec(codec, video);
    if (ret < 0)
        return ret;
    /* Object type 2, AAC LC, is all that cameras send; SBR is signalled inside. */
    const int n = snprintf(mime, KT_MIME_SIZE, "video/mp4; codecs=\"%s%s\"", codec,
                           audio ? ",mp4a.40.2" : "");
    return n < KT_MIME_SIZE ? 0 : -ENOTSUP;
}

static int start_run(kt_mux *mux, int64_t wall_us)
{
    char mime[KT_MIME_SIZE];
    int ret = make_mime(mime, mux->video, mux->audio);
    if (ret >= 0)
        ret = kt_fragment_create(&mux->fragment, mux->video, mux->audio, mime);
    if (ret < 0)
        return ret;
    const uint64_t now = wall_us > 0 ? (uint64_t)wall_us : 0;
    mux->run = now > mux->run ? now : mux->run + 1;
    mux->next_audio = INT64_MIN;
    mux->sets_changed = false;
    return 0;
}

/* ---- packets ---- */

static int describe(kt_mux *mux, const AVPacket *pkt)
{
    const int width = mux->video->width, height = mux->video->height;
    const int ret = kt_params_describe(&mux->sets, pkt, mux->video, &mux->rate);
    if (ret < 0)
        return ret;
    if (width != mux->video->width || height != mux->video->height)
        mux->sets_changed = true;
    kt_timeline_set_reorder(&mux->timeline, mux->video->video_delay);
    return 0;
}

/* A change costs a hundred frames, on the thread that serves all cameras: may there be another one? */
static bool may_change(kt_mux *mux, int64_t arrival_us)
{
    mux->changes_us = FFMAX(mux->changes_us, arrival_us - CHANGES * CHANGE_US);
    if (mux->changes_us >= arrival_us)
        return false;
    mux->changes_us += CHANGE_US;
    return true;
}

/* A key frame may bring other parameters than we know. Those that make no sense
 * are noise: within a run, things stay as they were. */
static int learn_parameters(kt_mux *mux, const AVPacket *pkt, int64_t arrival_us)
{
    const struct kt_params before = mux->sets;
    const bool changed = kt_params_update(&mux->sets, pkt->data, (size_t)pkt->size);
    mux->sets_changed |= changed;
    if (!kt_params_complete(&mux->sets))
        return -EAGAIN;
    if (!mux->sets_changed && mux->fragment && mux->video->codec_id != AV_CODEC_ID_MJPEG)
        return 0;
    if (mux->video->codec_id != AV_CODEC_ID_MJPEG && !may_change(mux, arrival_us))
        return -EAGAIN;
    const int ret = describe(mux, pkt);
    if (ret >= 0 || !mux->fragment || !changed)
        return ret;
    mux->sets = before;
    mux->sets_changed = false;
    return describe(mux, pkt) < 0 ? ret : 0;
}

static int take_video(kt_mux *mux, const AVPacket *pkt, int64_t arrival_us)
{
    const bool key = pkt->flags & AV_PKT_FLAG_KEY;
    if (!key && !mux->fragment)
        return -EAGAIN;
    if (key) {
        const int ret = learn_parameters(mux, pkt, arrival_us);
        if (ret < 0)
            return ret;
    }
    const struct kt_timeline_input in = {
        .pts = pkt->pts != AV_NOPTS_VALUE ? pkt->pts : pkt->dts,
        .arrival_us = arrival_us,
        .wall_offset_us = mux->params.wall_offset_us(mux->params.user),
        .key = key,
        .parameters = key && (mux->sets_changed || !mux->fragment),
    };
    struct kt_timeline_frame frame;
    const int64_t anchor_us = kt_timeline_anchor_us(&mux->timeline);
    kt_timeline_put(&mux->timeline, &in, &frame);
    if (frame.new_run) {
        end_run(mux, frame.ended, anchor_us);
        if (!may_change(mux, arrival_us))
            return -EAGAIN;             /* the next key frame begins it, or one of the next */
        const int ret = start_run(mux, in.arrival_us + in.wall_offset_us);
        if (ret < 0)
            return ret;
    }
    mux->last_wall_us = kt_timeline_anchor_us(&mux->timeline) + kt_timeline_us(frame.pts_90k);
    const struct held as = { .flags = key ? KT_CHUNK_KEY : 0 };
    return hold(mux, pkt, &as, frame.dts_90k, frame.pts_90k, frame.duration_90k);
}

static int take_audio(kt_mux *mux, const AVPacket *pkt, int64_t arrival_us)
{
    if (!mux->audio || !mux->fragment)
        return -EAGAIN;
    const struct kt_timeline_input in = {
        .pts = pkt->pts,
        .arrival_us = arrival_us,
        .wall_offset_us = mux->params.wall_offset_us(mux->params.user),
        .key = true,
    };
    struct kt_timeline_frame frame;
    kt_timeline_put(&mux->audio_timeline, &in, &frame);
    const struct held as = {
        .flags = KT_CHUNK_AUDIO,
        .audio_wall_us = kt_timeline_anchor_us(&mux->audio_timeline) +
                         kt_timeline_us(frame.pts_90k),
    };
    const int samples = mux->audio->frame_size > 0 ? mux->audio->frame_size : 1024;
    return hold(mux, pkt, &as, 0, 0, samples);
}

int kt_mux_packet(kt_mux *mux, const AVPacket *pkt, int64_t arrival_us)
{
    if (!mux->video || pkt->size <= 0)
        return -EINVAL;
    return pkt->stream_index == 0 ? take_video(mux, pkt, arrival_us)
                                  : take_audio(mux, pkt, arrival_us);
}

/* ---- sessions ---- */

static int copy_parameters(AVCodecParameters **to, const AVCodecParameters *from)
{
    *to = avcodec_parameters_alloc();
    return *to ? avcodec_parameters_copy(*to, from) : -ENOMEM;
}

/* Audio that an MP4 cannot hold is left out: it must never cost the video. */
static bool recordable_audio(const AVCodecParameters *par)
{
    return par->codec_id == AV_CODEC_ID_AAC && par->sample_rate > 0 && par->extradata_size >= 2;
}

int kt_mux_begin(kt_mux *mux, const struct kt_ingest_stream *stream, struct kt_error *err)
{
    kt_mux_end(mux);
    const AVCodecParameters *video = stream->video;
    switch (video ? video->codec_id : AV_CODEC_ID_NONE) {
    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_MJPEG:
        break;
    default:
        return kt_error_set(err, -ENOTSUP, "video codec %s cannot be recorded: set the camera to "
                            "H.264", avcodec_get_name(video ? video->codec_id : AV_CODEC_ID_NONE));
    }
    int ret = copy_parameters(&mux->video, video);
    if (ret >= 0 && stream->audio && !mux->params.drop_audio && recordable_audio(stream->audio))
        ret = copy_parameters(&mux->audio, stream->audio);
    if (ret < 0) {
        kt_mux_end(mux);
        return kt_error_set(err, ret, "no memory");
    }
    mux->rate = (AVRational){ 0, 1 };
    kt_params_reset(&mux->sets, video->codec_id);
    kt_params_update(&mux->sets, video->extradata, (size_t)video->extradata_size);
    mux->sets_changed = true;
    const double rate = mux->timeline.rate;
    kt_timeline_init(&mux->timeline, stream->video_time_base, stream->video_rate, 0);
    if (rate > 0)
        mux->timeline.rate = rate;      /* the same camera is wrong in the same way */
    if (mux->audio) {
        mux->audio_time_base = stream->audio_time_base;
        const AVRational frames = { mux->audio->sample_rate, 1024 };
        kt_timeline_init(&mux->audio_timeline, stream->audio_time_base, frames, 0);
    }
    return 0;
}

void kt_mux_end(kt_mux *mux)
{
    end_run(mux, KT_RUN_SESSION, kt_timeline_anchor_us(&mux->timeline));
    avcodec_parameters_free(&mux->video);
    avcodec_parameters_free(&mux->audio);
}

AVRational kt_mux_rate(const kt_mux *mux)
{
    return mux->rate;
}

int64_t kt_mux_last_wall_us(const kt_mux *mux)
{
    return mux->last_wall_us;
}

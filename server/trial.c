#include "server/trial.h"

#include <errno.h>
#include <jansson.h>
#include <libavformat/avformat.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log.h"
#include "storage/vault/hold_plan.h"

#define LEAD_US (15 * KT_SECOND_US)     /* looked at before, so that the place is known */
#define STRETCH_US (60 * KT_SECOND_US)  /* read as one file; between two it is asked who needs the machine */
#define BEHIND_US KT_SECOND_US          /* until it is asked again */
#define READ_BLOCK (64 * 1024)
#define MAX_COUNTS 128                  /* kinds of events that the largest rules can make */

enum trial_state { TRIAL_NONE = 0, TRIAL_RUNNING, TRIAL_DONE, TRIAL_FAILED, TRIAL_CANCELLED };

static const char *const state_names[] = { "none", "running", "done", "failed", "cancelled" };

struct found {
    char type[24], rule[64];
    int64_t start_us, end_us;
    double score;
    double box[4];                      /* x, y, w, h in shares of the picture */
};

struct count {
    char type[24], rule[64];
    uint64_t n;
};

/* One stream's recording of the span, from all rings. */
struct source {
    const char *kind;                   /* "main", "sub" */
    struct kt_vault_ring rings[KT_CONFIG_MAX_RINGS];
    struct kt_hold_plan plan;           /* without its pointers to what is the asker's */
    int64_t covered_us;                 /* of what is looked at */
    int64_t recorded_us;                /* of the span: without what lies before and behind */
};

struct kt_trials {
    /* --- constant after create --- */
    struct kt_trials_params params;
    pthread_mutex_t start_lock;         /* one start at a time; before lock */
    pthread_mutex_t lock;               /* leaf */
    pthread_cond_t changed;
    /* --- protected by start_lock --- */
    pthread_t thread;
    bool started;                       /* thread is to be joined */
    /* --- constant while a trial runs --- */
    char camera[KT_ID_MAX + 1];
    char *rules;
    enum kt_analyzer_mode mode;
    int64_t from_us, to_us;
    struct source source;
    int64_t began_us;                   /* monotonic */
    /* --- the trial's thread --- */
    kt_analyzer *analyzer;
    AVCodecParameters *par;             /* what the analyzer was made for */
    AVRational time_base;
    /* --- protected by lock --- */
    enum trial_state state;
    bool cancel, waiting;
    int64_t done_us, took_us;           /* of the recording; of time */
    struct kt_error why;
    struct found *found;
    size_t n_found, cap_found;
    uint64_t total;
    struct count counts[MAX_COUNTS];
    size_t n_counts;
};

/* ------------------------------ what is found ------------------------------ */

/* Lock held. */
static void count(kt_trials *t, const struct kt_motion_event *ev)
{
    size_t i = 0;
    t->total++;
    while (i < t->n_counts && (strcmp(t->counts[i].type, ev->type) != 0 || strcmp(t->counts[i].rule, ev->rule) != 0))
        i++;
    if (i == MAX_COUNTS)
        return;
    struct count *c = &t->counts[i];
    if (i == t->n_counts) {
        *c = (struct count){ .n = 0 };
        snprintf(c->type, sizeof(c->type), "%s", ev->type);
        snprintf(c->rule, sizeof(c->rule), "%s", ev->rule);
        t->n_counts++;
    }
    c->n++;
}

/* Lock held. */
static void keep(kt_trials *t, const struct kt_motion_event *ev)
{
    if (t->n_found == KT_TRIAL_MAX_EVENTS)
        return;
    if (t->n_found == t->cap_found) {
        const size_t cap = t->cap_found ? 2 * t->cap_found : 64;
        struct found *more = realloc(t->found, cap * sizeof(*more));
        if (!more)
            return;
        t->found = more;
        t->cap_found = cap;
    }
    struct found *f = &t->found[t->n_found++];
    const double w = t->par->width > 0 ? t->par->width : 1, h = t->par->height > 0 ? t->par->height : 1;
    *f = (struct found){ .start_us = ev->start_us, .end_us = ev->end_us, .score = ev->score,
                         .box = { ev->best.x / w, ev->best.y / h, ev->best.w / w, ev->best.h / h } };
    snprintf(f->type, sizeof(f->type), "%s", ev->type);
    snprintf(f->rule, sizeof(f->rule), "%s", ev->rule);
}

static void on_event(void *user, enum kt_motion_event_phase phase, const struct kt_motion_event *ev)
{
    kt_trials *t = user;
    if (phase != KT_MOTION_EVENT_CLOSE || ev->end_us < t->from_us || ev->start_us >= t->to_us)
        return;
    pthread_mutex_lock(&t->lock);
    count(t, ev);
    keep(t, ev);
    pthread_mutex_unlock(&t->lock);
}

/* ------------------------------ the recording ------------------------------ */

struct reader {
    kt_clip *clip;
    uint64_t at;
};

static int read_clip(void *opaque, uint8_t *buf, int n)
{
    struct reader *r = opaque;
    const ssize_t got = kt_clip_read(r->clip, r->at, buf, (size_t)n);
    if (got <= 0)
        return got == 0 ? AVERROR_EOF : (int)got;
    r->at += (uint64_t)got;
    return (int)got;
}

static void free_io(AVIOContext **pio)
{
    if (*pio)
        av_freep(&(*pio)->buffer);
    avio_context_free(pio);
}

static bool is_same(const AVCodecParameters *a, const AVCodecParameters *b)
{
    return a->codec_id == b->codec_id && a->width == b->width && a->height == b->height &&
           a->extradata_size == b->extradata_size &&
           (a->extradata_size == 0 || memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0);
}

/* The analyzer for the format of ST: a new one at first. */
static int use_format(kt_trials *t, const AVStream *st, struct kt_error *err)
{
    const bool same = t->analyzer && is_same(t->par, st->codecpar) && av_cmp_q(t->time_base, st->time_base) == 0;
    if (same)
        return 0;
    int ret = avcodec_parameters_copy(t->par, st->codecpar);
    if (ret < 0)
        return ret;
    t->time_base = st->time_base;
    if (t->analyzer)
        return kt_analyzer_restart(t->analyzer, t->par, t->time_base);
    const struct kt_analyzer_params p = {
        .mode = t->mode, .par = t->par, .time_base = t->time_base, .rules_json = t->rules,
        .utc_offset_s = t->params.utc_offset_s, .user = t, .on_event = on_event,
    };
    ret = kt_analyzer_create(&t->analyzer, &p, err);
    return ret < 0 ? ret : kt_analysis_recall(t->params.analysis, t->camera, t->analyzer);
}

static bool is_cancelled(kt_trials *t)
{
    pthread_mutex_lock(&t->lock);
    const bool yes = t->cancel;
    pthread_mutex_unlock(&t->lock);
    return yes;
}

/* When the stretch behind S begins: where two rings overlap, each picture is looked at once. */
static int64_t end_of(const kt_trials *t, const struct kt_hold_stretch *s)
{
    const struct kt_hold_plan *plan = &t->source.plan;
    return s + 1 < plan->stretches + plan->n && s[1].records.start_us < t->to_us ? s[1].records.start_us : t->to_us;
}

/* Does S not go on where the stretch before it ended? */
static bool is_after_gap(const kt_trials *t, const struct kt_hold_stretch *s)
{
    if (s == t->source.plan.stretches)
        return false;
    const struct kt_segment *before = &s[-1].records, *now = &s->records;
    return (s->ring == s[-1].ring && now->run != before->run) ||
           now->start_us - (before->start_us + before->duration_us) >= KT_COVER_SLACK_US;
}

/* Times count from the start of the whole recording, so that they never run back. */
static int look(kt_trials *t, const struct kt_hold_stretch *stretch, AVPacket *pkt)
{
    const struct kt_segment *s = &stretch->records;
    const AVRational us = { 1, 1000000 };
    const int64_t dts = pkt->dts == AV_NOPTS_VALUE ? pkt->pts : pkt->dts;
    const int64_t wall_us = s->start_us + av_rescale_q(dts, t->time_base, us);
    const int64_t shift = av_rescale_q(s->start_us - t->source.plan.stretches[0].records.start_us, us, t->time_base);
    if (is_cancelled(t))
        return -ECANCELED;
    if (wall_us >= end_of(t, stretch))
        return AVERROR_EOF;
    pkt->dts = dts + shift;
    pkt->pts = pkt->pts == AV_NOPTS_VALUE ? pkt->dts : pkt->pts + shift;
    const int ret = kt_analyzer_packet(t->analyzer, pkt, wall_us);
    return ret == -ENOMEM ? ret : 0;    /* what does not decode costs pictures, not the trial */
}

static int look_at_all(kt_trials *t, const struct kt_hold_stretch *s, AVFormatContext *input, struct kt_error *err)
{
    kt_cleanup(av_packet_free) AVPacket *pkt = av_packet_alloc();
    const int stream = av_find_best_stream(input, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (!pkt)
        return -ENOMEM;
    if (stream < 0)
        return 0;
    int ret = use_format(t, input->streams[stream], err);
    for (unsigned i = 0; i < input->nb_streams; i++)
        if ((int)i != stream)
            input->streams[i]->discard = AVDISCARD_ALL;
    while (ret == 0 && av_read_frame(input, pkt) >= 0) {
        if (pkt->stream_index == stream)
            ret = look(t, s, pkt);
        av_packet_unref(pkt);
    }
    return ret == AVERROR_EOF ? 0 : ret;
}

/* What was overwritten meanwhile or does not read is left out. */
static int run_stretch(kt_trials *t, const struct kt_hold_stretch *s, struct kt_error *err)
{
    kt_cleanup(kt_clip_close) kt_clip *clip = NULL;
    kt_cleanup(free_io) AVIOContext *io = NULL;
    kt_cleanup(avformat_close_input) AVFormatContext *input = NULL;
    int ret = kt_clip_open_records(&clip, t->source.rings[s->ring].ring, s->stream, s->records.first_seq, s->records.last_seq);
    if (ret < 0) {
        if (t->analyzer)
            kt_analyzer_gap(t->analyzer);
        return ret == -ENOMEM ? ret : 0;
    }
    kt_clip_skip_damaged(clip);
    struct reader reader = { .clip = clip };
    uint8_t *buf = av_malloc(READ_BLOCK);
    io = buf ? avio_alloc_context(buf, READ_BLOCK, 0, &reader, read_clip, NULL, NULL) : NULL;
    if (!io) {
        av_free(buf);
        return -ENOMEM;
    }
    input = avformat_alloc_context();
    if (!input)
        return -ENOMEM;
    input->pb = io;
    ret = avformat_open_input(&input, NULL, av_find_input_format("mov"), NULL);
    if (ret < 0)
        return ret == AVERROR(ENOMEM) ? ret : 0;
    if (is_after_gap(t, s) && t->analyzer)
        kt_analyzer_gap(t->analyzer);
    return look_at_all(t, s, input, err);
}

/* ------------------------------ the thread ------------------------------ */

/* Stand still while what comes in now needs the machine. False: cancelled. */
static bool may_go_on(kt_trials *t)
{
    for (;;) {
        const bool behind = t->params.behind && t->params.behind(t->params.user);
        const struct timespec deadline = kt_clock_deadline(BEHIND_US);
        pthread_mutex_lock(&t->lock);
        t->waiting = behind;
        int ret = 0;
        while (behind && !t->cancel && ret == 0)
            ret = pthread_cond_timedwait(&t->changed, &t->lock, &deadline);
        const bool cancelled = t->cancel;
        pthread_mutex_unlock(&t->lock);
        if (cancelled || !behind)
            return !cancelled;
    }
}

static void finish(kt_trials *t, int ret, const struct kt_error *err)
{
    pthread_mutex_lock(&t->lock);
    t->state = ret == -ECANCELED ? TRIAL_CANCELLED : ret < 0 ? TRIAL_FAILED : TRIAL_DONE;
    t->waiting = false;
    t->took_us = kt_clock_mono_us() - t->began_us;
    if (t->state == TRIAL_FAILED)
        (void)kt_error_set(&t->why, ret, "%s", err->text[0] ? err->text : kt_strerror(ret));
    const double media_s = (double)t->done_us / 1e6, took_s = (double)t->took_us / 1e6;
    const uint64_t total = t->total;
    const enum trial_state state = t->state;
    pthread_mutex_unlock(&t->lock);
    kt_info(t->camera, "rules tried on %.0f s of its recording in %.1f s: %s, %llu events", media_s, took_s,
            state_names[state], (unsigned long long)total);
}

static void *work(void *arg)
{
    kt_trials *t = arg;
    struct kt_error err = { "" };
    int ret = 0;
    (void)pthread_setname_np(pthread_self(), "kt-trial");
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    for (size_t i = 0; ret == 0 && i < t->source.plan.n; i++) {
        const struct kt_hold_stretch *s = &t->source.plan.stretches[i];
        ret = may_go_on(t) ? run_stretch(t, s, &err) : -ECANCELED;
        if (ret < 0)
            break;
        pthread_mutex_lock(&t->lock);
        t->done_us += s->records.duration_us;
        t->took_us = kt_clock_mono_us() - t->began_us;
        pthread_mutex_unlock(&t->lock);
    }
    if (t->analyzer)
        kt_analyzer_gap(t->analyzer);       /* closes its events */
    kt_analyzer_destroy(&t->analyzer);
    avcodec_parameters_free(&t->par);
    finish(t, ret, &err);
    return NULL;
}

/* ------------------------------ beginning ------------------------------ */

/* Take KIND instead of BEST when clearly more of the span was recorded of it. */
static int consider(const kt_trials *t, const struct kt_trial_ask *ask, const char *kind, struct source *best)
{
    kt_cleanup(kt_cover_free) struct kt_cover cover = { 0 };
    const struct kt_ring_set *rings = t->params.rings;
    char name[KT_STREAM_NAME_MAX + 1];
    struct source s = { .kind = kind };
    snprintf(name, sizeof(name), "%s/%s", ask->camera, kind);
    s.plan = (struct kt_hold_plan){ .rings = s.rings, .stream = name, .from_us = ask->from_us - LEAD_US, .to_us = ask->to_us,
                                    .stretch_us = STRETCH_US };
    for (int events_only = 0; events_only <= 1; events_only++)
        for (size_t i = 0; i < rings->n; i++)
            if (rings->web[i].ring && rings->web[i].events_only == (bool)events_only)
                s.rings[s.plan.n_rings++] = (struct kt_vault_ring){ .ring = rings->web[i].ring, .events_only = events_only };
    const int ret = kt_hold_plan_make(&s.plan, &cover);
    for (size_t i = 0; i < s.plan.n; i++)
        s.covered_us += s.plan.stretches[i].records.duration_us;
    s.recorded_us = ask->to_us - ask->from_us - kt_cover_missing(&cover, ask->from_us, ask->to_us);
    s.plan.rings = NULL;
    s.plan.stream = NULL;
    if (ret == 0 && s.recorded_us > best->recorded_us + best->recorded_us / 20) {
        const struct source worse = *best;
        *best = s;
        s = worse;
    }
    kt_hold_plan_free(&s.plan);
    return ret;
}

/* The stream that is analysed live, the small one, unless the other was recorded for longer. */
static int choose(const kt_trials *t, const struct kt_trial_ask *ask, struct source *best)
{
    int ret = consider(t, ask, "sub", best);
    if (ret == 0)
        ret = consider(t, ask, "main", best);
    return ret == 0 && best->plan.n == 0 ? -ENOENT : ret;
}

static int check(const struct kt_trial_ask *ask, int utc_offset_s, struct kt_error *err)
{
    kt_cleanup(kt_motion_destroy) kt_motion *motion = NULL;
    const struct kt_motion_params p = { .rules_json = ask->rules, .utc_offset_s = utc_offset_s };
    if (ask->from_us >= ask->to_us)
        return kt_error_set(err, -EINVAL, "from is not before to");
    if (ask->to_us - ask->from_us > KT_TRIAL_MAX_US)
        return kt_error_set(err, -EINVAL, "at most 24 hours at once");
    return kt_motion_create(&motion, &p, err);
}

/* Nothing runs; start_lock held. */
static int begin(kt_trials *t, const struct kt_trial_ask *ask, enum kt_analyzer_mode mode)
{
    struct source source = { .kind = "" };
    char *rules = strdup(ask->rules ? ask->rules : "");
    AVCodecParameters *par = avcodec_parameters_alloc();
    int ret = rules && par ? choose(t, ask, &source) : -ENOMEM;
    if (ret < 0) {
        kt_hold_plan_free(&source.plan);
        free(rules);
        avcodec_parameters_free(&par);
        return ret;
    }
    if (t->started)
        pthread_join(t->thread, NULL);
    t->started = false;
    pthread_mutex_lock(&t->lock);
    kt_hold_plan_free(&t->source.plan);
    free(t->rules);
    t->source = source;
    t->rules = rules;
    t->par = par;
    t->mode = mode;
    snprintf(t->camera, sizeof(t->camera), "%s", ask->camera);
    t->from_us = ask->from_us;
    t->to_us = ask->to_us;
    t->began_us = kt_clock_mono_us();
    t->cancel = t->waiting = false;
    t->done_us = t->took_us = 0;
    t->n_found = t->n_counts = 0;
    t->total = 0;
    t->why.text[0] = '\0';
    t->state = TRIAL_RUNNING;
    pthread_mutex_unlock(&t->lock);
    ret = -pthread_create(&t->thread, NULL, work, t);
    t->started = ret == 0;
    if (ret < 0) {
        avcodec_parameters_free(&t->par);
        finish(t, ret, &(struct kt_error){ "" });
    }
    return ret;
}

int kt_trials_start(kt_trials *t, const struct kt_trial_ask *ask, enum kt_analyzer_mode mode, struct kt_error *err)
{
    int ret = check(ask, t->params.utc_offset_s, err);
    if (ret < 0)
        return ret;
    pthread_mutex_lock(&t->start_lock);
    pthread_mutex_lock(&t->lock);
    const bool busy = t->state == TRIAL_RUNNING;
    pthread_mutex_unlock(&t->lock);
    ret = busy ? -EBUSY : begin(t, ask, mode);
    pthread_mutex_unlock(&t->start_lock);
    return ret;
}

int kt_trials_create(kt_trials **out, const struct kt_trials_params *params)
{
    kt_cleanup(kt_freep) kt_trials *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->params = *params;
    const int ret = kt_cond_init(&t->changed);
    if (ret < 0)
        return ret;
    pthread_mutex_init(&t->start_lock, NULL);
    pthread_mutex_init(&t->lock, NULL);
    *out = kt_steal_ptr(&t);
    return 0;
}

void kt_trials_destroy(kt_trials **pt)
{
    kt_trials *t = kt_steal_ptr(pt);
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->cancel = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    if (t->started)
        pthread_join(t->thread, NULL);
    kt_hold_plan_free(&t->source.plan);
    free(t->rules);
    free(t->found);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->start_lock);
    free(t);
}

int kt_trials_cancel(kt_trials *t, const char *camera)
{
    pthread_mutex_lock(&t->lock);
    const bool runs = t->state == TRIAL_RUNNING && strcmp(t->camera, camera) == 0;
    if (runs) {
        t->cancel = true;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return runs ? 0 : -ENOENT;
}

/* ------------------------------ telling ------------------------------ */

static json_t *found_json(const struct found *f)
{
    char start[KT_RFC3339_SIZE], end[KT_RFC3339_SIZE];
    kt_rfc3339_format(start, f->start_us);
    kt_rfc3339_format(end, f->end_us);
    return json_pack("{s:s,s:s,s:s,s:s,s:f,s:[f,f,f,f]}", "type", f->type, "rule", f->rule, "start", start, "end", end,
                     "score", f->score, "box", f->box[0], f->box[1], f->box[2], f->box[3]);
}

/* Lock held. */
static json_t *trial_json(const kt_trials *t, size_t skip)
{
    char from[KT_RFC3339_SIZE], to[KT_RFC3339_SIZE];
    json_t *events = json_array(), *counts = json_array();
    const double covered_s = (double)t->source.covered_us / 1e6, done_s = (double)t->done_us / 1e6;
    const double took_s = (double)t->took_us / 1e6;
    kt_rfc3339_format(from, t->from_us);
    kt_rfc3339_format(to, t->to_us);
    for (size_t i = skip; i < t->n_found; i++)
        (void)json_array_append_new(events, found_json(&t->found[i]));
    for (size_t i = 0; i < t->n_counts; i++)
        (void)json_array_append_new(counts, json_pack("{s:s,s:s,s:I}", "type", t->counts[i].type, "rule", t->counts[i].rule,
                                                      "n", (json_int_t)t->counts[i].n));
    return json_pack("{s:s,s:f,s:b,s:s,s:s,s:s,s:f,s:f,s:s,s:I,s:o,s:o}", "state", state_names[t->state], "progress",
                     covered_s > 0 ? done_s / covered_s : 0.0, "waiting", t->waiting, "from", from, "to", to, "stream",
                     t->source.kind, "recorded_seconds", (double)t->source.recorded_us / 1e6, "speed", took_s > 0 ? done_s / took_s : 0.0, "why",
                     t->why.text, "total", (json_int_t)t->total, "counts", counts, "events", events);
}

char *kt_trials_json(kt_trials *t, const char *camera, size_t skip)
{
    pthread_mutex_lock(&t->lock);
    const bool mine = t->state != TRIAL_NONE && strcmp(t->camera, camera) == 0;
    json_t *root = mine ? trial_json(t, skip)
                        : json_pack("{s:s,s:f,s:b,s:i,s:[],s:[]}", "state", "none", "progress", 0.0, "waiting", 0, "total", 0,
                                    "counts", "events");
    pthread_mutex_unlock(&t->lock);
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    return text;
}

#include "server/cadence.h"

#include "server/base/clock.h"

#define BACK_US KT_SECOND_US            /* reordered frames go back by less: more is a clock step */
#define PACE_MAX_US (10 * KT_SECOND_US) /* nobody sends a frame in so long a time: silence, no pace */
#define FORGIVE_US (60 * KT_SECOND_US)

/* So that a camera that fails each second does not fill the index with its holes. */
static bool may_tell(struct kt_cadence *c, int64_t now_us)
{
    const int64_t minutes = (now_us - c->forgiven_us) / FORGIVE_US;
    if (minutes != 0) {
        c->told = minutes < 0 || minutes >= c->told ? 0 : c->told - (int)minutes;
        c->forgiven_us = now_us;
    }
    if (c->told >= KT_CADENCE_BURST)
        return false;
    c->told++;
    return true;
}

static void learn(struct kt_cadence *c, int64_t delta_us)
{
    c->usual_us += c->usual_us ? (delta_us - c->usual_us) / 8 : delta_us;
}

bool kt_cadence_frame(struct kt_cadence *c, int64_t wall_us, int64_t duration_us, struct kt_hole *hole)
{
    const int64_t delta = wall_us - c->newest_us;
    if (c->newest_us == 0 || delta < -BACK_US) {
        c->newest_us = wall_us;
        c->usual_us = duration_us;
        c->hole_to_us = 0;
        return false;
    }
    if (delta <= 0)
        return false;                   /* shown before one that came before */
    const int64_t usual = c->usual_us > 0 ? c->usual_us : duration_us;
    const int64_t pending = c->hole_to_us - c->hole_from_us;
    bool found = false;
    if (c->hole_to_us > 0) {
        /* The frame behind the hole: as quick as before, or was that the new pace? */
        if (delta <= pending / 2 && may_tell(c, wall_us)) {
            *hole = (struct kt_hole){ .from_us = c->hole_from_us, .to_us = c->hole_to_us,
                                      .was_before = true };
            found = true;
        } else if (delta > pending / 2) {
            learn(c, pending + usual);
        }
        c->hole_to_us = 0;
    }
    const int64_t missing = delta - usual;
    if (missing >= KT_CADENCE_LONG_US && missing >= 2 * usual) {
        *hole = (struct kt_hole){ .from_us = c->newest_us + usual, .to_us = wall_us };
        found = true;
        learn(c, delta < PACE_MAX_US ? delta : usual);
    } else if (missing >= KT_CADENCE_SHORT_US && missing >= 2 * usual) {
        c->hole_from_us = c->newest_us + usual;
        c->hole_to_us = wall_us;
    } else {
        learn(c, delta);
    }
    c->newest_us = wall_us;
    return found;
}

int64_t kt_cadence_end_us(const struct kt_cadence *c)
{
    return c->newest_us ? c->newest_us + c->usual_us : 0;
}

/* fuzz_rules.c - what a browser or a file may send as rules, and a look through them. */
#include <stdlib.h>
#include <string.h>

#include "decoders/motion/motion.h"
#include "decoders/motion/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void look_through(const char *json)
{
    static uint8_t luma[48 * 32];
    const struct kt_motion_params params = { .rules_json = json };
    struct kt_error err;
    struct kt_motion_result r;
    kt_cleanup(kt_motion_destroy) kt_motion *m = NULL;
    check(kt_motion_create(&m, &params, &err) == 0);
    for (int i = 0; i < 24; i++) {
        for (int p = 0; p < 48 * 32; p++)
            luma[p] = (uint8_t)(p % 48 >= 2 * i && p % 48 < 2 * i + 8 && p / 48 > 8 ? 220 : 60);
        check(kt_motion_frame(m, luma, 48, 32, 96, 64, i * INT64_C(200000), &r) == 0);
    }
    kt_motion_finish(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_rules *r = NULL;
    struct kt_error err = { "" };
    kt_cleanup(kt_freep) char *json = calloc(1, size + 1);
    if (!json)
        return 0;
    memcpy(json, data, size);
    if (kt_rules_parse(&r, json, &err) < 0) {
        check(r == NULL && err.text[0] != '\0');
        return 0;
    }
    check(r->n_zones >= 1 && r->n_zones <= KT_RULES_MAX_ZONES && r->n_lines <= KT_RULES_MAX_LINES);
    for (int i = 0; i < r->n_zones; i++)
        check(r->zone[i].area.n <= KT_RULES_MAX_POINTS && strlen(r->zone[i].name) < KT_RULES_NAME_SIZE);
    kt_rules_destroy(&r);
    look_through(json);
    return 0;
}

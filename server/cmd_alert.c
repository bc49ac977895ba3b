/* cmd_alert.c - `kentongan alert`: does a message arrive? One to each channel. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/alerts/alerts.h"
#include "server/base/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/usage.h"

#define PATIENCE_US (30 * KT_SECOND_US)

static const char help[] =
    "usage: kentongan alert -c FILE\n\n"
    "Send a test message through every channel of the section 'alerts' (docs/alerts.md).\n"
    "The server may be running.\n";

static int send_all(const kt_config *config)
{
    kt_cleanup(kt_alerts_destroy) kt_alerts *alerts = NULL;
    const struct kt_alerts_params params = { .config = config->alerts, .language = config->language,
                                             .utc_offset_s = kt_clock_use_timezone(config->timezone) };
    struct kt_alert test = { .kind = KT_ALERT_TEST, .wall_us = kt_clock_wall_us() };
    struct kt_alerts_stats stats;
    if (kt_alerts_create(&alerts, &params) < 0 || kt_alerts_post(alerts, &test) < 0)
        return 1;
    const int ret = kt_alerts_wait(alerts, PATIENCE_US);
    kt_alerts_stats(alerts, &stats);
    printf("%" PRIu64 " of %zu sent\n", stats.sent, config->alerts->n_channels);
    if (ret < 0)
        fprintf(stderr, "kentongan alert: no success within half a minute: %s\n", stats.last_error);
    return stats.sent == config->alerts->n_channels ? 0 : 1;
}

int kt_cmd_alert(int argc, char **argv)
{
    static const struct option words[] = { { "config", required_argument, NULL, 'c' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    const char *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "c:h", words, NULL)) != -1;) {
        if (c == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (c != 'c') {
            fputs(help, stderr);
            return 2;
        }
        path = optarg;
    }
    if (optind < argc)
        return kt_usage_wrong("alert", "unexpected '%s'", argv[optind]);
    if (!path)
        return kt_usage_wrong("alert", "-c FILE is missing");
    kt_cleanup(kt_config_free) kt_config *config = NULL;
    struct kt_error err = { "" };
    if (kt_config_load(&config, path, &err) < 0) {
        fprintf(stderr, "kentongan alert: %s\n", err.text);
        return 1;
    }
    if (!config->alerts || config->alerts->n_channels == 0) {
        fprintf(stderr, "kentongan alert: %s names no channel: see docs/alerts.md\n", path);
        return 1;
    }
    return send_all(config);
}

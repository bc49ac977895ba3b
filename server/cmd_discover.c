/* cmd_discover.c - `kentongan discover`: which cameras are there, and what are their streams? */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <termios.h>

#include "server/base/clock.h"
#include "server/commands.h"
#include "server/net_guard.h"
#include "server/onvif/onvif.h"
#include "server/usage.h"

#define PASSWORD_MAX 256
#define CLOCK_ODD_S 5.0

static const char help[] =
    "usage: kentongan discover [OPTIONS]\n\n"
    "Look for ONVIF cameras on the networks of this machine.\n\n"
    "  --range LIST          try these addresses instead: 192.168.1.0/24, 192.168.1.10-60,\n"
    "                        192.168.1.7:8899, http://192.168.1.7/onvif/device_service\n"
    "  --multicast           with --range: look on the networks too\n"
    "  --interface NAME      look only on this network (eth0, or its address)\n"
    "  --ports LIST          of a range (80,8899,2020,8080,8000)\n"
    "  --user NAME           read profiles and streams; the password is taken from\n"
    "                        KENTONGAN_CAMERA_PASSWORD, --password-file, or asked for\n"
    "  --password-file FILE  its first line; - is standard input\n"
    "  --wait SECONDS        how long to listen for answers (4)\n"
    "  --json                all that is known, for programs\n"
    "  --yaml                lines for the configuration file\n";

struct options {
    struct kt_onvif_ask ask;
    const char *password_file;
    char password[PASSWORD_MAX];
    bool json, yaml, help;
};

/* ------------------------- the password: never on the command line ------------------------- */

static int read_line(FILE *f, char out[PASSWORD_MAX])
{
    if (!fgets(out, PASSWORD_MAX, f))
        return -EINVAL;
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

static int ask_terminal(char out[PASSWORD_MAX])
{
    kt_cleanup(kt_fclosep) FILE *tty = fopen("/dev/tty", "r+e");
    struct termios was, quiet;
    if (!tty || tcgetattr(fileno(tty), &was) < 0)
        return -ENOTTY;
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fputs("Password of the cameras: ", tty);
    fflush(tty);
    tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    const int ret = read_line(tty, out);
    tcsetattr(fileno(tty), TCSAFLUSH, &was);
    fputc('\n', tty);
    return ret;
}

static int get_password(struct options *o)
{
    const char *env = getenv("KENTONGAN_CAMERA_PASSWORD");
    int ret = 0;
    if (!o->ask.user)
        return 0;
    if (o->password_file) {
        const bool dash = strcmp(o->password_file, "-") == 0;
        FILE *f = dash ? stdin : fopen(o->password_file, "re");
        ret = f ? read_line(f, o->password) : -errno;
        if (f && !dash)
            (void)fclose(f);
    } else if (env) {
        snprintf(o->password, sizeof(o->password), "%s", env);
    } else {
        ret = ask_terminal(o->password);
    }
    if (ret < 0)
        fprintf(stderr, "kentongan discover: no password: set KENTONGAN_CAMERA_PASSWORD or use "
                        "--password-file\n");
    o->ask.password = o->password;
    return ret;
}

/* ------------------------- output ------------------------- */

/* TEXT for a terminal, whatever a device says. */
static const char *plain(char *out, size_t cap, const char *text)
{
    (void)kt_text_printable(out, cap, text);
    return out;
}

static void print_streams(const struct kt_onvif_camera *c)
{
    char url[KT_URL_MAX];
    for (size_t i = 0; i < c->n_profiles; i++) {
        const struct kt_onvif_profile *p = &c->profiles[i];
        printf("    %-5s %4dx%-4d %2d fps %5d kbit/s  %s\n", p->codec, p->width, p->height, p->fps,
               p->kbps, plain(url, sizeof(url), p->stream));
    }
}

static void print_table(const struct kt_onvif_camera *list, size_t n)
{
    char name[KT_ONVIF_TEXT], model[KT_ONVIF_TEXT], why[160];
    for (size_t i = 0; i < n; i++) {
        const struct kt_onvif_camera *c = &list[i];
        printf("%-22s %-24s %-20s %s%s%s\n", c->host, plain(name, sizeof(name), c->name),
               plain(model, sizeof(model), c->model), kt_onvif_state_name(c->state), c->why[0] ? ": " : "",
               plain(why, sizeof(why), c->why));
        if (c->has_clock && fabs((double)c->clock_offset_us / 1e6) > CLOCK_ODD_S)
            printf("    its clock is %+.0f s off\n", (double)c->clock_offset_us / 1e6);
        print_streams(c);
    }
    printf("%zu found\n", n);
}

static void print_quoted(const char *key, const char *text)
{
    json_t *s = json_string(text);
    char *quoted = s ? json_dumps(s, JSON_ENCODE_ANY) : NULL;   /* JSON strings are YAML strings */
    printf("    %s: %s\n", key, quoted ? quoted : "\"\"");
    free(quoted);
    json_decref(s);
}

/* "Gerbang Utara (2)" -> "gerbang-utara-2"; N makes it unlike the others. */
static void make_id(char out[KT_ID_MAX + 1], const char *name, size_t n)
{
    size_t len = 0;
    for (const char *p = name; *p && len < KT_ID_MAX - 8; p++) {
        if (isalnum((unsigned char)*p))
            out[len++] = (char)tolower((unsigned char)*p);
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    snprintf(out + len, KT_ID_MAX + 1 - len, "%s%zu", len ? "-" : "camera-", n);
}

static void print_entry(const struct kt_onvif_camera *c, const char *user, size_t k, size_t number)
{
    const struct kt_onvif_profile *big, *small;
    char id[KT_ID_MAX + 1], url[KT_URL_MAX];
    if (kt_onvif_suggest(c, k, &big, &small) < 0)
        return;
    make_id(id, c->name, number);
    printf("  - id: %s\n", id);
    print_quoted("name", c->name[0] ? c->name : id);
    if (kt_onvif_stream_url(url, big->stream, user, "${CAM_PASS}") == 0)
        print_quoted("main", url);
    if (small && kt_onvif_stream_url(url, small->stream, user, "${CAM_PASS}") == 0)
        print_quoted("sub", url);
}

static void print_yaml(const struct kt_onvif_camera *list, size_t n, const char *user)
{
    const struct kt_onvif_profile *big, *small;
    size_t number = 0;
    if (user)
        puts("# Set CAM_PASS in the environment of kentongan to the cameras' password.");
    puts("cameras:");
    for (size_t i = 0; i < n; i++) {
        if (list[i].state != KT_ONVIF_READY)
            printf("  # %s: %s\n", list[i].host, kt_onvif_state_name(list[i].state));
        for (size_t k = 0; kt_onvif_suggest(&list[i], k, &big, &small) == 0; k++)
            print_entry(&list[i], user, k, ++number);
    }
}

static int print_all(const struct options *o, const struct kt_onvif_camera *list, size_t n)
{
    if (o->json) {
        kt_cleanup(kt_freep) char *text = kt_onvif_json(list, n, true);
        puts(text ? text : "{}");
        return text ? 0 : 1;
    }
    if (o->yaml)
        print_yaml(list, n, o->ask.user);
    else
        print_table(list, n);
    return 0;
}

/* ------------------------- the word ------------------------- */

/* 0: go on; else the exit status. */
static int parse_options(struct options *o, int argc, char **argv)
{
    static const struct option words[] = {
        { "range", required_argument, NULL, 'r' },     { "multicast", no_argument, NULL, 'm' },
        { "interface", required_argument, NULL, 'i' }, { "ports", required_argument, NULL, 'p' },
        { "user", required_argument, NULL, 'u' },      { "password-file", required_argument, NULL, 'f' },
        { "wait", required_argument, NULL, 'w' },      { "json", no_argument, NULL, 'j' },
        { "yaml", no_argument, NULL, 'y' },            { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool multicast = false;
    double wait_s;
    for (int c; (c = getopt_long(argc, argv, "h", words, NULL)) != -1;) {
        switch (c) {
        case 'r': o->ask.range = optarg; break;
        case 'm': multicast = true; break;
        case 'i': o->ask.interface = optarg; break;
        case 'p': o->ask.ports = optarg; break;
        case 'u': o->ask.user = optarg; break;
        case 'f': o->password_file = optarg; break;
        case 'w':
            if (kt_usage_number(optarg, 0, 120, &wait_s) < 0)
                return kt_usage_wrong("discover", "--wait '%s' is no number from 0 to 120", optarg);
            o->ask.listen_ms = (int)(wait_s * 1000);
            break;
        case 'j': o->json = true; break;
        case 'y': o->yaml = true; break;
        case 'h': o->help = true; break;
        default:
            fputs(help, stderr);
            return 2;
        }
    }
    o->ask.multicast = multicast || !o->ask.range;
    if (optind < argc)
        return kt_usage_wrong("discover", "unexpected '%s'", argv[optind]);
    if (o->json && o->yaml)
        return kt_usage_wrong("discover", "--json or --yaml, not both");
    return 0;
}

int kt_cmd_discover(int argc, char **argv)
{
    struct options o = { .ask = { .allow = KT_NET_ALLOW_ALL } };
    const int wrong = parse_options(&o, argc, argv);
    if (wrong)
        return wrong;
    if (o.help) {
        fputs(help, stdout);
        return 0;
    }
    if (get_password(&o) < 0)
        return 1;
    kt_cleanup(kt_onvif_stop) kt_onvif_job *job = NULL;
    kt_cleanup(kt_freep) struct kt_onvif_camera *list = NULL;
    struct kt_error err = { "" };
    size_t n = 0;
    bool done = false;
    int ret = kt_onvif_start(&job, &o.ask, &err);
    explicit_bzero(o.password, sizeof(o.password));
    while (ret == 0 && kt_onvif_wait(job, 60 * KT_SECOND_US, -1) == -ETIMEDOUT)
        fprintf(stderr, "still looking …\n");
    if (ret == 0)
        ret = kt_onvif_poll(job, &list, &n, &done);
    if (ret < 0) {
        fprintf(stderr, "kentongan discover: %s\n", err.text[0] ? err.text : kt_strerror(ret));
        return ret == -EINVAL || ret == -E2BIG ? 2 : 1;
    }
    return print_all(&o, list, n) || n == 0 ? 1 : 0;
}

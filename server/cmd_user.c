/* cmd_user.c - `kentongan user`: accounts from the command line. */
#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <string.h>
#include <termios.h>

#include "server/base/clock.h"
#include "server/commands.h"
#include "server/config.h"
#include "server/usage.h"
#include "storage/catalog/people.h"

#define PASSWORD_CAP 300

struct user_options {
    const char *config, *catalog, *word, *username;
    enum kt_role role;
};

static void usage(FILE *to)
{
    fputs("usage: kentongan user add NAME [--role ROLE] -c FILE\n"
          "       kentongan user passwd NAME -c FILE\n"
          "       kentongan user list -c FILE\n\n"
          "  -c, --config FILE   the configuration, for the place of the catalog\n"
          "      --catalog FILE  the catalog itself, instead\n"
          "      --role ROLE     volunteer (default), police, head or admin\n\n"
          "The password is asked for at the terminal, or is the first line of standard input,\n"
          "or KENTONGAN_ADMIN_PASSWORD where that is set. The server may be running.\n", to);
}

/* ------------------------------ the password ------------------------------ */

static int read_line(char *out, size_t cap)
{
    if (!fgets(out, (int)cap, stdin))
        return -ENODATA;
    const size_t n = strcspn(out, "\r\n");
    if (!out[n] && n + 1 == cap)
        return -EMSGSIZE;
    out[n] = '\0';
    return 0;
}

/* Ask at the terminal without showing what is typed. */
static int ask(const char *prompt, char *out, size_t cap)
{
    struct termios was, quiet;
    fputs(prompt, stderr);
    if (tcgetattr(STDIN_FILENO, &was) < 0)
        return -errno;
    quiet = was;
    quiet.c_lflag &= (tcflag_t)~ECHO;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) < 0)
        return -errno;
    const int ret = read_line(out, cap);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
    fputc('\n', stderr);
    return ret;
}

static int read_password(char out[PASSWORD_CAP])
{
    const char *given = getenv("KENTONGAN_ADMIN_PASSWORD");
    if (given && given[0])
        return snprintf(out, PASSWORD_CAP, "%s", given) < PASSWORD_CAP ? 0 : -EMSGSIZE;
    if (!isatty(STDIN_FILENO))
        return read_line(out, PASSWORD_CAP);
    char again[PASSWORD_CAP];
    int ret = ask("password: ", out, PASSWORD_CAP);
    if (ret == 0)
        ret = ask("once more: ", again, sizeof(again));
    if (ret == 0 && strcmp(out, again) != 0)
        ret = -EILSEQ;
    sodium_memzero(again, sizeof(again));
    return ret;
}

/* ------------------------------ the words ------------------------------ */

static int fail(const char *name, int ret)
{
    const char *why = kt_strerror(ret);
    switch (ret) {
    case -EEXIST:
        why = "there is a user of that name already";
        break;
    case -ENOENT:
        why = "there is no such user";
        break;
    case -EINVAL:
        why = "no good name: 1 to 64 characters, no spaces and none of < > \" ' & / \\";
        break;
    case -ERANGE:
        why = "the password must have 8 to 256 characters, and not be a common one or the name";
        break;
    case -EILSEQ:
        why = "the two passwords differ";
        break;
    case -ENODATA:
        why = "no password was given";
        break;
    case -EMSGSIZE:
        why = "that password is too long";
        break;
    }
    fprintf(stderr, "kentongan user: %s: %s\n", name, why);
    return 1;
}

static int set_password(kt_catalog *c, const struct user_options *o)
{
    char password[PASSWORD_CAP];
    int ret = read_password(password);
    const bool add = strcmp(o->word, "add") == 0;
    if (ret == 0)
        ret = add ? kt_catalog_user_add(c, o->username, password, o->role)
                  : kt_catalog_user_set_password(c, o->username, password);
    sodium_memzero(password, sizeof(password));
    if (ret < 0)
        return fail(o->username, ret);
    (void)kt_catalog_audit(c, "(command line)", NULL, add ? "user-add" : "user-password", o->username, NULL);
    printf(add ? "%s: added as %s\n" : "%s: new password; all sessions have ended\n", o->username, kt_role_name(o->role));
    return 0;
}

static int list(kt_catalog *c)
{
    struct kt_user *users = NULL;
    size_t n = 0;
    const int ret = kt_catalog_user_list(c, &users, &n);
    if (ret < 0)
        return fail("list", ret);
    for (size_t i = 0; i < n; i++) {
        char when[KT_RFC3339_SIZE] = "never";
        if (users[i].last_login_us)
            kt_rfc3339_format(when, users[i].last_login_us);
        printf("%-24s %-10s %-9s last login %s\n", users[i].username, kt_role_name(users[i].role),
               users[i].disabled ? "disabled" : "", when);
    }
    kt_user_list_free(&users, n);
    return 0;
}

/* ------------------------------ the command ------------------------------ */

static int run(const struct user_options *o)
{
    struct kt_error err = { "" };
    kt_cleanup(kt_config_free) kt_config *config = NULL;
    kt_cleanup(kt_catalog_close) kt_catalog *c = NULL;
    if (!o->catalog && kt_config_load(&config, o->config, &err) < 0) {
        fprintf(stderr, "kentongan user: %s\n", err.text);
        return 1;
    }
    const char *path = o->catalog ? o->catalog : config->catalog;
    if (strcmp(o->word, "add") != 0 && access(path, F_OK) < 0) {    /* a slip of the pen makes no catalog */
        fprintf(stderr, "kentongan user: %s: %s\n", path, strerror(errno));
        return 1;
    }
    if (kt_catalog_open(&c, path, &err) < 0) {
        fprintf(stderr, "kentongan user: %s\n", err.text);
        return 1;
    }
    return strcmp(o->word, "list") == 0 ? list(c) : set_password(c, o);
}

int kt_cmd_user(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "catalog", required_argument, NULL, 'C' },
                                             { "role", required_argument, NULL, 'r' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    struct user_options o = { .role = KT_ROLE_VOLUNTEER };
    for (int opt; (opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (opt) {
        case 'c':
            o.config = optarg;
            break;
        case 'C':
            o.catalog = optarg;
            break;
        case 'r':
            if (kt_role_parse(optarg, &o.role) < 0)
                return kt_usage_wrong("user", "'%s' is no role: volunteer, police, head or admin", optarg);
            break;
        default:
            usage(opt == 'h' ? stdout : stderr);
            return opt == 'h' ? 0 : 2;
        }
    }
    const int left = argc - optind;
    o.word = left > 0 ? argv[optind] : "";
    o.username = left > 1 ? argv[optind + 1] : NULL;
    const bool listing = strcmp(o.word, "list") == 0;
    const bool known = listing || strcmp(o.word, "add") == 0 || strcmp(o.word, "passwd") == 0;
    if (!o.word[0]) {
        usage(stderr);
        return 2;
    }
    if (!known)
        return kt_usage_wrong("user", "'%s' is none of add, passwd and list", o.word);
    if (left != (listing ? 1 : 2))
        return kt_usage_wrong("user", listing || left > 2 ? "unexpected '%s'" : "%s whom? A name is missing",
                              listing || left > 2 ? argv[optind + (listing ? 1 : 2)] : o.word);
    if (!o.config && !o.catalog)
        return kt_usage_wrong("user", "-c FILE is missing");
    return run(&o);
}

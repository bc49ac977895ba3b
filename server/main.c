/* main.c - the command line: one program, one word says what it does. */
#include <libavformat/avformat.h>
#include <stdio.h>
#include <string.h>

#include "server/base/cleanup.h"
#include "server/commands.h"
#include "server/sandbox.h"

static const struct {
    const char *word, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "serve", "record, detect and serve the web pages", kt_cmd_serve },
    { "check", "try every camera and disk of a configuration", kt_cmd_check },
    { "discover", "find cameras on the network (ONVIF)", kt_cmd_discover },
    { "user", "add and list people, set passwords", kt_cmd_user },
    { "alert", "send a test message through every channel", kt_cmd_alert },
    { "analyze", "look for motion in a file", kt_cmd_analyze },
    { "export", "copy a stretch of one camera into an MP4 file", kt_cmd_export },
    { "copy", "make a copy of a clip for looking at: time in it, parts masked", kt_cmd_copy },
    { "verify", "check a ring or an evidence package", kt_cmd_verify },
    { "recover", "make MP4 files of slabs when nothing else is left", kt_cmd_recover },
};

static void usage(FILE *to)
{
    fputs("usage: kentongan COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < KT_ARRAY_SIZE(commands); i++)
        fprintf(to, "  %-9s %s\n", commands[i].word, commands[i].summary);
    fputs("\n'kentongan COMMAND --help' tells more; 'kentongan --version' says which one this is.\n"
          "Exit status: 0 done, 1 it failed (or did not find all well), 2 the command line is wrong.\n", to);
}

int main(int argc, char **argv)
{
    kt_sandbox_no_core();
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("kentongan %s (libavformat %u.%u.%u)\n", KT_VERSION, AV_VERSION_MAJOR(avformat_version()),
               AV_VERSION_MINOR(avformat_version()), AV_VERSION_MICRO(avformat_version()));
        return 0;
    }
    for (size_t i = 0; i < KT_ARRAY_SIZE(commands); i++)
        if (strcmp(argv[1], commands[i].word) == 0) {
            char name[32];              /* getopt's messages begin with it */
            snprintf(name, sizeof(name), "kentongan %s", commands[i].word);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "kentongan: unknown command '%s'\n\n", argv[1]);
    usage(stderr);
    return 2;
}

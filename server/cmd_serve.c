/* cmd_serve.c - `kentongan serve`: the daemon. */
#include <stdio.h>

#include "server/commands.h"

int kt_cmd_serve(int argc, char **argv)
{
    fprintf(stderr, "kentongan %s: not wired up yet\n", argv[0]);
    return 1;
}

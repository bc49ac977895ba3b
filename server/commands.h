/*
 * commands.h - the words of the command line. One file cmd_<word>.c each.
 *
 * ARGV[0] is for messages. Each prints its own --help.
 * Returns the exit status: 0 ok, 1 failed, 2 usage.
 */
#ifndef KT_SERVER_COMMANDS_H
#define KT_SERVER_COMMANDS_H

int kt_cmd_alert(int argc, char **argv);
int kt_cmd_analyze(int argc, char **argv);
int kt_cmd_check(int argc, char **argv);
int kt_cmd_copy(int argc, char **argv);
int kt_cmd_discover(int argc, char **argv);
int kt_cmd_export(int argc, char **argv);
int kt_cmd_recover(int argc, char **argv);
int kt_cmd_serve(int argc, char **argv);
int kt_cmd_user(int argc, char **argv);
int kt_cmd_verify(int argc, char **argv);

#endif

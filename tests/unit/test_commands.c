/* A wrong command line is exit status 2 and a line that names what is wrong; what cannot be done is 1. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/cleanup.h"
#include "server/commands.h"
#include "tests/unit/run_suite.h"

static const struct {
    const char *word;
    int (*run)(int argc, char **argv);
} words[] = {
    { "alert", kt_cmd_alert },   { "analyze", kt_cmd_analyze }, { "check", kt_cmd_check }, { "copy", kt_cmd_copy },
    { "discover", kt_cmd_discover }, { "export", kt_cmd_export }, { "recover", kt_cmd_recover },
    { "serve", kt_cmd_serve },   { "user", kt_cmd_user },       { "verify", kt_cmd_verify },
};

/* Run LINE, split at spaces; what it wrote to standard error is in SAID. */
static int command(const char *line, char *said, size_t cap)
{
    char copy[400], *argv[24];
    int argc = 0, status = -1;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *save = NULL, *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        argv[argc++] = p;
    argv[argc] = NULL;
    FILE *out = tmpfile();
    const int was = dup(STDERR_FILENO);
    ck_assert(out && was >= 0 && dup2(fileno(out), STDERR_FILENO) >= 0);
    optind = 0;
    for (size_t i = 0; i < KT_ARRAY_SIZE(words); i++)
        if (strcmp(argv[0], words[i].word) == 0)
            status = words[i].run(argc, argv);
    fflush(stderr);
    dup2(was, STDERR_FILENO);
    close(was);
    rewind(out);
    said[fread(said, 1, cap - 1, out)] = '\0';
    fclose(out);
    return status;
}

static const struct {
    const char *line;
    int status;
    const char *says;
} wrong[] = {
    { "alert", 2, "-c FILE is missing" },
    { "alert -c /nonexistent/c.yaml", 1, "/nonexistent/c.yaml" },
    { "alert -c x extra", 2, "unexpected 'extra'" },
    { "analyze", 2, "which video" },
    { "analyze a b", 2, "one video" },
    { "analyze /nonexistent/a.mp4", 1, "/nonexistent/a.mp4" },
    { "analyze --rules /nonexistent/r.json a.mp4", 1, "/nonexistent/r.json" },
    { "check", 2, "-c FILE is missing" },
    { "check -c /nonexistent/c.yaml", 1, "/nonexistent/c.yaml" },
    { "check -c x --seconds 8x", 2, "--seconds '8x'" },
    { "check -c x --seconds 0", 2, "--seconds '0'" },
    { "check -c x --seconds 1e99", 2, "--seconds '1e99'" },
    { "check -c x extra", 2, "unexpected 'extra'" },
    { "copy a.mp4", 2, "name of its copy" },
    { "copy a.mp4 b.mp4", 2, "'b.mp4'" },
    { "copy --mask 0.5,0,0.6,1 a.mp4 SALINAN-a.mp4", 2, "--mask '0.5,0,0.6,1'" },
    { "copy --mask nan,0,1,1 a.mp4 SALINAN-a.mp4", 2, "--mask 'nan,0,1,1'" },
    { "copy --start noon a.mp4 SALINAN-a.mp4", 2, "--start 'noon'" },
    { "copy /nonexistent/a.mp4 SALINAN-a.mp4", 1, "/nonexistent/a.mp4" },
    { "discover --wait soon", 2, "--wait 'soon'" },
    { "discover --wait 1e99", 2, "--wait '1e99'" },
    { "discover --wait nan", 2, "--wait 'nan'" },
    { "discover --json --yaml", 2, "not both" },
    { "discover extra", 2, "unexpected 'extra'" },
    { "discover --range 10.0.0.1/99", 2, "10.0.0.1/99" },
    { "discover --range 10.0.0.1 --ports 80,99999", 2, "99999" },
    { "discover --user a --password-file /nonexistent/p", 1, "password" },
    { "export -c x --camera a --from 1 --to 2", 2, "-o is missing" },
    { "export -c x --camera a --to 2 -o a.mp4", 2, "--from is missing" },
    { "export -c x --camera a --from then --to 2 -o a.mp4", 2, "--from 'then'" },
    { "export -c x --camera a --from 2 --to 1 -o a.mp4", 2, "not after" },
    { "export -c x --camera a --from 1 --to 2 -o a.mp4 --stream both", 2, "--stream 'both'" },
    { "export -c x --camera a --from 1 --to 2 -o a.mp4 extra", 2, "unexpected 'extra'" },
    { "export -c /nonexistent/c.yaml --camera a --from 1 --to 2 -o a.mp4", 1, "/nonexistent/c.yaml" },
    { "recover -o d", 2, "which RINGDIR" },
    { "recover d", 2, "-o DIR is missing" },
    { "recover a b -o d", 2, "one RINGDIR" },
    { "recover /nonexistent/ring -o /nonexistent/out", 1, "/nonexistent/ring" },
    { "serve extra", 2, "unexpected 'extra'" },
    { "serve --listen 8080", 2, "--listen '8080'" },
    { "serve --listen 0.0.0.0:99999", 2, "--listen '0.0.0.0:99999'" },
    { "serve -c /nonexistent/c.yaml", 1, "/nonexistent/c.yaml" },
    { "user", 2, "usage:" },
    { "user remove budi -c x", 2, "'remove'" },
    { "user add -c x", 2, "add whom" },
    { "user list budi -c x", 2, "unexpected 'budi'" },
    { "user list", 2, "-c FILE is missing" },
    { "user add budi --role king -c x", 2, "'king'" },
    { "user list -c /nonexistent/c.yaml", 1, "/nonexistent/c.yaml" },
    { "user list --catalog /tmp/kt-no-such-catalog.db", 1, "/tmp/kt-no-such-catalog.db" },
    { "verify", 2, "which ring" },
    { "verify a b", 2, "one ring" },
    { "verify --key 00 a", 2, "--key '00'" },
    { "verify --key x23456789012345678901234567890123456789012345678901234567890123x a", 2, "--key 'x23" },
    { "verify --manifest 12 a", 2, "--manifest '12'" },
    { "verify /nonexistent/ring", 1, "/nonexistent/ring" },
};

START_TEST(what_is_wrong_is_named)
{
    char said[4096];
    const int status = command(wrong[_i].line, said, sizeof(said));
    ck_assert_msg(status == wrong[_i].status, "%s: %d: %s", wrong[_i].line, status, said);
    ck_assert_msg(strstr(said, wrong[_i].says), "%s: %s", wrong[_i].line, said);
    ck_assert_int_ne(access("/tmp/kt-no-such-catalog.db", F_OK), 0);
}
END_TEST

START_TEST(an_unknown_option_and_one_without_its_value_are_wrong)
{
    char line[80], said[4096];
    snprintf(line, sizeof(line), "%s --bogus", words[_i].word);
    ck_assert_int_eq(command(line, said, sizeof(said)), 2);
    ck_assert_msg(strstr(said, "--bogus") && strstr(said, "usage:"), "%s: %s", line, said);
    static const char *const last[] = { "-c", "--rules", "-c", "--start", "--range", "-o", "-o", "--data", "--role", "--key" };
    snprintf(line, sizeof(line), "%s %s", words[_i].word, last[_i]);
    ck_assert_int_eq(command(line, said, sizeof(said)), 2);
    ck_assert_msg(strstr(said, "requires an argument"), "%s: %s", line, said);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commands");
    TCase *t = tcase_create("commands");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, what_is_wrong_is_named, 0, (int)KT_ARRAY_SIZE(wrong));
    tcase_add_loop_test(t, an_unknown_option_and_one_without_its_value_are_wrong, 0, (int)KT_ARRAY_SIZE(words));
    suite_add_tcase(suite, t);
    return kt_run_suite(suite);
}

/* run_suite.h - the main() of every unit test. TAP goes to where `./run tests` counts. */
#ifndef KT_TESTS_RUN_SUITE_H
#define KT_TESTS_RUN_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Run SUITE, print failures, return the exit status. CK_FORK, CK_RUN_CASE and
 * CK_TAP_LOG_FILE_NAME work as Check's manual says. */
static inline int kt_run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif

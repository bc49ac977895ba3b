/* catalog_kit.h - a catalog in a folder of its own, for the tests of storage/catalog. */
#ifndef TESTS_CATALOG_KIT_H
#define TESTS_CATALOG_KIT_H

#include <stdlib.h>
#include <string.h>

#include "storage/catalog/db.h"

#include "tests/unit/run_suite.h"

static char dir[64], path[96];
static kt_catalog *c;

static inline void open_catalog(void)
{
    struct kt_error err = { "" };
    ck_assert_msg(kt_catalog_open(&c, path, &err) == 0, "%s", err.text);
}

static inline void reopen(void)
{
    kt_catalog_close(&c);
    open_catalog();
}

static inline void make_dir(void)
{
    strcpy(dir, "/tmp/kt-catalog-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/catalog.db", dir);
}

static inline void teardown(void)
{
    kt_catalog_close(&c);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

#endif

/*
 * sandbox.h - what the recorder takes away from itself, beside what its unit file does: a start
 * by hand, or in a container, is then not without.
 *
 * Threads: before any other thread exists: what is taken away is taken from the caller and
 * whatever it starts.
 */
#ifndef KT_SERVER_SANDBOX_H
#define KT_SERVER_SANDBOX_H

#include <stddef.h>

#include "server/base/cleanup.h"

/* No core file, whatever the limits say, and no debugger of the same user: the memory holds the
 * cameras' passwords. */
void kt_sandbox_no_core(void);

/*
 * From here on files can be made, changed and deleted only below PATHS (Landlock); reading stays as
 * it is. A path that is not there yet stands for the nearest one above it that is.
 *   -EOPNOTSUPP  this kernel cannot: nothing was changed
 *   others       as the system says: nothing was changed
 */
kt_must_check int kt_sandbox_write_only_below(const char *const *paths, size_t n);

#endif

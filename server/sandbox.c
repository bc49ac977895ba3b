#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define WRITING \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
/* Known to newer kernels than the headers we may be built with. */
#define REFER (UINT64_C(1) << 13)           /* version 2: moving between folders */
#define TRUNCATE (UINT64_C(1) << 14)        /* version 3 */

void kt_sandbox_no_core(void)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ .rlim_cur = 0, .rlim_max = 0 });
#ifndef __SANITIZE_ADDRESS__                /* its search for leaks reads us like a debugger */
    /* A program that collects core files is handed them whatever the limit is. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

static int create_ruleset(const struct landlock_ruleset_attr *attr, size_t size, uint32_t flags)
{
    return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

/* PATH, or what is nearest above it. */
static int open_nearest(const char *path)
{
    char at[4200];
    if (strlen(path) >= sizeof(at))
        return -1;
    strcpy(at, path);
    for (;;) {
        const int fd = open(at, O_PATH | O_CLOEXEC);
        char *slash = strrchr(at, '/');
        if (fd >= 0 || errno != ENOENT)
            return fd;
        if (!slash)
            return open(".", O_PATH | O_CLOEXEC);
        slash[slash == at ? 1 : 0] = '\0';
    }
}

static int allow(int ruleset, const char *path, uint64_t rights)
{
    kt_cleanup(kt_closep) int fd = open_nearest(path);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        rights &= LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE;
    const struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int kt_sandbox_write_only_below(const char *const *paths, size_t n)
{
    const int version = create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return -EOPNOTSUPP;
    const struct landlock_ruleset_attr attr = {
        .handled_access_fs = WRITING | (version >= 2 ? REFER : 0) | (version >= 3 ? TRUNCATE : 0) };
    kt_cleanup(kt_closep) int ruleset = create_ruleset(&attr, sizeof(attr), 0);
    if (ruleset < 0)
        return -errno;
    int ret = allow(ruleset, "/dev", attr.handled_access_fs & (LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE));
    for (size_t i = 0; i < n && ret == 0; i++)
        ret = allow(ruleset, paths[i], attr.handled_access_fs);
    if (ret == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                     syscall(SYS_landlock_restrict_self, ruleset, 0) < 0))
        ret = -errno;
    return ret;
}

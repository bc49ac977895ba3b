/*
 * vault_file.h - one evidence file while it is being written.
 *
 * A file is written as "<name>.part" and gets its final name only when it is
 * complete and on disk: whoever sees the name sees the whole file. Listing it
 * in the catalog is the caller's next step, see vault.h.
 *
 * Threads: a kt_vault_file belongs to one thread at a time and has no lock.
 * Units:   *_us is microseconds since the Unix epoch (UTC); sizes are bytes.
 * Errors:  int functions return 0 or a negative errno. Nothing here logs.
 */
#ifndef KT_VAULT_VAULT_FILE_H
#define KT_VAULT_VAULT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/cleanup.h"

typedef struct kt_vault_file kt_vault_file;

struct kt_vault_file_info {
    int64_t start_us;       /* capture time of the first frame */
    uint64_t size_bytes;
    char sha256[65];        /* hex, of all bytes */
};

/*
 * Start a file called NAME in directory DIR_FD. DIR_FD is borrowed
 * and stays open until the file is committed or discarded; NAME is copied.
 * On success *OUT is the caller's, to be passed to exactly one of
 * kt_vault_file_commit() and kt_vault_file_discard(); on failure *OUT is untouched.
 *
 *   -EINVAL  NAME is empty or contains '/'
 *   -EEXIST  "<NAME>.part" exists already
 *   others   as openat(2), and -ENOMEM
 */
kt_must_check int kt_vault_file_create(kt_vault_file **out, int dir_fd, const char *name,
                                       int64_t start_us);

/* Append all SIZE bytes, or fail. After a failure only kt_vault_file_discard() is
 * useful. Blocks for as long as the disk does: never call it from ingest. */
kt_must_check int kt_vault_file_append(kt_vault_file *file, const void *data, size_t size);

/*
 * Make the file durable under its final name. Consumes it whatever the
 * outcome: *FILE is NULL on return. INFO may be NULL; written on success only.
 *
 *   -EEXIST  the final name is taken; the older file stays, this one is deleted
 *   -EINVAL  the filesystem lacks RENAME_NOREPLACE (NFS, for one)
 *   others   as fsync(2); the file may then remain, unlisted, until the sweep
 */
kt_must_check int kt_vault_file_commit(kt_vault_file **file, struct kt_vault_file_info *info);

/* Delete the unfinished file and free the object. *FILE becomes NULL. */
void kt_vault_file_discard(kt_vault_file **file);

#endif

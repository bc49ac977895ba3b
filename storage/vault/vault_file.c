#include "storage/vault/vault_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sodium.h>
#include <string.h>

#include "server/base/text.h"

struct kt_vault_file {
    /* --- constant after create --- */
    int dir_fd;             /* borrowed */
    int64_t start_us;
    char *name, *part_name;
    /* --- owner thread --- */
    int fd;                 /* -1 until the .part file is ours */
    uint64_t size_bytes;
    crypto_hash_sha256_state hash;
    bool published;         /* has its final name: no longer ours to delete */
};

int kt_vault_file_create(kt_vault_file **out, int dir_fd, const char *name, int64_t start_us)
{
    assert(out && name);
    if (name[0] == '\0' || strchr(name, '/'))
        return -EINVAL;

    kt_cleanup(kt_vault_file_discard) kt_vault_file *file = calloc(1, sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->dir_fd = dir_fd;
    file->start_us = start_us;
    file->fd = -1;
    crypto_hash_sha256_init(&file->hash);
    file->name = strdup(name);
    if (!file->name)
        return -ENOMEM;
    if (asprintf(&file->part_name, "%s.part", name) < 0) {
        file->part_name = NULL;     /* undefined after a failed asprintf() */
        return -ENOMEM;
    }
    /* O_EXCL: a leftover of this name is evidence, not scratch space. */
    file->fd = openat(dir_fd, file->part_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (file->fd < 0)
        return -errno;
    *out = kt_steal_ptr(&file);
    return 0;
}

int kt_vault_file_append(kt_vault_file *file, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t left = size; left > 0;) {
        const ssize_t n = write(file->fd, p, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        left -= (size_t)n;
    }
    crypto_hash_sha256_update(&file->hash, data, size);
    file->size_bytes += size;
    return 0;
}

int kt_vault_file_commit(kt_vault_file **pfile, struct kt_vault_file_info *info)
{
    kt_cleanup(kt_vault_file_discard) kt_vault_file *file = kt_steal_ptr(pfile);

    if (fsync(file->fd) < 0)
        return -errno;
    if (renameat2(file->dir_fd, file->part_name, file->dir_fd, file->name, RENAME_NOREPLACE) < 0)
        return -errno;
    file->published = true;
    if (fsync(file->dir_fd) < 0)    /* the name must survive a power cut too */
        return -errno;
    if (info) {
        uint8_t hash[crypto_hash_sha256_BYTES];
        crypto_hash_sha256_final(&file->hash, hash);
        info->start_us = file->start_us;
        info->size_bytes = file->size_bytes;
        kt_hex(info->sha256, hash, sizeof(hash));
    }
    return 0;
}

void kt_vault_file_discard(kt_vault_file **pfile)
{
    kt_vault_file *file = kt_steal_ptr(pfile);
    if (!file)
        return;
    if (file->fd >= 0) {
        (void)close(file->fd);
        if (!file->published)
            (void)unlinkat(file->dir_fd, file->part_name, 0);
    }
    free(file->part_name);
    free(file->name);
    free(file);
}

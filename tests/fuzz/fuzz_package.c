/*
 * An evidence package that is checked, on any bytes: as a ZIP and, so that it gets past the container, as the video
 * of a clip. First byte: which.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/cleanup.h"
#include "storage/vault/mp4_hash.h"
#include "storage/vault/package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_zip(const uint8_t *data, size_t size)
{
    struct kt_error err;
    char path[64];
    kt_cleanup(kt_closep) int fd = memfd_create("package", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const struct kt_package_check check = { .fingerprint = NULL };
    if (kt_package_verify(path, &check, &err) == 0)
        abort();                        /* nobody signs by chance */
}

/* In pieces, as it is read. */
static void as_video(const uint8_t *data, size_t size)
{
    kt_cleanup(kt_mp4_hash_free) kt_mp4_hash *hash = NULL;
    struct kt_mp4_facts facts;
    const size_t piece = size > 0 ? 1 + data[0] : 1;
    if (kt_mp4_hash_create(&hash) < 0)
        return;
    for (size_t at = 0; at < size; at += piece)
        if (kt_mp4_hash_feed(hash, data + at, size - at < piece ? size - at : piece) < 0)
            return;
    (void)!kt_mp4_hash_finish(hash, &facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    (data[0] & 1 ? as_zip : as_video)(data + 1, size - 1);
    return 0;
}

#include "storage/vault/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "storage/vault/hold_records.h"
#include "storage/vault/vault_private.h"

#define DISK_MARGIN_BYTES (UINT64_C(64) << 20)  /* never fill the disk to the last byte */

struct kt_vault {
    /* --- constant after open --- */
    kt_catalog *catalog;
    char *path;
    int dir_fd, lock_fd;
    uint64_t max_bytes;
    pthread_mutex_t lock;               /* leaf */
    /* --- protected by lock --- */
    uint64_t used_bytes;                /* files, and what is reserved for files being made */
};

/* ------------------------------ the directory ------------------------------ */

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static bool is_listed(const char *name, const struct kt_hold_file *files, size_t n)
{
    char chain[192];
    for (size_t i = 0; i < n; i++) {
        kt_hold_chain_name(files[i].name, chain, sizeof(chain));
        if (strcmp(files[i].name, name) == 0 || strcmp(chain, name) == 0)
            return true;
    }
    return false;
}

static bool is_package(const char *name, const struct kt_export *packages, size_t n)
{
    const size_t stem = strlen(name) - strlen(".zip");
    for (size_t i = 0; i < n; i++)
        if (strlen(packages[i].name) == stem && strncmp(packages[i].name, name, stem) == 0)
            return true;
    return false;
}

/* What the catalog knows of. */
struct listed {
    struct kt_hold_file *files;
    size_t n_files;
    struct kt_export *packages;
    size_t n_packages;
};

/* Unfinished files, and whole ones that no row names: both are leftovers of a crash. */
static bool is_leftover(const char *name, const struct listed *l)
{
    return strstr(name, ".part") ||     /* "EV-….zip.part.x7Gh2k" is libzip's */
           (strncmp(name, "hold-", 5) == 0 && (ends_with(name, ".mp4") || ends_with(name, ".chain")) &&
            !is_listed(name, l->files, l->n_files)) ||
           ((strncmp(name, "EV-", 3) == 0 || strncmp(name, "SALINAN-", 8) == 0) && ends_with(name, ".zip") &&
            !is_package(name, l->packages, l->n_packages));
}

static int sweep(kt_vault *v, const struct listed *l)
{
    const int fd = openat(v->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return -errno;
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        if (is_leftover(e->d_name, l))
            (void)unlinkat(v->dir_fd, e->d_name, 0);
        else if (fstatat(v->dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            v->used_bytes += (uint64_t)st.st_size;
    }
    (void)closedir(dir);
    return fsync(v->dir_fd) < 0 ? -errno : 0;
}

/* ------------------------------ life ------------------------------ */

static int lock_directory(kt_vault *v, struct kt_error *err)
{
    v->lock_fd = openat(v->dir_fd, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (v->lock_fd < 0)
        return kt_error_set(err, -errno, "vault %s: %s", v->path, strerror(errno));
    if (flock(v->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return kt_error_set(err, -EBUSY, "vault %s: another process is using it", v->path);
    return 0;
}

static int open_directory(kt_vault *v, struct kt_error *err)
{
    if (mkdir(v->path, 0750) < 0 && errno != EEXIST)
        return kt_error_set(err, -errno, "vault %s: %s", v->path, strerror(errno));
    v->dir_fd = open(v->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (v->dir_fd < 0)
        return kt_error_set(err, -errno, "vault %s: %s", v->path, strerror(errno));
    int ret = lock_directory(v, err);
    if (ret < 0)
        return ret;
    struct listed l = { 0 };
    ret = kt_catalog_hold_files(v->catalog, 0, &l.files, &l.n_files);
    if (ret == 0)
        ret = kt_catalog_export_list(v->catalog, 0, &l.packages, &l.n_packages);
    if (ret == 0)
        ret = sweep(v, &l);
    kt_hold_file_list_free(&l.files, l.n_files);
    kt_export_list_free(&l.packages, l.n_packages);
    if (ret < 0)
        (void)kt_error_set(err, ret, "vault %s: %s", v->path, kt_strerror(ret));
    return ret;
}

int kt_vault_open(kt_vault **out, const struct kt_vault_params *params, struct kt_error *err)
{
    kt_cleanup(kt_vault_close) kt_vault *v = calloc(1, sizeof(*v));
    if (!v)
        return kt_error_set(err, -ENOMEM, "out of memory");
    v->dir_fd = v->lock_fd = -1;
    v->catalog = params->catalog;
    v->max_bytes = params->max_bytes;
    pthread_mutex_init(&v->lock, NULL);
    v->path = strdup(params->path);
    if (!v->path)
        return kt_error_set(err, -ENOMEM, "out of memory");
    const int ret = open_directory(v, err);
    if (ret < 0)
        return ret;
    *out = kt_steal_ptr(&v);
    return 0;
}

void kt_vault_close(kt_vault **pv)
{
    kt_vault *v = kt_steal_ptr(pv);
    if (!v)
        return;
    kt_closep(&v->lock_fd);
    kt_closep(&v->dir_fd);
    pthread_mutex_destroy(&v->lock);
    free(v->path);
    free(v);
}

int kt_vault_dir(const kt_vault *v)
{
    return v->dir_fd;
}

const char *kt_vault_path(const kt_vault *v)
{
    return v->path;
}

kt_catalog *kt_vault_catalog(const kt_vault *v)
{
    return v->catalog;
}

/* ------------------------------ room ------------------------------ */

static uint64_t disk_free(const kt_vault *v)
{
    struct statvfs s;
    if (fstatvfs(v->dir_fd, &s) < 0)    /* unknown is not "plenty" */
        return 0;
    return (uint64_t)s.f_bavail * s.f_frsize;
}

void kt_vault_status(kt_vault *v, struct kt_vault_status *out)
{
    pthread_mutex_lock(&v->lock);
    *out = (struct kt_vault_status){ .max_bytes = v->max_bytes, .used_bytes = v->used_bytes };
    pthread_mutex_unlock(&v->lock);
    out->free_bytes = disk_free(v);
}

int kt_vault_reserve(kt_vault *v, uint64_t bytes)
{
    const uint64_t room = disk_free(v);
    int ret = -ENOSPC;
    pthread_mutex_lock(&v->lock);
    if (bytes <= v->max_bytes && v->used_bytes <= v->max_bytes - bytes && room >= DISK_MARGIN_BYTES &&
        bytes <= room - DISK_MARGIN_BYTES) {
        v->used_bytes += bytes;
        ret = 0;
    }
    pthread_mutex_unlock(&v->lock);
    return ret;
}

void kt_vault_unreserve(kt_vault *v, uint64_t bytes)
{
    pthread_mutex_lock(&v->lock);
    v->used_bytes -= bytes < v->used_bytes ? bytes : v->used_bytes;
    pthread_mutex_unlock(&v->lock);
}

/* ------------------------------ files ------------------------------ */

int kt_vault_open_file(kt_vault *v, const char *name)
{
    if (!name[0] || strchr(name, '/') || name[0] == '.')
        return -EINVAL;
    const int fd = openat(v->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

/* Delete NAME, if it is there, and count its room as free. */
static void unlink_counted(kt_vault *v, const char *name)
{
    struct stat st;
    if (fstatat(v->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(v->dir_fd, name, 0) == 0)
        kt_vault_unreserve(v, (uint64_t)st.st_size);
}

int kt_vault_release(kt_vault *v, int64_t hold)
{
    struct kt_hold_file *files = NULL;
    size_t n = 0;
    int ret = kt_catalog_hold_files(v->catalog, hold, &files, &n);
    if (ret == 0)
        ret = hold > 0 ? kt_catalog_hold_release(v->catalog, hold) : -EINVAL;
    for (size_t i = 0; ret == 0 && i < n; i++) {
        char chain[192];
        kt_hold_chain_name(files[i].name, chain, sizeof(chain));
        unlink_counted(v, files[i].name);
        unlink_counted(v, chain);
    }
    kt_hold_file_list_free(&files, n);
    if (ret == 0 && fsync(v->dir_fd) < 0)
        ret = -errno;
    return ret;
}

int kt_vault_hash_file(int fd, char sha256[65])
{
    crypto_hash_sha256_state state;
    kt_cleanup(kt_freep) uint8_t *buf = malloc(KT_VAULT_BUFFER);
    if (!buf)
        return -ENOMEM;
    crypto_hash_sha256_init(&state);
    for (;;) {
        const ssize_t n = read(fd, buf, KT_VAULT_BUFFER);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        crypto_hash_sha256_update(&state, buf, (size_t)n);
    }
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&state, hash);
    kt_hex(sha256, hash, sizeof(hash));
    return 0;
}

static int check_one(kt_vault *v, const char *name, const char *expected, struct kt_error *err)
{
    char sha256[65];
    kt_cleanup(kt_closep) int fd = kt_vault_open_file(v, name);
    int ret = fd < 0 ? fd : kt_vault_hash_file(fd, sha256);
    if (ret == 0 && strcmp(sha256, expected) != 0)
        ret = -EBADMSG;
    if (ret < 0)
        return kt_error_set(err, -EBADMSG, "%s: %s", name, ret == -EBADMSG
                            ? "is not what was written" : kt_strerror(ret));
    return 0;
}

int kt_vault_check_file(kt_vault *v, const struct kt_hold_file *file, struct kt_error *err)
{
    char name[192];
    json_t *about = kt_hold_records_parse(file);
    const char *chain = json_string_value(json_object_get(json_object_get(about, "chain"), "sha256"));
    int ret = about ? check_one(v, file->name, file->sha256, err) : -ENOMEM;
    kt_hold_chain_name(file->name, name, sizeof(name));
    if (ret == 0 && chain)
        ret = check_one(v, name, chain, err);
    json_decref(about);
    return ret;
}

int kt_vault_verify(kt_vault *v, int64_t hold, struct kt_error *err)
{
    struct kt_hold_file *files = NULL;
    size_t n = 0;
    int ret = kt_catalog_hold_files(v->catalog, hold, &files, &n);
    for (size_t i = 0; ret == 0 && i < n; i++)
        ret = kt_vault_check_file(v, &files[i], err);
    kt_hold_file_list_free(&files, n);
    return ret;
}

/* package_reader.c - a ZIP or an unpacked folder, the same to the one who checks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#include "storage/catalog/db.h"
#include "storage/vault/package_private.h"
#include "storage/vault/vault_private.h"

#define FILES_MAX 100000

struct kt_bag {
    zip_t *zip;                         /* or */
    int dir_fd;
    char title[256];
    struct bag_file {
        char name[256];                 /* without the folder */
        zip_uint64_t index;
    } *files;
    size_t n;
};

/* A name that stays inside the folder: plain characters, at most one folder deep. */
static bool good_name(const char *name)
{
    const char *slash = strchr(name, '/');
    if (!name[0] || strlen(name) > 255 || strstr(name, "..") || strchr(name, '\\') || name[0] == '/' ||
        (slash && (strchr(slash + 1, '/') || !slash[1])))
        return false;
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7f)
            return false;
    return true;
}

static int add_file(kt_bag *bag, const char *name, zip_uint64_t index)
{
    if (!good_name(name) || kt_bag_find(bag, name) >= 0 || bag->n >= FILES_MAX)
        return -EBADMSG;
    const int ret = kt_db_grow(&bag->files, bag->n, sizeof(*bag->files));
    if (ret < 0)
        return ret;
    snprintf(bag->files[bag->n].name, sizeof(bag->files[0].name), "%s", name);
    bag->files[bag->n++].index = index;
    return 0;
}

/* ------------------------------ ZIP ------------------------------ */

static int list_zip(kt_bag *bag)
{
    const zip_int64_t n = zip_get_num_entries(bag->zip, 0);
    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(bag->zip, (zip_uint64_t)i, ZIP_FL_ENC_GUESS);
        const char *slash = name ? strchr(name, '/') : NULL;
        if (!slash || slash == name || slash - name >= (ptrdiff_t)sizeof(bag->title))
            return -EBADMSG;
        if (i == 0)
            snprintf(bag->title, sizeof(bag->title), "%.*s", (int)(slash - name), name);
        else if (strncmp(bag->title, name, (size_t)(slash - name)) != 0 || bag->title[slash - name])
            return -EBADMSG;
        if (name[strlen(name) - 1] == '/')      /* a folder's own entry, of other tools */
            continue;
        const int ret = add_file(bag, slash + 1, (zip_uint64_t)i);
        if (ret < 0)
            return ret;
    }
    return 0;
}

/* ------------------------------ folder ------------------------------ */

static int list_dir(kt_bag *bag, const char *sub)
{
    const int fd = openat(bag->dir_fd, sub[0] ? sub : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    int ret = dir ? 0 : -errno;
    for (struct dirent *e; ret == 0 && (e = readdir(dir));) {
        struct stat st;
        char name[600];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s%s%s", sub, sub[0] ? "/" : "", e->d_name);
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            ret = -errno;
        else if (S_ISDIR(st.st_mode))
            ret = sub[0] ? -EBADMSG : list_dir(bag, name);
        else
            ret = S_ISREG(st.st_mode) ? add_file(bag, name, 0) : -EBADMSG;
    }
    if (dir)
        (void)closedir(dir);
    return ret;
}

static int open_dir(kt_bag *bag, const char *path)
{
    kt_cleanup(kt_freep) char *real = realpath(path, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    if (!slash)
        return -errno;
    snprintf(bag->title, sizeof(bag->title), "%s", slash + 1);
    bag->dir_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return bag->dir_fd < 0 ? -errno : list_dir(bag, "");
}

/* ------------------------------ both ------------------------------ */

int kt_bag_open(kt_bag **out, const char *path, struct kt_error *err)
{
    kt_cleanup(kt_bag_close) kt_bag *bag = calloc(1, sizeof(*bag));
    struct stat st;
    if (!bag)
        return -ENOMEM;
    bag->dir_fd = -1;
    if (stat(path, &st) < 0)
        return kt_error_set(err, -errno, "%s: %s", path, strerror(errno));
    int ret;
    if (S_ISDIR(st.st_mode)) {
        ret = open_dir(bag, path);
    } else {
        bag->zip = zip_open(path, ZIP_RDONLY, NULL);
        ret = bag->zip ? list_zip(bag) : -EBADMSG;
    }
    if (ret < 0)
        return kt_error_set(err, ret, "%s: %s", path, ret == -EBADMSG
                            ? "is no whole package: damaged, or with files that do not belong there"
                            : kt_strerror(ret));
    *out = kt_steal_ptr(&bag);
    return 0;
}

void kt_bag_close(kt_bag **pbag)
{
    kt_bag *bag = kt_steal_ptr(pbag);
    if (!bag)
        return;
    if (bag->zip)
        zip_discard(bag->zip);
    kt_closep(&bag->dir_fd);
    free(bag->files);
    free(bag);
}

const char *kt_bag_title(const kt_bag *bag)
{
    return bag->title;
}

size_t kt_bag_count(const kt_bag *bag)
{
    return bag->n;
}

const char *kt_bag_name(const kt_bag *bag, size_t i)
{
    return bag->files[i].name;
}

int kt_bag_find(const kt_bag *bag, const char *name)
{
    for (size_t i = 0; i < bag->n; i++)
        if (strcmp(bag->files[i].name, name) == 0)
            return (int)i;
    return -ENOENT;
}

static int read_zip(kt_bag *bag, size_t i, uint8_t *buf, int (*feed)(void *, const void *, size_t), void *user)
{
    zip_file_t *f = zip_fopen_index(bag->zip, bag->files[i].index, 0);
    int ret = f ? 0 : -EBADMSG;
    while (ret == 0) {
        const zip_int64_t n = zip_fread(f, buf, KT_VAULT_BUFFER);
        if (n <= 0) {
            ret = n < 0 ? -EBADMSG : 0;
            break;
        }
        ret = feed(user, buf, (size_t)n);
    }
    /* The check sum of the ZIP itself comes with closing. */
    if (f && zip_fclose(f) != 0 && ret == 0)
        ret = -EBADMSG;
    return ret;
}

static int read_plain(kt_bag *bag, size_t i, uint8_t *buf, int (*feed)(void *, const void *, size_t),
                      void *user)
{
    kt_cleanup(kt_closep) int fd = openat(bag->dir_fd, bag->files[i].name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    for (;;) {
        const ssize_t n = read(fd, buf, KT_VAULT_BUFFER);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        const int ret = feed(user, buf, (size_t)n);
        if (ret < 0)
            return ret;
    }
}

int kt_bag_read(kt_bag *bag, size_t i, int (*feed)(void *user, const void *data, size_t n), void *user)
{
    kt_cleanup(kt_freep) uint8_t *buf = malloc(KT_VAULT_BUFFER);
    if (!buf)
        return -ENOMEM;
    return bag->zip ? read_zip(bag, i, buf, feed, user) : read_plain(bag, i, buf, feed, user);
}

struct gather {
    char *data;
    size_t size;
};

static int gather(void *user, const void *data, size_t n)
{
    struct gather *g = user;
    if (n > KT_PACKAGE_TEXT_MAX - g->size)
        return -EFBIG;
    char *bigger = realloc(g->data, g->size + n + 1);
    if (!bigger)
        return -ENOMEM;
    g->data = bigger;
    memcpy(g->data + g->size, data, n);
    g->size += n;
    g->data[g->size] = '\0';
    return 0;
}

int kt_package_text(kt_vault *vault, const char *name, const char *file, char **out, size_t *size)
{
    kt_cleanup(kt_bag_close) kt_bag *bag = NULL;
    struct kt_error err;
    char path[192];
    if (strncmp(name, "EV-", 3) != 0 || strchr(name, '/'))
        return -EINVAL;
    /* libzip opens paths only; this one leads through the folder that the vault holds open. */
    if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s.zip", kt_vault_dir(vault), name) >=
        (int)sizeof(path))
        return -EINVAL;
    const int ret = kt_bag_open(&bag, path, &err);
    return ret < 0 ? ret : kt_bag_text(bag, file, out, size);
}

int kt_bag_text(kt_bag *bag, const char *name, char **out, size_t *size)
{
    struct gather g = { calloc(1, 1), 0 };
    const int i = kt_bag_find(bag, name);
    int ret = !g.data ? -ENOMEM : i < 0 ? i : kt_bag_read(bag, (size_t)i, gather, &g);
    if (ret < 0) {
        free(g.data);
        return ret;
    }
    *out = g.data;
    *size = g.size;
    return 0;
}

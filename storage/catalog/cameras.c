#include <errno.h>
#include <string.h>

#include "storage/catalog/db.h"

static const char *const mode_names[] = { [KT_ANALYSIS_OFF] = "off",
                                          [KT_ANALYSIS_KEYFRAMES] = "keyframes",
                                          [KT_ANALYSIS_ADAPTIVE] = "adaptive",
                                          [KT_ANALYSIS_FULL] = "full" };

const char *kt_analysis_mode_name(enum kt_analysis_mode mode)
{
    return mode_names[mode];
}

int kt_analysis_mode_parse(const char *name, enum kt_analysis_mode *mode)
{
    for (size_t i = KT_ANALYSIS_OFF; i < KT_ARRAY_SIZE(mode_names); i++)
        if (strcmp(name, mode_names[i]) == 0) {
            *mode = (enum kt_analysis_mode)i;
            return 0;
        }
    return -EINVAL;
}

int kt_catalog_camera_list(kt_catalog *c, struct kt_camera_config **out, size_t *n)
{
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT id, name, main_url, sub_url, transport, analysis,"
                                           " enabled, rules, snapshot_url FROM camera ORDER BY id", "");
    struct kt_camera_config *list = NULL;
    size_t count = 0;
    int ret;
    while ((ret = kt_db_step(stmt)) > 0) {
        ret = kt_db_grow(&list, count, sizeof(*list));
        if (ret < 0)
            break;
        struct kt_camera_config *cam = &list[count++];
        memset(cam, 0, sizeof(*cam));
        kt_db_text(stmt, 0, cam->id, sizeof(cam->id));
        kt_db_text(stmt, 1, cam->name, sizeof(cam->name));
        kt_db_text(stmt, 2, cam->main_url, sizeof(cam->main_url));
        kt_db_text(stmt, 3, cam->sub_url, sizeof(cam->sub_url));
        kt_db_text(stmt, 4, cam->transport, sizeof(cam->transport));
        cam->analysis = (enum kt_analysis_mode)sqlite3_column_int(stmt, 5);
        cam->enabled = sqlite3_column_int(stmt, 6);
        kt_db_text(stmt, 7, cam->rules, sizeof(cam->rules));
        kt_db_text(stmt, 8, cam->snapshot_url, sizeof(cam->snapshot_url));
    }
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    if (ret < 0) {
        free(list);
        return ret;
    }
    *out = list;
    *n = count;
    return 0;
}

static int put_camera(sqlite3 *db, void *arg)
{
    const struct kt_camera_config *cam = arg;
    return kt_db_run(db, "INSERT OR REPLACE INTO camera VALUES (?,?,?,?,?,?,?,?,?)", "sssssiiss", cam->id,
                     cam->name, cam->main_url, cam->sub_url, cam->transport, (int64_t)cam->analysis,
                     (int64_t)cam->enabled, cam->rules, cam->snapshot_url);
}

int kt_catalog_camera_put(kt_catalog *c, const struct kt_camera_config *cam)
{
    if (!kt_id_valid(cam->id))
        return -EINVAL;
    return kt_db_write(c, put_camera, (void *)cam);
}

static int delete_camera(sqlite3 *db, void *arg)
{
    const int ret = kt_db_run(db, "DELETE FROM camera WHERE id = ?", "s", (const char *)arg);
    return ret == 0 && sqlite3_changes(db) == 0 ? -ENOENT : ret;
}

int kt_catalog_camera_delete(kt_catalog *c, const char *id)
{
    return kt_db_write(c, delete_camera, (void *)id);
}

/* ------------------------------ settings ------------------------------ */

int kt_catalog_setting_get(kt_catalog *c, const char *key, char **out)
{
    sqlite3 *db = kt_db_borrow(c);
    sqlite3_stmt *stmt = kt_db_prepare(db, "SELECT value FROM setting WHERE key = ?", "s", key);
    int ret = kt_db_step(stmt);
    if (ret > 0) {
        *out = strdup((const char *)sqlite3_column_text(stmt, 0));
        ret = *out ? 0 : -ENOMEM;
    } else if (ret == 0) {
        ret = -ENOENT;
    }
    kt_db_finalize(&stmt);
    kt_db_return(c, db);
    return ret;
}

struct setting {
    const char *key, *value;
};

static int put_setting(sqlite3 *db, void *arg)
{
    const struct setting *s = arg;
    return kt_db_run(db, "INSERT OR REPLACE INTO setting VALUES (?,?)", "ss", s->key, s->value);
}

int kt_catalog_setting_put(kt_catalog *c, const char *key, const char *value)
{
    struct setting s = { key, value };
    return kt_db_write(c, put_setting, &s);
}

#include <errno.h>

#include "storage/catalog/db.h"

/*
 * Version N of the schema is what the first N entries make. Never change an entry
 * that was released: add one. All times are UTC microseconds unless they are named
 * second, minute or hour (of the Unix epoch).
 */
static const char *const migrations[] = {
    /* 1 */
    "CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE camera (id TEXT PRIMARY KEY, name TEXT NOT NULL, main_url TEXT NOT NULL,"
    "  sub_url TEXT NOT NULL, transport TEXT NOT NULL, analysis INTEGER NOT NULL,"
    "  enabled INTEGER NOT NULL, rules TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, camera TEXT NOT NULL,"
    "  type TEXT NOT NULL, rule TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,"
    "  score REAL NOT NULL, detail TEXT, seen INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX event_start ON event (start, id);"
    "CREATE INDEX event_camera ON event (camera, start, id);"
    "CREATE INDEX event_open ON event (id) WHERE end = 0;"
    "CREATE TABLE thumbnail (event INTEGER PRIMARY KEY REFERENCES event(id) ON DELETE CASCADE,"
    "  jpeg BLOB NOT NULL);"
    /* data: 20 bytes a second with motion: second of the minute, score, grid */
    "CREATE TABLE activity (camera TEXT NOT NULL, minute INTEGER NOT NULL, sum INTEGER NOT NULL,"
    "  data BLOB NOT NULL, PRIMARY KEY (camera, minute)) WITHOUT ROWID;"
    "CREATE TABLE activity_hour (camera TEXT NOT NULL, hour INTEGER NOT NULL, sum INTEGER NOT NULL,"
    "  PRIMARY KEY (camera, hour)) WITHOUT ROWID;"
    "CREATE TABLE user (id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, hash TEXT NOT NULL,"
    "  role INTEGER NOT NULL, disabled INTEGER NOT NULL DEFAULT 0, cameras TEXT,"
    "  created INTEGER NOT NULL, last_login INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE session (token BLOB PRIMARY KEY, user INTEGER NOT NULL"
    "  REFERENCES user(id) ON DELETE CASCADE, created INTEGER NOT NULL, seen INTEGER NOT NULL)"
    "  WITHOUT ROWID;"
    "CREATE TABLE throttle (key TEXT PRIMARY KEY, failures INTEGER NOT NULL,"
    "  until INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, who TEXT,"
    "  address TEXT, action TEXT NOT NULL, object TEXT, detail TEXT, previous BLOB NOT NULL,"
    "  hash BLOB NOT NULL);",
    /* 2: accounts in earnest, incidents, holds, packages, links */
    "ALTER TABLE user ADD COLUMN totp BLOB;"
    "ALTER TABLE user ADD COLUMN totp_new BLOB;"            /* begun, not confirmed */
    "ALTER TABLE user ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;" /* last one used */
    "CREATE TABLE invitation (id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE,"
    "  role INTEGER NOT NULL, cameras TEXT, note TEXT NOT NULL, created_by TEXT NOT NULL,"
    "  created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0,"
    "  used_by TEXT);"
    "CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN"
    "  SELECT RAISE(ABORT, 'the audit log is append-only'); END;"
    "CREATE TRIGGER audit_undeleted BEFORE DELETE ON audit BEGIN"
    "  SELECT RAISE(ABORT, 'the audit log is append-only'); END;"
    "CREATE INDEX audit_who ON audit (who, id);"
    "CREATE TABLE incident (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,"
    "  start INTEGER NOT NULL, end INTEGER NOT NULL, cameras TEXT NOT NULL, notes TEXT,"
    "  closed INTEGER NOT NULL, created_by TEXT NOT NULL, created INTEGER NOT NULL,"
    "  changed INTEGER NOT NULL);"
    "CREATE TABLE incident_event (incident INTEGER NOT NULL REFERENCES incident(id) ON DELETE CASCADE,"
    "  event INTEGER NOT NULL, PRIMARY KEY (incident, event)) WITHOUT ROWID;"
    "CREATE TABLE incident_user (incident INTEGER NOT NULL REFERENCES incident(id) ON DELETE CASCADE,"
    "  user INTEGER NOT NULL REFERENCES user(id) ON DELETE CASCADE, PRIMARY KEY (incident, user))"
    "  WITHOUT ROWID;"
    "CREATE TABLE hold (id INTEGER PRIMARY KEY AUTOINCREMENT, incident INTEGER NOT NULL"
    "  REFERENCES incident(id), camera TEXT NOT NULL, stream TEXT NOT NULL, start INTEGER NOT NULL,"
    "  end INTEGER NOT NULL, state INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,"
    "  total INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', created_by TEXT NOT NULL,"
    "  created INTEGER NOT NULL);"
    "CREATE INDEX hold_incident ON hold (incident);"
    "CREATE TABLE hold_file (id INTEGER PRIMARY KEY AUTOINCREMENT, hold INTEGER NOT NULL"
    "  REFERENCES hold(id), name TEXT NOT NULL UNIQUE, start INTEGER NOT NULL, end INTEGER NOT NULL,"
    "  run INTEGER NOT NULL, size INTEGER NOT NULL, frames INTEGER NOT NULL, mime TEXT NOT NULL,"
    "  sha256 TEXT NOT NULL, stream_hash TEXT NOT NULL, records TEXT);"
    "CREATE INDEX hold_file_hold ON hold_file (hold, start);"
    "CREATE TABLE export (id INTEGER PRIMARY KEY AUTOINCREMENT, incident INTEGER NOT NULL"
    "  REFERENCES incident(id), state INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,"
    "  total INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL DEFAULT '',"
    "  manifest TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '', request TEXT,"
    "  created_by TEXT NOT NULL, created INTEGER NOT NULL, finished INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX export_incident ON export (incident);"
    "CREATE TABLE share (id INTEGER PRIMARY KEY AUTOINCREMENT, token BLOB NOT NULL UNIQUE,"
    "  export INTEGER NOT NULL REFERENCES export(id), created INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL, max_downloads INTEGER NOT NULL, downloads INTEGER NOT NULL DEFAULT 0,"
    "  pin TEXT, wrong_pins INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0,"
    "  note TEXT NOT NULL, created_by TEXT NOT NULL);"
    "CREATE TABLE share_log (id INTEGER PRIMARY KEY AUTOINCREMENT, share INTEGER NOT NULL"
    "  REFERENCES share(id), time INTEGER NOT NULL, address TEXT NOT NULL, what TEXT NOT NULL);"
    "CREATE INDEX share_log_share ON share_log (share, id);",
    /* 3: why held video has holes */
    "ALTER TABLE hold ADD COLUMN gaps TEXT;",
    /* 4: a picture by HTTP while no stream gives one */
    "ALTER TABLE camera ADD COLUMN snapshot_url TEXT NOT NULL DEFAULT '';",
    /* 5: a month of forty cameras on one page: see events.c and activity.c */
    "CREATE INDEX event_long ON event (start) WHERE end = 0 OR end - start > 3600000000;"
    "CREATE INDEX event_trouble ON event (camera, start) WHERE type >= 'camera-' AND type < 'camera.';"
    "CREATE INDEX event_marked ON event (camera, start) WHERE type <> 'motion';"
    "CREATE INDEX activity_sum ON activity (camera, minute, sum);",
    /* 6: where one is logged in */
    "ALTER TABLE session ADD COLUMN address TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE session ADD COLUMN agent TEXT NOT NULL DEFAULT '';",
};

#define NEWEST ((int)KT_ARRAY_SIZE(migrations))

static int version(sqlite3 *db)
{
    kt_cleanup(kt_db_finalize) sqlite3_stmt *stmt = kt_db_prepare(db, "PRAGMA user_version", "");
    const int ret = kt_db_step(stmt);
    return ret == 1 ? sqlite3_column_int(stmt, 0) : -EIO;
}

static int migrate_one(sqlite3 *db, int from)
{
    char set[64];
    snprintf(set, sizeof(set), "PRAGMA user_version = %d", from + 1);
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return -EIO;
    if (sqlite3_exec(db, migrations[from], NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(db, set, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return -EIO;
}

int kt_db_migrate(sqlite3 *db, struct kt_error *err)
{
    const int have = version(db);
    if (have < 0)
        return kt_error_set(err, -EIO, "catalog: not a database, or damaged: %s", sqlite3_errmsg(db));
    if (have > NEWEST)
        return kt_error_set(err, -EINVAL, "catalog: schema %d is newer than this program knows (%d)",
                            have, NEWEST);
    for (int v = have; v < NEWEST; v++)
        if (migrate_one(db, v) < 0)
            return kt_error_set(err, -EIO, "catalog: cannot go from schema %d to %d: %s", v, v + 1,
                                sqlite3_errmsg(db));
    return 0;
}

/*
 * people_private.h - what people.c, accounts.c and shares.c share.
 */
#ifndef KT_CATALOG_PEOPLE_PRIVATE_H
#define KT_CATALOG_PEOPLE_PRIVATE_H

#include <sodium.h>

#include "storage/catalog/db.h"
#include "storage/catalog/people.h"

/* A session ends when it was not used for this long, and in any case after that. */
#define KT_SESSION_IDLE_US (12 * 3600 * KT_SECOND_US)
#define KT_SESSION_MAX_US (7 * 24 * 3600 * KT_SECOND_US)

#define KT_USER_COLUMNS "user.id, username, role, disabled, cameras, user.created, last_login," \
                        " totp IS NOT NULL"
int kt_people_read_user(sqlite3_stmt *stmt, void *item);

bool kt_people_good_username(const char *name);
bool kt_people_acceptable(const char *username, const char *password);

/* A JSON list of camera ids. */
bool kt_people_camera_list_valid(const char *json);

/* Argon2id of a password or PIN; waits for one of the two places. */
kt_must_check int kt_people_hash(kt_catalog *c, const char *password, char out[crypto_pwhash_STRBYTES]);

/* The stored form of a token that somebody shows. -ENOENT for what can be none. */
kt_must_check int kt_people_read_token(const char *token, uint8_t hash[32]);

/* A new token and its stored form. */
kt_must_check int kt_people_make_token(char token[KT_TOKEN_SIZE], uint8_t hash[32]);

#endif

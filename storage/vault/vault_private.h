/*
 * vault_private.h - what the files of the vault share.
 */
#ifndef KT_VAULT_VAULT_PRIVATE_H
#define KT_VAULT_VAULT_PRIVATE_H

#include "storage/vault/vault.h"

#define KT_VAULT_BUFFER (1u << 20)      /* bytes read and written at a time */

kt_catalog *kt_vault_catalog(const kt_vault *v);

/* Write down where HOLD's span has no video, and why as far as RING knows. Gaps shorter
 * than a second and a half are none. */
kt_must_check int kt_vault_note_gaps(kt_vault *v, kt_ring *ring, uint32_t stream,
                                     const struct kt_hold *hold);

/* SHA-256 of all that is left to read of FD, hex. */
kt_must_check int kt_vault_hash_file(int fd, char sha256[65]);

/* Is the file of this row what was written? -EBADMSG with ERR. */
kt_must_check int kt_vault_check_file(kt_vault *v, const struct kt_hold_file *file, struct kt_error *err);

#endif

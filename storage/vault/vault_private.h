/*
 * vault_private.h - what the files of the vault share.
 */
#ifndef KT_VAULT_VAULT_PRIVATE_H
#define KT_VAULT_VAULT_PRIVATE_H

#include "storage/vault/cover.h"
#include "storage/vault/vault.h"

#define KT_VAULT_BUFFER (1u << 20)      /* bytes read and written at a time */

kt_catalog *kt_vault_catalog(const kt_vault *v);

/* Write down where HOLD's span has no video in any ring, and why: as a ring that records all the time
 * noted it, "damaged", or "not-recorded". HAVE is what the hold's files cover. */
kt_must_check int kt_vault_note_gaps(kt_vault *v, const struct kt_vault_ring *rings, size_t n_rings,
                                     const char *stream, const struct kt_hold *hold,
                                     const struct kt_cover *have);
/* What HOLD's files cover, and the damage that was noted when it was last copied. */
kt_must_check int kt_vault_hold_cover(kt_vault *v, const struct kt_hold *hold, struct kt_cover *out);

/* SHA-256 of all that is left to read of FD, hex. */
kt_must_check int kt_vault_hash_file(int fd, char sha256[65]);

/* Is the file of this row what was written? -EBADMSG with ERR. */
kt_must_check int kt_vault_check_file(kt_vault *v, const struct kt_hold_file *file, struct kt_error *err);

#endif

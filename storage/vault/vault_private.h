/*
 * vault_private.h - what the files of the vault share.
 */
#ifndef KT_VAULT_VAULT_PRIVATE_H
#define KT_VAULT_VAULT_PRIVATE_H

#include "storage/vault/vault.h"

#define KT_VAULT_BUFFER (1u << 20)      /* bytes read and written at a time */

kt_catalog *kt_vault_catalog(const kt_vault *v);

#endif

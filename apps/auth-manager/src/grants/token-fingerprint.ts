import type { Secret } from '@postern/runtime';
import type { Vault } from './vault.ts';

/**
 * HMAC-SHA-256 of a stored token under the tenant's own key for that (R30): tells two tokens apart in the journal
 * without saying anything about them, also to whoever reads the database.
 */
export const fingerprintOf = (vault: Vault, tenant: string, token: Secret): Promise<Buffer> =>
  vault.grantsOf(tenant).mac('token-fingerprint', Buffer.from(token.reveal()));

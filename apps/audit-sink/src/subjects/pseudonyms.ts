import type { Sealer } from '@postern/branch-keys';

/** The name under which a tenant's entries stand in the log's leaves: says nothing without the log's key (R28). */
export type Pseudonyms = (tenant: string) => Promise<string>;

const REMEMBERED = 10_000;
const BYTES = 16;

/** HMAC-SHA-256 of the tenant, its first 16 bytes in base64url: the same for as long as the log lives. */
export function createPseudonyms(sealer: Pick<Sealer, 'mac'>): Pseudonyms {
  const known = new Map<string, string>();
  return async (tenant) => {
    const before = known.get(tenant);
    if (before !== undefined) return before;
    const mac = await sealer.mac('log-tenant', Buffer.from(tenant));
    const pseudonym = mac.subarray(0, BYTES).toString('base64url');
    if (known.size >= REMEMBERED) known.clear();
    known.set(tenant, pseudonym);
    return pseudonym;
  };
}

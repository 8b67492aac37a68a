import { createHash } from 'node:crypto';
import { problem } from '@postern/runtime';
import type { JWK } from 'jose';
import type { Kysely } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { openText } from '../grants/vault.ts';
import type { ClientIdentity } from './client-identity.ts';
import { heldKeys, type KeysAt, type ServiceKeys } from './service-keys.ts';

/** Who this service is at the operator's provider. */
export async function operatorsIdentity(
  deps: ServiceKeys,
  { issuer, clientId }: { issuer: string; clientId: string },
  fileKey: JWK | undefined,
): Promise<ClientIdentity> {
  const at = { tenant: '', provider: issuer };
  const client = fileKey ? { signs: fileKey, number: 0 } : await heldKeys(deps, at, 'client');
  const dpop = await heldKeys(deps, at, 'dpop');
  const proof = { clientKey: client.signs };
  return { clientId, proof, dpopKey: dpop.signs, generation: `${client.number} ${dpop.number}` };
}

/** Who it is at a tenant's. @throws Problem `provider_unavailable` where the tenant has it no more, or has disabled it */
export async function tenantsIdentity(deps: ServiceKeys, at: KeysAt): Promise<ClientIdentity> {
  const { tenant, provider } = at;
  const held = await registrationAt(deps.db, tenant, provider);
  if (!held) throw problem('provider_unavailable');
  const [client, dpop] = [await heldKeys(deps, at, 'client'), await heldKeys(deps, at, 'dpop')];
  const { id, client_id: clientId, sealed_secret: sealed } = held;
  const proof = sealed
    ? { clientSecret: await openText(deps.vault, { tenant, what: 'client-secret', id }, sealed) }
    : { clientKey: client.signs };
  // A secret that was replaced was sealed anew.
  const sealing = sealed ? createHash('sha256').update(sealed).digest('hex') : '';
  const generation = [id, clientId, client.number, dpop.number, sealing].join(' ');
  return { clientId, proof, dpopKey: dpop.signs, generation };
}

/** The tenant's registration at an issuer, unless it is disabled. */
export const registrationAt = (db: Kysely<Schema>, tenant: string, issuer: string) =>
  db
    .selectFrom('providers')
    .selectAll()
    .where((one) => one.and({ tenant, issuer, state: 'active' as const }))
    .executeTakeFirst();

import { describeKeys } from '@postern/branch-keys';
import { namedKey } from '@postern/envelope';
import { rewrapSigningKeys } from '@postern/issuer';
import { queryIn } from '@postern/postgres';
import type { Kysely } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { SERVICE_SECRETS } from '@postern/service';
import { type Vault } from '../grants/vault.ts';
import { keyContext } from './service-keys.ts';

/**
 * One round that seals the service's own keys anew where their message is under an older version of the service's key
 * (R31): those of its clients at providers, and those it signs with. They are few and live for long, so nobody has to ask
 * for it.
 */
export async function rewrapServiceKeys({ db, vault }: { db: Kysely<Schema>; vault: Vault }): Promise<void> {
  const [key] = await describeKeys(queryIn(db), SERVICE_SECRETS.tenant, SERVICE_SECRETS.purpose);
  const active = key?.versions.find(({ state }) => state === 'active')?.version;
  if (active === undefined) return;
  const isOld = (sealed: Uint8Array) => namedKey(sealed).version !== active;
  await rewrapSigningKeys({ query: queryIn(db), seal: vault.service }, isOld);

  const rows = await db.selectFrom('provider_keys').selectAll().execute();
  for (const { tenant, provider, use, number, sealed_key: was } of rows.filter(({ sealed_key }) => isOld(sealed_key))) {
    const context = keyContext({ tenant, provider }, use, number);
    const bytes = await vault.service.open(was, context);
    const sealed = await vault.service.seal(bytes, context);
    bytes.fill(0);
    await db
      .updateTable('provider_keys')
      .set({ sealed_key: sealed })
      .where((row) => row.and({ tenant, provider, use, number, sealed_key: was }))
      .execute();
  }
}

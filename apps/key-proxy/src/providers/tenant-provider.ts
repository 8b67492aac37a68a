import { type Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { DEFAULT_PROVIDER, type ProviderKind } from './provider-kind.ts';
import { type SecretProvider } from './secret-provider.ts';

export type Providers = ReadonlyMap<ProviderKind, SecretProvider>;

/** @throws Problem `provider_unavailable` when this deployment cannot reach that kind of provider. */
export function providerOf(providers: Providers, kind: ProviderKind): SecretProvider {
  const provider = providers.get(kind);
  if (provider) return provider;
  const detail = `${kind} cannot be used in this deployment; ${[...providers.keys()].join(', ')} can`;
  throw problem('provider_unavailable', { detail });
}

/** What a tenant has configured; `crypto-store` where it has configured nothing. */
export async function providerKindOf(db: Kysely<Schema>, tenant: string): Promise<ProviderKind> {
  const row = await db.selectFrom('providers').select('kind').where('tenant', '=', tenant).executeTakeFirst();
  return row?.kind ?? DEFAULT_PROVIDER;
}

/** Sets where new secrets of a tenant go. Those that exist stay where they are. */
export async function configureProvider(
  db: Kysely<Schema>,
  tenant: string,
  kind: ProviderKind,
  now: Date,
): Promise<void> {
  await db
    .insertInto('providers')
    .values({ tenant, kind, configured_at: now })
    .onConflict((conflict) => conflict.column('tenant').doUpdateSet({ kind, configured_at: now }))
    .execute();
}

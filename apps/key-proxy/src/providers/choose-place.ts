import { type Kysely, type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { type Owner } from '../secrets/owner.ts';
import { type Place } from './open-providers.ts';
import { DEFAULT_PROVIDER, type ProviderKind } from './provider-kind.ts';

/** The embedded crypto-store has one configuration in every tenant, by this name. */
export const EMBEDDED = 'crypto-store';

/**
 * Where a person's new secret goes: the configuration that they name, else their own default, else the tenant's, else the
 * embedded crypto-store.
 * @throws Problem `provider_unknown` for a name that the tenant has not configured
 */
export async function choosePlace(db: Kysely<Schema>, owner: Owner, named?: string): Promise<Place> {
  const { tenant } = owner;
  const embedded: Place = { tenant, kind: DEFAULT_PROVIDER, configuration: null };
  if (named === EMBEDDED) return embedded;
  if (named !== undefined) return placeNamed(db, tenant, named);
  const own = await db
    .selectFrom('provider_defaults as d')
    .leftJoin('provider_configurations as c', 'c.id', 'd.configuration')
    .select(['c.id', 'c.kind'])
    .where((at) => at.and({ 'd.tenant': tenant, 'd.owner_issuer': owner.issuer, 'd.owner_sub': owner.sub }))
    .executeTakeFirst();
  if (own) return own.id && own.kind ? { tenant, kind: own.kind, configuration: own.id } : embedded;
  const row = await db
    .selectFrom('providers')
    .select(['kind', 'configuration'])
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  return row ? { tenant, ...row } : embedded;
}

/** @throws Problem `provider_unknown` */
export const placeNamed = (db: Kysely<Schema>, tenant: string, name: string): Promise<Place> =>
  find(db, tenant, name, false);

/** The same, for a row that will name it: it is not removed before the transaction ends. @throws Problem `provider_unknown` */
export const heldPlace = (tx: Transaction<Schema>, tenant: string, name: string): Promise<Place> =>
  find(tx, tenant, name, true);

async function find(db: Kysely<Schema>, tenant: string, name: string, held: boolean): Promise<Place> {
  if (name === EMBEDDED) return { tenant, kind: DEFAULT_PROVIDER, configuration: null };
  const row = await db
    .selectFrom('provider_configurations')
    .select(['id', 'kind'])
    .where((at) => at.and({ tenant, name }))
    .$if(held, (query) => query.forKeyShare())
    .executeTakeFirst();
  if (!row) throw problem('provider_unknown');
  return { tenant, kind: row.kind, configuration: row.id };
}

/** Sets where new secrets of a tenant go. Those that exist stay where they are. */
export async function setTenantDefault(
  db: Kysely<Schema>,
  { tenant, kind, configuration }: { tenant: string; kind: ProviderKind; configuration: string | null },
  now: Date,
): Promise<void> {
  const set = { kind, configuration, configured_at: now };
  await db
    .insertInto('providers')
    .values({ tenant, ...set })
    .onConflict((conflict) => conflict.column('tenant').doUpdateSet(set))
    .execute();
}

/** Sets where one person's new secrets go. */
export async function setOwnDefault(db: Kysely<Schema>, owner: Owner, configuration: string | null): Promise<void> {
  const of = { tenant: owner.tenant, owner_issuer: owner.issuer, owner_sub: owner.sub };
  await db
    .insertInto('provider_defaults')
    .values({ ...of, configuration })
    .onConflict((conflict) => conflict.columns(['tenant', 'owner_issuer', 'owner_sub']).doUpdateSet({ configuration }))
    .execute();
}

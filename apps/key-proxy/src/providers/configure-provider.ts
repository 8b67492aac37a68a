import { randomUUID } from 'node:crypto';
import { sql, type Kysely, type Transaction } from 'kysely';
import { type BranchKeys } from '@postern/branch-keys';
import { Problem, problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { EMBEDDED } from './choose-place.ts';
import { type Configuration } from './configuration.ts';
import { type ProviderPool, sealCredentials } from './provider-pool.ts';

export type Configured = {
  id: string;
  name: string;
  kind: Configuration['kind'] | 'crypto-store';
  settings: Readonly<Record<string, string>>;
  configuredAt: Date | null;
  checkedAt: Date | null;
};

/**
 * One read-only call under the credentials (R36): what is wrong with them is told at once, from a fixed list.
 * @throws Problem of the provider port; `credentials_refused` where it does not take them: they are what was sent
 */
export async function checkConfiguration(
  providers: ProviderPool,
  tenant: string,
  configuration: Configuration,
): Promise<void> {
  const provider = await providers.open(tenant, configuration);
  try {
    await provider.check(providers.call(null));
  } catch (error) {
    const isRefused = error instanceof Problem && error.code === 'provider_credentials_refused';
    throw isRefused ? problem('credentials_refused', { cause: error }) : error;
  } finally {
    await provider.close();
  }
}

/** Seals what is to be kept before a transaction begins. `id` is that of the configuration it replaces, or a new one. */
export async function sealConfiguration(
  { db, branchKeys }: { db: Kysely<Schema>; branchKeys: BranchKeys },
  { tenant, name, configuration }: { tenant: string; name: string; configuration: Configuration },
): Promise<{ id: string; sealed: Buffer | null }> {
  if (name === EMBEDDED) throw problem('provider_name_taken');
  const held = await db
    .selectFrom('provider_configurations')
    .select('id')
    .where((at) => at.and({ tenant, name }))
    .executeTakeFirst();
  const id = held?.id ?? randomUUID();
  const { secrets } = configuration;
  const sealed = Object.keys(secrets).length === 0 ? null : await sealCredentials(branchKeys, { tenant, id }, secrets);
  return { id, sealed };
}

/**
 * Keeps a configuration under a name of the tenant's own. One of the same name is replaced: calls under way end with the
 * earlier credentials, later ones use these.
 * @throws Problem `provider_name_taken` where the name stands for another kind, or was taken meanwhile
 */
export async function keepConfiguration(
  tx: Transaction<Schema>,
  asked: { id: string; tenant: string; name: string; sealed: Buffer | null; configuration: Configuration },
  now: Date,
): Promise<Configured> {
  const { id, tenant, name, sealed, configuration } = asked;
  const { kind } = configuration;
  const settings = JSON.stringify(configuration.settings);
  const row = await tx
    .insertInto('provider_configurations')
    .values({ id, tenant, name, kind, settings, sealed, configured_at: now, checked_at: now })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant', 'name'])
        .doUpdateSet({
          settings,
          sealed,
          generation: sql<string>`provider_configurations.generation + 1`,
          configured_at: now,
          checked_at: now,
        })
        // Sealed for this row, and the references of its secrets are of this kind.
        .where('provider_configurations.id', '=', id)
        .where('provider_configurations.kind', '=', kind),
    )
    .returning(['id'])
    .executeTakeFirst();
  if (!row) throw problem('provider_name_taken');
  return { id, name, kind, settings: configuration.settings, configuredAt: now, checkedAt: now };
}

/** A tenant's configurations by name, the embedded one first. */
export async function listConfigurations(db: Kysely<Schema>, tenant: string): Promise<Configured[]> {
  const rows = await db
    .selectFrom('provider_configurations')
    .select(['id', 'name', 'kind', 'settings', 'configured_at', 'checked_at'])
    .where('tenant', '=', tenant)
    .orderBy('name')
    .execute();
  const embedded: Configured = {
    id: EMBEDDED,
    name: EMBEDDED,
    kind: 'crypto-store',
    settings: {},
    configuredAt: null,
    checkedAt: null,
  };
  const named = rows.map(({ configured_at, checked_at, ...row }) => ({
    ...row,
    configuredAt: configured_at,
    checkedAt: checked_at,
  }));
  return [embedded, ...named];
}

/**
 * Removes a configuration that no secret lies under, nor could be taken back to by a move. Whose default it was goes by the next
 * rule again; moves that have ended are forgotten with it.
 * @throws Problem `provider_unknown`, `provider_in_use`
 */
export async function removeConfiguration(tx: Transaction<Schema>, tenant: string, name: string): Promise<Configured> {
  const row = await tx
    .selectFrom('provider_configurations')
    .select(['id', 'name', 'kind', 'settings'])
    .where((at) => at.and({ tenant, name }))
    .forUpdate()
    .executeTakeFirst();
  if (!row) throw problem('provider_unknown');
  const used = await tx
    .selectFrom('secrets')
    .select('id')
    .where('configuration', '=', row.id)
    .limit(1)
    .executeTakeFirst();
  const isDefault = await tx
    .selectFrom('providers')
    .select('tenant')
    .where('configuration', '=', row.id)
    .executeTakeFirst();
  const moves = tx
    .selectFrom('secret_moves')
    .select('id')
    .where((at) => at.or([at('from_configuration', '=', row.id), at('to_configuration', '=', row.id)]));
  const moving = await tx
    .selectFrom('secret_move_items')
    .select('move_id')
    .where('move_id', 'in', moves)
    .where('state', 'in', ['planned', 'copying', 'switched'])
    .limit(1)
    .executeTakeFirst();
  if (used || isDefault || moving) throw problem('provider_in_use');
  await tx.deleteFrom('secret_moves').where('id', 'in', moves).execute();
  await tx.deleteFrom('provider_configurations').where('id', '=', row.id).execute();
  return { ...row, configuredAt: null, checkedAt: null };
}

import { sql, type Transaction } from 'kysely';
import { type Schema } from '../../db/schema.ts';
import { settingColumns } from '../change-settings.ts';
import { type Write } from './open-write.ts';

/**
 * What a write that was done at the provider means here, in the transaction that settles it.
 * @returns whether it was settled by this; false where another has settled it already, and nothing happens
 */
export async function applyWrite(
  tx: Transaction<Schema>,
  write: Write,
  providerVersion: string | null,
  now: Date,
): Promise<boolean> {
  if (!(await settled(tx, write, 'done', now))) return false;
  await change(tx, write, providerVersion, now);
  return true;
}

/** A write that is known not to have happened. The name of a secret that was never made is free again. */
export async function refuseWrite(tx: Transaction<Schema>, write: Write, now: Date): Promise<boolean> {
  if (!(await settled(tx, write, 'refused', now))) return false;
  if (write.operation === 'create')
    await tx.deleteFrom('secrets').where('id', '=', write.secretId).where('state', '=', 'creating').execute();
  return true;
}

async function settled(tx: Transaction<Schema>, { id }: Write, outcome: 'done' | 'refused', at: Date) {
  const row = await tx
    .updateTable('provider_writes')
    .set({ outcome, settled_at: at, sealed_token: null })
    .where('id', '=', id)
    .where('outcome', 'is', null)
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

async function change(tx: Transaction<Schema>, write: Write, providerVersion: string | null, now: Date) {
  const { secretId, operation, version } = write;
  const secret = tx.updateTable('secrets').where('id', '=', secretId);
  const moved = { generation: sql<string>`generation + 1`, updated_at: now };
  switch (operation) {
    case 'create':
    case 'put':
      await writeVersion(tx, write, providerVersion, now);
      return;
    case 'disable':
    case 'enable':
      await secret.set({ ...moved, state: operation === 'enable' ? 'live' : 'disabled' }).execute();
      return;
    case 'disable_version':
    case 'enable_version':
      await secret.set(moved).execute();
      await tx
        .updateTable('secret_versions')
        .set({ state: operation === 'enable_version' ? 'enabled' : 'disabled' })
        .where((at) => at.and({ secret_id: secretId, version: version ?? 0 }))
        .execute();
      return;
    case 'delete':
      await secret.set({ ...moved, state: 'deleted', deleted_at: now }).execute();
      return;
    case 'recover':
      await secret.set({ ...moved, state: 'live', deleted_at: null }).execute();
      return;
    case 'tag':
      await secret.set({ ...settingColumns(write.settings ?? {}, now), ...moved }).execute();
      return;
    case 'destroy':
      await tx.deleteFrom('secrets').where('id', '=', secretId).execute();
  }
}

async function writeVersion(tx: Transaction<Schema>, write: Write, providerVersion: string | null, now: Date) {
  const { secretId, operation, version, fingerprint, type, bytes, publicKey } = write;
  if (version === null || fingerprint === null || type === null || providerVersion === null)
    throw new TypeError('a written version has its number, fingerprint and type');
  await tx
    .updateTable('secrets')
    .set({
      // A disabled secret stays so, whatever is written to it.
      ...(operation === 'create' ? { state: 'live' as const } : {}),
      version,
      type,
      provider_version: providerVersion,
      fingerprint,
      // A first version is what the secret began with.
      ...(operation === 'create' ? {} : { generation: sql<string>`generation + 1` }),
      // What was due has been done, and the next date is told of again.
      reminded_at: sql<Date | null>`case when rotate_days is null then reminded_at end`,
      rotate_at: sql<Date>`case when rotate_days is null then rotate_at else ${now}::timestamptz + make_interval(days => rotate_days) end`,
      updated_at: now,
    })
    .where('id', '=', secretId)
    .execute();
  await tx
    .insertInto('secret_versions')
    .values({
      secret_id: secretId,
      version,
      provider_version: providerVersion,
      fingerprint,
      type,
      bytes,
      public_key: publicKey,
      created_at: now,
    })
    .execute();
}

import { sql, type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type Place } from '../providers/open-providers.ts';
import { type HeldSecret } from '../secrets/held-secret.ts';

export type Versions = {
  version: number;
  provider_version: string;
  fingerprint: string;
  type: 'text' | 'binary';
  bytes: number | null;
  state: 'enabled' | 'disabled';
  public_key: string | null;
  created_at: string;
}[];

/**
 * Compare-and-set of where a secret lies (R38): only while it is of the generation that was read, and no write of it is open.
 * Its other versions stay where they were; they come back with a rollback.
 * @returns the versions that were taken out; null where somebody wrote meanwhile
 */
export async function switchPlace(
  tx: Transaction<Schema>,
  secret: HeldSecret,
  to: { place: Place; reference: string; providerVersion: string; fingerprint: Buffer; versions?: Versions },
  now: Date,
): Promise<Versions | null> {
  // In a statement of its own: the next one then sees every write that was noted before.
  await tx.selectFrom('secrets').select('id').where('id', '=', secret.id).forUpdate().execute();
  const switched = await tx
    .updateTable('secrets')
    .set({
      provider: to.place.kind,
      configuration: to.place.configuration,
      reference: to.reference,
      provider_version: to.providerVersion,
      fingerprint: to.fingerprint,
      generation: sql<string>`generation + 1`,
      updated_at: now,
    })
    .where((at) => at.and({ id: secret.id, generation: secret.generation }))
    .where((at) =>
      at.not(
        at.exists(
          at
            .selectFrom('provider_writes as w')
            .select('w.id')
            .where('w.outcome', 'is', null)
            .whereRef('w.secret_id', '=', 'secrets.id'),
        ),
      ),
    )
    .returning(['version', 'type'])
    .executeTakeFirst();
  if (!switched) return null;
  const rows = await tx.deleteFrom('secret_versions').where('secret_id', '=', secret.id).returningAll().execute();
  const newest = rows.find(({ version }) => version === switched.version);
  const kept: Versions = rows.map((row) => ({
    version: row.version,
    provider_version: row.provider_version,
    fingerprint: row.fingerprint.toString('hex'),
    type: row.type,
    bytes: row.bytes,
    state: row.state,
    public_key: row.public_key,
    created_at: row.created_at.toISOString(),
  }));
  const current = {
    secret_id: secret.id,
    version: switched.version,
    provider_version: to.providerVersion,
    fingerprint: to.fingerprint,
    type: newest?.type ?? switched.type,
    bytes: newest?.bytes ?? null,
    state: 'enabled' as const,
    public_key: newest?.public_key ?? null,
    created_at: newest?.created_at ?? now,
  };
  const back = (to.versions ?? [])
    .filter(({ version }) => version < switched.version)
    .map((one) => ({
      ...one,
      secret_id: secret.id,
      fingerprint: Buffer.from(one.fingerprint, 'hex'),
      created_at: new Date(one.created_at),
    }));
  await tx
    .insertInto('secret_versions')
    .values([current, ...back])
    .execute();
  return kept;
}

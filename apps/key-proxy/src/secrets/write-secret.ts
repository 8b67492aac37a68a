import { type Kysely } from 'kysely';
import { type BranchKeys } from '@postern/branch-keys';
import { type Now, Problem, type Secret } from '@postern/runtime';
import { recordActivity } from '../activity/record-activity.ts';
import { type Schema } from '../db/schema.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { providerOf, type Providers } from '../providers/tenant-provider.ts';
import { fingerprintOf } from './fingerprint.ts';
import { type HeldSecret } from './list-secrets.ts';
import { type Owner } from './owner.ts';
import { releaseReservation, type Reservation } from './reserve-secret.ts';

export type WriteSecret = { db: Kysely<Schema>; providers: Providers; branchKeys: BranchKeys; now: Now };

/**
 * Writes a reserved secret's value at its provider, then makes it live: only the reference, the provider's version and
 * the fingerprint stay here. After a refusal the name is free again; where the outcome is not known it stays taken until
 * the next attempt repeats the write.
 *
 * @throws Problem of the provider port; KeysUnavailable
 */
export async function writeSecret(
  { db, providers, branchKeys, now }: WriteSecret,
  reserved: Reservation,
  { owner, name, value, by }: { owner: Owner; name: string; value: Secret; by: OnBehalf },
): Promise<HeldSecret> {
  const { id, reference, provider } = reserved;
  const line = { person: owner, action: 'create-secret', secretName: name };
  try {
    const fingerprint = await fingerprintOf(branchKeys, { tenant: owner.tenant, id }, value);
    const { version } = await providerOf(providers, provider).write(reference, value, by);
    const at = now();
    return await db.transaction().execute(async (tx) => {
      const { generation, created_at } = await tx
        .updateTable('secrets')
        .set({ state: 'live', provider_version: version, fingerprint, updated_at: at })
        .where('id', '=', id)
        .where('state', '=', 'creating')
        .returning(['generation', 'created_at'])
        .executeTakeFirstOrThrow();
      await recordActivity(tx, { ...line, status: 'success', at });
      return { id, name, provider, reference, version, generation, createdAt: created_at };
    });
  } catch (error) {
    await db.transaction().execute(async (tx) => {
      if (isRefusal(error)) await releaseReservation(tx, id);
      await recordActivity(tx, { ...line, status: isRefusal(error) ? 'refused' : 'failed', at: now() });
    });
    throw error;
  }
}

/** The provider answered that it will not: nothing was written there. */
const isRefusal = (error: unknown): boolean =>
  error instanceof Problem && (error.code === 'provider_forbidden' || error.code === 'provider_unavailable');

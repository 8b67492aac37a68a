import { timingSafeEqual } from 'node:crypto';
import { Problem, problem } from '@postern/runtime';
import { type OnBehalf, type Tags } from '../providers/secret-provider.ts';
import { isKeptHere } from '../providers/capabilities.ts';
import { fingerprintOf } from './fingerprint.ts';
import { heldSecret, type HeldSecret } from './held-secret.ts';
import { type Owner } from './owner.ts';
import { releaseReservation, type Reservation } from './reserve-secret.ts';
import { lengthOf, type SecretValue } from './secret-value.ts';
import { runWrite, settleAbandoned, type NewWrite } from './writes/run-write.ts';
import { type RunWrites } from './writes/run-write.ts';

export type CreateSecret = RunWrites;

export type NewSecret = {
  owner: Owner;
  by: OnBehalf;
  value: SecretValue;
  tags?: Tags;
  publicKey?: string | null;
};

/**
 * Writes a reserved secret's value at its provider, then makes it live: only the reference, the provider's version and the
 * fingerprint stay here. `attempt` is the id of its intent in the log.
 *
 * @throws Problem `secret_exists` where the attempt that was taken over had written another value; `keys_unavailable`; Problem
 *   of the provider port
 */
export async function createSecret(
  deps: CreateSecret,
  reserved: Reservation,
  { owner, by, value, tags = {}, publicKey = null }: NewSecret,
  attempt: string,
): Promise<HeldSecret> {
  const { id, place, reference, takenOver } = reserved;
  const fingerprint = await fingerprintOf(deps.branchKeys, { tenant: owner.tenant, id }, value).catch(
    async (error: unknown) => {
      await releaseReservation(deps.db, id);
      throw error;
    },
  );
  if (takenOver) {
    const earlier = await earlierAttempt(deps, reserved, by, fingerprint);
    if (earlier) return earlier;
  }
  const write: NewWrite = {
    id: attempt,
    operation: 'create',
    version: 1,
    fingerprint,
    type: value.type,
    bytes: lengthOf(value),
    publicKey,
  };
  const held = await runWrite(deps, { ...reserved, owner, by }, write, async (provider, call) => {
    const tagged = isKeptHere(place.kind, 'tag') ? {} : tags;
    try {
      return await provider.create(reference, value, { attempt, tags: tagged }, call);
    } catch (error) {
      // The reference holds our own random id: what lies there is of the attempt that was taken over.
      if (takenOver && error instanceof Problem && error.code === 'reference_taken')
        return await provider.put(reference, value, { attempt }, call);
      throw error;
    }
  });
  if (!held) throw problem('secret_not_found');
  return held;
}

/** Settles the attempt that was taken over. Where it had written this same value, that was this create. */
async function earlierAttempt(
  deps: CreateSecret,
  { id }: Reservation,
  by: OnBehalf,
  fingerprint: Buffer,
): Promise<HeldSecret | null> {
  await settleAbandoned(deps, id, by);
  const row = await deps.db.selectFrom('secrets').selectAll().where('id', '=', id).executeTakeFirst();
  // Nothing was written and the name is free again: the caller tries once more.
  if (!row) throw problem('secret_busy', { retryAfterSeconds: 1 });
  if (row.state === 'creating') return null;
  if (row.fingerprint && timingSafeEqual(row.fingerprint, fingerprint)) return heldSecret(row);
  throw problem('secret_exists');
}

import { timingSafeEqual } from 'node:crypto';
import { Problem, problem } from '@postern/runtime';
import { type Place } from '../providers/open-providers.ts';
import { type OnBehalf, type Read } from '../providers/secret-provider.ts';
import { fingerprintOf } from '../secrets/fingerprint.ts';
import { type HeldSecret } from '../secrets/held-secret.ts';
import { type MoveDeps } from './move.ts';

/** A value that lies at two places: read at one, written to the other, read back there (R38). */
export type Copied = { from: Read; fingerprint: Buffer; providerVersion: string };

/**
 * Copies a secret's newest value and reads it back. What an earlier attempt left under the reference, which holds our own
 * random id, is followed by the next version.
 * @throws Problem `move_unverified` where what is read back is another value; Problem of the provider port
 */
export async function verifiedCopy(
  { providers, branchKeys }: MoveDeps,
  secret: HeldSecret,
  { to, reference, attempt, by }: { to: Place; reference: string; attempt: string; by: OnBehalf | null },
): Promise<Copied> {
  const [source, destination] = await Promise.all([providers.at(secret.place), providers.at(to)]);
  const call = () => providers.call(by);
  const { tenant } = secret.place;
  const from = await source.read(secret.reference, null, call());
  const value = { ...from.value, type: from.value.type };
  const fingerprint = await fingerprintOf(branchKeys, { tenant, id: secret.id }, value);
  const { version } = await destination
    .create(reference, value, { attempt, tags: {} }, call())
    .catch((error: unknown) => {
      if (!(error instanceof Problem) || error.code !== 'reference_taken') throw error;
      return destination.put(reference, value, { attempt }, call());
    });
  const back = await destination.read(reference, version, call());
  const there = await fingerprintOf(branchKeys, { tenant, id: secret.id }, back.value);
  if (!timingSafeEqual(there, fingerprint)) throw problem('move_unverified');
  return { from, fingerprint, providerVersion: version };
}

/** Whether a secret's newest value at a place is still the one that was read. */
export async function isUnchanged(
  { providers, branchKeys }: MoveDeps,
  secret: HeldSecret,
  at: { place: Place; reference: string; by: OnBehalf | null },
  fingerprint: Buffer,
): Promise<boolean> {
  const provider = await providers.at(at.place);
  const now = await provider.read(at.reference, null, providers.call(at.by));
  const there = await fingerprintOf(branchKeys, { tenant: secret.place.tenant, id: secret.id }, now.value);
  return timingSafeEqual(there, fingerprint);
}

import { Problem } from '@postern/runtime';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { fingerprintOf } from '../secrets/fingerprint.ts';
import { type Move, type MoveDeps, type MoveItem } from './move.ts';
import { intend, movedEvent } from './moved-event.ts';
import { ended, secretOf, type Settle, update } from './move-item.ts';
import { switchPlace, type Versions } from './switch-place.ts';
import { isUnchanged } from './verified-copy.ts';

/**
 * Takes the move of one secret back, by the same rules (R38): where the value has not changed since, what lies at the old
 * place is read and compared; where it has, it is written there and read back. Then the reference is switched by
 * compare-and-set.
 */
export async function rollBackItem(deps: MoveDeps, move: Move, item: MoveItem, by: OnBehalf | null): Promise<Settle> {
  const { providers, branchKeys, audit, now } = deps;
  const secret = await secretOf(deps, item);
  if (!secret || item.old_reference === null) return ended(item, 'failed', 'secret_not_found');
  const { old_reference: reference } = item;
  const { tenant } = move;
  const here = await providers.at(secret.place);
  const current = await here.read(secret.reference, null, providers.call(by));
  const fingerprint = await fingerprintOf(branchKeys, { tenant, id: secret.id }, current.value);
  const old = await providers.at(move.from);
  const unchanged = await isUnchanged(deps, secret, { place: move.from, reference, by }, fingerprint).catch(
    (error: unknown) => {
      if (error instanceof Problem && error.code === 'secret_missing') return false;
      throw error;
    },
  );
  const way = { secretId: secret.id, from: secret.place, to: move.from };
  const intent = await intend(deps, move, way);
  const { version } = unchanged
    ? await old.read(reference, null, providers.call(by))
    : await old.put(reference, current.value, { attempt: intent }, providers.call(by));
  const isThere = await isUnchanged(deps, secret, { place: move.from, reference, by }, fingerprint);
  const isStillHere = await isUnchanged(
    deps,
    secret,
    { place: secret.place, reference: secret.reference, by },
    fingerprint,
  );
  if (!isThere || !isStillHere) return async () => false;
  return async (tx) => {
    const versions = (item.old_versions ?? []) as Versions;
    const to = { place: move.from, reference, providerVersion: version, fingerprint, versions };
    if ((await switchPlace(tx, secret, to, now())) === null) return false;
    const back = { ...way, outcome: 'success', reason: 'rolled_back', intent } as const;
    await audit.within(tx, movedEvent(deps, move, back));
    await update(tx, item, { state: 'rolled_back', reason: null });
    return true;
  };
}

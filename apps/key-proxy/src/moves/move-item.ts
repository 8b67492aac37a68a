import { type Transaction } from 'kysely';
import { type Schema } from '../db/schema.ts';
import { type Place } from '../providers/open-providers.ts';
import { referenceOf } from '../providers/reference.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { heldSecret, type HeldSecret } from '../secrets/held-secret.ts';
import { type Move, type MoveDeps, type MoveItem } from './move.ts';
import { intend, movedEvent } from './moved-event.ts';
import { switchPlace, type Versions } from './switch-place.ts';
import { isUnchanged, verifiedCopy } from './verified-copy.ts';

/** A secret that is written to all the time is left where it is after so many tries. */
const MOST_TRIES = 3;

/** In the job's own step: the item's new state beside what it changed. */
export type Settle = (tx: Transaction<Schema>) => Promise<boolean>;

/**
 * Moves one secret: intent, copy, read back, a look whether the source still holds what was read, then the switch by
 * compare-and-set, which is the step of the job (R38). A write at the source meanwhile fails the switch, and it begins again.
 *
 * @returns what the job commits as its step
 */
export async function moveItem(deps: MoveDeps, move: Move, item: MoveItem, by: OnBehalf | null): Promise<Settle> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const secret = await secretOf(deps, item);
    if (!secret) return ended(item, 'failed', 'secret_not_found');
    if (isAt(secret.place, move.to)) return ended(item, 'switched', null);
    const reference = referenceOf(move.to.kind, secret);
    const attempt = await begin(deps, move, item, secret, reference);
    const copied = await verifiedCopy(deps, secret, { to: move.to, reference, attempt, by });
    const source = { place: secret.place, reference: secret.reference, by };
    if (await isUnchanged(deps, secret, source, copied.fingerprint))
      return switching(deps, move, item, secret, { reference, attempt, ...copied });
  }
  return ended(item, 'failed', 'written_meanwhile');
}

function switching(
  deps: MoveDeps,
  move: Move,
  item: MoveItem,
  secret: HeldSecret,
  copied: { reference: string; attempt: string; fingerprint: Buffer; providerVersion: string },
): Settle {
  const { audit, now } = deps;
  const { to } = move;
  return async (tx) => {
    const place = { ...copied, place: to };
    const versions = await switchPlace(tx, secret, place, now());
    // Written here meanwhile: the item stays as it is, and is tried again.
    if (versions === null) return false;
    const moved = { secretId: secret.id, from: secret.place, to, outcome: 'success', intent: copied.attempt } as const;
    await audit.within(tx, movedEvent(deps, move, moved));
    await update(tx, item, {
      state: 'switched',
      reason: null,
      new_reference: copied.reference,
      old_reference: secret.reference,
      old_provider_version: secret.providerVersion,
      old_versions: JSON.stringify(versions satisfies Versions),
    });
    return true;
  };
}

/** Before the write at the destination (R23): what will be tried, under which name. */
async function begin(
  deps: MoveDeps,
  move: Move,
  item: MoveItem,
  secret: HeldSecret,
  reference: string,
): Promise<string> {
  const intent = await intend(deps, move, { secretId: secret.id, from: secret.place, to: move.to });
  await deps.db
    .updateTable('secret_move_items')
    .set({ state: 'copying', attempt: intent, new_reference: reference })
    .where((at) => at.and({ move_id: item.move_id, secret_id: item.secret_id }))
    .execute();
  return intent;
}

export const isAt = (place: Place, other: Place): boolean =>
  place.kind === other.kind && place.configuration === other.configuration;

export const ended =
  (item: MoveItem, state: 'failed' | 'switched' | 'rolled_back' | 'finished', reason: string | null): Settle =>
  async (tx) => {
    await update(tx, item, { state, reason });
    return true;
  };

/** It is as before, and says why; the next run tries again. */
export const stays =
  (item: MoveItem, reason: string): Settle =>
  async (tx) => {
    await update(tx, item, { reason });
    return true;
  };

export async function update(
  tx: Transaction<Schema>,
  { move_id, secret_id }: MoveItem,
  set: Partial<{
    state: MoveItem['state'];
    reason: string | null;
    new_reference: string;
    old_reference: string;
    old_provider_version: string;
    old_versions: string;
  }>,
): Promise<void> {
  await tx
    .updateTable('secret_move_items')
    .set(set)
    .where((at) => at.and({ move_id, secret_id }))
    .execute();
}

export async function secretOf({ db }: Pick<MoveDeps, 'db'>, { secret_id }: MoveItem): Promise<HeldSecret | null> {
  const row = await db.selectFrom('secrets').selectAll().where('id', '=', secret_id).executeTakeFirst();
  return row ? heldSecret(row) : null;
}

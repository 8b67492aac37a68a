import type { Kysely, Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { problem } from '@postern/runtime';
import type { ConsentRow, FailureReason } from './consent.ts';

/** Ends a claimed consent that came to nothing. */
export async function failConsent(
  db: Kysely<Schema> | Transaction<Schema>,
  id: string,
  end: { state: 'denied' } | { state: 'failed'; reason: FailureReason },
  now: Date,
): Promise<void> {
  await db
    .updateTable('consents')
    .set({ state: end.state, reason: end.state === 'failed' ? end.reason : 'access_denied', finished_at: now })
    .where('id', '=', id)
    .where('state', '=', 'redeeming')
    .execute();
}

/**
 * The person's no before the provider was asked for anything.
 * @throws Problem `consent_not_found` once it is finished, being redeemed, or too old.
 */
export async function declineConsent(tx: Transaction<Schema>, id: string, now: Date): Promise<ConsentRow> {
  const consent = await tx
    .updateTable('consents')
    .set({
      state: 'denied',
      reason: 'access_denied',
      state_hash: null,
      browser_hash: null,
      sealed_flow: null,
      finished_at: now,
    })
    .where('id', '=', id)
    .where('state', 'in', ['pending', 'started'])
    .where('expires_at', '>', now)
    .returningAll()
    .executeTakeFirst();
  if (!consent) throw problem('consent_not_found');
  return consent;
}

/** Ends a claimed consent with its grant, in the transaction that stores it. False when it was no longer claimed. */
export async function completeConsent(
  tx: Transaction<Schema>,
  id: string,
  grantId: string,
  now: Date,
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('consents')
    .set({ state: 'completed', grant_id: grantId, finished_at: now })
    .where('id', '=', id)
    .where('state', '=', 'redeeming')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

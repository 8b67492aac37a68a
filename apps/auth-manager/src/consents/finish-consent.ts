import type { Kysely, Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import type { FailureReason } from './consent.ts';

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

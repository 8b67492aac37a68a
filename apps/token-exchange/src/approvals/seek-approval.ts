import { uuidv7 } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import type { ApprovalRequest } from './approval-request.ts';

/** How an exchange stands that needs an approval; the names are those of RFC 8628 section 3.5. */
export type Sought =
  | { state: 'approved'; id: string; scopes: readonly string[] }
  | { state: 'authorization_pending'; id: string; asked: boolean; intervalSeconds: number; expiresAt: Date }
  | { state: 'slow_down'; id: string; intervalSeconds: number; expiresAt: Date }
  | { state: 'access_denied'; id: string }
  /** `ended`: by this look, and nobody has recorded it. */
  | { state: 'expired_token'; id: string; ended: boolean };

export type SeekApproval = { now: Date; expireSeconds: number; rememberSeconds: number | undefined };

const INTERVAL_SECONDS = 5;
/** A denial stands this long; then the same may be asked again. */
const DENIED_FOR_MS = 5 * 60_000;

/**
 * Looks for the approval of a request; makes the request where there is none. Who polls faster than the interval is told
 * to slow down, and the interval grows.
 */
export async function seekApproval(
  tx: Transaction<Schema>,
  request: ApprovalRequest,
  justification: string | undefined,
  { now, expireSeconds, rememberSeconds }: SeekApproval,
): Promise<Sought> {
  const newest = await tx
    .selectFrom('approvals')
    .selectAll()
    .where('binding', '=', request.binding)
    .orderBy('created_at', 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  if (!newest) return ask();

  const { id } = newest;
  const since = (at: Date | null) => now.getTime() - (at?.getTime() ?? 0);
  if (newest.state === 'approved' && newest.approved_scopes && newest.expires_at > now) {
    return { state: 'approved', id, scopes: newest.approved_scopes };
  }
  if (newest.state === 'consumed' && newest.approved_scopes && rememberSeconds !== undefined) {
    if (since(newest.ended_at) < rememberSeconds * 1000) {
      return { state: 'approved', id, scopes: newest.approved_scopes };
    }
  }
  if (newest.state === 'pending' || newest.state === 'approved') {
    if (newest.expires_at <= now) {
      await tx
        .updateTable('approvals')
        .set({ state: 'expired', approved_scopes: null, person_name: null, ended_at: now, polled_at: now })
        .where('id', '=', id)
        .execute();
      return { state: 'expired_token', id, ended: true };
    }
    const early = since(newest.polled_at) < newest.interval_seconds * 1000;
    const intervalSeconds = newest.interval_seconds + (early ? INTERVAL_SECONDS : 0);
    await tx
      .updateTable('approvals')
      .set({ polled_at: now, interval_seconds: intervalSeconds })
      .where('id', '=', id)
      .execute();
    const expiresAt = newest.expires_at;
    if (early) return { state: 'slow_down', id, intervalSeconds, expiresAt };
    return { state: 'authorization_pending', id, asked: false, intervalSeconds, expiresAt };
  }
  // Ended between two polls: said once, then it may be asked anew.
  if (newest.state === 'expired' && newest.ended_at && newest.polled_at < newest.ended_at) {
    await tx.updateTable('approvals').set({ polled_at: now }).where('id', '=', id).execute();
    return { state: 'expired_token', id, ended: false };
  }
  if (newest.state === 'denied' && since(newest.ended_at) < DENIED_FOR_MS) {
    return { state: 'access_denied', id };
  }
  return ask();

  async function ask(): Promise<Sought> {
    const made = uuidv7(now.getTime());
    const expiresAt = new Date(now.getTime() + expireSeconds * 1000);
    const inserted = await tx
      .insertInto('approvals')
      .values({
        id: made,
        binding: request.binding,
        tenant: request.tenant,
        person_issuer: request.person.issuer,
        person_sub: request.person.sub,
        person_name: request.personName,
        actors: [...request.actors],
        workload: request.workload,
        audience: request.audiences[0],
        more_audiences: request.audiences.slice(1),
        scopes: [...request.scopes],
        policy_version: request.policyVersion,
        justification: justification ?? null,
        state: 'pending',
        persons_needed: request.personsNeeded,
        approved_scopes: null,
        interval_seconds: INTERVAL_SECONDS,
        polled_at: now,
        created_at: now,
        expires_at: expiresAt,
        ended_at: null,
      })
      // Of two first polls at once, one asks.
      .onConflict((conflict) => conflict.column('binding').where('state', 'in', ['pending', 'approved']).doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted) {
      return { state: 'authorization_pending', id: made, asked: true, intervalSeconds: INTERVAL_SECONDS, expiresAt };
    }
    const other = await tx
      .selectFrom('approvals')
      .select(['id', 'expires_at'])
      .where('binding', '=', request.binding)
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow();
    return {
      state: 'authorization_pending',
      id: other.id,
      asked: false,
      intervalSeconds: INTERVAL_SECONDS,
      expiresAt: other.expires_at,
    };
  }
}

/**
 * Uses an approval up, in the transaction of the token that it allows; a remembered one may be used again.
 * @returns false where somebody else has used it, or it has ended
 */
export async function consumeApproval(
  tx: Transaction<Schema>,
  id: string,
  { now, rememberSeconds }: Pick<SeekApproval, 'now' | 'rememberSeconds'>,
): Promise<boolean> {
  const used = await tx
    .updateTable('approvals')
    .set({ state: 'consumed', ended_at: now })
    .where('id', '=', id)
    .where('state', '=', 'approved')
    .where('expires_at', '>', now)
    .returning('id')
    .executeTakeFirst();
  if (used) return true;
  if (rememberSeconds === undefined) return false;
  const remembered = await tx
    .selectFrom('approvals')
    .select('id')
    .where('id', '=', id)
    .where('state', '=', 'consumed')
    .where('ended_at', '>', new Date(now.getTime() - rememberSeconds * 1000))
    .executeTakeFirst();
  return remembered !== undefined;
}

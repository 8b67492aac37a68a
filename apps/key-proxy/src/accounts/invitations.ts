import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type Kysely, type Transaction } from 'kysely';
import { problem } from '@postern/runtime';
import { type Role, type Schema } from '../db/schema.ts';

export type Invitation = { id: string; email: string; role: Role; expiresAt: Date };

const GOOD_FOR_MS = 72 * 3_600_000;

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Invites an address into a company; an open invitation of that address is replaced. The token is shown once. */
export async function invite(
  tx: Transaction<Schema>,
  { tenant, email, role, now }: { tenant: string; email: string; role: Role; now: Date },
): Promise<Invitation & { token: string }> {
  const token = randomBytes(32).toString('base64url');
  const expiresAt = new Date(now.getTime() + GOOD_FOR_MS);
  await tx
    .deleteFrom('invitations')
    .where((at) => at.and({ tenant, email }))
    .where('used_at', 'is', null)
    .execute();
  const id = randomUUID();
  await tx
    .insertInto('invitations')
    .values({ id, tenant, email, role, token_digest: digestOf(token), created_at: now, expires_at: expiresAt })
    .execute();
  return { id, email, role, expiresAt, token };
}

/** A company's open invitations, the newest first. */
export async function listInvitations(db: Kysely<Schema>, tenant: string, now: Date): Promise<Invitation[]> {
  const rows = await db
    .selectFrom('invitations')
    .select(['id', 'email', 'role', 'expires_at'])
    .where('tenant', '=', tenant)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('created_at', 'desc')
    .limit(200)
    .execute();
  return rows.map(({ expires_at, ...row }) => ({ ...row, expiresAt: expires_at }));
}

/** @throws Problem `invitation_not_found` */
export async function cancelInvitation(tx: Transaction<Schema>, tenant: string, id: string): Promise<void> {
  const deleted = await tx
    .deleteFrom('invitations')
    .where((at) => at.and({ tenant, id }))
    .where('used_at', 'is', null)
    .returning('id')
    .execute();
  if (deleted.length === 0) throw problem('invitation_not_found');
}

/** Whose invitation a token is, as long as it is good; used up by {@link useInvitation} only. */
export async function openInvitation(db: Kysely<Schema>, token: string, now: Date): Promise<{ email: string }> {
  const row = await db
    .selectFrom('invitations')
    .select('email')
    .where('token_digest', '=', digestOf(token))
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  if (!row) throw problem('invitation_refused');
  return row;
}

/**
 * Uses an invitation up, in the transaction that makes the account: of two at the same time one finds it used (R16).
 * @throws Problem `invitation_refused`, one for unknown, used and ended
 */
export async function useInvitation(
  tx: Transaction<Schema>,
  token: string,
  now: Date,
): Promise<{ id: string; tenant: string; email: string; role: Role }> {
  const used = await tx
    .updateTable('invitations')
    .set({ used_at: now })
    .where('token_digest', '=', digestOf(token))
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .returning(['id', 'tenant', 'email', 'role'])
    .executeTakeFirst();
  if (!used) throw problem('invitation_refused');
  return used;
}

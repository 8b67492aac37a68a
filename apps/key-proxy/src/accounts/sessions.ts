import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { type Transaction } from 'kysely';
import { type RevocationSequence } from '@postern/issuer';
import { type Binding, type Principal } from '@postern/oidc';
import { queryIn } from '@postern/postgres';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { type Account } from './account.ts';
import { type AccountPolicy } from './account-policy.ts';

/** A login that lasts: its access tokens carry `id` as `sid`. */
export type Session = { id: string; factor: boolean; endsAt: Date; refreshToken: string };

type Deps = { policy: AccountPolicy; now: Date };

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();
const newRefreshToken = (): string => randomBytes(32).toString('base64url');

/** The session of this service that a token is of; undefined where it is of none. */
export const sessionOf = ({ sessionId }: Pick<Principal, 'sessionId'>): string | undefined =>
  z.uuid().safeParse(sessionId).data;

/**
 * Who may refresh a session. A workload is known by its name, so that the session outlives its certificate (R12); the
 * new access token is bound to the certificate of that moment.
 */
export function holderOf(binding: Binding, workload: string | null): string {
  if (workload !== null) return `workload ${workload}`;
  return binding.kind === 'dpop' ? `dpop ${binding.jkt}` : 'anyone';
}

const idleAt = ({ policy, now }: Deps, endsAt: Date): Date =>
  new Date(Math.min(now.getTime() + policy.sessionIdleMs, endsAt.getTime()));

export async function startSession(
  tx: Transaction<Schema>,
  deps: Deps,
  { account, holder, factor }: { account: string; holder: string; factor: boolean },
): Promise<Session> {
  const { policy, now } = deps;
  const endsAt = new Date(now.getTime() + policy.sessionMaxMs);
  const session = { id: randomUUID(), factor, endsAt, refreshToken: newRefreshToken() };
  await tx
    .insertInto('sessions')
    .values({
      id: session.id,
      account,
      holder,
      factor,
      refresh_digest: digestOf(session.refreshToken),
      started_at: now,
      idle_at: idleAt(deps, endsAt),
      ends_at: endsAt,
    })
    .execute();
  return session;
}

export type Refreshed =
  | { account: Account; session: Session }
  /** `ended` where the attempt showed that the token is in two hands: the caller ends that session. */
  | { account: null; ended: { account: Account; session: string; cause: string } | null };

/**
 * Gives a new refresh token for the one that is good, once. One that was used already, or that comes from another holder,
 * shall end the session (RFC 9700 section 4.14.2). Two refreshes at the same time are such a case:
 * a client asks one at a time.
 */
export async function refreshSession(
  tx: Transaction<Schema>,
  deps: Deps,
  { refreshToken, holder }: { refreshToken: string; holder: string },
): Promise<Refreshed> {
  const digest = digestOf(refreshToken);
  const held = await tx
    .selectFrom('sessions as s')
    .innerJoin('accounts as a', 'a.id', 's.account')
    .select(['s.id', 's.holder', 's.factor', 's.idle_at', 's.ends_at'])
    .select(['a.id as account', 'a.tenant', 'a.email', 'a.role', 'a.state'])
    .where('s.refresh_digest', '=', digest)
    .forUpdate('s')
    .executeTakeFirst();
  if (!held) return { account: null, ended: await reusedBy(tx, digest) };
  const { id, factor, ends_at: endsAt } = held;
  const account = { id: held.account, tenant: held.tenant, email: held.email, role: held.role };
  if (held.holder !== holder) {
    return { account: null, ended: { account, session: id, cause: 'refresh_by_another' } };
  }
  if (held.state !== 'active' || held.idle_at <= deps.now) return { account: null, ended: null };
  const next = newRefreshToken();
  await tx.insertInto('used_refresh_tokens').values({ digest, session: id }).execute();
  await tx
    .updateTable('sessions')
    .set({ refresh_digest: digestOf(next), idle_at: idleAt(deps, endsAt) })
    .where('id', '=', id)
    .execute();
  return { account, session: { id, factor, endsAt, refreshToken: next } };
}

async function reusedBy(tx: Transaction<Schema>, digest: Buffer) {
  const reused = await tx
    .selectFrom('used_refresh_tokens as u')
    .innerJoin('sessions as s', 's.id', 'u.session')
    .innerJoin('accounts as a', 'a.id', 's.account')
    .select(['s.id', 'a.id as account', 'a.tenant', 'a.email', 'a.role'])
    .where('u.digest', '=', digest)
    .executeTakeFirst();
  if (!reused) return null;
  const { id: session, account: id, ...rest } = reused;
  return { account: { id, ...rest }, session, cause: 'refresh_reused' };
}

export type Revoking = { sequence: Pick<RevocationSequence, 'revoke'>; issuerUrl: string; now: () => Date };

/** Remembers an access token of a session, to revoke it with that; those before it that have expired are forgotten. */
export async function rememberToken(
  tx: Transaction<Schema>,
  session: string,
  { tokenId, expiresAt }: { tokenId: string; expiresAt: Date },
  now: Date,
): Promise<void> {
  await tx.deleteFrom('session_tokens').where('session', '=', session).where('expires_at', '<', now).execute();
  await tx.insertInto('session_tokens').values({ token_id: tokenId, session, expires_at: expiresAt }).execute();
}

/** Ends sessions, and revokes every access token of theirs (R14), in one transaction. */
export async function endSessions(
  tx: Transaction<Schema>,
  { sequence, issuerUrl, now }: Revoking,
  sessions: readonly string[],
): Promise<void> {
  if (sessions.length === 0) return;
  const living = await tx
    .selectFrom('session_tokens')
    .select('token_id')
    .where('session', 'in', sessions)
    .where('expires_at', '>', now())
    .execute();
  await tx.deleteFrom('sessions').where('id', 'in', sessions).execute();
  await sequence.revoke(
    queryIn(tx),
    living.map(({ token_id }) => ({ kind: 'token', issuer: issuerUrl, tokenId: token_id })),
  );
}

/** Ends an account's sessions, all but `except`. */
export async function endSessionsOf(
  tx: Transaction<Schema>,
  revoking: Revoking,
  { account, only, except }: { account: string; only?: string | undefined; except?: string | undefined },
): Promise<void> {
  const held = await tx
    .selectFrom('sessions')
    .select('id')
    .where('account', '=', account)
    .$if(only !== undefined, (query) => query.where('id', '=', only ?? ''))
    .$if(except !== undefined, (query) => query.where('id', '!=', except ?? ''))
    // So that no refresh of one goes on beside this.
    .forUpdate()
    .execute();
  await endSessions(
    tx,
    revoking,
    held.map(({ id }) => id),
  );
}

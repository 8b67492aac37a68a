import type { Now } from '@postern/runtime';
import { type ExpressionBuilder, sql, type Transaction } from 'kysely';
import type { GrantKind, Schema } from '../db/schema.ts';
import { revokeUntilNow, type RevokeTokens } from '../grants/revoke-tokens.ts';

/** What a verified logout token says (OpenID Connect Back-Channel Logout 1.0, 2.4). */
export type Logout = {
  issuer: string;
  sub: string | undefined;
  sessionId: string | undefined;
  /** Keycloak's `revoke_offline_access`: offline tokens of the session died too. */
  offlineToo: boolean;
  /** Whose grants it can reach: the tenants that registered the client it is for; null for all, from the operator's provider. */
  tenants: readonly string[] | null;
};

/** How a session's grants end. */
export type Ending = {
  /** Which kinds of grants end with it. */
  kinds: readonly GrantKind[];
  /** Those whose token lives on at the provider: it is kept, sealed, until it is revoked there ({@link discardEnded}). */
  living: readonly GrantKind[];
};

/** Whose grants end: those of these sessions at the provider, of all sessions of a person, or of these of the person. */
export type Ended = Pick<Logout, 'issuer' | 'sub' | 'tenants'> & { sessionIds: readonly string[] | undefined };

/**
 * Ends the grants of sessions, or of all sessions of a person when none is named. They are marked, not deleted: their
 * owner sees why they no longer work. What Postern minted from the sessions and from those grants is revoked here (R14).
 * All their rows are taken first, in the order of their ids, and the head of the revocations after them, as everybody does: so two
 * who end the same grants wait for each other and never both for the other.
 * @returns the ids of the grants that ended.
 */
export async function endSessions(
  tx: Transaction<Schema>,
  deps: RevokeTokens & { now: Now },
  { issuer, sub, sessionIds, tenants }: Ended,
  { kinds, living }: Ending,
): Promise<string[]> {
  if (sub === undefined && sessionIds === undefined) return [];
  const held = await tx
    .selectFrom('grants')
    .select('id')
    .where('provider', '=', issuer)
    .where('state', 'in', ['active', 'reauthorization_required'])
    .where('kind', 'in', kinds)
    .$if(tenants !== null, (query) => query.where('tenant', 'in', tenants ?? []))
    .$if(sub !== undefined, (query) => query.where('person_sub', '=', sub ?? '').where('person_issuer', '=', issuer))
    .$if(sessionIds !== undefined, (query) => query.where('session', '=', any(sessionIds ?? [])))
    .orderBy('id')
    .forUpdate()
    .execute();
  const ids = held.map(({ id }) => id);
  await closeGrants(tx, ids, { living, now: deps.now() });
  const sessions = (sessionIds ?? []).filter((id) => id !== '').map((sessionId) => ({ issuer, sessionId }));
  await revokeUntilNow(tx, deps, { grants: ids, sessions });
  return ids;
}

/** As one parameter, however many there are. */
const any = (values: readonly string[]) => sql<string>`any(${[...values]})`;

async function closeGrants(
  tx: Transaction<Schema>,
  ids: readonly string[],
  { living, now }: Pick<Ending, 'living'> & { now: Date },
): Promise<void> {
  const unlessLiving = (column: 'sealed_token' | 'token_fingerprint') => (row: ExpressionBuilder<Schema, 'grants'>) =>
    row
      .case()
      .when('kind', 'in', [...living, 'none' as GrantKind])
      .then(row.ref(column))
      .else(null)
      .end();
  await tx
    .updateTable('grants')
    .set({
      state: 'ended',
      sealed_token: unlessLiving('sealed_token'),
      token_fingerprint: unlessLiving('token_fingerprint'),
      updated_at: now,
    })
    .where('id', '=', sql<string>`any(${[...ids]}::uuid[])`)
    .execute();
}

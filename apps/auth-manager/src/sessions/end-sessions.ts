import type { Now } from '@postern/runtime';
import type { ExpressionBuilder, Transaction } from 'kysely';
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

/**
 * Ends the grants of a session, or of all sessions of a person when it names none. They are marked, not deleted: their
 * owner sees why they no longer work. What Postern minted from the session and from those grants is revoked here (R14).
 * @returns the ids of the grants that ended.
 */
export async function endSessions(
  tx: Transaction<Schema>,
  deps: RevokeTokens & { now: Now },
  { issuer, sub, sessionId, tenants }: Omit<Logout, 'offlineToo'>,
  { kinds, living }: Ending,
): Promise<string[]> {
  if (sub === undefined && sessionId === undefined) return [];
  const unlessLiving = (column: 'sealed_token' | 'token_fingerprint') => (row: ExpressionBuilder<Schema, 'grants'>) =>
    row
      .case()
      .when('kind', 'in', [...living, 'none' as GrantKind])
      .then(row.ref(column))
      .else(null)
      .end();
  const ended = await tx
    .updateTable('grants')
    .set({
      state: 'ended',
      sealed_token: unlessLiving('sealed_token'),
      token_fingerprint: unlessLiving('token_fingerprint'),
      updated_at: deps.now(),
    })
    .where('provider', '=', issuer)
    .where('state', 'in', ['active', 'reauthorization_required'])
    .where('kind', 'in', kinds)
    .$if(tenants !== null, (query) => query.where('tenant', 'in', tenants ?? []))
    .$if(sub !== undefined, (query) => query.where('person_sub', '=', sub ?? '').where('person_issuer', '=', issuer))
    .$if(sessionId !== undefined, (query) => query.where('session', '=', sessionId ?? ''))
    .returning('id')
    .execute();
  const ids = ended.map(({ id }) => id);
  const sessions = sessionId === undefined || sessionId === '' ? [] : [{ issuer, sessionId }];
  await revokeUntilNow(tx, deps, { grants: ids, sessions });
  return ids;
}

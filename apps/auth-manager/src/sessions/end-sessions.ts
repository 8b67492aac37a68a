import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { revokeUntilNow, type RevokeTokens } from '../grants/revoke-tokens.ts';

/** What a verified logout token says (OpenID Connect Back-Channel Logout 1.0, 2.4). */
export type Logout = {
  issuer: string;
  sub: string | undefined;
  sessionId: string | undefined;
  /** Keycloak's `revoke_offline_access`: offline tokens of the session died too. */
  offlineToo: boolean;
};

/**
 * Ends the grants of a session that the provider closed, or of all sessions of a person when it names none. They are
 * marked, not deleted: their owner sees why they no longer work. The provider has revoked the tokens itself; what
 * Postern minted from the session and from those grants is revoked here (R14).
 * @returns how many grants ended.
 */
export async function endSessions(
  tx: Transaction<Schema>,
  deps: RevokeTokens,
  logout: Logout,
  now: Date,
): Promise<number> {
  const { issuer, sub, sessionId, offlineToo } = logout;
  if (sub === undefined && sessionId === undefined) return 0;
  const ended = await tx
    .updateTable('grants')
    .set({ state: 'ended', sealed_token: null, token_fingerprint: null, updated_at: now })
    .where('provider', '=', issuer)
    .where('state', 'in', ['active', 'reauthorization_required'])
    .where('kind', 'in', offlineToo ? ['session', 'offline'] : ['session'])
    .$if(sub !== undefined, (query) => query.where('person_sub', '=', sub ?? '').where('person_issuer', '=', issuer))
    .$if(sessionId !== undefined, (query) => query.where('session', '=', sessionId ?? ''))
    .returning('id')
    .execute();
  const sessions = sessionId === undefined ? [] : [{ issuer, sessionId }];
  await revokeUntilNow(tx, deps, { grants: ended.map(({ id }) => id), sessions, now });
  return ended.length;
}

import type { RevocationSequence } from '@postern/issuer';
import type { RevocationTarget } from '@postern/oidc';
import { queryIn } from '@postern/postgres';
import { sql, type Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';

/** One token: who signed it, and its `jti`. */
export type TokenName = { issuer: string; tokenId: string };

/**
 * Who mints holds it shared until the exchange's row is committed, who revokes holds it alone: whatever was minted from a
 * token that is being revoked is either seen by the revocation, or sees it.
 */
const LINEAGE_LOCK = 0x7478_6c69;

/** Taken before the subject is looked up among the revoked, in the transaction of the exchange. */
export const holdLineage = (tx: Transaction<Schema>) =>
  sql`select pg_advisory_xact_lock_shared(${LINEAGE_LOCK})`.execute(tx);

/** Taken before a revocation is written: no exchange is under way then that has not seen it, and none begins. */
export const holdLineageAlone = (tx: Transaction<Schema>) =>
  sql`select pg_advisory_xact_lock(${LINEAGE_LOCK})`.execute(tx);

/**
 * Revokes a token, of whatever issuer, with every living token that was minted from it or from one of those, or in
 * which it was the actor's.
 * @returns how many tokens that are
 */
export async function revokeToken(
  tx: Transaction<Schema>,
  { sequence, issuer, now }: { sequence: RevocationSequence; issuer: { issuer: string }; now: () => Date },
  token: TokenName,
): Promise<number> {
  await holdLineageAlone(tx);
  const { rows } = await sql<{ id: string }>`
    with recursive descendants (id) as (
      select id from exchanges
      where expires_at > ${now()}
        and ((parent = ${token.tokenId} and parent_issuer = ${token.issuer})
          or (actor_token = ${token.tokenId} and actor_token_issuer = ${token.issuer}))
      union
      select e.id from exchanges e join descendants d
        on (e.parent = d.id::text and e.parent_issuer = ${issuer.issuer})
        or (e.actor_token = d.id::text and e.actor_token_issuer = ${issuer.issuer})
      where e.expires_at > ${now()}
    )
    select id from descendants`.execute(tx);
  const targets: RevocationTarget[] = [
    { kind: 'token', ...token },
    ...rows.map(({ id }) => ({ kind: 'token' as const, issuer: issuer.issuer, tokenId: id })),
  ];
  await sequence.revoke(queryIn(tx), targets);
  return targets.length;
}

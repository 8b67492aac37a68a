import type { RevocationSequence } from '@postern/issuer';
import type { RevocationTarget } from '@postern/oidc';
import { queryIn } from '@postern/postgres';
import { sql, type Transaction } from 'kysely';
import { holdLineageAlone } from '../db/locks.ts';
import type { Schema } from '../db/schema.ts';

/** One token: who signed it, and its `jti`. */
export type TokenName = { issuer: string; tokenId: string };

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

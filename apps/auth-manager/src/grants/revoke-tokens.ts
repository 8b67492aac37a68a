import type { RevocationSequence } from '@postern/issuer';
import type { RevocationTarget } from '@postern/oidc';
import { queryIn } from '@postern/postgres';
import type { Now } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';

export type RevokeTokens = { sequence: Pick<RevocationSequence, 'revoke'> };

/** Past every token: a grant that is withdrawn never comes back under its id. */
const FOR_GOOD = 253_402_300_799;

/**
 * What may lie between the clocks of two replicas, one minting while the other revokes; and between this look at the clock and the
 * commit, up to which others may mint. What is minted from the grant once it has come back waits as long (`minted-tokens.ts`).
 */
const SKEW_SECONDS = 2;

/** R11, R14: what was minted from withdrawn grants dies, in the transaction that closes them. */
export const revokeForGood = (tx: Transaction<Schema>, { sequence }: RevokeTokens, grants: readonly string[]) =>
  sequence.revoke(
    queryIn(tx),
    grants.map((grantId) => ({ kind: 'grant', grantId, before: FOR_GOOD })),
  );

/**
 * The same for grants that a further consent may bring back: tokens from then on are good. The clock is read here, when all that the
 * transaction may have had to wait for is its own, and not when somebody asked for it.
 */
export const revokeUntilNow = (
  tx: Transaction<Schema>,
  { sequence, now }: RevokeTokens & { now: Now },
  { grants, sessions = [] }: { grants: readonly string[]; sessions?: readonly Session[] },
) => {
  const before = Math.floor(now().getTime() / 1000) + SKEW_SECONDS;
  const targets: RevocationTarget[] = [
    ...grants.map((grantId) => ({ kind: 'grant' as const, grantId, before })),
    ...sessions.map((session) => ({ kind: 'session' as const, ...session })),
  ];
  return sequence.revoke(queryIn(tx), targets);
};

type Session = { issuer: string; sessionId: string };

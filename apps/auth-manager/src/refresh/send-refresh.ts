import type { Kysely } from 'kysely';
import { type Now, problem, Secret } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import type { GrantRow } from '../grants/grant.ts';
import { sealText } from '../grants/vault.ts';
import type { AccessToken, ProviderOf, TokenAsk } from '../provider/provider-calls.ts';
import { type ApplyReply, applyReply } from './apply-reply.ts';
import { commitIntent } from './commit-intent.ts';
import type { LockedConnection } from './grant-lock.ts';
import { journalReply } from './journal-reply.ts';
import { openAttempt } from './open-attempt.ts';
import { abandonAttempt, type RequireReauthorization, requireReauthorization } from './settle-attempt.ts';

export type SendRefresh = ApplyReply &
  RequireReauthorization & { db: Kysely<Schema>; providerOf: ProviderOf; now: Now };

export type Refreshed = { attempt: string; rotated: boolean; access: AccessToken | undefined };

class DeadlinePassed extends Error {}

/**
 * One refresh at the provider: intent, call, journal, use (R20). The caller holds the grant's lock and has found no
 * open attempt.
 * @returns whether the provider sent a new refresh token, and the access token where one was asked for.
 * @throws Problem `reauthorization_required` when the provider no longer knows the token; `proof_refused` when it did not
 *   accept the proof of the key that the access token was to be bound to; `provider_unavailable` when it
 *   gave no answer that settles anything. An attempt that may have been received stays open and is settled by the next use.
 */
export async function sendRefresh(
  deps: SendRefresh,
  db: LockedConnection,
  grant: GrantRow,
  token: Secret,
  ask?: TokenAsk,
): Promise<Refreshed> {
  const { providerOf, now } = deps;
  // The answer must be journalled before any use: that its key can be had is made sure before it is asked for.
  await sealText(deps.vault, { tenant: grant.tenant, what: 'reply', id: grant.id }, new Secret(''));
  const { attempt, deadline } = await commitIntent(db, grant, now());
  const beforeWriting = () => {
    if (now() >= deadline) throw new DeadlinePassed();
  };
  const outcome = await providerOf(grant).refresh(token, beforeWriting, ask);
  switch (outcome.kind) {
    case 'tokens': {
      const { rotated, idleSeconds, access } = outcome;
      const reply = { rotated, repliedAt: now(), idleSeconds, access };
      await journalReply(deps, db, { attempt, tenant: grant.tenant }, reply);
      const replied = await openAttempt(db, grant.id);
      if (replied?.id === attempt) await applyReply(deps, db, grant, replied, now());
      return { attempt, rotated: rotated !== undefined, access };
    }
    case 'refused':
      await requireReauthorization(db, deps, grant, { attempt, cause: 'refused' });
      throw problem('reauthorization_required');
    case 'rejected':
      await abandonAttempt(db, attempt, now());
      if (outcome.proofRefused) throw problem('proof_refused');
      throw problem('provider_unavailable', { retryAfterSeconds: Math.ceil(outcome.retryAfterSeconds ?? 5) });
    case 'not_sent':
      await abandonAttempt(db, attempt, now());
      throw problem('provider_unavailable', { retryAfterSeconds: 5 });
    case 'unknown':
      throw problem('provider_unavailable', { retryAfterSeconds: 15 });
  }
}

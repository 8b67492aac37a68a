import type { RevocationSequence } from '@postern/issuer';
import { queryIn } from '@postern/postgres';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { ExchangeRefused } from './refusal.ts';
import type { Exchange } from './exchange-token.ts';
import type { Asked, Caller } from './plan-exchange.ts';
import type { Subject } from './subject.ts';

/**
 * Writes the exchange's row; its event joins the same transaction, which holds policy and revocations still.
 * @throws ExchangeRefused `revoked` where the subject was revoked while its token was being minted
 */
export async function recordExchange(
  tx: Transaction<Schema>,
  sequence: RevocationSequence,
  { principal, heldBy, acting }: Subject,
  { audiences: [audience, ...moreAudiences] }: Asked,
  { workload }: Caller,
  exchange: Exchange,
  now: Date,
): Promise<void> {
  for (const one of acting ? [principal, acting.principal] : [principal]) {
    if (await sequence.revokes(one, queryIn(tx))) throw new ExchangeRefused('revoked');
  }
  await tx
    .insertInto('exchanges')
    .values({
      id: exchange.id,
      parent: principal.tokenId,
      parent_issuer: principal.issuer,
      subject_kind: principal.kind,
      subject_client: principal.clientId,
      tenant: principal.tenant,
      person_issuer: principal.person?.issuer ?? null,
      person_sub: principal.person?.sub ?? null,
      workload,
      actors: [...exchange.actors],
      audience,
      more_audiences: moreAudiences,
      scopes: [...exchange.scopes],
      held_by: heldBy,
      policy_version: exchange.decision.policyVersion,
      decided_by: exchange.decision.decidedBy,
      expires_at: exchange.expiresAt,
      created_at: now,
      actor_token: acting?.principal.tokenId ?? null,
      actor_token_issuer: acting?.principal.issuer ?? null,
      token_issuer: exchange.issuer,
      token_id: exchange.tokenId,
    })
    .execute();
}

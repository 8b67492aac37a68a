import type { Act } from '@postern/issuer';
import type { Principal } from '@postern/oidc';
import { ExchangeRefused } from './refusal.ts';

/** More than the five services can need: a chain that grows beyond is a loop. */
export const LONGEST_CHAIN = 4;

/**
 * Who acts in the minted token, newest first: the caller, then whoever acted before (RFC 8693 section 4.1). A workload
 * that exchanges a token about itself acts for nobody; one that acts already is not named twice in a row.
 * @throws ExchangeRefused `chain_too_long`
 */
export function actorsAfter({ person, clientId, actors }: Principal, caller: { workload: string; client: string }) {
  const itself = person === null && actors.length === 0 && clientId === caller.client;
  if (itself) return [];
  const chain = actors[0] === caller.workload ? [...actors] : [caller.workload, ...actors];
  if (chain.length > LONGEST_CHAIN) throw new ExchangeRefused('chain_too_long');
  return chain;
}

/** The chain as the nested `act` claim. */
export function actOf(actors: readonly string[]): Act | undefined {
  return actors.toReversed().reduce<Act | undefined>((act, sub) => (act ? { sub, act } : { sub }), undefined);
}

/**
 * RFC 8693 section 4.4: where the subject says who may act for it, nobody else does.
 * @throws ExchangeRefused `actor_not_allowed`
 */
export function assertMayAct({ claims }: Principal, caller: { workload: string; client: string }): void {
  const allowed = claims['may_act'];
  if (allowed === undefined) return;
  const { sub, client_id: client } = (typeof allowed === 'object' && allowed ? allowed : {}) as Record<string, unknown>;
  const named = client ?? sub;
  if (named !== caller.client && named !== caller.workload) throw new ExchangeRefused('actor_not_allowed');
}

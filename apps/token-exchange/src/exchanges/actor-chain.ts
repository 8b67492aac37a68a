import type { Act } from '@postern/issuer';
import type { Principal } from '@postern/oidc';
import { ExchangeRefused } from './refusal.ts';

/** More than the five services can need: a chain that grows beyond is a loop. */
export const LONGEST_CHAIN = 4;

type Party = { workload: string; client: string };

/**
 * Who acts in the minted token, newest first: the caller, the party of the actor token, then whoever acted before (RFC 8693
 * section 4.1). A workload that exchanges a token about itself acts for nobody; one that acts already is not named twice in
 * a row.
 * @throws ExchangeRefused `chain_too_long`
 */
export function actorsAfter({ person, clientId, actors }: Principal, caller: Party, acting?: Party) {
  const itself = person === null && actors.length === 0 && clientId === caller.client && acting === undefined;
  if (itself) return [];
  const chain = [acting, caller].reduce<string[]>(
    (before, party) => (party === undefined || before[0] === party.workload ? before : [party.workload, ...before]),
    [...actors],
  );
  if (chain.length > LONGEST_CHAIN) throw new ExchangeRefused('chain_too_long');
  return chain;
}

/** The chain as the nested `act` claim. */
export function actOf(actors: readonly string[]): Act | undefined {
  return actors.toReversed().reduce<Act | undefined>((act, sub) => (act ? { sub, act } : { sub }), undefined);
}

/**
 * RFC 8693 section 4.4: where the subject says who may act for it, nobody else does. Another party than the caller acts only
 * where the subject says so, and for people of its own tenant.
 * @throws ExchangeRefused `actor_not_allowed`
 */
export function assertMayAct(
  { claims, tenant }: Principal,
  caller: Party,
  acting?: Party & { principal: Pick<Principal, 'tenant'> },
): void {
  const allowed = claims['may_act'];
  const other = acting !== undefined && acting.workload !== caller.workload;
  if (other && (allowed === undefined || acting.principal.tenant !== tenant))
    throw new ExchangeRefused('actor_not_allowed');
  if (allowed === undefined) return;
  const { sub, client_id: client } = (typeof allowed === 'object' && allowed ? allowed : {}) as Record<string, unknown>;
  const named = client ?? sub;
  const party = acting ?? caller;
  if (named !== party.client && named !== party.workload) throw new ExchangeRefused('actor_not_allowed');
}

/** `may_act` as the minted token keeps it: who may act is never widened by an exchange. */
export function mayActOf({ claims }: Principal): { sub?: string; client_id?: string } | undefined {
  const allowed = claims['may_act'];
  if (typeof allowed !== 'object' || allowed === null) return undefined;
  const { sub, client_id: client } = allowed as Record<string, unknown>;
  return { ...(typeof sub === 'string' && { sub }), ...(typeof client === 'string' && { client_id: client }) };
}

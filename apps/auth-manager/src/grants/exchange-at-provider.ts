import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, type JWK } from 'jose';
import { problem, type Secret } from '@postern/runtime';
import type { AccessToken, ProviderOf } from '../provider/provider-calls.ts';
import type { Refreshing } from '../refresh/confirm-grant.ts';

export type ExchangeAtProvider = {
  obtain: Refreshing['obtain'];
  providerOf: ProviderOf;
  /** Whether a token may be bound to nobody (the low profile). */
  unboundAllowed: boolean;
};

/**
 * The job's DPoP proofs for the provider's token endpoint (RFC 9449), both by one key: the first for the refresh, the second
 * for the exchange that narrows the audience, where there is one.
 */
export type Proofs = { refresh?: string | undefined; exchange?: string | undefined };

/**
 * The provider's own token for whoever holds a grant token (R10): the grant's token is refreshed with the job's own proof,
 * so that what comes is bound to the job's key and shared with nobody; with a second proof it is exchanged for one of
 * exactly the audience asked for. Nothing is asked for after `until`, when the grant token ends. What comes is checked here and, once more, at token-exchange.
 * @throws Problem `proof_required`; `provider_refused` where what came is not for that key or audience; and those of
 *   {@link Refreshing}.
 */
export async function exchangeAtProvider(
  { obtain, providerOf, unboundAllowed }: ExchangeAtProvider,
  grant: { id: string; tenant: string; provider: string },
  asked: { scopes: readonly string[]; audiences: readonly string[]; proofs: Proofs; until?: Date },
): Promise<AccessToken> {
  const { scopes, audiences, proofs, until } = asked;
  if (proofs.refresh === undefined && !unboundAllowed) throw problem('proof_required');
  const provider = providerOf(grant);
  const key = await keyOf(proofs);
  const boundTo = (proof: string | undefined) => (proof === undefined ? ('nobody' as const) : { proof });
  const whole = await obtain(grant, { scopes, boundTo: boundTo(proofs.refresh) }, until);
  const mayExchange = proofs.exchange !== undefined || key === undefined;
  const narrow = mayExchange
    ? await provider.exchange(whole.token, { scopes, audiences, boundTo: boundTo(proofs.exchange) })
    : whole;
  if (!isFor(narrow.token, { audiences, key, client: await provider.clientId() })) throw problem('provider_refused');
  return narrow;
}

/** The thumbprint of the key that both proofs name. The provider verifies them; here it is only read what to expect. */
async function keyOf({ refresh, exchange }: Proofs): Promise<string | undefined> {
  const keys = await Promise.all(
    [refresh, exchange].flatMap((proof) => (proof === undefined ? [] : [thumbprintOf(proof)])),
  );
  if (keys.some((key) => key !== keys[0]) || (refresh === undefined && exchange !== undefined)) throw badProof();
  return keys[0];
}

async function thumbprintOf(proof: string): Promise<string> {
  try {
    const { typ, jwk } = decodeProtectedHeader(proof);
    if (typ !== 'dpop+jwt' || !jwk) throw badProof();
    return await calculateJwkThumbprint(jwk as JWK);
  } catch {
    throw badProof();
  }
}

const badProof = () => problem('invalid_input', { fields: [{ field: 'body.dpop', rule: 'not_dpop_proof' }] });

type Expected = { audiences: readonly string[]; key: string | undefined; client: string };

/** Whether a token is for these audiences, all and no other, of our own client, and bound to that key or to none. */
function isFor(token: Secret, { audiences, key, client }: Expected): boolean {
  try {
    const { aud = [], azp, cnf } = decodeJwt<{ azp?: string; cnf?: { jkt?: string } }>(token.reveal());
    const named = new Set([aud].flat());
    const exactly = named.size === audiences.length && audiences.every((audience) => named.has(audience));
    return exactly && (azp === undefined || azp === client) && cnf?.jkt === key;
  } catch {
    return false;
  }
}

import type { Released } from '@postern/http';
import type { Principal, TokenVerifier } from '@postern/oidc';
import { TokenRefused } from '@postern/oidc';
import { problem, uuidv7, type Secret } from '@postern/runtime';
import { calculateJwkThumbprint, decodeProtectedHeader } from 'jose';
import { providerProofsOf } from './exchange-form.ts';
import { exchangedEvent, intendedEvent, refusedEvent } from '../exchanges/exchange-event.ts';
import type { Exchange } from '../exchanges/exchange-token.ts';
import type { Plan } from '../exchanges/plan-exchange.ts';
import { ExchangeRefused, refusalOf } from '../exchanges/refusal.ts';
import { assertGrantedAsAsked } from '../provider/check-granted.ts';
import type { ProviderExchange } from '../provider/provider-exchange.ts';
import { refusedAnswer, type ExchangeAudit } from './exchange-answers.ts';
import { answerOf, committed, type Decided, type ReleaseMinted } from './release-minted.ts';

export type ReleaseFromProvider = ReleaseMinted & {
  exchangeAtProvider: ProviderExchange;
  subjects: Pick<TokenVerifier, 'inspect'>;
};

/**
 * An exchange for an audience outside Postern. Its intent is committed before the provider is asked (R23); what the provider
 * gives is verified, held to what was asked and to the policy, recorded, and only then let go. A refusal is the outcome of that intent.
 * @returns undefined where another policy is in force by now
 */
export async function releaseFromProvider(
  deps: ReleaseFromProvider,
  decided: Decided,
  plan: Plan,
  audit: ExchangeAudit,
): Promise<Released | undefined> {
  const { policy, attempt, subject, asked, form } = decided;
  const proofs = providerProofsOf(form);
  const boundTo = proofs[0] === undefined ? undefined : await keyOf(proofs[0]);
  const id = uuidv7(deps.now().getTime());
  let superseded = false;
  try {
    return await audit.effect(intendedEvent(policy.document, attempt), () =>
      exchanged().catch((error: unknown) => {
        const said = refusalOf(error);
        if (!said) throw error;
        return { what: refusedEvent(policy.document, attempt, said), answer: refusedAnswer(said) };
      }),
    );
  } catch (error) {
    if (superseded) return undefined;
    throw error;
  }

  async function exchanged() {
    const token = await deps.exchangeAtProvider(subject.principal, { ...asked, id, proofs });
    const granted = await verified(deps, token);
    assertGrantedAsAsked(policy.document, granted, asked, plan, { subject: subject.principal, boundTo });
    const exchange = exchangeOf(token, granted, { id, plan, now: deps.now() });
    const done = await committed(deps, decided, exchange, () => Promise.resolve(true));
    if (!done) {
      superseded = true;
      throw problem('audit_unavailable');
    }
    return { what: exchangedEvent(policy.document, attempt, exchange), answer: answerOf(decided, exchange) };
  }
}

/** @throws ExchangeRefused `provider_wider` for a token that does not verify by the trust table */
function verified({ subjects }: ReleaseFromProvider, token: Secret): Promise<Principal> {
  return subjects.inspect(token.reveal()).catch((error: unknown) => {
    if (error instanceof TokenRefused && error.code === 'invalid_token') throw new ExchangeRefused('provider_wider');
    throw error;
  });
}

/** @throws ExchangeRefused `proof_needed` for what is no proof */
async function keyOf(proof: string): Promise<string> {
  try {
    const { jwk } = decodeProtectedHeader(proof);
    if (jwk) return await calculateJwkThumbprint(jwk);
  } catch {
    // Whatever it is, it names no key.
  }
  throw new ExchangeRefused('proof_needed');
}

function exchangeOf(token: Secret, granted: Principal, made: { id: string; plan: Plan; now: Date }): Exchange {
  const { id, plan, now } = made;
  // The provider does not shorten its token to the subject's life; the caller is told to renew it in time.
  const ends = Math.min(granted.expiresAt.getTime(), now.getTime() + plan.lifetimeSeconds * 1000);
  return {
    token: token.reveal(),
    id,
    issuer: granted.issuer,
    tokenId: granted.tokenId,
    tokenType: granted.binding.kind === 'dpop' ? 'DPoP' : 'Bearer',
    expiresAt: granted.expiresAt,
    expiresInSeconds: Math.max(1, Math.floor((ends - now.getTime()) / 1000)),
    scopes: plan.decision.granted,
    actors: plan.actors,
    decision: plan.decision,
  };
}

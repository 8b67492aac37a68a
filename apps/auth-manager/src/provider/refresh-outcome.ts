import { EgressRefused } from '@postern/egress';
import { ProviderFailed } from '@postern/oidc';
import type { RefreshOutcome, TokenAsk } from './provider-calls.ts';

/** Whether some layer below says for certain that no byte of the request left. */
function neverSent(error: unknown): boolean {
  for (let next = error, depth = 0; next instanceof Error && depth < 8; next = next.cause, depth++) {
    if (next instanceof EgressRefused) return !next.sent;
    if (next instanceof ProviderFailed && next.kind === 'not_sent') return true;
  }
  return false;
}

/** What a failed refresh means for the token that was sent (R20). */
export function outcomeOf(error: unknown, stopped: boolean, ask?: TokenAsk): RefreshOutcome {
  if (stopped || neverSent(error)) return { kind: 'not_sent' };
  if (!(error instanceof ProviderFailed) || error.kind !== 'refused') return { kind: 'unknown' };
  if (error.error === 'invalid_grant') return { kind: 'refused' };
  // A 5xx with an OAuth body says nothing about what became of the token.
  const { status = 500, retryAfterSeconds } = error;
  if (status >= 500) return { kind: 'unknown' };
  // Keycloak says `invalid_request` of a proof; RFC 9449, section 5, has a code for it.
  const ofRequest = error.error === 'invalid_request' || error.error === 'invalid_dpop_proof';
  const proofRefused = ofRequest && typeof ask?.boundTo === 'object';
  return { kind: 'rejected', retryAfterSeconds, proofRefused };
}

import { type Logger, Problem } from '@postern/runtime';
import type { ProviderCalls, Redeemed } from '../provider/provider-calls.ts';
import { type Accepted, acceptTokens } from './accept-tokens.ts';
import type { ClaimedConsent } from './claim-consent.ts';
import type { FailureReason } from './consent.ts';

export type RedeemConsent = { provider: ProviderCalls; providerScopes: ReadonlySet<string>; logger: Logger };

export type Redemption = { accepted: Accepted; login: Redeemed['idToken'] } | { refused: FailureReason };

/**
 * Redeems the code of a claimed consent and judges what it brought. What is not accepted is revoked at the provider
 * before this returns (R18), so that nothing of it lives on anywhere.
 */
export async function redeemConsent(
  deps: RedeemConsent,
  { consent, verifier, nonce }: ClaimedConsent,
  at: { callback: URL; state: string },
): Promise<Redemption> {
  const { provider, providerScopes } = deps;
  let redeemed: Redeemed;
  try {
    redeemed = await provider.redeem({ ...at, nonce, verifier });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { refused: error.code === 'provider_refused' ? 'provider_refused' : 'provider_error' };
  }
  const judged = acceptTokens(consent, redeemed, providerScopes);
  if (!('refused' in judged)) return { accepted: judged, login: redeemed.idToken };
  await discardTokens(deps, redeemed);
  return judged;
}

/** Revokes what must not be kept. A provider that does not answer leaves only tokens that are bound to our key and forgotten here. */
export async function discardTokens(
  { provider, logger }: Pick<RedeemConsent, 'provider' | 'logger'>,
  { refreshToken }: Pick<Redeemed, 'refreshToken'>,
): Promise<void> {
  if (!refreshToken) return;
  try {
    await provider.revoke(refreshToken);
  } catch (err) {
    logger.error({ err, operation: 'discard_tokens' }, 'tokens that were refused could not be revoked');
  }
}

import { expect, test } from '@jest/globals';
import { problem, Secret, silentLogger } from '@postern/runtime';
import type { ProviderCalls, Redeemed } from '../provider/provider-calls.ts';
import type { ClaimedConsent } from './claim-consent.ts';
import { redeemConsent } from './redeem-consent.ts';

const issuer = 'https://idp.example/realms/postern';
const consent = { person_issuer: issuer, person_sub: 'alice', scopes: ['records:read'] };
const claimed = { consent, verifier: new Secret('v'), nonce: 'n', state: 's' } as ClaimedConsent;
const at = { callback: new URL('https://am.example/v1/consents/callback?code=c&state=s'), state: 's' };

/** A provider at the port, that answers as told and keeps what it was asked to revoke. */
function provider(redeem: () => Promise<Redeemed>, revoke: () => Promise<void> = async () => {}) {
  const revoked: string[] = [];
  const calls: Pick<ProviderCalls, 'redeem' | 'revoke'> = {
    redeem,
    revoke: (token) => {
      revoked.push(token.reveal());
      return revoke();
    },
  };
  return {
    revoked,
    deps: { provider: calls as ProviderCalls, providerScopes: new Set<string>(), logger: silentLogger() },
  };
}

const redeemed = (sub: string): Redeemed => ({
  refreshToken: new Secret(`offline-of-${sub}`),
  scopes: ['openid', 'offline_access'],
  idToken: { iss: issuer, sub, sid: 's1' },
});

test('R18: the tokens of another person are revoked at the provider', async () => {
  const { revoked, deps } = provider(async () => redeemed('mallory'));
  expect(await redeemConsent(deps, claimed, at)).toEqual({ refused: 'other_person' });
  expect(revoked).toEqual(['offline-of-mallory']);
});

test('R18: also where the provider does not take the revocation, nothing of another person is accepted', async () => {
  const { deps } = provider(
    async () => redeemed('mallory'),
    async () => {
      throw problem('provider_unavailable');
    },
  );
  expect(await redeemConsent(deps, claimed, at)).toEqual({ refused: 'other_person' });
});

test('the tokens of the person who started the consent are kept', async () => {
  const { revoked, deps } = provider(async () => redeemed('alice'));
  expect(await redeemConsent(deps, claimed, at)).toMatchObject({
    accepted: { session: 's1', scopes: ['records:read'] },
  });
  expect(revoked).toEqual([]);
});

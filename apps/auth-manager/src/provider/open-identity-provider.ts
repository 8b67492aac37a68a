import type { Profile } from '@postern/profile';
import type { Egress } from '@postern/egress';
import type { Logger } from '@postern/runtime';
import type { JWK } from 'jose';
import { logoutKeys, type VerifyLogoutToken } from '../sessions/verify-logout-token.ts';
import { readClientKey } from './client-key.ts';
import { openProviderCalls } from './open-provider-calls.ts';
import type { ProviderCalls } from './provider-calls.ts';
import { type ServiceKeys, signingJwk } from './service-keys.ts';

export type ProviderConfig = {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientKeyPath: string | undefined;
  readonly logoutAudiences: readonly string[];
};

export type IdentityProvider = {
  provider: ProviderCalls;
  logout: VerifyLogoutToken;
  clientPublicKey: JWK;
};

const publicHalf = ({ kty, crv, x, y, kid }: JWK): JWK =>
  ({ kty, crv, x, y, alg: 'ES256', use: 'sig', ...(kid === undefined ? {} : { kid }) }) as JWK;

/** The identity provider with this service's keys for it (R9): what its calls, its logout tokens and its administrator need. */
export async function openIdentityProvider(
  { issuer, clientId, clientKeyPath, logoutAudiences }: ProviderConfig,
  deps: ServiceKeys & { egress: Egress; logger: Logger; profile: Profile },
): Promise<IdentityProvider> {
  const clientKey =
    clientKeyPath === undefined ? await signingJwk(deps, issuer, 'client') : readClientKey(clientKeyPath);
  const dpopKey = await signingJwk(deps, issuer, 'dpop');
  const { egress, logger, profile, now } = deps;
  const provider = openProviderCalls({ issuer, clientId, clientKey, dpopKey, egress, logger });
  return {
    provider,
    clientPublicKey: publicHalf(clientKey),
    logout: {
      issuer,
      audiences: logoutAudiences,
      algorithms: profile.verifyAlgs,
      keys: logoutKeys(provider, egress),
      now,
    },
  };
}

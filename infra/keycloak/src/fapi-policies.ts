import { type Profile } from '@postern/profile';

/** The client attribute by which a policy finds its clients. */
export const FAPI_ATTRIBUTE = 'postern.fapi';

const dpopProfile = 'postern-fapi-2-dpop-security-profile';

/** Keycloak's own profile for certificate-bound tokens; ours for DPoP. */
const profileNames = { certificate: 'fapi-2-security-profile', dpop: dpopProfile } as const;

const executor = (name: string, configuration: Record<string, unknown> = {}) => ({ executor: name, configuration });

/**
 * Keycloak 26.7's `fapi-2-dpop-security-profile` without its `dpop-bind-enforcer`. That one also demands a matching
 * `cnf` at the revocation endpoint, which the refresh token of a confidential client never has: no offline token could
 * be revoked (R18). The client's own attribute `dpop.bound.access.tokens` demands the proofs everywhere else.
 */
const fapiDpopProfile = {
  name: dpopProfile,
  description: 'FAPI 2.0 Security Profile with DPoP, and with refresh tokens that can be revoked',
  executors: [
    executor('confidential-client'),
    executor('secure-client-authenticator', {
      'allowed-client-authenticators': ['client-jwt', 'client-x509'],
      'default-client-authenticator': 'client-jwt',
    }),
    executor('secure-client-uris'),
    executor('secure-signature-algorithm', { 'default-algorithm': 'PS256' }),
    executor('secure-signature-algorithm-signed-jwt', { 'require-client-assertion': false }),
    executor('consent-required', { 'auto-configure': true }),
    executor('full-scope-disabled', { 'auto-configure': true }),
    executor('reject-implicit-grant', { 'auto-configure': true }),
    executor('pkce-enforcer', { 'auto-configure': true }),
    executor('secure-client-authentication-assertion'),
    executor('secure-par-content'),
  ],
};

const policy = (kind: keyof typeof profileNames) => ({
  name: `postern-fapi-2-${kind}`,
  description: `FAPI 2.0 for clients with tokens bound by ${kind}`,
  enabled: true,
  conditions: [
    {
      condition: 'client-attributes',
      configuration: {
        attributes: JSON.stringify([{ key: FAPI_ATTRIBUTE, value: kind }]),
        'is-negative-logic': false,
      },
    },
  ],
  profiles: [profileNames[kind]],
});

/** The client policies that lay FAPI 2.0 on the clients so marked; none in a profile without it. */
export const fapiSettings = (profile: Profile) =>
  profile.fapi
    ? {
        clientProfiles: { profiles: [fapiDpopProfile] },
        clientPolicies: { policies: [policy('certificate'), policy('dpop')] },
      }
    : {};

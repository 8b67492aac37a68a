import { type PolicyKind } from './model.ts';
import { type PolicyCondition, type PolicyExecutor } from './representations.ts';

/** The client attribute by which a policy finds its clients. */
export const FAPI_ATTRIBUTE = 'postern.fapi';

const executor = (name: string, configuration: Record<string, unknown> = {}): PolicyExecutor => ({
  executor: name,
  configuration,
});
const enforcing = (name: string) => executor(name, { 'auto-configure': 'true' });

/**
 * FAPI 2.0 Security Profile, final: confidential clients (5.3.2.1-4), `private_key_jwt` or mTLS (-6), no implicit or
 * password grant, PAR with S256 (5.3.2.2), sender-constrained tokens (5.3.2.1-5).
 */
const common: PolicyExecutor[] = [
  executor('confidential-client'),
  executor('secure-client-authenticator', {
    'allowed-client-authenticators': ['client-jwt', 'client-x509'],
    'default-client-authenticator': 'client-jwt',
  }),
  executor('secure-client-uris'),
  executor('secure-signature-algorithm-signed-jwt', { 'require-client-assertion': false }),
  enforcing('full-scope-disabled'),
  enforcing('reject-implicit-grant'),
  enforcing('reject-ropc-grant'),
  enforcing('pkce-enforcer'),
  executor('secure-client-authentication-assertion'),
  executor('secure-par-content'),
];

/** Message Signing: signed request objects in the pushed request; the response is a JWT when it is asked for (JARM). */
const signed = executor('secure-request-object', {
  'verify-nbf': true,
  'available-period': '3600',
  'encryption-required': false,
});

/**
 * Why not Keycloak's own `fapi-2-*` profiles: their `consent-required` switches consent on in a client that is changed
 * over the admin interface but not in one that is imported, so the realm would never again equal its document; and their
 * `dpop-bind-enforcer` makes refresh tokens of confidential clients irrevocable (ADR 7). Whether a client asks for
 * consent is said on the client, and the client's own attribute demands DPoP proofs everywhere else.
 */
const profiles: Record<PolicyKind, { description: string; executors: PolicyExecutor[] }> = {
  certificate: {
    description: 'FAPI 2.0 Security Profile, certificate-bound tokens',
    executors: [...common, enforcing('holder-of-key-enforcer')],
  },
  'certificate-signed': {
    description: 'FAPI 2.0 Message Signing, certificate-bound tokens',
    executors: [...common, enforcing('holder-of-key-enforcer'), signed],
  },
  dpop: { description: 'FAPI 2.0 Security Profile, DPoP', executors: common },
  'dpop-signed': { description: 'FAPI 2.0 Message Signing, DPoP', executors: [...common, signed] },
  public: {
    description: 'OAuth 2.1 for public clients: what a client that can keep no secret may do in a FAPI realm',
    executors: [
      executor('secure-redirect-uris-enforcer', {
        'allow-ipv4-loopback-address': 'true',
        'allow-ipv6-loopback-address': 'true',
        'allow-private-use-uri-scheme': 'false',
        'oauth-2-1-compliant': 'true',
      }),
      enforcing('pkce-enforcer'),
      enforcing('reject-implicit-grant'),
      enforcing('reject-ropc-grant'),
    ],
  },
};

const profileName = (kind: PolicyKind) => `postern-fapi-2-${kind}`;

const conditionOf = (kind: PolicyKind): PolicyCondition => ({
  condition: 'client-attributes',
  configuration: {
    attributes: JSON.stringify([{ key: FAPI_ATTRIBUTE, value: kind }]),
    'is-negative-logic': false,
  },
});

/** The client policies of the kinds that some client of the realm is marked with. */
export function policySettings(kinds: ReadonlySet<PolicyKind>) {
  const used = (Object.keys(profiles) as PolicyKind[]).filter((kind) => kinds.has(kind)).sort();
  return {
    clientProfiles: { profiles: used.map((kind) => ({ name: profileName(kind), ...profiles[kind] })) },
    clientPolicies: {
      policies: used.map((kind) => ({
        name: profileName(kind),
        description: profiles[kind].description,
        enabled: true,
        conditions: [conditionOf(kind)],
        profiles: [profileName(kind)],
      })),
    },
  };
}

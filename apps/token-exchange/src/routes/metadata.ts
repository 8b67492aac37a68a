import type { PolicyDocument } from '@postern/policy';
import type { Profile } from '@postern/profile';
import type { PolicyStore } from '../policy/policy-store.ts';
import { TOKEN_EXCHANGE } from './exchange-form.ts';

export type MetadataDeps = {
  issuer: { issuer: string };
  apiUrl: string;
  policies: Pick<PolicyStore, 'held'>;
  profile: Profile;
};

/**
 * What the metadata (RFC 8414) say of the token endpoint. Callers with a certificate use its alias on the api listener
 * (RFC 8705 section 5).
 */
export const metadata = ({ issuer, apiUrl, policies, profile }: MetadataDeps) => ({
  token_endpoint: `${at(profile, issuer, apiUrl)}/token`,
  revocation_endpoint: `${at(profile, issuer, apiUrl)}/revoke`,
  introspection_endpoint: `${at(profile, issuer, apiUrl)}/introspect`,
  mtls_endpoint_aliases: {
    token_endpoint: `${apiUrl}/token`,
    revocation_endpoint: `${apiUrl}/revoke`,
    introspection_endpoint: `${apiUrl}/introspect`,
  },
  grant_types_supported: [TOKEN_EXCHANGE],
  response_types_supported: [],
  ...methodsOf(profile),
  ...acrOf(policies.held().document),
  scopes_supported: policies.held().document.scopes.map(({ name }) => name),
});

const at = ({ certificateBoundTokens }: Profile, issuer: { issuer: string }, apiUrl: string) =>
  certificateBoundTokens ? apiUrl : issuer.issuer;

/** The classes of login that scopes of the policy ask for (RFC 9470 section 6). */
function acrOf({ scopes }: PolicyDocument) {
  const values = [...new Set(scopes.flatMap(({ acr = [] }) => acr))];
  return values.length > 0 ? { acr_values_supported: values } : {};
}

/** HTTP Basic is for the low profile only. */
function methodsOf({ certificateBoundTokens, senderBinding, verifyAlgs }: Profile) {
  const methods = [
    'tls_client_auth',
    ...(certificateBoundTokens ? [] : ['private_key_jwt']),
    ...(senderBinding === 'optional' ? ['client_secret_basic'] : []),
  ];
  const endpoints = ['token', 'revocation', 'introspection'] as const;
  const assertions = !certificateBoundTokens;
  return {
    ...Object.fromEntries(endpoints.map((name) => [`${name}_endpoint_auth_methods_supported`, methods])),
    ...(assertions && {
      ...Object.fromEntries(
        endpoints.map((name) => [`${name}_endpoint_auth_signing_alg_values_supported`, verifyAlgs]),
      ),
      dpop_signing_alg_values_supported: verifyAlgs,
    }),
  };
}

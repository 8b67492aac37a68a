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
  token_endpoint: profile.certificateBoundTokens ? `${apiUrl}/token` : `${issuer.issuer}/token`,
  revocation_endpoint: `${apiUrl}/revoke`,
  mtls_endpoint_aliases: { token_endpoint: `${apiUrl}/token` },
  grant_types_supported: [TOKEN_EXCHANGE],
  response_types_supported: [],
  ...methodsOf(profile),
  scopes_supported: policies.held().document.scopes.map(({ name }) => name),
});

function methodsOf({ certificateBoundTokens, verifyAlgs }: Profile) {
  if (certificateBoundTokens) return { token_endpoint_auth_methods_supported: ['tls_client_auth'] };
  return {
    token_endpoint_auth_methods_supported: ['tls_client_auth', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: verifyAlgs,
    dpop_signing_alg_values_supported: verifyAlgs,
  };
}

import { type ProviderState } from '../provider-state.ts';

/** OpenID Connect Discovery 1.0 and RFC 8414, on Keycloak's addresses; one port serves both kinds of client (RFC 8705, 5). */
export function discoveryDocument(state: ProviderState): Record<string, unknown> {
  const { issuer, realm } = state;
  const at = (path: string) => `${issuer}/protocol/openid-connect/${path}`;
  const algorithms = ['ES256', 'PS256'];
  const clientAuthentication = ['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'tls_client_auth'];
  const endpoints = {
    token_endpoint: at('token'),
    revocation_endpoint: at('revoke'),
    introspection_endpoint: at('token/introspect'),
    userinfo_endpoint: at('userinfo'),
    pushed_authorization_request_endpoint: at('ext/par/request'),
  };
  return {
    issuer,
    authorization_endpoint: at('auth'),
    ...endpoints,
    end_session_endpoint: at('logout'),
    jwks_uri: at('certs'),
    mtls_endpoint_aliases: endpoints,
    grant_types_supported: [
      'authorization_code',
      'client_credentials',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:token-exchange',
    ],
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment', 'form_post', 'query.jwt', 'fragment.jwt', 'form_post.jwt', 'jwt'],
    authorization_signing_alg_values_supported: ['ES256'],
    subject_types_supported: ['public'],
    scopes_supported: ['openid', 'email', 'profile', 'offline_access', ...realm.scopes.map(({ name }) => name)],
    claims_supported: [
      'iss',
      'sub',
      'aud',
      'exp',
      'iat',
      'auth_time',
      'name',
      'given_name',
      'family_name',
      'preferred_username',
      'email',
      'acr',
      'azp',
      'nonce',
    ],
    id_token_signing_alg_values_supported: ['ES256'],
    token_endpoint_auth_methods_supported: clientAuthentication,
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint_auth_methods_supported: clientAuthentication,
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    revocation_endpoint_auth_methods_supported: clientAuthentication,
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    dpop_signing_alg_values_supported: algorithms,
    code_challenge_methods_supported: ['S256'],
    tls_client_certificate_bound_access_tokens: true,
    authorization_response_iss_parameter_supported: true,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    require_pushed_authorization_requests: false,
  };
}

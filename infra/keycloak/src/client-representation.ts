import { type Profile } from '@postern/profile';
import { builtInDefaultScopes, fapiKindOf, type RealmClient } from '@postern/testing/realm';

import { FAPI_ATTRIBUTE } from './fapi-policies.ts';
import { type ClientRepresentation } from './representations.ts';

const authenticators = {
  public: 'client-secret',
  secret: 'client-secret',
  certificate: 'client-x509',
  'private-key': 'client-jwt',
} as const;

/** The settings of a client that Keycloak keeps as text. It accepts unknown names silently: a typo is a hole. */
function attributesOf(client: RealmClient, profile: Profile, trustedIssuerDn: string): Record<string, string> {
  const { authentication, backchannelLogout } = client;
  const attributes: Record<string, string> = {
    'access.token.header.type.rfc9068': 'true',
    'access.token.signed.response.alg': 'ES256',
    'id.token.signed.response.alg': 'ES256',
    'require.pushed.authorization.requests': String(client.requirePar),
    'tls.client.certificate.bound.access.tokens': String(client.binding === 'certificate'),
    'dpop.bound.access.tokens': String(client.binding === 'dpop'),
    'standard.token.exchange.enabled': String(client.grants.includes('token-exchange')),
    'client_credentials.use_refresh_token': 'false',
  };
  const fapi = fapiKindOf(client, profile);
  if (fapi) attributes[FAPI_ATTRIBUTE] = fapi;
  if (client.introspectsAnyToken) attributes['allow.token.introspection.without.audience.check'] = 'true';
  if (client.requirePkce) attributes['pkce.code.challenge.method'] = 'S256';
  if (client.exchangeForRefreshTokens) {
    attributes['standard.token.exchange.enableRefreshRequestedTokenType'] = 'SAME_SESSION';
  }
  if (client.postLogoutRedirectUris) attributes['post.logout.redirect.uris'] = client.postLogoutRedirectUris.join('##');
  if (authentication.kind === 'certificate') {
    attributes['x509.subjectdn'] = authentication.subjectDn;
    attributes['x509.allow.regex.pattern.comparison'] = 'false';
    attributes['x509.casubjectdn'] = trustedIssuerDn;
  }
  if (authentication.kind === 'private-key') {
    attributes['use.jwks.string'] = 'true';
    attributes['jwks.string'] = JSON.stringify(authentication.jwks);
    attributes['token.endpoint.auth.signing.alg'] = 'ES256';
  }
  if (backchannelLogout) {
    attributes['backchannel.logout.url'] = backchannelLogout.url;
    attributes['backchannel.logout.session.required'] = 'true';
    attributes['backchannel.logout.revoke.offline.tokens'] = String(backchannelLogout.revokeOffline);
  }
  return attributes;
}

/**
 * One client in Keycloak's words.
 * @param trustedIssuerDn the subject of the CA that issues workload certificates, RFC 2253
 */
export function clientRepresentation(
  client: RealmClient,
  profile: Profile,
  trustedIssuerDn: string,
): ClientRepresentation {
  const { authentication, grants } = client;
  return {
    clientId: client.clientId,
    description: client.description,
    enabled: true,
    protocol: 'openid-connect',
    publicClient: authentication.kind === 'public',
    clientAuthenticatorType: authenticators[authentication.kind],
    ...(authentication.kind === 'secret' ? { secret: authentication.secret } : {}),
    standardFlowEnabled: grants.includes('code'),
    implicitFlowEnabled: false,
    directAccessGrantsEnabled: false,
    serviceAccountsEnabled: grants.includes('client-credentials'),
    consentRequired: client.requireConsent,
    fullScopeAllowed: false,
    redirectUris: client.redirectUris,
    attributes: attributesOf(client, profile, trustedIssuerDn),
    defaultClientScopes: [
      ...builtInDefaultScopes,
      ...(grants.includes('client-credentials') ? ['service_account'] : []),
      ...client.defaultScopes,
    ],
    optionalClientScopes: client.optionalScopes,
  };
}

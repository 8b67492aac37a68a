import { defaultScopes } from './built-in-scopes.ts';
import { FAPI_ATTRIBUTE } from './fapi-policies.ts';
import { type ClientModel, type RealmModel } from './model.ts';
import { type ClientRepresentation } from './representations.ts';

const authenticators = {
  public: 'client-secret',
  secret: 'client-secret',
  certificate: 'client-x509',
  'private-key': 'client-jwt',
} as const;

/** What every token of every client is signed with. */
const SIGNED_WITH = 'ES256';

/** Attributes that say how the client proves itself. */
function proofAttributes({ authentication }: ClientModel, trustedIssuerDn: string): Record<string, string> {
  if (authentication.kind === 'certificate') {
    return {
      'x509.subjectdn': authentication.subjectDn,
      'x509.allow.regex.pattern.comparison': 'false',
      'x509.casubjectdn': trustedIssuerDn,
    };
  }
  if (authentication.kind === 'private-key') {
    const { jwks, jwksUri } = authentication;
    return {
      'use.jwks.string': String(jwks !== undefined),
      'use.jwks.url': String(jwks === undefined && jwksUri !== undefined),
      ...(jwks ? { 'jwks.string': JSON.stringify(jwks) } : jwksUri ? { 'jwks.url': jwksUri } : {}),
    };
  }
  return {};
}

/** The settings of a client that Keycloak keeps as text. It accepts unknown names silently: `check.ts` does not. */
function attributesOf(client: ClientModel, trustedIssuerDn: string): Record<string, string> {
  const { authentication, backchannelLogout, grants, policy } = client;
  const attributes: Record<string, string> = {
    // R7: RFC 9068's header, so that no other kind of JWT passes for an access token.
    'access.token.header.type.rfc9068': 'true',
    'access.token.signed.response.alg': SIGNED_WITH,
    'id.token.signed.response.alg': SIGNED_WITH,
    'authorization.signed.response.alg': SIGNED_WITH,
    'require.pushed.authorization.requests': String(client.requirePar),
    'tls.client.certificate.bound.access.tokens': String(client.binding === 'certificate'),
    'dpop.bound.access.tokens': String(client.binding === 'dpop'),
    'standard.token.exchange.enabled': String(grants.includes('token-exchange')),
    'oauth2.device.authorization.grant.enabled': String(grants.includes('device')),
    'client_credentials.use_refresh_token': 'false',
    // `+`: its redirect addresses, which are exact. (`-`, none, is no address to FAPI's enforcer.)
    'post.logout.redirect.uris': client.postLogoutRedirectUris?.join('##') ?? '+',
    'backchannel.logout.session.required': 'true',
    ...proofAttributes(client, trustedIssuerDn),
  };
  if (policy) attributes[FAPI_ATTRIBUTE] = policy;
  if (policy || authentication.kind === 'private-key') attributes['token.endpoint.auth.signing.alg'] = SIGNED_WITH;
  if (policy?.endsWith('-signed')) attributes['request.object.signature.alg'] = SIGNED_WITH;
  if (client.introspectsAnyToken) attributes['allow.token.introspection.without.audience.check'] = 'true';
  if (client.requirePkce) attributes['pkce.code.challenge.method'] = 'S256';
  if (client.encryptedIdTokens) {
    attributes['id.token.encrypted.response.alg'] = 'RSA-OAEP-256';
    attributes['id.token.encrypted.response.enc'] = 'A256GCM';
  }
  if (client.exchangeForRefreshTokens) {
    attributes['standard.token.exchange.enableRefreshRequestedTokenType'] = 'SAME_SESSION';
  }
  if (authentication.kind === 'secret' && authentication.reference) {
    attributes[SECRET_ATTRIBUTE] = authentication.reference;
  }
  if (backchannelLogout) {
    attributes['backchannel.logout.url'] = backchannelLogout.url;
    attributes['backchannel.logout.revoke.offline.tokens'] = String(backchannelLogout.revokeOffline);
  }
  return attributes;
}

/** Where a client's secret is kept; the secret itself is in no representation that we write. */
export const SECRET_ATTRIBUTE = 'postern.secret';

/** One client in Keycloak's words. */
export function clientRepresentation(
  client: ClientModel,
  { trustedIssuerDn }: Pick<RealmModel, 'trustedIssuerDn'>,
): ClientRepresentation {
  const { authentication, grants } = client;
  return {
    clientId: client.clientId,
    ...(client.name ? { name: client.name } : {}),
    description: client.description,
    enabled: true,
    protocol: 'openid-connect',
    publicClient: authentication.kind === 'public',
    bearerOnly: client.bearerOnly ?? false,
    clientAuthenticatorType: authenticators[authentication.kind],
    ...(authentication.kind === 'secret' && authentication.secret ? { secret: authentication.secret } : {}),
    standardFlowEnabled: grants.includes('code'),
    implicitFlowEnabled: false,
    directAccessGrantsEnabled: false,
    serviceAccountsEnabled: grants.includes('client-credentials'),
    consentRequired: client.requireConsent,
    fullScopeAllowed: false,
    redirectUris: [...client.redirectUris].sort(),
    webOrigins: [...(client.webOrigins ?? [])].sort(),
    attributes: attributesOf(client, trustedIssuerDn),
    defaultClientScopes: [
      ...new Set([
        ...defaultScopes,
        ...(grants.includes('client-credentials') ? ['service_account'] : []),
        ...client.defaultScopes,
      ]),
    ].sort(),
    optionalClientScopes: [...new Set(client.optionalScopes)].sort(),
  };
}

import Provider, { type ClientMetadata, type Configuration, type KoaContextWithOIDC } from 'oidc-provider';

import { storeAdapter } from './adapter.ts';
import { introspect } from './endpoints/introspection.ts';
import { logoutByRefreshToken } from './endpoints/logout.ts';
import { revoke } from './endpoints/revocation.ts';
import { aliases, fromFrontChannel, originalScope } from './front-channel-scope.ts';
import { authorizationCodeGrant } from './grants/authorization-code.ts';
import { clientCredentialsGrant } from './grants/client-credentials.ts';
import { refreshTokenGrant } from './grants/refresh-token.ts';
import { tokenExchangeGrant } from './grants/token-exchange.ts';
import { grantAll, interactionPath, needsConsent } from './interactions.ts';
import { errorPage, pageHeaders } from './pages.ts';
import { type ProviderState } from './provider-state.ts';
import { fapiKindOf, type RealmClient } from './realm.ts';
import { invalidRequest } from './refusal.ts';
import { assertScopesAssigned } from './scopes.ts';
import { peerCertificate } from './sender-binding.ts';
import { describeClientFailure } from './client-failures.ts';
import { type Store } from './store.ts';
import { subjectDnOf } from './subject-dn.ts';

/** Endpoints that authenticate clients as the token endpoint does are served by it, as grants nobody else can name. */
export const internalGrants = {
  introspection: 'urn:postern:internal:introspection',
  revocation: 'urn:postern:internal:revocation',
  logout: 'urn:postern:internal:logout',
} as const;

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** A client of the realm in the words of RFC 7591. */
function metadataOf(client: RealmClient): ClientMetadata {
  const { authentication } = client;
  const grants = ['refresh_token', exchange, ...Object.values(internalGrants)];
  if (client.grants.includes('code')) grants.push('authorization_code');
  if (client.grants.includes('client-credentials')) grants.push('client_credentials');
  const methods = {
    public: 'none',
    secret: 'client_secret_basic',
    certificate: 'tls_client_auth',
    'private-key': 'private_key_jwt',
  } as const;
  return {
    client_id: client.clientId,
    token_endpoint_auth_method: methods[authentication.kind],
    ...(authentication.kind === 'secret' ? { client_secret: authentication.secret } : {}),
    ...(authentication.kind === 'certificate' ? { tls_client_auth_subject_dn: authentication.subjectDn } : {}),
    ...(authentication.kind === 'private-key'
      ? { jwks: authentication.jwks, token_endpoint_auth_signing_alg: 'ES256' as const }
      : {}),
    grant_types: grants,
    response_types: client.grants.includes('code') ? ['code'] : [],
    redirect_uris: client.redirectUris,
    require_pushed_authorization_requests: client.requirePar,
    tls_client_certificate_bound_access_tokens: client.binding === 'certificate',
    dpop_bound_access_tokens: client.binding === 'dpop',
  };
}

function configurationOf(state: ProviderState, store: Store): Configuration {
  const realmClient = (ctx: KoaContextWithOIDC) => state.client(ctx.oidc.client?.clientId ?? '');
  const seconds = state.profile.sessionMaxMinutes * 60;
  return {
    adapter: storeAdapter(store, (clientId) => {
      const client = state.client(clientId);
      return client && metadataOf(client);
    }),
    jwks: { keys: [state.keys.privateJwk as never] },
    cookies: {
      keys: [state.keys.cookieSecret],
      names: { session: 'IDENTITY_SESSION', interaction: 'IDENTITY_INTERACTION', resume: 'IDENTITY_RESUME' },
    },
    routes: {
      authorization: '/protocol/openid-connect/auth',
      token: '/protocol/openid-connect/token',
      jwks: '/protocol/openid-connect/certs',
      pushed_authorization_request: '/protocol/openid-connect/ext/par/request',
    },
    scopes: ['openid', 'email', 'profile', ...Object.values(aliases), ...state.realm.scopes.map(({ name }) => name)],
    responseTypes: ['code'],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth', 'none'],
    assertJwtClientAuthClaimsAndHeader: async (_ctx, claims, _header, client) => {
      const own = state.client(client.clientId);
      if (own && fapiKindOf(own, state.profile) && claims['aud'] !== state.issuer) {
        throw invalidRequest('invalid audience in client assertion');
      }
    },
    clientDefaults: { id_token_signed_response_alg: 'ES256', authorization_signed_response_alg: 'ES256' },
    enabledJWA: {
      clientAuthSigningAlgValues: ['ES256'],
      authorizationSigningAlgValues: ['ES256'],
      dPoPSigningAlgValues: ['ES256', 'PS256', 'EdDSA'],
    },
    pkce: { required: (ctx) => realmClient(ctx)?.requirePkce ?? true },
    interactions: { url: (_ctx, interaction) => `${state.issuer}${interactionPath}?execution=${interaction.uid}` },
    // oidc-provider drops scopes that it does not know before any hook sees them.
    extraParams: {
      [originalScope]: (ctx, scope) => {
        const client = realmClient(ctx);
        if (!client || ctx.oidc.params?.['request_uri']) return;
        const pushed = ctx.oidc.route === 'pushed_authorization_request';
        assertScopesAssigned(client, scope, pushed ? 'invalid_request' : 'invalid_scope');
      },
    },
    ttl: { Session: seconds, Grant: seconds, Interaction: 1800, AuthorizationCode: 60, IdToken: 300 },
    findAccount: (_ctx, sub) => (state.userById(sub) ? { accountId: sub, claims: () => ({ sub }) } : undefined),
    loadExistingGrant: async (ctx) => {
      const { client, session, result, params, provider } = ctx.oidc;
      if (!client || !session?.accountId) return undefined;
      const known = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
      const scope = String(params?.['scope'] ?? '');
      if (result?.consent?.grantId && known) return provider.Grant.find(known);
      if (needsConsent(state, client.clientId, session.accountId, fromFrontChannel(scope))) return undefined;
      return provider.Grant.find(await grantAll(provider as Provider, client.clientId, session.accountId, scope));
    },
    renderError: (ctx, out) => {
      ctx.set(pageHeaders);
      ctx.body = errorPage(state.realm.displayName, out.error_description ?? out.error);
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      resourceIndicators: { enabled: false },
      clientCredentials: { enabled: true },
      jwtResponseModes: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      dPoP: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        tlsClientAuth: true,
        getCertificate: (ctx) => peerCertificate(ctx.req)?.toString(),
        certificateAuthorized: (ctx) => peerCertificate(ctx.req) !== undefined,
        certificateSubjectMatches: (ctx, property, expected) => {
          const certificate = peerCertificate(ctx.req);
          return property === 'tls_client_auth_subject_dn' && !!certificate && subjectDnOf(certificate) === expected;
        },
      },
    },
  };
}

/**
 * Opens what oidc-provider does for us: the authorization endpoint with its sessions and forms, pushed requests, PKCE,
 * and the authentication of clients. Tokens are ours, so that they are Keycloak's in every claim.
 */
export function openFrontChannel(state: ProviderState, store: Store): Provider {
  const provider = new Provider(state.issuer, configurationOf(state, store));
  const audiences = ['token', 'token/introspect', 'revoke', 'ext/par/request'];
  provider.OIDCContext.prototype.clientJwtAuthExpectedAudience = () =>
    new Set([state.issuer, ...audiences.map((path) => `${state.issuer}/protocol/openid-connect/${path}`)]);
  const grant = (
    name: string,
    handler: (client: RealmClient, ctx: KoaContextWithOIDC) => Promise<void>,
    parameters: string[],
    repeatable: string[] = [],
  ) =>
    provider.registerGrantType(
      name,
      async (ctx) => {
        const client = state.client(ctx.oidc.client?.clientId ?? '');
        if (!client) throw new Error('an authenticated client that the realm does not know');
        await handler(client, ctx);
      },
      parameters,
      repeatable,
    );

  grant('authorization_code', (client, ctx) => authorizationCodeGrant(provider, state, client, ctx), [
    'code',
    'redirect_uri',
    'code_verifier',
  ]);
  grant('refresh_token', (client, ctx) => refreshTokenGrant(state, client, ctx), ['refresh_token', 'scope']);
  grant('client_credentials', (client, ctx) => clientCredentialsGrant(state, client, ctx), ['scope']);
  grant(
    exchange,
    (client, ctx) => tokenExchangeGrant(state, client, ctx),
    [
      'subject_token',
      'subject_token_type',
      'requested_token_type',
      'requested_subject',
      'audience',
      'scope',
      'resource',
    ],
    ['audience', 'resource'],
  );
  grant(internalGrants.introspection, (client, ctx) => introspect(state, client, ctx), ['token']);
  grant(internalGrants.revocation, (client, ctx) => revoke(state, client, ctx), ['token']);
  grant(internalGrants.logout, (client, ctx) => logoutByRefreshToken(state, client, ctx), ['refresh_token']);

  provider.on('server_error', (_ctx, error) => process.emitWarning(error));
  provider.on('grant.error', describeClientFailure);
  provider.on('pushed_authorization_request.error', describeClientFailure);
  return provider;
}

import { stableId } from '@postern/testing/realm';
import { PORTAL_PAGE } from './world.ts';

const usernames = ['alice', 'audrey', 'ada'] as const;
export type Username = (typeof usernames)[number];

/** The people of a realm, by their ids there: those are of the whole server. */
export const personIn = (realm: string, username: Username): string => stableId(`${realm}/${username}`);

export const password = 'right-Password-2026!';

type Differs = { realm?: object; client?: Record<string, string>; secret?: string };

/**
 * A realm in which this service is a client as its README asks for: its keys by their address, DPoP, PKCE, PAR, consent.
 * @param differs what a test has otherwise: of the realm, and of this service's client; or that it is known by a secret
 */
export const realmWith = (name: string, publicUrl: string, { realm = {}, client = {}, secret }: Differs = {}) => ({
  realm: name,
  enabled: true,
  sslRequired: 'all',
  loginTheme: 'keycloak.v2',
  clients: [
    {
      clientId: 'auth-manager',
      name: 'Acme grants',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: secret === undefined ? 'client-jwt' : 'client-secret',
      ...(secret === undefined ? {} : { secret }),
      standardFlowEnabled: true,
      consentRequired: true,
      fullScopeAllowed: true,
      redirectUris: [`${publicUrl}/v1/consents/callback`],
      attributes: {
        'use.jwks.url': 'true',
        'jwks.url': `${publicUrl}/.well-known/provider-client.json`,
        'token.endpoint.auth.signing.alg': 'ES256',
        'id.token.signed.response.alg': 'ES256',
        'authorization.signed.response.alg': 'ES256',
        'access.token.signed.response.alg': 'ES256',
        'dpop.bound.access.tokens': 'true',
        'pkce.code.challenge.method': 'S256',
        'require.pushed.authorization.requests': 'true',
        'backchannel.logout.url': `${publicUrl}/v1/backchannel-logout`,
        'backchannel.logout.session.required': 'true',
        ...client,
      },
    },
    {
      clientId: 'portal',
      enabled: true,
      publicClient: true,
      redirectUris: [PORTAL_PAGE],
      attributes: {
        'id.token.signed.response.alg': 'ES256',
        'backchannel.logout.url': `${publicUrl}/v1/backchannel-logout`,
        'backchannel.logout.session.required': 'true',
      },
    },
    { clientId: 'job', enabled: true, publicClient: false, standardFlowEnabled: false },
  ],
  users: usernames.map((username) => ({
    id: personIn(name, username),
    username,
    firstName: username,
    lastName: 'Example',
    email: `${username}@acme.example`,
    emailVerified: true,
    enabled: true,
    realmRoles: [`default-roles-${name}`, 'offline_access'],
    credentials: [{ type: 'password', value: password, temporary: false }],
  })),
  ...realm,
});

/** A scope that puts its audience into a token. */
export const scopeFor = (name: string, audience: string) => ({
  name,
  protocol: 'openid-connect',
  attributes: { 'include.in.token.scope': 'true', 'display.on.consent.screen': 'true' },
  protocolMappers: [
    {
      name: 'audience',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-audience-mapper',
      config: { 'included.client.audience': audience, 'access.token.claim': 'true' },
    },
  ],
});
/** What a realm has of itself where it lists no scopes. */
export const basic = {
  name: 'basic',
  protocol: 'openid-connect',
  attributes: { 'include.in.token.scope': 'false', 'display.on.consent.screen': 'false' },
  protocolMappers: [
    {
      name: 'sub',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-sub-mapper',
      config: { 'access.token.claim': 'true', 'introspection.token.claim': 'true' },
    },
  ],
};
export const offline = {
  name: 'offline_access',
  protocol: 'openid-connect',
  attributes: { 'display.on.consent.screen': 'true', 'consent.screen.text': 'Access while you are away' },
};

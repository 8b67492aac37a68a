import { stableId } from '@postern/testing/realm';
import { calculateJwkThumbprint, type JWK } from 'jose';

/** The realm of {@link realmAtKeycloak}. */
export const REALM = 'acme';
export const PASSWORD = 'right-Password-2026!';
export const ALICE = stableId(`${REALM}/alice`);
/** The classes of login: by password, and by password again, now. */
export const SILVER = 'silver';
export const GOLD = 'gold';

const token = { 'access.token.claim': 'true', 'introspection.token.claim': 'true' };
const mapper = (name: string, protocolMapper: string, config: Record<string, string> = {}) => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  config: { ...token, ...config },
});
const audience = (client: string) =>
  mapper(`aud-${client}`, 'oidc-audience-mapper', { 'included.client.audience': client });
const scope = (name: string, inToken: boolean, protocolMappers: object[] = []) => ({
  name,
  protocol: 'openid-connect',
  attributes: { 'include.in.token.scope': String(inToken), 'display.on.consent.screen': String(inToken) },
  protocolMappers,
});

const ofModerate = {
  'access.token.header.type.rfc9068': 'true',
  'access.token.signed.response.alg': 'ES256',
  'id.token.signed.response.alg': 'ES256',
  'pkce.code.challenge.method': 'S256',
};

/**
 * A realm with auth-manager as its client, `files:read` of an audience that it mints for itself, and a login that can be made
 * stronger (RFC 9470): Keycloak's conditional flows by level of authentication.
 */
export const realmAtKeycloak = async (
  { redirectUri, jwk }: { redirectUri: string; jwk: JWK },
  portalCallback: string,
) => ({
  realm: REALM,
  enabled: true,
  sslRequired: 'all',
  attributes: { 'acr.loa.map': JSON.stringify({ [SILVER]: 1, [GOLD]: 2 }) },
  ...stepUpFlow,
  clientScopes: [
    scope('basic', false, [
      mapper('sub', 'oidc-sub-mapper'),
      mapper('acr', 'oidc-acr-mapper'),
      mapper('auth_time', 'oidc-usersessionmodel-note-mapper', {
        'user.session.note': 'AUTH_TIME',
        'claim.name': 'auth_time',
        'jsonType.label': 'long',
      }),
    ]),
    scope('offline_access', false),
    scope('files:read', true, [audience('portal')]),
    scope('files:list', true, [audience('portal')]),
  ],
  defaultDefaultClientScopes: ['basic'],
  defaultOptionalClientScopes: ['offline_access', 'files:read', 'files:list'],
  clients: [
    {
      clientId: 'auth-manager',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: 'client-jwt',
      consentRequired: true,
      fullScopeAllowed: true,
      redirectUris: [redirectUri],
      attributes: {
        ...ofModerate,
        'use.jwks.string': 'true',
        'jwks.string': JSON.stringify({
          keys: [{ ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' }],
        }),
        'token.endpoint.auth.signing.alg': 'ES256',
        'authorization.signed.response.alg': 'ES256',
        'dpop.bound.access.tokens': 'true',
        'standard.token.exchange.enabled': 'true',
      },
    },
    {
      clientId: 'portal',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: 'client-x509',
      fullScopeAllowed: false,
      redirectUris: [portalCallback],
      attributes: {
        ...ofModerate,
        'x509.subjectdn': 'CN=portal',
        'x509.allow.regex.pattern.comparison': 'false',
        'tls.client.certificate.bound.access.tokens': 'true',
      },
      protocolMappers: [audience('token-exchange')],
    },
    { clientId: 'token-exchange', enabled: true, bearerOnly: true },
  ],
  users: [
    {
      id: ALICE,
      username: 'alice',
      firstName: 'Alice',
      lastName: 'Example',
      email: 'alice@acme.example',
      emailVerified: true,
      enabled: true,
      realmRoles: [`default-roles-${REALM}`, 'offline_access'],
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    },
  ],
});

const flow = (alias: string, authenticationExecutions: object[], topLevel = false) => ({
  alias,
  description: alias,
  providerId: 'basic-flow',
  topLevel,
  builtIn: false,
  authenticationExecutions,
});
const step = (authenticator: string, requirement: string, priority: number, authenticatorConfig?: string) => ({
  authenticator,
  requirement,
  priority,
  authenticatorFlow: false,
  userSetupAllowed: false,
  ...(authenticatorConfig !== undefined && { authenticatorConfig }),
});
const inner = (flowAlias: string, requirement: string, priority: number) => ({
  flowAlias,
  requirement,
  priority,
  authenticatorFlow: true,
  userSetupAllowed: false,
});
const LEVEL = 'conditional-level-of-authentication';
const level = (alias: string, level: number, seconds: number) => ({
  alias,
  config: { 'loa-condition-level': String(level), 'loa-max-age': String(seconds) },
});

const stepUpFlow = {
  browserFlow: 'step up',
  authenticationFlows: [
    flow('step up', [step('auth-cookie', 'ALTERNATIVE', 10), inner('levels', 'ALTERNATIVE', 20)], true),
    flow('levels', [inner('first level', 'CONDITIONAL', 10), inner('second level', 'CONDITIONAL', 20)]),
    flow('first level', [step(LEVEL, 'REQUIRED', 10, 'one'), step('auth-username-password-form', 'REQUIRED', 20)]),
    flow('second level', [step(LEVEL, 'REQUIRED', 10, 'two'), step('auth-password-form', 'REQUIRED', 20)]),
  ],
  authenticatorConfig: [level('one', 1, 36_000), level('two', 2, 0)],
};

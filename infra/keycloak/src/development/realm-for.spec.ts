import { profileNamed, profileNames } from '@postern/profile';
import { developmentRealm } from '@postern/testing/identity-provider';
import { type Realm, type RealmClient } from '@postern/testing/realm';
import { describe, expect, test } from '@jest/globals';

import { realmFor } from './realm-for.ts';

const world = developmentRealm({
  portalRedirectUris: ['https://127.0.0.1:9443/callback'],
  authManagerRedirectUris: ['https://127.0.0.1:9444/callback'],
  authManagerLogoutUrl: 'https://127.0.0.1:9444/backchannel-logout',
  authManagerJwks: { keys: [] },
});
const trustedIssuerDn = 'CN=Postern development CA';
const compile = (realm: Realm = world, profile = profileNamed('fedramp-moderate')) =>
  realmFor({ realm, profile, trustedIssuerDn });
const withClient = (clientId: string, change: Partial<RealmClient>): Realm => ({
  ...world,
  clients: world.clients.map((client) => (client.clientId === clientId ? { ...client, ...change } : client)),
});
const clientOf = (clientId: string) => {
  const client = compile().clients.find((one) => one.clientId === clientId);
  if (!client) throw new Error(`no client ${clientId}`);
  return client;
};

describe('the realm of the development world', () => {
  test('R4: portal and job prove themselves by the whole subject of their certificate, and their tokens are bound to it', () => {
    for (const name of ['portal', 'job']) {
      expect(clientOf(name)).toMatchObject({
        clientAuthenticatorType: 'client-x509',
        fullScopeAllowed: false,
        attributes: {
          'x509.subjectdn': `CN=${name}`,
          'x509.casubjectdn': trustedIssuerDn,
          'x509.allow.regex.pattern.comparison': 'false',
          'tls.client.certificate.bound.access.tokens': 'true',
        },
      });
    }
  });

  test('R9: auth-manager proves itself by a signed assertion, its tokens are bound by DPoP, its users consent', () => {
    expect(clientOf('auth-manager')).toMatchObject({
      clientAuthenticatorType: 'client-jwt',
      consentRequired: true,
      optionalClientScopes: ['offline_access'],
      attributes: {
        'token.endpoint.auth.signing.alg': 'ES256',
        'dpop.bound.access.tokens': 'true',
        'tls.client.certificate.bound.access.tokens': 'false',
        'require.pushed.authorization.requests': 'true',
        'pkce.code.challenge.method': 'S256',
      },
    });
  });

  test('R9: a certificate-bound client with offline_access is refused', () => {
    expect(() => compile(withClient('portal', { optionalScopes: ['offline_access'] }))).toThrow(/portal.*R9/);
    expect(() => compile(withClient('auth-manager', { binding: 'certificate' }))).toThrow(/auth-manager.*R9/);
  });

  test('R9: FAPI 2.0 lies on the clients with bound tokens, in profiles that want it', () => {
    const realm = compile();
    expect(realm['clientPolicies']).toMatchObject({
      policies: [
        { profiles: ['postern-fapi-2-certificate'], enabled: true },
        { profiles: ['postern-fapi-2-dpop'], enabled: true },
      ],
    });
    expect(clientOf('portal').attributes['postern.fapi']).toBe('certificate');
    expect(clientOf('auth-manager').attributes['postern.fapi']).toBe('dpop');
    expect(clientOf('token-exchange').attributes['postern.fapi']).toBeUndefined();
    expect(compile(world, profileNamed('fedramp-low'))['clientPolicies']).toEqual({ policies: [] });
  });

  test("R15: every client that may obtain the audience token-exchange has auth-manager's logout address", () => {
    for (const name of ['portal', 'job', 'auth-manager']) {
      expect(clientOf(name).attributes['backchannel.logout.url']).toBe('https://127.0.0.1:9444/backchannel-logout');
    }
  });

  test('R20: rotation is off in moderate and high, and cannot be switched on there', () => {
    const rotating: Realm = { ...world, rotation: { maxReuse: 1 } };
    for (const name of ['fedramp-moderate', 'fedramp-high'] as const) {
      expect(compile(world, profileNamed(name))).toMatchObject({ revokeRefreshToken: false });
      expect(() => compile(rotating, profileNamed(name))).toThrow(/R20/);
    }
    expect(compile(rotating, profileNamed('fedramp-low'))).toMatchObject({
      revokeRefreshToken: true,
      refreshTokenMaxReuse: 1,
    });
  });

  test('R7: every access token is an at+jwt signed with ES256', () => {
    for (const { attributes } of compile().clients) {
      expect(attributes).toMatchObject({
        'access.token.header.type.rfc9068': 'true',
        'access.token.signed.response.alg': 'ES256',
      });
    }
  });

  test.each(profileNames)('lifetimes, lockout and passwords are those of %s', (name) => {
    const profile = profileNamed(name);
    expect(compile(world, profile)).toMatchObject({
      accessTokenLifespan: profile.accessTokenMinutes * 60,
      ssoSessionIdleTimeout: profile.sessionIdleMinutes * 60,
      ssoSessionMaxLifespan: profile.sessionMaxMinutes * 60,
      failureFactor: profile.lockoutAttempts,
      passwordPolicy: expect.stringContaining(`length(${profile.passwordMinLength})`),
    });
  });

  test('no scope is named that the realm does not define: a realm that is given any gets no built-in one', () => {
    const { clientScopes, clients, ...rest } = compile();
    const defined = clientScopes.map(({ name }) => name);
    const named = clients.flatMap((client) => [...client.defaultClientScopes, ...client.optionalClientScopes]);
    named.push(
      ...(rest['defaultDefaultClientScopes'] as string[]),
      ...(rest['defaultOptionalClientScopes'] as string[]),
    );
    expect(defined).toEqual(expect.arrayContaining([...new Set(named)]));
    expect(clientScopes.find(({ name }) => name === 'basic')?.protocolMappers.map(({ name }) => name)).toContain('sub');
  });

  test.each([
    ['scope', withClient('portal', { defaultScopes: ['nobody:knows'] })],
    ['role', withClient('portal', { roleScope: ['token-exchange/nobody'] })],
    ['audience', { ...world, scopes: [{ name: 'x', description: 'x', inToken: true, audience: 'nobody' }] }],
  ])('an unknown %s is refused, which Keycloak would only log', (_what, realm) => {
    expect(() => compile(realm)).toThrow(/unknown/);
  });

  test('the same world gives the same realm, byte for byte', () => {
    expect(JSON.stringify(compile())).toBe(JSON.stringify(compile()));
  });
});

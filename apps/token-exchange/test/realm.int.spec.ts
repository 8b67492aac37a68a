import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openProvider, ProviderFailed, type Provider } from '@postern/oidc';
import {
  developmentCa,
  developmentPassword,
  developmentRealm,
  login,
  startIdentityProvider,
  type DevelopmentIdentityProvider,
} from '@postern/testing';
import { decodeJwt, exportJWK, generateKeyPair } from 'jose';
import { Agent } from 'undici';
import { openWorld, type Caller, type World } from './token-exchange.ts';

const portalCallback = 'https://127.0.0.1:1/callback';
const managerCallback = 'https://127.0.0.1:2/callback';

let ca: string;
let realm: DevelopmentIdentityProvider;
let world: World;
let portal: Caller;
let job: Caller;
let manager: Provider;
let anonymous: Agent;

beforeAll(async () => {
  const leaf = await developmentCa().issue('identity-provider');
  ca = leaf.ca;
  const [client, dpop] = await Promise.all([
    generateKeyPair('ES256', { extractable: true }),
    generateKeyPair('ES256', { extractable: true }),
  ]);
  realm = await startIdentityProvider({
    tls: leaf,
    realm: developmentRealm({
      portalRedirectUris: [portalCallback],
      authManagerRedirectUris: [managerCallback],
      authManagerJwks: { keys: [{ ...(await exportJWK(client.publicKey)), kid: 'client', alg: 'ES256', use: 'sig' }] },
    }),
  });
  world = await openWorld({
    realmEntry: {
      issuer: realm.issuer,
      jwksUri: `${realm.issuer}/protocol/openid-connect/certs`,
      kinds: ['provider-access'],
      algorithms: ['ES256'],
      scopeCeiling: 'policy',
      tenant: { fixed: 'acme' },
    },
  });
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
  anonymous = new Agent({ connect: { ca } });
  manager = await openProvider({
    issuer: realm.issuer,
    clientId: 'auth-manager',
    authentication: { method: 'private_key_jwt', key: client.privateKey, kid: 'client' },
    dpop,
    dispatcher: anonymous,
  });
});
afterAll(async () => {
  await anonymous.close();
  await world.close();
  await realm.close();
});

/** The provider as that workload's client sees it: `tls_client_auth` with its certificate. */
const clientOf = ({ workload: clientId, agent: dispatcher }: Caller) =>
  openProvider({ issuer: realm.issuer, clientId, authentication: { method: 'tls_client_auth' }, dispatcher });

async function loggedIn(username: string): Promise<string> {
  const provider = await clientOf(portal);
  const asked = await provider.startAuthorization({ redirectUri: portalCallback, scopes: ['openid'] });
  const person = { username, password: developmentPassword(username), redirectUri: portalCallback, ca };
  const tokens = await provider.redeem({ ...asked, callbackUrl: await login(asked.url, person) });
  return tokens.accessToken.reveal();
}

describe('tokens of the realm are exchanged as the tour has it', () => {
  test('alice at the portal (code, PKCE, PAR; certificate-bound): M1', async () => {
    const reply = await portal.exchange(await loggedIn('alice'), 'auth-manager', 'grants:read grants:write');
    expect(reply.status).toBe(200);
    expect(decodeJwt(String(reply.body['access_token']))).toMatchObject({
      subject_issuer: realm.issuer,
      tenant: 'acme',
      roles: ['user'],
      act: { sub: 'portal' },
    });
  });

  test('the job by client credentials: no person, M2', async () => {
    const w = await (await clientOf(job)).clientCredentials();
    const reply = await job.exchange(w.accessToken.reveal(), 'auth-manager', 'grants:use');
    expect(reply.status).toBe(200);
    const claims = decodeJwt(String(reply.body['access_token']));
    expect(claims).toMatchObject({ sub: 'job', scope: 'grants:use' });
    expect(claims).not.toHaveProperty('subject_issuer');
    expect(await job.exchange(w.accessToken.reveal(), 'crypto-store', 'records:read')).toMatchObject({
      status: 400,
      body: { error: 'invalid_target' },
    });
  });

  test('the auditor may read the log, alice may not', async () => {
    const audit = (token: string) => portal.exchange(token, 'audit-sink', 'audit:read');
    expect((await audit(await loggedIn('audrey'))).status).toBe(200);
    expect(await audit(await loggedIn('alice'))).toMatchObject({ status: 403, body: { error: 'insufficient_scope' } });
  });

  test('her ID token, and a token that was stolen on its way, are no subject', async () => {
    const provider = await clientOf(portal);
    const asked = await provider.startAuthorization({ redirectUri: portalCallback, scopes: ['openid'] });
    const person = { username: 'alice', password: developmentPassword('alice'), redirectUri: portalCallback, ca };
    const tokens = await provider.redeem({ ...asked, callbackUrl: await login(asked.url, person) });
    const idToken = tokens.rawIdToken?.reveal() ?? '';
    expect((await portal.exchange(idToken, 'auth-manager', 'grants:read')).status).toBe(400);
    expect((await job.exchange(tokens.accessToken.reveal(), 'auth-manager', 'grants:use')).status).toBe(400);
  });
});

describe('the provider’s side', () => {
  const consented = async () => {
    const asked = await manager.startAuthorization({
      redirectUri: managerCallback,
      scopes: ['openid', 'offline_access'],
    });
    const person = { username: 'alice', password: developmentPassword('alice'), redirectUri: managerCallback, ca };
    return { asked, callbackUrl: await login(asked.url, person) };
  };
  const failure = (call: Promise<unknown>) =>
    call.then(
      () => 'answered',
      (error: unknown) =>
        error instanceof ProviderFailed ? `${error.kind} ${error.error ?? ''}`.trim() : String(error),
    );

  test('R9: an offline token by private_key_jwt, bound to a DPoP key; refresh, introspection, revocation', async () => {
    const { asked, callbackUrl } = await consented();
    expect(manager.sendsIssuer).toBe(true);
    const tokens = await manager.redeem({ ...asked, callbackUrl });
    expect(decodeJwt(tokens.accessToken.reveal())).toHaveProperty('cnf.jkt');
    expect(tokens.idToken).toMatchObject({ iss: realm.issuer, aud: 'auth-manager', nonce: asked.nonce });
    const refreshToken = tokens.refreshToken;
    if (!refreshToken) throw new Error('no offline token');
    const next = await manager.refresh(refreshToken);
    expect(decodeJwt(next.accessToken.reveal())).toHaveProperty('cnf.jkt');
    expect(await manager.introspect(refreshToken)).toMatchObject({ active: true, client_id: 'auth-manager' });
    await manager.revoke(refreshToken);
    expect(await manager.introspect(refreshToken)).toEqual({ active: false });
    expect(await failure(manager.refresh(refreshToken))).toBe('refused invalid_grant');
    await manager.revoke(refreshToken);
  });

  test('a callback of another login, of another issuer, or a code that was used is refused', async () => {
    const { asked, callbackUrl } = await consented();
    const changed = (name: string, value: string) => {
      const url = new URL(callbackUrl);
      url.searchParams.set(name, value);
      return url;
    };
    expect(await failure(manager.redeem({ ...asked, callbackUrl: changed('state', 'other') }))).toBe('untrusted');
    const elsewhere = changed('iss', 'https://127.0.0.1:1/realms/postern');
    expect(await failure(manager.redeem({ ...asked, callbackUrl: elsewhere }))).toBe('untrusted');
    await manager.redeem({ ...asked, callbackUrl });
    expect(await failure(manager.redeem({ ...asked, callbackUrl }))).toBe('refused invalid_grant');
    const again = await consented();
    expect(await failure(manager.redeem({ ...again.asked, callbackUrl: again.callbackUrl, nonce: 'other' }))).toBe(
      'untrusted',
    );
  });

  test('a provider that cannot be trusted is not spoken to: nothing was sent', async () => {
    const { asked, callbackUrl } = await consented();
    const { refreshToken } = await manager.redeem({ ...asked, callbackUrl });
    if (!refreshToken) throw new Error('no offline token');
    const untrusting = new Agent();
    expect(await failure(manager.refresh(refreshToken, { over: untrusting }))).toBe('not_sent');
    await untrusting.close();
    expect(await failure(manager.refresh(refreshToken))).toBe('answered');
  });
});

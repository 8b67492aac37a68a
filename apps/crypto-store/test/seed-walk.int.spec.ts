import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openProvider } from '@postern/oidc';
import {
  developmentCa,
  developmentRealm,
  login,
  stableId,
  startIdentityProvider,
  type DevelopmentIdentityProvider,
  type Realm,
} from '@postern/testing';
import { fromCache, openWorld, type Caller, type World } from './crypto-store.ts';

const callback = 'https://127.0.0.1:1/callback';
const user1 = { username: 'user1', password: 'password123' };

let ca: string;
let realm: DevelopmentIdentityProvider;
let world: World;
let portal: Caller;

beforeAll(async () => {
  const leaf = await developmentCa().issue('identity-provider');
  ca = leaf.ca;
  realm = await startIdentityProvider({ tls: leaf, realm: walkersRealm(), profile: 'fedramp-low' });
  world = await openWorld({
    issuers: [
      {
        entry: {
          issuer: realm.issuer,
          jwksUri: `${realm.issuer}/protocol/openid-connect/certs`,
          kinds: ['provider-access'],
          algorithms: ['ES256'],
          scopeCeiling: ['records:read', 'records:write'],
          tenant: { fixed: 'acme' },
        },
      },
    ],
  });
  portal = await world.caller('portal');
});

afterAll(async () => {
  await world.close();
  await realm.close();
});

/** The development realm with `user1`, whose tokens of the portal are bearer tokens meant for crypto-store. */
function walkersRealm(): Realm {
  const base = developmentRealm({
    portalRedirectUris: [callback],
    authManagerRedirectUris: [callback],
    authManagerJwks: { keys: [] },
  });
  const scopes = ['records:read', 'records:write'];
  const [app] = base.clients.filter(({ clientId }) => clientId === 'portal');
  if (app === undefined) throw new Error('the development realm has a portal');
  return {
    ...base,
    scopes: scopes.map((name) => ({ name, description: name, inToken: true, audience: 'crypto-store' })),
    clients: [
      { ...app, binding: 'none', defaultScopes: [], optionalScopes: scopes, roleScope: [] },
      {
        ...app,
        clientId: 'crypto-store',
        description: 'The audience',
        authentication: { kind: 'certificate', subjectDn: 'CN=crypto-store' },
        grants: [],
        defaultScopes: [],
        roleScope: [],
      },
    ],
    users: [
      {
        id: stableId('walk/user1'),
        ...user1,
        email: 'user1@example.com',
        firstName: 'User',
        lastName: 'One',
        roles: [],
      },
    ],
  };
}

/** Her access token, after a login with her password at the provider. */
async function loggedIn(scopes: readonly string[]): Promise<string> {
  const provider = await openProvider({
    issuer: realm.issuer,
    clientId: 'portal',
    authentication: { method: 'tls_client_auth' },
    dispatcher: portal.dispatcher,
  });
  const asked = await provider.startAuthorization({ redirectUri: callback, scopes: ['openid', ...scopes] });
  const person = { ...user1, redirectUri: callback, ca };
  const tokens = await provider.redeem({ ...asked, callbackUrl: await login(asked.url, person) });
  return tokens.accessToken.reveal();
}

const store = (url: string, token: string) =>
  portal.send(`${url}/store`, { method: 'POST', token, body: { key: 'secret1', payload: 'This is my secret data' } });
const retrieve = (url: string, token: string) => portal.send(`${url}/retrieve/secret1`, { token });

test("the seed's walk: user1 logs in, stores with her provider's bearer token, reads from the cache and, after a flush, from the database", async () => {
  const { url } = await world.replica({ POSTERN_PROFILE: 'fedramp-low' });
  const token = await loggedIn(['records:read', 'records:write']);
  expect(await store(url, token)).toMatchObject({ status: 200, body: { status: 'stored', key: 'secret1' } });
  const found = (source: string) => ({
    status: 200,
    body: { key: 'secret1', payload: 'This is my secret data', source },
  });
  expect(await fromCache(() => retrieve(url, token))).toMatchObject(found('cache'));
  await world.redis.cache.asAdmin((client) => client.flushDb());
  expect(await retrieve(url, token)).toMatchObject(found('db'));

  const { rows } = await world.postgres.asAdmin(
    (client) => client.query('select canonical from audit_outbox'),
    world.database.name,
  );
  const events = rows.map(
    ({ canonical }: { canonical: Buffer }) => JSON.parse(canonical.toString()) as Record<string, unknown>,
  );
  expect(events).toContainEqual(
    expect.objectContaining({
      action: 'record.written',
      tenant: 'acme',
      actor: { client: 'portal', workload: 'portal', person: { issuer: realm.issuer, sub: stableId('walk/user1') } },
    }),
  );
});

test('her token says what she asked for, and no more: without records:write nothing is stored', async () => {
  const { url } = await world.replica({ POSTERN_PROFILE: 'fedramp-low' });
  const refused = await store(url, await loggedIn(['records:read']));
  expect(refused).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
});

test('where the profile demands bound tokens, the bearer token of the provider opens nothing (R7, R8)', async () => {
  const { url } = await world.replica();
  const token = await loggedIn(['records:read', 'records:write']);
  expect((await store(url, token)).status).toBe(401);
  expect((await retrieve(url, token)).status).toBe(401);
});

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openEgress } from '@postern/egress';
import { problem, Secret, silentLogger } from '@postern/runtime';
import { profileNamed } from '@postern/profile';
import { developmentCa } from '@postern/testing';
import { exportJWK, generateKeyPair, UnsecuredJWT } from 'jose';
import { openProviderTokens } from '../src/grants/provider-token.ts';
import { openProviderCalls } from '../src/provider/open-provider-calls.ts';
import type { ProviderCalls } from '../src/provider/provider-calls.ts';
import { freshGrants, OTHER, type FreshGrants } from './fresh-grants.ts';

// A provider over real TLS that misbehaves on demand; the client, the journal and the database are real.

type Behaviour = (response: ServerResponse) => void;
const json = (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const html =
  (status: number): Behaviour =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Maintenance</h1>');

let at: FreshGrants;
let server: ReturnType<typeof createServer>;
let issuer: string;
let named: string;
let behave: Behaviour;
let active: boolean;
let calls: { refreshes: number; looks: number };
let open: () => Promise<ProviderCalls>;
const closes: (() => unknown)[] = [];

const answers: Record<string, Behaviour> = {
  good: (response) => json(response, 200, { access_token: 'a', token_type: 'Bearer', expires_in: 60 }),
  slow: () => {},
  cut: (response) => void response.socket?.destroy(),
};

function serve(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  switch (request.url) {
    case '/token':
      calls.refreshes += 1;
      return behave(response);
    case '/introspect':
      calls.looks += 1;
      return json(response, 200, { active });
    default:
      return json(response, 200, {
        issuer: named,
        token_endpoint: `${issuer}/token`,
        introspection_endpoint: `${issuer}/introspect`,
        pushed_authorization_request_endpoint: `${issuer}/par`,
        jwks_uri: `${issuer}/keys`,
      });
  }
}

beforeAll(async () => {
  at = await freshGrants();
  const leaf = await developmentCa().issue('identity-provider');
  server = createServer({ cert: leaf.cert, key: leaf.key }, serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const jwk = async () => exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey);
  const identity = {
    clientId: 'auth-manager',
    proof: { clientKey: await jwk() },
    dpopKey: await jwk(),
    generation: '1',
  };
  const egress = openEgress({
    allow: [new URL(issuer).host],
    publicAddresses: false,
    listedAuthorities: () => leaf.ca,
    timeoutMs: 1_500,
  });
  closes.push(() => egress.close());
  open = async () =>
    openProviderCalls({
      issuer,
      identity: async () => identity,
      egress,
      logger: silentLogger(),
      profile: profileNamed('fedramp-moderate'),
      now: () => new Date(),
      keys: () => {
        throw new Error('nothing is signed here');
      },
    });
});
afterAll(async () => {
  for (const close of closes.toReversed()) await close();
  server.closeAllConnections();
  server.close();
  await at.close();
});
beforeEach(async () => {
  calls = { refreshes: 0, looks: 0 };
  [named, active, behave] = [issuer, true, answers['good']!];
  await at.clear();
});

const stale = async () => (await at.grants(1, { idleSeconds: null, confirmedSecondsAgo: 3_600 }))[0]!;
const attempts = async () =>
  (await at.query<{ state: string }>('select state from refresh_attempts order by created_at', [])).map(
    ({ state }) => state,
  );

test.each([
  ['it hangs', answers['slow']!],
  ['it cuts the connection', answers['cut']!],
  ['500 with a page', html(500)],
  ['502 with an OAuth body', (response: ServerResponse) => json(response, 502, { error: 'server_error' })],
  ['200 with a page', html(200)],
])('R20: %s: nothing is sent again before the provider was asked, and the grant lives', async (_name, fault) => {
  const grant = await stale();
  const { confirm } = at.replica(await open());
  behave = fault;
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
  behave = answers['good']!;
  at.later(3);
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect(calls).toEqual({ refreshes: 1, looks: 0 });
  at.later(20);
  expect(await confirm(grant)).toEqual({ refreshed: true });
  expect([calls, await attempts()]).toEqual([{ refreshes: 2, looks: 1 }, ['abandoned', 'applied']]);
});

test.each([
  ['JSON', (response: ServerResponse) => json(response, 429, { error: 'slow_down' }, { 'retry-after': '7' })],
  ['a page', (response: ServerResponse) => void response.writeHead(429, { 'retry-after': '7' }).end('<p>Later</p>')],
])('429 with %s: nothing was consumed, and the caller is told when to come again', async (_name, fault) => {
  const grant = await stale();
  const { confirm } = at.replica(await open());
  behave = fault;
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable', retryAfterSeconds: 7 });
  behave = answers['good']!;
  expect(await confirm(grant)).toEqual({ refreshed: true });
  expect([calls.looks, await attempts()]).toEqual([0, ['abandoned', 'applied']]);
});

test('a provider that calls itself by another name is sent no token', async () => {
  const grant = await stale();
  named = 'https://other.example';
  const { confirm } = at.replica(await open());
  await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
  expect([calls.refreshes, await attempts()]).toEqual([0, ['abandoned']]);
  named = issuer;
  expect(await confirm(grant)).toEqual({ refreshed: true });
});

test('R20: the connection to the database is lost between the reply and its commit: it is journalled over another', async () => {
  const grant = await stale();
  const { confirm } = at.replica(await open());
  behave = (response) => {
    const kill = `select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory' and l.classid = 20 and l.granted`;
    void at.query(kill, []).then(() =>
      json(response, 200, {
        access_token: 'a',
        token_type: 'Bearer',
        expires_in: 60,
        refresh_token: 'the only living one',
      }),
    );
  };
  await confirm(grant).catch(() => undefined);
  behave = answers['good']!;
  expect((await attempts()).length).toBe(1);
  await confirm(grant);
  // The answer that came is applied; nothing was sent again.
  expect([calls, await attempts()]).toEqual([{ refreshes: 1, looks: 0 }, ['applied']]);
});

test('R20: a clock that is a minute off changes nothing of what is promised', async () => {
  for (const seconds of [60, -60]) {
    const grant = await stale();
    const { confirm } = at.replica(await open());
    behave = answers['cut']!;
    await expect(confirm(grant)).rejects.toMatchObject({ code: 'provider_unavailable' });
    behave = answers['good']!;
    // Another replica whose clock is off: behind, it waits longer; ahead, it asks the provider first all the same.
    at.later(seconds);
    await confirm(grant).catch(() => undefined);
    at.later(-seconds + 20);
    await confirm(grant);
    const states = await attempts();
    expect([states.at(0), states.at(-1)]).toEqual(['abandoned', 'applied']);
    expect(calls.looks).toBeGreaterThan(0);
    await at.clear();
    calls = { refreshes: 0, looks: 0 };
  }
});

test('R20: a provider that hangs holds its part of the pool: others are refreshed beside it, its own further callers are told when to come again', async () => {
  const old = { idleSeconds: null, confirmedSecondsAgo: 3_600 };
  const [one, two, three] = await at.grants(3, old);
  const others = await at.grants(3, { ...old, provider: OTHER });
  const [hanging, good] = [at.scripted('hangs'), at.scripted('keeps')];
  const limits = { atOnce: 3, perProvider: 2, waiting: 0 };
  const { confirm } = at.replica(hanging.calls, { other: good.calls, limits });
  const held = [confirm(one!), confirm(two!)];
  while (hanging.tried() < 2) await sleep(10);
  await expect(confirm(three!)).rejects.toMatchObject({ code: 'grant_busy', retryAfterSeconds: 5 });
  for (const other of others) expect(await confirm(other)).toEqual({ refreshed: true });
  hanging.letGo();
  expect(await Promise.all(held)).toEqual([{ refreshed: true }, { refreshed: true }]);
  expect(await confirm(three!)).toEqual({ refreshed: true });
});

test('a token of the provider that is kept serves while the pool is full, until it expires', async () => {
  const [id = ''] = await at.grants(1, { idleSeconds: null });
  const jwt = new UnsecuredJWT({ azp: 'auth-manager' }).setAudience('portal').encode();
  const access = { token: new Secret(jwt), type: 'Bearer', expiresIn: 100, scopes: undefined };
  const full = () => Promise.reject(problem('grant_busy', { retryAfterSeconds: 5 }));
  let obtain: () => Promise<typeof access> = async () => access;
  const calls = { exchange: async () => access, clientId: async () => 'auth-manager' } as unknown as ProviderCalls;
  const { db, vault, now } = at;
  const kept = openProviderTokens({
    db,
    vault,
    now,
    unboundAllowed: true,
    obtain: () => obtain(),
    providerOf: () => calls,
  });
  const grant = await at.db.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const handle = { id, workload: 'job', audiences: ['portal'], scopes: [], expires_at: null, limited: false };
  const ask = () => kept.of({ grant, handle, unasked: false }, ['files:read'], 'portal');
  expect(await ask()).toMatchObject({ refreshed: true });
  obtain = full;
  at.later(90);
  expect((await ask()).token.reveal()).toBe(jwt);
  at.later(6);
  await expect(ask()).rejects.toMatchObject({ code: 'grant_busy', retryAfterSeconds: 5 });
});
